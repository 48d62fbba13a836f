"""`scale.py FILE`: measures the operator $OPERATOR at $SIZE ModelServices, and writes the figures to FILE.

To be run by cluster/scale under a control plane of its own.
"""

import concurrent.futures
import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from kube import Kube, kubectl, repository, wait_for_kind

SIZE = int(os.environ["SIZE"])
IDLE_SECONDS = int(os.environ.get("IDLE_SECONDS") or 600)
CONTROL_PLANE = Path(os.environ["CONTROL_PLANE"])
NAMESPACE = "modelservice-system"
RELEASE = "modelservice-operator"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
NAMESPACES = 10
PODS_PER_NODE = 200
# Secrets and ConfigMaps that have nothing to do with ModelServices.
FOREIGN = 20_000
THREADS = 4
LONGEST = 3600
# What is 1 for each that is Ready.
READY = "modelservice_status_condition", 'condition="Ready"', 'status="True"'
STAGES = "node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease", "pod/fast/pod-ready", "pod/fast/pod-delete"
ADMIN = "127.0.0.1:18090"
CHILDREN = {
    "deployments": "apis/apps/v1",
    "networkpolicies": "apis/networking.k8s.io/v1",
    "servicemonitors": "apis/monitoring.coreos.com/v1",
    "prometheusrules": "apis/monitoring.coreos.com/v1",
}


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Operator:
    """A process of the operator."""

    # All that were ever started.
    processes: list[subprocess.Popen] = []

    def __init__(self, program: str = os.environ["OPERATOR"]) -> None:
        config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        token = kubectl("--namespace", NAMESPACE, "create", "token", RELEASE, "--duration", "6h")
        config["users"][0]["user"] = {"token": token.strip()}
        file = CONTROL_PLANE / "operator.kubeconfig"
        file.write_text(json.dumps(config))
        arguments = ["run", "--admin", ADMIN, "--lease-namespace", NAMESPACE]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [program, *arguments],
            env=os.environ | {"KUBECONFIG": str(file)},
            stdout=(CONTROL_PLANE / "operator.log").open("a"),
            stderr=subprocess.STDOUT,
        )
        self.processes.append(self.process)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def memory(self, which: str) -> float:
        """MiB: VmRSS of this moment, VmHWM at most so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(which))
        return int(line.split()[1]) / 1024

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connections(self) -> int:
        return sum("socket" in os.readlink(link) for link in glob.glob(f"/proc/{self.process.pid}/fd/*"))

    def metric(self, *parts: str) -> float:
        """The sum of the series that contain all of `parts`."""
        with urllib.request.urlopen(f"http://{ADMIN}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        series = (line for line in lines if not line.startswith("#") and all(part in line for part in parts))
        return sum(float(line.rsplit(" ", 1)[1]) for line in series)


class Audit:
    """What the operator asked of the API server, by the log of the latter."""

    def __init__(self) -> None:
        self.skip()

    def skip(self) -> None:
        self.at = (CONTROL_PLANE / "audit.log").stat().st_size

    def calls(self) -> dict[str, int]:
        """Calls since the last time, by verb, events apart; the lease's do not count."""
        counts: dict[str, int] = {}
        with (CONTROL_PLANE / "audit.log").open() as log:
            log.seek(self.at)
            for line in log:
                entry = json.loads(line)
                if entry["user"]["username"] == ACCOUNT and entry["objectRef"]["resource"] != "leases":
                    is_event = entry["objectRef"]["resource"] == "events" and entry["verb"] not in READS
                    verb = "event" if is_event else entry["verb"]
                    counts[verb] = counts.get(verb, 0) + 1
            self.at = log.tell()
        return counts


READS = "get", "list", "watch"


def writes(calls: dict[str, int]) -> int:
    return sum(count for verb, count in calls.items() if verb not in READS)


def set_up() -> None:
    """The definitions, the operator's account, and nodes that kwok pretends."""
    kubectl("create", "namespace", NAMESPACE)
    shown = [f"--show-only=templates/{part}.yaml" for part in ("crd", "serviceaccount", "rbac")]
    chart = repository("charts/modelservice-operator")
    template = ["helm", "template", RELEASE, "--namespace", NAMESPACE, "--kube-version=1.34.0", *shown, chart]
    kubectl("apply", "-f", "-", text=subprocess.check_output(template, text=True))
    for kind in "servicemonitors", "prometheusrules":
        file = f"{os.environ['MONITORING_CRDS']}/monitoring.coreos.com_{kind}.yaml"
        kubectl("apply", "--server-side", "-f", file)
        wait_for_kind(f"{kind}.monitoring.coreos.com")
    wait_for_kind("modelservices.modelservice.dev")
    kube = Kube()
    for number in range(NAMESPACES):
        kube.call("POST", "/api/v1/namespaces", {"metadata": {"name": f"team-{number}"}})
    size = {"cpu": "1000", "memory": "1Ti", "pods": str(PODS_PER_NODE)}
    for number in range(SIZE // PODS_PER_NODE + 5):
        status = {"allocatable": size, "capacity": size}
        node = {"metadata": {"name": f"node-{number}", "labels": {"type": "kwok"}}, "status": status}
        kube.call("POST", "/api/v1/nodes", node)


def start_cluster_programs() -> list[subprocess.Popen]:
    config = os.environ["KUBECONFIG"]
    log = (CONTROL_PLANE / "nodes.log").open("a")
    fast = ["--kube-api-qps=300", "--kube-api-burst=600"]
    scheduler = ["kube-scheduler", f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0", *fast]
    stages = [f"--config={os.environ['KWOK_STAGES']}/{stage}.yaml" for stage in STAGES]
    kwok = ["kwok", f"--kubeconfig={config}", "--manage-all-nodes=true", *stages]
    kwok.append("--node-lease-duration-seconds=40")
    return [subprocess.Popen(command, stdout=log, stderr=log) for command in (scheduler, kwok)]


def in_threads(count: int, make) -> None:
    """Calls `make` with each number and a client of the thread's own."""
    local = threading.local()

    def one(number: int) -> None:
        if not hasattr(local, "kube"):
            local.kube = Kube()
        make(local.kube, number)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(one, range(count)):
            pass


def serve(kube: Kube, number: int) -> None:
    model = {"source": {"builtin": {"name": "diabetes"}}}
    service = {
        "apiVersion": "modelservice.dev/v1alpha1",
        "kind": "ModelService",
        "metadata": {"name": f"model-{number}"},
        "spec": {"model": model},
    }
    namespace = f"team-{number % NAMESPACES}"
    kube.call("POST", f"/apis/modelservice.dev/v1alpha1/namespaces/{namespace}/modelservices", service)


def foreign(kube: Kube, number: int) -> None:
    kind = ("configmaps", "secrets")[number % 2]
    body = {"metadata": {"name": f"foreign-{number}"}, "data": {"key": "dmFsdWVz" * 64}}
    kube.call("POST", f"/api/v1/namespaces/team-{number % NAMESPACES}/{kind}", body)


def until(what: str, done) -> float:
    """Seconds until `done`."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > LONGEST:
            raise TimeoutError(what)
        time.sleep(0.5)
    return time.monotonic() - began


def children_exist(kube: Kube) -> bool:
    return all(kube.count(f"/{group}/{kind}") >= SIZE for kind, group in CHILDREN.items())


def quiet(operator: Operator) -> bool:
    """Whether nothing is under way, twice in a row."""
    names = "modelservice_reconciles_active", "modelservice_reconciles_waiting"
    for _ in range(2):
        if any(operator.metric(name) > 0 for name in names):
            return False
        time.sleep(3)
    return True


def measure() -> dict:
    kube, figures = Kube(), {"size": SIZE}
    audit = Audit()
    operator = Operator()
    time.sleep(5)
    say(f"{SIZE} ModelServices are made")
    began = time.monotonic()
    in_threads(SIZE, serve)
    figures["asked_seconds"] = time.monotonic() - began
    until("all children", lambda: children_exist(kube))
    figures["children_seconds"] = time.monotonic() - began
    say(f"all children are there after {figures['children_seconds']:.0f} s")
    until("all Ready", lambda: operator.metric(*READY) >= SIZE)
    figures["ready_seconds"] = time.monotonic() - began
    say(f"all are Ready after {figures['ready_seconds']:.0f} s")
    until("quiet", lambda: quiet(operator))
    calls = audit.calls()
    figures["events_per_service"] = calls.get("event", 0) / SIZE
    figures["writes_per_service"] = writes(calls) / SIZE - figures["events_per_service"]
    figures["reads_per_service"] = calls.get("get", 0) / SIZE
    figures["memory_mib"] = operator.memory("VmRSS")
    figures["peak_memory_mib"] = operator.memory("VmHWM")
    figures["connections"] = operator.connections()

    say(f"{FOREIGN} foreign Secrets and ConfigMaps are made")
    in_threads(FOREIGN, foreign)
    figures["memory_with_foreign_mib"] = operator.memory("VmRSS")

    say(f"{IDLE_SECONDS} s without a change")
    audit.skip()
    cpu, began = operator.cpu(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    figures["idle_seconds"] = IDLE_SECONDS
    figures["idle_cpu_percent"] = 100 * (operator.cpu() - cpu) / (time.monotonic() - began)
    calls = audit.calls()
    figures["idle_writes"] = writes(calls)
    figures["idle_gets"] = calls.get("get", 0)
    operator.stop()

    say("another operator takes over")
    audit.skip()
    operator = Operator()
    figures["restart_seconds"] = verified(operator)
    calls = audit.calls()
    figures["restart_writes"] = writes(calls)
    figures["restart_memory_mib"] = operator.memory("VmRSS")
    figures["restart_peak_memory_mib"] = operator.memory("VmHWM")
    operator.stop()
    return figures


def verified(operator: Operator) -> float:
    """Seconds from its start until it has looked at all of them."""
    done = "modelservice_reconcile_duration_seconds_count"
    until("verified", lambda: answering() and operator.metric(done) >= SIZE and quiet(operator))
    return time.monotonic() - operator.began


def answering() -> bool:
    try:
        with urllib.request.urlopen(f"http://{ADMIN}/readyz", timeout=5):
            return True
    except OSError:
        return False


def in_cluster(work) -> dict:
    """What `work` measures in a cluster whose nodes and pods kwok pretends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    set_up()
    programs = start_cluster_programs()
    try:
        return work()
    finally:
        for program in programs + Operator.processes:
            program.kill()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(in_cluster(measure)))

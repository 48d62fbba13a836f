"""Measures what the rules of many ModelServices cost one Prometheus; see cluster/rule-cost."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import urllib.request

SERVER = 18080
EXPORTER = 18081
PROMETHEUS = 18090
INFERENCE, OPERATOR = os.environ["INFERENCE"], os.environ["OPERATOR"]
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$")


def ask(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.read().decode()


def query(expression):
    path = "/api/v1/query?query=" + urllib.request.quote(expression)
    return json.loads(ask(PROMETHEUS, path))["data"]["result"]


@contextlib.contextmanager
def running(*command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def wait(port, path):
    end = time.monotonic() + 60
    while True:
        try:
            return ask(port, path)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def served_metrics():
    """What one server shows after a minute's worth of requests and ground truth."""
    with running(INFERENCE, "serve", "--listen", f"127.0.0.1:{SERVER}"):
        wait(SERVER, "/v2/health/ready")
        data = ["--data", "examples/data/diabetes.csv", "--target", "Outcome", "--requests", "2000"]
        load = [INFERENCE, "load", "--url", f"http://127.0.0.1:{SERVER}", "--drift", "10%", "--broken", "2%"]
        subprocess.run([*load, *data], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return ask(SERVER, "/metrics")


class Exposition:
    """The metrics of one server, with counters that rise from second to second."""

    def __init__(self, text):
        self.began = time.monotonic()
        self.lines, kinds = [], {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                kinds[name] = kind
            found = SAMPLE.match(line)
            rises = found and self.kind(kinds, found[1]) in ("counter", "histogram")
            value = float(found[3]) if rises else None
            self.lines.append((line, found and f"{found[1]}{found[2] or ''}", value))
        self.second, self.text = None, b""
        self.lock = threading.Lock()

    @staticmethod
    def kind(kinds, name):
        return kinds.get(name) or kinds.get(re.sub("_(bucket|sum|count)$", "", name))

    def series(self):
        return sum(name is not None for _, name, _ in self.lines)

    def now(self):
        with self.lock:
            second = int(time.monotonic() - self.began)
            if second != self.second:
                self.second = second
                parts = (line if value is None else f"{name} {value * (1 + second / 60):.6f}" for line, name, value in self.lines)
                self.text = ("\n".join(parts) + "\n").encode()
            return self.text


def exporter(exposition):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            text = exposition.now()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", EXPORTER), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def configure(folder, services, interval, window):
    monitoring = {
        "scrape": {"interval": interval, "timeout": interval},
        **{watched: {"window": window} for watched in ("drift", "quality")},
    }
    if interval == "1s":
        monitoring |= {"objectives": {"period": "12h"}, "performance": {"window": window}}
    spec = {"model": {"source": {"builtin": {"name": "diabetes"}}}, "monitoring": monitoring}
    documents = (
        json.dumps({"apiVersion": "modelservice.dev/v1alpha1", "kind": "ModelService", "metadata": {"name": f"model-{at}"}, "spec": spec})
        for at in range(services)
    )
    (folder / "all.yaml").write_text("\n---\n".join(documents))
    render = [OPERATOR, "render", "-f", str(folder / "all.yaml"), "--for", "prometheus", "--out", str(folder)]
    subprocess.run([*render, "--target", f"127.0.0.1:{EXPORTER}"], check=True, stdout=subprocess.DEVNULL)
    itself = f"scrape_configs: [{{job_name: itself, scrape_interval: 5s, static_configs: [{{targets: ['127.0.0.1:{PROMETHEUS}']}}]}}]"
    (folder / "prometheus.yml").write_text(f"rule_files: ['*.rules.yml']\nscrape_config_files: ['*.scrape.yml']\n{itself}\n")


GROUP = r'label_replace(%s{rule_group=~".*;modelservice[.].*"}, "kind", "$1", "rule_group", ".*;modelservice[.]default[.]model-[0-9]+[.]?(.*)")'


def report(services, exposition):
    duration = query(f"sum by (kind) ({GROUP % 'prometheus_rule_group_last_duration_seconds'})")
    interval = query(f"max by (kind) ({GROUP % 'prometheus_rule_group_interval_seconds'})")
    rules = query(f"max by (kind) ({GROUP % 'prometheus_rule_group_rules'})")
    numbers = {name: {one["metric"].get("kind", ""): float(one["value"][1]) for one in found} for name, found in (("duration", duration), ("interval", interval), ("rules", rules))}
    print(f"{services} ModelServices, one replica each; {exposition.series()} series of a server")
    print(f"{'group':<14}{'rules':>7}{'every (s)':>11}{'all once (s)':>14}{'share of a core':>17}")
    for kind, seconds in sorted(numbers["duration"].items()):
        every = numbers["interval"][kind]
        print(f"{kind or 'serving':<14}{numbers['rules'][kind]:>7.0f}{every:>11.0f}{seconds:>14.3f}{seconds / every:>17.2%}")
    print(f"{'all':<14}{sum(numbers['rules'].values()):>7.0f}{'':>11}{sum(numbers['duration'].values()):>14.3f}")
    recorded = query('count({__name__=~"modelservice.*:.*:.*"})')
    missed = query("sum(prometheus_rule_group_iterations_missed_total)")
    print(f"recorded series of a ModelService: {float(recorded[0]['value'][1]) / services:.0f}; evaluations missed: {missed[0]['value'][1]}")
    memory = query("process_resident_memory_bytes{job='itself'}")
    print(f"Prometheus: {float(memory[0]['value'][1]) / 2**20:.0f} MiB resident", flush=True)


def main():
    services, minutes = int(os.environ["SERVICES"]), float(os.environ["MINUTES"])
    exposition = Exposition(served_metrics())
    exporter(exposition)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        configure(folder, services, os.environ["INTERVAL"], os.environ["WINDOW"])
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        with running("prometheus", *options, f"--web.listen-address=127.0.0.1:{PROMETHEUS}"):
            wait(PROMETHEUS, "/-/ready")
            time.sleep(minutes * 60)
            report(services, exposition)


if __name__ == "__main__":
    main()

"""Lets $PREVIOUS and $OPERATOR, two versions of the operator, take over from each other at $SIZE ModelServices.

To be run by cluster/upgrade under a control plane of its own. Prints a line for each change, and fails if a pod was made
anew or anything deleted.
"""

import os
import time

from kube import Kube
from scale import READY, SIZE, Audit, Operator, in_cluster, in_threads, quiet, say, serve, until, verified, writes

TIMES = int(os.environ.get("TIMES") or 20)
VERSIONS = {"previous": os.environ["PREVIOUS"], "this": os.environ["OPERATOR"]}
LONGEST = 60


def uids(kube: Kube, path: str) -> set[str]:
    return {item["metadata"]["uid"] for item in kube.call("GET", path)["items"]}


def running(kube: Kube) -> dict[str, set[str]]:
    """The ReplicaSets, one for each template that pods ever had, and the pods."""
    return {"replicasets": uids(kube, "/apis/apps/v1/replicasets"), "pods": uids(kube, "/api/v1/pods")}


def measure() -> dict:
    kube, audit = Kube(), Audit()
    operator = Operator(VERSIONS["previous"])
    time.sleep(5)
    say(f"{SIZE} ModelServices are made")
    in_threads(SIZE, serve)
    until("all Ready", lambda: operator.metric(*READY) >= SIZE and quiet(operator))
    before, slowest = running(kube), 0.0
    for turn in range(TIMES):
        name = ("this", "previous")[turn % 2]
        operator.stop()
        audit.skip()
        operator = Operator(VERSIONS[name])
        seconds = verified(operator)
        until("all Ready", lambda: operator.metric(*READY) >= SIZE)
        calls = audit.calls()
        say(f"{turn + 1}: to {name} in {seconds:.0f} s, {writes(calls)} writes, {calls.get('delete', 0)} deletions")
        assert not any("delete" in verb for verb in calls), calls
        slowest = max(slowest, seconds)
    assert running(kube) == before, "pods were made anew"
    return {"slowest": slowest}


slowest = in_cluster(measure)["slowest"]
print(f"A24: {TIMES} changes of version at {SIZE} ModelServices, no pod made anew, none deleted; {slowest:.0f} s at most")
assert slowest <= LONGEST, f"more than {LONGEST} s"

"""Ten times as many requests as the server can answer: what becomes of the answers, and of health.

Server and client have a core each, so that neither slows the other. The requests are large, else
the client could not send so many: a refusal costs the server a few µs whatever the request.
"""

import os
import threading
import time

import client
import servers
from figures import Overload
from servers import FOREST, NEIGHBOURS, SERVERS
from context import Context

ROWS = 1_000
MODELS = (FOREST, NEIGHBOURS)
TIMES = 10
# Enough that the client need not wait for those that are being answered.
CONNECTIONS = 1_000
PEAK_CONNECTIONS = 16
PROBE_PAUSE = 0.01
READY = "/readyz"


def measure(context: Context, model: str, seconds: int) -> Overload:
    server = next(server for server in SERVERS if server.name == "us")
    port, admin, _ = context.ports
    cores = sorted(os.sched_getaffinity(0))
    ours, theirs = (("taskset", "--cpu-list", str(core)) for core in (cores[0], cores[-1]))
    body, more = servers.body(server, ROWS), ("--admin", f"127.0.0.1:{admin}")
    with context.started(server, model, ours, more) as process:
        client.wait_for_first_answer(process, port, server.path, body)
        peak = client.load(port, server.path, body, PEAK_CONNECTIONS, seconds, None, theirs)
        rate = TIMES * peak.goodput
        with Probe(admin) as probe:
            over = client.load(port, server.path, body, CONNECTIONS, seconds, rate, theirs)
    p99 = sorted(probe.seconds)[len(probe.seconds) * 99 // 100]
    return Overload(model, peak.goodput, over.rate, over.goodput, p99 * 1e3)


class Probe:
    """Asks again and again whether the server is ready, as a kubelet does, but more often."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seconds: list[float] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def __enter__(self) -> "Probe":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def ask(self) -> None:
        while not self.stop.wait(PROBE_PAUSE):
            begin = time.monotonic()
            ready = is_ready(self.port)
            self.seconds.append(time.monotonic() - begin if ready else float("inf"))


def is_ready(port: int) -> bool:
    try:
        return client.request(port, "GET", READY)[0] == 200
    except OSError:
        return False

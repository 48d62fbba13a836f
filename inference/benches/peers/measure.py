"""Measures the servers in turn, each alone, round after round, and reports what they did.

`run` builds what this needs.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import client
import processes
import report
import servers
from report import Figures

ROUNDS = 5
WARM_UP_SECONDS = 1
SECONDS = 3
# A server that shares its cores with others finds more requests waiting whenever it wakes, and so
# spends less on each: such a load tells nothing, and is repeated.
QUIET_CORES = 0.2
ATTEMPTS = 3


def measure(server, examples, scratch):
    """Starts a server, checks its answers, loads it and stops it."""
    port, log = processes.free_port(), scratch / "server.log"
    command = [part.format(port=port) for part in server.command]
    begin = time.monotonic()
    with processes.running(command, log, server.environment) as process:
        try:
            client.wait_for_first_answer(process, port, examples[0].body)
            start = time.monotonic() - begin
            client.check(port, server, examples)
            client.load(port, examples[0].body, WARM_UP_SECONDS)
            return quietest(server, process.pid, port, examples[0].body, start)
        except (servers.WrongAnswer, OSError, ValueError) as error:
            tail = log.read_text(errors="replace")[-1000:]
            raise SystemExit(f"{server.name}: {error}\nIts log ends:\n{tail}") from error


def quietest(*arguments):
    """The figures of the first load during which others did little, else of the quietest."""
    best = None
    for _ in range(ATTEMPTS):
        figures = loaded(*arguments)
        if best is None or figures.other_cores < best.other_cores:
            best = figures
        if best.other_cores < QUIET_CORES:
            break
    return best


def loaded(server, pid, port, body, start):
    """The figures of a server that is warm."""
    before = cpu_clocks(pid)
    load = client.load(port, body, SECONDS)
    cpu, client_cpu, machine = (now - then for now, then in zip(cpu_clocks(pid), before))
    check_load(server, port, load)
    return Figures(
        requests_per_second=load.requests / load.seconds,
        p50_us=load.p50_us,
        p99_us=load.p99_us,
        cpu_us_per_request=cpu / load.requests * 1e6,
        requests_per_cpu_second=load.requests / cpu,
        rss_mib=processes.rss_mib(pid),
        start_ms=start * 1e3,
        other_cores=max(0, machine - cpu - client_cpu) / load.seconds,
    )


def cpu_clocks(pid):
    """CPU seconds of a server, of this program with its clients, and of the whole machine."""
    own = sum(os.times()[:4])
    return processes.cpu_seconds(pid), own, processes.machine_cpu_seconds()


def check_load(server, port, load):
    if load.errors or not load.requests:
        raise servers.WrongAnswer(f"{load.errors} errors beside {load.requests} answers")
    if server.counter and client.counted(port, server.counter) < load.requests:
        raise servers.WrongAnswer(f"{server.counter} is less than {load.requests}")


def in_rounds(candidates, examples, scratch):
    """The figures of all rounds by name of the server. Every round begins with another server."""
    results = {server.name: [] for server in candidates}
    for number in range(ROUNDS):
        turn = number % len(candidates)
        for server in candidates[turn:] + candidates[:turn]:
            figures = measure(server, examples, scratch)
            results[server.name].append(figures)
            rate = f"{figures.requests_per_second:,.0f} requests/s"
            print(f"round {number + 1} of {ROUNDS}: {server.name}: {rate}", file=sys.stderr)
    return results


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inference", required=True, help="the server of this repository")
    parser.add_argument("--bare-axum", required=True, help="the program of bare-axum/")
    parser.add_argument("--python", required=True, help="Python that has FastAPI")
    parser.add_argument("--page", required=True, type=Path, help="file to write the report to")
    return parser.parse_args()


def main():
    options = arguments()
    # So that whatever stops this program, but for SIGKILL, stops its server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        candidates = [
            servers.inference(options.inference),
            servers.bare_axum(options.bare_axum, scratch),
            servers.fastapi(options.python, scratch),
        ]
        examples = servers.examples(options.inference)
        results = report.Results(*in_rounds(candidates, examples, scratch).values())
    how = f"{ROUNDS} rounds of {SECONDS} s each, after {WARM_UP_SECONDS} s of warm-up"
    print(report.text(results))
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(report.page(results, how, options.python))


if __name__ == "__main__":
    main()

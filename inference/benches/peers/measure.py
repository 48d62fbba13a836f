"""Measures the servers in turn, each alone, round after round, and reports the medians.

`run` builds what this needs.
"""

import argparse
import signal
import statistics
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path

import client
import processes
import report
import servers

ROUNDS = 5
WARM_UP_SECONDS = 1
SECONDS = 4


@dataclass(frozen=True)
class Figures:
    """Of one server: in one round, or the medians of all."""

    requests_per_second: float
    p50_us: float
    p99_us: float
    cpu_us_per_request: float
    requests_per_cpu_second: float
    rss_mib: float
    start_ms: float
    # Cores that neither this server nor wrk kept busy during the load.
    other_cores: float


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
            return loaded(server, process.pid, port, examples[0].body, start)
        except (servers.WrongAnswer, OSError) as error:
            tail = log.read_text(errors="replace")[-1000:]
            raise SystemExit(f"{server.name}: {error}\nIts log ends:\n{tail}") from error


def loaded(server, pid, port, body, start):
    """The figures of a server that is warm."""
    before, machine = processes.cpu_seconds(pid), processes.machine_cpu_seconds()
    own = time.process_time()
    load = client.load(port, body, SECONDS)
    cpu, machine = processes.cpu_seconds(pid) - before, processes.machine_cpu_seconds() - machine
    check_load(server, port, load)
    return Figures(
        requests_per_second=load.requests / load.seconds,
        p50_us=load.p50_us,
        p99_us=load.p99_us,
        cpu_us_per_request=cpu / load.requests * 1e6,
        requests_per_cpu_second=load.requests / cpu,
        rss_mib=processes.rss_mib(pid),
        start_ms=start * 1e3,
        other_cores=max(0, machine - cpu - (time.process_time() - own)) / load.seconds,
    )


def check_load(server, port, load):
    if load.errors or not load.requests:
        raise servers.WrongAnswer(f"{load.errors} errors beside {load.requests} answers")
    if server.counter and client.counted(port, server.counter) < load.requests:
        raise servers.WrongAnswer(f"{server.counter} is less than {load.requests}")


def in_rounds(candidates, examples, scratch):
    """The medians of each server. Every round begins with another one."""
    results = {server.name: [] for server in candidates}
    for number in range(ROUNDS):
        turn = number % len(candidates)
        for server in candidates[turn:] + candidates[:turn]:
            figures = measure(server, examples, scratch)
            results[server.name].append(figures)
            rate = f"{figures.requests_per_second:,.0f} requests/s"
            print(f"round {number + 1} of {ROUNDS}: {server.name}: {rate}", file=sys.stderr)
    return {name: medians(rounds) for name, rounds in results.items()}


def medians(rounds):
    names = [figure.name for figure in fields(Figures)]
    return Figures(*(statistics.median(getattr(each, name) for each in rounds) for name in names))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inference", required=True, help="the server of this repository")
    parser.add_argument("--bare-axum", required=True, help="the program of bare-axum/")
    parser.add_argument("--python", required=True, help="Python that has FastAPI")
    parser.add_argument("--scratch", required=True, type=Path, help="folder for models and logs")
    parser.add_argument("--page", required=True, type=Path, help="file to write the report to")
    return parser.parse_args()


def main():
    options = arguments()
    # So that whatever stops this program, but for SIGKILL, stops its server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    candidates = [
        servers.inference(options.inference),
        servers.bare_axum(options.bare_axum, options.scratch),
        servers.fastapi(options.python, options.scratch),
    ]
    results = in_rounds(candidates, servers.examples(options.inference), options.scratch)
    ours, axum, fastapi = results.values()
    measured = report.Measured(
        results=results,
        cpu_of_axum=ours.cpu_us_per_request / axum.cpu_us_per_request,
        rate_of_fastapi=ours.requests_per_cpu_second / fastapi.requests_per_cpu_second,
        how=f"{ROUNDS} rounds of {SECONDS} s after {WARM_UP_SECONDS} s of warm-up",
    )
    print(report.text(measured))
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(report.page(measured, options.python))


if __name__ == "__main__":
    main()

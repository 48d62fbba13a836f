"""Measures everything in turn, each alone, round after round, and reports what was found.

`run` builds and installs what this needs. The environment says how long: $BENCH_SECONDS for each
load; and which parts: $ONLY has the names of servers, or `forest` or `overload`.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import client
import forests
import overload
import picture
import processes
import report
import servers
from figures import CONNECTIONS, ROWS, USUAL_CONNECTIONS, Figures, Results, Run
from servers import MODELS, SERVERS, Server, WrongAnswer
from context import Context

ROUNDS = 2
WARM_UP_SECONDS = 1
SECONDS = int(os.environ.get("BENCH_SECONDS") or 5)
# A server that shares its cores with others finds more requests waiting whenever it wakes, and so
# spends less on each: such a load tells nothing, and is repeated.
QUIET_CORES = 0.2
ATTEMPTS = 2

PARTS = [*(server.name for server in SERVERS), "forest", "overload"]


def measure(context: Context, server: Server, model: str) -> Run:
    """Starts a server, checks its answers, loads it and stops it."""
    port = context.ports[0]
    one, many = (servers.body(server, rows) for rows in ROWS)
    begin = time.monotonic()
    with context.started(server, model) as process:
        client.wait_for_first_answer(process, port, server.path, one)
        start = time.monotonic() - begin
        check(context, server, model)
        client.load(port, server.path, one, USUAL_CONNECTIONS, WARM_UP_SECONDS)
        loads = {}
        for body, rows in (one, ROWS[0]), (many, ROWS[1]):
            for connections in CONNECTIONS:
                loads[rows, connections] = quietest(server, process.pid, port, body, connections)
        rss = processes.rss_mib(process.pid)
    return Run(server.name, model, start * 1e3, rss, loads)


def check(context: Context, server: Server, model: str) -> None:
    right = context.right(server, model)
    for rows in ROWS if right else ():
        answer = client.ask(context.ports[0], server.path, servers.body(server, rows))
        servers.check(answer, right[:rows])


def quietest(server: Server, pid: int, port: int, body: str, connections: int) -> Figures:
    """The figures of the first load during which others did little, else of the quietest."""
    loads: list[Figures] = []
    while len(loads) < ATTEMPTS and not (loads and loads[-1].other_cores < QUIET_CORES):
        loads.append(loaded(server, pid, port, body, connections))
    return min(loads, key=lambda load: load.other_cores)


def loaded(server: Server, pid: int, port: int, body: str, connections: int) -> Figures:
    """The figures of a server that is warm."""
    before = cpu_clocks(pid)
    load = client.load(port, server.path, body, connections, SECONDS)
    cpu, client_cpu, machine = (now - then for now, then in zip(cpu_clocks(pid), before))
    if load.errors or load.refused or not load.requests:
        raise WrongAnswer(f"{load.errors} errors and {load.refused} refusals of {load.requests}")
    if server.counts and client.counted(port, "predictions_total") < load.requests:
        raise WrongAnswer(f"predictions_total is less than {load.requests}")
    return Figures(
        requests_per_second=load.rate,
        p50_us=load.p50_us,
        p99_us=load.p99_us,
        cpu_us_per_request=cpu / load.requests * 1e6,
        other_cores=max(0, machine - cpu - client_cpu) / load.seconds,
    )


def cpu_clocks(pid: int) -> tuple[float, float, float]:
    """CPU seconds of a server, of this program with its clients, and of the whole machine."""
    own = sum(os.times()[:4])
    return processes.cpu_seconds(pid), own, processes.machine_cpu_seconds()


def in_rounds(context: Context, chosen: list[Server], results: Results) -> None:
    """Every round begins with another server. One that fails does not keep the others."""
    pairs = [(server, model) for model in MODELS for server in chosen if model in server.models]
    for number in range(ROUNDS):
        turn = number * len(pairs) // ROUNDS
        for server, model in pairs[turn:] + pairs[:turn]:
            what = f"round {number + 1} of {ROUNDS}: {server.title}, {model}"
            try:
                run = measure(context, server, model)
            except (WrongAnswer, OSError, ValueError, KeyError) as error:
                results.failures.append(f"{what}: {error}")
                say(results.failures[-1])
                continue
            results.runs.append(run)
            load = run.loads[1, USUAL_CONNECTIONS]
            say(f"{what}: {load.requests_per_second:,.0f}/s, {load.cpu_us_per_request:.1f} µs")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parts() -> list[str]:
    """What is to be measured."""
    only = os.environ.get("ONLY", "").split()
    unknown = set(only) - set(PARTS)
    if unknown:
        raise SystemExit(f"no such part: {' '.join(sorted(unknown))}; there are {' '.join(PARTS)}")
    return only or PARTS


def environments() -> list[str]:
    """Those that are needed; whatever is Python is trained in that of the forests."""
    chosen = parts()
    needed = {server.environment for server in SERVERS if server.name in chosen} - {None}
    return sorted(needed | ({"forests"} if needed or "forest" in chosen else set()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", action="store_true", help="only say which are needed")
    parser.add_argument("--programs", type=Path, help="folder of the Rust programs")
    parser.add_argument("--models", type=Path, help="folder that train.py wrote to")
    parser.add_argument("--python", action="append", default=[], help="ENVIRONMENT=PROGRAM")
    parser.add_argument("--page", type=Path, help="to write the report to, if all is measured")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.environments:
        print(*environments(), sep="\n")
        return
    # So that whatever stops this program, but for SIGKILL, stops its server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results, chosen = Results(), parts()
    with tempfile.TemporaryDirectory() as scratch:
        pythons = dict(pair.split("=", 1) for pair in options.python)
        context = Context(options.programs, options.models, pythons, Path(scratch))
        in_rounds(context, [server for server in SERVERS if server.name in chosen], results)
        if "forest" in chosen:
            results.forest = forests.compare(context)
        if "overload" in chosen:
            for model in overload.MODELS * ROUNDS:
                results.overload.append(overload.measure(context, model, SECONDS))
    how = f"{ROUNDS} rounds of {SECONDS} s for each load, after {WARM_UP_SECONDS} s of warm-up"
    print(report.text(results))
    if chosen == PARTS:
        report.write(options.page, results, how)
        picture.write(options.page.with_suffix(".svg"), results)
    if results.failures:
        raise SystemExit("\n".join(["failed:", *results.failures]))


if __name__ == "__main__":
    main()

"""Writes the figures down: as text for the terminal, as a page for the documentation."""

import datetime
import os
import re
import statistics
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import forests
from figures import CONNECTIONS, ROWS, USUAL_CONNECTIONS, Figures, Results
from promises import NAMES, Promise, all_promises
from servers import HERE, MODELS, ROOT, SERVERS, Server

BEGIN, END = "<!-- begin: written by `make bench` -->", "<!-- end: written by `make bench` -->"
KEPT = {True: "yes", False: "**no**", None: "not measured"}

NUMBER = re.compile(r"[\d,.]+")

Row = list[str]


def text(results: Results) -> str:
    return "\n\n".join(sections(results))


def write(page: Path, results: Results, how: str) -> None:
    """Replaces what is between the markers."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{page} lacks the markers")
    picture = f"![Requests per CPU-second]({page.with_suffix('.svg').name})"
    parts = [BEGIN, picture, *sections(results), f"### With\n\n{bullets(with_what(how))}", END]
    page.write_text(before + "\n\n".join(parts) + after)


def sections(results: Results) -> Iterator[str]:
    yield f"### What is promised\n\n{table(promises(all_promises(results)))}"
    for model in MODELS:
        for rows in ROWS:
            found = list(usual(results, model, rows))
            what = f"{NAMES[model].capitalize()}, {rows} row{'s' * (rows > 1)} a request"
            if found:
                yield f"### {what}, {USUAL_CONNECTIONS} connections\n\n{table([head(), *found])}"
    if results.runs:
        loads = f"<summary>1 and 64 connections</summary>\n\n{table(unusual(results))}"
        yield f"<details>{loads}\n\n</details>"
    if results.forest:
        yield f"### The forest in process, 1,000 rows on one core\n\n{table(in_process(results))}"
    if results.overload:
        yield f"### Ten times capacity, 1,000 rows a request\n\n{table(overload(results))}"
    yield f"Other processes kept up to {results.other_cores():.2f} cores busy meanwhile."


def promises(each: list[Promise]) -> Iterator[Row]:
    yield ["what", "promised", "measured (in single rounds)", "kept"]
    for promise in each:
        found = promise.measured
        if found:
            value, least, most = map(number, (found.value, found.least, found.most))
        measured = f"{value} ({least} to {most})" if found else ""
        yield [promise.what, promise.promised, measured, KEPT[promise.kept]]


def number(value: float) -> str:
    """Three digits, or all of a large one."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".")


def head() -> Row:
    columns = ["server", "requests/s", "p50 ms", "p99 ms", "CPU µs/request", "requests/CPU-second"]
    return [*columns, "resident MiB", "start to first answer ms"]


def usual(results: Results, model: str, rows: int) -> Iterator[Row]:
    for server in SERVERS:
        median = results.median(server.name, model, rows, USUAL_CONNECTIONS)
        if median:
            memory = f"{results.rss_mib(server.name, model):,.1f}"
            start = f"{results.start_ms(server.name, model):,.0f}"
            per_second = f"{1e6 / median.cpu_us_per_request:,.0f}"
            yield [server.title, *cells(median), per_second, memory, start]


def cells(figures: Figures) -> Row:
    latencies = (f"{us / 1e3:.2f}" for us in (figures.p50_us, figures.p99_us))
    cost = f"{figures.cpu_us_per_request:,.1f}"
    return [f"{figures.requests_per_second:,.0f}", *latencies, cost]


def unusual(results: Results) -> Iterator[Row]:
    yield ["server", "model", "rows", "connections", *head()[1:5]]
    for model in MODELS:
        for server in SERVERS:
            if results.of(server.name, model):
                yield from unusual_loads(results, server, model)


def unusual_loads(results: Results, server: Server, model: str) -> Iterator[Row]:
    for rows in ROWS:
        for connections in CONNECTIONS:
            if connections != USUAL_CONNECTIONS:
                median = results.median(server.name, model, rows, connections)
                load = [NAMES[model], str(rows), str(connections)]
                yield [server.title, *load, *cells(median)]


def in_process(results: Results) -> Iterator[Row]:
    rates = {name: statistics.median(rounds) for name, rounds in results.forest.items()}
    yield ["evaluator", "rows/CPU-second", "ours / its"]
    for name, rate in rates.items():
        yield [name, f"{rate:,.0f}", f"{rates[forests.OURS] / rate:.2f}"]


def overload(results: Results) -> Iterator[Row]:
    yield ["model", "most requests/s", "offered", "answered", "p99 of /readyz ms"]
    for each in results.overload:
        rates = (f"{rate:,.0f}" for rate in (each.peak, each.offered, each.goodput))
        yield [NAMES[each.model], *rates, f"{each.ready_p99_ms:.1f}"]


def table(rows: Iterable[Row]) -> str:
    """Markdown that can be read as it is, with numbers to the right."""
    first, *others = rows
    columns = list(zip(first, *others))
    widths = [max(map(len, column)) for column in columns]
    right = [all(NUMBER.fullmatch(cell) for cell in column[1:]) for column in columns]
    sides = [str.rjust if is_right else str.ljust for is_right in right]
    rule = [f"{'-' * (w - 1)}{':' if is_right else '-'}" for w, is_right in zip(widths, right)]
    lines = ([side(*cell) for side, *cell in zip(sides, row, widths)] for row in [first, *others])
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, f"| {' | '.join(rule)} |", *body])


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def with_what(how: str) -> Iterator[str]:
    yield f"{datetime.date.today().isoformat()}, `make bench`: {how}"
    wrk = output("wrk", "--version").split()[1]
    yield f"{os.cpu_count()} cores ({processor()}), {system()}, wrk {wrk}"
    rust = ["inference", "axum", "hyper", "tokio"]
    yield f"Rust: {rust_packages(rust)}, {' '.join(output('rustc', '--version').split()[:2])}"
    yield output("python3", "--version")
    for file in sorted((HERE / "requirements").iterdir()):
        yield f"{file.stem}: {python_packages(file)}"


def output(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=ROOT)
    return result.stdout.strip()


def processor() -> str:
    name = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return name[1] if name else os.uname().machine


def system() -> str:
    release = re.search(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release").read_text(), re.MULTILINE)
    return f"{release[1] if release else 'Linux'}, Linux {os.uname().release}"


def rust_packages(names: list[str]) -> str:
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    found = {package["name"]: package["version"] for package in lock["package"]}
    return ", ".join(f"{name} {found[name]}" for name in names)


SHOWN = {
    "bentoml", "fastapi", "kserve", "litserve", "mlserver", "numpy", "onnxruntime", "orjson",
    "prometheus-fastapi-instrumentator", "pydantic", "scikit-learn", "tl2cgen", "uvicorn", "uvloop",
}  # fmt: skip


def python_packages(requirements: Path) -> str:
    packages = (line.split("==") for line in requirements.read_text().splitlines())
    return ", ".join(f"{name} {version}" for name, version in packages if name in SHOWN)

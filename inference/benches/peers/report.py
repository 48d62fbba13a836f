"""Writes the figures down: as text for the terminal, as a page for the documentation."""

import datetime
import os
import re
import statistics
import subprocess
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from client import CONNECTIONS
from servers import HERE, ROOT

EXPECTED_RATIO_TO_FASTAPI = 40

COLUMNS = {
    "requests/s": lambda it: f"{it.requests_per_second:,.0f}",
    "p50 ms": lambda it: f"{it.p50_us / 1e3:.2f}",
    "p99 ms": lambda it: f"{it.p99_us / 1e3:.2f}",
    "CPU µs/request": lambda it: f"{it.cpu_us_per_request:.1f}",
    "requests/CPU-second": lambda it: f"{it.requests_per_cpu_second:,.0f}",
    "RSS MiB": lambda it: f"{it.rss_mib:.1f}",
    "start to first answer ms": lambda it: f"{it.start_ms:,.0f}",
}


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


@dataclass(frozen=True)
class Results:
    """The rounds of each server."""

    inference: list[Figures]
    bare_axum: list[Figures]
    fastapi: list[Figures]

    def by_name(self):
        return {
            "inference serve": self.inference,
            "bare axum": self.bare_axum,
            "FastAPI + scikit-learn": self.fastapi,
        }

    def other_cores(self):
        rounds = (*self.inference, *self.bare_axum, *self.fastapi)
        return max(figures.other_cores for figures in rounds)


@dataclass(frozen=True)
class Ratio:
    """Of a figure of two servers: that of the medians, and the least and the most of a round."""

    what: str
    value: float
    least: float
    most: float

    def __str__(self):
        return f"{self.value:#.3g} ({self.least:#.3g} to {self.most:#.3g} in single rounds)"


def medians(rounds):
    names = [figure.name for figure in fields(Figures)]
    return Figures(*(statistics.median(getattr(each, name) for each in rounds) for name in names))


def ratio(what, figure, ours, theirs):
    single = [getattr(a, figure) / getattr(b, figure) for a, b in zip(ours, theirs, strict=True)]
    value = getattr(medians(ours), figure) / getattr(medians(theirs), figure)
    return Ratio(what, value, min(single), max(single))


def ratio_to_axum(results):
    what = "CPU per request, `inference serve` / bare axum"
    return ratio(what, "cpu_us_per_request", results.inference, results.bare_axum)


def ratio_to_fastapi(results):
    what = "requests per CPU-second, `inference serve` / FastAPI"
    return ratio(what, "requests_per_cpu_second", results.inference, results.fastapi)


def rows(results):
    """The table, its head first."""
    yield ["server", *COLUMNS]
    for name, rounds in results.by_name().items():
        yield [name, *(write(medians(rounds)) for write in COLUMNS.values())]


def text(results):
    table = list(rows(results))
    widths = [max(map(len, column)) for column in zip(*table)]
    ratios = [ratio_to_axum(results), ratio_to_fastapi(results)]
    lines = [aligned(row, widths) for row in table]
    lines += ["", *(f"{each.what}: {each}" for each in ratios)]
    if ratios[1].value < EXPECTED_RATIO_TO_FASTAPI:
        lines.append(f"(at least {EXPECTED_RATIO_TO_FASTAPI} was expected of the latter)")
    return "\n".join([*lines, "", other_work(results)])


def aligned(row, widths):
    """The first cell to the left, the others to the right."""
    name, *figures = (cell.rjust(width) for cell, width in zip(row, widths))
    return "  ".join([name.strip().ljust(widths[0]), *figures])


def other_work(results):
    return f"Other processes kept up to {results.other_cores():.2f} cores busy meanwhile."


PAGE = """\
# Serving: speed beside bare axum and FastAPI

<!-- DO NOT EDIT: written by `make bench` -->

One row of the diabetes data per request, logistic regression, {connections} connections, on
loopback. wrk shares the cores with the server, so the rates are lower bounds, and p99 varies
several-fold between runs; the CPU time per request is the steadier figure.

{table}

{ratios}

## What is compared

- **inference serve**: this repository's server as it is by default, with the built-in model:
  validation, limits, metrics, drift counters and prediction ids in every request.
- **bare axum**: a handler that parses the same JSON with serde into a struct, adds up the same
  logistic regression and answers JSON, with the same versions of axum and hyper and the same
  compiler options. It checks and counts nothing: the least that such a server can cost.
- **FastAPI + scikit-learn**: as tutorials write it, with a pydantic model, numpy,
  `predict_proba`, prometheus-fastapi-instrumentator and one uvicorn worker with its defaults. Its
  model is fitted by scikit-learn to the same data.

## How

{how}. The servers take turns, each alone, with the client;
the figures are medians. CPU and memory are those of the server's processes, from `/proc`. The time
to the first answer counts from the start of the program.

A load is repeated, twice at most, while other programs keep the cores busy, and the quietest
counts: a server that has to wait for its core finds more requests waiting, and spends less on each.
{other_work}

Before each load, `inference serve` must give the answers of `inference predict` bit for bit, bare
axum the same but for rounding, and FastAPI probabilities close to them. All requests of a load
must be answered with success, and `predictions_total` of `inference serve` must have counted them.

Do it again: `make bench`. The sources are in `inference/benches/peers`.

## With

{versions}
"""


def page(results, how, python):
    ratios = [ratio_to_axum(results), ratio_to_fastapi(results)]
    return PAGE.format(
        connections=CONNECTIONS,
        table=markdown_table(results),
        ratios=bullets(f"{each.what}: {each}" for each in ratios),
        how=how,
        other_work=other_work(results),
        versions=bullets(versions(python)),
    )


def markdown_table(results):
    head, *body = rows(results)
    rule = ["---", *["--:"] * len(COLUMNS)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *body])


def bullets(lines):
    return "\n".join(f"- {line}" for line in lines)


def versions(python):
    yield f"{datetime.date.today().isoformat()}, {os.cpu_count()} cores ({processor()})"
    yield f"{system()}, wrk {wrk()}"
    stack = ["axum", "hyper", "tokio"]
    yield f"inference serve: {rust_packages(ROOT, 'inference', *stack)}, {rustc()}"
    yield f"bare axum: {rust_packages(HERE / 'bare-axum', *stack)}"
    yield f"FastAPI: {output(python, '--version')}, {python_packages()}"


def output(*command):
    result = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=ROOT)
    return result.stdout.strip()


def rustc():
    return " ".join(output("rustc", "--version").split()[:2])


def processor():
    name = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return name[1] if name else os.uname().machine


def system():
    release = re.search(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release").read_text(), re.MULTILINE)
    return f"{release[1] if release else 'Linux'}, Linux {os.uname().release}"


def wrk():
    return output("wrk", "--version").split()[1]


def rust_packages(folder, *names):
    lock = tomllib.loads((folder / "Cargo.lock").read_text())
    found = {package["name"]: package["version"] for package in lock["package"]}
    return ", ".join(f"{name} {found[name]}" for name in names)


def python_packages():
    requirements = (HERE / "fastapi-app/requirements.txt").read_text()
    found = dict(line.split("==") for line in requirements.splitlines())
    names = ["fastapi", "uvicorn", "pydantic", "prometheus-fastapi-instrumentator", "scikit-learn"]
    return ", ".join(f"{name} {found[name]}" for name in [*names, "numpy"])

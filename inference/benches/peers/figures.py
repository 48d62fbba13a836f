"""What is measured."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

ROWS = (1, 100)
CONNECTIONS = (1, 16, 64)
# At which loads are compared, unless all are shown.
USUAL_CONNECTIONS = 16


@dataclass(frozen=True)
class Figures:
    """Of one load."""

    requests_per_second: float
    p50_us: float
    p99_us: float
    cpu_us_per_request: float
    # Cores that neither the server nor wrk kept busy.
    other_cores: float


@dataclass(frozen=True)
class Run:
    """A server from its start to its end, with one model."""

    server: str
    model: str
    start_ms: float
    rss_mib: float
    # By rows and connections.
    loads: dict[tuple[int, int], Figures]


@dataclass(frozen=True)
class Overload:
    """Requests per second at ten times what the server can do, and how ready it seemed."""

    model: str
    peak: float
    offered: float
    goodput: float
    ready_p99_ms: float


@dataclass
class Results:
    """Of everything that was measured; what was not is missing."""

    runs: list[Run] = field(default_factory=list)
    # Rows per CPU-second, by evaluator and round.
    forest: dict[str, list[float]] = field(default_factory=dict)
    overload: list[Overload] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def of(self, server: str, model: str) -> list[Run]:
        return [run for run in self.runs if (run.server, run.model) == (server, model)]

    def each(self, server: str, model: str, rows: int, connections: int) -> list[Figures]:
        """By round."""
        return [run.loads[rows, connections] for run in self.of(server, model)]

    def median(self, server: str, model: str, rows: int, connections: int) -> Figures | None:
        rounds = self.each(server, model, rows, connections)
        return medians(rounds) if rounds else None

    def start_ms(self, server: str, model: str) -> float:
        return statistics.median(run.start_ms for run in self.of(server, model))

    def rss_mib(self, server: str, model: str) -> float:
        return statistics.median(run.rss_mib for run in self.of(server, model))

    def other_cores(self) -> float:
        loads = (load for run in self.runs for load in run.loads.values())
        return max((load.other_cores for load in loads), default=0)


def medians(rounds: Iterable[Figures]) -> Figures:
    columns = zip(*(asdict(each).values() for each in rounds))
    return Figures(*map(statistics.median, columns))


@dataclass(frozen=True)
class Ratio:
    """Of two figures: that of the medians, and the least and the most of a round."""

    value: float
    least: float
    most: float


def ratio(ours: list[Any], theirs: list[Any], read: Callable[[Any], float]) -> Ratio | None:
    """Of what `read` finds in each round of two; None if one was not measured."""
    if not ours or not theirs:
        return None
    single = [read(a) / read(b) for a, b in zip(ours, theirs)]
    value = statistics.median(map(read, ours)) / statistics.median(map(read, theirs))
    return Ratio(value, min(single), max(single))

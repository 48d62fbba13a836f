"""What is promised, as figures that do not depend on the machine, and whether it is kept."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import forests
from figures import USUAL_CONNECTIONS, Figures, Overload, Ratio, Results, ratio
from servers import FOREST, LINEAR, MODELS, NEIGHBOURS

NAMES = {LINEAR: "logistic regression", FOREST: "random forest", NEIGHBOURS: "nearest neighbours"}
# Requests per CPU-second, as multiples of a server's.
MULTIPLES = {
    "fastapi": ("FastAPI", {LINEAR: 75, FOREST: 900}),
    "fastapi-onnx": ("FastAPI + onnxruntime", {LINEAR: 18, FOREST: 15}),
}
# Rows per CPU-second, as multiples of a library's.
FOREST_MULTIPLES = {"scikit-learn": 9, "onnxruntime": 4.5, "tl2cgen": 4}


@dataclass(frozen=True)
class Promise:
    what: str
    limit: float
    at_most: bool
    # None if it was not measured.
    measured: Ratio | None
    unit: str = ""

    @property
    def kept(self) -> bool | None:
        if self.measured is None:
            return None
        value = self.measured.value
        return value <= self.limit if self.at_most else value >= self.limit

    @property
    def promised(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:g}{self.unit}"


def all_promises(results: Results) -> list[Promise]:
    return [
        *costs(results),
        *multiples(results),
        *forest(results),
        *instrumentation(results),
        *footprint(results),
        *overload(results.overload),
    ]


def single_rows(results: Results, server: str, model: str) -> list[Figures]:
    return results.each(server, model, 1, USUAL_CONNECTIONS)


def costs(results: Results) -> Iterator[Promise]:
    for model in MODELS:
        pair = (single_rows(results, server, model) for server in ("us", "axum"))
        measured = ratio(*pair, lambda it: it.cpu_us_per_request)
        yield Promise(f"CPU per request / bare axum's, {NAMES[model]}", 1.25, True, measured)


def multiples(results: Results) -> Iterator[Promise]:
    for server, (title, limits) in MULTIPLES.items():
        for model, limit in limits.items():
            pair = (single_rows(results, name, model) for name in ("us", server))
            measured = ratio(*pair, lambda it: 1 / it.cpu_us_per_request)
            what = f"requests per CPU-second / those of {title}, {NAMES[model]}"
            yield Promise(what, limit, False, measured)


def forest(results: Results) -> Iterator[Promise]:
    for library, limit in FOREST_MULTIPLES.items():
        pair = (results.forest.get(name, []) for name in (forests.OURS, library))
        what = f"rows per CPU-second of the forest in process / those of {library}"
        yield Promise(what, limit, False, ratio(*pair, float))


def instrumentation(results: Results) -> Iterator[Promise]:
    for model in MODELS:
        pair = (single_rows(results, server, model) for server in ("us", "unmeasured"))
        measured = ratio(*pair, lambda it: it.requests_per_second)
        yield Promise(f"requests/s / those without metrics, {NAMES[model]}", 0.9, False, measured)


def footprint(results: Results) -> Iterator[Promise]:
    runs = results.of("us", FOREST)
    memory, start = [run.rss_mib for run in runs], [run.start_ms for run in runs]
    yield Promise("resident memory with the forest", 20, True, spread(memory), " MiB")
    yield Promise("start to first answer with the forest", 50, True, spread(start), " ms")


def overload(rounds: list[Overload]) -> Iterator[Promise]:
    for model in dict.fromkeys(each.model for each in rounds):
        those = [each for each in rounds if each.model == model]
        goodput = spread([each.goodput / each.peak for each in those])
        what = f"answers/s at ten times capacity / the most there are, {NAMES[model]}"
        yield Promise(what, 0.9, False, goodput)
        ready = spread([each.ready_p99_ms for each in those])
        what = f"p99 of /readyz at ten times capacity, {NAMES[model]}"
        yield Promise(what, 50, True, ready, " ms")


def spread(values: list[float]) -> Ratio | None:
    return Ratio(statistics.median(values), min(values), max(values)) if values else None

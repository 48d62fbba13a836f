"""Draws requests per CPU-second as bars on a logarithmic scale."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from figures import USUAL_CONNECTIONS, Results
from promises import NAMES
from servers import MODELS, SERVERS

WIDTH = 760
LEFT, RIGHT = 190, 60
BAR, STEP = 16, 22
# Above the first bar, between the models, and below the last bar.
TOP, GAP, BOTTOM = 66, 44, 40
LEAST, MOST = 10, 1_000_000

NOTE = (
    f"One row a request, {USUAL_CONNECTIONS} connections, log scale. "
    "Grey: Rust that does nothing else; blue: Python."
)

STYLE = """\
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
  .paper { fill: #ffffff }
  .title { font-size: 16px; font-weight: 600 }
  .model { font-weight: 600 }
  .value { paint-order: stroke; stroke: #ffffff; stroke-width: 5px }
  .note { font-size: 12px; fill: #57606a }
  .grid { stroke: #d0d7de }
  .us { fill: #bc4c00 }
  .rust { fill: #8c959f }
  .python { fill: #218bff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .paper { fill: #0d1117 }
    .value { stroke: #0d1117 }
    .note { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .us { fill: #f0883e }
    .rust { fill: #6e7681 }
    .python { fill: #388bfd }
  }"""


@dataclass(frozen=True)
class Bar:
    title: str
    kind: str
    value: float


def write(file: Path, results: Results) -> None:
    groups = {model: bars(results, model) for model in MODELS}
    shown = {NAMES[model]: found for model, found in groups.items() if found}
    file.write_text(draw(shown))


def bars(results: Results, model: str) -> list[Bar]:
    """The servers of a model, the best first."""
    found = []
    for server in SERVERS:
        median = results.median(server.name, model, 1, USUAL_CONNECTIONS)
        if median and server.name != "unmeasured":
            kind = "us" if server.name == "us" else "python" if server.environment else "rust"
            found.append(Bar(server.title, kind, 1e6 / median.cpu_us_per_request))
    return sorted(found, key=lambda bar: -bar.value)


def draw(groups: dict[str, list[Bar]]) -> str:
    height = TOP + BOTTOM + sum(STEP * len(group) + GAP for group in groups.values())
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>Requests per CPU-second</title>\n<style>\n{STYLE}\n</style>",
            f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
            label(20, 30, "Requests per CPU-second", "title"),
            label(20, 50, NOTE, "note"),
            *grid(height),
            *drawn_groups(groups),
            "</svg>\n",
        ]
    )


def grid(height: int) -> Iterator[str]:
    for power in range(round(math.log10(LEAST)), round(math.log10(MOST)) + 1):
        x, bottom = position(10**power), height - BOTTOM + 8
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>'
        yield label(x, bottom + 16, f"{10**power:,}", "note", "middle")


def drawn_groups(groups: dict[str, list[Bar]]) -> Iterator[str]:
    y = TOP
    for name, group in groups.items():
        yield label(20, y + 26, name.capitalize(), "model")
        y += GAP
        for bar in group:
            yield from drawn_bar(bar, y)
            y += STEP


def drawn_bar(bar: Bar, y: int) -> Iterator[str]:
    end, middle = position(bar.value), y + BAR / 2 + 4.5
    yield label(LEFT - 8, middle, bar.title, "", "end")
    size = f'width="{max(1, end - LEFT):.1f}" height="{BAR}"'
    yield f'<rect class="{bar.kind}" x="{LEFT}" y="{y}" {size} rx="2"/>'
    yield label(end + 6, middle, f"{bar.value:,.0f}", "value")


def position(value: float) -> float:
    share = math.log(max(value, LEAST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def label(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'

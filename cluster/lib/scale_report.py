"""`scale_report.py FILE…`: prints what scale.py measured as a table, and writes it to docs/benchmarks/scale.md."""

import json
import sys
from pathlib import Path

# What it says, how it is shown, and the most that is promised at 1,000 and at 5,000.
ROWS = [
    ("until all were asked for, s", "asked_seconds", "{:.0f}", {}),
    ("until all children exist, s", "children_seconds", "{:.0f}", {5000: 600}),
    ("until all are Ready, s", "ready_seconds", "{:.0f}", {}),
    ("writes for each, until Ready", "writes_per_service", "{:.2f}", {1000: 9, 5000: 9}),
    ("events for each", "events_per_service", "{:.2f}", {}),
    ("reads for each, until Ready", "reads_per_service", "{:.2f}", {}),
    ("memory, MiB", "memory_mib", "{:.0f}", {1000: 64, 5000: 150}),
    ("memory at most, MiB", "peak_memory_mib", "{:.0f}", {}),
    ("memory beside 20,000 foreign Secrets and ConfigMaps, MiB", "memory_with_foreign_mib", "{:.0f}", {1000: 64, 5000: 150}),
    ("open sockets", "connections", "{}", {1000: 40, 5000: 40}),
    ("time without a change, s", "idle_seconds", "{}", {}),
    ("writes meanwhile", "idle_writes", "{}", {1000: 0, 5000: 0}),
    ("reads of single objects meanwhile", "idle_gets", "{}", {1000: 0, 5000: 0}),
    ("CPU meanwhile, % of a core", "idle_cpu_percent", "{:.2f}", {1000: 1, 5000: 1}),
    ("restart until all are verified, s", "restart_seconds", "{:.0f}", {1000: 60, 5000: 60}),
    ("writes of the new operator", "restart_writes", "{}", {1000: 0, 5000: 0}),
    ("memory of the new operator, MiB", "restart_memory_mib", "{:.0f}", {1000: 64, 5000: 150}),
    ("memory of the new operator at most, MiB", "restart_peak_memory_mib", "{:.0f}", {}),
]


def cell(figures: dict, key: str, form: str, promised: dict[int, float]) -> str:
    text = form.format(figures[key])
    limit = promised.get(figures["size"])
    if limit is None:
        return text
    return f"{text} (≤ {limit})" if figures[key] <= limit else f"**{text}** (≤ {limit})"


def table(measured: list[dict]) -> str:
    lines = ["| | " + " | ".join(f"{figures['size']:,}" for figures in measured) + " |"]
    lines.append("|---|" + "---:|" * len(measured))
    for title, *row in ROWS:
        lines.append(f"| {title} | " + " | ".join(cell(figures, *row) for figures in measured) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    measured = [json.loads(Path(file).read_text()) for file in sys.argv[1:]]
    print(table(measured))
    if [figures["size"] for figures in measured] != [1000, 5000]:
        return
    page = Path(__file__).parent / "../../docs/benchmarks/scale.md"
    head, _, rest = page.read_text().partition("<!-- begin: written by `make scale` -->")
    tail = rest.partition("<!-- end: written by `make scale` -->")[2]
    marks = "<!-- begin: written by `make scale` -->\n", "<!-- end: written by `make scale` -->"
    page.write_text(head + marks[0] + table(measured) + marks[1] + tail)


main()

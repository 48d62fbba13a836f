"""The forest without HTTP: batches of 1,000 rows on one core, beside Python's libraries."""

import json
import os
import subprocess

from servers import DATA, FOREST, HERE
from context import Context

ROUNDS = 3
OURS = "inference"
LIBRARIES = ("scikit-learn", "onnxruntime", "tl2cgen")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def compare(context: Context) -> dict[str, list[float]]:
    """Rows per CPU-second by evaluator and round."""
    python = [context.pythons["forests"], HERE / "forest_library.py"]
    commands = {OURS: [context.programs / "forest", context.ours[FOREST], DATA]}
    commands |= {library: [*python, library, context.models, DATA] for library in LIBRARIES}
    rates: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            rates[name].append(rows_per_cpu_second(command))
    return rates


def rows_per_cpu_second(command: list) -> float:
    """On the last core: the first is given most of the interrupts."""
    core = max(os.sched_getaffinity(0))
    output = subprocess.run(
        ["taskset", "--cpu-list", str(core), *command],
        env=os.environ | ONE_THREAD,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    ).stdout
    return json.loads(output)["rows_per_cpu_second"]

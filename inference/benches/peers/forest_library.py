"""forest_library.py LIBRARY MODELS DATA.csv: predicts batches of 1,000 rows by a Python library,
without any HTTP, and prints how many rows that makes in a second of one core."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROWS = 1_000
GROUPS = 9
GROUP_SECONDS = 0.15


def scikit_learn(models: Path, batch: np.ndarray) -> Callable[[], object]:
    import joblib

    forest = joblib.load(models / "random-forest.joblib")
    return lambda: forest.predict(batch)


def onnxruntime(models: Path, batch: np.ndarray) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(models / "random-forest.onnx", options)
    rows = {session.get_inputs()[0].name: batch.astype(np.float32)}
    return lambda: session.run(None, rows)


def tl2cgen(models: Path, batch: np.ndarray) -> Callable[[], object]:
    import tl2cgen

    predictor = tl2cgen.Predictor(models / "random-forest.so", nthread=1)
    matrix = tl2cgen.DMatrix(batch)
    return lambda: predictor.predict(matrix)


def median_seconds(call: Callable[[], object]) -> float:
    """The median of some groups of calls; the first, which is not counted, finds their size."""
    begin, calls = time.process_time(), 0
    while time.process_time() - begin < GROUP_SECONDS:
        call()
        calls += 1
    return statistics.median(group_seconds(call, calls) for _ in range(GROUPS))


def group_seconds(call: Callable[[], object], calls: int) -> float:
    begin = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - begin) / calls


def main() -> None:
    library, models, data = sys.argv[1:]
    rows = np.loadtxt(data, delimiter=",", skiprows=1)[:, :-1]
    batch = np.resize(rows, (ROWS, rows.shape[1]))
    libraries = {"scikit-learn": scikit_learn, "onnxruntime": onnxruntime, "tl2cgen": tl2cgen}
    call = libraries[library](Path(models), batch)
    print(json.dumps({"rows_per_cpu_second": ROWS / median_seconds(call)}))


if __name__ == "__main__":
    main()

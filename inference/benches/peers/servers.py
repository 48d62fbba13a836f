"""The servers: how each is started, and which answers are right."""

import csv
import gzip
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
DATA = ROOT / "examples/data/diabetes.csv"
BUILTIN_MODEL = ROOT / "inference/models/diabetes.json.gz"
TARGET = "Outcome"

CHECKED_ROWS = 20
# Two programs may add up in different orders.
SAME_MODEL = 1e-9
# scikit-learn fits the same data, but other rows of it and with another penalty.
SAME_DATA = 0.15


class WrongAnswer(Exception):
    """A server answered wrongly, or not at all."""


@dataclass(frozen=True)
class Server:
    name: str
    # `{port}` stands for the port.
    command: list[str]
    # Raises WrongAnswer unless an answer, given first, is as good as the right one.
    check: Callable[[dict, dict], None]
    environment: dict[str, str] = field(default_factory=dict)
    # Where the server says how many rows it has predicted, as a metric; None if it does not.
    counter: str | None = None


@dataclass(frozen=True)
class Example:
    """A request and its right answer."""

    body: bytes
    expected: dict


def examples(inference):
    """The first rows of the data, and what `inference predict` says about them."""
    command = [inference, "predict", "--data", DATA]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    with open(DATA, newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = list(zip(rows, output.splitlines(), strict=True))[:CHECKED_ROWS]
    return [Example(body(row), json.loads(line)) for row, line in pairs]


def body(row):
    """A row as JSON, its numbers written as in the file."""
    features = (f'"{name}":{value}' for name, value in row.items() if name != TARGET)
    return f"{{{','.join(features)}}}".encode()


def inference(program):
    command = [program, "serve", "--listen", "127.0.0.1:{port}"]
    return Server("inference serve", command, check_equal, counter="predictions_total")


def bare_axum(program, scratch):
    weights = scratch / "weights.json"
    weights.write_text(json.dumps(unscaled_weights()))
    return Server("bare axum", [program, "{port}", str(weights)], check_close(SAME_MODEL))


def unscaled_weights():
    """The built-in model as one weighted sum: its scaling of the features multiplied in."""
    model = json.loads(gzip.decompress(BUILTIN_MODEL.read_bytes()))
    mean, deviation = model["scaling"]["mean"], model["scaling"]["deviation"]
    scaled = model["estimator"]["coefficients"]["values"]
    coefficients = [weight / spread for weight, spread in zip(scaled, deviation, strict=True)]
    shift = sum(weight * centre for weight, centre in zip(coefficients, mean, strict=True))
    intercept = model["estimator"]["intercept"]["values"][0] - shift
    return {"coefficients": coefficients, "intercept": intercept}


def fastapi(python, scratch):
    app, model = HERE / "fastapi-app", scratch / "model.joblib"
    subprocess.run([python, app / "train.py", DATA, model], check=True, timeout=60)
    uvicorn = [python, "-m", "uvicorn", "app:app", "--app-dir", str(app)]
    command = [*uvicorn, "--host", "127.0.0.1", "--port", "{port}", "--workers", "1"]
    name = "FastAPI + scikit-learn"
    return Server(name, command, check_close(SAME_DATA), environment={"MODEL": str(model)})


def check_equal(answer, expected):
    """Bit for bit; an answer may say more, like its id."""
    if {key: answer.get(key) for key in expected} != expected:
        raise WrongAnswer(f"answered {answer} instead of {expected}")


def check_close(tolerance):
    """Probabilities that add up to one, and are within `tolerance` of the right ones."""

    def check(answer, expected):
        given, right = answer["probabilities"], expected["probabilities"]
        near = all(abs(given[name] - right[name]) <= tolerance for name in right)
        if not near or abs(sum(given.values()) - 1) > SAME_MODEL:
            raise WrongAnswer(f"answered {answer} instead of about {expected}")

    return check

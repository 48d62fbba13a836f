"""The servers: how each is started, what it is asked, and which answers are right."""

import csv
import json
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
DATA = ROOT / "examples/data/diabetes.csv"
TARGET = "Outcome"

LINEAR, FOREST, NEIGHBOURS = "logistic-regression", "random-forest", "knn"
MODELS = (LINEAR, FOREST)
# Of `inference train`; it counts the levels of a tree, scikit-learn the steps between them.
OPTIONS = {
    LINEAR: [],
    FOREST: ["--param", "trees=100", "--param", "max_depth=11"],
    NEIGHBOURS: [],
}

# In single precision a row on the border between the classes may fall to the other side.
MOST_OTHER_LABELS = 1


class WrongAnswer(Exception):
    """A server answered wrongly, or not at all."""


@dataclass(frozen=True)
class Server:
    name: str
    title: str
    # Placeholders: {programs}, {python}, {port}, {other_port}, and the files of the model:
    # {ours}, {joblib}, {onnx}.
    command: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    path: str = "/predict"
    # Of the Python packages, as in requirements/; None if it is Rust.
    environment: str | None = None
    # Whether it serves the model of `inference train`.
    ours: bool = False
    # Whether it counts the rows that it predicts.
    counts: bool = False
    models: tuple[str, ...] = MODELS


def ours(name: str, title: str, command: str, **more: Any) -> Server:
    return Server(name, title, command.split(), ours=True, **more)


def python(name: str, title: str, command: str, environment: str, **more: Any) -> Server:
    variables = {"MODEL": "{joblib}"} | more.pop("variables", {})
    command = ["{python}", *command.split()]
    return Server(name, title, command, variables, environment=environment, **more)


def mlserver(name: str, title: str, variables: dict[str, str]) -> Server:
    ports = {"MLSERVER_HTTP_PORT": "{port}", "MLSERVER_GRPC_PORT": "{other_port}"}
    return python(
        name,
        title,
        "-m mlserver.cli.main start .",
        "mlserver",
        variables=ports | {"MLSERVER_METRICS_PORT": "{third_port}"} | variables,
        path="/v2/models/diabetes/infer",
    )


UVICORN = f"-m uvicorn --app-dir {HERE}/apps --host 127.0.0.1 --port {{port}}"
BENTOML = f"-m bentoml serve bentoml_app:Diabetes --working-dir {HERE}/apps"

SERVERS = [
    ours(
        "us",
        "inference serve",
        "{programs}/inference serve --model {ours} --listen 127.0.0.1:{port}",
        counts=True,
    ),
    ours("axum", "bare axum", "{programs}/bare-axum {ours} {port}"),
    ours("unmeasured", "inference serve, no metrics", "{programs}/unmeasured {ours} {port}"),
    Server("hyper", "bare hyper", ["{programs}/bare-hyper", "{port}"], models=(LINEAR,)),
    python("fastapi", "FastAPI", f"{UVICORN} fastapi_plain:app", "fastapi"),
    python(
        "fastapi-tuned", "FastAPI, tuned", f"{UVICORN} --no-access-log fastapi_tuned:app", "fastapi"
    ),
    python(
        "fastapi-onnx",
        "FastAPI + onnxruntime",
        f"{UVICORN} --no-access-log fastapi_onnx:app",
        "fastapi-onnx",
        variables={"MODEL": "{onnx}"},
    ),
    mlserver("mlserver", "MLServer", {}),
    mlserver("mlserver-inline", "MLServer, no workers", {"MLSERVER_PARALLEL_WORKERS": "0"}),
    python(
        "kserve",
        "KServe",
        f"{HERE}/apps/kserve_app.py {{port}} {{other_port}}",
        "kserve",
        path="/v1/models/diabetes:predict",
    ),
    python(
        "bentoml",
        "BentoML",
        f"{BENTOML} --host 127.0.0.1 --port {{port}}",
        "bentoml",
        variables={"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": "{scratch}/bentoml"},
    ),
    python("litserve", "LitServe", f"{HERE}/apps/litserve_app.py {{port}}", "litserve"),
]


@cache
def rows() -> list[list[str]]:
    """The features of the data, as they are written there."""
    with open(DATA, newline="") as file:
        head, *lines = csv.reader(file)
    return [[cell for name, cell in zip(head, line) if name != TARGET] for line in lines]


def body(server: Server, number: int) -> str:
    """A question about the first `number` rows; where these end they begin anew."""
    asked = [rows()[index % len(rows())] for index in range(number)]
    if not server.path.startswith("/v2/"):
        lists = (f"[{','.join(row)}]" for row in asked)
        return f'{{"instances":[{",".join(lists)}]}}'
    values = ",".join(cell for row in asked for cell in row)
    shape = f'"shape":[{number},{len(asked[0])}],"datatype":"FP64"'
    return f'{{"inputs":[{{"name":"rows",{shape},"data":[{values}]}}]}}'


def mlserver_settings(folder: Path, model: Path) -> None:
    """What MLServer reads in its folder."""
    settings = {
        "name": "diabetes",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(model)},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))
    (folder / "settings.json").write_text(json.dumps({"debug": False, "host": "127.0.0.1"}))


def train(inference: Path, model: str, file: Path) -> None:
    """Fits a model of our own to nearly all of the data; scikit-learn has all of it."""
    command = [inference, "train", "--data", DATA, "--target", TARGET, "--algorithm", model]
    command += ["--test-share", "0.01", *OPTIONS[model], "--out", file]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)


def right_answers(inference: Path, model: Path) -> list[dict[str, Any]]:
    """What `inference predict` says about the data."""
    command = [inference, "predict", "--model", model, "--data", DATA]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return [json.loads(line) for line in output.splitlines()]


def right_labels(models: Path, model: str) -> list[int]:
    """What scikit-learn says about the data."""
    return json.loads((models / f"{model}.labels.json").read_text())


def check(answer: dict[str, Any], right: list[dict[str, Any]] | list[int]) -> None:
    """Bit for bit where the model is the same, by label else; an answer may say more."""
    given = answer["outputs"][0]["data"] if "outputs" in answer else answer["predictions"]
    if len(given) != len(right):
        raise WrongAnswer(f"{len(given)} predictions instead of {len(right)}")
    other = sum(not agrees(*pair) for pair in zip(given, right))
    if other > (0 if isinstance(right[0], dict) else MOST_OTHER_LABELS):
        raise WrongAnswer(f"{other} of {len(right)} predictions are others")


def agrees(given: Any, right: Any) -> bool:
    if isinstance(right, dict):
        return all(given.get(key) == value for key, value in right.items())
    return given == right

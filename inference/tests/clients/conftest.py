"""Servers of four kinds of models, and what each model's own file says about its golden rows."""

import gzip
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

INFERENCE = os.environ["INFERENCE"]
MODELS = Path(os.environ["MODELS"])
KINDS = ["diabetes", "wine", "wellbeing", "progression"]


@dataclass(frozen=True)
class Golden:
    """A row, and what the model said about it when it was trained."""

    row: list[float]
    outcome: int | str | None
    probabilities: list[float] | None
    value: float | None


@dataclass(frozen=True)
class Served:
    """A running server and the truth about its model."""

    name: str
    version: str
    features: list[str]
    classes: list[int | str]
    golden: list[Golden]
    http: str
    grpc: str
    pid: int

    @property
    def url(self) -> str:
        return f"http://{self.http}"

    @property
    def rows(self) -> list[list[float]]:
        return [golden.row for golden in self.golden]

    @property
    def answers(self) -> list[int | str | float]:
        """What a protocol with one prediction per row answers."""
        return [golden.value if golden.outcome is None else golden.outcome for golden in self.golden]


def class_value(name: str) -> int | str:
    return int(name) if re.fullmatch(r"-?\d+", name) else name


def golden_row(golden: dict, classes: list[int | str]) -> Golden:
    output = golden["output"]
    if "value" in output:
        return Golden(golden["input"], None, None, output["value"])
    found = output["class"]
    return Golden(golden["input"], classes[found["label"]], found["probabilities"], None)


def start(path: Path, *options: str) -> tuple[subprocess.Popen, str, str]:
    """Starts a server on free ports and waits until it says where it listens."""
    command = [INFERENCE, "serve", "--model", str(path), "--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    process = subprocess.Popen([*command, "--model-control", *options], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        said = json.loads(line)
        if "address" in said:
            return process, said["address"].removeprefix("http://"), said["grpc"].removeprefix("http://")
    raise RuntimeError(f"{path}: the server ended")


@pytest.fixture(scope="session", params=KINDS)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    path = MODELS / f"{request.param}.json.gz"
    with gzip.open(path) as file:
        model = json.load(file)
    manifest = model["manifest"]
    classes = [class_value(name) for name in manifest.get("classes", [])]
    process, http, grpc = start(path)
    try:
        yield Served(
            name=manifest["name"],
            version=str(manifest["version"]),
            features=[feature["name"] for feature in manifest["features"]],
            classes=classes,
            golden=[golden_row(golden, classes) for golden in model["golden"]],
            http=http,
            grpc=grpc,
            pid=process.pid,
        )
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says it as `cargo test` does, so that both can be counted alike."""
    count = {outcome: len(terminalreporter.stats.get(outcome, [])) for outcome in ("passed", "failed", "error")}
    failed = count["failed"] + count["error"]
    word = "FAILED" if failed else "ok"
    terminalreporter.write_line(f"test result: {word}. {count['passed']} passed; {failed} failed;")

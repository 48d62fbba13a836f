"""A prediction's trace, as MLflow shows it: its server takes what ours sends."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import requests
from conftest import MODELS, start
from mlflow.entities import Trace
from servers import mlflow_server


@pytest.fixture
def tracking(tmp_path: Path) -> Iterator[str]:
    process, uri = mlflow_server(tmp_path)
    mlflow.set_tracking_uri(uri)
    yield uri
    process.terminate()
    process.wait(timeout=30)


def await_trace(experiment: str) -> Trace:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if found := mlflow.search_traces(locations=[experiment], return_type="list"):
            return found[0]
        time.sleep(0.5)
    raise TimeoutError(experiment)


def test_a_prediction_is_a_trace_in_mlflow(tracking: str) -> None:
    experiment = mlflow.create_experiment("served")
    trace_id, parent = secrets.token_hex(16), secrets.token_hex(8)
    receiver = ["--otlp-endpoint", tracking, "--otlp-headers", f"x-mlflow-experiment-id={experiment}"]
    process, http, _ = start(MODELS / "wine.json.gz", *receiver)
    try:
        headers = {"traceparent": f"00-{trace_id}-{parent}-01"}
        instances = {"instances": [[1.0] * 13, [2.0] * 13]}
        answer = requests.post(f"http://{http}/v1/models/wine:predict", json=instances, headers=headers, timeout=5)
        assert answer.status_code == 200, answer.text
        trace = await_trace(experiment)
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
    spans = {span.name: span for span in trace.data.spans}
    whole, predict = spans["POST /v1/models/{model}:predict"], spans["predict"]
    assert int(whole.trace_id.removeprefix("tr-"), 16) == int(trace_id, 16)
    assert whole.parent_id == parent
    assert predict.parent_id == whole.span_id
    assert predict.attributes["model.rows"] == 2
    assert whole.attributes["http.response.status_code"] == 200

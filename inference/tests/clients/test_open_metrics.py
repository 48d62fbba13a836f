"""The metrics, read by the strict parser of Prometheus' client for Python."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import KINDS, MODELS, start
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as text_format

OPEN_METRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
TRACE = "0af7651916cd43dd8448eb211c80319c"
CONFIG = {
    "compatibility": ["tutorial", "kserve", "triton", "mlserver"],
    "tracing": {"endpoint": "http://127.0.0.1:9", "sampleRatio": 0},
}


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A server that has answered each kind of request, and one of them in a trace."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    process, http, _ = start(MODELS / f"{request.param}.json.gz", "--config", str(config))
    url = f"http://{http}"
    features = requests.get(f"{url}/v2/models/{request.param}", timeout=5).json()["inputs"]
    row = {feature["name"]: 1.0 for feature in features}
    for path in ("/predict", "/invocations", "/feedback", "/no/such"):
        requests.post(url + path, json=row, timeout=5)
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    assert requests.post(f"{url}/predict", json=row, headers=headers, timeout=5).status_code == 200
    # The first scrape is counted in series of its own.
    requests.get(f"{url}/metrics", timeout=5)
    yield url
    stop(process)


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    assert process.wait(timeout=30) == 0


def scrape(url: str, accept: str) -> str:
    answer = requests.get(f"{url}/metrics", headers={"accept": accept}, timeout=5)
    assert answer.headers["content-type"].split(";")[0] == accept.split(";")[0]
    return answer.text


def series(families: list[Metric]) -> set[tuple]:
    """Names, without what the parser of the text format adds, and labels; bounds of buckets as numbers."""
    samples = [sample for family in families for sample in family.samples]
    number = lambda name, value: float(value) if name == "le" else value  # noqa: E731
    labels = [frozenset((name, number(name, value)) for name, value in sample.labels.items()) for sample in samples]
    return {(sample.name.removesuffix("_total"), these) for sample, these in zip(samples, labels, strict=True)}


def test_the_strict_parser_finds_the_series_of_the_text_format(url: str) -> None:
    text = list(text_format(scrape(url, "text/plain;version=0.0.4")))
    families = list(text_string_to_metric_families(scrape(url, OPEN_METRICS)))
    assert series(families) == series(text)
    assert {family.type for family in families} == {"counter", "gauge", "histogram", "summary", "unknown"}


def test_exemplars_lead_to_the_trace(url: str) -> None:
    families = text_string_to_metric_families(scrape(url, OPEN_METRICS))
    exemplars = {}
    for family in families:
        for sample in family.samples:
            if sample.exemplar:
                exemplars[family.name] = (sample, sample.exemplar)
    assert set(exemplars) == {"api_request_duration_seconds", "model_inference_duration_seconds"}
    for sample, exemplar in exemplars.values():
        assert exemplar.labels == {"trace_id": TRACE}
        assert 0 < exemplar.value <= float(sample.labels["le"])
        assert float(exemplar.timestamp) > 1.7e9

"""The strict client made from the protocol's OpenAPI, and schemathesis on ours."""

import subprocess
import sys

import pytest
from conftest import Served
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.errors import BadRequestError, NotFoundError
from open_inference.openapi.types import InferenceRequest, RequestInput, TensorData


@pytest.fixture
def client(served: Served) -> OpenInferenceClient:
    return OpenInferenceClient(base_url=served.url)


def request(served: Served, **changes) -> InferenceRequest:
    fields = {"name": "rows", "datatype": "FP64", "shape": [len(served.rows), len(served.features)]}
    data = TensorData.parse_obj(sum(served.rows, []))
    return InferenceRequest(id="abc-3", inputs=[RequestInput(**{**fields, **changes}, data=data)])


def test_the_whole_protocol(served: Served, client: OpenInferenceClient) -> None:
    client.check_server_liveness()
    client.check_server_readiness()
    client.check_model_readiness(served.name)
    assert client.read_server_metadata().extensions
    metadata = client.read_model_metadata(served.name)
    assert [tensor.name for tensor in metadata.inputs] == served.features
    response = client.model_infer(served.name, request=request(served))
    assert response.id == "abc-3"
    output = next(it for it in response.outputs if it.name in ("outcome", "value"))
    assert output.data.__root__ == served.answers


def test_errors_are_those_of_the_protocol(served: Served, client: OpenInferenceClient) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.model_infer(served.name, request=request(served, shape=[1, 1]))
    assert refused.value.body.error
    with pytest.raises(NotFoundError):
        client.model_infer("another", request=request(served))


def test_schemathesis_finds_nothing(served: Served) -> None:
    if served.name != "diabetes":
        pytest.skip("one model is enough for the description's form")
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"]
    options = ["--max-examples", "40", "--seed", "1", "--checks", "all", "--exclude-path-regex", "^/docs|/load$|/unload$"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-6000:]

"""The strict client made from the protocol's OpenAPI, and schemathesis on ours."""

import os
import subprocess
import sys

import pytest
from conftest import Served
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError
from open_inference.openapi.errors import BadRequestError
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
    assert refused.value.body["error"]
    # The protocol's description knows no such answer, so the client has no name for it.
    with pytest.raises(ApiError) as unknown:
        client.model_infer("another", request=request(served))
    assert unknown.value.status_code == 404


@pytest.mark.parametrize("served", ["diabetes"], indirect=True)
def test_schemathesis_finds_nothing(served: Served) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"]
    # A schema cannot say that a tensor's shape fits its data or that an id was given out, and the two verbs of
    # /v1/models/{model} are two paths in the description.
    unsaid = ["--exclude-checks", "positive_data_acceptance,allow_header_conformance"]
    options = ["--max-examples", "40", "--seed", "1", "--checks", "all", *unsaid]
    # Explanations are answered with 501 alone, which counts as a fault of the server.
    options += ["--exclude-path-regex", "^/docs|/load$|/unload$|:explain$"]
    hooks = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": os.path.dirname(__file__)}
    done = subprocess.run([*command, *options], env=hooks, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-6000:]

"""tritonclient over gRPC: raw tensors, and the stub with typed ones."""

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from conftest import Served
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(served: Served) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(served.grpc)


def matrix(served: Served) -> list[triton.InferInput]:
    rows = np.array(served.rows)
    return [triton.InferInput("rows", list(rows.shape), "FP64").set_data_from_numpy(rows)]


def assert_true(served: Served, result: triton.InferResult) -> None:
    name = "outcome" if served.classes else "value"
    found = [it.decode() if isinstance(it, bytes) else it for it in result.as_numpy(name).tolist()]
    assert found == served.answers


def test_health_and_metadata(served: Served, client: triton.InferenceServerClient) -> None:
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(served.name)
    metadata = client.get_model_metadata(served.name)
    assert [tensor.name for tensor in metadata.inputs] == served.features
    assert list(metadata.versions) == [served.version]
    assert client.get_server_metadata().name


def test_raw_tensors(served: Served, client) -> None:
    result = client.infer(served.name, matrix(served), request_id="abc-2")
    assert_true(served, result)
    assert result.get_response().id == "abc-2"
    assert result.get_response().raw_output_contents


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression(served: Served, client, algorithm: str) -> None:
    if algorithm == "deflate":
        with pytest.raises(InferenceServerException, match="(?i)encoding|compress"):
            client.infer(served.name, matrix(served), compression_algorithm=algorithm)
        return
    assert_true(served, client.infer(served.name, matrix(served), compression_algorithm=algorithm))


def typed(served: Served) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=served.name)
    for at, feature in enumerate(served.features):
        tensor = request.inputs.add(name=feature, datatype="FP64", shape=[len(served.rows)])
        tensor.contents.fp64_contents.extend(row[at] for row in served.rows)
    return request


def test_typed_tensors_are_answered_in_kind(served: Served) -> None:
    with grpc.insecure_channel(served.grpc) as channel:
        response = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(typed(served))
    assert not response.raw_output_contents
    output = next(it for it in response.outputs if it.name in ("outcome", "value"))
    contents = output.contents
    found = [*contents.int64_contents, *contents.fp64_contents, *(it.decode() for it in contents.bytes_contents)]
    assert found == served.answers


def test_errors_have_their_codes(served: Served, client) -> None:
    for name, tensors, code in [
        ("another", matrix(served), "NOT_FOUND"),
        (served.name, [triton.InferInput("rows", [1, 1], "FP64").set_data_from_numpy(np.zeros((1, 1)))], "INVALID_ARGUMENT"),
    ]:
        with pytest.raises(InferenceServerException) as caught:
            client.infer(name, tensors)
        assert code in caught.value.status()

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


def columns(served: Served) -> list[triton.InferInput]:
    rows = np.array(served.rows)
    tensors = []
    for at, feature in enumerate(served.features):
        tensor = triton.InferInput(feature, [len(rows), 1], "FP64")
        tensors.append(tensor.set_data_from_numpy(rows[:, at : at + 1]))
    return tensors


def assert_true(served: Served, result: triton.InferResult) -> None:
    name = "outcome" if served.classes else "value"
    found = [it.decode() if isinstance(it, bytes) else it for it in result.as_numpy(name).tolist()]
    assert found == served.answers
    expected = [golden.probabilities for golden in served.golden]
    if expected[0] is not None:
        assert result.as_numpy("probabilities").tolist() == expected


def output_names(result: triton.InferResult) -> list[str]:
    return [output.name for output in result.get_response().outputs]


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


def test_a_tensor_for_each_feature(served: Served, client) -> None:
    assert_true(served, client.infer(served.name, columns(served), model_version=served.version))


def test_only_the_outputs_that_are_asked_for_are_answered(served: Served, client) -> None:
    names = output_names(client.infer(served.name, matrix(served)))
    for name in names:
        result = client.infer(served.name, matrix(served), outputs=[triton.InferRequestedOutput(name)])
        assert output_names(result) == [name]
    result = client.infer(served.name, matrix(served), outputs=[triton.InferRequestedOutput(name) for name in names])
    assert_true(served, result)
    with pytest.raises(InferenceServerException, match="another"):
        client.infer(served.name, matrix(served), outputs=[triton.InferRequestedOutput("another")])


def test_statistics_and_repository(served: Served, client) -> None:
    client.infer(served.name, matrix(served))
    (statistics,) = client.get_inference_statistics(served.name).model_stats
    assert (statistics.name, statistics.version) == (served.name, served.version)
    assert statistics.inference_count >= len(served.golden)
    assert statistics.execution_count == statistics.inference_stats.success.count
    (model,) = client.get_model_repository_index().models
    assert (model.name, model.version, model.state) == (served.name, served.version, "READY")


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

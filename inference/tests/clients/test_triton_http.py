"""tritonclient over HTTP: JSON and binary tensors in every combination."""

import numpy as np
import pytest
import tritonclient.http as triton
from conftest import Served
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(served: Served) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(served.http)


def matrix(served: Served, binary: bool, kind: type = np.float64) -> list[triton.InferInput]:
    rows = np.array(served.rows, dtype=kind)
    tensor = triton.InferInput("rows", list(rows.shape), "FP64" if kind is np.float64 else "FP32")
    return [tensor.set_data_from_numpy(rows, binary_data=binary)]


def columns(served: Served, binary: bool) -> list[triton.InferInput]:
    rows = np.array(served.rows)
    tensors = []
    for at, feature in enumerate(served.features):
        tensor = triton.InferInput(feature, [len(rows), 1], "FP64")
        tensors.append(tensor.set_data_from_numpy(rows[:, at : at + 1], binary_data=binary))
    return tensors


def assert_true(served: Served, result: triton.InferResult) -> None:
    if served.classes:
        outcomes = result.as_numpy("outcome")
        found = [it.decode() if isinstance(it, bytes) else it for it in outcomes.tolist()]
        assert found == served.answers
        expected = [golden.probabilities for golden in served.golden]
        if expected[0] is not None:
            assert result.as_numpy("probabilities").tolist() == expected
    else:
        assert result.as_numpy("value").tolist() == served.answers


def wanted(served: Served, binary: bool) -> list[triton.InferRequestedOutput]:
    names = ["outcome", "probabilities"] if served.classes else ["value"]
    if served.classes and served.golden[0].probabilities is None:
        names = ["outcome"]
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


def test_health_and_metadata(served: Served, client: triton.InferenceServerClient) -> None:
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(served.name) and client.is_model_ready(served.name, served.version)
    assert not client.is_model_ready("another")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata(served.name)
    assert metadata["versions"] == [served.version]
    assert [tensor["name"] for tensor in metadata["inputs"]] == served.features


@pytest.mark.parametrize("into", [True, False])
@pytest.mark.parametrize("out", [True, False])
@pytest.mark.parametrize("form", [matrix, columns])
def test_answers_are_the_models_own(served: Served, client, form, into: bool, out: bool) -> None:
    assert_true(served, client.infer(served.name, form(served, into), outputs=wanted(served, out)))


def test_json_and_binary_tensors_may_be_mixed(served: Served, client) -> None:
    mixed = [pair[at % 2] for at, pair in enumerate(zip(columns(served, True), columns(served, False)))]
    assert_true(served, client.infer(served.name, mixed, model_version=served.version))


def test_defaults_and_the_request_id(served: Served, client) -> None:
    result = client.infer(served.name, matrix(served, True), request_id="abc-1")
    assert_true(served, result)
    response = result.get_response()
    assert response["id"] == "abc-1"
    assert (response["model_name"], response["model_version"]) == (served.name, served.version)
    ids = result.as_numpy("prediction_id")
    assert len(set(ids.tolist())) == len(served.golden)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression_both_ways(served: Served, client, algorithm: str) -> None:
    result = client.infer(
        served.name,
        matrix(served, True),
        outputs=wanted(served, True),
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    assert_true(served, result)


def test_single_precision_is_taken(served: Served, client) -> None:
    rows = np.array(served.rows, dtype=np.float32)
    tensor = triton.InferInput("rows", list(rows.shape), "FP32").set_data_from_numpy(rows)
    assert client.infer(served.name, [tensor]).get_response()["outputs"]


def test_errors_are_told(served: Served, client) -> None:
    wrong = triton.InferInput("rows", [1, 1], "FP64").set_data_from_numpy(np.zeros((1, 1)))
    with pytest.raises(InferenceServerException, match="shape") as caught:
        client.infer(served.name, [wrong])
    assert caught.value.status() == "400"
    with pytest.raises(InferenceServerException) as caught:
        client.infer("another", matrix(served, True))
    assert caught.value.status() == "404"


# JSON has no NaN.
@pytest.mark.parametrize(("binary", "told"), [(True, "row 0: feature .* is not a finite"), (False, "the body is not JSON")])
def test_nan_is_refused(served: Served, client, binary: bool, told: str) -> None:
    nan = np.full((1, len(served.features)), np.nan)
    tensor = triton.InferInput("rows", list(nan.shape), "FP64").set_data_from_numpy(nan, binary_data=binary)
    with pytest.raises(InferenceServerException, match=told) as caught:
        client.infer(served.name, [tensor])
    assert caught.value.status() == "400"


def test_statistics_and_repository(served: Served, client) -> None:
    client.infer(served.name, matrix(served, True))
    statistics = client.get_inference_statistics(served.name)["model_stats"][0]
    assert statistics["name"] == served.name
    assert statistics["inference_count"] >= len(served.golden)
    index = client.get_model_repository_index()
    assert [(model["name"], model["state"]) for model in index] == [(served.name, "READY")]
    client.unload_model(served.name)
    assert not client.is_model_ready(served.name)
    client.load_model(served.name)
    assert client.is_model_ready(served.name)
    assert_true(served, client.infer(served.name, matrix(served, True)))

"""KServe's own clients: v1 and v2 over REST, v2 over gRPC."""

import numpy as np
import pytest
from httpx import HTTPStatusError
from conftest import Served
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

pytestmark = pytest.mark.asyncio


def request(served: Served, binary: bool) -> InferRequest:
    rows = np.array(served.rows)
    tensor = InferInput("rows", list(rows.shape), "FP64")
    tensor.set_data_from_numpy(rows, binary_data=binary)
    return InferRequest(served.name, [tensor])


def answers(response) -> list:
    output = next(it for it in response.outputs if it.name in ("outcome", "value"))
    found = output.as_numpy().tolist()
    return [it.decode() if isinstance(it, bytes) else it for it in found]


async def test_v1(served: Served) -> None:
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        assert await client.is_server_live(served.url)
        assert await client.is_model_ready(served.url, served.name)
        response = await client.infer(served.url, {"instances": served.rows}, served.name)
        assert response["predictions"] == served.answers
        named = [dict(zip(served.features, row)) for row in served.rows]
        response = await client.infer(served.url, {"instances": named}, served.name)
        assert response["predictions"] == served.answers


@pytest.mark.parametrize("binary", [True, False])
async def test_v2(served: Served, binary: bool) -> None:
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(served.url) and await client.is_server_ready(served.url)
        assert await client.is_model_ready(served.url, served.name)
        assert not await client.is_model_ready(served.url, "another")
        response = await client.infer(served.url, request(served, binary), served.name)
        assert answers(response) == served.answers


@pytest.mark.parametrize(("protocol", "rows"), [("v1", "instances"), ("v2", "inputs")])
async def test_errors_are_told(served: Served, protocol: str, rows: str) -> None:
    async with InferenceRESTClient(RESTConfig(protocol=protocol)) as client:
        for name, status in [(served.name, 400), ("another", 404)]:
            with pytest.raises(HTTPStatusError) as caught:
                await client.infer(served.url, {rows: [["x"]]}, name)
            assert caught.value.response.status_code == status
            assert caught.value.response.json()["error"]


@pytest.mark.parametrize("binary", [True, False])
async def test_grpc(served: Served, binary: bool) -> None:
    async with InferenceGRPCClient(served.grpc) as client:
        assert await client.is_server_live() and await client.is_server_ready()
        assert await client.is_model_ready(served.name)
        response = await client.infer(request(served, binary))
        assert answers(response) == served.answers

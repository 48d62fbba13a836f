"""MLflow's scoring client."""

import numpy as np
import pandas
import pytest
import requests
from conftest import Served
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


@pytest.fixture
def client(served: Served) -> ScoringServerClient:
    host, port = served.http.rsplit(":", 1)
    return ScoringServerClient(host, port)


def found(answer) -> list:
    return answer.get_predictions().iloc[:, 0].tolist()


def test_ping_and_version(client: ScoringServerClient) -> None:
    client.wait_server_ready(timeout=5)
    assert client.get_version()


def test_every_kind_of_data(served: Served, client: ScoringServerClient) -> None:
    rows = np.array(served.rows)
    frame = pandas.DataFrame(rows, columns=served.features)
    shuffled = frame[list(reversed(served.features))]
    for data in [frame, shuffled, rows]:
        assert found(client.invoke(data)) == served.answers


def test_every_form_of_json_and_csv(served: Served, client: ScoringServerClient) -> None:
    frame = pandas.DataFrame(served.rows, columns=served.features)
    url = f"{served.url}/invocations"
    bodies = [
        {"dataframe_split": frame.to_dict(orient="split")},
        {"dataframe_records": frame.to_dict(orient="records")},
        {"instances": served.rows},
        {"inputs": frame.to_dict(orient="list")},
        {"inputs": served.rows, "params": {}},
    ]
    for body in bodies:
        answer = requests.post(url, json=body, timeout=5)
        assert answer.status_code == 200, answer.text
        assert answer.json()["predictions"] == served.answers
    csv = frame.to_csv(index=False)
    answer = requests.post(url, data=csv, headers={"Content-Type": "text/csv"}, timeout=5)
    assert answer.json()["predictions"] == served.answers


def test_errors_are_told(served: Served) -> None:
    url = f"{served.url}/invocations"
    for body in [[served.rows], {}, {"instances": served.rows, "inputs": served.rows}, {"instances": [["x"]]}]:
        answer = requests.post(url, json=body, timeout=5)
        assert answer.status_code == 400
        assert answer.json()["error_code"] == "BAD_REQUEST"
    answer = requests.post(url, data="x", headers={"Content-Type": "text/plain"}, timeout=5)
    assert answer.status_code == 415

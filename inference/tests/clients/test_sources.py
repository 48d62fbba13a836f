"""Models from an S3 server and from an MLflow registry, both of them real."""

import hashlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import mlflow
import pytest
import requests
from botocore.client import Config
from conftest import INFERENCE, MODELS
from servers import await_answer, free_port, mlflow_server

HOSTS = {"allowed-hosts": "127.0.0.1 localhost"}
KEYS = {"AWS_ACCESS_KEY_ID": "key-of-the-test", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test"}
LOOK = 45


def folder(path: Path, secrets: dict[str, str]) -> str:
    """A Secret as the kubelet mounts it."""
    path.mkdir()
    for key, value in (HOSTS | secrets).items():
        (path / key).write_text(value)
    return str(path)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., dict | str]]:
    """Starts a server with a source; the URL that it says, or its last words."""
    running = []

    def start(source: dict, sha256: str | None = None) -> dict | str:
        model = {"source": source} | ({"sha256": sha256} if sha256 else {})
        config = tmp_path / f"config-{len(running)}.json"
        words = tmp_path / f"words-{len(running)}"
        config.write_text(json.dumps({"model": model, "terminationLog": str(words)}))
        command = [INFERENCE, "serve", "--config", str(config), "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            said = json.loads(line)
            if "address" in said:
                return said
        return words.read_text()

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("s3")
    endpoint = f"http://127.0.0.1:{free_port()}"
    command = [os.environ["VERSITYGW"], "--port", endpoint.removeprefix("http://"), "--quiet"]
    command += ["--access", KEYS["AWS_ACCESS_KEY_ID"], "--secret", KEYS["AWS_SECRET_ACCESS_KEY"]]
    process = subprocess.Popen([*command, "posix", "--sidecar", str(tmp_path_factory.mktemp("sidecar")), str(root)])
    await_answer(endpoint, process)
    client(endpoint).create_bucket(Bucket="models")
    yield endpoint
    process.terminate()
    process.wait(timeout=30)


def client(endpoint: str):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.mark.parametrize("key", ["churn.json.gz", "a folder/çhürn +1&2=3.json.gz"])
def test_an_object_is_served(serve, s3: str, tmp_path: Path, key: str) -> None:
    file = MODELS / "wine.json.gz"
    client(s3).upload_file(str(file), "models", key)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    source = {"bucket": "models", "key": key, "endpoint": s3, "secrets": folder(tmp_path / "keys", KEYS)}
    said = serve({"s3": source}, sha256)
    assert said["model"] == "wine"
    served = requests.get(f"{said['address']}/v2/models/wine", timeout=5).json()
    assert served["versions"] == ["7"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": "none"}, "NotFound: GET {s3}/models/none: 404 Not Found (NoSuchKey)"),
        ({"bucket": "nobodys"}, "NotFound: GET {s3}/nobodys/wine.json.gz: 404 Not Found (NoSuchBucket)"),
        ({"secrets": None}, "Forbidden: GET {s3}/models/wine.json.gz: 403 Forbidden (AccessDenied)"),
        ({"secrets": "wrong"}, "Forbidden: GET {s3}/models/wine.json.gz: 403 Forbidden (SignatureDoesNotMatch)"),
        ({"secrets": "half"}, "Forbidden: {secrets} has AWS_ACCESS_KEY_ID, but not AWS_SECRET_ACCESS_KEY, which goes with it"),
        ({"secrets": "/nowhere"}, "Forbidden: there is no Secret in /nowhere: is it in the namespace of the model, and has it any keys?"),
        ({"endpoint": "s3.example.com"}, 'Forbidden: "s3.example.com" is no URL to fetch from: relative URL without a base'),
    ],
)
def test_what_is_wrong_is_said(serve, s3: str, tmp_path: Path, change: dict, words: str) -> None:
    client(s3).upload_file(str(MODELS / "wine.json.gz"), "models", "wine.json.gz")
    secrets = {
        "wrong": KEYS | {"AWS_SECRET_ACCESS_KEY": "another"},
        "half": {"AWS_ACCESS_KEY_ID": KEYS["AWS_ACCESS_KEY_ID"]},
    }
    source = {"bucket": "models", "key": "wine.json.gz", "endpoint": s3, "secrets": folder(tmp_path / "keys", KEYS)}
    source |= change
    if kind := secrets.get(source["secrets"] or ""):
        source["secrets"] = folder(tmp_path / "other", kind)
    source = {name: value for name, value in source.items() if value is not None}
    assert serve({"s3": source}) == words.format(s3=s3, secrets=source.get("secrets"))


def test_another_file_than_the_spec_says_is_refused(serve, s3: str, tmp_path: Path) -> None:
    client(s3).upload_file(str(MODELS / "wine.json.gz"), "models", "swapped.json.gz")
    source = {"bucket": "models", "key": "swapped.json.gz", "endpoint": s3, "secrets": folder(tmp_path / "keys", KEYS)}
    assert serve({"s3": source}, "0" * 64).startswith("ChecksumMismatch: ")


class Registry:
    """An MLflow server, and the models in it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)

    def register(self, name: str, *files: Path, folder: str = "model") -> str:
        """A new version with these files, as `log_artifact` and `create_model_version` make it."""
        experiment = self.client.get_experiment_by_name(name)
        experiment = experiment.experiment_id if experiment else self.client.create_experiment(name)
        run = self.client.create_run(experiment)
        for file in files:
            self.client.log_artifact(run.info.run_id, str(file), folder)
        try:
            self.client.create_registered_model(name)
        except mlflow.exceptions.MlflowException as error:
            assert error.error_code == "RESOURCE_ALREADY_EXISTS"
        source = f"{run.info.artifact_uri}/{folder}"
        return self.client.create_model_version(name, source, run.info.run_id).version


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    root = tmp_path_factory.mktemp("mlflow")
    process, uri = mlflow_server(root, "--artifacts-destination", str(root / "artifacts"))
    yield Registry(uri)
    process.terminate()
    process.wait(timeout=30)


def test_a_version_of_a_registered_model_is_served(serve, registry: Registry) -> None:
    registry.register("churn model", MODELS / "wine.json.gz")
    version = registry.register("churn model", MODELS / "diabetes.json.gz")
    said = serve({"mlflow": {"trackingUri": registry.uri, "model": "churn model", "version": {"number": 1}}})
    assert (said["model"], said["version"]) == ("wine", "1")
    source = {"trackingUri": f"{registry.uri}/", "model": "churn model", "version": {"number": int(version)}}
    said = serve({"mlflow": source})
    assert (said["model"], said["version"]) == ("diabetes", version)


def test_a_moved_alias_is_followed_while_requests_are_answered(serve, registry: Registry) -> None:
    first = registry.register("followed", MODELS / "wine.json.gz")
    registry.client.set_registered_model_alias("followed", "champion", first)
    said = serve({"mlflow": {"trackingUri": registry.uri, "model": "followed", "version": {"alias": "champion"}}})
    url = f"{said['address']}/v2/models/wine"
    assert requests.get(url, timeout=5).json()["versions"] == [first]
    second = registry.register("followed", MODELS / "diabetes.json.gz")
    registry.client.set_registered_model_alias("followed", "champion", second)
    until = time.monotonic() + LOOK
    while requests.get(url, timeout=5).json()["versions"] != [second]:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_artifacts_in_a_bucket_are_fetched_from_there(serve, s3: str, tmp_path: Path) -> None:
    root = tmp_path / "server"
    root.mkdir()
    client(s3).create_bucket(Bucket="artifacts")
    env = KEYS | {"MLFLOW_S3_ENDPOINT_URL": s3, "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(env)
    options = ["--no-serve-artifacts", "--default-artifact-root", "s3://artifacts/runs"]
    process, uri = mlflow_server(root, *options, env=env)
    try:
        version = Registry(uri).register("stored", MODELS / "wine.json.gz", MODELS / "wellbeing.csv")
        source = {"trackingUri": uri, "model": "stored", "version": {"number": int(version)}}
        secrets = folder(tmp_path / "keys", env)
        said = serve({"mlflow": source | {"secrets": secrets}})
        assert (said["model"], said["version"]) == ("wine", version)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "nobody"}, "NotFound: GET {uri}/api/2.0/mlflow/registered-models/alias: 404 Not Found (Registered Model with name=nobody not found)"),
        ({"version": {"alias": "nobody"}}, "alias nobody not found"),
        ({"version": {"number": 99}}, "NotFound: GET {uri}/api/2.0/mlflow/model-versions/get-download-uri: 404 Not Found"),
        ({"path": "none.json"}, "GET {uri}/api/2.0/mlflow-artifacts/artifacts/"),
        ({}, "NotFound: version 1 has no model file: expected one file .json or .json.gz, found diabetes.json.gz, wine.json.gz; name it by path"),
    ],
)
def test_what_is_wrong_with_a_registered_model_is_said(serve, registry: Registry, change: dict, words: str) -> None:
    if "two" not in [model.name for model in registry.client.search_registered_models()]:
        version = registry.register("two", MODELS / "wine.json.gz", MODELS / "diabetes.json.gz")
        registry.client.set_registered_model_alias("two", "champion", version)
    source = {"trackingUri": registry.uri, "model": "two", "version": {"alias": "champion"}} | change
    assert words.format(uri=registry.uri) in serve({"mlflow": source})

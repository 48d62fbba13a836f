"""A client of the API server of a kubeconfig: just enough to make many objects fast, and to count them."""

import base64
import http.client
import json
import os
import ssl
import subprocess
import tempfile
import urllib.parse


class Kube:
    """One connection, which is opened again when it breaks."""

    def __init__(self) -> None:
        view = ["kubectl", "config", "view", "--raw", "--minify", "-o", "json"]
        config = json.loads(subprocess.check_output(view))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server = urllib.parse.urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.tls = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as file:
            for part in "client-certificate-data", "client-key-data":
                file.write(base64.b64decode(user[part]) + b"\n")
            file.flush()
            self.tls.load_cert_chain(file.name)
        self.connection: http.client.HTTPSConnection | None = None

    def call(self, method: str, path: str, body: object = None) -> dict:
        """The answer; raises RuntimeError if it is a refusal."""
        text = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"}
        try:
            answer = self._exchange(method, path, text, headers)
        except (OSError, http.client.HTTPException):
            self.connection = None
            answer = self._exchange(method, path, text, headers)
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
        return json.loads(content)

    def _exchange(self, method: str, path: str, text: bytes | None, headers: dict) -> http.client.HTTPResponse:
        if self.connection is None:
            host, port = self.server.hostname, self.server.port
            self.connection = http.client.HTTPSConnection(host, port, context=self.tls, timeout=60)
        self.connection.request(method, path, text, headers)
        return self.connection.getresponse()

    def count(self, path: str) -> int:
        """How many objects a list has."""
        answer = self.call("GET", f"{path}?limit=1")
        return len(answer["items"]) + (answer["metadata"].get("remainingItemCount") or 0)


def kubectl(*arguments: str, text: str | None = None) -> str:
    """What kubectl prints."""
    done = subprocess.run(["kubectl", *arguments], input=text, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def wait_for_kind(name: str) -> None:
    """Until a definition that was just made is served."""
    while True:
        try:
            kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=60s")
            return
        except RuntimeError as error:
            # A definition that is new may have no conditions yet.
            if "accessor error" not in str(error):
                raise


def repository(path: str) -> str:
    """A file of this repository."""
    return os.path.join(os.path.dirname(__file__), "..", "..", path)

"""Servers of others, on free ports."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def await_answer(url: str, process: subprocess.Popen) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, f"{process.args} ended"
        try:
            requests.get(url, timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise TimeoutError(url)


def mlflow_server(root: Path, *options: str, env: dict[str, str] | None = None) -> tuple[subprocess.Popen, str]:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{root}/mlflow.db", *options]
    with (root / "log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | (env or {}), stdout=log, stderr=log)
    uri = f"http://127.0.0.1:{port}"
    await_answer(f"{uri}/health", process)
    return process, uri

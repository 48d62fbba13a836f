"""Talks to a server: first to check its answers, then to load it."""

import http.client
import json
import re
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from servers import HERE, WrongAnswer

SECONDS_TO_START = 90
PAUSE = 0.001


@dataclass(frozen=True)
class Load:
    """What wrk saw: `requests` counts all answers, `refused` those that were not a success."""

    requests: int
    seconds: float
    p50_us: int
    p99_us: int
    refused: int
    errors: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def goodput(self) -> float:
        return (self.requests - self.refused) / self.seconds


def request(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """Status and content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ask(port: int, path: str, body: str) -> dict[str, Any]:
    status, content = request(port, "POST", path, body)
    if status != 200:
        raise WrongAnswer(f"answered {status}: {content[:500]!r}")
    return json.loads(content)


def wait_for_first_answer(process: subprocess.Popen, port: int, path: str, body: str) -> None:
    """Asks until there is an answer; some servers listen before they have loaded their model."""
    end = time.monotonic() + SECONDS_TO_START
    problem = "does not start"
    while time.monotonic() < end and process.poll() is None:
        try:
            ask(port, path, body)
            return
        except (WrongAnswer, OSError, http.client.HTTPException) as error:
            problem = f"{problem.partition(':')[0]}: {error!r}"
            time.sleep(PAUSE)
    raise WrongAnswer(problem)


def load(
    port: int,
    path: str,
    body: str,
    connections: int,
    seconds: float,
    rate: float | None = None,
    pinned: tuple[str, ...] = (),
) -> Load:
    """Has wrk ask for `seconds`, always for the same: as fast as it can, or at a rate."""
    command = [*pinned, "wrk", "--threads", "1", "--connections", str(connections), "--latency"]
    command += ["--duration", f"{seconds}s", "--timeout", "10s", "--script", str(HERE / "wrk.lua")]
    command += [f"http://127.0.0.1:{port}{path}", "--", body]
    command += [str(rate)] if rate else []
    wrk = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    result = re.search(r"^RESULT (.*)$", wrk.stdout, re.MULTILINE)
    if not result:
        raise WrongAnswer(f"wrk failed: {wrk.stdout}{wrk.stderr}")
    return Load(**json.loads(result[1]))


def counted(port: int, metric: str) -> float:
    """The sum of a metric's series."""
    _, content = request(port, "GET", "/metrics")
    series = re.findall(rf"^{metric}{{.*}} (\S+)$", content.decode(), re.MULTILINE)
    return sum(map(float, series))

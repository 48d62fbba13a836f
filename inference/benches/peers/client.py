"""Talks to a server: first to check its answers, then to load it."""

import http.client
import json
import re
import subprocess
import time
from dataclasses import dataclass

from servers import HERE, WrongAnswer

CONNECTIONS = 16
SECONDS_TO_START = 60
PAUSE = 0.001


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    requests: int
    seconds: float
    p50_us: int
    p99_us: int
    errors: int


def request(port, method, path, body=None):
    """Status and content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def predict(port, body):
    status, content = request(port, "POST", "/predict", body)
    if status != 200:
        raise WrongAnswer(f"answered {status}: {content[:500]!r}")
    return json.loads(content)


def wait_for_first_answer(process, port, body):
    """Asks until there is an answer."""
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            return predict(port, body)
        except ConnectionRefusedError:
            time.sleep(PAUSE)
    raise WrongAnswer("does not start")


def check(port, server, examples):
    for example in examples:
        server.check(predict(port, example.body), example.expected)


def load(port, body, seconds):
    """Has wrk ask for `seconds`, always for the same."""
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS)]
    command += ["--duration", f"{seconds}s", "--latency", "--script", HERE / "wrk.lua"]
    command += [f"http://127.0.0.1:{port}/predict", "--", body.decode()]
    wrk = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    result = re.search(r"^RESULT (.*)$", wrk.stdout, re.MULTILINE)
    if not result:
        raise WrongAnswer(f"wrk failed: {wrk.stdout}{wrk.stderr}")
    return Load(**json.loads(result[1]))


def counted(port, metric):
    """The sum of a metric's series."""
    _, content = request(port, "GET", "/metrics")
    series = re.findall(rf"^{metric}{{.*}} (\S+)$", content.decode(), re.MULTILINE)
    return sum(map(float, series))

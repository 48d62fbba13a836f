"""Starts and stops processes, and reads what they use from /proc."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SECONDS_TO_STOP = 8
PORTS = range(18080, 18280)


@contextmanager
def running(
    command: list[str], folder: Path, log: Path, variables: dict[str, str]
) -> Iterator[subprocess.Popen]:
    """A process that ends with the block, and with it all that it started, however that is left."""
    with open(log, "w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen) -> None:
    """Asks politely first. The id of the group is its own until `process` is waited for."""
    if process.returncode is not None:
        return
    started = [(pid, start_time(pid)) for pid in tree(process.pid)]
    # Not terminate(), which may wait for the process.
    os.kill(process.pid, signal.SIGTERM)
    try:
        wait_unreaped(process.pid, SECONDS_TO_STOP)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kill_remaining(started)


def kill_remaining(started: list[tuple[int, str | None]]) -> None:
    """Some servers put their workers into groups of their own."""
    for pid, since in started:
        if since and start_time(pid) == since:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_unreaped(pid: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while os.waitid(os.P_PID, pid, options) is None and time.monotonic() < end:
        time.sleep(0.02)


def free_ports(number: int) -> list[int]:
    """Ports that no outgoing connection is given by chance, not even that of who asks for them."""
    free = [port for port in PORTS if is_free(port)]
    if len(free) < number:
        raise SystemExit(f"too few free ports from {PORTS.start} to {PORTS.stop - 1}")
    return free[:number]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def stat_fields(pid: int | str) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; None if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def start_time(pid: int) -> str | None:
    """What tells a process from a later one with its id."""
    fields = stat_fields(pid)
    return fields[19] if fields else None


def tree(root: int) -> list[int]:
    """The ids of a process and of all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        fields = stat_fields(entry) if entry.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a process tree, with that of children that have ended."""
    fields = filter(None, map(stat_fields, tree(root)))
    return sum(int(ticks) for each in fields for ticks in each[11:15]) / TICKS_PER_SECOND


def rss_mib(root: int) -> float:
    """Resident memory of a process tree."""
    return sum(map(rss_kib, tree(root))) / 1024


def rss_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    resident = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(resident[1]) if resident else 0


def machine_cpu_seconds() -> float:
    """Time that all cores spent on processes; that on interrupts belongs to none of them."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / TICKS_PER_SECOND

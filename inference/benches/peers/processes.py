"""Starts and stops processes, and reads what they use from /proc."""

import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SECONDS_TO_STOP = 5
PORTS = range(18080, 18280)


@contextmanager
def running(command, log, environment):
    """A process in a group of its own, which ends with the block, however that is left."""
    with open(log, "w") as output:
        process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process):
    """Asks politely first. The id of the group is its own until `process` is waited for."""
    if process.returncode is not None:
        return
    # Not terminate(), which may wait for the process.
    os.kill(process.pid, signal.SIGTERM)
    try:
        wait_unreaped(process.pid, SECONDS_TO_STOP)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_unreaped(pid, seconds):
    end = time.monotonic() + seconds
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while os.waitid(os.P_PID, pid, options) is None and time.monotonic() < end:
        time.sleep(0.02)


def free_port():
    """A port that no outgoing connection is given by chance, not even that of who asks for it."""
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise SystemExit(f"no free port from {PORTS.start} to {PORTS.stop - 1}")


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state on; None if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def tree(root):
    """The ids of a process and of all that descend from it."""
    children = {}
    for entry in os.listdir("/proc"):
        fields = stat_fields(entry) if entry.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_seconds(root):
    """User and system time of a process tree, with that of children that have ended."""
    fields = filter(None, map(stat_fields, tree(root)))
    return sum(int(ticks) for each in fields for ticks in each[11:15]) / TICKS_PER_SECOND


def rss_mib(root):
    """Resident memory of a process tree."""
    return sum(map(rss_kib, tree(root))) / 1024


def rss_kib(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    resident = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(resident[1]) if resident else 0


def machine_cpu_seconds():
    """Time that all cores spent on processes; that on interrupts belongs to none of them."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / TICKS_PER_SECOND

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


@contextmanager
def running(command, log, environment):
    """A process in a group of its own, which has ended when the block is left, however it is left."""
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
    """Asks politely first. Nobody else can have the id of the group before `process` is waited for."""
    if process.returncode is not None:
        return
    process.terminate()
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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
    """Time that all cores were busy, for whomever."""
    user, nice, system, _idle, _wait, irq, softirq = (
        int(ticks) for ticks in Path("/proc/stat").read_text().split()[1:8]
    )
    return (user + nice + system + irq + softirq) / TICKS_PER_SECOND

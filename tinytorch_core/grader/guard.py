"""A small process between a server and its worker: whatever ends the worker, nothing of it stays behind.

It is the parent of the worker and of every orphan below it (Linux), waits, then kills what is left and removes the scratch folder.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial

SCRATCH = "TINYTORCH_SCRATCH"
WORKER = """
import sys
sys.modules.update(rfc3987_syntax=None, isoduration=None)  # optional parts of jsonschema: a second to start, and nothing here needs them
from tinytorch_core.grader.template import begin
template = begin()
from tinytorch_core.grader.worker import main
main(template)
"""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> int:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    for name in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # the worker ends when its stdin does; until then somebody has to clean up
        signal.signal(name, _stay)  # not SIG_IGN, which the student's own processes would inherit
    scratch = tempfile.mkdtemp(prefix="tinytorch-")
    command = [sys.executable, "-I", "-c", WORKER]
    worker = subprocess.Popen(
        command,
        env={**os.environ, SCRATCH: scratch},
        preexec_fn=partial(_die_with, os.getpid()) if os.name == "posix" else None,
    )
    code = worker.wait()
    sweep()
    shutil.rmtree(scratch, ignore_errors=True)
    return code


def _stay(number: int, frame: object) -> None:
    """Take note of nothing."""


def _die_with(parent: int) -> None:
    """In the new process, before it becomes the worker: end when the guard does (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def sweep() -> None:
    """Kill every process whose parent we are, and those that thereby become our children, until there is none."""
    end = time.monotonic() + 5
    while (children := _children()) and time.monotonic() < end:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def _children() -> list[int]:
    """Our children, by the fourth field of /proc/PID/stat; none where there is no /proc."""
    if sys.platform != "linux":
        return []
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal() and _parent(name) == os.getpid():
            found.append(int(name))
    return found


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:  # it ended meanwhile
        return 0


if __name__ == "__main__":
    sys.exit(main())

"""Looking at trees of processes, and ending them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet

import psutil

from tinytorch_core.kernel.namespace import FIRST

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of whatever descends from this process and loses its own (on Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def sweep(keepers: AbstractSet[int]) -> None:
    """Freeze, then kill, what descends from this process, until only `keepers` (process ids) and what they started is left.

    Where this process is a sub-reaper, what a killed kernel left behind comes back to it as a child.
    """
    for _ in range(50):
        victims = [process for process in _outside(keepers) if is_running(process)]
        for act in (psutil.Process.suspend, psutil.Process.kill):
            for victim in victims:
                _try(act, victim)
        if not victims:
            return
        _wait_for_end(victims)


def _outside(keepers: AbstractSet[int]) -> list[psutil.Process]:
    """What descends from this process, but for `keepers` and what descends from them."""
    family = psutil.Process().children(recursive=True)
    parents = {process.pid: _parent(process) for process in family}

    def kept(pid: int) -> bool:
        while pid in parents and pid not in keepers:
            pid = parents[pid]
        return pid in keepers

    return [process for process in family if not kept(process.pid)]


def _parent(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0


def _wait_for_end(processes: list[psutil.Process]) -> None:
    """Wait until killed processes are dead, and collect those that are our own children."""
    for _ in range(200):
        for process in processes:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)
        if not any(map(is_running, processes)):
            return
        time.sleep(0.002)


def is_running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _try(act: Callable[[psutil.Process], None], process: psutil.Process) -> None:
    try:
        act(process)
    except psutil.NoSuchProcess:  # it was faster
        return


def over_memory(pid: int, limit: int) -> bool:
    """True if a process and its descendants hold more than `limit` bytes.

    True as well where the process has used up its own address space: after that a kernel often cannot even say so.
    """
    try:
        root = psutil.Process(pid)
        below = root.children(recursive=True)
        family = below if root.name() == FIRST else [root, *below]
        return sum(map(_resident, family)) > limit or any(p.memory_info().vms > 0.97 * limit for p in family[:1])
    except psutil.Error:
        return False


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0

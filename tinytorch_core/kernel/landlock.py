"""Landlock (Linux 5.13+): a process takes write access outside its scratch folder away from itself, for good.

System calls and structures as in the kernel's Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
PR_SET_NO_NEW_PRIVS = 38
RULE_PATH_BENEATH = 1

WRITE_FILE, TRUNCATE, REFER, IOCTL_DEV = 1 << 1, 1 << 14, 1 << 13, 1 << 15
REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))
NET_BIND_AND_CONNECT = 3
SCOPE_SOCKETS_AND_SIGNALS = 3

DEVICES = ("/dev/null", "/dev/zero", "/dev/shm", "/dev/pts", "/dev/ptmx", "/dev/tty")
"""IPython runs `!commands` in a pseudo-terminal, and multiprocessing wants shared memory."""


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("access", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def version() -> int:
    """The Landlock ABI of the running kernel; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(CREATE_RULESET, None, 0, 1)))


def restrict(writable: Sequence[str]) -> int:
    """Allow writing only below `writable`; refuse signals to other processes where the kernel can. Returns the ABI used.

    OSError if the kernel refuses. Applies to the calling thread and what it starts: call it before there are others.
    """
    abi = version()
    if not abi:
        return 0
    libc = _libc()
    access = WRITE_FILE | REMOVE_AND_MAKE | (REFER if abi >= 2 else 0) | (TRUNCATE if abi >= 3 else 0)
    ruleset = _Ruleset(access, 0, SCOPE_SOCKETS_AND_SIGNALS if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    fd = _checked(libc, libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), size, 0))
    for path in (*writable, *DEVICES):
        if os.path.exists(path):
            _allow(libc, fd, path, access if os.path.isdir(path) else access & (WRITE_FILE | TRUNCATE))
    _checked(libc, libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(libc, libc.syscall(RESTRICT_SELF, fd, 0))
    os.close(fd)
    return abi


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access, parent)
        _checked(libc, libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(parent)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(libc: ctypes.CDLL, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result

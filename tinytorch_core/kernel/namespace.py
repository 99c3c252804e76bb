"""Namespaces (Linux): a process that sees no other process and no network, and files that it can only read.

What bubblewrap does to a command, done to a fork, so that a kernel is warm when it gets there. In two steps: `leave` in the process whose
next child is to be alone, `furnish` in that child. See unshare(2), mount(2), mount_setattr(2), user_namespaces(7), pid_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

MOUNTS, NAMES, MESSAGES, USERS, PROCESSES, NETWORK = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 24, 38
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_SLAVE = 1, 2, 4, 8, 1 << 12, 1 << 14, 1 << 19
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
CAPABILITIES = 64
FIRST = "tito-first"
"""What `ps` calls the first process of a namespace, which does nothing but wait."""
CAPABILITY_VERSION = 0x20080522


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "namespace")]


def leave() -> None:
    """From now on this process's children are in namespaces of their own, with the same user id. OSError where that is not allowed."""
    libc, user, group = _libc(), os.getuid(), os.getgid()
    libc.prctl(PR_SET_DUMPABLE, 1)  # else its files in /proc belong to root; the child takes it back
    _checked(libc.unshare(MOUNTS | NAMES | MESSAGES | USERS | PROCESSES | NETWORK), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def furnish(writable: Sequence[str], hidden: Sequence[str]) -> None:
    """In the child: everything can be read, only `writable` can be written, `hidden` folders are empty. It can't be taken back. OSError."""
    here = os.getcwd()
    _mount("none", "/", "", MS_REC | MS_SLAVE)
    _read_only("/", True, AT_RECURSIVE)
    for path in writable:
        _mount(path, path, "", MS_BIND)
        _read_only(path, False)
    for path in filter(os.path.isdir, hidden):
        _mount("tmpfs", path, "tmpfs", MS_RDONLY, b"size=4k")
    _mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, b"size=256m")
    _mount("proc", "/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _start_loopback()
    os.chdir(here)  # through the mounts above: the folder we stood in is one below them
    _drop_capabilities()


def _start_loopback() -> None:
    import fcntl  # not on Windows, where this file is read, too

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def _drop_capabilities() -> None:
    libc = _libc()
    for capability in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # those that this kernel does not know are refused
    _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    header, none = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    _checked(libc.capset(header, none), "capset")


def _mount(source: str, target: str, kind: str, flags: int, data: bytes | None = None) -> None:
    result = _libc().mount(os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data)
    _checked(result, f"mount {target}")


def _read_only(path: str, wanted: bool, flags: int = 0) -> None:
    attributes = _MountAttributes(**{"set" if wanted else "clear": MOUNT_ATTR_RDONLY})
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    arguments = (AT_FDCWD, os.fsencode(path), flags, ctypes.byref(attributes), size)
    _checked(_libc().syscall(MOUNT_SETATTR, *arguments), f"mount_setattr {path}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")

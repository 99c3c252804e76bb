"""Reading and writing single files so that a crash leaves old or new, and odd files are an error instead of a surprise."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".tinytorch-tmp"
"""How the names of half-written files end; whoever finds one may delete it."""


class OddFile(OSError):
    """Something is there, but not an ordinary file of an ordinary size. `strerror` says what is."""


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file.

    Raises OddFile for anything else and for more than `limit` bytes, OSError where the system says no.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OddFile(errno.EFBIG, f"it is larger than {limit >> 20} MiB", str(path))
    return data


def open_regular(path: Path) -> BinaryIO:
    """A regular file, opened for reading without following a link or waiting for a pipe. Raises as read_regular does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):  # a link, or a socket
            raise OddFile(errno.EINVAL, f"it is {kind(path)}", str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OddFile(errno.EINVAL, f"it is {kind(path)}", str(path))
    return os.fdopen(descriptor, "rb")


def write_atomic(path: Path, data: bytes) -> None:
    """Put `data` at `path`, in place of what was there, so that a crash leaves the old or the new file, whole."""
    with _written(path, io.BytesIO(data), _mode(path)) as temporary:
        os.replace(temporary, path)


def write_new(path: Path, data: bytes | BinaryIO) -> None:
    """Put `data` at `path`, whole or not at all. Raises FileExistsError if anything is there already."""
    with _written(path, io.BytesIO(data) if isinstance(data, bytes) else data, 0o666) as temporary:
        link_new(temporary, path)


def link_new(temporary: Path, path: Path) -> None:
    """Give a finished file its name. Raises FileExistsError instead of replacing what bears that name."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "File exists", str(path)) from None
        os.rename(temporary, path)


def sync_folder(folder: Path) -> None:
    """Make a new name in `folder` survive a power failure."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def kind(path: Path) -> str:
    """What lies at `path`, in words: "a folder", "a symbolic link"."""
    mode = path.lstat().st_mode
    words = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link", stat.S_IFREG: "a file", stat.S_IFIFO: "a pipe"}
    return words.get(stat.S_IFMT(mode), "a socket or device")


def temporary_beside(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(8)}{TEMPORARY}")


def remove_temporaries(folder: Path) -> None:
    """Delete what a crash left half written. Only for who makes sure that nobody is writing there now."""
    for path in folder.glob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _written(path: Path, data: BinaryIO, mode: int) -> Iterator[Path]:
    """A finished, synced file beside `path` that the caller gives its name; its folder is synced afterwards."""
    temporary = temporary_beside(path)
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            shutil.copyfileobj(data, file)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """The permissions of the file that will be replaced; a private notebook stays private."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return 0o666
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else 0o666

import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tinytorch_core import files
from tinytorch_core.files import OddFile, read_regular, write_atomic, write_new

NAMES = ["plain.txt", "two words", "line\nbreak", "künstlich.ipynb", "-rf", "🙂"]


def odd(path: Path, what: str) -> None:
    if what == "a folder":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "a symbolic link":
        (path.parent / "target").write_text("secret")
        path.symlink_to(path.parent / "target")
    elif what == "a socket or device":
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.close()


ODD = ["a folder", "a pipe", "a symbolic link", "a socket or device"]


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_is_read(tmp_path: Path, name: str) -> None:
    write_new(tmp_path / name, b"one")
    write_atomic(tmp_path / name, b"two")
    assert read_regular(tmp_path / name, 3) == b"two"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("what", ODD)
def test_an_odd_file_is_never_read_and_is_called_what_it_is(tmp_path: Path, what: str) -> None:
    odd(tmp_path / "x", what)
    with pytest.raises(OddFile, match=f"it is {what}"):
        read_regular(tmp_path / "x", 100)


def test_a_link_that_leads_nowhere_or_in_a_circle_is_an_odd_file(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("x")
    (tmp_path / "y").symlink_to("nowhere")
    for name in ("x", "y"):
        with pytest.raises(OddFile, match="a symbolic link"):
            read_regular(tmp_path / name, 100)


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 3)
    with pytest.raises(OddFile, match="larger than"):
        read_regular(tmp_path / "x", 2)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "x", 2)


def test_a_new_file_never_replaces_anything(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_text() == "old" and os.listdir(tmp_path) == ["x"]


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_new(tmp_path / "x", b"new")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "x", b"newer")
    assert (tmp_path / "x").read_bytes() == b"new" and os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("write", "steps"),
    [(write_new, ["fsync"]), (write_new, ["link", "rename"]), (write_atomic, ["fsync"]), (write_atomic, ["replace"])],
)
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], None], steps: list[str]
) -> None:
    if write is write_atomic:
        (tmp_path / "x").write_text("old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for step in steps:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "x", b"new")
    assert [p.read_text() for p in tmp_path.iterdir()] == (["old"] if write is write_atomic else [])


def test_data_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def record_replace(old: Path, new: Path) -> None:
        steps.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    write_atomic(tmp_path / "x", b"data")
    assert steps == ["file", "rename", "folder"]


def test_a_private_file_stays_private_and_a_new_one_is_as_usual(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    (tmp_path / "x").chmod(0o600)
    write_atomic(tmp_path / "x", b"new")
    write_new(tmp_path / "y", b"new")
    (tmp_path / "z").touch()
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
    assert (tmp_path / "y").stat().st_mode == (tmp_path / "z").stat().st_mode


def test_a_link_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    odd(tmp_path / "x", "a symbolic link")
    write_atomic(tmp_path / "x", b"new")
    assert (tmp_path / "target").read_text() == "secret" and not (tmp_path / "x").is_symlink()


def test_only_half_written_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / f".0badcafe{files.TEMPORARY}").touch()
    (tmp_path / "notes").touch()
    files.remove_temporaries(tmp_path)
    assert os.listdir(tmp_path) == ["notes"]

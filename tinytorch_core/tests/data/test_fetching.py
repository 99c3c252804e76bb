"""Getting a data set: from the network or from a file, whole and right or not at all, and never two at once."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from tinytorch_core import files
from tinytorch_core.data import cache, digests, fetching
from tinytorch_core.data.catalogue import Dataset
from tinytorch_core.data.errors import FetchError
from tinytorch_core.data.fetching import fetch
from tinytorch_core.errors import UsageError
from tinytorch_core.tests.data.conftest import CONTENT, a_dataset, a_part
from tinytorch_core.tests.web import Web


def names(folder: Path) -> set[str]:
    """What lies there, without the lock."""
    return {path.name for path in folder.iterdir()} - {".lock"}


def test_a_data_set_comes_whole_and_nothing_else_stays(toy: Dataset, cache_folder: Path) -> None:
    home = fetch(toy)
    assert home == cache_folder / "toy"
    assert names(home) == {"toy.bin"} and (home / "toy.bin").read_bytes() == CONTENT
    assert cache.wrong(toy) == ""


def test_what_is_here_is_not_fetched_again(toy: Dataset, web: Web) -> None:
    fetch(toy)
    fetch(toy)
    assert len(web.asked) == 1


def test_only_what_is_missing_is_fetched(pair: Dataset, web: Web) -> None:
    fetch(pair)
    (cache.home(pair) / "a").unlink()
    fetch(pair)
    assert [asked["path"] for asked in web.asked] == ["/a", "/b", "/a"]


def test_what_was_damaged_is_replaced(toy: Dataset) -> None:
    fetch(toy)
    (cache.home(toy) / "toy.bin").write_bytes(b"damaged")
    fetch(toy)
    assert cache.wrong(toy) == ""


def test_steps_are_told_over_all_files(pair: Dataset) -> None:
    steps: list[tuple[str, int]] = []
    fetch(pair, on_step=lambda said, done: steps.append((said, done)))
    counts = [done for _, done in steps]
    assert counts == sorted(counts) and counts[-1] == 8000
    assert any(said.startswith("from 127.0.0.1:") for said, _ in steps)


def test_the_name_is_given_only_after_the_content_was_seen(toy: Dataset, web: Web, monkeypatch) -> None:
    def impatient(*anything: object) -> str:
        assert not (cache.home(toy) / "toy.bin").exists()
        return judge(*anything)

    judge = digests.wrong
    monkeypatch.setattr(digests, "wrong", impatient)
    fetch(toy)


def test_a_wrong_file_is_thrown_away_and_the_next_address_tried(toy: Dataset, web: Web) -> None:
    bad = web.serve("bad.bin", bytes(len(CONTENT)))
    (part,) = toy.parts
    fetch(a_dataset("toy", msgspec.structs.replace(part, urls=(bad, *part.urls))))
    assert cache.wrong(toy) == ""
    assert [asked["path"] for asked in web.asked] == ["/bad.bin", "/toy.bin"]


def test_only_a_wrong_file_is_an_error_and_leaves_nothing(toy: Dataset, web: Web) -> None:
    web.files["/toy.bin"] = bytes(len(CONTENT))
    with pytest.raises(FetchError, match=r"toy\.bin is not the file that it was: its sha256 is .* thrown away"):
        fetch(toy)
    assert names(cache.home(toy)) == set()


def test_what_was_here_and_right_survives_a_failure(pair: Dataset, web: Web) -> None:
    fetch(pair)
    (cache.home(pair) / "b").unlink()
    web.files["/b"] = bytes(3000)
    with pytest.raises(FetchError):
        fetch(pair)
    assert (cache.home(pair) / "a").read_bytes() == CONTENT[:5000]


def test_what_broke_off_goes_on_with_the_same_command(toy: Dataset, web: Web) -> None:
    web.breaks = [40_000, 0]
    with pytest.raises(FetchError, match=r"[34]\d kB of 100 kB are here and kept: the same command goes on from there"):
        fetch(toy)
    kept = cache.fetched_bytes(toy)
    fetch(toy)
    assert cache.wrong(toy) == "" and names(cache.home(toy)) == {"toy.bin"}
    assert web.ranges_asked[-1] == f"bytes={kept}-"


def test_a_spoilt_beginning_is_noticed_and_all_of_it_comes_again(toy: Dataset, web: Web) -> None:
    web.breaks = [40_000, 0]
    with pytest.raises(FetchError):
        fetch(toy)
    unfinished = cache.unfinished(cache.home(toy) / "toy.bin")
    unfinished.write_bytes(bytes(unfinished.stat().st_size))  # as a power failure leaves it
    fetch(toy)
    assert cache.wrong(toy) == ""
    assert web.ranges_asked[-1] == "" and len(web.asked) == 4


def test_offline_says_what_to_do_without_internet(toy: Dataset, web: Web, monkeypatch) -> None:
    (part,) = toy.parts
    nowhere = a_dataset("toy", msgspec.structs.replace(part, urls=("http://127.0.0.1:9/toy.bin",)))
    with pytest.raises(FetchError) as told:
        fetch(nowhere)
    assert told.value.exit_code == 1
    said = told.value.message
    assert "Toy could not be fetched." in said and "Is this machine connected to the internet?" in said
    assert "get toy.bin from http://127.0.0.1:9/toy.bin" in said and "`tito data fetch toy --from FILE`" in said
    assert "kept" not in said


def test_all_addresses_that_failed_are_told(toy: Dataset, web: Web) -> None:
    (part,) = toy.parts
    urls = (f"http://127.0.0.1:{web.port}/nothing", "http://127.0.0.1:9/toy.bin")
    with pytest.raises(FetchError, match=r"(?s)answers 404.*can't be reached"):
        fetch(a_dataset("toy", msgspec.structs.replace(part, urls=urls)))


# A class without internet


def test_a_file_from_elsewhere_will_do_whatever_its_name(toy: Dataset, web: Web, tmp_path: Path) -> None:
    source = tmp_path / "toy (1).bin"
    source.write_bytes(CONTENT)
    fetch(toy, [source])
    assert cache.wrong(toy) == "" and names(cache.home(toy)) == {"toy.bin"}
    assert source.read_bytes() == CONTENT and not web.asked


@pytest.mark.parametrize("how", ["folder", "files", "both"])
def test_several_files_come_from_a_folder_or_one_by_one(pair: Dataset, web: Web, tmp_path: Path, how: str) -> None:
    (tmp_path / "stick").mkdir()
    for name, size in (("a", 5000), ("b", 3000), ("other", 7)):
        (tmp_path / "stick" / name).write_bytes(CONTENT[:size])
    stick = tmp_path / "stick"
    fetch(pair, {"folder": [stick], "files": [stick / "b", stick / "a"], "both": [stick, stick / "a"]}[how])
    assert cache.wrong(pair) == "" and not web.asked


def test_a_missing_file_is_asked_for(pair: Dataset, web: Web, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT[:5000])
    with pytest.raises(
        UsageError, match=r"Pair still needs b\. Name each file with a --from of its own, or the folder"
    ):
        fetch(pair, [tmp_path / "a"])
    assert names(cache.home(pair)) == set()


def test_what_is_here_need_not_be_brought(pair: Dataset, web: Web, tmp_path: Path) -> None:
    fetch(pair)
    (cache.home(pair) / "b").unlink()
    (tmp_path / "b").write_bytes(CONTENT[:3000])
    fetch(pair, [tmp_path / "b"])
    assert cache.wrong(pair) == "" and len(web.asked) == 2


@pytest.mark.parametrize("content", [b"", b"wrong", bytes(len(CONTENT))], ids=["empty", "short", "zeros"])
def test_a_wrong_file_is_refused_and_left_alone(toy: Dataset, tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "toy.bin"
    source.write_bytes(content)
    with pytest.raises(FetchError, match=r"toy\.bin is not the right file: its sha256 is .* is to be had from http"):
        fetch(toy, [source])
    assert names(cache.home(toy)) == set() and source.read_bytes() == content


def test_a_file_that_changes_while_it_is_copied_is_noticed(toy: Dataset, tmp_path: Path, monkeypatch) -> None:
    source = tmp_path / "toy.bin"
    source.write_bytes(CONTENT)
    judge = digests.wrong

    def judge_then_change(part, file):  # type: ignore[no-untyped-def]
        said = judge(part, file)
        source.write_bytes(b"other")
        return said

    monkeypatch.setattr(digests, "wrong", judge_then_change)
    with pytest.raises(FetchError, match="is not the right file"):
        fetch(toy, [source])
    assert names(cache.home(toy)) == set()


def test_a_file_that_can_not_be_read_is_named(toy: Dataset, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"gone\.bin can't be read \(No such file or directory\)"):
        fetch(toy, [tmp_path / "gone.bin"])


# Disks


def test_too_little_room_is_said_before_anything_comes(toy: Dataset, web: Web, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(
        FetchError, match=r"Toy needs 100 kB more, and .* has 10 B free\. Make room, or let TINYTORCH_DATA"
    ):
        fetch(toy)
    assert not web.asked


def test_what_has_come_needs_no_more_room(toy: Dataset, web: Web, monkeypatch) -> None:
    web.breaks = [60_000, 0]
    with pytest.raises(FetchError):
        fetch(toy)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 70_000))
    fetch(toy)
    assert cache.wrong(toy) == ""


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_gets_full_keeps_what_has_come(toy: Dataset, code: int) -> None:
    def full(said: str, here: int) -> None:
        if here > 50_000:
            raise OSError(code, os.strerror(code))

    with pytest.raises(FetchError, match=r"The disk is full; \d\d kB of 100 kB are here and kept\. Make room, or"):
        fetch(toy, on_step=full)
    assert cache.unfinished(cache.home(toy) / "toy.bin").stat().st_size > 50_000
    fetch(toy)
    assert cache.wrong(toy) == ""


def test_a_really_full_disk() -> None:
    """/dev/full says no to every byte, as the last write on a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("this machine has no /dev/full")
    with (
        pytest.raises(FetchError, match="The disk is full"),
        fetching._disk_in_words(a_dataset("toy", a_part("x", b"x")), Path("/dev")),
        open("/dev/full", "wb") as file,
    ):
        file.write(bytes(100_000))


def test_a_folder_that_may_not_be_written_is_named(toy: Dataset, as_ordinary_user, monkeypatch) -> None:
    with as_ordinary_user() as folder:
        folder.chmod(0o500)
        monkeypatch.setenv(cache.VARIABLE, str(folder / "data"))
        with pytest.raises(FetchError, match=r"can't be written to \(Permission denied\)\. .*export TINYTORCH_DATA="):
            fetch(toy)
        folder.chmod(0o700)


def test_a_file_in_the_folders_place_is_told(toy: Dataset, cache_folder: Path) -> None:
    cache_folder.write_text("not a folder")
    with pytest.raises(FetchError, match="can't be written to"):
        fetch(toy)


def test_a_shared_folder_that_may_only_be_read_will_do(toy: Dataset, as_ordinary_user, monkeypatch) -> None:
    home = fetch(toy)
    with as_ordinary_user() as folder:
        (folder / "toy").mkdir()
        (folder / "toy" / "toy.bin").write_bytes(CONTENT)
        (folder / "toy").chmod(0o500)
        monkeypatch.setenv(cache.VARIABLE, str(folder))
        assert fetch(toy) == folder / "toy" != home
        (folder / "toy").chmod(0o700)


# Two at once, and the ends of processes


def test_two_fetches_at_once_take_turns_and_the_second_finds_it_done(toy: Dataset, web: Web) -> None:
    web.pause = 0.002
    waited: list[str] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            fetch(toy, on_step=lambda said, done: waited.append(said))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(web.asked) == 1 and cache.wrong(toy) == ""
    assert waited.count("waiting for another fetch of it") == 3


SLOW_FETCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs the tests in the background
from tinytorch_core.data import download, fetching
from tinytorch_core.data.catalogue import Dataset
import msgspec
fetching.fetch(msgspec.json.decode(sys.argv[1], type=Dataset))
"""


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_process_that_ends_half_way_keeps_what_has_come_and_no_lock(toy: Dataset, web: Web, signal: str) -> None:
    import signal as signals

    web.pause = 0.01
    command = [sys.executable, "-c", SLOW_FETCH, msgspec.json.encode(toy).decode()]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    unfinished = cache.unfinished(cache.home(toy) / "toy.bin")
    deadline = time.monotonic() + 30
    while not (unfinished.is_file() and unfinished.stat().st_size > 20_000):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(getattr(signals, signal))
    assert process.wait(timeout=30) != 0
    assert not (cache.home(toy) / "toy.bin").exists()
    web.pause = 0
    fetch(toy)
    assert cache.wrong(toy) == "" and names(cache.home(toy)) == {"toy.bin"}
    assert web.ranges_asked[1].startswith("bytes=")


def test_leftovers_of_a_killed_copy_are_swept(toy: Dataset) -> None:
    cache.home(toy).mkdir(parents=True)
    files.temporary_beside(cache.home(toy) / "toy.bin").write_bytes(b"half")
    fetch(toy)
    assert names(cache.home(toy)) == {"toy.bin"}


def test_the_file_is_on_the_disk_before_it_has_its_name(toy: Dataset, monkeypatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("fsync"), fsync(descriptor))[1])
    monkeypatch.setattr(os, "replace", lambda old, new: (steps.append("name"), replace(old, new))[1])
    fetch(toy)
    assert steps == ["fsync", "name", "fsync"]

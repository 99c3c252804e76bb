"""tito data: what it prints, what it returns, and that it ends with the right code."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from tinytorch_core.cli import live, render
from tinytorch_core.data import cache, catalogue, embedded
from tinytorch_core.data.catalogue import Dataset
from tinytorch_core.tests.cli.conftest import Terminal
from tinytorch_core.tests.data.conftest import CONTENT, a_dataset, a_part
from tinytorch_core.tests.web import Web


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def cifar10(web: Web, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A small file in place of CIFAR-10's, on a server of our own."""
    small = a_dataset("cifar10", a_part("cifar.bin", CONTENT, web.serve("cifar.bin", CONTENT)))
    others = tuple(d for d in catalogue.datasets() if d.id != "cifar10")
    monkeypatch.setattr(catalogue, "datasets", lambda: (*others, small))
    return small


def test_the_list_says_what_ships_and_what_does_not(terminal: Terminal) -> None:
    listed = {view["id"]: view for view in terminal.json("data", "list")}
    assert {name: view["state"] for name, view in listed.items()} == {
        "mnist": "ships", "fashion-mnist": "ships", "novel": "ships", "mnist-full": "absent", "cifar10": "absent",
    }  # fmt: skip
    assert listed["cifar10"]["urls"] == ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"]
    assert listed["cifar10"]["bytes"] == 170_052_171 and listed["cifar10"]["here"] == 0
    assert Path(listed["novel"]["path"]).is_file()
    text = terminal.text("data", "list")
    assert re.search(r"cifar10 +absent +170\.1 MB +none stated +60,000 photographs", text)
    assert re.search(r"mnist +ships +2\.0 MB +CC BY-SA 3\.0", text)


def test_the_list_follows_a_fetch(terminal: Terminal, web: Web, cifar10: Dataset) -> None:
    cache.home(cifar10).mkdir(parents=True)
    cache.unfinished(cache.home(cifar10) / "cifar.bin").write_bytes(CONTENT[:42_000])
    assert terminal.json("data", "list")[-1]["state"] == "unfinished"
    assert "unfinished, 42%" in terminal.text("data", "list")
    terminal.text("data", "fetch", "cifar10")
    assert terminal.json("data", "list")[-1]["state"] == "fetched"


def test_fetching_prints_the_folder_and_says_how_a_notebook_gets_it(terminal: Terminal, cifar10: Dataset) -> None:
    result = terminal("data", "fetch", "CIFAR-10")
    assert result.exit_code == 0
    assert result.stdout == f"{cache.home(cifar10)}\n"
    assert "from tinytorch_core.data import load_cifar10" in result.stderr
    assert cache.wrong(cifar10) == ""


def test_fetching_as_json_is_one_value(terminal: Terminal, cifar10: Dataset) -> None:
    assert terminal.json("data", "fetch", "cifar10")["path"] == str(cache.home(cifar10))


def test_a_class_without_internet(terminal: Terminal, web: Web, cifar10: Dataset, tmp_path: Path) -> None:
    (tmp_path / "downloaded.bin").write_bytes(CONTENT)
    terminal.text("data", "fetch", "cifar10", "--from", "downloaded.bin")
    assert cache.wrong(cifar10) == "" and not web.asked


def test_what_ships_needs_no_fetching(terminal: Terminal) -> None:
    result = terminal("data", "fetch", "novel")
    assert result.exit_code == 0
    assert result.stdout == f"{embedded.FOLDER / 'austen_pride_prejudice.txt'}\n"
    assert "ships with TinyTorch: nothing to fetch" in result.stderr


def test_offline_is_told_in_words_and_fails(terminal: Terminal, cifar10: Dataset, web: Web) -> None:
    web.status = 503
    result = terminal("data", "fetch", "cifar10")
    assert result.exit_code == 1 and result.stdout == ""
    assert "answers 503" in result.stderr and "--from FILE" in result.stderr
    told = terminal.json("data", "fetch", "cifar10", code=1)
    assert told["reason"] == "FetchError" and "answers 503" in told["message"]


def test_wrong_words_are_usage_errors(terminal: Terminal) -> None:
    assert terminal.json("data", "fetch", "imagenet", code=2)["reason"] == "UnknownName"
    assert terminal.json("data", "verify", "imagenet", code=2)["reason"] == "UnknownName"
    assert terminal("data", "fetch").exit_code == 2
    assert terminal("data", "fetch", "cifar10", "--from", "nothing.here").exit_code == 2


def test_verifying_looks_at_everything(terminal: Terminal, cifar10: Dataset) -> None:
    found = terminal.json("data", "verify")
    assert [finding["name"] for finding in found] == ["mnist", "fashion-mnist", "novel", "mnist-full", "cifar10"]
    assert all(finding["ok"] for finding in found)
    assert "not fetched; `tito data fetch cifar10` does" in terminal.text("data", "verify")
    terminal.text("data", "fetch", "cifar10")
    assert "fetched, and is right" in terminal.text("data", "verify", "cifar10")


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"?", None], ids=["cut", "changed", "unfinished"])
def test_what_is_not_right_fails_and_says_what_to_do(
    terminal: Terminal, cifar10: Dataset, content: bytes | None
) -> None:
    terminal.text("data", "fetch", "cifar10")
    path = cache.home(cifar10) / "cifar.bin"
    path.unlink()
    (path if content else cache.unfinished(path)).write_bytes(content or b"half")
    (found,) = terminal.json("data", "verify", "cifar10", code=1)
    assert not found["ok"] and found["found"].startswith("cifar.bin: its sha256 is" if content else "unfinished; `tito")
    assert found["advice"] == "tito data fetch cifar10"
    assert terminal("data", "verify", "novel").exit_code == 0


def test_a_shipped_file_that_is_damaged_fails(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    (tmp_path / "austen_pride_prejudice.txt").write_text("It is a truth")
    text = terminal.text("data", "verify", "novel", code=1)
    assert "problem" in text and "Reinstall" in text


def test_no_workspace_is_needed(terminal: Terminal) -> None:
    assert not list(terminal.folder.glob(".tinytorch"))
    assert terminal("data", "list").exit_code == 0


def test_the_bar_says_what_from_where_and_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(stderr=True, force_terminal=True, width=150, record=True)
    monkeypatch.setattr(render, "errors", lambda: console)
    with live.Fetching("CIFAR-10", 170_000_000, quiet=False) as bar:
        bar.show("from [www].cs.toronto.edu", 85_000_000)
        bar._progress.refresh()
        drawn = console.export_text()
    assert "CIFAR-10" in drawn and "85.0/170.0 MB" in drawn and "from [www].cs.toronto.edu" in drawn


SCRIPT = """
import msgspec, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs the tests in the background
from tinytorch_core.cli import main
from tinytorch_core.data import catalogue
toy = msgspec.json.decode(sys.argv.pop(1), type=catalogue.Dataset)
catalogue.datasets = lambda: (toy,)
main()
"""


def test_ctrl_c_in_a_terminal_is_clean(web: Web, cifar10: Dataset) -> None:
    """A real process on a real terminal: the bar is drawn, and Ctrl-C ends it with 130 and a word on what is kept."""
    import msgspec

    web.pause = 0.01
    ours, its = pty.openpty()
    command = [sys.executable, "-c", SCRIPT, msgspec.json.encode(cifar10).decode(), "data", "fetch", "cifar10"]
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env={**os.environ, "TERM": "xterm"})
    os.close(its)
    unfinished = cache.unfinished(cache.home(cifar10) / "cifar.bin")
    deadline = time.monotonic() + 30
    while not (unfinished.is_file() and unfinished.stat().st_size > 30_000):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = everything(ours)
    assert process.wait(timeout=30) == 130
    assert "Cifar10" in said and "/100.0" in said
    assert "What has come is kept" in said and "Stopped." in said and "Traceback" not in said
    assert CONTENT.startswith(unfinished.read_bytes())


def everything(terminal: int) -> str:
    """What comes out of a terminal until its process has closed it."""
    said = b""
    try:
        while chunk := os.read(terminal, 65536):
            said += chunk
    except OSError:  # so Linux says that the other end is closed
        pass
    os.close(terminal)
    return said.decode()

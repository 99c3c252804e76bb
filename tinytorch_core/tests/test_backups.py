import os
import re
from pathlib import Path

import pytest

from tinytorch_core.backups import Backups
from tinytorch_core.files import OddFile


@pytest.fixture
def backups(tmp_path: Path) -> Backups:
    return Backups(tmp_path / "backups")


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "02_tensor.ipynb"
    path.write_text("mine")
    return path


def test_a_copy_has_the_name_and_the_time(backups: Backups, notebook: Path) -> None:
    kept = backups.copy(notebook)
    assert kept.parent == backups.folder and kept.read_text() == notebook.read_text() == "mine"
    assert re.fullmatch(r"02_tensor-\d{8}-\d{6}\.ipynb", kept.name)


def test_copies_in_the_same_second_are_all_kept(
    backups: Backups, notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda _: "20261123-181530")
    kept = []
    for number in range(3):
        notebook.write_text(f"version {number}")
        kept.append(backups.copy(notebook))
    assert [path.read_text() for path in kept] == ["version 0", "version 1", "version 2"]
    assert [path.name for path in kept[1:]] == [
        "02_tensor-20261123-181530-2.ipynb",
        "02_tensor-20261123-181530-3.ipynb",
    ]


def test_a_large_file_is_copied_too(backups: Backups, notebook: Path) -> None:
    os.truncate(notebook, 80 << 20)
    assert backups.copy(notebook).stat().st_size == 80 << 20


def test_a_link_is_not_copied(backups: Backups, notebook: Path) -> None:
    link = notebook.with_name("link.ipynb")
    link.symlink_to(notebook)
    with pytest.raises(OddFile):
        backups.copy(link)


def test_anything_can_be_moved_out_of_the_way(backups: Backups, notebook: Path) -> None:
    folder, link, pipe = (notebook.with_name(name) for name in ("folder", "link", "pipe"))
    folder.mkdir()
    (folder / "inside").touch()
    link.symlink_to("nowhere")
    os.mkfifo(pipe)
    kept = [backups.move(path) for path in (folder, link, pipe, notebook)]
    assert (
        (kept[0] / "inside").exists() and kept[1].is_symlink() and kept[2].is_fifo() and kept[3].read_text() == "mine"
    )
    assert os.listdir(notebook.parent) == ["backups"]


def test_moving_never_replaces_an_earlier_backup(backups: Backups, notebook: Path) -> None:
    first = backups.move(notebook)
    notebook.write_text("again")
    assert backups.move(notebook) != first and first.read_text() == "mine"


def test_the_longest_name_still_makes_a_backup(backups: Backups, tmp_path: Path) -> None:
    for name in ("a" * 255, "ü" * 127, "a." + "b" * 253, "🙂" * 63):
        (tmp_path / name).write_text(name)
        assert backups.copy(tmp_path / name).read_text() == backups.move(tmp_path / name).read_text() == name

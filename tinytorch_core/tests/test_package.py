import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tinytorch_core.backups import Backups
from tinytorch_core.export import INIT_HEADER
from tinytorch_core.package import bring_up_to, is_foreign

SOURCES = {"__init__.py": b"from .a import x\n", "a.py": b"x = 1\n"}


@pytest.fixture
def bring(tmp_path: Path) -> Callable[..., list[str]]:
    """Brings tmp_path/tinytorch up to the sources given; what comes back are the contents of the backups made."""
    (tmp_path / "tinytorch").mkdir()

    def up_to(sources: dict[str, bytes]) -> list[str]:
        kept = bring_up_to(tmp_path / "tinytorch", sources, tmp_path / "package.json", Backups(tmp_path / "backups"))
        return [path.read_text() if path.is_file() else path.name for path in kept]

    return up_to


def content(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (tmp_path / "tinytorch").iterdir() if path.is_file()}


def test_the_folder_holds_exactly_the_sources(tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    assert bring(SOURCES) == []
    assert content(tmp_path) == SOURCES


def test_a_newer_source_replaces_an_older_one_without_a_backup(tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    bring(SOURCES)
    assert bring(SOURCES | {"a.py": b"x = 2\n"}) == []
    assert content(tmp_path)["a.py"] == b"x = 2\n"


def test_a_file_edited_by_hand_is_put_back_and_the_edit_kept(tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    bring(SOURCES)
    (tmp_path / "tinytorch" / "a.py").write_text("x = 7")
    assert bring(SOURCES) == ["x = 7"]
    assert content(tmp_path) == SOURCES


def test_a_file_of_somebody_else_is_moved_to_the_backups(tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    (tmp_path / "tinytorch" / "helper.py").write_text("mine")
    assert bring(SOURCES) == ["mine"]
    assert content(tmp_path) == SOURCES


def test_a_source_that_the_record_lost_is_kept_as_a_backup(tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    bring(SOURCES)
    assert bring({"__init__.py": b""}) == ["x = 1\n"]
    assert content(tmp_path) == {"__init__.py": b""}


def test_what_is_no_file_is_moved_whole(tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    package = tmp_path / "tinytorch"
    (package / "a.py").mkdir()
    (package / "a.py" / "inside").touch()
    os.mkfifo(package / "pipe.py")
    (package / "__init__.py").symlink_to(tmp_path / "outside.py")
    (tmp_path / "outside.py").write_text("not ours")
    assert len(bring(SOURCES)) == 3
    assert content(tmp_path) == SOURCES and not (package / "__init__.py").is_symlink()
    assert (tmp_path / "outside.py").read_text() == "not ours"


def test_what_python_and_jupyter_make_stays(tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    (tmp_path / "tinytorch" / "__pycache__").mkdir()
    (tmp_path / "tinytorch" / ".ipynb_checkpoints").mkdir()
    assert bring(SOURCES) == []
    assert (tmp_path / "tinytorch" / "__pycache__").is_dir()


def test_nothing_is_written_where_all_is_well(tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    bring(SOURCES)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert bring(SOURCES) == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b'{"a.py": 3}', b"\xff"])
def test_a_damaged_manifest_costs_a_backup_and_nothing_else(
    tmp_path: Path, bring: Callable[..., list[str]], manifest: bytes
) -> None:
    bring(SOURCES)
    (tmp_path / "package.json").write_bytes(manifest)
    assert bring(SOURCES | {"a.py": b"x = 2\n"}) == ["x = 1\n"]
    assert content(tmp_path)["a.py"] == b"x = 2\n"


def test_a_crash_before_the_manifest_was_written_does_no_harm(tmp_path: Path, bring: Callable[..., list[str]]) -> None:
    bring(SOURCES)
    old = (tmp_path / "package.json").read_bytes()
    bring(SOURCES | {"a.py": b"x = 2\n"})
    (tmp_path / "package.json").write_bytes(old)
    assert bring(SOURCES | {"a.py": b"x = 2\n"}) == []
    assert (tmp_path / "package.json").read_bytes() != old


def test_a_folder_is_foreign_unless_it_is_empty_or_begins_as_ours_does(tmp_path: Path) -> None:
    folder = tmp_path / "tinytorch"
    assert not is_foreign(folder, INIT_HEADER)
    folder.mkdir()
    (folder / "__pycache__").mkdir()
    assert not is_foreign(folder, INIT_HEADER)
    (folder / "tensor.py").touch()
    assert is_foreign(folder, INIT_HEADER)
    (folder / "__init__.py").write_text("import numpy")
    assert is_foreign(folder, INIT_HEADER)
    (folder / "__init__.py").write_text(INIT_HEADER)
    assert not is_foreign(folder, INIT_HEADER)

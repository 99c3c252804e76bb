import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import nbformat
import pytest

from tinytorch_core import authoring
from tinytorch_core import workspace as workspace_module
from tinytorch_core.catalogue import Course
from tinytorch_core.errors import NotebookUnreadable, WorkspaceError
from tinytorch_core.export import INIT_HEADER
from tinytorch_core.progress import Completion, ProgressStore
from tinytorch_core.report import Report
from tinytorch_core.workspace import Workspace

Accept = Callable[..., None]
Solved = Callable[..., tuple[Report, Completion]]
Solve = Callable[..., Path]


def notebooks(workspace: Workspace) -> list[str]:
    return sorted(path.relative_to(workspace.root).as_posix() for path in workspace.root.rglob("*.ipynb"))


def snapshot(root: Path) -> dict[Path, tuple[int, bytes | None]]:
    """Every file but the lock, which is touched by whoever holds it."""
    found = [p for p in root.rglob("*") if p.name != "workspace.lock"]
    return {p: (p.lstat().st_mtime_ns, p.read_bytes() if p.is_file() else None) for p in found}


def backups(workspace: Workspace) -> list[Path]:
    return sorted((workspace.root / ".tinytorch" / "backups").iterdir())


class TestFinding:
    def test_the_nearest_folder_upward_is_found(self, workspace: Workspace, tiny_course: Course) -> None:
        for start in (workspace.root, workspace.root / "notebooks", workspace.root / "not" / "there"):
            assert Workspace.find(start, tiny_course).root == workspace.root

    def test_of_two_the_inner_one_is_found(self, workspace: Workspace, tiny_course: Course) -> None:
        inner = Workspace.create(workspace.root / "inner", tiny_course)
        assert Workspace.find(inner.root / "notebooks", tiny_course).root == inner.root

    def test_outside_of_any_the_error_says_how_to_make_one(self, tmp_path: Path, tiny_course: Course) -> None:
        with pytest.raises(WorkspaceError, match="`tito init` makes one"):
            Workspace.find(tmp_path, tiny_course)

    def test_it_exists_once_it_was_made(self, tmp_path: Path, tiny_course: Course) -> None:
        assert not Workspace.exists(tmp_path)
        Workspace.create(tmp_path, tiny_course)
        assert Workspace.exists(tmp_path)


class TestCreating:
    def test_it_has_its_folders_and_no_notebook_that_is_locked(self, workspace: Workspace) -> None:
        assert sorted(os.listdir(workspace.root)) == [".tinytorch", "historical", "notebooks", "tinytorch"]
        assert notebooks(workspace) == ["notebooks/01_counting.ipynb"]

    @pytest.mark.parametrize("name", ["two words", "line\nbreak", "künstlich", "🙂", "-rf", "a'b\"c", "100%"])
    def test_it_may_be_called_anything(self, tmp_path: Path, tiny_course: Course, name: str) -> None:
        made = Workspace.create(tmp_path / "deep" / name, tiny_course)
        made.materialise({})
        assert made.root.name == name and notebooks(made) == ["notebooks/01_counting.ipynb"]

    def test_making_it_again_changes_nothing(self, workspace: Workspace, tiny_course: Course) -> None:
        before = snapshot(workspace.root / "notebooks") | snapshot(workspace.root / "tinytorch")
        Workspace.create(workspace.root, tiny_course)
        assert snapshot(workspace.root / "notebooks") | snapshot(workspace.root / "tinytorch") == before

    def test_a_folder_with_files_is_adopted_and_they_stay(self, tmp_path: Path, tiny_course: Course) -> None:
        (tmp_path / "notebooks").mkdir()
        (tmp_path / "notebooks" / "01_counting.ipynb").write_text("mine")
        (tmp_path / "essay.txt").write_text("mine, too")
        Workspace.create(tmp_path, tiny_course).materialise({})
        assert (tmp_path / "notebooks" / "01_counting.ipynb").read_text() == "mine"
        assert (tmp_path / "essay.txt").read_text() == "mine, too"

    def test_somebody_elses_package_is_not_overwritten(self, tmp_path: Path, tiny_course: Course) -> None:
        (tmp_path / "tinytorch").mkdir()
        (tmp_path / "tinytorch" / "__init__.py").write_text("import torch")
        with pytest.raises(WorkspaceError, match="was not made by TinyTorch for JupyterLab"):
            Workspace.create(tmp_path, tiny_course)
        assert os.listdir(tmp_path) == ["tinytorch"]

    def test_a_workspace_whose_package_was_changed_by_hand_is_adopted(
        self, workspace: Workspace, tiny_course: Course
    ) -> None:
        (workspace.root / "tinytorch" / "__init__.py").write_text("mine")
        Workspace.create(workspace.root, tiny_course).materialise({})
        assert [path.read_text() for path in backups(workspace)] == ["mine"]

    def test_our_own_package_without_its_record_is_adopted(self, tmp_path: Path, tiny_course: Course) -> None:
        (tmp_path / "tinytorch").mkdir()
        (tmp_path / "tinytorch" / "__init__.py").write_text(INIT_HEADER)
        (tmp_path / "tinytorch" / "counting.py").write_text("once accepted")
        made = Workspace.create(tmp_path, tiny_course)
        made.materialise({})
        assert "once accepted" in [path.read_text() for path in backups(made)]

    @pytest.mark.parametrize("name", [".tinytorch", "notebooks", "historical", "tinytorch"])
    @pytest.mark.parametrize("what", ["a file", "a symbolic link", "a pipe"])
    def test_what_is_in_the_way_is_named_and_left_alone(
        self, tmp_path: Path, tiny_course: Course, name: str, what: str
    ) -> None:
        root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
        root.mkdir()
        elsewhere.mkdir()
        make: dict[str, Callable[[], object]] = {
            "a file": (root / name).touch,
            "a symbolic link": lambda: (root / name).symlink_to(elsewhere),
            "a pipe": lambda: os.mkfifo(root / name),
        }
        make[what]()
        with pytest.raises(WorkspaceError, match=f"{name} is in the way: it is {what}"):
            Workspace.create(root, tiny_course)
        assert list(elsewhere.iterdir()) == []

    def test_a_file_can_not_become_a_workspace(self, tmp_path: Path, tiny_course: Course) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(WorkspaceError, match="file can't become a workspace"):
            Workspace.create(tmp_path / "file", tiny_course)

    def test_the_courses_own_folder_can_not_become_a_workspace(self, tiny_course: Course) -> None:
        with pytest.raises(WorkspaceError, match="the course's own sources"):
            Workspace.create(tiny_course.root, tiny_course)
        assert not Workspace.exists(tiny_course.root)

    def test_a_folder_that_may_not_be_written_says_so(
        self, tiny_course: Course, as_ordinary_user: Callable[..., object]
    ) -> None:
        with as_ordinary_user() as folder:  # type: ignore[attr-defined]
            folder.chmod(0o500)
            with pytest.raises(WorkspaceError, match="Permission denied"):
                Workspace.create(folder / "new", tiny_course)
            folder.chmod(0o700)


class TestContainment:
    @pytest.mark.parametrize(
        "relative", ["../x", "/etc/passwd", "notebooks/../../x", "..", "a/b/../../../x", "notebooks/\0"]
    )
    def test_a_path_that_leads_outside_is_refused(self, workspace: Workspace, relative: str) -> None:
        with pytest.raises(WorkspaceError):
            workspace.path(relative)

    @pytest.mark.parametrize("relative", ["notebooks/x.ipynb", ".", "a/../b", "notebooks/./x", "new\nline", "..x"])
    def test_a_path_inside_is_resolved(self, workspace: Workspace, relative: str) -> None:
        assert workspace.path(relative).is_relative_to(workspace.root)

    def test_a_link_that_leads_outside_is_refused(self, workspace: Workspace, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (workspace.root / "way").symlink_to(tmp_path / "outside")
        with pytest.raises(WorkspaceError, match="leads out of the workspace"):
            workspace.path("way/x.ipynb")

    def test_links_in_a_circle_are_refused(self, workspace: Workspace) -> None:
        (workspace.root / "a").symlink_to("b")
        (workspace.root / "b").symlink_to("a")
        with pytest.raises(WorkspaceError):
            workspace.path("a/x")

    def test_a_workspace_reached_by_a_link_is_the_same_workspace(
        self, workspace: Workspace, tmp_path: Path, tiny_course: Course
    ) -> None:
        (tmp_path / "link").symlink_to(workspace.root)
        linked = Workspace.find(tmp_path / "link" / "notebooks", tiny_course)
        assert linked.root == workspace.root
        assert linked.path(tmp_path / "link" / "notebooks" / "x") == workspace.root / "notebooks" / "x"

    @pytest.mark.parametrize("folder", ["notebooks", "tinytorch", "historical", ".tinytorch/backups"])
    def test_a_folder_that_became_a_link_is_never_written_through(
        self, workspace: Workspace, tmp_path: Path, accept: Accept, folder: str
    ) -> None:
        outside = tmp_path / "outside"
        (workspace.root / folder).rename(outside)
        (workspace.root / folder).symlink_to(outside)
        before = snapshot(outside)
        with pytest.raises(WorkspaceError, match="a symbolic link, not a folder"):
            accept("01_counting", "02_adding")
        with pytest.raises(WorkspaceError):
            workspace.reset(workspace.course.module("01"))
        assert snapshot(outside) == before


def make_large(path: Path) -> None:
    path.touch()
    os.truncate(path, (64 << 20) + 1)


def odd_notebooks() -> dict[str, Callable[[Path], object]]:
    return {
        "a folder": lambda path: path.mkdir(),
        "a pipe": lambda path: os.mkfifo(path),
        "a symbolic link": lambda path: path.symlink_to("/etc/passwd"),
        "larger than 64 MiB": make_large,
    }


class TestReading:
    def test_a_notebook_is_read_as_it_is(self, workspace: Workspace, solve: Solve) -> None:
        path = solve("01_counting")
        assert workspace.read_notebook(path) == path.read_bytes()
        assert workspace.read_notebook(Path("notebooks/01_counting.ipynb")) == path.read_bytes()

    @pytest.mark.parametrize("what", odd_notebooks())
    def test_what_is_no_plain_file_is_refused_at_once(self, workspace: Workspace, what: str) -> None:
        path = workspace.notebook(workspace.course.module("01"))
        path.unlink()
        odd_notebooks()[what](path)
        started = time.monotonic()
        with pytest.raises(NotebookUnreadable, match=f"it is {what}") as caught:
            workspace.read_notebook(path)
        assert time.monotonic() - started < 1 and str(path) in caught.value.message

    def test_a_missing_notebook_says_how_it_comes_back(self, workspace: Workspace) -> None:
        with pytest.raises(NotebookUnreadable, match="Open the module"):
            workspace.read_notebook(workspace.notebook(workspace.course.module("02")))

    def test_a_notebook_that_may_not_be_read_says_so(
        self, tiny_course: Course, as_ordinary_user: Callable[..., object]
    ) -> None:
        with as_ordinary_user() as folder:  # type: ignore[attr-defined]
            made = Workspace.create(folder, tiny_course)
            made.materialise({})
            path = made.notebook(tiny_course.module("01"))
            path.chmod(0)
            with pytest.raises(NotebookUnreadable, match="Permission denied"):
                made.read_notebook(path)
            kept = made.reset(tiny_course.module("01"))
            assert kept is not None and kept.stat().st_mode & 0o777 == 0
            assert made.read_notebook(path)

    def test_a_notebook_outside_is_not_read(self, workspace: Workspace, tmp_path: Path) -> None:
        (tmp_path / "x.ipynb").write_text("{}")
        with pytest.raises(WorkspaceError, match="leads out"):
            workspace.read_notebook(tmp_path / "x.ipynb")


class TestMaterialising:
    def test_a_completion_unlocks_the_next_notebook_and_makes_the_package(
        self, workspace: Workspace, accept: Accept, solved: Solved
    ) -> None:
        accept("01_counting")
        assert notebooks(workspace) == ["notebooks/01_counting.ipynb", "notebooks/02_adding.ipynb"]
        source = (workspace.root / "tinytorch" / "counting.py").read_text()
        assert source == solved("01_counting")[1].source

    def test_the_package_works_in_a_python_of_its_own(self, workspace: Workspace, accept: Accept) -> None:
        accept("01_counting", "02_adding", "03_doubling")
        code = "import numpy as np, tinytorch; print(tinytorch.Doubler(2)(np.arange(3)), tinytorch.__all__)"
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=workspace.root, capture_output=True, text=True, check=True
        )
        assert ran.stdout == "[0 4 8] ['count', 'mean', 'add', 'total', 'double', 'Doubler']\n"

    def test_a_historical_notebook_comes_with_its_module(self, workspace: Workspace, accept: Accept) -> None:
        accept("01_counting")
        assert os.listdir(workspace.root / "historical") == []
        accept("02_adding", "03_doubling")
        assert os.listdir(workspace.root / "historical") == ["pascaline_1642.ipynb"]
        nbformat.validate(json.loads((workspace.root / "historical" / "pascaline_1642.ipynb").read_bytes()))

    def test_a_module_that_is_coming_has_no_notebook(self, workspace: Workspace, accept: Accept) -> None:
        accept("01_counting", "02_adding", "03_doubling")
        assert len(os.listdir(workspace.root / "notebooks")) == 3

    def test_doing_it_again_touches_nothing(self, workspace: Workspace, accept: Accept, store: ProgressStore) -> None:
        accept("01_counting", "02_adding")
        before = snapshot(workspace.root)
        assert workspace.materialise(store.completions()) == []
        assert snapshot(workspace.root) == before

    def test_a_notebook_is_never_overwritten(self, workspace: Workspace, accept: Accept) -> None:
        path = workspace.notebook(workspace.course.module("01"))
        path.write_text("mine")
        accept("01_counting")
        assert path.read_text() == "mine"

    def test_a_notebook_saved_at_the_last_moment_is_not_overwritten(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = workspace.notebook(workspace.course.module("01"))
        path.write_text("mine")
        monkeypatch.setattr(os.path, "lexists", lambda _: False)  # as it was when we looked
        workspace.materialise({})
        assert path.read_text() == "mine"

    @pytest.mark.parametrize("what", [*odd_notebooks(), "a link to nowhere"])
    def test_something_odd_in_a_notebooks_place_is_left_alone(
        self, workspace: Workspace, accept: Accept, what: str
    ) -> None:
        path = workspace.notebook(workspace.course.module("02"))
        (odd_notebooks() | {"a link to nowhere": lambda path: path.symlink_to("nowhere")})[what](path)
        before = path.lstat()
        accept("01_counting")
        assert path.lstat().st_ino == before.st_ino

    def test_a_deleted_notebook_comes_back_as_it_was_accepted(
        self, workspace: Workspace, accept: Accept, solved: Solved
    ) -> None:
        accept("01_counting")
        path = workspace.notebook(workspace.course.module("01"))
        path.unlink()
        accept()
        assert path.read_bytes() == solved("01_counting")[1].notebook

    def test_a_deleted_folder_comes_back(self, workspace: Workspace, accept: Accept) -> None:
        accept("01_counting", "02_adding")
        before = notebooks(workspace)
        for folder in ("notebooks", "historical", "tinytorch", ".tinytorch/backups"):
            (workspace.root / folder).rename(workspace.root.parent / folder.replace("/", "-"))
        accept()
        assert notebooks(workspace) == before and (workspace.root / "tinytorch" / "adding.py").is_file()

    def test_a_package_file_edited_by_hand_is_put_back_with_a_backup(
        self, workspace: Workspace, accept: Accept, store: ProgressStore
    ) -> None:
        accept("01_counting")
        file = workspace.root / "tinytorch" / "counting.py"
        accepted = file.read_text()
        file.write_text("def count(items): return 7")
        kept = workspace.materialise(store.completions())
        assert file.read_text() == accepted
        assert [path.read_text() for path in kept] == ["def count(items): return 7"]
        assert kept == backups(workspace)

    def test_a_newly_accepted_source_needs_no_backup(
        self, workspace: Workspace, accept: Accept, store: ProgressStore, solved: Solved
    ) -> None:
        accept("01_counting")
        report, completion = solved("01_counting", "again")
        completion = msgspec.structs.replace(completion, source="count = mean = len\n")
        store.complete(report, completion, store.fingerprint())
        assert workspace.materialise(store.completions()) == []
        assert (workspace.root / "tinytorch" / "counting.py").read_text() == "count = mean = len\n"

    def test_half_written_files_of_a_crash_are_swept(self, workspace: Workspace, accept: Accept) -> None:
        left = [
            workspace.root / folder / ".0badcafe.tinytorch-tmp" for folder in ("notebooks", "tinytorch", ".tinytorch")
        ]
        for path in left:
            path.touch()
        accept("01_counting")
        assert not any(path.exists() for path in left) and backups(workspace) == []

    def test_a_record_of_another_course_does_not_stop_it(
        self, workspace: Workspace, store: ProgressStore, solved: Solved
    ) -> None:
        _, completion = solved("01_counting")
        workspace.materialise({"99_other": msgspec.structs.replace(completion, module="99_other")})
        assert notebooks(workspace) == ["notebooks/01_counting.ipynb"]

    def test_course_json_is_what_a_kernel_needs(self, workspace: Workspace, tiny_course: Course) -> None:
        described = json.loads((workspace.root / ".tinytorch" / "course.json").read_text())
        assert described["checks"] == str(tiny_course.root / "checks")
        assert [m["id"] for m in described["modules"]] == [m.id for m in tiny_course.modules]
        assert described["modules"][0]["name"] == "counting"
        assert described["modules"][0]["exercises"][0] == {
            "id": "count-items",
            "title": "Count items",
            "hints": ["Python has a word for it.", "It is three letters long.", "len"],
        }

    def test_a_course_that_changed_is_described_anew(self, workspace: Workspace) -> None:
        path = workspace.root / ".tinytorch" / "course.json"
        path.write_text("{}")
        workspace.materialise({})
        assert json.loads(path.read_text())["modules"]

    def test_a_disk_without_room_says_so_and_is_made_good_later(
        self,
        workspace: Workspace,
        accept: Accept,
        store: ProgressStore,
        solved: Solved,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        store.complete(*solved("01_counting"), store.fingerprint())
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(WorkspaceError, match="No space left on device"):
                workspace.materialise(store.completions())
        assert notebooks(workspace) == ["notebooks/01_counting.ipynb"]
        workspace.materialise(store.completions())
        assert len(notebooks(workspace)) == 2

    def test_a_process_killed_while_materialising_leaves_what_the_next_start_repairs(
        self, workspace: Workspace, store: ProgressStore, solved: Solved
    ) -> None:
        for module in ("01_counting", "02_adding", "03_doubling"):
            store.complete(*solved(module), store.fingerprint())
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])  # what takes long is the imports, and they are done once
        for writes in range(1, 12):  # there are nine files to write
            process = context.Process(target=materialise_and_die, args=[workspace.root, workspace.course, writes])
            process.start()
            process.join(60)
            assert process.exitcode in (-9, 0)
            for path in [*workspace.root.rglob("*.ipynb"), *workspace.root.rglob("*.json")]:
                json.loads(path.read_bytes())
            if process.exitcode == 0:
                break
        else:
            pytest.fail("it never came to the end")
        assert writes > 1
        before = snapshot(workspace.root)
        assert workspace.materialise(store.completions()) == [] and snapshot(workspace.root) == before
        assert backups(workspace) == [] and not list(workspace.root.rglob("*.tinytorch-tmp"))


def materialise_and_die(root: Path, course: Course, writes: int) -> None:
    """Bring the workspace up to its record in another process, and be killed at the fsync numbered `writes`."""
    left, fsync = writes, os.fsync

    def fatal(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
        fsync(descriptor)

    vars(os)["fsync"] = fatal
    made = Workspace(root, course)
    made.materialise(ProgressStore(made.store_path).completions())


class TestResetting:
    def test_the_notebook_is_fresh_and_the_old_one_kept(self, workspace: Workspace, solve: Solve) -> None:
        module = workspace.course.module("01")
        before = solve("01_counting").read_bytes()
        kept = workspace.reset(module)
        assert kept is not None and kept.parent == workspace.root / ".tinytorch" / "backups"
        assert kept.read_bytes() == before and kept.name.startswith("01_counting-")
        fresh = authoring.to_bytes(authoring.student_notebook(workspace.course, module))
        assert workspace.notebook(module).read_bytes() == fresh

    def test_where_there_is_no_notebook_nothing_is_kept(self, workspace: Workspace) -> None:
        workspace.notebook(workspace.course.module("01")).unlink()
        assert workspace.reset(workspace.course.module("01")) is None
        assert notebooks(workspace) == ["notebooks/01_counting.ipynb"]

    @pytest.mark.parametrize("what", odd_notebooks())
    def test_something_odd_makes_way_and_is_kept(self, workspace: Workspace, what: str) -> None:
        module = workspace.course.module("01")
        path = workspace.notebook(module)
        path.unlink()
        odd_notebooks()[what](path)
        kept = workspace.reset(module)
        assert kept is not None and os.path.lexists(kept)
        assert workspace.read_notebook(path)
        assert Path("/etc/passwd").is_file()

    def test_no_backup_no_reset(self, workspace: Workspace, solve: Solve, monkeypatch: pytest.MonkeyPatch) -> None:
        path = solve("01_counting")
        before = path.read_bytes()

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(WorkspaceError, match="can't be reset: No space left"):
            workspace.reset(workspace.course.module("01"))
        assert path.read_bytes() == before

    def test_a_backup_is_a_copy(self, workspace: Workspace, solve: Solve) -> None:
        path = solve("01_counting")
        kept = workspace.backup(path)
        assert kept.read_bytes() == path.read_bytes() and kept in backups(workspace)

    def test_no_backup_goes_through_a_link(self, workspace: Workspace, tmp_path: Path, solve: Solve) -> None:
        path = solve("01_counting")
        path.write_text(path.read_text().replace("code", "raw"))
        (workspace.root / ".tinytorch" / "backups").rename(tmp_path / "outside")
        (workspace.root / ".tinytorch" / "backups").symlink_to(tmp_path / "outside")
        for act in (lambda: workspace.backup(path), lambda: workspace.restore(workspace.course.module("01"))):
            with pytest.raises(WorkspaceError, match="a symbolic link, not a folder"):
                act()
        assert os.listdir(tmp_path / "outside") == []

    def test_what_lies_outside_is_not_backed_up(self, workspace: Workspace, tmp_path: Path) -> None:
        (tmp_path / "x").touch()
        with pytest.raises(WorkspaceError, match="leads out"):
            workspace.backup(tmp_path / "x")


class TestRestoring:
    def test_a_missing_cell_is_put_back_and_the_notebook_kept_first(self, workspace: Workspace, solve: Solve) -> None:
        path = solve("01_counting")
        notebook = json.loads(path.read_bytes())
        notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != "exercise-count-mean"]
        path.write_text(json.dumps(notebook))
        damaged = path.read_bytes()
        restored, kept, done = workspace.restore(workspace.course.module("01"))
        assert restored == path and kept is not None and kept.read_bytes() == damaged
        assert done == ["The cell of exercise count-mean was missing; it is back, as it was at the start."]
        sources = ["".join(cell["source"]) for cell in json.loads(path.read_bytes())["cells"]]
        assert "return len(items)" in sources[4] and 'NotImplementedError("count-mean")' in sources[7]

    def test_where_all_is_well_nothing_is_written(self, workspace: Workspace, solve: Solve) -> None:
        path = solve("01_counting")
        before = snapshot(path.parent)
        assert workspace.restore(workspace.course.module("01")) == (path, None, [])
        assert snapshot(path.parent) == before and backups(workspace) == []

    def test_what_is_no_notebook_is_left_as_it_is(self, workspace: Workspace) -> None:
        path = workspace.notebook(workspace.course.module("01"))
        path.write_text("{")
        with pytest.raises(NotebookUnreadable, match="Reset the module"):
            workspace.restore(workspace.course.module("01"))
        assert path.read_text() == "{" and backups(workspace) == []


class TestEdited:
    @pytest.fixture
    def edited(self, workspace: Workspace, accept: Accept, store: ProgressStore, solve: Solve) -> Callable[[], bool]:
        """Whether module 1, which is complete, counts as edited."""
        solve("01_counting")
        accept("01_counting")
        return lambda: workspace.edited(workspace.course.module("01"), store.completions()["01_counting"])

    def change(self, path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def test_what_was_accepted_is_not_edited(self, edited: Callable[[], bool]) -> None:
        assert not edited()

    def test_other_code_is(self, edited: Callable[[], bool], workspace: Workspace) -> None:
        path = workspace.notebook(workspace.course.module("01"))
        self.change(path, "return len(items)", "return 7")
        assert edited()
        self.change(path, "return 7", "return len(items)")
        assert not edited()

    def test_text_and_outputs_are_not(self, edited: Callable[[], bool], workspace: Workspace) -> None:
        path = workspace.notebook(workspace.course.module("01"))
        self.change(path, "Before anything can be learned", "My notes")
        self.change(path, '"outputs": []', '"outputs": [{"output_type": "stream", "name": "stdout", "text": "7"}]')
        assert not edited()

    def test_a_notebook_that_can_not_be_read_is(self, edited: Callable[[], bool], workspace: Workspace) -> None:
        workspace.notebook(workspace.course.module("01")).write_text("{")
        assert edited()

    def test_a_missing_notebook_is_not(self, edited: Callable[[], bool], workspace: Workspace) -> None:
        workspace.notebook(workspace.course.module("01")).unlink()
        assert not edited()

    def test_it_is_worked_out_once_for_a_file_that_stays_as_it_is(
        self, edited: Callable[[], bool], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = workspace.notebook(workspace.course.module("01"))
        self.change(path, "return len(items)", "return 7")
        os.utime(path, ns=(0, time.time_ns() - 10_000_000_000))
        assert edited()
        monkeypatch.setattr(workspace_module, "export", None)  # working it out again would fail
        assert edited()

    def test_a_file_changed_just_now_is_looked_at_again(self, edited: Callable[[], bool], workspace: Workspace) -> None:
        path = workspace.notebook(workspace.course.module("01"))
        self.change(path, "return len(items)", "return min(items)")
        stat = path.stat()
        assert edited()
        self.change(path, "return min(items)", "return len(items)")  # the same length, and below the clock's tick
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert not edited()


class TestLocking:
    def test_who_has_the_lock_may_take_it_again(self, workspace: Workspace) -> None:
        with workspace.lock():
            workspace.materialise({})

    def test_who_waits_too_long_is_told(
        self, workspace: Workspace, tiny_course: Course, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workspace_module, "LOCK_SECONDS", 0.1)
        other = Workspace(workspace.root, tiny_course)
        with workspace.lock(), pytest.raises(WorkspaceError, match="Another program has been changing"):
            other.materialise({})

    def test_threads_wait_for_each_other(self, workspace: Workspace) -> None:
        inside = []

        def work() -> None:
            with workspace.lock():
                inside.append(1)
                time.sleep(0.01)
                assert len(inside) == 1
                inside.pop()

        errors: list[object] = []
        monitored = [threading.Thread(target=lambda: errors.extend(_errors(work))) for _ in range(8)]
        for thread in monitored:
            thread.start()
        for thread in monitored:
            thread.join()
        assert errors == []

    def test_a_workspace_that_may_not_be_written_says_so(
        self, tiny_course: Course, as_ordinary_user: Callable[..., object]
    ) -> None:
        with as_ordinary_user() as folder:  # type: ignore[attr-defined]
            made = Workspace.create(folder / "ws", tiny_course)
            (made.root / ".tinytorch").chmod(0o500)
            (made.root / "notebooks").chmod(0o500)
            try:
                with pytest.raises(WorkspaceError, match="Permission denied"):
                    made.materialise({})
            finally:
                for name in (".tinytorch", "notebooks"):
                    (made.root / name).chmod(0o700)


def _errors(work: Callable[[], None]) -> list[BaseException]:
    try:
        work()
    except BaseException as error:
        return [error]
    return []

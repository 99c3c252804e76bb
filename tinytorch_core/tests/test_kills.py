"""kill -9 between any two steps: whatever was going on, the next start finds all that was acknowledged, and nothing that was not.

A fault point is every file that Python opens, renames, links or removes, and every connection to the record (audit events), one after the
other: a process forked for each point does the work and kills itself there. What happens inside SQLite: test_progress.py.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tinytorch_core import authoring, studying
from tinytorch_core.completion import complete
from tinytorch_core.studying import Study
from tinytorch_core.tests.conftest import TINY
from tinytorch_core.tests.test_completion import Verdicts
from tinytorch_core.workspace import Workspace

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="one process for each fault point is made by fork")

DRIVER = """
    import asyncio, itertools, json, os, shutil, signal, sys, threading
    from pathlib import Path
    from tinytorch_core import catalogue, studying
    from tinytorch_core.completion import complete
    from tinytorch_core.tests.test_completion import Verdicts

    work, prepared, copies = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    course = catalogue.load(Path(sys.argv[4]) / "course.toml", Path(sys.argv[4]))
    first, last, stride = map(int, sys.argv[5:8])
    STEPS = ("open", "os.", "shutil.", "sqlite3.connect", "fcntl.")

    def do(root):
        if work == "create":
            return studying.create(root, course)
        study = studying.find(root, course)
        if work.startswith("complete"):
            module = course.module(work.split()[1])
            return asyncio.run(complete(study.workspace, study.store, module, Verdicts()))
        return getattr(studying, work)(study, *([] if work == "repair" else [course.module("01_counting")]))

    def killed_at(point, root):
        count = itertools.count()
        def step(event, arguments):
            if event.startswith(STEPS) and next(count) == point:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(step)
        do(root)
        (root.parent / f"{root.name}.acknowledged").touch()
        os._exit(0)

    do(shutil.copytree(prepared, copies / "warm", symlinks=True))  # what is imported on the way is imported now
    for point in range(first, last, stride):
        root = shutil.copytree(prepared, copies / str(point), symlinks=True)
        child = os.fork()
        if child == 0:
            try:
                killed_at(point, root)
            finally:
                os._exit(3)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, -signal.SIGKILL), status
        if status == 0:
            break
        (root.parent / f"{root.name}.killed").touch()
"""
WORKS = {
    "create": (),
    "complete 01_counting": (),
    "complete 02_adding": ("01_counting",),
    "reset": (),
    "restore": (),
    "repair": ("01_counting", "02_adding"),
}
"""What is done, and what is complete before."""
EVERY = int(os.environ.get("TINYTORCH_EVERY_POINT", "4"))
"""One fault point in so many is tried, from another one on each time; 1 tries them all."""


@pytest.fixture
def prepared(workspace: Workspace, accept: Callable[..., None], solve: Callable[..., Path]) -> Callable[[str], Path]:
    """A workspace as it is before some work: what `repair` finds has lost files, what `restore` finds an exercise cell."""

    def make(work: str) -> Path:
        accept(*WORKS[work])
        if work == "create":
            shutil.rmtree(workspace.root)
            workspace.root.mkdir()
        for module in workspace.course.modules:
            if workspace.notebook(module).exists():
                solve(module.id)
        if work == "repair":
            (workspace.root / "tinytorch" / "counting.py").write_text("# changed by hand")
            workspace.notebook(workspace.course.module("03_doubling")).unlink()
        if work == "restore":
            path = workspace.notebook(workspace.course.module("01_counting"))
            raw: dict[str, Any] = msgspec.json.decode(path.read_bytes())
            raw["cells"] = [c for c in raw["cells"] if "exercise:count-mean" not in c["metadata"].get("tags", [])]
            path.write_bytes(msgspec.json.encode(raw))
        return workspace.root

    return make


@pytest.mark.parametrize("work", WORKS)
def test_killed_anywhere_nothing_is_lost(
    work: str, prepared: Callable[[str], Path], tmp_path: Path, tiny_course: Any
) -> None:
    root = prepared(work)
    was = Before(root, tiny_course)
    copies = tmp_path / "copies"
    copies.mkdir()
    code, first = textwrap.dedent(DRIVER), os.getpid() % EVERY
    command = [sys.executable, "-c", code, work, str(root), str(copies), str(TINY), str(first), "10000", str(EVERY)]
    subprocess.run(command, check=True, timeout=300)
    points = sorted(int(path.stem) for path in copies.glob("*.killed"))
    assert len(points) * EVERY > 10, "too few fault points to prove anything"
    for point in points:
        was.holds_at(copies / str(point), work, f"{work}, killed at point {point}")


class Before:
    """What was in the workspace before the work, which nothing may take away."""

    def __init__(self, root: Path, course: Any) -> None:
        self.course = course
        self.notebooks = {path.name: path.read_bytes() for path in root.glob("notebooks/*.ipynb")}
        self.completed = set(self._study(root).store.completed()) if Workspace.exists(root) else set()

    def _study(self, root: Path) -> Study:
        return studying.create(root, self.course)

    def holds_at(self, root: Path, work: str, where: str) -> None:
        acknowledged = (root.parent / f"{root.name}.acknowledged").exists()
        kept = [path.read_bytes() for path in root.rglob("*.ipynb")]
        assert all(content in kept for content in self.notebooks.values()), f"{where}: a notebook is lost"
        study = self._study(root)  # the next start
        study.store.check()
        completed = set(study.store.completed())
        target = set(work.split()[1:])
        assert self.completed <= completed <= self.completed | target, where
        assert target <= completed or not acknowledged, f"{where}: what was acknowledged is lost"
        self._agrees(study, completed, where)
        assert not list(root.rglob(".*tinytorch-tmp")), f"{where}: half a file is left"
        self._goes_on(study, where)

    def _agrees(self, study: Study, completed: set[str], where: str) -> None:
        """Package, notebooks and record say the same."""
        root = study.workspace.root
        files = {path.name: path.read_bytes() for path in (root / "tinytorch").glob("*.py")}
        assert files == study.workspace._sources(study.store.completions()), where
        open_ones = [
            m for m in self.course.modules if all(e.id in completed for e in self.course.before(m)) and m.written
        ]
        assert {path.stem for path in root.glob("notebooks/*.ipynb")} == {m.id for m in open_ones}, where
        for attempt in itertools.chain.from_iterable(study.store.attempts(m.id) for m in self.course.modules):
            assert attempt.state == "done", f"{where}: an attempt is still running"

    def _goes_on(self, study: Study, where: str) -> None:
        module = self.course.module("01_counting")
        path = study.workspace.notebook(module)
        path.write_bytes(authoring.to_bytes(authoring.solution_notebook(self.course, module)))
        report = asyncio.run(complete(study.workspace, study.store, module, Verdicts()))
        assert report.recorded, f"{where}: the next grading does not work"

"""A course of three modules, a workspace on it, and a record, for every test that needs one."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinytorch_core import authoring, catalogue
from tinytorch_core.catalogue import Course
from tinytorch_core.export import export
from tinytorch_core.progress import Completion, ProgressStore
from tinytorch_core.report import Report
from tinytorch_core.tests.warm import background, calm_course, grader, pool
from tinytorch_core.tests.web import web
from tinytorch_core.workspace import Workspace

__all__ = ["background", "calm_course", "grader", "pool", "web"]
TINY = Path(__file__).parent / "tiny"
collect_ignore = ["tiny"]


@pytest.fixture(scope="session")
def tiny_course() -> Course:
    """01_counting, 02_adding and 03_doubling are written, 04_tripling is coming; pascaline_1642 opens with 02_adding."""
    return catalogue.load(TINY / "course.toml", TINY)


@pytest.fixture
def copied_course(tmp_path: Path) -> Course:
    """The tiny course in a folder of its own, for tests that change its files."""
    root = tmp_path / "course"
    shutil.copytree(TINY, root, ignore=shutil.ignore_patterns("__pycache__"))
    return catalogue.load(root / "course.toml", root)


@pytest.fixture
def workspace(tmp_path: Path, tiny_course: Course) -> Workspace:
    """A workspace with the first notebook in it. Its name has a space and an umlaut, as students' folders have."""
    made = Workspace.create(tmp_path / "My künstliche Welt", tiny_course)
    made.materialise({})
    return made


@pytest.fixture
def store(workspace: Workspace) -> ProgressStore:
    return ProgressStore(workspace.store_path)


@pytest.fixture
def solve(workspace: Workspace, tiny_course: Course) -> Callable[..., Path]:
    """solve("01_counting") puts the solution into the workspace; solve("01_counting", "counts-from-zero") a mutant."""

    def write(module_id: str, mutant: str | None = None) -> Path:
        module = tiny_course.module(module_id)
        notebook = authoring.solution_notebook(tiny_course, module)
        if mutant:
            notebook = authoring.mutant_notebook(tiny_course, module, mutant)
        path = workspace.notebook(module)
        path.write_bytes(authoring.to_bytes(notebook))
        return path

    return write


@pytest.fixture
def solved(tiny_course: Course) -> Callable[..., tuple[Report, Completion]]:
    """solved("01_counting") is a passed report with its completion, without any grading; nothing is recorded."""

    def make(module_id: str, attempt: str | None = None) -> tuple[Report, Completion]:
        module = tiny_course.module(module_id)
        notebook = authoring.solution_notebook(tiny_course, module)
        data, exported = authoring.to_bytes(notebook), export(notebook, module)
        sha, attempt = hashlib.sha256(data).hexdigest(), attempt or f"passed-{module_id}"
        report = Report(attempt=attempt, module=module_id, state="done", verdict="passed", notebook_sha256=sha)
        return report, Completion(module_id, attempt, time.time(), exported.source, exported.names, data, sha)

    return make


@pytest.fixture
def accept(
    workspace: Workspace, store: ProgressStore, solved: Callable[..., tuple[Report, Completion]]
) -> Callable[..., None]:
    """accept("01_counting", "02_adding") completes modules as if their solutions had been graded, and materialises."""

    def complete(*module_ids: str) -> None:
        for module_id in module_ids:
            store.complete(*solved(module_id), store.fingerprint())
        workspace.materialise(store.completions())

    return complete


@pytest.fixture
def as_ordinary_user() -> Iterator[Callable[..., object]]:
    """`with as_ordinary_user() as folder:` works without root's powers, in a folder of that user's own.

    Root may read and write everything, so that tests of permissions would prove nothing.
    """
    folders = []

    @contextmanager
    def drop() -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp())
        folders.append(folder)
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)

    yield drop
    for folder in folders:
        shutil.rmtree(folder)

"""What a student does between gradings: open, look up, start afresh, compare. Values in, values out.

Both front doors call these functions, so that nothing is decided twice. Paths in the answers are relative to the
workspace, with forward slashes; a door turns them into what its reader can open.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import psutil
from nbformat import NotebookNode

from tinytorch_core import __version__, authoring, built, differences, progression
from tinytorch_core.catalogue import Course, Exercise, Historical, Module
from tinytorch_core.errors import NotAllowed, StoreError, UnknownName, UsageError, WorkspaceError
from tinytorch_core.export import export
from tinytorch_core.files import write_atomic
from tinytorch_core.grader.preflight import read
from tinytorch_core.progress import Completion, ProgressStore
from tinytorch_core.report import Built, CourseView, Report
from tinytorch_core.workspace import Workspace

Against = Literal["original", "accepted", "solution"]


@dataclass(frozen=True)
class Study:
    """One student's course: the catalogue, the folder, and the record of what passed."""

    course: Course
    workspace: Workspace
    store: ProgressStore


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A notebook that now stands in the workspace."""

    path: str
    backup: str | None = None
    """Where the notebook that stood there before was kept."""
    done: tuple[str, ...] = ()
    """What was changed in it, one sentence each."""


class Solution(msgspec.Struct, frozen=True, kw_only=True):
    module: str
    source: str
    """The module of the package, as the course's authors wrote it."""
    notebook: dict[str, Any]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The notebook as it is now, compared with an earlier one or with the solution."""

    module: str
    against: Against
    same: bool
    notebook: str
    """The cells that differ."""
    source: str
    """A unified diff of the package module that the two notebooks make."""


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    exercise: str
    title: str
    number: int
    total: int
    text: str


def find(start: Path, course: Course) -> Study:
    """The study that `start` lies in. Raises WorkspaceError, saying `tito init`, where there is none."""
    return _study(Workspace.find(start, course), course)


def create(root: Path, course: Course) -> Study:
    """Make `root` a workspace, or adopt it if it is one, with its first notebook ready."""
    study = _study(Workspace.create(root, course), course)
    repair(study)
    return study


def repair(study: Study) -> None:
    """Put right what a crash left behind. Called at every start, before any attempt of this process."""
    study.store.interrupt_abandoned(_another_living_process)
    _materialise(study)


def new_record(study: Study) -> Path:
    """Set a damaged record aside and begin an empty one. Returns where the old one is kept; UsageError if it is sound."""
    try:
        study.store.check()
    except StoreError:
        return study.store.set_aside()
    raise UsageError("The record of this workspace is sound, so it stays. `tito status` shows what it says.")


def view(course: Course, study: Study | None, checking: Mapping[str, str] | None = None) -> CourseView:
    """The whole course as it stands. `checking` names the running attempt of each module that has one."""
    completions = study.store.completions() if study else {}
    return progression.view(
        course,
        workspace=str(study.workspace.root) if study else None,
        completed=set(completions),
        edited=edited(study, completions) if study else set(),
        checking=checking or {},
        latest=study.store.latest() if study else {},
        version=__version__,
        built=_built(study) if study and all(m.id in completions for m in study.course.modules) else None,
    )


def edited(study: Study, completions: Mapping[str, Completion]) -> set[str]:
    """The completed modules whose notebook would now make another source."""
    known = [m for m in study.course.modules if m.id in completions]
    return {m.id for m in known if study.workspace.edited(m, completions[m.id])}


def open_module(study: Study, module: Module) -> Placed:
    """The module's notebook, put into the workspace if it is not there."""
    progression.require_open(study.course, _completed(study), module)
    return _present(study, module.notebook)


def open_example(study: Study, example: Historical) -> Placed:
    """The historical notebook, once its module is complete."""
    progression.require_example(study.course, _completed(study), example)
    return _present(study, example.notebook)


def reset(study: Study, module: Module) -> Placed:
    """A fresh notebook in place of the student's, which is kept as a backup."""
    progression.require_open(study.course, _completed(study), module)
    backup = study.workspace.reset(module)
    return Placed(
        path=module.notebook,
        backup=_relative(study, backup),
        done=("The notebook is as it was at the start.",),
    )


def restore(study: Study, module: Module) -> Placed:
    """Exercise cells that were deleted, duplicated or retyped put right; all else stays as the student left it."""
    progression.require_open(study.course, _completed(study), module)
    _, backup, done = study.workspace.restore(module)
    return Placed(path=module.notebook, backup=_relative(study, backup), done=tuple(done))


def history(study: Study, module: Module, limit: int = 50) -> list[Report]:
    """The module's attempts, newest first."""
    return study.store.attempts(module.id, limit)


def solution(study: Study, module: Module) -> Solution:
    """The authors' solution, once the student has one of their own."""
    notebook = _solution_notebook(study, module)
    return Solution(module=module.id, source=export(notebook, module).source, notebook=notebook)


def difference(study: Study, module: Module, against: Against | None = None) -> Difference:
    """What the student changed since the module passed, or since it was opened if it has not passed yet."""
    accepted = study.store.completions().get(module.id)
    against = against or ("accepted" if accepted else "original")
    before = _earlier(study, module, against, accepted)
    after = read(study.workspace.read_notebook(study.workspace.notebook(module)))
    names = (f"{against}/{module.name}.py", f"now/{module.name}.py")
    source = differences.of_sources(export(before, module).source, export(after, module).source, *names)
    cells = differences.of_notebooks(before, after)
    return Difference(module=module.id, against=against, same=not (cells or source), notebook=cells, source=source)


def hint(exercise: Exercise, number: int = 1) -> Hint:
    """Hint `number` of an exercise, counted from 1."""
    total = len(exercise.hints)
    if not total:
        raise UsageError(f"{exercise.id} has no hints. Its docstring and the text above it say what is needed.")
    if not 1 <= number <= total:
        raise UsageError(f"{exercise.id} has hints 1 to {total}, so there is no hint {number}.")
    return Hint(exercise=exercise.id, title=exercise.title, number=number, total=total, text=exercise.hints[number - 1])


def place_solution(study: Study, module: Module, mutant: str | None = None) -> Placed:
    """The solved notebook, or a mutant's, in place of the student's, which is kept. For authors, demos and tests."""
    path = study.workspace.notebook(module)
    notebook = _mutant_notebook(study, module, mutant) if mutant else authoring.solution_notebook(study.course, module)
    with study.workspace.lock():
        backup = study.workspace.backup(path) if path.exists() else None
        write_atomic(path, authoring.to_bytes(notebook))
    done = (f"It holds the mutant {mutant}." if mutant else "It holds the authors' solution.",)
    return Placed(path=module.notebook, backup=_relative(study, backup), done=done)


def _mutant_notebook(study: Study, module: Module, name: str) -> NotebookNode:
    known = [mutant.name for mutant in authoring.mutants(study.course, module)]
    if name not in known:
        raise UnknownName(f"{module.label} has no mutant {name!r}. It has: {', '.join(known)}.")
    return authoring.mutant_notebook(study.course, module, name)


def _built(study: Study) -> Built:
    return built.count(study.workspace, study.store, study.course.historical)


def _study(workspace: Workspace, course: Course) -> Study:
    return Study(course, workspace, ProgressStore(workspace.store_path))


def _another_living_process(pid: int) -> bool:
    """A container gives a restarted server the number it had before, so our own number proves nothing."""
    return pid != os.getpid() and psutil.pid_exists(pid)


def _completed(study: Study) -> set[str]:
    return set(study.store.completed())


def _materialise(study: Study) -> None:
    """Bring the folder up to the record, read while nobody else changes the folder."""
    with study.workspace.lock():
        study.workspace.materialise(study.store.completions())


def _present(study: Study, relative: str) -> Placed:
    path = study.workspace.path(relative)
    if not path.is_file():
        _materialise(study)
    if not path.is_file():
        raise WorkspaceError(f"{path} is in the way: it is not a file. Move it elsewhere and open the notebook again.")
    return Placed(path=relative)


def _relative(study: Study, path: Path | None) -> str | None:
    return None if path is None else path.relative_to(study.workspace.root).as_posix()


def _earlier(study: Study, module: Module, against: Against, accepted: Completion | None) -> NotebookNode:
    if against == "solution":
        return _solution_notebook(study, module)
    if against == "original":
        progression.require_open(study.course, _completed(study), module)
        return authoring.student_notebook(study.course, module)
    if accepted is None:
        raise NotAllowed(f"{module.label} has not passed yet, so there is no accepted notebook to compare with.")
    return read(accepted.notebook)


def _solution_notebook(study: Study, module: Module) -> NotebookNode:
    if module.id not in study.store.completed():
        raise NotAllowed(
            f"The solution of {module.label} opens once you have completed it. Until then `tito hint EXERCISE` helps."
        )
    return authoring.solution_notebook(study.course, module)

"""From notebooks/NN_name.py, as its author writes it, to the solution's, the student's and a mutant's notebook.

The only room that knows jupytext, which it imports when the first source is read.
"""

from __future__ import annotations

import ast
import copy
import re
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import nbformat
from nbformat import NotebookNode

from tinytorch_core import __version__
from tinytorch_core.catalogue import Course, Historical, Module
from tinytorch_core.errors import TinyTorchError
from tinytorch_core.export import is_exported

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
TAG = re.compile(r"(exercise|given):(.*)")
ID_LENGTH = 64
"""The notebook format allows no longer ids of cells."""


class AuthoringError(TinyTorchError):
    """A notebook source, or a file of mutants, can't be used. Only an author of the course can meet this."""


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One wrong solution that the checks of its exercise must reject."""

    name: str
    mistake: str
    replace: str
    """Occurs exactly once in the exercise's cell, and becomes `with_`."""
    with_: str = msgspec.field(name="with")
    exercise: str = ""


class _Mutants(msgspec.Struct, forbid_unknown_fields=True):
    mutant: tuple[Mutant, ...]


def solution_notebook(course: Course, module: Module) -> NotebookNode:
    """The module's notebook with its authors' solutions, without the markers around them."""
    notebook = _module_notebook(course, module)
    for cell in notebook.cells:
        if exercise_of(cell):
            lines = cell.source.split("\n")
            cell.source = "\n".join(line for line in lines if line.strip() not in (BEGIN, END))
    return notebook


def student_notebook(course: Course, module: Module) -> NotebookNode:
    """The module's notebook with `raise NotImplementedError("exercise-id")` in place of every solution."""
    notebook = _module_notebook(course, module)
    for cell in notebook.cells:
        exercise = exercise_of(cell)
        if exercise:
            cell.source = "\n".join(_stubbed(cell.source, exercise))
    return notebook


preview_notebook = student_notebook


def mutant_notebook(course: Course, module: Module, name: str) -> NotebookNode:
    """The solution with one mutant's mistake in it."""
    mutant = next((m for m in mutants(course, module) if m.name == name), None)
    if mutant is None:
        raise AuthoringError(
            f"{module.id} has no mutant {name!r}. Its mutants stand in {course.mutants_folder(module.id)}."
        )
    notebook = solution_notebook(course, module)
    cell = next(cell for cell in notebook.cells if exercise_of(cell) == mutant.exercise)
    found = cell.source.count(mutant.replace)
    if found != 1:
        where = f"{course.mutants_folder(module.id) / mutant.exercise}.toml"
        raise AuthoringError(
            f"{where}: {name}: {mutant.replace!r} stands {found} times in the exercise's cell, not once."
        )
    cell.source = cell.source.replace(mutant.replace, mutant.with_)
    return notebook


def historical_notebook(course: Course, historical: Historical) -> NotebookNode:
    notebook = _read(course.historical_source(historical.id), historical.id)
    notebook.metadata["tinytorch"] = {"historical": historical.id, "version": __version__}
    return notebook


def mutants(course: Course, module: Module) -> tuple[Mutant, ...]:
    """The module's mutants, exercise by exercise in the catalogue's order, from checks/mutants/NN_name/<exercise>.toml."""
    files = {path.stem: path for path in sorted(course.mutants_folder(module.id).glob("*.toml"))}
    known = [exercise.id for exercise in module.exercises]
    for exercise in files.keys() - set(known):
        raise AuthoringError(
            f"{files[exercise]}: {module.id} has no exercise {exercise!r}. Rename the file or remove it."
        )
    found = tuple(mutant for exercise in known if exercise in files for mutant in _mutants(files[exercise], exercise))
    names = [mutant.name for mutant in found]
    for mutant in found:
        if names.count(mutant.name) > 1:
            raise AuthoringError(
                f"{files[mutant.exercise]}: the module has two mutants named {mutant.name!r}. Rename one."
            )
    return found


def warm_up(course: Course) -> None:
    """Import jupytext and parse every source now, so that no student waits for it when a module unlocks the next."""
    for source in [(course.notebook_source(m.id), m.id) for m in course.modules if m.written]:
        _read(*source)
    for source in [(course.historical_source(h.id), h.id) for h in course.historical if h.written]:
        _read(*source)


def exercise_of(cell: Mapping[str, Any]) -> str | None:
    """The exercise that a cell is tagged with."""
    key = key_of(cell)
    return key.removeprefix("exercise:") if key and key.startswith("exercise:") else None


def key_of(cell: Mapping[str, Any]) -> str | None:
    """What a cell of the package is known by: its tag "exercise:…" or "given:…"; None for other cells."""
    tags = cell.get("metadata", {}).get("tags", [])
    return next((tag for tag in tags if isinstance(tag, str) and TAG.fullmatch(tag)), None)


def to_bytes(notebook: NotebookNode) -> bytes:
    """A notebook as it is written to a file."""
    return (nbformat.writes(notebook) + "\n").encode()  # type: ignore[no-untyped-call, no-any-return]


def to_html(notebook: NotebookNode) -> str:
    """A notebook as a page, for an author who wants to read it as a student will."""
    from nbconvert import HTMLExporter

    body, _ = HTMLExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    return str(body)


def _mutants(path: Path, exercise: str) -> Iterator[Mutant]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        listed = msgspec.convert(raw, _Mutants).mutant
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise AuthoringError(f"{path} can't be read as mutants: {error}") from error
    for mutant in listed:
        yield msgspec.structs.replace(mutant, exercise=exercise)


def _module_notebook(course: Course, module: Module) -> NotebookNode:
    source = course.notebook_source(module.id)
    notebook = _read(source, module.id)
    notebook.metadata["tinytorch"] = {"module": module.id, "version": __version__}
    for problem in _problems(notebook, module):
        raise AuthoringError(f"{source}: {problem}")
    return notebook


def _read(source: Path, prefix: str) -> NotebookNode:
    """A fresh copy of one source as a notebook; parsed once for as long as the file stays as it is."""
    try:
        stat = source.stat()
        return copy.deepcopy(_parsed(source, prefix, stat.st_mtime_ns, stat.st_size))
    except (OSError, UnicodeError) as error:
        raise AuthoringError(f"{source} can't be read: {error}") from error


@lru_cache(maxsize=64)
def _parsed(source: Path, prefix: str, _mtime: int, _size: int) -> NotebookNode:
    import jupytext

    parsed = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    cells = [_cell(cell, f"{prefix}-{index}") for index, cell in enumerate(parsed.cells)]
    content = {"cells": cells, "metadata": _metadata(), "nbformat": 4, "nbformat_minor": 5}
    return nbformat.from_dict(content)  # type: ignore[no-untyped-call, no-any-return]


def _metadata() -> dict[str, Any]:
    return {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
    }


def _cell(raw: NotebookNode, fallback: str) -> dict[str, Any]:
    """The cell with an id that is the same in every build: its tag's, or its place's."""
    key = key_of(raw)
    tags = list(raw.metadata.get("tags", []))
    cell = {
        "cell_type": raw.cell_type,
        "id": key.replace(":", "-") if key else fallback,
        "metadata": {"tags": tags} if tags else {},
        "source": raw.source,
    }
    return {**cell, "execution_count": None, "outputs": []} if raw.cell_type == "code" else cell


def _problems(notebook: NotebookNode, module: Module) -> Iterator[str]:
    """What an author has to mend before the notebook can be used, one sentence each."""
    wanted = [f"exercise:{exercise.id}" for exercise in module.exercises]
    keys = [key_of(cell) for cell in notebook.cells]
    for index, (cell, key) in enumerate(zip(notebook.cells, keys, strict=True), start=1):
        where = f"cell {index} ({key or 'no tag'})"
        if key and keys.count(key) > 1:
            yield f"{where}: {keys.count(key)} cells have this tag. Give each its own."
        if key and not re.fullmatch(r"(exercise|given):[a-z0-9_-]+", key):
            yield f"{where}: a tag's name is made of a-z, 0-9, - and _."
        if len(cell.id) > ID_LENGTH:
            yield f"{where}: the tag is too long for a cell's id, which has {ID_LENGTH} characters at most."
        if key and key.startswith("exercise:") and key not in wanted:
            yield f"{where}: course.toml lists no such exercise for {module.id}. Add it there, or correct the tag."
        for problem in _cell_problems(cell, key):
            yield f"{where}: {problem}"
    for key in wanted:
        if key not in keys:
            yield f"course.toml lists {key.partition(':')[2]!r}, but no cell is tagged {key!r}."


def _cell_problems(cell: NotebookNode, key: str | None) -> Iterator[str]:
    exported = is_exported(cell)
    if exported and key is None:
        yield "an #| export cell needs a tag, exercise:… or given:…."
    if key and not exported:
        yield "a tagged cell is a code cell whose first line is `#| export`."
    if exported and not _is_python(cell.source):
        yield "it is not plain Python; mind that jupytext reads a comment like `# !ls` or `# %time` as IPython's."
    markers = [line.strip() for line in cell.source.split("\n") if line.strip() in (BEGIN, END)]
    if markers != [BEGIN, END] * (len(markers) // 2):
        yield f"`{BEGIN}` and `{END}` do not come in pairs."
    is_exercise = key is not None and key.startswith("exercise:")
    if is_exercise and not markers:
        yield f"it has no solution. Put it between `{BEGIN}` and `{END}`."
    if markers and not is_exercise:
        yield "it has a solution but no tag exercise:…."
    if is_exercise and len([tag for tag in cell.metadata.tags if TAG.fullmatch(tag)]) > 1:
        yield "a cell has one exercise. Split it."


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _stubbed(source: str, exercise: str) -> Iterator[str]:
    """The lines of a cell with one line for each solution, as far to the right as the marker it begins with."""
    inside = False
    for line in source.split("\n"):
        if line.strip() == BEGIN:
            yield f'{line[: len(line) - len(line.lstrip())]}raise NotImplementedError("{exercise}")'
            inside = True
        elif line.strip() == END:
            inside = False
        elif not inside:
            yield line

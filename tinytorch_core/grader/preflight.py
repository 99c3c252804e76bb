"""Look at a notebook before anything runs: can it be read, and is every exercise cell there once, as a code cell?"""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

from tinytorch_core.catalogue import Module
from tinytorch_core.errors import NotebookUnreadable
from tinytorch_core.export import is_exported

MAX_CELLS = 2000


@dataclass(frozen=True)
class Sheet:
    """A notebook that can be graded, or `problems` that say why not and what to do."""

    notebook: NotebookNode
    problems: tuple[str, ...]
    lacking: frozenset[str]
    """Exercises whose cell is missing, doubled or not a code cell."""
    unattempted: frozenset[str]
    """Exercises whose cell still raises its own NotImplementedError."""


def preflight(data: bytes, module: Module) -> Sheet:
    """Read the snapshot of a module's notebook. NotebookUnreadable if it is no notebook."""
    notebook = read(data)
    cells = defaultdict(list)
    for cell in notebook.cells:
        for name in exercises_of(cell):
            cells[name].append(cell)
    problems, lacking, unattempted = [], set(), set()
    for exercise in module.exercises:
        problem = _problem(exercise.id, cells[exercise.id])
        if problem:
            problems.append(problem)
            lacking.add(exercise.id)
        elif is_stub(cells[exercise.id][0].source, exercise.id):
            unattempted.add(exercise.id)
    return Sheet(notebook, tuple(problems), frozenset(lacking), frozenset(unattempted))


def read(data: bytes) -> NotebookNode:
    """A notebook of format 4 in which every cell has the types that the format promises."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotebookUnreadable(
            f"The file is not a notebook ({_short(error)}). `tito module reset` makes a fresh one."
        ) from error
    if not isinstance(raw, dict) or raw.get("nbformat") != 4 or not isinstance(raw.get("cells"), list):
        found = raw.get("nbformat") if isinstance(raw, dict) else None
        raise NotebookUnreadable(
            f"The file is not a notebook of format 4 (found {found!r}). Save it again in JupyterLab, or reset the module."
        )
    if len(raw["cells"]) > MAX_CELLS:
        raise NotebookUnreadable(f"The notebook has {len(raw['cells'])} cells; {MAX_CELLS} can be graded. Delete some.")
    cells = [_cell(cell, index) for index, cell in enumerate(raw["cells"])]
    return nbformat.from_dict({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})  # type: ignore[no-untyped-call, no-any-return]


def _cell(raw: object, index: int) -> dict[str, object]:
    """One cell with what grading needs of it: outputs and attachments are left behind, ids are made where missing."""
    where = f"Cell {index + 1} of the notebook is damaged"
    if not isinstance(raw, dict) or raw.get("cell_type") not in ("code", "markdown", "raw"):
        raise NotebookUnreadable(f"{where}. Delete it in JupyterLab and save, or restore the module's cells.")
    source = raw.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise NotebookUnreadable(f"{where}: its source is not text. Delete it in JupyterLab and save.")
    metadata = raw.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    kept = [tag for tag in tags if isinstance(tag, str) and ":" in tag] if isinstance(tags, list) else []
    cell_id = raw.get("id") if isinstance(raw.get("id"), str) else f"cell-{index}"
    cell = {"cell_type": raw["cell_type"], "id": cell_id, "metadata": {"tags": kept}, "source": source}
    return {**cell, "outputs": [], "execution_count": None} if raw["cell_type"] == "code" else cell


def exercises_of(cell: NotebookNode) -> list[str]:
    """The exercises that a cell's tags name."""
    return [tag.partition(":")[2] for tag in cell.metadata.get("tags", []) if tag.startswith("exercise:")]


def _problem(exercise: str, cells: list[NotebookNode]) -> str:
    repair = "“Restore cells” puts it right and keeps a backup."
    if not cells:
        return f"The cell of exercise {exercise} is missing. {repair}"
    if len(cells) > 1:
        return f"The cell of exercise {exercise} is there {len(cells)} times, so it is not clear which one counts. {repair}"
    if cells[0].cell_type != "code":
        return f"The cell of exercise {exercise} is a {cells[0].cell_type} cell, not a code cell. {repair}"
    if not is_exported(cells[0]):
        return f"The cell of exercise {exercise} has lost its first line, `#| export`. {repair}"
    return ""


def is_stub(source: str, exercise: str) -> bool:
    """True while the cell still raises NotImplementedError with the exercise's own name."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.Raise) and _raises_stub(node, exercise) for node in ast.walk(tree))


def _raises_stub(node: ast.Raise, exercise: str) -> bool:
    call = node.exc
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "NotImplementedError":
        return False
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == exercise


def _short(error: BaseException) -> str:
    return str(error)[:120]

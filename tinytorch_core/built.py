"""What a student has built, counted once every module is complete. Runs nothing: the accepted sources and the saved outputs say it."""

from __future__ import annotations

import ast
import datetime
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec

from tinytorch_core.catalogue import Historical
from tinytorch_core.files import read_regular
from tinytorch_core.progress import Completion, ProgressStore
from tinytorch_core.report import Built
from tinytorch_core.workspace import NOTEBOOK_LIMIT, Workspace


class _Trained(msgspec.Struct):
    """What `tinytorch_core.widgets.Trained` leaves beside an output."""

    parameters: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0


class _Metadata(msgspec.Struct):
    tinytorch: _Trained = msgspec.field(default_factory=_Trained)


class _Output(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Cell(msgspec.Struct):
    outputs: list[_Output] = []


class _Notebook(msgspec.Struct):
    cells: list[_Cell] = []


def count(workspace: Workspace, store: ProgressStore, historical: Iterable[Historical]) -> Built:
    """The numbers of the final card. Asks for a workspace in which something is complete."""
    completions = store.completions().values()
    return Built(
        lines=sum(_lines(completion.source) for completion in completions),
        operations=sum(_operations(completion.source) for completion in completions),
        parameters=sum(_parameters(workspace.root / example.notebook) for example in historical),
        days=_days(store.begun(), completions),
    )


@lru_cache(maxsize=64)
def _lines(source: str) -> int:
    return sum(bool(line.strip()) for line in source.splitlines())


@lru_cache(maxsize=64)
def _operations(source: str) -> int:
    """Every module-level use of the door `operation`, and every function that was given a `forward` without it."""
    return sum(_makes_operations(statement) for statement in ast.parse(source).body)


def _makes_operations(statement: ast.stmt) -> int:
    if isinstance(statement, ast.FunctionDef):
        return sum(ast.unparse(mark) == "operation" for mark in statement.decorator_list)
    if not isinstance(statement, ast.Assign):
        return 0
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    targets = [node for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Attribute)]
    return sum(ast.unparse(call.func) == "operation" for call in calls) + sum(t.attr == "forward" for t in targets)


def _days(begun: float | None, completions: Iterable[Completion]) -> int:
    """Days of the calendar here; at least one, even where a clock went backwards."""
    ends = [completion.completed for completion in completions]
    first, last = (datetime.date.fromtimestamp(moment) for moment in (min([*ends, begun or ends[0]]), max(ends)))
    return (last - first).days + 1


def _parameters(notebook: Path) -> int:
    """0 for a notebook that was not run, not saved, or can't be read: the number is a pleasure, not evidence."""
    try:
        found = os.stat(notebook)
        return _saved(notebook, found.st_mtime_ns, found.st_size)
    except (OSError, msgspec.DecodeError, RecursionError):
        return 0


@lru_cache(maxsize=16)
def _saved(notebook: Path, mtime_ns: int, size: int) -> int:
    """The parameters that a notebook's outputs tell of; read again only when the file changed."""
    parsed = msgspec.json.decode(read_regular(notebook, NOTEBOOK_LIMIT), type=_Notebook)
    return sum(output.metadata.tinytorch.parameters for cell in parsed.cells for output in cell.outputs)

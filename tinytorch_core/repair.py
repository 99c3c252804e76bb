"""Put a student's notebook right: cells of the package that were deleted, duplicated, retyped or lost their marks.

Pure: a notebook and its template in, a new notebook and what was done to it out. Cells of the student's own stay.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tinytorch_core.authoring import TAG
from tinytorch_core.errors import NotebookUnreadable
from tinytorch_core.export import is_exported

Cell = dict[str, Any]
Notebook = dict[str, Any]
CELL_TYPES = ("code", "markdown", "raw")
FRESH = "Reset the module for a fresh notebook; this one is kept as a backup."


def parse(data: bytes) -> Notebook:
    """A notebook of format 4 with every cell's source as one string. Raises NotebookUnreadable for anything else."""
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotebookUnreadable(f"The file is not a notebook ({str(error)[:120]}). {FRESH}") from error
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4 or not isinstance(notebook.get("cells"), list):
        raise NotebookUnreadable(f"The file is not a notebook of format 4. Save it again in JupyterLab. {FRESH}")
    cells = [_cell(cell, number) for number, cell in enumerate(notebook["cells"], start=1)]
    return {**notebook, "cells": cells}


def to_bytes(notebook: Notebook) -> bytes:
    """The notebook as a file, its sources split into lines as Jupyter does."""
    cells = [cell | {"source": cell["source"].splitlines(keepends=True)} for cell in notebook["cells"]]
    return (json.dumps(notebook | {"cells": cells}, indent=1) + "\n").encode()


def repair(notebook: Notebook, template: Mapping[str, Any]) -> tuple[Notebook, list[str]]:
    """`notebook` with each exercise and given cell of `template` in it once, and what was done, one sentence each."""
    cells: list[Cell] = list(notebook["cells"])
    done: list[str] = []
    for position, original in enumerate(template["cells"]):
        key = next(iter(_keys(original)), None)
        if key is None:
            continue
        found = [index for index, cell in enumerate(cells) if _is_same(cell, key, original)]
        if found:
            _unite(cells, found, key, original, done)
        else:
            cells.insert(_place(cells, template["cells"][:position]), copy.deepcopy(dict(original)))
            done.append(f"The cell of {_name(key)} was missing; it is back, as it was at the start.")
    if notebook.get("nbformat_minor", 0) < 5:  # cells have no ids there
        cells = [{field: value for field, value in cell.items() if field != "id"} for cell in cells]
    return notebook | {"cells": cells}, done


def _cell(raw: Any, number: int) -> Cell:
    source = raw.get("source") if isinstance(raw, dict) else None
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str) or raw.get("cell_type") not in CELL_TYPES:
        raise NotebookUnreadable(f"Cell {number} of the notebook is damaged. Delete it in JupyterLab and save. {FRESH}")
    metadata = raw.get("metadata")
    return {**raw, "source": source, "metadata": metadata if isinstance(metadata, dict) else {}}


def _keys(cell: Mapping[str, Any]) -> list[str]:
    tags = cell["metadata"].get("tags")
    return [tag for tag in tags if isinstance(tag, str) and TAG.fullmatch(tag)] if isinstance(tags, list) else []


def _name(key: str) -> str:
    kind, _, name = key.partition(":")
    return f"exercise {name}" if kind == "exercise" else f"given code {name}"


def _is_same(cell: Cell, key: str, original: Mapping[str, Any]) -> bool:
    """By its tag; by its id if somebody removed the tag."""
    keys = _keys(cell)
    return key in keys or (not keys and cell.get("id") == original["id"])


def _unite(cells: list[Cell], found: Sequence[int], key: str, original: Mapping[str, Any], done: list[str]) -> None:
    """Keep the best of the cells at `found` where the first of them is, put right."""
    best = max(found, key=lambda index: (*_effort(cells[index], key, original), index))
    kept = _mended(cells[best], key, original, done)
    for index in reversed(found[1:]):
        del cells[index]
    if len(found) > 1:
        done.append(
            f"The cell of {_name(key)} was there {len(found)} times; the one with the most work in it was kept."
        )
    others = [cell.get("id") for index, cell in enumerate(cells) if index != found[0]]
    cells[found[0]] = kept if original["id"] in others else kept | {"id": original["id"]}


def _effort(cell: Cell, key: str, original: Mapping[str, Any]) -> tuple[bool, bool]:
    """Finished before begun, begun before untouched."""
    stub = rf"""^\s*raise NotImplementedError\(["']{re.escape(key.partition(":")[2])}["']\)"""
    touched = cell["source"].strip() != original["source"].strip()
    return not re.search(stub, cell["source"], re.MULTILINE), touched


def _mended(cell: Cell, key: str, original: Mapping[str, Any], done: list[str]) -> Cell:
    """The cell with the type, the first line and the tag that it must have."""
    if cell["cell_type"] != "code":
        done.append(f"The cell of {_name(key)} had become a {cell['cell_type']} cell; it is a code cell again.")
        kept = {field: cell[field] for field in ("id", "metadata", "source") if field in cell}
        cell = kept | {"cell_type": "code", "execution_count": None, "outputs": []}
    if not is_exported(cell):
        done.append(f"The cell of {_name(key)} had lost its first line, `#| export`; it has it again.")
        cell = cell | {"source": f"#| export\n{cell['source']}"}
    if key not in _keys(cell):
        done.append(f"The cell of {_name(key)} had lost its tag; it has it again.")
        tags = cell["metadata"].get("tags")
        cell = cell | {"metadata": cell["metadata"] | {"tags": [*(tags if isinstance(tags, list) else []), key]}}
    return cell


def _place(cells: Sequence[Cell], before: Sequence[Mapping[str, Any]]) -> int:
    """Where a missing cell belongs: after the nearest of the template's cells before it that is still there."""
    for original in reversed(before):
        keys = _keys(original)
        for index, cell in enumerate(cells):
            if set(keys) & set(_keys(cell)) or (not keys and cell["source"].strip() == original["source"].strip()):
                return index + 1
    return 0

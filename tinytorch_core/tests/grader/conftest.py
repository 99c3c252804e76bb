"""Notebooks of the tiny course with whatever a student may have written in their cells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nbformat import NotebookNode

from tinytorch_core import authoring
from tinytorch_core.catalogue import Course


class Notebooks:
    """The tiny course's notebooks, as a student may have left them."""

    def __init__(self, course: Course) -> None:
        self.course = course

    def solved(self, module: str = "01_counting", *more: str, **cells: str) -> bytes:
        """The solution, with the source of some exercise cells replaced, and `more` code cells at the end.

        `cells` are named by exercise, with _ for -: count_items="def count(items): …".
        """
        return _edited(authoring.solution_notebook(self.course, self.course.module(module)), more, cells)

    def untouched(self, module: str = "01_counting", *more: str, **cells: str) -> bytes:
        return _edited(authoring.student_notebook(self.course, self.course.module(module)), more, cells)


def _edited(notebook: NotebookNode, more: tuple[str, ...], cells: dict[str, str]) -> bytes:
    raw: dict[str, Any] = json.loads(authoring.to_bytes(notebook))
    for exercise, source in cells.items():
        tag = f"exercise:{exercise.replace('_', '-')}"
        (cell,) = [cell for cell in raw["cells"] if tag in cell["metadata"].get("tags", [])]
        cell["source"] = f"#| export\n{source}"
    raw["cells"] += [
        {"cell_type": "code", "id": f"more-{number}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for number, source in enumerate(more)
    ]  # fmt: skip
    return json.dumps(raw).encode()


@pytest.fixture(scope="session")
def notebooks(tiny_course: Course) -> Notebooks:
    return Notebooks(tiny_course)

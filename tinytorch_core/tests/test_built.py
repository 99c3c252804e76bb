"""The numbers at the end: counted from the accepted sources and the saved notebooks, and never a reason to fail."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tinytorch_core import built, studying
from tinytorch_core.studying import Study
from tinytorch_core.widgets.plain import Trained

MODULES = ("01_counting", "02_adding", "03_doubling")
DAY = 24 * 3600.0


class Model:
    """Two parameters of 6 and 4 numbers."""

    def parameters(self):
        return [np.zeros((2, 3)), np.zeros(4)]


def a_notebook(*outputs: object) -> bytes:
    cells = [{"cell_type": "code", "outputs": [output]} for output in outputs]
    return json.dumps({"cells": [{"cell_type": "markdown", "source": "#"}, *cells]}).encode()


def an_output(*models: Model) -> object:
    data, metadata = Trained(*models)._repr_mimebundle_()
    return {"output_type": "execute_result", "data": data, "metadata": metadata}


@pytest.fixture
def piece(workspace, tiny_course) -> Path:
    """Where the only historical notebook of the tiny course lies."""
    return workspace.root / tiny_course.historical[0].notebook


@pytest.fixture
def count(workspace, store, tiny_course):
    return lambda: built.count(workspace, store, tiny_course.historical)


def test_lines_are_those_of_the_accepted_modules(accept, store, count) -> None:
    accept(*MODULES)
    sources = [completion.source for completion in store.completions().values()]
    assert count().lines == sum(len([line for line in source.splitlines() if line.strip()]) for source in sources)


@pytest.mark.parametrize(
    ("source", "operations"),
    [
        ("@operation\ndef add(a, b):\n    return a + b\n", 1),
        ("exp, log = operation(np.exp), operation(np.log)\n", 2),
        ("stack.forward, stack.backward = np.stack, None\n", 1),
        ("def operation(forward):\n    door.forward = forward\n    return door\n", 0),
        ("@rule(add)\ndef back(gradient): ...\n", 0),
    ],
)
def test_an_operation_is_what_went_through_the_door(source: str, operations: int) -> None:
    assert built._operations(source) == operations


def test_parameters_are_those_that_saved_notebooks_tell_of(accept, count, piece) -> None:
    accept(*MODULES)
    assert count().parameters == 0
    piece.write_bytes(a_notebook(an_output(Model()), {"output_type": "stream"}, an_output(Model(), Model())))
    assert count().parameters == 30


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1, 2]",
        b"[" * 100_000,
        a_notebook({"metadata": {"tinytorch": {"parameters": "many"}}}),
        a_notebook({"metadata": {"tinytorch": {"parameters": -(10**30)}}}),
        a_notebook({"metadata": 3}),
    ],
)
def test_an_odd_notebook_counts_as_nothing(accept, count, piece, content: bytes) -> None:
    accept(*MODULES)
    piece.write_bytes(content)
    assert count().parameters == 0


def test_a_missing_notebook_or_a_folder_in_its_place_counts_as_nothing(accept, count, piece) -> None:
    accept(*MODULES)
    piece.unlink()
    assert count().parameters == 0
    piece.mkdir()
    assert count().parameters == 0


@pytest.mark.parametrize(("first", "last", "days"), [(0, 0, 1), (0, 12.0, 13), (5, 0, 1)])
def test_days_are_counted_from_the_first_attempt(store, solved, count, first: float, last: float, days: int) -> None:
    """The last one: a clock that was set back between them."""
    report, completion = solved("01_counting")
    noon = 1_750_000_000.0
    report = msgspec.structs.replace(report, started=noon + first * DAY)
    completion = msgspec.structs.replace(completion, completed=noon + last * DAY)
    store.complete(report, completion, store.fingerprint())
    assert count().days == days


def test_nothing_is_built_before_every_module_is_complete(workspace, store, tiny_course, accept) -> None:
    course = msgspec.structs.replace(tiny_course, modules=tiny_course.modules[:3])
    accept(*MODULES[:2])
    assert studying.view(course, Study(course, workspace, store)).built is None
    accept(MODULES[2])
    assert studying.view(course, Study(course, workspace, store)).built is not None

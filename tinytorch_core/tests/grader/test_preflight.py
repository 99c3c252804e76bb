"""Before anything runs: can the notebook be read, and is every exercise cell there once, as a code cell?"""

import json

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch_core.errors import NotebookUnreadable
from tinytorch_core.export import export
from tinytorch_core.grader.preflight import MAX_CELLS, is_stub, preflight, read

EXERCISES = {"count-items", "count-mean"}


@pytest.fixture
def module(tiny_course):
    return tiny_course.module("01_counting")


def changed(data: bytes, change) -> bytes:
    raw = json.loads(data)
    change(raw)
    return json.dumps(raw).encode()


def cell_of(raw, exercise="count-items"):
    return next(cell for cell in raw["cells"] if f"exercise:{exercise}" in cell["metadata"].get("tags", []))


def test_a_solved_notebook_has_no_problems(notebooks, module):
    sheet = preflight(notebooks.solved(), module)
    assert (sheet.problems, sheet.lacking, sheet.unattempted) == ((), frozenset(), frozenset())


def test_an_untouched_notebook_is_all_stubs(notebooks, module):
    sheet = preflight(notebooks.untouched(), module)
    assert sheet.problems == ()
    assert sheet.unattempted == EXERCISES


def remove(raw):
    raw["cells"].remove(cell_of(raw))


def double(raw):
    raw["cells"].append(dict(cell_of(raw), id="another"))


def to_markdown(raw):
    cell_of(raw)["cell_type"] = "markdown"


def to_raw(raw):
    cell_of(raw)["cell_type"] = "raw"


def unexport(raw):
    cell_of(raw)["source"] = "def count(items):\n    return len(items)"


def untag(raw):
    del cell_of(raw)["metadata"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (remove, "The cell of exercise count-items is missing."),
        (untag, "The cell of exercise count-items is missing."),
        (double, "count-items is there 2 times"),
        (to_markdown, "count-items is a markdown cell, not a code cell."),
        (to_raw, "count-items is a raw cell, not a code cell."),
        (unexport, "count-items has lost its first line, `#| export`."),
    ],
)
def test_an_exercise_cell_that_is_not_as_it_should_be_is_named_with_the_way_out(notebooks, module, change, said):
    sheet = preflight(changed(notebooks.solved(), change), module)
    (problem,) = sheet.problems
    assert said in problem
    assert problem.endswith("“Restore cells” puts it right and keeps a backup.")
    assert sheet.lacking == {"count-items"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "The file is not a notebook"),
        (b"not json", "The file is not a notebook"),
        (b"\xff\xfe\x00", "The file is not a notebook"),
        (b"[" * 100_000, "The file is not a notebook"),
        (b"[]", "format 4 (found None)"),
        (b"null", "format 4 (found None)"),
        (b'{"nbformat": 3, "worksheets": []}', "format 4 (found 3)"),
        (b'{"nbformat": 5, "cells": []}', "format 4 (found 5)"),
        (b'{"nbformat": 4, "cells": {}}', "format 4"),
        (b'{"nbformat": 4}', "format 4"),
        (b'{"nbformat": 4, "cells": ["text"]}', "Cell 1 of the notebook is damaged"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "heading"}]}', "Cell 1 of the notebook is damaged"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": 5}]}', "its source is not text"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["a", 1]}]}', "its source is not text"),
    ],
)
def test_what_is_no_notebook_is_refused_in_words(data, said):
    with pytest.raises(NotebookUnreadable) as refused:
        read(data)
    assert said in refused.value.message
    assert len(refused.value.message) < 400


def test_a_notebook_with_thousands_of_cells_is_refused():
    cells = [{"cell_type": "raw", "source": ""}] * (MAX_CELLS + 1)
    with pytest.raises(NotebookUnreadable, match=f"has {MAX_CELLS + 1} cells; {MAX_CELLS} can be graded"):
        read(json.dumps({"nbformat": 4, "cells": cells}).encode())


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
CELLS = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["code", "markdown", "raw"])},
    optional={
        "source": st.text() | st.lists(st.text()),
        "metadata": ANY | st.fixed_dictionaries({"tags": ANY}),
        "id": ANY,
    },
)


@settings(deadline=None, database=None, max_examples=60)
@given(st.lists(CELLS, max_size=4), ANY)
def test_whatever_can_be_read_is_a_valid_notebook(cells, rest):
    notebook = read(json.dumps({"nbformat": 4, "cells": cells, "metadata": rest}).encode())
    assert len(notebook.cells) == len(cells)
    for cell in notebook.cells:
        assert isinstance(cell.source, str)
        assert all(isinstance(tag, str) for tag in cell.metadata.tags)
        assert isinstance(cell.id, str)


PIECES = st.binary(max_size=12) | st.sampled_from(
    [b'"', b"}", b"]", b"null", b"\\u0000", b"\\ud800", b"[" * 2000, b"9" * 5000, b"\xff"]
)


@settings(deadline=None, database=None, max_examples=200)
@given(data=st.data())
def test_whatever_happens_to_its_bytes_a_notebook_is_looked_at_or_refused_in_words(notebooks, tiny_course, data):
    file = notebooks.solved()
    for _ in range(data.draw(st.integers(0, 3))):
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(file))] * 2)))
        end = data.draw(st.sampled_from([start, min(start + 8, len(file)), end]))
        file = file[:start] + data.draw(PIECES) + file[end:]
    try:
        sheet = preflight(file, tiny_course.module("01_counting"))
    except NotebookUnreadable:
        return
    assert sheet.lacking | sheet.unattempted <= EXERCISES
    assert bool(sheet.problems) == bool(sheet.lacking)
    export(sheet.notebook, tiny_course.module("01_counting"))


def test_outputs_attachments_and_tags_that_change_execution_are_left_behind(notebooks):
    def clutter(raw):
        cell = cell_of(raw)
        cell["metadata"]["tags"] += ["skip-execution", "raises-exception"]
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]

    notebook = read(changed(notebooks.solved(), clutter))
    nbformat.validate(notebook)
    cell = cell_of(notebook)
    assert cell.outputs == []
    assert cell.metadata.tags == ["exercise:count-items"]


def test_a_source_may_be_one_text_or_a_list_of_lines(notebooks):
    def join(raw):
        for cell in raw["cells"]:
            cell["source"] = "".join(cell["source"])

    def split(raw):
        for cell in raw["cells"]:
            cell["source"] = "".join(cell["source"]).splitlines(keepends=True)

    texts, lines = (read(changed(notebooks.solved(), change)) for change in (join, split))
    assert [c.source for c in texts.cells] == [c.source for c in lines.cells]


@pytest.mark.parametrize(
    ("source", "stub"),
    [
        ("def f():\n    raise NotImplementedError('add')", True),
        (
            "class A:\n    def f(self):\n        return 1\n    def g(self):\n        raise NotImplementedError('add')",
            True,
        ),
        ("def f():\n    return 1", False),
        ("def f():\n    raise NotImplementedError('other')", False),
        ("def f():\n    raise NotImplementedError", False),
        ("def f():\n    raise NotImplementedError()", False),
        ("def f():\n    raise ValueError('add')", False),
        ("def f():\n    return \"raise NotImplementedError('add')\"", False),
        ("# raise NotImplementedError('add')", False),
        ("def f(:\n    raise NotImplementedError('add')", False),
        ("x = " + "(" * 5000, False),
        ("x = '\\0\0'", False),
    ],
)
def test_a_cell_is_a_stub_while_it_raises_its_own_name(source, stub):
    assert is_stub(source, "add") is stub

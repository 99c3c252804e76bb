import copy
import json
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytorch_core import authoring
from tinytorch_core.catalogue import Course
from tinytorch_core.errors import NotebookUnreadable
from tinytorch_core.repair import Notebook, parse, repair, to_bytes

ADD, TOTAL, GIVEN = "exercise-add-arrays", "exercise-add-total", "given-adding-imports"
DONE = "#| export\ndef add(left, right):\n    return left + right"


@pytest.fixture(scope="module")
def template(tiny_course: Course) -> Notebook:
    return parse(authoring.to_bytes(authoring.student_notebook(tiny_course, tiny_course.module("02"))))


@pytest.fixture
def notebook(template: Notebook) -> Notebook:
    return copy.deepcopy(template)


def index(notebook: Notebook, cell_id: str) -> int:
    return next(n for n, cell in enumerate(notebook["cells"]) if cell["id"] == cell_id)


def ids(notebook: Notebook) -> list[str]:
    return [cell["id"] for cell in notebook["cells"]]


def test_a_notebook_that_is_right_stays_as_it_is(notebook: Notebook, template: Notebook) -> None:
    notebook["cells"][index(notebook, ADD)]["source"] = DONE
    notebook["cells"].insert(0, {"cell_type": "markdown", "id": "own", "metadata": {}, "source": "mine"})
    mended, done = repair(copy.deepcopy(notebook), template)
    assert done == [] and mended == notebook


@pytest.mark.parametrize("cell_id", [ADD, TOTAL, GIVEN])
def test_a_missing_cell_comes_back_at_its_place(notebook: Notebook, template: Notebook, cell_id: str) -> None:
    del notebook["cells"][index(notebook, cell_id)]
    mended, done = repair(notebook, template)
    assert mended == template
    assert len(done) == 1 and "missing" in done[0] and cell_id.partition("-")[2] in done[0]


def test_all_missing_cells_come_back_in_order(notebook: Notebook, template: Notebook) -> None:
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] not in (ADD, TOTAL, GIVEN)]
    mended, done = repair(notebook, template)
    assert mended == template and len(done) == 3


def test_an_empty_notebook_gets_its_cells_in_order(notebook: Notebook, template: Notebook) -> None:
    notebook["cells"] = []
    assert ids(repair(notebook, template)[0]) == [GIVEN, ADD, TOTAL]


def test_a_missing_cell_goes_behind_what_is_left_of_its_surroundings(notebook: Notebook, template: Notebook) -> None:
    del notebook["cells"][index(notebook, TOTAL)]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] += "\nmy own notes"
    mended, _ = repair(notebook, template)
    assert index(mended, ADD) < index(mended, TOTAL) == index(mended, ADD) + 2  # behind "%check add-arrays"


def test_a_missing_cell_that_comes_back_can_be_changed_without_changing_the_template(
    notebook: Notebook, template: Notebook
) -> None:
    del notebook["cells"][index(notebook, ADD)]
    mended, _ = repair(notebook, template)
    mended["cells"][index(mended, ADD)]["metadata"]["tags"].append("x")
    assert template["cells"][index(template, ADD)]["metadata"]["tags"] == ["exercise:add-arrays"]


@pytest.mark.parametrize("worked_on", ["the original", "the copy"])
def test_of_two_cells_the_one_worked_on_is_kept_at_the_first_ones_place(
    notebook: Notebook, template: Notebook, worked_on: str
) -> None:
    twin = copy.deepcopy(notebook["cells"][index(notebook, ADD)]) | {"id": "pasted"}
    notebook["cells"].append(twin)
    place = index(notebook, ADD)
    notebook["cells"][place if worked_on == "the original" else -1]["source"] = DONE
    mended, done = repair(notebook, template)
    assert ids(mended) == ids(template)
    assert mended["cells"][place]["source"] == DONE
    assert done == ["The cell of exercise add-arrays was there 2 times; the one with the most work in it was kept."]


def test_a_finished_cell_is_kept_rather_than_one_begun(notebook: Notebook, template: Notebook) -> None:
    begun = "#| export\ndef add(left, right):\n    shape = left.shape\n    raise NotImplementedError('add-arrays')"
    place = index(notebook, ADD)
    for source in (begun, DONE, begun):
        notebook["cells"].append(
            copy.deepcopy(notebook["cells"][place]) | {"id": f"n{len(ids(notebook))}", "source": source}
        )
    mended, _ = repair(notebook, template)
    assert mended["cells"][place]["source"] == DONE and ids(mended) == ids(template)


def test_a_stub_in_a_comment_does_not_make_a_cell_unfinished(notebook: Notebook, template: Notebook) -> None:
    commented = DONE + '\n    # raise NotImplementedError("add-arrays")'
    place = index(notebook, ADD)
    notebook["cells"][place]["source"] = commented
    notebook["cells"].append(copy.deepcopy(template["cells"][place]) | {"id": "pasted"})
    assert repair(notebook, template)[0]["cells"][place]["source"] == commented


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_a_retyped_cell_is_a_code_cell_again(notebook: Notebook, template: Notebook, kind: str) -> None:
    place = index(notebook, ADD)
    metadata = {"tags": ["exercise:add-arrays"]}
    notebook["cells"][place] = {"cell_type": kind, "id": ADD, "metadata": metadata, "source": DONE, "attachments": {}}
    mended, done = repair(notebook, template)
    expected = template["cells"][place] | {"source": DONE}
    assert mended["cells"][place] == expected and f"had become a {kind} cell" in done[0]


def test_a_cell_without_its_first_line_gets_it_back(notebook: Notebook, template: Notebook) -> None:
    place = index(notebook, ADD)
    notebook["cells"][place]["source"] = "def add(left, right):\n    return left + right"
    mended, done = repair(notebook, template)
    assert mended["cells"][place]["source"] == DONE and "first line" in done[0]


@pytest.mark.parametrize("metadata", [{}, {"tags": []}, {"tags": ["mine"]}, {"tags": "exercise:add-arrays"}])
def test_a_cell_without_its_tag_gets_it_back(notebook: Notebook, template: Notebook, metadata: dict[str, Any]) -> None:
    place = index(notebook, ADD)
    notebook["cells"][place] |= {"metadata": metadata, "source": DONE}
    mended, done = repair(notebook, template)
    assert mended["cells"][place]["metadata"]["tags"][-1] == "exercise:add-arrays" and "tag" in done[0]
    assert mended["cells"][place]["source"] == DONE and ids(mended) == ids(template)


def test_repairing_twice_does_nothing_more(notebook: Notebook, template: Notebook) -> None:
    notebook["cells"] = notebook["cells"][::-2]
    mended, done = repair(notebook, template)
    assert done
    assert repair(copy.deepcopy(mended), template) == (mended, [])


@given(data=st.data())
def test_whatever_is_deleted_doubled_or_retyped_every_cell_is_there_once_again(
    template: Notebook, data: st.DataObject
) -> None:
    cells = data.draw(st.lists(st.sampled_from(template["cells"]), max_size=20))
    kinds = data.draw(st.lists(st.sampled_from(["code", "markdown", "raw"]), min_size=20, max_size=20))
    drawn = [copy.deepcopy(cell) | {"cell_type": kind} for cell, kind in zip(cells, kinds, strict=False)]
    mended, _ = repair(template | {"cells": drawn}, template)
    tags = [cell["metadata"]["tags"][0] for cell in mended["cells"] if cell["metadata"].get("tags")]
    assert sorted(tags) == ["exercise:add-arrays", "exercise:add-total", "given:adding-imports"]
    assert all(cell["cell_type"] == "code" for cell in mended["cells"] if cell["metadata"].get("tags"))
    assert repair(copy.deepcopy(mended), template)[1] == []


def test_a_notebook_of_an_older_format_gets_no_ids(notebook: Notebook, template: Notebook) -> None:
    notebook["nbformat_minor"] = 4
    notebook["cells"] = [{k: v for k, v in c.items() if k != "id"} for c in notebook["cells"] if c["id"] != ADD]
    mended, done = repair(notebook, template)
    assert len(done) == 1
    nbformat.validate(json.loads(to_bytes(mended)))


def test_a_mended_notebook_is_valid(notebook: Notebook, template: Notebook) -> None:
    notebook["cells"][index(notebook, ADD)]["cell_type"] = "raw"
    del notebook["cells"][index(notebook, TOTAL)]
    nbformat.validate(json.loads(to_bytes(repair(notebook, template)[0])))


def test_what_is_read_is_what_is_written(template: Notebook) -> None:
    outputs = [{"output_type": "stream", "name": "stdout", "text": ["ä\n", "b"]}]
    notebook = template | {"cells": [*template["cells"], {**template["cells"][1], "outputs": outputs}], "own": "field"}
    assert parse(to_bytes(notebook)) == notebook


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a notebook"),
        (b"\xff\xfe", "not a notebook"),
        (b"[" * 100_000, "not a notebook"),
        (b"[]", "format 4"),
        (b'{"nbformat": 3, "worksheets": []}', "format 4"),
        (b'{"nbformat": 4, "cells": {}}', "format 4"),
        (b'{"nbformat": 4, "cells": [3]}', "Cell 1"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": 3}]}', "Cell 1"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": [3]}]}', "Cell 1"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "heading", "source": ""}]}', "Cell 1"),
        (b'{"nbformat": 4, "cells": [{"cell_type": ["code"], "source": ""}]}', "Cell 1"),
    ],
)
def test_what_is_no_notebook_says_so_and_what_to_do(data: bytes, says: str) -> None:
    with pytest.raises(NotebookUnreadable, match=says) as caught:
        parse(data)
    assert "Reset the module" in caught.value.message


def test_odd_metadata_becomes_none(template: Notebook) -> None:
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": [1],
        "source": ["a\n", "b"],
        "outputs": [],
        "execution_count": None,
    }
    parsed = parse(json.dumps({"nbformat": 4, "cells": [cell]}).encode())
    assert parsed["cells"][0]["metadata"] == {} and parsed["cells"][0]["source"] == "a\nb"
    assert len(repair(parsed, template)[1]) == 3

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tinytorch_core import __version__, authoring
from tinytorch_core.authoring import AuthoringError
from tinytorch_core.catalogue import Course, Module

Make = Callable[[Course, Module], NotebookNode]
HEAD = '# %% tags=["{}"]\n'


def cell(notebook: NotebookNode, cell_id: str) -> NotebookNode:
    (found,) = [c for c in notebook.cells if c.id == cell_id]
    assert isinstance(found, NotebookNode)
    return found


def edit(course: Course, old: str, new: str, module: str = "02_adding") -> None:
    """Change one place of a notebook source as an author would."""
    source = course.notebook_source(module)
    text = source.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the source"
    source.write_text(text.replace(old, new))


def test_the_student_gets_one_raise_for_each_solution(tiny_course: Course) -> None:
    notebook = authoring.student_notebook(tiny_course, tiny_course.module("03"))
    assert cell(notebook, "exercise-doubler").source == (
        '#| export\nclass Doubler:\n    """Doubles what it is called with, `times` times."""\n\n'
        '    def __init__(self, times: int = 1) -> None:\n        raise NotImplementedError("doubler")\n\n'
        '    def __call__(self, values: np.ndarray) -> np.ndarray:\n        raise NotImplementedError("doubler")'
    )


def test_the_solution_has_no_markers(tiny_course: Course) -> None:
    notebook = authoring.solution_notebook(tiny_course, tiny_course.module("01"))
    assert cell(notebook, "exercise-count-items").source.endswith(
        '"""How many items there are."""\n    return len(items)'
    )
    assert b"SOLUTION" not in authoring.to_bytes(notebook)


def test_nothing_of_a_solution_is_left_in_the_students_notebook(tiny_course: Course) -> None:
    for module in tiny_course.modules[:3]:
        text = authoring.to_bytes(authoring.student_notebook(tiny_course, module)).decode()
        assert "SOLUTION" not in text and "len(items)" not in text and "return add(values" not in text


def test_cells_that_are_no_exercise_are_the_same_for_all(tiny_course: Course) -> None:
    module = tiny_course.module("02")
    student, solution = (
        authoring.student_notebook(tiny_course, module),
        authoring.solution_notebook(tiny_course, module),
    )
    pairs = zip(student.cells, solution.cells, strict=True)
    assert [a.id for a, b in pairs if a != b] == ["exercise-add-arrays", "exercise-add-total"]


def test_ids_are_those_of_tags_or_places(tiny_course: Course) -> None:
    ids = [c.id for c in authoring.student_notebook(tiny_course, tiny_course.module("02")).cells]
    assert ids[:5] == ["02_adding-0", "02_adding-1", "given-adding-imports", "02_adding-3", "exercise-add-arrays"]
    assert len(set(ids)) == len(ids)


def test_magics_are_live_in_the_notebook(tiny_course: Course) -> None:
    sources = [c.source for c in authoring.student_notebook(tiny_course, tiny_course.module("02")).cells]
    assert "%load_ext tinytorch_core" in sources and "%check add-arrays" in sources


@pytest.mark.parametrize("make", [authoring.student_notebook, authoring.solution_notebook, authoring.preview_notebook])
def test_notebooks_are_valid_and_say_whose_they_are(tiny_course: Course, make: Make) -> None:
    notebook = make(tiny_course, tiny_course.module("01"))
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3" and notebook.metadata.language_info.name == "python"
    assert notebook.metadata.tinytorch == {"module": "01_counting", "version": __version__}


def test_the_historical_notebook_is_valid_and_says_which_it_is(tiny_course: Course) -> None:
    notebook = authoring.historical_notebook(tiny_course, tiny_course.example("pascaline"))
    nbformat.validate(notebook)
    assert notebook.metadata.tinytorch == {"historical": "pascaline_1642", "version": __version__}
    assert notebook.cells[1].id == "pascaline_1642-1"


def test_the_same_source_makes_the_same_bytes(tiny_course: Course, copied_course: Course) -> None:
    one = authoring.to_bytes(authoring.student_notebook(tiny_course, tiny_course.module("02")))
    two = authoring.to_bytes(authoring.student_notebook(copied_course, copied_course.module("02")))
    assert one == two and one.endswith(b"}\n")


def test_a_notebook_can_be_changed_without_changing_the_next(tiny_course: Course) -> None:
    module = tiny_course.module("01")
    authoring.student_notebook(tiny_course, module).cells[0].source = "changed"
    assert authoring.student_notebook(tiny_course, module).cells[0].source != "changed"


def test_a_source_that_changes_is_read_again(copied_course: Course) -> None:
    module = copied_course.module("02")
    authoring.student_notebook(copied_course, module)
    edit(copied_course, "## Two arrays", "## Two heaps")
    os.utime(copied_course.notebook_source(module.id), ns=(1, 1))
    assert "## Two heaps" in [c.source for c in authoring.student_notebook(copied_course, module).cells]


def test_warming_up_leaves_nothing_to_parse(copied_course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    authoring.warm_up(copied_course)
    monkeypatch.setitem(sys.modules, "jupytext", None)  # importing it now would fail
    for module in copied_course.modules[:3]:
        authoring.student_notebook(copied_course, module)
    authoring.historical_notebook(copied_course, copied_course.historical[0])


def test_jupytext_is_not_imported_before_a_source_is_read() -> None:
    code = "import sys, tinytorch_core.authoring; sys.exit('jupytext' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_mutants_come_exercise_by_exercise(tiny_course: Course) -> None:
    mutants = authoring.mutants(tiny_course, tiny_course.module("01"))
    assert [m.exercise for m in mutants] == ["count-items"] * 3 + ["count-mean"] * 3
    assert (mutants[0].name, mutants[0].replace, mutants[0].with_) == (
        "counts-from-zero",
        "len(items)",
        "len(items) - 1",
    )


def test_a_mutant_is_the_solution_with_one_mistake(tiny_course: Course) -> None:
    module = tiny_course.module("01")
    mutant = authoring.mutant_notebook(tiny_course, module, "counts-from-zero")
    solution = authoring.solution_notebook(tiny_course, module)
    pairs = zip(mutant.cells, solution.cells, strict=True)
    assert [(a.id, a.source.replace(" - 1", "") == b.source) for a, b in pairs if a != b] == [
        ("exercise-count-items", True)
    ]


def test_every_mutant_of_the_tiny_course_can_be_made(tiny_course: Course) -> None:
    for module in tiny_course.modules[:3]:
        for mutant in authoring.mutants(tiny_course, module):
            authoring.mutant_notebook(tiny_course, module, mutant.name)


def test_an_unknown_mutant_is_an_error_that_says_where_they_are(tiny_course: Course) -> None:
    with pytest.raises(AuthoringError, match=r"no mutant 'typo'.*mutants/01_counting"):
        authoring.mutant_notebook(tiny_course, tiny_course.module("01"), "typo")


def test_a_mutant_that_does_not_fit_its_solution_is_an_error(copied_course: Course) -> None:
    edit(copied_course, "len(items)", "sum(1 for _ in items)", "01_counting")
    with pytest.raises(AuthoringError, match=r"count-items\.toml: counts-from-zero: 'len\(items\)' stands 0 times"):
        authoring.mutant_notebook(copied_course, copied_course.module("01"), "counts-from-zero")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("typo.toml", "", "no exercise 'typo'"),
        ("add-total.toml", "[[mutant]]\nname = 'a'\n", "mistake"),
        ("add-total.toml", "[[mutants]]\n", "mutants"),
        ("add-total.toml", "[[", "add-total"),
        (
            "add-total.toml",
            '[[mutant]]\nname="add-first-row"\nmistake="m"\nreplace="a"\nwith="b"\n',
            "two mutants named",
        ),
    ],
)
def test_a_file_of_mutants_that_can_not_be_used_is_an_error(
    copied_course: Course, name: str, text: str, says: str
) -> None:
    (copied_course.mutants_folder("02_adding") / name).write_text(text)
    with pytest.raises(AuthoringError, match=says):
        authoring.mutants(copied_course, copied_course.module("02"))


def test_a_module_without_mutants_has_none(tiny_course: Course) -> None:
    assert authoring.mutants(tiny_course, tiny_course.module("04")) == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (HEAD.format("exercise:add-total"), HEAD.format("exercise:add-typo"), "lists no such exercise for 02_adding"),
        (HEAD.format("exercise:add-total"), "# %%\n", "an #| export cell needs a tag"),
        (HEAD.format("exercise:add-total"), HEAD.format("exercise:add-arrays"), "2 cells have this tag"),
        (HEAD.format("given:adding-imports"), HEAD.format("given:Adding"), "a-z"),
        (HEAD.format("given:adding-imports"), HEAD.format("given:" + "a" * 60), "64 characters"),
        ('"exercise:add-total"', '"exercise:add-total", "given:too"', "one exercise"),
        (HEAD.format("given:adding-imports") + "#| export\n", HEAD.format("given:adding-imports"), "first line is"),
        ("    if values.size == 0:\n        return 0.0\n    return values.size * mean(values)\n    ### END", "    ### BE", "pairs"),
        ("    return values.size * mean(values)\n    ### END SOLUTION", "    return 1", "pairs"),
        ("    return left + right\n", "    return left +\n", "not plain Python"),
        ("    return left + right\n", "    # !ls\n    return left + right\n", "jupytext reads a comment"),
        ("# %%\nadd(np.array", "# %%\n### BEGIN SOLUTION\n### END SOLUTION\nadd(np.array", "no tag exercise"),
    ],
)  # fmt: skip
def test_an_authors_mistake_names_the_file_and_the_cell(copied_course: Course, old: str, new: str, says: str) -> None:
    edit(copied_course, old, new)
    with pytest.raises(AuthoringError, match=says) as caught:
        authoring.student_notebook(copied_course, copied_course.module("02"))
    assert "notebooks/02_adding.py: cell " in caught.value.message


def test_an_exercise_without_a_solution_is_an_error(copied_course: Course) -> None:
    text = (
        copied_course.notebook_source("02_adding")
        .read_text()
        .replace("### BEGIN SOLUTION", "")
        .replace("### END SOLUTION", "")
    )
    copied_course.notebook_source("02_adding").write_text(text)
    with pytest.raises(AuthoringError, match="it has no solution"):
        authoring.solution_notebook(copied_course, copied_course.module("02"))


def test_an_exercise_of_the_catalogue_without_a_cell_is_an_error(copied_course: Course) -> None:
    source = copied_course.notebook_source("02_adding")
    before, _, _ = source.read_text().partition(HEAD.format("exercise:add-total"))
    source.write_text(before)
    with pytest.raises(AuthoringError, match="lists 'add-total', but no cell is tagged 'exercise:add-total'"):
        authoring.solution_notebook(copied_course, copied_course.module("02"))


@pytest.mark.parametrize("make", [authoring.student_notebook, authoring.solution_notebook])
def test_a_module_that_is_not_written_has_no_notebook(tiny_course: Course, make: Make) -> None:
    with pytest.raises(AuthoringError, match=r"04_tripling\.py can't be read"):
        make(tiny_course, tiny_course.module("04"))


def test_a_source_that_is_no_text_is_an_error(copied_course: Course) -> None:
    copied_course.notebook_source("02_adding").write_bytes(b"\xff\xfe")
    with pytest.raises(AuthoringError, match=r"02_adding\.py can't be read"):
        authoring.student_notebook(copied_course, copied_course.module("02"))


def test_what_stands_in_a_foreign_tag_is_no_concern(tmp_path: Path) -> None:
    assert authoring.key_of({"metadata": {"tags": ["hide-input", 3, None]}}) is None
    assert authoring.exercise_of({"metadata": {"tags": ["x", "exercise:a-b"]}}) == "a-b"
    assert authoring.exercise_of({"metadata": {"tags": ["given:a"]}}) is None

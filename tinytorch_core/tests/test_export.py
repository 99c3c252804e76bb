import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinytorch_core import authoring
from tinytorch_core.catalogue import Course, Module
from tinytorch_core.export import DIRECTIVE, Export, export, is_exported, locate, package_init, public_names

MODULE = Module(id="02_adding", title="Adding", discovery="", capability="", achievement="")


def code(source: str, cell_id: str = "a") -> dict[str, Any]:
    return {"cell_type": "code", "id": cell_id, "metadata": {}, "source": source}


def exported(*sources: str) -> Export:
    cells = [code(source, f"cell-{number}") for number, source in enumerate(sources)]
    return export({"cells": cells}, MODULE)


def body(*sources: str) -> str:
    return exported(*sources).source.partition("\n\n")[2]


def test_only_export_cells_are_exported_in_order() -> None:
    assert body("#| export\na = 1", "b = 2", "#| export\nc = 3") == "a = 1\n\n\nc = 3\n"


def test_the_source_says_where_it_comes_from() -> None:
    first = exported("#| export\na = 1").source.splitlines()[0]
    assert first.startswith("# Generated from notebooks/02_adding.ipynb")


@pytest.mark.parametrize("line", ["#| export", "# | export", "#|export", "\n\n#| export  "])
def test_the_directive_may_have_blanks_around_it(line: str) -> None:
    assert body(f"{line}\na = 1") == "a = 1\n"


@pytest.mark.parametrize("line", ["# export", "#| exports", "#| hide", "a = 0\n#| export", "'#| export'"])
def test_what_is_not_the_directive_exports_nothing(line: str) -> None:
    assert exported(f"{line}\na = 1").cells == ()


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_a_cell_of_another_kind_exports_nothing(kind: str) -> None:
    assert not is_exported(code("#| export\na = 1") | {"cell_type": kind})


def test_an_export_cell_without_code_leaves_no_trace() -> None:
    assert exported("#| export", "#| export\n\n  \n").cells == ()


def test_a_notebook_without_export_cells_gives_an_empty_module() -> None:
    assert exported("a = 1").names == () and exported("a = 1").source.count("\n") == 1


@pytest.mark.parametrize("magic", ["%timeit add(1, 2)", "%%time", "!ls -l", "! ls", "add?", "np.add??", "?add"])
def test_a_line_of_ipython_becomes_a_comment(magic: str) -> None:
    source = body(f"#| export\nif True:\n    {magic}\na = 1")
    assert f"    pass  # {magic}\n" in source
    assert public_names(source) == ("a",)


@pytest.mark.parametrize(
    "python",
    ["a = (7\n     % 2)", 'a = """\n%time\n!ls\n"""', "a = (1\n     != 2)", "a = (7\n  %b)\nb = 2", "# why?\na = 1"],
)
def test_python_that_looks_like_ipython_stays_as_it_is(python: str) -> None:
    assert body(f"#| export\n{python}") == python + "\n"


def test_an_operator_at_the_start_of_a_line_survives_a_magic_in_the_same_cell() -> None:
    source = body("#| export\n%time\na = (7\n     % 2\n     != 0)")
    assert "     % 2\n     != 0)" in source and "pass  # %time" in source


def test_a_future_import_goes_to_the_top_of_the_file() -> None:
    """Each cell may begin with one, as far as the notebook is concerned; a file of them all would be no Python."""
    future = "from __future__ import annotations"
    made = exported("#| export\na = 1", f"#| export\n{future}\n\ndef f(x: T): pass", "#| export\nc = 1 / 0")
    assert compile(made.source, "x.py", "exec")
    assert made.source.splitlines()[1] == future
    assert f"\n# {future}\n\ndef f(x: T): pass\n" in made.source
    assert made.names == ("a", "f", "c")
    found = locate(made, made.source.splitlines().index("c = 1 / 0") + 1)
    assert found is not None
    assert (found[0].id, found[1]) == ("cell-2", 2)


@pytest.mark.parametrize(
    "source", ["from __future__ import annotations; a = 1", 'a = """\nfrom __future__ import annotations\n"""']
)
def test_what_shares_its_line_or_is_text_stays_where_it_is(source: str) -> None:
    assert body(f"#| export\n{source}") == f"{source}\n"


def test_a_syntax_error_stays_in_the_source_and_leaves_no_names() -> None:
    broken = exported("#| export\ndef f(:\n    pass", "#| export\na = 1")
    assert "def f(:" in broken.source and broken.names == ()


@pytest.mark.parametrize("text", ["a = 1\r\nb = 2", "a = 1\rb = 2"])
def test_line_ends_of_other_systems_become_ours(text: str) -> None:
    assert body(f"#| export\n{text}") == "a = 1\nb = 2\n"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(): pass\nasync def g(): pass\nclass C: pass", ("f", "g", "C")),
        ("a = 1\nb: int = 2\nc: int\n", ("a", "b")),
        ("a, (b, *c) = [d, e] = 1, (2, 3)", ("a", "b", "c", "d", "e")),
        ("x.y = 1\nx[0] = 1", ()),
        ("import numpy as np\nfrom math import pi", ()),
        ("_hidden = 1\ndef _f(): pass\n__version__ = 2", ()),
        ("a = 1\nb = 2\ndel a", ("b",)),
        ("a = 1\na = 2\ndef b(): pass\na = 3", ("a", "b")),
        ("def f():\n    inside = 1", ("f",)),
        ("ħ = 1", ("ħ",)),
    ],
)
def test_public_names_are_what_the_top_level_binds(source: str, names: tuple[str, ...]) -> None:
    assert public_names(source) == names


@pytest.mark.parametrize("source", ["a = 1\0", "(" * 500, "-" * 100_000 + "1", "+".join("1" * 50_000), "def", "\ud800"])
def test_what_the_parser_refuses_has_no_names(source: str) -> None:
    assert public_names(source) == ()


def test_no_warning_about_a_students_escape_reaches_the_log(recwarn: pytest.WarningsRecorder) -> None:
    assert public_names(r"a = '\d'") == ("a",)
    assert not recwarn.list


def test_a_lone_surrogate_does_not_stop_the_source_from_being_written() -> None:
    assert exported("#| export\na = '\ud800'").source.encode()


def test_a_line_of_the_source_is_found_in_its_cell() -> None:
    whole = exported("#| export\nimport numpy as np", "skip", "\n#| export\n\ndef f():\n    return 1\n\n")
    lines = whole.source.split("\n")
    cell, line = locate(whole, lines.index("    return 1") + 1) or (None, 0)
    assert cell is not None and (cell.id, cell.index, line) == ("cell-2", 2, 5)


@pytest.mark.parametrize("line", [-1, 0, 1, 2, 4, 5, 7, 1000])
def test_a_line_between_cells_or_outside_belongs_to_none(line: int) -> None:
    assert locate(exported("#| export\na = 1", "#| export\nb = 2"), line) is None


def test_a_cell_without_an_id_is_named_by_its_place() -> None:
    cell = code("#| export\na = 1")
    del cell["id"]
    assert export({"cells": [code("x"), cell]}, MODULE).cells[0].id == "cell-1"


TEXT = st.text(st.characters(), max_size=200)
LINES = st.lists(
    st.sampled_from(
        [
            "#| export",
            "",
            " ",
            "a = 1",
            "    b",
            "%time",
            "!ls",
            "def f(:",
            '"""',
            "x?",
            "\\",
            "(",
            ")",
            "\0",
            "\t",
            "\x0c",
        ]
    ),
    max_size=12,
).map("\n".join)
CELLS = st.lists((TEXT | LINES).map(lambda text: f"#| export\n{text}") | TEXT, max_size=5)


@given(CELLS)
@example(["#| export\n\ud800", "#| export\n\x0c", "#| export\n\u2028a"])
def test_any_text_can_be_exported(sources: list[str]) -> None:
    whole = exported(*sources)
    assert whole.source.encode().endswith(b"\n")
    assert all(name.isidentifier() for name in whole.names)


@given(CELLS)
def test_every_line_of_a_body_is_found_again(sources: list[str]) -> None:
    whole = exported(*sources)
    lines = [_bare(line) for line in whole.source.split("\n")]
    for cell in whole.cells:
        text = sources[cell.index].encode("utf-8", "replace").decode()
        own = [_bare(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
        for line in range(cell.line, cell.line + cell.lines):
            found = locate(whole, line)
            assert found is not None and found[0] == cell
            assert lines[line - 1] == own[found[1] - 1]


def _bare(line: str) -> str:
    """Without what makes a comment of IPython's lines."""
    return line.replace("pass  # ", "").strip()


@given(
    st.lists(st.sampled_from(["a = 1", "def f():\n    return 2", "class C:\n    x = 1", "b = [\n1,\n]"]), max_size=6)
)
def test_what_is_python_stays_the_same_python(bodies: list[str]) -> None:
    whole = exported(*(f"#| export\n{text}" for text in bodies))
    assert ast.dump(ast.parse(whole.source)) == ast.dump(ast.parse("\n".join(bodies)))


@pytest.fixture
def import_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Imports `tinytorch` made of the given modules' sources, in order."""

    def load(**sources: str) -> ModuleType:
        folder = tmp_path / "tinytorch"
        folder.mkdir()
        for name, source in sources.items():
            (folder / f"{name}.py").write_text(source)
        names = [(name, public_names(source)) for name, source in sources.items()]
        (folder / "__init__.py").write_text(package_init(names))
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module("tinytorch")

    yield load
    for name in [name for name in sys.modules if name.partition(".")[0] == "tinytorch"]:
        del sys.modules[name]


def test_the_package_gives_every_name_the_later_module_first(import_package: Callable[..., ModuleType]) -> None:
    package = import_package(one="a = 1\nb = 1", two="b = 2", engine="_hidden = 3")
    assert (package.a, package.b, package.engine._hidden) == (1, 2, 3)
    assert package.__all__ == ["a", "b"]


def test_a_module_may_import_what_earlier_ones_gave(import_package: Callable[..., ModuleType]) -> None:
    package = import_package(one="a = 1", two="from tinytorch import a\nb = a + 1")
    assert package.b == 2


def test_the_tiny_course_makes_a_package_that_works(
    tiny_course: Course, import_package: Callable[..., ModuleType]
) -> None:
    written = [m for m in tiny_course.modules if m.written]
    package = import_package(**{m.name: export(authoring.solution_notebook(tiny_course, m), m).source for m in written})
    assert package.Doubler(3)(np.array([1, 2])).tolist() == [8, 16]


def test_an_empty_package_is_a_package() -> None:
    ast.parse(package_init([]))


def test_many_names_stay_readable_lines() -> None:
    source = package_init([("tensor", [f"a_rather_long_name_{n}" for n in range(20)])])
    assert public_names(source) == () and max(map(len, source.splitlines())) <= 100
    ast.parse(source)


def test_the_directive_is_one_line() -> None:
    assert not DIRECTIVE.fullmatch("#| export as f")

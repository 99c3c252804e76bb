"""How a kernel sees the student's package: from memory when grading, with the notebook in its place when live."""

import sys
import traceback
from types import ModuleType

import pytest

from tinytorch_core.kernel import package
from tinytorch_core.kernel.package import import_package, install_live

pytestmark = pytest.mark.usefixtures("clean_imports")

INIT = "from .one import first\nfrom .two import second\n"
EARLIER = "from .one import first\n"
ONE = "def first():\n    return 1\n"


def sources(two, init=INIT, one=ONE):
    return {"tinytorch": init, "tinytorch.one": one, "tinytorch.two": two}


def test_the_package_is_imported_from_memory_and_from_nowhere_else(tmp_path, monkeypatch):
    (tmp_path / "tinytorch").mkdir()
    (tmp_path / "tinytorch" / "__init__.py").write_text("raise SystemExit('the file was read')")
    monkeypatch.syspath_prepend(str(tmp_path))
    found, broken = import_package(
        sources("from .one import first\ndef second():\n    return first() + 1\n"), "two", EARLIER
    )
    assert broken is None
    assert (found.first(), found.second()) == (1, 2)
    assert found.__file__ == "tinytorch/__init__.py"


def test_an_error_points_at_the_line_of_the_source():
    found, _ = import_package(sources("def second():\n    x = 1\n    return x / 0\n"), "two", EARLIER)
    with pytest.raises(ZeroDivisionError) as caught:
        found.second()
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.line) == ("tinytorch/two.py", 3, "return x / 0")


def test_what_stands_above_a_break_can_still_be_checked():
    found, broken = import_package(sources("def second():\n    return 2\n\nraise ValueError('here')\n"), "two", EARLIER)
    assert isinstance(broken, ValueError)
    assert (found.first(), found.second()) == (1, 2)
    with pytest.raises(AttributeError, match="tinytorch has no 'third' yet"):
        found.third()


def test_a_syntax_error_leaves_the_accepted_modules():
    found, broken = import_package(sources("def second(:\n"), "two", EARLIER)
    assert isinstance(broken, SyntaxError)
    assert (broken.filename, broken.lineno) == ("tinytorch/two.py", 1)
    assert found.first() == 1
    with pytest.raises(AttributeError):
        found.second()


@pytest.mark.parametrize("ending", ["import sys; sys.exit(3)", "raise KeyboardInterrupt", "quit()"])
def test_a_module_that_asks_python_to_stop_is_an_error_like_any_other(ending):
    found, broken = import_package(sources(f"def second():\n    return 2\n{ending}\n"), "two", EARLIER)
    assert isinstance(broken, Exception)
    assert found.second() == 2
    if "quit" not in ending:  # in a kernel, quit() asks IPython
        assert "asked Python to stop" in str(broken)


def test_an_import_that_the_break_left_half_done_is_done_again():
    found, _ = import_package(sources("from .one import first\nsecond = 2\nraise ValueError\n"), "two", EARLIER)
    assert found.second == 2
    assert sys.modules["tinytorch.one"].first is found.first


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "tinytorch"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .one import first\n")
    (folder / "one.py").write_text(ONE + "shared = 'one'\n_private = 1\n")
    (folder / "two.py").write_text("second = 'accepted'\nshared = 'two'\n")
    return tmp_path


def live(workspace, **names):
    notebook = ModuleType("__main__")
    notebook.__dict__.update(names)
    return notebook, install_live(workspace, notebook, "three", ["one", "two"])


def test_in_a_live_notebook_the_modules_own_name_means_the_notebook(workspace):
    notebook, _ = live(workspace, third=3)
    from tinytorch.three import third  # type: ignore[import-not-found]

    assert third == 3
    notebook.__dict__["fourth"] = 4
    from tinytorch.three import fourth

    assert fourth == 4


def test_the_live_package_looks_in_the_notebook_then_in_the_latest_module(workspace):
    notebook, tinytorch = live(workspace, second="mine")
    assert (tinytorch.second, tinytorch.shared, tinytorch.first()) == ("mine", "two", 1)
    del notebook.__dict__["second"]
    assert tinytorch.second == "accepted"


def test_private_names_and_missing_names_are_not_there(workspace):
    _, tinytorch = live(workspace, _hidden=1)
    for name in ("_hidden", "_private", "third"):
        with pytest.raises(AttributeError, match="tinytorch has no"):
            getattr(tinytorch, name)


def test_a_module_that_is_not_accepted_yet_is_passed_over(workspace):
    (workspace / "tinytorch" / "two.py").unlink()
    _, tinytorch = live(workspace)
    assert tinytorch.shared == "one"


def test_what_an_accepted_module_does_to_another_is_done_though_nobody_imports_it(workspace):
    (workspace / "tinytorch" / "two.py").write_text("from tinytorch import one\none.engine = 'new'\n")
    live(workspace)
    from tinytorch.one import engine  # type: ignore[import-not-found]

    assert engine == "new"


def test_a_broken_module_is_told_by_the_cell_that_imports_it(workspace):
    (workspace / "tinytorch" / "two.py").write_text("1 / 0\n")
    live(workspace)
    with pytest.raises(ZeroDivisionError):
        import tinytorch.two  # type: ignore[import-not-found]  # noqa: F401


def test_after_the_package_changed_a_reload_reads_it_anew(workspace):
    _, tinytorch = live(workspace)
    assert tinytorch.shared == "two"
    (workspace / "tinytorch" / "two.py").write_text("shared = 'newer and longer'\n")
    _, tinytorch = live(workspace)
    assert tinytorch.shared == "newer and longer"


def test_forgetting_drops_the_package_and_nothing_else(workspace):
    live(workspace)
    sys.modules["tinytorchish"] = ModuleType("tinytorchish")
    package.forget_package()
    assert not [name for name in sys.modules if name == "tinytorch" or name.startswith("tinytorch.")]
    assert sys.modules.pop("tinytorchish")

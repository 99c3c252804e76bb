"""`%load_ext tinytorch_core`: the package on the path, `%check` and `%hint` in a notebook, silence in a headless run."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from tinytorch_core.kernel import extension

pytestmark = pytest.mark.usefixtures("clean_imports")

MODULES = [
    {"id": "01_one", "name": "one", "title": "One", "exercises": [{"id": "first", "title": "First", "hints": ["look", "see"]}]},
    {"id": "02_two", "name": "two", "title": "Two", "exercises": [
        {"id": "second", "title": "Second", "hints": []}, {"id": "third", "title": "Third", "hints": []},
    ]},
]  # fmt: skip
CHECKS = """
from tinytorch_core.kernel.checking import exercise, given, wants

@exercise("second")
@given(lambda rng: {"n": int(rng.integers(1000))})
@wants(lambda n: n + 2)
def test_second(tt, n):
    \"\"\"second adds two.\"\"\"
    return tt.second(n)
"""


class Shell:
    """As much of IPython as the extension talks to."""

    def __init__(self):
        self.user_module = ModuleType("__main__")
        self.magics = {}
        self.published = []
        self.settled = []
        self.display_pub = SimpleNamespace(publish=self.published.append)

    def register_magic_function(self, function, kind, name):
        assert kind == "line"
        self.magics[name] = function

    def find_line_magic(self, name):
        return self.magics.get(name)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A workspace with module 1 accepted, in whose notebooks folder the kernel starts."""
    for folder in (".tinytorch", "tinytorch", "notebooks", "checks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tinytorch" / "__init__.py").write_text("from .one import first\n")
    (tmp_path / "tinytorch" / "one.py").write_text("def first():\n    return 1\n")
    (tmp_path / "checks" / "test_02_two.py").write_text(CHECKS)
    describe(tmp_path)
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.delenv(extension.HEADLESS, raising=False)
    monkeypatch.setenv("JPY_SESSION_NAME", "/somewhere/notebooks/02_two.ipynb")
    return tmp_path


def describe(workspace, **more):
    described = {"version": 1, "checks": str(workspace / "checks"), "modules": MODULES, **more}
    (workspace / ".tinytorch" / "course.json").write_text(json.dumps(described))


@pytest.fixture
def shell(monkeypatch):
    shell = Shell()
    monkeypatch.setattr(extension.speed, "settle", lambda: shell.settled.append(1))
    monkeypatch.setattr("tinytorch_core.kernel.live.get_ipython", lambda: shell)
    monkeypatch.setitem(sys.modules, "__main__", shell.user_module)
    return shell


def test_the_package_of_the_workspace_can_be_imported(workspace, shell):
    extension.load(shell)
    from tinytorch import first  # type: ignore[import-not-found]

    assert first() == 1


def test_numpy_is_made_to_run_as_in_grading_in_every_notebook(workspace, shell):
    extension.load(shell)
    assert shell.settled == [1]


def test_the_notebooks_own_module_means_the_notebook(workspace, shell):
    extension.load(shell)
    shell.user_module.__dict__["second"] = "mine"
    from tinytorch.two import second  # type: ignore[import-not-found]

    assert second == "mine"


def test_a_notebook_of_no_module_sees_only_what_is_accepted(workspace, shell, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "notes.ipynb")
    extension.load(shell)
    shell.user_module.__dict__["second"] = "mine"
    with pytest.raises(ModuleNotFoundError):
        import tinytorch.two  # type: ignore[import-not-found]  # noqa: F401


def test_in_a_headless_run_course_json_says_which_module_it_is(workspace, shell, monkeypatch):
    describe(workspace, grading="02_two")
    monkeypatch.delenv("JPY_SESSION_NAME")
    monkeypatch.setenv(extension.HEADLESS, "1")
    extension.load(shell)
    shell.user_module.__dict__["second"] = "mine"
    from tinytorch.two import second  # type: ignore[import-not-found]

    assert second == "mine"


def test_loading_twice_is_as_good_as_once(workspace, shell):
    extension.load(shell)
    extension.load(shell)
    assert sys.path.count(str(workspace)) == 1


def test_outside_a_workspace_it_says_what_to_do_and_registers_nothing(tmp_path, shell, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    extension.load(shell)
    assert "`tito lab`" in capsys.readouterr().out
    assert shell.magics == {}


def test_check_judges_the_code_of_the_notebook(workspace, shell):
    extension.load(shell)
    shell.user_module.__dict__["second"] = lambda n: n + 2
    shell.magics["check"]("second  # mine")
    shell.user_module.__dict__["second"] = lambda n: n + 3
    shell.magics["check"]("'second'")
    right, wrong = (bundle["text/plain"] for bundle in shell.published)
    assert right.startswith("Second: all 1 checks pass.")
    assert wrong.startswith("Second: 0 of 1 checks pass.\n  [wrong] second adds two.")


def test_check_works_in_a_notebook_whose_module_nobody_knows(workspace, shell, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME")
    extension.load(shell)
    shell.user_module.__dict__["second"] = lambda n: n + 2
    shell.magics["check"]("second")
    assert shell.published[0]["text/plain"].startswith("Second: all 1 checks pass.")


def test_there_too_a_check_imports_nothing_twice(workspace, shell, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME")
    extension.load(shell)
    import tinytorch.one

    before = tinytorch.one
    shell.user_module.__dict__["second"] = lambda n: n + 2
    shell.magics["check"]("second")
    shell.magics["check"]("second")
    assert sys.modules["tinytorch.one"] is before


@pytest.mark.parametrize(
    ("line", "said"), [("nothing", "There is no exercise 'nothing'."), ("", "Say which exercise: %check EXERCISE.")]
)
def test_an_unknown_exercise_is_answered_with_those_there_are(workspace, shell, capsys, line, said):
    extension.load(shell)
    shell.magics["check"](line)
    assert capsys.readouterr().out == f"{said} This notebook has: second, third.\n"
    assert shell.published == []


def test_each_hint_goes_one_further_and_the_last_stays(workspace, shell, capsys):
    extension.load(shell)
    for _ in range(3):
        shell.magics["hint"]("first")
    assert capsys.readouterr().out.splitlines() == [
        "Hint 1 of 2: look   (%hint first again for more)",
        "Hint 2 of 2: see",
        "Hint 2 of 2: see",
    ]


def test_an_exercise_without_hints_says_so(workspace, shell, capsys):
    extension.load(shell)
    shell.magics["hint"]("second")
    assert capsys.readouterr().out.startswith("second has no hints.")


def test_a_headless_run_is_silent(workspace, shell, monkeypatch, capsys):
    monkeypatch.setenv(extension.HEADLESS, "1")
    extension.load(shell)
    shell.magics["check"]("nothing at all")
    shell.magics["hint"]("first")
    assert capsys.readouterr().out == ""
    assert shell.published == []


@pytest.mark.parametrize(
    ("session", "module"),
    [("/home/s/notebooks/02_two.ipynb", "02_two"), ("02_two-copy.ipynb", "02_two"), ("notes.ipynb", ""), ("", ""),
     ("/01_one/notes.ipynb", "")],
)  # fmt: skip
def test_a_kernel_knows_its_module_by_the_name_of_its_session(monkeypatch, session, module):
    monkeypatch.setenv("JPY_SESSION_NAME", session)
    assert extension.current_module_id() == module


def test_the_workspace_is_the_nearest_folder_upward(workspace):
    inner = workspace / "notebooks" / "deep" / "deeper"
    inner.mkdir(parents=True)
    assert extension.find_workspace(inner) == workspace
    assert extension.find_workspace(workspace.parent) is None


def test_before_the_first_cell_check_and_hint_say_what_to_run(workspace, shell, capsys):
    extension.prepare(shell)
    for magic in (shell.magics["check"], shell.magics["hint"]):
        magic("second")
        assert capsys.readouterr().out == f"{extension.NOT_LOADED}\n"
    extension.load(shell)
    shell.magics["hint"]("first")
    assert "look" in capsys.readouterr().out


def test_a_kernel_that_has_run_its_first_cell_keeps_its_magics(workspace, shell, capsys):
    extension.load(shell)
    extension.prepare(shell)  # as after the page was reloaded
    shell.magics["hint"]("first")
    assert "look" in capsys.readouterr().out

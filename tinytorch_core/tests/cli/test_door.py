"""What every command shares: options in any place, one JSON value, exit codes, and errors in plain words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tinytorch_core import __version__, studying
from tinytorch_core.cli.tito import tito
from tinytorch_core.tests.cli.conftest import Terminal


def every_command(group: click.Group = tito, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += every_command(command, (*path, name))
    return found


def test_the_commands_of_the_contract_are_there() -> None:
    wanted = "lab init status test examples milestones hint doctor"
    module = "open complete check reset solution diff history restore"
    names = {" ".join(path) for path in every_command()}
    assert {
        *wanted.split(),
        *(f"module {n}" for n in module.split()),
        "examples available",
        "examples open",
        "examples run",
    } <= names
    assert {"dev check", "dev preview", "dev solve", "data list", "data fetch", "data verify"} <= names


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_every_command_explains_itself(terminal: Terminal, path: tuple[str, ...]) -> None:
    text = terminal.text(*path, "--help")
    assert "--json" in text
    assert "--workspace" in text
    if path not in [("module",), ("examples",), ("dev",), ("data",)]:
        assert "Example" in text


def test_the_version(terminal: Terminal) -> None:
    assert terminal.text("--version") == f"tito {__version__}\n"
    assert terminal.json("--version") == {"version": __version__}


def test_tito_alone_shows_its_help(terminal: Terminal) -> None:
    assert "tito lab my-course" in terminal.text()


def test_shared_options_stand_anywhere(tito_in_course: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    here = str(tito_in_course.folder)
    monkeypatch.chdir("/")
    for words in (
        ["--workspace", here, "--json", "module", "history", "1"],
        ["module", "--json", "--workspace", here, "history", "1"],
        ["module", "history", "1", "--workspace", here, "--json"],
        ["--json", "module", "history", "--workspace", here, "1"],
    ):
        assert json.loads(tito_in_course(*words).stdout) == []


def test_a_folder_inside_the_workspace_will_do(tito_in_course: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("notebooks")
    assert tito_in_course.json("status")["workspace"] == str(tito_in_course.folder)


def test_without_a_workspace_the_next_step_is_said(terminal: Terminal) -> None:
    assert "tito init" in terminal.text("status", code=2)
    assert terminal.json("status", code=2)["reason"] == "WorkspaceError"


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["module", "open"],
        ["module", "open", "99"],
        ["test", "smell", "1"],
        ["status", "--colour"],
        ["hint", "nothing"],
        ["module"],
    ],
    ids=" ".join,
)
def test_what_can_not_be_understood_is_a_usage_error(tito_in_course: Terminal, words: list[str]) -> None:
    result = tito_in_course(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr
    error = json.loads(tito_in_course(*words, "--json").stdout)
    assert set(error) == {"message", "reason"}


def test_what_is_locked_has_a_code_of_its_own(tito_in_course: Terminal) -> None:
    for words in (
        ["module", "open", "2"],
        ["module", "complete", "2"],
        ["module", "solution", "1"],
        ["examples", "open", "pascaline"],
    ):
        assert tito_in_course(*words).exit_code == 4, words


def test_our_own_fault_is_said_plainly(tito_in_course: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*anything: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(studying, "view", broken)
    result = tito_in_course("status")
    assert result.exit_code == 5
    assert "Traceback" not in result.output
    assert "report it" in result.output
    kept = Path(result.output.replace("\n", " ").rpartition("file ")[2].strip().rstrip("."))
    assert "planted" in kept.read_text()
    kept.unlink()


def test_a_real_process(tmp_path: Path) -> None:
    """The same door, as a shell sees it: codes, and stdout kept clean."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tinytorch_core.cli", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )

    version = run("--version")
    assert (version.returncode, version.stdout) == (0, f"tito {__version__}\n")
    lost = run("status", "--json")
    assert lost.returncode == 2
    assert json.loads(lost.stdout)["reason"] == "WorkspaceError"
    made = run("init", "course", "--json")
    assert json.loads(made.stdout)["path"] == str(tmp_path / "course")
    status = run("status", "--workspace", "course", "--json")
    assert json.loads(status.stdout)["modules"][0]["id"] == "01_setup"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`tito … | head -1`"""
    command = f"{sys.executable} -m tinytorch_core.cli --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert "Traceback" not in done.stderr


def test_imports_stay_light() -> None:
    """A command that only prints should not wait for numpy, jupytext or Jupyter."""
    heavy = ("numpy", "requests", "jupytext", "jupyterlab", "jupyter_server", "nbclient", "nbdime", "IPython")
    source = f"import sys\nimport tinytorch_core.cli.tito\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

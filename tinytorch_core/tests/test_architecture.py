"""What import-linter can't see: which libraries a process really loads, measured in a fresh one."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"ipywidgets", "jupytext", "matplotlib", "nbclient", "nbdime", "numpy", "pytest"}


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a new Python has loaded after `code`."""
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_front_door_loads_no_library() -> None:
    """Every kernel that says %load_ext, and every Jupyter process that lists extensions, imports it."""
    assert not loaded_by("import tinytorch_core") & {*HEAVY, "click", "jupyter_server", "msgspec", "tornado"}


def test_the_server_starts_without_the_grader_s_libraries() -> None:
    assert not loaded_by("import tinytorch_core; tinytorch_core._jupyter_server_extension_points()") & HEAVY


@pytest.mark.parametrize("command", ["--version", "--help", "status --help"])
def test_the_command_line_answers_without_a_server_or_numpy(command: str) -> None:
    code = f"import contextlib, io, sys\nfrom tinytorch_core.cli import main\nsys.argv = ['tito', *{command.split()}]"
    quiet = "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n    main()"
    assert not loaded_by(f"{code}\n{quiet}") & {*HEAVY, "jupyter_server", "tornado"}

"""What import-linter can't see: which libraries a process really loads, measured in a fresh one."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "click",
    "ipywidgets",
    "jupytext",
    "jupyter_server",
    "matplotlib",
    "msgspec",
    "nbclient",
    "numpy",
    "pytest",
    "tornado",
}


def test_the_front_door_loads_no_library() -> None:
    """Every kernel that says %load_ext, and every Jupyter process that lists extensions, imports it."""
    report = "import sys, tinytorch_core; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & HEAVY

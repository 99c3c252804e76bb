"""How far a kernel is kept from the rest of the machine, and the best that this machine allows."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

from tinytorch_core.kernel import landlock

Level = Literal["landlock", "process"]

MEANING: dict[Level, str] = {
    "landlock": "kernels can write only to their scratch folder and cannot signal other processes",
    "process": "kernels have limits and a scratch folder, but nothing stops them from writing elsewhere",
}

_TRIAL = """
import sys
from tinytorch_core.kernel import landlock
landlock.restrict([sys.argv[1]])
open(sys.argv[1] + "/inside", "w").close()
try:
    open(sys.argv[2] + "/outside", "w")
except PermissionError:
    sys.exit(0)
sys.exit(1)
"""


@cache
def best() -> Level:
    """The highest level that works here, tried with a real process."""
    return "landlock" if landlock.version() and _landlock_holds() else "process"


def _landlock_holds() -> bool:
    with tempfile.TemporaryDirectory(prefix="tinytorch-") as folder:
        inside, outside = Path(folder, "in"), Path(folder, "out")
        inside.mkdir()
        outside.mkdir()
        command = [sys.executable, "-I", "-c", _TRIAL, str(inside), str(outside)]
        trial = subprocess.run(command, capture_output=True, timeout=30, check=False, env=dict(os.environ))
        return trial.returncode == 0

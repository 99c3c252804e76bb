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

Level = Literal["namespace", "landlock", "process"]

MEANING: dict[Level, str] = {
    "namespace": "kernels see no other process, no network and no solutions, and can write only to their scratch folder",
    "landlock": "kernels can write only to their scratch folder and cannot signal other processes",
    "process": "kernels have limits and a scratch folder, but nothing stops them from writing elsewhere",
}

_TRIAL = """
import os, sys
from tinytorch_core.kernel import landlock, namespace

level, inside, outside = sys.argv[1:]
if level == "namespace":
    namespace.leave()
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    namespace.furnish([inside], [outside])
    assert os.getpid() == 1 and not os.listdir(outside)
landlock.restrict([inside])
open(inside + "/new", "w").close()
try:
    open(outside + "/new", "w")
except OSError:
    sys.exit(0)
sys.exit(1)
"""


@cache
def best() -> Level:
    """The highest level that works here, tried with a real process."""
    return "namespace" if sys.platform == "linux" and _holds("namespace") else below_namespace()


@cache
def below_namespace() -> Level:
    """The highest level that needs no process to be forked from: a kernel can put itself there."""
    return "landlock" if landlock.version() and _holds("landlock") else "process"


def _holds(level: Level) -> bool:
    with tempfile.TemporaryDirectory(prefix="tinytorch-") as folder:
        inside, outside = Path(folder, "in"), Path(folder, "out")
        inside.mkdir()
        outside.mkdir()
        (outside / "kept").touch()
        command = [sys.executable, "-I", "-c", _TRIAL, level, str(inside), str(outside)]
        trial = subprocess.run(command, capture_output=True, timeout=30, check=False, env=dict(os.environ))
        return trial.returncode == 0

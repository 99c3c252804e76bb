"""What surrounds a grading kernel. It imports next to nothing, so that the worker's first lines can start what takes longest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from platformdirs import user_cache_path

from tinytorch_core.kernel.speed import THREADS


def environment(folder: Path) -> dict[str, str]:
    """A kernel's environment, built from nothing: the student's own settings must not change a verdict."""
    kept = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "LD_LIBRARY_PATH")
    threads = dict.fromkeys(THREADS, "1")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        **threads,
        "HOME": str(folder / "work"),
        "TMPDIR": str(folder / "tmp"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder),
        "MPLBACKEND": "template",  # figures are made but not drawn: nobody looks at them here, and drawing takes 100 ms each
        "MPLCONFIGDIR": str(matplotlib_cache()),
        "MALLOC_ARENA_MAX": "2",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TINYTORCH_HEADLESS": "1",
    }


def matplotlib_cache() -> Path:
    """Where kernels find matplotlib's font list, which takes seconds to build. They can only read it."""
    folder = user_cache_path("tinytorch") / "matplotlib"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def build_matplotlib_cache() -> None:
    folder = matplotlib_cache()
    if not any(folder.glob("fontlist-*.json")):
        environment = {**os.environ, "MPLCONFIGDIR": str(folder)}
        subprocess.run(
            [sys.executable, "-I", "-c", "import matplotlib.font_manager"], env=environment, check=False, timeout=120
        )

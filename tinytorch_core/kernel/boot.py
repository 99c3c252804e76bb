"""The first thing a grading kernel runs: put limits on itself, then become an IPython kernel.

python -s -P -m tinytorch_core.kernel.boot '{"parent": pid, "role": "cells", …}' -f CONNECTION_FILE
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

from tinytorch_core.kernel import speed

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


def main() -> None:
    limits = json.loads(sys.argv[1])
    sys.argv = ["ipykernel", *sys.argv[2:]]
    if os.name == "posix":
        _limit_posix(limits)
    speed.settle()
    _import_what_is_used(limits["role"])
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()


def _limit_posix(limits: dict[str, Any]) -> None:
    import resource

    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(PR_SET_DUMPABLE, 0)
    if os.getppid() != limits["parent"]:  # the worker died before the line above
        os._exit(1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2) if not limits.get("stderr") else (0, 1):
        os.dup2(null, stream)
    os.closerange(3, 256)
    for name, value in limits["rlimits"].items():
        hard = resource.getrlimit(getattr(resource, name))[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (value, value))
    if limits["isolation"] == "landlock":
        from tinytorch_core.kernel import landlock

        landlock.restrict(limits["writable"])


def _import_what_is_used(role: str) -> None:
    import numpy  # noqa: F401

    if role == "checks":
        from tinytorch_core.kernel import harness  # noqa: F401
    else:
        import matplotlib.pyplot  # noqa: F401

        from tinytorch_core.kernel import extension  # noqa: F401


def prime_cells() -> None:
    """In the kernel of the cells, before it is needed: what notebooks use, used once. Figures end with their cell, as inline."""
    import gc

    import ipywidgets  # noqa: F401
    from IPython.core.getipython import get_ipython
    from matplotlib import pyplot

    shell: Any = get_ipython()
    shell.events.register("post_execute", lambda: pyplot.close("all"))
    pyplot.plot([0, 1])
    pyplot.show()
    gc.collect()
    gc.freeze()


def keep_streams() -> None:
    """ipykernel flushes both streams after each cell: code that puts None in their place would never be heard of again."""
    from IPython.core.getipython import get_ipython

    streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}

    def restore() -> None:
        for name, stream in streams.items():
            if not hasattr(getattr(sys, name, None), "flush"):
                setattr(sys, name, stream)

    shell: Any = get_ipython()
    shell.events.register("post_execute", restore)


if __name__ == "__main__":
    main()

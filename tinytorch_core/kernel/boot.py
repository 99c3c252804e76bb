"""The first thing a grading kernel runs: put limits on itself, then become an IPython kernel.

On Linux it is forked from kernel/template.py. Elsewhere: python -I -B -m tinytorch_core.kernel.boot '{"parent": pid, …}' -f CONNECTION_FILE
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tinytorch_core.kernel import speed

BEGUN = "begun"
"""A file in the kernel's folder: a byte for every cell that it has begun."""

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME = 1, 4, 15
IMPORTS = (
    "IPython.core.completerlib", "IPython.core.debugger", "IPython.core.logger", "IPython.core.oinspect", "IPython.extensions.storemagic",
    "_pytest._argcomplete", "_pytest.helpconfig", "_pytest.skipping", "_pytest.warnings", "faulthandler", "ipykernel.kernelapp",
    "ipykernel.zmqshell", "ipykernel.ipkernel", "ipywidgets", "matplotlib.backends.backend_template", "matplotlib.pyplot",
    "matplotlib_inline.backend_inline", "numpy", "numpy.random", "psutil", "statistics", "tinytorch_core.kernel.extension",
    "tinytorch_core.kernel.harness", "tinytorch_core.kernel.landlock", "tornado.locks", "tornado.platform.asyncio", "tornado.queues",
)  # fmt: skip
"""What cells and checks need, and what it takes to be a kernel: a fork has them at once."""


def main() -> None:
    become_kernel(json.loads(sys.argv[1]), sys.argv[2:])


def become_kernel(settings: dict[str, Any], arguments: Sequence[str]) -> None:
    """Returns when the kernel is asked to end."""
    sys.argv = ["ipykernel", *arguments]
    if os.name == "posix":
        _limit_posix(settings)
    speed.settle()
    import_what_is_used()
    import zmq
    from ipykernel.iostream import OutStream
    from ipykernel.ipkernel import IPythonKernel
    from ipykernel.kernelapp import IPKernelApp
    from traitlets.config import Config

    note_beginning = _noting(os.path.join(settings["writable"][0], BEGUN))

    class GradingKernel(IPythonKernel):
        """Leaves out two of five messages a cell: who runs cells one by one knows what it asked, and that the kernel is busy with it."""

        def _publish_execute_input(self, *arguments: Any, **named: Any) -> None:
            note_beginning()

        def _publish_status(self, status: str, *arguments: Any, **named: Any) -> None:
            if status != "busy":
                super()._publish_status(status, *arguments, **named)  # type: ignore[no-untyped-call]

    class GradingKernelApp(IPKernelApp):
        def parse_command_line(self, argv: Any = None) -> None:
            """There are no settings to look for, and a parser that knows all that there could be takes 4 ms."""

        def init_iopub(self, context: zmq.Context[Any]) -> None:
            context.setsockopt(zmq.SNDHWM, 0)  # else output beyond a thousand messages is dropped, its end among it
            super().init_iopub(context)  # type: ignore[no-untyped-call]

    sys.breakpointhook = lambda *arguments, **named: None  # as in JupyterLab, where its debugger is not at work
    GradingKernel._execute_sleep = 0.0  # type: ignore[assignment]  # a pause lest replies overtake output, which nbclient waits for anyway
    OutStream.flush_timeout = None  # type: ignore[assignment]  # else a slow machine says that a cell has ended before it has sent what was printed

    GradingKernelApp.launch_instance(
        kernel_class=GradingKernel,
        connection_file=arguments[arguments.index("-f") + 1],
        ignore_cwd=True,
        capture_fd_output=False,
        config=Config(HistoryManager={"enabled": False}),
    )


def bind_to(parent: int, name: bytes) -> None:
    """Die with the parent, be unreadable to other processes of the same user, and have a name for `ps` (up to 15 bytes)."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_NAME, name)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(PR_SET_DUMPABLE, 0)
    if parent_process() != parent:  # it died before the lines above
        os._exit(1)


def parent_process() -> int:
    """The parent's number; on Linux as /proc has it, which is right where a process sees itself as number 1 and its parent as 0."""
    if sys.platform != "linux":
        return os.getppid()
    with open("/proc/self/stat", encoding="utf-8", errors="replace") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


def _limit_posix(limits: dict[str, Any]) -> None:
    import resource

    bind_to(limits["parent"], b"tito-kernel")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2) if not limits.get("stderr") else (0, 1):
        os.dup2(null, stream)
    os.closerange(3, 256)
    for name, value in limits["rlimits"].items():
        hard = resource.getrlimit(getattr(resource, name))[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (value, value))
    if limits["isolation"] != "process":
        from tinytorch_core.kernel import landlock

        landlock.restrict(limits["writable"])


def _noting(path: str, open=os.open, write=os.write, close=os.close) -> Callable[[], None]:  # type: ignore[no-untyped-def]
    """A function that adds a byte to a file, whatever student code has made of `os`. Where it can't, the cell runs all the same."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND

    def note() -> None:
        with contextlib.suppress(OSError):
            file = open(path, flags, 0o600)
            write(file, b".")
            close(file)

    return note


def import_what_is_used() -> None:
    if "ipykernel.debugger" not in sys.modules:
        sys.modules["debugpy"] = None  # type: ignore[assignment]  # a hundred modules in each kernel, and nobody debugs a grading
        importlib.import_module("ipykernel.debugger")
        del sys.modules["debugpy"]
    for name in IMPORTS:
        importlib.import_module(name)


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

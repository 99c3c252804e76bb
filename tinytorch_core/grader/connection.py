"""How the worker reaches a grading kernel: its command, its environment, and a client that notices what nbclient does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from platformdirs import user_cache_path

from tinytorch_core.data import cache
from tinytorch_core.kernel.speed import THREADS


class GradingClient(AsyncKernelClient):
    """A client whose next execute request carries `payload` beside the code: IPython would read a megabyte of code four times."""

    payload = ""
    process_alive: Callable[[], bool] = staticmethod(lambda: True)
    monitors: tuple[zmq.asyncio.Socket, ...] = ()

    async def _async_is_alive(self) -> bool:
        """By the process, not by the heartbeat: on a busy machine a kernel that still imports misses beats, and is not dead."""
        return self.process_alive()

    is_alive = _async_is_alive

    def watch_connection(self) -> None:
        """From now on, notice when a channel is cut."""
        channels = (self.iopub_channel, self.shell_channel)
        self.monitors = tuple(channel.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED) for channel in channels)

    def cut_off(self) -> bool:
        """True once a channel was cut: by a message larger than MAX_MESSAGE, or by the kernel's end."""
        return any(int(monitor.get(zmq.EVENTS)) & zmq.POLLIN for monitor in self.monitors)

    def stop_channels(self) -> None:
        if self.monitors:
            for channel in (self.iopub_channel, self.shell_channel):
                channel.socket.disable_monitor()
        for monitor in self.monitors:
            monitor.close()
        self.monitors = ()
        super().stop_channels()

    def execute(self, code: str, *args: Any, **kwargs: Any) -> str:
        content = {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": kwargs.get("stop_on_error", True),
            "tinytorch": self.payload,
        }
        self.payload = ""
        message = self.session.msg("execute_request", content)
        self.shell_channel.send(message)
        return str(message["header"]["msg_id"])


class GradingManager(AsyncKernelManager):
    """Starts our boot module in place of a kernelspec's command, on sockets in a private folder."""

    def __init__(self, command: list[str], folder: Path) -> None:
        super().__init__(kernel_name="tinytorch-grading", connection_file=str(folder / "connection.json"))
        self.command = command
        self._kernel_spec = KernelSpec(argv=command, display_name="TinyTorch grading", language="python")
        self.autorestart = False
        if os.name == "posix":
            self.transport = "ipc"
            self.ip = str(folder / "k")


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
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "TINYTORCH_HEADLESS": "1",
        cache.VARIABLE: str(
            cache.folder()
        ),  # HOME is the scratch folder, and a historical notebook wants what was fetched
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

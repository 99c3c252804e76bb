"""Single-use kernels, kept warm: started, connected and primed before anybody needs them.

Handing nbclient a connected client saves the 200 ms of its own handshake, and a kernel that imported numpy and pytest
beforehand saves the rest. A kernel serves one grading and is then killed with everything it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import psutil
import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from platformdirs import user_cache_path

from tinytorch_core.errors import GraderError
from tinytorch_core.grader.isolation import Level
from tinytorch_core.grader.job import MIB, Limits
from tinytorch_core.kernel.speed import THREADS

Role = Literal["cells", "checks"]

START_SECONDS = 60
MAX_MESSAGE = 16 * MIB
PRIME: dict[Role, str] = {
    "cells": (
        "import gc, os\nimport matplotlib.pyplot as _plt\n"
        "_plt.figure(figsize=(1, 1)); _plt.plot([0, 1]); _plt.show(); del _plt\ngc.collect(); gc.freeze()"
    ),
    "checks": "from tinytorch_core.kernel import harness as _tinytorch_harness\n_tinytorch_harness.prime()",
}
KERNEL_FLAGS = (
    "--HistoryManager.enabled=False",
    "--IPKernelApp.ignore_cwd=True",
    "--IPKernelApp.capture_fd_output=False",
    "--no-secure",
)


class Kernel:
    """One kernel process with its connected client and its scratch folder."""

    def __init__(self, role: Role, folder: Path, manager: AsyncKernelManager) -> None:
        self.role = role
        self.folder = folder
        self.manager = manager
        self.client: GradingClient | None = None
        self.pid = 0
        self.stopped_because = ""
        """Why we killed it: "memory", "output", "time", "messages" or "cancelled"."""

    @property
    def scratch(self) -> Path:
        return self.folder / "work"

    def alive(self) -> bool:
        try:
            return bool(psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def stop(self, because: str) -> None:
        """Kill the process at once; what waits on it sees a dead kernel. Its children go in `Pool.discard`."""
        self.stopped_because = self.stopped_because or because
        _kill(self.pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class Pool:
    """Warm kernels, `size` of each role. `take` gives one away; another is started in its place."""

    def __init__(self, limits: Limits, isolation: Level, size: int = 1, scratch: str | None = None) -> None:
        self.limits = limits
        self.isolation = isolation
        self.size = size
        self._ready: dict[Role, deque[Kernel]] = {"cells": deque(), "checks": deque()}
        self._keepers: dict[int, Kernel] = {}
        self._starting: dict[Role, list[asyncio.Task[Kernel]]] = {"cells": [], "checks": []}
        self._spawning = asyncio.Lock()
        self._root = Path(scratch or tempfile.mkdtemp(prefix="tinytorch-"))

    async def take(self, role: Role) -> Kernel:
        """A warm kernel; waits for one that is starting, or starts one."""
        while self._ready[role]:
            kernel = self._ready[role].popleft()
            if kernel.alive():
                return kernel
            await self.discard(kernel)
        if not self._starting[role]:
            self._begin(role)
        return await self._starting[role].pop(0)

    def refill(self) -> None:
        """Start what is missing, in the background. Called after a verdict is out, never before."""
        for role in self._ready:
            for _ in range(self.size - len(self._ready[role]) - len(self._starting[role])):
                self._begin(role)

    async def warm(self) -> None:
        """Fill the pool and wait for it."""
        await asyncio.to_thread(build_matplotlib_cache)
        self.refill()
        await asyncio.gather(*(task for tasks in self._starting.values() for task in tasks))

    def _begin(self, role: Role) -> None:
        task = asyncio.ensure_future(self._start(role))
        self._starting[role].append(task)
        task.add_done_callback(lambda done: self._started(role, done))

    def _started(self, role: Role, task: asyncio.Task[Kernel]) -> None:
        if task in self._starting[role]:
            self._starting[role].remove(task)
            if not task.cancelled() and task.exception() is None:
                self._ready[role].append(task.result())

    async def _start(self, role: Role) -> Kernel:
        folder = Path(tempfile.mkdtemp(prefix="k", dir=self._root))
        (folder / "tmp").mkdir()
        (folder / "work" / "notebooks").mkdir(parents=True)
        manager = GradingManager(self._command(role, folder), folder)
        kernel = Kernel(role, folder, manager)
        try:
            async with self._spawning:  # a sweep must not meet a process that is not registered yet
                await manager.start_kernel(env=_environment(folder), cwd=str(folder / "work" / "notebooks"))
                kernel.pid = manager.provisioner.pid  # type: ignore[union-attr]
                self._keepers[kernel.pid] = kernel
            await self._connect(kernel)
        except asyncio.CancelledError:
            await self.discard(kernel)
            raise
        except (RuntimeError, TimeoutError, OSError) as error:
            await self.discard(kernel)
            raise GraderError(
                f"A grading kernel did not start ({error}). `tito doctor` looks at what it needs."
            ) from error
        return kernel

    async def _connect(self, kernel: Kernel) -> None:
        client = kernel.client = GradingClient(**kernel.manager.get_connection_info(session=True))
        client.context.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        client.context.setsockopt(zmq.RCVHWM, 64)
        client.allow_stdin = False
        client.start_channels()
        client.process_alive = kernel.alive
        await asyncio.wait_for(client.wait_for_ready(timeout=START_SECONDS), START_SECONDS)
        reply = await client.execute_interactive(
            PRIME[kernel.role],
            store_history=False,
            allow_stdin=False,
            timeout=START_SECONDS,
            output_hook=lambda message: None,
        )
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"{reply['content'].get('ename')}: {reply['content'].get('evalue')}")
        Path(kernel.manager.connection_file).unlink(missing_ok=True)
        client.watch_connection()

    def _command(self, role: Role, folder: Path) -> list[str]:
        settings = {
            "parent": os.getpid(),
            "role": role,
            "isolation": self.isolation,
            "writable": [str(folder)],
            "rlimits": {
                "RLIMIT_AS": self.limits.memory_bytes,
                "RLIMIT_FSIZE": 1024 * MIB,
                "RLIMIT_CORE": 0,
            }
            if sys.platform == "linux"
            else {"RLIMIT_CORE": 0},
        }
        boot = [sys.executable, "-I", "-B", "-m", "tinytorch_core.kernel.boot", json.dumps(settings)]
        return [*boot, "-f", "{connection_file}", *KERNEL_FLAGS]

    async def kill(self, *kernels: Kernel) -> None:
        """Kill kernels with everything they started. Nothing of them runs when this returns."""
        async with self._spawning:
            for kernel in kernels:
                self._keepers.pop(kernel.pid, None)
            await asyncio.to_thread(self._sweep)

    async def discard(self, *kernels: Kernel) -> None:
        """Kill kernels, close their clients and remove their scratch folders."""
        if any(kernel.pid in self._keepers for kernel in kernels):
            await self.kill(*kernels)
        for kernel in kernels:
            if kernel.client is not None:
                kernel.client.stop_channels()
            if kernel.manager.provisioner:
                await kernel.manager.provisioner.wait()  # its last thread may still be ending
            await kernel.manager.cleanup_resources()
            await asyncio.to_thread(shutil.rmtree, kernel.folder, True)

    def _sweep(self) -> None:
        """Freeze, then kill, until nothing is left that does not belong to a kernel we keep.

        Where the worker is a sub-reaper, what a kernel left behind comes back to the worker as a child.
        """
        for _ in range(50):
            victims = [p for p in psutil.Process().children(recursive=True) if _running(p) and not self._kept(p)]
            for act in (psutil.Process.suspend, psutil.Process.kill):
                for victim in victims:
                    _try(act, victim)
            if not victims:
                return
            _wait_for_end(victims)

    def _kept(self, process: psutil.Process) -> bool:
        try:
            return any(p.pid in self._keepers for p in (process, *process.parents()))
        except psutil.Error:
            return False

    async def close(self) -> None:
        """Kill every kernel and remove every scratch folder."""
        starting = [task for tasks in self._starting.values() for task in tasks]
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        for kernel in list(self._keepers.values()):
            await self.discard(kernel)
        shutil.rmtree(self._root, ignore_errors=True)


def _wait_for_end(processes: list[psutil.Process]) -> None:
    """Wait until killed processes are dead, and collect those that are our own children."""
    for _ in range(200):
        for process in processes:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)
        if not any(map(_running, processes)):
            return
        time.sleep(0.002)


def _running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _try(act: Callable[[psutil.Process], None], process: psutil.Process) -> None:
    try:
        act(process)
    except psutil.NoSuchProcess:  # it was faster
        return


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
        self._kernel_spec = KernelSpec(argv=command, display_name="TinyTorch grading", language="python")
        self.autorestart = False
        if os.name == "posix":
            self.transport = "ipc"
            self.ip = str(folder / "k")


def _environment(folder: Path) -> dict[str, str]:
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
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": str(matplotlib_cache()),
        "MALLOC_ARENA_MAX": "2",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
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

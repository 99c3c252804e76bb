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
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import psutil
import zmq

from tinytorch_core.data import cache
from tinytorch_core.errors import GraderError
from tinytorch_core.grader.connection import GradingClient, GradingManager, forked
from tinytorch_core.grader.environment import build_matplotlib_cache, environment
from tinytorch_core.grader.isolation import Level, below_namespace
from tinytorch_core.grader.job import MIB, Limits
from tinytorch_core.grader.processes import sweep
from tinytorch_core.grader.template import Template
from tinytorch_core.kernel.boot import BEGUN

Role = Literal["cells", "checks"]

START_SECONDS = 60
MAX_MESSAGE = 16 * MIB
PRIME: dict[Role, str] = {
    "cells": "from tinytorch_core.kernel import boot as _boot\n_boot.prime_cells(); _boot.keep_streams(); del _boot",
    "checks": "from tinytorch_core.kernel import harness as _tinytorch_harness\n_tinytorch_harness.prime()",
}


class Kernel:
    """One kernel process with its connected client and its scratch folder."""

    def __init__(self, role: Role, folder: Path, manager: GradingManager) -> None:
        self.role = role
        self.folder = folder
        self.manager = manager
        self.client: GradingClient | None = None
        self.pid = 0
        self.ended = False
        """Its process is gone, and its number may be another's."""
        self.stopped_because = ""
        """Why we killed it: "memory", "output", "time", "run", "messages" or "cancelled"."""

    @property
    def scratch(self) -> Path:
        return self.folder / "work"

    @property
    def begun(self) -> int:
        """How many cells it has begun, by its own account."""
        try:
            return (self.folder / BEGUN).stat().st_size
        except OSError:
            return 0

    def alive(self) -> bool:
        try:
            return bool(psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def starting(self) -> bool:
        """True while it is alive. RuntimeError once it is not: jupyter_client would wait for it to come alive again."""
        if not self.alive():
            raise RuntimeError("its process ended")
        return True

    def stop(self, because: str) -> None:
        """Kill the process at once; what waits on it sees a dead kernel. Its children go in `Pool.discard`."""
        self.stopped_because = self.stopped_because or because
        if not self.ended:
            _kill(self.pid)


def kernel_environment(folder: Path) -> dict[str, str]:
    """HOME is the scratch folder there, and a historical notebook wants what the student has fetched."""
    return {**environment(folder), cache.VARIABLE: str(cache.folder())}


def _kill(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).kill()


class Pool:
    """Warm kernels, `size` of each role. `take` gives one away; another is started in its place."""

    def __init__(
        self,
        limits: Limits,
        isolation: Level,
        size: int = 1,
        scratch: str | None = None,
        template: Template | None = None,
        hidden: Sequence[Path] = (),
    ) -> None:
        self.limits = limits
        self.isolation = isolation
        self.hidden = hidden
        """Folders that kernels can't look into, where there are namespaces."""
        self.size = size
        self._ready: dict[Role, deque[Kernel]] = {"cells": deque(), "checks": deque()}
        self._keepers: dict[int, Kernel] = {}
        self._starting: dict[Role, list[asyncio.Task[Kernel]]] = {"cells": [], "checks": []}
        self._spawning = asyncio.Lock()
        self._root = Path(scratch or tempfile.mkdtemp(prefix="tinytorch-"))
        self._template = template or (Template(self._root) if sys.platform == "linux" else None)

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
        kernel = Kernel(role, folder, self._manager(folder))
        try:
            async with self._spawning:  # a sweep must not meet a process that is not registered yet
                await self._launch(kernel)
                kernel.pid = kernel.manager.provisioner.pid  # type: ignore[union-attr]
                self._keepers[kernel.pid] = kernel
            await self._connect(kernel)
        except asyncio.CancelledError:
            await self.discard(kernel)
            raise
        except (RuntimeError, asyncio.TimeoutError, OSError) as error:
            await self.discard(kernel)
            raise GraderError(
                f"A grading kernel did not start ({error}). `tito doctor` looks at what it needs."
            ) from error
        return kernel

    async def _launch(self, kernel: Kernel) -> None:
        """Fork it from the template; where that is not possible, start it by itself, and all others after it."""
        options = {"env": kernel_environment(kernel.folder), "cwd": str(kernel.folder / "work" / "notebooks")}
        if self._template:
            kernel.manager = forked(self._template, self._settings(kernel.folder), kernel.manager)
            try:
                await kernel.manager.start_kernel(**options)
                return
            except (RuntimeError, asyncio.TimeoutError, OSError):
                await asyncio.to_thread(self._template.close)
                self._template = None
                self.isolation = below_namespace() if self.isolation == "namespace" else self.isolation
                kernel.manager = self._manager(kernel.folder)
        await kernel.manager.start_kernel(**options)

    async def _connect(self, kernel: Kernel) -> None:
        client = kernel.client = GradingClient(**kernel.manager.get_connection_info(session=True))
        client.context.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        client.context.setsockopt(zmq.RCVHWM, 64)
        client.allow_stdin = False
        client.start_channels()
        client.process_alive = kernel.starting
        await asyncio.wait_for(client.wait_for_ready(timeout=START_SECONDS), START_SECONDS)
        client.process_alive = kernel.alive
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

    def _settings(self, folder: Path) -> dict[str, Any]:
        return {
            "parent": os.getpid(),
            "isolation": self.isolation,
            "writable": [str(folder)],
            "hidden": [str(path) for path in self.hidden],
            "rlimits": {
                "RLIMIT_AS": self.limits.memory_bytes,
                "RLIMIT_FSIZE": 1024 * MIB,
                "RLIMIT_CORE": 0,
            }
            if sys.platform == "linux"
            else {"RLIMIT_CORE": 0},
        }

    def _manager(self, folder: Path) -> GradingManager:
        return GradingManager(self._command(self._settings(folder)), folder)

    def _command(self, settings: dict[str, Any]) -> list[str]:
        boot = [sys.executable, "-I", "-B", "-m", "tinytorch_core.kernel.boot", json.dumps(settings)]
        return [*boot, "-f", "{connection_file}"]

    @property
    def keepers(self) -> set[int]:
        """The processes that a sweep leaves alone."""
        return {*self._keepers, *(self._template.pids if self._template else ())}

    async def kill(self, *kernels: Kernel) -> None:
        """Kill kernels with everything they started. Nothing of them runs when this returns."""
        async with self._spawning:
            for kernel in kernels:
                self._keepers.pop(kernel.pid, None)
            await asyncio.to_thread(sweep, self.keepers)
            for kernel in kernels:
                kernel.ended = True

    async def discard(self, *kernels: Kernel) -> None:
        """Kill kernels, close their clients and remove their scratch folders."""
        if any(kernel.pid in self._keepers or not kernel.pid for kernel in kernels):  # 0: cancelled before we knew
            await self.kill(*kernels)
        for kernel in kernels:
            if kernel.client is not None:
                kernel.client.stop_channels()
            if kernel.manager.provisioner:
                await kernel.manager.provisioner.wait()  # its last thread may still be ending
            await kernel.manager.cleanup_resources()
            await asyncio.to_thread(shutil.rmtree, kernel.folder, True)

    async def shrink(self) -> None:
        """End the kernels that wait for work. `take` starts others, which takes a moment longer."""
        waiting = [kernel for kernels in self._ready.values() for kernel in kernels]
        for kernels in self._ready.values():
            kernels.clear()
        await self.discard(*waiting)

    async def close(self) -> None:
        """Kill every kernel and remove every scratch folder."""
        starting = [task for tasks in self._starting.values() for task in tasks]
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        for kernel in list(self._keepers.values()):
            await self.discard(kernel)
        if self._template:
            await asyncio.to_thread(self._template.close)
        shutil.rmtree(self._root, ignore_errors=True)

"""The worker's side of kernel/template.py: ask the warm process for a kernel, and look after what it answers as after a child."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tinytorch_core.grader.environment import environment
from tinytorch_core.grader.guard import SCRATCH

FORK_SECONDS = 60


def begin() -> Template | None:
    """The worker's template, on its way while the worker imports what it needs itself; None without a guard or where nothing is forked."""
    if sys.platform != "linux" or SCRATCH not in os.environ:
        return None
    template = Template(Path(os.environ[SCRATCH]))
    with contextlib.suppress(OSError):  # the first kernel asks for it again, and is told
        template.start()
    return template


class Template:
    """One warm process, started when the first kernel is wanted, if not before. RuntimeError or OSError where it can't give one."""

    command = [sys.executable, "-I", "-B", "-m", "tinytorch_core.kernel.template"]

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._asking = threading.Lock()

    @property
    def pids(self) -> set[int]:
        return {self._process.pid} if self._process else set()

    async def fork(self, request: dict[str, Any]) -> int:
        """The number of a new kernel's process. If nobody wants it any more, it ends as soon as it is there."""
        forking = asyncio.ensure_future(asyncio.to_thread(self._fork, request))
        try:
            return await asyncio.wait_for(asyncio.shield(forking), FORK_SECONDS)
        except asyncio.CancelledError:
            Adopted(await forking).end()
            raise

    def _fork(self, request: dict[str, Any]) -> int:
        with self._asking:  # an answer that nobody waits for any more must not be the next one's
            number = self._ask(request) if self._process else None
            if number is None:  # somebody has killed it since, or it is the first time
                self.close()
                self.start()
                number = self._ask(request)
        if number is None:
            raise RuntimeError("the process that kernels are forked from ended")
        return number

    def _ask(self, request: dict[str, Any]) -> int | None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        answer = self._process.stdout.readline().strip()
        return int(answer) or None if answer.isdigit() else None

    def start(self) -> None:
        settings = json.dumps({"parent": os.getpid()})
        self._process = subprocess.Popen(
            [*self.command, settings], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment(self._folder), start_new_session=True,
        )  # fmt: skip

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # what was not sent to it is not wanted any more
                pipe.close()


class Adopted:
    """What subprocess.Popen is to its child, for a process that this one has adopted."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # a sweep has collected it
                self.returncode = -signal.SIGKILL
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self) -> int:
        while self.poll() is None:
            time.sleep(0.002)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self) -> None:
        self.kill()
        self.wait()

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

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

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from tinytorch_core.grader.connection import GradingManager, environment

FORK_SECONDS = 60


class Template:
    """One warm process, started when the first kernel is wanted. RuntimeError or OSError where it can't give one."""

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
                self._process = self._start()
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
        return int(answer) if answer.isdigit() else None

    def _start(self) -> subprocess.Popen[str]:
        settings = json.dumps({"parent": os.getpid()})
        return subprocess.Popen(
            [*self.command, settings], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment(self._folder), start_new_session=True,
        )  # fmt: skip

    def close(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # what was not sent to it is not wanted any more
                pipe.close()
        self._process = None


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


def forked(template: Template, settings: dict[str, Any], like: GradingManager) -> GradingManager:
    """A manager like another one, whose kernel is forked."""
    manager = GradingManager(like.command, Path(like.connection_file).parent)
    manager.provisioner = ForkedProvisioner(kernel_id="forked", kernel_spec=manager.kernel_spec, parent=manager)
    manager.provisioner.template, manager.provisioner.settings = template, settings
    return manager


class ForkedProvisioner(LocalProvisioner):
    """Forks a kernel where jupyter_client would start one."""

    template: Template
    settings: dict[str, Any]

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        arguments = cmd[cmd.index("-f") :]
        request = {"settings": self.settings, "arguments": arguments, "env": kwargs["env"], "cwd": kwargs["cwd"]}
        self.pid = await self.template.fork(request)
        self.process = Adopted(self.pid)  # type: ignore[assignment]
        return self.connection_info

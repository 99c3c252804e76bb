"""How the worker reaches a grading kernel: its command, how it is started or forked, and a client that notices what nbclient does not."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client import session
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from tinytorch_core.grader.template import Adopted, Template

# Nobody asks here when a message was sent, and parsing that takes as long as all the rest of it.
session.extract_dates = lambda obj: obj  # type: ignore[attr-defined]

AHEAD = 2
"""Cells that a kernel is given at once: it has the next one while we still read what came of the one before."""


class GradingClient(AsyncKernelClient):
    """A client that can send a cell before it is asked to.

    Its next execute request carries `payload` beside the code: IPython would read a megabyte of code four times.
    """

    payload = ""
    _expected: deque[str] = deque()
    _sent: deque[str] = deque()
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

    def expect(self, sources: Iterable[str]) -> None:
        """What `execute` is going to be called with, in this order."""
        self._expected, self._sent = deque(sources), deque()

    @property
    def has_the_next(self) -> bool:
        """The kernel was given the cell after the one that was last asked for."""
        return bool(self._sent)

    def execute(self, code: str, *args: Any, **kwargs: Any) -> str:
        while self._expected and len(self._sent) < AHEAD:
            self._sent.append(self._send(self._expected.popleft()))
        return self._sent.popleft() if self._sent else self._send(code)

    def _send(self, code: str) -> str:
        content = {
            "code": code.encode("utf-8", "replace").decode(),  # half of a surrogate pair can't be sent
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
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
        self.session.packer = "msgspec.json.encode"
        if os.name == "posix":
            self.transport = "ipc"
            self.ip = str(folder / "k")


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

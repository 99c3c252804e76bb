"""Run cells in a warm kernel through nbclient, watched for time, memory and output. The only room that knows nbclient."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from tinytorch_core.grader.connection import GradingClient
from tinytorch_core.grader.job import MIB, Limits
from tinytorch_core.grader.kernels import Kernel
from tinytorch_core.grader.processes import over_memory
from tinytorch_core.kernel.plain import MIME
from tinytorch_core.report import CellFailure

MAX_OUTPUTS = 64
"""Outputs kept of one cell; the rest is counted, not stored."""
WATCH_SECONDS = 0.2
IDLE = re.compile(r"\s*(#.*|%(check|hint)(\s.*)?)?")
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

CellHook = Callable[[int, str], None]
"""Called with a cell's index and "running", "passed" or "failed"."""


class _Client(NotebookClient):
    """nbclient's client on a kernel that is already connected. Hands answers over, and counts what comes out."""

    def __init__(
        self, notebook: NotebookNode, kernel: Kernel, limits: Limits, on_answers: Callable[[Any], None]
    ) -> None:
        super().__init__(
            notebook,
            km=kernel.manager,
            timeout=None,
            iopub_timeout=int(limits.run_seconds) + 1,  # _watch ends the wait earlier; nbclient would go on without it
            allow_errors=False,
            force_raise_errors=True,
            interrupt_on_timeout=False,
            store_widget_state=False,
            coalesce_streams=False,
            record_timing=False,
            skip_cells_with_tag="",
        )
        assert kernel.client is not None
        self.kc: GradingClient = kernel.client
        self.kernel = kernel
        self.limits = limits
        self.on_answers = on_answers
        self.received = 0
        self.cells = 0
        self.begun = kernel.begun
        self.asked_to_exit = False
        self.on_cell_executed = self._look_at_reply
        self._count_output()

    def _look_at_reply(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        payload = execute_reply.get("content", {}).get("payload") or []
        self.asked_to_exit = any(isinstance(item, dict) and item.get("source") == "ask_exit" for item in payload)

    def _count_output(self) -> None:
        channel = self.kc.iopub_channel
        receive = channel.get_msg

        async def counted(*args: Any, **kwargs: Any) -> dict[str, Any]:
            message: dict[str, Any] = await receive(*args, **kwargs)
            self.received += _size(message.get("content"))
            if self.received > self.limits.output_bytes:
                self.kernel.stop("output")
                self._give_up()
            return message

        channel.get_msg = counted

    def _give_up(self) -> None:
        waiting = getattr(self, "task_poll_for_reply", None)
        if waiting is not None:
            waiting.cancel()

    def process_message(self, message: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        content = message.get("content", {})
        if message["header"]["msg_type"] == "display_data" and MIME in content.get("data", {}):
            self.on_answers(content["data"][MIME])
            return None
        return super().process_message(message, cell, cell_index)

    def output(
        self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> NotebookNode | None:
        """Keep what was printed, and errors. nbclient would validate each output, and nobody looks at figures here."""
        if msg["msg_type"] == "stream" and len(outs) < MAX_OUTPUTS:
            kept = {"output_type": "stream", "name": msg["content"]["name"], "text": msg["content"]["text"]}
            outs.append(NotebookNode(kept))  # type: ignore[no-untyped-call]
        elif msg["msg_type"] == "error":
            return super().output(outs, msg, display_id, cell_index)
        return None

    def handle_comm_msg(self, outs: list[NotebookNode], msg: dict[str, Any], cell_index: int) -> None:
        """Widgets have no front end here; what they would show is nobody's business."""

    @property
    def next_has_begun(self) -> bool:
        """By the kernel's own account. It is given the next cell while we still read what came of this one."""
        return self.kc.has_the_next and self.kernel.begun > self.begun + self.cells

    def has_passed(self, failure: CellFailure) -> bool:
        """True if it is the next cell that ended or stopped Python, before all was sent that this one had to say."""
        quietly = failure.error in ("KernelDied", "TimeLimit") and self.kernel.stopped_because in ("", "time", "run")
        return quietly and self.next_has_begun and not self.asked_to_exit

    async def run_cell(self, index: int, seconds: float) -> None:
        """Execute one cell. The kernel is killed when `seconds` are over; nobody needs it afterwards."""
        self.cells += 1
        watch = asyncio.ensure_future(self._watch(seconds))
        try:
            await self.async_execute_cell(self.nb.cells[index], index, store_history=False)
        except CellExecutionError:
            self._refuse_stopped()
            raise
        finally:
            watch.cancel()
        self._refuse_stopped()
        if self.asked_to_exit:
            raise DeadKernelError("the kernel was asked to exit")

    def _refuse_stopped(self) -> None:
        """The reply may come although we stopped the kernel, or before a message larger than MAX_MESSAGE cut the connection.

        What came after either was lost, so nothing counts. Once the next cell has begun, it is that one's affair.
        """
        if self.kc.cut_off() and not self.next_has_begun:
            self.kernel.stop("output")
        if self.kernel.stopped_because:
            raise DeadKernelError(self.kernel.stopped_because)

    async def _watch(self, seconds: float) -> None:
        end, cut_before = time.monotonic() + seconds, False
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, WATCH_SECONDS))
            if not self.kernel.alive():
                break
            cut = self.kc.cut_off()
            if cut and (cut_before or not self.next_has_begun):  # or the next cell is ending Python just now
                self.kernel.stop("output")
                break
            cut_before = cut
            if await asyncio.to_thread(over_memory, self.kernel.pid, self.limits.memory_bytes):
                self.kernel.stop("memory")
                break
        else:
            self.kernel.stop("time")
        self._give_up()


def _size(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    if isinstance(content, dict):
        return sum(_size(value) for value in content.values())
    if isinstance(content, list):
        return sum(_size(value) for value in content)
    return 8


async def run_notebook(kernel: Kernel, notebook: NotebookNode, limits: Limits, on_cell: CellHook) -> CellFailure | None:
    """Execute every code cell from the top; the first that fails ends the run and is returned."""
    client = _Client(notebook, kernel, limits, on_answers=lambda message: None)
    to_run = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and not is_idle(cell.source)]
    client.kc.expect(notebook.cells[index].source for index in to_run)
    for number, index in enumerate(to_run, start=1):
        on_cell(index, "running")
        failure = await _run_one(client, index, limits.cell_seconds)
        if failure and client.has_passed(failure):
            on_cell(index, "passed")
            index = to_run[number]
            on_cell(index, "running")
            failure = _stopped(index, notebook.cells[index], kernel, limits, limits.cell_seconds)
        on_cell(index, "failed" if failure else "passed")
        if failure:
            return failure
    return None


def is_idle(source: str) -> bool:
    """True for a cell of nothing but blank lines, comments, %check and %hint, which do nothing here: a cell sent costs 5 ms."""
    return all(IDLE.fullmatch(line) for line in source.splitlines())


async def run_source(
    kernel: Kernel, source: str, payload: str, limits: Limits, on_answers: Callable[[Any], None]
) -> CellFailure | None:
    """Execute one cell of our own with its payload, and hand over every answers message that it sends."""
    assert kernel.client is not None
    kernel.client.payload = payload
    cell = {"cell_type": "code", "id": "checks", "metadata": {}, "source": source}
    notebook = nbformat.from_dict({"metadata": {}, "cells": [cell]})  # type: ignore[no-untyped-call]  # not validated: that takes 2 ms
    return await _run_one(_Client(notebook, kernel, limits, on_answers), 0, limits.cell_seconds)


async def _run_one(client: _Client, index: int, seconds: float) -> CellFailure | None:
    cell = client.nb.cells[index]
    try:
        await client.run_cell(index, seconds)
    except CellExecutionError as error:
        if str(error.ename).endswith("MemoryError") and over_memory(client.kernel.pid, client.limits.memory_bytes):
            client.kernel.stop("memory")  # it told us just before the watcher would have seen it
            return _stopped(index, cell, client.kernel, client.limits, seconds)
        return _raised(index, cell, error)
    except (DeadKernelError, CellTimeoutError, RuntimeError):
        return _stopped(index, cell, client.kernel, client.limits, seconds)
    except (AttributeError, LookupError, TypeError, ValueError):  # nbclient takes for granted what a kernel sends
        client.kernel.stop("messages")
        return _stopped(index, cell, client.kernel, client.limits, seconds)
    return None


def _raised(index: int, cell: NotebookNode, error: CellExecutionError) -> CellFailure:
    outputs = [output for output in cell.get("outputs", []) if output.output_type == "error"]
    traceback = "\n".join(outputs[-1].traceback) if outputs else str(error)
    return CellFailure(
        index=index,
        id=cell.get("id", ""),
        error=str(error.ename)[:200],
        message=str(error.evalue)[:2000],
        traceback=ANSI.sub("", traceback)[-20_000:],
        hint=_hint(f"{error.ename}: {error.evalue}"),
    )


def _hint(said: str) -> str:
    """What is different while a notebook is graded, where an error looks as if that were its cause."""
    if any(words in said for words in ("Read-only file system", "PermissionError")):
        return "While it is graded, a notebook can write only to its own folder: use a file name without a folder before it."
    if any(words in said for words in ("name resolution", "Name or service not known", "Network is unreachable")):
        return "While it is graded, a notebook may have no network: put the file beside it, and read it from there."
    return ""


def _stopped(index: int, cell: NotebookNode, kernel: Kernel, limits: Limits, seconds: float) -> CellFailure:
    error, message, hint = {
        "time": (
            "TimeLimit",
            f"This cell was still running after {seconds:g} seconds, so it was stopped.",
            "Look for a loop whose condition never becomes false, or for work that can be done by one NumPy operation.",
        ),
        "run": (
            "TimeLimit",
            f"This cell was still running when the whole notebook had taken {limits.run_seconds:g} seconds, so it was stopped.",
            "Look for cells that do more work than they need to show what they show.",
        ),
        "memory": (
            "MemoryLimit",
            f"This cell used more than {limits.memory_bytes // MIB} MiB of memory, so it was stopped.",
            "Look for an array or a list that keeps growing, or for a shape much larger than you meant.",
        ),
        "output": (
            "OutputLimit",
            f"This notebook printed more than {limits.output_bytes // MIB} MiB, so it was stopped.",
            "Look for a print inside a loop that runs very often.",
        ),
        "cancelled": ("Cancelled", "The run was cancelled while this cell was running.", ""),
        "messages": (
            "KernelDied",
            "This cell sent JupyterLab messages that cannot be understood, so it was stopped.",
            "Use print and display; do not write to the kernel's sockets yourself.",
        ),
    }.get(
        kernel.stopped_because,
        (
            "KernelDied",
            "Python stopped while this cell was running.",
            "A call such as os._exit, sys.exit or a crash in compiled code ends Python. Run the notebook from the top to see it happen.",
        ),
    )
    return CellFailure(index=index, id=cell.get("id", ""), error=error, message=message, traceback="", hint=hint)

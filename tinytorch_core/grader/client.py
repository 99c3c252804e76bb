"""How the doors talk to the worker: start it, give it jobs, pass its events on, and replace it when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tinytorch_core.catalogue import Course
from tinytorch_core.errors import GraderError
from tinytorch_core.grader.job import GradeJob, Limits, RunJob
from tinytorch_core.grader.messages import (
    IDLE_SECONDS,
    MAX_LINE,
    SILENCE_SECONDS,
    START_SECONDS,
    Cancel,
    Done,
    Event,
    FromWorker,
    Grade,
    Ready,
    RunHistorical,
    Start,
    ToWorker,
)
from tinytorch_core.report import Progress, Report

OnEvent = Callable[[Progress], None]
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows, either ends a process at once


def _ignore(progress: Progress) -> None:
    """For callers that only want the Report."""


@dataclass(eq=False)
class _Waiting:
    """Somebody who waits for a Report."""

    report: asyncio.Future[Report]
    on_event: OnEvent
    begun: bool = False


class _NeverBegun(GraderError):
    """The worker ended before it began with an attempt."""


class Grader:
    """One worker process, started when first needed."""

    def __init__(
        self, course: Course, limits: Limits | None = None, *, pool: int = 1, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self.course = course
        self.limits = limits or Limits()
        self.isolation = ""
        self._pool = pool
        self._idle_seconds = idle_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._reader: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._heard = 0.0
        self._problem = ""
        self._worker = 0
        self._warm = asyncio.Event()
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the worker, if none runs. Its kernels warm up in the background."""
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return
            self._warm.clear()
            self._problem = ""
            self._worker = 0
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-m", "tinytorch_core.grader.guard",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_LINE, start_new_session=True,
            )  # fmt: skip
            self._heard = time.monotonic()
            self._reader = asyncio.ensure_future(self._read(self._process))
            self._watch = asyncio.ensure_future(self._guard(self._process))
            await self._send(
                Start(
                    course=str(self.course.toml),
                    root=str(self.course.root),
                    limits=self.limits,
                    pool=self._pool,
                    idle_seconds=self._idle_seconds,
                )
            )

    async def warm(self) -> None:
        """Wait until the kernels are warm. GraderError if they can't be."""
        try:
            await self.start()
        except ConnectionError as error:  # it ended before it was told what to do
            raise GraderError(f"the grader ended at once ({error})") from error
        await self._warm.wait()
        if self._problem:
            raise GraderError(self._problem)

    @property
    def is_warm(self) -> bool:
        """True while kernels stand ready, so that a verdict takes no longer than the work."""
        return (
            self._warm.is_set() and not self._problem and self._process is not None and self._process.returncode is None
        )

    async def grade(self, job: GradeJob, on_event: OnEvent = _ignore) -> Report:
        """Run one job. Always ends with a Report: a worker that dies gives the verdict `interrupted`."""
        return await self._submit(job.attempt, job.module, Grade(job), on_event)

    async def run_historical(self, job: RunJob, on_event: OnEvent = _ignore) -> Report:
        return await self._submit(job.attempt, job.historical, RunHistorical(job), on_event)

    async def cancel(self, attempt: str) -> None:
        """Ask the worker to stop an attempt; its Report then says `cancelled`. Unknown attempts are ignored."""
        if attempt in self._waiting:
            await self._send(Cancel(attempt))

    async def close(self) -> None:
        """End the worker; it kills its kernels first. Waits for both."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._watch:
            self._watch.cancel()
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), timeout=10)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()
        if self._reader:
            await self._reader

    async def _submit(self, attempt: str, module: str, message: ToWorker, on_event: OnEvent) -> Report:
        try:
            try:
                return await self._ask(attempt, message, on_event)
            except _NeverBegun:  # it was dead or dying when it was asked: another one is, once
                await self._gone()
                return await self._ask(attempt, message, on_event)
        except (GraderError, ConnectionError) as error:
            text = f"The grader stopped before it was done ({error}). Nothing of yours is lost; run it again."
            return Report(
                attempt=attempt, module=module, state="done", verdict="interrupted", message=text, started=time.time()
            )

    async def _ask(self, attempt: str, message: ToWorker, on_event: OnEvent) -> Report:
        """What the worker answers. Raises _NeverBegun if it ends without having said anything about this attempt."""
        waiting = _Waiting(asyncio.get_running_loop().create_future(), on_event)
        try:
            await self.start()
            self._warm.clear()
            self._waiting[attempt] = waiting
            await self._send(message)
            return await waiting.report
        except (GraderError, ConnectionError) as error:
            raise error if waiting.begun else _NeverBegun(str(error)) from error
        finally:
            self._waiting.pop(attempt, None)

    async def _gone(self) -> None:
        """Wait until the worker's guard has cleaned up after it."""
        process = self._process
        if process is not None:
            try:
                await asyncio.wait_for(process.wait(), timeout=10)
            except asyncio.TimeoutError:
                self._kill(process)

    async def _send(self, message: ToWorker) -> None:
        if self._process is None or self._process.stdin is None:
            raise GraderError("the grader is not running")
        self._process.stdin.write(msgspec.json.encode(message) + b"\n")
        await self._process.stdin.drain()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Pass on what the worker says, until it is gone."""
        listening = asyncio.ensure_future(self._listen(process))
        await process.wait()
        await asyncio.wait([listening], timeout=1)  # what it said last may still be on its way
        listening.cancel()
        if process is self._process or self._process is None:
            self._fail(f"its process ended with code {process.returncode}")

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        decode = msgspec.json.Decoder(FromWorker).decode
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                self._heard = time.monotonic()
                self._take(decode(line))
        except (msgspec.MsgspecError, ValueError) as error:
            self._kill(process)
            self._fail(f"its worker sent something unreadable: {error}")

    def _take(self, message: FromWorker) -> None:
        if isinstance(message, Ready):
            self.isolation, self._worker = message.isolation, message.pid
            self._problem = message.problem
            taken = bool(self._waiting)  # what is on its way to the worker will take the kernels that are warm now
            if message.problem or (message.warm and not taken):
                self._warm.set()
        elif isinstance(message, Event) and message.progress.attempt in self._waiting:
            waiting = self._waiting[message.progress.attempt]
            waiting.begun = True
            waiting.on_event(message.progress)
        elif isinstance(message, Done) and message.report.attempt in self._waiting:
            future = self._waiting[message.report.attempt].report
            if not future.done():
                future.set_result(message.report)

    def _fail(self, reason: str) -> None:
        self._problem = f"The grader stopped ({reason}). Try again; `tito doctor` looks at what it needs."
        self._warm.set()  # nobody should wait for a worker that is gone
        for waiting in self._waiting.values():
            if not waiting.report.done():
                waiting.report.set_exception(GraderError(reason))

    async def _guard(self, process: asyncio.subprocess.Process) -> None:
        """Kill a worker that has fallen silent."""
        while process.returncode is None:
            await asyncio.sleep(1)
            if time.monotonic() - self._heard > (SILENCE_SECONDS if self._worker else START_SECONDS):
                self._kill(process)

    def _kill(self, process: asyncio.subprocess.Process) -> None:
        """Kill the worker; its guard then cleans up after it. Before the worker has said its id, kill the guard, and both die."""
        with contextlib.suppress(ProcessLookupError):
            if self._worker:
                os.kill(self._worker, KILL)
            else:
                process.kill()

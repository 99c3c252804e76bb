"""The process that grades: jobs come in on stdin, events and Reports go out on stdout, one JSON value a line.

It ends when stdin does, and kills its kernels first. Neither it nor they survive the death of the process that started it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from tinytorch_core.catalogue import Course, load
from tinytorch_core.errors import TinyTorchError
from tinytorch_core.grader import isolation
from tinytorch_core.grader.grade import grade, run_historical
from tinytorch_core.grader.guard import SCRATCH
from tinytorch_core.grader.kernels import Pool
from tinytorch_core.grader.messages import (
    HEARTBEAT_SECONDS,
    MAX_LINE,
    Alive,
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
from tinytorch_core.grader.processes import adopt_orphans
from tinytorch_core.grader.run import Run
from tinytorch_core.grader.template import Template
from tinytorch_core.report import Report

PR_SET_DUMPABLE = 4


class Worker:
    """Grades the jobs it is given, as many at once as come."""

    def __init__(self, start: Start, out: BinaryIO, template: Template | None) -> None:
        self.course: Course = load(Path(start.course), Path(start.root))
        solutions = (self.course.root / "notebooks", self.course.root / "checks")
        self.pool = Pool(
            start.limits, isolation.best(), start.pool, os.environ.get(SCRATCH), template, hidden=solutions
        )
        self._out = out
        self._runs: dict[str, Run] = {}
        self._idle_seconds = start.idle_seconds
        self._idle_since = time.monotonic()
        self._begun = 0
        """Jobs and warm-ups so far: a warm-up that something came after does not know whether kernels are warm."""
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, message: FromWorker) -> None:
        self._out.write(msgspec.json.encode(message) + b"\n")
        self._out.flush()

    def background(self, coroutine) -> None:  # type: ignore[no-untyped-def]
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def warm_up(self) -> None:
        self._begun += 1
        begun, ready = self._begun, Ready(self.pool.isolation, os.getpid())
        self.say(ready)
        try:
            await self.pool.warm()
            if begun == self._begun:
                self.say(replace(ready, isolation=self.pool.isolation, warm=True))
        except TinyTorchError as error:
            self.say(replace(ready, problem=error.message))

    async def heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self.say(Alive())
            if not self._runs and time.monotonic() - self._idle_since > self._idle_seconds:
                self.background(self.pool.shrink())

    def take(self, message: ToWorker) -> None:
        if isinstance(message, Cancel):
            if message.attempt in self._runs:
                self._runs[message.attempt].cancel()
        elif isinstance(message, (Grade, RunHistorical)):
            self._begun += 1
            name = message.job.module if isinstance(message, Grade) else message.job.historical
            run = Run(message.job.attempt, name, self.pool, lambda progress: self.say(Event(progress)))
            self._runs[run.attempt] = run
            self.background(self._work(message, run))

    async def _work(self, message: Grade | RunHistorical, run: Run) -> None:
        try:
            self.say(Done(await self._judge(message, run)))
        finally:
            del self._runs[run.attempt]
            await run.tidy()
            if not self._runs:
                self._idle_since = time.monotonic()
                await self.warm_up()

    async def _judge(self, message: Grade | RunHistorical, run: Run) -> Report:
        try:
            if isinstance(message, Grade):
                return await grade(message.job, self.course, run)
            return await run_historical(message.job, self.course, run)
        except Exception as error:  # whatever it is, somebody waits for a Report
            import traceback

            traceback.print_exc()
            message_text = f"The grader itself failed ({type(error).__name__}: {error}). Nothing of yours is lost; please report it."
            return Report(attempt=run.attempt, module=run.module, state="done", verdict="error", message=message_text)

    async def close(self) -> None:
        for run in self._runs.values():
            run.cancel()
        await self.pool.close()


def _protect() -> None:
    """Be unreadable to other processes of the same user, and the parent of every orphan that a kernel leaves behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0)
        adopt_orphans()


async def serve(lines: BinaryIO, out: BinaryIO, template: Template | None) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MAX_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), lines)
    decode = msgspec.json.Decoder(ToWorker).decode
    start = decode(await reader.readline())
    assert isinstance(start, Start)
    worker = Worker(start, out, template)
    worker.background(worker.warm_up())
    worker.background(worker.heartbeat())
    try:
        while line := await reader.readline():
            worker.take(decode(line))
    finally:
        await worker.close()


def main(template: Template | None = None) -> None:
    _protect()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints by mistake must not look like a message
    asyncio.run(serve(os.fdopen(os.dup(0), "rb"), out, template))


if __name__ == "__main__":
    main()

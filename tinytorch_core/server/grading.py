"""The gradings of one server: one after another in the single worker, watched through events, ended by a Report.

Everything here happens on the server's event loop, so that no lock is needed: what has to wait is awaited.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from msgspec.structs import replace

from tinytorch_core import completion, progression
from tinytorch_core.catalogue import Module
from tinytorch_core.errors import Busy, TinyTorchError, UnknownName
from tinytorch_core.grader.client import Grader
from tinytorch_core.report import CheckResult, Progress, Report, Stage
from tinytorch_core.studying import Study

ASK_AGAIN_SECONDS = 0.2
KEPT = 32
"""Finished reports kept in memory: those of `check` are not in the store."""


class Listener(Protocol):
    def progress(self, step: Progress) -> None: ...

    def course(self, reason: str, module: str = "") -> None: ...


@dataclass(eq=False)
class Run:
    """One attempt that is queued or running."""

    study: Study
    module: Module
    record: bool
    report: Report
    seq: int = 0
    has_turn: bool = False
    cancelled: bool = False
    task: asyncio.Task[None] = field(init=False)


class GradingService:
    """Starts, follows and cancels gradings. `grader` is made when it is first needed."""

    def __init__(
        self, grader: Callable[[], Grader], listener: Listener, waiting_limit: int, log: logging.Logger
    ) -> None:
        self._make_grader = grader
        self._grader: Grader | None = None
        self._listener = listener
        self._waiting_limit = waiting_limit
        self._log = log
        self._turn = asyncio.Lock()
        self._runs: dict[str, Run] = {}
        self._finished: OrderedDict[str, Report] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def grader(self) -> Grader:
        if self._grader is None:
            self._grader = self._make_grader()
        return self._grader

    @property
    def is_warm(self) -> bool:
        return self._grader is not None and self._grader.is_warm

    async def warm(self) -> None:
        """Start the worker and its kernels before somebody waits for them."""
        await self.grader.warm()

    async def start(self, study: Study, module: Module, record: bool) -> Report:
        """Queue a grading, or join the one that is under way for this module.

        A running completion also answers who asks for a mere check. The other way round a new attempt is queued:
        otherwise a click on "Complete module" could end in a pass that is not recorded.
        """
        completed = await asyncio.to_thread(study.store.completed)
        progression.require_open(study.course, set(completed), module)
        same = [run for run in self._runs.values() if run.module == module and (run.record or not record)]
        if same and not same[0].cancelled:
            return same[0].report
        if len(self._runs) > self._waiting_limit:
            raise Busy(f"{self._waiting_limit} gradings are waiting already. Try again when one of them has finished.")
        return self._begin(study, module, record)

    def _begin(self, study: Study, module: Module, record: bool) -> Report:
        report = Report(attempt=completion.new_attempt(), module=module.id, state="queued", started=time.time())
        run = Run(study, module, record, report)
        self._runs[report.attempt] = run
        self._tell(run, Progress(attempt=report.attempt, module=module.id, seq=0, kind="queued"))
        self._listener.course("started", module.id)
        run.task = asyncio.get_running_loop().create_task(self._grade(run))
        return report

    async def _grade(self, run: Run) -> None:
        report = await self._judged(run)
        self._runs.pop(report.attempt)
        self._finished[report.attempt] = report
        while len(self._finished) > KEPT:
            self._finished.popitem(last=False)
        self._announce_verdict(run, report)
        if report.verdict == "interrupted":
            self._background(self._start_again())

    async def _start_again(self) -> None:
        """The worker has died: have another one ready before the next click."""
        try:
            await self.warm()
        except TinyTorchError as error:  # whoever clicks next is told
            self._log.warning("The grader did not start again: %s", error.message)

    async def _judged(self, run: Run) -> Report:
        """The final Report, whatever happens: a grading that fails to judge must end, and say so."""
        try:
            async with self._turn:
                run.has_turn, run.report = True, replace(run.report, state="running")
                return await self._complete(run)
        except asyncio.CancelledError:
            return _ended(run, "cancelled", "Cancelled. Nothing was recorded.")
        except TinyTorchError as error:
            return _ended(run, "error", error.message)
        except Exception:
            self._log.exception("Grading %s failed", run.module.id)
            return _ended(
                run, "error", "TinyTorch itself failed; the server's log says where. Your notebook is as it was."
            )

    def _complete(self, run: Run) -> Awaitable[Report]:
        return completion.complete(
            run.study.workspace,
            run.study.store,
            run.module,
            self.grader,
            attempt=run.report.attempt,
            record=run.record,
            on_event=lambda step: self._follow(run, step),
        )

    def _follow(self, run: Run, step: Progress) -> None:
        """Keep the partial Report up to date and pass the step on. The verdict waits until it is recorded."""
        if step.kind not in ("queued", "verdict"):
            run.report = advanced(run.report, step)
            self._tell(run, step)

    def _tell(self, run: Run, step: Progress) -> None:
        self._listener.progress(replace(step, seq=run.seq))
        run.seq += 1

    def _announce_verdict(self, run: Run, report: Report) -> None:
        verdict, message = report.verdict or "error", report.message
        ids: dict[str, Any] = {"attempt": report.attempt, "module": report.module}
        self._tell(run, Progress(**ids, seq=0, kind="verdict", verdict=verdict, message=message))
        self._listener.course("completed" if report.recorded else "finished", report.module)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def checking(self) -> dict[str, str]:
        """The attempt that is under way for each module that has one."""
        return {run.module.id: attempt for attempt, run in self._runs.items()}

    async def report(self, attempt: str, study: Study | None) -> Report:
        """An attempt as it stands now; UnknownName if there is none of this id."""
        known = self._runs[attempt].report if attempt in self._runs else self._finished.get(attempt)
        if known is None and study is not None:
            known = await asyncio.to_thread(study.store.attempt, attempt)
        if known is None:
            raise UnknownName(f"There is no attempt {attempt!r}.")
        return known

    async def cancel(self, attempt: str, study: Study | None) -> bool:
        """Ask a grading to end; False if it is over already."""
        run = self._runs.get(attempt)
        if run is None:
            await self.report(attempt, study)
            return False
        again, run.cancelled = run.cancelled, True
        if again:
            return True
        if run.has_turn:
            self._background(self._insist(attempt))
        else:
            run.task.cancel()
        return True

    async def _insist(self, attempt: str) -> None:
        """Ask until it has stopped: the worker may not have heard of this attempt yet."""
        while attempt in self._runs:
            await self.grader.cancel(attempt)
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def close(self) -> None:
        """End everything. What was running is found interrupted at the next start."""
        tasks = [*(run.task for run in self._runs.values()), *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._grader is not None:
            await self._grader.close()


def advanced(report: Report, step: Progress) -> Report:
    """The partial Report after one more step."""
    stages = report.stages
    if step.kind == "stage":
        stages = (*stages, Stage(name=step.stage))
    elif step.kind == "check":
        outcome: Any = step.outcome
        check = CheckResult(
            id=step.check, exercise=step.exercise, title=step.title, outcome=outcome, message=step.message
        )
        stages = _with_check(stages, step.stage, check)
    return replace(report, stages=stages, seconds=time.time() - report.started)


def _with_check(stages: tuple[Stage, ...], name: str, check: CheckResult) -> tuple[Stage, ...]:
    if not any(stage.name == name for stage in stages):
        stages = (*stages, Stage(name=name))
    return tuple(replace(s, checks=(*s.checks, check)) if s.name == name else s for s in stages)


def _ended(run: Run, verdict: str, message: str) -> Report:
    seconds = time.time() - run.report.started
    return replace(run.report, state="done", verdict=verdict, message=message, seconds=seconds)

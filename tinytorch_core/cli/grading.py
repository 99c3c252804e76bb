"""Grading from a terminal: progress while it runs, Ctrl-C to cancel. And `tito test`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import click

from tinytorch_core import completion
from tinytorch_core.catalogue import Module
from tinytorch_core.cli.door import Command, Settings
from tinytorch_core.cli.live import Live
from tinytorch_core.grader.client import Grader, OnEvent
from tinytorch_core.report import Report, Stages

ASK_AGAIN_SECONDS = 0.2

Work = Callable[..., Awaitable[Report]]
"""Called with the grader, `attempt` and `on_event`."""


@click.command(
    cls=Command,
    epilog="""\b
    Examples:
      tito test unit tensor
      tito test integration 04_layers
      tito test all 2""",
)
@click.argument("stage", type=click.Choice([*Stages, "all"]), metavar="STAGE")
@click.argument("name", metavar="MODULE")
@click.pass_obj
def test(settings: Settings, stage: str, name: str) -> Report:
    """Run one stage of a module's checks. STAGE: unit, import, compatibility, integration, performance or all."""
    stages = Stages if stage == "all" else (stage,)
    return complete(settings, settings.course.module(name), record=False, stages=stages)


def complete(settings: Settings, module: Module, *, record: bool, stages: tuple[str, ...] = Stages) -> Report:
    """One grading, from start to Report."""
    study = settings.study
    work = partial(completion.complete, study.workspace, study.store, module, record=record, stages=stages)
    return graded(settings, module.label, work)


def graded(settings: Settings, label: str, work: Work) -> Report:
    """Run `work` with a grader of its own, drawing its events as they come."""
    with Live(label, quiet=settings.as_json) as live:
        return asyncio.run(_graded(settings.grader(), work, live.show))


async def _graded(grader: Grader, work: Work, on_event: OnEvent) -> Report:
    attempt = completion.new_attempt()
    task = asyncio.ensure_future(work(grader, attempt=attempt, on_event=on_event))
    try:
        with _cancelled_by_interrupt(grader, attempt):
            return await task
    finally:
        await grader.close()


@contextlib.contextmanager
def _cancelled_by_interrupt(grader: Grader, attempt: str) -> Iterator[None]:
    """The first Ctrl-C asks the grader to stop, so that a Report still comes; a second one ends the process."""
    loop = asyncio.get_running_loop()
    asking: list[asyncio.Task[None]] = []

    def interrupt() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        asking.append(loop.create_task(_insist(grader, attempt)))

    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends the process, and the worker with it
        loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        for task in asking:
            task.cancel()
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)


async def _insist(grader: Grader, attempt: str) -> None:
    """Ask until it has stopped: the worker may not have heard of this attempt yet."""
    while True:
        await grader.cancel(attempt)
        await asyncio.sleep(ASK_AGAIN_SECONDS)

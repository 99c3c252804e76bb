"""complete(): grade → record → materialise → what unlocked. Sidebar, CLI and class grading call it; nothing else unlocks."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tinytorch_core import progression
from tinytorch_core.catalogue import Historical, Module
from tinytorch_core.errors import NotGradable, TinyTorchError
from tinytorch_core.export import export
from tinytorch_core.grader.client import Grader
from tinytorch_core.grader.job import Accepted, GradeJob, Limits, RunJob
from tinytorch_core.grader.preflight import read
from tinytorch_core.progress import Completion, ProgressStore, StoreChanged
from tinytorch_core.report import Progress, Report, Stages
from tinytorch_core.workspace import Workspace

OnEvent = Callable[[Progress], None]
TRIES = 3
"""How often a grading is done again because another one changed the package meanwhile."""


def new_attempt() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"


async def complete(
    workspace: Workspace,
    store: ProgressStore,
    module: Module,
    grader: Grader,
    *,
    attempt: str | None = None,
    record: bool = True,
    stages: Sequence[str] = Stages,
    on_event: OnEvent = lambda progress: None,
) -> Report:
    """Grade the module's notebook as it is saved now and, with `record`, accept what passes.

    Raises NotAllowed if the module is locked. Everything else that can go wrong ends as a Report.
    """
    attempt = attempt or new_attempt()
    keep = tuple(stages) == Stages  # a part of the checks is a look, not an attempt
    await asyncio.to_thread(_begin, workspace, store, module, attempt, keep)
    on_event(Progress(attempt=attempt, module=module.id, seq=0, kind="queued"))
    try:
        return await _graded(workspace, store, module, grader, attempt, keep, record and keep, stages, on_event)
    except BaseException:
        if keep:
            _close(store, module, attempt)
        raise


def _close(store: ProgressStore, module: Module, attempt: str) -> None:
    """An attempt that ends without a Report, because somebody stopped waiting or we failed, does not stay open."""
    known = store.attempt(attempt)
    if known is None or known.state != "done":
        message = "The program that was grading was closed. Run it again."
        stopped = Report(attempt=attempt, module=module.id, state="done", verdict="interrupted", started=time.time())
        store.finish(msgspec.structs.replace(stopped, message=message))


def _begin(workspace: Workspace, store: ProgressStore, module: Module, attempt: str, keep: bool) -> None:
    progression.require_open(workspace.course, set(store.completed()), module)
    if keep:
        store.start(Report(attempt=attempt, module=module.id, state="running", started=time.time()), os.getpid())


async def _graded(
    workspace: Workspace, store: ProgressStore, module: Module, grader: Grader, attempt: str,
    keep: bool, record: bool, stages: Sequence[str], on_event: OnEvent,
) -> Report:  # fmt: skip
    report = None
    for _ in range(TRIES):
        try:
            against, job = await asyncio.to_thread(
                _job, workspace, store, module, attempt, tuple(stages), grader.limits
            )
        except NotGradable as error:
            return await asyncio.to_thread(_ended, store, _unreadable(attempt, module, error), keep)
        report = await grader.grade(job, on_event)
        if not (report.passed and record):
            return await asyncio.to_thread(_ended, store, report, keep)
        accepted = await _to_its_end(_accept, workspace, store, module, job, report, against)
        if accepted:
            return accepted
    assert report is not None
    busy = "Another grading kept changing the package meanwhile. Nothing was lost; run this one again."
    return await asyncio.to_thread(_ended, store, msgspec.structs.replace(report, verdict="error", message=busy), keep)


def _job(
    workspace: Workspace, store: ProgressStore, module: Module, attempt: str, stages: tuple[str, ...], limits: Limits
) -> tuple[str, GradeJob]:
    """What will be graded, and the fingerprint of the package that it is graded against."""
    against = store.fingerprint()
    completions = store.completions()
    path = workspace.notebook(module)
    known = completions.get(module.id)
    return against, GradeJob(
        attempt=attempt,
        module=module.id,
        notebook=workspace.read_notebook(path),
        earlier=_accepted(completions, workspace.course.before(module)),
        later=_accepted(completions, workspace.course.after(module)),
        accepted_source=known.source if known else None,
        beside=str(path.parent),
        stages=stages,
        limits=limits,
    )


def _accepted(completions: Mapping[str, Completion], modules: Sequence[Module]) -> tuple[Accepted, ...]:
    known = [completions[m.id] for m in modules if m.id in completions]
    return tuple(Accepted(module=c.module, source=c.source, names=c.names) for c in known)


def _accept(
    workspace: Workspace, store: ProgressStore, module: Module, job: GradeJob, report: Report, against: str
) -> Report | None:
    """Record the pass in one transaction, then bring the workspace up to it. None if the package changed meanwhile."""
    before = set(store.completed())
    unlocked = progression.unlocked_by(workspace.course, before, before | {module.id})
    report = msgspec.structs.replace(report, unlocked=unlocked, recorded=True)
    exported = export(read(job.notebook), module)
    completion = Completion(
        module=module.id,
        attempt=report.attempt,
        completed=time.time(),
        source=exported.source,
        names=exported.names,
        notebook=job.notebook,
        notebook_sha256=report.notebook_sha256,
    )
    try:
        store.complete(report, completion, against)
    except StoreChanged:
        return None
    try:
        with workspace.lock():
            workspace.materialise(store.completions())
    except (
        TinyTorchError,
        OSError,
    ) as error:  # it is recorded all the same, and every start brings the folder up to it
        later = f"It is recorded, but not all of its files could be written yet: {error} `tito init` tries again."
        return msgspec.structs.replace(report, message=f"{report.message} {later}")
    return report


async def _to_its_end(function: Callable[..., Report | None], *arguments: object) -> Report | None:
    """Run in a thread what must not be left half waited for: who is cancelled meanwhile waits for its end."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _ended(store: ProgressStore, report: Report, keep: bool) -> Report:
    if keep:
        store.finish(report)
    return report


def _unreadable(attempt: str, module: Module, error: NotGradable) -> Report:
    return Report(
        attempt=attempt, module=module.id, state="done", verdict="error", message=error.message, started=time.time(),
        notebook_sha256=hashlib.sha256(b"").hexdigest(),
    )  # fmt: skip


async def run_example(
    workspace: Workspace, store: ProgressStore, historical: Historical, grader: Grader, *,
    attempt: str | None = None, on_event: OnEvent = lambda progress: None,
) -> Report:  # fmt: skip
    """Execute a historical notebook headlessly on the accepted package. It passes if its thresholds hold.

    Raises NotAllowed if it is locked, NotebookUnreadable if its file can't be read.
    """

    def job() -> RunJob:
        completions = store.completions()
        progression.require_example(workspace.course, set(completions), historical)
        path = workspace.path(historical.notebook)
        return RunJob(
            attempt=attempt or new_attempt(),
            historical=historical.id,
            notebook=workspace.read_notebook(path),
            accepted=_accepted(completions, workspace.course.modules),
            beside=str(path.parent),
            limits=grader.limits,
        )

    return await grader.run_historical(await asyncio.to_thread(job), on_event)

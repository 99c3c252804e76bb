"""grade(): one notebook, judged. Values in, a Report out; nothing is recorded and nothing unlocks here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from nbformat import NotebookNode

from tinytorch_core.catalogue import Course
from tinytorch_core.errors import TinyTorchError
from tinytorch_core.export import Export, export
from tinytorch_core.grader import judge, reporting
from tinytorch_core.grader.checks import Challenge, Exchange, Package, load
from tinytorch_core.grader.execute import run_notebook
from tinytorch_core.grader.job import Accepted, GradeJob, RunJob
from tinytorch_core.grader.kernels import Kernel, Role
from tinytorch_core.grader.preflight import Sheet, preflight, read
from tinytorch_core.grader.run import Run
from tinytorch_core.grader.scratch import prepare_scratch
from tinytorch_core.report import CellFailure, Report, Stage, Stages


async def grade(job: GradeJob, course: Course, run: Run) -> Report:
    """The story of one grading: preflight, export, cells and checks side by side, judge, look at what builds on it."""
    module = course.module(job.module)
    try:
        checks = load(course.checks_source(module.id))
        sheet = preflight(job.notebook, module)
        if sheet.problems:
            return reporting.for_job(
                job,
                run,
                verdict="error",
                message=" ".join(sheet.problems),
                stages=reporting.lacking(sheet, checks.checks),
            )
        exported = export(sheet.notebook, module)
        under_test = Accepted(module=module.id, source=exported.source, names=exported.names)
        exchange = Exchange(checks, Package.of(job.earlier, under_test), job.stages)
        run.mark("prepared")
        stages, failure = await _run(job, course, run, sheet, exchange, exported)
        report = reporting.verdict(job, run, module, exchange, stages, failure)
        if report.passed and job.later and exported.source != job.accepted_source:
            report = await _recheck_later(job, course, run, under_test, report)
        return report
    except TinyTorchError as error:
        return reporting.for_job(job, run, verdict="cancelled" if run.cancelled else "error", message=error.message)


async def _run(
    job: GradeJob, course: Course, run: Run, sheet: Sheet, exchange: Exchange, exported: Export
) -> tuple[tuple[Stage, ...], CellFailure | None]:
    """Cells and checks, each in its own kernel. Waits for both: the cells' error may be what explains the checks'."""
    with_cells = job.stages == Stages
    roles: tuple[Role, ...] = ("cells", "checks") if with_cells else ("checks",)
    kernels = await run.take(*roles)
    run.mark("kernels")
    try:
        with run.limited(run.seconds + job.limits.run_seconds):
            checks = _judged(kernels[-1], job, run, exchange, exported)
            if not with_cells:
                return await checks, None
            prepare_scratch(kernels[0].scratch, course, [*job.earlier], job.module, job.beside)
            cells = run_notebook(kernels[0], sheet.notebook, job.limits, _cell_ticker(run, sheet.notebook))
            failure, stages = await asyncio.gather(cells, checks)
            return stages, failure
    finally:
        run.mark("ran")
        await run.end()
        run.mark("ended")


async def _judged(kernel: Kernel, job: GradeJob, run: Run, exchange: Exchange, exported: Export) -> tuple[Stage, ...]:
    """The checks, judged as soon as their answers are here: the cells are mostly still running then."""
    await exchange.run(kernel, job.limits, _ticker(run, exchange))
    stages = judge.judge(exchange, exported)
    run.mark("judged")
    return stages


def _ticker(run: Run, exchange: Exchange) -> Callable[[Challenge], None]:
    done = 0

    def tick(challenge: Challenge) -> None:
        nonlocal done
        done += 1
        outcome = judge.judge_one(exchange, challenge).outcome if not challenge.timed else "passed"
        run.emit(
            kind="check", stage=challenge.check.stage, check=challenge.check.id, exercise=challenge.check.exercise,
            title=challenge.check.title, outcome=outcome, index=done, total=len(exchange.challenges),
        )  # fmt: skip

    return tick


def _cell_ticker(run: Run, notebook: NotebookNode) -> Callable[[int, str], None]:
    def tick(index: int, outcome: str) -> None:
        run.emit(kind="cell", index=index, total=len(notebook.cells), cell=notebook.cells[index].id, outcome=outcome)

    return tick


async def _recheck_later(job: GradeJob, course: Course, run: Run, under_test: Accepted, report: Report) -> Report:
    """The checks of completed later modules, on the package as it would be. The first that breaks keeps the new source out."""
    accepted = [*job.earlier, under_test]
    for later in job.later:
        module = course.module(later.module)
        exchange = Exchange(load(course.checks_source(module.id)), Package.of(accepted, later), Stages)
        accepted.append(later)
        (kernel,) = await run.take("checks")
        with run.limited(job.limits.run_seconds):
            await exchange.run(kernel, job.limits, lambda challenge: None)
        await run.end()
        stages = judge.judge(exchange, Export("", (), ()))
        if not judge.all_passed(stages, len(exchange.challenges)):
            return reporting.would_break(job, run, course.module(job.module), module, stages)
    return report


async def run_historical(job: RunJob, course: Course, run: Run) -> Report:
    """Execute a historical notebook on the accepted package; it passes if its last cell's assert holds.

    One of its cells trains a network, which takes a minute and more: a cell may take as long as the whole run.
    """
    limits = msgspec.structs.replace(job.limits, cell_seconds=job.limits.run_seconds)
    try:
        notebook = read(job.notebook)
        (kernel,) = await run.take("cells")
        prepare_scratch(kernel.scratch, course, job.accepted, "", job.beside)
        try:
            with run.limited(run.seconds + limits.run_seconds):
                failure = await run_notebook(kernel, notebook, limits, _cell_ticker(run, notebook))
        finally:
            await run.end()
    except TinyTorchError as error:
        return reporting.ended(
            run, job.notebook, verdict="cancelled" if run.cancelled else "error", message=error.message
        )
    if run.cancelled:
        return reporting.ended(run, job.notebook, verdict="cancelled", message="Cancelled.")
    if failure:
        return reporting.ended(
            run,
            job.notebook,
            verdict="failed",
            message=f"Cell {failure.index + 1} did not run: {failure.error}.",
            failure=failure,
        )
    return reporting.ended(
        run, job.notebook, verdict="passed", message="The notebook ran to its end, and its thresholds hold."
    )

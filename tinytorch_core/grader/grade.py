"""grade(): one notebook, judged. Values in, a Report out; nothing is recorded and nothing unlocks here."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from nbformat import NotebookNode

from tinytorch_core.catalogue import Course, Module
from tinytorch_core.errors import TinyTorchError
from tinytorch_core.export import Export, export
from tinytorch_core.grader import judge
from tinytorch_core.grader.checks import Challenge, Exchange, Package, load
from tinytorch_core.grader.execute import run_notebook
from tinytorch_core.grader.job import Accepted, GradeJob, RunJob
from tinytorch_core.grader.kernels import Role
from tinytorch_core.grader.preflight import Sheet, preflight, read
from tinytorch_core.grader.run import Run
from tinytorch_core.grader.scratch import prepare_scratch
from tinytorch_core.kernel.verdicts import student_frame
from tinytorch_core.report import Blame, CellFailure, CheckResult, Report, Stage, Stages


async def grade(job: GradeJob, course: Course, run: Run) -> Report:
    """The story of one grading: preflight, export, cells and checks side by side, judge, look at what builds on it."""
    module = course.module(job.module)
    try:
        sheet = preflight(job.notebook, module)
        if sheet.problems:
            return _report(
                job, run, verdict="error", message=" ".join(sheet.problems), stages=_lacking(sheet, course, module)
            )
        exported = export(sheet.notebook, module)
        under_test = Accepted(module=module.id, source=exported.source, names=exported.names)
        exchange = Exchange(load(course.checks_source(module.id)), Package.of(job.earlier, under_test), job.stages)
        run.mark("prepared")
        failure = await _run(job, course, run, sheet, exchange)
        stages = judge.judge(exchange, exported)
        run.mark("judged")
        report = _verdict(job, run, module, exported, exchange, stages, failure)
        if report.passed and job.later and exported.source != job.accepted_source:
            report = await _recheck_later(job, course, run, under_test, report)
        return report
    except TinyTorchError as error:
        return _report(job, run, verdict="cancelled" if run.cancelled else "error", message=error.message)


async def _run(job: GradeJob, course: Course, run: Run, sheet: Sheet, exchange: Exchange) -> CellFailure | None:
    """Cells and checks, each in its own kernel. Waits for both: the cells' error may be what explains the checks'."""
    with_cells = job.stages == Stages
    roles: tuple[Role, ...] = ("cells", "checks") if with_cells else ("checks",)
    kernels = await run.take(*roles)
    run.mark("kernels")
    limit = asyncio.get_running_loop().call_later(job.limits.run_seconds, run.stop_at_limit)
    try:
        checks = exchange.run(kernels[-1], job.limits, _ticker(run, exchange))
        if not with_cells:
            await checks
            return None
        prepare_scratch(kernels[0].scratch, course, [*job.earlier], job.module, job.beside)
        cells = run_notebook(kernels[0], sheet.notebook, job.limits, _cell_ticker(run, sheet.notebook))
        failure, _ = await asyncio.gather(cells, checks)
        return failure
    finally:
        limit.cancel()
        run.mark("ran")
        await run.end()
        run.mark("ended")


def _ticker(run: Run, exchange: Exchange) -> Callable[[Challenge], None]:
    done = 0

    def tick(challenge: Challenge) -> None:
        nonlocal done
        done += 1
        outcome = judge.judge_one(exchange, challenge).outcome if not challenge.timed else "passed"
        run.emit(
            kind="check", stage=challenge.check.stage, check=challenge.check.id, title=challenge.check.title,
            outcome=outcome, index=done, total=len(exchange.challenges),
        )  # fmt: skip

    return tick


def _cell_ticker(run: Run, notebook: NotebookNode) -> Callable[[int, str], None]:
    def tick(index: int, outcome: str) -> None:
        run.emit(kind="cell", index=index, total=len(notebook.cells), cell=notebook.cells[index].id, outcome=outcome)

    return tick


def _verdict(
    job: GradeJob, run: Run, module: Module, exported: Export, exchange: Exchange, stages: tuple[Stage, ...], failure: CellFailure | None
) -> Report:  # fmt: skip
    if run.cancelled:
        return _report(job, run, verdict="cancelled", message="Cancelled. Nothing was changed.", stages=stages)
    if exchange.broken:
        message = f"The checks could not be judged: {exchange.broken}. Nothing of yours is lost; run them again."
        return _report(job, run, verdict="error", message=message, stages=stages, failure=failure)
    if failure is None and judge.all_passed(stages, len(exchange.challenges)):
        return _report(job, run, verdict="passed", message=module.achievement, stages=stages)
    if any(c.outcome == "error" for s in stages for c in s.checks) and not any(
        c.outcome == "failed" for s in stages for c in s.checks
    ):
        message = "Some checks could not be judged. Nothing of yours is lost; run them again."
        return _report(job, run, verdict="error", message=message, stages=stages, failure=failure)
    blame = _blame(module, exported, exchange, stages, failure)
    message = "The run took longer than its limit and was stopped. " if run.overtime else ""
    return _report(
        job,
        run,
        verdict="failed",
        message=message + _summary(module, stages, failure),
        stages=stages,
        failure=failure,
        blame=blame,
    )


def _summary(module: Module, stages: Sequence[Stage], failure: CellFailure | None) -> str:
    outcomes = [check.outcome for stage in stages for check in stage.checks]
    passed, todo = outcomes.count("passed"), outcomes.count("not_attempted")
    unwritten = {c.exercise for s in stages for c in s.checks if c.outcome == "not_attempted" and c.exercise}
    if todo and todo + passed == len(outcomes):
        return f"{len(unwritten)} of {len(module.exercises)} exercises are not written yet; {passed} of {len(outcomes)} checks pass."
    cell = f" Cell {failure.index + 1} did not run: {failure.error}." if failure else ""
    if passed == len(outcomes):
        return f"All {passed} checks pass, but the notebook does not run from top to bottom.{cell}"
    return f"{passed} of {len(outcomes)} checks pass.{cell}"


def _blame(
    module: Module, exported: Export, exchange: Exchange, stages: Sequence[Stage], failure: CellFailure | None
) -> Blame | None:
    """Where to look first: an earlier module whose code raised, else the first exercise that is not solved, else the cell."""
    for challenge in exchange.challenges.values():
        error = challenge.records[0].get("error") if len(challenge.records) == 1 else None
        frame = student_frame(error) if isinstance(error, dict) and not error.get("stub") else None
        if frame and frame["file"] not in (f"tinytorch/{module.name}.py", "tinytorch/__init__.py"):
            where = f"{frame['file']}, line {frame['line']}"
            return Blame(
                module=frame["file"],
                exercise=challenge.check.exercise or None,
                message=f"The error was raised in {where}.",
            )
    exercise = judge.first_unsolved(stages, module.exercises)
    if exercise:
        return Blame(module=module.id, exercise=exercise, cell=judge.cell_id(exercise))
    return Blame(module=module.id, cell=failure.id) if failure else None


def _lacking(sheet: Sheet, course: Course, module: Module) -> tuple[Stage, ...]:
    """The checks of exercises whose cell is not there, as missing."""
    message = "The cell of this exercise is missing or not usable, so its checks could not run."
    missing = [c for c in load(course.checks_source(module.id)).checks if c.exercise in sheet.lacking]
    return tuple(
        Stage(name=stage, checks=tuple(
            CheckResult(id=c.id, exercise=c.exercise, title=c.title, outcome="missing", message=message)
            for c in missing if c.stage == stage
        ))
        for stage in Stages if any(c.stage == stage for c in missing)
    )  # fmt: skip


async def _recheck_later(job: GradeJob, course: Course, run: Run, under_test: Accepted, report: Report) -> Report:
    """The checks of completed later modules, on the package as it would be. The first that breaks keeps the new source out."""
    accepted = [*job.earlier, under_test]
    for later in job.later:
        module = course.module(later.module)
        exchange = Exchange(load(course.checks_source(module.id)), Package.of(accepted, later), Stages)
        accepted.append(later)
        (kernel,) = await run.take("checks")
        await exchange.run(kernel, job.limits, lambda challenge: None)
        await run.end()
        stages = judge.judge(exchange, Export("", (), ()))
        if not judge.all_passed(stages, len(exchange.challenges)):
            return _would_break(job, run, course.module(job.module), module, stages)
    return report


def _would_break(job: GradeJob, run: Run, module: Module, later: Module, stages: tuple[Stage, ...]) -> Report:
    if run.cancelled:
        return _report(job, run, verdict="cancelled", message="Cancelled. Nothing was changed.")
    broken = next(c for s in stages for c in s.checks if c.outcome != "passed")
    message = (
        f"{module.label} passes its own checks, but your completed {later.label} would break: {broken.title} "
        f"The package keeps the version that works. Compare the two with `tito module diff {module.number:02}`."
    )
    only = tuple(Stage(name=s.name, checks=tuple(c for c in s.checks if c.outcome != "passed")) for s in stages)
    blame = Blame(module=later.id, exercise=broken.exercise or None, message=broken.message)
    return _report(job, run, verdict="failed", message=message, stages=tuple(s for s in only if s.checks), blame=blame)


async def run_historical(job: RunJob, course: Course, run: Run) -> Report:
    """Execute a historical notebook on the accepted package; it passes if its last cell's assert holds."""
    try:
        notebook = read(job.notebook)
        (kernel,) = await run.take("cells")
        prepare_scratch(kernel.scratch, course, job.accepted, "", job.beside)
        limit = asyncio.get_running_loop().call_later(job.limits.run_seconds, run.stop_at_limit)
        try:
            failure = await run_notebook(kernel, notebook, job.limits, _cell_ticker(run, notebook))
        finally:
            limit.cancel()
            await run.end()
    except TinyTorchError as error:
        return _finish(run, job.notebook, verdict="cancelled" if run.cancelled else "error", message=error.message)
    if run.cancelled:
        return _finish(run, job.notebook, verdict="cancelled", message="Cancelled.")
    if failure:
        return _finish(
            run,
            job.notebook,
            verdict="failed",
            message=f"Cell {failure.index + 1} did not run: {failure.error}.",
            failure=failure,
        )
    return _finish(run, job.notebook, verdict="passed", message="The notebook ran to its end, and its thresholds hold.")


def _report(job: GradeJob, run: Run, **fields: Any) -> Report:
    return _finish(run, job.notebook, **fields)


def _finish(run: Run, notebook: bytes, *, failure: CellFailure | None = None, **fields: Any) -> Report:
    return Report(
        attempt=run.attempt,
        module=run.module,
        state="done",
        seconds=round(run.seconds, 4),
        notebook_sha256=hashlib.sha256(notebook).hexdigest(),
        cell_failure=failure,
        isolation=run.pool.isolation,
        started=run.started,
        timings=run.timings,
        **fields,
    )

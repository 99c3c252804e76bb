"""From judged checks and a failed cell to the Report: the verdict, in words that say what to do next."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from tinytorch_core.catalogue import Module
from tinytorch_core.grader import judge
from tinytorch_core.grader.checks import Exchange
from tinytorch_core.grader.job import GradeJob
from tinytorch_core.grader.preflight import Sheet
from tinytorch_core.grader.run import Run
from tinytorch_core.kernel.checking import Check
from tinytorch_core.kernel.verdicts import student_frame
from tinytorch_core.report import Blame, CellFailure, CheckResult, Report, Stage, Stages


def verdict(
    job: GradeJob, run: Run, module: Module, exchange: Exchange, stages: tuple[Stage, ...], failure: CellFailure | None
) -> Report:
    """The Report of a run that was judged."""
    if run.cancelled:
        return for_job(job, run, verdict="cancelled", message="Cancelled. Nothing was changed.", stages=stages)
    if exchange.broken:
        message = f"The checks could not be judged: {exchange.broken}. Nothing of yours is lost; run them again."
        return for_job(job, run, verdict="error", message=message, stages=stages, failure=failure)
    if not exchange.challenges:
        message = f"{module.label} has no checks in these stages, so there is nothing to judge."
        return for_job(job, run, verdict="error", message=message, failure=failure)
    if failure is None and judge.all_passed(stages, len(exchange.challenges)):
        return for_job(job, run, verdict="passed", message=module.achievement, stages=stages)
    if any(c.outcome == "error" for s in stages for c in s.checks) and not any(
        c.outcome == "failed" for s in stages for c in s.checks
    ):
        message = "Some checks could not be judged. Nothing of yours is lost; run them again."
        return for_job(job, run, verdict="error", message=message, stages=stages, failure=failure)
    failure = _unwritten(module, failure)
    blame = _blame(job, module, exchange, stages, failure)
    message = "The run took longer than its limit and was stopped. " if run.overtime else ""
    return for_job(
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
    job: GradeJob, module: Module, exchange: Exchange, stages: Sequence[Stage], failure: CellFailure | None
) -> Blame | None:
    """Where to look first: an earlier module whose code raised, else the first exercise that is not solved, else the cell."""
    for challenge in exchange.challenges.values():
        error = challenge.records[0].get("error") if len(challenge.records) == 1 else None
        frame = student_frame(error) if isinstance(error, dict) and not error.get("stub") else None
        earlier = frame and next((a for a in job.earlier if frame["file"] == f"tinytorch/{a.module[3:]}.py"), None)
        if frame and earlier:
            where = f"The error was raised in {frame['file']}, line {frame['line']}."
            return Blame(module=earlier.module, exercise=challenge.check.exercise or None, message=where)
    exercise = judge.first_unsolved(stages, module.exercises)
    if exercise:
        return Blame(module=module.id, exercise=exercise, cell=judge.cell_id(exercise))
    return Blame(module=module.id, cell=failure.id) if failure else None


def _unwritten(module: Module, failure: CellFailure | None) -> CellFailure | None:
    """A cell that only met a stub is no riddle: name the exercise instead of showing a traceback."""
    if (
        failure is None
        or failure.error != "NotImplementedError"
        or failure.message not in {e.id for e in module.exercises}
    ):
        return failure
    return replace(failure, message=f"{failure.message} is not written yet, and this cell needs it.", traceback="")


def lacking(sheet: Sheet, checks: Sequence[Check]) -> tuple[Stage, ...]:
    """The checks of exercises whose cell is not there, as missing."""
    message = "The cell of this exercise is missing or not usable, so its checks could not run."
    missing = [c for c in checks if c.exercise in sheet.lacking]
    return tuple(
        Stage(name=stage, checks=tuple(
            CheckResult(id=c.id, exercise=c.exercise, title=c.title, outcome="missing", message=message)
            for c in missing if c.stage == stage
        ))
        for stage in Stages if any(c.stage == stage for c in missing)
    )  # fmt: skip


def would_break(job: GradeJob, run: Run, module: Module, later: Module, stages: tuple[Stage, ...]) -> Report:
    if run.cancelled:
        return for_job(job, run, verdict="cancelled", message="Cancelled. Nothing was changed.")
    broken = min((c for s in stages for c in s.checks if c.outcome != "passed"), key=lambda c: c.outcome == "error")
    if broken.outcome == "error":
        message = f"The checks of your completed {later.label} could not be judged. {broken.message}"
        return for_job(job, run, verdict="error", message=message)
    message = (
        f"{module.label} passes its own checks, but your completed {later.label} would break: {broken.title} "
        f"The package keeps the version that works. Compare the two with `tito module diff {module.number:02}`."
    )
    only = tuple(Stage(name=s.name, checks=tuple(c for c in s.checks if c.outcome != "passed")) for s in stages)
    blame = Blame(module=later.id, exercise=broken.exercise or None, message=broken.message)
    return for_job(job, run, verdict="failed", message=message, stages=tuple(s for s in only if s.checks), blame=blame)


def for_job(job: GradeJob, run: Run, **fields: Any) -> Report:
    return ended(run, job.notebook, **fields)


def ended(run: Run, notebook: bytes, *, failure: CellFailure | None = None, **fields: Any) -> Report:
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

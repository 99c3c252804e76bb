"""Judge what came back, outside the kernels: one answer for every expected check, with the right nonce, or there is no pass."""

from __future__ import annotations

from collections.abc import Sequence

from tinytorch_core.catalogue import Exercise
from tinytorch_core.export import Export, locate
from tinytorch_core.grader.checks import Challenge, Exchange
from tinytorch_core.kernel.verdicts import Outcome, student_frame, too_slow
from tinytorch_core.report import CellFailure, CheckResult, Stage, Stages


def judge(exchange: Exchange, exported: Export) -> tuple[Stage, ...]:
    """Every expected check of the run with its outcome, stage by stage."""
    results = {name: _result(exchange, challenge, exported) for name, challenge in exchange.challenges.items()}
    stages = {challenge.check.stage: [] for challenge in exchange.challenges.values()}  # type: dict[str, list[CheckResult]]
    for name, challenge in exchange.challenges.items():
        stages[challenge.check.stage].append(results[name])
    return tuple(Stage(name=stage, checks=tuple(stages[stage])) for stage in Stages if stage in stages)


def all_passed(stages: Sequence[Stage], expected: int) -> bool:
    """True if there is at least one check, none is missing, and each passed."""
    outcomes = [check.outcome for stage in stages for check in stage.checks]
    return bool(outcomes) and len(outcomes) == expected and all(outcome == "passed" for outcome in outcomes)


def _result(exchange: Exchange, challenge: Challenge, exported: Export) -> CheckResult:
    check = challenge.check
    outcome = judge_one(exchange, challenge)
    record = challenge.records[0] if challenge.records else {}
    message, cell = in_cells(outcome.message, record, exchange.package.name, exported)
    return CheckResult(
        id=check.id,
        exercise=check.exercise,
        title=check.title,
        outcome=outcome.outcome,
        message=message,
        hint="" if outcome.outcome == "passed" else outcome.hint or check.hint,
        seconds=challenge.seconds,
        cell=cell or _cell_of(check.exercise, exported),
    )


def judge_one(exchange: Exchange, challenge: Challenge) -> Outcome:
    """The outcome of one challenge; anything but exactly one answer is no pass."""
    if exchange.broken:
        return Outcome(
            "error", f"The checks could not be judged: {exchange.broken}. Nothing of yours is lost; run them again."
        )
    if len(challenge.records) > 1:
        return Outcome("error", "This check was answered more than once, so none of the answers counts.")
    if not challenge.records:
        return Outcome("missing", _why_missing(exchange.stopped))
    record = challenge.records[0]
    outcome = challenge.outcome
    if outcome.outcome != "passed" or not challenge.timed:
        return outcome
    if challenge in exchange.timed_last and exchange.clocks_disagree():
        return Outcome(
            "error", "The machine was too busy to time this check. Close what else is running and try again."
        )
    best = record.get("best")
    if type(best) is not float or best <= 0:
        return Outcome("error", "This check came back without its time.")
    return too_slow(challenge.check, challenge.reference, best)


def _why_missing(stopped: CellFailure | None) -> str:
    if stopped is None:
        return "This check gave no answer. Code that ends Python (sys.exit, os._exit) or pytest can cause this."
    reasons = {
        "TimeLimit": "The checks were stopped at the time limit before this one answered. Look for a loop that never ends.",
        "MemoryLimit": "The checks were stopped at the memory limit before this one answered.",
        "OutputLimit": "The checks were stopped at the output limit before this one answered.",
        "KernelDied": "Python stopped before this check answered: a call such as os._exit or a crash in compiled code ends it.",
        "Cancelled": "The run was cancelled before this check answered.",
    }
    return reasons.get(
        stopped.error, f"The checks stopped before this one answered: {stopped.error}: {stopped.message}"
    )


def _cell_of(exercise: str, exported: Export) -> str | None:
    return next((cell.id for cell in exported.cells if cell.id == cell_id(exercise)), None) if exercise else None


def cell_id(exercise: str) -> str:
    """The id that authoring gives to an exercise's cell."""
    return f"exercise-{exercise}"


def in_cells(message: str, record: dict[str, object], name: str, exported: Export) -> tuple[str, str | None]:
    """`message` with the line of `tinytorch/<name>.py` put as the notebook's cell, and that cell's id, if the error lies there."""
    error = record.get("error")
    frame = student_frame(error) if isinstance(error, dict) else None
    if frame is None or frame["file"] != f"tinytorch/{name}.py":
        return message, None
    found = locate(exported, frame["line"])
    if found is None:
        return message, None
    cell, line = found
    old, new = f"{frame['file']}, line {frame['line']}", f"cell {cell.index + 1} of the notebook, line {line}"
    return message.replace(old, new), cell.id


def first_unsolved(stages: Sequence[Stage], exercises: Sequence[Exercise]) -> str | None:
    """The first exercise, in the course's order, with a check that did not pass."""
    unsolved = {c.exercise for s in stages for c in s.checks if c.outcome != "passed"}
    return next((e.id for e in exercises if e.id in unsolved), None)

"""The rules of the way through the course: what is open, what comes next, what a pass unlocks. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Set

from tinytorch_core.catalogue import Course, Exercise, Historical, Milestone, Module
from tinytorch_core.errors import NotAllowed
from tinytorch_core.report import (
    Built,
    CourseView,
    ExerciseState,
    ExerciseView,
    HistoricalView,
    MilestoneView,
    ModuleState,
    ModuleView,
    NextStep,
    Report,
    Unlocked,
)


def is_open(course: Course, completed: Set[str], module: Module) -> bool:
    """A module opens when all before it are complete and it is written; one that is complete stays open."""
    return module.id in completed or (module.written and _missing(course, completed, module) is None)


def require_open(course: Course, completed: Set[str], module: Module) -> None:
    """Raises NotAllowed, with the reason and the next step, unless the module is open."""
    if is_open(course, completed, module):
        return
    missing = _missing(course, completed, module)
    if missing:
        raise NotAllowed(f"{module.label} is locked. Complete {missing.label} first.")
    raise NotAllowed(f"{module.label} is coming: its notebook is not written yet. Everything before it is done.")


def is_available(completed: Set[str], historical: Historical) -> bool:
    """A historical notebook opens when its module is complete and it is written."""
    return historical.written and historical.module in completed


def require_example(course: Course, completed: Set[str], historical: Historical) -> None:
    """Raises NotAllowed, with the reason and the next step, unless the historical notebook is available."""
    if is_available(completed, historical):
        return
    if historical.module not in completed:
        raise NotAllowed(f"{historical.label} is locked. It opens with {course.module(historical.module).label}.")
    raise NotAllowed(f"{historical.label} is coming: its notebook is not written yet.")


def is_earned(completed: Set[str], milestone: Milestone) -> bool:
    return milestone.module in completed


def unlocked_by(course: Course, before: Set[str], after: Set[str]) -> Unlocked:
    """What is open or earned with the modules `after` complete that was not with those `before`."""
    return Unlocked(
        modules=tuple(m.id for m in course.modules if is_open(course, after, m) and not is_open(course, before, m)),
        historical=tuple(h.id for h in course.historical if is_available(after, h) and not is_available(before, h)),
        milestones=tuple(m.id for m in course.milestones if is_earned(after, m) and not is_earned(before, m)),
    )


def next_step(course: Course, completed: Set[str]) -> NextStep:
    """The first module that is not complete, whether it can be started or is still to come."""
    module = next((m for m in course.modules if m.id not in completed), None)
    if module is None:
        return NextStep(kind="done", id="", title=course.title, text="You have built all of it")
    if not module.written:
        return NextStep(kind="coming", id=module.id, title=module.title, text=f"{module.label} is coming")
    verb = "Continue" if completed else "Start"
    return NextStep(kind="module", id=module.id, title=module.title, text=f"{verb} with {module.label}")


def view(
    course: Course,
    *,
    workspace: str | None,
    completed: Set[str],
    edited: Set[str],
    checking: Mapping[str, str],
    latest: Mapping[str, Report],
    version: str,
    built: Built | None = None,
) -> CourseView:
    """The state of the course in one workspace.

    `edited` are the completed modules whose notebook has changed since, `checking` maps modules to their running
    attempt, `latest` to the newest one.
    """
    return CourseView(
        title=course.title,
        version=version,
        workspace=workspace,
        next=next_step(course, completed),
        completed=sum(m.id in completed for m in course.modules),
        modules=tuple(
            _module(course, m, completed, edited, checking.get(m.id), latest.get(m.id)) for m in course.modules
        ),
        milestones=tuple(_milestone(m, completed) for m in course.milestones),
        historical=tuple(_historical(h, completed) for h in course.historical),
        built=built,
    )


def _missing(course: Course, completed: Set[str], module: Module) -> Module | None:
    """The first module that has to be completed before this one."""
    return next((m for m in course.before(module) if m.id not in completed), None)


def _module(
    course: Course, module: Module, completed: Set[str], edited: Set[str], running: str | None, latest: Report | None
) -> ModuleView:
    return ModuleView(
        id=module.id,
        number=module.number,
        title=module.title,
        state=_state(course, module, completed, running),
        edited=module.id in edited and module.id in completed,
        capability=module.capability,
        discovery=module.discovery,
        achievement=module.achievement,
        notebook=module.notebook,
        exercises=tuple(_exercise(e, module.id in completed, latest) for e in module.exercises),
        coming=not module.written,
        attempt=running or (latest.attempt if latest else None),
    )


def _state(course: Course, module: Module, completed: Set[str], running: str | None) -> ModuleState:
    if running:
        return "checking"
    if module.id in completed:
        return "complete"
    return "available" if is_open(course, completed, module) else "locked"


def _exercise(exercise: Exercise, complete: bool, latest: Report | None) -> ExerciseView:
    state: ExerciseState = _judged(exercise, latest) or ("passed" if complete else "not_attempted")
    return ExerciseView(id=exercise.id, title=exercise.title, state=state, hints=len(exercise.hints))


def _judged(exercise: Exercise, report: Report | None) -> ExerciseState | None:
    """What a report says of an exercise; None where it says nothing, or only that it could not judge."""
    stages = report.stages if report else ()
    outcomes = {check.outcome for stage in stages for check in stage.checks if check.exercise == exercise.id}
    if "failed" in outcomes:
        return "failed"
    if not outcomes or "error" in outcomes:
        return None
    return "passed" if outcomes == {"passed"} else "not_attempted"


def _milestone(milestone: Milestone, completed: Set[str]) -> MilestoneView:
    return MilestoneView(
        id=milestone.id,
        title=milestone.title,
        name=milestone.name,
        year=milestone.year,
        module=milestone.module,
        earned=is_earned(completed, milestone),
    )


def _historical(historical: Historical, completed: Set[str]) -> HistoricalView:
    return HistoricalView(
        id=historical.id,
        title=historical.title,
        year=historical.year,
        state="available" if is_available(completed, historical) else "locked",
        notebook=historical.notebook,
        summary=historical.summary,
        module=historical.module,
        milestone=historical.milestone,
        coming=not historical.written,
    )

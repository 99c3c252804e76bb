"""The values that cross every border: the Report of one grading, the events on the way to it, and the state of the course.

Doors render these values and never rebuild them. `schema()` is what the TypeScript types are generated from.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Stages = ("unit", "import", "compatibility", "integration", "performance")

State = Literal["queued", "running", "done"]
Verdict = Literal["passed", "failed", "error", "cancelled", "interrupted"]
Outcome = Literal["passed", "failed", "error", "not_attempted", "missing"]


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one check said. `message` reads: what was called, what came back, what was expected."""

    id: str
    exercise: str
    title: str
    outcome: Outcome
    message: str = ""
    hint: str = ""
    seconds: float = 0.0
    cell: str | None = None
    """Id of the notebook cell to look at: where the student's code raised, else the exercise's own cell."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    checks: tuple[CheckResult, ...] = ()


class CellFailure(msgspec.Struct, frozen=True, kw_only=True):
    """The first cell of the notebook that did not run. `index` counts from 0, over all cells."""

    index: int
    id: str
    error: str
    message: str
    traceback: str
    hint: str = ""


class Blame(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look first: the module whose code is at fault, and the exercise or cell in it, where known."""

    module: str
    exercise: str | None = None
    cell: str | None = None
    message: str = ""


class Unlocked(msgspec.Struct, frozen=True, kw_only=True):
    modules: tuple[str, ...] = ()
    historical: tuple[str, ...] = ()
    milestones: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, judged. While it runs, `state` is queued or running and `verdict` is null."""

    attempt: str
    module: str
    state: State
    verdict: Verdict | None = None
    seconds: float = 0.0
    notebook_sha256: str = ""
    message: str = ""
    """One or two plain sentences: what happened and what to do next."""
    blame: Blame | None = None
    stages: tuple[Stage, ...] = ()
    cell_failure: CellFailure | None = None
    unlocked: Unlocked = Unlocked()
    isolation: str = ""
    recorded: bool = False
    """True when this attempt completed the module (a `check` never does)."""
    started: float = 0.0
    """Seconds since the epoch."""
    timings: dict[str, float] = {}
    """Milliseconds of each part of the run, for benchmarks and `tito doctor`."""

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"


EventKind = Literal["queued", "cell", "check", "stage", "verdict"]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a grading. `seq` counts from 0 in each attempt; a client that missed one reads the attempt.

    cell: `index` (0-based over the notebook) of `total`, `outcome` running | passed | failed; `cell` is its id
    check: `check` id, `exercise`, `outcome`, `title`; index/total count the checks judged so far
    stage: `stage` begins
    verdict: `verdict` and `message`
    """

    attempt: str
    module: str
    seq: int
    kind: EventKind
    stage: str = ""
    index: int = 0
    total: int = 0
    cell: str = ""
    check: str = ""
    exercise: str = ""
    title: str = ""
    outcome: str = ""
    verdict: str = ""
    message: str = ""


ModuleState = Literal["locked", "available", "checking", "complete"]
ExerciseState = Literal["not_attempted", "failed", "passed"]


class ExerciseView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    title: str
    state: ExerciseState
    hints: int = 0
    """How many hints there are; their text comes when asked for."""


class ModuleView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    number: int
    title: str
    state: ModuleState
    edited: bool
    """The notebook's exported code differs from what was accepted."""
    capability: str
    discovery: str
    achievement: str
    notebook: str
    """Path in the workspace, with forward slashes."""
    exercises: tuple[ExerciseView, ...]
    coming: bool
    """True while the course's authors have not written it yet; it is then locked."""
    attempt: str | None = None
    """The running attempt while `checking`, else the newest one."""


class MilestoneView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    title: str
    name: str
    year: int
    module: str
    earned: bool


class HistoricalView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    title: str
    year: int
    state: Literal["locked", "available"]
    notebook: str
    summary: str
    module: str
    milestone: str
    coming: bool


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """What the student does next. `text` is the words on the button: "Continue with 03 Activations"."""

    kind: Literal["module", "historical", "coming", "done"]
    id: str
    title: str
    text: str


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What a student has built, when every module is complete, in their own numbers."""

    lines: int
    """Of the package's modules, without the empty ones."""
    operations: int
    """Functions on tensors that went through the door of module 02, most of them with a way back."""
    parameters: int
    """Trained in the historical notebooks, as far as they were run and saved; 0 where none was."""
    days: int
    """From the first attempt to the last completion, both counted."""


class CourseView(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the course in one workspace: the body of GET course and of `tito status --json`."""

    title: str
    version: str
    workspace: str | None
    """Absolute path; null while the folder is no workspace yet."""
    next: NextStep
    completed: int
    modules: tuple[ModuleView, ...]
    milestones: tuple[MilestoneView, ...]
    historical: tuple[HistoricalView, ...]
    built: Built | None = None
    """Null until every module is complete."""


def schema() -> dict[str, Any]:
    """JSON Schema of the values that cross borders."""
    (_, components) = msgspec.json.schema_components([Report, Progress, CourseView], ref_template="#/$defs/{name}")
    return {"$defs": components}

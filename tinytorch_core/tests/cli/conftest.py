"""`tito` in a folder of its own, on the tiny course."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tinytorch_core import catalogue
from tinytorch_core.catalogue import Course
from tinytorch_core.cli.door import Settings
from tinytorch_core.cli.tito import tito
from tinytorch_core.grader.job import GradeJob, Limits, RunJob
from tinytorch_core.report import CellFailure, CheckResult, Progress, Report, Stage

TINY = Path(__file__).parents[1] / "tiny"


class FakeGrader:
    """Answers with the verdict that the test wants."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.verdict: Any = "passed"
        self.jobs: list[GradeJob | RunJob] = []
        self.closed = 0

    async def grade(self, job: GradeJob, on_event: Callable[[Progress], None]) -> Report:
        self.jobs.append(job)
        ids: dict[str, Any] = {"attempt": job.attempt, "module": job.module}
        on_event(Progress(**ids, seq=0, kind="cell", index=0, total=2, cell="c", outcome="running"))
        on_event(
            Progress(
                **ids,
                seq=1,
                kind="check",
                stage="unit",
                check="one",
                title="One [is] one.",
                outcome="passed",
                index=1,
                total=1,
            )
        )
        return self._report(job, job.module)

    async def run_historical(self, job: RunJob, on_event: Callable[[Progress], None]) -> Report:
        self.jobs.append(job)
        return self._report(job, job.historical)

    def _report(self, job: GradeJob | RunJob, module: str) -> Report:
        outcome: Any = "passed" if self.verdict == "passed" else "failed"
        check = CheckResult(
            id="one", exercise="count-items", title="Counting [three] items gives 3.", outcome=outcome,
            message="" if outcome == "passed" else "count([1, 2, 3]) gave [2], wanted 3", hint="Python has a word for it.",
        )  # fmt: skip
        failure = CellFailure(
            index=4, id="c", error="NameError", message="name 'x' is not defined", traceback="Traceback…"
        )
        return Report(
            attempt=job.attempt, module=module, state="done", verdict=self.verdict, seconds=0.25,
            notebook_sha256=sha256(job.notebook).hexdigest(),
            message="1 of 1 checks pass." if outcome == "passed" else "0 of 1 checks pass.",
            stages=(Stage(name="unit", checks=(check,)),), cell_failure=None if outcome == "passed" else failure,
        )  # fmt: skip

    async def cancel(self, attempt: str) -> None: ...

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture(scope="session")
def course() -> Course:
    return catalogue.load(TINY / "course.toml", TINY)


@pytest.fixture
def grader(monkeypatch: pytest.MonkeyPatch) -> FakeGrader:
    fake = FakeGrader()
    monkeypatch.setattr(Settings, "grader", lambda settings, pool=0: fake)
    return fake


@dataclass
class Terminal:
    """Types commands, in one folder."""

    course: Course
    folder: Path

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(tito, [str(word) for word in words], obj=Settings(given_course=self.course))

    def json(self, *words: str, code: int = 0) -> Any:
        """The one JSON value that a command prints."""
        result = self("--json", *words)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def text(self, *words: str, code: int = 0) -> str:
        result = self(*words)
        assert result.exit_code == code, result.output
        return str(result.output)


@pytest.fixture
def terminal(course: Course, grader: FakeGrader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """In an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return Terminal(course, tmp_path)


@pytest.fixture
def tito_in_course(terminal: Terminal) -> Terminal:
    """In a new workspace."""
    terminal.text("init", ".")
    return terminal

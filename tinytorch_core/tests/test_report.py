from typing import Any

import msgspec
import pytest

from tinytorch_core import report
from tinytorch_core.report import Blame, CellFailure, CheckResult, Progress, Report, Stage, Unlocked

WHOLE = Report(
    attempt="20261123-181530-0badcafe",
    module="02_adding",
    state="done",
    verdict="failed",
    seconds=0.25,
    notebook_sha256="0" * 64,
    message="1 of 2 checks pass.",
    blame=Blame(module="02_adding", exercise="add-total", cell="exercise-add-total"),
    stages=(Stage(name="unit", checks=(CheckResult(id="test_a", exercise="add-total", title="t", outcome="failed"),)),),
    cell_failure=CellFailure(index=3, id="x", error="NameError", message="x", traceback="…"),
    unlocked=Unlocked(modules=("03_doubling",)),
    timings={"ran": 12.5},
)


def properties(name: str) -> dict[str, Any]:
    return report.schema()["$defs"][name]["properties"]  # type: ignore[no-any-return]


def test_a_report_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(WHOLE), type=Report) == WHOLE


def test_a_report_of_a_newer_version_can_still_be_read() -> None:
    raw = msgspec.json.decode(msgspec.json.encode(WHOLE)) | {"mood": "sunny"}
    assert msgspec.json.decode(msgspec.json.encode(raw), type=Report) == WHOLE


def test_a_report_is_frozen() -> None:
    with pytest.raises(AttributeError):
        WHOLE.verdict = "passed"  # type: ignore[misc]


def test_a_running_report_has_no_verdict_and_has_not_passed() -> None:
    running = Report(attempt="a", module="01_counting", state="running")
    assert running.verdict is None and not running.passed


@pytest.mark.parametrize("verdict", ["failed", "error", "cancelled", "interrupted"])
def test_only_the_verdict_passed_is_a_pass(verdict: report.Verdict) -> None:
    assert not msgspec.structs.replace(WHOLE, verdict=verdict).passed
    assert msgspec.structs.replace(WHOLE, verdict="passed").passed


@pytest.mark.parametrize("outcome", ["passed", "failed", "error", "not_attempted", "missing"])
def test_the_outcomes_of_the_contract_are_the_outcomes(outcome: str) -> None:
    raw = {"id": "a", "exercise": "b", "title": "c", "outcome": outcome}
    assert msgspec.convert(raw, CheckResult).outcome == outcome


def test_an_outcome_that_is_none_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="skipped"):
        msgspec.convert({"id": "a", "exercise": "b", "title": "c", "outcome": "skipped"}, CheckResult)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("Report", "attempt module state verdict seconds notebook_sha256 blame stages cell_failure unlocked"),
        ("Stage", "name checks"),
        ("CheckResult", "id exercise title outcome message hint"),
        ("CellFailure", "index id error message traceback"),
        ("Unlocked", "modules historical milestones"),
        ("CourseView", "workspace next modules milestones historical"),
        ("ModuleView", "id number title state edited capability notebook exercises"),
        ("ExerciseView", "id title state"),
        ("MilestoneView", "id title year module earned"),
        ("HistoricalView", "id title year state notebook"),
    ],
)
def test_the_shapes_of_the_contract_are_in_the_schema(name: str, fields: str) -> None:
    assert set(fields.split()) <= properties(name).keys()


def test_the_schema_can_be_sent_as_json() -> None:
    assert b"Progress" in msgspec.json.encode(report.schema())


def test_progress_survives_json() -> None:
    step = Progress(attempt="a", module="m", seq=3, kind="cell", index=2, total=9, outcome="running")
    assert msgspec.json.decode(msgspec.json.encode(step), type=Progress) == step

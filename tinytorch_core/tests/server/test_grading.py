"""Attempts: one for each module, one after another, cancelled when asked, announced to everybody."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tinytorch_core.report import Progress, Report
from tinytorch_core.server import events
from tinytorch_core.server.grading import advanced
from tinytorch_core.server.services import Services
from tinytorch_core.studying import Study
from tinytorch_core.tests.server.conftest import Call, FakeGrader, until_done, value


async def test_complete_answers_with_the_attempt_and_where_its_report_is(
    api: Call, study: Study, jp_base_url: str
) -> None:
    response = await api("POST", "modules/01_counting/complete")
    report = value(response)
    assert response.code == 202
    assert report["state"] in ("queued", "running")
    assert response.headers["Location"] == f"{jp_base_url}tinytorch/api/attempts/{report['attempt']}"


async def test_what_passes_unlocks(api: Call, study: Study) -> None:
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    report = await until_done(api, attempt)
    assert report["verdict"] == "passed"
    assert report["unlocked"]["modules"] == ["02_adding"]
    course = value(await api("GET", "course"))
    assert [m["state"] for m in course["modules"]] == ["complete", "available", "locked", "locked"]
    assert (await api("POST", "modules/02_adding/open")).code == 200


async def test_what_fails_unlocks_nothing(api: Call, study: Study, grader: FakeGrader) -> None:
    grader.verdict = "failed"
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    assert (await until_done(api, attempt))["recorded"] is False
    assert (await api("POST", "modules/02_adding/open")).code == 409


async def test_a_check_records_nothing_but_can_be_read(api: Call, study: Study) -> None:
    attempt = value(await api("POST", "modules/01_counting/complete", {"check_only": True}))["attempt"]
    report = await until_done(api, attempt)
    assert (report["verdict"], report["recorded"]) == ("passed", False)
    assert (await api("POST", "modules/02_adding/open")).code == 409


async def test_a_double_click_is_one_attempt(api: Call, study: Study, grader: FakeGrader) -> None:
    grader.hold()
    clicks = await asyncio.gather(*(api("POST", "modules/01_counting/complete") for _ in range(5)))
    assert len({value(click)["attempt"] for click in clicks}) == 1
    await grader.running.wait()
    grader.let_go()
    await until_done(api, value(clicks[0])["attempt"])
    assert len(grader.jobs) == 1


async def test_a_completion_answers_who_asks_for_a_check(api: Call, study: Study, grader: FakeGrader) -> None:
    grader.hold()
    complete = value(await api("POST", "modules/01_counting/complete"))
    check = value(await api("POST", "modules/01_counting/complete", {"check_only": True}))
    assert check["attempt"] == complete["attempt"]
    grader.let_go()


async def test_a_check_does_not_swallow_a_completion(api: Call, study: Study, grader: FakeGrader) -> None:
    grader.hold()
    check = value(await api("POST", "modules/01_counting/complete", {"check_only": True}))
    complete = value(await api("POST", "modules/01_counting/complete"))
    assert check["attempt"] != complete["attempt"]
    grader.let_go()
    assert (await until_done(api, complete["attempt"]))["recorded"] is True


async def test_gradings_wait_for_one_another(api: Call, study: Study, grader: FakeGrader) -> None:
    await _complete_first(api)
    grader.hold()
    first = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    second = value(await api("POST", "modules/02_adding/complete"))["attempt"]
    await grader.running.wait()
    assert value(await api("GET", f"attempts/{first}"))["state"] == "running"
    assert value(await api("GET", f"attempts/{second}"))["state"] == "queued"
    states = {m["id"]: (m["state"], m["attempt"]) for m in value(await api("GET", "course"))["modules"]}
    assert states["02_adding"] == ("checking", second)
    grader.let_go()
    await until_done(api, second)
    assert [job.module for job in grader.jobs] == ["01_counting", "01_counting", "02_adding"]


async def test_too_many_waiting_are_sent_away(api: Call, study: Study, services: Services, grader: FakeGrader) -> None:
    await _complete_first(api)
    services.grading._waiting_limit = 0
    grader.hold()
    await api("POST", "modules/01_counting/complete")
    refused = await api("POST", "modules/02_adding/complete")
    assert refused.code == 429
    assert value(refused)["reason"] == "Busy"
    grader.let_go()


async def test_a_running_attempt_shows_what_is_known_so_far(api: Call, study: Study, grader: FakeGrader) -> None:
    grader.hold()
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    await grader.running.wait()
    report = value(await api("GET", f"attempts/{attempt}"))
    assert (report["state"], report["verdict"]) == ("running", None)
    assert [c["id"] for s in report["stages"] for c in s["checks"]] == ["one"]
    grader.let_go()


async def test_a_running_attempt_is_cancelled(api: Call, study: Study, grader: FakeGrader) -> None:
    grader.hold()
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    await grader.running.wait()
    assert (await api("DELETE", f"attempts/{attempt}")).code == 202
    assert (await until_done(api, attempt))["verdict"] == "cancelled"
    assert (await api("DELETE", f"attempts/{attempt}")).code == 204
    assert (await api("POST", "modules/02_adding/open")).code == 409


async def test_a_waiting_attempt_is_cancelled_without_being_run(api: Call, study: Study, grader: FakeGrader) -> None:
    await _complete_first(api)
    grader.hold()
    await api("POST", "modules/01_counting/complete")
    waiting = value(await api("POST", "modules/02_adding/complete"))["attempt"]
    await grader.running.wait()
    assert (await api("DELETE", f"attempts/{waiting}")).code == 202
    assert (await until_done(api, waiting))["verdict"] == "cancelled"
    grader.let_go()
    assert "02_adding" not in [job.module for job in grader.jobs]


async def test_who_completes_again_after_cancelling_gets_a_new_attempt(
    api: Call, study: Study, grader: FakeGrader
) -> None:
    grader.hold()
    first = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    await grader.running.wait()
    await api("DELETE", f"attempts/{first}")
    second = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    assert second != first
    grader.let_go()
    assert (await until_done(api, second))["verdict"] == "passed"


async def test_a_grader_that_breaks_ends_the_attempt_as_an_error(
    api: Call, study: Study, grader: FakeGrader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(job: object, on_event: object) -> Report:
        raise RuntimeError("planted")

    monkeypatch.setattr(grader, "grade", broken)
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    report = await until_done(api, attempt)
    assert report["verdict"] == "error"
    assert "planted" not in report["message"]


async def test_attempts_are_remembered_newest_first(api: Call, study: Study, grader: FakeGrader) -> None:
    grader.verdict = "failed"
    ids = []
    for _ in range(2):
        ids.append(value(await api("POST", "modules/01_counting/complete"))["attempt"])
        await until_done(api, ids[-1])
    listed = value(await api("GET", "modules/01_counting/attempts"))
    assert [report["attempt"] for report in listed] == ids[::-1]


async def test_an_attempt_of_an_earlier_server_is_still_known(api: Call, study: Study, services: Services) -> None:
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    await until_done(api, attempt)
    services.grading._finished.clear()
    assert value(await api("GET", f"attempts/{attempt}"))["verdict"] == "passed"


async def test_steps_and_changes_come_over_the_websocket(api: Call, study: Study, jp_ws_fetch: Any) -> None:
    socket = await jp_ws_fetch("api", "events", "subscribe")
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    steps: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []
    while not any(change["reason"] == "completed" for change in changes):
        message = json.loads(await asyncio.wait_for(socket.read_message(), 30))
        {events.PROGRESS: steps, events.COURSE: changes}[message["schema_id"]].append(message)
    socket.close()
    assert [step["seq"] for step in steps] == list(range(len(steps)))
    assert [step["kind"] for step in steps] == ["queued", "cell", "check", "verdict"]
    assert {step["attempt"] for step in steps} == {attempt}
    assert steps[-1]["verdict"] == "passed"
    assert [(change["reason"], change["module"]) for change in changes] == [
        ("started", "01_counting"),
        ("completed", "01_counting"),
    ]


async def test_who_hears_the_verdict_finds_it_in_the_report(
    api: Call, study: Study, services: Services, jp_serverapp: Any
) -> None:
    """The verdict is announced after it is recorded: a client that reads the attempt at once must find it done."""
    seen: list[str] = []

    async def listen(logger: object, schema_id: str, data: dict[str, Any]) -> None:
        if data["kind"] == "verdict":
            report = await services.grading.report(data["attempt"], study)
            seen.append(report.state)

    jp_serverapp.event_logger.add_listener(schema_id=events.PROGRESS, listener=listen)
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    await until_done(api, attempt)
    while not seen:
        await asyncio.sleep(0)
    assert seen == ["done"]


async def test_closing_ends_what_runs(api: Call, study: Study, services: Services, grader: FakeGrader) -> None:
    grader.hold()
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    await grader.running.wait()
    await services.close()
    assert grader.closed
    assert (await services.grading.report(attempt, study)).state == "done"
    assert study.store.attempt(attempt).verdict == "interrupted"  # type: ignore[union-attr]


def test_checks_gather_in_their_stages() -> None:
    report = Report(attempt="a", module="m", state="running")
    for stage, check in (("unit", "one"), ("import", "two"), ("unit", "three")):
        ids = {"attempt": "a", "module": "m", "seq": 0, "stage": stage, "check": check, "exercise": f"of-{check}"}
        report = advanced(report, Progress(**ids, kind="check", outcome="passed"))
    assert [(s.name, [(c.id, c.exercise) for c in s.checks]) for s in report.stages] == [
        ("unit", [("one", "of-one"), ("three", "of-three")]),
        ("import", [("two", "of-two")]),
    ]


async def _complete_first(api: Call) -> None:
    await until_done(api, value(await api("POST", "modules/01_counting/complete"))["attempt"])

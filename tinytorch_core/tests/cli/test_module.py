"""tito module, tito test, tito examples: the student's commands, with a grader that answers as told."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tinytorch_core import coursecheck
from tinytorch_core.coursecheck import Finding
from tinytorch_core.grader.job import GradeJob
from tinytorch_core.report import Stages
from tinytorch_core.tests.cli.conftest import FakeGrader, Terminal


def test_init_makes_a_workspace_and_says_what_to_do_next(terminal: Terminal) -> None:
    result = terminal("init", "course")
    assert result.stdout == f"{terminal.folder / 'course'}\n"
    assert "tito lab course" in result.stderr
    assert (terminal.folder / "course/notebooks/01_counting.ipynb").is_file()


def test_open_prints_a_path_and_nothing_else(tito_in_course: Terminal) -> None:
    notebook = tito_in_course.folder / "notebooks/01_counting.ipynb"
    notebook.unlink()
    result = tito_in_course("module", "open", "counting")
    assert result.stdout == f"{notebook}\n"
    assert notebook.is_file()
    assert "tito lab" in result.stderr


def test_a_long_path_stays_in_one_line(tito_in_course: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert tito_in_course("module", "open", "1").stdout.count("\n") == 1


def test_complete_unlocks(tito_in_course: Terminal, grader: FakeGrader) -> None:
    report = tito_in_course.json("module", "complete", "1")
    assert (report["verdict"], report["recorded"]) == ("passed", True)
    assert report["unlocked"]["modules"] == ["02_adding"]
    assert (tito_in_course.folder / "notebooks/02_adding.ipynb").is_file()
    assert grader.closed == 1


def test_complete_says_what_opened(tito_in_course: Terminal) -> None:
    text = tito_in_course.text("module", "complete", "1")
    assert "01_counting passed" in text
    assert "tito module open 02_adding" in text


@pytest.mark.parametrize(("verdict", "code"), [("failed", 1), ("error", 3), ("cancelled", 3), ("interrupted", 3)])
def test_each_verdict_has_its_code(tito_in_course: Terminal, grader: FakeGrader, verdict: str, code: int) -> None:
    grader.verdict = verdict
    assert tito_in_course.json("module", "complete", "1", code=code)["verdict"] == verdict
    assert tito_in_course("module", "open", "2").exit_code == 4


def test_a_failure_says_what_went_wrong_and_gives_the_hint(tito_in_course: Terminal, grader: FakeGrader) -> None:
    grader.verdict = "failed"
    text = tito_in_course.text("module", "check", "1", code=1)
    assert "Counting [three] items gives 3." in text
    assert "count([1, 2, 3]) gave [2], wanted 3" in text
    assert "Hint: Python has a word for it." in text
    assert "Cell 5 stopped: NameError" in text


def test_check_is_an_attempt_that_completes_nothing(tito_in_course: Terminal) -> None:
    assert tito_in_course.json("module", "check", "1")["recorded"] is False
    assert tito_in_course("module", "open", "2").exit_code == 4
    assert [report["recorded"] for report in tito_in_course.json("module", "history", "1")] == [False]


@pytest.mark.parametrize("stage", [*Stages, "all"])
def test_one_stage_by_itself(tito_in_course: Terminal, grader: FakeGrader, stage: str) -> None:
    tito_in_course.json("test", stage, "01_counting")
    (job,) = grader.jobs
    assert isinstance(job, GradeJob)
    assert job.stages == (Stages if stage == "all" else (stage,))


def test_history_lists_attempts(tito_in_course: Terminal, grader: FakeGrader) -> None:
    grader.verdict = "failed"
    first = tito_in_course.json("module", "complete", "1", code=1)["attempt"]
    second = tito_in_course.json("module", "complete", "1", code=1)["attempt"]
    assert [r["attempt"] for r in tito_in_course.json("module", "history", "1")] == [second, first]
    assert [r["attempt"] for r in tito_in_course.json("module", "history", "1", "--limit", "1")] == [second]
    assert "failed" in tito_in_course.text("module", "history", "1")


def test_reset_keeps_what_was_there(tito_in_course: Terminal) -> None:
    notebook = tito_in_course.folder / "notebooks/01_counting.ipynb"
    notebook.write_text("mine")
    answer = tito_in_course.json("module", "reset", "1")
    assert Path(answer["backup"]).read_text() == "mine"
    assert answer["path"] == str(notebook)


def test_restore_says_what_it_did(tito_in_course: Terminal) -> None:
    notebook = tito_in_course.folder / "notebooks/01_counting.ipynb"
    data = json.loads(notebook.read_text())
    data["cells"] = [cell for cell in data["cells"] if cell["id"] != "exercise-count-mean"]
    notebook.write_text(json.dumps(data))
    assert tito_in_course.json("module", "restore", "1")["done"]
    assert "exercise-count-mean" in notebook.read_text()


def test_the_solution_comes_after_your_own(tito_in_course: Terminal) -> None:
    assert "tito hint" in tito_in_course.text("module", "solution", "1", code=4)
    tito_in_course.json("module", "complete", "1")
    assert "return len(items)" in tito_in_course("module", "solution", "1").stdout
    assert set(tito_in_course.json("module", "solution", "1")) == {"module", "source", "notebook"}


def test_diff_tells_what_you_wrote(tito_in_course: Terminal) -> None:
    assert "the same cells" in tito_in_course.text("module", "diff", "1")
    tito_in_course.json("dev", "solve", "1")
    text = tito_in_course.text("module", "diff", "1")
    assert "+      return len(items)" in text
    assert tito_in_course.json("module", "diff", "1")["against"] == "original"
    assert tito_in_course("module", "diff", "1", "--against", "solution").exit_code == 4
    tito_in_course.json("module", "complete", "1")
    assert tito_in_course.json("module", "diff", "1")["against"] == "accepted"
    assert tito_in_course.json("module", "diff", "1", "--against", "solution")["same"] is True


def test_a_notebook_that_can_not_be_read_could_not_be_graded(tito_in_course: Terminal) -> None:
    notebook = tito_in_course.folder / "notebooks/01_counting.ipynb"
    notebook.unlink()
    notebook.mkdir()
    report = tito_in_course.json("module", "complete", "1", code=3)
    assert report["verdict"] == "error"
    assert "01_counting.ipynb" in report["message"]


class TestExamples:
    def test_a_list_of_all_and_of_those_that_are_open(self, tito_in_course: Terminal) -> None:
        assert [h["id"] for h in tito_in_course.json("examples")] == ["pascaline_1642", "reckoner_1673"]
        assert tito_in_course.json("examples", "available") == []
        assert "coming" in tito_in_course.text("examples")
        assert tito_in_course.text("examples", "available")

    def test_open_and_run(self, tito_in_course: Terminal, grader: FakeGrader) -> None:
        for module in ("1", "2"):
            tito_in_course.json("module", "complete", module)
        path = tito_in_course.json("examples", "open", "pascaline")["path"]
        assert path == str(tito_in_course.folder / "historical/pascaline_1642.ipynb")
        assert tito_in_course.json("examples", "run", "1642")["verdict"] == "passed"
        grader.verdict = "failed"
        assert tito_in_course("examples", "run", "pascaline_1642").exit_code == 1

    def test_run_of_a_locked_one(self, tito_in_course: Terminal) -> None:
        assert tito_in_course("examples", "run", "pascaline").exit_code == 4


class TestOverview:
    def test_status_is_the_course(self, tito_in_course: Terminal) -> None:
        view = tito_in_course.json("status")
        assert view["next"] == {
            "kind": "module",
            "id": "01_counting",
            "title": "Counting",
            "text": "Start with 01 Counting",
        }
        text = tito_in_course.text("status")
        assert "0 of 4 modules complete" in text
        assert "tito module open 01_counting" in text

    def test_status_shows_what_was_edited(self, tito_in_course: Terminal) -> None:
        tito_in_course.json("module", "complete", "1")
        tito_in_course.json("dev", "solve", "1")
        assert tito_in_course.json("status")["modules"][0]["edited"] is True
        assert "edited since it passed" in tito_in_course.text("status")

    def test_milestones(self, tito_in_course: Terminal) -> None:
        assert [m["earned"] for m in tito_in_course.json("milestones")] == [False, False]
        assert "Pascaline (1642)" in tito_in_course.text("milestones")

    def test_hints_go_step_by_step(self, tito_in_course: Terminal) -> None:
        first = tito_in_course.json("hint", "count-items")
        assert (first["number"], first["total"], first["text"]) == (1, 3, "Python has a word for it.")
        assert "tito hint count-items --number 2" in tito_in_course.text("hint", "count-items")
        assert "last hint" in tito_in_course.text("hint", "count-items", "--number", "3")
        assert len(tito_in_course.json("hint", "count-items", "--all")) == 3
        assert tito_in_course("hint", "count-items", "--number", "4").exit_code == 2
        assert tito_in_course("hint", "count-items", "--number", "0").exit_code == 2

    def test_hints_need_no_workspace(self, terminal: Terminal) -> None:
        assert terminal.json("hint", "count-items")["number"] == 1

    def test_doctor_looks_at_everything(self, tito_in_course: Terminal) -> None:
        result = tito_in_course("doctor", "--json")
        names = [finding["name"] for finding in json.loads(result.stdout)]
        assert names[0] == "Python"
        assert names[-1] == "workspace"
        assert {"isolation", "memory", "Python kernel", "server extension", "JupyterLab extension"} <= set(names)

    def test_doctor_needs_no_workspace(self, terminal: Terminal) -> None:
        assert json.loads(terminal("doctor", "--json").stdout)[-1]["ok"] is True

    def test_a_damaged_record_is_set_aside_when_asked_and_a_sound_one_stays(self, tito_in_course: Terminal) -> None:
        store = tito_in_course.folder / ".tinytorch/progress.db"
        tito_in_course("module", "complete", "1")
        assert "is sound" in tito_in_course.text("doctor", "--new-record", code=2)
        notebook = (tito_in_course.folder / "notebooks/02_adding.ipynb").read_bytes()
        store.write_bytes(b"damaged")
        assert "tito doctor --new-record" in tito_in_course.text("status", code=5)
        kept = Path(tito_in_course.json("doctor", "--new-record")["path"])
        assert kept.read_bytes() == b"damaged"
        assert tito_in_course.json("status")["completed"] == 0
        assert (tito_in_course.folder / "notebooks/02_adding.ipynb").read_bytes() == notebook

    def test_doctor_finds_a_damaged_record(self, tito_in_course: Terminal) -> None:
        (tito_in_course.folder / ".tinytorch/progress.db").write_bytes(b"no database" * 1000)
        text = tito_in_course.text("doctor", code=1)
        assert "progress.db" in text


class TestDev:
    @pytest.mark.parametrize(("holds", "code"), [(True, 0), (False, 1)])
    def test_check_tells_what_does_not_hold(
        self, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, holds: bool, code: int
    ) -> None:
        async def checked(course: object, modules: Any, *others: Any) -> list[Finding]:
            on_finding = others[-1]
            found = [
                Finding(module=m.id, kind="mutant", name="planted", exercise="x", ok=holds, message="survives")
                for m in modules
            ]
            for finding in found:
                on_finding(finding)
            return found

        monkeypatch.setattr(coursecheck, "check_course", checked)
        answer = terminal.json("dev", "check", code=code)
        assert answer["ok"] is holds
        assert [f["module"] for f in answer["findings"]] == ["01_counting", "02_adding", "03_doubling"]
        assert ("survives" in terminal.text("dev", "check", "2", code=code)) is not holds

    def test_solve_keeps_yours(self, tito_in_course: Terminal) -> None:
        notebook = tito_in_course.folder / "notebooks/01_counting.ipynb"
        before = notebook.read_text()
        answer = tito_in_course.json("dev", "solve", "1")
        assert Path(answer["backup"]).read_text() == before
        assert "return len(items)" in notebook.read_text()

    def test_solve_writes_a_mutant(self, tito_in_course: Terminal, course: object) -> None:
        from tinytorch_core import authoring
        from tinytorch_core.catalogue import Course

        assert isinstance(course, Course)
        mutant = authoring.mutants(course, course.module("1"))[0]
        tito_in_course.json("dev", "solve", "1", "--mutant", mutant.name)
        source = (tito_in_course.folder / "notebooks/01_counting.ipynb").read_text()
        assert json.dumps(mutant.with_)[1:-1] in source
        assert mutant.name in tito_in_course.text("dev", "solve", "1", "--mutant", "nothing", code=2)

    def test_preview_writes_what_students_get(self, terminal: Terminal) -> None:
        answer = terminal.json("dev", "preview", "2", "--output", "review")
        assert answer["path"] == str(terminal.folder / "review/02_adding.ipynb")
        assert "NotImplementedError" in Path(answer["path"]).read_text()


class TestLab:
    @pytest.fixture
    def started(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """What would have replaced the process."""
        calls: list[list[str]] = []
        monkeypatch.setattr(os, "execv", lambda program, words: calls.append(words))
        return calls

    def test_makes_the_workspace_and_starts_jupyterlab_there(
        self, terminal: Terminal, started: list[list[str]]
    ) -> None:
        answer = terminal.json("lab", "course", "--no-browser")
        (words,) = started
        assert answer["workspace"] == str(terminal.folder / "course")
        port = answer["url"].removeprefix("http://localhost:").removesuffix("/lab")
        assert words[1:3] == ["-m", "jupyterlab"]
        assert f"--ServerApp.root_dir={answer['workspace']}" in words
        assert f"--port={port}" in words
        assert "--no-browser" in words

    def test_arguments_after_two_dashes(self, terminal: Terminal, started: list[list[str]]) -> None:
        assert terminal("--json", "lab", "course", "--", "--ip=0.0.0.0", "--json").exit_code == 0
        assert started[0][-2:] == ["--ip=0.0.0.0", "--json"]
        assert terminal("--json", "lab", "--", "--ip=0.0.0.0").exit_code == 0
        assert started[1][-1] == "--ip=0.0.0.0"

    def test_from_inside_the_course_it_goes_on(
        self, tito_in_course: Terminal, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir("notebooks")
        assert tito_in_course.json("lab")["workspace"] == str(tito_in_course.folder)

    def test_a_port_in_use_is_said(self, terminal: Terminal, started: list[list[str]]) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            assert port in terminal.text("lab", "course", "--port", port, code=2)
        assert started == []

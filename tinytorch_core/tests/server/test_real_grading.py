"""The whole way with the real grader: a click, real kernels, a record, an unlocked notebook; a loop stopped on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from tinytorch_core import studying
from tinytorch_core.catalogue import Course
from tinytorch_core.server.app import TinyTorchApp
from tinytorch_core.server.services import Services
from tinytorch_core.studying import Study
from tinytorch_core.tests.server.conftest import Call, until_done, value

pytestmark = pytest.mark.kernels


@pytest.fixture
def grader(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that a student's server has."""
    monkeypatch.setattr(TinyTorchApp, "course_factory", staticmethod(lambda: course))


async def test_a_solved_module_passes_and_a_mutant_does_not(api: Call, study: Study, course: Course) -> None:
    module = course.module("counting")
    studying.place_solution(study, module, "always-one")
    mutant = await until_done(api, value(await api("POST", "modules/01_counting/complete"))["attempt"])
    assert mutant["verdict"] == "failed"
    assert "count-items" in {c["exercise"] for s in mutant["stages"] for c in s["checks"] if c["outcome"] == "failed"}
    studying.place_solution(study, module)
    solved = await until_done(api, value(await api("POST", "modules/01_counting/complete"))["attempt"])
    assert (solved["verdict"], solved["recorded"]) == ("passed", True)
    assert {c["outcome"] for s in solved["stages"] for c in s["checks"]} == {"passed"}
    assert value(await api("POST", "modules/02_adding/open"))["path"] == "notebooks/02_adding.ipynb"
    exercises = value(await api("GET", "course"))["modules"][0]["exercises"]
    assert {exercise["state"] for exercise in exercises} == {"passed"}


async def test_a_loop_that_never_ends_is_stopped_on_request(
    api: Call, study: Study, course: Course, services: Services
) -> None:
    notebook = study.workspace.root / "notebooks/01_counting.ipynb"
    studying.place_solution(study, course.module("counting"))
    _append(notebook, "while True: pass")
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    assert (await api("DELETE", f"attempts/{attempt}")).code == 202
    assert (await until_done(api, attempt))["verdict"] == "cancelled"
    await services.close()
    assert [p for p in psutil.Process().children(recursive=True) if "tinytorch_core" in " ".join(_command(p))] == []


def _append(notebook: Path, source: str) -> None:
    data: dict[str, Any] = json.loads(notebook.read_text())
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "more",
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
    notebook.write_text(json.dumps({**data, "cells": [*data["cells"], cell]}))


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []

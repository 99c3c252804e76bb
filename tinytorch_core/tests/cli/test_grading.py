"""What a terminal shows while a grading runs, and how Ctrl-C ends it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from tinytorch_core import studying
from tinytorch_core.catalogue import Course
from tinytorch_core.cli import render
from tinytorch_core.cli.live import Live
from tinytorch_core.cli.verdict import verdict
from tinytorch_core.report import Blame, Progress, Report
from tinytorch_core.tests.cli.conftest import TINY

ON_THE_TINY_COURSE = """
import sys
from pathlib import Path
from typing import Any
from tinytorch_core import catalogue
from tinytorch_core.cli.door import Settings
from tinytorch_core.cli.tito import tito

root = Path(sys.argv.pop(1))
tito(obj=Settings(given_course=catalogue.load(root / "course.toml", root)))
"""
ENDLESS: dict[str, Any] = {
    "cell_type": "code",
    "id": "more",
    "metadata": {},
    "source": "while True: pass",
    "outputs": [],
    "execution_count": None,
}


def drawn(value: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, width=100, markup=False, highlight=False).print(value)
    return file.getvalue()


def test_progress_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(render, "errors", lambda: Console(file=file, force_terminal=True, width=100))
    with Live("01 Counting", quiet=False) as live:
        live.show(Progress(attempt="a", module="m", seq=0, kind="cell", index=2, total=12, outcome="running"))
        live.show(
            Progress(
                attempt="a",
                module="m",
                seq=1,
                kind="check",
                index=3,
                total=7,
                title="A [list] is kept.",
                outcome="failed",
            )
        )
    text = file.getvalue()
    assert "2/12" in text
    assert "3/7" in text
    assert "A [list] is kept." in text


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_drawn_for_a_script(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    file = io.StringIO()
    monkeypatch.setattr(render, "errors", lambda: Console(file=file, force_terminal=terminal))
    with Live("01 Counting", quiet=terminal) as live:
        live.show(Progress(attempt="a", module="m", seq=0, kind="cell", index=2, total=12, outcome="running"))
    assert file.getvalue().strip() == ""


def test_an_earlier_module_at_fault_is_named() -> None:
    blame = Blame(
        module="01_counting", exercise="count-mean", message="The error was raised in tinytorch/counting.py, line 7."
    )
    report = Report(attempt="a", module="02_adding", state="done", verdict="failed", blame=blame)
    assert "Look first at 01_counting, count-mean. The error was raised in" in drawn(verdict(report))


@pytest.mark.kernels
@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C ends the process there")
def test_ctrl_c_cancels_and_still_answers(course: Course, tmp_path: Path) -> None:
    study = studying.create(tmp_path, course)
    notebook = study.workspace.notebook(course.module("1"))
    data = json.loads(notebook.read_text())
    notebook.write_text(json.dumps({**data, "cells": [*data["cells"][:2], ENDLESS, *data["cells"][2:]]}))
    command = [sys.executable, "-c", ON_THE_TINY_COURSE, str(TINY), "module", "complete", "1", "--json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not study.store.attempts("01_counting"):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=120)
    report = json.loads(out)
    assert report["verdict"] == "cancelled", (report["message"], errors)
    assert process.returncode == 3
    assert "Traceback" not in errors

"""A Grader always answers with a Report, replaces a worker that died, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from tinytorch_core.errors import GraderError
from tinytorch_core.grader import client, isolation
from tinytorch_core.grader.client import Grader
from tinytorch_core.grader.job import GradeJob
from tinytorch_core.grader.processes import is_running
from tinytorch_core.tests.warm import LIMITS

pytestmark = pytest.mark.kernels

CHECKS_ONLY = ("unit", "import")


@pytest.fixture
def temporary(monkeypatch):
    """A folder in which everything temporary is made, so that what is left of it can be seen."""
    folder = Path(tempfile.mkdtemp(prefix="t"))  # short: the path of a socket has at most 107 characters
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def grader(background, calm_course, temporary):
    grader = Grader(calm_course, LIMITS)
    yield grader
    background.run(grader.close())


@pytest.fixture
def job(notebooks):
    def job(attempt, *cells, **fields):
        notebook = notebooks.solved("01_counting", *cells)
        return GradeJob(attempt=attempt, module="01_counting", notebook=notebook, limits=LIMITS, **fields)

    return job


def family(grader):
    """The guard, the worker, and everything below them."""
    guard = psutil.Process(grader._process.pid)
    return [guard, *guard.children(recursive=True)]


def worker_of(grader):
    (worker,) = psutil.Process(grader._process.pid).children()
    return worker


def kernels(processes):
    def is_kernel(process):
        return process.name() == "tito-kernel" or any("kernel.boot" in word for word in process.cmdline())

    return [p for p in processes if is_running(p) and is_kernel(p)]


async def begin(grader, job):
    """Start a grading, and wait until its last cell runs. Its task, and the processes that take part."""
    running = asyncio.Event()
    last = job.notebook.count(b'"more-') - 1
    grading = asyncio.ensure_future(
        grader.grade(job, lambda event: running.set() if event.cell == f"more-{last}" else None)
    )
    await running.wait()
    return grading, family(grader)


def test_one_worker_grades_again_and_again_and_then_is_gone_without_a_trace(background, grader, job, temporary):
    async def run():
        await grader.warm()
        assert grader.is_warm
        worker, processes = worker_of(grader).pid, family(grader)
        assert len(kernels(processes)) == 2
        seen: dict[str, list[str]] = {"one": [], "two": []}
        reports = await asyncio.gather(
            *(grader.grade(job(name), lambda event, name=name: seen[name].append(event.attempt)) for name in seen)
        )
        assert worker_of(grader).pid == worker
        processes += family(grader)
        await grader.close()
        return reports, seen, processes

    reports, seen, processes = background.run(run())
    assert [(r.attempt, r.verdict) for r in reports] == [("one", "passed"), ("two", "passed")]
    assert {name: set(attempts) for name, attempts in seen.items()} == {"one": {"one"}, "two": {"two"}}
    assert grader.isolation == isolation.best()
    assert not any(map(is_running, processes))
    assert list(temporary.iterdir()) == []


def test_a_worker_that_is_killed_interrupts_its_grading_and_the_next_goes_on(background, grader, job, temporary):
    """kill -9, while a cell and its child processes run."""
    escape = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)"

    async def run():
        grading, processes = await begin(grader, job("first", escape, "while True: pass"))
        names = [process.name() for process in processes]
        worker_of(grader).kill()
        interrupted = await grading
        for process in processes:  # the guard needs a moment for its broom
            await asyncio.to_thread(process.wait, 30)
        left = list(temporary.iterdir())
        following = await grader.grade(job("second", stages=CHECKS_ONLY))
        return interrupted, names, processes, left, following

    interrupted, names, processes, left, following = background.run(run())
    assert (interrupted.attempt, interrupted.verdict, interrupted.state) == ("first", "interrupted", "done")
    assert "Nothing of yours is lost; run it again." in interrupted.message
    assert "sleep" in names
    assert not any(map(is_running, processes))
    assert left == []
    assert following.verdict == "passed"


def test_a_guard_that_is_killed_takes_worker_and_kernels_with_it(background, grader, job):
    async def run():
        grading, processes = await begin(grader, job("first", "while True: pass"))
        os.kill(grader._process.pid, signal.SIGKILL)
        interrupted = await grading
        for process in processes:
            await asyncio.to_thread(process.wait, 30)
        return interrupted, processes

    interrupted, processes = background.run(run())
    assert interrupted.verdict == "interrupted"
    assert not any(map(is_running, processes))


def test_closing_in_the_middle_of_a_grading_leaves_nothing(background, grader, job, temporary):
    async def run():
        grading, processes = await begin(grader, job("first", "while True: pass"))
        await grader.close()
        return await grading, processes

    report, processes = background.run(run())
    assert report.verdict in ("cancelled", "interrupted")
    assert not any(map(is_running, processes))
    assert list(temporary.iterdir()) == []


def test_closing_what_was_never_started_or_is_closed_already_does_nothing(background, grader):
    background.run(grader.close())
    background.run(grader.close())


def test_an_unknown_attempt_is_not_cancelled(background, grader):
    background.run(grader.cancel("nobody"))
    assert grader._process is None


def test_a_course_that_cannot_be_read_ends_as_a_report_and_not_as_a_wait(background, calm_course, job, tmp_path):
    (tmp_path / "course.toml").write_text("title = 'nothing else'")
    grader = Grader(replace(calm_course, toml=tmp_path / "course.toml"), LIMITS)

    async def run():
        with pytest.raises(GraderError, match=r"The grader stopped .*`tito doctor`"):
            await grader.warm()
        report = await grader.grade(job("first"))
        await grader.close()
        return report

    assert background.run(run()).verdict == "interrupted"


def pretending(monkeypatch, script):
    """In place of the real worker, a process that runs `script`."""
    real = asyncio.create_subprocess_exec

    async def start(*command, **options):
        return await real(sys.executable, "-c", script, **options)

    monkeypatch.setattr(client.asyncio, "create_subprocess_exec", start)


@pytest.mark.parametrize(
    "says", ["not json", "{}", '{"type": "Verdict"}', '{"type": "Done", "report": {"verdict": "passed"}}', "\\xff"]
)
def test_a_worker_that_says_something_unreadable_is_not_believed(background, grader, job, monkeypatch, says):
    pretending(monkeypatch, f"import sys, time; print({says!r}, flush=True); time.sleep(600)")
    report = background.run(grader.grade(job("first")))
    assert report.verdict == "interrupted"
    assert "sent something unreadable" in report.message


def test_a_worker_that_falls_silent_is_killed(background, grader, job, monkeypatch):
    monkeypatch.setattr(client, "START_SECONDS", 0.0)
    pretending(monkeypatch, "import time; time.sleep(600)")
    report = background.run(grader.grade(job("first")))
    assert report.verdict == "interrupted"
    assert "ended with code -9" in report.message


def test_a_worker_that_ends_at_once_is_told_with_its_code(background, grader, job, monkeypatch):
    pretending(monkeypatch, "raise SystemExit(3)")
    report = background.run(grader.grade(job("first")))
    assert report.verdict == "interrupted"
    assert "code 3" in report.message or "Connection" in report.message or "Broken pipe" in report.message


def test_a_report_of_somebody_elses_attempt_is_passed_over(background, grader, job, monkeypatch):
    done = '{"type": "Done", "report": {"attempt": "other", "module": "01_counting", "state": "done", "verdict": "passed"}}'
    pretending(monkeypatch, f"print({done!r}, flush=True)")
    assert background.run(grader.grade(job("first"))).verdict == "interrupted"

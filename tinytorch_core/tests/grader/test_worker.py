"""The process that grades: jobs come in on stdin, events and Reports go out on stdout, and nothing else does."""

from __future__ import annotations

import subprocess
import sys
import threading

import msgspec
import psutil
import pytest

from tinytorch_core.grader import isolation
from tinytorch_core.grader.guard import WORKER
from tinytorch_core.grader.job import GradeJob
from tinytorch_core.grader.messages import Alive, Cancel, Done, Event, FromWorker, Grade, Ready, Start
from tinytorch_core.grader.processes import is_running
from tinytorch_core.tests.warm import LIMITS

pytestmark = pytest.mark.kernels

LOUD = """
import os
import tinytorch_core.grader.worker as room
take = room.Worker.take
def loud(self, message):
    print("printed by mistake", flush=True)
    os.write(1, b"written by mistake")
    os.system("echo said by a child")
    return take(self, message)
room.Worker.take = loud
main(template)
"""
decode = msgspec.json.Decoder(FromWorker).decode


class Conversation:
    """A worker that prints where it should not, and what both sides said."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-c", WORKER.replace("main(template)", LOUD)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False
        )
        self.heard: list[FromWorker] = []
        self.timer = threading.Timer(120, self.process.kill)
        self.timer.start()

    def say(self, message: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(msgspec.json.encode(message) + b"\n")
        self.process.stdin.flush()

    def until(self, kind: type) -> FromWorker:
        """Listen until a message of this kind comes."""
        assert self.process.stdout
        while line := self.process.stdout.readline():
            self.heard.append(decode(line))
            if isinstance(self.heard[-1], kind):
                return self.heard[-1]
        raise AssertionError(f"no {kind.__name__} came; instead {self.heard[-3:]}")

    def end(self) -> None:
        self.timer.cancel()
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def conversation(calm_course, notebooks):
    talk = Conversation()
    talk.say(Start(str(calm_course.toml), str(calm_course.root), LIMITS))
    yield talk
    talk.end()


def test_it_says_at_once_that_it_is_there_and_later_that_it_is_warm(conversation):
    assert conversation.until(Ready) == Ready(isolation.best(), conversation.process.pid)
    assert conversation.until(Ready) == Ready(isolation.best(), conversation.process.pid, warm=True)


def test_it_gives_a_sign_of_life(conversation):
    assert conversation.until(Alive) == Alive()


def test_a_job_ends_with_its_report_after_its_events_and_nothing_else_is_on_the_line(conversation, notebooks):
    conversation.heard.clear()
    job = GradeJob(attempt="mine", module="01_counting", notebook=notebooks.solved(), stages=("unit",), limits=LIMITS)
    conversation.say(Cancel("nobody's"))
    conversation.say(Grade(job))
    report = conversation.until(Done).report
    assert (report.attempt, report.verdict) == ("mine", "passed")
    events = [m.progress for m in conversation.heard if isinstance(m, Event)]
    assert [e.kind for e in events] == ["check"] * 3
    assert {e.attempt for e in events} == {"mine"}


def test_a_job_that_makes_no_sense_gets_a_report_as_well(conversation):
    conversation.say(Grade(GradeJob(attempt="odd", module="99_nothing", notebook=b"{}", limits=LIMITS)))
    report = conversation.until(Done).report
    assert (report.attempt, report.verdict) == ("odd", "error")
    assert "There is no module '99_nothing'" in report.message


def test_kernels_that_nobody_has_wanted_for_long_are_ended_and_the_next_job_gets_others(calm_course, notebooks):
    talk = Conversation()
    worker = psutil.Process(talk.process.pid)
    try:
        talk.say(Start(str(calm_course.toml), str(calm_course.root), LIMITS, idle_seconds=0.0))
        talk.until(Ready)
        talk.until(Ready)  # warm
        while len(worker.children(recursive=True)) > (sys.platform == "linux"):  # what they are forked from stays
            talk.until(Alive)
        talk.say(Grade(GradeJob(attempt="later", module="01_counting", notebook=notebooks.solved(), limits=LIMITS)))
        assert talk.until(Done).report.verdict == "passed"
    finally:
        talk.end()


def test_it_ends_when_its_input_does_and_its_kernels_end_first(conversation):
    conversation.until(Ready)
    below = psutil.Process(conversation.process.pid).children(recursive=True)
    assert len(below) >= 2
    conversation.process.stdin.close()
    assert conversation.process.wait(60) == 0
    assert not any(map(is_running, below))
    conversation.process.stdin = None
    assert b"printed by mistake" in conversation.process.stderr.read()

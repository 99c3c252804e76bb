"""The lines that a client and its worker exchange: one JSON value a line, each of a declared type."""

from __future__ import annotations

import msgspec

from tinytorch_core.grader.job import GradeJob, Limits, RunJob
from tinytorch_core.report import Progress, Report

MAX_LINE = 256 * 1024 * 1024
HEARTBEAT_SECONDS = 1.0
IDLE_SECONDS = 600.0
START_SECONDS = 120.0
SILENCE_SECONDS = 10.0
"""A worker that says nothing for so long is stuck: its client kills it and starts another. Its start may take longer."""


class Start(msgspec.Struct, tag=True):
    """The first line to a worker: which course it grades, and how warm it keeps itself."""

    course: str
    root: str
    limits: Limits
    pool: int = 1
    idle_seconds: float = IDLE_SECONDS
    """After so long without work the kernels that wait for it are ended: they hold memory that others on a shared machine want."""


class Grade(msgspec.Struct, tag=True):
    job: GradeJob


class RunHistorical(msgspec.Struct, tag=True):
    job: RunJob


class Cancel(msgspec.Struct, tag=True):
    attempt: str


class Ready(msgspec.Struct, tag=True):
    """The worker is up; `warm` once its kernels are, or `problem` says why they can't be."""

    isolation: str
    pid: int
    warm: bool = False
    problem: str = ""


class Alive(msgspec.Struct, tag=True):
    pass


class Event(msgspec.Struct, tag=True):
    progress: Progress


class Done(msgspec.Struct, tag=True):
    report: Report


ToWorker = Start | Grade | RunHistorical | Cancel
FromWorker = Ready | Alive | Event | Done

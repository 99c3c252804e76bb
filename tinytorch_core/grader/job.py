"""What a grading is asked with: values only, so that the same job can be run in any process."""

from __future__ import annotations

import msgspec

from tinytorch_core.report import Stages

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a student's code may use in one run."""

    cell_seconds: float = 60
    run_seconds: float = 300
    memory_bytes: int = 4096 * MIB
    output_bytes: int = 32 * MIB


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted module of the student's package."""

    module: str
    source: str
    names: tuple[str, ...]


class GradeJob(msgspec.Struct, frozen=True, kw_only=True):
    """One module's notebook against the package accepted so far.

    `earlier` are the accepted modules before it, in order; `later` those after it, whose checks must still hold.
    `notebook` is the snapshot that is graded, and `beside` the folder whose small files its cells may read.
    """

    attempt: str
    module: str
    notebook: bytes
    earlier: tuple[Accepted, ...] = ()
    later: tuple[Accepted, ...] = ()
    accepted_source: str | None = None
    """This module's accepted source, if it was completed before."""
    beside: str = ""
    stages: tuple[str, ...] = Stages
    limits: Limits = Limits()


class RunJob(msgspec.Struct, frozen=True, kw_only=True):
    """A historical notebook, executed on the whole accepted package."""

    attempt: str
    historical: str
    notebook: bytes
    accepted: tuple[Accepted, ...]
    beside: str = ""
    limits: Limits = Limits()

"""Values that only commands return. All others come from the rooms below."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Version(msgspec.Struct, frozen=True):
    version: str


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that now stands where `path` says, and what its reader does next."""

    path: str
    backup: str | None = None
    done: tuple[str, ...] = ()
    next: str = ""


class Starting(msgspec.Struct, frozen=True, kw_only=True):
    """JupyterLab is about to run in this process."""

    workspace: str
    url: str
    notes: tuple[str, ...] = ()


DatasetState = Literal["ships", "fetched", "unfinished", "absent"]


class DatasetView(msgspec.Struct, frozen=True, kw_only=True):
    """A data set, and whether it is on this machine."""

    id: str
    title: str
    what: str
    bytes: int
    licence: str
    load: str
    """How a notebook gets it, from tinytorch_core.data."""
    state: DatasetState
    here: int
    """How many of its bytes are on this machine."""
    path: str
    urls: tuple[str, ...] = ()


class CourseChecked(msgspec.Struct, frozen=True, kw_only=True):
    """What `tito dev check` found."""

    ok: bool
    seconds: float
    findings: list[Any]
    """coursecheck.Finding, one for each thing that was looked at."""

"""Exit codes, and the code that goes with each value a command can return."""

from __future__ import annotations

from typing import Any

from tinytorch_core.report import Report

DONE, FAILED, USAGE, NOT_GRADED, NOT_ALLOWED, OUR_FAULT = range(6)
STOPPED = 130
"""As every shell says for Ctrl-C."""


def code(value: Any) -> int:
    """A Report gives its verdict; a list of things looked at is as good as its worst; all else was done."""
    if isinstance(value, Report):
        return {"passed": DONE, "failed": FAILED}.get(value.verdict or "", NOT_GRADED)
    if isinstance(value, (list, tuple)):  # a list of Reports is history, not a result
        return max((code(item) for item in value if not isinstance(item, Report)), default=DONE)
    return DONE if getattr(value, "ok", True) else FAILED

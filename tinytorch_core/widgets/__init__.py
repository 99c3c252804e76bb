"""What a notebook shows of the course: `CompleteModule()`, the result of `%check`, learning curves, and a pad to draw on.

Where a widget needs a view of its own, that lies in labextension/src/widgets; without a browser each widget is its text. In a headless
run nobody looks, so ipywidgets, whose import takes longer than the rest of such a run, stays out.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

HEADLESS = "TINYTORCH_HEADLESS"

ROOMS = {
    "CheckResult": "live",
    "CompleteModule": "live",
    "DrawPad": "pad",
    "LearningCurves": "curves",
    "Trained": "plain",
}

__all__ = ["CheckResult", "CompleteModule", "DrawPad", "LearningCurves", "Trained"]


def __getattr__(name: str) -> Any:
    if name not in ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = "plain" if os.environ.get(HEADLESS) else ROOMS[name]
    return getattr(import_module(f"{__name__}.{room}"), name)

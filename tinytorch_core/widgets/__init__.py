"""What a notebook shows of the course: `CompleteModule()`, the result of `%check`, and learning curves.

The views of the first two lie in labextension/src/widgets; without a browser each widget is its text. In a headless run nobody looks,
so ipywidgets, whose import takes longer than the rest of such a run, stays out.
"""

from __future__ import annotations

import os
from typing import Any

HEADLESS = "TINYTORCH_HEADLESS"

__all__ = ["CheckResult", "CompleteModule", "LearningCurves"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if os.environ.get(HEADLESS):
        from tinytorch_core.widgets import plain

        return getattr(plain, name)
    from tinytorch_core.widgets import curves, live

    return getattr(curves if name == "LearningCurves" else live, name)

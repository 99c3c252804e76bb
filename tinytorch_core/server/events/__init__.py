"""What the server tells its clients without being asked, over Jupyter's event stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from jupyter_events import EventLogger

from tinytorch_core.report import Progress

PROGRESS = "https://events.tinytorch.org/progress/v1"
COURSE = "https://events.tinytorch.org/course/v1"
SCHEMAS = {PROGRESS: Path(__file__).parent / "progress.yaml", COURSE: Path(__file__).parent / "course.yaml"}


class Announcer:
    """Emits both kinds of event. Called on the event loop only."""

    def __init__(self, logger: Callable[[], EventLogger]) -> None:
        self._logger = logger

    def progress(self, step: Progress) -> None:
        self._logger().emit(schema_id=PROGRESS, data=msgspec.to_builtins(step))

    def course(self, reason: str, module: str = "") -> None:
        self._logger().emit(schema_id=COURSE, data={"reason": reason, "module": module})


def register(logger: EventLogger) -> None:
    """Make the schemas known. A logger that knows one already keeps it."""
    for schema_id, file in SCHEMAS.items():
        if schema_id not in logger.schemas:
            logger.register_event_schema(file)

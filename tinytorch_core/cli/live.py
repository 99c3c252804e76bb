"""What a terminal shows while something takes its time: the cells and checks of a grading, or the bytes of a download."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from tinytorch_core import report
from tinytorch_core.cli import render
from tinytorch_core.cli.styles import STYLES

if TYPE_CHECKING:
    from typing_extensions import Self


class _Bars:
    """A progress display on stderr, if that is a terminal; silent otherwise."""

    def counted(self) -> tuple[ProgressColumn, ...]:
        """The columns that say how far it is."""
        return (MofNCompleteColumn(),)

    def __init__(self, quiet: bool) -> None:
        console = render.errors()
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(24),
            *self.counted(),
            TextColumn("{task.fields[said]}"),
        )
        self._progress = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class Live(_Bars):
    """One grading: a bar for its cells and one for its checks."""

    def __init__(self, label: str, quiet: bool) -> None:
        super().__init__(quiet)
        self._waiting = self._progress.add_task(f"{label}: getting ready (Ctrl-C cancels)", total=None, said="")
        self._cells: TaskID | None = None
        self._checks: TaskID | None = None

    def show(self, step: report.Progress) -> None:
        if step.kind == "cell":
            self._cells = self._advance(
                self._cells, "cells", step.index + (step.outcome != "running"), step.total, step.outcome
            )
        elif step.kind == "check":
            said = Text.assemble((step.outcome, STYLES.get(step.outcome, "")), f" {step.title}")
            self._checks = self._advance(self._checks, "checks", step.index, step.total, said.markup)

    def _advance(self, task: TaskID | None, name: str, done: int, total: int, said: str) -> TaskID:
        self._progress.update(self._waiting, visible=False)
        if task is None:
            task = self._progress.add_task(name, total=total, said=said)
        self._progress.update(task, completed=done, total=total, said=said)
        return task


class Counter(_Bars):
    """Many things looked at, one after another; those that are not right are said at once."""

    def __init__(self, label: str, total: int, quiet: bool) -> None:
        super().__init__(quiet)
        self._task = self._progress.add_task(label, total=total, said="")

    def count(self, finding: Any) -> None:
        """Called with a coursecheck.Finding."""
        self._progress.update(self._task, advance=1, said=escape(f"{finding.module} {finding.kind} {finding.name}"))


class Fetching(_Bars):
    """The bytes of a data set as they come in."""

    def __init__(self, label: str, total: int, quiet: bool) -> None:
        super().__init__(quiet)
        self._task = self._progress.add_task(label, total=total, said="")

    def counted(self) -> tuple[ProgressColumn, ...]:
        return DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()

    def show(self, said: str, done: int) -> None:
        self._progress.update(self._task, completed=done, said=escape(said))

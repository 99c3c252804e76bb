"""The one renderer: every value that a command returns, as text for people. What it can't word, it prints as JSON.

The value itself goes to stdout; advice that a script would not want goes to stderr.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from functools import singledispatch
from typing import Any

import msgspec
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tinytorch_core.cli.answers import CourseChecked, DatasetView, Located, Starting, Version
from tinytorch_core.cli.styles import STYLES
from tinytorch_core.cli.verdict import verdict
from tinytorch_core.doctor import Finding
from tinytorch_core.report import Built, CourseView, HistoricalView, MilestoneView, Report
from tinytorch_core.studying import Difference, Hint, Solution


def output() -> Console:
    return Console(soft_wrap=False, highlight=False, emoji=False, markup=False)


def errors() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False, emoji=False, markup=False)


def show_json(value: Any) -> None:
    """Exactly one JSON value, and a line end."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def show(value: Any, as_json: bool = False) -> None:
    """Print what a command returned, now. The notes are for a person."""
    if as_json:
        show_json(value)
        return
    words = text(value)
    if isinstance(words, str):
        sys.stdout.write(f"{words}\n")  # as it is: a path or a source must not be wrapped
    else:
        output().print(words)
    for note in notes(value):
        errors().print(note, style="dim")


def complain(message: str) -> None:
    errors().print(message, style="red")


@singledispatch
def notes(value: Any) -> list[str]:
    """What goes to stderr beside the value."""
    return []


@singledispatch
def text(value: Any) -> RenderableType:
    """The value for stdout: something rich can draw, or a string to be printed as it is."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


@text.register(tuple)
@text.register(list)
def _(values: Any) -> RenderableType:
    kinds = {type(value) for value in values}
    table = TABLES.get(kinds.pop()) if len(kinds) == 1 else None
    return table(values) if table else Group(*(text(value) for value in values)) if values else "Nothing yet."


@text.register
def _(value: Version) -> RenderableType:
    return f"tito {value.version}"


@text.register
def _(placed: Located) -> RenderableType:
    return placed.path


@notes.register
def _(placed: Located) -> list[str]:
    kept = [f"The notebook that was there is kept as {placed.backup}"] if placed.backup else []
    return [*placed.done, *kept, *([placed.next] if placed.next else [])]


@text.register
def _(starting: Starting) -> RenderableType:
    return f"JupyterLab starts in {starting.workspace} at {starting.url}\nIf no browser opens, use the address with token= that it prints below."


@notes.register
def _(starting: Starting) -> list[str]:
    return list(starting.notes)


@text.register
def _(solution: Solution) -> RenderableType:
    return solution.source.rstrip()


@text.register
def _(hint: Hint) -> RenderableType:
    head = f"Hint {hint.number} of {hint.total}, {hint.exercise} ({hint.title})"
    more = hint.number < hint.total
    foot = f"Next: tito hint {hint.exercise} --number {hint.number + 1}" if more else "This is the last hint."
    return Group(Text(head, "bold"), Padding(Text(hint.text), (1, 2)), Text(foot, "dim"))


@text.register
def _(difference: Difference) -> RenderableType:
    then = {
        "accepted": "the one that passed",
        "original": "the one you were given",
        "solution": "the authors' solution",
    }[difference.against]
    if difference.same:
        return f"Your notebook and {then} have the same cells."
    lines = [Text(line, _diff_style(line)) for line in difference.notebook.splitlines()]
    return Group(Text(f"From {then} (-) to your notebook now (+):", "bold"), *lines)


def _diff_style(line: str) -> str:
    return {"+": "green", "-": "red", "#": "bold", "@": "cyan"}.get(line[:1], "")


@text.register
def _(view: CourseView) -> RenderableType:
    rows = _table("", "module", "state", "capability")
    for module in view.modules:
        state = "coming" if module.coming else module.state
        words = Text(state, STYLES.get(state, ""))
        if module.edited:
            words.append(", edited since it passed", STYLES["edited"])
        rows.add_row(
            f"{module.number:02}", module.title, words, Text(module.capability, "" if state == "complete" else "dim")
        )
    earned = sum(m.earned for m in view.milestones)
    done = f"{view.completed} of {len(view.modules)} modules complete, {earned} of {len(view.milestones)} milestones earned"
    step = Text.assemble(("Next: ", "bold"), view.next.text, (_how(view), "dim"))
    parts: list[RenderableType] = [Text(f"{view.title} in {view.workspace}", "bold"), rows, Text(done), step]
    if view.built:
        parts.append(Text(_built(view.built)))
    return Group(*parts)


def _built(built: Built) -> str:
    """The last words of the course, in the student's own numbers."""
    trained = (
        f"{built.parameters:,} parameters trained"
        if built.parameters
        else "no parameters counted yet (run the historical notebooks and save them)"
    )
    days = "1 day" if built.days == 1 else f"{built.days} days"
    return f"Your package: {built.lines:,} lines, {built.operations} operations on tensors, {trained}, in {days}."


def _how(view: CourseView) -> str:
    command = {"module": "tito module open", "historical": "tito examples open"}.get(view.next.kind)
    return f"   ({command} {view.next.id})" if command else ""


@text.register
def _(report: Report) -> RenderableType:
    return verdict(report)


def _findings(findings: list[Finding]) -> RenderableType:
    table = _table("", "what", "found")
    for finding in findings:
        state = "ok" if finding.ok else "problem"
        words = Text(finding.found)
        if not finding.ok:
            words.append(f"\n{finding.advice}", "bold")
        table.add_row(Text(state, STYLES[state]), finding.name, words)
    return table


def _historical(views: list[HistoricalView]) -> RenderableType:
    table = _table("name", "year", "state", "what it does")
    for view in views:
        state = "coming" if view.coming else view.state
        table.add_row(view.id, str(view.year), Text(state, STYLES[state]), Text(view.summary))
    return table


def _milestones(views: list[MilestoneView]) -> RenderableType:
    table = _table("milestone", "history", "state", "earned with")
    for view in views:
        state = "earned" if view.earned else "locked"
        table.add_row(view.title, f"{view.name} ({view.year})", Text(state, STYLES[state]), view.module)
    return table


def _history(reports: list[Report]) -> RenderableType:
    table = _table("when", "verdict", "checks passed", "seconds", "what happened")
    for report in reports:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(report.started))
        outcomes = [check.outcome for stage in report.stages for check in stage.checks]
        word = report.verdict or report.state
        counted = f"{outcomes.count('passed')} of {len(outcomes)}"
        table.add_row(when, Text(word, STYLES.get(word, "")), counted, f"{report.seconds:.2f}", Text(report.message))
    return table


def _datasets(views: list[DatasetView]) -> RenderableType:
    table = _table("name", "state", "size", "licence", "what it is")
    for view in views:
        state = view.state if view.state != "unfinished" else f"unfinished, {view.here / view.bytes:.0%}"
        megabytes = f"{view.bytes / 10**6:.1f} MB"
        table.add_row(view.id, Text(state, STYLES[view.state]), megabytes, view.licence, Text(view.what))
    return table


TABLES: dict[type, Any] = {
    DatasetView: _datasets,
    Finding: _findings,
    HistoricalView: _historical,
    MilestoneView: _milestones,
    Report: _history,
}


@text.register
def _(checked: CourseChecked) -> RenderableType:
    wrong = [finding for finding in checked.findings if not finding.ok]
    counts = Counter(finding.kind for finding in checked.findings)
    looked_at = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    parts: list[RenderableType] = []
    for finding in wrong:
        name = " ".join(filter(None, (finding.module, finding.kind, finding.name, finding.exercise)))
        parts += [Text(name, "bold red"), Padding(Text(finding.message), (0, 0, 1, 4))]
    for finding in (finding for finding in checked.findings if finding.slipped):
        said = f"{finding.module} {finding.name} slipped through one draw of inputs: give the checks of {finding.exercise} more instances."
        parts.append(Text(said, STYLES["error"]))
    said = "The course holds" if checked.ok else f"{len(wrong)} of {len(checked.findings)} do not hold"
    return Group(
        *parts, Text(f"{said}: {looked_at}, in {checked.seconds:.1f} s", STYLES["ok" if checked.ok else "problem"])
    )


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(columns))
    for column in columns:
        table.add_column(column)
    return table

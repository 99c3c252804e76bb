"""A Report as a person reads it: what happened, where it stopped, what each check expected, what opened."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from tinytorch_core.cli.styles import STYLES
from tinytorch_core.report import Blame, CellFailure, CheckResult, Report, Stage

TRACEBACK_LINES = 12


def verdict(report: Report) -> RenderableType:
    word = report.verdict or report.state
    head = Text.assemble((f"{report.module} {word}", f"bold {STYLES.get(word, '')}"), f"  in {report.seconds:.2f} s")
    parts: list[RenderableType] = [head, Text(report.message)]
    if word in ("cancelled", "interrupted"):  # what the checks did until then says nothing
        return Group(*parts)
    unwritten = _unwritten(report)
    if report.blame:
        parts += _blame(report.blame, report.module)
    if report.cell_failure:
        parts += _cell_failure(report.cell_failure, unwritten)
    for stage in report.stages:
        parts += _stage(stage)
    if unwritten:
        parts.append(Text(f"Not written yet: {', '.join(unwritten)}"))
    return Group(*parts, *_unlocked(report))


def _blame(blame: Blame, module: str) -> list[RenderableType]:
    """Where to look first; of use if that is another module, where the checks below do not point."""
    if blame.module == module and not blame.message:
        return []
    where = ", ".join(filter(None, (blame.module, blame.exercise)))
    return [Text.assemble(("Look first at ", "bold"), f"{where}. {blame.message}".rstrip())]


def _unwritten(report: Report) -> list[str]:
    """The exercises that still raise their own NotImplementedError."""
    checks = [check for stage in report.stages for check in stage.checks]
    return list(dict.fromkeys(c.exercise for c in checks if c.outcome == "not_attempted" and c.exercise))


def _cell_failure(failure: CellFailure, unwritten: list[str]) -> list[RenderableType]:
    where = (f"Cell {failure.index + 1} stopped: ", "bold red")
    if failure.error == "NotImplementedError" and failure.message in unwritten:
        return [Text.assemble(where, f"it uses {failure.message}, which is not written yet.")]
    trace = "\n".join(failure.traceback.rstrip().splitlines()[-TRACEBACK_LINES:])
    parts: list[RenderableType] = [Text.assemble(where, f"{failure.error}: {failure.message}")]
    parts += [Text(trace, "dim")] if trace else []
    parts += [Text(f"Hint: {failure.hint}", "italic")] if failure.hint else []
    return parts


def _stage(stage: Stage) -> list[RenderableType]:
    passed = sum(check.outcome == "passed" for check in stage.checks)
    style = STYLES["passed"] if passed == len(stage.checks) else ""
    head = Text.assemble((f"{stage.name}: ", "bold"), (f"{passed} of {len(stage.checks)} checks pass", style))
    return [head, *(_check(check) for check in stage.checks if check.outcome not in ("passed", "not_attempted"))]


def _check(check: CheckResult) -> RenderableType:
    said = Text.assemble(
        (check.outcome, STYLES[check.outcome]), f"  {check.title}", (f"  [{check.exercise or check.id}]", "dim")
    )
    details = [Text(check.message)] if check.message else []
    if check.hint and check.outcome == "failed":
        details.append(Text(f"Hint: {check.hint}", "italic"))
    return Padding(Group(said, *(Padding(detail, (0, 0, 0, 4)) for detail in details)), (0, 0, 0, 2))


def _unlocked(report: Report) -> list[RenderableType]:
    unlocked = report.unlocked
    lines = [f"Milestone earned: {name}" for name in unlocked.milestones]
    lines += [f"Unlocked: {name}   (tito module open {name})" for name in unlocked.modules]
    lines += [f"Unlocked: {name}   (tito examples open {name})" for name in unlocked.historical]
    return [Text(line, "bold green") for line in lines]

"""tito status, tito milestones, tito hint: where the student stands, and a nudge."""

from __future__ import annotations

import click

from tinytorch_core import studying
from tinytorch_core.cli.door import Command, Settings
from tinytorch_core.report import CourseView, MilestoneView
from tinytorch_core.studying import Hint


@click.command(
    cls=Command,
    epilog="""\b
    Examples:
      tito status
      tito status --json | jq .next""",
)
@click.pass_obj
def status(settings: Settings) -> CourseView:
    """Show every module, what is complete, and what comes next."""
    return studying.view(settings.course, settings.study)


@click.command(
    cls=Command,
    epilog="""\b
    Example:
      tito milestones""",
)
@click.pass_obj
def milestones(settings: Settings) -> tuple[MilestoneView, ...]:
    """Show the five points of AI history, and which you have earned."""
    return studying.view(settings.course, settings.study).milestones


@click.command(
    cls=Command,
    epilog="""\b
    Examples:
      tito hint tensor-add               the first hint
      tito hint tensor-add --number 2    the next one
      tito hint tensor-add --all""",
)
@click.argument("exercise")
@click.option("--number", type=int, default=1, show_default=True, help="Which hint; each goes one step further.")
@click.option("--all", "every", is_flag=True, help="Show all of them.")
@click.pass_obj
def hint(settings: Settings, exercise: str, number: int, every: bool) -> Hint | tuple[Hint, ...]:
    """Give a hint for one exercise of a notebook."""
    _, found = settings.course.exercise(exercise)
    if not every:
        return studying.hint(found, number)
    return tuple(studying.hint(found, n) for n in range(1, max(1, len(found.hints)) + 1))

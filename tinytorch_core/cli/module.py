"""tito module: open, complete, check, and everything else one does with one module."""

from __future__ import annotations

from typing import cast

import click

from tinytorch_core import studying
from tinytorch_core.cli import grading
from tinytorch_core.cli.answers import Located
from tinytorch_core.cli.door import Group, Settings
from tinytorch_core.report import Report
from tinytorch_core.studying import Against, Difference, Placed, Solution


@click.group(cls=Group)
def module() -> None:
    """Work on one module. MODULE is its number or name: 2, 02, tensor and 02_tensor are the same."""


@module.command(
    "open",
    epilog="""\b
    Examples:
      tito module open 2
      jupyter lab "$(tito module open 2)\"""",
)
@click.argument("name", metavar="MODULE")
@click.pass_obj
def open_(settings: Settings, name: str) -> Located:
    """Print the path of its notebook, made if it is missing."""
    placed = studying.open_module(settings.study, settings.course.module(name))
    return located(settings, placed, "Open it in JupyterLab: `tito lab` shows it under notebooks.")


@module.command(
    epilog="""\b
    Examples:
      tito module complete tensor
      tito module complete 2 --json"""
)
@click.argument("name", metavar="MODULE")
@click.pass_obj
def complete(settings: Settings, name: str) -> Report:
    """Run the notebook and all its checks. What passes joins your package, and the next module opens."""
    return grading.complete(settings, settings.course.module(name), record=True)


@module.command(
    epilog="""\b
    Example:
      tito module check 2"""
)
@click.argument("name", metavar="MODULE")
@click.pass_obj
def check(settings: Settings, name: str) -> Report:
    """Run everything that `complete` runs, and record nothing."""
    return grading.complete(settings, settings.course.module(name), record=False)


@module.command(
    epilog="""\b
    Example:
      tito module reset 2"""
)
@click.argument("name", metavar="MODULE")
@click.pass_obj
def reset(settings: Settings, name: str) -> Located:
    """Start the notebook afresh. Yours is kept as a backup, and what passed stays passed."""
    return located(settings, studying.reset(settings.study, settings.course.module(name)))


@module.command(
    epilog="""\b
    Example:
      tito module restore 2"""
)
@click.argument("name", metavar="MODULE")
@click.pass_obj
def restore(settings: Settings, name: str) -> Located:
    """Put right exercise cells that were deleted or doubled. All else stays as you left it."""
    return located(settings, studying.restore(settings.study, settings.course.module(name)))


@module.command(
    epilog="""\b
    Example:
      tito module solution 2 > solution.py"""
)
@click.argument("name", metavar="MODULE")
@click.pass_obj
def solution(settings: Settings, name: str) -> Solution:
    """Print the authors' solution, once you have one of your own."""
    return studying.solution(settings.study, settings.course.module(name))


@module.command(
    epilog="""\b
    Examples:
      tito module diff 2                        what you changed since it passed
      tito module diff 2 --against solution     how the authors did it (once it has passed)
      tito module diff 2 --against original     what you changed since you opened it"""
)
@click.argument("name", metavar="MODULE")
@click.option(
    "--against",
    type=click.Choice(["accepted", "original", "solution"]),
    help="What to compare with. Default: the accepted notebook; before the module has passed, the original.",
)
@click.pass_obj
def diff(settings: Settings, name: str, against: str | None) -> Difference:
    """Show the cells that differ from the notebook that passed."""
    return studying.difference(settings.study, settings.course.module(name), cast("Against | None", against))


@module.command(
    epilog="""\b
    Example:
      tito module history 2"""
)
@click.argument("name", metavar="MODULE")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many, newest first.")
@click.pass_obj
def history(settings: Settings, name: str, limit: int) -> list[Report]:
    """List the attempts at a module, newest first."""
    return studying.history(settings.study, settings.course.module(name), limit)


def located(settings: Settings, placed: Placed, next_step: str = "") -> Located:
    """The same answer with whole paths: a terminal may stand in any folder."""
    root = settings.study.workspace.root
    backup = str(root / placed.backup) if placed.backup else None
    return Located(path=str(root / placed.path), backup=backup, done=placed.done, next=next_step)

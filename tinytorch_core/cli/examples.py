"""tito examples: the historical notebooks, which run on the student's own package."""

from __future__ import annotations

from functools import partial

import click

from tinytorch_core import completion, studying
from tinytorch_core.cli import grading
from tinytorch_core.cli.answers import Located
from tinytorch_core.cli.door import Group, Settings
from tinytorch_core.cli.module import located
from tinytorch_core.report import HistoricalView, Report


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def examples(ctx: click.Context) -> tuple[HistoricalView, ...]:
    """List, open and run the historical notebooks."""
    if ctx.invoked_subcommand is not None:
        return ()
    settings = ctx.find_object(Settings) or Settings()
    return studying.view(settings.course, settings.study).historical


@examples.command(
    epilog="""\b
    Example:
      tito examples available"""
)
@click.pass_obj
def available(settings: Settings) -> tuple[HistoricalView, ...]:
    """List those that you can open now."""
    return tuple(h for h in studying.view(settings.course, settings.study).historical if h.state == "available")


@examples.command(
    "open",
    epilog="""\b
    Examples:
      tito examples open perceptron
      tito examples open 1957""",
)
@click.argument("name")
@click.pass_obj
def open_(settings: Settings, name: str) -> Located:
    """Make sure that a historical notebook is there, and print its path."""
    placed = studying.open_example(settings.study, settings.course.example(name))
    return located(settings, placed, "Open it in JupyterLab: `tito lab` shows it under historical.")


@examples.command(
    epilog="""\b
    Example:
      tito examples run perceptron"""
)
@click.argument("name")
@click.pass_obj
def run(settings: Settings, name: str) -> Report:
    """Run a historical notebook from top to bottom on your package. It passes if its thresholds hold."""
    example = settings.course.example(name)
    study = settings.study
    work = partial(completion.run_example, study.workspace, study.store, example)
    return grading.graded(settings, example.label, work)

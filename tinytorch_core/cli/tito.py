"""`tito` itself: its version, and the commands it has."""

from __future__ import annotations

from typing import Any

import click

from tinytorch_core import __version__
from tinytorch_core.cli.answers import Version
from tinytorch_core.cli.data import data
from tinytorch_core.cli.dev import dev
from tinytorch_core.cli.door import Tito
from tinytorch_core.cli.examination import doctor
from tinytorch_core.cli.examples import examples
from tinytorch_core.cli.grading import test
from tinytorch_core.cli.module import module
from tinytorch_core.cli.overview import hint, milestones, status
from tinytorch_core.cli.start import init, lab


@click.group(
    cls=Tito,
    invoke_without_command=True,
    epilog="Start with `tito lab my-course`. `tito COMMAND --help` shows examples of each command.",
)
@click.option("--version", is_flag=True, help="Print the version.")
@click.pass_context
def tito(ctx: click.Context, version: bool) -> Any:
    """Build your own deep-learning framework, module by module, and run the history of AI on it."""
    if version:
        return Version(__version__)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return None


for command in (lab, init, status, module, test, examples, milestones, hint, data, doctor, dev):
    tito.add_command(command)

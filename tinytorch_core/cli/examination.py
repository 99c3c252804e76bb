"""tito doctor: whether everything that a student needs is there, and what to do if not."""

from __future__ import annotations

import click

from tinytorch_core import studying
from tinytorch_core.cli.door import Command, Settings
from tinytorch_core.doctor import Finding, examine


@click.command(
    cls=Command,
    epilog="""\b
    Examples:
      tito doctor
      tito doctor --json""",
)
@click.pass_obj
def doctor(settings: Settings) -> tuple[Finding, ...]:
    """Look at the installation; say what to do about a problem."""
    return tuple(examine(lambda: studying.find(settings.folder, settings.course)))

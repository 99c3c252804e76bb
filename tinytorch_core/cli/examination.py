"""tito doctor: whether everything that a student needs is there, and what to do if not."""

from __future__ import annotations

import click

from tinytorch_core import studying
from tinytorch_core.cli.answers import Located
from tinytorch_core.cli.door import Command, Settings
from tinytorch_core.doctor import Finding, examine


@click.command(
    cls=Command,
    epilog="""\b
    Examples:
      tito doctor
      tito doctor --json
      tito doctor --new-record      after it said that progress.db is damaged""",
)
@click.option("--new-record", is_flag=True, help="Keep a damaged progress.db under another name and begin a new one.")
@click.pass_obj
def doctor(settings: Settings, new_record: bool) -> tuple[Finding, ...] | Located:
    """Look at the installation; say what to do about a problem."""
    if new_record:
        kept = studying.new_record(studying.find(settings.folder, settings.course))
        return Located(path=str(kept), next="A new record has begun. Complete your notebooks again, in their order.")
    return tuple(examine(lambda: studying.find(settings.folder, settings.course)))

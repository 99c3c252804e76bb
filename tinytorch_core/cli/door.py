"""The one door between click and the commands: shared options, one place that prints, one place where errors become words.

A command returns a value. `Tito` prints it, as text or as one JSON value, and turns it into the exit code.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tinytorch_core import studying
from tinytorch_core.catalogue import Course, default_course
from tinytorch_core.cli import exits, render
from tinytorch_core.errors import TinyTorchError
from tinytorch_core.studying import Study

if TYPE_CHECKING:
    from tinytorch_core.grader.client import Grader


@dataclass
class Settings:
    """What the shared options say, and the course they are about. Tests bring a small course."""

    start: Path | None = None
    as_json: bool = False
    given_course: Course | None = None

    @property
    def course(self) -> Course:
        return self.given_course or default_course()

    @property
    def folder(self) -> Path:
        """Where the search for a workspace begins."""
        return self.start or Path.cwd()

    @cached_property
    def study(self) -> Study:
        """The student's workspace, mended if a crash left something behind."""
        study = studying.find(self.folder, self.course)
        studying.repair(study)
        return study

    def grader(self, pool: int = 0) -> Grader:
        """A grader for this one command. With no `pool` it starts just the kernels it uses, and none in their place."""
        from tinytorch_core.grader.client import Grader

        return Grader(self.course, pool=pool)


def _keep_start(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.ensure_object(Settings).start = value


def _keep_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Settings).as_json = True


def _shared_options() -> list[click.Parameter]:
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    where = "The workspace, or a folder in it. Default: the nearest one from here upward."
    return [
        click.Option(["--workspace"], type=folder, metavar="DIR", help=where, expose_value=False, callback=_keep_start),
        click.Option(["--json"], is_flag=True, help="Print one JSON value.", expose_value=False, callback=_keep_json),
    ]


class Command(click.Command):
    """A command that takes the shared options, and whose examples keep their lines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_shared_options())


class Group(click.Group):
    """A group whose members take the shared options, too."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_shared_options())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a student's way, not of the alphabet."""
        return list(self.commands)


class Tito(Group):
    """The root: runs a command, prints what it returns, and ends the process with the right code."""

    def main(
        self, args: Sequence[str] | None = None, *rest: Any, obj: Settings | None = None, **extra: Any
    ) -> NoReturn:
        words = list(sys.argv[1:] if args is None else args)
        settings = obj or Settings()
        extra["standalone_mode"] = False
        try:
            value = super().main(words, *rest, obj=settings, **extra)
            sys.exit(self._print(value, settings))
        except BrokenPipeError:  # the reader of our output has gone: `tito status | head -1`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(exits.DONE)
        except Exception as error:
            as_json = settings.as_json or "--json" in words[: words.index("--") if "--" in words else None]
            sys.exit(_explain(error, as_json))

    def _print(self, value: Any, settings: Settings) -> int:
        if value is None or isinstance(value, int):  # click has printed help
            return value or 0
        render.show(value, settings.as_json)
        return exits.code(value)


def _explain(error: Exception, as_json: bool) -> int:
    """Say in plain words what went wrong and what to do, and return the exit code for it."""
    message, reason, code = _told(error)
    if as_json:
        render.show_json({"message": message, "reason": reason})
    else:
        render.complain(message)
    return code


def _told(error: Exception) -> tuple[str, str, int]:
    if isinstance(error, TinyTorchError):
        return error.message, type(error).__name__, error.exit_code
    if isinstance(error, click.UsageError):
        return _usage(error), "UsageError", exits.USAGE
    if isinstance(error, click.ClickException):
        return error.format_message(), type(error).__name__, exits.USAGE
    if isinstance(error, click.Abort):
        return "Stopped.", "Stopped", exits.STOPPED
    if isinstance(error, PermissionError):
        return (
            f"{error}. Nothing of TinyTorch can change this: look at the owner and the rights of that file.",
            "PermissionError",
            exits.USAGE,
        )
    return _unexpected(error), type(error).__name__, exits.OUR_FAULT


def _usage(error: click.UsageError) -> str:
    if error.ctx is None:
        return error.format_message()
    return f"{error.format_message()}\n{error.ctx.get_usage()}\n`{error.ctx.command_path} --help` explains it, with examples."


def _unexpected(error: Exception) -> str:
    """Keep the traceback in a file: it is for us, not for the student."""
    with tempfile.NamedTemporaryFile("w", prefix="tito-error-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(f"tito {' '.join(sys.argv[1:])}\n\n{''.join(traceback.format_exception(error))}")
    return (
        f"Something went wrong inside TinyTorch ({type(error).__name__}: {error}).\nYour work is as it was. `tito doctor` may "
        f"find the cause. Otherwise please report it to the authors of TinyTorch, with the file {file.name}."
    )

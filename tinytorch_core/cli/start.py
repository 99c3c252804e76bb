"""tito lab, tito init: make a workspace, and open JupyterLab in it."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import click

from tinytorch_core import studying
from tinytorch_core.cli import render
from tinytorch_core.cli.answers import Located, Starting
from tinytorch_core.cli.door import Command, Settings
from tinytorch_core.errors import UsageError
from tinytorch_core.workspace import Workspace

FIRST_PORT, PORTS_TRIED = 8888, 50
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(
    cls=Command,
    epilog="""\b
    Examples:
      tito init my-course     a new folder, with the first notebook in it
      tito init               the folder you are in""",
)
@click.argument("folder", metavar="[DIR]", type=FOLDER, required=False)
@click.pass_obj
def init(settings: Settings, folder: Path | None) -> Located:
    """Make a folder a workspace. Harmless if it is one already."""
    study = studying.create(folder or settings.folder, settings.course)
    root = study.workspace.root
    return Located(path=str(root), next=f"Next: tito lab {_typed(root)}")


@click.command(
    cls=Command,
    epilog="""\b
    Examples:
      tito lab my-course                       make or continue the course in my-course
      tito lab                                 continue it, from anywhere in its folder
      tito lab --port 9000 --no-browser        for a machine that you reach over the network
      tito lab my-course -- --ip=0.0.0.0       all after -- goes to JupyterLab""",
)
@click.argument("folder", metavar="[DIR]", type=FOLDER, required=False)
@click.argument("jupyter_args", metavar="[-- JUPYTER_ARGS]", nargs=-1, type=click.UNPROCESSED)
@click.option("--port", type=click.IntRange(1, 65535), help="Use this port. Default: the first free one from 8888.")
@click.option("--browser/--no-browser", default=True, help="Open a browser, or not.")
@click.pass_obj
def lab(
    settings: Settings, folder: Path | None, jupyter_args: tuple[str, ...], port: int | None, browser: bool
) -> None:
    """Open JupyterLab on the course. DIR becomes a workspace if it is none yet."""
    if folder is not None and str(folder).startswith("-"):  # `tito lab -- --ip=…`: there was no DIR
        folder, jupyter_args = None, (str(folder), *jupyter_args)
    root = studying.create(folder or _nearest(settings.folder), settings.course).workspace.root
    port = _free_port(port)
    notes = _as_root(jupyter_args)
    url = f"http://localhost:{port}/lab"
    render.show(Starting(workspace=str(root), url=url, notes=notes), settings.as_json)
    sys.stdout.flush()
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={root}",
        f"--port={port}",
        "--ServerApp.port_retries=0",
    ]
    command += [] if browser else ["--no-browser"]
    command += ["--allow-root"] if notes else []
    os.execv(sys.executable, [*command, *jupyter_args])


def _nearest(start: Path) -> Path:
    """The workspace that `start` lies in, else `start` itself."""
    return next((folder for folder in (start, *start.absolute().parents) if Workspace.exists(folder)), start)


def _free_port(wanted: int | None) -> int:
    """We print the address before JupyterLab runs, so we choose the port."""
    ports = [wanted] if wanted else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
    free = next((port for port in ports if _is_free(port)), None)
    if free is None:
        used = f"Port {wanted} is" if wanted else f"The ports from {FIRST_PORT} on are all"
        raise UsageError(f"{used} in use. Choose another: tito lab --port 9000")
    return free


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _as_root(jupyter_args: tuple[str, ...]) -> tuple[str, ...]:
    """JupyterLab refuses to run as root. In a container root is often all there is, so we allow it, and say so."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or "--allow-root" in jupyter_args:
        return ()
    return ("You are root, so notebooks can change everything on this machine. Use another account if there is one.",)


def _typed(path: Path) -> str:
    """A path as a reader here would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)

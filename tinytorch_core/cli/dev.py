"""tito dev: for the course's authors. Check the course, look at a notebook as students get it, write a solved one."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import click

from tinytorch_core import authoring, studying
from tinytorch_core.catalogue import Historical, Module
from tinytorch_core.cli.answers import CourseChecked, Located
from tinytorch_core.cli.door import Group, Settings
from tinytorch_core.cli.live import Counter
from tinytorch_core.cli.module import located


@click.group(cls=Group)
def dev() -> None:
    """Write and check the course itself."""


@dev.command(
    epilog="""\b
    Examples:
      tito dev check            the whole course
      tito dev check tensor     one module and what belongs to it"""
)
@click.argument("name", metavar="[MODULE]", required=False)
@click.pass_obj
def check(settings: Settings, name: str | None) -> CourseChecked:
    """Prove the course: solutions pass, untouched notebooks count as not attempted, every mutant is rejected."""
    course = settings.course
    modules = [course.module(name)] if name else [m for m in course.modules if m.written]
    ids = {module.id for module in modules}
    historical = [h for h in course.historical if h.written and h.module in ids]
    return asyncio.run(_checked(settings, modules, historical))


async def _checked(settings: Settings, modules: list[Module], historical: list[Historical]) -> CourseChecked:
    from tinytorch_core import coursecheck  # numpy and the checks' rooms, which no other command needs

    start, grader = time.monotonic(), settings.grader(pool=1)
    total = coursecheck.size(settings.course, modules, historical)
    try:
        with Counter("Checking the course", total, quiet=settings.as_json) as counter:
            findings = await coursecheck.check_course(settings.course, modules, historical, grader, counter.count)
    finally:
        await grader.close()
    return CourseChecked(ok=all(f.ok for f in findings), seconds=time.monotonic() - start, findings=list(findings))


@dev.command(
    epilog="""\b
    Examples:
      tito dev preview 2
      tito dev preview 2 --output review"""
)
@click.argument("name", metavar="MODULE")
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder for it. Default: a new temporary one."
)
@click.option("--no-browser", is_flag=True, help="Only write the files. With --json, no browser is opened either.")
@click.pass_obj
def preview(settings: Settings, name: str, output: Path | None, no_browser: bool) -> Located:
    """Write a module's notebook as students get it, and show it as a page in the browser."""
    module = settings.course.module(name)
    notebook = authoring.student_notebook(settings.course, module)
    folder = output or Path(tempfile.mkdtemp(prefix="tinytorch-preview-"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / f"{module.id}.ipynb"
    path.write_bytes(authoring.to_bytes(notebook))
    page = path.with_suffix(".html")
    page.write_text(authoring.to_html(notebook), encoding="utf-8")
    if not (no_browser or settings.as_json):
        click.launch(page.as_uri())
    return Located(path=str(path), next=f"As a page: {page}")


@dev.command(
    epilog="""\b
    Examples:
      tito dev solve 2                               the authors' solution
      tito dev solve 2 --mutant add-drops-broadcast  a typical mistake in it
      tito dev solve 2 && tito module complete 2"""
)
@click.argument("name", metavar="MODULE")
@click.option("--mutant", metavar="NAME", help="Write this mutant instead of the solution.")
@click.pass_obj
def solve(settings: Settings, name: str, mutant: str | None) -> Located:
    """Write the solved notebook of a module into the workspace, for demos and tests. Yours is kept as a backup."""
    return located(settings, studying.place_solution(settings.study, settings.course.module(name), mutant))

"""tito data: the data sets of the historical notebooks. What ships needs nothing; the others are fetched once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinytorch_core.cli import render
from tinytorch_core.cli.answers import DatasetState, DatasetView, Located
from tinytorch_core.cli.door import Group, Settings
from tinytorch_core.cli.live import Fetching
from tinytorch_core.doctor import Finding

if TYPE_CHECKING:
    from tinytorch_core.data.catalogue import Dataset

# The data room needs numpy, which no other command does: it is imported where it is used.


@click.group(cls=Group)
def data() -> None:
    """List, fetch and verify the data sets of the historical notebooks."""


@data.command(
    "list",
    epilog="""\b
    Examples:
      tito data list
      tito data list --json""",
)
def list_() -> tuple[DatasetView, ...]:
    """Show every data set: what it is, whether it is here, and its licence."""
    from tinytorch_core.data.catalogue import datasets

    return tuple(map(_view, datasets()))


@data.command(
    epilog="""\b
    Examples:
      tito data fetch cifar10
      tito data fetch cifar10 --from cifar-10-binary.tar.gz     a class without internet
      tito data fetch mnist-full --from /media/stick            a folder with its four files

    What breaks off goes on where it was with the same command. TINYTORCH_DATA names another folder than the user's cache, such
    as one that a class shares."""
)
@click.argument("name")
@click.option(
    "--from",
    "sources",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    multiple=True,
    help="Take it from this file, or from the folder that holds its files. May be given several times.",
)
@click.pass_obj
def fetch(settings: Settings, name: str, sources: tuple[Path, ...]) -> Located:
    """Download a data set into the cache folder, and verify it."""
    from tinytorch_core.data import embedded, fetching
    from tinytorch_core.data.catalogue import dataset

    wanted = dataset(name)
    use = f"In a notebook: from tinytorch_core.data import {wanted.load.partition('(')[0]}; {wanted.load}"
    if wanted.shipped:
        embedded.verify(wanted)
        path, use = embedded.FOLDER / wanted.parts[0].name, f"It ships with TinyTorch: nothing to fetch. {use}"
    else:
        with Fetching(wanted.title, wanted.bytes, quiet=settings.as_json) as bar:
            try:
                path = fetching.fetch(wanted, sources, bar.show)
            except KeyboardInterrupt:
                render.complain("What has come is kept: the same command goes on from there.")
                raise
    return Located(path=str(path), next=use)


@data.command(
    epilog="""\b
    Examples:
      tito data verify
      tito data verify cifar10"""
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
def verify(names: tuple[str, ...]) -> tuple[Finding, ...]:
    """Read all that is here again, and hold it to the digests of the catalogue."""
    from tinytorch_core.data.catalogue import dataset, datasets

    return tuple(map(_verified, [dataset(name) for name in names] or datasets()))


def _view(dataset: Dataset) -> DatasetView:
    from tinytorch_core.data import cache, embedded

    here = cache.fetched_bytes(dataset)
    state: DatasetState = "unfinished" if here else "absent"
    if dataset.shipped or cache.is_complete(dataset):
        state = "ships" if dataset.shipped else "fetched"
    path = embedded.FOLDER / dataset.parts[0].name if dataset.shipped else cache.home(dataset)
    return DatasetView(
        id=dataset.id, title=dataset.title, what=dataset.what, bytes=dataset.bytes, licence=dataset.licence, load=dataset.load,
        state=state, here=dataset.bytes if dataset.shipped else here, path=str(path), urls=tuple(_urls(dataset)),
    )  # fmt: skip


def _urls(dataset: Dataset) -> Iterator[str]:
    return (part.urls[0] for part in dataset.parts if part.urls)


def _verified(dataset: Dataset) -> Finding:
    from tinytorch_core.data import cache, embedded
    from tinytorch_core.data.errors import DataError

    if dataset.shipped:
        try:
            embedded.verify(dataset)
        except DataError as error:
            return Finding(name=dataset.id, ok=False, found="damaged", advice=error.message)
        return Finding(name=dataset.id, ok=True, found="ships with TinyTorch, and is right")
    advice = f"tito data fetch {dataset.id}"
    if not cache.fetched_bytes(dataset):
        return Finding(name=dataset.id, ok=True, found=f"not fetched; `{advice}` does")
    if not cache.is_complete(dataset):
        return Finding(name=dataset.id, ok=False, found=f"unfinished; `{advice}` goes on", advice=advice)
    said = cache.wrong(dataset)
    return Finding(
        name=dataset.id, ok=not said, found=said or f"fetched, and is right ({cache.home(dataset)})", advice=advice
    )

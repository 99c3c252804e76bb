"""Where fetched data lies: a folder for each data set, in the user's cache folder or in the one that TINYTORCH_DATA names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_cache_path

from tinytorch_core.data import digests
from tinytorch_core.data.catalogue import Dataset, Part, size
from tinytorch_core.data.errors import NotFetched

VARIABLE = "TINYTORCH_DATA"


def folder() -> Path:
    """Made by the first fetch. Loaders only read it, so that a class can share one."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser().absolute() if named else user_cache_path("tinytorch") / "data"


def home(dataset: Dataset) -> Path:
    return folder() / dataset.id


def unfinished(path: Path) -> Path:
    """What has come so far of the file that will be `path`."""
    return path.with_name(f"{path.name}.part")


def fetched_bytes(dataset: Dataset) -> int:
    """How much of it is here, whole files and unfinished ones."""
    paths = [home(dataset) / part.name for part in dataset.parts]
    return sum(p.stat().st_size for path in paths for p in (path, unfinished(path)) if p.is_file())


def is_complete(dataset: Dataset) -> bool:
    """True if every file is here; whether each is right, `wrong` says."""
    return all((home(dataset) / part.name).is_file() for part in dataset.parts)


def wrong(dataset: Dataset) -> str:
    """What is wrong with the files of a fetched data set, in words; empty if each is there and right."""
    for part in dataset.parts:
        try:
            with (home(dataset) / part.name).open("rb") as file:
                said = digests.wrong(part, file)
        except FileNotFoundError:
            said = "it is not there"
        except OSError as error:
            said = f"it can't be read ({error.strerror})"
        if said:
            return f"{part.name}: {said}"
    return ""


def open_verified(dataset: Dataset, part: Part) -> BinaryIO:
    """A file of a fetched data set, open at its start, and the right one. NotFetched says what to do if it isn't."""
    path = home(dataset) / part.name
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise NotFetched(
            f"{dataset.title} is not on this machine: {path} is missing. In a terminal, `tito data fetch {dataset.id}` "
            f"gets it ({size(dataset.bytes)}, once). Without internet: `tito data fetch {dataset.id} --from FILE`."
        ) from None
    except OSError as error:
        raise NotFetched(f"{path} can't be read ({error.strerror}). Look at the owner and rights of it.") from error
    try:
        said = digests.wrong(part, file)
    except BaseException:
        file.close()
        raise
    if said:
        file.close()
        raise NotFetched(f"{path} is damaged: {said}. In a terminal, `tito data fetch {dataset.id}` gets it again.")
    return file

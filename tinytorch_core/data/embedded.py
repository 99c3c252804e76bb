"""The data files that ship with the package, each held to its digest before anybody learns from it."""

from __future__ import annotations

import hashlib
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch_core.data import digests
from tinytorch_core.data.catalogue import Dataset, Part, dataset
from tinytorch_core.data.errors import DataError

PACKAGE = Path(__file__).parent.parent
FOLDER = (PACKAGE if (PACKAGE / "historical").is_dir() else PACKAGE.parent) / "historical" / "data"
"""In an installed wheel beside the code, in a checkout beside the package."""

KEYS = ("x_train", "y_train", "x_test", "y_test")

Arrays = tuple[NDArray[Any], ...]


@cache
def embedded_arrays(name: str) -> Arrays:
    """The arrays of a data set in the order of KEYS, read and verified once in a process, read-only."""
    (part,) = dataset(name).parts
    arrays = _arrays(part)
    for array in arrays:
        array.setflags(write=False)
    return arrays


def embedded_text(name: str) -> str:
    """The text of a data set, read and verified."""
    (part,) = dataset(name).parts
    return _bytes(part).decode("ascii")


def verify(dataset: Dataset) -> None:
    """Read the files of a data set that ships with the package again. DataError if one is not what it was."""
    for part in dataset.parts:
        _arrays(part) if part.of == "arrays" else _bytes(part)


def digest(arrays: Arrays) -> str:
    """Over the raw arrays in the order of KEYS: rebuilding a file may change its bytes, never its numbers."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(array.data)
    return sha.hexdigest()


def _arrays(part: Part) -> Arrays:
    path = FOLDER / part.name
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = tuple(np.ascontiguousarray(file[key]) for key in KEYS)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    if digest(arrays) != part.sha256:
        raise DataError(f"{path} does not hold the numbers it shipped with. Reinstall tinytorch_core to get them back.")
    return arrays


def _bytes(part: Part) -> bytes:
    path = FOLDER / part.name
    try:
        with path.open("rb") as file:
            said = digests.wrong(part, file)
            content = file.read()
    except OSError as error:
        raise _unreadable(path, error) from error
    if said:
        raise DataError(f"{path} is not what it shipped as: {said}. Reinstall tinytorch_core to get it back.")
    return content


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} can't be read ({error}). Reinstall tinytorch_core to get it back.")

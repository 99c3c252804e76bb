"""The data files that ship with the package, each held to its digest before anybody learns from it."""

from __future__ import annotations

import hashlib
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch_core.errors import TinyTorchError

PACKAGE = Path(__file__).parent.parent
FOLDER = (PACKAGE if (PACKAGE / "historical").is_dir() else PACKAGE.parent) / "historical" / "data"
"""In an installed wheel beside the code, in a checkout beside the package."""

KEYS = ("x_train", "y_train", "x_test", "y_test")
SHA256 = {
    "fashion_6k": "2c1d16c37fd817b30c6e03c80047b3f45da8821999d91fd8e7b0bea4657d1048",
    "mnist_12k": "b7e2cc0a3c66f0ac77fb257515cb3539c3163dcb60a8dae8debc6d091abd23c4",
}
"""Over the raw arrays in the order of KEYS: rebuilding a file may change its bytes, never its numbers."""


class DataError(TinyTorchError):
    """A data set is missing, or is not what it was."""


@cache
def embedded_arrays(name: str) -> tuple[NDArray[Any], ...]:
    """The arrays of historical/data/<name>.npz in the order of KEYS, read and verified once in a process, read-only."""
    path = FOLDER / f"{name}.npz"
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = tuple(np.ascontiguousarray(file[key]) for key in KEYS)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} can't be read ({error}). Reinstall tinytorch_core to get it back.") from error
    if digest(arrays) != SHA256[name]:
        raise DataError(f"{path} does not hold the numbers it shipped with. Reinstall tinytorch_core to get them back.")
    for array in arrays:
        array.setflags(write=False)
    return arrays


def digest(arrays: tuple[NDArray[Any], ...]) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(array.data)
    return sha.hexdigest()

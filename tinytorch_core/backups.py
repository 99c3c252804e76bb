"""Backups: what is replaced in a workspace is kept here first, under the time it was replaced at, and never overwritten."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from tinytorch_core import files

NAME_LENGTH = 48
"""Characters of a name that are kept, so that with the time it stays a name that every file system takes."""


class Backups:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def copy(self, path: Path) -> Path:
        """Keep a copy of a regular file of any size, and say where."""
        self.folder.mkdir(exist_ok=True)
        for name in self._names(path):
            try:
                with files.open_regular(path) as file:
                    files.write_new(name, file)
            except FileExistsError:
                continue
            return name
        raise AssertionError("there is always another name")

    def move(self, path: Path) -> Path:
        """Take anything out of the way, a folder or a link too, and say where it is now."""
        self.folder.mkdir(exist_ok=True)
        name = next(name for name in self._names(path) if not os.path.lexists(name))
        os.rename(path, name)
        files.sync_folder(self.folder)
        return name

    def _names(self, path: Path) -> Iterator[Path]:
        """02_tensor-20261123-181530.ipynb, then the same with -2, -3 … after the time."""
        stem, suffix, now = path.stem[:NAME_LENGTH], path.suffix[:NAME_LENGTH], time.strftime("%Y%m%d-%H%M%S")
        yield self.folder / f"{stem}-{now}{suffix}"
        number = 2
        while True:
            yield self.folder / f"{stem}-{now}-{number}{suffix}"
            number += 1

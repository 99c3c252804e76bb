"""The folder `tinytorch/` of a workspace: the student's own package, exactly as accepted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tinytorch_core import files
from tinytorch_core.backups import Backups

OWN_CONTENT = {"__pycache__", ".ipynb_checkpoints"}
"""Folders that Python and JupyterLab make."""
LIMIT = 64 * 1024 * 1024


def bring_up_to(folder: Path, sources: Mapping[str, bytes], manifest: Path, backups: Backups) -> list[Path]:
    """Make `folder` hold exactly `sources` (name to content). Returns the backups of what did not belong there.

    The manifest remembers what was written here, so that an accepted source which a newer one replaces is no change.
    """
    written = _read(manifest)
    kept = []
    for path in sorted(folder.iterdir()):
        if path.name not in OWN_CONTENT and not _belongs(path, sources, written):
            kept.append(backups.move(path))
    for name, content in sources.items():
        if _content(folder / name) != content:
            files.write_atomic(folder / name, content)
    now = {name: _sha(content) for name, content in sources.items()}
    if now != written:
        files.write_atomic(manifest, msgspec.json.format(msgspec.json.encode(now), indent=1))
    return kept


def is_foreign(folder: Path, header: str) -> bool:
    """Whether somebody else's files are in `folder`: it is not empty, and its `__init__.py` does not begin with `header`."""
    if not os.path.lexists(folder) or not set(os.listdir(folder)) - OWN_CONTENT:
        return False
    return not (_content(folder / "__init__.py") or b"").startswith(header.encode())


def _belongs(path: Path, sources: Mapping[str, bytes], written: Mapping[str, str]) -> bool:
    """Whether a file has one of the names, and holds what it should or what was written here before."""
    content = _content(path)
    if path.name not in sources or content is None:
        return False
    return content == sources[path.name] or _sha(content) == written.get(path.name)


def _content(path: Path) -> bytes | None:
    """None for what is missing, not a file, or larger than any source of ours."""
    try:
        return files.read_regular(path, LIMIT)
    except (FileNotFoundError, files.OddFile):
        return None


def _read(manifest: Path) -> dict[str, str]:
    """Empty if it is missing or damaged: then every change counts as somebody else's, and is kept."""
    try:
        return msgspec.json.decode(_content(manifest) or b"{}", type=dict[str, str])
    except msgspec.DecodeError:
        return {}


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

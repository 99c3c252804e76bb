"""Whether a file is the one that the catalogue describes."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from contextlib import nullcontext
from typing import BinaryIO

from tinytorch_core.data.catalogue import Part

CHUNK = 1 << 20
SHOWN = 12
"""As many digits of a digest tell a person that it is another one."""


def wrong(part: Part, file: BinaryIO) -> str:
    """What is wrong with an open file, in words; empty if it is right. It is left at its start."""
    wanted = {name: digest for name in ("md5", "sha256") if (digest := getattr(part, name))}
    file.seek(0)
    try:
        found = _digests(part, file, tuple(wanted))
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return "it is not a whole gzip file"
    finally:
        file.seek(0)
    for name, digest in wanted.items():
        if found[name] != digest:
            return f"its {name} is {found[name][:SHOWN]}…, not {digest[:SHOWN]}…"
    return ""


def _digests(part: Part, file: BinaryIO, names: tuple[str, ...]) -> dict[str, str]:
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    with gzip.GzipFile(fileobj=file) if part.of == "unpacked" else nullcontext(file) as content:
        while chunk := content.read(CHUNK):
            for running in hashes.values():
                running.update(chunk)
    return {name: running.hexdigest() for name, running in hashes.items()}

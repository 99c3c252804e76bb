"""The data sets as frozen values, read from datasets.toml, the one list of names, sizes, licences, addresses and digests."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from tinytorch_core.errors import UnknownName

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOML = Path(__file__).with_name("datasets.toml")


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file of a data set."""

    name: str
    bytes: int
    sha256: str
    md5: str = ""
    """As its authors published it, where they did."""
    of: Literal["file", "unpacked", "arrays"] = "file"
    """What the digests are taken of; datasets.toml explains it."""
    urls: tuple[str, ...] = ()


class Dataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: str
    title: str
    what: str
    licence: str
    load: str
    """How a notebook gets it, from tinytorch_core.data."""
    parts: tuple[Part, ...]

    @property
    def shipped(self) -> bool:
        """True if it is part of the package, and needs no network."""
        return not any(part.urls for part in self.parts)

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)


@cache
def datasets() -> tuple[Dataset, ...]:
    """All of them, in the order of the catalogue."""
    return msgspec.convert(tomllib.loads(TOML.read_text(encoding="utf-8"))["dataset"], tuple[Dataset, ...])


def dataset(text: str) -> Dataset:
    """The data set that `text` names; cifar10, CIFAR-10 and cifar_10 are the same."""
    for candidate in datasets():
        if _plain(candidate.id) == _plain(text):
            return candidate
    raise UnknownName(f"There is no data set {text!r}. There are {', '.join(d.id for d in datasets())}.")


def size(count: int) -> str:
    """A number of bytes as people say it: 170 MB, 29 kB."""
    for unit, one in (("MB", 10**6), ("kB", 10**3)):
        if count >= one:
            return f"{count / one:.1f} {unit}" if count < 10 * one else f"{count / one:.0f} {unit}"
    return f"{count} B"


def _plain(text: str) -> str:
    return re.sub(r"[-_ ]", "", text.lower())

"""An empty cache folder, data sets of a few kilobytes on a server of our own, and no time lost waiting."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tinytorch_core.data import cache, catalogue, download, embedded
from tinytorch_core.data.catalogue import Dataset, Part
from tinytorch_core.tests.web import Web

CONTENT = np.random.default_rng(0).bytes(100_000)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fetched data goes, in place of the user's own folder."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr(download, "TIMEOUTS", (5.0, 0.3))
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    return tmp_path / "data"


@pytest.fixture
def shipped_folder(tmp_path, monkeypatch):
    """An empty folder in place of the shipped data, and nothing remembered of the real one."""
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    embedded.embedded_arrays.cache_clear()
    yield tmp_path
    embedded.embedded_arrays.cache_clear()


@pytest.fixture
def toy(web: Web) -> Dataset:
    """A data set of one file, as CIFAR-10 is."""
    return a_dataset("toy", a_part("toy.bin", CONTENT, web.serve("toy.bin", CONTENT)))


@pytest.fixture
def pair(web: Web) -> Dataset:
    """A data set of two files."""
    parts = [a_part(name, CONTENT[:size], web.serve(name, CONTENT[:size])) for name, size in (("a", 5000), ("b", 3000))]
    return a_dataset("pair", *parts)


def a_part(name: str, content: bytes, *urls: str) -> Part:
    return Part(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), urls=urls)


def a_dataset(name: str, *parts: Part) -> Dataset:
    return Dataset(id=name, title=name.title(), what="toys", licence="none", load=f"load_{name}()", parts=parts)


@pytest.fixture
def in_catalogue(monkeypatch):
    """in_catalogue(dataset) puts a data set into the catalogue, in place of the one with its name."""

    def put(new: Dataset) -> Dataset:
        others = tuple(d for d in catalogue.datasets() if d.id != new.id)
        monkeypatch.setattr(catalogue, "datasets", lambda: (*others, new))
        return new

    return put


def an_archive(batches: dict[str, np.ndarray]) -> bytes:
    """A .tar.gz in the layout of cifar-10-binary.tar.gz, with the given records and some other files."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        files = {"batches.meta.txt": b"airplane\n", "readme.html": b"<html>"}
        for name, content in (files | {name: records.tobytes() for name, records in batches.items()}).items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def an_idx(array: np.ndarray) -> bytes:
    """An IDX file of bytes, packed."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(head + array.astype(np.uint8).tobytes())

"""Reading data sets that were fetched, out of their authors' own files. Only plain numbers are read; nothing is unpacked to disk."""

from __future__ import annotations

import gzip
import tarfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch_core.data import cache
from tinytorch_core.data.catalogue import Dataset, Part, dataset

Pixels = NDArray[np.uint8]

CIFAR10_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
CIFAR10_TEST = ("test_batch.bin",)
CIFAR10_IMAGE = (3, 32, 32)
CIFAR10_RECORD = 1 + 3 * 32 * 32
"""A byte for the label, then the red, the green and the blue plane, row by row."""


def mnist() -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """x_train, y_train, x_test, y_test of all of MNIST, as bytes. NotFetched if it isn't here."""
    whole = dataset("mnist-full")
    parts = {part.name: part for part in whole.parts}
    x_train, y_train, x_test, y_test = (
        _idx(whole, parts[f"{half}-{kind}-ubyte.gz"])
        for half in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    )
    return x_train, y_train, x_test, y_test


def cifar10() -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """x_train, y_train, x_test, y_test of CIFAR-10, as bytes, images (N, 3, 32, 32). NotFetched if it isn't here."""
    whole = dataset("cifar10")
    (archive,) = whole.parts
    with cache.open_verified(whole, archive) as file, tarfile.open(fileobj=file, mode="r|gz") as tar:
        batches = {name: _records(tar, member) for member in tar if (name := member.name.rpartition("/")[2]) in BATCHES}
    train, test = (np.concatenate([batches[name] for name in names]) for names in (CIFAR10_TRAIN, CIFAR10_TEST))
    return _images(train), train[:, 0], _images(test), test[:, 0]


BATCHES = {*CIFAR10_TRAIN, *CIFAR10_TEST}


def _records(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Pixels:
    content = tar.extractfile(member)
    assert content is not None, "the archive has the right digest, so that a batch in it is a file"
    return np.frombuffer(content.read(), np.uint8).reshape(-1, CIFAR10_RECORD)


def _images(records: Pixels) -> Pixels:
    return records[:, 1:].reshape(-1, *CIFAR10_IMAGE)


def _idx(whole: Dataset, part: Part) -> Pixels:
    """An IDX file: two zeros, the type (8: a byte), the number of axes, the length of each (big-endian), then the bytes."""
    with cache.open_verified(whole, part) as packed, gzip.GzipFile(fileobj=packed) as file:
        content: Any = file.read()
    axes = content[3]
    shape = np.frombuffer(content, ">u4", count=axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(tuple(shape))

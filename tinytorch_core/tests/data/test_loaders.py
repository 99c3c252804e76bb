"""The data loaders: right shapes, right numbers, and arrays that belong to who asked for them."""

from __future__ import annotations

import os
import stat

import numpy as np
import pytest

from tinytorch_core import data
from tinytorch_core.data import (
    CIFAR10_CLASSES,
    FASHION_CLASSES,
    DataError,
    load_cifar10,
    load_fashion_mnist,
    load_mnist,
    load_novel,
)
from tinytorch_core.data.fetched import BATCHES
from tinytorch_core.tests.data.conftest import a_dataset, a_part, an_archive, an_idx

SHIPPED = pytest.mark.parametrize(
    ("load", "train", "test"), [(load_mnist, 10_000, 2_000), (load_fashion_mnist, 5_000, 1_000)]
)
rng = np.random.default_rng(0)


@pytest.fixture
def small_cifar10(in_catalogue, cache_folder):
    """CIFAR-10 with 4 images a batch, fetched; its records by their batches' names."""
    batches = {name: rng.integers(0, 256, (4, 3073)).astype(np.uint8) for name in sorted(BATCHES, reverse=True)}
    for records in batches.values():
        records[:, 0] %= 10
    content = an_archive(batches)
    dataset = in_catalogue(a_dataset("cifar10", a_part("cifar.tar.gz", content, "http://nowhere/")))
    (cache_folder / "cifar10").mkdir(parents=True)
    (cache_folder / "cifar10" / dataset.parts[0].name).write_bytes(content)
    return batches


@pytest.fixture
def small_mnist(in_catalogue, cache_folder):
    """All of an MNIST of 5 + 3 images, fetched; its arrays."""
    arrays = [rng.integers(0, 256, (5, 28, 28)), np.arange(5), rng.integers(0, 256, (3, 28, 28)), np.arange(3)]
    names = [f"{half}-{kind}-ubyte.gz" for half in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    contents = [an_idx(array) for array in arrays]
    in_catalogue(
        a_dataset("mnist-full", *(a_part(n, c, "http://nowhere/") for n, c in zip(names, contents, strict=True)))
    )
    (cache_folder / "mnist-full").mkdir(parents=True)
    for name, content in zip(names, contents, strict=True):
        (cache_folder / "mnist-full" / name).write_bytes(content)
    return arrays


def test_the_public_names_are_these():
    assert set(data.__all__) == {
        *("load_mnist", "load_fashion_mnist", "load_novel", "load_cifar10"),
        *("FASHION_CLASSES", "CIFAR10_CLASSES", "DataError", "NotFetched"),
    }


@SHIPPED
def test_shipped_images_have_the_shapes_and_dtypes_they_promise(load, train, test):
    x_train, y_train, x_test, y_test = load()
    assert [x_train.shape, x_test.shape] == [(train, 28, 28), (test, 28, 28)]
    assert x_train.dtype == x_test.dtype == np.float32
    assert [y_train.shape, y_test.shape] == [(train,), (test,)]
    assert y_train.dtype == y_test.dtype == np.int64


@SHIPPED
def test_pixels_run_from_0_to_1(load, train, test):
    x_train, _, x_test, _ = load()
    assert [(images.min(), images.max()) for images in (x_train, x_test)] == [(0, 1)] * 2


def test_paper_is_0_and_ink_is_1():
    x_train, _, x_test, _ = load_mnist()
    for images in (x_train, x_test):
        assert images[:, :2].mean() < 0.01 < images.mean()  # the rim is paper


@SHIPPED
def test_every_class_comes_equally_often(load, train, test):
    _, y_train, _, y_test = load()
    assert np.bincount(y_train).tolist() == [train // 10] * 10
    assert np.bincount(y_test).tolist() == [test // 10] * 10


@SHIPPED
def test_what_one_caller_changes_the_next_never_sees(load, train, test):
    load()[0][:] = 7
    assert load()[0].max() == 1.0


def test_no_piece_of_clothing_is_in_both_halves():
    x_train, _, x_test, _ = load_fashion_mnist()
    assert not {image.tobytes() for image in x_train} & {image.tobytes() for image in x_test}


def test_classes_have_the_names_that_their_authors_gave_them():
    x_train, y_train, _, _ = load_fashion_mnist()
    ink = {name: x_train[y_train == label].mean() for label, name in enumerate(FASHION_CLASSES)}
    widths = {n: (x_train[y_train == i].mean(axis=0)[14] > 0.2).sum() for i, n in enumerate(FASHION_CLASSES)}
    assert min(ink, key=ink.get) == "Sandal"
    assert widths["Trouser"] < widths["Dress"] + 3 < widths["Pullover"]
    assert len(FASHION_CLASSES) == len(set(FASHION_CLASSES)) == len(CIFAR10_CLASSES) == 10


def test_the_novel_is_plain_text():
    novel = load_novel()
    assert novel.startswith("PRIDE AND PREJUDICE\n\nBy Jane Austen\n")
    assert "It is a truth universally acknowledged" in novel
    assert novel.isascii() and "\r" not in novel
    assert [len(novel), len(set(novel))] == [683_776, 74]


def test_cifar10_is_read_out_of_its_authors_archive(small_cifar10):
    x_train, y_train, x_test, y_test = load_cifar10()
    assert [x_train.shape, x_test.shape] == [(20, 3, 32, 32), (4, 3, 32, 32)]
    assert [a.dtype for a in (x_train, y_train, x_test, y_test)] == [np.float32, np.int64] * 2
    for place in range(20):
        record = small_cifar10[f"data_batch_{place // 4 + 1}.bin"][place % 4]
        assert y_train[place] == record[0]
        red, green, blue = x_train[place]
        assert red[0, 1] == np.float32(record[2]) / 255
        assert green[1, 0] == np.float32(record[1 + 1024 + 32]) / 255
        assert blue[31, 31] == np.float32(record[3072]) / 255
    assert y_test.tolist() == small_cifar10["test_batch.bin"][:, 0].tolist()
    x_train[:] = 0  # it is the caller's own


def test_the_whole_of_mnist_is_read_out_of_its_authors_files(small_mnist):
    loaded = load_mnist(full=True)
    for got, wanted, scale in zip(loaded, small_mnist, [255, 1] * 2, strict=True):
        np.testing.assert_allclose(got * scale, wanted, atol=1e-4)
    assert [a.dtype for a in loaded] == [np.float32, np.int64] * 2


@pytest.mark.parametrize(
    ("load", "name"),
    [(load_cifar10, "cifar10"), (lambda: load_mnist(full=True), "mnist-full")],
    ids=["cifar10", "mnist"],
)
def test_what_is_not_here_says_how_to_get_it(load, name, cache_folder):
    with pytest.raises(DataError, match=f"`tito data fetch {name}`") as told:
        load()
    assert str(cache_folder / name) in told.value.message and "--from" in told.value.message
    assert not cache_folder.exists()


@pytest.mark.parametrize("damage", [b"", b"not a gzip file", None])
def test_what_was_damaged_is_never_learned_from(small_cifar10, small_mnist, cache_folder, damage):
    for folder in cache_folder.iterdir():
        file = max(folder.iterdir())
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content) if damage is None else damage)
    for load, name in ((load_cifar10, "cifar10"), (lambda: load_mnist(full=True), "mnist-full")):
        with pytest.raises(DataError, match=f"is damaged: .*`tito data fetch {name}` gets it again"):
            load()


def test_loading_only_reads(small_cifar10, small_mnist, cache_folder, monkeypatch):
    """A grading kernel can't write here, nor can a student in a folder that the class shares."""
    before = sorted((p, p.stat().st_mtime_ns) for p in cache_folder.rglob("*"))
    monkeypatch.setattr(os, "mkdir", lambda *a, **k: pytest.fail("made a folder"))
    load_cifar10(), load_mnist(full=True)
    assert sorted((p, p.stat().st_mtime_ns) for p in cache_folder.rglob("*")) == before


def test_a_file_that_may_not_be_read_is_named(as_ordinary_user, small_cifar10, cache_folder, monkeypatch):
    (path,) = (cache_folder / "cifar10").iterdir()
    with as_ordinary_user() as folder:
        copy = folder / "cifar10"
        copy.mkdir()
        (copy / path.name).write_bytes(b"")
        (copy / path.name).chmod(stat.S_IWUSR)
        monkeypatch.setenv("TINYTORCH_DATA", str(folder))
        with pytest.raises(DataError, match=r"cifar\.tar\.gz can't be read \(Permission denied\)"):
            load_cifar10()

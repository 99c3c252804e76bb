"""The data loaders: right shapes, right numbers, and a clear word when a file is not what it was."""

from pathlib import Path

import numpy as np
import pytest

from tinytorch_core.data import DataError, embedded, load_fashion_mnist, load_mnist

ROOT = Path(__file__).parents[2]


@pytest.fixture
def a_folder(tmp_path, monkeypatch):
    """An empty folder in place of the shipped data, and nothing remembered of the real one."""
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    embedded.embedded_arrays.cache_clear()
    yield tmp_path
    embedded.embedded_arrays.cache_clear()


def test_mnist_has_the_shapes_and_dtypes_it_promises():
    x_train, y_train, x_test, y_test = load_mnist()
    assert [x_train.shape, x_test.shape] == [(10_000, 28, 28), (2_000, 28, 28)]
    assert x_train.dtype == x_test.dtype == np.float32
    assert [y_train.shape, y_test.shape] == [(10_000,), (2_000,)]
    assert y_train.dtype == y_test.dtype == np.int64


def test_pixels_run_from_paper_0_to_ink_1():
    x_train, _, x_test, _ = load_mnist()
    for images in (x_train, x_test):
        assert [images.min(), images.max()] == [0, 1]
        assert images[:, :2].mean() < 0.01 < images.mean()  # the rim is paper


def test_every_digit_comes_equally_often():
    _, y_train, _, y_test = load_mnist()
    assert np.bincount(y_train).tolist() == [1000] * 10
    assert np.bincount(y_test).tolist() == [200] * 10


def test_fashion_mnist_has_the_form_of_mnist():
    x_train, y_train, x_test, y_test = load_fashion_mnist()
    assert [x_train.shape, x_test.shape] == [(5_000, 28, 28), (1_000, 28, 28)]
    assert [x_train.dtype, y_train.dtype, x_test.dtype, y_test.dtype] == [np.float32, np.int64, np.float32, np.int64]
    assert [np.bincount(y_train).tolist(), np.bincount(y_test).tolist()] == [[500] * 10, [100] * 10]
    assert [x_train.min(), x_train.max()] == [0, 1]


def test_what_one_caller_changes_the_next_never_sees():
    first = load_mnist()[0]
    first[:] = 7
    assert load_mnist()[0].max() == 1.0


def test_the_file_is_read_and_verified_once(monkeypatch):
    load_mnist()
    monkeypatch.setattr(np, "load", lambda *a, **k: pytest.fail("read twice"))
    load_mnist()


def test_a_missing_file_is_named(a_folder):
    with pytest.raises(DataError, match=r"mnist_12k\.npz can't be read.*Reinstall"):
        load_mnist()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_named(a_folder, content):
    (a_folder / "mnist_12k.npz").write_bytes(content)
    with pytest.raises(DataError, match="can't be read"):
        load_mnist()


def test_a_file_with_other_numbers_is_refused(a_folder):
    arrays = [np.zeros((10, 28, 28), np.uint8), np.zeros(10, np.uint8)] * 2
    np.savez(a_folder / "mnist_12k.npz", **dict(zip(embedded.KEYS, arrays, strict=True)))
    with pytest.raises(DataError, match="does not hold the numbers"):
        load_mnist()


def test_one_changed_pixel_is_noticed(a_folder):
    with np.load(ROOT / "historical" / "data" / "mnist_12k.npz") as file:
        arrays = {key: file[key] for key in embedded.KEYS}
    arrays["x_test"][0, 14, 14] ^= 1
    np.savez(a_folder / "mnist_12k.npz", **arrays)
    with pytest.raises(DataError, match="does not hold the numbers"):
        load_mnist()


def test_every_embedded_file_is_licensed_and_every_digest_has_its_file():
    shipped = {path.stem for path in embedded.FOLDER.glob("*.npz")}
    assert set(embedded.SHA256) == shipped
    licences = (ROOT / "DATA_LICENSES").read_text(encoding="utf-8")
    for name in shipped:
        assert name in licences
    for words in ("CC BY-SA 3.0", "subset", "NIST"):
        assert words in licences

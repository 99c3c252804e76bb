"""What ships with the package is held to its digest, and a file that is not what it was is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinytorch_core.data import DataError, embedded, load_fashion_mnist, load_mnist, load_novel
from tinytorch_core.data.catalogue import dataset, datasets

ROOT = Path(__file__).parents[3]
SHIPPED = [d for d in datasets() if d.shipped]


def test_an_npz_is_read_and_verified_once(monkeypatch):
    load_mnist()
    monkeypatch.setattr(np, "load", lambda *a, **k: pytest.fail("read twice"))
    load_mnist()


@pytest.mark.parametrize(
    ("load", "name"),
    [(load_mnist, r"mnist_12k\.npz"), (load_fashion_mnist, r"fashion_6k\.npz"), (load_novel, r"austen\w*\.txt")],
)
def test_a_missing_file_is_named(shipped_folder, load, name):
    with pytest.raises(DataError, match=rf"{name} can't be read.*Reinstall"):
        load()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_named(shipped_folder, content):
    (shipped_folder / "mnist_12k.npz").write_bytes(content)
    with pytest.raises(DataError, match="can't be read"):
        load_mnist()


def test_a_file_with_other_numbers_is_refused(shipped_folder):
    arrays = [np.zeros((10, 28, 28), np.uint8), np.zeros(10, np.uint8)] * 2
    np.savez(shipped_folder / "mnist_12k.npz", **dict(zip(embedded.KEYS, arrays, strict=True)))
    with pytest.raises(DataError, match="does not hold the numbers"):
        load_mnist()


def test_one_changed_pixel_is_noticed(shipped_folder):
    with np.load(ROOT / "historical" / "data" / "mnist_12k.npz") as file:
        arrays = {key: file[key] for key in embedded.KEYS}
    arrays["x_test"][0, 14, 14] ^= 1
    np.savez(shipped_folder / "mnist_12k.npz", **arrays)
    with pytest.raises(DataError, match="does not hold the numbers"):
        load_mnist()


def test_a_novel_with_other_line_ends_is_refused(shipped_folder):
    text = (ROOT / "historical" / "data" / "austen_pride_prejudice.txt").read_bytes()
    (shipped_folder / "austen_pride_prejudice.txt").write_bytes(text.replace(b"\n", b"\r\n"))
    with pytest.raises(DataError, match="is not what it shipped as: its sha256 is"):
        load_novel()


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda d: d.id)
def test_what_ships_is_verified_anew_each_time(shipped, monkeypatch, tmp_path):
    embedded.verify(shipped)
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    with pytest.raises(DataError):
        embedded.verify(shipped)


def test_every_shipped_file_is_in_the_catalogue_with_its_size():
    listed = {part.name: part.bytes for d in SHIPPED for part in d.parts}
    assert {path.name: path.stat().st_size for path in embedded.FOLDER.iterdir()} == listed


def test_git_changes_no_line_end_on_the_way():
    assert "historical/data/* -text" in (ROOT / ".gitattributes").read_text()


def test_a_data_set_of_arrays_is_named_by_its_id():
    assert embedded.embedded_arrays("fashion-mnist")[0].shape == (5000, 28, 28)
    assert dataset("fashion-mnist").parts[0].name == "fashion_6k.npz"

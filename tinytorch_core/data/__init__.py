"""Loaders for the data that the historical notebooks run on.

MNIST's and Fashion-MNIST's subsets and the novel ship with the package and need no network. `tito data fetch` gets the others.
Where each data set comes from, and under which licence, stands in DATA_LICENSES.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch_core.data import fetched
from tinytorch_core.data.embedded import embedded_arrays, embedded_text
from tinytorch_core.data.errors import DataError, NotFetched

__all__ = [
    "CIFAR10_CLASSES",
    "DataError",
    "FASHION_CLASSES",
    "NotFetched",
    "load_cifar10",
    "load_fashion_mnist",
    "load_mnist",
    "load_novel",
]

Images = NDArray[np.float32]
Labels = NDArray[np.int64]

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def load_mnist(full: bool = False) -> tuple[Images, Labels, Images, Labels]:
    """Handwritten digits: (x_train, y_train, x_test, y_test) of MNIST (LeCun, Cortes, Burges).

    A subset: 10,000 images to learn from, 1,000 a digit, and 2,000 to test with, 200 a digit. With `full=True` all 60,000 and
    10,000, once `tito data fetch mnist-full` has got them. Images are float32 in [0, 1] of shape (N, 28, 28), 0 is paper and
    1 is ink; labels are int64 of shape (N,). The arrays are yours to change.
    DataError if the file that ships with the package is missing or damaged, NotFetched (a DataError) if the full set is.
    """
    return _as_numbers(fetched.mnist() if full else embedded_arrays("mnist"))


def load_fashion_mnist() -> tuple[Images, Labels, Images, Labels]:
    """Pieces of clothing: (x_train, y_train, x_test, y_test), a subset of Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017).

    5,000 images to learn from, 500 a class, and 1,000 to test with, 100 a class; the split is our own. FASHION_CLASSES names
    the classes. The form is that of `load_mnist`. DataError if the file that ships with the package is missing or damaged.
    """
    return _as_numbers(embedded_arrays("fashion-mnist"))


def load_novel() -> str:
    """*Pride and Prejudice* (Jane Austen, 1813), 683,776 characters, 74 different ones, all ASCII.

    DataError if the file that ships with the package is missing or damaged.
    """
    return embedded_text("novel")


def load_cifar10() -> tuple[Images, Labels, Images, Labels]:
    """Small photographs: (x_train, y_train, x_test, y_test) of CIFAR-10 (Krizhevsky, 2009).

    50,000 images to learn from and 10,000 to test with, float32 in [0, 1] of shape (N, 3, 32, 32), the planes red, green,
    blue; labels are int64 of shape (N,), and CIFAR10_CLASSES names them. All together takes 740 MB of memory.
    It does not ship with the package: NotFetched (a DataError) until `tito data fetch cifar10` has got it.
    """
    return _as_numbers(fetched.cifar10())


def _as_numbers(arrays: tuple[NDArray[Any], ...]) -> tuple[Images, Labels, Images, Labels]:
    x_train, y_train, x_test, y_test = arrays
    return _images(x_train), _labels(y_train), _images(x_test), _labels(y_test)


def _images(pixels: NDArray[Any]) -> Images:
    images = pixels.astype(np.float32)
    images /= 255
    return images


def _labels(labels: NDArray[Any]) -> Labels:
    return labels.astype(np.int64)

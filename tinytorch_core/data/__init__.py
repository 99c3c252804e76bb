"""Loaders for the data that the historical notebooks run on. What ships with the package needs no network.

Where each data set comes from, and under which licence, stands in DATA_LICENSES.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch_core.data.embedded import DataError, embedded_arrays

__all__ = ["DataError", "load_fashion_mnist", "load_mnist"]

Images = NDArray[np.float32]
Labels = NDArray[np.int64]


def load_mnist() -> tuple[Images, Labels, Images, Labels]:
    """Handwritten digits: (x_train, y_train, x_test, y_test), a subset of MNIST (LeCun, Cortes, Burges).

    10,000 images to learn from, 1,000 a digit, and 2,000 to test with, 200 a digit. Images are float32 in [0, 1] of
    shape (N, 28, 28), 0 is paper and 1 is ink; labels are int64 of shape (N,). The arrays are yours to change.
    DataError if the file that ships with the package is missing or damaged.
    """
    x_train, y_train, x_test, y_test = embedded_arrays("mnist_12k")
    return _images(x_train), _labels(y_train), _images(x_test), _labels(y_test)


def load_fashion_mnist() -> tuple[Images, Labels, Images, Labels]:
    """Pictures of clothes: (x_train, y_train, x_test, y_test), a subset of Fashion-MNIST (Xiao, Rasul, Vollgraf).

    5,000 pictures to learn from, 500 a class, and 1,000 to test with, 100 a class. The same form as `load_mnist`: 0 is
    background. Labels: 0 T-shirt/top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag,
    9 ankle boot. DataError if the file that ships with the package is missing or damaged.
    """
    x_train, y_train, x_test, y_test = embedded_arrays("fashion_6k")
    return _images(x_train), _labels(y_train), _images(x_test), _labels(y_test)


def _images(pixels: NDArray[Any]) -> Images:
    images = pixels.astype(np.float32)
    images /= 255
    return images


def _labels(labels: NDArray[Any]) -> Labels:
    return labels.astype(np.int64)

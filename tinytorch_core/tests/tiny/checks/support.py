"""What several check files share."""

import numpy as np


def heaps(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random numbers around 3, so that no sum is near zero."""
    return rng.normal(loc=3.0, size=shape)

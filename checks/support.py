"""What several modules' checks share. Bodies use it inside the kernel, so it imports nothing but NumPy and the standard library."""

from contextlib import contextmanager

import numpy as np

STRICT = {"over": "raise", "divide": "raise", "invalid": "raise"}
"""For np.errstate: what NumPy would only warn of is an error. (A tiny number that rounds to zero is fine.)"""


def shuffled(rng, items):
    """The items in a random order: a draw of yes and no that is never one-sided, as coins would be now and then."""
    return [items[i] for i in rng.permutation(len(items))]


def pairs_of_seeds(rng):
    """Eight pairs of seeds, half of them of two equal ones."""
    same = shuffled(rng, [True, False] * 4)
    return [[int(a), int(a if s else a + b)] for (a, b), s in zip(rng.integers(1, 9, size=(8, 2)), same, strict=True)]


def every_flags(rng, width):
    """Every row of `width` yes and no that there is, in a random order."""
    return shuffled(rng, [[bool(number >> place & 1) for place in range(width)] for number in range(2**width)])


def told(what, raised, kind="ValueError"):
    """An answer to a yes-or-no question that says what the question was."""
    return f"{what}: {kind if raised else f'no {kind}'}"


def slopes(function, arrays, gradient, eps=1e-5):
    """How the sum of function(*arrays) · gradient changes with every number of every array, by central differences."""
    arrays, found = [np.array(x, dtype=np.float64) for x in arrays], []
    for x in arrays:
        slope = np.zeros(x.shape)
        for i in np.ndindex(x.shape):
            old, sides = x[i], []
            for step in (eps, -eps):
                x[i] = old + step
                sides.append(np.sum(function(*arrays) * gradient))
            x[i] = old
            slope[i] = (sides[0] - sides[1]) / (2 * eps)
        found.append(slope)
    return found


def often(call, times):
    """What `call()` returns, called `times` times: for timing what is over in microseconds."""
    for _ in range(times):
        answer = call()
    return answer


@contextmanager
def engine_hears(tt):
    """A list of what the engine is told while the block runs: one dict for each operation."""
    heard = []

    class Listener:
        def record(self, op, inputs, arrays, params, kept, output):
            said = {
                "op": op,
                "inputs": list(inputs),
                "arrays": list(arrays),
                "params": params,
                "kept": kept,
                "output": output,
            }
            heard.append(said)

    before, tt.Tensor.engine = tt.Tensor.engine, Listener()
    try:
        yield heard
    finally:
        tt.Tensor.engine = before

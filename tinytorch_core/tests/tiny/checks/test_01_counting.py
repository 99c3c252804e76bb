"""Counting: how many there are, and what is usual."""

import numpy as np
from support import heaps

from tinytorch_core.kernel.checking import at_most, exercise, given, raises, stage, wants


def many(rng):
    return [[None] * int(n) for n in rng.integers(0, 50, size=8)]


@exercise("count-items")
@given(lambda rng: {"heaps": many(rng)})
@wants(lambda heaps: [sum(1 for _ in heap) for heap in heaps])
def test_counts_heaps(tt, heaps):
    """count gives the number of items.

    Python can tell you how long a sequence is.
    """
    return [tt.count(heap) for heap in heaps]


@exercise("count-mean")
@given(lambda rng: {"values": heaps(rng, (3, int(rng.integers(2, 9))))})
@wants(lambda values: float(np.mean(values)))
def test_mean_of_all(tt, values):
    """mean adds every element and divides by how many there are.

    An array knows its .size, whatever its shape.
    """
    return tt.mean(values)


@exercise("count-mean")
@given(lambda rng: {"sizes": rng.permutation([0, 1] * 5).tolist()})
@wants(lambda sizes: [n == 0 for n in sizes])
def test_mean_of_nothing(tt, sizes):
    """The mean of an empty array raises ValueError, that of any other does not.

    Look at .size before you divide.
    """
    return [raises(ValueError, lambda n=n: tt.mean(np.ones(n))) for n in sizes]


@stage("import")
@given(lambda rng: {"values": heaps(rng, (4,))})
@wants(lambda values: [4, float(np.mean(values))])
def test_package_has_both(tt, values):
    """The package has count and mean."""
    return [tt.count(values), tt.mean(values)]


@stage("compatibility")
@exercise("count-mean")
@given(lambda rng: {"whole": rng.integers(0, 100, size=7)})
@wants(lambda whole: sum(int(n) for n in whole) / 7)
def test_mean_of_whole_numbers(tt, whole):
    """The mean of whole numbers is a Python float.

    float(...) turns NumPy's number into Python's.
    """
    return tt.mean(whole)


@stage("integration")
@given(lambda rng: {"values": heaps(rng, (6,))})
@wants(lambda values: float(np.sum(values)))
def test_count_times_mean_is_the_sum(tt, values):
    """How many there are, times the mean, is the sum."""
    return tt.count(values) * tt.mean(values)


@stage("performance")
@exercise("count-mean")
@given(lambda rng: {"values": heaps(rng, (20_000,))})
@wants(lambda values: float(np.mean(values)))
@at_most(8.0, times_of=lambda values: [np.mean(values) for _ in range(50)])
def test_mean_is_not_a_loop(tt, values):
    """mean lets NumPy add: it is nearly as fast as NumPy's own.

    values.sum() adds in compiled code.
    """
    return [tt.mean(values) for _ in range(50)][-1]

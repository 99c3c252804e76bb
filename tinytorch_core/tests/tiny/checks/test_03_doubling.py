"""Doubling: once, and as often as you like."""

import numpy as np
from support import heaps

from tinytorch_core.kernel.checking import at_most, exercise, given, stage, wants


@exercise("double")
@given(lambda rng: {"values": heaps(rng, (2, int(rng.integers(1, 5))))})
@wants(lambda values: values * 2)
def test_doubles(tt, values):
    """double gives twice every element.

    Add the array to itself.
    """
    return tt.double(values)


@exercise("double")
@given(lambda rng: {"values": heaps(rng, (3,))})
@wants(lambda values: [values * 2, values])
def test_leaves_its_input_alone(tt, values):
    """double makes a new array; the one it was given stays as it was.

    values += values would change it in place.
    """
    return [tt.double(values), values]


@exercise("doubler")
@given(lambda rng: {"values": heaps(rng, (3,)), "times": int(rng.integers(2, 6))})
@wants(lambda values, times: values * 2**times)
def test_doubles_again_and_again(tt, values, times):
    """Doubler(times) doubles that many times.

    A loop around double.
    """
    return tt.Doubler(times)(values)


@exercise("doubler")
@given(lambda rng: {"values": heaps(rng, (3,))})
@wants(lambda values: values * 2)
def test_doubles_once_unless_told(tt, values):
    """Doubler() doubles once."""
    return tt.Doubler()(values)


@stage("import")
@given(lambda rng: {"values": heaps(rng, (4,))})
@wants(lambda values: [values * 2, values * 2])
def test_package_has_both(tt, values):
    """The package has double and Doubler."""
    return [tt.double(values), tt.Doubler(1)(values)]


@stage("compatibility")
@exercise("double")
@given(lambda rng: {"whole": rng.integers(0, 100, size=(5,))})
@wants(lambda whole: [int(n) * 2 for n in whole])
def test_whole_numbers_stay_whole(tt, whole):
    """Twice a whole number is whole."""
    return tt.double(whole).tolist()


@stage("integration")
@given(lambda rng: {"values": heaps(rng, (4,))})
@wants(lambda values: float(4 * np.sum(values)))
def test_total_of_doubles(tt, values):
    """The total of what was doubled twice is four times the total."""
    return tt.total(tt.Doubler(2)(values))


@stage("performance")
@exercise("double")
@given(lambda rng: {"values": heaps(rng, (20_000,))})
@wants(lambda values: values * 2)
@at_most(8.0, times_of=lambda values: [values + values for _ in range(50)])
def test_double_is_not_a_loop(tt, values):
    """double lets NumPy add: it is nearly as fast as NumPy's own."""
    return [tt.double(values) for _ in range(50)][-1]

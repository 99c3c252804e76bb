"""Adding: element by element, and altogether."""

import numpy as np
from support import heaps

from tinytorch_core.kernel.checking import at_most, error_text, exercise, given, judged, raises, stage, wants


@exercise("add-arrays")
@given(lambda rng: {"left": heaps(rng, (2, 3)), "right": heaps(rng, (2, 3))})
@wants(lambda left, right: np.sum([left, right], axis=0))
def test_adds_element_by_element(tt, left, right):
    """add gives the sum of each pair of elements.

    NumPy's + does it.
    """
    return tt.add(left, right)


@exercise("add-arrays")
@given(lambda rng: {"shapes": [[n, 3] for n in rng.permutation([1, 2, 3] * 3).tolist()]})
@wants(lambda shapes: [shape != [2, 3] for shape in shapes])
def test_refuses_other_shapes(tt, shapes):
    """add raises ValueError unless both shapes are equal; NumPy alone would repeat a row.

    Compare the two .shape.
    """
    return [raises(ValueError, lambda s=s: tt.add(np.ones((2, 3)), np.ones(s))) for s in shapes]


def names_both(answer, rows):
    if not isinstance(answer, str):
        return "the error has no message"
    return None if f"({rows}, 3)" in answer and "(2, 3)" in answer else f"the message names not both shapes: {answer!r}"


@exercise("add-arrays")
@given(lambda rng: {"rows": int(rng.integers(3, 1000))})
@judged(names_both)
def test_names_both_shapes(tt, rows):
    """The error of add says both shapes.

    An f-string with left.shape and right.shape.
    """
    return error_text(lambda: tt.add(np.ones((2, 3)), np.ones((rows, 3))))


@exercise("add-total")
@given(lambda rng: {"values": heaps(rng, (3, int(rng.integers(2, 6))))})
@wants(lambda values: float(np.sum(values)))
def test_total_of_all(tt, values):
    """total adds up every element.

    count times mean.
    """
    return tt.total(values)


@exercise("add-total")
@given(lambda rng: {"sizes": rng.permutation([0, 1, 2] * 3).tolist()})
@wants(lambda sizes: [float(n) for n in sizes])
def test_total_of_nothing(tt, sizes):
    """The total of an empty array is 0.0.

    mean refuses empty arrays, so look at .size first.
    """
    return [tt.total(np.ones(n)) for n in sizes]


@stage("import")
@given(lambda rng: {"values": heaps(rng, (4,))})
@wants(lambda values: [values * 2, float(np.sum(values)), 4])
def test_package_has_all(tt, values):
    """The package has add and total, beside the count of module 1."""
    return [tt.add(values, values), tt.total(values), tt.count(values)]


@stage("compatibility")
@exercise("add-arrays")
@given(lambda rng: {"whole": rng.integers(0, 100, size=(5,))})
@wants(lambda whole: whole + whole)
def test_whole_numbers_stay_whole(tt, whole):
    """The sum of whole numbers is whole."""
    return tt.add(whole, whole)


@stage("integration")
@given(lambda rng: {"left": heaps(rng, (4,)), "right": heaps(rng, (4,))})
@wants(lambda left, right: float(np.sum(left) + np.sum(right)))
def test_total_of_a_sum(tt, left, right):
    """The total of a sum is the sum of the totals."""
    return tt.total(tt.add(left, right))


@stage("performance")
@exercise("add-arrays")
@given(lambda rng: {"values": heaps(rng, (20_000,))})
@wants(lambda values: values * 2)
@at_most(8.0, times_of=lambda values: [values + values for _ in range(50)])
def test_add_is_not_a_loop(tt, values):
    """add lets NumPy add: it is nearly as fast as NumPy's own."""
    return [tt.add(values, values) for _ in range(50)][-1]

"""The difference between an answer and what was wanted, in words that a student can act on."""

import numpy as np
import pytest

from tinytorch_core.kernel.checking import a_tensor
from tinytorch_core.kernel.compare import describe, difference
from tinytorch_core.kernel.plain import Array, Other, decode, encode


class Tensor:
    def __init__(self, data):
        self.data = np.asarray(data)


def compared(wanted, answer, rtol=1e-5, atol=1e-6):
    return difference(wanted, decode(encode(answer)), rtol, atol)


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (None, None),
        (True, True),
        (3, 3),
        ("three", "three"),
        (1.0, 1.0 + 1e-9),
        (float("nan"), float("nan")),
        (float("-inf"), float("-inf")),
        ([1, [2.0, "x"]], (1, [2.0, "x"])),
        ({"a": 1, "b": [2.0]}, {"b": [2.0], "a": 1}),
        (np.arange(3.0), np.arange(3.0)),
        (np.arange(3.0), Tensor(np.arange(3.0))),
        (np.arange(3.0), np.arange(3.0, dtype=np.float32)),
        (np.arange(3), np.arange(3, dtype=np.int8)),
        (np.array([1.0, np.nan, np.inf]), np.array([1.0, np.nan, np.inf])),
        (a_tensor([1.0, 2.0]), Tensor([1.0, 2.0])),
        (np.float64(2), np.float32(2)),
        (np.float64(2), np.array(2.0)),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (np.array(["u", "v"]) == "u", np.array([True, False])),
    ],
)
def test_a_right_answer_differs_in_nothing(wanted, answer):
    assert compared(wanted, answer) is None


@pytest.mark.parametrize(
    ("wanted", "answer", "said"),
    [
        (1.0, 1, "expected a Python float near 1, got 1"),
        (1, 1.0, "expected the int 1, got the float 1.0"),
        (True, 1, "expected the bool True, got the int 1"),
        (None, False, "expected None, got False"),
        ("1", 1, "expected '1', got 1"),
        (2.5, np.float64(2.5), "expected a Python float near 2.5, got NumPy scalar(2.5)"),
        (2.5, np.array([2.5]), "expected a Python float near 2.5, got array([2.5])"),
        (2.5, Tensor([2.5]), "expected a Python float near 2.5, got Tensor([2.5])"),
        (2.5, None, "expected a Python float near 2.5, got None"),
        (2.5, 2.625, "expected 2.5, got 2.625"),
        (float("nan"), 1.0, "expected nan, got 1"),
        (1.0, float("nan"), "expected 1, got nan"),
        ([1, 2], [1, 2, 3], "expected 2 values, got 3"),
        ([1, 2], "12", "expected 2 values, got '12'"),
        ([1, [2, 3]], [1, [2, 4]], "expected 3 at [1][1], got 4"),
        ([4], [4.0], "expected the int 4 at [0], got the float 4.0"),
        (1, True, "expected the int 1, got the bool True"),
        ({"a": 1}, {"b": 1}, "expected the keys ['a'], got {'b': 1}"),
        ({"a": [1, 2]}, {"a": [1, 5]}, "expected 2 at ['a'][1], got 5"),
    ],
)
def test_another_kind_or_value_is_named(wanted, answer, said):
    assert compared(wanted, answer) == said


@pytest.mark.parametrize(
    ("wanted", "answer", "said"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), "expected shape (2, 3), got (3, 2)"),
        (np.zeros(1), np.float64(0), "expected shape (1,), got ()"),
        (np.zeros(2), [0.0, 0.0], "expected floats of shape (2,), got [0, 0]"),
        (np.zeros(2), np.zeros(2, dtype=int), "expected floats, got integers (dtype int64)"),
        (np.zeros(2, dtype=int), np.zeros(2, dtype=np.float32), "expected integers, got floats (dtype float32)"),
        (np.zeros(2, dtype=bool), np.zeros(2, dtype=np.int64), "expected booleans, got integers (dtype int64)"),
        (a_tensor([1.0]), np.array([1.0]), "expected a Tensor, got a NumPy array"),
        (a_tensor(1.0), np.float64(1.0), "expected a Tensor, got a NumPy scalar"),
        (a_tensor([1.0]), [1.0], "expected floats of shape (1,), got [1]"),
        ([0, np.zeros(1)], [0, np.zeros(2)], "expected shape (1,) at [1], got (2,)"),
    ],
)
def test_an_array_of_another_shape_or_kind_says_both(wanted, answer, said):
    assert compared(wanted, answer) == said


def test_the_largest_difference_is_named_with_its_place_and_how_many_are_off():
    answer = np.zeros((2, 3))
    answer[0, 1], answer[1, 2] = 0.25, -4.0
    assert compared(np.zeros((2, 3)), answer) == (
        "largest difference at [1, 2]: expected 0, got -4; 2 of 6 values are off"
    )


def test_one_wrong_number_needs_no_place():
    assert compared(np.float64(1), np.float64(3)) == "largest difference: expected 1, got 3"
    assert compared(np.array(1), np.array(3)) == "largest difference: expected 1, got 3"


def test_a_nan_where_a_number_was_wanted_is_the_largest_difference():
    said = compared(np.array([1.0, 2.0, 3.0]), np.array([1.0, np.nan, 300.0]))
    assert said == "largest difference at [1]: expected 2, got nan; 2 of 3 values are off"


def test_infinities_are_compared_without_a_warning():
    assert compared(np.array([np.inf, 1.0]), np.array([np.inf, 2.0])) == (
        "largest difference at [1]: expected 1, got 2; 1 of 2 values are off"
    )
    assert compared(np.array([np.inf, 0.0]), np.array([-np.inf, 0.0])) == (
        "largest difference at [0]: expected inf, got -inf; 1 of 2 values are off"
    )
    assert compared(np.array([1e308, 0.0]), np.array([-1e308, 0.0])) == (
        "largest difference at [0]: expected 1e+308, got -1e+308; 1 of 2 values are off"
    )


def test_wrong_booleans_and_integers_are_located_too():
    assert compared(np.array([True, False]), np.array([True, True])) == (
        "largest difference at [1]: expected False, got True; 1 of 2 values are off"
    )
    assert compared(np.array([[1], [2]]), np.array([[1], [9]], dtype=np.uint8)) == (
        "largest difference at [1, 0]: expected 2, got 9; 1 of 2 values are off"
    )


def test_tolerance_is_relative_and_absolute():
    assert compared(np.array([1000.0]), np.array([1000.5]), rtol=1e-3) is None
    assert compared(np.array([1000.0]), np.array([1000.5]), rtol=1e-5) is not None
    assert compared(0.0, 1e-9) is None
    assert compared(0.0, 1e-9, atol=0.0) is not None


@pytest.mark.parametrize(
    "wanted", [None, True, 1, 1.0, "x", [1], (), {}, {"a": 1}, np.zeros(2), a_tensor([1.0]), 2**80]
)
def test_what_is_not_plain_data_equals_nothing(wanted):
    assert difference(wanted, Other("EqualsEverything"), 1e9, 1e9) is not None


def test_what_the_author_wanted_but_is_not_plain_is_never_right():
    assert difference(1j, decode(encode(1j)), 1e-5, 1e-6) is not None
    assert difference(Other("x"), 1, 1e-5, 1e-6) is not None


def test_small_values_are_printed_and_large_ones_described():
    assert describe(Array("tensor", np.array([[1.0, 2.5]]))) == "Tensor([[1. , 2.5]])"
    assert describe(Array("array", np.zeros((5, 5)))) == "array of shape (5, 5)"
    assert describe(a_tensor(np.zeros(20))) == "Tensor of shape (20,)"
    assert describe(list(range(20))).endswith("10, 11, …]")
    assert len(describe("x" * 5000)) < 400
    assert describe({"k": [Other("Thing")]}) == "{'k': [an object of type Thing]}"

"""Plain data goes into a kernel and comes out unchanged; what is not plain is refused, however it is dressed up."""

import base64
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinytorch_core.kernel.plain import DTYPES, EXACT, MAX_DEPTH, Array, Other, decode, encode, foreign, unwrap

many = settings(deadline=None, database=None, max_examples=150)

numbers = arrays.arrays(
    st.sampled_from(sorted(DTYPES)).map(np.dtype), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | numbers
plain = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)

words = st.sampled_from(
    ["array", "dict", "float", "int", "other", "tensor", "scalar", "float64", "bool", "nan", "AAAA", "-5", ""]
)
json_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6) | words
any_json = st.recursive(
    json_leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(words | st.text(max_size=3), inner, max_size=2),
)
hostile_arrays = st.tuples(
    st.sampled_from(["array", "tensor"]) | any_json,
    st.sampled_from(["float64", "bool"]) | any_json,
    st.lists(st.integers(-1, 2) | any_json, max_size=3) | any_json,
    st.binary(max_size=16).map(lambda data: base64.b64encode(data).decode()) | any_json,
).map(lambda parts: {"array": list(parts)})


class Tensor:
    def __init__(self, data):
        self.data = data


def through_json(value):
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)))


def same(one, other):
    """Equality with exact types, in which nan is nan and -0.0 is not 0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, float):
        return math.isnan(one) and math.isnan(other) or (one, math.copysign(1, one)) == (other, math.copysign(1, other))
    return bool(one == other)


@many
@given(plain)
def test_plain_data_comes_out_as_it_went_in(value):
    assert same(unwrap(through_json(value)), value)


@many
@given(any_json | hostile_arrays)
def test_whatever_json_comes_decoding_gives_a_value_or_a_value_error(value):
    try:
        decoded = decode(value)
    except ValueError:
        return
    assert same(unwrap(through_json(unwrap(decoded))), unwrap(decoded)) or "other" in json.dumps(value)


@pytest.mark.parametrize("kind", ["array", "tensor", "scalar"])
def test_an_array_remembers_whether_it_was_an_array_a_tensor_or_a_number(kind):
    values = np.array([1.5, 2.5], dtype=np.float32) if kind != "scalar" else np.float32(1.5)
    found = through_json(Tensor(values) if kind == "tensor" else values)
    assert isinstance(found, Array)
    assert found.kind == kind
    assert np.array_equal(found.values, values)
    assert found.values.dtype == np.float32


@pytest.mark.parametrize("dtype", [">f8", ">i4", "<u2", ">f2"])
def test_the_order_of_bytes_does_not_matter(dtype):
    values = np.array([[1, 2, 3]], dtype=dtype)
    assert np.array_equal(through_json(values).values, values)


def test_a_view_with_strides_comes_out_whole():
    values = np.arange(12).reshape(3, 4)[::2, ::-1]
    assert np.array_equal(through_json(values).values, values)


def test_tuples_come_back_as_lists():
    assert through_json((1, (2.5, "x"))) == [1, [2.5, "x"]]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (object(), "object"),
        (1j, "complex"),
        (b"bytes", "bytes"),
        ({1, 2}, "set"),
        ({1: "not a string"}, "dict"),
        (np.array([1j]), "array of complex128"),
        (np.array([None]), "array of object"),
        (np.array(["text"]), "array of str128"),
        (len, "builtin_function_or_method"),
        (Tensor([1.0]), "Tensor"),
        (1 << 5000, "int"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_has_no_plain_form_keeps_only_the_name_of_its_type(value, name):
    assert through_json([value]) == [Other(name)]


class Half(float):
    pass


@pytest.mark.parametrize("value", [Half(0.5), type("Text", (str,), {})("x"), type("Items", (list,), {})([1])])
def test_a_subclass_is_not_taken_for_what_it_derives_from(value):
    assert isinstance(through_json(value), Other)


def test_nesting_ends_where_decoding_would_refuse_it():
    value: object = 1
    for _ in range(MAX_DEPTH + 5):
        value = [value]
    found = through_json(value)
    for _ in range(MAX_DEPTH):
        found = found[0]
    assert found == Other("list")


def test_a_list_that_holds_itself_ends():
    loop: list[object] = []
    loop.append(loop)
    assert "Other" in repr(through_json(loop))


def test_a_data_property_that_raises_is_the_students_error():
    class Broken:
        @property
        def data(self):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        encode(Broken())


def coded(values: bytes) -> str:
    return base64.b64encode(values).decode()


EIGHT = coded(bytes(8))


@pytest.mark.parametrize(
    "value",
    [
        {"array": ["array", "float64", [1], coded(bytes(7))]},
        {"array": ["array", "float64", [2], EIGHT]},
        {"array": ["array", "float64", [-1], EIGHT]},
        {"array": ["array", "float64", [True], EIGHT]},
        {"array": ["array", "float64", [1.0], EIGHT]},
        {"array": ["array", "float64", [2**40, 2**40, 0], ""]},
        {"array": ["array", "float64", [2**31 - 1] * 16, ""]},
        {"array": ["array", "float64", [0] + [2**30] * 15, ""]},
        {"array": ["array", "float64", [1] * 17, EIGHT]},
        {"array": ["array", "float64", "1", EIGHT]},
        {"array": ["array", "float64", [1], "not base64!"]},
        {"array": ["array", "float64", [1], "ääää"]},
        {"array": ["array", "float64", [1], [0]]},
        {"array": ["array", "object", [1], EIGHT]},
        {"array": ["array", "complex128", [1], coded(bytes(16))]},
        {"array": ["array", ["float64"], [1], EIGHT]},
        {"array": ["array", {}, [1], EIGHT]},
        {"array": [["array"], "float64", [1], EIGHT]},
        {"array": ["matrix", "float64", [1], EIGHT]},
        {"array": ["array", "bool", [2], coded(bytes([1, 2]))]},
        {"array": ["array", "float64", [1]]},
        {"array": {"kind": "array"}},
        {"float": "1.0"},
        {"float": "infinity"},
        {"float": 1.0},
        {"int": "1e5"},
        {"int": "--5"},
        {"int": ""},
        {"int": "-"},
        {"int": "9" * 3000},
        {"int": 5},
        {"other": 5},
        {"other": "x" * 5000},
        {"dict": []},
        {"dict": {}, "array": []},
        {"tensor": [1]},
        {},
        EXACT + 1,
        -(10**400),
        {1, 2},
        object(),
    ],
)
def test_a_malformed_value_is_refused(value):
    with pytest.raises(ValueError):  # noqa: PT011 each is refused in words of its own
        decode(value)


def test_an_array_that_claims_to_be_huge_costs_nothing():
    with pytest.raises(ValueError, match="bytes do not fit"):
        decode({"array": ["array", "float64", [2**31 - 1, 2**31 - 1], EIGHT]})


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"dict": {"k": v}}], ids=["lists", "dicts"])
def test_deep_nesting_is_refused(wrap):
    value: object = 1
    for _ in range(400):
        value = wrap(value)
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(value)


def test_a_decoded_array_can_be_written_to():
    decoded = through_json(np.zeros(3))
    decoded.values[0] = 1
    assert decoded.values.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"x": [1, {"y": (2.5, object())}]}, "object"),
        ([1j], "complex"),
        ({"x": np.zeros(3), "y": [None, "text", True, 2**60, float("nan")]}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_what_had_no_plain_form_is_found_wherever_it_is(value, name):
    assert foreign(encode(value)) == name

"""Checks of module 02: the tensor, its door, and the operations on it."""

import importlib
import tracemalloc
from functools import reduce

import numpy as np
from support import engine_hears, shuffled

from tinytorch_core.kernel.checking import a_tensor, at_most, error_text, exercise, given, judged, raises, stage, wants


def tensors(answers):
    return {name: a_tensor(values) for name, values in answers.items()}


def away_from_zero(rng, *shape):
    return rng.uniform(0.5, 3.0, size=shape) * rng.choice([-1.0, 1.0], size=shape)


def without(facts, name):
    return {key: value for key, value in facts.items() if key != name}


def names_every_shape(texts, shapes):
    """Each error text must name all of its shapes; spaces do not matter."""
    if not isinstance(texts, list) or len(texts) != len(shapes):
        return "an error message was expected for each pair of shapes"
    for text, pair in zip(texts, shapes, strict=True):
        for shape in pair:
            if not isinstance(text, str) or str(tuple(shape)).replace(" ", "") not in text.replace(" ", ""):
                return f"the ValueError for shapes {' and '.join(str(tuple(s)) for s in pair)} should name both; it said {text!r}"
    return None


# --- tensor-data -----------------------------------------------------------------------------------------------------


@exercise("tensor-data")
@given(
    lambda rng: {
        "numbers": rng.normal(size=(int(rng.integers(2, 4)), 2)).tolist(),
        "whole": rng.integers(-99, 99, size=4).tolist(),
    }
)
@wants(
    lambda numbers, whole: [
        a_tensor(np.float32(numbers)),
        "float32",
        a_tensor(np.float32(whole)),
        "float32",
        a_tensor(np.float32(whole[0])),
        "float32",
    ]
)
def test_numbers_and_lists_become_float32(tt, numbers, whole):
    """Python numbers and lists become float32, whole numbers too.

    np.array gives lists float64 or int64; unless a dtype is asked for, make that np.float32.
    """
    lists, integers, number = tt.Tensor(numbers), tt.Tensor(whole), tt.Tensor(whole[0])
    return lists, str(lists.dtype), integers, str(integers.dtype), number, str(number.dtype)


@exercise("tensor-data")
@given(
    lambda rng: {
        "arrays": [
            rng.uniform(0, 9, size=3).astype(kind)
            for kind in shuffled(rng, ["float64", "float32", "int64", "int32", "uint8", "bool"])
        ]
    }
)
@wants(lambda arrays: [[a_tensor(x), str(x.dtype), str(x.dtype)] for x in arrays], rtol=1e-15, atol=0)
def test_arrays_keep_their_dtype(tt, arrays):
    """NumPy arrays and tensors keep their dtype, and every digit.

    isinstance(data, np.ndarray) tells you that somebody chose the dtype on purpose. A Tensor is another such case.
    """
    first = [tt.Tensor(x) for x in arrays]
    return [[x, str(x.dtype), str(tt.Tensor(x).dtype)] for x in first]


@exercise("tensor-data")
@given(
    lambda rng: {"number": int(rng.integers(1, 99)), "kinds": shuffled(rng, ["float64", "float32", "int64", "int32"])}
)
@wants(lambda number, kinds: [[kind, kind] for kind in kinds])
def test_dtype_wins(tt, number, kinds):
    """With dtype=…, the tensor has that dtype, whatever the data was.

    Look at the argument first; the rule is for dtype=None.
    """
    return [
        [str(tt.Tensor(data, dtype=kind).dtype) for data in ([number], np.array([number], "int16"))] for kind in kinds
    ]


@exercise("tensor-data")
@given(
    lambda rng: {
        "x": rng.normal(size=(8, 3)).round(2),
        "kinds": shuffled(rng, ["array", "tensor"] * 4),
        "new": float(rng.normal()),
    }
)
@wants(lambda x, kinds, new: list(x))
def test_a_tensor_has_its_own_copy(tt, x, kinds, new):
    """A tensor holds a copy: when the array, or the tensor, that it was made from changes later, its own numbers stay.

    np.array(data) copies; np.asarray(data) hands out the same array. (.astype(…, copy=False) after a copy is fine.)
    """
    copies = []
    for row, kind in zip(x, kinds, strict=True):
        source = row.copy()
        origin = source if kind == "array" else tt.Tensor(source)
        made = tt.Tensor(origin)
        (source if kind == "array" else origin.data)[:] = new
        copies.append(made.data)
    return copies


@exercise("tensor-data")
@given(
    lambda rng: {
        "things": shuffled(rng, [None, "seven", ["a", "b"], [1.0, None], [["x"]], 7, [1.5, 2], True, [[0]], [False, 1]])
    }
)
@wants(
    lambda things: [not all(isinstance(x, (int, float)) for x in np.array(thing, object).ravel()) for thing in things]
)
def test_only_numbers_are_held(tt, things):
    """What is not made of numbers or booleans raises TypeError.

    The dtype.kind of np.array(data) is one of "f", "i", "u", "b" for numbers and booleans, and another letter for anything else.
    """
    return [raises(TypeError, lambda thing=thing: tt.Tensor(thing)) for thing in things]


# --- tensor-apply ----------------------------------------------------------------------------------------------------


@exercise("tensor-apply")
@given(lambda rng: {"x": rng.normal(size=(2, 3)), "y": rng.normal(size=3), "factor": float(rng.uniform(2, 5))})
@wants(lambda x, y, factor: a_tensor(x * factor + y))
def test_door_runs_the_forward(tt, x, y, factor):
    """apply runs the operation's forward on the arrays, with its settings, and wraps the answer.

    run(op, arrays, params) calls the forward for you; wrap makes the Tensor.
    """
    scale_and_shift = tt.operation(lambda x, y, factor: x * factor + y)
    return tt.apply(scale_and_shift, tt.Tensor(x), tt.Tensor(y), factor=factor)


@exercise("tensor-apply")
@given(lambda rng: {"x": rng.normal(size=2), "y": rng.normal(size=2), "power": int(rng.integers(2, 5))})
@wants(
    lambda x, y, power: [
        {
            "inputs": [a_tensor(x), a_tensor(y)],
            "arrays": [x, y],
            "types of arrays": ["ndarray", "ndarray"],
            "params": {"power": power},
            "kept": y**power,
            "output": a_tensor(x * y**power),
        }
    ]
)
def test_engine_hears_everything(tt, x, y, power):
    """The engine is told, once, the inputs, the arrays, the settings, what was kept, and the output.

    If the forward returned a tuple, its second part is `kept`. The engine gets the Tensors in inputs, the NumPy arrays in arrays.
    """
    weigh = tt.operation(lambda x, y, power: (x * y**power, y**power))
    with engine_hears(tt) as heard:
        tt.apply(weigh, tt.Tensor(x), tt.Tensor(y), power=power)
    return [without(facts, "op") | {"types of arrays": [type(a).__name__ for a in facts["arrays"]]} for facts in heard]


@exercise("tensor-apply")
@given(lambda rng: {"x": rng.normal(size=2), "signs": rng.choice([-1.0, 1.0], size=8).tolist()})
@wants(lambda x, signs: [[True, True, None, a_tensor(x * sign)] for sign in signs])
def test_engine_gets_the_output_itself(tt, x, signs):
    """The engine gets the operation and the very tensor that apply returns; kept is None when the forward kept nothing.

    Wrap once: record and return the same tensor, because module 07 notes on it how it came to be.
    """
    scale = tt.operation(np.multiply)
    with engine_hears(tt) as heard:
        outputs = [tt.apply(scale, tt.Tensor(x), sign) for sign in signs]
    return [[f["op"] is scale, f["output"] is o, f["kept"], o] for f, o in zip(heard, outputs, strict=False)]


DTYPES = [
    ("float32", "int64"),
    ("int64", "float32"),
    ("float64", "int32"),
    ("float32", "float64"),
    ("float64", "float64"),
    ("int64", "int64"),
]


def settled(a, b, of_integers):
    """The dtype that an operation on arrays of dtypes a and b should have."""
    floats = [kind for kind in (a, b) if kind.startswith("float")]
    return np.result_type(*floats).name if floats else of_integers


@exercise("tensor-apply")
@given(lambda rng: {"pairs": shuffled(rng, DTYPES), "numbers": rng.integers(1, 9, size=3).tolist()})
@wants(
    lambda pairs, numbers: [
        f"{a} * {b} is {settled(a, b, 'int64')}, {a} / {b} is {settled(a, b, 'float32')}" for a, b in pairs
    ]
)
def test_no_float64_unless_it_came_in(tt, pairs, numbers):
    """Integers with floats take the floats' dtype; float64 comes out only where float64 went in.

    Only float results need a look. Among the inputs, collect the dtypes of the NumPy arrays with dtype.kind "f".
    """
    x = {kind: tt.Tensor(numbers, dtype=kind) for kind in ("float32", "float64", "int32", "int64")}
    times, over = tt.operation(np.multiply), tt.operation(np.divide)
    return [f"{a} * {b} is {times(x[a], x[b]).dtype}, {a} / {b} is {over(x[a], x[b]).dtype}" for a, b in pairs]


@exercise("tensor-apply")
@given(lambda rng: {"whole": rng.integers(1, 99, size=4), "real": rng.normal(size=4).astype(np.float32)})
@wants(lambda whole, real: [a_tensor(whole * whole), a_tensor((whole * real).astype(np.float32)), a_tensor(whole > 50)])
def test_the_guard_changes_no_numbers(tt, whole, real):
    """Integers and booleans leave the door as they are, floats with the same values.

    The guard changes a dtype, with astype; never the numbers.
    """
    multiply, greater = tt.operation(np.multiply), tt.operation(np.greater)
    x = tt.Tensor(whole)
    return tt.apply(multiply, x, x), tt.apply(multiply, x, tt.Tensor(real)), tt.apply(greater, x, 50)


BESIDE = [
    ("float32", "float64"),
    ("float64", "float32"),
    ("float32", "int64"),
    ("float64", "int64"),
    ("int32", "int64"),
    ("uint8", "int64"),
]


@exercise("tensor-apply")
@given(lambda rng: {"number": int(rng.integers(2, 9)), "pairs": shuffled(rng, BESIDE)})
@wants(lambda number, pairs: [f"{kind} * {number} is {kind}, {kind} * np.{s}({number}) is {kind}" for kind, s in pairs])
def test_numbers_take_the_tensors_dtype(tt, number, pairs):
    """A Python number or a NumPy scalar takes the dtype of the tensor beside it.

    Python numbers pass as they are; plain_number makes one of a NumPy scalar.
    """
    times, n = tt.operation(np.multiply), number
    x = {kind: tt.Tensor([1, 2], dtype=kind) for kind, _ in pairs}
    scalar = {kind: np.dtype(kind).type(n) for _, kind in pairs}
    return [
        f"{a} * {n} is {times(x[a], n).dtype}, {a} * np.{b}({n}) is {times(x[a], scalar[b]).dtype}" for a, b in pairs
    ]


@exercise("tensor-apply")
@given(lambda rng: {"x": rng.normal(size=5), "number": float(rng.uniform(0.1, 0.9))})
@wants(lambda x, number: [a_tensor(x * number), a_tensor(np.sum(x)), "ndarray"], rtol=1e-14, atol=0)
def test_float64_stays_exact(tt, x, number):
    """In float64 every digit counts, beside Python numbers and for a single number too.

    Do not turn numbers into float32 on the way. A result of shape () must be an array, too: np.asarray.
    """
    scale, total = tt.operation(np.multiply), tt.operation(np.sum)
    one = tt.apply(total, tt.Tensor(x))
    return tt.apply(scale, tt.Tensor(x), number), one, type(one.data).__name__


# --- tensor-arithmetic -----------------------------------------------------------------------------------------------


@exercise("tensor-arithmetic")
@given(lambda rng: {"x": away_from_zero(rng, 2, 2), "y": away_from_zero(rng, 2, 2)})
@wants(lambda x, y: tensors({"x + y": x + y, "x - y": x - y, "x * y": x * y, "x / y": x / y, "-x": -x}))
def test_arithmetic_goes_element_by_element(tt, x, y):
    """+ − · / and the minus sign work element by element.

    Each body is one line of NumPy on arrays. * is the element-by-element product, also for matrices.
    """
    x, y = tt.Tensor(x), tt.Tensor(y)
    return {"x + y": x + y, "x - y": x - y, "x * y": x * y, "x / y": x / y, "-x": -x}


@exercise("tensor-arithmetic")
@given(lambda rng: {"x": rng.uniform(0.5, 2, size=2), "n": float(rng.uniform(2, 4))})
@wants(
    lambda x, n: tensors(
        {"n + x": n + x, "n - x": n - x, "n * x": n * x, "n / x": n / x, "n ** x": n**x, "x ** n": x**n, "x - n": x - n}
    )
)
def test_numbers_on_either_side(tt, x, n):
    """A number may stand on either side, and the order counts.

    In 5 - x, a is the number and b the tensor's array.
    """
    x = tt.Tensor(x)
    return {
        "n + x": n + x,
        "n - x": n - x,
        "n * x": n * x,
        "n / x": n / x,
        "n ** x": n**x,
        "x ** n": x**n,
        "x - n": x - n,
    }


@exercise("tensor-arithmetic")
@stage("compatibility")
@given(lambda rng: {"x": rng.integers(1, 50, size=5), "y": rng.integers(1, 50, size=5)})
@wants(lambda x, y: [a_tensor(x / y), "float32", a_tensor(x + y), "int64", a_tensor(x * y), "int64", a_tensor(x**2)])
def test_integers_stay_integers_until_divided(tt, x, y):
    """Integers stay integers, but their quotients are float32 fractions.

    Divide with /, not with //. The door takes care of the dtype.
    """
    x, y = tt.Tensor(x), tt.Tensor(y)
    return x / y, str((x / y).dtype), x + y, str((x + y).dtype), x * y, str((x * y).dtype), x**2


@exercise("tensor-arithmetic")
@stage("compatibility")
@given(
    lambda rng: {"table": away_from_zero(rng, 3, 2), "row": away_from_zero(rng, 2), "column": away_from_zero(rng, 3, 1)}
)
@wants(
    lambda table, row, column: [
        a_tensor(table + row),
        a_tensor(row * column),
        a_tensor(column - table),
        a_tensor(row / column),
    ]
)
def test_arithmetic_broadcasts(tt, table, row, column):
    """Rows and columns are stretched; an array beside a tensor gives a tensor.

    NumPy broadcasts for you, as long as you hand it the arrays as they are.
    """
    return (
        tt.Tensor(table) + tt.Tensor(row),
        tt.Tensor(row) * column,
        column - tt.Tensor(table),
        tt.Tensor(row) / tt.Tensor(column),
    )


# --- tensor-broadcast ------------------------------------------------------------------------------------------------


def fitting(rng):
    """Two shapes that fit: some axes are 1 on one side, and one shape may be shorter."""
    full = rng.integers(0, 6, size=rng.integers(1, 5)).tolist()
    a, b = ([1 if rng.random() < 0.3 else n for n in full] for _ in range(2))
    cut = int(rng.integers(0, len(full)))
    return shuffled(rng, [a, b[cut:]])


def clashing(rng):
    """Two shapes with one axis, counted from the right, on which they differ."""
    a, b = fitting(rng)
    axis = int(rng.integers(1, min(len(a), len(b)) + 1))
    a[-axis], b[-axis] = (int(n) for n in rng.choice([2, 3, 4, 5], size=2, replace=False))
    return [a, b]


def fit(a, b):
    try:
        return bool(np.broadcast_shapes(tuple(a), tuple(b))) or True
    except ValueError:
        return False


@exercise("tensor-broadcast")
@given(lambda rng: {"pairs": [fitting(rng) for _ in range(30)] + [[[3, 1], [4]], [[5], [2, 5]], [[1], [0]]]})
@wants(lambda pairs: [list(np.broadcast_shapes(tuple(a), tuple(b))) for a, b in pairs])
def test_broadcast_shape_follows_the_rule(tt, pairs):
    """Shapes are aligned on the right; missing axes count as 1, and 1 becomes the other size.

    Walk from the last axis to the first: a[-1] meets b[-1], a[-2] meets b[-2]. Where a size is 1, take the other (which may be 0).
    """
    return [list(tt.broadcast_shape(tuple(a), tuple(b))) for a, b in pairs]


@exercise("tensor-broadcast")
@given(lambda rng: {"pairs": shuffled(rng, [f(rng) for f in (fitting, clashing) for _ in range(10)])})
@wants(lambda pairs: [not fit(a, b) for a, b in pairs])
def test_shapes_that_clash_raise(tt, pairs):
    """Where two sizes differ and neither is 1, ValueError; where they fit, none.

    Also when one shape is shorter than the other: (2, 3) and (2,) do not fit.
    """
    return [raises(ValueError, lambda a=a, b=b: tt.broadcast_shape(tuple(a), tuple(b))) for a, b in pairs]


@exercise("tensor-broadcast")
@given(lambda rng: {"pairs": [clashing(rng) for _ in range(8)]})
@judged(lambda texts, pairs: names_every_shape(texts, pairs))
def test_the_message_names_both_shapes(tt, pairs):
    """The error says which two shapes do not fit.

    An f-string: f"shapes {a} and {b} do not fit".
    """
    return [error_text(lambda a=a, b=b: tt.broadcast_shape(tuple(a), tuple(b))) for a, b in pairs]


# --- tensor-matmul ---------------------------------------------------------------------------------------------------


def factors(rng):
    rows, inner, columns = (int(n) for n in rng.integers(2, 6, size=3))
    return {"a": rng.normal(size=(rows, inner)), "b": rng.normal(size=(inner, columns + rows))}


@exercise("tensor-matmul")
@given(factors)
@wants(lambda a, b: np.einsum("ik,kj->ij", a, b))
def test_loops_follow_the_definition(tt, a, b):
    """matmul_loops adds up row times column.

    Three loops: i over the rows of a, j over the columns of b, and k over what they share.
    """
    return tt.matmul_loops(a, b)


@exercise("tensor-matmul")
@given(lambda rng: {"s": rng.normal(size=(2, 2)), "t": rng.normal(size=(2, 2)), "v": rng.normal(size=2)} | factors(rng))
@wants(
    lambda a, b, s, t, v: tensors(
        {
            "a @ b": np.einsum("ik,kj->ij", a, b),
            "s @ t": np.einsum("ik,kj->ij", s, t),
            "s @ v": np.einsum("ik,k->i", s, v),
            "v @ s": np.einsum("k,kj->j", v, s),
            "v @ v": np.einsum("k,k->", v, v),
        }
    )
)
def test_matmul_multiplies_matrices(tt, a, b, s, t, v):
    """a @ b is the matrix product, for matrices and for vectors.

    NumPy's @ does it; the order counts.
    """
    a, b, s, t, v = (tt.Tensor(x) for x in (a, b, s, t, v))
    return {"a @ b": a @ b, "s @ t": s @ t, "s @ v": s @ v, "v @ s": v @ s, "v @ v": v @ v}


@exercise("tensor-matmul")
@stage("compatibility")
@given(
    lambda rng: {
        "a": rng.normal(size=(5, 2, 3)),
        "b": rng.normal(size=(5, 3, 4)),
        "w": rng.normal(size=(3, 4)),
        "many": rng.normal(size=(2, 1, 2, 3)),
    }
)
@wants(
    lambda a, b, w, many: [
        a_tensor(np.einsum("...ik,...kj->...ij", p, q)) for p, q in ((a, b), (a, w), (many, b), (a, w))
    ]
)
def test_matmul_of_batches(tt, a, b, w, many):
    """Leading axes are batches, and broadcast. An array beside a tensor is welcome.

    np.matmul and @ know batches; np.dot does something else with them.
    """
    return tt.Tensor(a) @ tt.Tensor(b), tt.Tensor(a) @ tt.Tensor(w), tt.Tensor(many) @ tt.Tensor(b), a @ tt.Tensor(w)


@exercise("tensor-matmul")
@stage("compatibility")
@given(lambda rng: {"pairs": [[[int(m), int(k)], [int(k) + 1, int(n)]] for m, k, n in rng.integers(1, 7, size=(8, 3))]})
@judged(lambda texts, pairs: names_every_shape(texts, pairs))
def test_matmul_says_which_shapes_clash(tt, pairs):
    """Where the inner sizes differ, a ValueError names both shapes.

    The door adds the shapes to NumPy's ValueError; let NumPy do the product and do not catch its error.
    """
    return [error_text(lambda a=a, b=b: tt.Tensor(np.ones(a)) @ tt.Tensor(np.ones(b))) for a, b in pairs]


# --- tensor-reduce ---------------------------------------------------------------------------------------------------


def reduced(function, x):
    cases = {
        "()": {},
        "axis=0": {"axis": 0},
        "axis=-1": {"axis": -1},
        "axis=(0, 2)": {"axis": (0, 2)},
        "keepdims": {"axis": 1, "keepdims": True},
    }
    return {name: a_tensor(function(x, **case)) for name, case in cases.items()}


@exercise("tensor-reduce")
@given(lambda rng: {"x": rng.normal(size=(2, 3, 4))})
@wants(lambda x: reduced(np.add.reduce, x) | {"()": a_tensor(x.ravel() @ np.ones(24))})
def test_sum_over_axes(tt, x):
    """sum adds over the axis you name: an int, a tuple, or None for all.

    Hand axis and keepdims on to the array's own sum.
    """
    x = tt.Tensor(x)
    return {
        "()": x.sum(),
        "axis=0": x.sum(0),
        "axis=-1": x.sum(axis=-1),
        "axis=(0, 2)": x.sum(axis=(0, 2)),
        "keepdims": x.sum(1, keepdims=True),
    }


@exercise("tensor-reduce")
@given(lambda rng: {"x": rng.normal(size=(2, 3, 4))})
@wants(lambda x: reduced(np.average, x))
def test_mean_over_axes(tt, x):
    """mean divides by the number of values that were added.

    Hand axis and keepdims on to the array's own mean.
    """
    x = tt.Tensor(x)
    return {
        "()": x.mean(),
        "axis=0": x.mean(0),
        "axis=-1": x.mean(axis=-1),
        "axis=(0, 2)": x.mean(axis=(0, 2)),
        "keepdims": x.mean(1, keepdims=True),
    }


@exercise("tensor-reduce")
@given(lambda rng: {"x": rng.normal(size=(2, 3, 4)) - 5})
@wants(lambda x: reduced(np.maximum.reduce, x) | {"()": a_tensor(np.sort(x.ravel())[-1])})
def test_max_over_axes(tt, x):
    """max gives the largest value over the axis you name, also where all values are negative.

    Hand axis and keepdims on to the array's own max.
    """
    x = tt.Tensor(x)
    return {
        "()": x.max(),
        "axis=0": x.max(0),
        "axis=-1": x.max(axis=-1),
        "axis=(0, 2)": x.max(axis=(0, 2)),
        "keepdims": x.max(1, keepdims=True),
    }


@exercise("tensor-reduce")
@stage("compatibility")
@given(lambda rng: {"whole": rng.integers(-50, 50, size=(3, 5))})
@wants(lambda whole: [a_tensor(whole.sum(0)), a_tensor(whole.mean(1)), "float32", a_tensor(whole.max(1))])
def test_reductions_of_integers(tt, whole):
    """Sum and max of integers are integers; their mean is float32.

    The door makes float32 of NumPy's float64; do not round.
    """
    x = tt.Tensor(whole)
    return x.sum(axis=0), x.mean(axis=1), str(x.mean(axis=1).dtype), x.max(axis=1)


# --- tensor-shape ----------------------------------------------------------------------------------------------------


@exercise("tensor-shape")
@given(lambda rng: {"x": rng.normal(size=(2, 3, 4))})
@wants(
    lambda x: [
        a_tensor(np.array(x.ravel().tolist()).reshape(shape)) for shape in ((6, 4), (4, 6), (24,), (3, 8), (2, 2, 6))
    ]
)
def test_reshape_keeps_reading_order(tt, x):
    """reshape keeps the numbers in reading order; one size may be −1, a tuple is fine.

    The array's own reshape does all of this.
    """
    x = tt.Tensor(x)
    return [x.reshape(6, 4), x.reshape((4, 6)), x.reshape(-1), x.reshape(3, -1), x.reshape(2, 2, 6)]


@exercise("tensor-shape")
@given(lambda rng: {"x": rng.normal(size=(2, 3, 4)), "table": rng.normal(size=(2, 5))})
@wants(
    lambda x, table: (
        [a_tensor(np.einsum(how, x)) for how in ("abc->bac", "abc->cba", "abc->acb", "abc->acb")]
        + [a_tensor([[row[i] for row in table] for i in range(5)])]
    )
)
def test_transpose_swaps_two_axes(tt, x, table):
    """transpose(dim0, dim1) exchanges two axes and leaves the others; .T exchanges the last two.

    NumPy calls this swapaxes; its own transpose moves all axes.
    """
    x = tt.Tensor(x)
    return [x.transpose(0, 1), x.transpose(0, 2), x.transpose(-1, 1), x.T, tt.Tensor(table).T]


@exercise("tensor-shape")
@given(lambda rng: {"x": rng.normal(size=(2, 3, 4, 5)), "dims": rng.permutation(4).tolist()})
@wants(
    lambda x, dims: [
        a_tensor(np.einsum(x, [0, 1, 2, 3], dims)),
        a_tensor(np.einsum("abcd->cdab", x)),
        a_tensor(np.einsum("abcd->bcda", x)),
    ]
)
def test_permute_orders_all_axes(tt, x, dims):
    """Axis i of x.permute(dims) is axis dims[i] of x.

    This is what NumPy calls transpose.
    """
    x = tt.Tensor(x)
    return [x.permute(*dims), x.permute((2, 3, 0, 1)), x.permute(1, 2, 3, 0)]


@exercise("tensor-shape")
@given(lambda rng: {"x": rng.normal(size=(5, 4)), "rows": rng.integers(0, 5, size=3), "i": int(rng.integers(0, 5))})
@wants(
    lambda x, rows, i: tensors(
        {
            "x[i]": x[i],
            "x[-1, 1:3]": x[-1, 1:3],
            "x[:, None]": x[:, None],
            "x[rows]": x[rows],
            "x[rows, [0, 1, 2]]": x[rows, [0, 1, 2]],
            "x[x > 0]": x[x > 0],
        }
    )
)
def test_indexing_reads(tt, x, rows, i):
    """x[key] reads numbers, slices, new axes, lists, integer tensors and masks.

    In the operation, key is ready for NumPy: x[key].
    """
    x, rows = tt.Tensor(x), tt.Tensor(rows)
    some = {"x[i]": x[i], "x[-1, 1:3]": x[-1, 1:3], "x[:, None]": x[:, None]}
    return some | {"x[rows]": x[rows], "x[rows, [0, 1, 2]]": x[rows, [0, 1, 2]], "x[x > 0]": x[x > 0]}


@exercise("tensor-shape")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=4), "places": rng.integers(-8, 8, size=12).tolist()})
@wants(lambda x, places: [[not -4 <= i < 4, True] for i in places])
def test_wrong_indices_raise(tt, x, places):
    """An index outside the tensor raises IndexError; assigning to an index raises TypeError.

    NumPy raises the IndexError by itself.
    """
    x = tt.Tensor(x)
    return [
        [raises(IndexError, lambda i=i: x[i]), raises(TypeError, lambda i=i: x.__setitem__(i, 0.0))] for i in places
    ]


# --- tensor-join -----------------------------------------------------------------------------------------------------


@exercise("tensor-join")
@given(lambda rng: {"a": rng.normal(size=(2, 3)), "b": rng.normal(size=(4, 3)), "c": rng.normal(size=(2, 5))})
@wants(lambda a, b, c: [a_tensor(np.r_[a, b, a]), a_tensor(np.c_[a, c]), a_tensor(np.c_[c, a, c])])
def test_concatenate_joins_end_to_end(tt, a, b, c):
    """concatenate lays all tensors of a list end to end along the axis; 0 unless you say so.

    Spread the list with a star: each tensor is an input of its own. axis is a setting, by name.
    """
    a, b, c = tt.Tensor(a), tt.Tensor(b), tt.Tensor(c)
    return tt.concatenate([a, b, a]), tt.concatenate([a, c], axis=1), tt.concatenate((c, a, c), axis=-1)


@exercise("tensor-join")
@given(lambda rng: {"parts": list(rng.normal(size=(3, 2, 4)))})
@wants(
    lambda parts: [
        a_tensor(parts),
        a_tensor([[part[i] for part in parts] for i in range(2)]),
        a_tensor(np.dstack(parts)),
    ]
)
def test_stack_makes_a_new_axis(tt, parts):
    """stack puts equal shapes side by side along a new axis; 0 unless you say so.

    The same as concatenate, with stack as the operation.
    """
    parts = [tt.Tensor(part) for part in parts]
    return tt.stack(parts), tt.stack(parts, axis=1), tt.stack(parts, axis=-1)


@exercise("tensor-join")
@stage("compatibility")
@given(lambda rng: {"parts": list(rng.normal(size=(int(rng.integers(2, 6)), 3)))})
@wants(lambda parts: [[a_tensor(part) for part in parts]] * 2)
def test_joining_goes_through_the_door(tt, parts):
    """The engine hears of every tensor that was joined.

    apply(concatenate, *tensors, axis=axis): what does not go through the door can never be traced back.
    """
    with engine_hears(tt) as heard:
        for join in (tt.concatenate, tt.stack):
            join([tt.Tensor(part) for part in parts], axis=0)
    return [facts["inputs"] for facts in heard]


@exercise("tensor-join")
@stage("compatibility")
@given(lambda rng: {"pairs": [[[2, int(n)], [2, int(n) + int(k)]] for n, k in rng.integers(1, 9, size=(8, 2))]})
@judged(lambda texts, pairs: names_every_shape(texts, pairs))
def test_joining_says_which_shapes_clash(tt, pairs):
    """Shapes that can't be joined raise a ValueError that names them all.

    The door words the error, if each tensor is an input of its own.
    """
    return [error_text(lambda a=a, b=b: tt.stack([tt.Tensor(np.ones(a)), tt.Tensor(np.ones(b))])) for a, b in pairs]


# --- tensor-create ---------------------------------------------------------------------------------------------------


@exercise("tensor-create")
@given(lambda rng: {"shape": rng.integers(1, 6, size=rng.integers(1, 4)).tolist()})
@wants(
    lambda shape: [
        [a_tensor(np.zeros(shape, np.float32)), "float32"],
        [a_tensor(np.zeros(shape, np.float32)), "float32"],
        [a_tensor(np.ones(shape, np.float32)), "float32"],
        [a_tensor(np.ones(shape, np.float32)), "float32"],
    ]
)
def test_zeros_and_ones(tt, shape):
    """zeros(2, 3) and zeros((2, 3)) are the same, and so with ones; both are float32.

    one_tuple(shape) makes one tuple of either way of calling. NumPy's own default is float64.
    """
    made = [tt.zeros(*shape), tt.zeros(tuple(shape)), tt.ones(*shape), tt.ones(tuple(shape))]
    return [[x, str(x.dtype)] for x in made]


@exercise("tensor-create")
@given(lambda rng: {"seeds": rng.integers(0, 4, size=10).tolist()})
@wants(lambda seeds: [[a == b for b in seeds] for a in seeds] + [False])
def test_a_seed_repeats_the_numbers(tt, seeds):
    """The same seed gives the same numbers, another seed others, and no seed new ones each time.

    Make a generator of your own for each call: np.random.default_rng(seed).
    """
    draws = [tt.randn(3, 2, seed=seed).data.tolist() for seed in seeds]
    return [[a == b for b in draws] for a in draws] + [tt.randn(9).data.tolist() == tt.randn(9).data.tolist()]


def standard_normal(answer, seed, shape):
    sample, dtype, generated = answer if isinstance(answer, list) and len(answer) == 3 else (None, None, None)
    if not isinstance(sample, np.ndarray) or sample.shape != tuple(shape) or dtype != "float32":
        return f"randn should give a float32 tensor of shape {tuple(shape)}"
    if not isinstance(generated, list) or len(generated) != 2 or generated[0] == generated[1]:
        return "randn given a NumPy Generator should draw from it, so that two calls give different numbers"
    mean, spread, outside = sample.mean(), sample.std(), (np.abs(sample) > 2).mean()
    if abs(mean) > 0.1 or abs(spread - 1) > 0.1 or abs(outside - 0.0455) > 0.02:
        return f"a standard normal sample has mean 0, deviation 1, and 4.6% beyond ±2; yours has {mean:.2f}, {spread:.2f}, {outside:.1%}"
    return None


@exercise("tensor-create")
@given(lambda rng: {"seed": int(rng.integers(2**31)), "shape": [60, int(rng.integers(90, 110))]})
@judged(standard_normal)
def test_randn_is_standard_normal(tt, seed, shape):
    """randn draws from the normal distribution around 0, with standard deviation 1, in float32.

    A generator has a method standard_normal(shape, dtype=np.float32).
    """
    sample, generator = tt.randn(*shape, seed=seed), np.random.default_rng(seed)
    return sample, str(sample.dtype), [tt.randn(2, seed=generator).data.tolist() for _ in range(2)]


@exercise("tensor-create")
@given(lambda rng: {"n": int(rng.integers(1, 40))})
@wants(lambda n: [a_tensor(np.cumsum(np.ones(n, int)) - 1), "int64", [n]])
def test_arange_counts(tt, n):
    """arange(n) counts from 0 to n − 1, in int64.

    np.arange, with the dtype said aloud.
    """
    x = tt.arange(n)
    return x, str(x.dtype), list(x.shape)


# --- the module as a whole -------------------------------------------------------------------------------------------

NAMES = [
    "Tensor",
    "apply",
    "operation",
    "zeros",
    "ones",
    "randn",
    "arange",
    "concatenate",
    "stack",
    "Sensor",
    "aply",
    "fours",
    "rand",
    "glue",
]


@stage("import")
@given(lambda rng: {"names": shuffled(rng, NAMES)})
@wants(lambda names: [NAMES.index(name) < 9 for name in names])
def test_module_imports_alone(tt, names):
    """`import tinytorch.tensor` works by itself, and its public names are there.

    If the import fails, run all cells from the top once and look for the first error.
    """
    module = importlib.import_module("tinytorch.tensor")
    return [callable(getattr(module, name, None)) for name in names]


@stage("import")
@given(lambda rng: {"numbers": rng.normal(size=3).tolist(), "learn": bool(rng.integers(2))})
@wants(lambda numbers, learn: [np.array(numbers), [3], 1, 3, "float32", None, learn])
def test_tensor_instantiates(tt, numbers, learn):
    """A Tensor has data, shape, ndim, size, dtype, grad and requires_grad.

    The class is given: if something is missing here, its cell was changed.
    """
    x = tt.Tensor(numbers, requires_grad=learn)
    return x.data, list(x.shape), x.ndim, x.size, str(x.dtype), x.grad, x.requires_grad


@stage("compatibility")
@given(lambda rng: {"x": rng.integers(0, 3, size=(2, 3)), "y": rng.integers(0, 3, size=3)})
@wants(lambda x, y: tensors({"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y, "==": x == y, "!=": x != y}))
def test_comparisons_are_boolean_tensors(tt, x, y):
    """Comparisons, == too, answer element by element with a boolean tensor.

    These operations are given; they go through your door, which leaves booleans alone.
    """
    x, y = tt.Tensor(x), tt.Tensor(y)
    return {"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y, "==": x == y, "!=": x != y}


@stage("compatibility")
@given(lambda rng: {"number": float(np.float32(rng.normal())), "row": rng.uniform(0.1, 3, size=3)})
@wants(
    lambda number, row: [
        number,
        "float",
        number,
        3,
        np.exp(row),
        np.log(row),
        np.sqrt(row),
        f"{number:.3f}",
        [number, number],
    ]
)
def test_back_to_python(tt, number, row):
    """item() is a Python number, numpy() an array; a tensor can be a key, and can be printed as a number.

    The class is given: if something is missing here, its cell was changed.
    """
    one, many = tt.Tensor(number), tt.Tensor(row)
    keys = {one: number, tt.Tensor(number): number}
    return (
        one.item(),
        type(one.item()).__name__,
        float(one),
        len(many),
        many.exp().numpy(),
        many.log(),
        many.sqrt(),
        f"{one:.3f}",
        list(keys.values()),
    )


@stage("compatibility")
@given(
    lambda rng: {
        "arrays": [
            rng.uniform(0, 3, size=2).astype(kind)
            for kind in rng.choice(["float32", "float64", "int64", "uint8", "bool"], size=10)
        ]
    }
)
@wants(lambda arrays: [[x.dtype.kind != "f", True] for x in arrays])
def test_gradients_are_for_floats_and_for_later(tt, arrays):
    """Only floats can require a gradient (ValueError); a tensor that needs none can't go backward (RuntimeError).

    The class is given: if something is missing here, its cell was changed.
    """
    return [
        [raises(ValueError, lambda a=a: tt.Tensor(a, requires_grad=True)), raises(RuntimeError, tt.Tensor(a).backward)]
        for a in arrays
    ]


@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=3), "gradient": rng.normal(size=3)})
@wants(lambda x, gradient: [gradient, None, x])
def test_zero_grad_forgets_the_gradient(tt, x, gradient):
    """grad holds what is put there, and zero_grad() makes it None again.

    The class is given: if something is missing here, its cell was changed.
    """
    x = tt.Tensor(x)
    x.grad = gradient
    before = x.grad
    x.zero_grad()
    return before, x.grad, x.numpy()


@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=3), "y": rng.normal(size=3), "times": float(rng.normal())})
@wants(lambda x, y, times: [[a_tensor(x - times * y), [x, y], times]] * 3)
def test_tensors_may_be_given_by_name(tt, x, y, times):
    """A tensor that is given to an operation by name is an input like any other: the engine sees it, and forward gets its array.

    `operation` is given: if this fails, its cell was changed.
    """
    minus = tt.operation(lambda x, y=None, times=1: np.subtract(x, times * y))
    x, y = tt.Tensor(x), tt.Tensor(y)
    with engine_hears(tt) as heard:
        outputs = [minus(x, y, times=times), minus(x, times=times, y=y), minus(y=y, times=times, x=x)]
    return [[output, facts["inputs"], facts["params"]["times"]] for output, facts in zip(outputs, heard, strict=True)]


def small_peak(answer, x, steps):
    if not isinstance(answer, list) or len(answer) != 2 or not all(type(n) in (int, float) for n in answer):
        return "two numbers were expected"
    wanted, peak = float(np.float32(x).astype(np.float64).sum()) + steps, answer[1]
    if abs(answer[0] - wanted) > 1e-2 * steps:
        return f"the sum should be {wanted:.4g}, got {answer[0]:.4g}"
    return (
        f"{steps} additions held {peak / x.nbytes:.0f} times the memory of one tensor at once; 3 are enough"
        if peak > 8 * x.nbytes
        else None
    )


@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(60, 100)).astype(np.float32), "steps": int(rng.integers(30, 40))})
@judged(small_peak)
def test_memory_is_given_back(tt, x, steps):
    """A long chain of operations needs no more memory than a short one.

    Nothing may remember old results as long as nobody needs them: keep no list of tensors at the door.
    """
    tracemalloc.start()
    try:
        total = reduce(lambda sum_so_far, _: sum_so_far + 1 / x.size, range(steps), tt.Tensor(x))
        return [total.sum().item(), tracemalloc.get_traced_memory()[1]]
    finally:
        tracemalloc.stop()


@stage("integration")
@given(
    lambda rng: {
        "shape": rng.integers(1, 9, size=3).tolist(),
        "kinds": shuffled(rng, ["float32", "int64", "bool", "float64"]),
    }
)
@wants(lambda shape, kinds: [int(np.prod(shape)) * np.dtype(kind).itemsize for kind in kinds])
def test_tensors_and_their_bytes(tt, shape, kinds):
    """array_bytes of module 01 predicts how much memory a tensor holds.

    If this fails, a tensor's dtype is not what it was asked to be.
    """
    made = [tt.Tensor(np.ones(shape), dtype=kind) for kind in kinds]
    return [
        tt.array_bytes(x.shape, x.dtype) if x.data.nbytes == tt.array_bytes(x.shape, x.dtype) else x.data.nbytes
        for x in made
    ]


@stage("integration")
@given(
    lambda rng: {
        "x": rng.normal(size=(40, 3)),
        "noise": rng.normal(size=(40, 1)) / 10,
        "weights": rng.normal(size=(3, 1)),
    }
)
@wants(lambda x, noise, weights: np.linalg.lstsq(x, x @ weights + noise, rcond=None)[0], rtol=1e-3, atol=1e-3)
def test_a_line_is_fitted(tt, x, noise, weights):
    """Tensors are enough to fit a linear model, when the gradient is worked out by hand.

    This uses +, -, *, /, @, .T and mean together. If it fails while all others pass, look at their order and their dtypes.
    """
    x = tt.Tensor(x)
    y, w = x @ tt.Tensor(weights) + noise, tt.zeros(3, 1)
    for _ in range(120):
        slope = x.T @ (x @ w - y) * 2 / len(x)
        w = w - 0.2 * slope
    return w


@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(50, 200)).astype(np.float32), "y": rng.normal(size=200).astype(np.float32)})
@wants(lambda x, y: (x.astype(np.float64) * y + x).mean(axis=0), rtol=1e-4, atol=1e-5)
@at_most(12.0, times_of=lambda x, y: [np.add(x * y, x).mean(axis=0) for _ in range(50)])
def test_elementwise_speed(tt, x, y):
    """Arithmetic on large tensors takes about as long as NumPy itself.

    No loop over the numbers, no lists, and no detour through float64.
    """
    x, y = tt.Tensor(x), tt.Tensor(y)
    return [(x * y + x).mean(axis=0) for _ in range(50)][-1]


@exercise("tensor-matmul")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(32, 32)).astype(np.float32)})
@wants(lambda x: x.astype(np.float64) @ x, rtol=1e-3, atol=1e-3)
@at_most(10.0, times_of=lambda x: [x @ x for _ in range(20)])
def test_matmul_speed(tt, x):
    """The matrix product of tensors takes about as long as NumPy's own.

    The operation must call NumPy's product, not the loops.
    """
    x = tt.Tensor(x)
    return [x @ x for _ in range(20)][-1]

"""Checks of module 03: the activation functions, on paper and at the limits of floating point."""

import importlib

import numpy as np
from support import STRICT, often

from tinytorch_core.kernel.checking import a_tensor, at_most, exercise, given, judged, stage, wants

FUNCTIONS = ("relu", "sigmoid", "tanh", "gelu", "softmax", "log_softmax")
CLASSES = ("ReLU", "Sigmoid", "Tanh", "GELU", "Softmax")


# What is wanted, worked out in float64 and in other ways than the notebook shows


def logistic(x):
    return np.exp(-np.logaddexp(0.0, -np.float64(x)))


def rounded_relu(x):
    x = np.float64(x)
    return x * logistic(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def log_shares(x, axis=-1):
    x = np.moveaxis(np.float64(x), axis, -1)
    differences = x[..., None, :] - x[..., :, None]
    return np.moveaxis(-np.logaddexp.reduce(differences, axis=-1), -1, axis)


def shares(x, axis=-1):
    return np.exp(log_shares(x, axis))


def wanted(name, x):
    table = {"relu": lambda v: v * (v > 0), "sigmoid": logistic, "tanh": lambda v: 2 * logistic(2 * v) - 1}
    table |= {"gelu": rounded_relu, "softmax": shares, "log_softmax": log_shares}
    return table[name](x)


def huge(rng, size=12):
    """Numbers up to ±10,000, in float32 and float64."""
    x = rng.uniform(200, 1e4, size=size) * rng.choice([-1.0, 1.0], size=size)
    return {"x": x.astype(rng.choice(["float32", "float64"]))}


def far_rows(rng):
    """Rows of ordinary logits, each row shifted far away, up or down."""
    return {"x": rng.normal(size=(4, 3)) * 3 + rng.permutation([-1e4, -3e3, 2e3, 1e4])[:, None]}


def wide_rows(rng):
    """Rows in which one logit is thousands larger than the others."""
    return {"x": rng.permuted(rng.uniform(-1e4, 1e4, size=(3, 4)), axis=1).astype(np.float32)}


def along_axis(rng):
    return {"x": rng.normal(size=(2, 3, 4)) * 2, "axis": int(rng.choice([-3, -2, 0, 1]))}


# --- relu ------------------------------------------------------------------------------------------------------------


@exercise("relu")
@given(lambda rng: {"x": rng.normal(size=(4, 5)) * 3})
@wants(lambda x: a_tensor((x + abs(x)) / 2))
def test_relu_keeps_what_is_positive(tt, x):
    """relu keeps positive numbers as they are and makes every negative one 0.

    np.maximum(array, 0) compares each number with 0.
    """
    return tt.relu(tt.Tensor(x))


@exercise("relu")
@stage("compatibility")
@given(lambda rng: {"whole": rng.integers(-9, 9, size=(3, 4)), "zeros": rng.choice([-0.0, 0.0, -1.0, 1.0], size=6)})
@wants(lambda whole, zeros: [(whole + abs(whole)) / 2.0, (zeros + abs(zeros)) / 2])
def test_relu_of_integers_and_zeros(tt, whole, zeros):
    """relu works for integers, too, and relu(0) is 0.

    No division and no test for > is needed: np.maximum does it all.
    """
    return np.float64(tt.relu(tt.Tensor(whole)).data), tt.relu(tt.Tensor(zeros))


@exercise("relu")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=50_000).astype(np.float32)})
@wants(lambda x: x[::999] * (x[::999] > 0))
@at_most(40, times_of=lambda x: often(lambda: np.maximum(x, 0), 40))
def test_relu_is_one_pass_of_numpy(tt, x):
    """50,000 numbers pass relu about as fast as NumPy can do it.

    Let NumPy loop over the array; a loop in Python is hundreds of times slower.
    """
    x = tt.Tensor(x)
    return often(lambda: tt.relu(x), 40)[::999]


# --- sigmoid ---------------------------------------------------------------------------------------------------------


@exercise("sigmoid")
@given(lambda rng: {"x": rng.normal(size=(2, 3)) * 3})
@wants(lambda x: a_tensor(logistic(x)))
def test_sigmoid_values(tt, x):
    """sigmoid is 1 / (1 + exp(-x)), element by element.

    sigmoid(0) is 0.5, and large positive numbers come out near 1.
    """
    return tt.sigmoid(tt.Tensor(x))


@exercise("sigmoid")
@given(huge)
@wants(lambda x: a_tensor((x > 0) * 1.0))
def test_sigmoid_never_overflows(tt, x):
    """sigmoid of ±10,000 is 1 or 0, without a warning.

    Never raise e to a positive number: exp(min(x, 0)) in the numerator, 1 + exp(-|x|) in the denominator.
    """
    with np.errstate(**STRICT):
        return tt.sigmoid(tt.Tensor(x))


# --- tanh ------------------------------------------------------------------------------------------------------------


@exercise("tanh")
@given(lambda rng: {"x": rng.normal(size=(2, 3)) * 2})
@wants(lambda x: a_tensor(2 * logistic(2 * x) - 1))
def test_tanh_values(tt, x):
    """tanh lies between -1 and 1, and tanh(-x) is -tanh(x).

    NumPy has it: np.tanh.
    """
    return tt.tanh(tt.Tensor(x))


@exercise("tanh")
@given(huge)
@wants(lambda x: a_tensor(np.sign(x)))
def test_tanh_never_overflows(tt, x):
    """tanh of ±10,000 is 1 or -1, without a warning.

    exp(10000) is too large for any float. np.tanh knows the way around it.
    """
    with np.errstate(**STRICT):
        return tt.tanh(tt.Tensor(x))


# --- gelu ------------------------------------------------------------------------------------------------------------


@exercise("gelu")
@given(lambda rng: {"x": rng.normal(size=(3, 4)) * 2})
@wants(lambda x: a_tensor(rounded_relu(x)))
def test_gelu_values(tt, x):
    """gelu is 0.5 · x · (1 + tanh(sqrt(2/π) · (x + 0.044715 · x · x · x))).

    It is the tanh form that is wanted; the exact form, and x · sigmoid(1.702 x), differ in the third digit.
    """
    return tt.gelu(tt.Tensor(x))


@exercise("gelu")
@given(huge)
@wants(lambda x: a_tensor((x + abs(x)) / 2))
def test_gelu_far_out_is_relu(tt, x):
    """gelu of 10,000 is 10,000 and of -10,000 is 0, without a warning.

    np.tanh never overflows; an exponential of your own might.
    """
    with np.errstate(**STRICT):
        return tt.gelu(tt.Tensor(x))


# --- softmax ---------------------------------------------------------------------------------------------------------


@exercise("softmax")
@given(lambda rng: {"x": rng.normal(size=(2, 3)) * 2})
@wants(lambda x: a_tensor(shares(x)))
def test_softmax_of_rows(tt, x):
    """softmax turns each row of logits into probabilities: exp(x) divided by the row's sum.

    Sum over `axis`, with keepdims=True, so that each row is divided by its own sum.
    """
    return tt.softmax(tt.Tensor(x))


@exercise("softmax")
@given(along_axis)
@wants(lambda x, axis: a_tensor(shares(x, axis)))
def test_softmax_along_any_axis(tt, x, axis):
    """softmax works along the axis it is told, and sums to 1 there.

    Both the maximum and the sum take `axis`, and both need keepdims=True.
    """
    return tt.softmax(tt.Tensor(x), axis=axis)


@exercise("softmax")
@given(far_rows)
@wants(lambda x: a_tensor(shares(x)))
def test_softmax_of_far_away_rows(tt, x):
    """Rows of logits around ±10,000 give the same probabilities as rows around 0, without a warning.

    Subtract from each row its own largest number before the exponential: x.max(axis=axis, keepdims=True).
    """
    with np.errstate(**STRICT):
        return tt.softmax(tt.Tensor(x))


@exercise("softmax")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(2, 3))})
@wants(lambda x: a_tensor(x))
def test_softmax_leaves_its_input_alone(tt, x):
    """After softmax(x), the numbers in x are what they were.

    x - c makes a new array; x -= c changes the one that was handed in.
    """
    tensor = tt.Tensor(x)
    tt.softmax(tensor)
    return tensor


@exercise("softmax")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(1_000, 50)).astype(np.float32)})
@wants(lambda x: shares(x[::99]))
@at_most(15, times_of=lambda x: often(lambda: np.exp(x - x.max(-1, keepdims=True)) / x.sum(-1, keepdims=True), 8))
def test_softmax_takes_all_rows_at_once(tt, x):
    """1,000 rows pass softmax together, about as fast as NumPy can do it.

    With axis and keepdims=True, one line works on all rows; no loop over rows is needed.
    """
    x = tt.Tensor(x)
    return often(lambda: tt.softmax(x), 8)[::99]


# --- log-softmax -----------------------------------------------------------------------------------------------------


@exercise("log-softmax")
@given(lambda rng: {"x": rng.normal(size=(2, 3)) * 2})
@wants(lambda x: a_tensor(log_shares(x)))
def test_log_softmax_of_rows(tt, x):
    """log_softmax is the logarithm of softmax.

    The shifted logits, minus the log of the sum of their exponentials.
    """
    return tt.log_softmax(tt.Tensor(x))


@exercise("log-softmax")
@given(along_axis)
@wants(lambda x, axis: a_tensor(log_shares(x, axis)))
def test_log_softmax_along_any_axis(tt, x, axis):
    """log_softmax works along the axis it is told.

    Both the maximum and the sum take `axis`, and both need keepdims=True.
    """
    return tt.log_softmax(tt.Tensor(x), axis=axis)


@exercise("log-softmax")
@given(wide_rows)
@wants(lambda x: a_tensor(log_shares(x)))
def test_log_softmax_where_probabilities_vanish(tt, x):
    """Where a probability would round to 0, its logarithm is still exact: log_softmax([0, 200]) is [-200, 0].

    Do not take the log of softmax. Subtract: shifted - log(sum(exp(shifted))).
    """
    with np.errstate(**STRICT):
        return tt.log_softmax(tt.Tensor(x))


@exercise("log-softmax")
@given(far_rows)
@wants(lambda x: a_tensor(log_shares(x)))
def test_log_softmax_of_far_away_rows(tt, x):
    """Rows of logits around ±10,000 give the same as rows around 0, without a warning.

    Subtract from each row its own largest number: x.max(axis=axis, keepdims=True).
    """
    with np.errstate(**STRICT):
        return tt.log_softmax(tt.Tensor(x))


@exercise("log-softmax")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(2, 3))})
@wants(lambda x: a_tensor(x))
def test_log_softmax_leaves_its_input_alone(tt, x):
    """After log_softmax(x), the numbers in x are what they were.

    x - c makes a new array; x -= c changes the one that was handed in.
    """
    tensor = tt.Tensor(x)
    tt.log_softmax(tensor)
    return tensor


# --- activation-modules ----------------------------------------------------------------------------------------------


@exercise("activation-modules")
@given(lambda rng: {"x": rng.normal(size=(2, 3)), "names": rng.permutation(CLASSES).tolist()})
@wants(lambda x, names: [a_tensor(wanted(name.lower(), x)) for name in names])
def test_each_class_calls_its_function(tt, x, names):
    """ReLU()(x) is relu(x), Sigmoid()(x) is sigmoid(x), and so on.

    forward returns what the function of the same name returns. Do not forget the return.
    """
    return [getattr(tt, name)()(tt.Tensor(x)) for name in names]


@exercise("activation-modules")
@given(lambda rng: {"x": rng.normal(size=(2, 3)), "names": rng.permutation(CLASSES).tolist()})
@wants(lambda x, names: [wanted(name.lower(), x) for name in names])
def test_each_class_has_forward(tt, x, names):
    """The work is done in forward; calling the object only hands over to it.

    Write forward in each class and leave the given __call__ as it is.
    """
    return [getattr(tt, name)().forward(tt.Tensor(x)) for name in names]


@exercise("activation-modules")
@given(along_axis)
@wants(lambda x, axis: [a_tensor(shares(x, axis)), a_tensor(shares(x, axis)), a_tensor(shares(x))])
def test_softmax_remembers_its_axis(tt, x, axis):
    """Softmax(axis=0) works along axis 0 every time; Softmax() along the last axis.

    Keep the axis in self.axis, and hand it to softmax in forward.
    """
    chosen, last = tt.Softmax(axis=axis), tt.Softmax()
    return chosen(tt.Tensor(x)), tt.Softmax(axis)(tt.Tensor(x)), last(tt.Tensor(x))


# --- the module as a whole -------------------------------------------------------------------------------------------


@stage("import")
@given(lambda rng: {"x": rng.normal(size=4), "names": rng.permutation(FUNCTIONS).tolist()})
@wants(lambda x, names: [wanted(name, x) for name in names])
def test_module_imports_alone(tt, x, names):
    """`import tinytorch.activations` works by itself, and its functions are there.

    If the import fails, run all cells from the top once and look for the first error.
    """
    activations, tensor = (importlib.import_module(f"tinytorch.{name}") for name in ("activations", "tensor"))
    return [getattr(activations, name)(tensor.Tensor(x)) for name in names]


@stage("import")
@given(lambda rng: {"names": rng.permutation((*CLASSES, "Tensor", "operation", "no such name")).tolist()})
@wants(lambda names: [name in CLASSES or name == "Tensor" for name in names])
def test_every_class_is_there(tt, names):
    """ReLU, Sigmoid, Tanh, GELU and Softmax are classes of the package.

    If one is missing, its cell was changed or its name is spelled differently.
    """
    return [isinstance(getattr(tt, name, None), type) for name in names]


def kinds(rng):
    floats = rng.choice(["float32", "float64", "int64"], size=10).tolist()
    return {"cases": [[str(rng.choice(FUNCTIONS[1:])), kind, rng.integers(1, 4, size=3).tolist()] for kind in floats]}


@stage("compatibility")
@given(kinds)
@wants(lambda cases: [["float64" if kind == "float64" else "float32", shape] for _, kind, shape in cases])
def test_dtype_and_shape_stay(tt, cases):
    """float32 stays float32, float64 stays float64, integers become float32; the shape stays what it was.

    The door takes care of the dtype, as long as the activation goes through it: keep the @operation line.
    """
    outputs = [getattr(tt, name)(tt.Tensor(np.ones(shape, dtype=kind))) for name, kind, shape in cases]
    return [[str(output.dtype), list(output.shape)] for output in outputs]


@stage("integration")
@given(
    lambda rng: {
        "x": rng.normal(size=(5, 4)),
        "A": rng.normal(size=(4, 6)),
        "a": rng.normal(size=6),
        "B": rng.normal(size=(6, 3)),
    }
)
@wants(lambda x, A, a, B: a_tensor(shares(np.maximum(x @ A + a, 0) @ B)))
def test_a_network_by_hand(tt, x, A, a, B):
    """Stretch, bend, stretch, softmax: a small network made of tensors and activations.

    If this fails and the exercises pass, look at what an activation does with a whole table of numbers.
    """
    x, A, a, B = tt.Tensor(x), tt.Tensor(A), tt.Tensor(a), tt.Tensor(B)
    return tt.softmax(tt.ReLU()(x @ A + a) @ B)


def follows(answer, x, corners, heights):
    if not isinstance(answer, np.ndarray) or answer.shape != x.shape:
        return f"an array of {x.size} numbers was expected"
    error = np.abs(answer - np.interp(x, corners, heights)).max()
    return None if error < 1e-6 else f"the curve of ReLUs is {error:.3g} away from the line through the given points"


@stage("integration")
@given(
    lambda rng: {
        "x": rng.uniform(0, 5, size=40),
        "corners": np.arange(6.0),
        "heights": rng.normal(size=6),
    }
)
@judged(follows)
def test_bends_make_a_curve(tt, x, corners, heights):
    """A sum of ReLUs with corners in different places follows any zigzag line.

    It is what a hidden layer does. relu has to be exactly 0 on the left of its corner and a line of slope 1 on the right.
    """
    weights = np.diff(np.diff(heights), prepend=0)
    hidden = tt.relu(tt.Tensor(x).reshape(-1, 1) - tt.Tensor(corners[:-1]))
    return (hidden @ tt.Tensor(weights) + float(heights[0])).data

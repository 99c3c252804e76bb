"""Checks of module 09: convolution, pooling, batch normalization, there and back.

What is wanted comes from windows that NumPy makes, from loops over them, and, for gradients, from central differences in float64.
"""

import gc
import importlib
import math
import tracemalloc

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from support import engine_hears, often, pairs_of_seeds, shuffled, slopes, told

from tinytorch_core.kernel.checking import a_tensor, at_most, error_text, exercise, given, judged, raises, stage, wants

# What is wanted


def pair(size):
    return tuple(size) if isinstance(size, (list, tuple)) else (size, size)


def windows(x, kernel, stride=1):
    """Every window of the pictures: (N, C, oH, oW, kH, kW)."""
    sh, sw = pair(stride)
    return sliding_window_view(x, pair(kernel), axis=(2, 3))[:, :, ::sh, ::sw]


def padded(x, padding):
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def convolved(x, weight, bias=None, stride=1, padding=0):
    seen = windows(padded(np.float64(x), padding), weight.shape[2:], stride)
    y = np.einsum("ncijpq,ocpq->noij", seen, np.float64(weight))
    return y if bias is None else y + np.reshape(bias, (-1, 1, 1))


def table(x, kernel, stride=1):
    """The windows as columns: (N, C·kH·kW, oH·oW)."""
    seen = windows(x, kernel, stride)
    n, channels, oh, ow, kh, kw = seen.shape
    return seen.transpose(0, 1, 4, 5, 2, 3).reshape(n, channels * kh * kw, oh * ow)


def put_back(columns, shape, kernel, stride=1):
    """Adds every column to its window, one after the other."""
    pictures, numbers = np.zeros(shape), np.arange(np.prod(shape)).reshape(shape)
    where = table(numbers, kernel, stride)
    for place, value in zip(where.ravel(), columns.ravel(), strict=True):
        pictures.flat[place] += value
    return pictures


# Inputs: pictures that are never square, kernels that seldom are, strides that leave something over

SETTINGS = [(1, 0), (1, 1), (2, 0), (2, 1), (3, 2), (1, 2)]
UNEQUAL = [([2, 1], 0), ([1, 3], 1), ([3, 1], 2), ([1, 2], 0)]
"""Another stride down than across."""


def a_size(rng, low=4, high=8):
    """Height and width, which differ."""
    return [int(n) for n in rng.permutation(np.arange(low, high))[:2]]


def a_kernel(rng):
    return [int(n) for n in rng.permutation([1, 2, 3, int(rng.integers(1, 4))])[:2]]


def a_layer(rng, stride, padding):
    n, channels, out = (int(rng.integers(1, 3)), *(int(c) for c in rng.permutation([1, 2, 3])[:2]))
    return {
        "x": rng.normal(size=(n, channels, *a_size(rng))),
        "weight": rng.normal(size=(out, channels, *a_kernel(rng))),
        "bias": rng.normal(size=out),
        "stride": stride,
        "padding": padding,
    }


def layers(rng, count=6):
    return {"cases": [a_layer(rng, *setting) for setting in shuffled(rng, SETTINGS)[:count]]}


def any_layers(rng, count=6):
    """Layers of every kind; one of them has unequal strides."""
    unequal = UNEQUAL[rng.integers(len(UNEQUAL))]
    return {"cases": [a_layer(rng, *s) for s in shuffled(rng, [unequal, *shuffled(rng, SETTINGS)[: count - 1]])]}


def with_gradients(rng, count=4):
    cases = any_layers(rng, count)["cases"]
    return {"cases": [case | {"gradient": rng.normal(size=convolved(**case).shape)} for case in cases]}


def as_given(size):
    return tuple(size) if isinstance(size, list) else size


def settings(case):
    return {"stride": as_given(case["stride"]), "padding": case["padding"]}


def without_bias(case):
    return {name: case[name] for name in ("x", "weight", "stride", "padding")}


def a_window(rng, height, width):
    """A kernel and a stride for pictures of this size: overlapping windows, gaps, and what fits exactly."""
    kernel = [int(rng.integers(1, min(4, size) + 1)) for size in (height, width)]
    return kernel, [int(s) for s in rng.integers(1, 4, size=2)]


def tables(rng, count=6, kind=float):
    """Pictures, kernels and strides, all of them pairs."""
    cases = []
    for _ in range(count):
        size = a_size(rng)
        kernel, stride = a_window(rng, *size)
        x = rng.normal(size=(int(rng.integers(1, 3)), int(rng.integers(1, 4)), *size)).astype(kind)
        cases.append({"x": x, "kernel": kernel, "stride": stride})
    return {"cases": cases}


def says_both(texts, pairs):
    """For @judged: each text names both shapes of its pair."""
    if not isinstance(texts, list) or len(texts) != len(pairs):
        return "an error message was expected for each pair of shapes"
    for text, shapes in zip(texts, pairs, strict=True):
        for shape in shapes:
            if not isinstance(text, str) or str(tuple(shape)).replace(" ", "") not in text.replace(" ", ""):
                return (
                    f"the ValueError for {tuple(shapes[0])} and {tuple(shapes[1])} should name both; it said {text!r}"
                )
    return None


# --- conv-loops ------------------------------------------------------------------------------------------------------


def counted(size, kernel, stride, padding):
    return len([start for start in range(0, size + 2 * padding, stride) if start + kernel <= size + 2 * padding])


def sizes_to_count(rng):
    cases = zip(
        rng.integers(4, 12, 12), rng.integers(1, 5, 12), rng.integers(1, 5, 12), rng.integers(0, 3, 12), strict=True
    )
    return {"sizes": [[int(n) for n in case] for case in cases]}


@exercise("conv-loops")
@given(sizes_to_count)
@wants(lambda sizes: {str(case): counted(*case) for case in sizes})
def test_output_size_counts_windows(tt, sizes):
    """output_size(size, kernel, stride, padding) is the number of windows that fit.

    (size + 2 * padding - kernel) // stride + 1: padding on both sides, rounded down, and one more for the first.
    """
    return {str(case): tt.output_size(*case) for case in sizes}


def fits(rng):
    cases = []
    for more in (-1, 0, 1, 2, -1, 0, 1, 2, 3, -2):
        size, padding = int(rng.integers(1, 6)), int(rng.integers(0, 3))
        cases.append([size, max(1, size + 2 * padding + more), padding])
    return {"cases": shuffled(rng, cases)}


def fitting(size, kernel, padding):
    return f"size {size}, kernel {kernel}, padding {padding}"


@exercise("conv-loops")
@given(fits)
@wants(lambda cases: [told(fitting(s, k, p), k > s + 2 * p) for s, k, p in cases])
def test_a_kernel_that_does_not_fit(tt, cases):
    """output_size raises ValueError if the kernel is larger than the padded picture, and only then.

    if kernel > size + 2 * padding: raise ValueError(…). One that fits exactly has one window.
    """
    return [told(fitting(s, k, p), raises(ValueError, lambda c=(s, k, 1, p): tt.output_size(*c))) for s, k, p in cases]


@exercise("conv-loops")
@given(layers)
@wants(lambda cases: [convolved(**case) for case in cases])
def test_loops_follow_the_definition(tt, cases):
    """conv2d_loops gives, for every kernel and window, the sum of their products plus the bias.

    The window of (i, j) begins at row i · stride and column j · stride of the padded picture; all its channels count.
    """
    return [tt.conv2d_loops(c["x"], c["weight"], c["bias"], **settings(c)) for c in cases]


@exercise("conv-loops")
@given(lambda rng: layers(rng, 3))
@wants(lambda cases: [[convolved(**without_bias(c)), convolved(c["x"], c["weight"])] for c in cases])
def test_loops_without_bias(tt, cases):
    """Without a bias nothing is added, and without stride and padding they are 1 and 0.

    Add bias[o] only where bias is not None.
    """
    return [
        [tt.conv2d_loops(c["x"], c["weight"], None, **settings(c)), tt.conv2d_loops(c["x"], c["weight"])] for c in cases
    ]


@exercise("conv-loops")
@stage("compatibility")
@given(lambda rng: layers(rng, 2) | {"kinds": shuffled(rng, ["float32", "float64"])})
@wants(lambda cases, kinds: [[kind, c["x"], c["weight"]] for c, kind in zip(cases, kinds, strict=True)])
def test_loops_leave_their_inputs_alone(tt, cases, kinds):
    """The output has the dtype of x, and x and weight hold what they held.

    np.zeros(shape, dtype=x.dtype) for the output; zero_pad makes a new array for the padded pictures.
    """
    answers = []
    for case, kind in zip(cases, kinds, strict=True):
        x, weight = case["x"].astype(kind), case["weight"].astype(kind)
        output = tt.conv2d_loops(x, weight, None, **settings(case))
        answers.append([str(output.dtype), x, weight])
    return answers


# --- im2col ----------------------------------------------------------------------------------------------------------


def im2cols(tt, cases):
    return [tt.im2col(c["x"], tuple(c["kernel"]), tuple(c["stride"])) for c in cases]


@exercise("im2col")
@given(tables)
@wants(lambda cases: [table(**case) for case in cases])
def test_im2col_lists_every_window(tt, cases):
    """Each column is a window, laid out in the order (c, p, q); the columns are in the order of the windows, row by row.

    The axes are (N, C, kH, kW, oH, oW) before the reshape: a step in p is one row, a step in i is `stride` rows.
    """
    return im2cols(tt, cases)


@exercise("im2col")
@given(lambda rng: {"x": rng.normal(size=(2, 1, *a_size(rng))), "kernel": [2, int(rng.integers(1, 4))]})
@wants(lambda x, kernel: [table(x, kernel), table(x[:, :, :, ::2], (2, 1))])
def test_im2col_moves_by_one_if_not_told_otherwise(tt, x, kernel):
    """Without a stride the windows begin at every pixel.

    stride=(1, 1) stands in the def line; use sh and sw, which are unpacked from it.
    """
    return tt.im2col(x, tuple(kernel)), tt.im2col(x[:, :, :, ::2], (2, 1))


LAYOUTS = {
    "transposed": lambda x: np.ascontiguousarray(x.swapaxes(2, 3)).swapaxes(2, 3),
    "channels last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every second column": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
    "a part of a larger picture": lambda x: padded(x, 1)[:, :, 1:-1, 1:-1],
    "upside down": lambda x: np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1],
}


@exercise("im2col")
@stage("compatibility")
@given(lambda rng: tables(rng, 5) | {"layouts": shuffled(rng, list(LAYOUTS))})
@wants(lambda cases, layouts: [table(**case) for case in cases])
def test_im2col_of_pictures_in_any_layout(tt, cases, layouts):
    """Pictures may lie in memory in any order: a slice, a transposed array.

    Take the four strides from x.strides. Do not work them out from the shape.
    """
    changed = [case | {"x": LAYOUTS[layout](case["x"])} for case, layout in zip(cases, layouts, strict=True)]
    return im2cols(tt, changed)


KINDS = ("float32", "float64", "int64", "uint8")


@exercise("im2col")
@stage("compatibility")
@given(lambda rng: {"x": rng.integers(0, 9, size=(1, 2, *a_size(rng))), "kinds": shuffled(rng, KINDS)})
@wants(lambda x, kinds: [[kind, x.astype(kind), table(x.astype(kind), (2, 2))] for kind in kinds])
def test_im2col_only_copies(tt, x, kinds):
    """The columns have the dtype of the pictures, whose numbers stay as they are.

    x.strides counts bytes, so it knows how large a number is: do not write 4 or 8 anywhere.
    """
    answers = []
    for kind in kinds:
        pictures = x.astype(kind)
        columns = tt.im2col(pictures, (2, 2))
        answers.append([str(columns.dtype), pictures, columns])
    return answers


def too_large(rng):
    cases = []
    for high, wide in ((1, 0), (0, 1), (0, 0), (-1, 0), (0, -1), (1, 1), (2, -1), (-1, 3)):
        size = a_size(rng)
        cases.append([size, [size[0] + high, size[1] + wide]])
    return {"cases": shuffled(rng, cases)}


@exercise("im2col")
@stage("compatibility")
@given(too_large)
@wants(lambda cases: [told(f"{s} and a kernel of {k}", k[0] > s[0] or k[1] > s[1]) for s, k in cases])
def test_im2col_reads_no_foreign_memory(tt, cases):
    """A kernel that is higher or wider than the picture raises ValueError; one that fits exactly gives one column.

    Ask output_size for both sizes before as_strided, which believes everything.
    """
    return [
        told(f"{s} and a kernel of {k}", raises(ValueError, lambda s=s, k=k: tt.im2col(np.ones((1, 1, *s)), tuple(k))))
        for s, k in cases
    ]


@exercise("im2col")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(8, 3, 24, 24)).astype(np.float32)})
@wants(lambda x: table(x, (5, 5))[:, ::11])
@at_most(6.0, times_of=lambda x: often(lambda: table(x, (5, 5)), 5))
def test_im2col_is_one_copy(tt, x):
    """All windows are copied at once, at NumPy's speed.

    as_strided and one reshape. A loop over the windows is far slower.
    """
    return often(lambda: tt.im2col(x, (5, 5)), 5)[:, ::11]


# --- conv2d ----------------------------------------------------------------------------------------------------------


def forward(tt, case):
    return tt.conv2d(tt.Tensor(case["x"]), tt.Tensor(case["weight"]), tt.Tensor(case["bias"]), **settings(case))


@exercise("conv2d")
@given(any_layers)
@wants(lambda cases: [a_tensor(convolved(**case)) for case in cases])
def test_conv2d_is_a_convolution(tt, cases):
    """conv2d gives what the definition says, for odd sizes, kernels that are not square, strides and padding.

    Pad, make columns, multiply with the kernels as rows, add bias[:, None], reshape to (N, out, oH, oW).
    """
    return [forward(tt, case) for case in cases]


@exercise("conv2d")
@given(lambda rng: any_layers(rng, 4))
@wants(
    lambda cases: [[a_tensor(convolved(**without_bias(c))), a_tensor(convolved(c["x"], c["weight"]))] for c in cases]
)
def test_conv2d_without_bias(tt, cases):
    """Without a bias nothing is added, and without stride and padding they are 1 and 0.

    if bias is not None: …
    """
    pairs = [(tt.Tensor(c["x"]), tt.Tensor(c["weight"]), c) for c in cases]
    return [[tt.conv2d(x, weight, None, **settings(c)), tt.conv2d(x, weight)] for x, weight, c in pairs]


@exercise("conv2d")
@given(lambda rng: any_layers(rng, 3))
@wants(lambda cases: [table(padded(c["x"], c["padding"]), c["weight"].shape[2:], c["stride"]) for c in cases])
def test_conv2d_keeps_its_columns(tt, cases):
    """conv2d's forward returns a pair: the output, and the columns of the padded pictures, for the way back.

    return output.reshape(…), columns
    """
    with engine_hears(tt) as heard:
        for case in cases:
            forward(tt, case)
    return [facts["kept"] for facts in heard]


@exercise("conv2d")
@stage("compatibility")
@given(lambda rng: any_layers(rng, 4) | {"kinds": shuffled(rng, ["float32", "float32", "float64", "float64"])})
@wants(lambda cases, kinds: [[k, c["x"], c["weight"], c["bias"]] for c, k in zip(cases, kinds, strict=True)])
def test_conv2d_leaves_its_inputs_alone(tt, cases, kinds):
    """float32 stays float32, float64 stays float64, and no input is changed.

    output = output + … makes a new array; zero_pad makes a new array, too.
    """
    answers = []
    for case, kind in zip(cases, kinds, strict=True):
        inputs = [tt.Tensor(case[name].astype(kind)) for name in ("x", "weight", "bias")]
        output = tt.conv2d(*inputs, **settings(case))
        answers.append([str(output.dtype), *(x.data for x in inputs)])
    return answers


@exercise("conv2d")
@stage("compatibility")
@given(lambda rng: any_layers(rng, 4))
@wants(lambda cases: [[[True] * 3, list(convolved(**case).shape)] for case in cases])
def test_conv2d_goes_through_the_door(tt, cases):
    """The engine hears of the pictures, the weight and the bias, also where they are given by name.

    Keep @operation above conv2d.
    """
    answers = []
    for case in cases:
        x, weight, bias = (tt.Tensor(case[name]) for name in ("x", "weight", "bias"))
        with engine_hears(tt) as heard:
            output = tt.conv2d(x, weight, bias=bias, **settings(case))
        inputs = [tensor for facts in heard for tensor in facts["inputs"]]
        answers.append([[any(t is i for i in inputs) for t in (x, weight, bias)], list(output.shape)])
    return answers


def clashes(rng):
    """Shapes of pictures and weights that do not fit: channels, axes, kernels that are too large."""
    n, c, h, w, o, k = (int(m) for m in rng.integers(2, 5, size=6))
    return {
        "pairs": shuffled(rng, [
            [[n, c, h, w], [o, c + 1, 1, 1]], [[n, c, h, w], [o, c - 1, 2, 2]], [[n, 4 * c, h, w], [o, c, 2, 2]],
            [[c, h, w], [o, c, 1, 1]], [[n, c, h, w], [o, c, h]], [[h, w], [k, k]],
            [[n, c, h, w], [o, c, h + 1, w]], [[n, c, h, w], [o, c, h, w + 1]],
        ])
    }  # fmt: skip


@exercise("conv2d")
@stage("compatibility")
@given(clashes)
@judged(says_both)
def test_conv2d_says_which_shapes_clash(tt, pairs):
    """Pictures and kernels that do not fit raise a ValueError that names both shapes.

    check_pictures and output_size raise it, and the door adds the shapes: do not catch it.
    """
    texts = []
    for x, weight in pairs:
        x, weight = tt.Tensor(np.ones(x)), tt.Tensor(np.ones(weight))
        refused = raises(ValueError, lambda x=x, w=weight: tt.conv2d(x, w))
        texts.append(error_text(lambda x=x, w=weight: tt.conv2d(x, w)) if refused else "no ValueError")
    return texts


def strange_settings(rng):
    n = int(rng.integers(2, 5))
    fine = [{"stride": n}, {"padding": n}, {"stride": 1, "padding": 0}, {"stride": [1, n]}]
    wrong = [{"stride": 0}, {"stride": -n}, {"padding": -1}, {"padding": -n}, {"stride": [0, n]}]
    return {"asked": shuffled(rng, fine + wrong)}


@exercise("conv2d")
@stage("compatibility")
@given(strange_settings)
@wants(lambda asked: [told(a, np.min(a.get("stride", 1)) < 1 or a.get("padding", 0) < 0) for a in asked])
def test_conv2d_refuses_strange_settings(tt, asked):
    """A stride below 1 and a padding below 0 raise ValueError.

    as_pair and zero_pad, which are given, say so: use them.
    """
    x, weight = tt.Tensor(np.ones((1, 1, 9, 9))), tt.Tensor(np.ones((1, 1, 2, 2)))
    return [told(a, raises(ValueError, lambda a=a: tt.conv2d(x, weight, **a))) for a in asked]


def a_large_layer(rng):
    return {
        "x": rng.normal(size=(16, 4, 16, 16)).astype(np.float32),
        "weight": rng.normal(size=(8, 4, 5, 5)).astype(np.float32),
    }


@exercise("conv2d")
@stage("performance")
@given(a_large_layer)
@wants(lambda x, weight: a_tensor(convolved(x, weight)[:, ::3]), rtol=1e-3, atol=1e-3)
@at_most(6.0, times_of=lambda x, weight: often(lambda: weight.reshape(8, -1) @ table(x, (5, 5)), 5))
def test_conv2d_is_one_product(tt, x, weight):
    """A convolution takes about as long as making the columns and multiplying them once.

    One @ for the whole batch. A loop over pictures, windows or channels is slower, and so is float64.
    """
    x, weight = tt.Tensor(x), tt.Tensor(weight)
    return often(lambda: tt.conv2d(x, weight), 5)[:, ::3]


# --- col2im ----------------------------------------------------------------------------------------------------------


def with_columns(rng, count=6):
    cases = []
    for case in tables(rng, count)["cases"]:
        x = case.pop("x")
        columns = rng.normal(size=table(x, **case).shape)
        cases.append(case | {"columns": columns, "shape": list(x.shape)})
    return {"cases": cases}


def col2ims(tt, cases):
    return [tt.col2im(c["columns"], tuple(c["shape"]), tuple(c["kernel"]), tuple(c["stride"])) for c in cases]


@exercise("col2im")
@given(with_columns)
@wants(lambda cases: [put_back(**case) for case in cases])
def test_col2im_adds_where_windows_overlap(tt, cases):
    """Every number of the columns is added to the pixel that it came from; pixels that no window saw are 0.

    For each tap: pictures[tap] += what that row of the table holds. Use +=, since windows overlap.
    """
    return col2ims(tt, cases)


@exercise("col2im")
@given(lambda rng: tables(rng, 4))
@wants(
    lambda cases: [c["x"] * put_back(np.ones_like(table(**c)), c["x"].shape, c["kernel"], c["stride"]) for c in cases]
)
def test_col2im_counts_how_often_a_pixel_was_used(tt, cases):
    """Columns made by im2col, put back, give every pixel as often as there are windows that see it.

    The order of the rows is that of im2col: channels first, then the taps.
    """
    columns = im2cols(tt, cases)
    return col2ims(tt, [c | {"columns": t, "shape": c["x"].shape} for c, t in zip(cases, columns, strict=True)])


@exercise("col2im")
@stage("compatibility")
@given(lambda rng: with_columns(rng, 4) | {"kinds": shuffled(rng, ["float32", "float64"] * 2)})
@wants(lambda cases, kinds: [[kind, c["columns"]] for c, kind in zip(cases, kinds, strict=True)])
def test_col2im_leaves_the_columns_alone(tt, cases, kinds):
    """The pictures have the dtype of the columns, and the columns hold what they held.

    np.zeros(shape, dtype=columns.dtype), and add into that.
    """
    answers = []
    for case, kind in zip(cases, kinds, strict=True):
        columns = case["columns"].astype(kind)
        (pictures,) = col2ims(tt, [case | {"columns": columns}])
        answers.append([str(pictures.dtype), columns])
    return answers


def added_by_slices(columns):
    n, _, places = columns.shape
    side = math.isqrt(places)
    columns, pictures = (
        columns.reshape(n, -1, 5, 5, side, side),
        np.zeros((n, 3, side + 4, side + 4), dtype=columns.dtype),
    )
    for p in range(5):
        for q in range(5):
            pictures[:, :, p : p + side, q : q + side] += columns[:, :, p, q]
    return pictures


@exercise("col2im")
@stage("performance")
@given(lambda rng: {"columns": rng.normal(size=(1, 75, 1600)).astype(np.float32)})
@wants(lambda columns: added_by_slices(np.float64(columns))[:, 1], rtol=1e-4, atol=1e-4)
@at_most(6.0, times_of=lambda columns: often(lambda: added_by_slices(columns), 3))
def test_col2im_adds_whole_slices(tt, columns):
    """25 additions of slices are enough for a kernel of 5 × 5, however many windows there are.

    Loop over the taps. A loop over the windows is slower by far.
    """
    return often(lambda: tt.col2im(columns, (1, 3, 44, 44), (5, 5), (1, 1)), 3)[:, 1]


# --- conv2d-backward -------------------------------------------------------------------------------------------------

NAMES = ("x", "weight", "bias")


def conv_slopes(case):
    def function(x, weight, bias=None):
        return convolved(x, weight, bias, **settings(case))

    return slopes(function, [case[name] for name in NAMES if name in case], case["gradient"])


def back(tt, case, learns=NAMES, kind=np.float64):
    """The gradients of x, weight and bias, None where they do not learn."""
    inputs = [tt.Tensor(case[n].astype(kind), requires_grad=n in learns) for n in NAMES if n in case]
    tt.conv2d(*inputs, **settings(case)).backward(case["gradient"])
    return [tensor.grad for tensor in inputs]


@exercise("conv2d-backward")
@given(with_gradients)
@wants(lambda cases: [conv_slopes(case) for case in cases])
def test_conv2d_gradients(tt, cases):
    """Pictures, weight and bias get the slopes that can be measured, for odd sizes, strides and padding.

    The weight: slopes times columns, transposed, summed over the pictures. The pictures: through col2im, then cut the padding.
    """
    return [back(tt, case) for case in cases]


@exercise("conv2d-backward")
@given(lambda rng: with_gradients(rng, 2))
@wants(lambda cases: [conv_slopes({n: v for n, v in case.items() if n != "bias"}) for case in cases])
def test_conv2d_gradients_without_bias(tt, cases):
    """Without a bias, pictures and weight get the same gradients.

    Return three functions all the same; the third is not called.
    """
    return [back(tt, {n: v for n, v in case.items() if n != "bias"}) for case in cases]


@exercise("conv2d-backward")
@given(lambda rng: with_gradients(rng, 3) | {"who": shuffled(rng, list(NAMES))})
@wants(lambda cases, who: [[s if n == w else None for n, s in zip(NAMES, conv_slopes(c))] for c, w in zip(cases, who)])
def test_only_who_asks_gets_a_gradient(tt, cases, who):
    """Where only one of the three wants a gradient, it gets its own, and nobody else any.

    The order of the three functions is that of the inputs: pictures, weight, bias.
    """
    return [back(tt, case, learns=[name]) for case, name in zip(cases, who, strict=True)]


@exercise("conv2d-backward")
@stage("compatibility")
@given(lambda rng: with_gradients(rng, 3))
@wants(lambda cases: [[["float32", list(c[n].shape)] for n in NAMES] + [c["gradient"]] for c in cases])
def test_gradients_have_shape_and_dtype_of_their_inputs(tt, cases):
    """The rule itself gives gradients of exactly the inputs' shapes, float32 for float32, and changes nothing that comes in.

    weight.shape at the end of the weight's; slopes is a view of the gradient, so never write into it.
    """
    answers = []
    for case in cases:
        x, weight, bias, gradient = (case[name].astype(np.float32) for name in (*NAMES, "gradient"))
        _, columns = tt.conv2d.forward(x, weight, bias, **settings(case))
        parts = [part() for part in tt.conv2d.backward(gradient, columns, x, weight, bias, **settings(case))]
        answers.append([[str(part.dtype), list(part.shape)] for part in parts] + [gradient])
    return answers


def numpy_back(x, weight, gradient):
    columns, rows = table(x, (5, 5)), gradient.reshape(len(x), len(weight), -1)
    (rows @ columns.swapaxes(1, 2)).sum(axis=0)
    return added_by_slices(weight.reshape(len(weight), -1).T @ rows)


@exercise("conv2d-backward")
@stage("performance")
@given(
    lambda rng: {
        "x": rng.normal(size=(8, 3, 16, 16)).astype(np.float32),
        "weight": rng.normal(size=(8, 3, 5, 5)).astype(np.float32),
        "gradient": rng.normal(size=(8, 8, 12, 12)).astype(np.float32),
    }
)
@wants(lambda x, weight, gradient: conv_gradients(x, weight, gradient), rtol=1e-3, atol=1e-3)
@at_most(6.0, times_of=lambda **arrays: often(lambda: numpy_back(**arrays), 3))
def test_conv2d_backward_speed(tt, x, weight, gradient):
    """There and back takes about as long as the same products and additions in bare NumPy.

    Products over the whole batch, and col2im for the pictures. No loop over windows or channels.
    """

    def there_and_back():
        tensors = tt.Tensor(x, requires_grad=True), tt.Tensor(weight, requires_grad=True)
        tt.conv2d(*tensors).backward(gradient)
        return [tensor.grad for tensor in tensors]

    return often(there_and_back, 3)


def conv_gradients(x, weight, gradient):
    x, weight, gradient = map(np.float64, (x, weight, gradient))
    columns = np.einsum("noij,ocpq->ncpqij", gradient, weight)
    return [
        added_by_slices(columns.reshape(len(x), -1, gradient[0, 0].size)),
        np.einsum("noij,ncijpq->ocpq", gradient, windows(x, weight.shape[2:])),
    ]


# --- conv-layer ------------------------------------------------------------------------------------------------------


def starts_evenly(answer, channels, out, kernel):
    if not isinstance(answer, dict) or not all(isinstance(answer.get(k), np.ndarray) for k in ("weight", "bias")):
        return "the layer should have a weight and a bias"
    bound = 1 / math.sqrt(channels * math.prod(kernel))
    for name, shape in {"weight": (out, channels, *kernel), "bias": (out,)}.items():
        values = answer[name]
        if values.shape != shape or values.dtype != np.float32:
            return f"{name} should be float32 of shape {shape}, not {values.dtype} of shape {values.shape}"
        if not np.abs(values).max() <= bound * 1.0001:
            return f"{name} should lie within ±{bound:.4f}, but reaches {np.abs(values).max():.4f}"
        spread, tolerance = bound / np.sqrt(3), 0.05 + 4 / np.sqrt(values.size)
        if abs(values.std() / spread - 1) > tolerance or abs(values.mean()) > spread * tolerance * 1.5:
            return f"{name} should be spread evenly over ±{bound:.4f}; its mean is {values.mean():.4f}, its spread {values.std():.4f}"
    return None


def a_wide_layer(rng):
    channels, out, width = (int(rng.integers(*bounds)) for bounds in ((4, 9), (150, 200), (3, 6)))
    return {"channels": channels, "out": out, "kernel": [2, width]}


@exercise("conv-layer")
@given(a_wide_layer)
@judged(starts_evenly)
def test_conv_layer_starts_with_even_random_numbers(tt, channels, out, kernel):
    """weight (out, in, kH, kW) and bias (out,) begin as float32, spread evenly over ±1/√(in·kH·kW).

    uniform(-bound, bound, shape) with bound = 1 / sqrt(in · kH · kW), and dtype=np.float32.
    """
    return dict(tt.Conv2d(channels, out, tuple(kernel)).named_parameters())


def conv_module(tt, case, bias=True):
    out, channels, *kernel = case["weight"].shape
    layer = tt.Conv2d(channels, out, tuple(kernel), **settings(case), bias=bias)
    for name, parameter in layer.named_parameters():
        parameter.data = case[name]
    return layer


@exercise("conv-layer")
@given(lambda rng: any_layers(rng, 6) | {"wishes": shuffled(rng, [False, True] * 3)})
@wants(
    lambda cases, wishes: [
        a_tensor(convolved(**(c if wish else without_bias(c)))) for c, wish in zip(cases, wishes, strict=True)
    ]
)
def test_conv_layer_computes_with_its_own_parameters(tt, cases, wishes):
    """A Conv2d convolves with its own weight and bias, whatever they are now, and with its own stride and padding.

    forward: conv2d(x, self.weight, self.bias, stride=self.stride, padding=self.padding).
    """
    return [conv_module(tt, c, wish)(tt.Tensor(c["x"])) for c, wish in zip(cases, wishes, strict=True)]


def asked_layers(rng):
    kernels = [int(rng.integers(1, 5)), a_kernel(rng), [1, 3], int(rng.integers(1, 5)), a_kernel(rng)]
    return {"asked": [[*rng.integers(1, 6, size=2).tolist(), k, bool(rng.random() < 0.5)] for k in kernels]}


@exercise("conv-layer")
@given(asked_layers)
@wants(lambda asked: [{"weight": [o, i, *pair(k)]} | ({"bias": [o]} if bias else {}) for i, o, k, bias in asked])
def test_conv_layer_has_parameters(tt, asked):
    """weight is a Parameter (out, in, kH, kW) and bias one of shape (out,); with bias=False there is no bias.

    self.kernel_size is a pair already; (out_channels, in_channels, *self.kernel_size). Only a Parameter is found by parameters().
    """
    made = [tt.Conv2d(i, o, k if isinstance(k, int) else tuple(k), bias=bias) for i, o, k, bias in asked]
    return [{name: list(p.shape) for name, p in layer.named_parameters() if p.requires_grad} for layer in made]


@exercise("conv-layer")
@given(lambda rng: {"seeds": pairs_of_seeds(rng)})
@wants(lambda seeds: [[a == b, False, False] for a, b in seeds])
def test_conv_layer_is_repeatable(tt, seeds):
    """The same seed gives the same weights, another seed others; without a seed, or from one generator, no two are alike.

    np.random.default_rng(seed) takes an int, a generator, or None.
    """
    answers = []
    for a, b in seeds:
        rng = np.random.default_rng(a)
        made = [(tt.Conv2d(2, 3, 2, seed=p), tt.Conv2d(2, 3, 2, seed=q)) for p, q in [(a, b), (None, None), (rng, rng)]]
        answers.append([bool((p.weight.data == q.weight.data).all()) for p, q in made])
    return answers


@exercise("conv-layer")
@stage("compatibility")
@given(lambda rng: with_gradients(rng, 3))
@wants(lambda cases: [conv_slopes(case) for case in cases])
def test_conv_layer_learns(tt, cases):
    """backward gives weight and bias of a Conv2d their gradients, and the pictures theirs.

    Hand the Parameters themselves to conv2d, not their .data.
    """
    answers = []
    for case in cases:
        layer, x = conv_module(tt, case), tt.Tensor(case["x"], requires_grad=True)
        layer(x).backward(case["gradient"])
        answers.append([x.grad, layer.weight.grad, layer.bias.grad])
    return answers


# --- max-pool and avg-pool -------------------------------------------------------------------------------------------


def pool_cases(rng, ties=False):
    """Pictures and windows: a number, pairs, no stride, overlapping, gaps. Many numbers are negative."""
    a, b = (int(n) for n in rng.permutation([1, 2, 3])[:2])
    kinds = [(2, None), (3, None), (2, 1), (3, 2), ([a, b], None), ([a, b], [b, a]), (2, 3)]
    cases = []
    for kernel, stride in shuffled(rng, kinds):
        size = (int(rng.integers(1, 3)), int(rng.integers(1, 4)), *a_size(rng))
        x = rng.integers(-2, 2, size=size) * 1.0 if ties else rng.normal(size=size) - 1
        cases.append({"x": x, "kernel_size": kernel, "stride": stride})
    return {"cases": cases}


def pool_windows(x, kernel_size, stride=None):
    return windows(x, kernel_size, kernel_size if stride is None else stride)


def largest(x, kernel_size, stride=None):
    return pool_windows(x, kernel_size, stride).max(axis=(4, 5))


def mean(x, kernel_size, stride=None):
    return np.float64(pool_windows(x, kernel_size, stride)).mean(axis=(4, 5))


def pool_with_gradients(rng, ties=False):
    cases = pool_cases(rng, ties)["cases"]
    return {"cases": [case | {"gradient": rng.normal(size=largest(**case).shape)} for case in cases]}


def to_winners(x, kernel_size, stride, gradient):
    """The gradient of max pooling: for every window, to the first of its largest numbers."""
    numbers = np.arange(x.size).reshape(x.shape)
    seen, where = pool_windows(x, kernel_size, stride), pool_windows(numbers, kernel_size, stride)
    result = np.zeros(x.shape)
    for place in np.ndindex(gradient.shape):
        winner = int(seen[place].ravel().argmax())  # argmax takes the first
        result.flat[where[place].ravel()[winner]] += gradient[place]
    return result


def to_all(x, kernel_size, stride, gradient):
    numbers = np.arange(x.size).reshape(x.shape)
    where, result = pool_windows(numbers, kernel_size, stride), np.zeros(x.shape)
    for place in np.ndindex(gradient.shape):
        result.flat[where[place].ravel()] += gradient[place] / where[place].size
    return result


def pooled(pool, tt, cases):
    return [pool(tt.Tensor(c["x"]), as_given(c["kernel_size"]), as_given(c["stride"])) for c in cases]


def pool_back(pool, tt, cases):
    answers = []
    for case in cases:
        x = tt.Tensor(case["x"], requires_grad=True)
        pool(x, kernel_size=as_given(case["kernel_size"]), stride=as_given(case["stride"])).backward(case["gradient"])
        answers.append(x.grad)
    return answers


def pool_modules(name, tt, cases):
    make = getattr(tt, name)
    return [make(as_given(c["kernel_size"]), as_given(c["stride"]))(tt.Tensor(c["x"])) for c in cases]


def kept_dtypes(pool, tt, x, kinds):
    answers = []
    for kind in kinds:
        pictures = tt.Tensor(x.astype(kind), requires_grad=True)
        output = pool(pictures, 2, 1)
        output.backward(np.ones(output.shape))
        answers.append([str(output.dtype), str(pictures.grad.dtype), pictures.data])
    return answers


def some_dtypes(rng):
    return {"x": rng.normal(size=(1, 2, *a_size(rng))), "kinds": shuffled(rng, ["float32", "float64"] * 2)}


@exercise("max-pool")
@given(pool_cases)
@wants(lambda cases: [a_tensor(largest(**case)) for case in cases])
def test_max_pool_keeps_the_largest(tt, cases):
    """max_pool2d gives the largest number of each window, for any window and stride, also where all are negative.

    Begin with what the first tap sees, not with zeros. Without a stride, the stride is the window.
    """
    return pooled(tt.max_pool2d, tt, cases)


@exercise("max-pool")
@given(pool_with_gradients)
@wants(lambda cases: [to_winners(**case) for case in cases])
def test_max_pool_gradient_goes_to_the_largest(tt, cases):
    """The gradient of a window goes to its largest number; where windows overlap, gradients add up.

    to_input[tap] += gradient * (which == number), for each tap.
    """
    return pool_back(tt.max_pool2d, tt, cases)


@exercise("max-pool")
@given(lambda rng: pool_with_gradients(rng, ties=True))
@wants(lambda cases: [to_winners(**case) for case in cases])
def test_max_pool_ties_go_to_the_first(tt, cases):
    """Where several numbers of a window are equally large, the first in reading order gets all of the gradient.

    A later tap wins only if it is strictly larger: compare it with the largest so far, before that one is updated.
    """
    return pool_back(tt.max_pool2d, tt, cases)


def a_large_window(rng):
    x = rng.normal(size=(1, 1, 20, 36))
    spots = [[int(i), int(j)] for i, j in zip(rng.integers(14, 18, 2), rng.integers(10, 17, 2), strict=True)]
    for half, (i, j) in enumerate(spots):
        x[0, 0, i, 18 * half + j] = 9
    return {"x": x, "gradient": rng.normal(size=(1, 1, 1, 2))}


@exercise("max-pool")
@given(a_large_window)
@wants(lambda x, gradient: [a_tensor(largest(x, 18)), to_winners(x, 18, None, gradient)])
def test_max_pool_with_a_large_window(tt, x, gradient):
    """A window may have more than 256 places.

    np.uint8 ends at 255; np.uint16 goes to 65,535.
    """
    (output,) = pooled(tt.max_pool2d, tt, [{"x": x, "kernel_size": 18, "stride": None}])
    return output, *pool_back(tt.max_pool2d, tt, [{"x": x, "kernel_size": 18, "stride": None, "gradient": gradient}])


@exercise("max-pool")
@stage("compatibility")
@given(some_dtypes)
@wants(lambda x, kinds: [[kind, kind, x] for kind in kinds])
def test_max_pool_keeps_the_dtype(tt, x, kinds):
    """float32 stays float32, there and back, and the pictures hold what they held.

    np.maximum makes a new array; np.zeros(input.shape, dtype=gradient.dtype) on the way back.
    """
    return kept_dtypes(tt.max_pool2d, tt, x, kinds)


@exercise("max-pool")
@stage("compatibility")
@given(pool_cases)
@wants(lambda cases: [a_tensor(largest(**case)) for case in cases])
def test_max_pool_as_a_module(tt, cases):
    """MaxPool2d(kernel_size, stride) is max_pool2d as a module.

    The class is given: if this fails and the others pass, its cell was changed.
    """
    return pool_modules("MaxPool2d", tt, cases)


def pool_by_reshape(x):
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // 2, 2, w // 2, 2)
    best = blocks.max(axis=(3, 5), keepdims=True)
    return (blocks == best) * best


@exercise("max-pool")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(16, 4, 24, 24)).astype(np.float32)})
@wants(lambda x: to_winners_of_halves(x)[::3])
@at_most(5.0, times_of=lambda x: often(lambda: pool_by_reshape(x), 3))
def test_max_pool_speed(tt, x):
    """Pooling, there and back, is a few operations on whole arrays for each tap.

    Four taps for a window of 2 × 2, and no loop over windows.
    """

    def there_and_back():
        pictures = tt.Tensor(x, requires_grad=True)
        output = tt.max_pool2d(pictures, 2)
        output.backward(output.data)
        return pictures.grad

    return often(there_and_back, 3)[::3]


def to_winners_of_halves(x):
    n, c, h, w = x.shape
    return pool_by_reshape(x).reshape(n, c, h, w)


@exercise("avg-pool")
@given(pool_cases)
@wants(lambda cases: [a_tensor(mean(**case)) for case in cases])
def test_avg_pool_takes_the_mean(tt, cases):
    """avg_pool2d gives the mean of each window, for any window and stride.

    Add up what the taps see, and divide by how many there are: math.prod(kernel).
    """
    return pooled(tt.avg_pool2d, tt, cases)


@exercise("avg-pool")
@given(pool_with_gradients)
@wants(lambda cases: [to_all(**case) for case in cases])
def test_avg_pool_gradient_goes_to_all(tt, cases):
    """Every number of a window gets the same share of its gradient; where windows overlap, shares add up.

    to_input[tap] += gradient / math.prod(kernel), for each tap.
    """
    return pool_back(tt.avg_pool2d, tt, cases)


@exercise("avg-pool")
@stage("compatibility")
@given(some_dtypes)
@wants(lambda x, kinds: [[kind, kind, x] for kind in kinds])
def test_avg_pool_keeps_the_dtype(tt, x, kinds):
    """float32 stays float32, there and back, and the pictures hold what they held.

    Add into a new array, never into input[tap], which is a part of the picture itself.
    """
    return kept_dtypes(tt.avg_pool2d, tt, x, kinds)


@exercise("avg-pool")
@stage("compatibility")
@given(pool_cases)
@wants(lambda cases: [a_tensor(mean(**case)) for case in cases])
def test_avg_pool_as_a_module(tt, cases):
    """AvgPool2d(kernel_size, stride) is avg_pool2d as a module.

    The class is given: if this fails and the others pass, its cell was changed.
    """
    return pool_modules("AvgPool2d", tt, cases)


@exercise("avg-pool")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(16, 4, 24, 24)).astype(np.float32)})
@wants(lambda x: a_tensor(mean(x, 3, 1)[::3]), rtol=1e-4, atol=1e-5)
@at_most(5.0, times_of=lambda x: often(lambda: [x[..., :-2, :-2] + x[..., 1:-1, 1:-1] for _ in range(9)], 3))
def test_avg_pool_speed(tt, x):
    """Average pooling is one addition of whole arrays for each tap.

    No loop over windows, and no detour through float64.
    """
    return often(lambda: tt.avg_pool2d(tt.Tensor(x), 3, 1), 3)[::3]


# --- batch-norm ------------------------------------------------------------------------------------------------------


def channels(array):
    """One number a channel, in a shape that meets pictures."""
    return np.reshape(array, (1, -1, 1, 1))


def normalized(x, weight, bias, eps=1e-5):
    x = np.float64(x)
    deviation = np.sqrt(x.var(axis=(0, 2, 3)) + eps)
    return (x - channels(x.mean(axis=(0, 2, 3)))) / channels(deviation) * channels(weight) + channels(bias)


def remembered(batches, momentum=0.1):
    """Running mean and variance after these batches, as weighted sums."""
    count = len(batches)
    shares = momentum * (1 - momentum) ** np.arange(count)[::-1]
    flat = [np.float64(x).transpose(1, 0, 2, 3).reshape(x.shape[1], -1) for x in batches]
    means, variances = [x.mean(axis=1) for x in flat], [x.var(axis=1, ddof=1) for x in flat]
    return [shares @ means, (1 - momentum) ** count + shares @ variances]


def norm_case(rng):
    c = int(rng.integers(2, 5))
    size = (int(rng.integers(2, 4)), c, *a_size(rng, 2, 5))
    return {
        "x": rng.normal(size=size) * rng.uniform(0.5, 3, size=(c, 1, 1)) + rng.normal(size=(c, 1, 1)) * 3,
        "weight": rng.normal(size=c),
        "bias": rng.normal(size=c),
    }


def norm_module(tt, weight, bias, **options):
    layer = tt.BatchNorm2d(len(weight), **options)
    layer.weight.data, layer.bias.data = weight, bias
    return layer


@exercise("batch-norm")
@given(norm_case)
@wants(lambda x, weight, bias: [a_tensor(normalized(x, weight, bias)), a_tensor(normalized(x, 1 + 0 * weight, 0))])
def test_batch_norm_measures_and_mends(tt, x, weight, bias):
    """While learning, each channel is given mean 0 and variance 1 over the batch, then times weight, plus bias.

    Mean and variance over the axes (0, 2, 3), with keepdims=True; the variance is the mean of the squared distances.
    """
    return norm_module(tt, weight, bias)(tt.Tensor(x)), tt.BatchNorm2d(x.shape[1])(tt.Tensor(x))


@exercise("batch-norm")
@given(lambda rng: norm_case(rng) | {"epsilons": shuffled(rng, [1e-3, 0.1, 1.0, 4.0])})
@wants(lambda x, weight, bias, epsilons: [a_tensor(normalized(x, weight, bias, eps)) for eps in epsilons])
def test_batch_norm_adds_eps_to_the_variance(tt, x, weight, bias, epsilons):
    """eps is added to the variance, under the root.

    sqrt(variance + self.eps), not sqrt(variance) + self.eps.
    """
    return [norm_module(tt, weight, bias, eps=eps)(tt.Tensor(x)) for eps in epsilons]


def some_batches(rng):
    c, size = int(rng.integers(1, 4)), a_size(rng, 2, 4)
    batches = [rng.normal(size=(n, c, *size)) * 2 + 3 for n in rng.integers(1, 4, size=3).tolist()]
    return {"batches": batches, "momentum": float(rng.uniform(0.2, 0.6))}


@exercise("batch-norm")
@given(some_batches)
@wants(lambda batches, momentum: [remembered(batches), remembered(batches, momentum)])
def test_batch_norm_remembers(tt, batches, momentum):
    """The buffers are running averages: new = (1 - momentum) · old + momentum · batch, the variance with n − 1.

    n is the number of numbers in a channel, N·H·W. variance * n / (n - 1) is the unbiased one.
    """
    answers = []
    for options in ({}, {"momentum": momentum}):
        layer = tt.BatchNorm2d(batches[0].shape[1], **options)
        for x in batches:
            layer(tt.Tensor(x))
        answers.append([np.asarray(layer.running_mean.data), np.asarray(layer.running_var.data)])
    return answers


def known(x, weight, bias, mean, variance):
    return (x - channels(mean)) / channels(np.sqrt(variance + 1e-5)) * channels(weight) + channels(bias)


@exercise("batch-norm")
@given(lambda rng: norm_case(rng) | {"numbers": rng.uniform(0.5, 3, size=(2, 4))})
@wants(
    lambda x, weight, bias, numbers: [
        *[a_tensor(known(part, weight, bias, *numbers[:, : len(weight)])) for part in (x, x[:1], x[:1, :, :1, :1])],
        *numbers[:, : len(weight)],
    ]
)
def test_batch_norm_after_eval(tt, x, weight, bias, numbers):
    """After eval() the buffers take the place of the batch's mean and variance, also for one picture alone, and stay as they are.

    Ask self.training. The running variance is divided by as it is.
    """
    layer = norm_module(tt, weight, bias).eval()
    state = {"running_mean": numbers[0, : len(weight)], "running_var": numbers[1, : len(weight)]}
    layer.load_state_dict({"weight": weight, "bias": bias} | state)
    outputs = [layer(tt.Tensor(part)) for part in (x, x[:1], x[:1, :, :1, :1])]
    return [*outputs, np.asarray(layer.running_mean.data), np.asarray(layer.running_var.data)]


@exercise("batch-norm")
@given(lambda rng: norm_case(rng) | {"seed": int(rng.integers(1000))})
@wants(lambda x, weight, bias, seed: slopes(normalized, [x, weight, bias], a_gradient(x, seed)), rtol=1e-4, atol=1e-5)
def test_batch_norm_gradients(tt, x, weight, bias, seed):
    """Pictures, weight and bias get the slopes that can be measured: the pictures also through mean and variance.

    Compute mean and variance with tensors: x.mean(…), not x.data.mean(…), or a part of the gradient is missing.
    """
    layer, pictures = norm_module(tt, weight, bias), tt.Tensor(x, requires_grad=True)
    layer(pictures).backward(a_gradient(x, seed))
    return pictures.grad, layer.weight.grad, layer.bias.grad


def a_gradient(x, seed):
    return np.random.default_rng(seed).normal(size=x.shape)


@exercise("batch-norm")
@given(lambda rng: norm_case(rng) | {"seed": int(rng.integers(1000))})
@wants(
    lambda x, weight, bias, seed: slopes(
        lambda x, weight, bias: known(x, weight, bias, 0, 1), [x, weight, bias], a_gradient(x, seed)
    ),
    rtol=1e-4,
    atol=1e-5,
)
def test_batch_norm_gradients_after_eval(tt, x, weight, bias, seed):
    """After eval() the mean and the variance are constants, and gradients go through the rest.

    Use self.weight and self.bias themselves, not their .data.
    """
    layer, pictures = norm_module(tt, weight, bias).eval(), tt.Tensor(x, requires_grad=True)
    layer(pictures).backward(a_gradient(x, seed))
    return pictures.grad, layer.weight.grad, layer.bias.grad


@exercise("batch-norm")
@stage("compatibility")
@given(lambda rng: norm_case(rng) | {"kinds": shuffled(rng, ["float32", "float64"] * 2)})
@wants(
    lambda x, weight, bias, kinds: [
        [kind, kind, *remembered([x]), "float32", "float32", sorted(["weight", "bias", "running_mean", "running_var"])]
        for kind in kinds
    ],
    rtol=1e-4,
    atol=1e-4,
)
def test_batch_norm_keeps_dtypes_and_names(tt, x, weight, bias, kinds):
    """The output has the dtype of x, learning or not; the buffers stay float32 and in the state_dict.

    Give a buffer a new array: self.running_mean.data = ….astype(…). Assigning self.running_mean itself would make it a plain array.
    """
    answers = []
    for kind in kinds:
        layer, pictures = tt.BatchNorm2d(len(weight)), tt.Tensor(x.astype(kind))
        first, state = layer(pictures), layer.state_dict()
        later = layer.eval()(pictures)
        buffers = [state["running_mean"], state["running_var"]]
        answers.append([str(first.dtype), str(later.dtype), *buffers, *(str(b.dtype) for b in buffers), sorted(state)])
    return answers


@exercise("batch-norm")
@stage("compatibility")
@given(lambda rng: norm_case(rng))
@wants(lambda x, weight, bias: [a_tensor(np.broadcast_to(channels(bias), x.shape)), np.zeros(x.shape)], atol=1e-2)
def test_batch_norm_of_a_constant_channel(tt, x, weight, bias):
    """A channel that is constant becomes the bias, without any division by zero; its gradient is 0.

    That is what eps is for.
    """
    constant = np.broadcast_to(channels(x[0, :, 0, 0].round(1)), x.shape).astype(np.float32)
    pictures = tt.Tensor(constant, requires_grad=True)
    with np.errstate(divide="raise", invalid="raise"):
        output = norm_module(tt, weight.astype(np.float32), bias.astype(np.float32))(pictures)
        output.backward(np.ones(x.shape))
    return output, pictures.grad


def strange_pictures(rng):
    c = int(rng.integers(2, 5))
    shapes = [
        [2, c, 3, 3],
        [2, c + 1, 3, 3],
        [2, c - 1, 3, 3],
        [c, 3, 3],
        [2, c],
        [1, c, 1, 1],
        [1, c, 2, 1],
        [2, c, 1, 1],
    ]
    return {"c": c, "shapes": shuffled(rng, shapes), "learning": shuffled(rng, [False, True] * 4)}


def strange(c, shape, learning):
    return len(shape) != 4 or shape[1] != c or (learning and shape[0] * shape[2] * shape[3] == 1)


@exercise("batch-norm")
@stage("compatibility")
@given(strange_pictures)
@wants(lambda c, shapes, learning: [told(f"{s}, {m}", strange(c, s, m)) for s, m in zip(shapes, learning, strict=True)])
def test_batch_norm_refuses_strange_pictures(tt, c, shapes, learning):
    """Another number of channels or axes raises ValueError, and so does one number a channel, but only while learning.

    These questions are given, above your part: if this fails, they were changed.
    """
    answers = []
    for shape, mode in zip(shapes, learning, strict=True):
        layer, x = tt.BatchNorm2d(c).train(mode), tt.Tensor(np.ones(shape))
        answers.append(told(f"{shape}, {mode}", raises(ValueError, lambda layer=layer, x=x: layer(x))))
    return answers


@exercise("batch-norm")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(16, 8, 24, 24)).astype(np.float32)})
@wants(lambda x: a_tensor(normalized(x, np.ones(8), np.zeros(8))[::3]), rtol=1e-3, atol=1e-3)
@at_most(6.0, times_of=lambda x: often(lambda: [(x - x.mean(axis=(0, 2, 3), keepdims=True)) * x for _ in range(3)], 3))
def test_batch_norm_speed(tt, x):
    """Batch normalization is a handful of operations on the whole batch.

    No loop over channels, and no detour through float64.
    """
    layer, x = tt.BatchNorm2d(8), tt.Tensor(x)
    return often(lambda: layer(x), 3)[::3]


# --- the module as a whole -------------------------------------------------------------------------------------------

CLASSES = ["Conv2d", "MaxPool2d", "AvgPool2d", "BatchNorm2d"]


@stage("import")
@given(lambda rng: {"x": rng.normal(size=(2, 3, 6, 5)), "weight": rng.normal(size=(4, 3, 3, 3))})
@wants(lambda x, weight: mean(np.maximum(convolved(x, weight), 0), 2))
def test_module_imports_alone(tt, x, weight):
    """`import tinytorch.spatial` works by itself, and beside the modules before it.

    If the import fails, run all cells from the top once and look for the first error.
    """
    spatial, bends, tensor = (importlib.import_module(f"tinytorch.{n}") for n in ("spatial", "activations", "tensor"))
    layer = spatial.Conv2d(3, 4, 3, bias=False)
    layer.weight.data = weight
    return spatial.AvgPool2d(2)(bends.relu(layer(tensor.Tensor(x)))).data


@stage("import")
@given(lambda rng: {"names": shuffled(rng, [*CLASSES, "Tensor", "ReLU", "Trainer"])})
@wants(lambda names: [name in CLASSES for name in names])
def test_every_layer_is_a_module(tt, names):
    """Conv2d, MaxPool2d, AvgPool2d and BatchNorm2d are Modules, each a class of its own.

    If one is not, its class line was changed: class Conv2d(Module).
    """
    made = {"Conv2d": (1, 1, 2), "MaxPool2d": (2,), "AvgPool2d": (2,), "BatchNorm2d": (3,)}
    return [isinstance(getattr(tt, n)(*made[n]) if n in made else getattr(tt, n), tt.Module) for n in names]


def a_network(rng):
    return {
        "x": rng.normal(size=(2, 2, 7, 8)),
        "targets": rng.integers(0, 3, size=2),
        "weights": [rng.normal(size=s) / 2 for s in ((3, 2, 3, 3), (3,), (3,), (3,), (4, 3, 2, 2), (4,), (3, 8), (3,))],
    }


def network_loss(x, w1, b1, scale, shift, w2, b2, w3, b3, targets):
    h = normalized(convolved(x, w1, b1, padding=1), scale, shift)  # (N, 3, 7, 8)
    h = largest(np.maximum(h, 0), 2)  # (N, 3, 3, 4)
    h = mean(convolved(h, w2, b2, stride=1, padding=1), 2)  # (N, 4, 2, 2)
    logits = h[:, :, :2, :1].reshape(len(x), -1) @ w3.T + b3
    return np.mean(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(x)), targets])


@stage("integration")
@given(a_network)
@wants(
    lambda x, targets, weights: slopes(lambda *arrays: network_loss(*arrays, targets), [x, *weights], 1.0),
    rtol=1e-3,
    atol=1e-6,
)
def test_a_network_that_sees_there_and_back(tt, x, targets, weights):
    """Convolution, batch normalization, ReLU, both kinds of pooling, Linear and loss: all gradients are as measured.

    If this fails and the exercises pass, look at what is kept between the way there and the way back.
    """
    conv1, norm, conv2 = tt.Conv2d(2, 3, 3, padding=1), tt.BatchNorm2d(3), tt.Conv2d(3, 4, 2, padding=1)
    head, pictures = tt.Linear(8, 3), tt.Tensor(x, requires_grad=True)
    parameters = [p for layer in (conv1, norm, conv2, head) for p in layer.parameters()]
    for parameter, values in zip(parameters, weights, strict=True):
        parameter.data = values.copy()
    h = tt.MaxPool2d(2)(tt.ReLU()(norm(conv1(pictures))))
    h = tt.AvgPool2d(2)(conv2(h))
    loss = tt.CrossEntropyLoss()(head(tt.Flatten()(h[:, :, :2, :1])), tt.Tensor(targets))
    loss.backward()
    return [pictures.grad, *(parameter.grad for parameter in parameters)]


def bars(rng, count):
    """Pictures of 10 × 10 with one bar somewhere, upright or level, and noise; and which it is."""
    pictures, kinds = rng.normal(scale=0.2, size=(count, 1, 10, 10)), rng.permutation(np.arange(count) % 2)
    for picture, kind in zip(pictures[:, 0], kinds, strict=True):
        i, j = rng.integers(0, 10), rng.integers(0, 6)
        (picture if kind else picture.T)[i, j : j + 5] += 1
    return pictures.astype(np.float32), kinds


def bars_to_learn(rng):
    (x, y), (fresh_x, fresh_y) = bars(rng, 200), bars(rng, 100)
    return {"x": x, "y": y, "fresh_x": fresh_x, "fresh_y": fresh_y}


def mostly_right(answers, x, y, fresh_x, fresh_y):
    if not isinstance(answers, np.ndarray) or answers.shape != fresh_y.shape:
        return "one answer, 0 or 1, was expected for each fresh picture"
    share = np.mean(answers == fresh_y)
    return None if share >= 0.85 else f"only {share:.0%} of fresh pictures were told right; at least 85% are expected"


@stage("integration")
@given(bars_to_learn)
@judged(mostly_right)
def test_a_network_learns_to_see(tt, x, y, fresh_x, fresh_y):
    """A small network learns to tell upright from level bars, wherever they are, and the Trainer validates it.

    If the gradients are right, look at eval(): the running mean and variance are used then.
    """
    rng = np.random.default_rng(3)
    net = tt.Sequential(
        tt.Conv2d(1, 6, 3, padding=1, seed=rng), tt.BatchNorm2d(6), tt.ReLU(), tt.MaxPool2d(2),
        tt.Conv2d(6, 8, 3, seed=rng), tt.ReLU(), tt.MaxPool2d(3), tt.Flatten(), tt.Linear(8, 2, seed=rng),
    )  # fmt: skip
    batches = [(tt.Tensor(x[i : i + 20]), tt.Tensor(y[i : i + 20])) for i in range(0, len(x), 20)]
    tt.Trainer(net, tt.Adam(net.parameters(), lr=0.01), tt.CrossEntropyLoss()).fit(batches, epochs=12)
    with tt.no_grad():
        return net.eval()(tt.Tensor(fresh_x)).data.argmax(axis=1)


@stage("integration")
@given(lambda rng: {"x": rng.normal(size=(4, 2, 5, 4)) * 3 + 1, "fresh": rng.normal(size=(1, 2, 5, 4))})
@wants(
    lambda x, fresh: [
        a_tensor(known(fresh, 1, 0, *remembered([x, x]))),
        ["bias", "running_mean", "running_var", "weight"],
    ],
    rtol=1e-4,
    atol=1e-5,
)
def test_what_was_seen_is_saved(tt, x, fresh):
    """The running mean and variance are saved with the network, and loaded into another one.

    They are buffers: register_buffer in __init__, and from then on only their .data changes.
    """
    layer, other = tt.BatchNorm2d(2), tt.BatchNorm2d(2).eval()
    layer(tt.Tensor(x))
    layer(tt.Tensor(x))
    other.load_state_dict(layer.state_dict())
    return other(tt.Tensor(fresh)), sorted(layer.state_dict())


def numpy_lenet(x, steps):
    for _ in range(steps):
        columns = table(x, (5, 5))
        maps = np.ones((6, 25), dtype=np.float32) @ columns
        pool_by_reshape(maps.reshape(len(x), 6, 24, 24))
        maps @ columns.swapaxes(1, 2)


@stage("performance")
@given(
    lambda rng: {
        "x": rng.normal(size=(16, 1, 28, 28)).astype(np.float32),
        "classes": rng.integers(0, 10, size=16),
        "steps": int(rng.integers(4, 7)),
    }
)
@wants(lambda x, classes, steps: 0.1 - np.bincount(classes, minlength=10) / 16)
@at_most(12.0, times_of=lambda x, classes, steps: numpy_lenet(x, steps))
def test_training_speed(tt, x, classes, steps):
    """A training step of a small convolutional network takes a few times as long as its columns, its pooling and its products.

    Work on whole batches, hand functions back, and let nothing become float64.
    """
    net = tt.Sequential(
        tt.Conv2d(1, 6, 5), tt.ReLU(), tt.MaxPool2d(2), tt.Conv2d(6, 8, 5), tt.ReLU(), tt.MaxPool2d(2), tt.Flatten(),
        tt.Linear(128, 10, bias=True),
    )  # fmt: skip
    head = net[7]
    head.weight.data, head.bias.data = head.weight.data * 0, head.bias.data * 0  # so all classes are equally likely
    optimizer, loss_fn, x, classes = (
        tt.SGD(net.parameters(), lr=0.0),
        tt.CrossEntropyLoss(),
        tt.Tensor(x),
        tt.Tensor(classes),
    )
    for _ in range(steps):
        optimizer.zero_grad()
        loss_fn(net(x), classes).backward()
        optimizer.step()
    return head.bias.grad


def leaves_nothing(answer, x, steps):
    if not isinstance(answer, list) or len(answer) != 2 or type(answer[0]) is not int:
        return "the number of bytes kept, and a gradient, were expected"
    wanted = steps * x.sum()
    if not np.allclose(answer[1], wanted, rtol=1e-2, atol=1e-1):
        return f"{steps} passes should have added up a gradient of {wanted:.4g}, not {answer[1]}"
    return (
        None
        if answer[0] < 2 * x.nbytes
        else f"{steps} steps have left {answer[0]:,} bytes behind; one batch has {x.nbytes:,}"
    )


@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(16, 1, 28, 28)).astype(np.float32), "steps": int(rng.integers(90, 110))})
@judged(leaves_nothing)
def test_a_hundred_steps_leave_nothing_behind(tt, x, steps):
    """After a hundred steps, there and back, no more memory is in use than after one.

    Nothing may hold on to columns or pictures: they are kept by the page of notes, which goes after the way back.
    """
    layer, pool, pictures = tt.Conv2d(1, 1, 1), tt.MaxPool2d(1), tt.Tensor(x)

    def step():
        pool(layer(pictures)).sum().backward()

    step()
    layer.zero_grad()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    often(step, steps)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.enable()
    return kept, float(layer.weight.grad.sum())

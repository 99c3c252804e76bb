"""Checks of module 13: masks, a stable softmax, several heads, a cache.

What is wanted is worked out in float64, query by query, of the visible keys alone; gradients by central differences.
"""

import gc
import importlib
import tracemalloc

import numpy as np
from support import STRICT, engine_hears, often, pairs_of_seeds, shuffled, slopes, told

from tinytorch_core.kernel.checking import a_tensor, at_most, exercise, given, judged, raises, stage, wants

# What is wanted


def softmax(x):
    exponentials = np.exp(x - np.max(x))
    return exponentials / exponentials.sum()


def looked(scores, mask=None):
    """The softmax of each row's visible scores, and 0 elsewhere: row by row, as if the hidden ones were not there."""
    scores = np.float64(scores)
    weights, visible = np.zeros(scores.shape), np.broadcast_to(True if mask is None else mask, scores.shape)
    for row in np.ndindex(scores.shape[:-1]):
        if visible[row].any():
            weights[row][visible[row]] = softmax(scores[row][visible[row]])
    return weights


def wanted_weights(q, k, mask=None):
    return looked(np.einsum("...id,...jd->...ij", np.float64(q), np.float64(k)) / q.shape[-1] ** 0.5, mask)


def wanted_attention(q, k, v, mask=None):
    return np.einsum("...ij,...jm->...im", wanted_weights(q, k, mask), np.float64(v))


def lower(rows, columns):
    """The last rows of a causal mask: each sees itself and all before."""
    return np.array([[j <= i + columns - rows for j in range(columns)] for i in range(rows)], dtype=bool)


PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")


def many_heads(x, weights, heads, mask=None):
    """Multi-head attention, head by head. weights: one (C, C + 1) for each projection, its last column the bias."""
    q, k, v, out = (np.float64(w) for w in weights)
    d, mixed = x.shape[-1] // heads, []
    visible = None if mask is None else np.broadcast_to(mask, (len(x), heads, x.shape[1], x.shape[1]))
    for h in range(heads):
        part = slice(h * d, (h + 1) * d)
        qh, kh, vh = (x @ w[part, :-1].T + w[part, -1] for w in (q, k, v))
        mixed.append(wanted_attention(qh, kh, vh, None if mask is None else visible[:, h]))
    return np.concatenate(mixed, axis=-1) @ out[:, :-1].T + out[:, -1]


# Inputs: sizes that differ from each other, so that exchanged axes are noticed


def some_sizes(rng, count, low=2):
    return [int(n) for n in rng.permutation(np.arange(low, low + count + 1))[:count]]


def a_mask(rng, shape):
    """True and False in every row, where there is room for both, and always at least one True."""
    mask = rng.random(shape) < 0.5
    places = rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)
    np.put_along_axis(mask, places[..., :1], True, axis=-1)
    if shape[-1] > 1:
        np.put_along_axis(mask, places[..., 1:2], False, axis=-1)
    return mask


# --- attend ----------------------------------------------------------------------------------------------------------


def dictionaries(rng, count=5, loud=1.0):
    cases = []
    for _ in range(count):
        t, d, m = some_sizes(rng, 3, low=3)
        cases.append([rng.normal(size=d) * loud, rng.normal(size=(t, d)) * loud, rng.normal(size=(t, m))])
    return {"cases": cases}


def wanted_look(query, keys, values):
    weights = softmax(np.array([np.sum(key * query) for key in np.float64(keys)]) / len(query) ** 0.5)
    return [sum(w * value for w, value in zip(weights, values, strict=True)), weights]


@exercise("attend")
@given(dictionaries)
@wants(lambda cases: [wanted_look(*case) for case in cases])
def test_one_query_mixes_the_values(tt, cases):
    """attend returns the mixed values, and the weights: the softmax of the scores divided by √d.

    d is the length of the query. The weights are together 1, and weights @ values mixes.
    """
    return [tt.attend(query, keys, values) for query, keys, values in cases]


@exercise("attend")
@given(lambda rng: dictionaries(rng, 6, loud=60.0))
@wants(lambda cases: [wanted_look(*case) for case in cases])
def test_one_query_never_overflows(tt, cases):
    """Scores of several thousand are no problem.

    Subtract the largest score before np.exp: the softmax stays the same, and no exponential is above 1.
    """
    with np.errstate(**STRICT):
        return [tt.attend(query, keys, values) for query, keys, values in cases]


@exercise("attend")
@stage("compatibility")
@given(lambda rng: dictionaries(rng, 4) | {"kinds": shuffled(rng, ["float32", "float64"] * 2)})
@wants(
    lambda cases, kinds: [
        [[kind, kind], [array.astype(kind) for array in case]] for case, kind in zip(cases, kinds, strict=True)
    ]
)
def test_one_query_keeps_the_dtype(tt, cases, kinds):
    """float32 stays float32, and nothing that came in is changed.

    math.sqrt gives a Python number; np.sqrt of an int gives an np.float64, and float64 is what comes of it.
    """
    answers = []
    for case, kind in zip(cases, kinds, strict=True):
        arrays = [array.astype(kind) for array in case]
        answers.append([[str(part.dtype) for part in tt.attend(*arrays)], arrays])
    return answers


# --- attention-masks -------------------------------------------------------------------------------------------------


@exercise("attention-masks")
@given(lambda rng: {"lengths": shuffled(rng, [1, 2, 3, 4, 5, 7])})
@wants(lambda lengths: [a_tensor(lower(n, n)) for n in lengths])
def test_causal_mask_hides_the_future(tt, lengths):
    """causal_mask(length)[i, j] is True where j ≤ i: a boolean Tensor, whose rows are queries.

    Compare the positions as a column with the positions as a row, and make a Tensor of the answer.
    """
    return [tt.causal_mask(n) for n in lengths]


def batches_of_lengths(rng):
    cases = []
    for _ in range(4):
        width = int(rng.integers(3, 7))
        cases.append([shuffled(rng, [0, 1, width - 1, width, width + 2, int(rng.integers(0, width))]), width])
    cases.append([shuffled(rng, [1, 2, 3]), int(rng.integers(4, 7))])  # nobody fills it
    return {"cases": cases}


def real_places(lengths, width):
    return np.array([[[[place < length for place in range(width)]]] for length in lengths], dtype=bool)


@exercise("attention-masks")
@given(batches_of_lengths)
@wants(lambda cases: [a_tensor(real_places(*case)) for case in cases])
def test_padding_mask_hides_the_padding(tt, cases):
    """padding_mask(lengths, max_len) is True at the first lengths[b] positions of text b, and has shape (B, 1, 1, max_len).

    Compare np.arange(max_len) with the lengths, which stand in a shape of (B, 1, 1, 1). It is smaller-than: positions begin at 0.
    """
    return [tt.padding_mask(lengths, width) for lengths, width in cases]


@exercise("attention-masks")
@stage("compatibility")
@given(batches_of_lengths)
@wants(lambda cases: [a_tensor(lower(width, width) & real_places(lengths, width)) for lengths, width in cases])
def test_masks_meet(tt, cases):
    """A causal mask times a padding mask is True where both are: (B, 1, T, T).

    Both have to be boolean Tensors. Between booleans, times means "and".
    """
    return [tt.causal_mask(width) * tt.padding_mask(lengths, width) for lengths, width in cases]


# --- masked-softmax --------------------------------------------------------------------------------------------------


def scores_alone(rng):
    shapes = [some_sizes(rng, n) for n in (1, 2, 3, 4)]
    return {"cases": [rng.normal(size=shape) * 3 for shape in shapes]}


@exercise("masked-softmax")
@given(scores_alone)
@wants(lambda cases: [a_tensor(looked(scores)) for scores in cases])
def test_without_a_mask_it_is_softmax(tt, cases):
    """Without a mask, it is the softmax over the last axis.

    Only where mask is not None is there anything to hide. All maxima and sums run along axis -1, with keepdims.
    """
    return [tt.masked_softmax(tt.Tensor(scores)) for scores in cases]


MASK_SHAPES = {  # of scores (B, H, Tq, Tk)
    "all": lambda b, h, q, k: (b, h, q, k),
    "causal": lambda b, h, q, k: (q, k),
    "padding": lambda b, h, q, k: (b, 1, 1, k),
    "heads": lambda b, h, q, k: (1, h, q, k),
    "one row": lambda b, h, q, k: (k,),
}


def one_row(rng):
    return {"scores": rng.permutation(5) * 1.0, "mask": np.array(shuffled(rng, [True, True, True, False, False]))}


@exercise("masked-softmax")
@given(one_row)
@wants(lambda scores, mask: a_tensor(looked(scores, mask)))
def test_one_row_with_two_hidden_places(tt, scores, mask):
    """Where the mask is False the weight is 0, and the others are together 1.

    Put -inf in the hidden places first, then take the softmax.
    """
    return tt.masked_softmax(tt.Tensor(scores), tt.Tensor(mask))


def masked_cases(rng):
    cases = []
    for name in shuffled(rng, list(MASK_SHAPES)):
        shape = some_sizes(rng, 4)
        cases.append({"scores": rng.normal(size=shape) * 3, "mask": a_mask(rng, MASK_SHAPES[name](*shape))})
    return {"cases": cases}


@exercise("masked-softmax")
@given(masked_cases)
@wants(lambda cases: [[a_tensor(looked(**c)), int(np.sum(looked(**c) == 0))] for c in cases])
def test_hidden_places_are_as_if_not_there(tt, cases):
    """Hidden places get exactly 0, and the others the softmax that they would have alone.

    Put -inf where the mask is False, before anything else: before the maximum, and before the sum.
    """
    answers = []
    for case in cases:
        weights = tt.masked_softmax(tt.Tensor(case["scores"]), tt.Tensor(case["mask"]))
        answers.append([weights, int(np.sum(weights.data == 0))])
    return answers


def some_see_nothing(rng):
    cases = []
    for _ in range(4):
        shape = some_sizes(rng, 3, low=3)
        mask = a_mask(rng, shape)
        mask[:, rng.permutation(shape[1])[:2]] = False  # two queries of each text
        cases.append({"scores": rng.normal(size=shape) * 3, "mask": mask})
    return {"cases": cases}


@exercise("masked-softmax")
@given(some_see_nothing)
@wants(lambda cases: [a_tensor(looked(**case)) for case in cases])
def test_who_sees_nothing_gets_zeros(tt, cases):
    """A row where everything is hidden has weights 0, without a warning, and leaves the other rows alone.

    Where the largest is -inf, take 0 in its place; and divide by np.maximum(total, 1).
    """
    with np.errstate(**STRICT):
        return [tt.masked_softmax(tt.Tensor(case["scores"]), tt.Tensor(case["mask"])) for case in cases]


def loud_scores(rng):
    """Scores in the thousands: of hidden places far above the visible ones, and of visible ones far above the hidden."""
    cases = []
    for sign in shuffled(rng, [1, -1, 1, -1]):
        shape = some_sizes(rng, 2, low=3)
        mask = a_mask(rng, shape)
        scores = np.where(mask, sign, -sign) * rng.uniform(2000, 2003, size=shape)
        cases.append({"scores": scores, "mask": mask})
    return {"cases": cases, "plain": rng.normal(size=(3, 4)) * 5000}


@exercise("masked-softmax")
@given(loud_scores)
@wants(lambda cases, plain: [a_tensor(looked(plain)), *(a_tensor(looked(**case)) for case in cases)])
def test_masked_softmax_never_overflows(tt, cases, plain):
    """Scores of several thousand are no problem, whether they are hidden or not.

    Subtract the largest score of those that may be seen: hide first, then look for the maximum.
    """
    with np.errstate(**STRICT):
        masked = [tt.masked_softmax(tt.Tensor(case["scores"]), tt.Tensor(case["mask"])) for case in cases]
        return [tt.masked_softmax(tt.Tensor(plain)), *masked]


def softmax_gradients(rng):
    by_size = sorted(
        masked_cases(rng)["cases"], key=lambda case: case["scores"].size
    )  # a measured gradient takes its time
    cases = by_size[:2] + some_see_nothing(rng)["cases"][:1]
    for case in cases:
        case["gradient"] = rng.normal(size=case["scores"].shape) * 10
    plain = rng.normal(size=(3, 4))
    return {"cases": [*cases, {"scores": plain, "mask": None, "gradient": rng.normal(size=plain.shape)}]}


@exercise("masked-softmax")
@stage("compatibility")
@given(softmax_gradients)
@wants(
    lambda cases: [slopes(lambda s, mask=c["mask"]: looked(s, mask), [c["scores"]], c["gradient"])[0] for c in cases],
    rtol=1e-4,
    atol=1e-6,
)
def test_masked_softmax_gradients(tt, cases):
    """The gradient of the scores is as measured: 0 for hidden places, and softmax's for the others.

    kept * (gradient - …), and what is subtracted is the row's sum of gradient * kept, with keepdims.
    """
    answers = []
    for case in cases:
        scores = tt.Tensor(case["scores"], requires_grad=True)
        tt.masked_softmax(scores, None if case["mask"] is None else tt.Tensor(case["mask"])).backward(case["gradient"])
        answers.append(scores.grad)
    return answers


@exercise("masked-softmax")
@stage("compatibility")
@given(
    lambda rng: masked_cases(rng) | {"kinds": shuffled(rng, ["float32", "float64", "float32", "float64", "float32"])}
)
@wants(
    lambda cases, kinds: [
        [k, k, c["scores"].astype(k), c["mask"], c["scores"].astype(k)] for c, k in zip(cases, kinds, strict=True)
    ]
)
def test_masked_softmax_changes_nothing_that_came_in(tt, cases, kinds):
    """float32 stays float32, there and back; and scores, mask and gradient hold what they held.

    np.where makes a new array. Never write scores[…] = … or gradient -= …: these arrays belong to others, too.
    """
    answers = []
    for case, kind in zip(cases, kinds, strict=True):
        scores, mask = tt.Tensor(case["scores"].astype(kind), requires_grad=True), tt.Tensor(case["mask"])
        other = tt.Tensor(np.zeros_like(scores.data), requires_grad=True)
        weights = tt.masked_softmax(scores, mask=mask)
        (weights + other).backward(case["scores"].astype(kind))  # both sides of the sum get the same gradient
        answers.append([str(weights.dtype), str(scores.grad.dtype), scores.data, mask.data, other.grad])
    return answers


@exercise("masked-softmax")
@stage("compatibility")
@given(masked_cases)
@wants(lambda cases: [[True, list(c["scores"].shape), float(c["scores"][0, 0, 0, 0])] for c in cases])
def test_masked_softmax_goes_through_the_door(tt, cases):
    """The engine hears of masked_softmax once, with the scores as its input.

    Keep @operation above it, and work on arrays inside.
    """
    answers = []
    for case in cases:
        scores, mask = tt.Tensor(case["scores"]), tt.Tensor(case["mask"])
        with engine_hears(tt) as heard:
            tt.masked_softmax(scores, mask)
        arrays = heard[0]["arrays"]
        answers.append(
            [len(heard) == 1 and heard[0]["inputs"][0] is scores, list(arrays[0].shape), float(arrays[0][0, 0, 0, 0])]
        )
    return answers


CAUSAL = lower(48, 48)
"""The mask of all that is timed."""


def numpy_softmax(scores, mask):
    scores = np.where(mask, scores, np.float32(-1e30))
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def many_scores(rng):
    return {"scores": rng.normal(size=(4, 4, 48, 48)).astype(np.float32), "mask": lower(48, 48)}


@exercise("masked-softmax")
@stage("performance")
@given(many_scores)
@wants(lambda scores, mask: a_tensor(looked(scores[:, :, ::5], mask[::5])), rtol=1e-4, atol=1e-5)
@at_most(8.0, times_of=lambda scores, mask: often(lambda: numpy_softmax(scores, mask), 5))
def test_masked_softmax_speed(tt, scores, mask):
    """All rows are worked out at once.

    No loop over rows: axis=-1 and keepdims=True do them all.
    """
    scores, mask = tt.Tensor(scores), tt.Tensor(mask)
    return often(lambda: tt.masked_softmax(scores, mask), 5)[:, :, ::5]


# --- scaled-dot-product ----------------------------------------------------------------------------------------------


def attention_case(rng, name=None, batch=None):
    tq, tk, d, m = some_sizes(rng, 4)
    b, h = batch or some_sizes(rng, 2)
    return {
        "q": rng.normal(size=(b, h, tq, d)),
        "k": rng.normal(size=(b, h, tk, d)),
        "v": rng.normal(size=(b, h, tk, m)),
        "mask": None if name is None else a_mask(rng, MASK_SHAPES[name](b, h, tq, tk)),
    }


def attention_cases(rng):
    return {"cases": [attention_case(rng, name) for name in shuffled(rng, [None, *MASK_SHAPES])]}


def as_tensors(tt, case):
    """Queries, keys, values and mask of a case, as Tensors; the mask may be None."""
    mask = case["mask"]
    return (*(tt.Tensor(case[name]) for name in ("q", "k", "v")), None if mask is None else tt.Tensor(mask))


@exercise("scaled-dot-product")
@given(attention_cases)
@wants(lambda cases: [a_tensor(wanted_weights(c["q"], c["k"], c["mask"])) for c in cases])
def test_weights_of_all_queries(tt, cases):
    """attention_weights has a row for each query: the softmax over the keys that it may see of q · k / √d.

    d is the last axis of q. k.T swaps the last two axes. Give the mask to masked_softmax.
    """
    answers = []
    for case in cases:
        q, k, _, mask = as_tensors(tt, case)
        answers.append(tt.attention_weights(q, k, mask))
    return answers


@exercise("scaled-dot-product")
@given(attention_cases)
@wants(lambda cases: [a_tensor(wanted_attention(**c)) for c in cases])
def test_attention_mixes_the_values(tt, cases):
    """Every query's output is the mixture of the values, by the weights of its visible keys.

    attention_weights(q, k, mask) @ v.
    """
    answers = []
    for case in cases:
        q, k, v, mask = as_tensors(tt, case)
        answers.append(tt.scaled_dot_product_attention(q, k, v, mask))
    return answers


def matrices_and_shared_keys(rng):
    tq, tk, d, m = some_sizes(rng, 4, low=2)
    return {
        "q": rng.normal(size=(2, 3, tq, d)), "k": rng.normal(size=(tk, d)), "v": rng.normal(size=(tk, m)),
        "mask": a_mask(rng, (tq, tk)),
    }  # fmt: skip


@exercise("scaled-dot-product")
@given(matrices_and_shared_keys)
@wants(
    lambda q, k, v, mask: [a_tensor(wanted_attention(q[0, 0], k, v, mask)), a_tensor(wanted_attention(q, k, v, mask))]
)
def test_attention_without_batches(tt, q, k, v, mask):
    """Plain matrices will do, and one set of keys may serve a whole batch of queries.

    Name the axes from the right, -1 and -2, and there may be any number before them.
    """
    q, k, v, mask = tt.Tensor(q), tt.Tensor(k), tt.Tensor(v), tt.Tensor(mask)
    return tt.scaled_dot_product_attention(q[0, 0], k, v, mask), tt.scaled_dot_product_attention(q, k, v, mask)


@exercise("scaled-dot-product")
@stage("compatibility")
@given(attention_cases)
@wants(
    lambda cases: [
        ["float32", a_tensor(wanted_attention(*(c[n].astype(np.float32) for n in "qkv"), c["mask"]))] for c in cases
    ],
    rtol=1e-4,
    atol=1e-5,
)
def test_attention_in_float32_agrees_with_float64(tt, cases):
    """In float32 the output is float32, and differs from a reference in float64 by 0.00001 at most.

    A Python number, as from math.sqrt, leaves the dtype alone.
    """
    answers = []
    for case in cases:
        q, k, v = (tt.Tensor(case[name].astype(np.float32)) for name in "qkv")
        output = tt.scaled_dot_product_attention(q, k, v, None if case["mask"] is None else tt.Tensor(case["mask"]))
        answers.append([str(output.dtype), output])
    return answers


def attention_gradients(rng):
    cases = []
    for name in shuffled(rng, [None, "causal", "padding"]):
        case = attention_case(rng, name, batch=(2, 1))
        if name == "padding":
            case["mask"][0] = False  # a text of length 0
        cases.append(case | {"gradient": rng.normal(size=wanted_attention(**case).shape)})
    return {"cases": cases}


@exercise("scaled-dot-product")
@stage("compatibility")
@given(attention_gradients)
@wants(
    lambda cases: [
        slopes(lambda q, k, v, m=c["mask"]: wanted_attention(q, k, v, m), [c["q"], c["k"], c["v"]], c["gradient"])
        for c in cases
    ],
    rtol=1e-4,
    atol=1e-6,
)
def test_attention_gradients(tt, cases):
    """Queries, keys and values get the gradients that can be measured.

    Every step has to go through the door: use the tensors, never their .data.
    """
    answers = []
    for case in cases:
        q, k, v = (tt.Tensor(case[name], requires_grad=True) for name in "qkv")
        mask = None if case["mask"] is None else tt.Tensor(case["mask"])
        tt.scaled_dot_product_attention(q, k, v, mask).backward(case["gradient"])
        answers.append([q.grad, k.grad, v.grad])
    return answers


def clashes(rng):
    b, t, s, d = some_sizes(rng, 4, low=3)
    fine = [
        [[b, t, d], [b, s, d], [b, s, t], [t, s]], [[t, d], [s, d], [s, d], [1, s]],
        [[b, t, d], [b, s, d], [b, s, d], [b, 1, s]], [[b, 1, d], [b, s, d], [b, s, d], [1, s]],
    ]  # fmt: skip
    wrong = [
        [[b, t, d], [b, s, d + 1], [b, s, d], [t, s]], [[b, t, d], [b, s, d], [b, s + 1, d], [t, s]],
        [[b, t, d], [b, s, d], [b, s, d], [t + 1, s]], [[b, t, d], [b, s, d], [b, s, d], [t, s + 1]],
        [[b, 1, d], [b, s, d], [b, s, d], [s, s]], [[t, d], [s, d], [s, d], [b, t, s]],
    ]  # fmt: skip
    return {
        "asked": [
            [shapes, is_wrong]
            for shapes, is_wrong in shuffled(rng, [[s, False] for s in fine] + [[s, True] for s in wrong])
        ]
    }


@exercise("scaled-dot-product")
@stage("compatibility")
@given(clashes)
@wants(lambda asked: [told(f"q, k, v, mask {shapes}", wrong) for shapes, wrong in asked])
def test_attention_refuses_what_does_not_fit(tt, asked):
    """Shapes that do not fit raise ValueError, and so does a mask that is larger than the scores.

    check_attention, which is given, sees to that: if this fails, it was changed, or an error was caught.
    """
    answers = []
    for shapes, _ in asked:
        q, k, v = (tt.Tensor(np.ones(shape)) for shape in shapes[:3])
        mask = tt.Tensor(np.ones(shapes[3], dtype=bool))
        refused = raises(ValueError, lambda q=q, k=k, v=v, m=mask: tt.scaled_dot_product_attention(q, k, v, m))
        answers.append(told(f"q, k, v, mask {shapes}", refused))
    return answers


@exercise("scaled-dot-product")
@stage("compatibility")
@given(lambda rng: {"kinds": shuffled(rng, ["bool", "bool", "bool", "float32", "float64", "int64", "uint8", "bool"])})
@wants(lambda kinds: [told(f"a mask of {kind}", kind != "bool", "TypeError") for kind in kinds])
def test_a_mask_is_boolean(tt, kinds):
    """A mask of numbers raises TypeError: nobody could say whether 0 means hidden.

    check_attention, which is given, sees to that: if this fails, it was changed.
    """
    x = tt.Tensor(np.ones((2, 3)))
    masks = [tt.Tensor(np.ones((2, 2), dtype=kind)) for kind in kinds]
    refused = [raises(TypeError, lambda m=m: tt.scaled_dot_product_attention(x, x, x, m)) for m in masks]
    return [told(f"a mask of {kind}", r, "TypeError") for kind, r in zip(kinds, refused, strict=True)]


def numpy_attention(q, k, v, mask):
    return numpy_softmax(q @ k.swapaxes(-1, -2) * np.float32(q.shape[-1] ** -0.5), mask) @ v


def a_large_attention(rng):
    return {name: rng.normal(size=(4, 4, 48, 16)).astype(np.float32) for name in "qkv"}


@exercise("scaled-dot-product")
@stage("performance")
@given(a_large_attention)
@wants(lambda q, k, v: a_tensor(wanted_attention(q, k, v, lower(48, 48))[:, :, ::5]), rtol=1e-4, atol=1e-5)
@at_most(10.0, times_of=lambda q, k, v: often(lambda: numpy_attention(q, k, v, CAUSAL), 9))
def test_attention_is_two_products(tt, q, k, v):
    """All queries of all heads and texts are answered at once, by two products and a softmax.

    @ knows batches: no loop over texts, heads or queries.
    """
    q, k, v, mask = tt.Tensor(q), tt.Tensor(k), tt.Tensor(v), tt.Tensor(lower(48, 48))
    return often(lambda: tt.scaled_dot_product_attention(q, k, v, mask), 9)[:, :, ::5]


# --- heads -----------------------------------------------------------------------------------------------------------


def to_split(rng):
    cases = []
    for heads in shuffled(rng, [1, 2, 3, 4]):
        b, t, d = some_sizes(rng, 3)
        cases.append({"x": rng.normal(size=(b, t, heads * d)), "heads": heads})
    return {"cases": cases}


def split(x, heads):
    return np.stack(np.split(x, heads, axis=-1), axis=1)


@exercise("heads")
@given(lambda rng: {"x": rng.permutation(8).reshape(1, 2, 4) + 1.0})
@wants(lambda x: a_tensor(split(x, 2)))
def test_two_heads_share_two_positions(tt, x):
    """Of every position, head 0 gets the first half and head 1 the second.

    Beside each other stand the positions of one head: compare with the drawing above the exercise.
    """
    return tt.split_heads(tt.Tensor(x), 2)


@exercise("heads")
@given(to_split)
@wants(lambda cases: [a_tensor(split(**case)) for case in cases])
def test_each_head_gets_its_part(tt, cases):
    """Head h gets the numbers h·d to (h+1)·d of every position: (B, T, C) becomes (B, H, T, d).

    First reshape to (B, T, H, d), which only draws lines; then exchange axes 1 and 2.
    """
    return [tt.split_heads(tt.Tensor(case["x"]), case["heads"]) for case in cases]


@exercise("heads")
@given(lambda rng: {"cases": [rng.normal(size=some_sizes(rng, 4)) for _ in range(4)]})
@wants(lambda cases: [a_tensor(np.concatenate(list(x.swapaxes(0, 1)), axis=-1)) for x in cases])
def test_heads_are_put_side_by_side(tt, cases):
    """merge_heads puts the heads of each position side by side: (B, H, T, d) becomes (B, T, H·d).

    First exchange axes 1 and 2, then reshape.
    """
    return [tt.merge_heads(tt.Tensor(x)) for x in cases]


def gradients_to_split(rng):
    cases = to_split(rng)["cases"]
    return {"cases": [case | {"gradient": rng.normal(size=split(**case).shape)} for case in cases]}


@exercise("heads")
@stage("compatibility")
@given(gradients_to_split)
@wants(
    lambda cases: [
        [np.concatenate(list(c["gradient"].swapaxes(0, 1)), axis=-1), split(c["x"], c["heads"]), "float32"]
        for c in cases
    ]
)
def test_gradients_find_their_way_through_heads(tt, cases):
    """Gradients take the opposite way, through both functions; and float32 stays float32.

    Use the tensor's own reshape and transpose, which go through the door.
    """
    answers = []
    for case in cases:
        x, parts = (
            tt.Tensor(case["x"], requires_grad=True),
            tt.Tensor(split(case["x"], case["heads"]), requires_grad=True),
        )
        tt.split_heads(x, case["heads"]).backward(case["gradient"])
        tt.merge_heads(parts).backward(case["x"])
        single = tt.merge_heads(tt.split_heads(tt.Tensor(case["x"].astype(np.float32)), case["heads"]))
        answers.append([x.grad, parts.grad, str(single.dtype)])
    return answers


# --- multi-head-attention --------------------------------------------------------------------------------------------


def a_layer(rng, heads, d=2):
    """Weights of the four projections, bias in the last column, and x (B, T, C)."""
    c, (b, t) = heads * d, some_sizes(rng, 2)
    return {
        "x": rng.normal(size=(b, t, c)),
        "weights": [rng.normal(size=(c, c + 1)) / c**0.5 for _ in PROJECTIONS],
        "heads": heads,
    }


def layer_with(tt, weights, heads):
    """A MultiHeadAttention with these weights and biases."""
    layer = tt.MultiHeadAttention(len(weights[0]), heads)
    for name, both in zip(PROJECTIONS, weights, strict=True):
        projection = getattr(layer, name)
        projection.weight.data, projection.bias.data = both[:, :-1].copy(), both[:, -1].copy()
    return layer


def layers(rng):
    return {"cases": [a_layer(rng, heads, int(rng.integers(2, 4))) for heads in shuffled(rng, [1, 2, 3, 4])]}


@exercise("multi-head-attention")
@given(layers)
@wants(lambda cases: [a_tensor(many_heads(**case)) for case in cases])
def test_layer_looks_with_every_head(tt, cases):
    """Without a mask every position sees all: three projections, heads, attention, merged, and the fourth projection.

    q comes from q_proj, k from k_proj, v from v_proj, all with a bias; what the heads have mixed is merged, and goes through out_proj.
    """
    return [layer_with(tt, case["weights"], case["heads"])(tt.Tensor(case["x"])) for case in cases]


def masked_layers(rng):
    cases = []
    for name in shuffled(rng, list(MASK_SHAPES)):
        case = a_layer(rng, int(rng.integers(2, 5)))
        b, t, _ = case["x"].shape
        cases.append(case | {"mask": a_mask(rng, MASK_SHAPES[name](b, case["heads"], t, t))})
    return {"cases": cases}


@exercise("multi-head-attention")
@given(masked_layers)
@wants(lambda cases: [a_tensor(many_heads(**case)) for case in cases])
def test_layer_with_masks(tt, cases):
    """A mask hides what it says: for all texts and heads, for one text, for one head.

    Hand it on to scaled_dot_product_attention as it is: it broadcasts to (B, H, T, T).
    """
    answers = []
    for case in cases:
        layer = layer_with(tt, case["weights"], case["heads"])
        answers.append(layer(tt.Tensor(case["x"]), tt.Tensor(case["mask"])))
    return answers


def sizes_for_heads(rng):
    fine = [[6, 3], [8, 4], [5, 5], [4, 1], [12, 4]]
    wrong = [[6, 4], [8, 3], [5, 2], [4, 8], [12, 5], [4, 0], [4, -2]]
    more = int(rng.integers(2, 9))
    return {"sizes": shuffled(rng, [*fine, *wrong, [more * 3, more], [more * 3 + 1, more]])}


@exercise("multi-head-attention")
@given(sizes_for_heads)
@wants(lambda sizes: [told(f"embed_dim {c}, num_heads {h}", h < 1 or c % h > 0) for c, h in sizes])
def test_heads_must_share_evenly(tt, sizes):
    """The constructor raises ValueError if embed_dim is not divisible by num_heads.

    embed_dim % num_heads is what is left over.
    """
    return [
        told(f"embed_dim {c}, num_heads {h}", raises(ValueError, lambda c=c, h=h: tt.MultiHeadAttention(c, h)))
        for c, h in sizes
    ]


@exercise("multi-head-attention")
@given(lambda rng: {"sizes": shuffled(rng, [[4, 2], [6, 3], [8, 1], [9, 9]])})
@wants(
    lambda sizes: [
        {f"{name}.{part}": [c, c] if part == "weight" else [c] for name in PROJECTIONS for part in ("weight", "bias")}
        for c, _ in sizes
    ]
)
def test_layer_has_four_projections(tt, sizes):
    """Its parameters are weight (C, C) and bias (C,) of q_proj, k_proj, v_proj and out_proj, and nothing else.

    Linear(embed_dim, embed_dim, seed=rng), four times, each in an attribute of its own.
    """
    layers_made = [tt.MultiHeadAttention(c, heads) for c, heads in sizes]
    return [{name: list(p.shape) for name, p in layer.named_parameters()} for layer in layers_made]


@exercise("multi-head-attention")
@given(lambda rng: {"pairs": pairs_of_seeds(rng)})
@wants(lambda pairs: [["equal" if a == b else "different", "four different weights"] for a, b in pairs])
def test_layer_begins_by_its_seed(tt, pairs):
    """Equal seeds give equal layers, others do not; and the four projections of a layer differ from each other.

    One generator for all four: rng = np.random.default_rng(seed). The same int four times would make four equal weights.
    """
    answers = []
    for a, b in pairs:
        first, second = (tt.MultiHeadAttention(4, 2, seed=seed).state_dict() for seed in (a, b))
        equal = all(np.array_equal(first[name], second[name]) for name in first)
        unlike = len({first[f"{name}.weight"].tobytes() for name in PROJECTIONS})
        answers.append(
            ["equal" if equal else "different", "four different weights" if unlike == 4 else f"{unlike} different"]
        )
    return answers


def a_seed_and_names(rng):
    return {"c": int(rng.integers(1, 4)) * 2, "seed": int(rng.integers(1, 1000)), "names": shuffled(rng, PROJECTIONS)}


@exercise("multi-head-attention")
@stage("compatibility")
@given(a_seed_and_names)
@wants(lambda c, seed, names: [[f"{name} drew as number {PROJECTIONS.index(name)}" for name in names]] * 2)
def test_projections_draw_in_order(tt, c, seed, names):
    """The projections draw from one generator in the order q, k, v, out; a Generator may be given in place of a seed.

    np.random.default_rng hands a Generator back as it is, so the same line does for both.
    """
    rng, answers = np.random.default_rng(seed), []
    in_order = [tt.Linear(c, c, seed=rng).weight.data for _ in PROJECTIONS]
    for start in (seed, np.random.default_rng(seed)):
        layer = tt.MultiHeadAttention(c, 2, seed=start)
        found = {name: [np.array_equal(getattr(layer, name).weight.data, w) for w in in_order] for name in names}
        answers.append(
            [f"{name} drew as number {found[name].index(True) if any(found[name]) else '?'}" for name in names]
        )
    return answers


def layer_gradients(rng):
    case = a_layer(rng, 2)
    x = case["x"][:2, :3]
    return case | {"x": x, "gradient": rng.normal(size=x.shape)}


@exercise("multi-head-attention")
@stage("compatibility")
@given(layer_gradients)
@wants(
    lambda x, weights, heads, gradient: slopes(
        lambda x, *w: many_heads(x, w, heads, lower(x.shape[1], x.shape[1])), [x, *weights], gradient
    ),
    rtol=1e-4,
    atol=1e-6,
)
def test_layer_gradients(tt, x, weights, heads, gradient):
    """x and all eight parameters get the gradients that can be measured.

    Use tensors throughout: x.data, or np.… of a tensor, leaves the path.
    """
    layer, x = layer_with(tt, weights, heads), tt.Tensor(x, requires_grad=True)
    layer(x, tt.causal_mask(x.shape[1])).backward(gradient)
    projections = [getattr(layer, name) for name in PROJECTIONS]
    return [x.grad, *(np.concatenate([p.weight.grad, p.bias.grad[:, None]], axis=1) for p in projections)]


@exercise("multi-head-attention")
@stage("compatibility")
@given(layers)
@wants(
    lambda cases: [
        ["float32", a_tensor(many_heads(c["x"], c["weights"], c["heads"], lower(*c["x"].shape[1:2] * 2)))]
        for c in cases
    ],
    rtol=1e-4,
    atol=1e-5,
)
def test_layer_in_float32_agrees_with_float64(tt, cases):
    """In float32 everything stays float32, within 0.00001 of a reference in float64.

    Nothing in forward should make numbers of its own.
    """
    answers = []
    for case in cases:
        layer = layer_with(tt, [w.astype(np.float32) for w in case["weights"]], case["heads"])
        output = layer(tt.Tensor(case["x"].astype(np.float32)), tt.causal_mask(case["x"].shape[1]))
        answers.append([str(output.dtype), output])
    return answers


def strange_inputs(rng):
    c = int(rng.integers(2, 5)) * 2
    shapes = [[2, 3, c], [1, 1, c], [4, 2, c], [3, 5, c], [2, 3, c + 1], [2, c, 3], [3, c], [c], [2, 1, 3, c]]
    return {"c": c, "shapes": shuffled(rng, shapes)}


@exercise("multi-head-attention")
@stage("compatibility")
@given(strange_inputs)
@wants(lambda c, shapes: [told(shape, len(shape) != 3 or shape[2] != c) for shape in shapes])
def test_layer_refuses_strange_inputs(tt, c, shapes):
    """x of another shape than (B, T, C) raises ValueError.

    That question is given, above your part: if this fails, it was changed.
    """
    layer = tt.MultiHeadAttention(c, 2)
    return [told(shape, raises(ValueError, lambda s=shape: layer(tt.Tensor(np.ones(s))))) for shape in shapes]


def numpy_layer(x, weights, heads, mask):
    b, t, c = x.shape
    q, k, v = ((x.reshape(-1, c) @ w[:, :-1].T + w[:, -1]).reshape(b, t, heads, -1).swapaxes(1, 2) for w in weights[:3])
    mixed = numpy_attention(q, k, v, mask).swapaxes(1, 2).reshape(-1, c)
    return (mixed @ weights[3][:, :-1].T + weights[3][:, -1]).reshape(b, t, c)


def a_large_layer(rng):
    weights = [rng.normal(size=(64, 65)).astype(np.float32) / 8 for _ in PROJECTIONS]
    return {"x": rng.normal(size=(4, 48, 64)).astype(np.float32), "weights": weights}


@exercise("multi-head-attention")
@stage("performance")
@given(a_large_layer)
@wants(lambda x, weights: a_tensor(many_heads(x, weights, 8, lower(48, 48))[:, ::5]), rtol=1e-3, atol=1e-4)
@at_most(10.0, times_of=lambda x, weights: often(lambda: numpy_layer(x, weights, 8, CAUSAL), 12))
def test_layer_speed(tt, x, weights):
    """A layer takes about as long as its four projections, two products and a softmax.

    No loop over heads: they are a batch axis.
    """
    layer, x, mask = layer_with(tt, weights, 8), tt.Tensor(x), tt.Tensor(lower(48, 48))
    with tt.no_grad():
        return often(lambda: layer(x, mask), 12)[:, ::5]


# --- kv-cache --------------------------------------------------------------------------------------------------------


def pieces(rng):
    b, h, d = some_sizes(rng, 3)
    sizes = shuffled(rng, [1, 1, 2, 3])
    return {
        "keys": [rng.normal(size=(b, h, t, d)) for t in sizes],
        "values": [rng.normal(size=(b, h, t, d)) for t in sizes],
    }


def so_far(parts):
    return [np.concatenate(parts[: n + 1], axis=2) for n in range(len(parts))]


@exercise("kv-cache")
@given(pieces)
@wants(lambda keys, values: [[a_tensor(k), a_tensor(v)] for k, v in zip(so_far(keys), so_far(values), strict=True)])
def test_cache_gives_all_so_far(tt, keys, values):
    """append returns the keys and the values of all positions so far, in the order they came.

    concatenate([old, new], axis=2): the axes are (B, H, positions, d). Remember what you return.
    """
    cache = tt.KVCache()
    return [list(cache.append(tt.Tensor(k), tt.Tensor(v))) for k, v in zip(keys, values, strict=True)]


@exercise("kv-cache")
@given(pieces)
@wants(lambda keys, values: [0, *np.cumsum([k.shape[2] for k in keys]).tolist(), 0])
def test_length_of_a_cache(tt, keys, values):
    """len(cache) is the number of positions held: 0 in the beginning, and 0 for another cache.

    What is held belongs to self; positions are axis 2.
    """
    cache, lengths = tt.KVCache(), []
    lengths.append(len(cache))
    for k, v in zip(keys, values, strict=True):
        cache.append(tt.Tensor(k), tt.Tensor(v))
        lengths.append(len(cache))
    return [*lengths, len(tt.KVCache())]


@exercise("kv-cache")
@stage("compatibility")
@given(pieces)
@wants(
    lambda keys, values: [
        *([first, first] for first in (keys[0], values[0])),
        *(
            ["float32", part.astype(np.float32)]
            for part in (np.concatenate(keys, axis=2), np.concatenate(values, axis=2))
        ),
    ]
)
def test_cache_leaves_earlier_answers_alone(tt, keys, values):
    """What append has returned before stays as it was, and so does what it was given; float32 stays float32.

    Make new tensors; do not write into old ones.
    """
    cache, single = tt.KVCache(), tt.KVCache()
    sent_first = [tt.Tensor(keys[0]), tt.Tensor(values[0])]
    returned_first = cache.append(*sent_first)
    for k, v in zip(keys[1:], values[1:], strict=True):
        cache.append(tt.Tensor(k), tt.Tensor(v))
    for k, v in zip(keys, values, strict=True):
        all_so_far = single.append(tt.Tensor(k.astype(np.float32)), tt.Tensor(v.astype(np.float32)))
    earlier = [[a.data, b.data] for a, b in zip(sent_first, returned_first, strict=True)]
    return [*earlier, *([str(part.dtype), part.data] for part in all_so_far)]


@exercise("kv-cache")
@stage("compatibility")
@given(lambda rng: pieces(rng) | {"seed": int(rng.integers(1, 10**6))})
@wants(lambda keys, values, seed: [*cut_like(keys, seed), *cut_like(values, seed + 1)])
def test_gradients_through_a_cache(tt, keys, values, seed):
    """Gradients find their way through the cache to every piece that was appended.

    Use the tensors' own concatenate, which goes through the door: np.concatenate of .data would lose track.
    """
    cache, parts = tt.KVCache(), [[tt.Tensor(x, requires_grad=True) for x in xs] for xs in (keys, values)]
    for k, v in zip(*parts, strict=True):
        all_keys, all_values = cache.append(k, v)
    (all_keys * a_gradient(keys, seed)).sum().backward()
    (all_values * a_gradient(values, seed + 1)).sum().backward()
    return [x.grad for x in (*parts[0], *parts[1])]


def a_gradient(parts, seed):
    b, h, _, d = parts[0].shape
    return np.random.default_rng(seed).normal(size=(b, h, sum(x.shape[2] for x in parts), d))


def cut_like(parts, seed):
    return np.split(a_gradient(parts, seed), np.cumsum([x.shape[2] for x in parts])[:-1], axis=2)


def a_text(rng, heads=2, b=2, t=7):
    case = a_layer(rng, heads)
    sizes = shuffled(rng, [1, 1, 2, 3])
    return case | {"x": rng.normal(size=(b, t, 2 * heads)), "sizes": sizes}


@exercise("kv-cache")
@stage("compatibility")
@given(lambda rng: a_text(rng))
@wants(lambda x, weights, heads, sizes: [a_tensor(many_heads(x, weights, heads, lower(7, 7))), sizes[0] + sizes[1], 7])
def test_layer_with_a_cache(tt, x, weights, heads, sizes):
    """A layer that is given x piece by piece, with a cache and its rows of the mask, gives what it gives at once.

    The layer appends to the cache; you need only return all keys and all values, and count them.
    """
    layer, cache, x, outputs, lengths = layer_with(tt, weights, heads), tt.KVCache(), tt.Tensor(x), [], []
    for size in sizes:
        before = sum(sizes[: len(outputs)])
        outputs.append(layer(x[:, before : before + size], tt.Tensor(lower(size, before + size)), cache))
        lengths.append(len(cache))
    return tt.concatenate(outputs, axis=1), lengths[1], lengths[3]


@exercise("kv-cache")
@stage("performance")
@given(lambda rng: {"keys": rng.normal(size=(100, 1, 4, 1, 16)).astype(np.float32)})
@wants(lambda keys: a_tensor(np.concatenate(list(keys), axis=2)))
@at_most(12.0, times_of=lambda keys: often(lambda: append_in_numpy(keys), 12))
def test_appending_copies_once(tt, keys):
    """Appending a hundred positions, one by one, takes about as long as concatenating them in NumPy.

    Two tensors are joined in each step: what is held, and what is new. Not every position by itself.
    """

    def append_all():
        cache = tt.KVCache()
        return [cache.append(tt.Tensor(k), tt.Tensor(k)) for k in keys][-1]

    return often(append_all, 12)[0]


def append_in_numpy(keys):
    for _ in "kv":
        held = keys[0]
        for k in keys[1:]:
            held = np.concatenate([held, np.array(k)], axis=2)


# --- decode-in-chunks ------------------------------------------------------------------------------------------------


def texts_in_chunks(rng):
    cases = []
    for chunk in shuffled(rng, [1, 2, 3, 4, 9]):
        case = a_layer(rng, 2)
        b, t, c = case["x"].shape
        cases.append(case | {"x": rng.normal(size=(b, t + 3, c)), "chunk": chunk})
    return {"cases": cases}


def at_once(x, weights, heads, **_):
    return many_heads(x, weights, heads, lower(x.shape[1], x.shape[1]))


@exercise("decode-in-chunks")
@given(texts_in_chunks)
@wants(lambda cases: [[a_tensor(at_once(**case))] * 2 for case in cases])
def test_pieces_are_the_same_as_at_once(tt, cases):
    """Whatever the size of the pieces, the outputs are those of the whole text with a causal mask; a second time, too.

    A new cache for every call. The mask of a piece is the last T rows of causal_mask(held + T), held before the piece.
    """
    answers = []
    for case in cases:
        layer, x = layer_with(tt, case["weights"], case["heads"]), tt.Tensor(case["x"])
        answers.append([tt.decode_in_chunks(layer, x, case["chunk"]) for _ in range(2)])
    return answers


@exercise("decode-in-chunks")
@given(lambda rng: {"cases": texts_in_chunks(rng)["cases"][:2]})
@wants(lambda cases: [a_tensor(at_once(**case)) for case in cases])
def test_one_position_at_a_time_if_nothing_else_is_said(tt, cases):
    """Without a chunk, the pieces have one position.

    chunk=1 stands in the def line; use chunk.
    """
    return [tt.decode_in_chunks(layer_with(tt, c["weights"], c["heads"]), tt.Tensor(c["x"])) for c in cases]


def asked_for(x, chunk):
    """Of every piece: how many positions the cache holds, the piece, and its mask."""
    starts = range(0, x.shape[1], chunk)
    return [
        [start, x[:, start : start + chunk], lower(len(x[0, start : start + chunk]), min(start + chunk, x.shape[1]))]
        for start in starts
    ]


@exercise("decode-in-chunks")
@given(texts_in_chunks)
@wants(lambda cases: [asked_for(case["x"], case["chunk"]) for case in cases])
def test_only_what_is_new_is_sent(tt, cases):
    """The layer is called once for each piece: with that piece alone, its mask, and the cache of all before it.

    x[:, start : start + chunk] is the piece. If the cache holds nothing in the second call, it was made anew in the loop.
    """
    answers = []
    for case in cases:
        layer, heard = layer_with(tt, case["weights"], case["heads"]), []

        def attention(piece, mask=None, cache=None, layer=layer, heard=heard):
            held = 0 if cache is None else len(cache)
            rows = np.ones((1, held + 1), dtype=bool) if mask is None else mask.data  # one query may see all
            heard.append([held, piece.data, rows.reshape(rows.shape[-2:])])
            return layer(piece, mask, cache)

        tt.decode_in_chunks(attention, tt.Tensor(case["x"]), case["chunk"])
        answers.append(heard)
    return answers


def chunk_gradients(rng):
    case = a_layer(rng, 2)
    x = rng.normal(size=(1, 5, 4))
    return {"x": x, "weights": case["weights"], "chunk": int(rng.integers(1, 4)), "gradient": rng.normal(size=x.shape)}


@exercise("decode-in-chunks")
@stage("compatibility")
@given(chunk_gradients)
@wants(
    lambda x, weights, chunk, gradient: slopes(lambda x: at_once(x, weights, 2), [x], gradient),
    rtol=1e-4,
    atol=1e-6,
)
def test_gradients_of_pieces(tt, x, weights, chunk, gradient):
    """Gradients find their way through all pieces, back to x.

    Join the outputs with the tensors' concatenate.
    """
    x = tt.Tensor(x, requires_grad=True)
    tt.decode_in_chunks(layer_with(tt, weights, 2), x, chunk).backward(gradient)
    return [x.grad]


@exercise("decode-in-chunks")
@stage("compatibility")
@given(texts_in_chunks)
@wants(lambda cases: [["float32", a_tensor(at_once(**case))] for case in cases], rtol=1e-4, atol=1e-5)
def test_pieces_in_float32(tt, cases):
    """In float32, too, piece by piece and at once agree to 0.00001.

    Nothing has to be rounded or converted on the way.
    """
    answers = []
    for case in cases:
        layer = layer_with(tt, [w.astype(np.float32) for w in case["weights"]], case["heads"])
        output = tt.decode_in_chunks(layer, tt.Tensor(case["x"].astype(np.float32)), case["chunk"])
        answers.append([str(output.dtype), output])
    return answers


def numpy_decoding(x, weights, heads):
    """Position by position, with all keys and values so far kept."""
    b, _, c = x.shape
    keys = values = np.zeros((b, heads, 0, c // heads), dtype=x.dtype)
    for t in range(x.shape[1]):
        q, k, v = ((x[:, t] @ w[:, :-1].T + w[:, -1]).reshape(b, 1, heads, -1).swapaxes(1, 2) for w in weights[:3])
        keys, values = np.concatenate([keys, k], axis=2), np.concatenate([values, v], axis=2)
        numpy_attention(q, keys, values, lower(1, 1)).swapaxes(1, 2).reshape(b, c) @ weights[3][:, :-1].T


def a_long_text(rng):
    weights = [rng.normal(size=(32, 33)).astype(np.float32) / 6 for _ in PROJECTIONS]
    return {"x": rng.normal(size=(1, 96, 32)).astype(np.float32), "weights": weights}


@exercise("decode-in-chunks")
@stage("performance")
@given(a_long_text)
@wants(lambda x, weights: a_tensor(at_once(x, weights, 4)[:, ::5]), rtol=1e-3, atol=1e-4)
@at_most(15.0, times_of=lambda x, weights: numpy_decoding(x, weights, 4))
def test_decoding_speed(tt, x, weights):
    """Position by position costs a few operations on one position, not on the whole text.

    Send only the new piece through the layer.
    """
    with tt.no_grad():
        return tt.decode_in_chunks(layer_with(tt, weights, 4), tt.Tensor(x))[:, ::5]


# --- the module as a whole -------------------------------------------------------------------------------------------


@stage("import")
@given(lambda rng: a_text(rng))
@wants(lambda x, weights, heads, sizes: a_tensor(many_heads(x, weights, heads, lower(7, 7))))
def test_module_imports_alone(tt, x, weights, heads, sizes):
    """`import tinytorch.attention` works by itself, and beside the modules before it.

    If the import fails, run all cells from the top once and look for the first error.
    """
    attention, tensor = (importlib.import_module(f"tinytorch.{name}") for name in ("attention", "tensor"))
    return attention.decode_in_chunks(layer_with(attention, weights, heads), tensor.Tensor(x), sizes[0])


@stage("import")
@given(lambda rng: {"names": shuffled(rng, ["MultiHeadAttention", "KVCache", "Tensor", "Linear", "ReLU", "Trainer"])})
@wants(lambda names: [name in ("MultiHeadAttention", "Linear") for name in names])
def test_the_layer_is_a_module(tt, names):
    """MultiHeadAttention is a Module, and a KVCache is none: it has nothing to learn.

    If that differs, a class line was changed.
    """
    return [issubclass(getattr(tt, name), tt.Module) for name in names]


def a_batch_with_padding(rng):
    lengths = shuffled(rng, [2, 4, 6])
    case = a_layer(rng, 2)
    table = rng.normal(size=(9, 4))
    texts = [rng.integers(0, 9, size=n).tolist() for n in lengths]
    return {"texts": texts, "table": table, "weights": case["weights"]}


@stage("integration")
@given(a_batch_with_padding)
@wants(
    lambda texts, table, weights: [
        many_heads(table[[text]], weights, 2, lower(len(text), len(text)))[0] for text in texts
    ]
)
def test_padding_makes_no_difference(tt, texts, table, weights):
    """In a padded batch, with a causal and a padding mask, every text gets what it would get alone.

    If this fails and the exercises pass, look at how the two masks meet: (T, T) and (B, 1, 1, T).
    """
    lengths, batch = [len(text) for text in texts], tt.pad_sequences(texts)
    mask = tt.causal_mask(batch.shape[1]) * tt.padding_mask(lengths, batch.shape[1])
    output = layer_with(tt, weights, 2)(tt.Parameter(table)[batch], mask)
    return [output.data[number, :length] for number, length in enumerate(lengths)]


def networks(rng):
    case = a_layer(rng, 2)
    x = rng.normal(size=(2, 4, 4))
    return {
        "x": x,
        "weights": case["weights"],
        "head": rng.normal(size=(3, 5)),
        "targets": rng.integers(0, 3, size=(2, 4)),
    }


def network_loss(x, weights, head, targets):
    hidden = x + many_heads(x, weights, 2, lower(4, 4))
    logits = hidden @ head[:, :-1].T + head[:, -1]
    picked = np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return np.mean(np.log(np.exp(logits).sum(axis=-1)) - picked)


@stage("integration")
@given(networks)
@wants(
    lambda x, weights, head, targets: slopes(
        lambda x, *w: network_loss(x, w[:4], w[4], targets), [x, *weights, head], 1.0
    ),
    rtol=1e-3,
    atol=1e-6,
)
def test_a_network_that_looks_there_and_back(tt, x, weights, head, targets):
    """Attention, a sum, a Linear layer and a loss: all gradients are as measured.

    If this fails and the exercises pass, look at what is kept between the way there and the way back.
    """
    layer, last, x = layer_with(tt, weights, 2), tt.Linear(4, 3), tt.Tensor(x, requires_grad=True)
    last.weight.data, last.bias.data = head[:, :-1].copy(), head[:, -1].copy()
    tt.CrossEntropyLoss()(last(x + layer(x, tt.causal_mask(4))), tt.Tensor(targets)).backward()
    parts = [*(getattr(layer, name) for name in PROJECTIONS), last]
    return [x.grad, *(np.concatenate([p.weight.grad, p.bias.grad[:, None]], axis=1) for p in parts)]


def telephone_books(rng, count):
    """Four entries, name (one of 4) and number (one of 6), in any order, then a name: which number had it?"""
    names, numbers = np.argsort(rng.random((count, 4)), axis=1), rng.integers(0, 6, size=(count, 4))
    asked = rng.integers(0, 4, size=count)
    x = np.zeros((count, 5, 11), dtype=np.float32)
    x[:, :4, :4], x[:, :4, 4:10] = np.eye(4)[names], np.eye(6)[numbers]
    x[:, 4, :4], x[:, 4, 10] = np.eye(4)[asked], 1
    return x, numbers[names == asked[:, None]]


def books_to_read(rng):
    (x, y), (fresh_x, fresh_y) = telephone_books(rng, 640), telephone_books(rng, 100)
    return {"x": x, "y": y, "fresh_x": fresh_x, "fresh_y": fresh_y}


def mostly_right(answers, x, y, fresh_x, fresh_y):
    if not isinstance(answers, np.ndarray) or answers.shape != fresh_y.shape:
        return "one number was expected for each question"
    share = np.mean(answers == fresh_y)
    return (
        None if share >= 0.85 else f"only {share:.0%} of fresh questions were answered right; at least 85% are expected"
    )


@stage("integration")
@given(books_to_read)
@judged(mostly_right)
def test_a_network_learns_to_look_up(tt, x, y, fresh_x, fresh_y):
    """A small network learns to look up a number in a list that it has never seen.

    If the gradients are right, look at the heads: does each get its own part of every position?
    """
    rng = np.random.default_rng(3)
    read, attention = tt.Linear(11, 16, seed=rng), tt.MultiHeadAttention(16, 2, seed=rng)
    net = tt.Sequential(read, attention, lambda h: h[:, 4], tt.Linear(16, 6, seed=rng))
    batches = [(tt.Tensor(x[i : i + 32]), tt.Tensor(y[i : i + 32])) for i in range(0, len(x), 32)]
    tt.Trainer(net, tt.Adam(net.parameters(), lr=0.01), tt.CrossEntropyLoss()).fit(batches, epochs=10)
    with tt.no_grad():
        return net.eval()(tt.Tensor(fresh_x)).data.argmax(axis=1)


def numpy_training(x, weights, steps):
    for _ in range(3 * steps):  # there, and twice as much back
        numpy_layer(x, weights, 8, CAUSAL)


@stage("performance")
@given(lambda rng: a_large_layer(rng) | {"steps": int(rng.integers(8, 13))})
@wants(lambda x, weights, steps: np.full(64, float(steps * 4 * 48)), rtol=1e-3)
@at_most(10.0, times_of=numpy_training)
def test_training_speed(tt, x, weights, steps):
    """The way there and back through a layer takes a few times as long as its products.

    Work on whole batches, and let nothing become float64.
    """
    layer, x, mask = layer_with(tt, weights, 8), tt.Tensor(x, requires_grad=True), tt.causal_mask(48)
    for _ in range(steps):
        layer(x, mask).sum().backward()
    return layer.out_proj.bias.grad


def leaves_nothing(answer, x, steps):
    if not isinstance(answer, list) or len(answer) != 2 or type(answer[0]) is not int:
        return "the number of bytes kept, and a gradient, were expected"
    if not np.allclose(answer[1], steps * x.shape[0] * x.shape[1], rtol=1e-3):
        return f"{steps} passes should have added up a gradient of {steps * x.shape[0] * x.shape[1]}, not {answer[1]}"
    return (
        None
        if answer[0] < 2 * x.nbytes + 100_000
        else f"{steps} steps have left {answer[0]:,} bytes behind; x has {x.nbytes:,}"
    )


@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(8, 24, 32)).astype(np.float32), "steps": int(rng.integers(90, 110))})
@judged(leaves_nothing)
def test_a_hundred_steps_leave_nothing_behind(tt, x, steps):
    """After a hundred steps, there and back, no more memory is in use than after one.

    Nothing but a KVCache may hold on to keys, values or weights.
    """
    layer, x, mask = tt.MultiHeadAttention(32, 4), tt.Tensor(x), tt.causal_mask(24)

    def step():
        layer(x, mask).sum().backward()

    step()
    layer.zero_grad()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    often(step, steps)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.enable()
    return kept, float(layer.out_proj.bias.grad[0])

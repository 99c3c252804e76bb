"""Checks of module 05: how wrong an answer is, one loss for each, and then one number for all."""

import importlib
import re
import tracemalloc

import numpy as np
from support import STRICT, engine_hears, often, shuffled

from tinytorch_core.kernel.checking import a_tensor, at_most, exercise, given, judged, raises, stage, wants

REDUCTIONS = ("mean", "sum", "none")
LOSSES = ("MSELoss", "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss")


# What is wanted, worked out in float64 and in other ways than the notebook shows


def surprise(logits, targets):
    z, t = np.float64(logits), np.float64(targets)
    return t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z)


def limited_surprise(probabilities, targets):
    p, t = np.float64(probabilities), np.float64(targets)
    with np.errstate(divide="ignore"):
        return t * np.minimum(-np.log(p), 100) + (1 - t) * np.minimum(-np.log1p(-p), 100)


def class_surprise(logits, classes):
    rows = np.float64(logits).reshape(-1, logits.shape[-1])
    losses = [np.logaddexp.reduce(row - row[c]) for row, c in zip(rows, np.ravel(classes), strict=True)]
    return np.reshape(losses, np.shape(classes))


def shares(logits):
    logits = np.float64(logits)
    return np.exp(logits - np.logaddexp.reduce(logits, axis=-1)[..., None])


def one_hot(classes, number):
    return np.float64(np.arange(number) == np.asarray(classes)[..., None])


def reduced(losses, reduction):
    return a_tensor(
        {"mean": np.average, "sum": lambda x: np.ones(x.size) @ x.ravel(), "none": np.array}[reduction](losses)
    )


# Inputs


def some_shape(rng, axes=None):
    return tuple(rng.integers(1, 5, size=axes or int(rng.integers(1, 4))).tolist())


def pair(rng):
    shape = some_shape(rng)
    return {"outputs": rng.normal(size=shape) * 3, "targets": rng.normal(size=shape) * 3}


def yes_or_no(rng, shape):
    """Targets: 0 and 1 by turns, and two in between."""
    size = int(np.prod(shape))
    certain = np.arange(size - 2) % 2
    return rng.permutation([*certain, rng.uniform(0.1, 0.4), rng.uniform(0.6, 0.9)]).reshape(shape)


def said(rng):
    shape = rng.permutation([2, int(rng.integers(3, 6))])
    return {"probabilities": rng.uniform(0.01, 0.99, size=shape), "targets": yes_or_no(rng, shape)}


def logits_of_two(rng):
    shape = rng.permutation([2, int(rng.integers(3, 6))])
    return {"logits": rng.normal(size=shape) * 3, "targets": yes_or_no(rng, shape)}


def logits_of_many(rng, *leading):
    leading, number = leading or (int(rng.integers(2, 6)),), int(rng.integers(2, 6))
    return {"logits": rng.normal(size=(*leading, number)) * 3, "classes": rng.integers(0, number, size=leading)}


def extremes(rng):
    """Numbers up to ±10,000, in float32 or float64: right and wrong, yes and no, twice each."""
    signs, targets = rng.permutation([[-1.0, 0.0], [-1.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 2).T
    z = np.rint(rng.uniform(200, 1e4, size=8)) * signs
    return {"logits": z.astype(rng.choice(["float32", "float64"])), "targets": targets}


def wide_rows(rng):
    """Rows in which logits differ by thousands, in float32 and float64."""
    kind, number = rng.choice(["float32", "float64"]), int(rng.integers(2, 6))
    return {"logits": rng.uniform(-1e4, 1e4, (4, number)).astype(kind), "classes": rng.integers(0, number, size=4)}


def shapes_that_differ(rng):
    """Pairs of shapes, most of which would broadcast."""
    n, m = rng.permutation([2, 3, 4, 5])[:2].tolist()
    return [
        [[n, 1], [n]], [[n], [n, 1]], [[n, 1], [1, n]], [[n], []], [[], [1]], [[1, n], [n]], [[m, n], [n]],
        [[m, 1], [m, n]], [[n], [m]], [[m, n], [n, m]], [[m * n], [m, n]],
    ]  # fmt: skip


def shapes(rng):
    equal = [[shape, shape] for shape in (list(some_shape(rng)) for _ in range(6))]
    return {"pairs": shuffled(rng, shapes_that_differ(rng) + equal)}


def caught(call, *args, **params):
    """Which built-in kind of error a call raises, and its message. A stub's NotImplementedError passes through."""
    found = ["no error", ""]

    def watched():
        try:
            call(*args, **params)
        except Exception as error:
            kind = next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
            found[:] = kind.__name__, str(error)
            raise

    raises(Exception, watched)
    return found


def error_of(call, *args, **params):
    return caught(call, *args, **params)[0]


def meeting(a, b):
    return f"{tuple(a)} with {tuple(b)}"


def differ(pairs):
    return [f"{meeting(a, b)}: {'ValueError' if a != b else 'no error'}" for a, b in pairs]


def halves(tt, *shapes):
    return [tt.Tensor(np.full(shape, 0.5)) for shape in shapes]


def as_said(kind, text):
    return f"{kind} said {text!r}" if kind != "no error" else "no error came"


def names_both_shapes(answers, pairs):
    if not isinstance(answers, list) or len(answers) != len(pairs):
        return "an error was expected for each pair of shapes"
    for (kind, text), (a, b) in zip(answers, pairs, strict=True):
        for shape in (a, b):
            if kind != "ValueError" or str(tuple(shape)).replace(" ", "") not in text.replace(" ", ""):
                return f"for shapes {tuple(a)} and {tuple(b)} a ValueError should name both; {as_said(kind, text)}"
    return None


def comes_from(heard, output, source):
    """Could the engine trace `output` back to the tensor `source`, by what it was told?"""
    makers, waiting = {id(facts["output"]): facts["inputs"] for facts in heard}, [output]
    while waiting:
        tensor = waiting.pop()
        if tensor is source:
            return True
        waiting += makers.pop(id(tensor), [])
    return False


def history(heard, loss, tensors):
    """Which of the tensors, by name, a loss leads back to."""
    found = [name for name, tensor in tensors.items() if comes_from(heard, loss, tensor)]
    return f"leads back to {' and '.join(found)}" if found else "has lost its history"


# --- squared-error ---------------------------------------------------------------------------------------------------


@exercise("squared-error")
@given(pair)
@wants(lambda outputs, targets: a_tensor(outputs**2 - 2 * outputs * targets + targets**2))
def test_squared_error_values(tt, outputs, targets):
    """squared_error is the difference times itself, element by element.

    First the difference, then its square. Nothing is halved, and nothing summed yet: as many losses as answers.
    """
    return tt.squared_error(tt.Tensor(outputs), tt.Tensor(targets))


@exercise("squared-error")
@given(shapes)
@wants(lambda pairs: [differ(pairs), differ(pairs)])
def test_squared_error_never_broadcasts(tt, pairs):
    """Shapes that differ raise ValueError, even if they would broadcast; equal shapes do not.

    The whole shapes have to be equal, not just the sizes or the lengths, and squared_error has to ask before it subtracts.
    """
    answers = [], []
    for a, b in pairs:
        one, two = halves(tt, a, b)
        answers[0].append(f"{meeting(a, b)}: {error_of(tt.check_same_shape, one.data, two.data)}")
        answers[1].append(f"{meeting(a, b)}: {error_of(tt.squared_error, one, two)}")
    return answers


@exercise("squared-error")
@given(lambda rng: {"pairs": shuffled(rng, shapes_that_differ(rng))})
@judged(names_both_shapes)
def test_check_same_shape_names_both(tt, pairs):
    """The ValueError of check_same_shape says which two shapes it was given.

    The example in the docstring shows how it could read. (An assert raises AssertionError, and can be switched off.)
    """
    return [caught(tt.check_same_shape, np.ones(a), np.ones(b)) for a, b in pairs]


@exercise("squared-error")
@stage("compatibility")
@given(lambda rng: pair(rng) | {"kinds": shuffled(rng, ["float32", "float64"] * 2)})
@wants(
    lambda outputs, targets, kinds: [
        {"outputs": outputs.astype(k), "targets": targets.astype(k), "losses": k} for k in kinds
    ],
    rtol=0,
    atol=0,
)
def test_squared_error_leaves_its_inputs_alone(tt, outputs, targets, kinds):
    """After squared_error, outputs and targets hold what they held; the dtype stays.

    outputs - targets makes a new array; outputs -= targets overwrites the one that was handed in.
    """
    answers = []
    for kind in kinds:
        one, two = tt.Tensor(outputs.astype(kind)), tt.Tensor(targets.astype(kind))
        losses = tt.squared_error(one, two)
        answers.append({"outputs": one.data, "targets": two.data, "losses": str(losses.dtype)})
    return answers


@exercise("squared-error")
@stage("compatibility")
@given(pair)
@wants(lambda outputs, targets: [a_tensor((outputs - targets) ** 2)])
def test_squared_error_is_one_operation(tt, outputs, targets):
    """The engine hears of one operation, squared_error, and of nothing inside it.

    Inside an operation you have arrays, and stay with them. Each tensor that is made there reports its own operations.
    """
    with engine_hears(tt) as heard:
        tt.squared_error(tt.Tensor(outputs), tt.Tensor(targets))
    return [operation["output"] for operation in heard]


@exercise("squared-error")
@stage("performance")
@given(
    lambda rng: {
        "outputs": rng.normal(size=20_000).astype(np.float32),
        "targets": rng.normal(size=20_000).astype(np.float32),
    }
)
@wants(lambda outputs, targets: (np.float64(outputs) - targets)[::999] ** 2)
@at_most(15, times_of=lambda outputs, targets: often(lambda: (outputs - targets) * (outputs - targets), 40))
def test_squared_error_is_a_line_of_numpy(tt, outputs, targets):
    """20,000 answers take about as long as NumPy itself.

    NumPy loops over the arrays; a loop in Python is hundreds of times slower.
    """
    outputs, targets = tt.Tensor(outputs), tt.Tensor(targets)
    return often(lambda: tt.squared_error(outputs, targets), 40)[::999]


# --- loss-reduction --------------------------------------------------------------------------------------------------


def with_reductions(draw):
    return lambda rng: draw(rng) | {"reductions": shuffled(rng, REDUCTIONS)}


@exercise("loss-reduction")
@given(with_reductions(lambda rng: {"losses": rng.uniform(0, 5, size=rng.integers(2, 5, size=2))}))
@wants(lambda losses, reductions: [reduced(losses, r) for r in (*reductions, "mean")])
def test_reduced_makes_one_number(tt, losses, reductions):
    """reduced gives the mean, the sum, or the losses as they are; without a word, the mean.

    The mean and the sum go over all axes, to one number; "none" leaves everything as it is.
    """
    return [tt.Loss(reduction=r).reduced(tt.Tensor(losses)) for r in reductions] + [
        tt.Loss().reduced(tt.Tensor(losses))
    ]


@exercise("loss-reduction")
@given(with_reductions(pair))
@wants(lambda outputs, targets, reductions: [reduced((outputs - targets) ** 2, r) for r in (*reductions, "mean")])
def test_mse_is_the_reduced_squared_error(tt, outputs, targets, reductions):
    """MSELoss is the mean of the squared errors, or their sum, or all of them.

    Two steps, and both are written already: a loss for each answer, and its reduction. Nothing is halved, and there is no root.
    """
    outputs, targets = tt.Tensor(outputs), tt.Tensor(targets)
    return [tt.MSELoss(reduction=r)(outputs, targets) for r in reductions] + [tt.MSELoss()(outputs, targets)]


def made(word):
    return "no error" if word in REDUCTIONS else "ValueError"


NO_REDUCTIONS = ("Mean", "average", "", "none ", "batchmean", "total", None, 0, True, "me", "elementwise_mean")


@exercise("loss-reduction")
@given(lambda rng: {"words": shuffled(rng, [*NO_REDUCTIONS, *REDUCTIONS, *REDUCTIONS])})
@wants(lambda words: [f"{n}({w!r}): {made(w)}" for w in words for n in ("Loss", "MSELoss")])
def test_unknown_reductions_are_refused_at_once(tt, words):
    """A reduction other than "mean", "sum" and "none" raises ValueError as soon as the loss is made.

    The constructor asks, and only these three words will do, letter by letter. In reduced it would be too late.
    """
    answers = []
    for word in words:
        answers.append(f"Loss({word!r}): {error_of(tt.Loss, reduction=word)}")
        answers.append(f"MSELoss({word!r}): {error_of(tt.MSELoss, reduction=word)}")
    return answers


@exercise("loss-reduction")
@given(shapes)
@wants(lambda pairs: differ(pairs))
def test_mse_never_broadcasts(tt, pairs):
    """MSELoss refuses (N, 1) against (N,), and all other shapes that differ.

    One of your functions looks at the shapes already. A formula written anew would broadcast.
    """
    return [f"{meeting(a, b)}: {error_of(tt.MSELoss(), *halves(tt, a, b))}" for a, b in pairs]


@exercise("loss-reduction")
@stage("compatibility")
@given(lambda rng: pair(rng) | {"words": shuffled(rng, REDUCTIONS * 3)})
@wants(lambda outputs, targets, words: [f"{word}: leads back to outputs and targets" for word in words])
def test_mse_can_be_traced_back(tt, outputs, targets, words):
    """What MSELoss returns can be traced back to the outputs, by what the engine was told.

    Use operations on tensors all the way. A new Tensor made of .data has lost its history, and nothing could learn from it.
    """
    answers = []
    for word in words:
        tensors = {"outputs": tt.Tensor(outputs), "targets": tt.Tensor(targets)}
        with engine_hears(tt) as heard:
            loss = tt.MSELoss(reduction=word)(*tensors.values())
        answers.append(f"{word}: {history(heard, loss, tensors)}")
    return answers


# --- binary-cross-entropy --------------------------------------------------------------------------------------------


@exercise("binary-cross-entropy")
@given(said)
@wants(lambda probabilities, targets: a_tensor(limited_surprise(probabilities, targets)))
def test_binary_cross_entropy_values(tt, probabilities, targets):
    """The loss is -(t log p + (1 - t) log(1 - p)), element by element; targets may lie between 0 and 1.

    Send the docstring's example through your lines, one by one. An `if` wants a single answer: np.any makes one of many.
    """
    return tt.binary_cross_entropy(tt.Tensor(probabilities), tt.Tensor(targets))


@exercise("binary-cross-entropy")
@given(
    lambda rng: {
        "probabilities": rng.permutation([0.0, 1.0] * 4).astype(rng.choice(["float32", "float64"])),
        "targets": rng.permutation([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.25, 0.75]),
    }
)
@wants(lambda probabilities, targets: a_tensor(100 * abs(probabilities - targets)))
def test_certainty_costs_at_most_a_hundred(tt, probabilities, targets):
    """A probability of exactly 0 or 1 costs nothing if it is right, and 100 if it is wrong. Never nan.

    0 times minus infinity is nan, so each of the two logarithms needs its limit before it meets t or 1 - t.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return tt.binary_cross_entropy(tt.Tensor(probabilities), tt.Tensor(targets))


@exercise("binary-cross-entropy")
@given(
    lambda rng: {
        "small": 10.0 ** rng.uniform(-35, -8, size=6).astype(np.float32),
        "tiny": 10.0 ** rng.uniform(-300, -50, size=6),
        "targets": rng.integers(0, 2, size=6) * 1.0,
    }
)
@wants(lambda small, tiny, targets: [a_tensor(limited_surprise(p, targets)) for p in (small, tiny)])
def test_small_probabilities_are_not_rounded_up(tt, small, tiny, targets):
    """Down to a loss of 100 the logarithm is exact, and from there on it is limited.

    Limit the logarithms, not the probabilities: p + 1e-8 and clip(p, 1e-7, …) give other losses.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return [tt.binary_cross_entropy(tt.Tensor(p), tt.Tensor(targets)) for p in (small, tiny)]


@exercise("binary-cross-entropy")
@given(shapes)
@wants(lambda pairs: differ(pairs))
def test_binary_cross_entropy_never_broadcasts(tt, pairs):
    """Shapes that differ raise ValueError, even if they would broadcast.

    You have a function for it since the first exercise. It comes before everything else.
    """
    return [f"{meeting(a, b)}: {error_of(tt.binary_cross_entropy, *halves(tt, a, b))}" for a, b in pairs]


def nearly_probabilities(rng):
    """Pairs of probabilities, in which one may be none."""
    numbers = [
        0.0,
        1.0,
        0.5,
        *rng.random(5),
        -0.001,
        1.001,
        20.0,
        -20.0,
        *rng.uniform(1.1, 9, 2),
        *rng.uniform(-9, -0.1, 2),
    ]
    return {"pairs": [shuffled(rng, [float(n), 0.5]) for n in shuffled(rng, numbers)]}


@exercise("binary-cross-entropy")
@given(nearly_probabilities)
@wants(lambda pairs: [f"{pair}: {'no error' if min(pair) >= 0 and max(pair) <= 1 else 'ValueError'}" for pair in pairs])
def test_what_is_no_probability_is_refused(tt, pairs):
    """Anything below 0 or above 1 raises ValueError; 0 and 1 themselves are probabilities.

    One of them outside is enough to refuse them all; both ends are inside.
    """
    with np.errstate(all="ignore"):
        half = tt.Tensor([0.5, 0.5])
        return [f"{pair}: {error_of(tt.binary_cross_entropy, tt.Tensor(pair), half)}" for pair in pairs]


@exercise("binary-cross-entropy")
@stage("compatibility")
@given(lambda rng: said(rng) | {"kinds": shuffled(rng, ["float32", "float64"] * 2)})
@wants(
    lambda probabilities, targets, kinds: [
        {
            "targets": np.rint(targets),
            "probabilities": probabilities.astype(k),
            "losses": a_tensor(limited_surprise(probabilities, np.rint(targets))),
            "dtype": k,
        }
        for k in kinds
    ]
)
def test_binary_cross_entropy_of_integer_targets(tt, probabilities, targets, kinds):
    """Targets may be integers; the losses have the dtype of the probabilities, and the inputs stay as they were.

    Change nothing in place. The door takes care of the dtype.
    """
    answers = []
    for kind in kinds:
        p, t = tt.Tensor(probabilities.astype(kind)), tt.Tensor(np.rint(targets).astype(np.int64))
        losses = tt.binary_cross_entropy(p, t)
        answers.append({"targets": t.data * 1.0, "probabilities": p.data, "losses": losses, "dtype": str(losses.dtype)})
    return answers


@exercise("binary-cross-entropy")
@stage("compatibility")
@given(said)
@wants(lambda probabilities, targets: [a_tensor(limited_surprise(probabilities, targets))])
def test_binary_cross_entropy_is_one_operation(tt, probabilities, targets):
    """The engine hears of one operation, binary_cross_entropy, and of nothing inside it.

    Inside an operation you have arrays, and stay with them: NumPy's functions, and no tensors.
    """
    with engine_hears(tt) as heard:
        tt.binary_cross_entropy(tt.Tensor(probabilities), tt.Tensor(targets))
    return [operation["output"] for operation in heard]


# --- bce-with-logits -------------------------------------------------------------------------------------------------


@exercise("bce-with-logits")
@given(logits_of_two)
@wants(lambda logits, targets: a_tensor(surprise(logits, targets)))
def test_bce_with_logits_values(tt, logits, targets):
    """The loss is the binary cross-entropy of sigmoid(logits), element by element.

    Work out the three terms for z = 2, t = 1 one by one, and compare them with the miniature. Python's max and abs are for single
    numbers; np.maximum and np.abs go element by element.
    """
    return tt.binary_cross_entropy_with_logits(tt.Tensor(logits), tt.Tensor(targets))


@exercise("bce-with-logits")
@given(extremes)
@wants(lambda logits, targets: a_tensor(abs(logits) * ((logits > 0) != targets)))
def test_bce_with_logits_never_overflows(tt, logits, targets):
    """A logit of ±10,000 costs 10,000 where it is wrong and 0 where it is right, without a warning.

    No exponent may ever be positive. A limit of 100, as for probabilities, would be wrong here.
    """
    with np.errstate(**STRICT):
        return tt.binary_cross_entropy_with_logits(tt.Tensor(logits), tt.Tensor(targets))


@exercise("bce-with-logits")
@given(lambda rng: {"logits": (rng.uniform(17, 90, size=8) * rng.permutation([-1, 1] * 4)).astype(np.float32)})
@wants(lambda logits: [a_tensor(surprise(logits, 1)), a_tensor(surprise(logits, 0))])
def test_bce_with_logits_where_sigmoid_is_one(tt, logits):
    """From 17 on, float32's sigmoid is exactly 1; the loss of the logit is exact all the same.

    A sigmoid has lost the information before the logarithm sees it, and a small number inside the logarithm does not bring it back.
    """
    z, one = tt.Tensor(logits), tt.Tensor(np.ones_like(logits))
    return tt.binary_cross_entropy_with_logits(z, one), tt.binary_cross_entropy_with_logits(z, one - 1.0)


@exercise("bce-with-logits")
@given(shapes)
@wants(lambda pairs: differ(pairs))
def test_bce_with_logits_never_broadcasts(tt, pairs):
    """Shapes that differ raise ValueError, even if they would broadcast.

    You have a function for it since the first exercise. It comes before everything else.
    """
    return [f"{meeting(a, b)}: {error_of(tt.binary_cross_entropy_with_logits, *halves(tt, a, b))}" for a, b in pairs]


@exercise("bce-with-logits")
@stage("compatibility")
@given(lambda rng: logits_of_two(rng) | {"kinds": shuffled(rng, ["float32", "float64"] * 2)})
@wants(
    lambda logits, targets, kinds: [
        {
            "targets": np.rint(targets),
            "logits": logits.astype(k),
            "losses": a_tensor(surprise(logits, np.rint(targets))),
            "dtype": k,
        }
        for k in kinds
    ]
)
def test_bce_with_logits_of_integer_targets(tt, logits, targets, kinds):
    """Targets may be integers; the losses have the dtype of the logits, and the inputs stay as they were.

    Change nothing in place. The door takes care of the dtype.
    """
    answers = []
    for kind in kinds:
        z, t = tt.Tensor(logits.astype(kind)), tt.Tensor(np.rint(targets).astype(np.int64))
        losses = tt.binary_cross_entropy_with_logits(z, t)
        answers.append({"targets": t.data * 1.0, "logits": z.data, "losses": losses, "dtype": str(losses.dtype)})
    return answers


@exercise("bce-with-logits")
@stage("compatibility")
@given(logits_of_two)
@wants(lambda logits, targets: [a_tensor(surprise(logits, targets))])
def test_bce_with_logits_is_one_operation(tt, logits, targets):
    """The engine hears of one operation, binary_cross_entropy_with_logits, and of nothing inside it.

    Inside an operation you have arrays, and stay with them. sigmoid and binary_cross_entropy are operations of their own.
    """
    with engine_hears(tt) as heard:
        tt.binary_cross_entropy_with_logits(tt.Tensor(logits), tt.Tensor(targets))
    return [operation["output"] for operation in heard]


# --- class-targets ---------------------------------------------------------------------------------------------------


@exercise("class-targets")
@given(
    lambda rng: {"kinds": shuffled(rng, ["int64", "int32", "uint8", "int16", "float32", "float64", "bool", "float16"])}
)
@wants(lambda kinds: [f"{kind}: {'no error' if 'int' in kind else 'TypeError'}" for kind in kinds])
def test_classes_are_integers(tt, kinds):
    """Classes that are floats or booleans raise TypeError; integers of any size are fine.

    The question is what *kind* of numbers the dtype holds, so that all sizes pass. It comes before the other two.
    """
    logits, classes = np.ones((3, 2)), np.array([1, 0, 1])
    return [f"{kind}: {error_of(tt.check_classes, logits, classes.astype(kind))}" for kind in kinds]


def class_shapes(rng):
    """Pairs of shapes, of logits and of classes: some of them right."""
    n, t, c = (int(k) for k in rng.permutation([2, 3, 4, 5])[:3])
    right = [[[n, c], [n]], [[n, t, c], [n, t]], [[c], []], [[1, c], [1]], [[n, 1, c], [n, 1]]]
    wrong = [
        [[n, c], [n, 1]], [[n, c], [c]], [[n, c], [n, c]], [[n, c], []], [[n, c], [1]], [[n, c], [n + 1]],
        [[n, t, c], [n]], [[n, t, c], [t, n]], [[n, t, c], [n, c]], [[n, t, c], [n * t]], [[c], [1]],
    ]  # fmt: skip
    return right, wrong


@exercise("class-targets")
@given(lambda rng: {"pairs": shuffled(rng, [*class_shapes(rng)[0], *class_shapes(rng)[1]])})
@wants(lambda pairs: [f"{meeting(a, b)}: {'no error' if b == a[:-1] else 'ValueError'}" for a, b in pairs])
def test_classes_have_the_shape_of_the_rows(tt, pairs):
    """Logits (…, C) want classes (…): any other shape raises ValueError, also one that would broadcast.

    The classes have the shape of the logits without the last axis, exactly; how many classes there are does not matter for it.
    """
    answers = []
    for a, b in pairs:
        logits, classes = np.ones(a), np.zeros(b, dtype=int)
        answers.append(f"{meeting(a, b)}: {error_of(tt.check_classes, logits, classes)}")
    return answers


@exercise("class-targets")
@given(lambda rng: {"pairs": shuffled(rng, class_shapes(rng)[1])})
@judged(names_both_shapes)
def test_the_shape_error_names_both(tt, pairs):
    """The ValueError says both shapes, that of the logits and that of the classes.

    As in check_same_shape. Name the shape of the logits as it is, not only the part that is compared.
    """
    return [caught(tt.check_classes, np.ones(a), np.zeros(b, dtype=int)) for a, b in pairs]


def one_wrong_class(rng):
    """Logits' shapes, the classes of all rows, and the one class that is wrong (None where all are right)."""
    cases = []
    for place in shuffled(rng, ["none"] * 4 + ["below"] * 4 + ["above"] * 4 + ["just below", "just above"] * 2):
        rows, number = rng.integers(2, 7, size=2).tolist()
        classes = rng.integers(0, number, size=rows)
        wrong = {"just below": -1, "just above": number, "none": None}
        wrong |= {"below": -int(rng.integers(1, number + 3)), "above": number + int(rng.integers(0, 90))}
        if wrong[place] is not None:
            classes[rng.integers(rows)] = wrong[place]
        cases.append([[rows, number], classes.tolist(), wrong[place]])
    return {"cases": cases}


@exercise("class-targets")
@given(one_wrong_class)
@wants(lambda cases: [f"{c} of {s[1]}: {'no error' if wrong is None else 'IndexError'}" for s, c, wrong in cases])
def test_classes_lie_in_the_range(tt, cases):
    """A class below 0, or C or more, raises IndexError. Minus one, too.

    The first class is 0 and the last C - 1, and one wrong class is enough. NumPy itself would take -1 for the last one.
    """
    answers = []
    for shape, classes, _ in cases:
        error = error_of(tt.check_classes, np.ones(shape), np.array(classes))
        answers.append(f"{classes} of {shape[1]}: {error}")
    return answers


def names_the_class(answers, cases):
    if not isinstance(answers, list) or len(answers) != len(cases):
        return "an error was expected for each case"
    for (kind, text), (shape, classes, wrong) in zip(answers, cases, strict=True):
        if kind != "IndexError" or not {str(wrong), str(shape[-1])} <= set(re.findall(r"-?\d+", text)):
            wish = f"an IndexError should name class {wrong} and C = {shape[-1]}"
            return f"for logits of shape {tuple(shape)} and classes {classes} {wish}; {as_said(kind, text)}"
    return None


@exercise("class-targets")
@given(lambda rng: {"cases": [case for case in one_wrong_class(rng)["cases"] if case[2] is not None]})
@judged(names_the_class)
def test_the_index_error_names_the_class(tt, cases):
    """The IndexError says which class it was, and how many there are.

    An array of True and False, used as an index, picks out the wrong ones; name the first of them, and the number of classes.
    """
    return [caught(tt.check_classes, np.ones(shape), np.array(classes)) for shape, classes, _ in cases]


# --- cross-entropy ---------------------------------------------------------------------------------------------------


@exercise("cross-entropy")
@given(logits_of_many)
@wants(lambda logits, classes: a_tensor(class_surprise(logits, classes)))
def test_cross_entropy_values(tt, logits, classes):
    """The loss of each row is minus the logarithm of the probability that softmax gives to its class.

    Send one row of the miniature through your lines, and compare each step. What is subtracted from the logits has to be subtracted
    from that of the right class as well, or it does not cancel; and one number remains of each row.
    """
    return tt.cross_entropy(tt.Tensor(logits), tt.Tensor(classes))


@exercise("cross-entropy")
@given(wide_rows)
@wants(lambda logits, classes: a_tensor(class_surprise(logits, classes)), rtol=1e-5, atol=2e-3)
def test_cross_entropy_never_overflows(tt, logits, classes):
    """Logits up to ±10,000 give exact losses, up to 20,000, without a warning.

    No exponent may be positive, and no logarithm be taken of a probability, which may have rounded to 0. The formula with m does neither.
    """
    with np.errstate(**STRICT):
        return tt.cross_entropy(tt.Tensor(logits), tt.Tensor(classes))


@exercise("cross-entropy")
@given(lambda rng: logits_of_many(rng, 4) | {"far": rng.permutation([-1e4, -3e3, 2e3, 1e4])})
@wants(lambda logits, classes, far: a_tensor(class_surprise(logits, classes)))
def test_cross_entropy_of_far_away_rows(tt, logits, classes, far):
    """Rows of logits around ±10,000 cost the same as rows around 0, without a warning.

    Each row has its own largest logit. The same m goes from all logits of the row, so moving a row by 10,000 changes nothing.
    """
    with np.errstate(**STRICT):
        return tt.cross_entropy(tt.Tensor(logits + far[:, None]), tt.Tensor(classes))


@exercise("cross-entropy")
@given(logits_of_many)
@wants(lambda logits, classes: [shares(logits)])
def test_the_engine_keeps_the_probabilities(tt, logits, classes):
    """The engine is told to keep softmax(logits), of shape (…, C), for the way back in module 07.

    What you write returns a pair, the losses and the probabilities. It hears of one operation only: inside, there are only arrays.
    """
    with engine_hears(tt) as heard:
        tt.cross_entropy(tt.Tensor(logits), tt.Tensor(classes))
    return [operation["kept"] for operation in heard]


SPOILS = {
    "right": lambda classes, number: classes,
    "floats": lambda classes, number: classes * 1.0,
    "one axis more": lambda classes, number: classes[:, None],
    "one more": lambda classes, number: np.append(classes, 0),
    "C": lambda classes, number: np.append(classes[1:], number),
    "minus one": lambda classes, number: np.append(-1, classes[1:]),
}
ERRORS = {
    "right": "no error",
    "floats": "TypeError",
    "one axis more": "ValueError",
    "one more": "ValueError",
    "C": "IndexError",
    "minus one": "IndexError",
}


@exercise("cross-entropy")
@given(lambda rng: {"spoils": shuffled(rng, [*SPOILS] * 2), "number": int(rng.integers(2, 6))})
@wants(lambda spoils, number: [f"{spoil}, C = {number}: {ERRORS[spoil]}" for spoil in spoils])
def test_cross_entropy_refuses_what_is_no_class(tt, spoils, number):
    """Floats raise TypeError, other shapes ValueError, classes outside [0, C) IndexError, minus one included.

    You have a function that asks all of it since the exercise before. It comes before everything else.
    """
    logits, classes = tt.Tensor(np.ones((3, number))), np.array([1, 0, number - 1])
    answers = []
    for spoil in spoils:
        spoiled = tt.Tensor(SPOILS[spoil](classes, number))
        answers.append(f"{spoil}, C = {number}: {error_of(tt.cross_entropy, logits, spoiled)}")
    return answers


@exercise("cross-entropy")
@stage("compatibility")
@given(
    lambda rng: {"two": logits_of_many(rng, 2, 3), "three": logits_of_many(rng, 2, 1, 4), "row": logits_of_many(rng, 1)}
)
@wants(
    lambda two, three, row: [
        a_tensor(class_surprise(two["logits"], two["classes"])),
        a_tensor(class_surprise(three["logits"], three["classes"])),
        a_tensor(class_surprise(row["logits"][0], row["classes"][0])),
    ]
)
def test_cross_entropy_with_any_leading_axes(tt, two, three, row):
    """Logits may have any number of leading axes, also none: (…, C) and (…) give (…).

    Work along the last axis everywhere, whatever stands before it, and at the very end make (…) of (…, 1).
    """
    cases = (two["logits"], two["classes"]), (three["logits"], three["classes"]), (row["logits"][0], row["classes"][0])
    return [tt.cross_entropy(tt.Tensor(logits), tt.Tensor(np.array(classes))) for logits, classes in cases]


@exercise("cross-entropy")
@stage("compatibility")
@given(
    lambda rng: (
        logits_of_many(rng)
        | {"kinds": [[a, b] for a in ("float32", "float64") for b in shuffled(rng, ["int64", "int32", "uint8"])]}
    )
)
@wants(
    lambda logits, classes, kinds: [
        {
            "logits": logits.astype(a),
            "classes": classes.astype(b),
            "losses": a_tensor(class_surprise(logits, classes)),
            "dtype": a,
        }
        for a, b in kinds
    ]
)
def test_cross_entropy_leaves_its_inputs_alone(tt, logits, classes, kinds):
    """After cross_entropy, logits and classes hold what they held; float32 stays float32.

    logits - m makes a new array; logits -= m overwrites the one that was handed in.
    """
    answers = []
    for a, b in kinds:
        z, t = tt.Tensor(logits.astype(a)), tt.Tensor(classes.astype(b))
        losses = tt.cross_entropy(z, t)
        answers.append({"logits": z.data, "classes": t.data, "losses": losses, "dtype": str(losses.dtype)})
    return answers


def many_rows(rng):
    return {"logits": rng.normal(size=(2_000, 10)).astype(np.float32), "classes": rng.integers(0, 10, size=2_000)}


@exercise("cross-entropy")
@stage("performance")
@given(many_rows)
@wants(lambda logits, classes: class_surprise(logits[::99], classes[::99]))
@at_most(
    12,
    times_of=lambda logits, classes: often(
        lambda: np.exp(logits - logits.max(-1, keepdims=True)) / logits.sum(-1, keepdims=True), 8
    ),
)
def test_cross_entropy_takes_all_rows_at_once(tt, logits, classes):
    """2,000 rows pass cross_entropy together, in about the time of a softmax.

    Work on the whole table along axis=-1, and pick with np.take_along_axis; a loop over the rows is far slower.
    """
    logits, classes = tt.Tensor(logits), tt.Tensor(classes)
    return often(lambda: tt.cross_entropy(logits, classes), 8)[::99]


def needs_little(answer, logits, classes):
    if not isinstance(answer, list) or len(answer) != 2 or type(answer[0]) is not int:
        return "a number of bytes, and the losses, were expected"
    wanted = class_surprise(logits, classes)
    if not isinstance(answer[1], np.ndarray) or answer[1].shape != wanted.shape:
        return f"{wanted.size} losses were expected"
    if not np.allclose(answer[1], wanted, rtol=1e-4, atol=1e-4):
        return "the losses are not right"
    times = answer[0] / logits.nbytes
    return None if times < 9 else f"it held {times:.0f} times the memory of the logits at once; 3 times is enough"


@exercise("cross-entropy")
@stage("performance")
@given(
    lambda rng: {"logits": rng.normal(size=(20, 1_000)).astype(np.float32), "classes": rng.integers(0, 1_000, size=20)}
)
@judged(needs_little)
def test_cross_entropy_needs_little_memory(tt, logits, classes):
    """With 1,000 classes, cross_entropy holds a few arrays of the logits' size at once, not a table of 1,000 × 1,000.

    np.take_along_axis picks the right logits by their numbers; no identity matrix is needed.
    """
    z, t = tt.Tensor(logits), tt.Tensor(classes)
    tt.cross_entropy(z, t)
    tracemalloc.start()
    try:
        losses = tt.cross_entropy(z, t)
        return tracemalloc.get_traced_memory()[1], losses
    finally:
        tracemalloc.stop()


# --- loss-modules ----------------------------------------------------------------------------------------------------


def three_losses(rng):
    return {
        "said": said(rng),
        "two": logits_of_two(rng),
        "many": logits_of_many(rng),
        "reductions": shuffled(rng, REDUCTIONS),
    }


def wanted_losses(said, two, many):
    return {
        "BCELoss": limited_surprise(**said),
        "BCEWithLogitsLoss": surprise(**two),
        "CrossEntropyLoss": class_surprise(**many),
    }


def tensors_for(tt, said, two, many):
    inputs = {"BCELoss": said, "BCEWithLogitsLoss": two, "CrossEntropyLoss": many}
    return {name: [tt.Tensor(array) for array in arrays.values()] for name, arrays in inputs.items()}


@exercise("loss-modules")
@given(three_losses)
@wants(
    lambda said, two, many, reductions: [
        {name: reduced(losses, r) for name, losses in wanted_losses(said, two, many).items()}
        for r in (*reductions, "mean")
    ]
)
def test_each_class_reduces_its_losses(tt, said, two, many, reductions):
    """BCELoss, BCEWithLogitsLoss and CrossEntropyLoss call their operation and reduce what it returns; without a word, to the mean.

    As in MSELoss: the operation with the name of the loss gives one Tensor of losses, and your method of Loss reduces it.
    """
    inputs = tensors_for(tt, said, two, many)
    return [{name: getattr(tt, name)(reduction=r)(*pair) for name, pair in inputs.items()} for r in reductions] + [
        {name: getattr(tt, name)()(*pair) for name, pair in inputs.items()}
    ]


@exercise("loss-modules")
@given(
    lambda rng: {
        "z": np.rint(rng.uniform(200, 1e4, size=6)) * rng.permutation([-1, 1] * 3),
        "kind": str(rng.choice(["float32", "float64"])),
    }
)
@wants(
    lambda z, kind: {
        "BCELoss": a_tensor(100.0 * np.mean(z < 0)),
        "BCEWithLogitsLoss": a_tensor(np.mean(abs(z) * (z < 0))),
        "CrossEntropyLoss": a_tensor(np.mean(abs(z) * (z < 0))),
    }
)
def test_each_class_survives_extreme_answers(tt, z, kind):
    """Certain mistakes are priced exactly: BCELoss at 100, the two that take logits at what the logit says.

    BCEWithLogitsLoss and CrossEntropyLoss take logits as they are: no sigmoid or softmax before them.
    """
    logits, yes = tt.Tensor(z.astype(kind)), tt.Tensor(np.ones(6, dtype=kind))
    rows = tt.Tensor(np.stack([np.zeros(6), z], axis=1).astype(kind))
    return {
        "BCELoss": tt.BCELoss()(tt.sigmoid(logits), yes),
        "BCEWithLogitsLoss": tt.BCEWithLogitsLoss()(logits, yes),
        "CrossEntropyLoss": tt.CrossEntropyLoss()(rows, tt.Tensor(np.ones(6, dtype=int))),
    }


@exercise("loss-modules")
@given(
    lambda rng: {
        "cases": [[n, w] for n in shuffled(rng, LOSSES[1:]) for w in shuffled(rng, [*NO_REDUCTIONS[:3], *REDUCTIONS])]
    }
)
@wants(lambda cases: [f"{name}({word!r}): {made(word)}" for name, word in cases])
def test_each_class_refuses_unknown_reductions(tt, cases):
    """All losses refuse an unknown reduction with a ValueError as soon as they are made.

    The constructor is inherited from Loss. Write none in the other classes.
    """
    return [f"{name}({word!r}): {error_of(getattr(tt, name), reduction=word)}" for name, word in cases]


@exercise("loss-modules")
@stage("compatibility")
@given(three_losses)
@wants(
    lambda said, two, many, reductions: [
        f"{name}, {word}: leads back to what the network said" for word in reductions for name in LOSSES[1:]
    ]
)
def test_each_loss_can_be_traced_back(tt, said, two, many, reductions):
    """Every loss can be traced back to what the network said, by what the engine was told.

    Hand the tensors themselves to the operation, and reduce tensors. A new Tensor made of .data has lost its history.
    """
    answers, inputs = [], tensors_for(tt, said, two, many)
    for word in reductions:
        for name, (outputs, targets) in inputs.items():
            with engine_hears(tt) as heard:
                loss = getattr(tt, name)(reduction=word)(outputs, targets)
            answers.append(f"{name}, {word}: {history(heard, loss, {'what the network said': outputs})}")
    return answers


# --- the module as a whole -------------------------------------------------------------------------------------------


@stage("import")
@given(lambda rng: logits_of_many(rng) | {"names": shuffled(rng, [*LOSSES, "Loss", "no such name"])})
@wants(
    lambda logits, classes, names: [
        np.average(class_surprise(logits, classes)),
        [name for name in names if name != "no such name"],
    ]
)
def test_module_imports_alone(tt, logits, classes, names):
    """`import tinytorch.losses` works by itself, beside the modules before it, and its classes are there.

    If the import fails, run all cells from the top once and look for the first error.
    """
    losses, tensor = (importlib.import_module(f"tinytorch.{name}") for name in ("losses", "tensor"))
    there = [name for name in names if isinstance(getattr(losses, name, None), type)]
    return losses.CrossEntropyLoss()(tensor.Tensor(logits), tensor.Tensor(classes)), there


@stage("import")
@given(lambda rng: {"pairs": shuffled(rng, [[name, word] for name in LOSSES for word in REDUCTIONS])})
@wants(lambda pairs: [f"{name}({word!r}): a Module, 0 parameters, remembers {word}" for name, word in pairs])
def test_every_loss_is_a_module(tt, pairs):
    """Every loss can be made with each reduction, is a Module without parameters, and remembers its reduction.

    If one is not, its class line was changed: class MSELoss(Loss), and class Loss(Module).
    """
    answers = []
    for name, word in pairs:
        loss = getattr(tt, name)(reduction=word).eval().train()
        kind = "a Module" if isinstance(loss, tt.Module) else "no Module"
        answers.append(f"{name}({word!r}): {kind}, {len(loss.parameters())} parameters, remembers {loss.reduction}")
    return answers


@stage("compatibility")
@given(
    lambda rng: {
        "cases": [
            [n, k, r]
            for n in shuffled(rng, LOSSES)
            for k in shuffled(rng, ["float32", "float64"])
            for r in shuffled(rng, REDUCTIONS)
        ]
    }
)
@wants(lambda cases: [f"{name} of {kind}, {reduction}: {kind}" for name, kind, reduction in cases])
def test_dtype_stays(tt, cases):
    """float32 stays float32 and float64 stays float64, in every loss and every reduction.

    The door takes care of the dtype, as long as everything goes through it: keep the @operation lines.
    """
    kinds = []
    for name, kind, reduction in cases:
        answers = tt.Tensor(np.full((3, 2), 0.25, dtype=kind))
        targets = np.array([1, 0, 1]) if name == "CrossEntropyLoss" else np.ones((3, 2), dtype=kind)
        loss = getattr(tt, name)(reduction=reduction)(answers, tt.Tensor(targets))
        kinds.append(f"{name} of {kind}, {reduction}: {loss.dtype}")
    return kinds


def slopes_by_hand(outputs, probabilities, targets, logits, classes):
    yes, number = np.rint(probabilities), logits.shape[-1]
    return {
        "MSELoss": 2 * (outputs - targets) / outputs.size,
        "BCELoss": (probabilities - yes) / (probabilities * (1 - probabilities)) / yes.size,
        "BCEWithLogitsLoss": (1 / (1 + np.exp(-outputs)) - yes) / yes.size,
        "CrossEntropyLoss": (shares(logits) - one_hot(classes, number)) / classes.size,
    }


def for_slopes(rng):
    return logits_of_many(rng) | {
        "outputs": rng.normal(size=(2, 2)),
        "targets": rng.normal(size=(2, 2)),
        "probabilities": rng.uniform(0.1, 0.9, size=(2, 2)),
    }


def slope(tt, loss_fn, outputs, targets, step=1e-5):
    """How the loss changes with each of the outputs, by moving one at a time a little to both sides."""
    slopes = np.zeros(outputs.shape)
    for place in np.ndindex(*outputs.shape):
        sides = [outputs.copy(), outputs.copy()]
        sides[0][place] -= step
        sides[1][place] += step
        left, right = (loss_fn(tt.Tensor(side), tt.Tensor(targets)).item() for side in sides)
        slopes[place] = (right - left) / (2 * step)
    return slopes


@stage("compatibility")
@given(for_slopes)
@wants(slopes_by_hand, rtol=1e-4, atol=1e-6)
def test_slopes_are_what_calculus_says(tt, outputs, probabilities, targets, logits, classes):
    """Move one output a little, and each loss changes as calculus says it must: for logits, by probability minus truth.

    If this fails and the values are right, something is rounded or limited where it should not be; in float64 every digit counts.
    """
    yes = np.rint(probabilities)
    return {
        "MSELoss": slope(tt, tt.MSELoss(), outputs, targets),
        "BCELoss": slope(tt, tt.BCELoss(), probabilities, yes),
        "BCEWithLogitsLoss": slope(tt, tt.BCEWithLogitsLoss(), outputs, yes),
        "CrossEntropyLoss": slope(tt, tt.CrossEntropyLoss(), logits, classes),
    }


def network(rng):
    sizes = {"0.weight": (6, 4), "0.bias": 6, "2.weight": (3, 6), "2.bias": 3}
    return {
        "state": {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()},
        "x": rng.normal(size=(5, 4)),
        "classes": rng.integers(0, 3, size=5),
    }


def said_by(state, x):
    state = {name: np.float64(values) for name, values in state.items()}
    return np.maximum(x @ state["0.weight"].T + state["0.bias"], 0) @ state["2.weight"].T + state["2.bias"]


def all_losses(state, x, classes):
    logits, truth = said_by(state, x), one_hot(classes, 3)
    p = shares(logits)
    pairs = {
        "CrossEntropyLoss": class_surprise(logits, classes),
        "BCEWithLogitsLoss": surprise(logits, truth),
        "MSELoss": (p - truth) ** 2,
        "BCELoss": -np.log(np.where(truth > 0, p, 1 - p)),
    }
    return {name: a_tensor(np.average(losses)) for name, losses in pairs.items()}


@stage("integration")
@given(network)
@wants(all_losses, rtol=1e-4, atol=1e-4)
def test_a_network_is_judged(tt, state, x, classes):
    """A network of module 04 answers, and all four losses say how wrong it is.

    If this fails and the exercises pass, look at what a loss does with a whole batch of a network's outputs.
    """
    net = tt.Sequential(tt.Linear(4, 6), tt.ReLU(), tt.Linear(6, 3))
    net.load_state_dict(state)
    logits, truth = net(tt.Tensor(x)), tt.Tensor(one_hot(classes, 3))
    return {
        "CrossEntropyLoss": tt.CrossEntropyLoss()(logits, tt.Tensor(classes)),
        "BCEWithLogitsLoss": tt.BCEWithLogitsLoss()(logits, truth),
        "MSELoss": tt.MSELoss()(tt.softmax(logits), truth),
        "BCELoss": tt.BCELoss()(tt.softmax(logits), truth),
    }


@stage("integration")
@given(lambda rng: {"numbers": rng.permutation(np.arange(2, 60))[:8].tolist(), "level": float(rng.normal() * 100)})
@wants(
    lambda numbers, level: [[a_tensor(np.log(n)), a_tensor(0.0), a_tensor(50.0)] for n in numbers], rtol=1e-5, atol=1e-5
)
def test_ignorance_costs_log_c_and_knowledge_nothing(tt, numbers, level):
    """All C classes equally likely costs log C, certain and right nothing, certain and wrong what the logit says.

    Cross-entropy does not change when the same number is added to all logits of a row.
    """
    answers, loss_fn = [], tt.CrossEntropyLoss()
    for number in numbers:
        classes = np.arange(number)
        certain = 50 * one_hot(classes, number)
        tables = np.full((number, number), level), certain, np.roll(certain, 1, axis=1)
        answers.append([loss_fn(tt.Tensor(table), tt.Tensor(classes)) for table in tables])
    return answers


@stage("integration")
@given(lambda rng: {"z": rng.normal(size=7) * 4, "yes": rng.integers(0, 2, size=7)})
@wants(lambda z, yes: [a_tensor(np.average(surprise(z, yes)))] * 3)
def test_three_losses_agree_on_yes_and_no(tt, z, yes):
    """Yes and no is a question with two classes: sigmoid and BCELoss, BCEWithLogitsLoss, and CrossEntropyLoss of [0, z] all agree.

    The sum is over the classes, the mean over the rows. If one of them differs by a factor of 2, look at its reduction.
    """
    logits, answers = tt.Tensor(z), tt.Tensor(yes * 1.0)
    rows = tt.stack([logits * 0, logits], axis=1)
    return [
        tt.BCELoss()(tt.sigmoid(logits), answers),
        tt.BCEWithLogitsLoss()(logits, answers),
        tt.CrossEntropyLoss()(rows, tt.Tensor(yes)),
    ]


def clouds(rng):
    classes, centres = rng.permutation(np.repeat(np.arange(3), 10)), rng.normal(size=(3, 4)) * 2
    return {
        "x": centres[classes] + rng.normal(size=(30, 4)) / 2,
        "classes": classes,
        "weight": rng.normal(size=(3, 4)) / 2,
    }


def descent(x, classes, weight):
    """The losses along the way, in float64 NumPy."""
    losses, bias = [], np.zeros(3)
    for _ in range(41):
        logits = x @ weight.T + bias
        losses.append(float(np.average(class_surprise(logits, classes))))
        error = (shares(logits) - one_hot(classes, 3)) / 30
        weight, bias = weight - 0.5 * error.T @ x, bias - 0.5 * error.sum(axis=0)
    return losses[::10]


@stage("integration")
@given(clouds)
@wants(descent)
def test_downhill_the_loss_falls(tt, x, classes, weight):
    """A Linear is moved down the slope of its cross-entropy, "probability minus truth", forty times, and its loss falls as it must.

    If this fails and the exercises pass, look at whether the loss of the same network is the same every time.
    """
    layer, loss_fn, losses = tt.Linear(4, 3), tt.CrossEntropyLoss(), []
    layer.weight.data, layer.bias.data = weight, np.zeros(3)
    for _ in range(41):
        logits = layer(tt.Tensor(x))
        losses.append(loss_fn(logits, tt.Tensor(classes)).item())
        error = (tt.softmax(logits).data - one_hot(classes, 3)) / len(x)
        layer.weight.data = layer.weight.data - 0.5 * error.T @ x
        layer.bias.data = layer.bias.data - 0.5 * error.sum(axis=0)
    return losses[::10]


def keeps_nothing(answer, logits, classes, passes):
    if not isinstance(answer, list) or len(answer) != 2 or type(answer[0]) is not int:
        return "the number of bytes kept, and a loss, were expected"
    wanted = np.average(class_surprise(logits, classes))
    if not isinstance(answer[1], np.ndarray) or not np.allclose(answer[1], wanted, rtol=1e-4):
        return f"the loss should be {wanted:.5f}"
    few = 4 * logits.nbytes
    return (
        None
        if answer[0] < few
        else f"{passes} losses have left {answer[0]:,} bytes behind; the logits have {logits.nbytes:,}"
    )


@stage("performance")
@given(
    lambda rng: {
        "logits": rng.normal(size=(100, 50)).astype(np.float32),
        "classes": rng.integers(0, 50, size=100),
        "passes": int(rng.integers(90, 110)),
    }
)
@judged(keeps_nothing)
def test_a_hundred_losses_leave_nothing_behind(tt, logits, classes, passes):
    """After a hundred losses, no more memory is in use than after one.

    A loss remembers its reduction, and nothing of what it was given.
    """
    loss_fns = [tt.CrossEntropyLoss(), tt.BCEWithLogitsLoss(), tt.MSELoss()]
    table, classes = tt.Tensor(logits), tt.Tensor(classes)
    loss_fns[0](table, classes)
    tracemalloc.start()
    for _ in range(passes):
        loss = loss_fns[0](table + 0.0, classes)
        for loss_fn in loss_fns[1:]:
            loss_fn(table + 0.0, table + 0.0)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept, loss

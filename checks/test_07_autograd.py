"""Checks of module 07: notes, rules, and the walk back. Gradients are judged by number: central differences, or formulas."""

import gc
import importlib
import re
import tracemalloc
import weakref

import numpy as np
from support import STRICT, every_flags, often, shuffled

from tinytorch_core.kernel.checking import at_most, error_text, exercise, given, judged, raises, stage, wants

# What the bodies ask with, and what the answers are compared with


def learner(tt, array):
    """A tensor that wants a gradient, if floats can."""
    array = np.asarray(array)
    return tt.Tensor(array, requires_grad=array.dtype.kind == "f")


def gradients(tt, function, arrays, gradient):
    """The gradients that go to each float array, after function(*tensors).backward(gradient)."""
    tensors = [learner(tt, array) for array in arrays]
    function(*tensors).backward(gradient)
    return [x.grad for x in tensors if x.requires_grad]


def answers_of(answer):
    """Every gradient that a rule has an answer for."""
    if isinstance(answer, tuple) and not all(callable(part) for part in answer):
        raise TypeError(
            "a rule of several inputs returns a tuple of functions, `lambda: …`; this one returned the gradients themselves"
        )
    return [part() for part in answer] if isinstance(answer, tuple) else [answer]


def slopes(function, arrays, gradient, eps=1e-6):
    """The same, measured: central differences of the sum of function(*arrays) · gradient, in float64."""
    arrays = [np.array(x, dtype=np.float64) if np.asarray(x).dtype.kind == "f" else np.asarray(x) for x in arrays]
    found = []
    for x in arrays:
        if x.dtype.kind != "f":
            continue
        slope = np.zeros(x.shape)
        for i in np.ndindex(x.shape):
            old, sides = x[i], []
            for step in (eps, -eps):
                x[i] = old + step
                sides.append(np.sum(function(*arrays) * gradient))
            x[i] = old
            slope[i] = (sides[0] - sides[1]) / (2 * eps)
        found.append(slope)
    return found


def away_from_zero(rng, *shape):
    return rng.uniform(0.5, 2.0, size=shape) * rng.choice([-1.0, 1.0], size=shape)


def sizes(rng, axes, low=1, high=4):
    return tuple(int(n) for n in rng.integers(low, high, size=axes))


# --- autograd-record -------------------------------------------------------------------------------------------------

SIDES = ("learns", "plain", "number")
KINDS = [(a, b, op) for a in SIDES for b in SIDES for op in ("*", ">") if (a, b) != ("number", "number")]


@exercise("autograd-record")
@given(lambda rng: {"x": rng.normal(size=3), "number": float(rng.normal()), "kinds": shuffled(rng, KINDS)[:12]})
@wants(lambda x, number, kinds: [[op == "*" and "learns" in (a, b)] * 2 for a, b, op in kinds])
def test_what_deserves_notes(tt, x, number, kinds):
    """A page is written, and the output wants a gradient too, if an input wants one and the output is a float.

    Look at every input, not only at the first; numbers have no requires_grad. A comparison gives booleans: no page.
    """
    side = {"learns": tt.Tensor(x, requires_grad=True), "plain": tt.Tensor(x), "number": number}
    outputs = [side[a] * side[b] if op == "*" else side[a] > side[b] for a, b, op in kinds]
    return [[y.requires_grad, y.node is not None] for y in outputs]


@exercise("autograd-record")
@given(lambda rng: {"x": rng.normal(size=2), "y": rng.normal(size=2), "power": int(rng.integers(2, 5))})
@wants(
    lambda x, y, power: [
        {"op": True, "inputs": [True, True], "arrays": [x, y], "params": {"power": power}, "kept": ["ndarray", kept]}
        for kept in (y**power, x * y**power)
    ]
)
def test_what_a_page_says(tt, x, y, power):
    """The page holds the operation, its inputs, arrays and settings, and what the forward kept, or else the output's array.

    Node(op, inputs, arrays, params, …), and for kept: output.data if kept is None.
    """
    x, y, pages = tt.Tensor(x), tt.Tensor(y, requires_grad=True), []
    for forward in (lambda x, y, power: (x * y**power, y**power), lambda x, y, power: x * y**power):
        op = tt.operation(forward)
        node = op(x, y, power=power).node
        same = [a is b for a, b in zip(node.inputs, (x, y), strict=True)]
        kept = [type(node.kept).__name__, node.kept]
        page = {"op": node.op is op, "inputs": same, "arrays": list(node.arrays), "params": node.params, "kept": kept}
        pages.append(page)
    return pages


@exercise("autograd-record")
@given(lambda rng: {"flags": every_flags(rng, 3), "x": rng.normal(size=(2, 3))})
@wants(lambda flags, x: [[[x, w, b] != [False] * 3, [x, w, b]] for x, w, b in flags])
def test_notes_of_layers(tt, flags, x):
    """A layer is noted if its input, its weight or its bias wants a gradient, whichever it is.

    Look through all inputs until one says yes. Some of them are tensors without requires_grad, some are None.
    """
    answers = []
    for flag_x, flag_w, flag_b in flags:
        inputs = [tt.Tensor(x, flag_x), tt.Tensor(x, flag_w), tt.Tensor(x[:, 0], flag_b)]
        output = tt.linear(*inputs)
        answers.append([output.requires_grad, [i.requires_grad for i in inputs]])
    return answers


PLANS = ("plain", "nested", "error", "nested error", "outside", "two")


def notes_in(tt, w, plan):
    """requires_grad of w · 2 at some moments: in the block, after an inner one, after it all."""
    noted = []

    def look():
        noted.append((w * 2.0).requires_grad)

    def fails():
        with tt.no_grad():
            look()
            raise KeyError("on purpose")

    if plan == "outside":
        look()
    elif plan == "error":
        raises(KeyError, fails)
    else:
        with tt.no_grad():
            look()
            if plan == "nested":
                with tt.no_grad():
                    look()
            if plan == "nested error":
                raises(KeyError, fails)
            look()
    if plan == "two":
        with tt.no_grad():
            look()
    look()
    return noted


NOTED = {
    "plain": [False, False, True],
    "nested": [False, False, False, True],
    "error": [False, True],
    "nested error": [False, False, False, True],
    "outside": [True, True],
    "two": [False, False, False, True],
}


@exercise("autograd-record")
@given(lambda rng: {"x": rng.normal(size=2), "plans": shuffled(rng, PLANS) + rng.choice(PLANS, 4).tolist()})
@wants(lambda x, plans: [NOTED[plan] for plan in plans])
def test_no_grad_takes_no_notes(tt, x, plans):
    """Inside no_grad nothing is recorded; after it, also after an error, all is as it was when the block began.

    Remember engine.recording before you change it: an inner block must not switch the outer one on. Put it back in finally.
    """
    w = tt.Tensor(x, requires_grad=True)
    return [notes_in(tt, w, plan) for plan in plans]


@exercise("autograd-record")
@stage("compatibility")
@given(lambda rng: {"kinds": rng.choice(["float32", "float64", "int64", "uint8", "bool"], 10).tolist()})
@wants(lambda kinds: [[kind.startswith("float"), False, True] for kind in kinds])
def test_integers_leave_no_notes(tt, kinds):
    """An output of integers or booleans has no page, whatever its inputs; a float output keeps its dtype.

    Ask output.data.dtype.kind == "f".
    """
    w, answers = tt.Tensor([1.0, 2.0], requires_grad=True), []
    for kind in kinds:
        convert = tt.operation(lambda x, kind=kind: x.astype(kind))
        whole = convert(tt.Tensor(np.ones(2), requires_grad=True))
        answers.append([whole.requires_grad, (whole == 1).requires_grad, (w * w).requires_grad])
    return answers


# --- autograd-arithmetic ---------------------------------------------------------------------------------------------


@exercise("autograd-arithmetic")
@given(lambda rng: {"g": rng.normal(size=(2, 3)), "a": away_from_zero(rng, 2, 3), "b": away_from_zero(rng, 2, 3)})
@wants(
    lambda g, a, b: {
        "subtract": slopes(np.subtract, [a, b], g),
        "multiply": slopes(np.multiply, [a, b], g),
        "divide": slopes(np.divide, [a, b], g),
    }
)
def test_rules_of_two_inputs(tt, g, a, b):
    """The rules of −, · and / return two functions, one for a and one for b, and these the right gradients.

    The table above has them all. Mind the sign of b in a − b and in a / b.
    """
    return {
        name: answers_of(getattr(tt, name).backward(g.copy(), kept, a.copy(), b.copy()))
        for name, kept in (("subtract", a - b), ("multiply", a * b), ("divide", a / b))
    }


@exercise("autograd-arithmetic")
@given(lambda rng: {"g": rng.normal(size=4), "x": rng.uniform(0.3, 2, size=4)})
@wants(lambda g, x: {"exp": slopes(np.exp, [x], g)[0], "log": slopes(np.log, [x], g)[0]})
def test_rules_of_one_input(tt, g, x):
    """The rules of exp and log return an array: the gradient of their one input.

    exp's slope is its own output, which is kept; log's is 1 / x.
    """
    return {name: getattr(tt, name).backward(g.copy(), getattr(np, name)(x), x.copy()) for name in ("exp", "log")}


@exercise("autograd-arithmetic")
@given(lambda rng: {"g": rng.normal(size=3), "x": away_from_zero(rng, 3), "n": float(rng.uniform(2, 4))})
@wants(
    lambda g, x, n: {
        "subtract": [g, -g],
        "multiply": [g * n, g * x],
        "divide": [-g * n / x / x, g / n, -g * x / n**2],
    }
)
def test_rules_with_a_number_beside(tt, g, x, n):
    """A number may stand on either side: x · 2, or 5 / x.

    Inside a rule, a and b are arrays or numbers; plain arithmetic works with both.
    """
    _, over = tt.divide.backward(g, n / x, n, x)
    return {
        "subtract": answers_of(tt.subtract.backward(g, x - n, x, n)),
        "multiply": answers_of(tt.multiply.backward(g, x * n, x, n)),
        "divide": [over(), *answers_of(tt.divide.backward(g, x / n, x, n))],
    }


@exercise("autograd-arithmetic")
@stage("compatibility")
@given(lambda rng: {"triples": rng.uniform(0.5, 2, size=(8, 3, 2))})
@wants(lambda triples: [[list(arrays)] * 5 for arrays in triples])
def test_rules_change_nothing(tt, triples):
    """No rule writes into the gradient, nor into an input: others still need them.

    -gradient and gradient * b make new arrays; never use *= or -= here.
    """
    answers = []
    for arrays in triples:
        row = []
        for op, inputs in ((tt.subtract, 2), (tt.multiply, 2), (tt.divide, 2), (tt.exp, 1), (tt.log, 1)):
            g, a, b = (array.copy() for array in arrays)
            answers_of(op.backward(g, np.ones(2), *(a, b)[:inputs]))
            row.append([g, a, b])
        answers.append(row)
    return answers


@stage("compatibility")
@given(lambda rng: {"g": rng.normal(size=5), "x": rng.uniform(0.5, 2, size=5), "y": rng.normal(size=5)})
@wants(
    lambda g, x, y: [
        *slopes(np.negative, [x], g),
        *slopes(np.sqrt, [x], g),
        *slopes(np.power, [x, y], g),
        *slopes(lambda x: x**3 + 2**x, [x], g),
        np.zeros(5),
        np.array([0.0, 0.0, 4 * g[2], 0.0, 2 * g[4]]),
    ]
)
def test_rules_of_powers(tt, g, x, y):
    """−x, √x and powers have their way back, also at 0⁰ and 0².

    These rules are given: if one is wrong, its cell was changed.
    """
    corner = np.array([0.0, 0.0, 2.0, 0.0, 1.0])
    return [
        *gradients(tt, lambda x: -x, [x], g),
        *gradients(tt, lambda x: x.sqrt(), [x], g),
        *gradients(tt, lambda x, y: x**y, [x, y], g),
        *gradients(tt, lambda x: x**3 + 2**x, [x], g),
        *gradients(tt, lambda x: x**0, [corner], g),
        *gradients(tt, lambda x: x**2, [corner], g),
    ]


# --- autograd-unbroadcast --------------------------------------------------------------------------------------------


def stretched(rng):
    """A gradient, and a shape that can be broadcast to its shape."""
    full = sizes(rng, int(rng.integers(1, 5)))
    shape = [1 if rng.random() < 0.4 else n for n in full][int(rng.integers(0, len(full) + 1)) :]
    return [rng.normal(size=full), shape]


def summed(gradient, shape):
    """Every number of the gradient, added in the place that it was stretched from."""
    places = np.broadcast_to(np.arange(int(np.prod(shape))).reshape(shape), gradient.shape)
    return np.bincount(places.ravel(), gradient.ravel(), minlength=int(np.prod(shape))).reshape(shape)


@exercise("autograd-unbroadcast")
@given(
    lambda rng: {
        "pairs": [stretched(rng) for _ in range(20)]
        + [[rng.normal(size=(2, 3)), s] for s in ([3], [2, 1], [1, 3], [1], [], [2, 3], [1, 1])]
    }
)
@wants(lambda pairs: [summed(gradient, shape) for gradient, shape in pairs])
def test_unbroadcast_sums_what_was_stretched(tt, pairs):
    """The gradient is summed over every axis that was missing or had size 1, and has the wanted shape.

    Align on the right: of the gradient's axes, the first gradient.ndim - len(shape) were missing.
    """
    return [np.asarray(tt.unbroadcast(gradient, tuple(shape))) for gradient, shape in pairs]


@exercise("autograd-unbroadcast")
@stage("compatibility")
@given(
    lambda rng: {
        "cases": [
            [rng.normal(size=(2, 3)).astype(kind), rng.choice(["3", "2,1", "2,3"]).item()]
            for kind in rng.choice(["float32", "float64"], 8)
        ]
    }
)
@wants(lambda cases: [[str(g.dtype), g] for g, _ in cases])
def test_unbroadcast_keeps_the_dtype(tt, cases):
    """unbroadcast leaves the dtype as it is, and the gradient that it was given.

    sum and reshape do both by themselves.
    """
    return [[str(tt.unbroadcast(g, tuple(int(n) for n in shape.split(","))).dtype), g] for g, shape in cases]


@exercise("autograd-unbroadcast")
@stage("compatibility")
@given(
    lambda rng: {
        "g": rng.normal(size=(4, 2, 3)),
        "arrays": [away_from_zero(rng, *shape) for shape in ((2, 3), (4, 1, 1), (), (1, 3), (4, 2, 3))],
    }
)
@wants(lambda g, arrays: slopes(lambda a, b, c, d, e: (a * b + c) / d - e, arrays, g))
def test_broadcast_inputs_get_their_own_shape(tt, g, arrays):
    """Each input's gradient has that input's shape, however the shapes met.

    The engine calls unbroadcast(gradient, shape) wherever the shapes differ.
    """
    tensors, found = [learner(tt, x) for x in arrays], {}
    a, b, c, d, e = tensors
    p = a * b
    q = p + c
    r = q / d
    out = r - e
    parts = {id(out): g}
    for tensor in (out, r, q, p):
        for x, part in tt.ask(tensor.node, parts[id(tensor)]):
            parts[id(x)] = found[id(x)] = part
    return [np.asarray(found[id(x)]) for x in tensors]


# --- autograd-order --------------------------------------------------------------------------------------------------


def random_steps(rng, count=12):
    """A program: each step adds two earlier results, named by their numbers; 0 and 1 are leaves."""
    return [sorted(int(i) for i in rng.integers(max(0, n - 4), n + 2, size=2)) for n in range(count)]


def reachable(steps, last):
    """The steps behind result `last`, newest first."""
    found, waiting = set(), {last}
    while waiting:
        result = waiting.pop()
        if result >= 2 and result - 2 not in found:
            found.add(result - 2)
            waiting |= set(steps[result - 2])
    return sorted(found, reverse=True)


def used_cases(rng):
    """A program, and pairs of results (one whose node is used, one to ask for its history): five that meet, and five that do not."""
    steps = random_steps(rng)
    pairs = [[used, last] for last in range(2, 14) for used in range(2, 14)]
    meet = [pair for pair in pairs if pair[0] - 2 in reachable(steps, pair[1])]
    apart = [pair for pair in pairs if pair not in meet]
    chosen = [some[i] for some in (meet, apart) for i in rng.choice(len(some), 5, replace=False)]
    return {"steps": steps, "cases": [chosen[i] for i in rng.permutation(10)]}


def run_steps(tt, steps):
    results = [tt.Tensor([1.0], requires_grad=True), tt.Tensor([2.0], requires_grad=True)]
    for i, j in steps:
        results.append(results[i] + results[j])
    return results


@exercise("autograd-order")
@given(lambda rng: {"programs": [random_steps(rng) for _ in range(6)], "last": int(rng.integers(9, 14))})
@wants(lambda programs, last: [reachable(steps, last) for steps in programs])
def test_history_finds_all_newest_first(tt, programs, last):
    """history lists every node behind a tensor, its own too, once, the newest first, and none of those that came of it later.

    Go along node.inputs from tensor.node; keep what was found in a set; sort by number, reverse=True.
    """
    answers = []
    for steps in programs:
        results = run_steps(tt, steps)
        step_of = {results[n + 2].node: n for n in range(len(steps))}
        answers.append([step_of.get(node) for node in tt.history(results[last])])
    return answers


@exercise("autograd-order")
@given(lambda rng: {"x": rng.normal(size=2), "lengths": [int(n) for n in rng.integers(0, 5, size=8)]})
@wants(lambda x, lengths: [["multiply"] * n for n in lengths])
def test_history_of_a_leaf_is_empty(tt, x, lengths):
    """Behind a leaf there is nothing; numbers and None among the inputs are passed over.

    A leaf's node is None. Of node.inputs, only Tensors have a node at all.
    """
    answers = []
    for length in lengths:
        y = tt.Tensor(x, requires_grad=True)
        for _ in range(length):
            y = 2.0 * y
        answers.append([node.op.__name__ for node in tt.history(y)])
    return answers


@exercise("autograd-order")
@given(lambda rng: {"depth": int(rng.integers(50, 70)), "length": int(rng.integers(3_000, 4_000))})
@wants(lambda depth, length: [depth, length])
def test_history_of_a_deep_graph(tt, depth, length):
    """A diamond of many levels takes no longer than a chain of so many steps, and a chain may be thousands of steps long.

    Never go on from the same node twice. Use a list of what is still to be visited instead of a function that calls itself.
    """
    x = y = tt.Tensor([0.5], requires_grad=True)
    for _ in range(depth):
        x = x + x
    for _ in range(length):
        y = y + 1.0
    return len(tt.history(x)), len(tt.history(y))


@exercise("autograd-order")
@given(used_cases)
@wants(lambda steps, cases: [used - 2 in reachable(steps, last) for used, last in cases])
def test_history_refuses_used_notes(tt, steps, cases):
    """Where one of the nodes is used, history raises RuntimeError; used nodes elsewhere do not matter.

    Ask node.used of every node that you find.
    """
    answers = []
    for used, last in cases:
        results = run_steps(tt, steps)
        results[used].node.forget()
        answers.append(raises(RuntimeError, lambda r=results, n=last: tt.history(r[n])))
    return answers


# --- autograd-backward -----------------------------------------------------------------------------------------------


@exercise("autograd-backward")
@given(lambda rng: {"a": float(rng.uniform(1, 3)), "b": float(rng.uniform(1, 3))})
@wants(lambda a, b: [2 * (a * b + b) * b, 2 * (a * b + b) * (a + 1), None, None], rtol=1e-4)
def test_backward_on_the_example(tt, a, b):
    """The example of this notebook: e = d · d, d = c + b, c = a · b. Only the leaves get a grad.

    Parts of a gradient add up, at b and at d. What has arrived at c and d waits in the dictionary, not in .grad.
    """
    a, b = tt.Tensor(a, requires_grad=True), tt.Tensor(b, requires_grad=True)
    c = a * b
    d = c + b
    e = d * d
    e.backward()
    return a.grad.item(), b.grad.item(), c.grad, d.grad


def random_program(rng, leaves=3, count=9):
    """Steps (operation, i, j) on the results so far; the last one uses all leaves again."""
    steps = [(str(rng.choice(list("+-*"))), *(int(i) for i in rng.integers(0, leaves + n, 2))) for n in range(count)]
    return [list(step) for step in steps]


def run_program(steps, results):
    for op, i, j in steps:
        a, b = results[i], results[j]
        results = [*results, a + b if op == "+" else a - b if op == "-" else a * b]
    return sum(results[3:], start=results[0] * results[1] * results[2])


@exercise("autograd-backward")
@given(
    lambda rng: {
        "steps": random_program(rng),
        "arrays": [rng.uniform(-1, 1, size=3) for _ in range(3)],
        "g": rng.normal(size=3),
    }
)
@wants(lambda steps, arrays, g: slopes(lambda *x: run_program(steps, list(x)), arrays, g), rtol=1e-4, atol=1e-5)
def test_backward_through_a_random_graph(tt, steps, arrays, g):
    """Gradients through a random graph, in which most results are used several times, are the measured slopes.

    Newest node first; everything that arrives is added, in a new array.
    """
    return gradients(tt, lambda *x: run_program(steps, list(x)), arrays, g)


@exercise("autograd-backward")
@given(lambda rng: {"x": rng.normal(size=3), "gradients": list(rng.normal(size=(int(rng.integers(2, 5)), 3)))})
@wants(lambda x, gradients: [2 * gradients[0], 2 * np.sum(gradients, axis=0), None, 2 * gradients[-1]])
def test_backward_adds_to_grad(tt, x, gradients):
    """Several backward passes add up in .grad; what was there before stays a gradient of its own; zero_grad begins anew.

    tensor.grad = tensor.grad + gradient makes a new array. += would change the old one under its owner's hands.
    """
    leaf = tt.Tensor(x, requires_grad=True)
    (leaf * 2.0).backward(gradients[0])
    first = leaf.grad
    for gradient in gradients[1:]:
        (leaf * 2.0).backward(gradient)
    total = leaf.grad
    leaf.zero_grad()
    nothing = leaf.grad
    (leaf * 2.0).backward(gradients[-1])
    return first, total, nothing, leaf.grad


@exercise("autograd-backward")
@given(lambda rng: {"x": rng.normal(size=4), "y": rng.normal(size=4), "g": rng.normal(size=4)})
@wants(lambda x, y, g: [2 * g, g, g, 3 * g, 4 * g, g])
def test_no_gradient_writes_into_another(tt, x, y, g):
    """The two inputs of a sum may be handed one and the same array; adding to one of them must not change the other.

    Never write into an array that has arrived, neither in .grad nor in the dictionary.
    """
    a, b = tt.Tensor(x, requires_grad=True), tt.Tensor(y, requires_grad=True)
    given_gradient = g.copy()
    ((a + b) + a).backward(given_gradient)
    first = [a.grad, b.grad, given_gradient]
    c, d = tt.Tensor(x, requires_grad=True), tt.Tensor(y, requires_grad=True)
    inner = c + c * 1.0
    ((inner + d) + c + inner * 0.5 - inner * 0.5).backward(g)
    e, f = tt.Tensor(x, requires_grad=True), tt.Tensor(y, requires_grad=True)
    middle = e * 1.0
    tripled = middle * 3.0  # it is older than the sum below, so its part arrives second
    ((middle + f) + tripled).backward(g)
    return [*first, c.grad, e.grad, f.grad]


AGAIN = ("the same", "one that shares", "one apart", "computed anew")


@exercise("autograd-backward")
@given(lambda rng: {"x": rng.normal(size=2), "ways": shuffled(rng, AGAIN) + rng.choice(AGAIN, 6).tolist()})
@wants(
    lambda x, ways: [
        [way in AGAIN[:2], np.full(2, 6.0 if way in AGAIN[:2] else {"one apart": 10.0, "computed anew": 12.0}[way])]
        for way in ways
    ]
)
def test_notes_are_used_once(tt, x, ways):
    """A second pass through used notes, or through a used part of them, raises RuntimeError and changes no gradient.

    history raises before anything is changed; each node is told to forget() after it was asked.
    """
    answers = []
    for way in ways:
        w = tt.Tensor(x, requires_grad=True)
        shared = w * 2.0
        first, sharing, apart = shared * 3.0, shared * 5.0, w * 4.0
        first.backward(np.ones(2))
        again = {"the same": first, "one that shares": sharing, "one apart": apart, "computed anew": (w * 2.0) * 3.0}
        refused = raises(RuntimeError, lambda y=again[way]: y.backward(np.ones(2)))
        answers.append([refused, w.grad])
    return answers


@exercise("autograd-backward")
@given(
    lambda rng: {"holds": [bool(h) for h in rng.permutation([True] * 4 + [False] * 4)], "x": rng.normal(size=(8, 3))}
)
@wants(lambda holds, x: [[True, hold, np.full(3, 6.0)] for hold in holds])
def test_backward_frees_the_notes(tt, holds, x):
    """After the way back, nothing in the graph holds on to the tensors between, even while the loss is still there.

    node.forget() lets go of the inputs. Keep nothing elsewhere.
    """
    watched = []
    for hold, values in zip(holds, x, strict=True):
        leaf = tt.Tensor(values, requires_grad=True)
        middle = leaf * 2.0
        output, ghost = middle * 3.0, weakref.ref(middle)
        held = middle if hold else None
        del middle
        before = ghost() is not None
        output.backward(np.ones(3))
        watched.append((before, ghost, leaf, output, held))
        del held
    gc.collect()
    return [[before, ghost() is not None, leaf.grad] for before, ghost, leaf, *_ in watched]


@exercise("autograd-backward")
@stage("compatibility")
@given(lambda rng: {"kinds": rng.choice(["float32", "float64"], size=(8, 2)).tolist(), "x": float(rng.normal())})
@wants(lambda kinds, x: [["ndarray", a, [], "ndarray", b, [2], 2 * x] for a, b in kinds])
def test_grad_has_the_tensors_shape_and_dtype(tt, kinds, x):
    """.grad is a NumPy array of its tensor's own shape and dtype, also of shape () and beside another dtype.

    ask sees to it for every part. But a sum of two arrays of shape () is a bare scalar: np.asarray(old + new).
    """
    answers = []
    for a, b in kinds:
        one, two = tt.Tensor(x, dtype=a, requires_grad=True), tt.Tensor([x, x], dtype=b, requires_grad=True)
        (one * two + one * 0.0 + one * 0.0).backward(np.ones(2))
        facts = [[type(t.grad).__name__, str(t.grad.dtype), list(t.grad.shape)] for t in (one, two)]
        answers.append([*facts[0], *facts[1], float(one.grad)])
    return answers


@exercise("autograd-backward")
@stage("compatibility")
@given(lambda rng: {"depth": int(rng.integers(40, 60)), "length": int(rng.integers(10_000, 11_000))})
@wants(lambda depth, length: [2.0**depth, float(length + 1)])
def test_backward_of_a_deep_graph(tt, depth, length):
    """A diamond of many levels, and a chain of ten thousand steps.

    The walk follows the list that history has made; nothing in it calls itself.
    """
    x, y = tt.Tensor(1.0, requires_grad=True), tt.Tensor(1.0, requires_grad=True)
    top, end = x, y
    for _ in range(depth):
        top = top + top
    for _ in range(length // 2):
        end = (end + y) + y
    if length % 2:
        end = end + y
    top.backward()
    end.backward()
    return x.grad.item(), y.grad.item()


@exercise("autograd-backward")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=3), "learns": every_flags(rng, 2) * 3})
@wants(lambda x, learns: [[np.full(3, 2.0) if a else None, 2 * x if b else None] for a, b in learns if a or b])
def test_only_who_wants_a_gradient_gets_one(tt, x, learns):
    """A tensor without requires_grad gets no gradient, in whatever company.

    Only what ask hands out is to be added anywhere.
    """
    answers = []
    for a, b in learns:
        if a or b:
            one, two = tt.Tensor(x, requires_grad=a), tt.Tensor(np.full(3, 2.0), requires_grad=b)
            tt.backward(one * two if not (a and b) else one * 2.0 + two * tt.Tensor(2 * x), np.ones(3))
            answers.append([one.grad, two.grad if not b or (a and b) else two.grad * 2])
    return answers


@exercise("autograd-backward")
@stage("compatibility")
@given(lambda rng: {"shapes": shuffled(rng, [[], [], [], [], [2], [1], [2, 1], [3]]), "x": float(rng.normal())})
@wants(lambda shapes, x: [["ndarray", np.full(shape, 2.0)] for shape in shapes])
def test_what_waits_is_an_array(tt, shapes, x):
    """What waits in `arrived` until its tensor's turn is an array, also of shape (): rules are promised one.

    Two arrays of shape () added up are a bare scalar of NumPy: np.asarray(old + new).
    """
    answers = []
    for shape in shapes:
        seen, op = [], tt.operation(lambda x: x * 1.0)
        op.backward = lambda gradient, kept, x, seen=seen: seen.append(gradient) or gradient
        middle = op(tt.Tensor(np.full(shape, x), requires_grad=True))
        (middle + middle).backward(np.ones(shape))
        answers.append([type(seen[0]).__name__, seen[0]])
    return answers


STARTS = ("needs none", "in no_grad", "many numbers", "another shape", "one number", "given", "leaf", "a tensor")


@stage("compatibility")
@given(lambda rng: {"n": int(rng.integers(2, 6)), "starts": shuffled(rng, STARTS)})
@wants(
    lambda n, starts: [
        {"needs none": [True, False], "in no_grad": [True, False]}.get(
            start, [False, start in ("many numbers", "another shape")]
        )
        for start in starts
    ]
)
def test_where_backward_can_begin(tt, n, starts):
    """RuntimeError where nothing wants a gradient; ValueError for many numbers without a gradient, or one of another shape.

    first_gradient is given and sees to this: call it before anything else.
    """

    def begin(start):
        w = tt.Tensor(np.ones(n), requires_grad=True)
        with tt.no_grad():
            silent = w * 2.0
        cases = {
            "needs none": lambda: (tt.Tensor(np.ones(1)) * 2.0).backward(),
            "in no_grad": lambda: silent.backward(np.ones(n)),
            "many numbers": lambda: (w * 2.0).backward(),
            "another shape": lambda: (w * 2.0).backward(np.ones((n, 1))),
            "one number": lambda: (tt.Tensor([[3.0]], requires_grad=True) * 2.0).backward(),
            "given": lambda: (w * 2.0).backward(np.ones(n)),
            "leaf": lambda: w.backward(np.ones(n)),
            "a tensor": lambda: (w * 2.0).backward(tt.Tensor(np.ones(n))),
        }
        return cases[start]

    return [[raises(kind, begin(start)) for kind in (RuntimeError, ValueError)] for start in starts]


@stage("compatibility")
@given(lambda rng: {"flags": every_flags(rng, 2) * 2, "x": rng.normal(size=2)})
@wants(lambda flags, x: [[0, 0] if not (a or b) else [int(a), int(b)] for a, b in flags])
def test_what_nobody_asks_for_is_not_worked_out(tt, flags, x):
    """The function of an input that wants no gradient is never called.

    ask is given and calls only what is wanted. Do not call the functions of a rule yourself.
    """
    answers = []
    for a, b in flags:
        calls, op = [0, 0], tt.operation(lambda p, q: p * q)

        def backward(gradient, kept, p, q, calls=calls):
            def to(place, value):
                calls[place] += 1
                return value

            return lambda: to(0, gradient * q), lambda: to(1, gradient * p)

        op.backward = backward
        output = op(tt.Tensor(x, requires_grad=a), tt.Tensor(x, requires_grad=b))
        if output.requires_grad:
            output.backward(np.ones(2))
        answers.append(calls)
    return answers


# --- autograd-gradcheck ----------------------------------------------------------------------------------------------


@exercise("autograd-gradcheck")
@given(lambda rng: {"x": rng.normal(size=sizes(rng, 2, 2)), "y": rng.normal(size=int(rng.integers(1, 4)))})
@wants(lambda x, y: [3 * x**2, x, np.cos(y) * np.exp(np.sin(y).sum()), y, np.array(12.0)], rtol=1e-4, atol=1e-5)
def test_slopes_are_measured(tt, x, y):
    """measured_slope gives the slope for every number of the array, and leaves the array as it was.

    Up, down, difference, divided by 2 · eps; then the old number goes back to its place, before the next one has its turn.
    """
    x, y, one = x.copy(), y.copy(), np.array(2.0)
    return [
        tt.measured_slope(lambda: (x**3).sum(), x, 1e-5),
        x,
        tt.measured_slope(lambda: np.exp(np.sin(y).sum()), y, 1e-5),
        y,
        tt.measured_slope(lambda: float(one) ** 3, one, 1e-5),
    ]


@exercise("autograd-gradcheck")
@given(lambda rng: {"start": float(rng.uniform(1, 2)), "steps": rng.uniform(0.1, 0.5, size=8).tolist()})
@wants(lambda start, steps: [np.array([3 * start**2 + eps**2]) for eps in steps], rtol=1e-8, atol=1e-9)
def test_slopes_look_to_both_sides(tt, start, steps):
    """The slope is measured from both sides: (f(x + ε) − f(x − ε)) / 2ε.

    From one side only, the error is much larger: it shrinks with ε, not with ε².
    """
    x = np.array([start])
    return [tt.measured_slope(lambda: (x**3).sum(), x, eps) for eps in steps]


def planted(kind):
    """The rule of x · y, right or with a mistake in it: x's part stands first."""

    def backward(gradient, kept, x, y):
        to_x, to_y = gradient * y, gradient * x
        spoiled = {
            "right": (to_x, to_y),
            "sign": (-to_x, to_y),
            "exchanged": (to_y, to_x),
            "a little": (to_x, to_y * 1.02),
            "one number": (to_x, to_y + 0.05 * (np.arange(to_y.size).reshape(to_y.shape) == to_y.size - 1)),
            "nothing": (to_x * 0, to_y),
            "nan": (to_x * np.nan, to_y),
            "one nan": (np.where(np.arange(to_x.size) == 0, np.nan, to_x), to_y),
        }[kind]
        return lambda: spoiled[0], lambda: spoiled[1]

    return backward


PLANTS = ("right", "sign", "exchanged", "a little", "one number", "nothing", "nan", "one nan")


@exercise("autograd-gradcheck")
@given(
    lambda rng: {
        "x": rng.uniform(1, 2, size=3),
        "y": rng.uniform(3, 4, size=3),
        "kinds": shuffled(rng, PLANTS) + ["right", *rng.choice(PLANTS, 2).tolist()],
    }
)
@wants(lambda x, y, kinds: [["passes"] if kind == "right" else ["refused"] for kind in kinds])
def test_gradcheck_finds_wrong_rules(tt, x, y, kinds):
    """gradcheck returns True for a right rule and raises AssertionError for a wrong one, be it wrong in one number only, or nan.

    Ask `not np.all(gap <= …)`: with nan, every comparison is False. And look at every input before you return True.
    """
    answers = []
    for kind in kinds:
        op = tt.operation(lambda x, y: x * y)
        op.backward = planted(kind)
        inputs = [tt.Tensor(x), tt.Tensor(y)]
        wrong = raises(AssertionError, lambda op=op, inputs=inputs: tt.gradcheck(op, inputs))
        answers.append(["refused"] if wrong else ["passes"] if tt.gradcheck(op, inputs) is True else ["not True"])
    return answers


def says_where(texts, wrong, x, y):
    if not isinstance(texts, list) or len(texts) != len(wrong):
        return "one message was expected for each wrong rule"
    for text, place in zip(texts, wrong, strict=True):
        if not isinstance(text, str) or f"input {place}" not in text:
            return f"the rule is wrong for input {place}; the AssertionError said {text!r}"
        off = np.max(np.abs(y if place == 0 else x))  # times the weight of an output, between 0.5 and 1.5
        numbers = [float(n) for n in re.findall(r"\d+\.?\d*(?:e[-+]?\d+)?", text.replace(f"input {place}", ""))]
        if not any(0.5 * off < n < 1.5 * off for n in numbers):
            return f"the largest difference is between {0.5 * off:.3g} and {1.5 * off:.3g}; the AssertionError said {text!r}"
    return None


@exercise("autograd-gradcheck")
@given(
    lambda rng: {
        "x": rng.uniform(1, 2, size=4),
        "y": rng.uniform(3, 4, size=4),
        "wrong": shuffled(rng, [0, 1] * 4),
    }
)
@judged(says_where)
def test_gradcheck_says_where(tt, x, y, wrong):
    """The AssertionError names the input, counted from 0, and the largest difference.

    f"input {place}: … {gap.max():.3g}"
    """
    texts = []
    for place in wrong:
        op = tt.operation(lambda x, y: x * y)
        op.backward = lambda g, kept, x, y, place=place: (
            lambda: g * y * (2 - (place != 0)),
            lambda: g * x * (1 + place),
        )
        texts.append(error_text(lambda op=op: tt.gradcheck(op, [tt.Tensor(x), tt.Tensor(y)])))
    return texts


TOLERANCES = {  # what is off, by how much of the slope, atol, rtol: slopes of 2 to 6 in all numbers
    "a hundredth, rtol 0.1": ("all", 0.01, 0.0, 0.1, True),
    "a hundredth, rtol 0.001": ("all", 0.01, 0.0, 0.001, False),
    "a fifth, rtol 0.1": ("all", 0.2, 0.0, 0.1, False),
    "a fifth, rtol 0.5": ("all", 0.2, 0.0, 0.5, True),
    "a fifth, atol 3": ("all", 0.2, 3.0, 0.0, True),
    "a fifth, atol 0.1": ("all", 0.2, 0.1, 0.0, False),
    "a fifth of one, atol 0.2": ("one", 0.2, 0.2, 0.0, False),
    "a fifth of one, rtol 0.1": ("one", 0.2, 0.0, 0.1, False),
    "a fifth of one, rtol 0.3": ("one", 0.2, 0.0, 0.3, True),
    "a tenth, half of it from each": ("all", 0.1, 0.15, 0.09, True),
}


@exercise("autograd-gradcheck")
@given(lambda rng: {"x": rng.uniform(1, 2, size=24), "cases": shuffled(rng, list(TOLERANCES))})
@wants(lambda x, cases: [not TOLERANCES[case][-1] for case in cases])
def test_gradcheck_has_two_tolerances(tt, x, cases):
    """A difference is fine up to atol + rtol · |slope|, for every number by itself.

    np.abs(grad - slope) <= atol + rtol * np.abs(slope), element by element.
    """
    answers = []
    for case in cases:
        which, off, atol, rtol, _ = TOLERANCES[case]
        factor = 4.0 * np.where(which == "one" and np.arange(24) > 0, 1.0, 1 + off)
        op = tt.operation(lambda x: 4.0 * x)
        op.backward = lambda g, kept, x, factor=factor: g * factor
        answers.append(raises(AssertionError, lambda op=op, a=atol, r=rtol: tt.gradcheck(op, [x], atol=a, rtol=r)))
    return answers


@exercise("autograd-gradcheck")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(2, 3)).astype(np.float32), "flags": shuffled(rng, [False, True] * 4)})
@wants(lambda x, flags: [[past, x, None] for past in flags])
def test_gradcheck_finds_who_goes_past_the_door(tt, x, flags):
    """A function that computes past the door gets no gradients at all: refused. The inputs given to gradcheck stay untouched.

    Where x.grad is None, compare zeros with the measured slope.
    """
    answers = []
    for past in flags:
        inputs = [tt.Tensor(x, requires_grad=True)]
        function = (lambda x: tt.Tensor(x.data * 2.0)) if past else (lambda x: x * 2.0)
        refused = raises(AssertionError, lambda f=function, i=inputs: tt.gradcheck(f, i))
        answers.append([refused, inputs[0].data, inputs[0].grad])
    return answers


@exercise("autograd-gradcheck")
@stage("compatibility")
@given(lambda rng: {"rows": rng.integers(0, 3, size=4), "x": rng.normal(size=(3, 2)), "n": int(rng.integers(2, 5))})
@wants(lambda rows, x, n: [True, True, rows, n])
def test_gradcheck_passes_integers_through(tt, rows, x, n):
    """Integers among the inputs are handed on and not checked; an input that does not matter has slope 0.

    Only tensors with requires_grad are checked. x.grad may be None: then it counts as zeros.
    """
    double = tt.operation(lambda x, rows: 2 * x * len(rows))
    double.backward = lambda g, kept, x, rows: (lambda: 2 * g * len(rows), None)
    whole = tt.Tensor(rows)
    return tt.gradcheck(double, [tt.Tensor(x), whole]), tt.gradcheck(lambda x, y: y * n, [x, x]), whole, n


# --- autograd-reductions ---------------------------------------------------------------------------------------------

AXES = (None, 0, 1, -1, (0, 2), (-1, 1), (0, 1, 2))


def reduction_cases(rng):
    cases = [[axis, keepdims] for axis in AXES for keepdims in (False, True)]
    shape = sizes(rng, 3, 2)
    return {
        "x": rng.permutation(int(np.prod(shape))).reshape(shape) / 3.0,
        "cases": cases,
        "seed": int(rng.integers(99)),
    }


def reduced_gradients(tt, name, x, cases, seed):
    answers = []
    for axis, keepdims in cases:
        axis = tuple(axis) if isinstance(axis, list) else axis
        leaf = tt.Tensor(x, requires_grad=True)
        output = getattr(leaf, name)(axis=axis, keepdims=keepdims)
        output.backward(np.random.default_rng(seed).normal(size=output.shape))
        answers.append(leaf.grad)
    return answers


def reduced_slopes(function, x, cases, seed):
    answers = []
    for axis, keepdims in cases:
        axis = tuple(axis) if isinstance(axis, list) else axis
        g = np.random.default_rng(seed).normal(size=np.shape(function(x, axis=axis, keepdims=keepdims)))
        answers += slopes(lambda x, axis=axis, k=keepdims: function(x, axis=axis, keepdims=k), [x], g)
    return answers


@exercise("autograd-reductions")
@given(reduction_cases)
@wants(lambda x, cases, seed: reduced_slopes(np.sum, x, cases, seed))
def test_way_back_of_sum(tt, x, cases, seed):
    """A sum's gradient goes to all that was summed: over any axis, several, or all, with keepdims or without.

    lost_axes_back(gradient, axis, keepdims), then np.broadcast_to(…, x.shape).
    """
    return reduced_gradients(tt, "sum", x, cases, seed)


@exercise("autograd-reductions")
@given(reduction_cases)
@wants(lambda x, cases, seed: reduced_slopes(np.mean, x, cases, seed))
def test_way_back_of_mean(tt, x, cases, seed):
    """A mean's gradient is divided by how many numbers were averaged.

    Over one axis that is the size of this axis: x.size / kept.size.
    """
    return reduced_gradients(tt, "mean", x, cases, seed)


@exercise("autograd-reductions")
@given(reduction_cases)
@wants(lambda x, cases, seed: reduced_slopes(np.max, x, cases, seed))
def test_way_back_of_max(tt, x, cases, seed):
    """A maximum's gradient goes to the largest number along the axis, and nothing to the others.

    Compare x with the maxima, which are kept; give both the maxima and the gradient their lost axes back.
    """
    return reduced_gradients(tt, "max", x, cases, seed)


def shared(x, g):
    """The gradient of x.max(axis=1) where ties share, one row at a time."""
    rows = []
    for row, of_row in zip(x.tolist(), g.tolist(), strict=True):
        rows.append([of_row / row.count(max(row)) if n == max(row) else 0.0 for n in row])
    return np.array(rows)


@exercise("autograd-reductions")
@given(lambda rng: {"x": rng.integers(0, 3, size=(6, 4)).astype(float), "g": rng.normal(size=6)})
@wants(lambda x, g: [shared(x, g), shared(x.reshape(1, -1), g[:1]).reshape(6, 4)])
def test_equal_maxima_share(tt, x, g):
    """Numbers that are equally large share the gradient in equal parts.

    Divide by how many there are along the axis: largest.sum(axis=axis, keepdims=True).
    """
    return gradients(tt, lambda x: x.max(axis=1), [x], g) + gradients(tt, lambda x: x.max(), [x], g[0])


@exercise("autograd-reductions")
@stage("compatibility")
@given(
    lambda rng: {"x": rng.normal(size=(2, 4)), "g": float(rng.normal()), "kinds": rng.choice(["f4", "f8"], 8).tolist()}
)
@wants(lambda x, g, kinds: [[kind, np.full((2, 4), np.float32(g) / 8)] for kind in kinds], rtol=1e-4)
def test_reductions_in_both_dtypes(tt, x, g, kinds):
    """Reductions keep float32 and float64 apart, and the gradient has x's shape.

    gradient * (kept.size / x.size) multiplies by a Python number, which changes no dtype.
    """
    answers = []
    for kind in kinds:
        leaf = tt.Tensor(x.astype(kind), requires_grad=True)
        leaf.mean().backward(g)
        answers.append([leaf.grad.dtype.str[1:], leaf.grad])
    return answers


@stage("compatibility")
@given(
    lambda rng: {
        "x": rng.normal(size=(2, 3, 4)),
        "g": rng.normal(size=(2, 3, 4)),
        "dims": rng.permutation([0, 1, -1]).tolist(),
    }
)
@wants(
    lambda x, g, dims: [
        g,
        np.swapaxes(g.reshape(4, 3, 2), 0, 2),
        *slopes(lambda x: np.transpose(x, dims), [x], g.ravel()[: x.size].reshape(np.transpose(x, dims).shape)),
    ]
)
def test_way_back_of_arrangements(tt, x, g, dims):
    """reshape, transpose and permute send every gradient back to where its number came from.

    These rules are given: if one is wrong, its cell was changed.
    """
    shape = [x.shape[d] for d in dims]
    return [
        *gradients(tt, lambda x: x.reshape(4, -1), [x], g.reshape(4, 6)),
        *gradients(tt, lambda x: x.transpose(0, -1), [x], g.reshape(4, 3, 2)),
        *gradients(tt, lambda x: x.permute(*dims), [x], g.reshape(shape)),
    ]


@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(5, 4)), "rows": rng.integers(0, 5, size=6), "i": int(rng.integers(0, 4))})
@wants(
    lambda x, rows, i: [
        slopes(lambda x: x[i, 1:3] * 3, [x], 1.0)[0],
        slopes(lambda x: x[:, None, ::2] * 3, [x], 1.0)[0],
        slopes(lambda x: x[rows] * 3, [x], 1.0)[0],
        slopes(lambda x: x[rows, [i] * 6] * 3, [x], 1.0)[0],
        3.0 * (x > 0),
    ]
)
def test_way_back_of_an_index(tt, x, rows, i):
    """What was not read gets 0; what was read twice gets both gradients.

    This rule is given: if it is wrong, its cell was changed.
    """
    functions = [
        lambda x: x[i, 1:3] * 3,
        lambda x: x[:, None, ::2] * 3,
        lambda x: x[tt.Tensor(rows)] * 3,
        lambda x: x[rows, [i] * 6] * 3,
        lambda x: x[x > 0] * 3,
    ]
    return [gradients(tt, lambda x, f=f: f(x).sum(), [x], 1.0)[0] for f in functions]


@stage("compatibility")
@given(lambda rng: {"a": rng.normal(size=(2, 3)), "b": rng.normal(size=(2, 3)), "g": rng.normal(size=(2, 9))})
@wants(
    lambda a, b, g: [
        g[:, :3] + g[:, 6:],
        g[:, 3:6],
        *slopes(lambda a, b: np.stack([a, b, a], axis=1), [a, b], g.reshape(2, 3, 3)),
        *slopes(lambda a, b: np.concatenate([b, a]), [a, b], g.ravel()[:12].reshape(4, 3)),
    ]
)
def test_way_back_of_joining(tt, a, b, g):
    """concatenate and stack hand every piece its own part of the gradient.

    These rules are given: if one is wrong, its cell was changed.
    """
    return [
        *gradients(tt, lambda a, b: tt.concatenate([a, b, a], axis=-1), [a, b], g),
        *gradients(tt, lambda a, b: tt.stack([a, b, a], axis=1), [a, b], g.reshape(2, 3, 3)),
        *gradients(tt, lambda a, b: tt.concatenate([b, a]), [a, b], g.ravel()[:12].reshape(4, 3)),
    ]


# --- autograd-products -----------------------------------------------------------------------------------------------


def factors(rng, a_leading=(), b_leading=()):
    n, k, m = sizes(rng, 3, 2, 5)
    return [rng.normal(size=(*a_leading, n, k)), rng.normal(size=(*b_leading, k, m))]


def product_case(rng, *leading):
    a, b = factors(rng, *leading)
    return [a, b, rng.normal(size=np.shape(a @ b))]


@exercise("autograd-products")
@given(lambda rng: {"cases": [product_case(rng), product_case(rng, (3,), (3,)), product_case(rng, (2, 3), (2, 3))]})
@wants(lambda cases: [slopes(np.matmul, [a, b], g) for a, b, g in cases], rtol=1e-4, atol=1e-5)
def test_way_back_of_matmul(tt, cases):
    """The gradients of a matrix product, alone and in batches, have the right numbers and shapes.

    gradient @ bᵀ and aᵀ @ gradient, where ᵀ swaps the last two axes only.
    """
    return [gradients(tt, lambda a, b: a @ b, [a, b], g) for a, b, g in cases]


@exercise("autograd-products")
@given(
    lambda rng: {
        "x": rng.normal(size=(5, 3)),
        "w": rng.normal(size=(4, 3)),
        "b": rng.normal(size=4),
        "g": rng.normal(size=(5, 4)),
    }
)
@wants(
    lambda x, w, b, g: [*slopes(lambda x, w, b: x @ w.T + b, [x, w, b], g), *slopes(lambda x, w: x @ w.T, [x, w], g)],
    rtol=1e-4,
    atol=1e-5,
)
def test_way_back_of_linear(tt, x, w, b, g):
    """linear hands its gradient on to x, to weight, and to bias if there is one.

    x: slopes @ weight. weight: slopes.T @ rows, of shape (out, in). bias: the sum over all rows.
    """
    return [*gradients(tt, tt.linear, [x, w, b], g), *gradients(tt, tt.linear, [x, w], g)]


@exercise("autograd-products")
@stage("compatibility")
@given(
    lambda rng: {
        "m": rng.normal(size=(3, 3)),
        "v": rng.normal(size=3),
        "w": rng.normal(size=3),
        "batch": rng.normal(size=(2, 1, 3, 3)),
        "many": rng.normal(size=(4, 3, 2)),
    }
)
@wants(
    lambda m, v, w, batch, many: [
        slopes(lambda a, b: np.sin(a @ b), pair, 1.0)
        for pair in ([m, v], [v, m], [v, w], [batch, many], [m, many], [v, many], [batch, v])
    ],
    rtol=1e-4,
    atol=1e-5,
)
def test_matmul_with_vectors_and_broadcast_batches(tt, m, v, w, batch, many):
    """Vectors on either side, and batches of different shapes, get gradients of their own shapes.

    Vectors are made matrices by what is given; broadcast batches are summed by the engine.
    """
    pairs = [m, v], [v, m], [v, w], [batch, many], [m, many], [v, many], [batch, v]
    cosine = [np.cos(np.matmul(a, b)) for a, b in pairs]
    return [gradients(tt, lambda a, b: a @ b, pair, g) for pair, g in zip(pairs, cosine, strict=True)]


@exercise("autograd-products")
@stage("compatibility")
@given(
    lambda rng: {
        "w": rng.normal(size=(2, 3)),
        "b": rng.normal(size=2),
        "inputs": [rng.normal(size=(*leading, 3)) for leading in ((), (4,), (2, 3), (4, 1), (2, 1, 2))],
    }
)
@wants(
    lambda w, b, inputs: [
        slopes(lambda x, w, b: np.square(np.einsum("...i,oi->...o", x, w) + b), [x, w, b], 1.0) for x in inputs
    ],
    rtol=1e-4,
    atol=1e-5,
)
def test_linear_goes_back_with_any_leading_axes(tt, w, b, inputs):
    """x may have any number of leading axes, also none; its gradient has them, too.

    Lay x and the gradient out as rows first; give x's gradient the shape of x in the end.
    """
    return [gradients(tt, tt.linear, [x, w, b], 2 * (np.einsum("...i,oi->...o", x, w) + b)) for x in inputs]


@exercise("autograd-products")
@stage("compatibility")
@given(
    lambda rng: {
        "flags": (rng.random(size=(9, 3)) < 0.6).tolist(),
        "x": rng.normal(size=(2, 3)),
        "w": rng.normal(size=(4, 3)),
    }
)
@wants(
    lambda flags, x, w: [
        [
            np.tile(w.sum(axis=0), (2, 1)) if a else None,
            np.tile(x.sum(axis=0), (4, 1)) if b else None,
            np.full(4, 2.0) if c else None,
        ]
        for a, b, c in flags
        if a or b or c
    ]
)
def test_linear_with_frozen_parts(tt, flags, x, w):
    """Each of x, weight and bias gets its gradient independently of the others; what is frozen gets none.

    Three functions in the order of the inputs; each works by itself.
    """
    answers = []
    for a, b, c in flags:
        if a or b or c:
            tensors = [tt.Tensor(x, a), tt.Tensor(w, b), tt.Tensor(np.ones(4), c)]
            tt.linear(*tensors).backward(np.ones((2, 4)))
            answers.append([t.grad for t in tensors])
    return answers


# --- autograd-bends --------------------------------------------------------------------------------------------------


def np_softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def np_gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def np_cross_entropy(logits, classes):
    rows = np_softmax(logits).reshape(-1, logits.shape[-1])
    return -np.log(rows[np.arange(len(rows)), classes.ravel()]).reshape(classes.shape)


@exercise("autograd-bends")
@given(lambda rng: {"x": away_from_zero(rng, 2, 4), "g": rng.normal(size=(2, 4))})
@wants(
    lambda x, g: {
        "relu": slopes(lambda x: np.maximum(x, 0), [x], g)[0],
        "sigmoid": slopes(lambda x: 1 / (1 + np.exp(-x)), [x], g)[0],
        "tanh": slopes(np.tanh, [x], g)[0],
    }
)
def test_way_back_of_bends(tt, x, g):
    """The gradients of relu, sigmoid and tanh are the measured slopes.

    kept is the output. sigmoid: kept (1 − kept); tanh: 1 − kept²; relu: 1 where x > 0.
    """
    return {name: gradients(tt, getattr(tt, name), [x], g)[0] for name in ("relu", "sigmoid", "tanh")}


@exercise("autograd-bends")
@given(lambda rng: {"x": rng.permutation([-1.0, 0.0, 2.0] * 4), "g": rng.normal(size=12)})
@wants(lambda x, g: [[float(b) if a > 0 else 0.0] for a, b in zip(x, g)])
def test_relu_passes_nothing_at_zero(tt, x, g):
    """Where x is 0 or below, relu passes nothing back.

    x > 0, not x >= 0.
    """
    return [[float(n)] for n in gradients(tt, tt.relu, [x], g)[0]]


@exercise("autograd-bends")
@given(
    lambda rng: {
        "x": rng.normal(size=(2, 3, 2)),
        "g": rng.normal(size=(2, 3, 2)),
        "axis": int(rng.choice([0, 1, -2, -3])),
    }
)
@wants(lambda x, g, axis: [*slopes(np_softmax, [x], g), *slopes(lambda x: np_softmax(x, axis), [x], g)])
def test_way_back_of_softmax(tt, x, g, axis):
    """Softmax's gradient takes away what all its outputs have in common, along its own axis.

    kept * (gradient - (gradient * kept).sum(axis=axis, keepdims=True))
    """
    return [*gradients(tt, tt.softmax, [x], g), *gradients(tt, lambda x: tt.softmax(x, axis=axis), [x], g)]


@exercise("autograd-bends")
@given(
    lambda rng: {
        "cases": [
            [rng.normal(size=(*shape, 4)), rng.integers(0, 4, size=shape), rng.normal(size=shape)]
            for shape in ((3,), (1,), (2, 3))
        ]
    }
)
@wants(lambda cases: [slopes(np_cross_entropy, [x, t], g)[0] for x, t, g in cases], rtol=1e-4, atol=1e-5)
def test_way_back_of_cross_entropy(tt, cases):
    """Cross-entropy's gradient is probabilities minus truth, each row times its own gradient; for (N, C) and for texts, (N, T, C).

    truth = np.arange(C) == targets[..., None]; and gradient[..., None] to meet the logits.
    """
    return [gradients(tt, tt.cross_entropy, [x, t], g)[0] for x, t, g in cases]


@exercise("autograd-bends")
@stage("compatibility")
@given(
    lambda rng: {
        "x": rng.integers(100, 1000, size=6) * rng.choice([-1.0, 1.0], size=6),
        "t": rng.integers(0, 6, size=1),
    }
)
@wants(
    lambda x, t: [
        (x > 0).astype(float),
        np.zeros(6),
        np.zeros(6),
        np.zeros(6),
        np_softmax(x) - np.eye(6)[t[0]],
        "float32",
    ]
)
def test_ways_back_far_out(tt, x, t):
    """Far from 0 the gradients are still numbers, and float32 stays float32.

    Use what is kept; computing exponentials anew would overflow.
    """
    with np.errstate(**STRICT):
        found = [
            gradients(tt, getattr(tt, name), [x.astype("f4")], np.ones(6, "f4"))[0]
            for name in ("relu", "sigmoid", "tanh", "softmax")
        ]
        leaf = tt.Tensor(x[None].astype("f4"), requires_grad=True)
        tt.cross_entropy(leaf, tt.Tensor(t)).backward(np.ones(1))
    return [*found, leaf.grad[0], str(leaf.grad.dtype)]


@stage("compatibility")
@given(
    lambda rng: {
        "x": rng.normal(size=(2, 3)),
        "y": rng.normal(size=(2, 3)),
        "p": rng.uniform(0.1, 0.9, size=(2, 3)),
        "t": rng.uniform(0.1, 0.9, size=(2, 3)),
        "g": rng.normal(size=(2, 3)),
    }
)
@wants(
    lambda x, y, p, t, g: [
        slopes(np_gelu, [x], g),
        slopes(lambda x: np.log(np_softmax(x)), [x], g),
        slopes(lambda x: np.log(np_softmax(x, 0)), [x], g),
        slopes(lambda x, y: (x - y) ** 2, [x, y], g),
        slopes(lambda p, t: -(t * np.log(p) + (1 - t) * np.log(1 - p)), [p, t], g),
        slopes(lambda x, t: np.logaddexp(0, x) - x * t, [x, t], g),
    ],
    rtol=1e-4,
    atol=1e-5,
)
def test_way_back_of_the_others(tt, x, y, p, t, g):
    """gelu, log_softmax, squared error and both binary cross-entropies have their way back, to both inputs.

    These rules are given: if one is wrong, its cell was changed.
    """
    return [
        gradients(tt, tt.gelu, [x], g),
        gradients(tt, tt.log_softmax, [x], g),
        gradients(tt, lambda x: tt.log_softmax(x, axis=0), [x], g),
        gradients(tt, tt.squared_error, [x, y], g),
        gradients(tt, tt.binary_cross_entropy, [p, t], g),
        gradients(tt, tt.binary_cross_entropy_with_logits, [x, t], g),
    ]


# --- the module as a whole -------------------------------------------------------------------------------------------

NAMES = ["Autograd", "Node", "backward", "gradcheck", "history", "no_grad", "rule", "unbroadcast"]
NO_NAMES = ["Autopilot", "forward", "gradguess", "no_guard"]


@stage("import")
@given(lambda rng: {"names": shuffled(rng, NAMES + NO_NAMES), "x": rng.normal(size=3)})
@wants(lambda names, x: [[name in NAMES for name in names], 2 * x])
def test_module_imports_alone(tt, names, x):
    """`import tinytorch.autograd` works by itself, its public names are there, and it has put its engine to work.

    If the import fails, run all cells from the top once and look for the first error.
    """
    module, tensor = importlib.import_module("tinytorch.autograd"), importlib.import_module("tinytorch.tensor")
    leaf = tensor.Tensor(x, requires_grad=True)
    module.backward(leaf * leaf, np.ones(3))
    return [callable(getattr(module, name, None)) for name in names], leaf.grad


@stage("import")
@given(
    lambda rng: {
        "order": shuffled(rng, ["tensor", "activations", "layers", "losses", "optimizers"]),
        "w": rng.normal(size=2),
    }
)
@wants(lambda order, w: [[True] * 5, w - 0.25 * 2 * w])
def test_modules_import_together(tt, order, w):
    """All modules so far can be imported beside it, in any order, and work with the one engine.

    The line engine = Tensor.engine = Autograd() puts it there: one for all tensors.
    """
    modules = {name: importlib.import_module(f"tinytorch.{name}") for name in order}
    weight = modules["layers"].Parameter(w)
    modules["losses"].MSELoss(reduction="sum")(weight, modules["tensor"].Tensor(w * 0)).backward()
    modules["optimizers"].SGD([weight], lr=0.25).step()
    return [m.Tensor is tt.Tensor if hasattr(m, "Tensor") else True for m in modules.values()], weight.data


def network(rng):
    return {
        "x": rng.normal(size=(6, 4)),
        "classes": rng.integers(0, 3, size=6),
        "weights": [rng.normal(size=s) for s in ((5, 4), (5,), (3, 5), (3,))],
    }


def network_loss(x, classes, weights):
    w1, b1, w2, b2 = weights
    return np_cross_entropy(np.tanh(x @ w1.T + b1) @ w2.T + b2, classes).mean()


@stage("integration")
@given(network)
@wants(lambda x, classes, weights: slopes(lambda *w: network_loss(x, classes, w), weights, 1.0), rtol=1e-4, atol=1e-5)
def test_gradients_of_a_whole_network(tt, x, classes, weights):
    """Linear, Tanh, Linear and CrossEntropyLoss, as they were built in modules 03 to 05: every parameter's gradient is the measured slope.

    If all exercises pass and this does not, look at how the parts meet: kept, params, leading axes.
    """
    net = tt.Sequential(tt.Linear(4, 5), tt.Tanh(), tt.Linear(5, 3))
    for parameter, values in zip(net.parameters(), weights, strict=True):
        parameter.data = values
    tt.CrossEntropyLoss()(net(tt.Tensor(x)), tt.Tensor(classes)).backward()
    return [parameter.grad for parameter in net.parameters()]


def rings(rng):
    """Points inside a circle (0) and in a ring around it (1): no straight line parts them."""
    angle, outside = rng.uniform(0, 2 * np.pi, size=240), rng.permutation(240) % 2
    radius = np.where(outside, rng.uniform(1.5, 2.0, size=240), rng.uniform(0, 0.8, size=240))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return {
        "points": points[:120],
        "sides": outside[:120],
        "fresh": points[120:],
        "hidden": outside[120:],
        "seed": int(rng.integers(999)),
    }


def has_learned(answer, points, sides, fresh, hidden, seed):
    if not isinstance(answer, list) or len(answer) != 2 or not isinstance(answer[0], list):
        return "a list of losses and an array of answers were expected"
    losses, logits = answer
    if not all(type(n) is float and np.isfinite(n) for n in losses) or losses[-1] > 0.3 * losses[0]:
        return f"the loss should have fallen to less than a third; it went from {losses[0]} to {losses[-1]}"
    if not isinstance(logits, np.ndarray) or logits.shape != (120, 1):
        return "one logit for each of 120 fresh points was expected"
    right = ((logits[:, 0] > 0) == hidden).mean()
    return None if right >= 0.9 else f"of fresh points, only {right:.0%} are told apart; 90% are easy"


@stage("integration")
@given(rings)
@judged(has_learned)
def test_a_network_learns(tt, points, sides, fresh, hidden, seed):
    """A network of modules 03 to 05, driven by the SGD of module 06, learns what no straight line can.

    Not one line of those modules is changed. If it does not learn, gradcheck each operation that it is made of.
    """
    rng = np.random.default_rng(seed)
    net = tt.Sequential(tt.Linear(2, 32, seed=rng), tt.ReLU(), tt.Linear(32, 1, seed=rng))
    optimizer, loss_fn = tt.SGD(net.parameters(), lr=0.1, momentum=0.9), tt.BCEWithLogitsLoss()
    x, y, losses = tt.Tensor(points, dtype="float32"), tt.Tensor(sides[:, None], dtype="float32"), []
    for _ in range(150):
        optimizer.zero_grad()
        loss = loss_fn(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with tt.no_grad():
        return losses, net(tt.Tensor(fresh, dtype="float32"))


@stage("integration")
@given(
    lambda rng: {
        "x": rng.normal(size=(3, 4)),
        "p": float(rng.uniform(0.3, 0.6)),
        "frozen": shuffled(rng, [False, True] * 4),
    }
)
@wants(lambda x, p, frozen: [[True, frozen_one, True] for frozen_one in frozen])
def test_dropout_and_frozen_weights(tt, x, p, frozen):
    """Gradients pass through Dropout's mask; a frozen weight gets none while others do.

    Dropout multiplies by an array: x's part of the product's gradient is the mask itself.
    """
    answers = []
    for freeze in frozen:
        leaf, drop = tt.Tensor(x, requires_grad=True), tt.Dropout(p)
        layer = tt.Linear(4, 2)
        layer.weight.requires_grad = not freeze
        dropped = drop(leaf)
        (dropped.sum() + layer(leaf * 0.0).sum()).backward()
        same_mask = np.allclose(leaf.grad, np.where(dropped.data == 0, 0, 1 / (1 - p)))
        answers.append([bool(same_mask), layer.weight.grad is None, layer.bias.grad is not None])
    return answers


def numpy_steps(x, classes, weights, steps):
    """The same training step, written out by hand in NumPy."""
    w1, b1, w2, b2 = (w.copy() for w in weights)
    rows = np.arange(len(x))
    for _ in range(steps):
        hidden = np.maximum(x @ w1.T + b1, 0)
        logits = hidden @ w2.T + b2
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        p[rows, classes] -= 1
        g = p / np.float32(len(x))
        back = (g @ w2) * (hidden > 0)
        w2, b2 = w2 - np.float32(0.1) * (g.T @ hidden), b2 - np.float32(0.1) * g.sum(axis=0)
        w1, b1 = w1 - np.float32(0.1) * (back.T @ x), b1 - np.float32(0.1) * back.sum(axis=0)
    return [w1, b1, w2, b2]


def batch_of_pictures(rng):
    shapes = ((64, 200), (64,), (10, 64), (10,))
    return {
        "x": rng.normal(size=(64, 200)).astype(np.float32),
        "classes": rng.integers(0, 10, size=64),
        "weights": [(rng.normal(size=s) / 8).astype(np.float32) for s in shapes],
    }


@stage("performance")
@given(batch_of_pictures)
@wants(lambda x, classes, weights: numpy_steps(x, classes, weights, 10), rtol=1e-3, atol=1e-4)
@at_most(12.0, times_of=lambda x, classes, weights: numpy_steps(x, classes, weights, 10))
def test_training_speed(tt, x, classes, weights):
    """A training step takes not much longer than the same step written out by hand in NumPy.

    Work on whole arrays; hand functions back, so that the gradient of the pictures, which nobody wants, is not worked out.
    """
    net = tt.Sequential(tt.Linear(200, 64), tt.ReLU(), tt.Linear(64, 10))
    for parameter, values in zip(net.parameters(), weights, strict=True):
        parameter.data = values.copy()
    x, classes, loss_fn = tt.Tensor(x), tt.Tensor(classes), tt.CrossEntropyLoss()
    optimizer = tt.SGD(net.parameters(), lr=0.1)
    for _ in range(10):
        optimizer.zero_grad()
        loss_fn(net(x), classes).backward()
        optimizer.step()
    return [parameter.data for parameter in net.parameters()]


def scalar_chain(start, steps):
    """steps products and sums of bare NumPy, there and back."""
    value, factor, notes = np.float32(start), np.array(0.999, dtype=np.float32), []
    for _ in range(steps):
        notes.append([value])
        value = np.asarray(np.multiply(value, factor))
        notes.append([value])
        value = np.asarray(np.add(value, factor))
    gradient = np.array(1, dtype=np.float32)
    for _ in notes:
        gradient = np.asarray(np.multiply(gradient, factor))
    return value


@exercise("autograd-backward")
@stage("performance")
@given(lambda rng: {"start": float(rng.uniform(1, 2)), "steps": int(rng.integers(1500, 1600))})
@wants(lambda start, steps: [0.999**steps], rtol=1e-3)
@at_most(40.0, times_of=scalar_chain)
def test_small_operations_speed(tt, start, steps):
    """Thousands of tiny operations, there and back, take a few microseconds each.

    history visits each node once, and backward asks each node once. Search no lists on the way.
    """
    x = tt.Tensor(start, requires_grad=True)
    y = x
    for _ in range(steps):
        y = y * 0.999
        y = y + 0.001
    y.backward()
    return [x.grad.item()]


def leaves_nothing(answer, x, steps):
    if not isinstance(answer, list) or len(answer) != 2 or not all(type(n) in (int, float) for n in answer):
        return "the number of bytes kept, and a number, were expected"
    if abs(answer[1] - steps) > 1e-3 * steps:
        return f"{steps} passes should have added up a gradient of {steps}, not {answer[1]}"
    return (
        None
        if answer[0] < 2 * x.nbytes
        else f"{steps} steps have left {answer[0]:,} bytes behind; one batch has {x.nbytes:,}"
    )


@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(50, 100)).astype(np.float32), "steps": int(rng.integers(90, 110))})
@judged(leaves_nothing)
def test_a_hundred_steps_leave_nothing_behind(tt, x, steps):
    """After a hundred steps, there and back, no more memory is in use than after one.

    Nothing may hold on to nodes: no global list, no cycle of objects that point at each other.
    """
    bias, x = tt.Tensor(0.0, requires_grad=True), tt.Tensor(x)

    def step():
        (tt.tanh(x + bias) * 0.0 + bias).mean().backward()

    step()
    bias.zero_grad()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    often(step, steps)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.enable()
    return kept, float(bias.grad)


def small_peak(answer, x, depth):
    if (
        not isinstance(answer, list)
        or len(answer) != 2
        or type(answer[0]) is not int
        or not isinstance(answer[1], np.ndarray)
    ):
        return "the peak of memory, and a gradient, were expected"
    if answer[1].shape != x.shape or not np.allclose(answer[1], 1.0, rtol=1e-3):
        return "a chain of x + 0 has the gradient 1"
    held = answer[0] / x.nbytes
    return (
        None
        if held < 0.5 * depth
        else f"on the way back, {held:.0f} gradients of a chain of {depth} were held at once; a few are enough"
    )


@exercise("autograd-backward")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(40, 200)).astype(np.float32), "depth": int(rng.integers(40, 50))})
@judged(small_peak)
def test_the_way_back_needs_little_memory(tt, x, depth):
    """On the way back, gradients that have been handed on are let go, and so are the notes.

    arrived.pop(node) takes the gradient out of the dictionary; node.forget() right after it was asked.
    """
    leaf = y = tt.Tensor(x, requires_grad=True)
    for _ in range(depth):
        y = y * 1.0
    ones = np.ones(x.shape, dtype=np.float32)
    tracemalloc.start()
    y.backward(ones)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, leaf.grad

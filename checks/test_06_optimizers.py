"""Checks of module 06: optimizers, learning-rate schedules, clipping, and what an optimizer remembers.

Student code gets copies of the inputs, always: in a notebook, what it writes into them would reach the wanted answer.
Wanted paths are worked out in float64, and not by the recursions that students write: velocities and averages are weighted sums
over all gradients so far.
"""

import importlib
import tracemalloc

import numpy as np
from support import often, shuffled

from tinytorch_core.kernel.checking import a_tensor, at_most, exercise, given, judged, raises, stage, wants


def number(rng, low, high):
    return float(rng.uniform(low, high))


def journey(rng, steps=12, gaps=0.25):
    """Where two or three parameters start, and their gradients, step by step; None where a parameter has none."""
    starts = [rng.normal(size=rng.integers(1, 4, size=rng.integers(1, 3))) for _ in range(rng.integers(2, 4))]
    scales = 10 ** rng.uniform(-1, 1, size=len(starts))
    gradients = [[s * rng.normal(size=w.shape) for s, w in zip(scales, starts, strict=True)] for _ in range(steps)]
    for step in gradients:
        if rng.random() < 2 * gaps:
            step[int(rng.integers(len(starts)))] = None
    return {"starts": starts, "gradients": gradients}


def travel(tt, make, starts, gradients):
    """Where the parameters are after every third step, and the optimizer."""
    parameters = [tt.Parameter(start.copy()) for start in starts]
    optimizer, path = make(parameters), []
    for i, step in enumerate(gradients):
        give(parameters, step)
        optimizer.step()
        if i % 3 == 2:
            path.append([np.array(parameter.data) for parameter in parameters])
    return path, optimizer


def give(parameters, gradients):
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = None if gradient is None else np.array(gradient)


def paths(starts, gradients, walk):
    """The wanted answer of `travel`: walk(start, gradients) yields where one parameter is after each step."""
    walks = [list(walk(start, [step[i] for step in gradients])) for i, start in enumerate(starts)]
    return [[walk[i] for walk in walks] for i in range(2, len(gradients), 3)]


def moved(optimizer, gradients):
    """The optimizer's only parameter after one step with each of the gradients."""
    (parameter,) = optimizer.parameters
    for gradient in gradients:
        parameter.grad = gradient.copy()
        optimizer.step()
    return parameter


def a_few_steps(rng, count=2):
    return {"start": rng.normal(size=2), "gradients": rng.normal(size=(count, 2)), "lr": number(rng, 0.1, 0.9)}


def last(walk):
    return a_tensor(list(walk)[-1])


def sgd_walk(w, gradients, lr, momentum=0.0, weight_decay=0.0):
    seen = []
    for gradient in gradients:
        if gradient is not None:
            seen.append(gradient + weight_decay * w)
            shares = momentum ** np.arange(len(seen))[::-1]
            w = w - lr * np.tensordot(shares, seen, 1)
        yield w


def adam_walk(w, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=0.0):
    seen = []
    for gradient in gradients:
        if gradient is not None:
            w = w - lr * decoupled * w
            seen.append(gradient + weight_decay * w)
            shares = [beta ** np.arange(len(seen))[::-1] for beta in betas]
            first, second = (
                np.tensordot(s / s.sum(), x, 1) for s, x in zip(shares, (seen, np.square(seen)), strict=True)
            )
            w = w - lr * first / (np.sqrt(second) + eps)
        yield w


DTYPES = ("float32", "float64")


def mixed_dtypes(rng):
    """Weights, and eight pairs: the dtype of a parameter and that of its gradient. Every pair is among them."""
    pairs = [[kind, gradient_kind] for kind in DTYPES for gradient_kind in DTYPES] * 2
    return {"weights": rng.normal(size=3), "kinds": rng.permutation(pairs).tolist()}


def dtypes_told(kind, gradient_kind, now, remembered):
    """In words: the dtype of a parameter after its steps, and those of the arrays that are remembered of it."""
    arrays = ", ".join(sorted(remembered)) or "no array"
    return f"{kind} weights with {gradient_kind} gradients: then the weights are {now}, and {arrays} is remembered"


def dtypes_kept(kinds, *numbers, remembers=True):
    """The wanted answer of `dtypes_after`."""
    return [[dtypes_told(kind, other, kind, {kind} if remembers else ()), *numbers] for kind, other in kinds]


def dtypes_after(tt, make, weights, kinds):
    """The dtypes of a parameter and of what is remembered of it, and where the parameter is, after two steps."""
    answers = []
    for kind, gradient_kind in kinds:
        parameter = tt.Parameter(weights.astype(kind))
        optimizer = make([parameter])
        for _ in range(2):
            parameter.grad = np.ones(3, dtype=gradient_kind)
            optimizer.step()
        arrays = [value for state in optimizer.state for value in state.values() if isinstance(value, np.ndarray)]
        told = dtypes_told(kind, gradient_kind, parameter.dtype, {str(array.dtype) for array in arrays})
        answers.append([told, parameter])
    return answers


def gradients_after(tt, make, gradients):
    """Two steps with each of these gradients: the arrays afterwards, which .grad should still hold."""
    answers = []
    for gradient in gradients:
        parameter, array = tt.Parameter(np.ones_like(gradient)), np.array(gradient)
        optimizer = make([parameter])
        for _ in range(2):
            parameter.grad = array
            optimizer.step()
        answers.append([array, parameter.grad])
    return answers


def some_gradients(rng):
    return {"gradients": [rng.normal(size=rng.integers(1, 4, size=2)) for _ in range(3)]}


def unchanged(gradients):
    return [[gradient, gradient] for gradient in gradients]


# --- optimizer -------------------------------------------------------------------------------------------------------


def as_kept(kind, type_name, count):
    return f"handed a {kind} of 3 tensors: .parameters is a {type_name}, and {count} of them can be walked through"


@exercise("optimizer")
@given(
    lambda rng: {
        "kinds": rng.permutation(["list", "tuple", "generator", "generator"] * 2).tolist(),
        "rates": rng.uniform(0, 2, 8).tolist(),
    }
)
@wants(lambda kinds, rates: [[as_kept(kind, "list", 3), [0, 1, 2], rate] for kind, rate in zip(kinds, rates)])
def test_optimizer_keeps_a_list(tt, kinds, rates):
    """An Optimizer keeps .lr, and .parameters as a list, whatever iterable they came in.

    as_list(parameters) makes the list, of a generator, too.
    """
    answers = []
    for kind, rate in zip(kinds, rates, strict=True):
        tensors = [tt.Parameter([1.0]) for _ in range(3)]
        handed = {"list": list, "tuple": tuple, "generator": lambda x: (t for t in x)}[kind](tensors)
        optimizer = tt.Optimizer(handed, rate)
        order = [next((i for i, t in enumerate(tensors) if t is p), "none of them") for p in optimizer.parameters]
        answers.append([as_kept(kind, type(optimizer.parameters).__name__, len(order)), order, optimizer.lr])
    return answers


def told_refused(count, lr, refused):
    return f"{int(count)} parameters and lr {lr:g}: {'ValueError' if refused else 'accepted'}"


@exercise("optimizer")
@given(
    lambda rng: {
        "cases": rng.permutation([[n, lr] for n in (0, 0, 1, 3) for lr in (-1.0, -1e-9, 0.0, 0.5, np.nan)]).tolist()
    }
)
@wants(lambda cases: [told_refused(count, lr, not (count and lr >= 0)) for count, lr in cases])
def test_optimizer_refuses_nothing_and_negative(tt, cases):
    """No parameters at all, a negative learning rate, or nan raise ValueError; a rate of 0 is allowed.

    Two things are refused, and a rate of 0 is neither of them. An empty list is False in an `if`; refuse_negative(lr=lr) looks after
    the rate, nan included.
    """
    answers = []
    for count, lr in cases:
        parameters = (tt.Parameter([1.0]) for _ in range(int(count)))
        answers.append(told_refused(count, lr, raises(ValueError, lambda p=parameters, lr=lr: tt.Optimizer(p, lr))))
    return answers


def counting(tt):
    """An optimizer that counts, in the state of each parameter, how often it was asked to move it."""

    class Counting(tt.Optimizer):
        def update(self, parameter, state):
            state["moved"] = state.get("moved", 0) + 1
            parameter.data = parameter.data - self.lr * parameter.grad

    return Counting


def told_moves(i, there, times):
    return f"parameter {i}, with a gradient in {there} of 6 steps: its own state counts {times} calls of update"


@exercise("optimizer")
@given(lambda rng: {"present": (rng.random(size=(6, 4)) < 0.6).tolist(), "lr": number(rng, 0.1, 1)})
@wants(
    lambda present, lr: [
        [told_moves(i, there, there), a_tensor([-lr * (i + 1) * there])]
        for i, there in enumerate(sum(step[i] for step in present) for i in range(4))
    ]
)
def test_step_moves_what_has_a_gradient(tt, present, lr):
    """step() calls update once for each parameter with a gradient, each with its own state; where .grad is None it does not.

    One call for each parameter that has a gradient, and each with its own memory: `zip` walks along parameters and memories together.
    A None on the way leaves out that parameter, and not those after it.
    """
    parameters = [tt.Parameter([0.0]) for _ in range(4)]
    optimizer = counting(tt)(parameters, lr)
    for step in present:
        give(parameters, [np.array([i + 1.0]) if there else None for i, there in enumerate(step)])
        optimizer.step()
    there = [sum(step[i] for step in present) for i in range(4)]
    told = [told_moves(i, there[i], state.get("moved", 0)) for i, state in enumerate(optimizer.state)]
    return [list(pair) for pair in zip(told, parameters, strict=True)]


@exercise("optimizer")
@given(lambda rng: {"values": rng.normal(size=(4, 3)), "present": rng.permutation([True, True, True, False]).tolist()})
@wants(lambda values, present: [[v, None, v + 1] for v in values])
def test_zero_grad_makes_gradients_none(tt, values, present):
    """zero_grad() makes every .grad None, and changes neither the parameters nor the arrays that were gradients.

    Assign None. Filling the array with zeros would change it for everybody who holds it.
    """
    parameters, arrays = [tt.Parameter(value.copy()) for value in values], [value + 1 for value in values]
    optimizer = tt.Optimizer(parameters, 0.1)
    give(parameters, [array if there else None for array, there in zip(arrays, present, strict=True)])
    held = [a if p.grad is None else p.grad for p, a in zip(parameters, arrays, strict=True)]
    optimizer.zero_grad()
    return [[np.array(p.data), p.grad, array] for p, array in zip(parameters, held, strict=True)]


@exercise("optimizer")
@given(lambda rng: {"gradients": rng.normal(size=(3, 2))})
@wants(lambda gradients: [[gradient, -2 * gradient] for gradient in gradients])
def test_step_keeps_gradients(tt, gradients):
    """step() leaves the gradients where they are: a second step uses them again. Clearing them is zero_grad's business.

    Nothing in step assigns to .grad: it asks whether there is one, and calls update.
    """
    parameters = [tt.Parameter(np.zeros(2)) for _ in gradients]
    optimizer = counting(tt)(parameters, 1.0)
    give(parameters, gradients)
    optimizer.step()
    optimizer.step()
    return [[p.grad, np.array(p.data)] for p in parameters]


# --- sgd -------------------------------------------------------------------------------------------------------------


@exercise("sgd")
@given(lambda rng: a_few_steps(rng, count=1))
@wants(lambda start, gradients, lr: a_tensor([w - lr * g for w, g in zip(start, gradients[0], strict=True)]))
def test_sgd_takes_one_step(tt, start, gradients, lr):
    """One step of SGD moves the parameter from w to w − lr · gradient.

    Which sign? Against the slope. How far? The slope times the rate: in the text, w = 0 with slope −6 and η = 0.1 becomes 0.6.
    """
    return moved(tt.SGD([tt.Parameter(start.copy())], lr=lr), gradients)


@exercise("sgd")
@given(lambda rng: journey(rng) | {"lr": number(rng, 0.05, 0.5)})
@wants(lambda starts, gradients, lr: paths(starts, gradients, lambda w, g: sgd_walk(w, g, lr)), rtol=1e-6, atol=1e-9)
def test_sgd_steps_against_the_gradient(tt, starts, gradients, lr):
    """Each step subtracts lr · gradient from each parameter that has a gradient, over many steps.

    If one step is right and many are not: use what stands in `direction` now, and keep nothing from one step for the next.
    """
    return travel(tt, lambda p: tt.SGD(p, lr=lr), starts, gradients)[0]


@exercise("sgd")
@given(
    lambda rng: {
        "start": rng.normal(size=2),
        "gradients": rng.normal(size=(6, 2)),
        "rates": rng.uniform(0, 1, 6).tolist(),
    }
)
@wants(lambda start, gradients, rates: a_tensor(start - np.array(rates) @ gradients))
def test_sgd_uses_the_rate_of_now(tt, start, gradients, rates):
    """Whoever changes optimizer.lr between two steps changes the length of the next step.

    If only this check fails: read self.lr in every update, because schedules will turn it.
    """
    parameter = tt.Parameter(start.copy())
    optimizer = tt.SGD([parameter], lr=9.0)
    for gradient, rate in zip(gradients, rates, strict=True):
        parameter.grad, optimizer.lr = gradient.copy(), rate
        optimizer.step()
    return parameter


@exercise("sgd")
@stage("compatibility")
@given(some_gradients)
@wants(unchanged)
def test_sgd_leaves_gradients_alone(tt, gradients):
    """After a step, .grad is the same array with the same numbers.

    self.lr * direction makes a new array; direction *= self.lr writes into the gradient.
    """
    return gradients_after(tt, lambda p: tt.SGD(p, lr=0.3), gradients)


@exercise("sgd")
@stage("compatibility")
@given(mixed_dtypes)
@wants(lambda weights, kinds: dtypes_kept(kinds, a_tensor(weights - 0.2), remembers=False))
def test_sgd_keeps_the_dtype(tt, weights, kinds):
    """A parameter keeps its dtype, also when its gradient has another one.

    If the numbers differ, the checks before this one say more. If only the dtype does: an array changed in place keeps its own.
    """
    return dtypes_after(tt, lambda p: tt.SGD(p, lr=0.1), weights, kinds)


def large(rng):
    """Many weights, and slopes of which none is nearly zero."""
    slopes = rng.uniform(0.5, 2, size=(100, 200)) * rng.choice([-1, 1], size=(100, 200))
    return {"weights": rng.normal(size=(100, 200)).astype(np.float32), "gradient": slopes.astype(np.float32)}


@exercise("sgd")
@stage("performance")
@given(large)
@wants(lambda weights, gradient: (weights - 0.2 * gradient)[::9], rtol=1e-4, atol=1e-5)
@at_most(25, times_of=lambda weights, gradient: often(lambda: weights - 0.01 * gradient, 20))
def test_sgd_is_fast(tt, weights, gradient):
    """A step of SGD takes about as long as NumPy's own subtraction.

    If the numbers differ, the checks before this one say more. If it is slow: work on whole arrays, not number by number.
    """
    parameter = tt.Parameter(weights.copy())
    parameter.grad = gradient.copy()
    often(tt.SGD([parameter], lr=0.01).step, 20)
    return parameter.data[::9]


# --- momentum --------------------------------------------------------------------------------------------------------


@exercise("momentum")
@given(lambda rng: a_few_steps(rng) | {"momentum": number(rng, 0.3, 0.9)})
@wants(lambda start, gradients, lr, momentum: last(sgd_walk(start, gradients, lr, momentum)))
def test_momentum_takes_two_steps(tt, start, gradients, lr, momentum):
    """The first step goes along the first gradient; the second along the second, plus momentum times the first.

    First a share `momentum` of the old velocity is left, then the whole gradient is added. An error about NoneType means that
    with_momentum returned nothing.
    """
    return moved(tt.SGD([tt.Parameter(start.copy())], lr=lr, momentum=momentum), gradients)


@exercise("momentum")
@given(lambda rng: {"gradients": rng.normal(size=(3, 2)), "momentum": number(rng, 0.3, 0.9)})
@wants(
    lambda gradients, momentum: [
        [v, v]
        for v in (
            gradients[0],
            momentum * gradients[0] + gradients[1],
            momentum**2 * gradients[0] + momentum * gradients[1] + gradients[2],
        )
    ]
)
def test_velocity_is_changed_and_returned(tt, gradients, momentum):
    """with_momentum changes the velocity array that it is given, and returns the same numbers.

    Each pair is what was returned, and the array afterwards. Two things to do: change the array in place, and return it.
    `velocity = momentum * velocity + gradient` makes a new array, and the old one forgets.
    """
    velocity, answers = np.zeros(2), []
    for gradient in gradients:
        returned = tt.with_momentum(gradient.copy(), velocity, momentum)
        answers.append(["nothing was returned" if returned is None else np.array(returned), velocity.copy()])
    return answers


@exercise("momentum")
@given(lambda rng: journey(rng, steps=30) | {"lr": number(rng, 0.01, 0.1), "momentum": number(rng, 0.5, 0.99)})
@wants(
    lambda starts, gradients, lr, momentum: paths(starts, gradients, lambda w, g: sgd_walk(w, g, lr, momentum)),
    rtol=1e-6,
    atol=1e-9,
)
def test_momentum_over_many_steps(tt, starts, gradients, lr, momentum):
    """Over thirty steps each velocity is the sum of all gradients so far, each multiplied by momentum once for every step since.

    If two steps are right and thirty are not, look at what is left in the velocity array. Without a gradient nothing changes.
    """
    return travel(tt, lambda p: tt.SGD(p, lr=lr, momentum=momentum), starts, gradients)[0]


@exercise("momentum")
@stage("compatibility")
@given(some_gradients)
@wants(unchanged)
def test_momentum_leaves_gradients_alone(tt, gradients):
    """With momentum, too, .grad holds after a step what it held before.

    Only the velocity may be changed in place.
    """
    return gradients_after(tt, lambda p: tt.SGD(p, lr=0.3, momentum=0.9), gradients)


@exercise("momentum")
@stage("compatibility")
@given(mixed_dtypes)
@wants(lambda weights, kinds: dtypes_kept(kinds, a_tensor(weights - 0.25)))
def test_velocity_keeps_the_dtype(tt, weights, kinds):
    """The velocity has the dtype of its parameter, whatever the gradient's: no float64 beside a float32 weight.

    If the numbers differ, the checks before this one say more. If only the dtype does: an array changed in place keeps its own.
    """
    return dtypes_after(tt, lambda p: tt.SGD(p, lr=0.1, momentum=0.5), weights, kinds)


# --- weight-decay ----------------------------------------------------------------------------------------------------


@exercise("weight-decay")
@given(lambda rng: {"gradient": rng.normal(size=2), "weights": rng.normal(size=2), "decay": number(rng, 0.1, 1)})
@wants(lambda gradient, weights, decay: np.array([g + decay * w for g, w in zip(gradient, weights)]))
def test_weight_decay_is_added(tt, gradient, weights, decay):
    """with_weight_decay returns gradient + weight_decay · weights.

    Which sign has the pull? The step will subtract all of this, so what is *added* here makes positive weights smaller. And what is
    multiplied by weight_decay: the weights, as they are.
    """
    return tt.with_weight_decay(gradient.copy(), weights.copy(), decay)


@exercise("weight-decay")
@given(lambda rng: {"gradient": rng.normal(size=2), "weights": rng.normal(size=2), "decay": number(rng, 0.1, 1)})
@wants(lambda gradient, weights, decay: [gradient, weights])
def test_weight_decay_changes_nothing(tt, gradient, weights, decay):
    """The gradient and the weights that with_weight_decay is given hold afterwards what they held before.

    gradient += … would write the decay into .grad. A sum of two arrays is a new array.
    """
    mine, theirs = gradient.copy(), weights.copy()
    tt.with_weight_decay(mine, theirs, decay)
    return mine, theirs


@exercise("weight-decay")
@given(lambda rng: journey(rng, steps=24) | {"lr": number(rng, 0.05, 0.3), "decay": number(rng, 0.05, 0.5)})
@wants(
    lambda starts, gradients, lr, decay: paths(starts, gradients, lambda w, g: sgd_walk(w, g, lr, weight_decay=decay)),
    rtol=1e-6,
    atol=1e-9,
)
def test_weight_decay_pulls_towards_zero(tt, starts, gradients, lr, decay):
    """With weight decay, a step uses gradient + weight_decay · weights.

    If one call is right and many steps are not: compute from what you are given, every time afresh.
    """
    return travel(tt, lambda p: tt.SGD(p, lr=lr, weight_decay=decay), starts, gradients)[0]


@exercise("weight-decay")
@given(
    lambda rng: (
        journey(rng)
        | {"lr": number(rng, 0.05, 0.2), "momentum": number(rng, 0.5, 0.9), "decay": number(rng, 0.05, 0.5)}
    )
)
@wants(
    lambda starts, gradients, lr, momentum, decay: paths(
        starts, gradients, lambda w, g: sgd_walk(w, g, lr, momentum, decay)
    ),
    rtol=1e-6,
    atol=1e-9,
)
def test_weight_decay_goes_through_momentum(tt, starts, gradients, lr, momentum, decay):
    """With momentum, the pull is part of what the velocity collects, as in PyTorch.

    If only this check fails: SGD.update, which is given, asks with_weight_decay first and with_momentum then. Leave it so.
    """
    return travel(tt, lambda p: tt.SGD(p, lr, momentum, decay), starts, gradients)[0]


@exercise("weight-decay")
@stage("compatibility")
@given(some_gradients)
@wants(unchanged)
def test_weight_decay_stays_out_of_the_gradient(tt, gradients):
    """The decay never appears in .grad.

    Look for what is written into the array `gradient`: that array *is* parameter.grad.
    """
    return gradients_after(tt, lambda p: tt.SGD(p, lr=0.1, weight_decay=0.5), gradients)


# --- adam ------------------------------------------------------------------------------------------------------------


def adam_settings(rng):
    betas = [number(rng, 0.5, 0.95), number(rng, 0.9, 0.999)]
    return {"lr": number(rng, 0.01, 0.2), "betas": betas, "eps": float(10 ** rng.uniform(-4, -2))}


@exercise("adam")
@given(
    lambda rng: {"average": rng.normal(size=2), "new": rng.normal(size=2), "betas": rng.uniform(0, 1, size=3).tolist()}
)
@wants(
    lambda average, new, betas: [
        [new + np.prod(betas[: i + 1]) * (average - new) for i in range(3)],
        new,
    ]
)
def test_moving_average_forgets_slowly(tt, average, new, betas):
    """average becomes beta · average + (1 − beta) · new, in place, and `new` stays as it is.

    Which of the two gets the share beta? Is it the array `average` itself that changes? And is `new` only read?
    """
    kept, mine, answers = average.copy(), new.copy(), []
    for beta in betas:
        tt.moving_average(kept, mine, beta)
        answers.append(kept.copy())
    return answers, mine


@exercise("adam")
@given(
    lambda rng: {"gradient": (10 ** rng.uniform(-3, 3, size=8)) * rng.choice([-1, 1], 8), "lr": number(rng, 0.01, 0.5)}
)
@wants(lambda gradient, lr: a_tensor(-lr * np.sign(gradient)), rtol=1e-4)
def test_adams_first_step_is_lr(tt, gradient, lr):
    """The first step has the length lr for every weight, however large or small its gradient.

    Compare with the wanted step. 3.16 times as long: neither average is corrected. 31.6 times: v is not. A tenth: m is not. A thirtieth:
    v has to be corrected before its root is taken. For each weight another factor: the root is missing. A little, and only where
    gradients are small: ε is under the root.
    """
    return moved(tt.Adam([tt.Parameter(np.zeros(8))], lr=lr), [gradient])


@exercise("adam")
@given(a_few_steps)
@wants(lambda start, gradients, lr: last(adam_walk(start, gradients, lr)))
def test_adam_takes_two_steps(tt, start, gradients, lr):
    """The second step goes along both averages, each corrected for t = 2.

    If the first step is right: does t grow by one in each step? And is what `state` keeps still uncorrected? In the text's example, print
    t and both averages after each gradient.
    """
    return moved(tt.Adam([tt.Parameter(start.copy())], lr=lr), gradients)


@exercise("adam")
@given(lambda rng: {"start": rng.normal(size=(2, 3)), "mask": rng.permutation([True] * 3 + [False] * 3).reshape(2, 3)})
@wants(lambda start, mask: start[~mask])
def test_adam_stays_where_nothing_pulls(tt, start, mask):
    """A weight whose gradients are all zero stays where it is. It does not become nan.

    0 / 0 is nan, and 0 / (0 + eps) is 0. Is eps there, and is it added before the division?
    """
    parameter = moved(tt.Adam([tt.Parameter(start.copy())], lr=0.1), [np.where(mask, 1.0, 0.0)] * 3)
    return parameter.data[~mask]


@exercise("adam")
@given(lambda rng: journey(rng, steps=45) | adam_settings(rng))
@wants(
    lambda starts, gradients, lr, betas, eps: paths(starts, gradients, lambda w, g: adam_walk(w, g, lr, betas, eps)),
    rtol=1e-6,
    atol=1e-9,
)
def test_adam_over_many_steps(tt, starts, gradients, lr, betas, eps):
    """Over 45 steps Adam follows the formula: both averages corrected, eps outside the root, each parameter with its own t.

    If the checks before this one pass, look at ε: it is added to the root, not under it. And t is the count of *this* parameter.
    """
    return travel(tt, lambda p: tt.Adam(p, lr=lr, betas=tuple(betas), eps=eps), starts, gradients)[0]


@exercise("adam")
@given(lambda rng: journey(rng, steps=300, gaps=0.0))
@wants(
    lambda starts, gradients: paths(starts, gradients, lambda w, g: adam_walk(w, g, 1e-3))[::10], rtol=1e-6, atol=1e-9
)
def test_adam_with_its_defaults(tt, starts, gradients):
    """Three hundred steps with the usual settings: lr 0.001, betas 0.9 and 0.999, eps 1e-8.

    If the first steps agree and later ones do not, look at what is remembered from one step to the next.
    """
    return travel(tt, tt.Adam, starts, gradients)[0][::10]


@exercise("adam")
@given(lambda rng: journey(rng, steps=24) | adam_settings(rng) | {"decay": number(rng, 0.1, 1)})
@wants(
    lambda starts, gradients, lr, betas, eps, decay: paths(
        starts, gradients, lambda w, g: adam_walk(w, g, lr, betas, eps, weight_decay=decay)
    ),
    rtol=1e-6,
    atol=1e-9,
)
def test_adam_with_weight_decay(tt, starts, gradients, lr, betas, eps, decay):
    """Adam's weight decay is added to the gradient, before the averages.

    If only this check fails: Adam.update adds the decay, and hands the sum to adapt. Use `gradient`, not parameter.grad.
    """
    return travel(tt, lambda p: tt.Adam(p, lr, tuple(betas), eps, decay), starts, gradients)[0]


@exercise("adam")
@stage("compatibility")
@given(some_gradients)
@wants(unchanged)
def test_adam_leaves_gradients_alone(tt, gradients):
    """After Adam's step, weight decay included, .grad holds what it held.

    gradient * gradient and (1 - beta) * new are new arrays; *= on the gradient is not allowed.
    """
    once = gradients_after(tt, lambda p: tt.Adam(p, lr=0.1), gradients)
    gradients_after(tt, lambda p: tt.Adam(p, lr=0.1, weight_decay=0.5), gradients)
    return once


@exercise("adam")
@stage("compatibility")
@given(mixed_dtypes)
@wants(lambda weights, kinds: dtypes_kept(kinds, a_tensor(weights - 0.2)), rtol=1e-4)
def test_adam_remembers_in_the_dtype_of_the_weights(tt, weights, kinds):
    """Parameters and both averages keep the dtype of the parameter: a float64 average would double the memory.

    If the numbers differ, the checks before this one say more. If only the dtype does: change the averages in place, and the parameter, too.
    """
    return dtypes_after(tt, lambda p: tt.Adam(p, lr=0.1), weights, kinds)


def bare_adam(weights, gradient):
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for t in range(1, 11):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient * gradient
        weights = weights - 0.01 * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    return weights


@exercise("adam")
@stage("performance")
@given(large)
@wants(lambda weights, gradient: (weights - 0.1 * np.sign(gradient))[::9], rtol=1e-3, atol=1e-3)
@at_most(6, times_of=bare_adam)
def test_adam_is_fast(tt, weights, gradient):
    """A step of Adam costs about what its formula costs in bare NumPy.

    If the numbers differ, the checks before this one say more. If it is slow: whole arrays, the averages updated in place.
    """
    parameter = tt.Parameter(weights.copy())
    parameter.grad = gradient.copy()
    often(tt.Adam([parameter], lr=0.01).step, 10)
    return parameter.data[::9]


# --- adamw -----------------------------------------------------------------------------------------------------------


@exercise("adamw")
@given(lambda rng: a_few_steps(rng) | {"decay": number(rng, 0.1, 0.9)})
@wants(lambda start, gradients, lr, decay: last(adam_walk(start, gradients, lr, decoupled=decay)))
def test_adamw_takes_two_steps(tt, start, gradients, lr, decay):
    """A step of AdamW multiplies the weights by 1 − lr · weight_decay, then subtracts Adam's step.

    Three usual slips: a factor without the learning rate; shrinking after Adam's step and not before it; Adam.update, which adds the
    decay to the gradient, where self.adapt does not.
    """
    return moved(tt.AdamW([tt.Parameter(start.copy())], lr=lr, weight_decay=decay), gradients)


@exercise("adamw")
@given(lambda rng: journey(rng, steps=30) | adam_settings(rng) | {"decay": number(rng, 0.1, 1)})
@wants(
    lambda starts, gradients, lr, betas, eps, decay: paths(
        starts, gradients, lambda w, g: adam_walk(w, g, lr, betas, eps, decoupled=decay)
    ),
    rtol=1e-6,
    atol=1e-9,
)
def test_adamw_over_many_steps(tt, starts, gradients, lr, betas, eps, decay):
    """AdamW multiplies the weights by 1 − lr · weight_decay, then takes Adam's step with the plain gradient.

    If two steps are right and many are not: the shrinking takes the weights and no gradient, self.adapt takes parameter.grad as it is.
    """
    return travel(tt, lambda p: tt.AdamW(p, lr, tuple(betas), eps, decay), starts, gradients)[0]


@exercise("adamw")
@given(
    lambda rng: {
        "start": rng.normal(size=5),
        "rates": rng.uniform(0.05, 0.5, size=6).tolist(),
        "decay": number(rng, 0.1, 1),
    }
)
@wants(lambda start, rates, decay: [a_tensor(start * np.prod(1 - decay * np.array(rates))), a_tensor(start)])
def test_adamw_decays_without_a_slope(tt, start, rates, decay):
    """Where all gradients are zero, AdamW only shrinks the weights, at the learning rate of now; where there is none, it does nothing.

    The factor is 1 - self.lr * self.weight_decay, read afresh in every step.
    """
    flat, frozen = tt.Parameter(start.copy()), tt.Parameter(start.copy())
    optimizer = tt.AdamW([flat, frozen], lr=0.1, weight_decay=decay)
    for optimizer.lr in rates:
        flat.grad = np.zeros(5)
        optimizer.step()
    return flat, frozen


@exercise("adamw")
@given(lambda rng: journey(rng, steps=12) | {"lr": number(rng, 0.1, 0.9)})
@wants(
    lambda starts, gradients, lr: paths(starts, gradients, lambda w, g: adam_walk(w, g, lr, decoupled=0.01)),
    rtol=1e-6,
    atol=1e-9,
)
def test_adamw_decays_by_default(tt, starts, gradients, lr):
    """AdamW(parameters, lr) decays with 0.01, as in PyTorch.

    If only this check fails: use self.weight_decay. Its default stands in __init__, which is given.
    """
    return travel(tt, lambda p: tt.AdamW(p, lr=lr), starts, gradients)[0]


@exercise("adamw")
@stage("compatibility")
@given(lambda rng: some_gradients(rng) | {"weights": rng.normal(size=3), "kinds": mixed_dtypes(rng)["kinds"]})
@wants(
    lambda gradients, weights, kinds: [
        unchanged(gradients),
        dtypes_kept(kinds, a_tensor((weights * 0.95 - 0.1) * 0.95 - 0.1)),
    ],
    rtol=1e-4,
)
def test_adamw_keeps_gradients_and_dtypes(tt, gradients, weights, kinds):
    """.grad never sees the decay, and weights and averages keep the dtype of the weights.

    If the numbers differ, the checks before this one say more. Otherwise: shrink parameter.data in place, leave parameter.grad alone.
    """
    held = gradients_after(tt, lambda p: tt.AdamW(p, lr=0.1, weight_decay=0.5), gradients)
    return held, dtypes_after(tt, lambda p: tt.AdamW(p, lr=0.1, weight_decay=0.5), weights, kinds)


# --- schedules -------------------------------------------------------------------------------------------------------


def rates_of(tt, make, lr, steps):
    """The learning rate at the beginning and after each step."""
    optimizer = tt.SGD([tt.Parameter([0.0])], lr=lr)
    scheduler, rates = make(optimizer), [optimizer.lr]
    for _ in range(steps):
        scheduler.step()
        rates.append(optimizer.lr)
    return np.array(rates, dtype=np.float64)


def staircase(lr, size, gamma, steps):
    rates = [lr]
    for n in range(1, steps + 1):
        rates.append(rates[-1] * gamma if n % size == 0 else rates[-1])
    return np.array(rates)


@exercise("schedules")
@given(lambda rng: {"lr": number(rng, 0.1, 2), "size": int(rng.integers(2, 6)), "gamma": number(rng, 0.1, 0.9)})
@wants(
    lambda lr, size, gamma: [staircase(lr, size, gamma, 3 * size + 1), staircase(lr, 1, 0.1, 3)], rtol=1e-7, atol=1e-12
)
def test_step_lr_is_a_staircase(tt, lr, size, gamma):
    """After every step_size steps the rate is multiplied by gamma (0.1 by default), and in between it stays.

    The power of gamma counts the stairs behind you. With step_size = 3 it is 0 for n = 0, 1, 2, and 1 for n = 3, 4, 5: which division gives
    that?
    """
    steep = rates_of(tt, lambda o: tt.StepLR(o, step_size=1), lr, 3)
    return rates_of(tt, lambda o: tt.StepLR(o, step_size=size, gamma=gamma), lr, 3 * size + 1), steep


def cosine(lr, steps, low):
    """cos² of half the angle, and what is lost of it is sin²."""
    half = np.linspace(0, np.pi / 2, steps + 1)
    return lr * np.cos(half) ** 2 + low * np.sin(half) ** 2


@exercise("schedules")
@given(lambda rng: {"lr": number(rng, 0.5, 2), "steps": int(rng.integers(3, 12)), "low": number(rng, 0.01, 0.3)})
@wants(lambda lr, steps, low: [cosine(lr, steps, low), cosine(lr, steps, 0.0)], rtol=1e-7, atol=1e-9)
def test_cosine_annealing_goes_gently_down(tt, lr, steps, low):
    """From the rate of the beginning half a cosine down to eta_min (0 by default), which is reached after T_max steps.

    Try the two ends. At n = 0 the cosine is 1, and the rate should be initial_lr; at n = T_max it is −1, and the rate should be eta_min.
    In the middle it is 0, half-way between the two.
    """
    to_zero = rates_of(tt, lambda o: tt.CosineAnnealingLR(o, T_max=steps), lr, steps)
    return rates_of(tt, lambda o: tt.CosineAnnealingLR(o, T_max=steps, eta_min=low), lr, steps), to_zero


@exercise("schedules")
@given(
    lambda rng: {
        "lr": number(rng, 0.5, 2),
        "noise": rng.uniform(0.1, 5, size=6).tolist(),
        "gamma": number(rng, 0.2, 0.9),
    }
)
@wants(lambda lr, noise, gamma: [staircase(lr, 2, gamma, 6)[1:], cosine(lr, 6, 0.1)[1:]], rtol=1e-7, atol=1e-9)
def test_schedules_remember_the_first_rate(tt, lr, noise, gamma):
    """The rate after n steps depends on n and on the rate of the beginning, not on what somebody has made of optimizer.lr meanwhile.

    If only this check fails, optimizer.lr stands in your formula: take self.initial_lr, and n.
    """
    rates = []
    for make in (lambda o: tt.StepLR(o, 2, gamma), lambda o: tt.CosineAnnealingLR(o, 6, 0.1)):
        optimizer = tt.SGD([tt.Parameter([0.0])], lr=lr)
        scheduler, heard = make(optimizer), []
        for optimizer.lr in noise:
            scheduler.step()
            heard.append(optimizer.lr)
        rates.append(np.array(heard, dtype=np.float64))
    return rates


@exercise("schedules")
@stage("integration")
@given(
    lambda rng: {
        "start": rng.normal(size=3),
        "gradients": rng.normal(size=(8, 3)),
        "lr": number(rng, 0.1, 1),
        "gamma": number(rng, 0.3, 0.8),
    }
)
@wants(
    lambda start, gradients, lr, gamma: [
        a_tensor(start - staircase(lr, 3, gamma, 7) @ gradients),
        a_tensor(start - cosine(lr, 7, 0.0) @ gradients),
    ]
)
def test_schedules_shorten_the_steps(tt, start, gradients, lr, gamma):
    """An optimizer steps with the rate that its scheduler has set.

    If only this check fails: rate(n) returns the rate, and Scheduler.step, which is given, puts it into optimizer.lr.
    """
    parameters = []
    for make in (lambda o: tt.StepLR(o, 3, gamma), lambda o: tt.CosineAnnealingLR(o, 7)):
        parameter = tt.Parameter(start.copy())
        optimizer = tt.SGD([parameter], lr=lr)
        scheduler = make(optimizer)
        for gradient in gradients:
            parameter.grad = gradient.copy()
            optimizer.step()
            scheduler.step()
        parameters.append(parameter)
    return parameters


# --- clip-grad-norm --------------------------------------------------------------------------------------------------


def bundle(rng):
    shapes = [tuple(rng.integers(1, 4, size=rng.integers(1, 4)).tolist()) for _ in range(rng.integers(2, 5))]
    gradients = [number(rng, 0.5, 5) * rng.normal(size=shape) for shape in shapes]
    return {"gradients": [*gradients, None], "share": number(rng, 0.1, 0.8)}


def together(gradients):
    return float(np.sqrt(sum(float(x) ** 2 for g in gradients if g is not None for x in g.ravel())))


def with_gradients(tt, gradients):
    parameters = [tt.Parameter([1.0] if g is None else np.zeros_like(g)) for g in gradients]
    give(parameters, gradients)
    return parameters


@exercise("clip-grad-norm")
@given(bundle)
@wants(lambda gradients, share: [together(gradients), [None if g is None else share * g for g in gradients]], rtol=1e-5)
def test_clip_shortens_all_by_one_factor(tt, gradients, share):
    """If the common norm exceeds max_norm, all gradients are multiplied by max_norm / norm; the norm of before is returned.

    The first value is the norm of before: the root of the sum of all squares, and not a sum of norms. Then come the gradients, every one
    times the same factor; None stays None.
    """
    parameters = with_gradients(tt, gradients)
    norm = tt.clip_grad_norm((p for p in parameters), together(gradients) * share)
    return norm, [p.grad for p in parameters]


@exercise("clip-grad-norm")
@given(bundle)
@wants(lambda gradients, share: [together(gradients), gradients, 0.0])
def test_clip_leaves_short_gradients(tt, gradients, share):
    """If the norm is at most max_norm, nothing is changed; the norm is returned all the same. No gradients at all: 0.0.

    If gradients have changed: shorten only what is too long. If the norm is wrong, the check before this one says more.
    """
    parameters = with_gradients(tt, gradients)
    norm = tt.clip_grad_norm(parameters, together(gradients) / share)
    return norm, [p.grad for p in parameters], tt.clip_grad_norm(with_gradients(tt, [None, None]), share)


@exercise("clip-grad-norm")
@given(lambda rng: {"gradient": rng.normal(size=4), "share": number(rng, 0.1, 0.8)})
@wants(lambda gradient, share: [share * gradient, share * gradient, gradient])
def test_clip_replaces_gradient_arrays(tt, gradient, share):
    """The old gradient array is not written into: two parameters may share one.

    If the third array has changed, somebody wrote into it: *= would shorten a shared array twice. If it has not, the factor is wrong; a
    shared array counts once for each parameter.
    """
    one, two, array = tt.Parameter(np.zeros(4)), tt.Parameter(np.zeros(4)), gradient.copy()
    one.grad = two.grad = array
    tt.clip_grad_norm([one, two], share * np.sqrt(2) * float(np.linalg.norm(gradient)))
    return one.grad, two.grad, array


def told_limit(limit, refused, norm):
    return f"norm 5, max_norm {limit:.3f}: {'ValueError' if refused else 'accepted'}, and the norm is then {norm:.3f}"


@exercise("clip-grad-norm")
@given(
    lambda rng: {"limits": rng.permutation([*(rng.uniform(-2, 2, size=10).round(2) + 0.0), 0.0, float("nan")]).tolist()}
)
@wants(lambda limits: [told_limit(m, not m >= 0, m if m >= 0 else 5.0) for m in limits])
def test_clip_with_any_limit(tt, limits):
    """A negative max_norm raises ValueError; with 0 all gradients become 0.

    A negative limit: refuse_negative(max_norm=max_norm) stands in the function already, leave it there. A wrong norm afterwards: one
    factor for all gradients, and it is 0 where max_norm is 0.
    """
    answers = []
    for limit in limits:
        parameters = with_gradients(tt, [np.array([3.0, 0.0]), np.array([4.0])])
        refused = raises(ValueError, lambda p=parameters, m=limit: tt.clip_grad_norm(p, m))
        left = float(np.hypot(np.linalg.norm(parameters[0].grad), np.linalg.norm(parameters[1].grad)))
        answers.append(told_limit(limit, refused, left))
    return answers


def told_clipped(kind, norm, dtype):
    return f"a {kind} gradient: the norm is of type {norm}, and the gradient is then {dtype}"


@exercise("clip-grad-norm")
@stage("compatibility")
@given(lambda rng: {"kinds": rng.permutation(DTYPES * 4).tolist(), "values": rng.uniform(1, 3, size=3)})
@wants(
    lambda kinds, values: [[told_clipped(kind, "float", kind), values / np.linalg.norm(values)] for kind in kinds],
    rtol=1e-4,
)
def test_clip_keeps_dtypes(tt, kinds, values):
    """Gradients keep their dtype, and the norm is a Python float.

    A Python number times a float32 array is float32. math.hypot and float(…) return Python floats.
    """
    answers = []
    for kind in kinds:
        (parameter,) = with_gradients(tt, [values.astype(kind)])
        norm = tt.clip_grad_norm([parameter], 1.0)
        answers.append([told_clipped(kind, type(norm).__name__, parameter.grad.dtype), parameter.grad])
    return answers


# --- optimizer-state -------------------------------------------------------------------------------------------------


def makers(tt):
    return {
        "SGD": lambda p, lr: tt.SGD(p, lr),
        "momentum": lambda p, lr: tt.SGD(p, lr, momentum=0.9),
        "Adam": lambda p, lr: tt.Adam(p, lr),
        "AdamW": lambda p, lr: tt.AdamW(p, lr, weight_decay=0.1),
    }


WALKS = {
    "SGD": lambda w, g, lr: sgd_walk(w, g, lr),
    "momentum": lambda w, g, lr: sgd_walk(w, g, lr, 0.9),
    "Adam": lambda w, g, lr: adam_walk(w, g, lr),
    "AdamW": lambda w, g, lr: adam_walk(w, g, lr, decoupled=0.1),
}
REMEMBERS = {"SGD": [], "momentum": ["velocity"], "Adam": ["first", "second"], "AdamW": ["first", "second"]}


@exercise("optimizer-state")
@given(lambda rng: {"gradients": rng.normal(size=(4, 2, 3)), "lr": number(rng, 0.1, 1), "beta": number(rng, 0.3, 0.9)})
@wants(
    lambda gradients, lr, beta: [
        {"lr": lr} | {f"{i}.velocity": np.tensordot(beta ** np.arange(3, -1, -1), gradients[:, i], 1) for i in (0, 1)},
        {"lr": lr}
        | {f"{i}.first": np.tensordot((1 - beta) * beta ** np.arange(3, -1, -1), gradients[:, i], 1) for i in (0, 1)}
        | {
            f"{i}.second": np.tensordot((1 - beta) * beta ** np.arange(3, -1, -1), gradients[:, i] ** 2, 1)
            for i in (0, 1)
        }
        | {f"{i}.steps": 4 for i in (0, 1)},
        {"lr": lr},
    ]
)
def test_state_dict_holds_all_that_is_remembered(tt, gradients, lr, beta):
    """state_dict() is flat: "lr", and "<number>.<name>" for everything in the state of each parameter.

    Two loops, one in the other: over the memories of all parameters, with their numbers (enumerate), and over what each of them holds.
    """
    states = []
    for make in (
        lambda p: tt.SGD(p, lr, momentum=beta),
        lambda p: tt.Adam(p, lr, betas=(beta, beta)),
        lambda p: tt.SGD(p, lr),
    ):
        optimizer = make([tt.Parameter(np.zeros(3)), tt.Parameter(np.zeros(3))])
        for step in gradients:
            give(optimizer.parameters, step)
            optimizer.step()
        states.append(dict(optimizer.state_dict()))
    return states


@exercise("optimizer-state")
@given(
    lambda rng: {
        "kinds": rng.permutation(["SGD", "momentum", "Adam", "AdamW"]).tolist(),
        "packed": shuffled(rng, [False, True] * 2),
        "start": rng.normal(size=(2, 2)),
        "gradients": rng.normal(size=(14, 2, 2)),
        "lr": number(rng, 0.05, 0.3),
    }
)
@wants(
    lambda kinds, packed, start, gradients, lr: [
        a_tensor(list(WALKS[k](start, list(gradients), lr))[-1]) for k in kinds
    ],
    rtol=1e-6,
    atol=1e-9,
)
def test_training_goes_on_as_if_never_stopped(tt, kinds, packed, start, gradients, lr):
    """Seven steps, saved and loaded into a new optimizer, and seven more: the same weights as after fourteen in a row.

    What is missing after loading: the learning rate, an array, or Adam's step counts? A file gives numbers back as arrays of shape ().
    """
    answers = []
    for kind, pack in zip(kinds, packed, strict=True):
        parameter = tt.Parameter(start.copy())
        optimizer = makers(tt)[kind]([parameter], lr)
        for i, gradient in enumerate(gradients):
            if i == 7:
                state = {n: np.array(v) if pack else v for n, v in optimizer.state_dict().items()}
                parameter = tt.Parameter(np.array(parameter.data))
                optimizer = makers(tt)[kind]([parameter], 9.0)
                optimizer.load_state_dict(state)
            parameter.grad = gradient.copy()
            optimizer.step()
        answers.append(parameter)
    return answers


def filled(optimizer, names, value):
    """Write `value` into all that is remembered under these names, where it is an array."""
    for memory in optimizer.state:
        for name in names:
            if isinstance(memory[name], np.ndarray):
                memory[name][...] = value


@exercise("optimizer-state")
@given(
    lambda rng: {"kinds": rng.choice(["momentum", "Adam", "AdamW"], 4).tolist(), "values": rng.normal(size=2).tolist()}
)
@wants(
    lambda kinds, values: [
        {"given out": [np.full(3, values[0]), np.full((), values[0])] * n, "taken in": [np.full(3, values[1]), np.full((), values[1])] * n}
        for n in (len(REMEMBERS[kind]) for kind in kinds)
    ]
)  # fmt: skip
def test_copies_of_the_state_go_out_and_come_in(tt, kinds, values):
    """What was given out does not change with the optimizer, nor the optimizer with what was taken in.

    If what was given out becomes 55, copies are missing on the way out: copy.copy(value), for arrays of every shape. If what was
    taken in becomes 77, they are missing on the way in: write the numbers into the array that is there.
    """
    answers = []
    for kind in kinds:
        optimizer = makers(tt)[kind]([tt.Parameter(np.zeros(3)), tt.Parameter(np.zeros(()))], 0.1)
        filled(optimizer, REMEMBERS[kind], values[0])
        out = optimizer.state_dict()
        names = [f"{i}.{name}" for name in REMEMBERS[kind] for i in (0, 1)]
        coming = out | {name: np.full(() if name[0] == "1" else 3, values[1]) for name in names}
        optimizer.load_state_dict(coming)
        for name in names:
            coming[name][...] = 77.0
        inside = [np.array(memory[name]) for name in REMEMBERS[kind] for memory in optimizer.state]
        filled(optimizer, REMEMBERS[kind], 55.0)
        answers.append({"given out": [out[name] for name in names], "taken in": inside})
    return answers


def as_remembered(kind, shape, first, steps):
    return f"{kind} weights of shape {shape}: first is {first}, steps is {steps}"


def kind_of(value):
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"of type {type(value).__name__}"


@exercise("optimizer-state")
@stage("compatibility")
@given(
    lambda rng: {
        "kinds": rng.permutation(DTYPES * 4).tolist(),
        "steps": rng.integers(1, 9, size=8).tolist(),
        "lr": number(rng, 0, 1),
    }
)
@wants(
    lambda kinds, steps, lr: [
        {
            "lr": lr,
            "told": [as_remembered(kind, shape, f"an array of {kind}", "of type int") for shape in ((2,), ())],
            "first": [np.full(2, n + 0.5), np.full((), n + 0.5)],
            "steps": [n, n],
        }
        for kind, n in zip(kinds, steps)
    ]
)
def test_loading_keeps_the_dtypes(tt, kinds, steps, lr):
    """Loaded averages are arrays in the dtype of the weights; numbers are Python numbers, also where they come as arrays of shape ().

    Numbers become int(…) and float(…) of what came. An array that is there takes the new numbers in, and keeps its dtype. And which
    is which? The second parameter is a single number: its averages have shape () and *are* arrays. So look at what the remembered
    value is, not at its shape.
    """
    answers = []
    for kind, n in zip(kinds, steps, strict=True):
        optimizer = tt.Adam([tt.Parameter(np.zeros(shape, dtype=kind)) for shape in ((2,), ())])
        coming = {"lr": np.array(lr)}
        for i, shape in enumerate(((2,), ())):
            coming |= {f"{i}.first": np.full(shape, n + 0.5), f"{i}.second": np.ones(shape), f"{i}.steps": np.array(n)}
        optimizer.load_state_dict(coming)
        told = [
            as_remembered(kind, shape, kind_of(memory["first"]), kind_of(memory["steps"]))
            for shape, memory in zip(((2,), ()), optimizer.state, strict=True)
        ]
        first = [np.array(memory["first"]) for memory in optimizer.state]
        counts = [memory["steps"] for memory in optimizer.state]
        answers.append({"lr": optimizer.lr, "told": told, "first": first, "steps": counts})
    return answers


SPOILS = {
    "nothing": lambda state: state,
    "an average missing": lambda state: {name: value for name, value in state.items() if name != "1.second"},
    "the rate missing": lambda state: {name: value for name, value in state.items() if name != "lr"},
    "a name too many": lambda state: state | {"2.first": np.ones(2)},
    "another number": lambda state: {name.replace("1.", "2."): value for name, value in state.items()},
    "another optimizer's": lambda state: {"lr": 5.0, "0.velocity": np.ones((2, 3)), "1.velocity": np.ones(4)},
    "transposed": lambda state: {name: np.transpose(value) for name, value in state.items()},
    "one row": lambda state: state | {"0.first": state["0.first"][:1]},
    "one number": lambda state: state | {"1.second": 1.0},
    "steps of every weight": lambda state: state | {"1.steps": np.ones(4, dtype=int)},
}


def loaded(spoil, refused, unchanged):
    return (
        f"{spoil}: {'ValueError' if refused else 'accepted'}, {'nothing changed' if unchanged else 'something changed'}"
    )


@exercise("optimizer-state")
@given(lambda rng: {"spoils": rng.permutation(list(SPOILS)).tolist() + rng.choice(list(SPOILS), 4).tolist()})
@wants(lambda spoils: [loaded(spoil, spoil != "nothing", spoil != "nothing") for spoil in spoils])
def test_loading_refuses_another_optimizers_state(tt, spoils):
    """A missing name, an unknown one, or another shape raises ValueError, and then nothing at all has changed.

    Two loops: the first one compares all names and all shapes and changes nothing, the second one changes. np.shape(…) works for arrays
    and for numbers.
    """
    answers = []
    for spoil in spoils:
        optimizer = tt.Adam([tt.Parameter(np.zeros((2, 3))), tt.Parameter(np.zeros(4))], lr=0.1)
        before = optimizer.state_dict()
        other = {name: value + 1 for name, value in before.items()}
        refused = raises(ValueError, lambda o=optimizer, s=SPOILS[spoil](other): o.load_state_dict(s))
        after = optimizer.state_dict()
        answers.append(
            loaded(spoil, refused, all(np.array_equal(after[name], value) for name, value in before.items()))
        )
    return answers


# --- the module as a whole -------------------------------------------------------------------------------------------


@stage("import")
@given(lambda rng: {"start": rng.normal(size=3), "gradient": rng.normal(size=3), "lr": number(rng, 0.1, 1)})
@wants(
    lambda start, gradient, lr: [
        a_tensor(start - lr * gradient / np.linalg.norm(gradient)),
        a_tensor(start * (1 - 0.01 * lr)),
    ]
)
def test_module_imports_alone(tt, start, gradient, lr):
    """`import tinytorch.optimizers` works by itself, and beside the modules before it.

    If the import fails, run all cells from the top once and look for the first error.
    """
    optimizers, tensor = (importlib.import_module(f"tinytorch.{name}") for name in ("optimizers", "tensor"))
    one, two = tensor.Tensor(start.copy()), tensor.Tensor(start.copy())
    one.grad, two.grad = 1e3 * gradient, np.zeros(3)
    optimizers.clip_grad_norm([one], 1.0)
    optimizers.SGD([one], lr=lr).step()
    optimizers.AdamW([two], lr=lr).step()
    return one, two


@stage("import")
@given(lambda rng: {"names": rng.permutation(["SGD", "Adam", "AdamW", "StepLR", "CosineAnnealingLR"]).tolist()})
@wants(lambda names: [[not name.endswith("LR"), True, True] for name in names])
def test_every_class_can_be_made(tt, names):
    """SGD, Adam and AdamW are Optimizers; StepLR and CosineAnnealingLR are made with an optimizer and keep it.

    If one is not, its class line was changed: class SGD(Optimizer).
    """
    answers = []
    for name in names:
        optimizer = tt.SGD([tt.Parameter([1.0])], lr=0.1)
        kind = getattr(tt, name)
        made = kind(optimizer, 5) if name.endswith("LR") else kind([tt.Parameter([1.0])], lr=0.1)
        holds = made.optimizer is optimizer if name.endswith("LR") else len(made.parameters) == 1
        answers.append([issubclass(kind, tt.Optimizer), holds, callable(made.step)])
    return answers


SETTINGS = {
    "SGD": [{"momentum": -0.1}, {"weight_decay": -1e-3}, {"lr": -1.0}, {"momentum": 0.9, "weight_decay": 0.1}, {}],
    "Adam": [
        {"betas": (1.0, 0.9)},
        {"betas": (0.9, 1.0)},
        {"betas": (-0.1, 0.9)},
        {"betas": (0.0, 0.0)},
        {"eps": -1e-8},
        {"lr": -1e-3},
    ],
    "AdamW": [
        {"betas": (0.9, -0.5)},
        {"weight_decay": -0.1},
        {"weight_decay": 0.0},
        {"betas": (0.5, 1.5)},
        {"lr": float("nan")},
    ],
}


def told_setting(name, which, refused):
    return f"{name} with {SETTINGS[name][which] or 'lr only'}: {'ValueError' if refused else 'accepted'}"


def refused(name, which):
    settings = SETTINGS[name][which]
    lr, betas = settings.get("lr", 0.1), settings.get("betas", (0.9, 0.999))
    rest = [settings.get(key, 0) for key in ("momentum", "weight_decay", "eps")]
    return not (lr >= 0 and min(rest) >= 0 and all(0 <= beta < 1 for beta in betas))


@stage("compatibility")
@given(
    lambda rng: {
        "cases": [
            [str(n), int(i)] for n, i in rng.permutation([[n, i] for n in SETTINGS for i in range(len(SETTINGS[n]))])
        ]
    }
)
@wants(lambda cases: [told_setting(name, which, refused(name, which)) for name, which in cases])
def test_settings_out_of_range_are_refused(tt, cases):
    """Negative settings, and betas outside [0, 1), raise ValueError as soon as the optimizer is made.

    The constructors are given; do not change them.
    """
    answers = []
    for name, which in cases:
        settings = {"lr": 0.1} | SETTINGS[name][which]
        said = raises(ValueError, lambda n=name, s=settings: getattr(tt, n)([tt.Parameter([1.0])], **s))
        answers.append(told_setting(name, which, said))
    return answers


def told_handed(case, *refused):
    said = ["TypeError" if no else "accepted" for no in refused]
    return f"parameters = {case}: SGD {said[0]}, clip_grad_norm {said[1]}"


@stage("compatibility")
@given(
    lambda rng: {
        "cases": rng.permutation(
            ["a tensor", "pairs", "numbers", "arrays", "a list", "one in a list", "None among them", "tensors"]
        ).tolist()
    }
)
@wants(lambda cases: [told_handed(case, *[case not in ("a list", "one in a list", "tensors")] * 2) for case in cases])
def test_what_is_no_parameter_is_refused(tt, cases):
    """A single tensor, pairs of names and parameters, or bare numbers raise TypeError.

    as_list says what is a parameter; Optimizer and clip_grad_norm ask it.
    """
    layer = tt.Linear(2, 2)
    handed = {
        "a tensor": layer.weight,
        "pairs": layer.named_parameters(),
        "numbers": [1.0, 2.0],
        "arrays": [layer.weight.data],
        "a list": layer.parameters(),
        "one in a list": [layer.weight],
        "None among them": [layer.weight, None],
        "tensors": [tt.Tensor([1.0])],
    }
    kinds = (lambda p: tt.SGD(p, lr=0.1), lambda p: tt.clip_grad_norm(p, 1.0))
    return [told_handed(case, *(raises(TypeError, lambda c=case, k=k: k(handed[c])) for k in kinds)) for case in cases]


@stage("compatibility")
@given(
    lambda rng: {
        "lr": number(rng, 0.1, 1),
        "steps": rng.integers(1, 6, size=8).tolist(),
        "packed": shuffled(rng, [False, True] * 4),
    }
)
@wants(
    lambda lr, steps, packed: [
        [float(r) for r in staircase(lr, 2, 0.5, n + 3)[n + 1 :]] + [float(cosine(lr, 9, 0.0)[n + 1])] for n in steps
    ]
)
def test_a_scheduler_goes_on_where_it_stopped(tt, lr, steps, packed):
    """The state_dict of a scheduler, loaded into a new one, continues with the same rates.

    The methods are given in Scheduler; rate(n) must depend on n and self.initial_lr only.
    """
    answers = []
    for n, pack in zip(steps, packed, strict=True):
        heard = []
        for make, rest in ((lambda o: tt.StepLR(o, 2, 0.5), 3), (lambda o: tt.CosineAnnealingLR(o, 9), 1)):
            optimizer = tt.SGD([tt.Parameter([1.0])], lr=lr)
            scheduler = make(optimizer)
            for _ in range(n):
                scheduler.step()
            state = {name: np.array(v) if pack else v for name, v in scheduler.state_dict().items()}
            optimizer = tt.SGD([tt.Parameter([1.0])], lr=9.0)
            scheduler = make(optimizer)
            scheduler.load_state_dict(state)
            for _ in range(rest):
                scheduler.step()
                heard.append(float(optimizer.lr))
        answers.append(heard)
    return answers


def regression(rng):
    x = rng.normal(size=(40, 3)) * rng.uniform(0.8, 1.5, size=3)
    return {"x": x, "y": x @ rng.normal(size=(3, 2)) + rng.normal(size=2) + 0.1 * rng.normal(size=(40, 2))}


def least_squares(x, y):
    solution = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)[0]
    residual = np.c_[x, np.ones(len(x))] @ solution - y
    return [[a_tensor(solution[:-1].T), a_tensor(solution[-1]), float(np.mean(residual**2))]] * 2


@stage("integration")
@given(regression)
@wants(least_squares, rtol=1e-3, atol=1e-3)
def test_a_linear_layer_finds_the_best_line(tt, x, y):
    """A Linear, an MSELoss whose gradient was derived by hand, and an optimizer arrive where least squares are.

    If the exercises pass and this does not, look at step and zero_grad.
    """
    answers, loss_fn = [], tt.MSELoss()
    for make in (lambda p: tt.SGD(p, lr=0.1, momentum=0.8), lambda p: tt.Adam(p, lr=0.1)):
        layer = tt.Linear(3, 2, seed=1)
        for parameter in layer.parameters():
            parameter.data = parameter.data.astype(np.float64)
        optimizer = make(layer.parameters())
        scheduler = tt.CosineAnnealingLR(optimizer, T_max=500)
        for _ in range(500):
            optimizer.zero_grad()
            slope = 2 * (layer(tt.Tensor(x)).data - y) / y.size
            layer.weight.grad, layer.bias.grad = slope.T @ x, slope.sum(axis=0)
            optimizer.step()
            scheduler.step()
        answers.append([layer.weight, layer.bias, loss_fn(layer(tt.Tensor(x)), tt.Tensor(y)).item()])
    return answers


def clipped_adam(start, gradients, limit, lr):
    """Adam on gradients of which none is longer than `limit`, with a cosine for a rate."""
    w, first, second, rates = start, 0.0, 0.0, cosine(lr, len(gradients), 0.0)
    for t, gradient in enumerate(gradients, start=1):
        gradient = gradient * min(1.0, limit / np.linalg.norm(gradient))
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        w = w - rates[t - 1] * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    return a_tensor(w)


@stage("integration")
@given(
    lambda rng: {
        "start": rng.normal(size=4),
        "gradients": rng.normal(size=(12, 4)),
        "limit": number(rng, 0.5, 2),
        "lr": number(rng, 0.1, 0.5),
    }
)
@wants(clipped_adam)
def test_clipping_schedule_and_optimizer_together(tt, start, gradients, limit, lr):
    """Clip, step, turn the rate: the loop that training will be.

    clip_grad_norm puts new arrays into .grad, and the optimizer has to read .grad at every step.
    """
    parameter = tt.Parameter(start.copy())
    optimizer = tt.Adam([parameter], lr=lr)
    scheduler = tt.CosineAnnealingLR(optimizer, T_max=len(gradients))
    for gradient in gradients:
        parameter.grad = gradient.copy()
        tt.clip_grad_norm([parameter], limit)
        optimizer.step()
        scheduler.step()
    return parameter


def remembers_little(answer, weights, gradient, steps):
    if not isinstance(answer, list) or len(answer) != 3 or not all(type(kept) is int for kept in answer):
        return "the number of bytes that three optimizers keep was expected"
    for name, kept, times in zip(("SGD", "SGD with momentum", "Adam"), answer, (1, 2, 3), strict=True):
        if not (times - 0.1) * weights.nbytes < kept < (times + 0.4) * weights.nbytes:
            return f"after {steps} steps, weights of {weights.nbytes:,} bytes and {name} hold {kept:,}; {times} times the weights were expected"
    return None


@stage("performance")
@given(lambda rng: large(rng) | {"steps": int(rng.integers(90, 110))})
@judged(remembers_little)
def test_a_hundred_steps_leave_nothing_behind(tt, weights, gradient, steps):
    """After a hundred steps SGD keeps nothing, SGD with momentum one array as large as the weights, and Adam two.

    Remember only what the next step needs, in the dtype of the weights; keep no gradients and no old weights.
    """
    kept, gradient = [], gradient.copy()
    for make in (lambda p: tt.SGD(p, lr=0.1), lambda p: tt.SGD(p, lr=0.1, momentum=0.5), tt.Adam):
        tracemalloc.start()
        parameter = tt.Parameter(weights.copy())
        parameter.grad = gradient
        optimizer = make([parameter])
        for _ in range(steps):
            optimizer.step()
        kept.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    return kept

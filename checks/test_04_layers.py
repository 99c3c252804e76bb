"""Checks of module 04: parameters, trees of modules, the first layers, and saving them."""

import importlib
import tracemalloc

import numpy as np
from support import engine_hears, often, pairs_of_seeds, shuffled

from tinytorch_core.kernel.checking import a_tensor, at_most, error_text, exercise, given, judged, raises, stage, wants

SOME = ("alpha", "beta", "gamma", "delta", "eta", "theta", "kappa", "rho", "sigma", "tau")


# Trees of modules: a plain dict is a module, an array in it is a parameter


def random_tree(rng, depth=2):
    names = rng.permutation(SOME).tolist()
    tree = {name: rng.normal(size=rng.integers(1, 4, size=rng.integers(1, 3))) for name in names[: rng.integers(1, 3)]}
    if depth:
        tree |= {name: random_tree(rng, depth - 1) for name in names[3 : 3 + rng.integers(1, 3)]}
    return {name: tree[name] for name in rng.permutation(list(tree)).tolist()}


def grow(tt, tree):
    """The tree as modules, with things in each of them that are no parameters."""
    module = tt.Module()
    module.number, module.text, module.constant = 0.5, "text", tt.Tensor([1.0, 2.0])
    module.hidden = [tt.Parameter([3.0])]
    for name, value in tree.items():
        setattr(module, name, grow(tt, value) if isinstance(value, dict) else tt.Parameter(value))
    return module


def paths(tree, path=""):
    """The names of all modules of a tree."""
    inside = [(name, value) for name, value in tree.items() if isinstance(value, dict)]
    return [path] + [p for name, value in inside for p in paths(value, f"{path}.{name}" if path else name)]


def leaves(tree, path=""):
    """The arrays of a tree by their dotted names."""
    found = {}
    for name, value in tree.items():
        found |= leaves(value, f"{path}{name}.") if isinstance(value, dict) else {f"{path}{name}": value}
    return found


def at(tree, path):
    for name in path.split(".") if path else []:
        tree = tree[name]
    return tree


def a_tree(rng):
    return {"tree": random_tree(rng)}


def batch(rng, *leading):
    inputs, outputs = rng.integers(2, 6, size=2).tolist()
    return {
        "x": rng.normal(size=(*leading, inputs)),
        "weight": rng.normal(size=(outputs, inputs)),
        "bias": rng.normal(size=outputs),
    }


def mapped(x, weight, bias):
    return np.einsum("...i,oi->...o", x, weight) + bias


# --- parameter -------------------------------------------------------------------------------------------------------


@exercise("parameter")
@given(lambda rng: {"arrays": [rng.normal(size=rng.integers(1, 4, size=2)) for _ in range(int(rng.integers(2, 6)))]})
@wants(lambda arrays: [[a_tensor(array), True, True, None] for array in arrays])
def test_parameter_wants_a_gradient(tt, arrays):
    """A Parameter is a Tensor that holds the given numbers, and requires_grad is True.

    Hand everything on to the class above: super().__init__(data, requires_grad, dtype).
    """
    parameters = [tt.Parameter(array) for array in arrays]
    return [[p, isinstance(p, tt.Tensor), p.requires_grad, p.grad] for p in parameters]


@exercise("parameter")
@given(lambda rng: {"numbers": rng.normal(size=3).tolist(), "learn": shuffled(rng, [False, True] * 4)})
@wants(lambda numbers, learn: learn)
def test_a_parameter_can_be_frozen(tt, numbers, learn):
    """Parameter(data, requires_grad=False) is frozen.

    Do not write True in the body: it is the default of the argument already.
    """
    return [tt.Parameter(numbers, requires_grad=wish).requires_grad for wish in learn]


@exercise("parameter")
@stage("compatibility")
@given(lambda rng: {"numbers": rng.normal(size=2).tolist(), "kinds": rng.choice(["float32", "float64"], 8).tolist()})
@wants(lambda numbers, kinds: [[kind, kind, kind, np.asarray(numbers)] for kind in kinds])
def test_parameter_keeps_the_dtype(tt, numbers, kinds):
    """A Parameter has the dtype of its array or tensor, or the one that is asked for.

    The constructor of Tensor knows the rule; hand data and dtype on to it.
    """
    made = []
    for kind in kinds:
        array = np.array(numbers, dtype=kind)
        three = tt.Parameter(array), tt.Parameter(tt.Tensor(array)), tt.Parameter(numbers, dtype=np.dtype(kind))
        made.append([str(p.dtype) for p in three] + [three[2]])
    return made


# --- module-tree -----------------------------------------------------------------------------------------------------


@exercise("module-tree")
@given(a_tree)
@wants(lambda tree: sorted(paths(tree)))
def test_named_modules_names_the_whole_tree(tt, tree):
    """named_modules lists the module itself as "", and every module inside, at any depth, by its dotted name.

    For each attribute that is a Module, call named_modules again, with join_names(path, name) as the path.
    """
    return sorted(name for name, _ in grow(tt, tree).named_modules())


@exercise("module-tree")
@given(a_tree)
@wants(lambda tree: {path: sorted(n for n, v in at(tree, path).items() if isinstance(v, dict)) for path in paths(tree)})
def test_each_name_belongs_to_its_module(tt, tree):
    """Each pair is a name and the module of that name, one module for each name.

    The list begins with (path, module) itself; what the recursive call returns already is a list of pairs.
    """
    pairs = grow(tt, tree).named_modules()
    return {path: sorted(n for n, v in vars(module).items() if isinstance(v, tt.Module)) for path, module in pairs}


@exercise("module-tree")
@given(lambda rng: {"tree": random_tree(rng), "pick": int(rng.integers(100))})
@wants(
    lambda tree, pick: {
        path: not (path + ".").startswith(paths(tree)[1:][pick % (len(paths(tree)) - 1)] + ".") for path in paths(tree)
    }
)
def test_eval_reaches_everything_inside(tt, tree, pick):
    """eval() of one part changes that part and all that is inside it, and nothing else.

    train and eval are given and walk over named_modules(); a module that it forgets is never told.
    """
    modules = dict(grow(tt, tree).train().named_modules())
    inner = paths(tree)[1:]
    modules[inner[pick % len(inner)]].eval()
    return {path: module.training for path, module in modules.items()}


# --- module-parameters -----------------------------------------------------------------------------------------------


@exercise("module-parameters")
@given(a_tree)
@wants(lambda tree: {name: a_tensor(value) for name, value in leaves(tree).items()})
def test_named_parameters_finds_them_all(tt, tree):
    """named_parameters lists every Parameter in the tree by its dotted name, and nothing that is no Parameter.

    Look at vars(part) of every module in named_modules(); the name is join_names(path, name).
    """
    return dict(grow(tt, tree).named_parameters())


@exercise("module-parameters")
@given(
    lambda rng: {"tree": {"first": random_tree(rng, 1), "second": random_tree(rng, 1)}, "shared": rng.normal(size=2)}
)
@wants(lambda tree, shared: [len(leaves(tree)) + 1, 1])
def test_a_shared_parameter_is_listed_once(tt, tree, shared):
    """One Parameter under two names is listed once; two Parameters with equal numbers are two.

    Remember id(value) of what you have listed. (== would compare numbers.)
    """
    net, shared = grow(tt, tree), tt.Parameter(shared)
    net.first.one_name = net.second.other_name = net.second.third_name = shared
    found = [parameter for _, parameter in net.named_parameters()]
    return len(found), sum(parameter is shared for parameter in found)


@exercise("module-parameters")
@given(lambda rng: {"values": rng.normal(size=(int(rng.integers(2, 7)), 3))})
@wants(lambda values: [a_tensor(values[0])] * len(values))
def test_equal_numbers_are_different_parameters(tt, values):
    """Parameters that happen to hold equal numbers are all listed.

    Compare identities, id(value), not numbers.
    """
    net = tt.Module()
    for i in range(len(values)):
        setattr(net, f"p{i}", tt.Parameter(values[0]))
    return list(net.parameters())


@exercise("module-parameters")
@given(lambda rng: {"tree": random_tree(rng), "marks": (rng.random(size=20) < 0.6).tolist()})
@wants(lambda tree, marks: [[value.size, None] for value in leaves(tree).values()])
def test_zero_grad_forgets_every_gradient(tt, tree, marks):
    """zero_grad() of the root makes every gradient None.

    zero_grad is given and walks over parameters(); a parameter that is not listed keeps its gradient.
    """
    net = grow(tt, tree)
    parameters = [at_name(net, name) for name in leaves(tree)]
    for parameter, mark in zip(parameters, marks, strict=False):
        parameter.grad = parameter.data * 2 if mark else None
    net.zero_grad()
    return [[parameter.size, parameter.grad] for parameter in parameters]


def at_name(net, path):
    for name in path.split("."):
        net = getattr(net, name)
    return net


# --- linear ----------------------------------------------------------------------------------------------------------


@exercise("linear")
@given(lambda rng: batch(rng, 3))
@wants(lambda x, weight, bias: a_tensor(mapped(x, weight, bias)))
def test_linear_is_a_product_and_a_sum(tt, x, weight, bias):
    """linear(x, weight, bias) is x @ weight.T + bias.

    weight is (out, in), so it has to be transposed; bias is added to every row.
    """
    return tt.linear(tt.Tensor(x), tt.Tensor(weight), tt.Tensor(bias))


@exercise("linear")
@given(lambda rng: batch(rng, 4))
@wants(lambda x, weight, bias: [a_tensor(mapped(x, weight, 0)), a_tensor(mapped(x, weight, 0))])
def test_linear_without_bias(tt, x, weight, bias):
    """Without a bias, nothing is added.

    Add only `if bias is not None`.
    """
    return tt.linear(tt.Tensor(x), tt.Tensor(weight)), tt.linear(tt.Tensor(x), tt.Tensor(weight), None)


@exercise("linear")
@stage("compatibility")
@given(lambda rng: batch(rng, *rng.integers(2, 4, size=int(rng.integers(2, 4))).tolist()))
@wants(lambda x, weight, bias: [a_tensor(mapped(v, weight, bias)) for v in (x, x[0], x[(0,) * (x.ndim - 1)], x[:0])])
def test_linear_with_any_leading_axes(tt, x, weight, bias):
    """x may have any number of leading axes, also none, and an empty batch is fine: (…, in) becomes (…, out).

    After the product, give the rows their leading axes back: reshape to (*x.shape[:-1], out).
    """
    weight, bias = tt.Tensor(weight), tt.Tensor(bias)
    return [tt.linear(tt.Tensor(v), weight, bias) for v in (x, x[0], x[(0,) * (x.ndim - 1)], x[:0])]


def says_shapes(texts, pairs):
    if not isinstance(texts, list) or len(texts) != len(pairs):
        return "an error message was expected for each pair of shapes"
    for text, shapes in zip(texts, pairs, strict=True):
        for shape in shapes:
            if not isinstance(text, str) or str(tuple(shape)).replace(" ", "") not in text.replace(" ", ""):
                return f"the ValueError for x {tuple(shapes[0])} and weight {tuple(shapes[1])} should name both; it said {text!r}"
    return None


@exercise("linear")
@stage("compatibility")
@given(
    lambda rng: {"pairs": [[[int(n), int(i)], [int(o), int(i + k)]] for n, i, o, k in rng.integers(1, 7, size=(8, 4))]}
)
@judged(says_shapes)
def test_linear_says_which_shapes_clash(tt, pairs):
    """Where the inputs of x and weight differ, a ValueError names both shapes.

    The door adds the shapes to NumPy's own ValueError; do not catch it.
    """
    return [error_text(lambda x=x, w=w: tt.linear(tt.Tensor(np.ones(x)), tt.Tensor(np.ones(w)))) for x, w in pairs]


@exercise("linear")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(2, 3)).astype(np.float32), "bias": rng.normal(size=4).astype(np.float32)})
@wants(lambda x, bias: [x, bias, "float32"])
def test_linear_leaves_its_inputs_alone(tt, x, bias):
    """After linear, x and bias hold what they held; float32 stays float32.

    output = output + bias makes a new array; never add into x or bias.
    """
    x, bias, weight = tt.Tensor(x), tt.Tensor(bias), tt.Tensor(np.ones((4, 3), dtype=np.float32))
    output = tt.linear(x, weight, bias)
    return x, bias, str(output.dtype)


@exercise("linear")
@stage("performance")
@given(
    lambda rng: {
        "x": rng.normal(size=(64, 300)).astype(np.float32),
        "weight": rng.normal(size=(100, 300)).astype(np.float32),
    }
)
@wants(lambda x, weight: (np.float64(x) @ np.float64(weight).T)[::7], rtol=1e-4, atol=1e-3)
@at_most(25, times_of=lambda x, weight: often(lambda: x @ weight.T, 20))
def test_linear_is_one_product(tt, x, weight):
    """A batch of 64 passes linear about as fast as NumPy's own product.

    Use @ on the whole batch; a loop over the batch or over the units is far slower.
    """
    x, weight = tt.Tensor(x), tt.Tensor(weight)
    return often(lambda: tt.linear(x, weight), 20)[::7]


# --- linear-layer ----------------------------------------------------------------------------------------------------


def starts_evenly(answer, inputs, outputs):
    if not isinstance(answer, dict) or not all(isinstance(answer.get(k), np.ndarray) for k in ("weight", "bias")):
        return "the layer should have a weight and a bias"
    bound, shapes = 1 / np.sqrt(inputs), {"weight": (outputs, inputs), "bias": (outputs,)}
    for name, shape in shapes.items():
        values = answer[name]
        if values.shape != shape or values.dtype != np.float32:
            return f"{name} should be float32 of shape {shape}, not {values.dtype} of shape {values.shape}"
        if not np.abs(values).max() <= bound * 1.0001:
            return f"{name} should lie within ±1/√{inputs} = ±{bound:.4f}, but reaches {np.abs(values).max():.4f}"
        spread, tolerance = bound / np.sqrt(3), 0.05 + 4 / np.sqrt(values.size)
        if abs(values.std() / spread - 1) > tolerance or abs(values.mean()) > spread * tolerance * 1.5:
            return f"{name} should be spread evenly over ±{bound:.4f}; its mean is {values.mean():.4f}, its spread {values.std():.4f}"
    return None


@exercise("linear-layer")
@given(lambda rng: dict(zip(("inputs", "outputs"), rng.permutation([rng.integers(40, 60), 300]).tolist(), strict=True)))
@judged(starts_evenly)
def test_linear_starts_with_even_random_numbers(tt, inputs, outputs):
    """weight (out, in) and bias (out,) begin as float32, spread evenly over ±1/√in.

    uniform(-bound, bound, shape) with bound = 1 / sqrt(in_features), and dtype=np.float32.
    """
    return dict(tt.Linear(inputs, outputs).named_parameters())


@exercise("linear-layer")
@given(lambda rng: batch(rng, 3) | {"with_bias": shuffled(rng, [False, True] * 4)})
@wants(lambda x, weight, bias, with_bias: [a_tensor(mapped(x, weight, bias if wish else 0)) for wish in with_bias])
def test_linear_layer_computes_with_its_own_parameters(tt, x, weight, bias, with_bias):
    """A Linear computes x @ weight.T + bias with its own weight and bias, whatever they are now.

    forward hands x, self.weight and self.bias to linear. With bias=False, self.bias is None.
    """
    outputs = []
    for wish in with_bias:
        layer = tt.Linear(weight.shape[1], weight.shape[0], bias=wish)
        for name, parameter in layer.named_parameters():
            parameter.data = {"weight": weight, "bias": bias}[name]
        outputs.append(layer(tt.Tensor(x)))
    return outputs


@exercise("linear-layer")
@given(lambda rng: {"sizes": rng.integers(1, 9, size=(8, 2)).tolist(), "wish": shuffled(rng, [False, True] * 4)})
@wants(lambda sizes, wish: [{"weight": [o, i]} | ({"bias": [o]} if w else {}) for (i, o), w in zip(sizes, wish)])
def test_linear_layer_has_parameters(tt, sizes, wish):
    """weight is a Parameter of shape (out, in) and bias one of shape (out,); with bias=False there is no bias.

    Only a Parameter is found by parameters(); a plain Tensor is not.
    """
    layers = [tt.Linear(i, o, bias=w) for (i, o), w in zip(sizes, wish, strict=True)]
    return [{name: list(p.shape) for name, p in layer.named_parameters() if p.requires_grad} for layer in layers]


@exercise("linear-layer")
@given(lambda rng: {"seeds": pairs_of_seeds(rng)})
@wants(lambda seeds: [[a == b, False, False] for a, b in seeds])
def test_linear_layer_is_repeatable(tt, seeds):
    """The same seed gives the same weights, another seed others; without a seed, or from one generator, no two are alike.

    np.random.default_rng(seed) takes an int, a generator, or None.
    """
    answers = []
    for a, b in seeds:
        rng = np.random.default_rng(a)
        pairs = [(a, b), (None, None), (rng, rng)]
        layers = [(tt.Linear(3, 2, seed=p), tt.Linear(3, 2, seed=q)) for p, q in pairs]
        answers.append([bool((p.weight.data == q.weight.data).all()) for p, q in layers])
    return answers


@exercise("linear-layer")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(2, int(rng.integers(1, 6))))})
@wants(lambda x: [True, True, True, [2, x.shape[1] + 1]])
def test_linear_layer_goes_through_the_door(tt, x):
    """The engine hears of x, weight and bias: what does not pass the door can never learn.

    Hand the Parameters themselves to linear, not their .data.
    """
    layer, x = tt.Linear(x.shape[1], x.shape[1] + 1), tt.Tensor(x)
    with engine_hears(tt) as heard:
        output = layer(x)
    inputs = [tensor for facts in heard for tensor in facts["inputs"]]
    return [any(tensor is t for t in inputs) for tensor in (x, layer.weight, layer.bias)] + [list(output.shape)]


# --- sequential ------------------------------------------------------------------------------------------------------

STEPS = {"double": lambda x: x * 2.0, "add": lambda x: x + 3.0, "square": lambda x: x * x, "negate": lambda x: -x}


def in_turn(x, steps):
    for step in steps:
        x = STEPS[step](x)
    return x


@exercise("sequential")
@given(lambda rng: {"x": rng.normal(size=3), "chains": [rng.choice(list(STEPS), n).tolist() for n in (0, 1, 3, 4, 5)]})
@wants(lambda x, chains: [a_tensor(in_turn(x, chain)) for chain in chains])
def test_sequential_calls_one_after_the_other(tt, x, chains):
    """Each layer gets what the one before it returned, in the order they were given; without layers x comes back.

    x = layer(x) for each layer, then return x.
    """
    return [tt.Sequential(*(STEPS[step] for step in chain))(tt.Tensor(x)) for chain in chains]


@exercise("sequential")
@given(lambda rng: {"sizes": rng.integers(1, 9, size=int(rng.integers(3, 6))).tolist()})
@wants(lambda sizes: {f"{2 * i}.weight": [b, a] for i, (a, b) in enumerate(zip(sizes, sizes[1:]))})
def test_sequential_registers_its_layers(tt, sizes):
    """The modules in a Sequential are found, under the names "0", "1", "2", …; activations count, too, but have nothing to learn.

    setattr(self, str(number), layer) for each of them.
    """
    layers = []
    for a, b in zip(sizes, sizes[1:], strict=False):
        layers += [tt.Linear(a, b, bias=False), tt.ReLU()]
    return {name: list(p.shape) for name, p in tt.Sequential(*layers).named_parameters()}


@exercise("sequential")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(4, 3)), "w": rng.normal(size=(2, 3)), "v": rng.normal(size=(2, 2))})
@wants(lambda x, w, v: [np.maximum(np.maximum(x @ w.T, 0) @ v.T, 0) @ v.T, len(w) + 3, ["0.0.weight", "1.weight"], []])
def test_sequential_in_sequential(tt, x, w, v):
    """A Sequential can stand in another, and one layer can stand in it twice.

    The inner one is a module like any other; a shared parameter is listed once, under its first name.
    """
    inner, shared = tt.Sequential(tt.Linear(3, 2, bias=False), tt.relu), tt.Linear(2, 2, bias=False)
    inner[0].weight.data, shared.weight.data = w, v
    net = tt.Sequential(inner, shared, tt.ReLU(), shared).eval()
    names = [name for name, _ in net.named_parameters()]
    return net(tt.Tensor(x)), len(net) + 1, names, [name for name, module in net.named_modules() if module.training]


# --- flatten ---------------------------------------------------------------------------------------------------------


@exercise("flatten")
@given(lambda rng: {"batches": [rng.normal(size=rng.integers(1, 5, size=axes)) for axes in (2, 3, 4, 3, 5)]})
@wants(lambda batches: [a_tensor(np.array([item.ravel() for item in batch])) for batch in batches])
def test_flatten_makes_rows(tt, batches):
    """Flatten keeps the first axis and lays out everything else as one row.

    reshape to (x.shape[0], -1).
    """
    return [tt.Flatten()(tt.Tensor(batch)) for batch in batches]


@exercise("flatten")
@stage("compatibility")
@given(
    lambda rng: {
        "x": rng.normal(size=(3, 2, int(rng.integers(1, 5)))),
        "kinds": rng.choice(["float32", "int64"], 8).tolist(),
    }
)
@wants(lambda x, kinds: [[True, kind, [3, 2 * x.shape[2]]] for kind in kinds])
def test_flatten_goes_through_the_door(tt, x, kinds):
    """The engine hears of Flatten, and the dtype stays.

    Use the tensor's own reshape; a new Tensor made of x.data could never be traced back.
    """
    answers = []
    for kind in kinds:
        tensor = tt.Tensor(x.astype(kind))
        with engine_hears(tt) as heard:
            output = tt.Flatten()(tensor)
        through = any(tensor is t for facts in heard for t in facts["inputs"])
        answers.append([through, str(output.dtype), list(output.shape)])
    return answers


# --- dropout ---------------------------------------------------------------------------------------------------------


def thinned_out(answer, x, p):
    if not isinstance(answer, np.ndarray) or answer.shape != x.shape or answer.dtype.kind != "f":
        return f"a tensor of {x.size} floats was expected"
    off = answer == 0
    if not np.allclose(answer[~off], x[~off] / (1 - p), rtol=1e-4):
        return f"what is not switched off should be divided by 1 - p = {1 - p:.3f}"
    spread = 6 * np.sqrt(p * (1 - p) / x.size)
    if abs(off.mean() - p) > spread:
        return f"with p = {p:.3f}, {off.mean():.3f} of the numbers were switched off"
    return None


@exercise("dropout")
@given(
    lambda rng: {
        "x": rng.uniform(1, 2, size=5_000),
        "p": float(rng.uniform(0.1, 0.4) if rng.random() < 0.5 else rng.uniform(0.6, 0.9)),
    }
)
@judged(thinned_out)
def test_dropout_switches_off_a_share_p(tt, x, p):
    """While learning, a share p of the numbers is 0, and the others are divided by 1 - p.

    A number stays where its random number is at least p.
    """
    return tt.Dropout(p)(tt.Tensor(x))


@exercise("dropout")
@given(lambda rng: {"x": rng.normal(size=(4, 5)), "p": float(rng.uniform(0.3, 0.9))})
@wants(lambda x, p: [a_tensor(x), a_tensor(x), a_tensor(x)])
def test_dropout_rests_after_eval(tt, x, p):
    """After eval(), Dropout returns its input unchanged, also inside a network; with p = 0 it always does.

    Ask self.training first. eval() has set it to False.
    """
    net = tt.Sequential(tt.Dropout(p), tt.Sequential(tt.Dropout(p)))
    return tt.Dropout(p).eval()(tt.Tensor(x)), net.eval()(tt.Tensor(x)), tt.Dropout(0.0)(tt.Tensor(x))


@exercise("dropout")
@given(lambda rng: {"seeds": pairs_of_seeds(rng)})
@wants(lambda seeds: [[a == b, a == b, False] for a, b in seeds])
def test_dropout_draws_anew_each_time(tt, seeds):
    """Every pass switches off others; two layers with the same seed go through the same sequence.

    Make the generator once, in __init__, and draw from it in every forward.
    """
    answers, x = [], tt.Tensor(np.ones(64))
    for a, b in seeds:
        one, two = tt.Dropout(0.5, seed=a), tt.Dropout(0.5, seed=b)
        passes = [one(x).data, one(x).data, two(x).data, two(x).data]
        answers.append([bool((passes[i] == passes[j]).all()) for i, j in ((0, 2), (1, 3), (0, 1))])
    return answers


@exercise("dropout")
@given(lambda rng: {"rates": rng.permutation([*rng.uniform(-1, 2, size=8), 0.0, 1.0, float("nan")]).tolist()})
@wants(lambda rates: [not 0 <= p < 1 for p in rates])
def test_dropout_refuses_what_is_no_rate(tt, rates):
    """p outside [0, 1) raises ValueError, as soon as the layer is made.

    0 is allowed and 1 is not: there 1 - p would be 0.
    """
    return [raises(ValueError, lambda p=p: tt.Dropout(p)) for p in rates]


@exercise("dropout")
@stage("compatibility")
@given(
    lambda rng: {"kinds": rng.choice(["float32", "float64"], 8).tolist(), "shape": rng.integers(1, 5, size=3).tolist()}
)
@wants(lambda kinds, shape: [[True, kind, shape] for kind in kinds])
def test_dropout_goes_through_the_door(tt, kinds, shape):
    """The engine hears of Dropout, and the dtype and the shape stay.

    Multiply the tensor itself by the mask; a new Tensor made of x.data could never be traced back.
    """
    answers = []
    for kind in kinds:
        x = tt.Tensor(np.ones(shape, dtype=kind))
        with engine_hears(tt) as heard:
            output = tt.Dropout(0.5)(x)
        through = any(x is t for facts in heard for t in facts["inputs"])
        answers.append([through, str(output.dtype), list(output.shape)])
    return answers


# --- state-dict ------------------------------------------------------------------------------------------------------


def with_buffers(tt, tree):
    """The tree, and a buffer "mean" in every module of it."""
    net = grow(tt, tree)
    for path, module in net.named_modules():
        module.register_buffer("mean", np.full(2, len(path) + 0.5))
    return net


def wanted_state(tree):
    return leaves(tree) | {f"{path}.mean".lstrip("."): np.full(2, len(path) + 0.5) for path in paths(tree)}


@exercise("state-dict")
@given(a_tree)
@wants(wanted_state)
def test_state_dict_holds_parameters_and_buffers(tt, tree):
    """state_dict() maps the dotted name of every parameter and buffer to its array.

    Go over module.named_parameters() + module.named_buffers(), and take .data of each.
    """
    return {name: np.asarray(values) for name, values in with_buffers(tt, tree).state_dict().items()}


@exercise("state-dict")
@given(lambda rng: {"weight": rng.normal(size=(2, 3)), "other": rng.normal(size=(2, 3))})
@wants(lambda weight, other: [weight, other, other])
def test_copies_go_out_and_come_in(tt, weight, other):
    """What was given out does not change with the layer, nor the layer with what was given out or taken in.

    .data.copy() on the way out, np.array(values) on the way in.
    """
    layer, incoming = tt.Linear(3, 2, bias=False), {"weight": other.copy()}
    layer.weight.data = weight.copy()
    state = layer.state_dict()
    layer.weight.data[:] = 99.0
    before = np.array(state["weight"])
    layer.load_state_dict(incoming)
    incoming["weight"][:] = state["weight"][:] = 77.0
    after = np.array(layer.weight.data)
    state = layer.state_dict()
    state["weight"][:] = 55.0
    return before, after, layer.weight.data


@exercise("state-dict")
@given(lambda rng: {"tree": random_tree(rng), "factor": float(rng.uniform(2, 3))})
@wants(lambda tree, factor: {name: a_tensor(values * factor) for name, values in wanted_state(tree).items()})
def test_load_state_dict_takes_everything_in(tt, tree, factor):
    """load_state_dict gives every parameter and buffer the numbers of that name.

    Replace tensor.data for each tensor of module.named_parameters() + module.named_buffers().
    """
    net = with_buffers(tt, tree)
    net.load_state_dict({name: np.asarray(values) * factor for name, values in net.state_dict().items()})
    return dict(net.named_parameters()) | dict(net.named_buffers())


@exercise("state-dict")
@given(lambda rng: {"kinds": rng.choice(["float32", "float64"], 8).tolist(), "values": rng.normal(size=(1, 2))})
@wants(lambda kinds, values: [[kind, True, True, values] for kind in kinds])
def test_load_state_dict_keeps_parameters_and_dtypes(tt, kinds, values):
    """Loading keeps the Parameter objects, because an optimizer may hold on to them, and their dtypes.

    Assign to tensor.data: np.array(state[name], dtype=tensor.dtype).
    """
    answers = []
    for kind in kinds:
        layer = tt.Linear(2, 1, bias=False)
        weight = layer.weight = tt.Parameter(np.zeros((1, 2), dtype=kind))
        layer.load_state_dict({"weight": values})
        answers.append([str(layer.weight.dtype), layer.weight is weight, weight.requires_grad, weight])
    return answers


SPOILS = {
    "nothing": lambda state: state,
    "a name missing": lambda state: {"0.weight": state["0.weight"] + 1, "2.bias": state["2.bias"]},
    "a name too many": lambda state: {name: v + 1 for name, v in state.items()} | {"9.weight": np.ones(1)},
    "another name": lambda state: {name.replace("2", "1"): v + 1 for name, v in state.items()},
    "transposed": lambda state: {name: v.T + 1 for name, v in state.items()},
    "one row": lambda state: {name: v[:1] + 1 for name, v in state.items()},
    "an axis more": lambda state: {name: v[None] + 1 for name, v in state.items()},
    "the last one short": lambda state: {name: v[:-1] + 1 if name == "2.bias" else v + 1 for name, v in state.items()},
}


@exercise("state-dict")
@given(lambda rng: {"spoils": rng.choice(list(SPOILS), 6).tolist() + rng.permutation(list(SPOILS)).tolist()})
@wants(lambda spoils: [[spoil != "nothing", True] for spoil in spoils])
def test_load_state_dict_refuses_another_networks_state(tt, spoils):
    """A missing name, an unknown one, or another shape raises an error, and then nothing at all has changed.

    Compare all names and all shapes before you change anything. NumPy would broadcast (1, 3) into (2, 3): compare shapes.
    """
    answers = []
    for spoil in spoils:
        net = tt.Sequential(tt.Linear(3, 2), tt.ReLU(), tt.Linear(2, 4))
        before = {name: np.array(values) for name, values in net.state_dict().items()}
        spoiled = SPOILS[spoil](before)
        refused = raises((ValueError, KeyError, RuntimeError), lambda n=net, s=spoiled: n.load_state_dict(s))
        same = all(np.array_equal(parameter.data, before[name]) for name, parameter in net.named_parameters())
        answers.append([refused, same])
    return answers


# --- the module as a whole -------------------------------------------------------------------------------------------


@stage("import")
@given(lambda rng: {"x": rng.normal(size=(2, 3)), "weight": rng.normal(size=(4, 3))})
@wants(lambda x, weight: np.maximum(x @ weight.T, 0))
def test_module_imports_alone(tt, x, weight):
    """`import tinytorch.layers` works by itself, and beside the modules before it.

    If the import fails, run all cells from the top once and look for the first error.
    """
    layers, bends, tensor = (importlib.import_module(f"tinytorch.{n}") for n in ("layers", "activations", "tensor"))
    net = layers.Sequential(layers.Flatten(), layers.Linear(3, 4, bias=False), layers.Dropout(0.0), bends.ReLU())
    layers.Module.load_state_dict(net, {"1.weight": weight})
    return net(tensor.Tensor(x))


@stage("import")
@given(
    lambda rng: {
        "names": rng.permutation(["Module", "Linear", "Sequential", "Flatten", "Dropout", "Tensor", "ReLU"]).tolist()
    }
)
@wants(lambda names: [name not in ("Tensor", "ReLU") for name in names])
def test_every_layer_is_a_module(tt, names):
    """Linear, Sequential, Flatten and Dropout are Modules.

    If one is not, its class line was changed: class Linear(Module).
    """
    return [issubclass(getattr(tt, name), tt.Module) for name in names]


@stage("integration")
@given(
    lambda rng: {
        "pictures": rng.normal(size=(5, 2, 3)),
        "state": {
            "1.weight": rng.normal(size=(7, 6)),
            "1.bias": rng.normal(size=7),
            "4.weight": rng.normal(size=(3, 7)),
            "4.bias": rng.normal(size=3),
        },
    }
)
@wants(lambda pictures, state: a_tensor(probabilities(pictures, state)), rtol=1e-4, atol=1e-5)
def test_a_network_of_layers(tt, pictures, state):
    """Flatten, Linear, ReLU, Dropout, Linear, Softmax: loaded, told that learning is over, and asked.

    If this fails and the exercises pass, look at eval() (is dropout off?) and at load_state_dict.
    """
    net = tt.Sequential(tt.Flatten(), tt.Linear(6, 7), tt.ReLU(), tt.Dropout(0.5), tt.Linear(7, 3), tt.Softmax()).eval()
    net.load_state_dict(state)
    return net(tt.Tensor(pictures))


def probabilities(pictures, state):
    hidden = np.maximum(pictures.reshape(len(pictures), -1) @ state["1.weight"].T + state["1.bias"], 0)
    logits = hidden @ state["4.weight"].T + state["4.bias"]
    return np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])


def two_clusters(rng):
    angle, sides = rng.uniform(0, 2 * np.pi), rng.permutation([-1.0, 1.0] * 15)
    away = np.stack([np.cos(angle), np.sin(angle)])
    return {"points": rng.uniform(-0.7, 0.7, size=(30, 2)) + 1.5 * sides[:, None] * away, "sides": sides}


@stage("integration")
@given(two_clusters)
@wants(lambda points, sides: sides)
def test_a_linear_layer_can_learn(tt, points, sides):
    """A Linear with one output learns to tell two clouds apart, by the rule of 1957 and without any gradient.

    Learning changes layer.weight.data and layer.bias.data; forward has to use what is in them now.
    """
    layer = tt.Linear(2, 1)
    for _ in range(30):
        mistaken = layer(tt.Tensor(points)).data[:, 0] * sides <= 0
        layer.weight.data = layer.weight.data + sides * mistaken @ points
        layer.bias.data = layer.bias.data + np.sum(sides * mistaken)
    return np.sign(layer(tt.Tensor(points)).data[:, 0])


def keeps_nothing(answer, x, passes):
    if not isinstance(answer, list) or len(answer) != 2 or type(answer[0]) is not int:
        return "the number of bytes kept, and an output, were expected"
    if not isinstance(answer[1], np.ndarray) or not np.allclose(
        answer[1], x.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-3
    ):
        return "a Linear whose weights are all 1 should have added up each row"
    return (
        None
        if answer[0] < 4 * x.nbytes
        else f"{passes} passes have left {answer[0]:,} bytes behind; one input has {x.nbytes:,}"
    )


@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(50, 100)).astype(np.float32), "passes": int(rng.integers(90, 110))})
@judged(keeps_nothing)
def test_a_hundred_passes_leave_nothing_behind(tt, x, passes):
    """After a hundred passes through a network, no more memory is in use than after one.

    A layer keeps its parameters, not its inputs or outputs.
    """
    net = tt.Sequential(tt.Flatten(), tt.Linear(100, 1, bias=False))
    net.load_state_dict({"1.weight": np.ones((1, 100))})
    net(tt.Tensor(x))
    tracemalloc.start()
    for _ in range(passes):
        output = net(tt.Tensor(x))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept, output

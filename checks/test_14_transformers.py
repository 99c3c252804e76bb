"""Checks of module 14: normalised vectors, blocks that add to a stream, a GPT that reads, and one that writes.

What is wanted is worked out in float64, text by text and head by head, without caches; gradients by central differences.
"""

import gc
import importlib
import tracemalloc

import numpy as np
from support import STRICT, often, pairs_of_seeds, shuffled, slopes, told

from tinytorch_core.kernel.checking import a_tensor, at_most, exercise, given, judged, raises, stage, wants

# What is wanted


def normalised(x, weight, bias, eps=1e-5):
    rows = [(row - row.mean()) / np.sqrt(row.var() + eps) for row in np.float64(x).reshape(-1, x.shape[-1])]
    return np.reshape(rows, x.shape) * weight + bias


def bent(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def through(x, state, name):
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0.0)


def looked_around(x, state, heads, causal):
    """Self-attention of one text (T, D), head by head, query by query."""
    q, k, v = (through(x, state, f"{name}_proj") for name in "qkv")
    d, mixed = x.shape[1] // heads, np.zeros(x.shape)
    for h in range(heads):
        part = slice(h * d, (h + 1) * d)
        for t in range(len(x)):
            seen = t + 1 if causal else len(x)
            scores = k[:seen, part] @ q[t, part] / np.sqrt(d)
            shares = np.exp(scores - scores.max())
            mixed[t, part] = shares / shares.sum() @ v[:seen, part]
    return through(mixed, state, "out_proj")


def under(state, name):
    """The part of a state whose names begin with `name` and a dot, without that."""
    return {key[len(name) + 1 :]: np.float64(value) for key, value in state.items() if key.startswith(f"{name}.")}


def thought_over(x, state):
    return through(bent(through(x, state, "expand")), state, "contract")


def block_of(x, state, heads, causal=False):
    """A block, for texts (B, T, D)."""
    found = []
    for text in np.float64(x):
        text = text + looked_around(
            normalised(text, *norm_of(state, "norm1")), under(state, "attention"), heads, causal
        )
        found.append(text + thought_over(normalised(text, *norm_of(state, "norm2")), under(state, "feed_forward")))
    return np.array(found)


def norm_of(state, name):
    return np.float64(state[f"{name}.weight"]), np.float64(state[f"{name}.bias"])


def gpt_of(tokens, state, heads):
    """The logits of a GPT, for tokens (B, T)."""
    tokens = np.asarray(tokens)
    x = np.float64(state["tokens.weight"])[tokens] + np.float64(state["positions.weight"])[: tokens.shape[1]]
    for number in range(len({key.split(".")[1] for key in state if key.startswith("blocks.")})):
        x = block_of(x, under(state, f"blocks.{number}"), heads, causal=True)
    return normalised(x, *norm_of(state, "norm")) @ np.float64(state["head.weight"]).T


# Inputs, and modules that hold given numbers


def linear_state(rng, name, inputs, outputs, bias=True):
    state = {f"{name}.weight": rng.normal(size=(outputs, inputs)) / np.sqrt(inputs)}
    return state | ({f"{name}.bias": rng.normal(size=outputs) / 2} if bias else {})


def norm_state(rng, name, dim):
    return {f"{name}.weight": rng.uniform(0.5, 1.5, size=dim), f"{name}.bias": rng.normal(size=dim) / 2}


def block_state(rng, dim, hidden, name=""):
    state = norm_state(rng, "norm1", dim) | norm_state(rng, "norm2", dim)
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        state |= linear_state(rng, f"attention.{part}", dim, dim)
    state |= linear_state(rng, "feed_forward.expand", dim, hidden)
    state |= linear_state(rng, "feed_forward.contract", hidden, dim)
    return {name + key: value for key, value in state.items()}


def gpt_state(rng, vocab, dim, layers, max_len):
    state = {"tokens.weight": rng.normal(size=(vocab, dim)), "positions.weight": rng.normal(size=(max_len, dim))}
    for number in range(layers):
        state |= block_state(rng, dim, 4 * dim, f"blocks.{number}.")
    return state | norm_state(rng, "norm", dim) | linear_state(rng, "head", dim, vocab, bias=False)


def filled(module, state):
    """The module with these numbers in its parameters, in float64."""
    for name, parameter in module.named_parameters():
        parameter.data = np.array(state[name])
    return module


def a_gpt(rng, layers=None, heads=None, max_len=None):
    layers, heads = layers or int(rng.integers(1, 3)), heads or int(rng.integers(1, 4))
    vocab, dim, max_len = int(rng.integers(5, 9)), 3 * heads, max_len or int(rng.integers(5, 8))
    sizes = {"vocab_size": vocab, "embed_dim": dim, "num_layers": layers, "num_heads": heads, "max_len": max_len}
    return {"sizes": sizes, "state": gpt_state(rng, vocab, dim, layers, max_len)}


def model_of(tt, gpt, **settings):
    return filled(tt.GPT(**gpt["sizes"], **settings), gpt["state"])


# --- layer-norm ------------------------------------------------------------------------------------------------------


def vectors(rng, shape):
    return {
        "x": rng.normal(size=shape) * 3 + rng.normal(),
        "weight": rng.uniform(0.5, 2, size=shape[-1]) * rng.choice([-1.0, 1.0], size=shape[-1]),
        "bias": rng.normal(size=shape[-1]),
    }


@exercise("layer-norm")
@given(lambda rng: vectors(rng, (int(rng.integers(3, 6)),)))
@wants(lambda x, weight, bias: a_tensor(normalised(x, weight, bias)))
def test_one_vector_is_normalised(tt, x, weight, bias):
    """A vector gets mean 0 and variance 1, then weight and bias are applied.

    First subtract the mean; then divide by the root of variance plus eps; then times weight, plus bias.
    """
    return tt.layer_norm(tt.Tensor(x), tt.Tensor(weight), tt.Tensor(bias))


@exercise("layer-norm")
@given(
    lambda rng: {
        "cases": [vectors(rng, shape) for shape in shuffled(rng, [(4, 3), (2, 3, 5), (3, 1, 4), (2, 2, 2, 3)])]
    }
)
@wants(lambda cases: [a_tensor(normalised(**case)) for case in cases])
def test_every_vector_by_itself(tt, cases):
    """Each vector along the last axis is measured by itself, however many axes there are before it.

    axis=-1 for both means, and keepdims=True, so that they fit beside x. The other vectors of a batch have no say.
    """
    return [tt.layer_norm(*(tt.Tensor(case[name]) for name in ("x", "weight", "bias"))) for case in cases]


@exercise("layer-norm")
@given(lambda rng: vectors(rng, (3, 4)) | {"eps": float(rng.uniform(0.1, 2))})
@wants(lambda x, weight, bias, eps: [normalised(x, 1, 0, eps), 1 / np.sqrt(x.var(axis=-1, keepdims=True) + eps)])
def test_what_the_way_back_needs_is_kept(tt, x, weight, bias, eps):
    """The forward returns the output, and a pair: the vectors before weight and bias, and 1 / √(variance + eps) with an axis of size 1.

    return output, (normal, inverse). keepdims=True leaves the axis.
    """
    _, (normal, inverse) = tt.layer_norm.forward(x, weight, bias, eps=eps)
    return normal, inverse


@exercise("layer-norm")
@given(lambda rng: vectors(rng, (4, 3)) | {"eps": float(rng.uniform(0.1, 2)), "level": float(rng.normal() * 50)})
@wants(
    lambda x, weight, bias, eps, level: [a_tensor(normalised(x, weight, bias, eps)), a_tensor(np.tile(bias, (4, 1)))]
)
def test_eps_keeps_constant_vectors_finite(tt, x, weight, bias, eps, level):
    """eps stands under the root, beside the variance. A vector of equal numbers has variance 0, and becomes the bias.

    np.sqrt(variance + eps), with the eps that is given.
    """
    weight, bias = tt.Tensor(weight), tt.Tensor(bias)
    with np.errstate(**STRICT):
        constant = tt.layer_norm(tt.Tensor(np.full((4, 3), level)), weight, bias, eps=eps)
    return tt.layer_norm(tt.Tensor(x), weight, bias, eps=eps), constant


@exercise("layer-norm")
@stage("compatibility")
@given(
    lambda rng: {
        "x": rng.normal(size=(8, 5)).astype(np.float32),
        "levels": shuffled(rng, [0, 0, 1e3, 1e3, 2e3, 4e3, 4e3, 8e3]),
    }
)
@wants(
    lambda x, levels: [
        ["float32", normalised(np.float32(row + np.float32(level)), 1, 0)] for row, level in zip(x, levels, strict=True)
    ],
    rtol=0,
    atol=0.02,
)
def test_far_from_zero_it_stays_exact(tt, x, levels):
    """float32 stays float32, and vectors whose numbers are all large lose nothing.

    Subtract the mean first, then square. The mean of the squares minus the square of the mean are two large, nearly equal numbers.
    """
    answers = []
    for row, level in zip(x, levels, strict=True):
        y = tt.layer_norm(tt.Tensor(row + np.float32(level)), tt.ones(5), tt.zeros(5))
        answers.append([str(y.dtype), y.data])
    return answers


def numpy_norm(x):
    distance = x - x.mean(axis=-1, keepdims=True)
    return distance / np.sqrt((distance * distance).mean(axis=-1, keepdims=True) + 1e-5)


@exercise("layer-norm")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(16, 64, 64)).astype(np.float32)})
@wants(lambda x: a_tensor(normalised(x[:, ::9], 1, 0)), rtol=1e-3, atol=1e-4)
@at_most(8.0, times_of=lambda x: often(lambda: numpy_norm(x), 5))
def test_layer_norm_speed(tt, x):
    """All vectors are normalised at once, in about the time that NumPy takes.

    No loop over vectors, and nothing that makes float64 of float32.
    """
    x, weight, bias = tt.Tensor(x), tt.ones(64), tt.zeros(64)
    return often(lambda: tt.layer_norm(x, weight, bias), 5)[:, ::9]


# --- layer-norm-backward ---------------------------------------------------------------------------------------------


def with_gradient(rng, shape):
    return vectors(rng, shape) | {"g": rng.normal(size=shape)}


@exercise("layer-norm-backward")
@given(lambda rng: with_gradient(rng, (int(rng.integers(3, 6)),)))
@wants(lambda x, weight, bias, g: slopes(normalised, [x, weight, bias], g), rtol=1e-4, atol=1e-5)
def test_gradients_of_one_vector(tt, x, weight, bias, g):
    """The gradients of x, weight and bias are the slopes that can be measured.

    h = gradient · weight. From h goes its mean, and normal · mean(h · normal); the rest times inverse.
    """
    tensors = [tt.Tensor(a, requires_grad=True) for a in (x, weight, bias)]
    tt.layer_norm(*tensors).backward(g)
    return [a.grad for a in tensors]


@exercise("layer-norm-backward")
@given(lambda rng: with_gradient(rng, shuffled(rng, [(3, 4), (2, 2, 3)])[0]))
@wants(lambda x, weight, bias, g: slopes(normalised, [x, weight, bias], g), rtol=1e-4, atol=1e-5)
def test_gradients_of_batches(tt, x, weight, bias, g):
    """In a batch every vector gets its own gradient, and weight and bias get the sum over all vectors.

    Means along the last axis, with keepdims=True. For weight and bias return the full shape: the engine sums what was broadcast.
    """
    tensors = [tt.Tensor(a, requires_grad=True) for a in (x, weight, bias)]
    tt.layer_norm(*tensors).backward(g)
    return [a.grad for a in tensors]


@exercise("layer-norm-backward")
@given(
    lambda rng: (
        with_gradient(rng, (2, 3)) | {"inverse": rng.uniform(0.2, 3, size=(2, 1)), "normal": rng.normal(size=(2, 3))}
    )
)
@wants(
    lambda x, weight, bias, g, inverse, normal: [
        np.array(
            [
                inverse[n] * (g[n] * weight - np.mean(g[n] * weight) - normal[n] * np.mean(g[n] * weight * normal[n]))
                for n in (0, 1)
            ]
        ),
        g[0] * normal[0] + g[1] * normal[1],
        g[0] + g[1],
    ]
)
def test_the_rule_uses_what_was_kept(tt, x, weight, bias, g, inverse, normal):
    """The rule works with the pair that was kept, and measures nothing again.

    normal and inverse are there already, unpacked; x itself is not needed.
    """
    functions = tt.layer_norm.backward(g.copy(), (normal.copy(), inverse.copy()), x.copy(), weight.copy(), bias.copy())
    to_x, to_weight, to_bias = (function() for function in functions)
    return [to_x, np.reshape(to_weight, (-1, 3)).sum(axis=0), np.reshape(to_bias, (-1, 3)).sum(axis=0)]


@exercise("layer-norm-backward")
@stage("compatibility")
@given(lambda rng: {"kinds": shuffled(rng, ["float32", "float64"] * 4), "x": rng.normal(size=(2, 3))})
@wants(lambda kinds, x: [[kind] * 3 + [x, x] for kind in kinds], rtol=1e-5, atol=1e-6)
def test_the_rule_keeps_dtypes_and_changes_nothing(tt, kinds, x):
    """Every function returns the dtype that came in, and neither the gradient nor what was kept is written into.

    h - shift makes a new array; h -= shift would not.
    """
    answers = []
    for kind in kinds:
        array, ones = x.astype(kind), np.ones(3, kind)
        g, normal, inverse = array.copy(), array.copy(), np.ones((2, 1), kind)
        parts = [part() for part in tt.layer_norm.backward(g, (normal, inverse), array, ones, ones)]
        answers.append([*(str(part.dtype) for part in parts), g, normal])
    return answers


# --- feed-forward ----------------------------------------------------------------------------------------------------


@exercise("feed-forward")
@given(lambda rng: {"dims": rng.integers(1, 20, size=8).tolist()})
@wants(lambda dims: [[["bias", [d], "float32", 0.0], ["weight", [d], "float32", float(d)]] for d in dims])
def test_a_fresh_norm_only_normalises(tt, dims):
    """LayerNorm has two Parameters of shape (dim,), both float32: weight, all 1, and bias, all 0.

    Parameter(np.ones(dim), dtype=np.float32).
    """
    layers = [tt.LayerNorm(dim) for dim in dims]
    return [
        sorted([name, list(p.shape), str(p.dtype), float(p.data.sum())] for name, p in layer.named_parameters())
        for layer in layers
    ]


@exercise("feed-forward")
@given(lambda rng: vectors(rng, (2, 3, 4)) | {"eps": float(rng.uniform(0.1, 2))})
@wants(lambda x, weight, bias, eps: [a_tensor(normalised(x, weight, bias, e)) for e in (eps, 1e-5)])
def test_the_norm_uses_its_own_numbers(tt, x, weight, bias, eps):
    """LayerNorm's forward is layer_norm with its own weight, bias and eps.

    layer_norm(x, self.weight, self.bias, eps=self.eps).
    """
    state = {"weight": weight, "bias": bias}
    return [filled(layer, state)(tt.Tensor(x)) for layer in (tt.LayerNorm(4, eps=eps), tt.LayerNorm(4))]


def a_small_network(rng):
    dim, hidden = (int(n) for n in rng.permutation([2, 3, 4, 5])[:2])
    state = linear_state(rng, "expand", dim, hidden) | linear_state(rng, "contract", hidden, dim)
    return {"x": rng.normal(size=(2, 3, dim)), "hidden": hidden, "state": state}


@exercise("feed-forward")
@given(a_small_network)
@wants(lambda x, hidden, state: a_tensor(thought_over(x, state)))
def test_wide_in_the_middle(tt, x, hidden, state):
    """FeedForward: expand to hidden_dim, GELU, contract to embed_dim. Every position by itself.

    self.contract(gelu(self.expand(x))). There is no bend after the second layer.
    """
    return filled(tt.FeedForward(x.shape[-1], hidden), state)(tt.Tensor(x))


@exercise("feed-forward")
@given(lambda rng: {"seeds": pairs_of_seeds(rng), "dim": int(rng.integers(3, 6))})
@wants(lambda seeds, dim: [[a == b, False] for a, b in seeds])
def test_networks_of_one_seed_are_equal(tt, seeds, dim):
    """The same seed makes the same network, and its two layers still begin with different numbers.

    One generator for both: rng = np.random.default_rng(seed), and seed=rng in each Linear.
    """
    answers = []
    for a, b in seeds:
        one, two = tt.FeedForward(dim, dim, seed=a), tt.FeedForward(dim, dim, seed=b)
        equal = np.array_equal(one.contract.weight.data, two.contract.weight.data)
        answers.append([equal, np.array_equal(one.expand.weight.data, one.contract.weight.data)])
    return answers


@exercise("feed-forward")
@stage("compatibility")
@given(lambda rng: {"sizes": rng.integers(2, 9, size=(8, 2)).tolist()})
@wants(lambda sizes: [[[h, d], [h], [d, h], [d], "float32"] for d, h in sizes])
def test_shapes_of_the_two_layers(tt, sizes):
    """expand is Linear(embed_dim, hidden_dim), contract is Linear(hidden_dim, embed_dim), both with bias, all float32.

    A Linear's weight has the shape (out, in).
    """
    answers = []
    for d, h in sizes:
        network = tt.FeedForward(d, h)
        parts = (network.expand.weight, network.expand.bias, network.contract.weight, network.contract.bias)
        answers.append([*(list(part.shape) for part in parts), str(network(tt.ones(2, d)).dtype)])
    return answers


# --- transformer-block -----------------------------------------------------------------------------------------------


def a_block(rng, heads=None):
    heads = heads or int(rng.integers(1, 4))
    dim, hidden = 3 * heads, int(rng.integers(3, 9))
    shape = (int(rng.integers(1, 4)), int(rng.integers(3, 6)), dim)
    return {"x": rng.normal(size=shape) * 2, "state": block_state(rng, dim, hidden), "heads": heads, "hidden": hidden}


def block_with(tt, state, heads, hidden, **settings):
    return filled(tt.TransformerBlock(3 * heads, heads, hidden, **settings), state)


@exercise("transformer-block")
@given(a_block)
@wants(lambda x, state, heads, hidden: a_tensor(block_of(x, state, heads)))
def test_each_branch_adds_to_the_stream(tt, x, state, heads, hidden):
    """x plus what attention finds in norm1(x); then that plus what feed_forward makes of its norm2.

    Two lines; the second reads the x of the first. Each norm stands before its part, inside the branch.
    """
    return block_with(tt, state, heads, hidden)(tt.Tensor(x))


@exercise("transformer-block")
@given(a_block)
@wants(lambda x, state, heads, hidden: a_tensor(block_of(x, state, heads, causal=True)))
def test_the_mask_goes_to_attention(tt, x, state, heads, hidden):
    """With a mask, attention sees only what it may. The block makes no mask of its own.

    self.attention(self.norm1(x), mask, cache).
    """
    return block_with(tt, state, heads, hidden)(tt.Tensor(x), tt.causal_mask(x.shape[1]))


@exercise("transformer-block")
@given(lambda rng: a_block(rng) | {"first": int(rng.integers(1, 3))})
@wants(lambda x, state, heads, hidden, first: [a_tensor(block_of(x, state, heads, causal=True)), x.shape[1]])
def test_a_block_in_two_pieces(tt, x, state, heads, hidden, first):
    """With a cache, a text in two pieces gives what it gives at once.

    The cache goes to the attention, beside the mask.
    """
    block, cache, mask = block_with(tt, state, heads, hidden), tt.KVCache(), tt.causal_mask(x.shape[1])
    one = block(tt.Tensor(x[:, :first]), mask[:first, :first], cache)
    two = block(tt.Tensor(x[:, first:]), mask[first:], cache)
    return tt.concatenate([one, two], axis=1), len(cache)


@exercise("transformer-block")
@given(lambda rng: a_block(rng) | {"learning": shuffled(rng, [True, False] * 4)})
@wants(lambda x, state, heads, hidden, learning: [x if on else block_of(x, state, heads) for on in learning])
def test_dropout_takes_from_the_branches_only(tt, x, state, heads, hidden, learning):
    """While learning, dropout takes from what is added, in both branches, and never from the stream. (Here p is so large that nothing is added.)

    x + self.dropout(…), twice; not self.dropout(x + …).
    """
    block = block_with(tt, state, heads, hidden, dropout=1 - 1e-9)
    return [block.train(on)(tt.Tensor(x)).data for on in learning]


@exercise("transformer-block")
@stage("compatibility")
@given(lambda rng: a_block(rng, heads=1) | {"g": rng.normal(size=(2, 3, 3))})
@wants(
    lambda x, state, heads, hidden, g: slopes(lambda x: block_of(x, state, 1), [np.resize(x, (2, 3, 3))], g)[0],
    rtol=1e-4,
    atol=1e-5,
)
def test_gradients_go_through_both_branches(tt, x, state, heads, hidden, g):
    """The gradient of the stream is what can be measured: straight through, plus that of both branches.

    Use the tensors' own +, so that the engine takes notes.
    """
    x = tt.Tensor(np.resize(x, (2, 3, 3)), requires_grad=True)
    block_with(tt, state, heads, hidden)(x).backward(g)
    return x.grad


# --- initialise ------------------------------------------------------------------------------------------------------


def sizes_of_a_gpt(rng):
    return {"layers": int(rng.integers(1, 6)), "vocab": int(rng.integers(40, 60)), "seed": int(rng.integers(1, 999))}


def beginnings(tt, layers, vocab, seed, **settings):
    """A GPT whose numbers were all 7 before initialise saw it."""
    model = tt.GPT(vocab, 32, layers, 4, 24, **settings)
    for parameter in model.parameters():
        parameter.data = np.full(parameter.shape, 7.0, dtype=np.float32)
    tt.initialise(model, layers, np.random.default_rng(seed))
    return model


def begins_loudly(answer, layers, vocab, seed):
    if not isinstance(answer, dict):
        return "mean and standard deviation of every parameter were expected"
    for name, value in sorted(answer.items()):
        mean, deviation, count = value
        if name.endswith("bias") or ".norm" in f".{name}":
            wanted, middle = 0.0, 0.0 if name.endswith("bias") else 7.0
        else:
            quiet = name.endswith(("out_proj.weight", "contract.weight"))
            wanted, middle = 0.02 / (np.sqrt(2 * layers) if quiet else 1), 0.0
        if abs(deviation - wanted) > 5 * wanted / np.sqrt(2 * count) + 1e-9:
            return (
                f"{name} should have the standard deviation {wanted:.4g}, with {layers} blocks; it has {deviation:.4g}"
            )
        if abs(mean - middle) > 5 * wanted / np.sqrt(count) + 1e-6:
            return f"{name} should have the mean {middle:g}; it has {mean:.4g}"
    return None


@exercise("initialise")
@given(sizes_of_a_gpt)
@judged(begins_loudly)
def test_quiet_beginnings(tt, layers, vocab, seed):
    """Matrices get the standard deviation 0.02, those that add to the stream 0.02 / √(2 L); biases 0; norms stay as they are.

    parameter.ndim == 2 tells a matrix; name.endswith(("out_proj.weight", "contract.weight")) those that add to the stream.
    """
    model = beginnings(tt, layers, vocab, seed)
    return {n: [float(p.data.mean()), float(p.data.std()), p.size] for n, p in model.named_parameters()}


@exercise("initialise")
@given(lambda rng: {"seeds": pairs_of_seeds(rng)})
@wants(lambda seeds: [[a == b, "float32", "float32"] for a, b in seeds])
def test_beginnings_of_one_generator(tt, seeds):
    """All numbers are drawn from the generator that is given, and are float32: the same generator, the same beginning.

    rng.normal(…), not np.random.normal(…); and .astype(np.float32).
    """
    answers = []
    for a, b in seeds:
        one, two = beginnings(tt, 1, 5, a), beginnings(tt, 1, 5, b)
        equal = all(np.array_equal(p.data, q.data) for p, q in zip(one.parameters(), two.parameters(), strict=True))
        kinds = {str(p.dtype) for p in one.parameters()}
        answers.append([equal, *sorted(kinds)[-1:], str(one.blocks[0].feed_forward.expand.bias.dtype)])
    return answers


def begins_alike(answer, seeds, vocab):
    if not isinstance(answer, list) or len(answer) != len(seeds):
        return "how far q_proj, k_proj and v_proj are alike was expected, for each seed"
    if any(not isinstance(alike, float) or not alike < 0.05 for alike in answer):
        return "two of q_proj, k_proj and v_proj begin with the same numbers"
    return None


@exercise("initialise")
@given(lambda rng: {"seeds": rng.integers(1, 999, size=8).tolist(), "vocab": int(rng.integers(5, 9))})
@judged(begins_alike)
def test_no_two_begin_alike(tt, seeds, vocab):
    """Every matrix is drawn anew: no two parts begin with the same numbers.

    One generator, made outside; do not make a new one from a fixed seed in the loop.
    """
    alike = []
    for seed in seeds:
        attention = beginnings(tt, 1, vocab, seed).blocks[0].attention
        q, k, v = (p.weight.data.ravel().astype(float) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
        alike.append(max(float(np.corrcoef(a, b)[0, 1] ** 2) for a, b in ((q, k), (k, v), (q, v))))
    return alike


# --- gpt -------------------------------------------------------------------------------------------------------------


def some_tokens(rng, gpt, low=3):
    sizes = gpt["sizes"]
    length = int(rng.integers(low, sizes["max_len"] + 1))
    return rng.integers(0, sizes["vocab_size"], size=(int(rng.integers(1, 3)), length))


def a_reader(rng, **settings):
    gpt = a_gpt(rng, **settings)
    return {"gpt": gpt, "tokens": some_tokens(rng, gpt)}


def heads_of(gpt):
    return gpt["sizes"]["num_heads"]


@exercise("gpt")
@given(a_reader)
@wants(lambda gpt, tokens: a_tensor(gpt_of(tokens, gpt["state"], heads_of(gpt))))
def test_tokens_become_logits(tt, gpt, tokens):
    """Tokens and positions, through all blocks in order with a causal mask, a last norm, the head: (B, T) becomes (B, T, vocab_size).

    Follow the drawing from below. The mask is causal_mask(held + length)[held:], and every block gets it.
    """
    return model_of(tt, gpt)(tt.Tensor(tokens))


@exercise("gpt")
@given(lambda rng: {"cases": [a_reader(rng, layers=2) | {"place": int(rng.integers(0, 3))} for _ in range(8)]})
@wants(lambda cases: [case["place"] for case in cases])
def test_nobody_sees_the_future(tt, cases):
    """If one token changes, the logits change from its own position on, and nowhere before.

    Position t may look at 0 … t. Without the mask, the first position knows the last one.
    """
    first = []
    for case in cases:
        model, tokens, other = model_of(tt, case["gpt"]), case["tokens"], case["tokens"].copy()
        other[:, case["place"]] = (other[:, case["place"]] + 1) % case["gpt"]["sizes"]["vocab_size"]
        moved = np.abs(model(tt.Tensor(tokens)).data - model(tt.Tensor(other)).data).max(axis=(0, 2)) > 1e-9
        first.append(int(moved.argmax()))
    return first


@exercise("gpt")
@given(lambda rng: a_reader(rng, layers=2) | {"cuts": rng.integers(1, 3, size=2).tolist()})
@wants(lambda gpt, tokens, cuts: [a_tensor(gpt_of(tokens, gpt["state"], heads_of(gpt))), [tokens.shape[1]] * 2])
def test_in_pieces_as_at_once(tt, gpt, tokens, cuts):
    """With caches, a text that is read in pieces gives the logits that it gives at once.

    The positions of a piece start at `held`; its mask is the last rows; and each block has the cache of its own number.
    """
    model, caches, outputs, start = model_of(tt, gpt), [tt.KVCache(), tt.KVCache()], [], 0
    while start < tokens.shape[1]:
        size = cuts[len(outputs) % 2]
        outputs.append(model(tt.Tensor(tokens[:, start : start + size]), caches))
        start += size
    return tt.concatenate(outputs, axis=1), [len(cache) for cache in caches]


@exercise("gpt")
@given(lambda rng: a_reader(rng) | {"learning": shuffled(rng, [True, False] * 4)})
@wants(
    lambda gpt, tokens, learning: [
        np.broadcast_to(
            gpt["state"]["head.weight"] @ gpt["state"]["norm.bias"], (*tokens.shape, gpt["sizes"]["vocab_size"])
        )
        if on
        else gpt_of(tokens, gpt["state"], heads_of(gpt))
        for on in learning
    ]
)
def test_dropout_after_the_embeddings(tt, gpt, tokens, learning):
    """While learning, dropout takes from the sum of token and position. (Here p is so large that nothing is left in the stream.)

    self.dropout(self.positions(…)), before the first block.
    """
    model = model_of(tt, gpt, dropout=1 - 1e-9)
    return [model.train(on)(tt.Tensor(tokens)).data for on in learning]


LENGTHS = [(0, 0), (-1, 0), (1, 0), (0, 1), (-2, 1), (-2, 2), (-2, 3), (3, 0)]


@exercise("gpt")
@stage("compatibility")
@given(lambda rng: {"gpt": a_gpt(rng), "cases": shuffled(rng, [list(case) for case in LENGTHS])})
@wants(lambda gpt, cases: [told(f"{held} held and {n} more than max_len", n + held > 0) for n, held in cases])
def test_longer_than_max_len(tt, gpt, cases):
    """More than max_len positions in all, held ones included, raise ValueError; max_len positions are fine.

    The question is given; if it fails, held is not what the caches hold.
    """
    model, max_len, answers = model_of(tt, gpt), gpt["sizes"]["max_len"], []
    for n, held in cases:
        caches = [tt.KVCache() for _ in range(model.num_layers)]
        if held:
            model(tt.Tensor(np.zeros((1, held), dtype=int)), caches)
        tokens = tt.Tensor(np.zeros((1, max_len + n), dtype=int))
        refused = raises(ValueError, lambda tokens=tokens, caches=caches: model(tokens, caches))
        answers.append(told(f"{held} held and {n} more than max_len", refused))
    return answers


LEARNED = ("tokens.weight", "positions.weight", "blocks.0.feed_forward.contract.bias", "norm.weight", "head.weight")


def loss_of(state, tokens, targets):
    logits = gpt_of(tokens, state, 1)
    picked = np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return np.mean(np.log(np.exp(logits).sum(axis=-1)) - picked)


@exercise("gpt")
@stage("compatibility")
@given(lambda rng: a_reader(rng, layers=1, heads=1))
@wants(
    lambda gpt, tokens: slopes(
        lambda *arrays: loss_of(
            gpt["state"] | dict(zip(LEARNED, arrays, strict=True)), tokens, np.roll(tokens, 1, axis=1)
        ),
        [gpt["state"][name] for name in LEARNED],
        1.0,
    ),
    rtol=1e-3,
    atol=1e-5,
)
def test_gradients_reach_every_part(tt, gpt, tokens):
    """From the loss, gradients go back through the head, the last norm and the blocks to the tables of tokens and positions.

    If one is None, its part was left out on the way.
    """
    model = model_of(tt, gpt)
    tt.CrossEntropyLoss()(model(tt.Tensor(tokens)), tt.Tensor(np.roll(tokens, 1, axis=1))).backward()
    return [dict(model.named_parameters())[name].grad for name in LEARNED]


# --- next-token ------------------------------------------------------------------------------------------------------


@exercise("next-token")
@given(
    lambda rng: {
        "rows": rng.normal(size=(12, int(rng.integers(4, 9)))) * 2,
        "ways": shuffled(rng, ["temperature 0", "top_k 1"] * 6),
    }
)
@wants(lambda rows, ways: [int(row.argmax()) for row in rows])
def test_the_greedy_choice(tt, rows, ways):
    """With temperature 0, or top_k 1, it is always the largest logit.

    Ask for these two cases before you divide by the temperature.
    """
    rng = np.random.default_rng()
    settings = {"temperature 0": (0, None), "top_k 1": (5.0, 1)}
    with np.errstate(**STRICT):
        return [tt.next_token(row, *settings[way], rng) for row, way in zip(rows, ways, strict=True)]


def a_draw(rng, temperature=None, top_k=None):
    vocab = int(rng.integers(5, 8))
    temperature = temperature or float(rng.uniform(0.4, 0.7) if rng.random() < 0.5 else rng.uniform(1.5, 2.5))
    return {"logits": rng.permutation(np.linspace(-1.5, 1.5, vocab)), "temperature": temperature, "top_k": top_k}


def chances(logits, temperature, top_k):
    scaled = np.float64(logits) / temperature
    if top_k is not None and top_k < len(scaled):
        scaled = np.where(scaled >= np.sort(scaled)[-top_k], scaled, -np.inf)
    shares = np.exp(scaled - scaled.max())
    return shares / shares.sum()


def unlikely(counts, cases):
    """Every share must lie within five standard deviations of its chance."""
    if not isinstance(counts, list) or len(counts) != len(cases):
        return "how often each token was drawn was expected, for each case"
    for count, case in zip(counts, cases, strict=True):
        chance, total = chances(**case), sum(count)
        for token, (p, n) in enumerate(zip(chance, count, strict=True)):
            if abs(n - total * p) > 5 * np.sqrt(total * p * (1 - p)) + 0.5:
                dials = f"temperature {case['temperature']:.2f} and top_k {case['top_k']}"
                logits = ", ".join(f"{x:.2f}" for x in case["logits"])
                return f"logits {logits}, {dials}: token {token} should come in {p:.1%} of all draws, and came in {n / total:.1%}"
    return None


def drawn(next_token, case, rng, times=1500):
    """How often each token was drawn."""
    counts = [0] * len(case["logits"])
    for _ in range(times):
        counts[next_token(case["logits"], case["temperature"], case["top_k"], rng)] += 1
    return counts


@exercise("next-token")
@given(lambda rng: {"cases": [a_draw(rng, temperature=t) for t in shuffled(rng, [0.5, 1.0, 2.0])]})
@judged(unlikely)
def test_temperature_shapes_the_draw(tt, cases):
    """Tokens are drawn with the probabilities softmax(logits / temperature).

    Divide by the temperature, not multiply: a low one makes the best choice more probable.
    """
    return [drawn(tt.next_token, case, np.random.default_rng()) for case in cases]


@exercise("next-token")
@given(lambda rng: {"cases": [a_draw(rng, top_k=k) for k in shuffled(rng, [2, 3, 99])]})
@judged(unlikely)
def test_only_the_top_k_are_drawn(tt, cases):
    """Only the k largest logits are in the draw, and their probabilities add up to 1; k above the vocabulary means all.

    np.argsort(-logits)[:top_k] are the places of the largest; the softmax is of these alone.
    """
    return [drawn(tt.next_token, case, np.random.default_rng()) for case in cases]


ASKED = [(-0.5, None), (-1.0, 3), (1.0, 0), (0.0, 0), (1.0, -2), (1.0, None), (0.0, None), (1.0, 2)]


@exercise("next-token")
@given(lambda rng: {"asked": shuffled(rng, [list(pair) for pair in ASKED]), "logits": rng.normal(size=5)})
@wants(
    lambda asked, logits: [told(f"temperature {t}, top_k {k}", t < 0 or (k is not None and k < 1)) for t, k in asked]
)
def test_dials_that_make_no_sense(tt, asked, logits):
    """A temperature below 0, or a top_k below 1, raises ValueError.

    The question is given; leave it where it is.
    """
    rng = np.random.default_rng()
    return [
        told(f"temperature {t}, top_k {k}", raises(ValueError, lambda t=t, k=k: tt.next_token(logits, t, k, rng)))
        for t, k in asked
    ]


@exercise("next-token")
@stage("compatibility")
@given(lambda rng: {"seeds": pairs_of_seeds(rng), "large": float(rng.uniform(2e3, 9e3)), "base": rng.normal(size=40)})
@wants(lambda seeds, large, base: [[a == b, "int", int(base.argmax())] for a, b in seeds])
def test_draws_come_from_the_generator(tt, seeds, large, base):
    """The same generator, the same draws; the token is a Python int; large float32 logits do no harm.

    Draw from rng. Subtract the largest before np.exp, in float64, and put int(…) around the result.
    """
    answers = []
    for a, b in seeds:
        one, two = np.random.default_rng(a), np.random.default_rng(b)
        draws = [[tt.next_token(np.zeros(40), 1.0, None, rng) for _ in range(12)] for rng in (one, two)]
        with np.errstate(**STRICT):
            sure = tt.next_token(np.float32(base.argsort().argsort() * large), 0.5, None, one)
        answers.append([draws[0] == draws[1], type(draws[0][0]).__name__, sure])
    return answers


# --- generate --------------------------------------------------------------------------------------------------------


def a_writer(rng, **settings):
    gpt = a_gpt(rng, **settings)
    prompt = rng.integers(0, gpt["sizes"]["vocab_size"], size=int(rng.integers(1, 4))).tolist()
    return {"gpt": gpt, "prompt": prompt}


def written(gpt, prompt, count):
    """Greedily, and everything anew for each token."""
    tokens = list(prompt)
    for _ in range(count):
        logits = gpt_of([tokens[-gpt["sizes"]["max_len"] :]], gpt["state"], heads_of(gpt))
        tokens.append(int(logits[0, -1].argmax()))
    return tokens


@exercise("generate")
@given(lambda rng: {"writers": [a_writer(rng) for _ in range(3)], "count": int(rng.integers(2, 4))})
@wants(lambda writers, count: [written(**writer, count=count) for writer in writers])
def test_it_writes_on(tt, writers, count):
    """generate returns the prompt and max_new_tokens more, each chosen by what the model says after all before it.

    Read the whole prompt first, then only the newest token, each time into the same caches; the last position's logits choose.
    """
    return [model_of(tt, w["gpt"]).generate(w["prompt"], count, temperature=0) for w in writers]


class Reading:
    """In place of the table of tokens: notes what is read in each turn."""

    def __init__(self, table):
        self.table, self.read = table, []

    def __call__(self, tokens):
        self.read.append(tokens.data[0].tolist())
        return self.table(tokens)


def window_by_window(gpt, prompt, more):
    """The text, and what is read in each of the last turns."""
    max_len = gpt["sizes"]["max_len"]
    text = written(gpt, prompt, max_len + more)
    return [text, [text[end - max_len : end] for end in range(len(text) - more, len(text))]]


@exercise("generate")
@given(lambda rng: {"writers": [a_writer(rng) for _ in range(3)], "more": rng.integers(2, 5, size=3).tolist()})
@wants(lambda writers, more: [window_by_window(**w, more=n) for w, n in zip(writers, more, strict=True)])
def test_it_writes_beyond_the_window(tt, writers, more):
    """Past max_len tokens the model reads the last max_len of them in each turn, at positions that begin at 0 again.

    When the caches are full: fresh caches, and tokens[-model.max_len :] is read.
    """
    answers = []
    for writer, n in zip(writers, more, strict=True):
        model = model_of(tt, writer["gpt"])
        model.tokens = Reading(model.tokens)
        text = model.generate(writer["prompt"], model.max_len + n, temperature=0)
        answers.append([text, model.tokens.read[-n:]])
    return answers


def long_prompts(rng):
    gpt = a_gpt(rng)
    lengths = shuffled(rng, [gpt["sizes"]["max_len"] + n for n in (-1, 0, 1, 4)])
    return {"gpt": gpt, "prompts": [rng.integers(0, gpt["sizes"]["vocab_size"], size=n).tolist() for n in lengths]}


@exercise("generate")
@given(long_prompts)
@wants(lambda gpt, prompts: [written(gpt, prompt, 3) for prompt in prompts])
def test_prompts_longer_than_the_window(tt, gpt, prompts):
    """A prompt of max_len tokens or more is no trouble: all of it is returned, and its last max_len tokens are read.

    tokens[-model.max_len :] in the first turn, too.
    """
    model = model_of(tt, gpt)
    return [model.generate(prompt, 3, temperature=0) for prompt in prompts]


def told_texts(seeds, alike, several):
    texts = "the same text" if alike else "different texts"
    return f"seeds {seeds[0]} and {seeds[1]}: {texts} of {'several tokens' if several else 'one token only'}"


@exercise("generate")
@given(lambda rng: a_writer(rng) | {"seeds": pairs_of_seeds(rng)})
@wants(lambda gpt, prompt, seeds: [told_texts(pair, pair[0] == pair[1], True) for pair in seeds])
def test_the_same_seed_the_same_text(tt, gpt, prompt, seeds):
    """Where all tokens are equally probable, the same seed writes the same text, another seed another one, and no text is always one token.

    One generator for the whole text, made from seed before the loop: a new one for each token would draw the same number again and again.
    """
    state = gpt["state"] | {"head.weight": gpt["state"]["head.weight"] * 0}  # all tokens are equally probable
    model = model_of(tt, gpt | {"state": state})
    texts = [[model.generate(prompt, 16, seed=seed) for seed in pair] for pair in seeds]
    new = [[text[len(prompt) :] for text in pair] for pair in texts]
    return [told_texts(pair, a == b, len({*a}) > 1 and len({*b}) > 1) for pair, (a, b) in zip(seeds, new, strict=True)]


@exercise("generate")
@given(lambda rng: {"writers": [a_writer(rng) for _ in range(8)], "dials": shuffled(rng, [[0.0, 3], [2.0, 1]] * 4)})
@wants(lambda writers, dials: [written(**writer, count=2) for writer in writers])
def test_both_dials_reach_the_choice(tt, writers, dials):
    """temperature and top_k are handed to next_token.

    next_token(logits.data[0, -1], temperature, top_k, rng).
    """
    return [
        model_of(tt, w["gpt"]).generate(w["prompt"], 2, temperature=t, top_k=k)
        for w, (t, k) in zip(writers, dials, strict=True)
    ]


@exercise("generate")
@given(lambda rng: {"writers": [a_writer(rng) for _ in range(8)]})
@wants(lambda writers: [[len(w["prompt"]), 1, 1] for w in writers])
def test_nothing_is_read_twice(tt, writers):
    """In the first turn the prompt is read, and in each further turn one token: what is in the caches is not read again.

    piece = tokens[-1:], unless there are no caches yet or they are full.
    """
    reads = []
    for writer in writers:
        model = model_of(tt, writer["gpt"])
        model.tokens = Reading(model.tokens)
        model.generate(writer["prompt"], 3, temperature=0)
        reads.append([len(read) for read in model.tokens.read])
    return reads


@exercise("generate")
@given(
    lambda rng: (
        a_writer(rng, layers=1) | {"modes": shuffled(rng, [[a, b] for a in (True, False) for b in (True, False)] * 2)}
    )
)
@wants(lambda gpt, prompt, modes: [[written(gpt, prompt, 3), mode, True, []] for mode in modes])
def test_who_writes_does_not_learn(tt, gpt, prompt, modes):
    """While it writes there is no dropout and no gradient; afterwards every part has the mode it had, and notes are taken again.

    with evaluating(model): around the loop.
    """
    answers = []
    for whole, part in modes:
        model = model_of(tt, gpt, dropout=0.9)
        model.train(whole)
        model.blocks[0].dropout.training = part
        text = model.generate(prompt, 3, temperature=0)
        mode = [model.training, model.blocks[0].dropout.training]
        noted = [name for name, p in model.named_parameters() if p.grad is not None]
        answers.append([text, mode, model(tt.Tensor(np.array([prompt]))).requires_grad, noted])
    return answers


@exercise("generate")
@stage("compatibility")
@given(lambda rng: {"writers": [a_writer(rng) for _ in range(8)], "counts": shuffled(rng, [0, 0, 1, 2, 3, 4, 1, 2])})
@wants(
    lambda writers, counts: [
        [w["prompt"], len(w["prompt"]) + n, written(**w, count=n)[len(w["prompt"]) :], "int"]
        for w, n in zip(writers, counts, strict=True)
    ]
)
def test_every_token_is_told(tt, writers, counts):
    """on_token gets each new token as soon as it is there; the prompt itself is not changed; all tokens are Python ints.

    if on_token is not None: on_token(tokens[-1]). tokens = list(prompt) has made a copy.
    """
    answers = []
    for writer, count in zip(writers, counts, strict=True):
        heard, prompt = [], list(writer["prompt"])
        text = model_of(tt, writer["gpt"]).generate(prompt, count, temperature=0, on_token=heard.append)
        answers.append([prompt, len(text), heard, "/".join(sorted({type(token).__name__ for token in text}))])
    return answers


@exercise("generate")
@stage("compatibility")
@given(lambda rng: a_writer(rng) | {"lengths": shuffled(rng, [0, 0, 0, 1, 2, 3, 0, 1])})
@wants(lambda gpt, prompt, lengths: [told(f"a prompt of {n} tokens", n == 0) for n in lengths])
def test_an_empty_prompt_is_refused(tt, gpt, prompt, lengths):
    """Without a first token there is nothing to go on from: ValueError.

    The question is given; leave it before the loop.
    """
    model = model_of(tt, gpt)
    return [
        told(f"a prompt of {n} tokens", raises(ValueError, lambda n=n: model.generate([1] * n, 2))) for n in lengths
    ]


@exercise("generate")
@stage("compatibility")
@given(
    lambda rng: {"writers": [a_writer(rng, max_len=30) for _ in range(4)], "other": rng.integers(0, 5, size=3).tolist()}
)
@wants(
    lambda writers, other: [[written(w["gpt"], text, 6) for text in (w["prompt"], other, w["prompt"])] for w in writers]
)
def test_nothing_is_left_of_the_text_before(tt, writers, other):
    """Each call begins anew: what was written before has no influence.

    The caches are made in the call, and nowhere kept.
    """
    texts = []
    for writer in writers:
        model = model_of(tt, writer["gpt"])
        texts.append([model.generate(text, 6, temperature=0) for text in (writer["prompt"], other, writer["prompt"])])
    return texts


# --- the module as a whole -------------------------------------------------------------------------------------------


@stage("import")
@given(a_reader)
@wants(lambda gpt, tokens: a_tensor(gpt_of(tokens, gpt["state"], heads_of(gpt))))
def test_module_imports_alone(tt, gpt, tokens):
    """`import tinytorch.transformers` works by itself, and beside the modules before it.

    If the import fails, run all cells from the top once and look for the first error.
    """
    transformers, tensor = (importlib.import_module(f"tinytorch.{name}") for name in ("transformers", "tensor"))
    return filled(transformers.GPT(**gpt["sizes"]), gpt["state"])(tensor.Tensor(tokens))


@stage("import")
@given(
    lambda rng: {
        "names": shuffled(
            rng, ["LayerNorm", "FeedForward", "TransformerBlock", "GPT", "KVCache", "Tensor", "ReLU", "Trainer"]
        )
    }
)
@wants(lambda names: [name in ("LayerNorm", "FeedForward", "TransformerBlock", "GPT") for name in names])
def test_all_of_them_are_modules(tt, names):
    """LayerNorm, FeedForward, TransformerBlock and GPT are Modules.

    If that differs, a class line was changed.
    """
    return [issubclass(getattr(tt, name), tt.Module) for name in names]


@stage("compatibility")
@given(lambda rng: {"sizes": [a_gpt(rng)["sizes"] for _ in range(8)], "ties": shuffled(rng, [True, False] * 4)})
@wants(
    lambda sizes, ties: [
        sum(
            v.size
            for v in gpt_state(
                np.random.default_rng(0), s["vocab_size"], s["embed_dim"], s["num_layers"], s["max_len"]
            ).values()
        )
        - tied * s["vocab_size"] * s["embed_dim"]
        for s, tied in zip(sizes, ties, strict=True)
    ]
)
def test_one_table_for_two_uses(tt, sizes, ties):
    """With tie_weights the head's weight is the table of tokens, one parameter; without, they are two.

    The constructor is given. Shared parameters are listed once (module 04).
    """
    models = [tt.GPT(**each, tie_weights=tied) for each, tied in zip(sizes, ties, strict=True)]
    return [sum(parameter.size for parameter in model.parameters()) for model in models]


def knows_something(answer, vocabs, ties):
    if not isinstance(answer, list) or len(answer) != len(vocabs):
        return "a loss for each model was expected"
    for loss, vocab, tied in zip(answer, vocabs, ties, strict=True):
        if not abs(loss - np.log(vocab)) < 0.15:
            kind = "tied" if tied else "fresh"
            return f"a {kind} GPT with {vocab} tokens should have a loss of about ln({vocab}) = {np.log(vocab):.3f}; it has {loss:.3f}"
    return None


@stage("integration")
@given(lambda rng: {"vocabs": rng.integers(20, 200, size=8).tolist(), "ties": shuffled(rng, [True, False] * 4)})
@judged(knows_something)
def test_it_begins_without_opinions(tt, vocabs, ties):
    """A fresh GPT finds every token equally probable: its loss is ln(vocab_size).

    If it is more, it begins too loudly: see initialise.
    """
    losses = []
    for vocab, tied in zip(vocabs, ties, strict=True):
        model, rng = tt.GPT(vocab, 32, 2, 4, 16, tie_weights=tied), np.random.default_rng()
        tokens = tt.Tensor(rng.integers(0, vocab, size=(4, 16)))
        losses.append(tt.CrossEntropyLoss()(model(tokens), tt.Tensor(rng.integers(0, vocab, size=(4, 16)))).item())
    return losses


@stage("integration")
@given(
    lambda rng: {
        "order": rng.permutation(7).tolist(),
        "seed": int(rng.integers(1, 99)),
        "start": int(rng.integers(0, 7)),
    }
)
@wants(lambda order, seed, start: [order[(order.index(start) + n) % 7] for n in range(20)])
def test_it_learns_a_song_by_heart(tt, order, seed, start):
    """Trained on a song of seven notes that goes round and round, it sings it, far beyond its window.

    If the exercises pass and this does not, look at a loss curve: does it fall at all?
    """
    model, rng = tt.GPT(7, 16, 1, 2, 8, seed=seed), np.random.default_rng(seed)
    optimizer, loss_fn = tt.AdamW(model.parameters(), lr=0.01), tt.CrossEntropyLoss()
    for _ in range(100):
        places = rng.integers(0, 7, size=(16, 1)) + np.arange(9)
        notes = np.array(order)[places % 7]
        optimizer.zero_grad()
        loss_fn(model(tt.Tensor(notes[:, :-1])), tt.Tensor(notes[:, 1:])).backward()
        optimizer.step()
    return model.generate([start], 19, temperature=0)


def a_large_block(rng):
    return {"x": rng.normal(size=(8, 48, 64)).astype(np.float32), "weights": [rng.normal(size=(64, 64)).astype(np.float32) for _ in range(4)]
            + [rng.normal(size=(256, 64)).astype(np.float32), rng.normal(size=(64, 256)).astype(np.float32)]}  # fmt: skip


def numpy_block(x, weights, steps):
    """The products of a block, with a softmax and a bend, there and (twice as much) back."""
    rows, heads = x.reshape(-1, 64), x.reshape(8, 48, 8, 8).transpose(0, 2, 1, 3)
    for _ in range(3 * steps):
        for weight in weights[:4]:
            rows @ weight
        scores = heads @ heads.swapaxes(-1, -2)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares @ heads
        np.tanh(rows @ weights[4].T) @ weights[5].T


@exercise("transformer-block")
@stage("performance")
@given(lambda rng: a_large_block(rng) | {"steps": int(rng.integers(3, 5))})
@wants(lambda x, weights, steps: np.full(64, float(steps * 8 * 48)), rtol=1e-3)
@at_most(10.0, times_of=numpy_block)
def test_a_block_is_a_few_products(tt, x, weights, steps):
    """There and back through a block takes a few times as long as its products.

    Each part is called once. Work on whole batches, and let nothing become float64.
    """
    block, x, mask = tt.TransformerBlock(64, 8), tt.Tensor(x, requires_grad=True), tt.causal_mask(48)
    for _ in range(steps):
        block(x, mask).sum().backward()
    return block.feed_forward.contract.bias.grad


def leaves_nothing(answer, steps):
    if not isinstance(answer, list) or len(answer) != 2 or type(answer[0]) is not int:
        return "the number of bytes kept, and a number of tokens, were expected"
    if answer[1] != steps + 1:
        return f"{steps} new tokens were asked for; the text has {answer[1]}"
    return None if answer[0] < 200_000 else f"{steps} steps have left {answer[0]:,} bytes behind"


@stage("performance")
@given(lambda rng: {"steps": int(rng.integers(90, 110))})
@judged(leaves_nothing)
def test_a_hundred_steps_leave_nothing_behind(tt, steps):
    """After a hundred training steps and a hundred tokens no more memory is in use than before.

    Nothing may hold on to caches, logits or losses.
    """
    model = tt.GPT(11, 16, 1, 2, 32)
    optimizer, loss_fn, tokens = (
        tt.AdamW(model.parameters()),
        tt.CrossEntropyLoss(),
        tt.Tensor(np.arange(22).reshape(2, 11) % 11),
    )

    def step():
        optimizer.zero_grad()
        loss_fn(model(tokens), tokens).backward()
        optimizer.step()

    step()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    often(step, steps)
    written_tokens = len(model.generate([1], steps))
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.enable()
    return kept, written_tokens

# %% [markdown]
# # 07 · Autograd
#
# **Working out gradients by hand ends at the second layer. The machine should do it.**

# %%
# %load_ext tinytorch_core

# %% tags=["given:autograd-imports"]
#| export
"""Automatic differentiation: an engine that takes notes while tensors are computed, and walks back along them."""

import contextlib
import itertools
import math

import numpy as np

from tinytorch.activations import gelu, log_softmax, relu, sigmoid, softmax, tanh
from tinytorch.layers import linear
from tinytorch.losses import binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, squared_error
from tinytorch.tensor import (
    Engine,
    Tensor,
    add,
    concatenate,
    divide,
    exp,
    index,
    log,
    matmul,
    multiply,
    negate,
    permute,
    power,
    reduce_max,
    reduce_mean,
    reduce_sum,
    reshape,
    sqrt,
    stack,
    subtract,
    transpose,
)

# %% tags=["given:autograd-node"]
#| export
class Node:
    """One page of notes: how a tensor came to be. It hangs on that tensor, as tensor.node."""

    __slots__ = ("arrays", "kept", "number", "op", "params", "wanted")
    numbers = itertools.count()

    def __init__(self, op, wanted, arrays, params, kept):
        self.number = next(Node.numbers)  # later pages have larger numbers
        self.op = op  # the operation
        self.wanted = wanted  # pairs (place, tensor): the inputs that want a gradient
        self.arrays, self.params = arrays, params  # what the forward was called with
        self.kept = kept  # what the rule will need: see below

    def forget(self):
        """Let go of everything, so that its memory is free. A page can be used once."""
        self.wanted = self.arrays = self.kept = None

    used = property(lambda self: self.arrays is None)

# %% tags=["exercise:autograd-record"]
#| export
class Autograd(Engine):
    """The engine that remembers. `recording` is False while nobody wants gradients: see no_grad."""

    recording = True

    def record(self, op, inputs, arrays, params, kept, output):
        """Operation `op` has just made the tensor `output`."""
        ### BEGIN SOLUTION
        if self.recording:
            wanted = [(place, x) for place, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
            if wanted and output.data.dtype.kind == "f":
                output.requires_grad = True
                output.node = Node(op, wanted, arrays, params, output.data if kept is None else kept)
        ### END SOLUTION

    def backward(self, tensor, gradient=None):
        backward(tensor, gradient)


@contextlib.contextmanager
def no_grad():
    """with no_grad(): nothing in here is recorded."""
    ### BEGIN SOLUTION
    before, engine.recording = engine.recording, False
    try:
        yield
    finally:
        engine.recording = before
    ### END SOLUTION


engine = Tensor.engine = Autograd()

# %% tags=["given:autograd-rule"]
#| export
def rule(op):
    """@rule(multiply), written above a function, makes this function the way back of `multiply`: multiply.backward.

    It is called as backward(gradient, kept, *arrays, **params):
      gradient   of the output, an array of the output's shape
      kept       what the forward kept; if it kept nothing, the output's array
      arrays     the inputs, as the forward got them: arrays, numbers, None
      params     the settings, by name
    and returns
      with one input, that input's gradient (an array);
      with several, a tuple of functions, one for each input in order, each without arguments. A function is called only
      if its input wants a gradient, so the work for the others is never done.
    A gradient has the shape of its input, or a shape to which that was broadcast: the engine sums, and puts the dtype right.
    Nothing that comes in may be changed.
    """

    def attach(function):
        op.backward = function
        return function

    return attach


@rule(add)
def add_backward(gradient, kept, a, b):
    return lambda: gradient, lambda: gradient

# %% tags=["exercise:autograd-arithmetic"]
#| export
@rule(subtract)
def subtract_backward(gradient, kept, a, b):
    """Of a − b."""
    ### BEGIN SOLUTION
    return lambda: gradient, lambda: -gradient
    ### END SOLUTION


@rule(multiply)
def multiply_backward(gradient, kept, a, b):
    """Of a · b."""
    ### BEGIN SOLUTION
    return lambda: gradient * b, lambda: gradient * a
    ### END SOLUTION


@rule(divide)
def divide_backward(gradient, kept, a, b):
    """Of a / b."""
    ### BEGIN SOLUTION
    return lambda: gradient / b, lambda: -gradient * a / (b * b)
    ### END SOLUTION


@rule(exp)
def exp_backward(gradient, kept, x):
    """Of eˣ. One input: return its gradient itself."""
    ### BEGIN SOLUTION
    return gradient * kept
    ### END SOLUTION


@rule(log)
def log_backward(gradient, kept, x):
    """Of log x."""
    ### BEGIN SOLUTION
    return gradient / x
    ### END SOLUTION

# %% tags=["given:autograd-arithmetic"]
#| export
@rule(negate)
def negate_backward(gradient, kept, a):
    return -gradient


@rule(sqrt)
def sqrt_backward(gradient, kept, x):
    return gradient / (2 * kept)


@rule(power)
def power_backward(gradient, kept, a, b):
    # (b != 0) and (a == 0) are 1 or 0: they keep a⁰ and 0ᵇ, whose slopes are 0, from dividing by zero
    return (
        lambda: gradient * b * a ** (b - (b != 0)),
        lambda: gradient * kept * np.log(a + (a == 0)),
    )

# %% tags=["exercise:autograd-unbroadcast"]
#| export
def unbroadcast(gradient, shape):
    """Sum `gradient` (an array) over the axes that were stretched when an array of shape `shape` was broadcast."""
    ### BEGIN SOLUTION
    extra = gradient.ndim - len(shape)
    stretched = [axis for axis in range(gradient.ndim) if axis < extra or shape[axis - extra] == 1]
    return gradient.sum(axis=tuple(stretched)).reshape(shape)
    ### END SOLUTION

# %% tags=["given:autograd-ask"]
#| export
def ask(node, gradient):
    """Ask the node's operation for its way back: a list of pairs (tensor, gradient), for every input that wants one."""
    if node.op.backward is None:
        raise RuntimeError(f"{node.op.__name__} has no backward rule yet; write one with @rule({node.op.__name__})")
    answer = node.op.backward(gradient, node.kept, *node.arrays, **node.params)
    pairs = []
    for place, x in node.wanted:
        part = np.asarray(answer[place]() if type(answer) is tuple else answer, dtype=x.data.dtype)
        pairs.append((x, part if part.shape == x.data.shape else unbroadcast(part, x.data.shape)))
    return pairs

# %% tags=["exercise:autograd-order"]
#| export
def history(tensor):
    """Every node that `tensor` was made by, directly or through others, each once, the newest first."""
    ### BEGIN SOLUTION
    found, to_visit = {}, [tensor.node]
    while to_visit:
        node = to_visit.pop()
        if node is None or node.number in found:
            continue
        if node.used:
            raise RuntimeError("a backward pass went through this already, and its notes are gone; compute the tensor again")
        found[node.number] = node
        to_visit += [x.node for _, x in node.wanted]
    return [found[number] for number in sorted(found, reverse=True)]
    ### END SOLUTION

# %% tags=["given:autograd-start"]
#| export
def first_gradient(tensor, gradient):
    """What a backward pass begins with: a fresh array of the tensor's shape and dtype."""
    if not tensor.requires_grad:
        raise RuntimeError("no gradient can come from here: this tensor was not made from any that has requires_grad=True")
    if gradient is None and tensor.size != 1:
        raise ValueError(f"backward starts from one number, such as a loss; this tensor has shape {tensor.shape}, so give it a gradient")
    gradient = np.array(1 if gradient is None else gradient, dtype=tensor.dtype)
    if gradient.shape != tensor.shape and gradient.size != 1:
        raise ValueError(f"a tensor of shape {tensor.shape} can't have a gradient of shape {gradient.shape}")
    return gradient.reshape(tensor.shape)

# %% tags=["exercise:autograd-backward"]
#| export
def add_gradient(tensor, gradient, arrived):
    """A gradient has arrived at `tensor`: add it to what is there already."""
    ### BEGIN SOLUTION
    if tensor.node is None:
        tensor.grad = gradient if tensor.grad is None else tensor.grad + gradient
    else:
        number = tensor.node.number
        arrived[number] = arrived[number] + gradient if number in arrived else gradient
    ### END SOLUTION


def backward(tensor, gradient=None):
    """Give every leaf that `tensor` was made of its gradient."""
    gradient = first_gradient(tensor, gradient)
    ### BEGIN SOLUTION
    nodes, arrived = history(tensor), {}
    add_gradient(tensor, gradient, arrived)
    for node in nodes:
        for x, part in ask(node, arrived.pop(node.number)):
            add_gradient(x, part, arrived)
        node.forget()
    ### END SOLUTION

# %% tags=["exercise:autograd-gradcheck"]
#| export
def gradcheck(function, inputs, eps=1e-6, atol=1e-5, rtol=1e-3):
    """Compare backward's gradients with measured slopes."""
    arrays = [np.array(x.data if isinstance(x, Tensor) else x) for x in inputs]
    arrays = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    tensors = [Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    output = function(*tensors)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, output.shape)
    if output.requires_grad:
        output.backward(weights)

    def value():
        return float((function(*[Tensor(a) for a in arrays]).data * weights).sum())

    ### BEGIN SOLUTION
    for place, (tensor, array) in enumerate(zip(tensors, arrays)):
        if not tensor.requires_grad:
            continue
        grad = np.zeros_like(array) if tensor.grad is None else tensor.grad
        slope = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            x = array[i]
            array[i] = x + eps
            up = value()
            array[i] = x - eps
            slope[i] = (up - value()) / (2 * eps)
            array[i] = x
        gap = np.abs(grad - slope)
        if not np.all(gap <= atol + rtol * np.abs(slope)):
            raise AssertionError(f"input {place}: backward and the measured slope differ by up to {gap.max():.3g}")
    return True
    ### END SOLUTION

# %% tags=["exercise:autograd-reductions"]
#| export
def lost_axes_back(array, axis, keepdims):
    """`array`, the result of a reduction over `axis`, with the lost axes back, at size 1."""
    return array if axis is None or keepdims else np.expand_dims(array, axis)


@rule(reduce_sum)
def reduce_sum_backward(gradient, kept, x, axis=None, keepdims=False):
    """Every number in a sum gets the sum's gradient."""
    ### BEGIN SOLUTION
    return np.broadcast_to(lost_axes_back(gradient, axis, keepdims), x.shape)
    ### END SOLUTION


@rule(reduce_mean)
def reduce_mean_backward(gradient, kept, x, axis=None, keepdims=False):
    """As for the sum, divided by how many there are."""
    ### BEGIN SOLUTION
    share = gradient * (kept.size / x.size)
    return np.broadcast_to(lost_axes_back(share, axis, keepdims), x.shape)
    ### END SOLUTION


@rule(reduce_max)
def reduce_max_backward(gradient, kept, x, axis=None, keepdims=False):
    """The largest gets everything; several equal ones share."""
    ### BEGIN SOLUTION
    largest = (x == lost_axes_back(kept, axis, keepdims)).astype(gradient.dtype)
    return largest / largest.sum(axis=axis, keepdims=True) * lost_axes_back(gradient, axis, keepdims)
    ### END SOLUTION

# %% tags=["given:autograd-shapes"]
#| export
@rule(reshape)
def reshape_backward(gradient, kept, x, shape):
    return gradient.reshape(x.shape)


@rule(transpose)
def transpose_backward(gradient, kept, x, dim0, dim1):
    return gradient.swapaxes(dim0, dim1)


@rule(permute)
def permute_backward(gradient, kept, x, dims):
    return gradient.transpose(np.argsort([dim % x.ndim for dim in dims]))


@rule(index)
def index_backward(gradient, kept, x, key):
    result = np.zeros(x.shape, dtype=gradient.dtype)
    parts = key if isinstance(key, tuple) else (key,)
    if all(part is None or part is ... or isinstance(part, (int, slice)) for part in parts):
        result[key] = gradient
    else:
        np.add.at(result, key, gradient)  # a number that was read twice gets both gradients
    return result


@rule(concatenate)
def concatenate_backward(gradient, kept, *arrays, axis):
    ends = np.cumsum([np.shape(array)[axis] for array in arrays])
    return tuple(lambda part=part: part for part in np.split(gradient, ends[:-1], axis))


@rule(stack)
def stack_backward(gradient, kept, *arrays, axis):
    return tuple(lambda part=part: part for part in np.moveaxis(gradient, axis, 0))

# %% tags=["exercise:autograd-products"]
#| export
@rule(matmul)
def matmul_backward(gradient, kept, a, b):
    """Of a @ b."""
    if a.ndim == 1 or b.ndim == 1:
        return vector_product_backward(gradient, a, b)
    ### BEGIN SOLUTION
    return lambda: gradient @ b.swapaxes(-1, -2), lambda: a.swapaxes(-1, -2) @ gradient
    ### END SOLUTION


@rule(linear)
def linear_backward(gradient, kept, x, weight, bias=None):
    """Of x @ weight.T + bias."""
    ### BEGIN SOLUTION
    rows, slopes = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, len(weight))
    return lambda: (slopes @ weight).reshape(x.shape), lambda: slopes.T @ rows, lambda: slopes.sum(axis=0)
    ### END SOLUTION


def vector_product_backward(gradient, a, b):
    """matmul's way back where a vector stands on either side: make matrices of them, and vectors again."""
    left, right = np.atleast_2d(a), b[:, None] if b.ndim == 1 else b
    gradient = gradient[..., None] if b.ndim == 1 else gradient
    gradient = gradient[..., None, :] if a.ndim == 1 else gradient
    to_left, to_right = matmul_backward(gradient, None, left, right)
    return (
        lambda: to_left()[..., 0, :] if a.ndim == 1 else to_left(),
        lambda: to_right()[..., 0] if b.ndim == 1 else to_right(),
    )

# %% tags=["exercise:autograd-bends"]
#| export
@rule(relu)
def relu_backward(gradient, kept, x):
    """Where it was on, everything passes; where it was off, nothing."""
    ### BEGIN SOLUTION
    return gradient * (x > 0)
    ### END SOLUTION


@rule(sigmoid)
def sigmoid_backward(gradient, kept, x):
    """σ' = σ (1 − σ)."""
    ### BEGIN SOLUTION
    return gradient * kept * (1 - kept)
    ### END SOLUTION


@rule(tanh)
def tanh_backward(gradient, kept, x):
    """tanh' = 1 − tanh²."""
    ### BEGIN SOLUTION
    return gradient * (1 - kept * kept)
    ### END SOLUTION


@rule(softmax)
def softmax_backward(gradient, kept, x, axis=-1):
    """p · (gradient − Σ p · gradient)"""
    ### BEGIN SOLUTION
    return kept * (gradient - (kept * gradient).sum(axis=axis, keepdims=True))
    ### END SOLUTION


@rule(cross_entropy)
def cross_entropy_backward(gradient, probabilities, logits, targets):
    """Probabilities minus truth."""
    ### BEGIN SOLUTION
    truth = np.arange(logits.shape[-1]) == targets[..., None]
    return (probabilities - truth) * gradient[..., None]
    ### END SOLUTION

# %% tags=["given:autograd-losses"]
#| export
@rule(gelu)
def gelu_backward(gradient, kept, x):
    slope = math.sqrt(2 / math.pi)
    t = np.tanh(slope * (x + 0.044715 * x * x * x))
    return gradient * 0.5 * (1 + t + x * (1 - t * t) * slope * (1 + 0.134145 * x * x))


@rule(log_softmax)
def log_softmax_backward(gradient, kept, x, axis=-1):
    return gradient - np.exp(kept) * gradient.sum(axis=axis, keepdims=True)


@rule(squared_error)
def squared_error_backward(gradient, kept, outputs, targets):
    slope = 2 * gradient * (outputs - targets)
    return lambda: slope, lambda: -slope


@rule(binary_cross_entropy)
def binary_cross_entropy_backward(gradient, kept, probabilities, targets):
    def of_targets():
        with np.errstate(divide="ignore"):
            return gradient * (np.maximum(np.log1p(-probabilities), -100) - np.maximum(np.log(probabilities), -100))

    spread = np.maximum(probabilities * (1 - probabilities), 1e-12)
    return lambda: gradient * (probabilities - targets) / spread, of_targets


@rule(binary_cross_entropy_with_logits)
def binary_cross_entropy_with_logits_backward(gradient, kept, logits, targets):
    return lambda: gradient * (sigmoid.forward(logits) - targets), lambda: -gradient * logits

# %%
from tinytorch_core import CompleteModule

CompleteModule()

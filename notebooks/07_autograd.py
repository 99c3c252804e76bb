# %% [markdown]
# # 07 · Autograd
#
# **Working out gradients by hand ends at the second layer. The machine should do it.**
#
# In module 06 you gave your optimizer its gradients by hand: a page of derivatives for two layers. For three layers it is two pages, and next week somebody swaps
# tanh for GELU and you begin again. There is a way without any thinking: nudge one weight a little, see how the loss changes, and that is its slope. It always
# works. Run the second cell to see what it costs.
#
# This module does away with both. The trick is more than fifty years old, it fits on one page, and it is the reason why deep learning exists. Nobody
# differentiates the *network*. The network is made of additions, products, a tanh; the derivative of each of them stands in every school book. All that is needed
# is somebody who **takes notes** while the loss is computed, and afterwards walks **back along the notes**, asking at each step only: *if your result should
# change by this much, by how much should your inputs?*
#
# Do you remember the door of module 02, and the note-taker who has been standing there, hearing everything and remembering nothing? Today you hire a better one.
# **Nothing that you have built so far changes by a single line, and all of it will learn.**
#
# ```text
#     14 transformers
#     13 attention   12 embeddings   11 tokenization
#     10 dataloader   09 spatial
#     08 training
#   ▶ 07 autograd        you are here: backward, no_grad, gradcheck, and a rule for every operation
#     06 optimizers      they want gradients
#     05 losses          where the way back begins
#     04 layers          linear
#     03 activations     relu sigmoid tanh gelu softmax
#     02 tensor          operation, apply: the door
#     01 setup           measure
# ```
#
# Nine exercises. When you complete this module, you have reached the second milestone, *My Networks Can Learn!*, and the historical notebook of 1969 opens.

# %%
# %load_ext tinytorch_core

# %%
from tinytorch.layers import Linear, Sequential
from tinytorch.activations import Tanh
from tinytorch.setup import measure
from tinytorch.tensor import randn

model = Sequential(Linear(784, 128, seed=1), Tanh(), Linear(128, 10, seed=2))
weights = sum(parameter.size for parameter in model.parameters())
once = measure(model, randn(64, 784, seed=3), repeat=9)
print(f"one pass: {once * 1e3:.2f} ms.  {weights:,} weights, nudged one by one: {weights * once:.0f} seconds, for a single step")

# %% [markdown]
# ## The chain rule, as a way back
#
# Take a loss that is small enough for paper. With a = 2 and b = 3:
#
# $$c = a \cdot b = 6 \qquad d = c + b = 9 \qquad e = d \cdot d = 81$$
#
# ```text
#      a = 2 ────────┐
#                    × ──── c = 6 ────┐
#      b = 3 ───┬────┘                + ──── d = 9 ════ × ──── e = 81
#               └─────────────────────┘
# ```
#
# We want the slopes of e: by how much does it change for each unit that a, or b, changes? Begin at the end and go **backwards**. Write under each number "the
# slope of e with respect to me"; this is that number's **gradient**.
#
# | | gradient | why |
# |---|---|---|
# | e | 1 | e changes as e does |
# | d | 9 + 9 = 18 | in d · d each factor's slope is the other factor, times e's gradient 1. d stands there twice: **add** |
# | c | 18 | a sum hands its gradient on as it is |
# | b, from the sum | 18 | the same |
# | a | 18 · 3 = 54 | a product hands on its gradient, times the *other* factor |
# | b, from the product | 18 · 2 = 36 | the same |
# | b | 18 + 36 = 54 | b was used twice: **add** |
#
# That is all. Three things are needed for it, and they are your exercises: the **notes** (what was made of what), one small **rule** for each operation (a sum
# hands on, a product hands on times the other), and the **walk** back, which visits everything in the right order and adds up where ways meet. It costs about as
# much as computing the loss did, no matter whether there are two weights or a hundred billion.
#
# (It was found several times: Linnainmaa published it in 1970, Werbos proposed it for networks in 1974, and Rumelhart, Hinton and Williams showed the world in
# 1986 what it can do. They called it *backpropagation*.)

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

# %% [markdown]
# ## 1 · Taking notes
#
# Every operation tells the engine about itself: `record(op, inputs, arrays, params, kept, output)`. What the way back will need of this is put down on one page,
# a **node**, and the page is hung on the tensor that was made: `output.node`. Its `inputs` are tensors that may have
# nodes of their own, and so from the loss one can find back to everything it was made of. There is no big list of all that ever happened. When a tensor is no
# longer used by anybody, it goes, and its notes with it.
#
# ```text
#      e.node   ── inputs ──▶   d, d
#                               d.node   ── inputs ──▶   c, b
#                                                        c.node   ── inputs ──▶   a, b
#                                                                                 a.node is None: somebody made it by hand, a leaf
# ```
#
# Not everything deserves notes. A page is written if three things are true:
#
# | question | if not |
# |---|---|
# | is the engine recording? | somebody has said that no gradients are wanted here |
# | has at least one input `requires_grad`? | nobody will ever come back this way: pictures, targets |
# | is the output a float? | `x > 0` and integers have no slopes |
#
# And if a page is written, the output gets `requires_grad = True` as well: it depends on something that wants a gradient, and whatever is made of *it* has to be
# noted, too.
#
# **By hand.** `w = Tensor([2.0], requires_grad=True)` and `x = Tensor([3.0])`. `y = w * x`: w wants a gradient and y is a float, so there is a page: op
# `multiply`, inputs `(w, x)`. `x * x`: nobody wants a gradient, no page. `w > 0`: a boolean, no page. `y + 1`: y
# wants a gradient now, so there is a page.
#
# **What is `kept`?** Some operations keep something for the way back; `cross_entropy` keeps its probabilities. Many others need *their own result*: the slope of
# $e^x$ is $e^x$. So we agree: the page holds what the forward kept, and if it kept nothing (None), the output's array.
#
# **When nobody wants notes.** In a validation, or when a finished network answers customers, the notes would only hold on to memory. `with no_grad():` says so.
# The engine stops recording at the beginning of the block and goes on at its end *as it did before*: such blocks
# may stand inside one another, and one may end with an error. `@contextlib.contextmanager` makes a `with` block of a function that contains one `yield`: what stands
# before the `yield` happens on entering, what stands after it on leaving. To be left in any case, the second part belongs into `finally`:
#
# ```python
# try:
#     yield
# finally:
#     ...      # happens, whether the block ended well or not
# ```

# %% tags=["given:autograd-node"]
#| export
class Node:
    """One page of notes: how a tensor came to be. It hangs on that tensor, as tensor.node."""

    __slots__ = ("arrays", "inputs", "kept", "number", "op", "params")
    numbers = itertools.count()

    def __init__(self, op, inputs, arrays, params, kept):
        self.number = next(Node.numbers)  # later pages have larger numbers
        self.op = op  # the operation
        self.inputs = inputs  # what it was called with, in order: tensors, numbers, None
        self.arrays, self.params = arrays, params  # what its forward was called with: arrays, settings
        self.kept = kept  # for the way back: what the forward kept, or else the output's array

    def forget(self):
        """Let go of everything, so that its memory is free. A page can be used once."""
        self.inputs = self.arrays = self.kept = None

    used = property(lambda self: self.arrays is None)

# %% tags=["exercise:autograd-record"]
#| export
class Autograd(Engine):
    """The engine that remembers."""

    recording = True  # False inside no_grad

    def record(self, op, inputs, arrays, params, kept, output):
        """Operation `op` has just made the tensor `output`. Write a page about it, if the three questions say so:

        output.requires_grad becomes True, and output.node = Node(op, inputs, arrays, params, kept),
        with output.data in place of kept if kept is None. Otherwise, do nothing.

        inputs: a tuple of what `op` was called with; only the Tensors among them can have requires_grad.
        Is it a float? output.data.dtype.kind == "f".
        """
        ### BEGIN SOLUTION
        if self.recording and output.data.dtype.kind == "f":
            for x in inputs:
                if isinstance(x, Tensor) and x.requires_grad:
                    output.requires_grad = True
                    output.node = Node(op, inputs, arrays, params, output.data if kept is None else kept)
                    break
        ### END SOLUTION

    def backward(self, tensor, gradient=None):
        backward(tensor, gradient)


@contextlib.contextmanager
def no_grad():
    """with no_grad(): what is computed in this block leaves no notes. (Above a function: @no_grad().)

    Sets engine.recording to False; in the end, also after an error, back to what it was when the block began.

    with no_grad():
        y = w * x        →  y.requires_grad is False, y.node is None
    """
    ### BEGIN SOLUTION
    before, engine.recording = engine.recording, False
    try:
        yield
    finally:
        engine.recording = before
    ### END SOLUTION


engine = Tensor.engine = Autograd()  # hired

# %%
# %check autograd-record

# %% [markdown]
# That last line was all it took: from here on, every operation that you have ever written is noted. The layers know nothing of it.

# %%
from tinytorch.layers import Linear
from tinytorch.tensor import randn

layer = Linear(3, 2, seed=1)
output = layer(randn(4, 3, seed=2))
print("output:", output.node.op.__name__, [type(x).__name__ for x in output.node.inputs], "requires_grad:", output.requires_grad)

with no_grad():
    print("inside no_grad:", layer(randn(4, 3, seed=2)).node)

# %% [markdown]
# ## 2 · Rules for arithmetic
#
# Each operation has a `forward`. Now each gets a `backward`, its **rule**, in the place that module 02 left empty. The rule is told the gradient that has arrived
# at the *output*, and says what that makes for the *inputs*. This is the agreement, for this module and all that follow; the docstring of `rule`
# below is where you can look it up:
#
# - It is called as `backward(gradient, kept, *arrays, **params)`: the output's gradient, what is kept, and then exactly what the forward got.
# - An operation with **one input** returns its gradient.
# - An operation with **several inputs** returns a tuple of functions, one for each input. `lambda: gradient * b` is such a function: it has no arguments, and
#   *when called* it works out `gradient * b`. The engine calls it only if that input wants a gradient. In the first layer
#   of a network nobody asks for the gradient of the pictures, and what nobody asks for should cost nothing.
#
# | operation | to a | to b | |
# |---|---|---|---|
# | a + b | g | g | hands on |
# | a − b | g | −g | one up, the difference one down |
# | a · b | g · b | g · a | times the other |
# | a / b | g / b | −g · a / b² | |
# | eˣ | g · eˣ | | eˣ is the output: `kept` |
# | log x | g / x | | |
#
# **By hand.** a = 6, b = 3, and the gradient of a / b is g = 10. To a: 10 / 3 = 3.33. To b: −10 · 6 / 9 = −6.67. Is that plausible? With b = 3.01 the quotient
# falls from 2 to 1.9934, by 0.0066; divided by 0.01 and times 10: −6.6.
#
# Everything here is arrays (or numbers), not tensors, and goes element by element. That shapes may have been broadcast is not the rules' business: the engine
# will mend it, in exercise 3. But never change what comes in: the same `gradient` may be on its way to others.

# %% tags=["given:autograd-rule"]
#| export
def rule(op):
    """@rule(multiply), written above a function, makes that function multiply.backward, the way back of `multiply`.

    It is called as backward(gradient, kept, *arrays, **params):
      gradient  what has arrived at the output: an array of the output's shape
      kept      what the forward kept; if it kept nothing, the output's array
      arrays    the inputs as the forward got them: arrays, numbers, None
      params    the settings, by name
    It returns
      with one input: its gradient, an array;
      with several: a tuple of functions without arguments, one for each input, in order. Each returns that input's gradient,
      and is called only if that input wants one, so that no work is done for nothing. Where only the first input can ever want a
      gradient (as with cross_entropy, whose targets are classes), its gradient, an array, will do.
    A gradient has its input's shape, or one to which that was broadcast (the engine sums). The engine also sees to the dtype.
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
    """The way back of a − b: two functions.

    gradient [1, 2]  →  to a [1, 2], to b [-1, -2]
    """
    ### BEGIN SOLUTION
    return lambda: gradient, lambda: -gradient
    ### END SOLUTION


@rule(multiply)
def multiply_backward(gradient, kept, a, b):
    """The way back of a · b: two functions.

    gradient 18, a = 2, b = 3  →  to a 54, to b 36
    """
    ### BEGIN SOLUTION
    return lambda: gradient * b, lambda: gradient * a
    ### END SOLUTION


@rule(divide)
def divide_backward(gradient, kept, a, b):
    """The way back of a / b: two functions.

    gradient 10, a = 6, b = 3  →  to a 3.33, to b -6.67
    """
    ### BEGIN SOLUTION
    return lambda: gradient / b, lambda: -gradient * a / (b * b)
    ### END SOLUTION


@rule(exp)
def exp_backward(gradient, kept, x):
    """The way back of eˣ, with kept = eˣ. One input, so return its gradient itself.

    gradient 2, x = 1, kept = 2.718  →  5.437
    """
    ### BEGIN SOLUTION
    return gradient * kept
    ### END SOLUTION


@rule(log)
def log_backward(gradient, kept, x):
    """The way back of log x. One input.

    gradient 2, x = 4  →  0.5
    """
    ### BEGIN SOLUTION
    return gradient / x
    ### END SOLUTION

# %%
# %check autograd-arithmetic

# %% [markdown]
# Three more of this kind are given. The power $a^b$ has two traps at a = 0: the slope along a is 0 where b = 0, and the slope along b
# is 0 where b > 0, while the plain formulas would divide by 0, or take the logarithm of 0, on the way.

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
    # b - (b != 0) is b - 1, but 0 where b is 0; a + (a == 0) is a, but 1 where a is 0
    return lambda: gradient * b * a ** (b - (b != 0)), lambda: gradient * kept * np.log(a + (a == 0))

# %% [markdown]
# ## 3 · Stretched on the way, summed on the way back
#
# A bias of shape `(3,)` was added to a table of shape `(2, 3)`. Broadcasting used each of its numbers **twice**, once in each row. You know what happens to a
# number that is used twice: its gradients add up.
#
# ```text
#      forward     b₁  b₂  b₃             backward     1   2   3
#                  ↓   ↓   ↓                           4   5   6     the gradient of the table, (2, 3)
#                  b₁  b₂  b₃                          ↓   ↓   ↓
#                  b₁  b₂  b₃                          5   7   9     the gradient of the bias, (3,)
# ```
#
# So the rule for all operations at once is: **sum over the axes that were stretched.** Align the two shapes on the right, as in module 02. An axis was stretched
# if the input did not have it at all, or had it with size 1.
#
# **By hand.** A gradient of shape `(4, 2, 3)`.
#
# | the input's shape | stretched axes | the sum has the shape |
# |---|---|---|
# | `(4, 2, 3)` | none | `(4, 2, 3)` |
# | `(2, 3)` | 0 | `(2, 3)` |
# | `(2, 1)` | 0 and 2 | `(2,)`: reshape it to `(2, 1)` |
# | `(4, 1, 3)` | 1 | `(4, 3)`: reshape it to `(4, 1, 3)` |
# | `()` | 0, 1 and 2 | `()` |
#
# Summed and reshaped, it always has the input's shape. The array's `sum` takes a tuple of axes; of an empty tuple it makes no sum at all.

# %% tags=["exercise:autograd-unbroadcast"]
#| export
def unbroadcast(gradient, shape):
    """The gradient of an array of shape `shape` (a tuple) that was broadcast: `gradient`, summed over the stretched axes.

    gradient: an array of a shape to which `shape` can be broadcast. Returns an array of shape `shape`.

    unbroadcast(np.array([[1, 2, 3], [4, 5, 6]]), (3,))    →  array([5, 7, 9])
    unbroadcast(np.array([[1, 2, 3], [4, 5, 6]]), (2, 1))  →  array([[6], [15]])
    """
    ### BEGIN SOLUTION
    extra = gradient.ndim - len(shape)
    stretched = [axis for axis in range(gradient.ndim) if axis < extra or shape[axis - extra] == 1]
    return gradient.sum(axis=tuple(stretched)).reshape(shape)
    ### END SOLUTION

# %% [markdown]
# With this, a page of notes can be asked for the gradients of its inputs. `ask` is given. It calls the rule, calls those of its functions that somebody wants,
# and puts shapes and dtypes right. The word `yield` hands out one pair after the other, so that one can write
# `for x, part in ask(node, gradient):`.

# %% tags=["given:autograd-ask"]
#| export
def ask(node, gradient):
    """The pairs (x, part): every input x of `node` that wants a gradient, and its part of it, in x's own shape and dtype.

    gradient: of the tensor that the node belongs to. An input that stands there twice comes twice.
    """
    if node.op.backward is None:
        raise RuntimeError(f"{node.op.__name__} has no way back yet: write one, under @rule({node.op.__name__})")
    answer = node.op.backward(gradient, node.kept, *node.arrays, **node.params)
    for place, x in enumerate(node.inputs):
        if isinstance(x, Tensor) and x.requires_grad:
            if type(answer) is tuple and not callable(answer[place]):
                raise TypeError(f"the rule of {node.op.__name__} should return a tuple of functions: write lambda: … for input {place}")
            part = np.asarray(answer[place]() if type(answer) is tuple else answer, dtype=x.data.dtype)
            yield x, part if part.shape == x.data.shape else unbroadcast(part, x.data.shape)

# %%
# %check autograd-unbroadcast

# %%
a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
c = a * b
print([part.item() for x, part in ask(c.node, np.float32(18))])  # 54 for a, 36 for b: as on paper

# %% [markdown]
# ## 4 · In which order?
#
# Look at the picture of e again. When may b's gradient be handed on? Only when *both* of its parts have arrived. In general: a page may be asked only after
# everything that was made of its tensor has been asked. On a large graph with many crossings that sounds like a puzzle.
#
# It has a beautifully simple answer. What is made of a tensor is made **later**. Every page has a `number`, larger for later pages. So visit the pages by
# descending number, **newest first**, and nothing can ever come too early.
#
# What remains is to find all pages behind a tensor: go from page to page along `inputs`. Two traps:
#
# - **A page can be reached in many ways.** In a chain of 60 doublings, `x = x + x`, there are $2^{60}$ ways from the end to the beginning, but only 60 pages.
#   Keep the pages that you have found in a `set`, and go on from each only once. (If the check below does not come to an
#   end, that is why: it is stopped after 20 seconds.)
# - **A function that calls itself gives up** after about a thousand levels, and networks that read long texts are deeper. Keep a list of the pages that are still
#   to be visited, take one off (`pop`), put its inputs' pages on, until the list is empty.
#
# **By hand,** from e, if c, d and e have the numbers 0, 1 and 2 (let us call the pages like their tensors): to visit `[e]`. Take e (2): found {2}, to visit
# `[d, d]`. Take d (1): found {2, 1}, to visit `[d, c]` (b has no page). Take c (0): found {2, 1, 0}, to visit `[d]`. d is known. Done: e, d, c.
#
# And one more duty. After a backward pass the notes are thrown away, to free memory: then `node.used` is True. Whoever comes that way again must be told so,
# before anything has been changed, or gradients would be missing without a word.

# %% tags=["exercise:autograd-order"]
#| export
def history(tensor):
    """All nodes that `tensor` came from, its own included: a list, each node once, the newest (largest number) first.

    Only the Tensors among node.inputs have a node, and that of a leaf is None. Works for a chain of any length, and in
    time proportional to the number of nodes. Empty for a leaf.
    Raises RuntimeError, with some helpful words, if one of the nodes is used.

    [node.op.__name__ for node in history(e)]  →  ["multiply", "add", "multiply"]
    """
    ### BEGIN SOLUTION
    found, to_visit = set(), [tensor.node]
    while to_visit:
        node = to_visit.pop()
        if node is not None and node not in found:
            if node.used:
                raise RuntimeError("a backward pass has been here already and used up the notes; compute the tensor again")
            found.add(node)
            for x in node.inputs:
                if isinstance(x, Tensor):
                    to_visit.append(x.node)
    return sorted(found, key=lambda node: node.number, reverse=True)
    ### END SOLUTION

# %%
# %check autograd-order

# %%
d = c + b
e = d * d
[(node.number, node.op.__name__) for node in history(e)]

# %% [markdown]
# ## 5 · The walk back
#
# Now put it together. Gradients arrive at tensors, one part after the other:
#
# - at a **leaf** (its node is None) they are kept in `tensor.grad`, and added to what is there already. That is how PyTorch does it, and why `zero_grad()` exists.
# - at **any other tensor** they wait for that tensor's turn, in a dictionary `arrived` from nodes to arrays.
#
# Then the walk is four lines. With the nodes of `history`, newest first: take what has arrived at the node out of the dictionary (`arrived.pop(node)`), `ask` the
# node, let every part arrive at its tensor, and tell the node to `forget()`, so that memory becomes free as you go.
#
# **Never `+=`.** The sum handed *the same array* on to both of its inputs. Whoever writes into it writes into the gradient of somebody else. `old + new` makes a
# new array, and nobody is hurt. (Of arrays with shape `()` NumPy makes bare scalars when it adds; `np.asarray` makes an array of it again.)
#
# **By hand,** for e:
#
# ```text
#      begin           e: 1                       arrived {e: 1}
#      ask e, times    d: 9, and d: 9             arrived {d: 18}
#      ask d, plus     c: 18, and b: 18           arrived {c: 18}        b.grad 18
#      ask c, times    a: 54, and b: 36           arrived {}             a.grad 54, b.grad 54
# ```
#
# Where does it begin? A loss is one number, and its gradient is 1. From a tensor of many numbers one can go back, too, but then one has to say with which
# gradient. `first_gradient` is given and sees to this, with all the errors that belong to it.

# %% tags=["given:autograd-start"]
#| export
def first_gradient(tensor, gradient=None):
    """What a walk back from `tensor` begins with: an array of its shape and dtype. Ones, if no gradient is given.

    RuntimeError if the tensor needs no gradient. ValueError if it has more than one number and no gradient is given, or
    one of another shape.
    """
    if not tensor.requires_grad:
        raise RuntimeError("nothing behind this tensor wants a gradient: it was made of tensors without requires_grad, or in no_grad")
    if gradient is None and tensor.size != 1:
        raise ValueError(f"backward begins with one number, a loss; for a tensor of shape {tensor.shape} give it a gradient")
    gradient = np.ones(tensor.shape) if gradient is None else np.array(gradient)
    if gradient.shape != tensor.shape:
        raise ValueError(f"a tensor of shape {tensor.shape} can't have a gradient of shape {gradient.shape}")
    return gradient.astype(tensor.dtype)

# %% tags=["exercise:autograd-backward"]
#| export
def add_gradient(tensor, gradient, arrived):
    """`gradient`, an array of the tensor's shape, arrives at `tensor`: it is added to what is there, in a new array.

    At a leaf (tensor.node is None): to tensor.grad, which may be None. Else: to arrived[tensor.node], which may be missing.
    Afterwards tensor.grad, or arrived[tensor.node], is a NumPy array, also of shape (). No array is ever written into.
    """
    ### BEGIN SOLUTION
    node = tensor.node
    if node is None:
        tensor.grad = gradient if tensor.grad is None else np.asarray(tensor.grad + gradient)
    else:
        arrived[node] = np.asarray(arrived[node] + gradient) if node in arrived else gradient
    ### END SOLUTION


def backward(tensor, gradient=None):
    """Give every leaf behind `tensor` its gradient: add to leaf.grad. The same as tensor.backward(gradient).

    gradient: of `tensor`, an array or a Tensor of its shape; not needed for one number. Errors: see first_gradient and
    history; if one is raised, no gradient has changed. Afterwards every node behind the tensor is used.

    e.backward()  →  a.grad is array(54.), b.grad is array(54.)
    """
    gradient = first_gradient(tensor, gradient)
    ### BEGIN SOLUTION
    nodes, arrived = history(tensor), {}
    add_gradient(tensor, gradient, arrived)
    for node in nodes:
        for x, part in ask(node, arrived.pop(node)):
            add_gradient(x, part, arrived)
        node.forget()
    ### END SOLUTION

# %%
# %check autograd-backward

# %% [markdown]
# Here is your own graph of e, with every value and, below it, every gradient that your walk has found. Point at a part (or go there with the Tab key) to read
# about it. Change the formula: how about `a / b + a`?

# %%
from tinytorch_core.widgets.graph import GraphDrawing, Operation, TensorBox


def draw(output, **names):
    """Walk back from `output` as backward does, but let nobody forget; then draw all that was met on the way."""
    nodes, arrived, gradients = history(output), {}, {}
    tensors = [*(x for node in reversed(nodes) for x in node.inputs if isinstance(x, Tensor)), output]
    for x in tensors:
        x.zero_grad()
    add_gradient(output, first_gradient(output), arrived)
    for node in nodes:
        gradients[node] = arrived.pop(node)
        for x, part in ask(node, gradients[node]):
            add_gradient(x, part, arrived)

    names = {id(x): name.replace("_", ".") for name, x in names.items()}
    boxes = {id(x): TensorBox(names.get(id(x), ""), x.data, gradients.get(x.node, x.grad)) for x in tensors}
    made = {id(x): x.node for x in tensors if x.node is not None}
    operations = [Operation(n.op.__name__, [id(x) for x in n.inputs if id(x) in boxes], key) for key, n in made.items()]
    return GraphDrawing(boxes, operations)


a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
c = a * b
d = c + b
e = d * d
draw(e, a=a, b=b, c=c, d=d, e=e)

# %% [markdown]
# ## 6 · Trust, but measure
#
# A wrong rule does not crash. The network learns all the same, only worse, and nobody knows why. So every rule is checked against a **measured** slope. Nudge one
# number x of an input up and down by a tiny ε:
#
# $$\text{slope} \approx \frac{f(x + \varepsilon) - f(x - \varepsilon)}{2\,\varepsilon}$$
#
# It is exactly what was too slow to train with; to check a rule on six numbers it is perfect. Looking to both sides makes the error of the measurement shrink
# with ε², and float64 leaves enough digits.
#
# **By hand.** f(x) = x³ at x = 2, ε = 0.01: (2.01³ − 1.99³) / 0.02 = (8.120601 − 7.880599) / 0.02 = 12.0001. The rule says 3 · 2² = 12.
#
# A function may have many outputs, and one check should cover them all. So weigh each output with a random number and add up: *one* number, which depends on
# everything. On the way back, the same weights are the gradient to begin with.
#
# And when do two numbers agree? Never exactly. The usual agreement is *absolute plus relative*: the difference is at most `atol + rtol · |slope|`. Mind `nan`: it
# is neither larger nor smaller than anything. So ask whether **all** differences are small enough, not whether one is too large.

# %% tags=["given:autograd-float64"]
#| export
def for_gradcheck(x):
    """A fresh tensor like x (a tensor, an array, a number). Floats become float64 and want a gradient; integers stay what they are."""
    array = np.array(x)
    return Tensor(array, dtype=np.float64, requires_grad=True) if array.dtype.kind == "f" else Tensor(array)

# %% tags=["exercise:autograd-gradcheck"]
#| export
def measured_slope(value, array, eps):
    """How much value() changes with each number of `array`: an array of the same shape, by central differences.

    value: a function without arguments that returns a number, and looks at `array`. Nudge array[i] up and down in place, call
    value() each time, and put the old number back. `for i in np.ndindex(array.shape):` gives the index of every number.

    x = np.array([2.0, 5.0]);  measured_slope(lambda: (x**3).sum(), x, 0.01)  →  array([12.0001, 75.0001])
    """
    ### BEGIN SOLUTION
    slope = np.zeros(array.shape)
    for i in np.ndindex(array.shape):
        old = array[i]
        array[i] = old + eps
        above = value()
        array[i] = old - eps
        slope[i] = (above - value()) / (2 * eps)
        array[i] = old
    return slope
    ### END SOLUTION


def gradcheck(function, inputs, eps=1e-6, atol=1e-5, rtol=1e-3):
    """True if backward gives the slopes that can be measured; else AssertionError.

    function: takes as many tensors as there are inputs, and returns one. inputs: a list of tensors, arrays or numbers; they
    are copied, in float64. Integers among them are handed on and not checked.
    AssertionError says "input 0" (or which it is, counted from 0) and the largest difference, unless for every number of
    every input |grad - slope| <= atol + rtol * |slope|. An input that has received no gradient (grad is None) counts as zeros.

    gradcheck(lambda x, y: x * y, [randn(2, 3), randn(3)])  →  True
    """
    tensors = [for_gradcheck(x) for x in ([inputs] if isinstance(inputs, Tensor) else inputs)]
    output = function(*tensors)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, output.shape)
    if output.requires_grad:
        output.backward(weights)

    def value():
        with no_grad():
            return (function(*tensors).data * weights).sum()

    ### BEGIN SOLUTION
    for place, x in enumerate(tensors):
        if x.requires_grad:
            grad = np.zeros(x.shape) if x.grad is None else x.grad
            slope = measured_slope(value, x.data, eps)
            gap = np.abs(grad - slope)
            if not np.all(gap <= atol + rtol * np.abs(slope)):
                raise AssertionError(f"input {place}: backward and the measured slope differ by up to {gap.max():.3g}")
    return True
    ### END SOLUTION

# %%
# %check autograd-gradcheck

# %% [markdown]
# Here is a rule with a mistake that is easily made, and what your check has to say about it:

# %%
from tinytorch.tensor import operation

cube = operation(lambda x: x * x * x)
cube.backward = lambda gradient, kept, x: gradient * 3 * x  # should be 3 · x²

try:
    gradcheck(cube, [randn(2, 3, seed=1)])
except AssertionError as error:
    print(error)

cube.backward = lambda gradient, kept, x: gradient * 3 * x * x
gradcheck(cube, [randn(2, 3, seed=1)])

# %% [markdown]
# ## 7 · Rules for reductions
#
# A sum over an axis made one number of many. On the way back, its gradient goes to all of them: it has to be **spread** over the axis that was lost.
#
# ```text
#      forward   ┌ 1  2  3 ┐    axis=1             backward   ┌ 10  10  10 ┐             ┌ 10 ┐
#                │         │   ───────▶  [6, 15]              │            │   ◀───────  │    │  ◀── [10, 20]
#                └ 4  5  6 ┘                                  └ 20  20  20 ┘             └ 20 ┘
#                                                                np.broadcast_to      lost_axes_back
# ```
#
# - **sum**: each number gets the sum's gradient. First give the gradient its lost axis back, with size 1 (`lost_axes_back` is given), then stretch it to the
#   shape of x: `np.broadcast_to(array, shape)`, which copies nothing.
# - **mean**: the same, divided by how many numbers were averaged. How many? `x.size / kept.size`: numbers that went in, over numbers that came out.
# - **max**: the largest number gets everything, the others nothing; they could have been a little larger, and nobody would have noticed. Where several are
#   equally large, they **share** in equal parts.
#
# **By hand.** The maximum of `[3, 7, 7]` is 7; its gradient is 10. Who is as large as it? `[0, 1, 1]`, two of them. Divided by 2: `[0, 0.5, 0.5]`, times 10:
# `[0, 5, 5]`.
#
# For the max, both `kept` (the maxima) and the gradient need their axes back. `x == …` is an array of True and False; `.astype(gradient.dtype)` makes numbers of
# it. Without that, dividing by a count of integers would be float64.

# %% tags=["exercise:autograd-reductions"]
#| export
def lost_axes_back(array, axis, keepdims):
    """`array`, the result of a reduction over `axis`, with the lost axes back in their places, of size 1."""
    return array if axis is None or keepdims else np.expand_dims(array, axis)


@rule(reduce_sum)
def reduce_sum_backward(gradient, kept, x, axis=None, keepdims=False):
    """The way back of a sum: x's gradient, in x's shape.

    gradient [10, 20], x of shape (2, 3), axis=1  →  [[10, 10, 10], [20, 20, 20]]
    """
    ### BEGIN SOLUTION
    return np.broadcast_to(lost_axes_back(gradient, axis, keepdims), x.shape)
    ### END SOLUTION


@rule(reduce_mean)
def reduce_mean_backward(gradient, kept, x, axis=None, keepdims=False):
    """The way back of a mean: as for the sum, divided by how many were averaged.

    gradient [12, 24], x of shape (2, 3), axis=1  →  [[4, 4, 4], [8, 8, 8]]
    """
    ### BEGIN SOLUTION
    share = gradient * (kept.size / x.size)
    return np.broadcast_to(lost_axes_back(share, axis, keepdims), x.shape)
    ### END SOLUTION


@rule(reduce_max)
def reduce_max_backward(gradient, kept, x, axis=None, keepdims=False):
    """The way back of a maximum: all to the largest; those that are equally large share in equal parts.

    gradient 10, kept 7, x = [3, 7, 7]  →  [0, 5, 5]
    """
    ### BEGIN SOLUTION
    largest = (x == lost_axes_back(kept, axis, keepdims)).astype(gradient.dtype)
    return largest / largest.sum(axis=axis, keepdims=True) * lost_axes_back(gradient, axis, keepdims)
    ### END SOLUTION

# %%
# %check autograd-reductions

# %% [markdown]
# ### The same numbers, back in their places
#
# The operations that only rearrange numbers have the simplest rules: rearrange the gradient the other way round. They are given; read them, two are worth it.
#
# - `permute` needs the *inverse* order, and `np.argsort` finds it.
# - `index` reads some of the numbers; those that were not read get 0. And if a number was read twice, `x[[0, 0, 2]]`? Used twice: add. That is what `np.add.at`
#   does, where a plain assignment would let the last one win. It is slower, so it is used only where an index *can* repeat itself.

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
        result[key] = gradient  # reads no number twice
    else:
        np.add.at(result, key, gradient)
    return result


@rule(concatenate)
def concatenate_backward(gradient, kept, *arrays, axis):
    ends = np.cumsum([np.shape(array)[axis] for array in arrays])
    return tuple(lambda part=part: part for part in np.split(gradient, ends[:-1], axis))


@rule(stack)
def stack_backward(gradient, kept, *arrays, axis):
    return tuple(lambda part=part: part for part in np.moveaxis(gradient, axis, 0))

# %%
x = Tensor([1, 2, 3], requires_grad=True)
x[[0, 0, 2]].sum().backward()
x.grad

# %% [markdown]
# ## 8 · Rules for products
#
# The matrix product is where networks spend their time, on the way there and on the way back. Its rule is the same as that of the plain product, *times the
# other*, only that now order and shapes matter:
#
# $$C = A\,B \qquad\qquad \bar A = \bar C\,B^{\mathsf T} \qquad \bar B = A^{\mathsf T}\,\bar C$$
#
# (The bar is short for "gradient of".) You can hardly get it wrong, since only one arrangement fits. With A (n, k), B (k, m), and so C̄ (n, m): to get (n, k) out
# of (n, m) and (k, m), what else could you do?
#
# **By hand.** $A = (1\;\;2)$, $B = \begin{pmatrix}5\\6\end{pmatrix}$, C = 17, with gradient 10. $\bar A = 10 \cdot (5\;\;6) = (50\;\;60)$ and
# $\bar B = \begin{pmatrix}1\\2\end{pmatrix} \cdot 10 = \begin{pmatrix}10\\20\end{pmatrix}$. One more on the 1, and C rises by 5, times 10: yes.
#
# With batches, only the last two axes are transposed: `swapaxes(-1, -2)`, not `.T`. If a batch was broadcast, the engine sums. Vectors are turned into matrices
# by a function that is given.
#
# **`linear`** is such a product, too: `x @ weight.T + bias`. Lay out x and the gradient as rows, as in its forward, and
#
# $$\bar x = \bar y\,W \qquad \bar W = \bar y^{\mathsf T} x \qquad \bar b = \text{the sum of the rows of } \bar y$$
#
# with ȳ (N, out), W (out, in), x (N, in). **By hand,** for one row x = `[1, 2]` and ȳ = `[10, 0, 1]`: W̄ is `[[10, 20], [0, 0], [1, 2]]`: how much output o
# should change, times what came in at i. And x̄ gets its leading axes back in the end.
#
# `linear` is called with or without a bias. Return three functions all the same; the third is not called if there is nobody to call for.

# %% tags=["exercise:autograd-products"]
#| export
@rule(matmul)
def matmul_backward(gradient, kept, a, b):
    """The way back of a @ b: two functions.

    a: (…, n, k), b: (…, k, m), gradient: (…, n, m), each with at least two axes from here on.

    gradient [[10]], a = [[1, 2]], b = [[5], [6]]  →  to a [[50, 60]], to b [[10], [20]]
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim == 1 or b.ndim == 1:
        return vector_product_backward(gradient, a, b)
    ### BEGIN SOLUTION
    return lambda: gradient @ b.swapaxes(-1, -2), lambda: a.swapaxes(-1, -2) @ gradient
    ### END SOLUTION


@rule(linear)
def linear_backward(gradient, kept, x, weight, bias=None):
    """The way back of x @ weight.T + bias: three functions.

    x: (…, in) with any number of leading axes; weight: (out, in); gradient: (…, out).

    gradient [10, 0, 1], x = [1, 2], weight = [[3, 4], [5, 6], [7, 8]]
        →  to x [37, 48], to weight [[10, 20], [0, 0], [1, 2]], to bias [10, 0, 1]
    """
    ### BEGIN SOLUTION
    rows, slopes = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, len(weight))  # (N, in), (N, out)
    return lambda: (slopes @ weight).reshape(x.shape), lambda: slopes.T @ rows, lambda: slopes.sum(axis=0)
    ### END SOLUTION


def vector_product_backward(gradient, a, b):
    """matmul's way back where a vector stands on the left, on the right, or on both sides: matrices, and back to vectors."""
    left, right = np.atleast_2d(a), b[:, None] if b.ndim == 1 else b
    gradient = gradient[..., None] if b.ndim == 1 else gradient
    gradient = gradient[..., None, :] if a.ndim == 1 else gradient
    to_left, to_right = matmul_backward(gradient, None, left, right)
    return (
        lambda: to_left()[..., 0, :] if a.ndim == 1 else to_left(),
        lambda: to_right()[..., 0] if b.ndim == 1 else to_right(),
    )

# %%
# %check autograd-products

# %% [markdown]
# ## 9 · Rules for bends and losses
#
# What is missing for whole networks are the activations of module 03 and the losses of module 05. `kept` is their output y, unless something else is said.
#
# | operation | the input's gradient | |
# |---|---|---|
# | relu | g where x > 0, else 0 | where the unit was off, nothing passes (at 0 neither) |
# | sigmoid | g · y (1 − y) | y is kept |
# | tanh | g · (1 − y²) | y is kept |
# | softmax | y · (g − Σ g y) | the sum runs along `axis`, with keepdims |
# | cross_entropy | g · (p − truth) | p, the probabilities, are kept |
#
# **Why does softmax subtract something?** All its outputs share one sum. If one probability rises, the others must fall; what *all* of them have in common can't
# change anything, and is taken away. **By hand.** y = `[0.5, 0.5]`, g = `[10, 4]`: Σ g y = 5 + 2 = 7, and `0.5 · [10 − 7, 4 − 7]` = `[1.5, -1.5]`.
#
# **Probabilities minus truth.** It is the most beautiful line in this notebook. Softmax, then a logarithm: two complicated things in a row, and their slopes
# cancel nearly completely. **By hand.** p = `[0.09, 0.24, 0.67]`, and the right class is 2: the truth is `[0, 0, 1]`, and the gradient of the logits
# `[0.09, 0.24, -0.33]`. Push the right logit up, the others down, each by as much as it is wrong.
#
# The truth as a table comes from one comparison: `np.arange(C) == targets[..., None]` has shape (…, C), with one True in each row, at the class. The gradient
# that arrives has shape (…), one number for each row: `gradient[..., None]` lets it meet the logits.

# %% tags=["exercise:autograd-bends"]
#| export
@rule(relu)
def relu_backward(gradient, kept, x):
    """The way back of max(0, x).

    gradient [1, 2, 3], x = [-1, 0, 5]  →  [0, 0, 3]
    """
    ### BEGIN SOLUTION
    return gradient * (x > 0)
    ### END SOLUTION


@rule(sigmoid)
def sigmoid_backward(gradient, kept, x):
    """The way back of σ(x), with kept = σ(x).

    gradient 8, kept 0.5  →  2
    """
    ### BEGIN SOLUTION
    return gradient * kept * (1 - kept)
    ### END SOLUTION


@rule(tanh)
def tanh_backward(gradient, kept, x):
    """The way back of tanh(x), with kept = tanh(x).

    gradient 8, kept 0.5  →  6
    """
    ### BEGIN SOLUTION
    return gradient * (1 - kept * kept)
    ### END SOLUTION


@rule(softmax)
def softmax_backward(gradient, kept, x, axis=-1):
    """The way back of softmax along `axis`, with kept = softmax(x).

    gradient [10, 4], kept [0.5, 0.5]  →  [1.5, -1.5]
    """
    ### BEGIN SOLUTION
    return kept * (gradient - (gradient * kept).sum(axis=axis, keepdims=True))
    ### END SOLUTION


@rule(cross_entropy)
def cross_entropy_backward(gradient, probabilities, logits, targets):
    """The way back of cross_entropy, which has kept its probabilities, (…, C). To the logits only: classes have no slope.

    gradient: (…), one number for each row; logits: (…, C); targets: the classes, integers (…). Returns an array (…, C).

    gradient [1], probabilities [[0.09, 0.24, 0.67]], targets [2]  →  [[0.09, 0.24, -0.33]]
    """
    ### BEGIN SOLUTION
    truth = np.arange(logits.shape[-1]) == targets[..., None]  # (…, C)
    return (probabilities - truth) * gradient[..., None]
    ### END SOLUTION

# %%
# %check autograd-bends

# %% [markdown]
# The remaining five are given: longer, but of the same kind. With them, *every* operation that you have built has its way back. Believe it? Let `gradcheck` go
# through the list:

# %% tags=["given:autograd-losses"]
#| export
@rule(gelu)
def gelu_backward(gradient, kept, x):
    share = np.divide(kept, x, out=np.full_like(x, 0.5), where=x != 0)  # (1 + tanh(…)) / 2, which x was multiplied by
    twice, slope = 2 * math.sqrt(2 / math.pi), x * x
    slope *= twice * 0.134145  # in place, in an array of its own: fewer arrays, less time
    slope += twice
    slope *= kept * (1 - share)
    slope += share
    slope *= gradient
    return slope


@rule(log_softmax)
def log_softmax_backward(gradient, kept, x, axis=-1):
    return gradient - np.exp(kept) * gradient.sum(axis=axis, keepdims=True)


@rule(squared_error)
def squared_error_backward(gradient, kept, outputs, targets):
    return lambda: 2 * gradient * (outputs - targets), lambda: 2 * gradient * (targets - outputs)


@rule(binary_cross_entropy)
def binary_cross_entropy_backward(gradient, kept, probabilities, targets):
    def to_targets():
        with np.errstate(divide="ignore"):  # the logarithms are limited, as on the way there
            return gradient * (np.maximum(np.log1p(-probabilities), -100) - np.maximum(np.log(probabilities), -100))

    spread = np.maximum(probabilities * (1 - probabilities), 1e-12)
    return lambda: gradient * (probabilities - targets) / spread, to_targets


@rule(binary_cross_entropy_with_logits)
def binary_cross_entropy_with_logits_backward(gradient, kept, logits, targets):
    return lambda: gradient * (sigmoid.forward(logits) - targets), lambda: -gradient * logits

# %%
u, v, classes = randn(2, 3, seed=1), randn(2, 3, seed=2), Tensor(np.array([2, 0]))
positive, chances = exp(u), sigmoid(u)
for op, inputs in {
    add: [u, v], subtract: [u, v], multiply: [u, v[0]], divide: [u, positive], power: [positive, v], negate: [u],
    exp: [u], log: [positive], sqrt: [positive], matmul: [u, v.T], linear: [u, v, v[:, 0]],
    reduce_sum: [u], reduce_mean: [u], reduce_max: [u], relu: [u], sigmoid: [u], tanh: [u], gelu: [u], softmax: [u], log_softmax: [u],
    squared_error: [u, v], cross_entropy: [u, classes], binary_cross_entropy: [chances, sigmoid(v)], binary_cross_entropy_with_logits: [u, v],
}.items():  # fmt: skip
    print(op.__name__, end=" ")  # first the name: gradcheck raises if a rule is wrong
    gradcheck(op, inputs)
    print("ok,", end=" ")

# %% [markdown]
# ## See it: it learns
#
# This is the moment all the modules before were for. Everything in the next cell is yours: the tensors, the bends, the layers, the loss, the optimizer. Not one
# line of them has been touched, and there is no derivative anywhere. First, the graph of a small network and its loss; then a larger
# one, which learns to tell two spirals apart. Move the slider, and watch it learn.

# %%
from tinytorch.activations import Tanh
from tinytorch.layers import Sequential
from tinytorch.losses import BCEWithLogitsLoss

small = Sequential(Linear(2, 3, seed=1), Tanh(), Linear(3, 1, seed=2))
x, y = randn(4, 2, seed=3), Tensor([[0], [1], [1], [0]])
loss = BCEWithLogitsLoss()(small(x), y)
draw(loss, x=x, y=y, loss=loss, **{name.replace(".", "_"): parameter for name, parameter in small.named_parameters()})

# %%
import ipywidgets
import matplotlib.pyplot as plt

from tinytorch.optimizers import Adam

turn = np.linspace(0.3, 3, 90)
arm = np.stack([turn * np.cos(3 * turn), turn * np.sin(3 * turn)], axis=1)
noise = np.random.default_rng(1).normal(scale=0.08, size=(180, 2))
points = Tensor(np.concatenate([arm, -arm]) + noise, dtype=np.float32)  # (180, 2)
side = Tensor(np.repeat([[0.0], [1.0]], 90, axis=0), dtype=np.float32)  # (180, 1)

line = np.linspace(-3.4, 3.4, 60)
plane = Tensor(np.stack(np.meshgrid(line, line), axis=-1), dtype=np.float32)  # (60, 60, 2)

rng = np.random.default_rng(7)
model = Sequential(Linear(2, 32, seed=rng), Tanh(), Linear(32, 32, seed=rng), Tanh(), Linear(32, 1, seed=rng))
optimizer, loss_fn = Adam(model.parameters(), lr=0.01), BCEWithLogitsLoss()

losses, pictures = [], {}
for step in range(251):
    if step % 25 == 0:
        with no_grad():
            pictures[step] = sigmoid(model(plane)).numpy()[..., 0]
    optimizer.zero_grad()
    loss = loss_fn(model(points), side)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())


def show(step=250):
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.9))
    left.imshow(pictures[step], origin="lower", extent=(-3.4, 3.4, -3.4, 3.4), cmap="coolwarm", vmin=0, vmax=1)
    for half, color in ((slice(0, 90), "navy"), (slice(90, 180), "darkred")):
        left.plot(*points.data[half].T, "o", color=color, markersize=4, markeredgecolor="white", markeredgewidth=0.5)
    left.set_title(f"what it thinks after {step} steps", fontsize=9)
    left.set_axis_off()
    right.plot(losses)
    right.plot(step, losses[step], "o", color="black")
    right.set_title(f"loss {losses[step]:.3f}", fontsize=9)
    right.set_xlabel("step", fontsize=9)
    right.grid(alpha=0.3)
    plt.show()


ipywidgets.interact(show, step=ipywidgets.SelectionSlider(options=list(pictures), value=250));

# %% [markdown]
# ## Systems: what do the notes cost?
#
# Two things are paid for gradients: the time of the way back, and the memory of everything that has to be kept until then. Three questions:
#
# 1. How long is the way back, compared with the way there? And with nudging every weight, as in the beginning?
# 2. How does the memory grow with the depth of a network, with notes and without?
# 3. And after the way back?

# %%
import tracemalloc

from tinytorch.losses import CrossEntropyLoss
from tinytorch.setup import measure, readable_bytes

model = Sequential(Linear(784, 128, seed=1), Tanh(), Linear(128, 10, seed=2))
x, digits, loss_fn = randn(64, 784, seed=3), Tensor(np.random.default_rng(4).integers(0, 10, size=64)), CrossEntropyLoss()

there = measure(lambda: loss_fn(model(x), digits), repeat=9)
both = measure(lambda: loss_fn(model(x), digits).backward(), repeat=9)
weights = sum(parameter.size for parameter in model.parameters())
print(f"there {there * 1e3:.2f} ms, there and back {both * 1e3:.2f} ms, nudging {weights:,} weights {2 * weights * there:,.0f} s\n")


def held(depth, notes=True, back=False):
    """Bytes that a chain of `depth` bends holds on to."""
    x = randn(64, 256, seed=5, requires_grad=notes)
    tracemalloc.start()
    for _ in range(depth):
        x = tanh(x)
    if back:
        x.backward(np.ones(x.shape))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return readable_bytes(size)


for depth in (5, 20, 80):
    print(f"{depth:3} layers   with notes {held(depth):>9}   without {held(depth, notes=False):>9}   after the way back {held(depth, back=True):>9}")

# %% [markdown]
# So the way back costs one to two times as much as the way there, however many weights there are. (Nudging takes more seconds here than in the first cell: the
# loss is counted in, and each weight is nudged up and down.) The memory is what hurts: with notes it grows with depth, because
# every layer's result is kept. When you hear that somebody ran out of memory while *training* a network that *answers* without any trouble, you know why.
#
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. A network of 80 layers: how could you do with much less memory, if you were willing to compute some things twice? (It is called *checkpointing*, and the
# largest models are trained with it.)
# 2. tanh's slope is $1 - y^2$, at most 1, and nearly 0 where the unit is sure of itself. What remains of a gradient that passes thirty such layers? And with relu?
# 3. `loss.backward()` adds to what is in `.grad`. Somebody forgets `zero_grad()`. What does the optimizer see in the second step, and in the tenth? When could
# one *want* that?
#
# **Behind the next door.** Complete this module, and the notebook **XOR (1969)** opens: the problem that stopped neural networks for more than a decade, and that
# your backward pass solves in a second. After that: look at the loop above that trained the spirals. No batches, no validation, nothing saved, and if
# it had gone wrong at step 200, you would have had to start again. That is module 08.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

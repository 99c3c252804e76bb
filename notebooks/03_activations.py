# %% [markdown]
# # 03 · Activations
#
# **Your tensors can only stretch, turn and add. A straight line, however long, never bends.**
#
# Suppose you build a deep network out of what you have: multiply by a matrix, then by another, then by a third. Work it out:
#
# $$((xA)B)C = x\,(ABC)$$
#
# Three layers are one matrix. Thirty would be one matrix. Adding biases does not help: a shifted line, shifted again, is a shifted line. Whatever such a
# network draws is flat, and the world is not: a spiral, a face, the word *not* in a sentence need something that **bends**.
#
# ```text
#                  stretch              bend               stretch              bend
#      x   ──▶   x @ A + a   ──▶   activation(·)   ──▶   · @ B + b   ──▶   activation(·)   ──▶  …
#                 module 02           this one              module 02          this one
# ```
#
# The bend is called an **activation function**. It sits between the matrix products, works on each number by itself, and has nothing to learn. It is a line or
# two of code, and without it there is no deep learning.
#
# ```text
#     14 transformers
#     13 attention   12 embeddings   11 tokenization
#     10 dataloader   09 spatial
#     08 training
#     07 autograd
#     06 optimizers   05 losses
#     04 layers
#   ▶ 03 activations     you are here: relu sigmoid tanh gelu softmax log_softmax
#     02 tensor          Tensor, operation, and everything that keeps straight
#     01 setup           measure
# ```
#
# Seven exercises. Mathematically each is a formula you can look up. The craft is in the numbers: formulas that are right on paper overflow, or round to zero, in a computer.
# `%hint relu` (with the exercise's own name) gives one hint at a time.

# %%
# %load_ext tinytorch_core

# %% tags=["given:activations-imports"]
#| export
"""Activation functions: the bends between the matrix products. They work on each number by itself and have nothing to learn."""

import math

import numpy as np

from tinytorch.tensor import Tensor, operation

# %% [markdown]
# First, believe it: two matrix products in a row, against one.

# %%
from tinytorch.tensor import randn

x, A, B = randn(4, 3, seed=1), randn(3, 5, seed=2), randn(5, 2, seed=3)
np.abs(((x @ A) @ B - x @ (A @ B)).numpy()).max()  # what the second layer has added: rounding

# %% [markdown]
# ## 1 · ReLU
#
# The simplest bend there is: follow the line where it is positive, stay at zero where it is not.
#
# $$\mathrm{relu}(x) = \max(0, x)$$
#
# ```text
#                    │      ╱
#                    │    ╱
#                    │  ╱
#      ──────────────┼╱───────── x
#                    0
# ```
#
# **By hand.** `[-2, -0.5, 0, 3]` becomes `[0, 0, 0, 3]`. And `relu(x) + relu(-x)` at −2 is 0 + 2, at 3 it is 3 + 0: the absolute value, a line with a corner. No
# matrix could do that.
#
# ReLU ("rectified linear unit") is the standard choice inside networks since about 2010: it costs next to nothing, and where it is on, it hands everything through unchanged.
#
# You write it the way you wrote the operations of module 02: a function on NumPy **arrays**, which `@operation` takes through the door. Arrays go in, an array comes out, of the same
# shape; `np.maximum(a, b)` compares two arrays (or an array and a number) element by element.

# %% tags=["exercise:relu"]
#| export
@operation
def relu(x):
    """max(0, x), element by element. (Fukushima, 1969; Nair and Hinton, 2010.)

    x: any shape; the output has the same.

    relu(Tensor([-2, -0.5, 0, 3]))  →  Tensor([0., 0., 0., 3.])
    """
    ### BEGIN SOLUTION
    return np.maximum(x, 0)
    ### END SOLUTION

# %%
# %check relu

# %%
x = Tensor([-2, -0.5, 0, 3])
relu(x) + relu(-x)

# %% [markdown]
# ## 2 · Sigmoid
#
# Some answers are yes or no, and a network should say *how sure* it is: a number between 0 and 1. The sigmoid squeezes the whole line into that interval.
#
# $$\sigma(x) = \frac{1}{1 + e^{-x}}$$
#
# ```text
#       1 │              ·───────────
#         │          ╱
#     0.5 │        ╱
#         │      ╱
#       0 │──────·
#         └────────┼───────────────── x
#                  0
# ```
#
# **By hand.** σ(0) = 1 / (1 + 1) = 0.5. With $e^{-2} = 0.1353$: σ(2) = 1 / 1.1353 = 0.8808, and σ(−2) = 0.1192, which is 1 − σ(2), as the picture says.
#
# **The trap.** On paper the formula works everywhere. Now take x = −1000. The answer is 0, but on the way to it comes $e^{1000}$, a number with 435 digits. The
# largest float32 has 39. NumPy answers `inf` and a warning, and some other version of the formula answers `nan` (`inf / inf`), which eats a whole network within one step.
#
# The way out: multiply numerator and denominator by $e^{x}$, and
#
# $$\sigma(x) = \frac{e^{x}}{1 + e^{x}},$$
#
# which has the same trap on the *other* side. So each form is safe on one half of the line: the first where x ≥ 0, the second where x < 0. In both, the exponent that is taken is never positive,
# so no exponential exceeds 1. The denominator is $1 + e^{-|x|}$ in both halves. Compare the numerators, and both halves become one formula:
#
# $$\sigma(x) = \frac{e^{\min(x,\,0)}}{1 + e^{-|x|}}$$
#
# **By hand, at −1000:** $e^{-1000} / (1 + e^{-1000}) = 0 / (1 + 0) = 0$. At +1000: $e^0 / (1 + 0) = 1$. A tiny number that rounds to zero is harmless; it is the
# huge ones that bite. NumPy has `np.exp`, `np.minimum` and `np.abs`. Any other way that is exact and never overflows is just as good.

# %% tags=["exercise:sigmoid"]
#| export
@operation
def sigmoid(x):
    """1 / (1 + exp(-x)), element by element: between 0 and 1. Never overflows.

    x: any shape; the output has the same.

    sigmoid(Tensor([-1000, 0, 2]))  →  Tensor([0., 0.5, 0.8808])
    """
    ### BEGIN SOLUTION
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))
    ### END SOLUTION

# %%
# %check sigmoid

# %% [markdown]
# ## 3 · Tanh
#
# Sometimes the answer should be able to say *no* as strongly as *yes*: between −1 and 1, with 0 in the middle.
#
# $$\tanh(x) = \frac{e^{x} - e^{-x}}{e^{x} + e^{-x}} = 2\,\sigma(2x) - 1$$
#
# **By hand.** tanh(1) = (2.7183 − 0.3679) / (2.7183 + 0.3679) = 2.3504 / 3.0862 = 0.7616. The second form says what it is: a sigmoid, twice as steep and stretched to twice the height.
#
# Which trap does the first form hold, and at which x? You know by now. Here the better craftsman looks into the drawer first: NumPy has a hyperbolic tangent that is exact everywhere, and fast.

# %% tags=["exercise:tanh"]
#| export
@operation
def tanh(x):
    """The hyperbolic tangent, element by element: between -1 and 1. Never overflows.

    x: any shape; the output has the same.

    tanh(Tensor([-1000, 0, 1]))  →  Tensor([-1., 0., 0.7616])
    """
    ### BEGIN SOLUTION
    return np.tanh(x)
    ### END SOLUTION

# %%
# %check tanh

# %% [markdown]
# ## 4 · GELU
#
# ReLU has a sharp corner at 0. Transformers, which you build in module 14, prefer it rounded: GELU ("Gaussian error linear unit") multiplies x by a *soft* yes-or-no, a number between 0 and 1 that
# depends on x itself. Far to the right it is x, far to the left it is 0, as in ReLU; in between it dips a little below zero.
#
# $$\mathrm{gelu}(x) = \tfrac12\, x \left(1 + \tanh\!\left(\sqrt{2/\pi}\,\left(x + 0.044715\,x^3\right)\right)\right)$$
#
# (The exact form uses the normal distribution. This one, within a thousandth of it, is what GPT-2 computes.)
#
# **By hand,** at x = 1: the inner bracket is 1 + 0.044715 = 1.044715; times $\sqrt{2/\pi}$ = 0.79788 it is 0.83356; its tanh is 0.6824; and ½ · 1 · 1.6824 = 0.8412. At x = −1 the tanh is −0.6824, and −½ · 0.3176 = −0.1588.
#
# **Write `x * x * x`,** not `x**3`. It is the same number, but NumPy's general power is a slow beast. You will measure it below. For the root, `math.sqrt` gives a plain Python number;
# `np.sqrt(2 / np.pi)` would give an `np.float64`, which insists on its dtype and drags the whole computation to float64 (the door mends the dtype, not the time).
#
# (For whoever likes it fast: you know that tanh(z) = 2 σ(2z) − 1. So the soft yes-or-no, ½ (1 + tanh z), is σ(2z), which takes one exponential. It may overflow only
# where x is far to the left; there x / (1 + ∞) is the 0 that it should be, and `with np.errstate(over="ignore"):` says that you know.)

# %% tags=["exercise:gelu"]
#| export
@operation
def gelu(x):
    """Gaussian error linear unit, in its tanh form, element by element. (Hendrycks and Gimpel, 2016.)

    x: any shape; the output has the same.

    gelu(Tensor([-1, 0, 1]))  →  Tensor([-0.1588, 0., 0.8412])
    """
    ### BEGIN SOLUTION
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    with np.errstate(over="ignore"):  # far to the left it is x / inf, which is 0
        return x / (1 + np.exp(-2 * inner))  # (1 + tanh(z)) / 2 is sigmoid(2 z), and one exponential is faster
    ### END SOLUTION

# %%
# %check gelu

# %% [markdown]
# ### Four bends
#
# All four, drawn by your own code. Which of them are never negative? Which one goes *down* for a while?

# %%
import matplotlib.pyplot as plt

x = Tensor(np.linspace(-4, 4, 201))
plt.figure(figsize=(5, 2.6))
for bend in (relu, sigmoid, tanh, gelu):
    plt.plot(x.numpy(), bend(x).numpy(), label=bend.__name__)
plt.ylim(-1.2, 2.2)
plt.grid(alpha=0.3)
plt.legend()
plt.show()

# %% [markdown]
# ## 5 · Softmax
#
# Which digit is in the picture? Here a network gives ten numbers, one for each digit, as large or small as they please. They are called **logits**. What you want from
# them are ten **probabilities**: positive, and together 1. Softmax does it in two steps: exponentials make every number positive, dividing by their sum makes the sum 1.
#
# $$\mathrm{softmax}(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}}$$
#
# This is the first activation that looks at more than one number at a time: at all numbers along one **axis**. With a batch of logits of shape (64, 10), the ten stand along the last axis, and every row gets its own sum.
#
# **The trap** again: $e^{1000}$. This time there is an elegant way out. Subtract the same number c from *every* logit, and nothing changes, because $e^{-c}$ cancels:
#
# $$\frac{e^{x_i - c}}{\sum_j e^{x_j - c}} = \frac{e^{-c}\,e^{x_i}}{e^{-c}\sum_j e^{x_j}}$$
#
# Choose c as the **largest logit of the row**. Then the largest exponent is 0, no exponential exceeds 1, and the sum is at least 1, so there is no division by zero either.
#
# **By hand.** `[1, 2, 3]`: the largest is 3, so `[-2, -1, 0]`; exponentials `[0.1353, 0.3679, 1]`; their sum is 1.5032; divided: `[0.0900, 0.2447, 0.6652]`. For `[1001, 1002, 1003]` you get, digit by digit, the same.
#
# For arrays: `x.max(axis=axis, keepdims=True)` and `.sum(axis=axis, keepdims=True)`. The `keepdims=True` keeps that axis with size 1, so that broadcasting gives each row its own maximum and its own sum.
# And never change `x` itself, for it belongs to whoever called you: `x - c` makes a new array, `x -= c` would overwrite theirs.

# %% tags=["exercise:softmax"]
#| export
@operation
def softmax(x, axis=-1):
    """Probabilities from logits: exp(x) divided by its sum over `axis`. Never overflows. (Bridle, 1990.)

    x: any shape; the output has the same, and sums to 1 along `axis`.

    softmax(Tensor([1, 2, 3]))  →  Tensor([0.0900, 0.2447, 0.6652])
    """
    ### BEGIN SOLUTION
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)
    ### END SOLUTION

# %%
# %check softmax

# %% [markdown]
# ## 6 · Log-softmax
#
# To learn, a network is told how *surprised* it should be by the right answer: minus the logarithm of the probability it gave to it. So soon you will need log(softmax(x)). Why not simply write that?
#
# **By hand.** Logits `[0, 200]`. The first probability is $e^{-200} \approx 10^{-87}$. The smallest float32 is about $10^{-45}$, so it rounds to 0, and log 0 is −∞. But the true
# answer is a very ordinary number: −200. The information was there; it got lost *between* the two steps. So take the logarithm on paper, before any rounding:
#
# $$\log \mathrm{softmax}(x)_i = (x_i - c) - \log \sum_j e^{x_j - c} \qquad c = \max_j x_j$$
#
# `[1, 2, 3]` again: shifted `[-2, -1, 0]`; the log of 1.5032 is 0.4076; subtract: `[-2.4076, -1.4076, -0.4076]`. And for `[0, 200]`: shifted `[-200, 0]`, the sum is 1 + 0, its log is 0: `[-200, 0]`. Nothing is lost.

# %% tags=["exercise:log-softmax"]
#| export
@operation
def log_softmax(x, axis=-1):
    """The logarithm of softmax over `axis`, exact even where the probability itself would round to 0.

    x: any shape; the output has the same, and is never positive.

    log_softmax(Tensor([0, 200]))  →  Tensor([-200., 0.])
    """
    ### BEGIN SOLUTION
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    ### END SOLUTION

# %%
# %check log-softmax

# %% [markdown]
# ## 7 · Activations as objects
#
# In module 04 you stack the parts of a network in a list: layer, activation, layer, activation, … A list wants *objects* that can be called on a tensor. A function can be called as well, but it
# cannot remember a setting: `Softmax(axis=0)` is an object that knows its axis for good.
#
# Each class has one method, `forward`, and inherits the rest from `Activation`: calling the object calls its `forward`.
#
# **By hand.** `bend = ReLU()` makes the object, once. `bend(x)` is `bend.forward(x)`, which is `relu(x)`.

# %% tags=["given:activation-class"]
#| export
class Activation:
    """An activation as an object, so that it can stand in a list of layers. Calling it calls its `forward`."""

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"

# %% tags=["exercise:activation-modules"]
#| export
class ReLU(Activation):
    """max(0, x): ReLU()(Tensor([-1, 2]))  →  Tensor([0., 2.])"""

    def forward(self, x):
        ### BEGIN SOLUTION
        return relu(x)
        ### END SOLUTION


class Sigmoid(Activation):
    """Squeezes every number between 0 and 1."""

    def forward(self, x):
        ### BEGIN SOLUTION
        return sigmoid(x)
        ### END SOLUTION


class Tanh(Activation):
    """Squeezes every number between -1 and 1."""

    def forward(self, x):
        ### BEGIN SOLUTION
        return tanh(x)
        ### END SOLUTION


class GELU(Activation):
    """ReLU with its corner rounded."""

    def forward(self, x):
        ### BEGIN SOLUTION
        return gelu(x)
        ### END SOLUTION


class Softmax(Activation):
    """Probabilities along `axis`, which is remembered from the day the object is made: Softmax(axis=0)(x) is softmax(x, axis=0)."""

    def __init__(self, axis=-1):
        ### BEGIN SOLUTION
        self.axis = axis
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return softmax(x, axis=self.axis)
        ### END SOLUTION

# %%
# %check activation-modules

# %%
parts = [ReLU(), Tanh(), Softmax(axis=0)]
x = Tensor([-1, 0, 2])
for part in parts:
    x = part(x)
    print(f"{part!r:17} {x}")

# %% [markdown]
# ## See it: how many bends make a curve?
#
# One ReLU has one corner. Add several, each with its corner in another place and with its own slope, and you can follow any curve: the picture below is
#
# $$f(x) \approx b + \sum_k w_k\,\mathrm{relu}(x - c_k)$$
#
# Stretch, bend, stretch: this *is* a small neural network, with one hidden layer. Its numbers are worked out here by geometry (each $w_k$ is the change of slope at corner
# $c_k$). From module 06 on, networks will find theirs by themselves. Move the slider. How many bends until you no longer see the difference? Then put another activation in place of `relu`:
# does the recipe still work?

# %%
import ipywidgets


def wanted(x):
    return np.sin(2 * x) + x / 3


def draw(bends=6):
    corners = np.linspace(-3, 3, bends + 1)
    heights = wanted(corners)
    slopes = np.diff(heights) / np.diff(corners)
    weights = np.diff(slopes, prepend=0)  # how much the slope changes at each corner

    x = Tensor(np.linspace(-3, 3, 241))
    hidden = relu(x.reshape(-1, 1) - corners[:-1])  # (241, bends)
    curve = hidden @ Tensor(weights) + heights[0].item()  # (241,)

    plt.figure(figsize=(5, 2.6))
    plt.plot(x.numpy(), wanted(x.numpy()), color="silver", linewidth=5)
    plt.plot(x.numpy(), curve.numpy())
    plt.plot(corners, heights, "o", markersize=4)
    plt.title(f"{bends} × relu, largest error {np.abs(curve.numpy() - wanted(x.numpy())).max():.3f}", fontsize=10)
    plt.show()


ipywidgets.interact(draw, bends=(1, 24));

# %% [markdown]
# ## Systems: what does a bend cost?
#
# All these functions touch each number once and give back as many. Do they all cost the same? Measure nanoseconds a number, with your own `measure`.
# The last two lines settle the matter of `x * x * x` against `x**3`.

# %%
from tinytorch.setup import measure

numbers = randn(50_000, seed=4)


def nanoseconds(function):
    return measure(function, numbers, repeat=3) / numbers.size * 1e9


rows = {function.__name__: function for function in (relu, tanh, sigmoid, gelu, log_softmax, softmax)}
rows |= {"x * x * x": lambda x: x * x * x, "x**3": lambda x: x**3}
for name, function in rows.items():
    cost = nanoseconds(function)
    print(f"{name:12} {cost:7.2f} ns a number   {'█' * max(1, round(cost))}")

# %% [markdown]
# A matrix product with a (128, 128) matrix costs 128 multiplications for each number it gives out. So beside the matrix products even `gelu` is cheap, as long as
# nobody writes `x**3`.
#
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. relu(x) is 0 for every negative x, and so is its slope. Imagine a unit whose input is negative for *every* picture in the data. What will it learn, and when will that change?
# 2. softmax does not change when the same number is added to all logits. So one of the ten logits is superfluous. Show, on paper, that softmax of the two logits `[x, 0]` is `[σ(x), 1 − σ(x)]`.
# 3. Divide all logits by 10 before softmax, or multiply them by 10: what happens to the probabilities? Try it. (In module 14 this dial is called *temperature*.)
#
# **Behind the next door.** You can stretch and you can bend. But look at the slider's code: corners, weights, a height, all lying about as loose variables. A network of ten
# layers would have dozens. What is missing is something that *holds* weights, and can be stacked. That is module 04.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

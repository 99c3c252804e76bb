# %% [markdown]
# # 05 · Losses
#
# **A network answers. How wrong is the answer? Without a number, nothing can improve.**
#
# The perceptron of 1957 was told "right" or "wrong", and nothing else. Why not count the mistakes, and turn the weights until there are fewer? Run the second
# cell below: six people, their heights, and the rule "taller than the threshold means adult". The threshold wanders, and for long stretches the count *does
# not change at all*.
#
# ```text
#      mistakes                                  loss
#         │───────┐                                │╲
#         │       └───────┐       ┌─────           │ ╲                   ╱
#         │               └───────┘                │   ╲              ╱
#         │                                        │      ╲ _____ ╱
#         └─────────────────────────── weight      └─────────────────────────── weight
#            a staircase: where is down?              a slope, everywhere
# ```
#
# Stand on a step with your eyes closed: the ground is flat in every direction, and nothing tells you where to go. To improve by *small* steps you need
# something that answers small steps: a number that gets a little smaller whenever the network gets a little better. It is called the **loss**. It is the only
# thing a network is ever told about the world, and what it will become is whatever makes this number small. So it is worth choosing with care, and, as you
# will see, worth computing with care.
#
# ```text
#     14 transformers
#     13 attention   12 embeddings   11 tokenization
#     10 dataloader   09 spatial
#     08 training
#     07 autograd
#     06 optimizers
#   ▶ 05 losses          you are here: MSELoss BCELoss BCEWithLogitsLoss CrossEntropyLoss
#     04 layers          Module, Linear, Sequential
#     03 activations     sigmoid, softmax
#     02 tensor          Tensor, operation
#     01 setup           measure, array_bytes
# ```
#
# Seven exercises. `%hint squared-error` (with the exercise's own name) gives one hint at a time.

# %%
# %load_ext tinytorch_core

# %%
from tinytorch.tensor import Tensor, arange, randn, zeros

heights, adult = Tensor([1.31, 1.48, 1.57, 1.52, 1.69, 1.80]), Tensor([0, 0, 0, 1, 1, 1])
for threshold in (1.40, 1.45, 1.50, 1.51, 1.53, 1.55, 1.60, 1.65, 1.75):
    mistakes = ((heights > threshold) != adult).sum().item()
    print(f"taller than {threshold:.2f} m   {mistakes} wrong   {'█' * mistakes}")

# %% tags=["given:losses-imports"]
#| export
"""Losses: how wrong an answer is. Each first works out one loss for every answer, then makes one number of them."""

import numpy as np

from tinytorch.layers import Module
from tinytorch.tensor import operation

# %% [markdown]
# ## 1 · Squared error
#
# Where the answer is a quantity (a temperature, a price, a position), the nearest thing to hand is the difference from the truth, squared:
#
# $$\ell_i = (o_i - t_i)^2$$
#
# The square does three things. It makes too much and too little equally bad. It makes a mistake twice as large four times as bad, so the large ones are
# mended first. And it is smooth, with its lowest point where the answer is right. (Legendre published it in 1805, to find the paths of comets.)
#
# **By hand.** Outputs `[3, -1, 2]`, targets `[1, -1, 5]`: the differences are `[2, 0, -3]`, the losses `[4, 0, 9]`.
#
# **The trap.** Do you remember the question at the end of module 02? A network with one output gives a batch of shape `(3, 1)`, the targets have shape
# `(3,)`. Take three answers that are *all right*, `[[1], [2], [3]]` and `[1, 2, 3]`. Broadcasting makes a table of every answer against every target:
#
# $$\begin{pmatrix}1\\2\\3\end{pmatrix} - \begin{pmatrix}1 & 2 & 3\end{pmatrix} = \begin{pmatrix}0 & -1 & -2\\ 1 & 0 & -1\\ 2 & 1 & 0\end{pmatrix}$$
#
# The mean of its squares is 12 / 9 = 1.33, no error comes, and a network that is trained on this learns to answer the mean of all targets, always. So for
# losses there is a rule of its own: **equal shapes, or ValueError.** You write it once, as the function `check_same_shape`, and call it in three losses.
# `np.shape(a)` is the shape of an array and of a plain number.
#
# `squared_error` is an operation, as in module 02: the door takes the arrays out of the tensors before and wraps the result after. So **inside an operation
# you stay with arrays**: no `Tensor(…)`, and no functions of earlier modules that want tensors. `check_same_shape` gets arrays, too, because it is called
# inside an operation.

# %% tags=["exercise:squared-error"]
#| export
def check_same_shape(outputs, targets):
    """Refuse outputs and targets (arrays) of different shapes, even if they would broadcast.

    Returns nothing. Raises ValueError, with both shapes in its message, unless the shapes are equal.

    check_same_shape(np.ones((3, 1)), np.ones(3))  →  ValueError: outputs of shape (3, 1), but targets of shape (3,)
    """
    ### BEGIN SOLUTION
    if np.shape(outputs) != np.shape(targets):
        raise ValueError(f"outputs of shape {np.shape(outputs)}, but targets of shape {np.shape(targets)}")
    ### END SOLUTION


@operation
def squared_error(outputs, targets):
    """(outputs - targets)², element by element. (Legendre, 1805.)

    outputs, targets: any shape, the same for both, else ValueError. The losses have that shape, too.

    squared_error(Tensor([3, -1, 2]), Tensor([1, -1, 5]))  →  Tensor([4., 0., 9.])
    """
    ### BEGIN SOLUTION
    check_same_shape(outputs, targets)
    difference = outputs - targets
    return difference * difference
    ### END SOLUTION

# %%
# %check squared-error

# %% [markdown]
# ## 2 · One number for all
#
# One loss for each answer, and to improve you need *one* number. The ways to get there are called **reductions**:
#
# | `reduction` | the losses `[4, 0, 9]` become | good for |
# |---|---|---|
# | `"mean"` | 13 / 3 = 4.3333 | learning: the size of the batch does not matter |
# | `"sum"` | 13 | adding up over a whole data set |
# | `"none"` | `[4, 0, 9]`, as they are | looking for the worst answers, giving some more weight than others |
#
# **Why is the mean the usual choice?** Double the batch, and the sum of the losses doubles, and so would every step that is taken because of it. The mean
# stays where it is.
#
# So a loss has something to remember: its reduction. That makes it an object, and since it computes in `forward`, a `Module`, just like those of module 04,
# only that it has no parameters. All four losses share what is in `Loss`: the constructor, which looks at the reduction *at once* (a misspelled word should
# be told where it was written, not in the middle of the training), and `reduced`. The first loss that is finished is `MSELoss`, the **m**ean **s**quared
# **e**rror.
#
# In `reduced` and `forward` you have tensors again: `losses.mean()`, `losses.sum()`, and `squared_error(…)` go through the door by themselves. Stay with
# them: whatever is taken out as `.data` and put into a new tensor has lost its history, and nothing would ever learn from it.

# %% tags=["exercise:loss-reduction"]
#| export
class Loss(Module):
    """What all losses have in common: a reduction. A subclass writes forward(outputs, targets).

    reduction: "mean", "sum" or "none"; anything else raises ValueError here. It is kept as self.reduction.
    """

    def __init__(self, reduction="mean"):
        ### BEGIN SOLUTION
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f'reduction is "mean", "sum" or "none", not {reduction!r}')
        self.reduction = reduction
        ### END SOLUTION

    def reduced(self, losses):
        """The mean of the losses, their sum, or the losses as they are. losses: a Tensor of any shape.

        Loss("sum").reduced(Tensor([4, 0, 9]))  →  Tensor(13.)
        """
        ### BEGIN SOLUTION
        if self.reduction == "mean":
            return losses.mean()
        if self.reduction == "sum":
            return losses.sum()
        return losses
        ### END SOLUTION

    def __repr__(self):
        return f"{type(self).__name__}(reduction={self.reduction!r})"


class MSELoss(Loss):
    """The mean squared error: squared_error, reduced.

    outputs, targets: the same shape, else ValueError.

    MSELoss()(Tensor([3, -1, 2]), Tensor([1, -1, 5]))  →  Tensor(4.3333335)
    """

    def forward(self, outputs, targets):
        ### BEGIN SOLUTION
        return self.reduced(squared_error(outputs, targets))
        ### END SOLUTION

# %%
# %check loss-reduction

# %%
outputs, targets = Tensor([3, -1, 2]), Tensor([1, -1, 5])
for loss_fn in (MSELoss(), MSELoss(reduction="sum"), MSELoss(reduction="none")):
    print(loss_fn, loss_fn(outputs, targets))

# %% [markdown]
# ## 3 · Surprise
#
# Is it a cat, yes or no? The network says a probability p, straight out of a sigmoid. How wrong is `p = 0.2`, if it *is* a cat?
#
# Ask how **surprised** the network must be. One that said 0.99 is hardly surprised. One that said 0.01 was as good as certain of the opposite. The measure of
# surprise is minus the logarithm of the probability that was given to what happened:
#
# | said | 1.00 | 0.99 | 0.90 | 0.50 | 0.10 | 0.01 | 0.0001 | 0 |
# |---|---|---|---|---|---|---|---|---|
# | surprise −log p | 0 | 0.010 | 0.105 | 0.693 | 2.303 | 4.605 | 9.210 | ∞ |
#
# Certain and right costs nothing. Each further step towards certain and wrong costs more than the last, without end.
#
# And there is a good reason for *this* curve. The probability that a whole row of independent things happens is the product of their probabilities, and
# logarithms turn products into sums. So the surprises of a batch simply add up, and making their sum small is making what really happened as probable as
# possible.
#
# With the target t = 1 for yes and 0 for no, both cases fit into one line. It is called the **binary cross-entropy**:
#
# $$\ell = -\left[\,t \log p + (1 - t) \log(1 - p)\,\right]$$
#
# **By hand.** p = `[0.9, 0.2, 0.5]`, t = `[1, 1, 0]`: −log 0.9 = 0.1054; −log 0.2 = 1.6094; −log(1 − 0.5) = 0.6931.
#
# **The trap.** In float32 a sigmoid gives *exactly* 1 from about 17 on. Then log(1 − p) = log 0 = −∞, and even if the answer is right, `t = 1`, the line
# above contains 0 · (−∞), which is `nan`. PyTorch's remedy is blunt: **each of the two logarithms is limited to −100 or more.** `[1.0]` with target `[1]`:
# 1 · 0 + 0 · (−100) = 0, as it should be. (With the minus sign in front NumPy prints it as `-0.`, which is the same number.) `[0.0]` with target `[1]`:
# −(1 · (−100) + 0 · 0), a loss of 100 rather than ∞.
#
# ### Tools for it
#
# `np.maximum` limits. NumPy warns you at log 0; you know about it and mend it, so tell NumPy to be quiet: `with np.errstate(divide="ignore"):`, and the
# logarithms indented below it. (`np.log1p(-p)` is log(1 − p), and exact even for the tiniest p.)
#
# **Logits by mistake.** One more mistake is so common that it deserves a sentence: handing in *logits* where probabilities are wanted. So anything below 0 or
# above 1 raises ValueError.
#
# A comparison of an array is an array again, of True and False, and `if` can't decide on many answers at once; `np.any(…)` makes one of them: is there a True
# among them? `a | b` is "or", element by element, and each comparison beside it needs its own parentheses.

# %% tags=["exercise:binary-cross-entropy"]
#| export
@operation
def binary_cross_entropy(probabilities, targets):
    """The surprise at each yes or no: -(t log p + (1 - t) log(1 - p)), each of the two logarithms limited to at least -100. (Good, 1952.)

    probabilities: any shape, between 0 and 1, else ValueError; targets: the same shape, else ValueError (with both shapes), 1 for
    yes, 0 for no, or something in between. The losses have that shape, too.

    binary_cross_entropy(Tensor([0.9, 0.2, 0.5]), Tensor([1, 1, 0]))  →  Tensor([0.1054, 1.6094, 0.6931])
    """
    ### BEGIN SOLUTION
    check_same_shape(probabilities, targets)
    if np.any((probabilities < 0) | (probabilities > 1)):
        raise ValueError("probabilities lie between 0 and 1; for logits there is BCEWithLogitsLoss")
    with np.errstate(divide="ignore"):
        log_yes = np.maximum(np.log(probabilities), -100)
        log_no = np.maximum(np.log1p(-probabilities), -100)
    return -(targets * log_yes + (1 - targets) * log_no)
    ### END SOLUTION

# %%
# %check binary-cross-entropy

# %% [markdown]
# ## 4 · Surprise, from the logits
#
# The limit prevents the worst, but it gives wrong answers. A network is certain: its logit (the number before the sigmoid) is 20. The truth is *no*. The
# right loss is −log(1 − σ(20)) = 20.000000002. But in float32 σ(20) has rounded to 1, and so:

# %%
from tinytorch.activations import sigmoid

for logit in (10, 15, 17, 20, 1000):
    probability = sigmoid(Tensor([logit]))
    print(f"logit {logit:4}   σ = {probability.item():.9f}   loss {binary_cross_entropy(probability, Tensor([0])).item():9.4f}")

# %% [markdown]
# The losses should be 10, 15, 17, 20 and 1000. At 15 digits are lost already. At 20 the loss is five times too large, and at 1000 it is still 100, and no
# longer says in which direction it would get better.
#
# It is the story of `log_softmax` again: the information was in the logit, and got lost between two steps. So take both steps at once, on paper:
#
# $$-\log \sigma(z) = \log(1 + e^{-z}) \qquad\qquad -\log(1 - \sigma(z)) = z + \log(1 + e^{-z})$$
#
# The first weighted with t and the second with 1 − t, that is together
#
# $$z - z\,t + \log(1 + e^{-z})$$
#
# For z ≥ 0 this line is safe: $e^{-z}$ is at most 1. For z < 0 it could overflow; take out a factor, $\log(1 + e^{-z}) = -z + \log(1 + e^{z})$, and the line
# becomes $-z\,t + \log(1 + e^{z})$.
#
# Both halves in one formula, in which no exponent is ever positive:
#
# $$\ell = \max(z, 0) - z\,t + \log\left(1 + e^{-|z|}\right)$$
#
# **By hand.** z = 2, t = 1: 2 − 2 + log(1 + 0.1353) = 0.1269. z = 20, t = 0: 20 − 0 + 0.000000002 = 20. z = −1000, t = 1: 0 + 1000 + log(1 + 0) = 1000.
# Nothing overflows and nothing is lost.
#
# **In code** max(z, 0) is `np.maximum(logits, 0)`, which compares element by element (Python's `max` wants a single yes or no and fails on arrays), and |z|
# is `np.abs(logits)`. Again `np.log1p(a)` is log(1 + a), exact for tiny a. Any other way that is exact and never overflows is just as good.

# %% tags=["exercise:bce-with-logits"]
#| export
@operation
def binary_cross_entropy_with_logits(logits, targets):
    """The binary cross-entropy of sigmoid(logits), worked out in one step. Never overflows, and needs no limit.

    logits: any shape, any size; targets: the same shape, else ValueError (with both shapes), 1 for yes, 0 for no, or something
    in between. The losses have that shape, too.

    binary_cross_entropy_with_logits(Tensor([2, 20, -1000]), Tensor([1, 0, 1]))  →  Tensor([0.1269, 20., 1000.])
    """
    ### BEGIN SOLUTION
    check_same_shape(logits, targets)
    return np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))
    ### END SOLUTION

# %%
# %check bce-with-logits

# %% [markdown]
# ### The cost of a confident mistake
#
# The truth is *yes*. On the left the price of each logit: the squared error of the probability, and the surprise. Move the slider from +6 (certain and right)
# to −8 (certain and wrong), and look at the **slope**: how much cheaper would it get if the logit moved a little to the right? That slope is all a network
# has to learn from. (Here it is measured: the loss a little to the right, minus the loss a little to the left.)
#
# Where is the network most wrong, and what does squared error have to say about it there?

# %%
import ipywidgets
import matplotlib.pyplot as plt


def prices(logits):
    """What each logit costs if the truth is yes: two arrays."""
    z = Tensor(np.asarray(logits, dtype=np.float64))
    yes = z * 0 + 1
    return {"squared error": squared_error(sigmoid(z), yes).data, "cross-entropy": binary_cross_entropy_with_logits(z, yes).data}


def draw(logit=-5.0):
    line, step = np.linspace(-8, 6, 141), 1e-4
    curves, here = prices(line), prices(logit)
    left, right = prices(line - step), prices(line + step)
    figure, (price, slope) = plt.subplots(1, 2, figsize=(7.5, 2.8))
    for name in curves:
        slopes = (right[name] - left[name]) / (2 * step)
        price.plot(line, curves[name], label=name)
        price.plot(logit, here[name], "o", color="black", markersize=4)
        slope.plot(line, slopes, label=name)
        slope.plot(logit, np.interp(logit, line, slopes), "o", color="black", markersize=4)
    price.set_title(f"loss: {here['squared error']:.2f} and {here['cross-entropy']:.2f}", fontsize=10)
    slope.set_title("slope", fontsize=10)
    price.legend(fontsize=8)
    for panel in (price, slope):
        panel.set_xlabel("logit", fontsize=9)
        panel.grid(alpha=0.3)
    figure.tight_layout()
    plt.show()


ipywidgets.interact(draw, logit=(-8.0, 6.0, 0.5));

# %% [markdown]
# A squared error can't exceed 1 here, and for the worst mistakes its slope is nearly 0: it shrugs at them. The slope of the cross-entropy goes to −1 and
# stays there. (It is σ(z) − t, as simple as that; in module 07 you will see why.) So squared error is for quantities, and cross-entropy for yes and no.
#
# ## 5 · One of many: classes
#
# Which digit is it? The network gives C = 10 logits, and the truth is one of ten **classes**. How should the truth be written? As a row of ten numbers,
# `[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]` ("one-hot")? It is simpler to say `3`.
#
# So the classes have the shape of the logits *without the last axis*. A batch: logits (N, C), classes (N,). Texts: (N, T, C) and (N, T). A single row: (C,)
# and (). In general **(…, C) and (…)**, where … stands for any number of axes, also none.
#
# A class is used as an index, and indices are dangerous in NumPy, because so much is allowed. Four things go wrong all the time, and all four should be told
# at once and clearly:
#
# | the classes | what would happen | must raise |
# |---|---|---|
# | `Tensor([2, 0])`, which is float32 | you learned it in module 02: lists become floats. `Tensor(np.array([2, 0]))` are integers | `TypeError` |
# | shape (N, 1) beside logits (N, C) | a table of each against each | `ValueError` |
# | 10, of 10 classes | NumPy's own IndexError, if you are lucky | `IndexError` |
# | −1 | NumPy counts from the end, and takes class 9. No error, ever | `IndexError` |
#
# **By hand.** Logits (2, 3), so C = 3. Classes `[2, 0]` are fine. `[2, 3]`: there is no class 3. `[-1, 0]`: there is no class −1. And the shapes: logits (2,
# 5, 3) want classes (2, 5), logits (3,) want classes ().
#
# `check_classes` gets arrays, because it is called inside an operation. Integers have `dtype.kind` `"i"` or `"u"`. `(a < 0) | (a >= C)` is an array of True
# and False; `.any()` asks whether one of them is True, and an array can be indexed with it: `a[wrong]` are the wrong ones.

# %% tags=["exercise:class-targets"]
#| export
def check_classes(logits, targets):
    """Refuse targets (an array) that can't be the classes of logits (an array of shape (…, C)).

    Returns nothing. Raises
    TypeError if the targets are not integers (floats and booleans are not),
    ValueError, with both shapes in its message, if their shape is not that of the logits without the last axis,
    IndexError, naming the wrong class and C, if one of them is below 0, or C or more.

    check_classes(np.ones((2, 3)), np.array([2, 3]))  →  IndexError: there is no class 3: with 3 classes they go from 0 to 2
    """
    ### BEGIN SOLUTION
    if not isinstance(targets, np.ndarray) or targets.dtype.kind not in "iu":
        raise TypeError(f"classes are integers, such as Tensor(np.array([2, 0])), not {targets!r:.60}")
    if targets.shape != logits.shape[:-1]:
        raise ValueError(f"logits of shape {logits.shape} want classes of shape {logits.shape[:-1]}, not {targets.shape}")
    classes = logits.shape[-1]
    wrong = (targets < 0) | (targets >= classes)
    if wrong.any():
        raise IndexError(f"there is no class {targets[wrong][0]}: with {classes} classes they go from 0 to {classes - 1}")
    ### END SOLUTION

# %%
# %check class-targets

# %% [markdown]
# ## 6 · Cross-entropy
#
# The surprise again, now at one of C classes: minus the logarithm of the probability that softmax gives to the right class. That class is called t; it was 0
# or 1 before, now it is one of 0 … C − 1, and an index.
#
# $$\ell = -\log \mathrm{softmax}(z)_t = \log \sum_j e^{z_j} - z_t$$
#
# The first term is a soft way to say "the largest logit". So the loss is small when the right logit *is* the largest, by far.
#
# You know the trap, and the way out, from module 03: subtract the largest logit m of each row from all of them, **from z_t as well**. Then it cancels:
#
# $$\ell = \log \sum_j e^{z_j - m} - (z_t - m)$$
#
# **By hand.** Logits `[1, 2, 3]`: shifted `[-2, -1, 0]`; exponentials `[0.1353, 0.3679, 1]`, their sum 1.5032, its logarithm 0.4076. If the class is 2, the
# loss is 0.4076 − 0 = 0.4076; if it is 0, 0.4076 + 2 = 2.4076. And logits `[0, 200]`, class 0: shifted `[-200, 0]`, the sum is 1, and the loss 0 + 200 = 200.
# Exact, where the textbook's formula gives ∞.
#
# ### Two tools for it
#
# **One from each row.** `np.take_along_axis(table, index, axis=-1)` takes from each row of `table` the number at `index`; its `index` needs an axis for that,
# so hand it `targets[..., None]`, of shape (…, 1), and (…, 1) comes back. With `keepdims=True` in the sums everything has the shape (…, 1), and `[..., 0]` at
# the very end makes it (…).
#
# **Something for the way back.** In module 07 this operation will be asked for its slope, and it is (as with the sigmoid) simply *probabilities minus truth*.
# You have the probabilities almost in hand: the exponentials, divided by their sum. So let the engine keep them: what you write under `@operation` may return
# a pair `(array, kept)`, and here it returns `(losses, probabilities)`.
#
# The door takes the pair apart, as in module 02: **whoever calls `cross_entropy(…)` gets the losses only**, one Tensor; the second half goes to the engine.

# %% tags=["exercise:cross-entropy"]
#| export
@operation
def cross_entropy(logits, targets):
    """The surprise at each class: minus the logarithm of softmax(logits) at the class. Never overflows. (Bridle, 1990.)

    logits: (…, C), any size; targets: the classes, integers of shape (…), from 0 to C - 1; the losses have the shape (…).
    Raises what check_classes raises. Keeps the probabilities softmax(logits), (…, C), for the engine: the code below returns the pair
    (losses, probabilities), and whoever calls cross_entropy gets the losses.

    cross_entropy(Tensor([[1, 2, 3], [1, 2, 3]]), Tensor(np.array([2, 0])))  →  Tensor([0.4076, 2.4076])
    """
    ### BEGIN SOLUTION
    check_classes(logits, targets)
    shifted = logits - logits.max(axis=-1, keepdims=True)  # (…, C)
    exponentials = np.exp(shifted)
    total = exponentials.sum(axis=-1, keepdims=True)  # (…, 1)
    losses = np.log(total) - np.take_along_axis(shifted, targets[..., None], axis=-1)
    return losses[..., 0], exponentials / total
    ### END SOLUTION

# %%
# %check cross-entropy

# %% [markdown]
# ## 7 · The other three losses
#
# `MSELoss` has shown how it goes: the operation, then `self.reduced`. The constructor and `reduced` are inherited from `Loss`.
#
# | loss | wants | for |
# |---|---|---|
# | `MSELoss` | outputs and targets of one shape | quantities |
# | `BCELoss` | probabilities and targets of one shape | yes or no, after a sigmoid |
# | `BCEWithLogitsLoss` | logits and targets of one shape | yes or no, without a sigmoid: the better choice |
# | `CrossEntropyLoss` | logits (…, C) and integers (…) | one of C classes, **without** a softmax |
#
# **By hand.** `CrossEntropyLoss()` on the two rows above: (0.4076 + 2.4076) / 2 = 1.4076; with `reduction="sum"` 2.8152.

# %% tags=["exercise:loss-modules"]
#| export
class BCELoss(Loss):
    """The binary cross-entropy of probabilities: binary_cross_entropy, reduced. Errors as there.

    BCELoss()(Tensor([0.9, 0.2]), Tensor([1, 1]))  →  Tensor(0.8574)
    """

    def forward(self, probabilities, targets):
        ### BEGIN SOLUTION
        return self.reduced(binary_cross_entropy(probabilities, targets))
        ### END SOLUTION


class BCEWithLogitsLoss(Loss):
    """The binary cross-entropy of logits: binary_cross_entropy_with_logits, reduced. Errors as there.

    BCEWithLogitsLoss()(Tensor([20, -1000]), Tensor([0, 1]))  →  Tensor(510.)
    """

    def forward(self, logits, targets):
        ### BEGIN SOLUTION
        return self.reduced(binary_cross_entropy_with_logits(logits, targets))
        ### END SOLUTION


class CrossEntropyLoss(Loss):
    """The cross-entropy of logits (…, C) and classes (…): cross_entropy, reduced. Errors as there.

    CrossEntropyLoss()(Tensor([[1, 2, 3], [1, 2, 3]]), Tensor(np.array([2, 0])))  →  Tensor(1.4076)
    """

    def forward(self, logits, targets):
        ### BEGIN SOLUTION
        return self.reduced(cross_entropy(logits, targets))
        ### END SOLUTION

# %%
# %check loss-modules

# %% [markdown]
# A first use, which saves many an hour in practice. A network that has learned nothing should think all ten digits equally likely, so its loss should be
# about log 10 = 2.303. If yours begins at 11, it is *sure* of things that it can't know, and something is wrong before the training has begun: weights that
# are far too large, say. (Not every mistake shows here. One softmax too many does not: the first question below is about it.)
#
# And `reduction="none"` finds the pictures that are worst.

# %%
from tinytorch.activations import ReLU
from tinytorch.layers import Linear, Sequential

pictures, digits = randn(64, 784, seed=1), Tensor(np.random.default_rng(2).integers(0, 10, size=64))
network = Sequential(Linear(784, 128, seed=3), ReLU(), Linear(128, 10, seed=4))

losses = CrossEntropyLoss(reduction="none")(network(pictures), digits)
worst = losses.data.argsort()[:-4:-1]
print(f"log 10 = {np.log(10):.3f}, untrained: {CrossEntropyLoss()(network(pictures), digits):.3f}")
print(f"the same network, its logits 30 times as large: {CrossEntropyLoss()(network(pictures) * 30, digits):.3f}")
print(f"the worst are pictures {worst}, with {losses.data[worst].round(2)}")

# %% [markdown]
# ## See it: you are the optimizer
#
# Twelve fruits, of which some are ripe (1) and some are not (0); x is how soft they feel. The network is as small as can be: one weight and one bias, p =
# σ(w·x + b). For two numbers, *all* networks fit into one picture, in which every point is a network, and the colour its loss, worked out by your code: a
# **loss landscape**. Dark is good.
#
# The arrow is what one can *feel* with closed eyes: how fast the loss falls with w and with b, and so which way is down. Its two parts stand in the title,
# since near the goal it gets shorter than the dot. Move w and b and try to reach the lowest point. Then change the landscape:
#
# - `cross-entropy` is a bowl: from everywhere it goes down to one place. Start at w = −6, b = 4.25 and follow the arrow.
# - `squared error` has wide plateaus. Find a place that is hopelessly wrong, and where the arrow is too short to see.
# - `mistakes` is the staircase from the first page. Where is an arrow?

# %%
softness = Tensor([-2.43, -1.92, -1.54, -1.13, -0.61, -0.23, 0.14, 0.53, 0.94, 1.41, 1.83, 2.52])
ripe = Tensor([0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 1, 1])
ws, bs = np.linspace(-9, 9, 145), np.linspace(-7, 7, 113)


def landscapes(w, b):
    """The mean loss of the networks (w, b): tensors of the same shape, an axis for the fruits put behind."""
    logits = w[..., None] * softness + b[..., None]  # (…, 12)
    truth = logits * 0 + ripe  # a loss wants equal shapes
    return {
        "cross-entropy": BCEWithLogitsLoss("none")(logits, truth).mean(axis=-1).data,
        "squared error": MSELoss("none")(sigmoid(logits), truth).mean(axis=-1).data,
        "mistakes": ((logits > 0) != truth).mean(axis=-1).data,
    }


everywhere = landscapes(zeros(113, 1) + ws, zeros(1, 145) + bs[:, None])


def downhill(landscape, w, b, step=1e-3):
    """How fast the loss falls with w and with b, felt by a small step to each side."""
    around = landscapes(Tensor(w + step * np.array([-1, 1, 0, 0])), Tensor(b + step * np.array([0, 0, -1, 1])))[landscape]
    return (around[0] - around[1]) / (2 * step), (around[2] - around[3]) / (2 * step)


def draw(landscape="cross-entropy", w=-6.0, b=4.25):
    losses = everywhere[landscape]
    here = landscapes(Tensor(w), Tensor(b))[landscape].item()
    along_w, along_b = downhill(landscape, w, b)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3), gridspec_kw={"top": 0.82, "wspace": 0.25})
    left.plot(softness.numpy(), ripe.numpy(), "o", color="black", markersize=4)
    line = np.linspace(-3, 3, 100)
    left.plot(line, sigmoid(Tensor(w * line + b)).numpy())
    left.set(xlabel="softness x", xticks=(-2, 0, 2), yticks=(0, 0.5, 1))
    left.set_title("your network: is it ripe?", fontsize=10)
    picture = right.imshow(losses, extent=(-9, 9, -7, 7), origin="lower", aspect="auto", norm="log", cmap="viridis")
    figure.colorbar(picture, ticks=np.geomspace(losses.min(), losses.max(), 4), format="%.2f").minorticks_off()
    right.quiver(w, b, along_w, along_b, color="white", angles="xy", scale_units="xy", scale=0.3, width=0.012)
    right.plot(w, b, "o", color="white", markeredgecolor="black")
    right.set(xlabel="w", ylabel="b", xticks=(-8, -4, 0, 4, 8), yticks=(-6, -3, 0, 3, 6))
    right.set_title(f"{landscape}: {here:.3f}  (lowest {losses.min():.3f})\nthe arrow: {along_w:+.3f} along w, {along_b:+.3f} along b", fontsize=9)
    plt.show()


# No slider stops exactly on the edge of a stair, where a step to the other side would look like a slope
ipywidgets.interact(draw, landscape=list(everywhere), w=(-8.0, 8.0, 0.5), b=(-5.75, 5.75, 0.5));

# %% [markdown]
# ## Systems: what does care cost?
#
# Three questions:
#
# 1. Is the textbook's formula really that bad? `textbook` below is softmax and logarithm as they are printed, in float32. Logits `[0, z]`, and the class is
#    once 0 (a mistake, the larger z the worse), once 1 (right).
# 2. What is saved by writing `3` instead of `[0, 0, 0, 1, …]`? With the 50,257 "classes" of GPT-2's vocabulary, for 16 words.
# 3. How does the time of a loss grow with the batch and the number of classes?

# %%
from tinytorch.activations import log_softmax
from tinytorch.setup import measure, readable_bytes


def textbook(logits, classes):
    exponentials = np.exp(logits)
    probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return -np.log(probabilities[np.arange(len(logits)), classes])


def fastest(function, *args):
    """The shortest of 30 runs: whatever else the machine is doing can only make a run longer."""
    return min(measure(function, *args, repeat=1) for _ in range(30))


print("   z     class 0: textbook     yours     class 1: textbook     yours")
for z in (1, 50, 88, 89, 1000):
    logits, classes = Tensor([[0, z], [0, z]]), Tensor(np.array([0, 1]))
    with np.errstate(all="ignore"):
        wrong, right = textbook(logits.data, classes.data)
    yours = cross_entropy(logits, classes).data
    print(f"{z:4} {wrong:21.4f} {yours[0]:9.4f} {right:21.4f} {yours[1]:9.4f}")

words = 16
for vocabulary in (10, 1_000, 50_257):
    logits = randn(words, vocabulary, seed=1)
    classes = Tensor(np.random.default_rng(2).integers(0, vocabulary, size=words))
    one_hot = (arange(vocabulary) == classes.reshape(words, 1)) * np.float32(1)  # (16, C) of 0 and 1
    picking = fastest(cross_entropy, logits, classes)
    product = fastest(lambda: -(one_hot * log_softmax(logits)).sum(axis=-1))
    print(f"\n{vocabulary:6,} classes   integers {readable_bytes(classes.data.nbytes):>8}  {picking * 1e6:8.0f} µs", end="")
    print(f"      one-hot {readable_bytes(one_hot.data.nbytes):>8}  {product * 1e6:8.0f} µs", end="")

print("\n\nnanoseconds for each logit")
for batch in (1, 16, 256):
    row = []
    for number in (2, 10, 100, 1_000):
        logits, classes = randn(batch, number, seed=3), Tensor(np.zeros(batch, dtype=int))
        row.append(fastest(cross_entropy, logits, classes) / logits.size * 1e9)
    print(f"batch of {batch:3}   " + "   ".join(f"{number:5,} classes {ns:8.1f}" for number, ns in zip((2, 10, 100, 1_000), row)))

# %% [markdown]
# 1. From 89 on the textbook's $e^z$ has overflowed. A mistake then costs ∞, and even the *right* answer gives nan, for ∞ / ∞. One such row in a batch, and
#    the mean is nan.
# 2. One-hot rows are paid for in memory, 25,000 times as much for the vocabulary. The times lie much closer together, since most of it goes into the
#    exponentials, which both need; with ten classes the integers may even take a few microseconds more, for looking at them first.
# 3. For small batches the time goes into something else entirely: a logit of a lonely row with two classes costs thousands of times as much as one of many.
#    It is the door and a dozen calls of NumPy, whatever the size.
#
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. Somebody puts a `Softmax` at the end of the network, *and* uses `CrossEntropyLoss`. No error comes. The inputs of the second softmax then lie between 0
#    and 1. With ten classes, what is the smallest loss this network can ever reach?
# 2. One label in a thousand is wrong. Which loss suffers more from a network that is sure and right about those pictures: cross-entropy, or squared error? Is
#    that a strength or a weakness?
# 3. Both losses and mistakes can be counted on pictures that the network has never seen. Late in training, the loss there often rises while the mistakes go
#    on falling. How can that be?
#
# **Behind the next door.** You found your way down the landscape by eye, with two sliders. The digit network above has not two numbers but 101,770, and
# nobody can look at that. What you need is a rule that says, for every weight, which way and how far: the **optimizers** of module 06.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

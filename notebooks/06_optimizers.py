# %% [markdown]
# # 06 · Optimizers
#
# **You know how wrong the network is. Which weights should move, and how far?**
#
# Module 05 gave you the loss: one number that says how wrong a network is. A network that reads digits has a hundred thousand weights. Some of them should go up, some down,
# some a lot and some hardly at all, and the loss alone does not say which. You might guess: nudge all weights at random, keep the nudge if the loss has fallen, and try
# again. The first cell below does precisely that, three hundred times. It works, the way evolution works: by being very patient.
#
# A better guide is the **gradient**. For each weight it is one number, the *slope*: by how much the loss would rise if this weight rose a little. It has the shape of the
# weight, and it is kept in `weight.grad`. Once you have it, the question "which way?" is answered: against the slope. What remains is "how far?", and that question has kept
# people busy since 1847.
#
# ```text
#      loss                              The gradient is a slope. Here it is negative: to the right it goes down.
#        │ ╲                             So w should grow: a step against the sign of the slope.
#        │  ●╲                           How long a step? Too short, and you never arrive.
#        │    ╲            ╱             Too long, and you land on the other side, perhaps higher than before.
#        │      ╲        ╱
#        │        ╲____╱
#        └───────────────────── w
# ```
#
# ```text
#     14 transformers
#     13 attention   12 embeddings   11 tokenization
#     10 dataloader   09 spatial
#     08 training
#     07 autograd        … and this will find the gradients
#   ▶ 06 optimizers      you are here: SGD Adam AdamW, schedules, clipping
#     05 losses          MSELoss, CrossEntropyLoss
#     04 layers          Linear, Sequential, parameters()
#     03 activations     tanh
#     02 tensor          Tensor: .data and .grad
#     01 setup           measure, array_bytes
# ```
#
# Where do gradients come from? From pencil and paper, for now. In this module they are set by hand: `weight.grad = some_array`. That will be fun once, for two layers, and
# you will see very clearly why module 07 exists.
#
# Nine exercises. They are short: an optimizer is a few lines of arithmetic. The care is in what these lines may touch, and what they must remember.

# %%
# %load_ext tinytorch_core

# %%
import numpy as np
from tinytorch.activations import Tanh
from tinytorch.layers import Linear, Sequential
from tinytorch.losses import MSELoss
from tinytorch.tensor import Tensor, randn

# Two half-moons of points, one of them labelled +1 and the other −1
rng = np.random.default_rng(3)
angle = np.linspace(0, np.pi, 100)
upper, lower = np.stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25], 1), np.stack([0.5 - np.cos(angle), 0.25 - np.sin(angle)], 1)
points = Tensor(np.concatenate([upper, lower]) + rng.normal(0, 0.1, (200, 2)), dtype=np.float32)  # (200, 2)
sides = Tensor(np.repeat([[1.0], [-1.0]], 100, axis=0), dtype=np.float32)  # (200, 1)


def new_network():
    rng = np.random.default_rng(1)
    return Sequential(Linear(2, 16, seed=rng), Tanh(), Linear(16, 1, seed=rng))


model, loss_fn = new_network(), MSELoss()
best = first = loss_fn(model(points), sides).item()
for _ in range(300):
    before = model.state_dict()
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.1 * rng.standard_normal(parameter.shape, dtype=np.float32)
    loss = loss_fn(model(points), sides).item()
    if loss < best:
        best = loss
    else:
        model.load_state_dict(before)
print(f"loss {first:.3f}; after 300 guesses {best:.3f}")

# %% tags=["given:optimizers-imports"]
#| export
"""Optimizers: they turn gradients into steps. With them, schedules for the learning rate, and a limit for gradients that explode."""

import copy
import math

import numpy as np

from tinytorch.tensor import Tensor


def as_list(parameters):
    """The parameters in any iterable (a generator, too) as a list. TypeError for what is no tensor."""
    if isinstance(parameters, Tensor):
        raise TypeError("this is a single tensor, and its rows are no parameters: put it in brackets")
    parameters = list(parameters)
    for parameter in parameters:
        if not isinstance(parameter, Tensor):
            raise TypeError(f"parameters are tensors, and this is not one: {parameter!r}")
    return parameters


def refuse_negative(**settings):
    """ValueError that names the setting, if one of them is negative (or not a number)."""
    for name, value in settings.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, and it is {value}")

# %% [markdown]
# ## 1 · What all optimizers share
#
# Every optimizer does the same around its own few lines of arithmetic: it holds a list of parameters and a **learning rate** `lr`, and for each parameter a dictionary where
# it can remember something from one step to the next.
#
# ```text
#      optimizer.parameters   [ weight,                bias,                   … ]
#      optimizer.state        [ {"velocity": array},   {"velocity": array},    … ]       one dictionary for each parameter
#      optimizer.lr           0.1
# ```
#
# Three things to write:
#
# - `__init__` keeps the parameters as a *list*. They may come as a generator, which can be walked through only once, and an optimizer walks through them in each step.
#   (`as_list`, given above, makes the list.) An empty list is a mistake somewhere else, and a negative learning rate walks uphill: both raise ValueError.
#   (`refuse_negative(lr=lr)`, also given, does the second.)
# - `step()` calls `self.update(parameter, state)` for each parameter **that has a gradient**. `update` is what the subclasses will write. Where `.grad` is None, the
#   parameter had no part in the loss: it stays, and what is remembered of it stays, too.
# - `zero_grad()` makes every gradient None. From module 07 on gradients *add up* until someone clears them.
#
# **By hand.** Parameters `[a, b, c]` with gradients `[array, None, array]`. `step()` calls `update(a, state[0])` and `update(c, state[2])`. In Python, `zip` walks along two
# lists at once: `for parameter, state in zip(self.parameters, self.state)`.

# %% tags=["exercise:optimizer"]
#| export
class Optimizer:
    """What all optimizers share. A subclass writes update(parameter, state), which moves one parameter.

    parameters: an iterable of tensors, such as model.parameters(). lr: the learning rate; it may be changed at any time.
    ValueError if there are no parameters, or lr is negative (or nan).

    state: a list with one dictionary for each parameter, for what a subclass wants to remember.
    """

    def __init__(self, parameters, lr):
        ### BEGIN SOLUTION
        self.parameters, self.lr = as_list(parameters), lr
        if not self.parameters:
            raise ValueError("there is nothing to optimize: the list of parameters is empty")
        refuse_negative(lr=lr)
        ### END SOLUTION
        self.state = [{} for _ in self.parameters]  # given: keep this, a memory for each

    def step(self):
        """Move every parameter that has a gradient, once."""
        ### BEGIN SOLUTION
        for parameter, state in zip(self.parameters, self.state):
            if parameter.grad is not None:
                self.update(parameter, state)
        ### END SOLUTION

    def zero_grad(self):
        """Forget all gradients: .grad becomes None."""
        ### BEGIN SOLUTION
        for parameter in self.parameters:
            parameter.grad = None
        ### END SOLUTION

    # Saving and loading: the last exercise
    def state_dict(self): return optimizer_state(self)
    def load_state_dict(self, state): load_optimizer_state(self, state)

# %%
# %check optimizer

# %% [markdown]
# ## 2 · Downhill
#
# The oldest optimizer (Cauchy, 1847) takes a step against the slope, and a longer one where it is steeper:
#
# $$w \leftarrow w - \eta\, g$$
#
# where $g$ is the gradient and $\eta$ ("eta") the learning rate. When the gradient comes from a random batch of the data and not from all of it, this is called
# **stochastic gradient descent**, SGD (Robbins and Monro, 1951).
#
# **By hand.** The loss $(w - 3)^2$ has the slope $2(w - 3)$. Start at w = 0 with η = 0.1. Slope −6: w = 0 + 0.6 = 0.6. Slope −4.8: w = 1.08. Slope −3.84: w = 1.464. Each
# step goes a fifth of the way that is left. With η = 1 instead: w = 6, slope 6, w = 0, slope −6, w = 6, for ever. Beyond 1, each step lands farther away than the last. *The*
# question of training is this number.
#
# `update` below prepares a `direction`: the gradient, with two refinements that are zero for now and that you write next. Your part is the step itself. Two rules for it,
# which hold for every optimizer:
#
# - **Never write into the gradient.** `direction` may *be* the array in `parameter.grad`, and `direction *= self.lr` would spoil it. Gradients are read by others after you,
#   and sometimes two parameters share one array. `self.lr * direction` is a new array.
# - **Change the weights in place:** `parameter.data -= …`. That writes into the array that is already there, which saves memory, and *keeps its dtype*: a gradient that you
#   typed yourself is often float64, and `parameter.data = parameter.data - …` would turn the whole network into float64.

# %% tags=["exercise:sgd"]
#| export
class SGD(Optimizer):
    """Gradient descent: w ← w − lr · gradient, if you like with momentum and weight decay.

    parameters, lr: as for Optimizer. momentum, weight_decay: negative ones raise ValueError.

    weight = Tensor([1, -2]);  weight.grad = np.array([0.5, -1.0]);  SGD([weight], lr=0.1).step();  weight  →  Tensor([ 0.95, -1.9 ])
    """

    def __init__(self, parameters, lr, momentum=0, weight_decay=0):
        super().__init__(parameters, lr)
        refuse_negative(momentum=momentum, weight_decay=weight_decay)
        self.momentum, self.weight_decay = momentum, weight_decay
        if momentum:
            for parameter, state in zip(self.parameters, self.state):
                state["velocity"] = np.zeros_like(parameter.data)

    def update(self, parameter, state):
        direction = parameter.grad
        if self.weight_decay:
            direction = with_weight_decay(direction, parameter.data, self.weight_decay)
        if self.momentum:
            direction = with_momentum(direction, state["velocity"], self.momentum)
        ### BEGIN SOLUTION
        parameter.data -= self.lr * direction
        ### END SOLUTION

# %%
# %check sgd

# %% [markdown]
# Your optimizer against the parabola from above. The gradient is set by hand, before each step.

# %%
for lr in (0.01, 0.1, 0.9, 1.0, 1.1):
    w = Tensor([0.0])
    optimizer = SGD([w], lr=lr)
    path = [w.item()]
    for _ in range(8):
        w.grad = 2 * (w.data - 3)
        optimizer.step()
        path.append(w.item())
    print(f"lr {lr:4}   " + " ".join(f"{value:6.2f}" for value in path))

# %% [markdown]
# ## 3 · Momentum
#
# Losses are rarely as round as a parabola. Most are long valleys: steep across, almost flat along. A rate that is short enough for the steep direction is far too short for
# the flat one, and the path zigzags from wall to wall while it hardly moves forward.
#
# ```text
#       without                            with momentum
#      ╲                                   ╲
#       ╲╱╲╱╲╱╲╱╲╱╲╱╲ …      ★              ╲╱╲_╱‾───────────── ★
# ```
#
# A heavy ball rolls differently. It has a **velocity**: across the valley the pushes alternate and cancel, along the valley they add up. (Polyak, 1964.) As in PyTorch:
#
# $$v \leftarrow \mu\, v + g \qquad\qquad w \leftarrow w - \eta\, v$$
#
# with the momentum $\mu$ often 0.9, and v = 0 before the first step, so that the first velocity is the first gradient.
#
# **By hand,** with μ = 0.9. Pushes that agree, 1, 1, 1, …: v is 1, then 0.9 + 1 = 1.9, then 1.71 + 1 = 2.71, and in the end 10. The step is ten times as long. Pushes that
# alternate, 1, −1, 1, …: 1, then 0.9 − 1 = −0.1, then −0.09 + 1 = 0.91, and in the end about ±0.53. The step is half as long.
#
# The velocity has to outlive the step. It is an array in the state of each parameter, made once in `__init__` above; so change *that array*, in place. (What is it that
# `velocity = momentum * velocity + gradient` changes?)

# %% tags=["exercise:momentum"]
#| export
def with_momentum(gradient, velocity, momentum):
    """velocity becomes momentum · velocity + gradient, in place, and is returned. The gradient stays as it is.

    gradient, velocity: arrays of one shape. The velocity keeps its dtype.

    velocity = np.array([1.0]);  with_momentum(np.array([1.0]), velocity, 0.9);  velocity  →  array([1.9])
    """
    ### BEGIN SOLUTION
    velocity *= momentum
    velocity += gradient
    return velocity
    ### END SOLUTION

# %%
# %check momentum

# %% [markdown]
# ## 4 · Weight decay
#
# A network with many weights can learn its examples by heart, and often does so with very large weights that balance each other. A remedy: let every weight pull itself
# towards zero, all the time, a little. Only weights that are really needed will stand against it.
#
# On paper one adds $\tfrac{\lambda}{2}\sum w^2$ to the loss. Its slope is $\lambda w$, and that is all an optimizer needs:
#
# $$g' = g + \lambda\, w$$
#
# **By hand.** w = 2, g = 0.5, λ = 0.1: g′ = 0.5 + 0.2 = 0.7. With η = 0.1 the new w is 1.93; without the decay it would be 1.95. A weight without any gradient, g = 0,
# shrinks by the factor 1 − ηλ = 0.99 in each step.
#
# Return a *new* array. Written into `.grad`, the decay would be there twice when somebody calls `step()` a second time, and whoever looks at the gradient would see something
# that is not the gradient of the loss.

# %% tags=["exercise:weight-decay"]
#| export
def with_weight_decay(gradient, weights, weight_decay):
    """The gradient with a pull towards zero: gradient + weight_decay · weights, a new array.

    gradient, weights: arrays of one shape; both stay as they are. weight_decay: a number.

    with_weight_decay(np.array([0.5]), np.array([2.0]), 0.1)  →  array([0.7])
    """
    ### BEGIN SOLUTION
    return gradient + weight_decay * weights
    ### END SOLUTION

# %%
# %check weight-decay

# %% [markdown]
# ## 5 · Adam
#
# One learning rate for all weights? In a network some slopes are a thousand times as steep as others: first layers against last ones, frequent words against rare ones.
# **Adam** gives each weight its own step length. It watches two things about each weight's gradient:
#
# - $m$, its average: *which way, on the whole?*
# - $v$, the average of its square: *how large is it, as a rule?*
#
# The step is the one divided by the root of the other, $m / \sqrt{v}$, times η. A weight whose slope is always 0.001 moves as fast as one whose slope is always 1000: about
# η a step. A weight whose slope flickers between plus and minus hardly moves at all. (Kingma and Ba, 2015.)
#
# **A moving average** forgets slowly. Keep a share β of the old and add a share 1 − β of the new:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad\qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
#
# **The trap.** Both begin at zero, and so they are too small in the beginning. After t steps, the shares of all gradients so far add up to $1 - \beta^t$, not to 1. So divide by that:
#
# $$\hat m = \frac{m}{1 - \beta_1^{\,t}} \qquad \hat v = \frac{v}{1 - \beta_2^{\,t}} \qquad\qquad w \leftarrow w - \eta\,\frac{\hat m}{\sqrt{\hat v} + \epsilon}$$
#
# The hats are for this one step: what is *remembered* is m and v, uncorrected. The little ε keeps the division sound where every gradient so far was zero; note that it
# stands *outside* the root.
#
# **By hand,** with β₁ = 0.9, β₂ = 0.999. First gradient 3:  m = 0.3, v = 0.001 · 9 = 0.009. Corrected: 0.3 / 0.1 = 3, and 0.009 / 0.001 = 9, whose root is 3. The step is η ·
# 3 / 3 = η. (Without the correction it would be η · 0.3 / 0.0949, more than three times as long.) Second gradient −1:  m = 0.27 − 0.1 = 0.17, corrected 0.17 / 0.19 = 0.895;
# v = 0.008991 + 0.001 = 0.009991, corrected 0.009991 / 0.001999 = 4.998, whose root is 2.236. The step is 0.400 η: the two gradients disagree.
#
# `state` holds `"first"` (m) and `"second"` (v), arrays of zeros to begin with, and `"steps"`, a Python number: the t of *this* parameter, to be increased first. `math.sqrt`
# is for numbers, `np.sqrt` for arrays.
#
# **Speed.** Adam is one of the few places where an optimizer costs time, because it walks over so many arrays. Update the averages in place; and once
# `root = np.sqrt(second)` is an array of your own, `root /= …` and `root += …` need no further memory.

# %% tags=["exercise:adam"]
#| export
def moving_average(average, new, beta):
    """average becomes beta · average + (1 − beta) · new, in place. `new` stays as it is.

    average, new: arrays of one shape. beta: the share of the old that is kept, in [0, 1).

    average = np.array([1.0]);  moving_average(average, np.array([2.0]), 0.9);  average  →  array([1.1])
    """
    ### BEGIN SOLUTION
    average *= beta
    average += (1 - beta) * new
    ### END SOLUTION


class Adam(Optimizer):
    """Steps of about lr for each weight, whatever the size of its gradient. (Kingma and Ba, 2015.)

    betas: how slowly the two averages forget. eps: added to the root. weight_decay: as in SGD, added to the gradient.
    ValueError for negative settings, and for betas outside [0, 1).
    """

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0):
        super().__init__(parameters, lr)
        refuse_negative(eps=eps, weight_decay=weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are shares in [0, 1), and they are {betas}")
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        for parameter, state in zip(self.parameters, self.state):
            state["first"] = np.zeros_like(parameter.data)
            state["second"] = np.zeros_like(parameter.data)
            state["steps"] = 0

    def update(self, parameter, state):
        gradient = parameter.grad
        if self.weight_decay:
            gradient = with_weight_decay(gradient, parameter.data, self.weight_decay)
        self.adapt(parameter, gradient, state)

    def adapt(self, parameter, gradient, state):
        """One step of the formula above, for this gradient. Changes parameter.data and `state`, in place."""
        (beta1, beta2), first, second = self.betas, state["first"], state["second"]
        ### BEGIN SOLUTION
        state["steps"] += 1
        moving_average(first, gradient, beta1)
        moving_average(second, gradient * gradient, beta2)
        rate = self.lr / (1 - beta1 ** state["steps"])
        root = np.sqrt(second)
        root /= math.sqrt(1 - beta2 ** state["steps"])
        root += self.eps
        parameter.data -= rate * first / root
        ### END SOLUTION

# %%
# %check adam

# %% [markdown]
# Two weights, one with slopes a million times as steep as the other. How far do they get in five steps?

# %%
for optimizer_class in (SGD, Adam):
    w = Tensor([0.0, 0.0])
    optimizer = optimizer_class([w], lr=0.1)
    for _ in range(5):
        w.grad = np.array([1000.0, 0.001])
        optimizer.step()
    print(f"{optimizer_class.__name__:5} " + " ".join(f"{value:10.4f}" for value in w.numpy()))

# %% [markdown]
# ## 6 · AdamW
#
# Weight decay and Adam do not get along, and for years hardly anybody noticed. Adam divides by the size of the gradients, and the decay was *added to the gradient*: so it is
# divided, too. A weight with large gradients hardly decays at all, just when it should. The cure is to keep the two apart (*decoupled* weight decay; Loshchilov and Hutter,
# 2019): first shrink the weight, then let Adam work on the gradient alone.
#
# $$w \leftarrow (1 - \eta\lambda)\, w \qquad\text{then Adam's step with } g$$
#
# **By hand.** w = 2, η = 0.1, λ = 0.1, and the first gradient is 3. Shrink: 2 · 0.99 = 1.98. Adam's first step is η: w = 1.88.
#
# Most transformers are trained with it. `adapt` from above takes the gradient that you give it; what about the decay that `Adam.update` adds?

# %% tags=["exercise:adamw"]
#| export
class AdamW(Adam):
    """Adam with decoupled weight decay: the weights shrink by lr · weight_decay, and the gradient knows nothing of it.

    A parameter without a gradient stays as it is, as in every optimizer. (Loshchilov and Hutter, 2019.)
    """

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def update(self, parameter, state):
        ### BEGIN SOLUTION
        parameter.data *= 1 - self.lr * self.weight_decay
        self.adapt(parameter, parameter.grad, state)
        ### END SOLUTION

# %%
# %check adamw

# %% [markdown]
# Three weights, all 1, none of which the loss cares about: their slopes are noise around zero, but of different strength. All should decay alike, from 1
# towards (1 − 0.01 · 0.5)³⁰⁰ = 0.22, and the noise may add a little.

# %%
for optimizer_class in (Adam, AdamW):
    w, noise = Tensor([1.0, 1.0, 1.0]), np.random.default_rng(2)
    optimizer = optimizer_class([w], lr=0.01, weight_decay=0.5)
    for _ in range(300):
        w.grad = noise.choice([-1, 1]) * np.array([0.1, 1.0, 10.0])
        optimizer.step()
    print(f"{optimizer_class.__name__:5} {w.numpy().round(3)}")

# %% [markdown]
# With AdamW the three agree: all have decayed, and the noise, divided by its own size, has moved them by the same 0.08. With Adam the strong noise has all but switched the
# decay off (0.75 is left), and the weak one has let it through many times over.
#
# ## 7 · Schedules
#
# Far from the goal long steps are good; close to it they overshoot. So one begins with a large learning rate and lowers it on the way. A **scheduler** holds an optimizer and
# turns its `lr`: after n calls of `step()` (one for each epoch, usually), the rate is a function of n, and of the rate at which it began.
#
# | | rate after n steps | |
# |---|---|---|
# | `StepLR` | $\eta_0 \, \gamma^{\lfloor n / s \rfloor}$ | a staircase: after every s steps, times γ |
# | `CosineAnnealingLR` | $\eta_{min} + \tfrac12 (\eta_0 - \eta_{min}) \left(1 + \cos \frac{\pi n}{T}\right)$ | gently from η₀ down to η_min, which it reaches at n = T |
#
# **By hand.** η₀ = 0.8, s = 3, γ = 0.5: for n = 0, 1, 2 the rate is 0.8, for n = 3, 4, 5 it is 0.4, for n = 6 it is 0.2. The cosine with η₀ = 0.8, η_min = 0, T = 4: at n =
# 0, ½ · 0.8 · 2 = 0.8; at n = 1, 0.4 · (1 + 0.7071) = 0.683; at 2, 0.4; at 3, 0.117; at 4, 0. (Loshchilov and Hutter, 2017. Beyond T the cosine rises again, here as in
# PyTorch.)
#
# The class `Scheduler` is given: it counts, it remembers η₀ as `self.initial_lr`, and it asks `rate(n)`, which is your part. In Python `n // s` is the division without
# remainder, ⌊n / s⌋.

# %% tags=["given:scheduler-class"]
#| export
class Scheduler:
    """Turns the learning rate of an optimizer: after n calls of step() it is rate(n). A subclass writes rate."""

    def __init__(self, optimizer):
        self.optimizer, self.initial_lr, self.steps = optimizer, optimizer.lr, 0

    def step(self):
        self.steps += 1
        self.optimizer.lr = self.rate(self.steps)

    def state_dict(self):
        return {"steps": self.steps, "initial_lr": self.initial_lr}

    def load_state_dict(self, state):
        if {name: np.shape(value) for name, value in state.items()} != {"steps": (), "initial_lr": ()}:
            raise ValueError(f"the state of a scheduler has two numbers, steps and initial_lr; this one has {sorted(state)}")
        self.steps, self.initial_lr = int(state["steps"]), float(state["initial_lr"])

# %% tags=["exercise:schedules"]
#| export
class StepLR(Scheduler):
    """A staircase: every `step_size` steps, the rate is multiplied by `gamma`. ValueError if step_size is below 1.

    StepLR(optimizer, step_size=3, gamma=0.5), with lr 0.8 to begin with  →  0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, …
    """

    def __init__(self, optimizer, step_size, gamma=0.1):
        super().__init__(optimizer)
        if not step_size >= 1:
            raise ValueError(f"step_size is at least 1, not {step_size}")
        self.step_size, self.gamma = step_size, gamma

    def rate(self, n):
        """The learning rate after n steps."""
        ### BEGIN SOLUTION
        return self.initial_lr * self.gamma ** (n // self.step_size)
        ### END SOLUTION


class CosineAnnealingLR(Scheduler):
    """Half a cosine: from the rate of the beginning gently down to `eta_min`, reached after `T_max` steps. ValueError if T_max is below 1.

    CosineAnnealingLR(optimizer, T_max=4), with lr 0.8 to begin with  →  0.8, 0.683, 0.4, 0.117, 0.0
    """

    def __init__(self, optimizer, T_max, eta_min=0.0):
        super().__init__(optimizer)
        if not T_max >= 1:
            raise ValueError(f"T_max is at least 1, not {T_max}")
        self.T_max, self.eta_min = T_max, eta_min

    def rate(self, n):
        """The learning rate after n steps."""
        ### BEGIN SOLUTION
        height = (1 + math.cos(math.pi * n / self.T_max)) / 2  # from 1 down to 0
        return self.eta_min + (self.initial_lr - self.eta_min) * height
        ### END SOLUTION

# %%
# %check schedules

# %%
import matplotlib.pyplot as plt


def rates(make_scheduler, steps=60):
    optimizer = SGD([Tensor([0.0])], lr=0.1)
    scheduler, rates = make_scheduler(optimizer), [optimizer.lr]
    for _ in range(steps):
        scheduler.step()
        rates.append(optimizer.lr)
    return rates


plt.figure(figsize=(5, 2.2))
plt.plot(rates(lambda optimizer: StepLR(optimizer, step_size=20, gamma=0.3)), label="StepLR(20, 0.3)", drawstyle="steps-post")
plt.plot(rates(lambda optimizer: StepLR(optimizer, step_size=1, gamma=0.94)), label="StepLR(1, 0.94)")
plt.plot(rates(lambda optimizer: CosineAnnealingLR(optimizer, T_max=60, eta_min=0.005)), label="CosineAnnealingLR(60, 0.005)")
plt.xlabel("epoch")
plt.ylabel("learning rate")
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## 8 · Clipping
#
# Now and then the path comes to a cliff: one gradient is a thousand times as large as all others, and a single step throws away what a day of training has found. Deep
# networks, and above all those that read long texts, are known for it. The remedy is blunt: look at *all* gradients together, as one long vector, and if it is longer than
# allowed, shorten it. The direction stays.
#
# $$\text{norm} = \sqrt{\sum_{\text{parameters}} \sum_i g_i^2} \qquad\qquad g \leftarrow g \cdot \frac{\text{max}}{\text{norm}} \quad\text{if norm} > \text{max}$$
#
# **By hand.** Gradients `[3, 0]` and `[4]`: the norm is $\sqrt{9 + 16} = 5$. With max 1, all are multiplied by 0.2: `[0.6, 0]` and `[0.8]`. With max 10 nothing happens.
# Clipping each parameter by itself would give `[1, 0]` and `[1]`: another direction.
#
# The rule from exercise 2 holds here, too: **never write into a gradient array.** Two parameters may share one, and `*=` would shorten it twice. Put a new array in its place:
# `parameter.grad = parameter.grad * scale`.
#
# `np.linalg.norm(array)` is the root of the sum of squares of one array, and `math.hypot(3, 4, 12)` that of any number of numbers: 13. A star hands it those of a list,
# `math.hypot(*norms)`, and of an empty list it makes 0.0. The norm that you return is a Python float; `math.hypot` gives one, `np.linalg.norm` gives a NumPy scalar. (Pascanu,
# Mikolov and Bengio, 2013.)

# %% tags=["exercise:clip-grad-norm"]
#| export
def clip_grad_norm(parameters, max_norm):
    """Shorten all gradients by one common factor, so that together their norm is at most max_norm. (PyTorch: clip_grad_norm_.)

    parameters: an iterable of tensors; those without a gradient do not count. max_norm: ValueError if negative.
    Returns the norm before clipping, a Python float; 0.0 if there is no gradient at all. Gradient arrays are replaced, not changed.

    a.grad, b.grad = np.array([3.0, 0.0]), np.array([4.0]);  clip_grad_norm([a, b], 1.0)  →  5.0, and then a.grad is [0.6, 0.0], b.grad is [0.8]
    """
    parameters = as_list(parameters)
    refuse_negative(max_norm=max_norm)
    ### BEGIN SOLUTION
    learning = [parameter for parameter in parameters if parameter.grad is not None]
    norm = math.hypot(*(np.linalg.norm(parameter.grad) for parameter in learning))
    if norm > max_norm:
        for parameter in learning:
            parameter.grad = parameter.grad * (max_norm / norm)
    return norm
    ### END SOLUTION

# %%
# %check clip-grad-norm

# %% [markdown]
# ## 9 · Saving
#
# Training stops: the machine is needed, the power fails, the night is over. Next morning you load the weights and go on, and the loss jumps. Why? The weights were saved, but
# Adam's averages were not: it begins anew with zeros, and with t = 0.
#
# So an optimizer gives out its state as a module does (module 04): a flat dictionary, with copies of the arrays. The name of an entry is the *number* of the parameter, a
# dot, and the name in its dictionary.
#
# ```text
#      optimizer.state      [ {"first": array, "second": array, "steps": 7},  {…} ]
#      state_dict()         { "lr": 0.001,  "0.first": array,  "0.second": array,  "0.steps": 7,  "1.first": array,  … }
# ```
#
# The rules for loading are those of module 04. If a name is missing or unknown, or a shape differs, then this is the state of another optimizer: ValueError, and *nothing*
# has changed. Copies come in, in the dtype of the array that is there. One thing is new: a file keeps numbers as arrays of shape `()`, so `"lr"` and `"0.steps"` may come
# back as such; `float(…)` and `int(…)` make Python numbers of either.
#
# **By hand.** `SGD([w], lr=0.1)` gives `{"lr": 0.1}`: it remembers nothing. `SGD([w], lr=0.1, momentum=0.9)` gives `{"lr": 0.1, "0.velocity": array}`. Loading the first into
# the second: `"0.velocity"` is missing, ValueError.
#
# `copy.copy(value)` copies an array, and leaves a number a number. `np.shape(value)` is the shape of an array, and `()` for a number; but an array, too, may have the shape
# `()`, if a parameter is a single number. So ask `isinstance(value, np.ndarray)` whether something *is* an array. `value[...] = other` writes all numbers of `other` into
# the array `value`, whatever its shape.

# %% tags=["exercise:optimizer-state"]
#| export
def optimizer_state(optimizer):
    """All that the optimizer remembers: a dict with "lr", and "<number>.<name>" for each entry of optimizer.state. The arrays are copies.

    optimizer_state(SGD([w], lr=0.1, momentum=0.9))  →  {"lr": 0.1, "0.velocity": array of zeros}
    """
    ### BEGIN SOLUTION
    state = {"lr": optimizer.lr}
    for number, memory in enumerate(optimizer.state):
        for name, value in memory.items():
            state[f"{number}.{name}"] = copy.copy(value)
    return state
    ### END SOLUTION


def load_optimizer_state(optimizer, state):
    """Take in what the state_dict of an equal optimizer has given out. Copies the arrays, keeps the dtypes; numbers become Python numbers.

    ValueError, and nothing is changed, if a name is missing or unknown, or a shape differs.
    """
    ### BEGIN SOLUTION
    own = optimizer_state(optimizer)
    if own.keys() != set(state):
        missing, unknown = sorted(own.keys() - set(state)), sorted(set(state) - own.keys())
        raise ValueError(f"this is the state of another optimizer: missing {missing}, unknown {unknown}")
    for name, value in own.items():
        if np.shape(state[name]) != np.shape(value):
            raise ValueError(f"{name} has shape {np.shape(value)} here and {np.shape(state[name])} in the given state")
    optimizer.lr = float(state["lr"])
    for number, memory in enumerate(optimizer.state):
        for name, value in memory.items():
            if isinstance(value, np.ndarray):
                value[...] = state[f"{number}.{name}"]
            else:
                memory[name] = int(state[f"{number}.{name}"])
    ### END SOLUTION

# %%
# %check optimizer-state

# %% [markdown]
# ## See it: a race
#
# A loss with two weights is a landscape, and one can watch. Three of your optimizers start at the same place, and go for the star. The landscapes are given as pairs of
# functions, the loss and its gradient, which somebody has worked out by hand (do check one of them):
#
# - **valley:** bent a hundred times as strongly across as along;
# - **Rosenbrock's banana** (1960), a bent valley: finding it is easy, following it is not;
# - **Beale's plain,** with cliffs at its edge.
#
# Each landscape comes with three rates that suit it. The sliders multiply them: ×2 is twice as long a step, and the legend shows the product. Where a path leaves the picture
# for good, its optimizer has jumped off a cliff. Questions to play with: how large may each rate be in the valley? Which optimizer forgives the most? With a momentum of
# 0.99, what happens at the star?

# %%
import ipywidgets

LANDSCAPES = {  # loss, gradient, start, goal, what the picture shows (left, right, bottom, top), rates for SGD, momentum, Adam
    "valley": (
        lambda x, y: (x**2 + 100 * y**2) / 20,
        lambda x, y: [x / 10, 10 * y],
        (-4, 1.2), (0, 0), (-5, 3, -1.6, 1.6), (0.18, 0.05, 0.2),
    ),
    "Rosenbrock": (
        lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
        lambda x, y: [-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)],
        (-1.2, 1), (1, 1), (-1.8, 1.6, -0.6, 2.2), (0.002, 0.0015, 0.3),
    ),
    "Beale": (
        lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
        lambda x, y: [
            2 * (1.5 - x + x * y) * (y - 1) + 2 * (2.25 - x + x * y**2) * (y**2 - 1) + 2 * (2.625 - x + x * y**3) * (y**3 - 1),
            2 * (1.5 - x + x * y) * x + 4 * (2.25 - x + x * y**2) * x * y + 6 * (2.625 - x + x * y**3) * x * y**2,
        ],
        (1, 1.5), (3, 0.5), (-0.5, 4.2, -2.2, 2), (0.01, 0.005, 0.1),
    ),
}  # fmt: skip


def walk(optimizer, gradient, steps, frame):
    """Where the optimizer's only parameter, a point, has been. It ends where it leaves the frame by far."""
    (point,), (left, right, bottom, top) = optimizer.parameters, frame
    path = [point.data.copy()]
    for _ in range(steps):
        point.grad = np.array(gradient(*point.data))
        optimizer.step()
        path.append(point.data.copy())
        if not (2 * left - 2 < point.data[0] < 2 * right + 2 and 2 * bottom - 2 < point.data[1] < 2 * top + 2):
            break
    return np.array(path).T  # (2, steps + 1)


def race(landscape="valley", sgd=1.0, heavy=1.0, momentum=0.9, adam=1.0, steps=400):
    loss, gradient, start, goal, frame, rates = LANDSCAPES[landscape]
    sgd, heavy, adam = (factor * rate for factor, rate in zip((sgd, heavy, adam), rates))
    racers = {
        f"SGD, {sgd:.2g}": lambda parameters: SGD(parameters, lr=sgd),
        f"momentum, {heavy:.2g}": lambda parameters: SGD(parameters, lr=heavy, momentum=momentum),
        f"Adam, {adam:.2g}": lambda parameters: Adam(parameters, lr=adam),
    }
    x, y = np.meshgrid(np.linspace(*frame[:2], 80), np.linspace(*frame[2:], 80))
    figure, (land, curve) = plt.subplots(1, 2, figsize=(8, 3.3), width_ratios=(3, 2), layout="constrained")
    land.contour(x, y, np.log10(loss(x, y) + 0.01), levels=16, cmap="Greys", linewidths=0.7)
    for name, make in racers.items():
        path = walk(make([Tensor(start)]), gradient, steps, frame)
        land.plot(*path, ".-", markersize=3, linewidth=1, label=name)
        curve.plot(loss(*path.astype(np.float64)))
    land.plot(*goal, "*", color="gold", markersize=14, markeredgecolor="black")
    land.set(xlim=frame[:2], ylim=frame[2:], title=landscape)
    curve.set(yscale="log", xlabel="step", title="loss", ylim=(1e-6, 10 * loss(*start)))
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    plt.show()


def times(of):
    return ipywidgets.FloatLogSlider(value=1, min=-1.5, max=1.5, step=0.05, readout_format=".2f", description=f"{of} ×")


ipywidgets.interact(
    race,
    landscape=list(LANDSCAPES), sgd=times("SGD"), heavy=times("momentum"), momentum=(0.0, 0.99, 0.01), adam=times("Adam"), steps=(10, 600, 10),
);

# %% [markdown]
# ## A network learns, and somebody had to do the work
#
# Back to the half-moons and the 65 weights. To set their gradients, somebody has to derive the loss with respect to every one of them, on paper. For *this* network it has
# been done. The hidden numbers are $h = \tanh(xW_1^{\mathsf T} + b_1)$, the outputs $o = hW_2^{\mathsf T} + b_2$, and the loss $L$ is the mean of $(o - t)^2$ over N points.
# The chain rule goes from the loss backwards, one step at a time. It is enough to see that there are many:
#
# | | |
# |---|---|
# | the slope at the outputs | $s = \tfrac{2}{N}(o - t)$ |
# | so the gradient of the last weights is | $s^{\mathsf T} h$ |
# | the slope at the hidden numbers | $s\,W_2$ |
# | before the tanh | $s\,W_2 \cdot (1 - h^2)$ |
# | so the gradient of the first weights is | $\left(s\,W_2 \cdot (1 - h^2)\right)^{\mathsf T} x$ |
#
# Those are the lines of `set_gradients` below. They fit this network and no other. Follow them as far as you care to, then look at what 400 steps do. (The dashed line is
# where the 300 guesses ended. Guessing gets hopeless fast: here there are 65 weights to be right at the same time, and a network for digits has 101,770.)

# %%
def set_gradients(model, points, targets):
    """Backward through Linear, Tanh, Linear and MSELoss, by hand."""
    first, bend, last = model
    hidden = bend(first(points)).data  # (N, 16)
    slope = 2 * (last(Tensor(hidden)).data - targets.data) / len(targets)  # (N, 1)
    last.weight.grad = slope.T @ hidden  # (1, 16)
    last.bias.grad = slope.sum(axis=0)
    slope = (slope @ last.weight.data) * (1 - hidden * hidden)  # (N, 16)
    first.weight.grad = slope.T @ points.data  # (16, 2)
    first.bias.grad = slope.sum(axis=0)


def learn(optimizer, model, steps=400):
    losses = []
    for _ in range(steps):
        losses.append(loss_fn(model(points), sides).item())
        set_gradients(model, points, sides)
        optimizer.step()
    return losses


racers = {
    "SGD": lambda parameters: SGD(parameters, lr=0.2),
    "momentum": lambda parameters: SGD(parameters, lr=0.2, momentum=0.9),
    "Adam": lambda parameters: Adam(parameters, lr=0.05),
}
line = np.linspace(-2, 2, 60)
square = Tensor(np.stack(np.meshgrid(line, line), axis=-1), dtype=np.float32)  # (60, 60, 2)

figure, (curve, *pictures) = plt.subplots(1, 4, figsize=(10, 2.6), width_ratios=(1.4, 1, 1, 1))
for picture, (name, make) in zip(pictures, racers.items()):
    model = new_network()
    curve.plot(learn(make(model.parameters()), model), label=name)
    picture.imshow(model(square).numpy()[..., 0], extent=(-2, 2, -2, 2), origin="lower", cmap="coolwarm", vmin=-1.5, vmax=1.5)
    picture.scatter(*points.numpy().T, c=sides.numpy()[:, 0], cmap="coolwarm", s=6, edgecolors="white", linewidths=0.3)
    picture.set(title=name, xticks=[], yticks=[])
curve.axhline(best, color="silver", linestyle="--", label="300 guesses")
curve.set(yscale="log", xlabel="step", title="loss", ylim=(0.01, None))
curve.legend(fontsize=8, loc="lower left")
plt.show()

# %% [markdown]
# ## Systems: what does remembering cost?
#
# 1. How much memory does each optimizer hold, beside the weights and their gradients? Count it from the arrays that are really there.
# 2. How long does one step take, and how does that grow with the number of weights?

# %%
from tinytorch.setup import array_bytes, measure, readable_bytes

OPTIMIZERS = {
    "SGD": lambda parameters: SGD(parameters, lr=0.01),
    "SGD, momentum": lambda parameters: SGD(parameters, lr=0.01, momentum=0.9),
    "Adam": lambda parameters: Adam(parameters),
    "AdamW": lambda parameters: AdamW(parameters),
}


def memory(arrays):
    return sum(array_bytes(array.shape, array.dtype) for array in arrays)


parameters = Sequential(Linear(784, 128, seed=1), Tanh(), Linear(128, 10, seed=2)).parameters()
weights = memory(parameter.data for parameter in parameters)
print(f"{sum(p.size for p in parameters):,} weights take {readable_bytes(weights)}\n")
for name, make in OPTIMIZERS.items():
    state = memory(value for value in make(parameters).state_dict().values() if isinstance(value, np.ndarray))
    print(f"{name:14} remembers {readable_bytes(state):>10}   {state / weights:3.1f} × the weights   {'█' * round(10 * state / weights)}")

# %%
sizes = [10, 100, 1_000, 10_000, 100_000, 500_000]
plt.figure(figsize=(5, 2.6))
for name, make in OPTIMIZERS.items():
    seconds = []
    for size in sizes:
        weight = randn(size, seed=4)
        weight.grad = randn(size, seed=5).data
        seconds.append(measure(make([weight]).step) * 1e6)
    plt.loglog(sizes, seconds, "o-", markersize=3, label=name)
    print(f"{name:14} {seconds[0]:6.1f} µs for {sizes[0]} weights, {seconds[-1]:7.1f} µs for {sizes[-1]:,}: {seconds[-1] / sizes[-1] * 1e3:5.2f} ns a weight")
plt.xlabel("weights")
plt.ylabel("µs a step")
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# The flat part on the left is the same as in module 01: getting ready. A network with many tiny parameters pays it for each of them. On the right Adam takes about ten
# times as long as SGD (how many on your machine?): it walks over the arrays of its averages again and again, and takes a root of each number.
#
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. GPT-3 has 175 billion weights. In float32, how much memory do weights, gradients and Adam's state need together, before the first word is read? (`array_bytes` knows.)
#    How many machines of yours is that?
# 2. The gradients of random batches are noisy. Give the race some noise: `noise = np.random.default_rng(0)` at the top of `walk`, and `+ noise.normal(size=2)` behind the
#    gradient. Does anybody still come to rest on the star? Which of your other exercises helps?
# 3. Replace `Tanh` by `ReLU` in the network of the half-moons. One line in `set_gradients` must change. Which one, and would anything tell you if you forgot it?
# 4. Now add a third layer. How many lines of `set_gradients` are new? How many would LeNet need, with its seven layers, or a transformer with fifty?
#
# **Behind the next door.** Given gradients, you can step. But each new network would mean an hour of chain rule, and a wrong sign would be found by nobody. And yet every one
# of these lines follows from *one operation* and one rule for it, applied from the loss backwards. All operations of yours go through one door, and somebody could stand
# there and take notes. Module 07 hires the note-taker.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

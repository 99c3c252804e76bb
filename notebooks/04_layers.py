# %% [markdown]
# # 04 · Layers
#
# **You have the mathematics and the bends. What is missing is something that holds weights and can be stacked.**
#
# Below is a complete neural network, two layers deep, that turns a picture of 784 numbers into ten probabilities. Everything in it you built yourself, and it works. Now imagine that network
# twenty layers deep: forty loose variables. Somebody asks how many numbers are in it. Somebody wants it saved, and loaded tomorrow. An optimizer (module 06) wants to be told *what it may
# change*, all of it, and nothing else. And a part that behaves differently while learning needs to know when learning is over.
#
# So you need an object that holds its weights, computes with them, may contain other such objects, and can be asked about all of that. PyTorch calls it a **Module**, and nearly
# every network that was trained in the last ten years, from a toy to the largest language model, is a tree of modules. Here you build it, and with it the first real layers.
#
# ```text
#                      Sequential
#           ┌──────────┬───┴──────┬──────────┐
#        Flatten     Linear      ReLU      Linear            a network is a tree of parts …
#                   ┌──┴──┐               ┌──┴──┐
#                weight  bias          weight  bias          … and its leaves are parameters
# ```
#
# ```text
#     14 transformers
#     13 attention   12 embeddings   11 tokenization
#     10 dataloader   09 spatial
#     08 training
#     07 autograd
#     06 optimizers   05 losses
#   ▶ 04 layers          you are here: Parameter Module Linear Sequential Flatten Dropout
#     03 activations     relu, softmax, ReLU, …
#     02 tensor          Tensor, operation, randn
#     01 setup           measure
# ```
#
# Nine exercises. When you complete this module, the first historical notebook opens: you will train the Perceptron of 1957, on your own layers.

# %%
# %load_ext tinytorch_core

# %%
from tinytorch.activations import ReLU, Tanh, relu, softmax
from tinytorch.tensor import randn, zeros

W1, b1 = randn(784, 128, seed=1) * 0.05, zeros(128)
W2, b2 = randn(128, 10, seed=2) * 0.05, zeros(10)


def network(pictures):
    return softmax(relu(pictures @ W1 + b1) @ W2 + b2)


network(randn(2, 784, seed=3))  # two pictures of noise; ten probabilities for each

# %% tags=["given:layers-imports"]
#| export
"""Layers: parts of networks that hold parameters, can be stacked into trees, and can be saved."""

import math

import numpy as np

from tinytorch.tensor import Tensor, operation

# %% [markdown]
# ## 1 · Parameter
#
# In the network above there are two kinds of tensors. The pictures come and go; `W1` and its friends *are* the network, they are what will learn. A **parameter** is a
# tensor of the second kind. Nothing about its arithmetic is different. There are just two things to it:
#
# - it is of a class of its own, so that one can *recognise* it;
# - `requires_grad` is True unless somebody says otherwise, so that it will get gradients once there are any.
#
# **By hand.** `Tensor([1, 2])` has `requires_grad` False; `Parameter([1, 2])` has it True. Both hold `[1., 2.]` in float32. `Parameter([1, 2]) + 1` is an ordinary tensor again: a
# result is not a weight.
#
# Inside a method of a subclass, `super().__init__(…)` calls the constructor of the class above, here `Tensor(data, requires_grad, dtype)`.

# %% tags=["exercise:parameter"]
#| export
class Parameter(Tensor):
    """A tensor that belongs to a module and learns.

    data, dtype: as for Tensor. requires_grad: False freezes the parameter.

    Parameter([1, 2])  →  Parameter([1., 2.], requires_grad=True)
    """

    def __init__(self, data, requires_grad=True, dtype=None):
        ### BEGIN SOLUTION
        super().__init__(data, requires_grad, dtype)
        ### END SOLUTION

# %%
# %check parameter

# %% [markdown]
# ## The class Module
#
# As with Tensor, the class itself is given and short: most methods hand their work to functions outside, and those are your exercises. Read it once.
#
# What makes a module is what one *stores in it*. In `__init__` you write `self.weight = Parameter(…)` or `self.encoder = SomeModule(…)`, and from then on the
# module can find them, because Python keeps the attributes of every object in a dictionary: `vars(module)` is `{"weight": …, "encoder": …}`. The computation goes into a
# method `forward`; calling the module calls it, as with the activations.
#
# Two rules, and both are PyTorch's:
#
# - only attributes that **are** parameters or modules count. A plain Python list is opaque: modules inside a list are not found. (That is why `Sequential` exists.)
# - whoever uses the module calls `module(x)`, never `module.forward(x)`.

# %% tags=["given:module-class"]
#| export
class Module:
    """A part of a network: holds parameters and other modules as attributes, and computes in `forward`.

    A subclass sets its attributes in __init__ and writes forward.
    """

    training = True  # False once the network only answers: see train and eval
    buffer_names = ()

    def __call__(self, *inputs, **settings):
        return self.forward(*inputs, **settings)

    # What is in it
    def named_modules(self): return named_modules(self)
    def named_parameters(self): return named_parameters(self)
    def parameters(self): return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    # Learning, or only answering: some parts do not behave the same
    def train(self, mode=True):
        """Tell every module in here that learning begins (or, with False, that it is over)."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self):
        return self.train(False)

    # Tensors that are kept and saved with the module but do not learn, such as a running average
    def register_buffer(self, name, value):
        setattr(self, name, value if isinstance(value, Tensor) else Tensor(value))
        self.buffer_names = (*self.buffer_names, name)

    def named_buffers(self):
        return [
            (join_names(path, name), getattr(module, name))
            for path, module in self.named_modules()
            for name in module.buffer_names
        ]

    # Saving and loading
    def state_dict(self): return state_dict(self)
    def load_state_dict(self, state): load_state_dict(self, state)

    def __repr__(self):
        parts = "".join(f"\n({name}): {part!r}" for name, part in vars(self).items() if callable(part))
        return f"{type(self).__name__}({parts})".replace("\n", "\n  ").removesuffix(")") + ("\n)" if parts else ")")


def join_names(*names):
    """join_names("encoder", "0", "weight") is "encoder.0.weight"; empty names are left out."""
    return ".".join(name for name in names if name)

# %% [markdown]
# ## 2 · A tree of modules
#
# A module may hold modules, which may hold modules. To ask anything of the whole network you must be able to visit every module in it.
#
# ```text
#      net                         name of each module, seen from net:
#      ├── encoder                     ""                 net itself
#      │   ├── first                   "encoder"
#      │   └── second                  "encoder.first"
#      └── head                        "encoder.second"
#                                      "head"
# ```
#
# Trees are best walked by a function that calls itself. For one module: list the module itself; then, for each attribute that is a module, add what *the same function* finds there, with the
# attribute's name put on the path. **By hand:** for `encoder`, reached with the path `"encoder"`, the list begins with `("encoder", …)`; its attribute `first` is a
# module, so we call ourselves with the path `join_names("encoder", "first")`, which is `"encoder.first"`. That one has no modules inside, so it returns a list of one.

# %% tags=["exercise:module-tree"]
#| export
def named_modules(module, path=""):
    """Every module in the tree under `module`, itself included, as a list of pairs (name, module).

    path: the name of `module` itself, "" for the root. A module stands before those inside it.

    [name for name, _ in net.named_modules()]  →  ["", "encoder", "encoder.first", "encoder.second", "head"]
    """
    ### BEGIN SOLUTION
    found = [(path, module)]
    for name, value in vars(module).items():
        if isinstance(value, Module):
            found += named_modules(value, join_names(path, name))
    return found
    ### END SOLUTION

# %%
# %check module-tree

# %% [markdown]
# Now `train` and `eval`, given above, work for whole networks: they visit every module and change its `training`.

# %%
net = Module()
net.encoder, net.head = Module(), Module()
net.encoder.first, net.encoder.second = Module(), Module()

net.encoder.eval()
{name: module.training for name, module in net.named_modules()}

# %% [markdown]
# ## 3 · All parameters
#
# This is the question an optimizer asks: *what may I change?* Walk over all modules (you can do that now), and in each look at its attributes for parameters.
#
# There is one subtlety. A parameter can be in the tree **twice**: language models, for instance, use one and the same table for reading words and for writing them. It is one thing with two
# names. Listed twice, it would be moved twice in each step. So list it once, under the first of its names.
#
# How does one notice that two names mean the same object? Not with `==`, which for tensors compares numbers (two layers may well hold *equal* numbers), but with the object's identity: `id(value)`.
#
# **By hand.** `net.encoder.first.weight` and `net.head.weight` are one Parameter, `net.head.bias` is another. The list is `[("encoder.first.weight", …), ("head.bias", …)]`.

# %% tags=["exercise:module-parameters"]
#| export
def named_parameters(module):
    """Every parameter in the tree under `module`, each once, as a list of pairs (name, parameter).

    Attributes that are not Parameters (numbers, lists, plain tensors) do not count.

    [name for name, _ in Linear(2, 3).named_parameters()]  →  ["weight", "bias"]
    """
    ### BEGIN SOLUTION
    found, seen = [], set()
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if isinstance(value, Parameter) and id(value) not in seen:
                seen.add(id(value))
                found.append((join_names(path, name), value))
    return found
    ### END SOLUTION

# %%
# %check module-parameters

# %% [markdown]
# ## 4 · The linear map
#
# Now the work that layers do. The commonest layer of all connects each of its inputs with each of its outputs:
#
# $$y_o = b_o + \sum_i x_i\,W_{oi} \qquad\text{or, for a whole batch,}\qquad Y = X\,W^{\mathsf T} + b$$
#
# `weight` has the shape **(out, in)**: row o holds the weights of output o, one for each input. That is why it is transposed in the product. (It is PyTorch's convention, and makes a row
# of `weight` something you can look at: "what does unit o pay attention to?")
#
# **By hand.** x = `[1, 2]`, weight = `[[3, 4], [5, 6], [7, 8]]` (3 outputs, 2 inputs), bias = `[0, 0, 100]`: `[1·3 + 2·4, 1·5 + 2·6, 1·7 + 2·8 + 100]` = `[11, 17, 123]`.
#
# **More axes.** Text comes as (batch, position, features): shape (32, 64, 256), and the same map is applied at every position. NumPy's `@` handles that as 32 separate products. Faster
# is *one* product: lay all positions under one another with `x.reshape(-1, in)`, multiply, and give the result its leading axes back. You will measure the difference at the end.
#
# It is *one* operation, of up to three inputs, and goes through the door once. Inside, as always, everything is a NumPy array.

# %% tags=["exercise:linear"]
#| export
@operation
def linear(x, weight, bias=None):
    """x @ weight.T + bias.

    x: (…, in) with any number of leading axes; weight: (out, in); bias: (out,) or None; output: (…, out).

    linear(Tensor([1, 2]), Tensor([[3, 4], [5, 6], [7, 8]]))  →  Tensor([11., 17., 23.])
    """
    ### BEGIN SOLUTION
    rows = x.reshape(-1, x.shape[-1])  # (N, in)
    output = rows @ weight.T  # (N, out)
    if bias is not None:
        output = output + bias
    return output.reshape(*x.shape[:-1], len(weight))
    ### END SOLUTION

# %%
# %check linear

# %% [markdown]
# ## 5 · The Linear layer
#
# The map, and something that holds its weights: a module. One question remains. With which numbers should the weights begin?
#
# **Not with zeros.** Then all units of a layer would compute the same, get the same gradient, and remain copies of each other for ever. They have to be different from the start: random.
#
# **Not too large, not too small.** Each output is a sum of `in` products. A sum of n random numbers grows like $\sqrt n$; so a unit with 1000 inputs would shout 10 times as loud as one with 10, and after some
# layers the numbers overflow or fade away. Divide by $\sqrt n$, and the size of a layer no longer matters. PyTorch draws weight and bias evenly from the interval
#
# $$\left[-\frac{1}{\sqrt{\mathrm{in}}},\ \frac{1}{\sqrt{\mathrm{in}}}\right]$$
#
# **By hand.** `Linear(100, 3)`: the interval is [−0.1, 0.1]; weight is (3, 100), bias (3,). That is 303 parameters. `Linear(100, 3, bias=False)` has 300, and its `bias` is None.
#
# `np.random.default_rng(seed)` is NumPy's generator, and its `.uniform(low, high, shape)` draws in float64, so make float32 of it: `Parameter(…, dtype=np.float32)`. Given a generator in place of a
# seed, `default_rng` hands it back. So a whole network can draw its weights from one generator, and is repeatable with one seed.
#
# (In PyTorch every `__init__` must begin with `super().__init__()`. Ours need not, though it does no harm.)

# %% tags=["exercise:linear-layer"]
#| export
class Linear(Module):
    """Connects each of its inputs with each of its outputs: x @ weight.T + bias.

    weight: Parameter (out_features, in_features); bias: Parameter (out_features,), or None with bias=False. Both begin as
    float32, uniform in ±1/√in_features. seed: an int, or a NumPy Generator to draw from.

    Linear(784, 128)(x) for x of shape (64, 784)  →  shape (64, 128)
    """

    def __init__(self, in_features, out_features, bias=True, seed=None):
        self.in_features, self.out_features = in_features, out_features
        ### BEGIN SOLUTION
        random, bound = np.random.default_rng(seed), 1 / math.sqrt(in_features)
        self.weight = Parameter(random.uniform(-bound, bound, (out_features, in_features)), dtype=np.float32)
        self.bias = Parameter(random.uniform(-bound, bound, out_features), dtype=np.float32) if bias else None
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return linear(x, self.weight, self.bias)
        ### END SOLUTION

    def __repr__(self):
        return f"Linear({self.in_features}, {self.out_features}{'' if self.bias is not None else ', bias=False'})"

# %%
# %check linear-layer

# %% [markdown]
# Is it true that the size no longer matters? Noise goes in, with standard deviation 1. How loud does it come out, with this interval and with weights from [−1, 1]?

# %%
for width in (16, 64, 256):
    layer = Linear(width, width, seed=1)
    noise = randn(200, width, seed=2)
    ours = layer(noise).data.std()
    layer.weight.data = layer.weight.data * math.sqrt(width)  # as if drawn from [−1, 1]
    print(f"{width:4} inputs   ±1/√in: {ours:5.2f}    ±1: {layer(noise).data.std():6.2f}")

# %% [markdown]
# ## 6 · Sequential
#
# Most networks are, for long stretches, a chain: what comes out of one part goes into the next.
#
# $$\mathrm{Sequential}(f, g, h)(x) = h(g(f(x)))$$
#
# The parts may be anything that can be called on a tensor: modules, the activation objects of module 03, plain functions. To be *found*, the modules among them must be attributes, since a list is opaque. The attributes are
# called `"0"`, `"1"`, `"2"`, … A name that begins with a digit can't be written as `self.0`, but `setattr(self, "0", layer)` does the same.
#
# **By hand.** `Sequential(Linear(2, 3), ReLU(), Linear(3, 1))` has parameters `0.weight`, `0.bias`, `2.weight`, `2.bias`. There is no `1.…`: a ReLU has nothing to learn.
#
# Keep the parts in `self.layers` as well, for `forward` and for the two short methods that are given.

# %% tags=["exercise:sequential"]
#| export
class Sequential(Module):
    """A chain: the output of each layer is the input of the next. Without layers it returns its input.

    layers: modules, activations, functions: anything that takes a tensor and returns one. Layer i is also the attribute str(i).

    Sequential(Linear(784, 128), ReLU(), Linear(128, 10))(x) for x of shape (64, 784)  →  shape (64, 10)
    """

    def __init__(self, *layers):
        for layer in layers:
            if not callable(layer):
                raise TypeError(f"Sequential takes its layers one by one, and each must be callable; this is not: {layer!r}")
        ### BEGIN SOLUTION
        self.layers = layers
        for number, layer in enumerate(layers):
            setattr(self, str(number), layer)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        for layer in self.layers:
            x = layer(x)
        return x
        ### END SOLUTION

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, number):
        return self.layers[number]

# %%
# %check sequential

# %%
model = Sequential(Linear(784, 128), ReLU(), Linear(128, 10))
print(model)
[name for name, _ in model.named_parameters()]

# %% [markdown]
# ## 7 · Flatten
#
# Pictures come as (batch, height, width), and Linear wants (batch, features). Between them stands a part that lays out every picture as one row, and leaves the batch alone:
#
# $$(N, a, b, c, …) \to (N,\ a\cdot b\cdot c \cdots)$$
#
# **By hand.** A batch of 64 pictures of 28 × 28: from (64, 28, 28) to (64, 784). A batch of two 1 × 2 pictures: `[[[1, 2]], [[3, 4]]]` becomes `[[1, 2], [3, 4]]`, and certainly not
# `[1, 2, 3, 4]`, which would mix the pictures.
#
# Your tensor has `reshape`, where one size may be −1. Stay with tensors here: `forward` of a module gets tensors and returns tensors, and the operations it uses go through the door by themselves.

# %% tags=["exercise:flatten"]
#| export
class Flatten(Module):
    """Lays out each item of a batch as one row: (N, a, b, …) becomes (N, a·b·…).

    Flatten()(x) for x of shape (64, 28, 28)  →  shape (64, 784)
    """

    def forward(self, x):
        ### BEGIN SOLUTION
        return x.reshape(x.shape[0], -1)
        ### END SOLUTION

# %%
# %check flatten

# %% [markdown]
# ## 8 · Dropout
#
# A network with many units can learn its examples by heart, and units come to rely on each other's mistakes. A strange and effective remedy: while learning, switch off a random part of them, in
# every pass another. None can rely on a neighbour that may be gone; each has to be useful by itself. When learning is over, all of them work.
#
# With p the probability to be switched off, and a fresh random number $r_i$ from [0, 1) for every element:
#
# $$y_i = \begin{cases}0 & r_i < p\\ x_i\,/\,(1-p) & r_i \ge p\end{cases}\qquad\text{while learning;}\qquad y = x \quad\text{afterwards}$$
#
# **Why divide?** With p = 0.5 only half of the terms reach the next layer, so the sums there would be half as large as later, when all are on. Dividing by 1 − p makes up for it *on average*, and then nothing
# needs to be done afterwards. (That is called *inverted* dropout.)
#
# **By hand.** x = `[1, 2, 3, 4]`, p = 0.5, and the random numbers are `[0.9, 0.2, 0.7, 0.4]`. Those at least 0.5 stay: `[1, 0, 1, 0]`. Multiply and divide by 0.5: `[2, 0, 6, 0]`. The sum was 10, now it
# is 8; on average over all draws it is 10.
#
# Here `self.training` comes into its own, the flag that `train()` and `eval()` set. The generator must live as long as the layer: made anew in each pass from the same seed, it would switch off the same units every time.
# `rng.random(shape)` draws the numbers. `mask.astype(np.float32)` makes 0 and 1 of False and True, and an array multiplied by a tensor is a tensor.

# %% tags=["exercise:dropout"]
#| export
class Dropout(Module):
    """While learning, each element is 0 with probability p, else divided by 1 - p. After eval() it changes nothing.

    p: in [0, 1), else ValueError. seed: an int, or a NumPy Generator to draw from. (Hinton et al., 2012; Srivastava et al., 2014.)

    Dropout(0.5)(Tensor([1, 2, 3, 4]))  →  Tensor([2., 0., 6., 0.])    or any other choice
    """

    def __init__(self, p=0.5, seed=None):
        ### BEGIN SOLUTION
        if not 0 <= p < 1:
            raise ValueError(f"p is a probability in [0, 1), not {p}")
        self.p, self.rng = p, np.random.default_rng(seed)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        if not self.training or self.p == 0:
            return x
        mask = self.rng.random(x.shape) >= self.p
        return x * mask.astype(np.float32) / (1 - self.p)
        ### END SOLUTION

    def __repr__(self):
        return f"Dropout({self.p})"

# %%
# %check dropout

# %%
layer = Dropout(0.5, seed=1)
layer.train()(Tensor([1, 2, 3, 4])), layer(Tensor([1, 2, 3, 4])), layer.eval()(Tensor([1, 2, 3, 4]))

# %% [markdown]
# ## 9 · Saving what was learned
#
# Training takes hours; the result is nothing but numbers. `state_dict` hands them out: a dictionary from names to arrays, of all parameters and all *buffers* (tensors that belong to a module without learning; the
# batch normalisation of module 09 will have some). `load_state_dict` takes such a dictionary in.
#
# Two kinds of mistakes make this the place where careless frameworks hurt people:
#
# - **No copies.** If the dictionary holds the arrays themselves, then "the best weights so far" go on changing while training goes on. So copies go out, and copies come in.
# - **Half a load.** If a name is missing, or a shape differs, then this is the state of *another* network. Loading what happens to fit leaves a network that is neither. So compare all names and all shapes first,
#   raise ValueError if anything differs, and only then change anything.
#
# **By hand.** `Linear(2, 1)` gives `{"weight": (1, 2) array, "bias": (1,) array}`. Loading that into `Linear(2, 1, bias=False)`: "bias" has no place, ValueError. Into `Linear(1, 2)`: the names agree, but its
# weight is (2, 1): ValueError. (NumPy would happily broadcast in some such cases. Compare the shapes.)
#
# `module.named_parameters() + module.named_buffers()` is the list of all there is. In loading, replace each tensor's `data` by a copy in that tensor's own dtype: `np.array(values, dtype=tensor.dtype)`. The Parameter objects themselves
# stay, because an optimizer may hold on to them.

# %% tags=["exercise:state-dict"]
#| export
def state_dict(module):
    """All numbers of the module: a dict from dotted names to arrays, parameters and buffers. The arrays are copies.

    sorted(Linear(2, 3).state_dict())  →  ["bias", "weight"]
    """
    ### BEGIN SOLUTION
    return {name: tensor.data.copy() for name, tensor in module.named_parameters() + module.named_buffers()}
    ### END SOLUTION


def load_state_dict(module, state):
    """Take in what a state_dict of an equal module has given out. Copies the arrays; keeps the dtypes of the module.

    ValueError, and nothing is changed, if a name is missing or unknown, or a shape differs.
    """
    ### BEGIN SOLUTION
    own = dict(module.named_parameters() + module.named_buffers())
    if own.keys() != set(state):
        missing, unknown = sorted(own.keys() - set(state)), sorted(set(state) - own.keys())
        raise ValueError(f"this is the state of another network: missing {missing}, unknown {unknown}")
    for name, tensor in own.items():
        if np.shape(state[name]) != tensor.shape:
            raise ValueError(f"{name} has shape {tensor.shape} here and {np.shape(state[name])} in the given state")
    for name, tensor in own.items():
        tensor.data = np.array(state[name], dtype=tensor.dtype)
    ### END SOLUTION

# %%
# %check state-dict

# %% [markdown]
# ## See it: networks that have learned nothing
#
# A network with two inputs and one output is a picture: for every point (x, y) of a square it has a number, and a number is a colour. Below is such a network, with random weights, straight out of your classes. Move
# the sliders. `loudness` multiplies all parameters (`model.parameters()` finds them). Questions to play with:
#
# - Choose `none` as the bend. Add layers, change the seed. What do all these pictures have in common, and which sentence of module 03 is that?
# - How do ReLU's pictures differ from those of tanh? Where do the straight edges come from?
# - Learning will mean: turning the weights until the picture is the one you want.

# %%
import ipywidgets
import matplotlib.pyplot as plt

line = np.linspace(-1, 1, 80)
square = Tensor(np.stack(np.meshgrid(line, line), axis=-1), dtype=np.float32)  # (80, 80, 2)
bends = {"none": Sequential(), "ReLU": ReLU(), "Tanh": Tanh()}


def draw(depth=3, loudness=4.0, bend="Tanh", seed=7):
    rng = np.random.default_rng(seed)
    layers = [Linear(2, 16, seed=rng)]
    for _ in range(depth):
        layers += [bends[bend], Linear(16, 16, seed=rng)]
    model = Sequential(*layers, bends[bend], Linear(16, 1, seed=rng))
    for parameter in model.parameters():
        parameter.data = parameter.data * loudness

    plt.figure(figsize=(2.6, 2.6))
    plt.imshow(model(square).numpy()[..., 0], cmap="twilight", extent=(-1, 1, -1, 1))
    plt.title(f"{sum(p.size for p in model.parameters()):,} random numbers", fontsize=9)
    plt.axis("off")
    plt.show()


ipywidgets.interact(draw, depth=(0, 8), loudness=(1.0, 8.0, 0.5), bend=list(bends), seed=(0, 30));

# %% [markdown]
# ## Systems: where are the numbers, and where does the time go?
#
# Three questions for your `measure`:
#
# 1. How is the memory of a network for 28 × 28 pictures spread over its layers?
# 2. What does one picture cost, alone and in a batch?
# 3. For a batch of texts, (32, 64, 64): is one large product really faster than 32 small ones?

# %%
from tinytorch.setup import measure

model = Sequential(Flatten(), Linear(784, 128, seed=1), ReLU(), Dropout(0.2), Linear(128, 10, seed=2)).eval()
total = sum(parameter.size for parameter in model.parameters())
for name, parameter in model.named_parameters():
    share = parameter.size / total
    print(f"{name:9} {parameter.shape!s:11} {parameter.data.nbytes:9,} bytes  {share:6.1%}  {'█' * round(share * 40)}")
print(f"{'':21} {4 * total:9,} bytes\n")

for batch in (1, 8, 64, 256):
    seconds = measure(model, randn(batch, 28, 28, seed=3), repeat=3)
    print(f"batch of {batch:3}   {seconds / batch * 1e6:7.1f} µs a picture")

texts, weight = randn(32, 64, 64, seed=4), randn(256, 64, seed=5)
many, one = measure(lambda: texts @ weight.T, repeat=3), measure(lambda: linear(texts, weight), repeat=3)
print(f"\n32 products {many * 1e3:.2f} ms, one product {one * 1e3:.2f} ms")

# %% [markdown]
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. Nearly all numbers of that network sit in the first layer, where each of 128 units looks at all 784 pixels. Does a unit that looks for a small stroke need to see all of them? (Module 09.)
# 2. Why does one picture alone cost so much more than one of 256? What has to be fetched from memory in both cases?
# 3. `model.eval()` is forgotten, and the network answers customers with dropout on. What do they notice when they ask the same question twice?
#
# **Behind the next door.** You can build networks out of parts now, and that was enough to make history in 1957: complete this module, and the **Perceptron** notebook opens. It learns by a rule that needs no
# gradient, and it will show you how far such a rule goes. To go further, a network first has to be told *how wrong* it is, in one number. That is module 05.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

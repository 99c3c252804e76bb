# %% [markdown]
# # 08 · Training
#
# **You can take one step. Learning takes thousands, watched, saved, and stopped in time.**
#
# The cell below is what seven modules were for: a network, a loss, an optimizer, and gradients that come by themselves. The whole of learning is five lines in
# a loop, and in the end the network is right nearly always. But it also says how it does on points that it has not learned from, and there it was better
# before a tenth of the time was over.
#
# Nobody could have noticed, because nobody looked. That is the first thing a loop of five lines lacks. There are more: the learning rate never falls. Nothing
# is written down. If the power fails in the last minute of a night, the night is lost. And while you measure, dropout must be off, and must be on again when
# you go on; sooner or later everybody forgets that line, and no error comes.
#
# So people write the loop once, with care, and then never again. The object is called a **Trainer**, and it is the last piece of machinery before the networks
# get interesting.
#
# ```text
#      fit ── for each epoch
#              ├── train_epoch ── for each batch ── train_step:  forget · forward · loss · backward · clip · step
#              │        └── the schedule turns the learning rate, once
#              ├── validate ───── for each batch ── forward · loss · metrics.   No gradients, no dropout, no step
#              ├── history        write both down
#              └── stop?          worse for too long: take the best weights back
# ```
#
# ```text
#     14 transformers
#     13 attention   12 embeddings   11 tokenization
#     10 dataloader   09 spatial
#   ▶ 08 training        you are here: Trainer, accuracy, checkpoints
#     07 autograd        backward, no_grad
#     06 optimizers      SGD, Adam, schedules, clip_grad_norm, state_dict()
#     05 losses          CrossEntropyLoss, …
#     04 layers          Module: train(), eval(), state_dict()
#     03 activations     ReLU, …
#     02 tensor          Tensor
#     01 setup           measure
# ```
#
# Nine exercises. Their words, once and for all:
#
# | word | is |
# |---|---|
# | **sample** | one point, picture, text, with its target |
# | **batch** | some samples at once: a pair of tensors (inputs, targets). Their first axis counts samples |
# | **step** | one batch: forward, backward, and the optimizer moves the weights |
# | **epoch** | every batch of the training data, once |
# | **training data, validation data** | what the network learns from; what it is tested on, and never learns from |

# %%
# %load_ext tinytorch_core

# %%
import numpy as np
from tinytorch.activations import ReLU
from tinytorch.autograd import no_grad
from tinytorch.layers import Linear, Sequential
from tinytorch.losses import CrossEntropyLoss
from tinytorch.optimizers import Adam
from tinytorch.tensor import Tensor


def spirals(n, seed):
    """n points on three spiral arms, and which arm each belongs to. One label in seven was given by somebody half asleep."""
    rng = np.random.default_rng(seed)
    arms, along = rng.integers(0, 3, size=n), rng.uniform(0.1, 1, size=n)
    angle = 4 * along + arms * 2 * np.pi / 3 + rng.normal(0, 0.25, size=n)
    points = along[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    labels = np.where(rng.random(n) < 1 / 7, rng.integers(0, 3, size=n), arms)
    return Tensor(points, dtype=np.float32), Tensor(labels)  # (n, 2), (n,)


def new_network(seed):
    rng = np.random.default_rng(seed)
    return Sequential(Linear(2, 64, seed=rng), ReLU(), Linear(64, 64, seed=rng), ReLU(), Linear(64, 3, seed=rng))


points, labels = spirals(120, seed=1)
fresh_points, fresh_labels = spirals(300, seed=2)
model = new_network(seed=1)
optimizer, loss_fn = Adam(model.parameters(), lr=0.01), CrossEntropyLoss()


def right(points, labels):
    with no_grad():
        return (model(points).data.argmax(axis=-1) == labels.data).mean()


for epoch in range(1, 201):
    for start in range(0, 120, 16):
        optimizer.zero_grad()
        loss = loss_fn(model(points[start : start + 16]), labels[start : start + 16])
        loss.backward()
        optimizer.step()
    if epoch in (15, 200):
        print(f"after {epoch:3} epochs: right {right(points, labels):4.0%} of the points learned, {right(fresh_points, fresh_labels):4.0%} of fresh ones")

# %% tags=["given:training-imports"]
#| export
"""Training: the loop around the step. It watches itself on fresh data, stops in time, and can be continued after a power failure."""

import contextlib
import json
import math
import os
from pathlib import Path

import numpy as np

from tinytorch.autograd import no_grad
from tinytorch.layers import join_names
from tinytorch.optimizers import clip_grad_norm

# %% [markdown]
# ## 1 · Accuracy
#
# A loss is what an optimizer can descend. What people want to know is simpler: *how many answers are right?* Such a number beside the loss is called a
# **metric**. It needs no gradient, and may be as jumpy as it likes.
#
# Accuracy is the share of right answers. An answer is the class with the largest logit:
#
# $$\text{accuracy} = \frac{1}{N}\sum_{i} \left[\,\arg\max_c z_{ic} = t_i\,\right]$$
#
# Here $z_{ic}$ is the logit of class c in answer i, $t_i$ the right class, and N the number of all answers, whatever their shape. The brackets count: 1 if what stands
# in them is true, else 0.
#
# One case is special. A network for yes and no (`BCEWithLogitsLoss`) has **one column**, and its largest entry is always entry 0. There the answer is 1 if the
# logit is above 0, else 0. (Why 0? σ(0) = ½.)
#
# **By hand.** Logits `[[1, 3, 2], [4, 0, 1]]`, targets `[1, 2]`: the largest are in columns 1 and 0; one of two is right, 0.5. One column, `[[2.5], [-1],
# [0.3]]`, targets `[[1], [1], [1]]`: the answers are 1, 0, 1; two thirds.
#
# **The trap** is again broadcasting. Answers of shape (3,) compared with targets of shape (3, 1) give a table of 9 comparisons, and its mean looks like an
# accuracy. So bring them to one shape first, and refuse everything else.
#
# `outputs.data.argmax(axis=-1)` takes the last axis away, (…, C) → (…). For one column `outputs.data[..., 0]` takes that axis away; the answer is
# then whether the number is above 0. Where the targets also have that column (their shape is `outputs.shape`), it has to go, too.

# %% tags=["exercise:accuracy"]
#| export
def accuracy(outputs, targets):
    """The share of right answers: the largest logit along the last axis, or, in a single column, a logit above 0.

    outputs: a Tensor of logits (…, C); targets: a Tensor of classes (…). If C is 1, the targets are 0 and 1, of shape (…) or (…, 1).
    Returns a Python float. ValueError, with both shapes, if the targets have another shape.

    accuracy(Tensor([[1, 3, 2], [4, 0, 1]]), Tensor(np.array([1, 2])))  →  0.5
    """
    ### BEGIN SOLUTION
    logits, truth = outputs.data, targets.data
    if logits.shape[-1] == 1:
        answers = logits[..., 0] > 0
        truth = truth[..., 0] if truth.shape == logits.shape else truth
    else:
        answers = logits.argmax(axis=-1)
    if truth.shape != answers.shape:
        raise ValueError(f"outputs of shape {outputs.shape} want targets of shape {answers.shape}, not {targets.shape}")
    return float((answers == truth).mean())
    ### END SOLUTION

# %%
# %check accuracy

# %% [markdown]
# ## The class Trainer
#
# It is given, and short: it holds the parts, and hands its work to functions, which are your exercises. What you see here is also how it is used:
#
# ```python
# trainer = Trainer(model, Adam(model.parameters()), CrossEntropyLoss(), metrics={"accuracy": accuracy})
# history = trainer.fit(train_batches, validation_batches, epochs=100, patience=10)
# trainer.save_checkpoint("tuesday")
# ```
#
# The batches are anything that one can walk over *again and again* and that gives pairs (inputs, targets). A list of pairs will do for now; module 10 builds
# something better.

# %% tags=["given:trainer-class"]
#| export
class Trainer:
    """Trains a model: steps, epochs, validation, early stopping, checkpoints.

    loss_fn: (outputs, targets) → a Tensor with one number, the mean over a batch. scheduler: is stepped once an epoch.
    grad_clip_norm: the largest norm of all gradients together, or None. metrics: names and functions (outputs, targets) → float.

    history: a dict of lists, "train_loss" and "lr" with one entry for each epoch, "val_loss" and "val_<name>" for each validated one.
    """

    def __init__(self, model, optimizer, loss_fn, scheduler=None, grad_clip_norm=None, metrics=None):
        self.model, self.optimizer, self.loss_fn = model, optimizer, loss_fn
        self.scheduler, self.grad_clip_norm = scheduler, grad_clip_norm
        self.metrics = dict(metrics or {})
        if "loss" in self.metrics:
            raise ValueError('no metric can be called "loss": that is the name of the loss itself')
        self.history = {"train_loss": [], "val_loss": [], "lr": []} | {f"val_{name}": [] for name in self.metrics}

    def train_step(self, inputs, targets):
        return train_step(self, inputs, targets)

    def train_epoch(self, batches):
        return train_epoch(self, batches)

    def validate(self, batches):
        return validate(self, batches)

    def fit(self, train_batches, validation_batches=None, epochs=10, patience=None, on_epoch=None):
        return fit(self, train_batches, validation_batches, epochs, patience, on_epoch)

    def save_checkpoint(self, path):
        return save_checkpoint(self, path)

    def load_checkpoint(self, path):
        load_checkpoint(self, path)

# %% [markdown]
# ## 2 · One step
#
# You have written these lines several times by now. Here they get their final order:
#
# 1. forget the old gradients (they would *add up*, module 07);
# 2. forward: call the model on the inputs, and the loss on what comes out, and on the targets;
# 3. backward;
# 4. if `grad_clip_norm` is not None, `clip_grad_norm` shortens the gradients of `trainer.optimizer.parameters`, all together (module 06);
# 5. the optimizer steps.
#
# What comes back is the loss **as it was before the step**, a plain number: `.item()`. Kept as a tensor, it would hold on to its whole history, with every
# array in it.
#
# **By hand.** One weight w = 1 without bias, input 2, target 0, squared error, SGD with η = 0.1. The output is 2, the loss 4, the slope 2 · 2 · 2 = 8. The new
# w is 1 − 0.8 = 0.2; returned is 4.0. With `grad_clip_norm=1` the slope is shortened to 1, and the new w is 0.9; returned is still 4.0.

# %% tags=["exercise:train-step"]
#| export
def train_step(trainer, inputs, targets):
    """One step on one batch: the weights move once.

    inputs, targets: a batch of tensors, as model and loss_fn want them. Returns the loss before the step, a Python float.
    """
    ### BEGIN SOLUTION
    trainer.optimizer.zero_grad()
    loss = trainer.loss_fn(trainer.model(inputs), targets)
    loss.backward()
    if trainer.grad_clip_norm is not None:
        clip_grad_norm(trainer.optimizer.parameters, trainer.grad_clip_norm)
    trainer.optimizer.step()
    return loss.item()
    ### END SOLUTION

# %%
# %check train-step

# %% [markdown]
# ## 3 · One epoch
#
# Every batch once, with the model in training mode, since somebody may have said `eval()` before. When all batches are done the scheduler (if there is one)
# steps, **once**. Stepped in each batch, a schedule for 100 epochs would be over in the first.
#
# How large was the loss? Each step says the mean over its batch. The epoch's loss is the mean over all **samples**, and that is not the mean of the means,
# because the last batch is often smaller:
#
# $$\text{loss} = \frac{\sum_b n_b\,\ell_b}{\sum_b n_b} \qquad n_b = \text{samples in batch } b$$
#
# **By hand.** Ten samples in batches of 4, 4 and 2, with losses 1, 1 and 4: (4·1 + 4·1 + 2·4) / 10 = 1.6. The mean of the means would say 2: the two samples of
# the last batch would count twice.
#
# The number of samples in a batch is `len(inputs)`. `trainer.train_step(inputs, targets)` is your function from above.
#
# And if there was no batch at all? Dividing 0 by 0 explains nothing to anybody. The usual reason is a *generator*: it can be walked over once, and in the
# second epoch nothing is left. So that is worth a ValueError that says so.

# %% tags=["exercise:train-epoch"]
#| export
def train_epoch(trainer, batches):
    """One step on each batch, in training mode; then one step of the scheduler, if there is one.

    batches: an iterable of pairs (inputs, targets). Returns the mean loss per sample, a Python float.
    ValueError if there is no batch; then the scheduler has not moved.
    """
    ### BEGIN SOLUTION
    trainer.model.train()
    total, count = 0.0, 0
    for inputs, targets in batches:
        total += trainer.train_step(inputs, targets) * len(inputs)
        count += len(inputs)
    if count == 0:
        raise ValueError("there is nothing to train on: no batches came (a generator gives them only once)")
    if trainer.scheduler is not None:
        trainer.scheduler.step()
    return total / count
    ### END SOLUTION

# %%
# %check train-epoch

# %%
def batches_of(points, labels, size=16):
    return [(points[start : start + size], labels[start : start + size]) for start in range(0, len(points), size)]


train_batches, validation_batches = batches_of(points, labels), batches_of(fresh_points, fresh_labels, 128)
print("samples in each batch:", [len(inputs) for inputs, _ in train_batches], [len(inputs) for inputs, _ in validation_batches])

model = new_network(seed=1)
trainer = Trainer(model, Adam(model.parameters(), lr=0.01), CrossEntropyLoss(), metrics={"accuracy": accuracy})
[round(trainer.train_epoch(train_batches), 3) for _ in range(5)]

# %% [markdown]
# ## 4 · Looking without touching
#
# To validate is to measure the model on data it does not learn from. Nothing about the model may be different afterwards, or the measuring becomes a part of
# the training:
#
# - **No gradients:** inside `with no_grad():` (module 07) nothing is recorded, which saves time and most of the memory.
# - **Evaluation mode:** `model.eval()`, or dropout would switch off half of what you want to measure.
# - **And back again.** Each module in the model has a flag `training`; afterwards each must have the value it had before. Not simply `model.train()`: perhaps
#   the model was evaluating already, or somebody put a part of it into evaluation mode on purpose, with `model.encoder.eval()`. And it must happen even if an error comes in between.
#
# You know the form for "and back again, whatever happens" from `no_grad`: a context manager, with `try`, `yield` and `finally`.
#
# ```python
# with evaluating(model):
#     outputs = model(inputs)        # no gradients, no dropout
# outputs = model(inputs)            # as before
# ```
#
# **By hand.** Flags before: model True, dropout False. Inside: False, False. Afterwards: True, False.
#
# `validate` then is like an epoch without steps: for each batch the loss, and each metric, all weighted with the number of samples. With batches of 4 and 1 and
# accuracies 0.5 and 1: (4 · 0.5 + 1 · 1) / 5 = 0.6.
#
# `model.named_modules()` gives pairs of names and modules, the model itself included. `float(…)` makes a number of a tensor with one element, and leaves a
# number a number. So the loss can be treated as one more metric: `{"loss": trainer.loss_fn} | trainer.metrics` is a dictionary with both.

# %% tags=["exercise:validate"]
#| export
@contextlib.contextmanager
def evaluating(model):
    """with evaluating(model): in here the model is in evaluation mode, and nothing is recorded.

    Afterwards every module in it has the mode that it had before, whatever happened.
    """
    ### BEGIN SOLUTION
    modes = [(module, module.training) for _, module in model.named_modules()]
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
    ### END SOLUTION


def validate(trainer, batches):
    """Loss and metrics of the model, without gradients and in evaluation mode. The trainer and the model stay as they are.

    batches: an iterable of pairs (inputs, targets). Returns a dict of Python floats, means per sample: "loss", and each metric by its name.
    ValueError if there is no batch.
    """
    ### BEGIN SOLUTION
    functions = {"loss": trainer.loss_fn} | trainer.metrics
    totals, count = dict.fromkeys(functions, 0.0), 0
    with evaluating(trainer.model):
        for inputs, targets in batches:
            outputs = trainer.model(inputs)
            for name, function in functions.items():
                totals[name] += float(function(outputs, targets)) * len(inputs)
            count += len(inputs)
    if count == 0:
        raise ValueError("there is nothing to validate on: no batches came (a generator gives them only once)")
    return {name: total / count for name, total in totals.items()}
    ### END SOLUTION

# %%
# %check validate

# %%
trainer.validate(train_batches), trainer.validate(validation_batches)

# %% [markdown]
# ## 5 · When to stop
#
# Early in training, what helps on the training data helps everywhere: there *are* three arms. Later only the mistakes are left to learn, the labels given by
# somebody half asleep, and each of them can be learned only by heart. The training loss goes on falling, and the validation loss turns round and rises. That is
# **overfitting**.
#
# ```text
#      loss │╲
#           │ ╲╲                        ___──── validation
#           │  ╲ ╲              ___───‾‾
#           │   ╲  ╲____★____──‾
#           │     ╲
#           │        ‾‾──────______________ training
#           └───────────┴───────┴───────────── epoch
#                      best    stop
#                        ◀──────▶  patience
# ```
#
# So keep the weights of the best epoch so far, and stop when it has not been beaten for `patience` epochs in a row. Not at the first rise: the curve is rough,
# and often goes down once more. (Morgan and Bourlard, 1990; Prechelt, 1998.)
#
# `update(loss)` is called after each epoch with its validation loss:
#
# - lower than every loss before? Remember it, remember the model's state, and `waited` is 0 again;
# - otherwise (equal counts as not lower, and so does nan) `waited` grows by one;
# - the answer is True when it's time to stop: `waited` has reached `patience`.
#
# **By hand,** with patience 2:
#
# | epoch | 1 | 2 | 3 | 4 | 5 | 6 |
# |---|---|---|---|---|---|---|
# | validation loss | 0.9 | 0.7 | 0.8 | 0.6 | 0.6 | 0.65 |
# | `waited` | 0 | 0 | 1 | 0 | 1 | 2 |
# | answer | False | False | False | False | False | **True** |
#
# and `restore()` brings the weights of epoch 4 back. `model.state_dict()` and `load_state_dict` from module 04 are all it takes: they include the buffers, and
# they *copy*, which is just what is needed here. Any number is lower than `math.inf`, infinity; and no comparison with nan is ever true.

# %% tags=["exercise:early-stopping"]
#| export
class EarlyStopping:
    """Watches the validation loss, and keeps the best state of the model.

    patience: how many epochs in a row may fail to be better than the best. ValueError if it is below 1.

    best_loss: the lowest so far, infinity at first. best_state: the state_dict of the model then; at first, the one it has now.
    """

    def __init__(self, model, patience):
        if not patience >= 1:
            raise ValueError(f"patience is a number of epochs, at least 1, not {patience}")
        self.model, self.patience = model, patience
        self.best_loss, self.best_state, self.waited = math.inf, model.state_dict(), 0

    def update(self, loss):
        """An epoch has ended with this validation loss, a number. True if it is time to stop."""
        ### BEGIN SOLUTION
        if loss < self.best_loss:
            self.best_loss, self.best_state, self.waited = loss, self.model.state_dict(), 0
        else:
            self.waited += 1
        return self.waited >= self.patience
        ### END SOLUTION

    def restore(self):
        """Give the model its best state back."""
        ### BEGIN SOLUTION
        self.model.load_state_dict(self.best_state)
        ### END SOLUTION

# %%
# %check early-stopping

# %% [markdown]
# ## 6 · Fit
#
# Now everything comes together. For each of the epochs:
#
# 1. note the learning rate (now: at the end of the epoch the scheduler turns it);
# 2. `trainer.train_epoch(train_batches)`;
# 3. if there are validation batches, `trainer.validate(validation_batches)`, whose names get `val_` in front: `"loss"` becomes `"val_loss"`;
# 4. append each number to its list in `trainer.history`. A metric may have no list yet, if the history came out of a checkpoint of a trainer without it:
#    `trainer.history.setdefault(name, [])` is the list, made if need be;
# 5. if somebody wants to be told (`on_epoch`), call it with the history. That is how a progress bar, a plot or a checkpoint gets its turn in the training, without a
#    line about any of them in here;
# 6. only then, with `patience`, ask the EarlyStopping whether it is time.
#
# At the end, if there is a `patience`, the model gets its best weights back, whether it was stopped or ran out of epochs.
#
# **By hand.** Two epochs of a schedule that halves the rate 0.1: `{"train_loss": [0.9, 0.5], "val_loss": [0.8, 0.6], "lr": [0.1, 0.05]}`. Another `fit(…,
# epochs=1)` goes on where this one ended, and each list has three entries: `epochs` counts epochs **to add**.
#
# Early stopping needs something to watch: patience without validation batches is a ValueError, before anything has moved.

# %% tags=["exercise:fit"]
#| export
def fit(trainer, train_batches, validation_batches=None, epochs=10, patience=None, on_epoch=None):
    """Train for `epochs` more epochs, validate after each, and write everything into trainer.history.

    train_batches, validation_batches: pairs (inputs, targets), to be walked over once in each epoch.
    patience: stop when the validation loss has not been lower for so many epochs in a row; at the end, the best weights of this
    call are restored. ValueError without validation_batches, and if it is below 1. on_epoch: called with the history after each epoch.

    Returns the whole history: a dict of lists, "train_loss", "lr" (the rate of each epoch), "val_loss" and "val_<name>" (of validated epochs).
    """
    if patience is not None and validation_batches is None:
        raise ValueError("patience watches the validation loss, so it needs validation_batches")
    stopping = None if patience is None else EarlyStopping(trainer.model, patience)
    ### BEGIN SOLUTION
    for _ in range(epochs):
        epoch = {"lr": trainer.optimizer.lr, "train_loss": trainer.train_epoch(train_batches)}
        if validation_batches is not None:
            epoch |= {f"val_{name}": value for name, value in trainer.validate(validation_batches).items()}
        for name, value in epoch.items():
            trainer.history.setdefault(name, []).append(value)
        if on_epoch is not None:
            on_epoch(trainer.history)
        if stopping is not None and stopping.update(epoch["val_loss"]):
            break
    if stopping is not None:
        stopping.restore()
    ### END SOLUTION
    return {name: list(values) for name, values in trainer.history.items()}

# %%
# %check fit

# %% [markdown]
# ## See it: learning by heart
#
# Your Trainer, on the spirals, much too long. The bar and the curves below it grow *while* it trains: `LearningCurves` is an ordinary function of the history
# that the course brings along, handed to `on_epoch`. Look at the validation loss: a dot marks its lowest point.

# %%
from tinytorch_core.widgets import LearningCurves

curves, film = LearningCurves(epochs=200), []


def watch(history):
    curves(history)
    if len(history["lr"]) % 4 == 1:
        film.append(trainer.model.state_dict())


model = new_network(seed=1)
trainer = Trainer(model, Adam(model.parameters(), lr=0.01), CrossEntropyLoss(), metrics={"accuracy": accuracy})
history = trainer.fit(train_batches, validation_batches, epochs=200, on_epoch=watch)
{name: round(values[-1], 3) for name, values in history.items()}

# %% [markdown]
# Every fourth epoch the weights were put aside, so now there is a film. Pull the slider: the areas are what the network thinks of every point of the square,
# the dots are the points it learned from. At about epoch 13 there are three arms. And then? Watch the lonely dots of a wrong colour. (At the right: fresh
# points, from which nothing was learned.)

# %%
import ipywidgets
import matplotlib.pyplot as plt

line = np.linspace(-1.2, 1.2, 70, dtype=np.float32)
square = Tensor(np.stack(np.meshgrid(line, line), axis=-1))  # (70, 70, 2)


def show(axes, model, points, labels, title):
    with evaluating(model):
        answers = model(square).data.argmax(axis=-1)  # (70, 70)
    axes.imshow(answers, extent=(-1.2, 1.2, -1.2, 1.2), origin="lower", cmap="Set2", vmin=0, vmax=7, alpha=0.6)
    axes.scatter(*points.data.T, c=labels.data, cmap="Set2", vmin=0, vmax=7, s=14, edgecolors="black", linewidths=0.4)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def frame(epoch=1):
    then = new_network(seed=0)
    then.load_state_dict(film[epoch // 4])
    figure, (left, right, curve) = plt.subplots(1, 3, figsize=(9, 2.8), width_ratios=(1, 1, 1.3), layout="constrained")
    show(left, then, points, labels, f"learned from: {accuracy(then(points), labels):.0%} right")
    show(right, then, fresh_points, fresh_labels, f"fresh: {accuracy(then(fresh_points), fresh_labels):.0%} right")
    epochs = range(1, len(history["lr"]) + 1)
    curve.plot(epochs, history["train_loss"], label="training")
    curve.plot(epochs, history["val_loss"], label="validation")
    curve.axvline(epoch, color="black", linewidth=0.8)
    curve.set(xlabel="epoch", ylim=(0, None))
    curve.set_title("loss", fontsize=9)
    curve.legend(fontsize=8)
    plt.show()


ipywidgets.interact(frame, epoch=ipywidgets.IntSlider(value=197, min=1, max=197, step=4));

# %% [markdown]
# And now with patience. The same network, the same data, one argument more:

# %%
model = new_network(seed=1)
trainer = Trainer(model, Adam(model.parameters(), lr=0.01), CrossEntropyLoss(), metrics={"accuracy": accuracy})
stopped = trainer.fit(train_batches, validation_batches, epochs=200, patience=10)

best = int(np.argmin(stopped["val_loss"]))
print(f"stopped after {len(stopped['val_loss'])} epochs instead of 200; the best was number {best + 1}")
print(f"validation loss at the end of the long run {history['val_loss'][-1]:.3f}, accuracy {history['val_accuracy'][-1]:.1%}")
print("with the best weights restored            {loss:.3f}, accuracy {accuracy:.1%}".format(**trainer.validate(validation_batches)))

# %% [markdown]
# ## 7 · Chance has a state, too
#
# Next: saving, so that training can go on tomorrow *as if nothing had happened*. Not roughly: with the same numbers, bit for bit. Otherwise you can never tell
# a fault in your program from bad luck.
#
# What decides how training goes on? The weights and buffers, the optimizer's averages, the place in the schedule. And something one easily forgets: **chance**.
# Dropout draws random numbers from a generator. That generator is at some place in its sequence, and it has to go on from there.
#
# A NumPy generator shows that place: `rng.bit_generator.state` is a dictionary of numbers (some very large), and assigning such a dictionary puts the generator
# there. As *text* it can go into any file:
#
# ```python
# text = json.dumps(rng.bit_generator.state, default=np.ndarray.tolist)     # a kind of generator whose state holds arrays? tolist makes lists of them
# rng.bit_generator.state = json.loads(text)                                # … and back
# ```
#
# Where are the generators? Attributes of modules, such as `rng` of Dropout. So it is the walk of module 04 once more: over `model.named_modules()`, and in each
# over `vars(module).items()`; what is an `np.random.Generator` counts, and its name is `join_names(path, name)`, such as `"2.rng"`.
#
# **By hand.** `Sequential(Linear(2, 8), ReLU(), Dropout(0.5))` has one generator, at `"2.rng"`. Draw three numbers, note the state, draw two more. Set the
# state back, and the same two come again.
#
# And as always in loading: if the names are not the same, then this is another model, and nothing may have changed when the ValueError comes.

# %% tags=["exercise:random-states"]
#| export
def generators(model):
    """Every NumPy generator that is an attribute of a module of the model: a dict from dotted names to generators.

    generators(Sequential(ReLU(), Dropout(0.5)))  →  {"1.rng": Generator(PCG64)}
    """
    ### BEGIN SOLUTION
    return {
        join_names(path, name): value
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, np.random.Generator)
    }
    ### END SOLUTION


def random_states(model):
    """The state of each generator, as JSON text: a dict from dotted names to strings. Nothing is drawn."""
    ### BEGIN SOLUTION
    return {
        name: json.dumps(rng.bit_generator.state, default=np.ndarray.tolist) for name, rng in generators(model).items()
    }
    ### END SOLUTION


def load_random_states(model, states):
    """Put each generator where random_states has found it. The texts may be strings, or NumPy arrays with one string: str(…) makes a string of both.

    ValueError, and nothing is changed, if a name is missing or unknown.
    """
    ### BEGIN SOLUTION
    own = generators(model)
    if own.keys() != set(states):
        raise ValueError(f"random states of {sorted(states)} were given, and this model has {sorted(own)}")
    for name, rng in own.items():
        rng.bit_generator.state = json.loads(str(states[name]))
    ### END SOLUTION

# %%
# %check random-states

# %% [markdown]
# ## 8 · Saving
#
# One flat dictionary of arrays holds everything. To keep five things apart, each name gets the name of its part in front, with a slash:
#
# ```text
#      model/0.weight      model/0.bias     …            trainer.model.state_dict()
#      optimizer/lr        optimizer/0.first     …       trainer.optimizer.state_dict()
#      scheduler/steps     scheduler/initial_lr          trainer.scheduler.state_dict(), if there is one
#      history/train_loss  history/val_loss     …        trainer.history
#      random/2.rng        …                             random_states(trainer.model)
# ```
#
# `np.asarray(value)` makes arrays of numbers, lists and texts, and hands arrays through.
#
# **Into a file.** `np.savez(file, **arrays)` writes a dictionary of arrays as an .npz: a zip archive with one file for each array, readable anywhere, by any
# version. (Python's own `pickle` would be shorter to write. But a pickle is a *program*, and loading one from a stranger runs what the stranger wrote. Many
# models on the internet were pickles, and some of them bit.)
#
# **All or nothing.** Writing takes a while. If the machine stops halfway, then the new checkpoint is half a file, and the old one, under the same name, is
# gone. So never write into the file that you may need:
#
# 1. write the whole file under a neighbouring name;
# 2. `os.replace(neighbour, path)`: renaming is one single act of the file system. At every moment there is the old file or the new one, and both are whole.
#
# **By hand.** `save_checkpoint(trainer, "tuesday")`: `checkpoint_path` (given) says `tuesday.npz`. The arrays go to `tuesday.npz.unfinished`, which then
# becomes `tuesday.npz`.
#
# `path.with_name(path.name + ".unfinished")` is the neighbour. Open it yourself, `with open(neighbour, "wb") as file:`, because with a mere name `np.savez`
# adds another `.npz`. (What is written may still wait in the computer's own memory for a while. Who fears power failures even then calls
# `os.fsync(file.fileno())` before the file is closed.)

# %% tags=["given:checkpoint-path"]
#| export
def checkpoint_path(path):
    """The path of a checkpoint, with ".npz" added where it is missing: "run.v2" → run.v2.npz"""
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(path.name + ".npz")

# %% tags=["exercise:save-checkpoint"]
#| export
def training_state(trainer):
    """All that decides how training goes on, and the history: a flat dict from "<part>/<name>" to arrays that nobody else will change.

    The parts are "model", "optimizer", "scheduler" (nothing, if there is none), "history" and "random".
    """
    ### BEGIN SOLUTION
    parts = {
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scheduler": {} if trainer.scheduler is None else trainer.scheduler.state_dict(),
        "history": trainer.history,
        "random": random_states(trainer.model),
    }
    return {f"{part}/{name}": np.asarray(value) for part, state in parts.items() for name, value in state.items()}
    ### END SOLUTION


def save_checkpoint(trainer, path):
    """Write the training_state into the .npz file checkpoint_path(path), all of it or nothing: a file that was there stays whole until then.

    Returns the path of the file.
    """
    path = checkpoint_path(path)
    ### BEGIN SOLUTION
    unfinished = path.with_name(path.name + ".unfinished")
    with open(unfinished, "wb") as file:
        np.savez(file, **training_state(trainer))
    os.replace(unfinished, path)
    ### END SOLUTION
    return path

# %%
# %check save-checkpoint

# %% [markdown]
# ## 9 · Going on
#
# Tomorrow a *new* program builds the same model, the same optimizer and schedule, a Trainer around them, and then: `trainer.load_checkpoint("tuesday")`.
# Reading the file is given: `read_checkpoint` sorts its arrays into the five parts, and says clearly when there is no such file, or when it is something else.
#
# Two functions to write. `load_training_state` hands each part to the one who gave it out. Two of them need a thought: the history comes back as arrays, and
# has to be lists again (`.tolist()`); and the scheduler's part is empty exactly if the saved trainer had no scheduler. If only one of the two has one, that is
# a ValueError.
#
# `load_checkpoint` must be **all or nothing**, too. Model, optimizer, scheduler: each looks before it changes anything, and raises ValueError if the state is
# not its own. But what if the optimizer is the one to refuse? By then the model has been changed already. What you need is a way back:
#
# 1. the present state is in `before`: the line above your part has collected it, with your `training_state`;
# 2. try to load the new one;
# 3. if that fails, whatever the error, load `before` again, and let the error go on its way: a bare `raise` inside `except` does that.
#
# `split_parts(state)`, given, turns the flat dictionary into one dictionary for each part.
#
# **By hand.** A checkpoint of SGD, loaded into a trainer with Adam. The model takes its weights. The optimizer finds no `0.first`: ValueError. Back to
# `before`: the model has its own weights again, and the caller sees the ValueError.

# %% tags=["given:read-checkpoint"]
#| export
PARTS = ("model", "optimizer", "scheduler", "history", "random")


def split_parts(state):
    """A flat dict from "<part>/<name>" to arrays as one dict for each of PARTS. ValueError for any other name."""
    parts = {part: {} for part in PARTS}
    for key, value in state.items():
        part, slash, name = key.partition("/")
        if not slash or part not in parts:
            raise ValueError(f"this is no checkpoint of a Trainer: it holds {key!r}")
        parts[part][name] = value
    return parts


def read_checkpoint(path):
    """The arrays in the .npz file checkpoint_path(path), by name. FileNotFoundError if it is not there, ValueError if it is something else."""
    path = checkpoint_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:  # a pickle could run anything
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # whatever it is that a foreign file makes the reader stumble over
        raise ValueError(f"{path} is no checkpoint, or it is damaged: {error}") from error

# %% tags=["exercise:load-checkpoint"]
#| export
def load_training_state(trainer, state):
    """Take in what training_state of an equal trainer has given out: model, optimizer, scheduler, random states, history.

    ValueError if it comes from another one: other weights, another optimizer, or a scheduler on one side only.
    """
    parts = split_parts(state)
    ### BEGIN SOLUTION
    trainer.model.load_state_dict(parts["model"])
    trainer.optimizer.load_state_dict(parts["optimizer"])
    if (trainer.scheduler is None) != (not parts["scheduler"]):
        raise ValueError("either the checkpoint or this trainer has a scheduler, and the other has none")
    if trainer.scheduler is not None:
        trainer.scheduler.load_state_dict(parts["scheduler"])
    load_random_states(trainer.model, parts["random"])
    trainer.history = {name: values.tolist() for name, values in parts["history"].items()}
    ### END SOLUTION


def load_checkpoint(trainer, path):
    """Go on from a checkpoint: from now on the trainer computes the same numbers, bit for bit, as the one that was saved.

    Errors as in read_checkpoint and load_training_state. If there is one, nothing has changed.
    """
    state, before = read_checkpoint(path), training_state(trainer)
    ### BEGIN SOLUTION
    try:
        load_training_state(trainer, state)
    except Exception:
        load_training_state(trainer, before)
        raise
    ### END SOLUTION

# %%
# %check load-checkpoint

# %% [markdown]
# ## The power fails
#
# The test of all this. One training runs through undisturbed. A second one, equal to it, saves after every epoch; in epoch 23 the power fails (here an
# exception, out of nowhere). A third one begins **from nothing**: a new model with other random weights, a new optimizer, a new schedule. It loads the last
# checkpoint and goes on. There is dropout, Adam and a cosine schedule in it, so that a lot could go wrong.
#
# And a fourth does what people did before they knew better: it saves the weights, and nothing else.

# %%
import tempfile

from tinytorch.layers import Dropout
from tinytorch.optimizers import CosineAnnealingLR

EPOCHS, FAILS_AT = 60, 23


def new_trainer(seed):
    rng = np.random.default_rng(seed)
    model = Sequential(
        Linear(2, 64, seed=rng), ReLU(), Dropout(0.2, seed=rng), Linear(64, 64, seed=rng), ReLU(), Linear(64, 3, seed=rng)
    )
    optimizer = Adam(model.parameters(), lr=0.02)
    return Trainer(model, optimizer, CrossEntropyLoss(), CosineAnnealingLR(optimizer, T_max=EPOCHS), metrics={"accuracy": accuracy})


def power_failure(history):
    doomed.save_checkpoint(f"{folder}/tuesday")
    if len(history["lr"]) == FAILS_AT:
        raise RuntimeError("the lights are out")


with tempfile.TemporaryDirectory() as folder:
    undisturbed = new_trainer(seed=1).fit(train_batches, validation_batches, epochs=EPOCHS)

    doomed = new_trainer(seed=1)
    try:
        doomed.fit(train_batches, validation_batches, epochs=EPOCHS, on_epoch=power_failure)
    except RuntimeError as error:
        print(f"epoch {FAILS_AT}: {error}")

    resumed = new_trainer(seed=999)
    resumed.load_checkpoint(f"{folder}/tuesday")
    resumed = resumed.fit(train_batches, validation_batches, epochs=EPOCHS - FAILS_AT)

    weights_only = new_trainer(seed=999)
    weights_only.model.load_state_dict(doomed.model.state_dict())
    weights_only = weights_only.fit(train_batches, validation_batches, epochs=EPOCHS - FAILS_AT)

for name in undisturbed:
    print(f"{name:13} largest difference: {max(abs(a - b) for a, b in zip(undisturbed[name], resumed[name]))}")

figure, panels = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True, layout="constrained")
for panel, (title, start, losses) in zip(
    panels, [("the whole checkpoint", 0, resumed["train_loss"]), ("the weights only", FAILS_AT, weights_only["train_loss"])]
):
    panel.plot(undisturbed["train_loss"], color="silver", linewidth=5, label="undisturbed")
    panel.plot(range(start, EPOCHS), losses, color="black", linewidth=1.2, label="resumed")
    panel.axvline(FAILS_AT - 0.5, color="crimson", linestyle="--", linewidth=1)
    panel.set(xlabel="epoch", ylim=(0.1, 1.0))
    panel.set_title(title, fontsize=9)
panels[0].set_ylabel("training loss")
panels[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# The four zeros are the proof: not nearly the same numbers, the same. At the right the weights came back and nothing else: Adam's averages were gone and the
# rate was back at its beginning, so the loss jumps, and it takes the training many epochs to get over it. It ends at about the same height here. With a night's
# training lost that way, or a result that nobody can get again, you would not call it the same.
#
# ## Systems: what is in a checkpoint, and what is in a step?
#
# 1. How large is a checkpoint, compared with the weights? Nobody has trained here, so what you see is just what each optimizer remembers.
# 2. Where does the time of a step go: forward, backward, or the optimizer? And how does that depend on the batch?

# %%
from tinytorch.optimizers import SGD
from tinytorch.setup import measure, readable_bytes
from tinytorch.tensor import randn


def digits_network():
    return Sequential(Linear(784, 128, seed=1), ReLU(), Linear(128, 10, seed=2))


OPTIMIZERS = {
    "SGD": lambda parameters: SGD(parameters, lr=0.01),
    "SGD, momentum": lambda parameters: SGD(parameters, lr=0.01, momentum=0.9),
    "Adam": lambda parameters: Adam(parameters),
}

with tempfile.TemporaryDirectory() as folder:
    for name, make in OPTIMIZERS.items():
        model = digits_network()
        file = Trainer(model, make(model.parameters()), CrossEntropyLoss()).save_checkpoint(Path(folder, name))
        weights, size = sum(parameter.data.nbytes for parameter in model.parameters()), file.stat().st_size
        print(f"{name:14} weights {readable_bytes(weights)}   checkpoint {readable_bytes(size):>9}   {size / weights:.2f} ×   {'█' * round(10 * size / weights)}")

# %%
model = digits_network()
optimizer, loss_fn = Adam(model.parameters()), CrossEntropyLoss()
sizes, shares = (1, 8, 64, 256), {"forward": [], "backward": [], "step": []}
for batch in sizes:
    pictures, digits = randn(batch, 784, seed=3), Tensor(np.random.default_rng(4).integers(0, 10, size=batch))

    def forward():
        return loss_fn(model(pictures), digits)

    def forward_and_backward():
        optimizer.zero_grad()
        forward().backward()

    only_forward, both, step = measure(forward), measure(forward_and_backward), measure(optimizer.step)
    seconds = {"forward": only_forward, "backward": both - only_forward, "step": step}
    total = sum(seconds.values())
    for name in shares:
        shares[name].append(seconds[name] / total)
    parts = "   ".join(f"{name} {1e6 * s:6.0f} µs" for name, s in seconds.items())
    print(f"batch of {batch:3}   {parts}   together {1e6 * total / batch:6.1f} µs a sample")

plt.figure(figsize=(5, 1.8))
left = np.zeros(len(sizes))
for name, share in shares.items():
    plt.barh([f"batch of {batch}" for batch in sizes], share, left=left, label=name)
    left += share
plt.gca().invert_yaxis()
plt.xlim(0, 1)
plt.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=3, frameon=False)
plt.show()

# %% [markdown]
# The optimizer takes the same time whatever the batch, because it walks over the weights, and not over the samples. Forward and backward grow with the batch,
# but not at its lower end: 784 × 128 weights have to be fetched from memory for one sample just as for eight.
#
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. You tried fifty networks, and took the one with the best validation loss. Is that loss an honest forecast for data that nobody has seen? Which third set of
#    data do you need, and how often may you look at it?
# 2. In the long run the validation *accuracy* lost five points, while the validation *loss* became three times as large. How can that be? (Think of how sure
#    the network is where it is wrong.)
# 3. The batches here came in the same order in every epoch. If they were shuffled, what else would have to go into a checkpoint, so that the third training
#    could not be told from the first?
# 4. A checkpoint of a language model with 7 billion weights, trained with Adam in float32: how large is it? How long does your disk write at it, and what does
#    that say about how often one should save?
#
# **Behind the next door.** You can train now, the way it is done in practice: complete this module, and XOR opens once more, this time trained end to end.
# After that it is the network's turn again. It sees a picture as a list of 784 numbers, in which neighbours mean nothing; shuffle all pixels, and it would not
# even notice. In module 09 it learns to **see**.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

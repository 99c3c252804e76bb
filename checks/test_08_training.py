"""Checks of module 08: the loop around the step, looking without touching, stopping in time, and going on bit for bit."""

import importlib
import json
import os
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
from support import often, shuffled

from tinytorch_core.kernel.checking import at_most, error_text, exercise, given, judged, raises, stage, wants

# The same training, worked out by hand in float64: two linear maps with a tanh between them, squared error


def outputs_of(state, x):
    return np.tanh(x @ state["0.weight"].T + state["0.bias"]) @ state["2.weight"].T + state["2.bias"]


def loss_of(state, x, y):
    return float(((outputs_of(state, x) - y) ** 2).mean())


def slopes(state, x, y):
    hidden = np.tanh(x @ state["0.weight"].T + state["0.bias"])
    error = 2 * (hidden @ state["2.weight"].T + state["2.bias"] - y) / y.size
    inner = (error @ state["2.weight"]) * (1 - hidden**2)
    return {"0.weight": inner.T @ x, "0.bias": inner.sum(0), "2.weight": error.T @ hidden, "2.bias": error.sum(0)}


def shortened(gradients, max_norm):
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    return {name: g * min(1.0, max_norm / norm) for name, g in gradients.items()}


class ByHand:
    """What a Trainer must do, with SGD and momentum, or with Adam."""

    def __init__(self, task):
        self.task, self.lr, self.n, self.steps = task, task["lr"], 0, 0
        self.state = {name: value.copy() for name, value in task["state"].items()}
        self.first = {name: np.zeros_like(value) for name, value in self.state.items()}
        self.second = {name: np.zeros_like(value) for name, value in self.state.items()}
        self.history = {"train_loss": [], "val_loss": [], "lr": []}

    def step(self, x, y):
        loss, gradients = loss_of(self.state, x, y), slopes(self.state, x, y)
        if self.task.get("clip") is not None:
            gradients = shortened(gradients, self.task["clip"])
        self.n += 1
        for name, g in gradients.items():
            self.state[name] = self.state[name] - self.lr * self.direction(name, g)
        return loss

    def direction(self, name, g):
        if not self.task.get("adam"):
            self.first[name] = self.task.get("momentum", 0.0) * self.first[name] + g
            return self.first[name]
        self.first[name] = 0.9 * self.first[name] + 0.1 * g
        self.second[name] = 0.999 * self.second[name] + 0.001 * g**2
        first, second = self.first[name] / (1 - 0.9**self.n), self.second[name] / (1 - 0.999**self.n)
        return first / (np.sqrt(second) + 1e-8)

    def epoch(self):
        x, y, pairs = self.task["x"], self.task["y"], cut(self.task)
        loss = float(np.average([self.step(x[p], y[p]) for p in pairs], weights=[len(x[p]) for p in pairs]))
        self.steps += 1
        if "gamma" in self.task:
            self.lr = self.task["lr"] * self.task["gamma"] ** (self.steps // self.task["every"])
        return loss

    def fit(self, epochs):
        for _ in range(epochs):
            self.history["lr"].append(self.lr)
            self.history["train_loss"].append(self.epoch())
            self.history["val_loss"].append(loss_of(self.state, self.task["fresh_x"], self.task["fresh_y"]))
        return self


def cut(task):
    """Slices that make batches of `size`; the last one is shorter."""
    return [slice(start, start + task["size"]) for start in range(0, len(task["x"]), task["size"])]


def task(rng, **settings):
    size, hidden = int(rng.integers(3, 6)), int(rng.integers(2, 5))
    count = size * int(rng.integers(2, 4)) + int(rng.integers(1, size - 1))
    shapes = {"0.weight": (hidden, 2), "0.bias": hidden, "2.weight": (1, hidden), "2.bias": 1}
    return {
        "task": {
            "state": {name: rng.normal(size=shape) for name, shape in shapes.items()},
            "x": rng.normal(size=(count, 2)),
            "y": rng.normal(size=(count, 1)) * 2,
            "fresh_x": rng.normal(size=(count + 1, 2)),
            "fresh_y": rng.normal(size=(count + 1, 1)) * 2,
            "size": size,
            "lr": float(rng.uniform(0.05, 0.2)),
            **settings,
        }
    }


def with_everything(rng):
    adam = bool(rng.random() < 0.5)
    schedule = {"gamma": float(rng.uniform(0.3, 0.8)), "every": 2}
    return task(rng, adam=adam, momentum=0.0 if adam else 0.9, clip=float(rng.uniform(0.3, 1.5)), **schedule)


# The student's trainer for the same task


def with_state(model, state):
    for name, parameter in model.named_parameters():
        parameter.data = np.array(state[name])
    return model


def trainer_for(tt, task, loss_fn=None, **settings):
    hidden = len(task["state"]["0.bias"])
    model = with_state(tt.Sequential(tt.Linear(2, hidden), tt.Tanh(), tt.Linear(hidden, 1)), task["state"])
    adam, momentum = task.get("adam"), task.get("momentum", 0.0)
    parameters = model.parameters()
    optimizer = tt.Adam(parameters, lr=task["lr"]) if adam else tt.SGD(parameters, lr=task["lr"], momentum=momentum)
    scheduler = tt.StepLR(optimizer, step_size=task["every"], gamma=task["gamma"]) if "gamma" in task else None
    return tt.Trainer(model, optimizer, loss_fn or tt.MSELoss(), scheduler, task.get("clip"), **settings)


def batches(tt, task):
    return [(tt.Tensor(task["x"][part]), tt.Tensor(task["y"][part])) for part in cut(task)]


def fresh(tt, task):
    """The validation data, in two batches of different sizes."""
    x, y = task["fresh_x"], task["fresh_y"]
    return [(tt.Tensor(x[part]), tt.Tensor(y[part])) for part in (slice(0, 2), slice(2, None))]


class Again:
    """Something that can be walked over again and again, and nothing else."""

    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


def a_probe(tt, seen):
    """A module that changes nothing and notes whether it was in training mode."""

    class Probe(tt.Module):
        def forward(self, x):
            seen.append(self.training)
            return x

    return Probe()


def a_loss(tt, before):
    """The mean squared error; `before()` is called each time."""

    def loss_fn(outputs, targets):
        before()
        return tt.MSELoss()(outputs, targets)

    return loss_fn


# --- accuracy --------------------------------------------------------------------------------------------------------


def logits_and_classes(rng, *leading):
    classes = int(rng.integers(2, 6))
    truth = rng.integers(0, classes, size=leading)
    logits = np.float64(np.arange(classes) == truth[..., None]) * 2 + rng.normal(size=(*leading, classes))
    return {"logits": logits, "truth": truth}


def share_right(logits, truth):
    rows = logits.reshape(-1, logits.shape[-1])
    return float(sum(row[t] == max(row) for row, t in zip(rows, truth.ravel(), strict=True)) / truth.size)


@exercise("accuracy")
@given(lambda rng: logits_and_classes(rng, 2 * int(rng.integers(5, 9)) + 1))
@wants(share_right)
def test_accuracy_is_the_share_of_right_answers(tt, logits, truth):
    """Accuracy is the share of rows whose largest logit stands at the right class, a Python float.

    answers = logits.argmax(axis=-1); then float((answers == truth).mean()).
    """
    return tt.accuracy(tt.Tensor(logits), tt.Tensor(truth))


@exercise("accuracy")
@given(lambda rng: logits_and_classes(rng, int(rng.integers(2, 5)), int(rng.integers(6, 9))))
@wants(share_right)
def test_accuracy_of_texts(tt, logits, truth):
    """The classes stand along the last axis, however many axes there are before it.

    argmax(axis=-1), not axis=1: (N, T, C) becomes (N, T).
    """
    return tt.accuracy(tt.Tensor(logits), tt.Tensor(truth))


def a_column(rng):
    """Logits of which many are small, and truths of which a third is against them."""
    logits = rng.normal(size=(int(rng.integers(25, 40)), 1)) / 2
    return {"logits": logits, "truth": (logits > 0) ^ (rng.random(logits.shape) < 0.3)}


@exercise("accuracy")
@given(lambda rng: {"columns": [a_column(rng) for _ in range(5)]})
@wants(lambda columns: [[float(((c["logits"] > 0) == c["truth"]).sum() / len(c["truth"]))] * 3 for c in columns])
def test_accuracy_of_one_column(tt, columns):
    """In a single column the answer is 1 if the logit is above 0, else 0; the targets may be (N, 1) or (N,), floats or integers.

    The largest of one number is always number 0, so argmax can't help. Give answers and targets the same shape before you compare.
    """
    shares = []
    for logits, truth in ((tt.Tensor(column["logits"]), column["truth"]) for column in columns):
        kinds = truth.astype(np.float32), truth[:, 0].astype(np.float32), truth[:, 0].astype(int)
        shares.append([tt.accuracy(logits, tt.Tensor(targets)) for targets in kinds])
    return shares


SHAPES = [
    ((6, 3), (6,)), ((4, 1), (4, 1)), ((4, 1), (4,)), ((2, 3, 4), (2, 3)), ((6, 3), (6, 1)), ((6, 3), (6, 3)),
    ((6, 3), (5,)), ((6, 3), (1,)), ((6, 3), ()), ((4, 1), (1, 4)), ((4, 1), (3,)), ((3, 3, 4), (3,)),
]  # fmt: skip


def says_both_shapes(texts, pairs):
    for text, (one, other) in zip(texts, pairs, strict=True):
        fits = tuple(other) in (tuple(one[:-1]), tuple(one) if one[-1] == 1 else ())
        fits = fits and tuple(other) != ()
        if fits and text:
            return f"targets {tuple(other)} fit outputs {tuple(one)}, but there was an error: {text!r}"
        if not fits and not all(str(tuple(shape)).replace(" ", "") in text.replace(" ", "") for shape in (one, other)):
            return f"outputs {tuple(one)} and targets {tuple(other)}: an error should name both shapes; got {text!r}"
    return None


@exercise("accuracy")
@given(lambda rng: {"pairs": shuffled(rng, [[list(a), list(b)] for a, b in SHAPES])})
@judged(says_both_shapes)
def test_accuracy_says_which_shapes_clash(tt, pairs):
    """Targets of another shape than the answers raise ValueError, with both shapes in the message; nothing is broadcast.

    Compare truth.shape with answers.shape before you compare numbers, and put outputs.shape and targets.shape into an f-string.
    """
    return [
        error_text(lambda a=a, b=b: tt.accuracy(tt.Tensor(np.ones(a)), tt.Tensor(np.ones(b, int)))) for a, b in pairs
    ]


# --- train-step ------------------------------------------------------------------------------------------------------


@exercise("train-step")
@given(task)
@wants(lambda task: one_step(task), rtol=1e-7, atol=1e-9)
def test_a_step_moves_the_weights_once(tt, task):
    """One step moves every weight by its gradient times the rate, and returns the loss as it was before.

    forward, loss, backward, step; and loss.item(), which was worked out before the step.
    """
    trainer, (inputs, targets) = trainer_for(tt, task), batches(tt, task)[0]
    return trainer.train_step(inputs, targets), trainer.model.state_dict()


def one_step(task):
    hand, part = ByHand(task), cut(task)[0]
    return hand.step(task["x"][part], task["y"][part]), hand.state


@exercise("train-step")
@given(lambda rng: {**task(rng, momentum=0.9), "left": float(rng.normal())})
@wants(lambda task, left: many_steps(task), rtol=1e-7, atol=1e-9)
def test_every_step_begins_without_gradients(tt, task, left):
    """Gradients of the step before, or of somebody else, have no part in a step.

    trainer.optimizer.zero_grad() before anything else.
    """
    trainer, losses = trainer_for(tt, task), []
    for inputs, targets in batches(tt, task):
        for parameter in trainer.model.parameters():
            parameter.grad = parameter.data * 0 + left if parameter.grad is None else parameter.grad
        losses.append(trainer.train_step(inputs, targets))
    return losses, trainer.model.state_dict()


def many_steps(task):
    hand = ByHand(task)
    return [hand.step(task["x"][part], task["y"][part]) for part in cut(task)], hand.state


@exercise("train-step")
@given(lambda rng: {"tasks": [task(rng, clip=clip)["task"] for clip in shuffled(rng, [0.0, 0.01, 0.1, 1e6])]})
@wants(lambda tasks: [many_steps(task)[1] for task in tasks], rtol=1e-7, atol=1e-9)
def test_a_step_clips_the_gradients(tt, tasks):
    """With grad_clip_norm, the gradients of all parameters together are no longer than that when the optimizer steps.

    clip_grad_norm(trainer.optimizer.parameters, trainer.grad_clip_norm), after backward and before step. All parameters in one call.
    A norm of 0 is one, too.
    """
    states = []
    for each in tasks:
        trainer = trainer_for(tt, each)
        for inputs, targets in batches(tt, each):
            trainer.train_step(inputs, targets)
        states.append(trainer.model.state_dict())
    return states


@exercise("train-step")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(5, 3)), "y": rng.normal(size=(5, 1)), "weight": rng.normal(size=(1, 3))})
@wants(lambda x, y, weight: [x, y, float(((x @ weight.T - y) ** 2).mean()), 1, 1])
def test_a_step_goes_forward_once(tt, x, y, weight):
    """A step runs the model once and the loss once, and leaves the batch as it was.

    Keep the loss in a variable; do not work it out again after the step.
    """
    runs, losses = [], []
    model = tt.Sequential(a_probe(tt, runs), with_state(tt.Linear(3, 1, bias=False), {"weight": weight}))
    trainer = tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), a_loss(tt, lambda: losses.append(1)))
    inputs, targets = tt.Tensor(x), tt.Tensor(y)
    return inputs, targets, trainer.train_step(inputs, targets), len(runs), len(losses)


# --- train-epoch -----------------------------------------------------------------------------------------------------


@exercise("train-epoch")
@given(task)
@wants(lambda task: by_epochs(task, 3), rtol=1e-7, atol=1e-9)
def test_an_epoch_is_a_step_on_each_batch(tt, task):
    """An epoch makes one step on each batch, in their order, and returns the mean loss per sample; a short last batch counts for less.

    Add up train_step(…) · len(inputs) and len(inputs), and divide at the end.
    """
    trainer, pairs = trainer_for(tt, task), batches(tt, task)
    losses = [trainer.train_epoch(pairs) for _ in range(3)]
    return losses, trainer.model.state_dict()


def by_epochs(task, epochs):
    hand = ByHand(task)
    return [hand.epoch() for _ in range(epochs)], hand.state


@exercise("train-epoch")
@given(lambda rng: task(rng, gamma=float(rng.uniform(0.3, 0.8)), every=int(rng.integers(1, 3))))
@wants(lambda task: rates_in(task, 4), rtol=1e-9, atol=0)
def test_the_scheduler_steps_once_an_epoch(tt, task):
    """The learning rate stays the same through an epoch; when the last batch is done, the scheduler steps once.

    trainer.scheduler.step() stands after the loop, not in it.
    """
    rates = []
    trainer = trainer_for(tt, task, a_loss(tt, lambda: rates.append(trainer.optimizer.lr)))
    for _ in range(4):
        trainer.train_epoch(batches(tt, task))
    return [*rates, trainer.optimizer.lr]


def rates_in(task, epochs):
    rate = [task["lr"] * task["gamma"] ** (epoch // task["every"]) for epoch in range(epochs + 1)]
    return [rate[epoch] for epoch in range(epochs) for _ in cut(task)] + rate[-1:]


@exercise("train-epoch")
@given(lambda rng: {"counts": rng.integers(1, 5, size=8).tolist(), "before": shuffled(rng, [True, False] * 4)})
@wants(lambda counts, before: [[True] * count for count in counts])
def test_an_epoch_is_spent_in_training_mode(tt, counts, before):
    """During an epoch the whole model is in training mode, whatever somebody said before.

    trainer.model.train() is the first line.
    """
    answers = []
    for count, mode in zip(counts, before, strict=True):
        seen = []
        model = tt.Sequential(tt.Linear(1, 1), tt.Sequential(a_probe(tt, seen))).train(mode)
        batch = tt.Tensor(np.ones((2, 1))), tt.Tensor(np.ones((2, 1)))
        tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), tt.MSELoss()).train_epoch([batch] * count)
        answers.append(seen)
    return answers


@exercise("train-epoch")
@given(lambda rng: {"counts": shuffled(rng, [0, 0, 0, 1, 2, 3, 0, 1]), "lazy": shuffled(rng, [False, True] * 4)})
@wants(lambda counts, lazy: [[True, 0] if count == 0 else [False, 1] for count in counts])
def test_nothing_to_train_on_is_an_error(tt, counts, lazy):
    """Without any batch train_epoch raises ValueError, and the scheduler has not moved.

    Count the samples; if the count is still 0 after the loop, raise before scheduler.step().
    """
    answers = []
    for count, once in zip(counts, lazy, strict=True):
        model = tt.Linear(1, 1)
        optimizer = tt.SGD(model.parameters(), lr=0.1)
        trainer = tt.Trainer(model, optimizer, tt.MSELoss(), tt.StepLR(optimizer, step_size=1))
        pairs = [(tt.Tensor(np.ones((2, 1))), tt.Tensor(np.ones((2, 1))))] * count
        refused = raises(ValueError, lambda t=trainer, p=pairs, once=once: t.train_epoch(iter(p) if once else p))
        answers.append([refused, trainer.scheduler.steps])
    return answers


# --- validate --------------------------------------------------------------------------------------------------------


def looked_at(task):
    x, y = task["fresh_x"], task["fresh_y"]
    shares = {"loss": loss_of(task["state"], x, y), "outputs": float(outputs_of(task["state"], x).mean())}
    return shares | {"targets": float(y.mean())}


@exercise("validate")
@given(task)
@wants(looked_at, rtol=1e-7, atol=1e-9)
def test_validate_returns_means_per_sample(tt, task):
    """validate returns the loss and every metric by its name, each a mean over all samples: a short batch counts for less.

    Every number of a batch is weighted with len(inputs), the metrics as well. A metric gets (outputs, targets), in this order.
    """
    metrics = {"outputs": lambda outputs, targets: float(outputs.data.mean())}
    metrics["targets"] = lambda outputs, targets: float(targets.data.mean())
    return trainer_for(tt, task, metrics=metrics).validate(fresh(tt, task))


@exercise("validate")
@given(lambda rng: {**task(rng, momentum=0.9), "gradients": rng.normal(size=8).tolist()})
@wants(lambda task, gradients: [task["state"], gradients[:4], {"train_loss": [], "val_loss": [], "lr": []}])
def test_validate_touches_nothing(tt, task, gradients):
    """After validate, weights, gradients and history are what they were.

    No backward, no step, no zero_grad in it.
    """
    trainer = trainer_for(tt, task)
    for parameter, number in zip(trainer.model.parameters(), gradients, strict=False):
        parameter.grad = np.full(parameter.shape, number)
    trainer.validate(fresh(tt, task))
    kept = [float(np.ravel(parameter.grad)[0]) for parameter in trainer.model.parameters()]
    return trainer.model.state_dict(), kept, trainer.history


def a_tree(tt, flags, seen):
    """Modules in modules, each with its own mode."""
    model = tt.Sequential(tt.Linear(2, 2), tt.Dropout(0.5), tt.Sequential(a_probe(tt, seen), tt.Dropout(0.5)))
    for (_, module), flag in zip(model.named_modules(), flags, strict=False):
        module.training = flag
    return model


@exercise("validate")
@given(
    lambda rng: {"flags": (rng.random((8, 6)) < 0.5).tolist(), "fails": shuffled(rng, [False, True] * 4)},
)
@wants(lambda flags, fails: [[failing, [False], row, True] for row, failing in zip(flags, fails, strict=True)])
def test_validate_gives_every_mode_back(tt, flags, fails):
    """Inside, all modules evaluate; afterwards each has the mode it had before, and gradients are recorded again, even after an error.

    Keep (module, module.training) for every module, and give the modes back in a finally. model.train() would wake parts that were not training.
    """
    answers, batch = [], (tt.Tensor(np.ones((3, 2))), tt.Tensor(np.ones((3, 2))))
    for row, failing in zip(flags, fails, strict=True):
        seen = []
        model = a_tree(tt, row, seen)
        loss_fn = a_loss(tt, lambda failing=failing: {False: None}[failing])  # a KeyError, if it is to fail
        trainer = tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), loss_fn)
        failed = raises(KeyError, lambda trainer=trainer: trainer.validate([batch]))
        after = [module.training for _, module in model.named_modules()]
        answers.append([failed, list(seen), after, model(batch[0]).requires_grad])
    return answers


@exercise("validate")
@given(lambda rng: {"x": rng.normal(size=(4, 3)), "weight": rng.normal(size=(2, 3)), "p": float(rng.uniform(0.3, 0.9))})
@wants(lambda x, weight, p: {"loss": float(((x @ weight.T) ** 2).mean()), "recorded": 0.0}, rtol=1e-5, atol=1e-6)
def test_validate_drops_and_records_nothing(tt, x, weight, p):
    """While it looks, dropout is off and nothing is recorded: the outputs want no gradient.

    with evaluating(trainer.model): around the whole loop; evaluating calls model.eval() and opens no_grad().
    """
    model = tt.Sequential(tt.Dropout(p), tt.Linear(3, 2, bias=False), tt.Dropout(p))
    model[1].weight.data = weight
    metrics = {"recorded": lambda outputs, targets: float(outputs.requires_grad)}
    trainer = tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), tt.MSELoss(), metrics=metrics)
    return trainer.validate([(tt.Tensor(x), tt.Tensor(np.zeros((4, 2))))])


@exercise("validate")
@given(lambda rng: {"counts": shuffled(rng, [0, 0, 0, 1, 2, 3, 0, 1]), "lazy": shuffled(rng, [False, True] * 4)})
@wants(lambda counts, lazy: [count == 0 for count in counts])
def test_nothing_to_validate_on_is_an_error(tt, counts, lazy):
    """Without any batch validate raises ValueError.

    Count the samples, and ask before you divide.
    """
    model = tt.Linear(1, 1)
    trainer = tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), tt.MSELoss())
    batch = tt.Tensor(np.ones((2, 1))), tt.Tensor(np.ones((2, 1)))
    lists = [iter([batch] * count) if once else [batch] * count for count, once in zip(counts, lazy, strict=True)]
    return [raises(ValueError, lambda pairs=pairs: trainer.validate(pairs)) for pairs in lists]


# --- early-stopping --------------------------------------------------------------------------------------------------


def bumpy(rng, kind):
    """Losses that fall, with a bump, and rise again; after the lowest one comes an equal one, or a nan."""
    best = int(rng.integers(3, 6))
    losses = (
        3.0 + np.abs(np.arange(best + 5) - best) + rng.integers(0, 2, size=best + 5) * (np.arange(best + 5) != best)
    )
    losses[1] = losses[0] + 5
    losses[best + 1] = {"equal": losses[best], "nan": np.nan}[kind]
    return losses.tolist()


def watched(losses, patience):
    """How many epochs run, and which was the best (0: none)."""
    best = 0
    for epoch in range(1, len(losses) + 1):
        if not np.isnan(losses[epoch - 1]) and (best == 0 or losses[epoch - 1] < losses[best - 1]):
            best = epoch
        if epoch - best >= patience:
            return epoch, best
    return len(losses), best


def watching(rng):
    courses = [bumpy(rng, kind) for kind in ("equal", "nan") * 4] + [[float("nan")] * int(rng.integers(3, 6))]
    patience = [*shuffled(rng, [1, 2, 2, 2]), *shuffled(rng, [3, 3, 4, 20]), 2]
    order = rng.permutation(9)
    return {"courses": [courses[i] for i in order], "patience": [patience[i] for i in order]}


@exercise("early-stopping")
@given(watching)
@wants(lambda courses, patience: [watched(c, p)[0] for c, p in zip(courses, patience, strict=True)])
def test_it_stops_when_patience_is_over(tt, courses, patience):
    """update is True as soon as the best loss has not been beaten for `patience` epochs in a row; equal and nan do not beat it.

    Lower than best_loss: waited = 0. Otherwise waited += 1. Return waited >= patience.
    """
    stops = []
    for losses, epochs in zip(courses, patience, strict=True):
        stopping = tt.EarlyStopping(tt.Linear(1, 1), epochs)
        answers = [stopping.update(loss) for loss in losses]
        stops.append(answers.index(True) + 1 if True in answers else len(losses))
    return stops


@exercise("early-stopping")
@given(watching)
@wants(lambda courses, patience: [best_of(c) for c in courses])
def test_it_brings_the_best_state_back(tt, courses, patience):
    """restore gives the model the state of its best epoch, buffers too; before any epoch was good, that of the beginning.

    Take model.state_dict() when the loss is the lowest so far: it copies. restore loads it.
    """
    states = []
    for losses in courses:
        model = tt.Linear(1, 1, bias=False)
        model.register_buffer("mean", np.zeros(1))
        model.weight.data[:] = 0
        stopping = tt.EarlyStopping(model, 100)
        for loss in losses:
            model.weight.data += 1
            model.mean.data += 10
            stopping.update(loss)
        stopping.restore()
        states.append([model.weight.item(), model.mean.item(), stopping.best_loss])
    return states


def best_of(losses):
    best = watched(losses, 100)[1]
    return [float(best), 10.0 * best, losses[best - 1] if best else float("inf")]


# --- fit -------------------------------------------------------------------------------------------------------------


@exercise("fit")
@given(with_everything)
@wants(lambda task: ByHand(task).fit(5).history, rtol=1e-6, atol=1e-9)
def test_fit_writes_everything_down(tt, task):
    """After each epoch the history has one more train_loss, val_loss and lr: the rate that the epoch was trained with.

    Read optimizer.lr before train_epoch, because the scheduler turns it at the end.
    """
    trainer = trainer_for(tt, task)
    return trainer.fit(Again(batches(tt, task)), Again(fresh(tt, task)), epochs=5)


@exercise("fit")
@given(with_everything)
@wants(lambda task: [ByHand(task).fit(5).history, ByHand(task).fit(5).state], rtol=1e-6, atol=1e-9)
def test_epochs_are_added(tt, task):
    """A second fit goes on where the first ended: `epochs` more epochs, and the history holds all of them.

    Append to trainer.history, and leave the optimizer and the scheduler alone.
    """
    trainer = trainer_for(tt, task)
    trainer.fit(batches(tt, task), fresh(tt, task), epochs=2)
    trainer.fit(batches(tt, task), fresh(tt, task), epochs=0)
    return trainer.fit(batches(tt, task), fresh(tt, task), epochs=3), trainer.model.state_dict()


@exercise("fit")
@given(lambda rng: {**task(rng), "epochs": int(rng.integers(2, 5))})
@wants(lambda task, epochs: alone(task, epochs), rtol=1e-7, atol=1e-9)
def test_fit_without_validation(tt, task, epochs):
    """Without validation batches fit only trains: train_loss and lr are written down, and val_loss stays empty.

    Validate only `if validation_batches is not None`.
    """
    history = trainer_for(tt, task).fit(batches(tt, task), epochs=epochs)
    return {name: values for name, values in history.items() if values}


def alone(task, epochs):
    history = ByHand(task).fit(epochs).history
    return {name: history[name] for name in ("train_loss", "lr")}


@exercise("fit")
@given(lambda rng: logits_and_classes(rng, 9) | {"epochs": int(rng.integers(2, 4))})
@wants(lambda logits, truth, epochs: [[share_right(logits, truth)] * epochs, [float(len(truth))] * epochs], rtol=1e-6)
def test_fit_writes_the_metrics_down(tt, logits, truth, epochs):
    """Every metric gets its own list in the history, under val_<name>.

    What validate returns, each name with "val_" in front.
    """
    frozen = tt.Parameter(np.zeros(1))
    model = tt.Sequential(lambda x: x + frozen)
    metrics = {"accuracy": tt.accuracy, "rows": lambda outputs, targets: float(len(targets))}
    trainer = tt.Trainer(model, tt.SGD([frozen], lr=0.0), tt.CrossEntropyLoss(), metrics=metrics)
    pairs = [(tt.Tensor(logits), tt.Tensor(truth))]
    history = trainer.fit(pairs, pairs, epochs=epochs)
    return history["val_accuracy"], history["val_rows"]


def a_counter(tt):
    """A model whose weight is the number of its training steps, and whose buffer counts its training passes."""

    class Counter(tt.Module):
        def __init__(self):
            self.weight = tt.Parameter(np.zeros(1))
            self.register_buffer("passes", np.zeros(1))

        def forward(self, x):
            if self.training:
                self.passes.data = self.passes.data + 1
            return x * self.weight

    return Counter()


def a_course(tt, losses):
    """A trainer whose validation losses are those given, one an epoch."""
    model, to_come = a_counter(tt), iter(losses)
    trainer = tt.Trainer(
        model,
        tt.SGD(model.parameters(), lr=1.0),
        lambda outputs, targets: -outputs.mean() if model.training else tt.Tensor(np.array(next(to_come))),
    )
    return trainer, [(tt.Tensor(np.ones((2, 1))), tt.Tensor(np.ones((2, 1))))]


@exercise("fit")
@given(watching)
@wants(
    lambda courses, patience: [
        [e, float(b), float(b)] for e, b in (watched(c, p) for c, p in zip(courses, patience, strict=True))
    ]
)
def test_fit_stops_in_time_and_keeps_the_best(tt, courses, patience):
    """With patience, fit ends when the validation loss has not been beaten for so long, and the model has its best weights, in any case.

    stopping.update(val_loss) after each epoch; break if it says so; after the loop stopping.restore(), whether it broke or not.
    """
    answers = []
    for losses, epochs in zip(courses, patience, strict=True):
        trainer, pairs = a_course(tt, losses)
        history = trainer.fit(pairs, pairs, epochs=len(losses), patience=epochs)
        answers.append([len(history["val_loss"]), trainer.model.weight.item(), trainer.model.passes.item()])
    return answers


@exercise("fit")
@given(lambda rng: {"courses": [bumpy(rng, kind) for kind in ("equal", "nan") * 4]})
@wants(lambda courses: [[len(c), float(len(c))] for c in courses])
def test_without_patience_nothing_stops(tt, courses):
    """Without patience all epochs are trained, however the validation loss goes, and the last weights stay.

    Ask stopping only if it is not None.
    """
    answers = []
    for losses in courses:
        trainer, pairs = a_course(tt, losses)
        answers.append([len(trainer.fit(pairs, pairs, epochs=len(losses))["lr"]), trainer.model.weight.item()])
    return answers


@exercise("fit")
@given(lambda rng: {"wishes": shuffled(rng, [[p, v] for p in (None, 0, 1, 3) for v in (True, False)])})
@wants(
    lambda wishes: [
        [True, 0.0] if p is not None and (p < 1 or not v) else [False, 1.0 if v and p else 2.0] for p, v in wishes
    ]
)
def test_patience_needs_something_to_watch(tt, wishes):
    """patience without validation batches, or below 1, is a ValueError, and nothing has moved then.

    If nothing was refused: the lines above your part do that, let their errors pass. If it is the weight after an ordinary run, look at the
    check of patience first, and at restore().
    """
    answers = []
    for patience, validated in wishes:
        trainer, pairs = a_course(tt, [1.0, 2.0])
        watch = pairs if validated else None
        refused = raises(ValueError, lambda t=trainer, w=watch, p=patience, b=pairs: t.fit(b, w, epochs=2, patience=p))
        answers.append([refused, trainer.model.weight.item()])
    return answers


@exercise("fit")
@given(lambda rng: {"losses": rng.uniform(1, 5, size=3).tolist()})
@wants(lambda losses: losses)
def test_fit_makes_the_lists_that_are_missing(tt, losses):
    """A history that came from a trainer without validation goes on all the same, and gets its list of validation losses.

    setdefault gives the list, and makes it if need be.
    """
    trainer, pairs = a_course(tt, losses)
    trainer.history = {"train_loss": [], "lr": []}
    return trainer.fit(pairs, pairs, epochs=len(losses))["val_loss"]


@exercise("fit")
@given(lambda rng: {"patience": rng.integers(1, 5, size=4).tolist()})
@wants(lambda patience: [f"patience {p}: epochs 1 to {p + 1}" for p in patience])
def test_on_epoch_hears_of_the_last_epoch(tt, patience):
    """The epoch after which training stops early is told to on_epoch like every other. (The loss rises from the first on.)

    First on_epoch, then the question whether it is time to stop: a break in between would leave the last epoch out.
    """
    answers = []
    for p in patience:
        trainer, pairs = a_course(tt, [1.0 + n for n in range(7)])
        told = []
        trainer.fit(
            pairs, pairs, epochs=7, patience=p, on_epoch=lambda history, told=told: told.append(len(history["lr"]))
        )
        answers.append(f"patience {p}: epochs {told[0]} to {told[-1]}" if told else f"patience {p}: no epoch")
    return answers


@exercise("fit")
@given(lambda rng: {"courses": [bumpy(rng, kind) for kind in ("equal", "nan") * 2]})
@wants(lambda courses: [[[n + 1, n + 1, n + 1, n + 1.0] for n in range(len(c))] for c in courses])
def test_on_epoch_is_told_after_each_epoch(tt, courses):
    """on_epoch is called once after each epoch, with a history in which this epoch stands already, and before weights are restored.

    Append first, then on_epoch(trainer.history), inside the loop.
    """
    answers = []
    for losses in courses:
        trainer, pairs = a_course(tt, losses)
        told = []

        def on_epoch(history, trainer=trainer, told=told):
            told.append(
                [len(history[name]) for name in ("train_loss", "val_loss", "lr")] + [trainer.model.weight.item()]
            )

        trainer.fit(pairs, pairs, epochs=len(losses), patience=100, on_epoch=on_epoch)
        answers.append(told)
    return answers


@exercise("fit")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(7, 3)), "seeds": shuffled(rng, [1, 1, 1, 1, 2, 3, 4, 5])})
@wants(lambda x, seeds: [seed == 1 for seed in seeds])
def test_validation_is_not_a_part_of_training(tt, x, seeds):
    """Validated or not, with dropout in the network, the training is the same to the last bit. (With other seeds it is another one.)

    validate must not draw random numbers, step, or leave the model in evaluation mode.
    """
    inputs, targets, runs = tt.Tensor(x), tt.Tensor(x.sum(axis=1, keepdims=True)), []
    for seed, validation in [(1, None), *((seed, [(inputs, targets)]) for seed in seeds)]:
        model = tt.Sequential(tt.Linear(3, 8, seed=seed), tt.Dropout(0.5, seed=seed), tt.Linear(8, 1, seed=seed))
        trainer = tt.Trainer(model, tt.Adam(model.parameters(), lr=0.01), tt.MSELoss())
        runs.append(trainer.fit([(inputs, targets)], validation, epochs=4)["train_loss"])
    return [run == runs[0] for run in runs[1:]]


# --- random-states ---------------------------------------------------------------------------------------------------

KINDS = {"PCG64": np.random.PCG64, "MT19937": np.random.MT19937, "Philox": np.random.Philox, "SFC64": np.random.SFC64}


def a_forest(tt, seeds, kind="PCG64"):
    """Modules in modules, with generators at several depths, and things that are none."""
    one, two, three = (np.random.Generator(KINDS[kind](seed)) for seed in seeds)
    inner = tt.Sequential(tt.Linear(2, 2), tt.Dropout(0.5, seed=one))
    inner.number, inner.text, inner.listed = 0.5, "text", [np.random.default_rng(1)]
    model = tt.Sequential(tt.Dropout(0.5, seed=two), inner, tt.ReLU())
    model.noise = three
    return model, {"1.1.rng": one, "0.rng": two, "noise": three}


@exercise("random-states")
@given(lambda rng: {"seeds": rng.integers(0, 999, size=3).tolist()})
@wants(lambda seeds: dict(zip(("1.1.rng", "0.rng", "noise"), map(first_draws, seeds))))
def test_generators_are_found_by_name(tt, seeds):
    """generators finds every NumPy generator that is an attribute of a module, at any depth, by its dotted name.

    Over model.named_modules(), and in each over vars(module).items(); isinstance(value, np.random.Generator); join_names(path, name).
    """
    model, _ = a_forest(tt, seeds)
    return {name: rng.random(3) for name, rng in tt.generators(model).items()}


def first_draws(seed, skip=0, count=3):
    return np.random.default_rng(seed).random(skip + count)[skip:]


@exercise("random-states")
@given(lambda rng: {"seeds": rng.integers(0, 999, size=3).tolist(), "drawn": int(rng.integers(1, 9))})
@wants(lambda seeds, drawn: [[first_draws(seed, drawn), first_draws(seed, drawn)] for seed in seeds])
def test_random_states_note_the_place(tt, seeds, drawn):
    """The states are JSON texts: a generator put there goes on where the noted one would have gone on; noting draws nothing.

    json.dumps(rng.bit_generator.state, …) for each of generators(model).
    """
    model, own = a_forest(tt, seeds)
    for rng in own.values():
        rng.random(drawn)
    states, answers = tt.random_states(model), []
    for name, rng in own.items():
        other = np.random.default_rng()
        other.bit_generator.state = json.loads(states[name])
        answers.append([other.random(3), rng.random(3)])
    return answers


@exercise("random-states")
@given(
    lambda rng: {
        "kinds": shuffled(rng, [[kind, as_array] for kind in KINDS for as_array in (True, False)]),
        "seeds": rng.integers(0, 999, size=3).tolist(),
    }
)
@wants(lambda kinds, seeds: [[draws_of(kind, seed) for seed in seeds] for kind, _ in kinds])
def test_states_go_back_into_every_kind_of_generator(tt, kinds, seeds):
    """load_random_states puts every generator where it was, of whatever kind, and takes texts or arrays of texts.

    json.dumps(…, default=np.ndarray.tolist) is for states that hold arrays; json.loads(str(text)) on the way back.
    """
    answers = []
    for kind, as_array in kinds:
        model, own = a_forest(tt, seeds, kind)
        states = tt.random_states(model)
        for rng in own.values():
            rng.random(1000)
        tt.load_random_states(model, {name: np.asarray(text) if as_array else text for name, text in states.items()})
        answers.append([rng.random(3) for rng in own.values()])
    return answers


def draws_of(kind, seed):
    return np.random.Generator(KINDS[kind](seed)).random(3)


@exercise("random-states")
@given(
    lambda rng: {
        "spoils": shuffled(rng, ["nothing", "missing", "unknown", "renamed"] * 2),
        "seeds": rng.integers(0, 999, 3).tolist(),
    }
)
@wants(
    lambda spoils, seeds: [
        [s != "nothing", [first_draws(x, 0 if s == "nothing" else 5) for x in seeds]] for s in spoils
    ]
)
def test_states_of_another_model_are_refused(tt, spoils, seeds):
    """A missing or an unknown name raises ValueError, and no generator has moved.

    Compare the sets of names before you change anything.
    """
    answers = []
    for spoil in spoils:
        model, own = a_forest(tt, seeds)
        states = tt.random_states(model)
        for rng in own.values():
            rng.random(5)
        if spoil in ("missing", "renamed"):
            text = states.pop("noise")
        if spoil in ("unknown", "renamed"):
            states["other"] = states["0.rng"] if spoil == "unknown" else text
        refused = raises(ValueError, lambda model=model, states=states: tt.load_random_states(model, states))
        answers.append([refused, [rng.random(3) for rng in own.values()]])
    return answers


# --- save-checkpoint -------------------------------------------------------------------------------------------------


@exercise("save-checkpoint")
@given(lambda rng: task(rng, momentum=0.9, gamma=float(rng.uniform(0.3, 0.8)), every=1))
@wants(lambda task: saved(task), rtol=1e-6, atol=1e-9)
def test_a_checkpoint_holds_everything(tt, task):
    """The file holds weights, optimizer, scheduler, history, each under its part's name and a slash; plain arrays, no pickles.

    {f"{part}/{name}": np.asarray(value) …} over five dictionaries, then np.savez(file, **arrays).
    """
    trainer = trainer_for(tt, task)
    trainer.fit(batches(tt, task), fresh(tt, task), epochs=3)
    with tempfile.TemporaryDirectory() as folder:
        trainer.save_checkpoint(f"{folder}/run")
        with np.load(f"{folder}/run.npz", allow_pickle=False) as arrays:
            held = {name: np.array(arrays[name]) for name in arrays.files}
    return {name: value.astype(np.float64) for name, value in held.items()}


def saved(task):
    hand = ByHand(task).fit(3)
    state = {f"model/{name}": value for name, value in hand.state.items()}
    state |= {f"optimizer/{n}.velocity": velocity for n, velocity in enumerate(hand.first.values())}
    state |= {f"history/{name}": values for name, values in hand.history.items()}
    state |= {"optimizer/lr": hand.lr, "scheduler/steps": 3, "scheduler/initial_lr": task["lr"]}
    return {name: np.float64(value) for name, value in state.items()}


@exercise("save-checkpoint")
@given(
    lambda rng: {
        "seeds": rng.integers(0, 999, size=3).tolist(),
        "drawn": int(rng.integers(1, 9)),
        "mean": rng.normal(size=3),
    }
)
@wants(lambda seeds, drawn, mean: [mean, [first_draws(seed, drawn) for seed in seeds], False])
def test_a_checkpoint_holds_buffers_and_chance(tt, seeds, drawn, mean):
    """Buffers and the states of all generators are in the file, too; without a scheduler there is nothing of one.

    trainer.model.state_dict() has the buffers; random_states(trainer.model) is the fifth part, "random".
    """
    model, own = a_forest(tt, seeds)
    model[1].register_buffer("mean", mean)
    for rng in own.values():
        rng.random(drawn)
    trainer, others = tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), tt.MSELoss()), []
    with tempfile.TemporaryDirectory() as folder:
        trainer.save_checkpoint(Path(folder, "run"))
        with np.load(Path(folder, "run.npz"), allow_pickle=False) as arrays:
            for name in own:
                others.append(np.random.default_rng())
                others[-1].bit_generator.state = json.loads(str(arrays[f"random/{name}"]))
            kept, scheduled = arrays["model/1.mean"], any(n.startswith("scheduler") for n in arrays.files)
    return kept, [other.random(3) for other in others], scheduled


@exercise("save-checkpoint")
@given(lambda rng: {"names": shuffled(rng, ["run", "run.npz", "run.v2", "a.b.npz", ".hidden", "npz", "run.np", "7"])})
@wants(lambda names: [[[file], file] for file in (n if n.endswith(".npz") else n + ".npz" for n in names)])
def test_a_checkpoint_is_one_npz_file(tt, names):
    """Saving leaves exactly one file, with .npz added to its name where it is missing, and returns its path.

    Write under the neighbouring name, close the file, then os.replace(neighbour, path): renamed, nothing is left of the neighbour.
    """
    model, answers = tt.Linear(1, 1), []
    trainer = tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), tt.MSELoss())
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            path = trainer.save_checkpoint(os.path.join(folder, name))
            trainer.save_checkpoint(os.path.join(folder, name))
            answers.append([sorted(os.listdir(folder)), Path(path).name])
    return answers


@exercise("save-checkpoint")
@given(lambda rng: {"weights": rng.normal(size=(8, 2)).tolist(), "fails": shuffled(rng, [True, False] * 4)})
@wants(
    lambda weights, fails: [[fail, old if fail else new] for (old, new), fail in zip(weights, fails, strict=True)],
    rtol=1e-6,
)
def test_a_failed_save_spoils_nothing(tt, weights, fails):
    """If saving fails halfway, the checkpoint that was there before is still whole. (Here the history holds something that no file can take.)

    Never write into the final file: write under another name, and os.replace only when everything is written.
    """
    answers = []
    for (old, new), fail in zip(weights, fails, strict=True):
        model = tt.Linear(1, 1, bias=False)
        trainer = tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), tt.MSELoss())
        with tempfile.TemporaryDirectory() as folder:
            model.weight.data = np.array([[old]])
            trainer.save_checkpoint(f"{folder}/run")
            model.weight.data = np.array([[new]])
            trainer.history["broken"] = [lambda: None] if fail else [0.5]
            failed = raises(Exception, lambda trainer=trainer, folder=folder: trainer.save_checkpoint(f"{folder}/run"))
            with np.load(f"{folder}/run.npz", allow_pickle=False) as arrays:
                answers.append([failed, float(arrays["model/weight"][0, 0])])
    return answers


@exercise("save-checkpoint")
@given(lambda rng: {"weights": rng.normal(size=(8, 2)).tolist()})
@wants(lambda weights: [[old, 0.25] for old, _ in weights], rtol=1e-6)
def test_a_training_state_is_a_copy(tt, weights):
    """What training_state has given out does not change when training goes on, the history neither.

    state_dict copies; np.asarray of a list makes a new array.
    """
    answers = []
    for old, new in weights:
        model = tt.Linear(1, 1, bias=False)
        trainer = tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), tt.MSELoss())
        model.weight.data = np.array([[old]])
        trainer.history["train_loss"].append(0.25)
        state = tt.training_state(trainer)
        model.weight.data[:] = new
        trainer.history["train_loss"].append(0.125)
        answers.append([float(state["model/weight"][0, 0]), float(np.sum(state["history/train_loss"]))])
    return answers


# --- load-checkpoint -------------------------------------------------------------------------------------------------


@exercise("load-checkpoint")
@given(with_everything)
@wants(lambda task: [ByHand(task).fit(5).history, ByHand(task).fit(5).state], rtol=1e-6, atol=1e-9)
def test_a_resumed_training_gives_the_right_numbers(tt, task):
    """Trained for two epochs, saved, loaded into a new trainer and trained for three, it is as if five had been trained in a row.

    Everything has to come back: weights, optimizer, scheduler, history. The history as lists: values.tolist().
    """
    first, second = trainer_for(tt, task), trainer_for(tt, {**task, "state": zeros_like(task["state"])})
    first.fit(batches(tt, task), fresh(tt, task), epochs=2)
    with tempfile.TemporaryDirectory() as folder:
        first.save_checkpoint(f"{folder}/run")
        second.load_checkpoint(f"{folder}/run")
    return second.fit(batches(tt, task), fresh(tt, task), epochs=3), second.model.state_dict()


def zeros_like(state):
    return {name: np.zeros_like(value) for name, value in state.items()}


def a_dropout_trainer(tt, seed, kind, **settings):
    rng = np.random.default_rng(seed)
    parts = tt.Linear(3, 8, seed=rng), tt.Dropout(0.4, seed=rng), tt.Tanh(), tt.Linear(8, 2, seed=rng)
    model = tt.Sequential(*parts)
    parameters = model.parameters()
    optimizer = {
        "SGD": lambda: tt.SGD(parameters, lr=0.1),
        "momentum": lambda: tt.SGD(parameters, lr=0.1, momentum=0.9),
        "Adam": lambda: tt.Adam(parameters, lr=0.05),
        "AdamW": lambda: tt.AdamW(parameters, lr=0.05),
    }[kind]()
    scheduler = tt.CosineAnnealingLR(optimizer, T_max=6) if settings.pop("schedule", True) else None
    return tt.Trainer(model, optimizer, tt.CrossEntropyLoss(), scheduler, metrics={"accuracy": tt.accuracy}, **settings)


def classified(tt, x):
    pairs = [(x[part], (x[part].sum(axis=1) > 0).astype(int)) for part in (slice(0, 4), slice(4, 8), slice(8, None))]
    return [(tt.Tensor(np.float32(inputs)), tt.Tensor(targets)) for inputs, targets in pairs]


def everything(trainer):
    """All that decides how it goes on, as plain values, looked up without the functions under test."""
    scheduler = {} if trainer.scheduler is None else trainer.scheduler.state_dict()
    states = {"model": trainer.model.state_dict(), "optimizer": trainer.optimizer.state_dict(), "scheduler": scheduler}
    places = [
        str(value.bit_generator.state)
        for _, module in trainer.model.named_modules()
        for value in vars(module).values()
        if isinstance(value, np.random.Generator)
    ]
    numbers = {f"{p}/{n}": np.asarray(v).tolist() for p, state in states.items() for n, v in state.items()}
    return numbers | {"history": {name: list(values) for name, values in trainer.history.items()}, "places": places}


@exercise("load-checkpoint")
@given(
    lambda rng: {
        "x": rng.normal(size=(10, 3)),
        "kinds": shuffled(rng, [[kind, loads] for kind in ("SGD", "momentum", "Adam", "AdamW") for loads in (1, 1, 0)]),
        "epochs": rng.integers(1, 4, size=2).tolist(),
        "seed": int(rng.integers(99)),
    }
)
@wants(lambda x, kinds, epochs, seed: [bool(loads) for _, loads in kinds])
def test_a_resumed_training_is_the_same_bit_by_bit(tt, x, kinds, epochs, seed):
    """Saved, loaded into a new trainer, and trained on: with dropout, any optimizer and a schedule, all numbers are the same to the last bit.

    If it is almost the same, then something is missing: the random states, the optimizer's averages, or the scheduler's steps.
    """
    pairs, same = classified(tt, x), []
    for kind, loads in kinds:
        straight, first, second = (a_dropout_trainer(tt, s, kind) for s in (seed, seed, seed + 1))
        straight.fit(pairs, pairs, epochs=sum(epochs))
        first.fit(pairs, pairs, epochs=epochs[0])
        with tempfile.TemporaryDirectory() as folder:
            first.save_checkpoint(Path(folder, "run"))
            if loads:
                second.load_checkpoint(Path(folder, "run"))
        second.fit(pairs, pairs, epochs=epochs[1])
        same.append(everything(second) == everything(straight))
    return same


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def other_network(tt, path):
    model = tt.Sequential(tt.Linear(3, 9), tt.Dropout(0.4), tt.Tanh(), tt.Linear(9, 2))
    optimizer = tt.SGD(model.parameters(), lr=0.1, momentum=0.9)
    tt.Trainer(model, optimizer, tt.MSELoss(), tt.CosineAnnealingLR(optimizer, T_max=6)).save_checkpoint(path)


def without_dropout(tt, path):
    model = tt.Sequential(tt.Linear(3, 8), tt.Tanh(), tt.Tanh(), tt.Linear(8, 2))
    optimizer = tt.SGD(model.parameters(), lr=0.1, momentum=0.9)
    tt.Trainer(model, optimizer, tt.MSELoss(), tt.CosineAnnealingLR(optimizer, T_max=6)).save_checkpoint(path)


FILES = {
    "an equal trainer": lambda tt, path: a_dropout_trainer(tt, 7, "momentum").save_checkpoint(path),
    "another network": other_network,
    "another optimizer": lambda tt, path: a_dropout_trainer(tt, 7, "Adam").save_checkpoint(path),
    "no momentum": lambda tt, path: a_dropout_trainer(tt, 7, "SGD").save_checkpoint(path),
    "no scheduler": lambda tt, path: a_dropout_trainer(tt, 7, "momentum", schedule=False).save_checkpoint(path),
    "no dropout": without_dropout,
    "no file": lambda tt, path: None,
    "a text": lambda tt, path: path.write_text("epoch,loss\n1,0.5\n"),
    "an empty file": lambda tt, path: path.write_bytes(b""),
    "other arrays": lambda tt, path: np.savez(path, weight=np.ones(3)),
    "a pickle": lambda tt, path: np.savez(path, **{"model/0.bias": np.array([Bomb(str(path) + ".bang")], object)}),
}
FINE = "an equal trainer"


def refused(file):
    return "" if file == FINE else "FileNotFoundError" if file == "no file" else "ValueError"


@exercise("load-checkpoint")
@given(
    lambda rng: {
        "x": rng.normal(size=(10, 3)),
        "seed": int(rng.integers(99)),
        "files": shuffled(rng, [FINE, FINE, *FILES]),
    }
)
@wants(lambda x, seed, files: [f"{f}: {refused(f) or 'loaded'}, {'un' if f != FINE else ''}changed" for f in files])
def test_what_does_not_fit_changes_nothing(tt, x, seed, files):
    """A missing file raises FileNotFoundError, any other file that does not fit ValueError, and then the trainer is exactly what it was.

    try: load the new state; except Exception: load `before`, and raise. Then whoever refuses first, nothing is half loaded.
    """
    answers = []
    for file in files:
        trainer, pairs = a_dropout_trainer(tt, seed, "momentum"), classified(tt, x)
        trainer.fit(pairs, pairs, epochs=1)
        before = everything(trainer)
        with tempfile.TemporaryDirectory() as folder:
            FILES[file](tt, Path(folder, "run.npz"))
            said = name_of_error(lambda trainer=trainer, folder=folder: trainer.load_checkpoint(f"{folder}/run"))
            banged = os.path.isdir(f"{folder}/run.npz.bang")
        same = everything(trainer) == before
        answers.append(f"{file}: {said or 'loaded'}, {'un' if same else ''}changed" + ", and it ran!" * banged)
    return answers


def name_of_error(call):
    try:
        call()
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return ""


ERRORS = {error.__name__: error for error in (ValueError, KeyError, TypeError, OSError, RuntimeError, MemoryError)}


class Stumbling:
    """A scheduler that fails once, while it is loaded."""

    def __init__(self, scheduler, error):
        self.scheduler, self.error = scheduler, error

    def state_dict(self):
        return self.scheduler.state_dict()

    def load_state_dict(self, state):
        if self.error:
            error, self.error = self.error, None
            raise error("on purpose")
        self.scheduler.load_state_dict(state)


@exercise("load-checkpoint")
@given(
    lambda rng: {
        "seed": int(rng.integers(99)),
        "x": rng.normal(size=(10, 3)),
        "errors": shuffled(rng, [*ERRORS, "", ""]),
    }
)
@wants(lambda seed, x, errors: [[error, "un" * bool(error) + "changed"] for error in errors])
def test_whatever_goes_wrong_is_told_and_undone(tt, seed, x, errors):
    """Whatever error comes while a checkpoint is loaded, everything goes back to what it was, and that same error is raised again.

    except Exception catches all of them, not only ValueError; and `raise` alone, without a name behind it, raises the same one again.
    """
    answers = []
    for error in errors:
        one, other = (a_dropout_trainer(tt, s, "momentum") for s in (seed, seed + 1))
        one.fit(classified(tt, x), epochs=1)
        other.scheduler = Stumbling(other.scheduler, ERRORS.get(error))
        before, raised = everything(other), ""
        with tempfile.TemporaryDirectory() as folder:
            one.save_checkpoint(f"{folder}/run")
            try:
                other.load_checkpoint(f"{folder}/run")
            except tuple(ERRORS.values()) as caught:
                raised = type(caught).__name__
        answers.append([raised, "unchanged" if everything(other) == before else "changed"])
    return answers


@exercise("load-checkpoint")
@given(
    lambda rng: {
        "seed": int(rng.integers(99)),
        "pairs": shuffled(rng, [[a, b] for a in (True, False) for b in (True, False)] * 2),
    }
)
@wants(lambda seed, pairs: [saved != wanted for saved, wanted in pairs])
def test_a_scheduler_on_one_side_only(tt, seed, pairs):
    """A checkpoint with a scheduler does not fit a trainer without one, nor the other way round: ValueError.

    parts["scheduler"] is empty if there was none. Compare that with trainer.scheduler is None.
    """
    answers = []
    for ours, theirs in pairs:
        one, other = (a_dropout_trainer(tt, seed, "SGD", schedule=wish) for wish in (ours, theirs))
        with tempfile.TemporaryDirectory() as folder:
            one.save_checkpoint(f"{folder}/run")
            answers.append(raises(ValueError, lambda other=other, f=folder: other.load_checkpoint(f"{f}/run")))
    return answers


@exercise("load-checkpoint")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(10, 3)), "seed": int(rng.integers(99)), "mean": rng.normal(size=2)})
@wants(lambda x, seed, mean: [np.float32(mean), ["float32"] * 4, ["float32"] * 8, 5, True])
def test_loading_keeps_objects_and_dtypes(tt, x, seed, mean):
    """Loading fills the parameters, buffers and lists that are there: the objects and their dtypes stay, and training goes on.

    Hand the parts to load_state_dict of model and optimizer; do not make new models or optimizers.
    """
    first, second, pairs = (
        a_dropout_trainer(tt, seed, "Adam"),
        a_dropout_trainer(tt, seed + 1, "Adam"),
        classified(tt, x),
    )
    for trainer in (first, second):
        trainer.model[0].register_buffer("mean", np.zeros(2, dtype=np.float32))
    first.model[0].mean.data = np.float32(mean)
    first.fit(pairs, epochs=2)
    kept = second.model, second.optimizer, second.scheduler, *second.model.parameters()
    with tempfile.TemporaryDirectory() as folder:
        first.save_checkpoint(f"{folder}/run")
        second.load_checkpoint(f"{folder}/run")
    history = second.fit(pairs, epochs=3)
    now = second.model, second.optimizer, second.scheduler, *second.optimizer.parameters
    averages = [v.dtype.name for v in second.optimizer.state_dict().values() if isinstance(v, np.ndarray)]
    return (
        second.model[0].mean,
        [parameter.dtype.name for parameter in second.model.parameters()],
        averages,
        len(history["train_loss"]),
        all(a is b for a, b in zip(kept, now, strict=True)),
    )


# --- the module as a whole -------------------------------------------------------------------------------------------


@stage("import")
@given(lambda rng: {"x": rng.normal(size=(4, 2)), "names": shuffled(rng, ["Trainer", "EarlyStopping", "no such name"])})
@wants(lambda x, names: [float(((x.sum(axis=1)) ** 2).mean()), [name != "no such name" for name in names]])
def test_module_imports_alone(tt, x, names):
    """`import tinytorch.training` works by itself, beside the modules before it.

    If the import fails, run all cells from the top once and look for the first error.
    """
    training, layers, losses, optimizers, tensor = (
        importlib.import_module(f"tinytorch.{name}")
        for name in ("training", "layers", "losses", "optimizers", "tensor")
    )
    model = layers.Linear(2, 1, bias=False)
    model.weight.data = np.ones((1, 2))
    trainer = training.Trainer(model, optimizers.SGD(model.parameters(), lr=0.1), losses.MSELoss())
    there = [isinstance(getattr(training, name, None), type) for name in names]
    return trainer.validate([(tensor.Tensor(x), tensor.Tensor(np.zeros((4, 1))))])["loss"], there


@stage("import")
@given(lambda rng: {"lr": float(rng.uniform(0.1, 1)), "names": shuffled(rng, ["error", "accuracy", "rows"])})
@wants(lambda lr, names: [{n: [] for n in ("train_loss", "val_loss", "lr", *(f"val_{m}" for m in names))}, lr, True])
def test_a_new_trainer_has_an_empty_history(tt, lr, names):
    """A Trainer begins with an empty list for each number it will write down; a metric named "loss" is refused.

    The class is given; if this fails, its __init__ was changed.
    """
    model = tt.Linear(1, 1)
    optimizer = tt.SGD(model.parameters(), lr=lr)
    metrics = {name: lambda outputs, targets: 0.0 for name in names}
    clash = raises(ValueError, lambda: tt.Trainer(model, optimizer, tt.MSELoss(), metrics={"loss": tt.accuracy}))
    return tt.Trainer(model, optimizer, tt.MSELoss(), metrics=metrics).history, optimizer.lr, clash


@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(10, 3)), "kinds": shuffled(rng, ["float32", "float64"] * 4)})
@wants(lambda x, kinds: [[kind] * 4 + ["float"] * 4 for kind in kinds])
def test_dtypes_stay(tt, x, kinds):
    """Training in float32 stays in float32, in float64 in float64, and the history holds plain Python numbers.

    loss.item() and float(…) make plain numbers.
    """
    answers = []
    for kind in kinds:
        trainer = a_dropout_trainer(tt, 1, "Adam", schedule=False)
        for parameter in trainer.model.parameters():
            parameter.data = parameter.data.astype(kind)
        trainer = tt.Trainer(
            trainer.model, tt.Adam(trainer.model.parameters()), trainer.loss_fn, None, 1.0, {"a": tt.accuracy}
        )
        pairs = [(tt.Tensor(inputs.data.astype(kind)), targets) for inputs, targets in classified(tt, x)]
        history = trainer.fit(pairs, pairs, epochs=1)
        types = [type(values[0]).__name__ for values in history.values()]
        answers.append([p.dtype.name for p in trainer.model.parameters()] + types)
    return answers


def rings(rng):
    """A disc in a ring, in a random place and size."""
    centre, scale = rng.normal(size=2), rng.uniform(0.5, 2)
    inside, angle = rng.permutation(np.arange(240) % 2), rng.uniform(0, 2 * np.pi, size=240)
    radius = np.where(inside, rng.uniform(0, 0.8, size=240), rng.uniform(1.2, 2, size=240))
    points = centre + scale * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = (points - centre) / scale
    return {
        "points": points[:120], "inside": inside[:120], "fresh": points[120:], "secret": inside[120:].tolist(),
        "seed": int(rng.integers(999)),
    }  # fmt: skip


def knows_the_rings(said, points, inside, fresh, secret, seed):
    if not isinstance(said, list) or len(said) != 2 or not isinstance(said[0], np.ndarray) or said[0].shape != (120, 1):
        return "a logit for each of the 120 fresh points, and a history, were expected"
    right = float(((said[0][:, 0] > 0) == np.array(secret)).mean())
    if right < 0.95:
        return f"of the fresh points {right:.0%} are right; at least 95% were expected"
    losses = said[1]
    return (
        None if losses[-1] < losses[0] / 3 else f"the training loss went from {losses[0]:.3f} to {losses[-1]:.3f} only"
    )


@stage("integration")
@given(rings)
@judged(knows_the_rings)
def test_a_network_learns_rings(tt, points, inside, fresh, secret, seed):
    """A small network learns to tell a disc from the ring around it, through fit with Adam, a schedule and clipping, and knows fresh points.

    If this fails and the exercises pass, look at what happens between the epochs.
    """
    rng = np.random.default_rng(seed)
    model = tt.Sequential(tt.Linear(2, 24, seed=rng), tt.Tanh(), tt.Linear(24, 1, seed=rng))
    optimizer = tt.Adam(model.parameters(), lr=0.03)
    schedule = tt.CosineAnnealingLR(optimizer, T_max=60)
    trainer = tt.Trainer(model, optimizer, tt.BCEWithLogitsLoss(), schedule, 5.0, {"accuracy": tt.accuracy})
    x, y = tt.Tensor(np.float32(points)), tt.Tensor(np.float32(inside)[:, None])
    pairs = [(x[start : start + 32], y[start : start + 32]) for start in range(0, 120, 32)]
    history = trainer.fit(pairs, pairs, epochs=60, patience=60)
    return model.eval()(tt.Tensor(np.float32(fresh))), history["train_loss"]


@stage("integration")
@given(lambda rng: {"seeds": rng.integers(0, 9999, size=2).tolist(), "flip": bool(rng.random() < 0.5)})
@wants(lambda seeds, flip: [[1.0, [int(not flip), int(flip), int(flip), int(not flip)]]] * 2)
def test_xor_trained_end_to_end(tt, seeds, flip):
    """XOR, or its opposite, is learned to the last point, with one call of fit, from any start.

    If this fails and the exercises pass, look at train_epoch: is every batch a step, with fresh gradients?
    """
    answers, x = [], tt.Tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    y = tt.Tensor(np.array([0, 1, 1, 0]) if flip else np.array([1, 0, 0, 1]))
    for seed in seeds:
        rng = np.random.default_rng(seed)
        model = tt.Sequential(tt.Linear(2, 24, seed=rng), tt.Tanh(), tt.Linear(24, 2, seed=rng))
        trainer = tt.Trainer(
            model, tt.Adam(model.parameters(), lr=0.05), tt.CrossEntropyLoss(), metrics={"accuracy": tt.accuracy}
        )
        history = trainer.fit([(x, y)], [(x, y)], epochs=200)
        answers.append([history["val_accuracy"][-1], model(x).data.argmax(axis=-1).tolist()])
    return answers


@stage("integration")
@given(with_everything)
@wants(lambda task: [ByHand(task).fit(8).history, ByHand(task).fit(8).state], rtol=1e-6, atol=1e-9)
def test_everything_together_by_the_numbers(tt, task):
    """Interrupted after every second epoch and resumed by a new trainer, with clipping and a schedule: the numbers of a training by hand.

    If this fails and the exercises pass, something is lost between fit, save_checkpoint and load_checkpoint.
    """
    with tempfile.TemporaryDirectory() as folder:
        for part in range(4):
            trainer = trainer_for(tt, task)
            if part:
                trainer.load_checkpoint(f"{folder}/run")
            history = trainer.fit(batches(tt, task), fresh(tt, task), epochs=2)
            trainer.save_checkpoint(f"{folder}/run")
    return history, trainer.model.state_dict()


def epoch_in_numpy(x, y, state, times=1):
    for _ in range(times):
        state = {name: value.copy() for name, value in state.items()}
        for start in range(0, len(x), 64):
            for name, slope in slopes(state, x[start : start + 64], y[start : start + 64]).items():
                state[name] -= np.float32(0.05) * slope


def large(rng):
    shapes = {"0.weight": (128, 200), "0.bias": 128, "2.weight": (10, 128), "2.bias": 10}
    return {
        "x": rng.normal(size=(512, 200)).astype(np.float32),
        "y": rng.normal(size=(512, 10)).astype(np.float32),
        "state": {name: rng.normal(size=shape).astype(np.float32) / 10 for name, shape in shapes.items()},
    }


@stage("performance")
@given(large)
@wants(lambda x, y, state: after_epochs(x, y, state), rtol=1e-3, atol=1e-4)
@at_most(15, times_of=lambda x, y, state: epoch_in_numpy(x, y, state, 3))
def test_an_epoch_is_about_as_fast_as_numpy(tt, x, y, state):
    """Three epochs take not much longer than the same epochs written out in NumPy for this one network.

    Each batch once forward and once backward, and no copies of the model on the way.
    """
    model = with_state(tt.Sequential(tt.Linear(200, 128), tt.Tanh(), tt.Linear(128, 10)), state)
    trainer = tt.Trainer(model, tt.SGD(model.parameters(), lr=0.05), tt.MSELoss())
    pairs = [(tt.Tensor(x[s : s + 64]), tt.Tensor(y[s : s + 64])) for s in range(0, len(x), 64)]
    return [trainer.train_epoch(pairs) for _ in range(3)]


def after_epochs(x, y, state):
    hand = ByHand({"state": {n: np.float64(v) for n, v in state.items()}, "lr": 0.05, "x": x, "y": y, "size": 64})
    return [hand.epoch() for _ in range(3)]


def keeps_nothing(said, x, epochs):
    if not isinstance(said, list) or len(said) != 2 or type(said[0]) is not int or said[1] != 30 + epochs:
        return f"the number of bytes kept, and a history of {30 + epochs} epochs, were expected"
    return (
        None
        if said[0] < 4 * x.nbytes
        else f"{epochs} epochs have left {said[0]:,} bytes behind; a batch has {x.nbytes:,}"
    )


@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(64, 100)).astype(np.float32), "epochs": int(rng.integers(100, 120))})
@judged(keeps_nothing)
def test_a_hundred_epochs_leave_nothing_behind(tt, x, epochs):
    """After a hundred epochs, trained and validated, no more memory is in use than after the first ones, but for a few numbers in the history.

    A loss kept as a tensor holds on to everything it was made of: .item(), and float(…) of each metric.
    """
    model = tt.Sequential(tt.Linear(100, 50), tt.ReLU(), tt.Linear(50, 1))
    trainer = tt.Trainer(model, tt.Adam(model.parameters()), tt.MSELoss())
    pairs = [(tt.Tensor(x), tt.Tensor(x[:, :1]))]
    trainer.fit(pairs, pairs, epochs=30)
    tracemalloc.start()
    history = trainer.fit(pairs, pairs, epochs=epochs)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept, len(history["train_loss"])


def holds_little(said, x, layers):
    if not isinstance(said, list) or len(said) != 2 or not all(type(n) is int for n in said):
        return "the peaks of memory of a pass and of validate were expected"
    one, many = said
    return (
        None
        if many < 3 * one + x.nbytes
        else f"validate needed {many:,} bytes at its peak; a pass without gradients needs {one:,}"
    )


@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(128, 200)).astype(np.float32), "layers": int(rng.integers(12, 18))})
@judged(holds_little)
def test_validate_holds_no_history(tt, x, layers):
    """validate needs no more memory than one pass without gradients, however deep the network is.

    Everything in validate belongs inside with evaluating(trainer.model).
    """
    model = tt.Sequential(*(tt.Linear(200, 200, seed=n) for n in range(layers)))
    trainer = tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), tt.MSELoss())
    inputs = tt.Tensor(x)
    with tt.no_grad():
        one = peak_of(lambda: tt.MSELoss()(model(inputs), inputs).item())
    return one, peak_of(lambda: trainer.validate([(inputs, inputs)] * 3))


def peak_of(call):
    tracemalloc.start()
    often(call, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak

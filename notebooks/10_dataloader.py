# %% [markdown]
# # 10 · DataLoader
#
# **Training on whole data sets needs feeding: in batches, shuffled, changed a little each time.**
#
# So far somebody cut the data into batches once, in the order they happened to lie in, and the network got the same batches again and again. That looks harmless. Below are 1,200 small pictures of four shapes, sorted by
# shape, as pictures are when they come out of four folders. One network is fed in this order. Another one, equal to it, gets *the same pictures* well mixed. Nothing else differs: the same weights to begin with, the same
# steps, the same number of epochs. Run the cell.
#
# A network learns from what it sees *now*. Nine steps of nothing but rings, and everything is a ring; nine steps later everything is a square. At the end of each epoch everything is a cross, and one in four is. So the order of the data is a part of the
# method, and so is the way the data come in. Somebody must mix them anew in each epoch, cut batches, mind the last one, which is smaller, keep pictures aside for validation, read from a disk what is too much for the memory, and do it all so fast that the network never waits. PyTorch calls that somebody
# a **DataLoader**, and what it feeds from, a **Dataset**.
#
# ```text
#      Dataset                DataLoader                                     Trainer (module 08)
#      ┌───┬───┬───┬───┐      order  2 0 5 │ 1 4 3 │ 6                       for inputs, targets in batches:
#      │ 0 │ 1 │ 2 │ … │ ───▶           └─ fetch ─┘ ───▶ (pictures, labels) ───▶    train_step(inputs, targets)
#      └───┴───┴───┴───┘                                  a batch
#        len, dataset[i]      another order in each epoch
# ```
#
# ```text
#     14 transformers
#     13 attention   12 embeddings   11 tokenization
#   ▶ 10 dataloader      you are here: TensorDataset, random_split, DataLoader, RandomCrop, …
#     09 spatial         Conv2d, MaxPool2d
#     08 training        Trainer: feeds on batches
#     07 autograd
#     06 optimizers   05 losses
#     04 layers
#     03 activations
#     02 tensor          Tensor, stack
#     01 setup           measure
# ```
#
# Nine exercises, most of them short. When you complete this module, the fourth historical notebook opens: **AlexNet (2012)**.

# %%
# %load_ext tinytorch_core

# %%
import numpy as np
from tinytorch.activations import ReLU
from tinytorch.layers import Flatten, Linear, Sequential
from tinytorch.losses import CrossEntropyLoss
from tinytorch.optimizers import SGD
from tinytorch.tensor import Tensor
from tinytorch.training import Trainer, accuracy

NAMES = ("ring", "square", "diamond", "cross")


def draw_shape(kind, rng, size=16):
    """A noisy little picture, a float32 array (1, 16, 16), of shape number `kind`. Place, size and brightness are left to chance."""
    centre, radius = rng.uniform(4.5, size - 5.5, size=2), rng.uniform(3, 4.5)
    y, x = np.abs(np.mgrid[:size, :size] - centre[:, None, None])
    farther, nearer = np.maximum(x, y), np.minimum(x, y)
    from_outline = [np.hypot(x, y) - radius, farther - radius, 0.8 * (x + y) - radius, nearer + 9 * (farther > radius)][kind]
    ink = np.abs(from_outline) < 0.8
    return (ink * rng.uniform(0.6, 1) + rng.normal(0, 0.15, size=ink.shape)).astype(np.float32)[None]


def draw_shapes(kinds, seed):
    rng = np.random.default_rng(seed)
    return Tensor(np.stack([draw_shape(kind, rng) for kind in kinds])), Tensor(np.array(kinds))


def new_network(seed=1):
    rng = np.random.default_rng(seed)
    return Sequential(Flatten(), Linear(256, 64, seed=rng), ReLU(), Linear(64, 4, seed=rng))


def new_trainer(model):
    return Trainer(model, SGD(model.parameters(), lr=0.05, momentum=0.9), CrossEntropyLoss(), metrics={"accuracy": accuracy})


pictures, labels = draw_shapes(np.repeat([0, 1, 2, 3], 300), seed=1)  # (1200, 1, 16, 16), (1200,): sorted
fresh_batch = draw_shapes([0, 1, 2, 3] * 100, seed=2)

mixed = np.random.default_rng(3).permutation(1200)
for name, order in {"sorted": np.arange(1200), "mixed": mixed}.items():
    batches = [(pictures[order[i : i + 32]], labels[order[i : i + 32]]) for i in range(0, 1200, 32)]
    history = new_trainer(new_network()).fit(batches, [fresh_batch], epochs=6)
    print(f"{name:6}   right after each epoch:", "  ".join(f"{share:4.0%}" for share in history["val_accuracy"]))

# %% tags=["given:dataloader-imports"]
#| export
"""Data sets, loaders that feed a training with batches of them, and transforms that change pictures a little each time."""

import numpy as np

from tinytorch.tensor import Tensor, stack

# %% [markdown]
# ## 1 · A data set
#
# What is a data set? To a loader, anything that answers two questions: *how many items are you?* and *what is item i?* In Python these are `len(dataset)` and `dataset[i]`, and the methods behind them are called
# `__len__` and `__getitem__`. It does not matter where the items come from. A list of tuples will do. So will a folder of photographs that are opened when asked for, or pictures that did not exist until a moment ago.
#
# An **item** is a tuple, nearly always of two: an input and its target.
#
# The commonest data set holds everything in memory: tensors of the same length, one for each part of the item. **By hand.** `TensorDataset(pictures, labels)` with pictures of shape (1200, 1, 16, 16) and labels of shape (1200,): its length is 1200, and item 7
# is `(pictures[7], labels[7])`, of shapes (1, 16, 16) and (). If there were 1199 labels, some picture would have none, and all after it the wrong one. So that is refused at the door.
#
# A tensor takes more than one kind of index (module 02), and so the same method also answers for many items at once: `dataset[[4, 0, 4]]` is `(pictures[[4, 0, 4]], labels[[4, 0, 4]])`, of shapes (3, 1, 16, 16) and (3,). That will be worth a lot in a moment.

# %% tags=["given:dataset-class"]
#| export
class Dataset:
    """Many items, to be had one by one: len(dataset) is their number, dataset[i] is item i, a tuple such as (picture, label).

    A subclass writes __len__ and __getitem__.
    """

# %% tags=["exercise:tensor-dataset"]
#| export
class TensorDataset(Dataset):
    """Item i is made of entry i of each tensor.

    tensors: one or more Tensors (or arrays) of the same length, else ValueError, with the lengths in its message.

    TensorDataset(pictures, labels)[7]  →  (pictures[7], labels[7])
    """

    def __init__(self, *tensors):
        tensors = [tensor if isinstance(tensor, Tensor) else Tensor(tensor) for tensor in tensors]
        ### BEGIN SOLUTION
        lengths = [len(tensor) for tensor in tensors]
        if len(set(lengths)) != 1:
            raise ValueError(f"a TensorDataset takes tensors of one length, and these have the lengths {lengths}")
        self.tensors = tensors
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION
        return len(self.tensors[0])
        ### END SOLUTION

    def __getitem__(self, index):
        """index: an int, or several of them in a list or an array. Returns a tuple of Tensors. IndexError if there is no such item."""
        ### BEGIN SOLUTION
        return tuple(tensor[index] for tensor in self.tensors)
        ### END SOLUTION

# %%
# %check tensor-dataset

# %%
dataset = TensorDataset(pictures, labels)
picture, label = dataset[7]
several, their_labels = dataset[[7, 500, 1100]]
len(dataset), picture.shape, label, several.shape, their_labels

# %% [markdown]
# And here is a data set that holds nothing at all. It draws picture i when it is asked for it, from a generator with the seed `(seed, i)`, so that the same i is always the same picture. A million of them take no memory. (Nothing here is for your package.)

# %%
class Shapes(Dataset):
    """`length` pictures of shapes, drawn when asked for. Item i: (picture, an array (1, 16, 16); kind, a Python int)."""

    def __init__(self, length, seed):
        self.length, self.seed = length, seed

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if not 0 <= index < self.length:
            raise IndexError(f"there is no item {index} among {self.length}")
        kind = index % 4
        return draw_shape(kind, np.random.default_rng((self.seed, index))), kind


many = Shapes(1_000_000, seed=5)
len(many), many[123_456][0].shape, NAMES[many[123_456][1]]

# %% [markdown]
# ## 2 · Keeping some aside
#
# What a network learned from can't tell how well it learned (module 08). So before anything else a part of the data goes aside. Which part? Not the last 300: here those are all the crosses. A **random** part.
#
# No item has to be copied for that. A part of a data set is the data set and a list of numbers: *my item i is your item indices[i]*.
#
# ```text
#      dataset             0 1 2 3 4 5 6 7 8 9
#      a random order      7 2 9 0 4 8 1 │ 5 3 6
#      Subset              7 2 9 0 4 8 1            its item 2 is the data set's item 9
#      Subset                              5 3 6    its item 0 is the data set's item 5
# ```
#
# **By hand.** `random_split(dataset, [7, 3])` on ten items: shuffle the numbers 0 … 9, give the first seven to one Subset, the other three to another. Every item is in exactly one of them. `[7, 2]` would lose one without a word, and `[7, 4]` has one too many: the lengths must add up to 10, and none may be negative.
#
# `np.random.default_rng(seed).permutation(n)` is the numbers 0 … n−1 in a random order, the same for the same seed.

# %% tags=["exercise:random-split"]
#| export
class Subset(Dataset):
    """A part of a data set: its item i is item indices[i] of the data set. indices: a list or an array of ints."""

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, np.array(indices, dtype=np.int64)

    def __len__(self):
        ### BEGIN SOLUTION
        return len(self.indices)
        ### END SOLUTION

    def __getitem__(self, index):
        ### BEGIN SOLUTION
        return self.dataset[int(self.indices[index])]
        ### END SOLUTION


def random_split(dataset, lengths, seed=None):
    """The items of a data set, shuffled and dealt out: a list of Subsets of the given lengths. Every item is in exactly one of them.

    lengths: a list of ints; ValueError if one is negative, or if they do not add up to len(dataset). seed: repeats the split; None makes a new one.

    [len(part) for part in random_split(dataset, [1000, 200])]  →  [1000, 200]
    """
    ### BEGIN SOLUTION
    if min(lengths, default=0) < 0 or sum(lengths) != len(dataset):
        raise ValueError(f"lengths {list(lengths)} do not divide a data set of {len(dataset)} items")
    order, parts, start = np.random.default_rng(seed).permutation(len(dataset)), [], 0
    for length in lengths:
        parts.append(Subset(dataset, order[start : start + length]))
        start += length
    return parts
    ### END SOLUTION

# %%
# %check random-split

# %%
train_part, validation_part = random_split(dataset, [1000, 200], seed=1)
[[NAMES[label.item()] for _, label in (part[i] for i in range(8))] for part in (train_part, validation_part)]

# %% [markdown]
# ## 3 · Items become a batch
#
# Thirty-two items are a list of thirty-two pairs. A network wants *one pair*: 32 pictures in one tensor, and 32 labels in another. So the pairs must be turned the other way round, like the pages of two books that were mixed:
#
# ```text
#      [(picture, 3),  (picture, 0),  (picture, 3)]    →    ( pictures (3, 1, 16, 16),   labels [3, 0, 3] )
# ```
#
# Python's `zip(*items)` does that: `zip(*[(a, 3), (b, 0)])` gives `(a, b)` and `(3, 0)`. Then each group becomes one tensor, along a new first axis. You built that: `stack` from module 02. Does it also take what is no Tensor? Items hold arrays and numbers, too. It goes through the door, and there:
#
# | the items hold | the batch gets | because |
# |---|---|---|
# | Tensors, arrays | their dtype, shape (N, …) | the door takes the `.data` of tensors, and leaves arrays as they are |
# | Python ints (labels!) | int64, shape (N,) | NumPy makes int64 of them, and the door leaves integers alone |
# | Python floats | float32, shape (N,) | NumPy makes float64, and the door knows that no float64 *array* came in |
#
# **By hand.** Items `(Tensor([1, 2]), 7)` and `(Tensor([3, 4]), 9)`: turned, `(Tensor([1, 2]), Tensor([3, 4]))` and `(7, 9)`; stacked, `Tensor([[1, 2], [3, 4]])` and `Tensor([7, 9], dtype=int64)`. (`Tensor([7, 9])` would be float32, the rule for lists, and no loss takes that for classes.)
#
# **Two mistakes to refuse.** An item that is no tuple, such as a bare picture: `zip` would walk over the picture's rows, and make "items" of them. That is a TypeError. And a pair among triples: with `strict=True`, `zip` itself raises ValueError. When two pictures differ in size, `stack` says so.

# %% tags=["exercise:collate"]
#| export
def collate(items):
    """Many items as one batch: a tuple of Tensors, each with a new first axis that counts the items.

    items: a list of tuples, all of the same length (else ValueError), of Tensors, arrays and Python numbers. Entries in the same place have the same
    shape (else ValueError, with the shapes in its message). Tensors and arrays keep their dtype; Python ints become int64, floats float32.
    TypeError if an item is no tuple.

    collate([(Tensor([1, 2]), 7), (Tensor([3, 4]), 9)])  →  (Tensor([[1., 2.], [3., 4.]]), Tensor([7, 9], dtype=int64))
    """
    ### BEGIN SOLUTION
    for item in items:
        if not isinstance(item, tuple):
            raise TypeError(f"an item is a tuple, such as (picture, label), and this is a {type(item).__name__}")
    return tuple(stack(entries) for entries in zip(*items, strict=True))
    ### END SOLUTION

# %%
# %check collate

# %%
pictures_3, kinds_3 = collate([many[0], many[1], many[2]])
pictures_3.shape, pictures_3.dtype, kinds_3

# %% [markdown]
# ## 4 · All at once
#
# Now a batch can be had from every data set: ask for each item, and collate. What does that cost? For items that lie in memory anyway, a TensorDataset can answer for many numbers in one go. Compare, in a batch of 64, with the step of the network that waits for it:

# %%
from tinytorch.setup import measure

numbers = np.random.default_rng(6).integers(0, 1200, size=64)
trainer, batch = new_trainer(new_network()), dataset[numbers]

one_by_one = measure(lambda: collate([dataset[i] for i in numbers]))
at_once = measure(lambda: dataset[numbers])
step = measure(lambda: trainer.train_step(*batch))
for name, seconds in {"one by one, and collated": one_by_one, "all at once": at_once, "one training step": step}.items():
    print(f"{name:25} {seconds * 1e6:7.0f} µs   {'█' * round(30 * seconds / max(one_by_one, step))}")

# %% [markdown]
# With that, the network would spend a good part of its life waiting for 64 times two small copies. So `fetch` knows three kinds of data sets:
#
# 1. a `TensorDataset` gets all numbers in one question;
# 2. a `Subset` only renames: its items number 4, 0, 2 are the items number `indices[[4, 0, 2]]` of its data set. So ask *that* one, with `fetch` again, and if it is a TensorDataset, it is fast, too;
# 3. everything else is asked for its items one after the other, and the items are collated.
#
# **By hand.** `Subset(TensorDataset(x), [7, 2, 9, 0])`, numbers `[2, 0]`: its indices there are `[9, 7]`; fetch these from the TensorDataset: `(x[[9, 7]],)`.
#
# **The trap.** Somebody may write a class `Noisy(TensorDataset)` with a `__getitem__` of its own that adds noise to one picture. It *is* a TensorDataset, so `isinstance` says yes, but its items are no longer just slices. Ask for the exact class instead: `type(dataset) is TensorDataset`. Whatever else it may be takes the
# slow and safe way. There, hand over Python ints (`indices.tolist()` makes them of an array): a list, for one, takes nothing else than ints.

# %% tags=["exercise:fetch"]
#| export
def fetch(dataset, indices):
    """The items with the numbers `indices`, in this order, as one batch: a tuple of Tensors.

    dataset: anything with len(dataset) and dataset[i]. indices: an int64 array (N,), N at least 1.
    All at once from a TensorDataset, and from a Subset of one; from anything else, item by item.

    fetch(TensorDataset(x, y), np.array([4, 0]))  →  (x[[4, 0]], y[[4, 0]])
    """
    ### BEGIN SOLUTION
    if type(dataset) is TensorDataset:
        return dataset[indices]
    if type(dataset) is Subset:
        return fetch(dataset.dataset, dataset.indices[indices])
    return collate([dataset[i] for i in indices.tolist()])
    ### END SOLUTION

# %%
# %check fetch

# %% [markdown]
# ## 5 · Order, and the last batch
#
# An epoch is every item once, in some order. Two small functions on arrays of numbers settle which, and neither of them has to know what an item is.
#
# **The order.** A new one in each epoch, so that no two pictures always come together. And *the same* one when the experiment is repeated: what can't be repeated can't be understood. So the order is a function of two numbers: a **seed**, and the **epoch**, counted from 0.
#
# NumPy makes a generator from several numbers as well as from one: `np.random.default_rng((seed, epoch))`. Two pairs that differ anywhere give orders that have nothing to do with each other. (`default_rng(seed + epoch)` looks as good, but then epoch 1 of seed 7 is epoch 0 of seed 8. If you compare two seeds to see what is luck, they share nearly all their luck.)
#
# **The last batch.** Ten items in batches of four: 4, 4, and 2 are left.
#
# ```text
#      order               7 2 9 0 │ 4 8 1 5 │ 3 6
#      drop_last=False     [7 2 9 0] [4 8 1 5] [3 6]        every item is seen
#      drop_last=True      [7 2 9 0] [4 8 1 5]              all batches are equal; in the next epoch others are left out
# ```
#
# Dropping sounds like a crime and sometimes is right: BatchNorm (module 09), given a last batch of *one* item, takes a mean of one number for the mean of the world. For validation, never: what is left out is not measured.
#
# **By hand.** Slices that begin at 0, 4, 8: `range(0, 10, 4)`. `order[8:12]` of ten numbers simply is `order[8:10]`, so the last batch takes care of itself. With drop_last, a batch that is shorter than batch_size is left out; twelve items in batches of four have no such batch, and three items have nothing else.

# %% tags=["exercise:epoch-order"]
#| export
def epoch_order(length, seed, epoch):
    """The order in which an epoch goes through `length` items: an array (length,) of the numbers 0 … length-1, shuffled.

    The same seed and epoch give the same order; another seed or another epoch one that has nothing to do with it. Both are ints, at least 0.

    epoch_order(4, seed=7, epoch=0)  →  array([2, 0, 3, 1])    or any other order, and this one every time
    """
    ### BEGIN SOLUTION
    return np.random.default_rng((seed, epoch)).permutation(length)
    ### END SOLUTION


def cut_batches(order, batch_size, drop_last=False):
    """The numbers of `order`, an array, cut into pieces of batch_size: a list of arrays. The last may be shorter; drop_last leaves out one that is.

    cut_batches(np.array([3, 1, 0, 4, 2]), 2)  →  [array([3, 1]), array([0, 4]), array([2])]
    """
    ### BEGIN SOLUTION
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batch for batch in batches if not drop_last or len(batch) == batch_size]
    ### END SOLUTION

# %%
# %check epoch-order

# %% [markdown]
# To see what shuffling is for, look at the labels, batch by batch. Each row is a batch of 32, each colour one of the four shapes. At the left the data as they lie there; then two epochs of one seed.

# %%
import matplotlib.pyplot as plt

figure, panels = plt.subplots(1, 3, figsize=(8, 2.6), layout="constrained")
orders = {"as they lie": np.arange(1200), "epoch 0": epoch_order(1200, 7, 0), "epoch 1": epoch_order(1200, 7, 1)}
for panel, (title, order) in zip(panels, orders.items()):
    full = cut_batches(order, 32, drop_last=True)
    panel.imshow(labels.data[np.stack(full)], cmap="Set2", vmin=0, vmax=7, aspect="auto", interpolation="nearest")
    panel.set_title(title, fontsize=9)
    panel.set(xlabel="place in the batch", xticks=[])
panels[0].set_ylabel("batch")
plt.show()

# %% [markdown]
# ## 6 · The loader
#
# All parts are there; the loader puts them together. It is an object that one can walk over with `for`, again and again. In Python that takes one method, `__iter__`; written with `yield`, it hands out one batch, waits until somebody wants another, and goes on from there. So there is never more than one batch in memory.
#
# Walking over it once is an epoch:
#
# 1. the order: `epoch_order(…, self.seed, self.epoch)` if it shuffles, else 0, 1, 2, … (`np.arange`);
# 2. the next walk will be another epoch: `self.epoch` grows by one. Do it *before* the first batch, so that it also counts when somebody stops in the middle, and so that two walks at the same time are two epochs;
# 3. cut the order into batches, and `yield` what `fetch` gets for each.
#
# **What must not be in `self`:** the order, the place in it. Then a second `for` over the same loader, inside the first, would snatch batches from it. Keep them in local variables; each walk has its own.
#
# **By hand.** `DataLoader(dataset, batch_size=4, shuffle=True, seed=7)` over ten items: its `len` is 3, the number of batches, and 2 with drop_last. The first `for` goes through epoch 0, and the second through epoch 1. Another loader with seed 7, tomorrow, does the same. And after a power failure in epoch 23, set `loader.epoch = 23`: that is all
# a loader has to remember. No data at all: `len` 0, and the `for` does nothing.
#
# `batch_size` below 1 is a ValueError when the loader is made, not in the middle of the night.

# %% tags=["exercise:dataloader"]
#| export
class DataLoader:
    """Batches of a data set, to be walked over again and again; each walk is one epoch. As in PyTorch, with a seed.

    dataset: anything with len(dataset) and dataset[i], an item being a tuple. batch_size: ValueError if below 1. shuffle: in each epoch another order.
    drop_last: leave out a last batch that is shorter. seed: an int, or a NumPy Generator to draw from; epoch n of every loader with this seed has the
    same order. None: the orders can't be foreseen.

    epoch: how many walks have begun. Walks are independent of each other. len(loader): the number of batches.

    for pictures, labels in DataLoader(dataset, batch_size=32, shuffle=True): …    pictures (32, 1, 16, 16), labels (32,)
    """

    def __init__(self, dataset, batch_size=1, shuffle=False, drop_last=False, seed=None):
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.seed = int(np.random.default_rng(seed).integers(2**32))  # a number of its own: from an int, a generator, or thin air
        self.epoch = 0
        ### BEGIN SOLUTION
        if batch_size < 1:
            raise ValueError(f"a batch has at least 1 item, not {batch_size}")
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION
        return len(cut_batches(range(len(self.dataset)), self.batch_size, self.drop_last))
        ### END SOLUTION

    def __iter__(self):
        ### BEGIN SOLUTION
        length = len(self.dataset)
        order = epoch_order(length, self.seed, self.epoch) if self.shuffle else np.arange(length)
        self.epoch += 1
        for indices in cut_batches(order, self.batch_size, self.drop_last):
            yield fetch(self.dataset, indices)
        ### END SOLUTION

# %%
# %check dataloader

# %% [markdown]
# The four folders of the beginning, once more, and now nobody has to mix anything by hand. The Trainer only ever wanted something that it can walk over again and again:

# %%
train_loader = DataLoader(train_part, batch_size=32, shuffle=True, seed=1)
fresh_loader = DataLoader(TensorDataset(*fresh_batch), batch_size=100)
history = new_trainer(new_network()).fit(train_loader, fresh_loader, epochs=6)
print(f"{len(train_loader)} batches an epoch, {train_loader.epoch} epochs;   right:", "  ".join(f"{share:4.0%}" for share in history["val_accuracy"]))

# %% [markdown]
# ## 7 · Transforms
#
# A ring that lies two pixels farther to the left is still a ring. You know that; the network has to learn it, from examples, and examples are dear. So make more of those you have: each time a picture is asked for, change it a little, in a way that does not change what it shows. That is **augmentation**. The network
# never sees the same picture twice, and can't learn any by heart. It was half of AlexNet's secret, as you will see.
#
# A **transform** is an object that is called on one picture, a Tensor (C, H, W) (channels, height, width), and returns one. The class below looks after that, and calls `forward`. Your first three parts:
#
# - **Compose** is a chain of transforms, as Sequential is one of layers.
# - **Normalize** is not random. Networks learn best from numbers around 0 with a spread of about 1 (the reason why is in module 04: the first layer's outputs then have a sensible size). For every channel c, with the mean and the standard deviation of the *training* pictures:
#
# $$y_{cij} = \frac{x_{cij} - \mathrm{mean}_c}{\mathrm{std}_c}$$
#
# - **TransformedDataset** puts a transform between a data set and whoever asks. It holds no pictures. Item i is asked for, transformed, and handed on; the next time anew.
#
# **By hand.** A picture of 2 channels, 1 × 2: `[[[1, 3]], [[10, 30]]]`, `Normalize([2, 20], [1, 10])`: `[[[-1, 1]], [[-1, 1]]]`. The two means have shape (2,), and must meet axis 0 of (C, H, W): bring them to (2, 1, 1), `np.reshape(mean, (-1, 1, 1))`. A single number becomes (1, 1, 1), and fits all channels.
#
# **The trap.** Means of three colours and a grey picture: (1, H, W) minus (3, 1, 1) is (3, H, W). Broadcasting is content, and the network gets three pictures. Whoever transforms a picture must get back a picture *of the same shape*; if not, ValueError.
#
# And rule number one: **never change the picture itself.** It may lie in a data set, and the next epoch will ask for it again.

# %% tags=["given:transform-class"]
#| export
class Transform:
    """Makes another picture of a picture: called on a Tensor (C, H, W), returns a Tensor (C, H, W). A subclass writes `forward`."""

    def __call__(self, picture):
        if not isinstance(picture, Tensor):
            raise TypeError(f"a transform takes a Tensor, not {type(picture).__name__}")
        if picture.ndim != 3:
            raise ValueError(f"a transform takes one picture (C, H, W), not shape {picture.shape}")
        return self.forward(picture)

# %% tags=["exercise:transforms"]
#| export
class Compose(Transform):
    """Several transforms, one after the other. transforms: a list of them. An empty list changes nothing.

    Compose([RandomHorizontalFlip(), Normalize(0.3, 0.2)])(picture)
    """

    def __init__(self, transforms):
        ### BEGIN SOLUTION
        self.transforms = list(transforms)
        ### END SOLUTION

    def forward(self, picture):
        ### BEGIN SOLUTION
        for transform in self.transforms:
            picture = transform(picture)
        return picture
        ### END SOLUTION


class Normalize(Transform):
    """(picture - mean) / std, channel by channel. Computes in float32, or in float64 if the picture is float64.

    mean, std: a number for all channels, or a list with one for each. ValueError, with both shapes in its message, if their number is not that of the channels.

    Normalize([2, 20], [1, 10])(Tensor([[[1, 3]], [[10, 30]]]))  →  Tensor([[[-1., 1.]], [[-1., 1.]]])
    """

    def __init__(self, mean, std):
        ### BEGIN SOLUTION
        self.mean = np.reshape(mean, (-1, 1, 1)).astype(np.float32)
        self.std = np.reshape(std, (-1, 1, 1)).astype(np.float32)
        ### END SOLUTION

    def forward(self, picture):
        ### BEGIN SOLUTION
        normal = (picture - self.mean) / self.std
        if normal.shape != picture.shape:
            raise ValueError(f"a picture {picture.shape} does not go with means of shape {self.mean.shape}")
        return normal
        ### END SOLUTION


class TransformedDataset(Dataset):
    """A data set whose pictures are transformed at the moment they are asked for, each time anew.

    dataset: items are tuples that begin with a picture, a Tensor or array (C, H, W); what else is in them stays as it is. transform: called on the picture, a Tensor.

    TransformedDataset(dataset, transform)[7]  →  (transform(picture), label) for dataset[7] = (picture, label)
    """

    def __init__(self, dataset, transform):
        self.dataset, self.transform = dataset, transform

    def __len__(self):
        ### BEGIN SOLUTION
        return len(self.dataset)
        ### END SOLUTION

    def __getitem__(self, index):
        picture, *rest = self.dataset[index]
        picture = picture if isinstance(picture, Tensor) else Tensor(picture)
        ### BEGIN SOLUTION
        return self.transform(picture), *rest
        ### END SOLUTION

# %%
# %check transforms

# %% [markdown]
# ## 8 · Mirrors
#
# The simplest of the random ones. A shoe seen in a mirror is a shoe. (An R seen in a mirror is not an R. Which transforms are allowed is a question about the *world*, and no formula answers it.)
#
# With probability p, turn the order of the columns round; else hand the picture back as it is:
#
# $$y_{cij} = x_{c,i,W-1-j}$$
#
# **By hand.** `[[[1, 2, 3], [4, 5, 6]]]` becomes `[[[3, 2, 1], [6, 5, 4]]]`. The last axis of (C, H, W) is the one of the columns, and `picture[..., ::-1]` is NumPy's way to say "backwards".
#
# As with Dropout, the generator lives as long as the transform: `self.rng`, made once. `self.rng.random() < p` is True with probability p, since `random()` draws from [0, 1).

# %% tags=["exercise:random-flip"]
#| export
class RandomHorizontalFlip(Transform):
    """With probability p, the picture in a mirror: left and right are exchanged.

    p: in [0, 1], else ValueError. seed: an int, or a NumPy Generator to draw from.

    RandomHorizontalFlip(p=1.0)(Tensor([[[1, 2, 3]]]))  →  Tensor([[[3., 2., 1.]]])
    """

    def __init__(self, p=0.5, seed=None):
        ### BEGIN SOLUTION
        if not 0 <= p <= 1:
            raise ValueError(f"p is a probability in [0, 1], not {p}")
        self.p, self.rng = p, np.random.default_rng(seed)
        ### END SOLUTION

    def forward(self, picture):
        ### BEGIN SOLUTION
        return picture[..., ::-1] if self.rng.random() < self.p else picture
        ### END SOLUTION

# %%
# %check random-flip

# %% [markdown]
# ## 9 · Windows
#
# Lay a frame of zeros around the picture, and cut a window out of the whole at a random place. With padding 2 and a window as large as the picture, that is a shift by up to two pixels in each direction:
#
# ```text
#      picture 3 × 3        padding 1: 5 × 5           window 3 × 3 at (top 0, left 2)
#
#        1 2 3              0 0 0 0 0                        0 0 0
#        4 5 6       →      0 1 2 3 0             →          2 3 0
#        7 8 9              0 4 5 6 0                        5 6 0
#                           0 7 8 9 0
#                           0 0 0 0 0
# ```
#
# **How many places are there?** A window of height h in a picture of height H (padding included) can begin at 0, 1, …, H − h: that is H − h + 1 places, **both ends included**, all equally probable. **By hand:** 5 − 3 + 1 = 3 places down, 3 across, 9 windows. If the window is as large as the whole, there is one. If it is larger, there is none:
# ValueError, with both sizes.
#
# `self.rng.integers(n)` draws one of 0 … n−1, each with the same probability. The same window for all channels, of course: a red channel that went left and a blue one that went right is no photograph.
#
# For the frame: `np.zeros` in the larger shape and in `picture.dtype`, then copy `picture.data` into its middle. (`np.pad` would do it in one call, and takes five times as long, because it has a hundred other talents. For one picture nobody minds, but this happens for each picture in each epoch.)

# %% tags=["exercise:random-crop"]
#| export
class RandomCrop(Transform):
    """A window of the picture, at a random place. All places are equally probable.

    size: height and width of the window, a pair, or one int for both. padding: so many zeros on all four sides of the picture, first.
    seed: an int, or a NumPy Generator to draw from. ValueError, with both sizes in its message, if the window is larger than the padded picture.

    RandomCrop(28, padding=2)(picture) for shape (1, 28, 28)  →  shape (1, 28, 28), shifted by up to 2 in each direction
    """

    def __init__(self, size, padding=0, seed=None):
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        ### BEGIN SOLUTION
        self.padding, self.rng = padding, np.random.default_rng(seed)
        ### END SOLUTION

    def forward(self, picture):
        (channels, height, width), (window_height, window_width) = picture.shape, self.size
        ### BEGIN SOLUTION
        p = self.padding
        padded = np.zeros((channels, height + 2 * p, width + 2 * p), picture.dtype)
        padded[:, p : p + height, p : p + width] = picture.data
        down, across = padded.shape[1] - window_height, padded.shape[2] - window_width
        if down < 0 or across < 0:
            raise ValueError(f"no window of {self.size} fits into a picture of {padded.shape[1:]}, padding included")
        top, left = self.rng.integers(down + 1), self.rng.integers(across + 1)
        return Tensor(padded[:, top : top + window_height, left : left + window_width])
        ### END SOLUTION

# %%
# %check random-crop

# %% [markdown]
# ## See it: one picture, many pictures
#
# The picture at the upper left is in the data set. The others are what the network gets to see instead. Turn the dials. When is a square no longer a square? And which of these settings would you allow for photographs of street signs?

# %%
import ipywidgets


def siblings(number=400, padding=4, flip=0.5, seed=0):
    rng = np.random.default_rng(seed)
    change = Compose([RandomHorizontalFlip(flip, seed=rng), RandomCrop(16, padding, seed=rng)])
    changed = TransformedDataset(dataset, change)
    figure, panels = plt.subplots(2, 9, figsize=(8, 2))
    shown = [dataset[number][0]] + [changed[number][0] for _ in range(17)]
    for panel, picture in zip(panels.ravel(), shown):
        panel.imshow(picture.data[0], cmap="gray", vmin=-0.3, vmax=1.1)
        panel.set(xticks=[], yticks=[])
    panels[0, 0].spines[:].set(color="crimson", linewidth=2)
    plt.show()


ipywidgets.interact(siblings, number=(0, 1199), padding=(0, 10), flip=(0.0, 1.0, 0.1), seed=(0, 20));

# %% [markdown]
# ## What is it worth?
#
# Pictures are dear, so suppose that there are only 120. One network gets them as they are, another one gets them shifted and mirrored, each time in another way. Both are tested on fresh pictures, which are *not* changed. The first has soon learned its 120 pictures by heart; for the second there is nothing to learn by heart.

# %%
few, _ = random_split(dataset, [120, 1080], seed=4)
rng = np.random.default_rng(5)
change = Compose([RandomHorizontalFlip(seed=rng), RandomCrop(16, padding=3, seed=rng)])

figure, panels = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True, layout="constrained")
for panel, (title, data) in zip(panels, {"as they are": few, "changed each time": TransformedDataset(few, change)}.items()):
    trainer = new_trainer(new_network())
    learned = []  # the share of the 120 pictures themselves that is right
    history = trainer.fit(
        DataLoader(data, batch_size=24, shuffle=True, seed=1), fresh_loader, epochs=60,
        on_epoch=lambda history: learned.append(trainer.validate(DataLoader(few, batch_size=120))["accuracy"]),
    )  # fmt: skip
    panel.plot(learned, label="the 120 pictures themselves")
    panel.plot(history["val_accuracy"], label="fresh pictures")
    panel.set_title(f"{title}: {history['val_accuracy'][-1]:.0%} of fresh pictures right", fontsize=9)
    panel.set(xlabel="epoch", ylim=(0, 1.02))
panels[0].set_ylabel("share right")
panels[0].legend(fontsize=8, loc="lower right")
plt.show()

# %% [markdown]
# ## Systems: where does a training step wait?
#
# A step is fed, goes forward, goes backward, and moves the weights. If feeding takes longest, a faster network is of no use. Four ways to get a batch of 64 to the network of this page, measured by your own `measure`:
#
# - **drawn on demand**: `Shapes`, which makes every picture when it is asked for. (Think of photographs that must be read from a disk and decoded.)
# - **a list**: all items are in memory, in a Python list. A list knows `len` and `[i]`, so it is a data set; but `fetch` must ask it item by item.
# - **tensors**: your TensorDataset, all at once.
# - **tensors, changed**: the same, through flip and crop, and therefore item by item again.

# %%
def seconds_of(loader, model):
    """Seconds for an average batch: to load it, to go forward, to go backward, and to move the weights."""
    trainer = new_trainer(model)
    inputs, targets = next(iter(loader))

    def forward():
        return trainer.loss_fn(model(inputs), targets)

    def both():
        trainer.optimizer.zero_grad()
        forward().backward()

    loading = measure(lambda: sum(len(targets) for _, targets in loader), repeat=3) / len(loader)
    forwards, both_ways, step = measure(forward), measure(both), measure(trainer.optimizer.step)
    return {"load": loading, "forward": forwards, "backward": both_ways - forwards, "step": step}


on_demand = Shapes(640, seed=5)
in_memory = TensorDataset(*fetch(on_demand, np.arange(640)))  # drawn once, and kept
sources = {
    "drawn on demand": on_demand,
    "a list": [in_memory[i] for i in range(640)],
    "tensors": in_memory,
    "tensors, changed": TransformedDataset(in_memory, change),
}
table = {name: seconds_of(DataLoader(source, batch_size=64, shuffle=True), new_network()) for name, source in sources.items()}

plt.figure(figsize=(7, 2), layout="constrained")
left = np.zeros(len(table))
for part, color in {"load": "crimson", "forward": "C0", "backward": "C1", "step": "C2"}.items():
    shares = np.array([seconds[part] / sum(seconds.values()) for seconds in table.values()])
    plt.barh(list(table), shares, left=left, label=part, color=color)
    left += shares
plt.gca().invert_yaxis()
plt.xlim(0, 1)
plt.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.3), ncols=4, frameon=False)
plt.show()
for name, seconds in table.items():
    print(f"{name:17} {1e6 * seconds['load']:6.0f} µs to load, {1e6 * sum(seconds.values()):6.0f} in all: {seconds['load'] / sum(seconds.values()):4.0%} waiting")

# %% [markdown]
# Two remedies, then. What is slow to make and always the same, make once and keep, if the memory allows (`in_memory` above is one line of your own functions). What must be made anew each time, make cheaply. PyTorch knows a third: other processes prepare the next batches while this one computes; that is its `num_workers`.
# The network of this page is tiny. A convolutional network takes many times as long for its step, and then even the changed pictures are a small part of it.
#
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. Somebody changes the pictures first, `TransformedDataset(dataset, change)`, and splits the result into training and validation afterwards. What is wrong with the validation? In which order must the two be done?
# 2. Mirrored digits, photographs turned upside down, a recording played backwards, a sentence with its words in another order: which of these would teach a network something false?
# 3. In module 08 a question was left open: when batches are shuffled, what else must a checkpoint hold, so that the resumed training can't be told from the undisturbed one? You know the answer for the order now. Is it enough if there are random transforms, too?
# 4. The mean and the deviation for Normalize must come from the training part alone. What would a network learn, if only a little, that had them from all the data?
# 5. A video site has ten billion pictures, and shuffling all of them before each epoch is out of the question. What could one shuffle instead?
#
# **Behind the next door.** In 2012 a network with convolutions, ReLU, dropout, momentum, and pictures that were shifted and mirrored, won a contest by such a distance that a whole science changed its direction. You have built every one of these parts: complete this module, and **AlexNet** opens.
# Then something new. Pictures are numbers already. Text is not, and module 11 makes it so.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

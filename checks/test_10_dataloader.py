"""Checks of module 10: data sets, splits, batches, loaders, and transforms of pictures."""

import importlib
import itertools
import tracemalloc

import numpy as np
from support import often, pairs_of_seeds, shuffled, told

from tinytorch_core.kernel.checking import a_tensor, at_most, error_text, exercise, given, judged, raises, stage, wants


def table(rng, least=5, most=12):
    """Pictures and labels, as arrays."""
    length = int(rng.integers(least, most))
    return {"x": rng.normal(size=(length, 1, 2, 3)), "y": rng.integers(0, 9, size=length)}


def numbers_of(batches):
    """The items that some batches of a `numbered` data set hold, one after the other."""
    return [int(number) for (batch,) in batches for number in batch.data]


def numbered(tt, length):
    """A data set whose item i is (i,)."""
    return tt.TensorDataset(tt.Tensor(np.arange(length)))


class Counting:
    """A data set by itself: item i is (2i, i). It notes what it was asked for."""

    def __init__(self, length):
        self.length, self.asked = length, []

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.asked.append(index)
        if not 0 <= index < self.length:
            raise IndexError(index)
        return 2.0 * index, int(index)


def names_both(texts, pairs):
    """Each error text must name both of a pair (shapes, or numbers); spaces do not matter."""
    if not isinstance(texts, list) or len(texts) != len(pairs):
        return "an error message was expected in each case"
    for text, pair in zip(texts, pairs, strict=True):
        for part in pair:
            said = str(tuple(part) if isinstance(part, list) else part).replace(" ", "")
            if not isinstance(text, str) or said not in text.replace(" ", ""):
                return f"the ValueError should name {' and '.join(map(str, pair))}; it said {text!r}"
    return None


def evenly(counts, expected, what):
    """None if all counts could have come about by equal chances."""
    counts = np.asarray(counts)
    worst = int(np.abs(counts - expected).argmax())
    if abs(counts[worst] - expected) <= 6 * np.sqrt(expected) + 1:
        return None
    return f"all {what} should be equally probable: about {expected:.0f} times each, but number {worst} came {int(counts[worst])} times"


# --- tensor-dataset --------------------------------------------------------------------------------------------------


@exercise("tensor-dataset")
@given(lambda rng: table(rng) | {"indices": rng.integers(-5, 5, size=8).tolist()})
@wants(lambda x, y, indices: [["tuple", a_tensor(x[i]), a_tensor(y[i])] for i in indices])
def test_an_item_is_a_tuple(tt, x, y, indices):
    """Item i of a TensorDataset is a tuple: entry i of each tensor.

    tuple(tensor[index] for tensor in self.tensors).
    """
    items = [tt.TensorDataset(tt.Tensor(x), tt.Tensor(y))[i] for i in indices]
    return [[type(item).__name__, *item] for item in items]


@exercise("tensor-dataset")
@given(lambda rng: table(rng) | {"indices": rng.integers(0, 5, size=(3, 4)).tolist()})
@wants(
    lambda x, y, indices: [[True, a_tensor([x[k] for k in several]), a_tensor(y[several])] for several in indices[:2]]
)
def test_several_items_at_once(tt, x, y, indices):
    """With a list or an array of numbers, each tensor is asked for all of them.

    A tensor takes such an index as it is: tensor[index].
    """
    dataset = tt.TensorDataset(tt.Tensor(x), tt.Tensor(y))
    answers = dataset[indices[0]], dataset[np.array(indices[1])]
    return [[type(answer) is tuple, *answer] for answer in answers]


@exercise("tensor-dataset")
@given(lambda rng: {"sizes": rng.integers(1, 5, size=(8, 2)).tolist()})
@wants(lambda sizes: [[length, parts] for length, parts in sizes])
def test_length_and_number_of_parts(tt, sizes):
    """len is the number of items; an item has as many parts as there are tensors, be it one or many.

    len(dataset) is the length of any of the tensors, not their number.
    """
    made = [tt.TensorDataset(*(tt.Tensor(np.ones((length, 2))) for _ in range(parts))) for length, parts in sizes]
    return [[len(dataset), len(dataset[0])] for dataset in made]


@exercise("tensor-dataset")
@given(
    lambda rng: {
        "lengths": rng.integers(2, 4, size=(5, 3)).tolist() + [[3, 3, 3], [2, 3, 3], [2, 2, 3], [2, 3, 2], [4]]
    }
)
@wants(lambda lengths: [told(f"lengths {several}", len(set(several)) > 1) for several in lengths])
def test_unequal_lengths_are_refused(tt, lengths):
    """Tensors of different lengths raise ValueError as soon as the data set is made.

    Compare all of them, not only the first two.
    """

    def make(several):
        return tt.TensorDataset(*(tt.Tensor(np.ones((n, 2))) for n in several))

    return [told(f"lengths {several}", raises(ValueError, lambda s=several: make(s))) for several in lengths]


@exercise("tensor-dataset")
@stage("compatibility")
@given(lambda rng: {"pairs": [[int(a), int(a + b)] for a, b in rng.integers(11, 99, size=(8, 2))]})
@judged(lambda texts, pairs: names_both(texts, pairs))
def test_the_refusal_names_the_lengths(tt, pairs):
    """The ValueError says which lengths there are.

    Put the list of lengths into the message.
    """
    return [
        error_text(lambda a=a, b=b: tt.TensorDataset(tt.Tensor(np.ones(a)), tt.Tensor(np.ones(b)))) for a, b in pairs
    ]


@exercise("tensor-dataset")
@stage("compatibility")
@given(
    lambda rng: {
        "length": int(rng.integers(3, 6)),
        "kinds": rng.permutation(["float32", "float64", "int64", "uint8", "bool"]).tolist(),
    }
)
@wants(lambda length, kinds: [[kind, kind, kind] for kind in kinds] + [True, True])
def test_items_keep_their_dtypes(tt, length, kinds):
    """Items have the dtypes of the tensors, arrays are taken, too, and there is no item beyond the end (IndexError).

    Index the tensors and nothing else: an IndexError comes by itself.
    """
    answers = []
    for kind in kinds:
        array = np.ones((length, 2), dtype=kind)
        plain, made = tt.TensorDataset(array), tt.TensorDataset(tt.Tensor(array))
        answers.append([str(plain[0][0].dtype), str(made[0][0].dtype), str(made[[0, 1]][0].dtype)])
    return answers + [raises(IndexError, lambda i=i: made[i]) for i in (length, -length - 1)]


# --- random-split ----------------------------------------------------------------------------------------------------


@exercise("random-split")
@given(
    lambda rng: (
        table(rng) | {"indices": rng.integers(0, 5, size=6).tolist(), "asks": rng.integers(-6, 6, size=8).tolist()}
    )
)
@wants(lambda x, y, indices, asks: [6, [[a_tensor(x[indices[i]]), a_tensor(y[indices[i]])] for i in asks]])
def test_a_subset_translates_numbers(tt, x, y, indices, asks):
    """Item i of a Subset is item indices[i] of its data set, and its len is the number of indices.

    self.dataset[int(self.indices[index])].
    """
    part = tt.Subset(tt.TensorDataset(tt.Tensor(x), tt.Tensor(y)), indices)
    return len(part), [part[i] for i in asks]


def some_lengths(rng):
    return rng.integers(0, 9, size=int(rng.integers(1, 5))).tolist()


@exercise("random-split")
@given(lambda rng: {"lengths": [some_lengths(rng) for _ in range(8)]})
@wants(lambda lengths: [[several, list(range(sum(several)))] for several in lengths])
def test_every_item_is_in_one_part(tt, lengths):
    """The parts have the lengths that were asked for, and together hold every item exactly once.

    Shuffle once, then give each part the next piece of that order; a length may be 0.
    """
    answers = []
    for several in lengths:
        parts = tt.random_split(numbered(tt, sum(several)), several)
        answers.append(
            [[len(part) for part in parts], sorted(part[i][0].item() for part in parts for i in range(len(part)))]
        )
    return answers


def by_chance(answer, length, first):
    if not isinstance(answer, list) or not all(
        isinstance(numbers, list) and len(numbers) == first for numbers in answer
    ):
        return f"the first part should have {first} items"
    counts = np.bincount(np.asarray(answer, dtype=np.int64).ravel(), minlength=length)
    if len({tuple(sorted(numbers)) for numbers in answer}) < len(answer) / 2:
        return "nearly every seed should put other items into the first part"
    return evenly(counts, len(answer) * first / length, "items")


@exercise("random-split")
@given(
    lambda rng: {
        "length": int(rng.integers(16, 20)),
        "first": int(rng.integers(5, 12)),
        "seeds": rng.integers(10**6, size=200).tolist(),
    }
)
@judged(lambda answer, length, first, seeds: by_chance(answer, length, first))
def test_the_split_is_random(tt, length, first, seeds):
    """Every item has the same chance to be in the first part.

    np.random.default_rng(seed).permutation(len(dataset)) shuffles; do not sort afterwards.
    """
    dataset = numbered(tt, length)
    parts = [tt.random_split(dataset, [first, length - first], seed=seed)[0] for seed in seeds]
    return [[part[i][0].item() for i in range(len(part))] for part in parts]


def split_alike(a, b, alike):
    return f"seeds {a} and {b}: {'the same split' if alike else 'two splits'}"


@exercise("random-split")
@given(lambda rng: {"seeds": shuffled(rng, [*pairs_of_seeds(rng), [0, 0], [0, int(rng.integers(1, 9))]])})
@wants(lambda seeds: [*(split_alike(a, b, a == b) for a, b in seeds), split_alike(None, None, False)])
def test_the_split_is_repeatable(tt, seeds):
    """The same seed splits in the same way, be it 0, another seed otherwise, and no seed anew each time.

    np.random.default_rng(seed), made in random_split, not outside it. It takes None as well.
    """

    def first(seed):
        part, _ = tt.random_split(numbered(tt, 40), [20, 20], seed=seed)
        return [part[i][0].item() for i in range(20)]

    return [split_alike(a, b, first(a) == first(b)) for a, b in [*seeds, [None, None]]]


WRONG = [[7, 2], [7, 4], [10, 1], [11, -1], [-3, 13], [5, 5, 1], [9]]
RIGHT = [[7, 3], [10], [0, 10], [3, 3, 4], [10, 0]]


@exercise("random-split")
@given(lambda rng: {"lengths": [(WRONG + RIGHT)[i] for i in rng.permutation(len(WRONG + RIGHT))]})
@wants(lambda lengths: [told(f"10 items, {several}", sum(several) != 10 or min(several) < 0) for several in lengths])
def test_lengths_must_add_up(tt, lengths):
    """ValueError unless the lengths add up to the number of items and none is negative.

    [11, -1] adds up to 10 as well: ask for both.
    """
    dataset = numbered(tt, 10)
    return [told(f"10 items, {s}", raises(ValueError, lambda s=s: tt.random_split(dataset, s))) for s in lengths]


@exercise("random-split")
@stage("compatibility")
@given(
    lambda rng: {"asks": rng.integers(0, 5, size=int(rng.integers(1, 9))).tolist(), "length": int(rng.integers(20, 30))}
)
@wants(lambda asks, length: [0, [True] * len(asks), len(asks), True])
def test_splitting_asks_for_no_item(tt, asks, length):
    """Splitting looks at no item: an item is asked for when somebody wants it. And there is none beyond the end.

    A Subset keeps the data set and the numbers, not the items. The list of indices raises IndexError by itself.
    """
    dataset = Counting(length)
    part = tt.random_split(dataset, [5, length - 5])[0]
    before = len(dataset.asked)
    items = [part[i] for i in asks]
    return before, [x == 2 * i for x, i in items], len(dataset.asked), raises(IndexError, lambda: part[5])


# --- collate ---------------------------------------------------------------------------------------------------------


def tensors_and_dtypes(batch):
    return [type(batch).__name__, [[entries, str(entries.dtype)] for entries in batch]]


@exercise("collate")
@given(lambda rng: {"x": list(rng.normal(size=(int(rng.integers(1, 6)), 2, 3))), "first": int(rng.integers(9))})
@wants(
    lambda x, first: [
        "tuple",
        [[a_tensor(np.array(x)), "float64"], [a_tensor(np.arange(first, first + len(x))), "int64"]],
    ]
)
def test_pictures_and_labels_become_a_batch(tt, x, first):
    """Pairs of a Tensor and a Python int become a pair: stacked Tensors, and int64 labels.

    zip(*items) turns the pairs the other way round; stack makes a Tensor of each group.
    """
    return tensors_and_dtypes(tt.collate([(tt.Tensor(picture), first + i) for i, picture in enumerate(x)]))


ENTRIES = {
    "float32": lambda tt, n: tt.Tensor([n, -n]),
    "float64": lambda tt, n: np.array([n, -n], dtype=np.float64),
    "uint8": lambda tt, n: np.array([n, 2 * n], dtype=np.uint8),
    "int64": lambda tt, n: n,
    "int64 ": lambda tt, n: tt.Tensor(np.array(n)),
    "float32 ": lambda tt, n: n / 2,
    "bool": lambda tt, n: n > 3,
}


def plainly(kind, numbers):
    """What the entries of such a kind are as an array."""
    numbers = np.array(numbers)
    return {
        "float32": np.stack([numbers, -numbers], 1),
        "float64": np.stack([numbers, -numbers], 1),
        "uint8": np.stack([numbers, 2 * numbers], 1),
        "float32 ": numbers / 2,
        "bool": numbers > 3,
    }.get(kind, numbers).astype(kind.strip())


@exercise("collate")
@given(lambda rng: {"numbers": rng.integers(1, 9, size=4).tolist(), "kinds": rng.permutation(list(ENTRIES)).tolist()})
@wants(lambda numbers, kinds: ["tuple", [[a_tensor(plainly(kind, numbers)), kind.strip()] for kind in kinds]])
def test_every_kind_of_entry(tt, numbers, kinds):
    """Tensors and arrays keep their dtype; Python ints become int64, floats float32.

    stack takes arrays and numbers, too, and the door puts the dtype right. Tensor([7, 9]) would be float32.
    """
    return tensors_and_dtypes(tt.collate([tuple(ENTRIES[kind](tt, n) for kind in kinds) for n in numbers]))


BARE = {
    "a tuple": lambda tt: (tt.Tensor([1, 2]), 3),
    "a Tensor": lambda tt: tt.Tensor([[1, 2], [3, 4]]),
    "an array": lambda tt: np.ones((2, 2)),
    "a number": lambda tt: 3,
}


def two_items(rng):
    """Every kind of item beside a tuple, in both orders, and beside its like."""
    kinds = (
        [[kind, kind] for kind in BARE] + [[kind, "a tuple"] for kind in BARE] + [["a tuple", kind] for kind in BARE]
    )
    return {"pairs": shuffled(rng, kinds)}


@exercise("collate")
@given(two_items)
@wants(lambda pairs: [told(f"{a}, then {b}", {a, b} != {"a tuple"}, "TypeError") for a, b in pairs])
def test_an_item_that_is_no_tuple(tt, pairs):
    """An item that is no tuple raises TypeError, wherever it stands.

    zip would walk over the rows of a bare picture. Ask isinstance(item, tuple) of every item first.
    """

    def refused(a, b):
        return raises(TypeError, lambda: tt.collate([BARE[a](tt), BARE[b](tt)]))

    return [told(f"{a}, then {b}", refused(a, b), "TypeError") for a, b in pairs]


@exercise("collate")
@given(lambda rng: {"lengths": rng.integers(1, 4, size=(8, 3)).tolist() + [[2, 2, 2], [2, 2, 1], [1, 2, 2], [1, 1, 1]]})
@wants(lambda lengths: [told(f"items of {several} parts", len(set(several)) > 1) for several in lengths])
def test_a_pair_among_triples(tt, lengths):
    """Items of different lengths raise ValueError.

    zip(*items) silently stops at the shortest; zip(*items, strict=True) does not.
    """
    return [
        told(f"items of {several} parts", raises(ValueError, lambda s=several: tt.collate([(1.0,) * n for n in s])))
        for several in lengths
    ]


@exercise("collate")
@stage("compatibility")
@given(lambda rng: {"pairs": [[[1, int(n)], [1, int(n + k)]] for n, k in rng.integers(1, 9, size=(8, 2))]})
@judged(lambda texts, pairs: names_both(texts, pairs))
def test_pictures_of_different_shapes(tt, pairs):
    """Entries of different shapes raise a ValueError that names the shapes.

    stack of your tensors says so by itself; np.stack does not name them.
    """
    return [
        error_text(lambda a=a, b=b: tt.collate([(tt.Tensor(np.ones(a)), 0), (tt.Tensor(np.ones(b)), 1)]))
        for a, b in pairs
    ]


# --- fetch -----------------------------------------------------------------------------------------------------------


@exercise("fetch")
@given(lambda rng: table(rng) | {"indices": rng.integers(0, 5, size=6)})
@wants(lambda x, y, indices: [[True, a_tensor(x[indices]), a_tensor(y[indices])]] * 3)
def test_fetch_from_tensors_and_lists(tt, x, y, indices):
    """From a TensorDataset, a list of its items, and a data set of your own come the same batches, in the order of the numbers.

    A TensorDataset is asked for all at once, everything else item by item, and collated.
    """
    dataset = tt.TensorDataset(tt.Tensor(x), tt.Tensor(y))

    class Own(tt.Dataset):
        def __len__(self):
            return len(x)

        def __getitem__(self, index):
            return x[index], int(y[index])

    sources = dataset, [dataset[i] for i in range(len(x))], Own()
    return [[type(batch) is tuple, *batch] for batch in (tt.fetch(source, indices) for source in sources)]


@exercise("fetch")
@given(
    lambda rng: {
        "outer": rng.permutation(9).tolist(),
        "inner": rng.integers(0, 9, size=5),
        "indices": rng.permutation(5)[:3],
    }
)
@wants(
    lambda outer, inner, indices: (
        [np.array([outer[k] for k in inner[indices]])] * 2 + [np.array([2.0 * outer[i] for i in indices])]
    )
)
def test_fetch_from_a_part(tt, outer, inner, indices):
    """A Subset renames the numbers, also a Subset of a Subset, and a Subset of something else.

    fetch(dataset.dataset, dataset.indices[indices]).
    """
    whole = tt.TensorDataset(tt.Tensor(np.arange(9)))
    part = tt.Subset(tt.Subset(whole, outer), inner)
    listed = tt.Subset(tt.Subset([whole[i] for i in range(9)], outer), inner)
    counted = tt.Subset(Counting(9), outer)
    return [tt.fetch(source, indices)[0].data for source in (part, listed, counted)]


@exercise("fetch")
@given(
    lambda rng: {
        "x": rng.normal(size=(9, 2)),
        "indices": rng.integers(0, 9, size=8),
        "factor": float(rng.uniform(2, 3)),
    }
)
@wants(lambda x, indices, factor: [a_tensor(factor * x[indices] + indices[:, None])] * 2)
def test_a_subclass_has_its_own_items(tt, x, indices, factor):
    """A subclass of TensorDataset with a __getitem__ of its own is asked by that, item by item.

    isinstance is True for it. Ask type(dataset) is TensorDataset; the same goes for Subset.
    """

    class Scaled(tt.TensorDataset):
        def __getitem__(self, index):
            return (super().__getitem__(index)[0] * factor + int(index),)

    class ScaledPart(tt.Subset):
        def __getitem__(self, index):
            return (super().__getitem__(index)[0] * factor + int(index),)

    plain = tt.TensorDataset(tt.Tensor(x))
    return [tt.fetch(Scaled(tt.Tensor(x)), indices)[0], tt.fetch(ScaledPart(plain, range(9)), indices)[0]]


@exercise("fetch")
@stage("compatibility")
@given(lambda rng: {"indices": rng.integers(0, 9, size=8)})
@wants(lambda indices: [indices.tolist(), ["int"] * len(indices)])
def test_items_are_asked_for_with_ints(tt, indices):
    """A data set is asked for its items with Python ints, once each, in order.

    indices.tolist() makes Python ints of an array.
    """
    dataset = Counting(9)
    tt.fetch(dataset, indices)
    return [int(i) for i in dataset.asked], [type(i).__name__ for i in dataset.asked]


@exercise("fetch")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(6, 2)), "indices": rng.integers(0, 6, size=4)})
@wants(lambda x, indices: [x, x])
def test_a_batch_is_a_copy(tt, x, indices):
    """Whoever changes a batch does not change the data.

    Indexing with an array of numbers copies, and so does stack.
    """
    tensor = tt.Tensor(x)
    dataset = tt.TensorDataset(tensor)
    for source in (dataset, tt.Subset(dataset, range(6))):
        tt.fetch(source, indices)[0].data[:] = 77.0
    return tensor.data, dataset[list(range(6))][0].data


@exercise("fetch")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(600, 50)).astype(np.float32), "indices": rng.permutation(600)[:256]})
@wants(lambda x, indices: [x[indices][::50], x[599 - indices][::50]])
@at_most(10, times_of=lambda x, indices: often(lambda: x[indices] + x[indices], 50))
def test_fetch_takes_all_at_once(tt, x, indices):
    """A batch of 256 comes out of a TensorDataset, and out of a part of one, about as fast as NumPy can copy it.

    Ask a TensorDataset once, with all numbers. A Subset hands its numbers on to fetch.
    """
    dataset = tt.TensorDataset(tt.Tensor(x))
    part = tt.Subset(dataset, np.arange(599, -1, -1))
    whole, some = often(lambda: tt.fetch(dataset, indices), 50), often(lambda: tt.fetch(part, indices), 50)
    return whole[0].data[::50], some[0].data[::50]


# --- epoch-order -----------------------------------------------------------------------------------------------------


@exercise("epoch-order")
@given(lambda rng: {"cases": [[int(n), int(s), int(e)] for n, s, e in rng.integers(0, 40, size=(9, 3))]})
@wants(lambda cases: [["an array", list(range(n))] for n, _, _ in cases])
def test_an_order_has_every_number_once(tt, cases):
    """epoch_order is an array that holds each of 0 … length-1 exactly once; for no items it is empty.

    A generator's permutation(length) does that. (choice or integers would repeat some.)
    """
    orders = [tt.epoch_order(n, s, e) for n, s, e in cases]
    return [["an array" if type(o) is np.ndarray else type(o).__name__, sorted(np.asarray(o).tolist())] for o in orders]


def pairs_of_pairs(rng):
    """(seed, epoch) twice: now equal, now with another seed, another epoch, the same sum, or exchanged."""
    pairs = []
    for change in rng.permutation(["none", "none", "seed", "epoch", "sum", "swap", "product"] * 2):
        seed, epoch = rng.integers(1, 5, size=2).tolist()
        epoch += 5
        other = {
            "none": [seed, epoch],
            "seed": [seed + 1, epoch],
            "epoch": [seed, epoch + 1],
            "sum": [seed + 1, epoch - 1],
            "swap": [epoch, seed],
            "product": [seed * 2, epoch] if epoch % 2 else [seed * 2, epoch // 2],
        }[change]
        pairs.append([[seed, epoch], other])
    return pairs


def ordered_alike(a, b, alike):
    return f"(seed, epoch) {tuple(a)} and {tuple(b)}: {'the same order' if alike else 'two orders'}"


@exercise("epoch-order")
@given(lambda rng: {"pairs": pairs_of_pairs(rng)})
@wants(lambda pairs: [ordered_alike(a, b, a == b) for a, b in pairs])
def test_seed_and_epoch_decide_the_order(tt, pairs):
    """The same seed and epoch give the same order; if either differs, the order does, whatever their sum.

    np.random.default_rng((seed, epoch)): a pair, in double brackets.
    """
    return [ordered_alike(a, b, np.array_equal(tt.epoch_order(30, *a), tt.epoch_order(30, *b))) for a, b in pairs]


def every_order(answer, length, seed, epochs):
    if not isinstance(answer, np.ndarray) or answer.shape != (epochs, length):
        return f"{epochs} orders of {length} numbers were expected"
    if not np.array_equal(np.sort(answer, axis=1), np.tile(np.arange(length), (epochs, 1))):
        return f"each order should hold the numbers 0 to {length - 1} once"
    first_two = length * answer[:, 0] + answer[:, 1]
    pairs = [length * a + b for a, b in itertools.permutations(range(length), 2)]
    return evenly(np.bincount(answer[:, -1]), epochs / length, "numbers at the last place") or evenly(
        np.bincount(first_two, minlength=length * length)[pairs], epochs / len(pairs), "pairs at the first two places"
    )


@exercise("epoch-order")
@given(lambda rng: {"length": int(rng.integers(4, 8)), "seed": int(rng.integers(1000)), "epochs": 400})
@judged(every_order)
def test_every_order_is_possible(tt, length, seed, epochs):
    """Over many epochs, every order comes up equally often.

    permutation shuffles well. A rotation of 0 … length-1, for one, is no shuffling.
    """
    return np.array([tt.epoch_order(length, seed, epoch) for epoch in range(epochs)])


def cuts(rng):
    return [[int(n), int(size)] for n, size in zip(rng.integers(0, 13, 9), rng.integers(1, 6, 9), strict=True)] + [
        [8, 4],
        [3, 4],
        [9, 4],
        [0, 2],
    ]


def cut(numbers, size, drop):
    """The batches as lists, by a plain loop."""
    batches, batch = [], []
    for number in numbers:
        batch.append(number)
        if len(batch) == size:
            batches, batch = [*batches, batch], []
    return batches if drop or not batch else [*batches, batch]


@exercise("epoch-order")
@given(lambda rng: {"cases": cuts(rng), "seed": int(rng.integers(100))})
@wants(lambda cases, seed: [cut(order_of(n, seed), size, False) for n, size in cases])
def test_the_last_batch_may_be_shorter(tt, cases, seed):
    """cut_batches cuts the order into pieces of batch_size, in order, and what is left is a shorter batch.

    Batches begin at range(0, len(order), batch_size).
    """
    return [plain_batches(tt.cut_batches(np.array(order_of(n, seed), dtype=np.int64), size)) for n, size in cases]


@exercise("epoch-order")
@given(lambda rng: {"cases": cuts(rng), "seed": int(rng.integers(100))})
@wants(lambda cases, seed: [cut(order_of(n, seed), size, True) for n, size in cases])
def test_drop_last_leaves_the_shorter_one_out(tt, cases, seed):
    """With drop_last=True a last batch that is shorter is left out, and a full one is not.

    Twelve items in batches of four have no shorter one. Keep batches with len(batch) == batch_size.
    """
    return [
        plain_batches(tt.cut_batches(np.array(order_of(n, seed), dtype=np.int64), size, drop_last=True))
        for n, size in cases
    ]


def order_of(length, seed):
    return np.random.default_rng(seed).permutation(length).tolist()


def plain_batches(batches):
    return [[int(number) for number in batch] for batch in batches]


# --- dataloader ------------------------------------------------------------------------------------------------------


def settings(rng):
    return [[n, size, drop] for n, size in cuts(rng) for drop in (False, True)]


@exercise("dataloader")
@given(lambda rng: {"cases": settings(rng)})
@wants(lambda cases: [cut(range(n), size, drop) for n, size, drop in cases])
def test_batches_come_in_order(tt, cases):
    """Without shuffle the items come in order, in batches of batch_size; a shorter one is last, or dropped. No items, no batches.

    for indices in cut_batches(order, self.batch_size, self.drop_last): yield fetch(self.dataset, indices).
    """
    loaders = [tt.DataLoader(numbered(tt, n), batch_size=size, drop_last=drop) for n, size, drop in cases]
    return [[batch.data.tolist() for (batch,) in loader] for loader in loaders]


@exercise("dataloader")
@given(lambda rng: {"cases": settings(rng)})
@wants(lambda cases: [len(cut(range(n), size, drop)) for n, size, drop in cases])
def test_len_is_the_number_of_batches(tt, cases):
    """len(loader) is the number of batches, a shorter last one included unless it is dropped.

    Not the number of items. Count what cut_batches makes, or divide and round up (down with drop_last).
    """
    return [len(tt.DataLoader(numbered(tt, n), batch_size=size, drop_last=drop)) for n, size, drop in cases]


@exercise("dataloader")
@given(lambda rng: {"seeds": rng.integers(0, 12, size=8).tolist()})
@wants(lambda seeds: [[list(range(40)), list(range(40)), False, False] for _ in seeds] + [len(set(seeds))])
def test_each_epoch_has_another_order(tt, seeds):
    """Each epoch holds every item once, in a shuffled order, and in another one than the epoch before.

    epoch_order(…, self.seed, self.epoch), and self.epoch grows with each walk.
    """
    answers, orders = [], set()
    for seed in seeds:
        loader = tt.DataLoader(numbered(tt, 40), batch_size=7, shuffle=True, seed=seed)
        first, second = numbers_of(loader), numbers_of(loader)
        answers.append([sorted(first), sorted(second), first == second, first == sorted(first)])
        orders.add(tuple(first))
    return [*answers, len(orders)]


@exercise("dataloader")
@given(
    lambda rng: {
        "cases": [
            [int(a), int(a if rng.random() < 0.5 else a + b), *rng.permutation(9)[:2].tolist()]
            for a, b in [*rng.integers(1, 9, size=(7, 2)), (5, 0)]
        ]
    }
)
@wants(lambda cases: [[a == b] * 3 for a, b, _, _ in cases])
def test_a_seed_repeats_every_epoch(tt, cases):
    """Epoch n has the same order in every loader of a seed, whatever its batch_size; another seed has another order.

    The order depends on the seed and the number of the epoch, and on nothing else.
    """
    answers = []
    for a, b, one, two in cases:
        first = tt.DataLoader(numbered(tt, 30), batch_size=one + 1, shuffle=True, seed=a)
        second = tt.DataLoader(numbered(tt, 30), batch_size=two + 1, shuffle=True, seed=b)
        answers.append([numbers_of(first) == numbers_of(second) for _ in range(3)])
    return answers


@exercise("dataloader")
@given(lambda rng: {"cases": rng.integers(1, 5, size=(8, 2)).tolist(), "epochs": int(rng.integers(2, 5))})
@wants(lambda cases, epochs: [[True, list(range(20)), epochs + 2] for _ in cases])
def test_a_walk_that_is_broken_off_is_an_epoch(tt, cases, epochs):
    """After a walk that was broken off in the middle, the next one begins afresh: all items, in the order of the next epoch.

    Count the epoch before the first batch, and keep the place in it in local variables.
    """
    answers = []
    for seed, stop in cases:
        whole, broken = (tt.DataLoader(numbered(tt, 20), batch_size=4, shuffle=True, seed=seed) for _ in range(2))
        for _ in range(epochs):
            list(whole)
            for _ in itertools.islice(broken, stop):
                pass
        expected, got = numbers_of(whole), numbers_of(broken)
        list(broken)
        answers.append([got == expected, sorted(got), broken.epoch])
    return answers


@exercise("dataloader")
@given(lambda rng: {"seeds": rng.integers(0, 99, size=8).tolist(), "epoch": int(rng.integers(2, 6))})
@wants(lambda seeds, epoch: [[True, epoch + 1] for _ in seeds])
def test_a_loader_can_be_put_into_any_epoch(tt, seeds, epoch):
    """Setting loader.epoch = n makes the next walk epoch n, as it would have been without a power failure.

    The order follows from self.seed and self.epoch alone; a generator that is kept and goes on does not know the epoch.
    """
    answers = []
    for seed in seeds:
        one, other = (tt.DataLoader(numbered(tt, 30), batch_size=8, shuffle=True, seed=seed) for _ in range(2))
        for _ in range(epoch):
            list(one)
        other.epoch = epoch
        answers.append([numbers_of(one) == numbers_of(other), other.epoch])
    return answers


@exercise("dataloader")
@given(lambda rng: {"shuffle": shuffled(rng, [False, True] * 4), "length": int(rng.integers(15, 25))})
@wants(lambda shuffle, length: [[list(range(length)), list(range(length)), 16, not wish] for wish in shuffle])
def test_walks_are_independent(tt, shuffle, length):
    """Two walks at the same time do not disturb each other, also one inside the other.

    Order and place belong to a walk: local variables of __iter__, not attributes.
    """
    answers = []
    for wish in shuffle:
        loader = tt.DataLoader(numbered(tt, length), batch_size=4, shuffle=wish)
        pairs = list(zip(loader, loader, strict=True))
        one, two = ([int(n) for pair in pairs for n in pair[k][0].data] for k in (0, 1))
        small = tt.DataLoader(numbered(tt, 4), batch_size=1, shuffle=wish)
        answers.append([sorted(one), sorted(two), sum(1 for _ in small for _ in small), one == two])
    return answers


@exercise("dataloader")
@given(lambda rng: {"sizes": rng.permutation([0, -1, 1, 2, *rng.integers(-9, 9, size=8)]).tolist()})
@wants(lambda sizes: [told(f"batch_size {size}", size < 1) for size in sizes])
def test_a_batch_has_at_least_one_item(tt, sizes):
    """batch_size below 1 raises ValueError when the loader is made.

    In __init__: what is checked in __iter__ is found out only when training begins.
    """

    def make(size):
        return tt.DataLoader(numbered(tt, 5), batch_size=size)

    return [told(f"batch_size {size}", raises(ValueError, lambda s=size: make(s))) for size in sizes]


@exercise("dataloader")
@stage("compatibility")
@given(lambda rng: {"pick": int(rng.integers(1000)), "length": int(rng.integers(30, 40))})
@wants(lambda pick, length: [False, False, False, list(range(length)), True])
def test_seeds_of_every_kind(tt, pick, length):
    """Without a seed no two epochs and no two loaders are alike; a Generator as a seed is fine, and without shuffle the order stays.

    self.seed has been made of whatever came; use that.
    """
    dataset = numbered(tt, length)
    first, second = (tt.DataLoader(dataset, batch_size=4, shuffle=True) for _ in range(2))
    rng = np.random.default_rng(pick)
    of_rng = tt.DataLoader(dataset, batch_size=4, shuffle=True, seed=rng)
    again = tt.DataLoader(dataset, batch_size=4, shuffle=True, seed=np.random.default_rng(pick))
    one, two, other = numbers_of(first), numbers_of(first), numbers_of(second)
    unshuffled = numbers_of(tt.DataLoader(dataset, seed=pick))
    three = numbers_of(of_rng)
    return one == two, one == other, three == numbers_of(of_rng), unshuffled, three == numbers_of(again)


@exercise("dataloader")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=(7, 1, 2, 2)).astype(np.float32), "y": rng.integers(0, 9, size=7).tolist()})
@wants(
    lambda x, y: [
        [[[True, a_tensor(x[i : i + 3]), "float32", a_tensor(np.array(y[i : i + 3])), "int64"] for i in (0, 3, 6)]] * 3,
        4,
    ]
)
def test_batches_of_every_data_set(tt, x, y):
    """Each batch is a tuple of Tensors, with int64 labels, whatever the data set is, even a list. The default batch_size is 1.

    Only len(dataset) and dataset[i] can be relied on, and fetch knows that.
    """
    labels = tt.Tensor(np.array(y))
    tensors = tt.TensorDataset(tt.Tensor(x), labels)
    listed = [(tt.Tensor(picture), label) for picture, label in zip(x, y, strict=True)]
    part = tt.Subset([(picture, label) for picture, label in zip(x, y, strict=True)], range(7))
    answers = []
    for source in (tensors, listed, part):
        batches = list(tt.DataLoader(source, batch_size=3))
        answers.append([[type(b) is tuple, b[0], str(b[0].dtype), b[1], str(b[1].dtype)] for b in batches])
    return answers, len(tt.DataLoader(listed[:4]))


@exercise("dataloader")
@stage("compatibility")
@given(lambda rng: {"sizes": rng.integers(2, 9, size=8).tolist()})
@wants(lambda sizes: [[0, size, 2 * size] for size in sizes])
def test_a_loader_asks_when_it_is_asked(tt, sizes):
    """A loader fetches a batch when somebody wants it, and never more than one.

    yield each batch as it is fetched; a list of all batches would be the whole data set in memory once more.
    """
    answers = []
    for size in sizes:
        dataset = Counting(100)
        walk = iter(tt.DataLoader(dataset, batch_size=size, shuffle=True))
        asked = [len(dataset.asked)]
        for _ in range(2):
            next(walk)
            asked.append(len(dataset.asked))
        answers.append(asked)
    return answers


# --- transforms ------------------------------------------------------------------------------------------------------

STEPS = {
    "double": lambda x: x * 2.0,
    "add": lambda x: x + 3.0,
    "square": lambda x: x * x,
    "mirror": lambda x: x[..., ::-1],
}


def some_steps(rng, count):
    """Different steps, among them two whose order matters."""
    return rng.permutation(["double", "add", *rng.permutation(["square", "mirror"])][:count]).tolist()


def in_turn(x, steps):
    for step in steps:
        x = STEPS[step](x)
    return x


def picture(rng, channels=None, dtype=np.float64):
    shape = (channels or int(rng.integers(1, 4)), *rng.integers(2, 6, size=2).tolist())
    return rng.normal(size=shape).astype(dtype)


@exercise("transforms")
@given(lambda rng: {"x": picture(rng), "chains": [some_steps(rng, n) for n in (0, 1, 2, 3, 4)]})
@wants(lambda x, chains: [a_tensor(in_turn(x, chain)) for chain in chains])
def test_compose_is_a_chain(tt, x, chains):
    """Compose hands the picture through all its transforms, in order; an empty list changes nothing.

    picture = transform(picture) for each of them, then return it.
    """
    return [tt.Compose([STEPS[step] for step in chain])(tt.Tensor(x)) for chain in chains]


@exercise("transforms")
@given(
    lambda rng: {"x": picture(rng, 3), "mean": rng.normal(size=3).tolist(), "std": rng.uniform(0.5, 2, size=3).tolist()}
)
@wants(
    lambda x, mean, std: [
        a_tensor([(channel - m) / s for channel, m, s in zip(x, mean, std, strict=True)]),
        a_tensor((x - mean[0]) / std[0]),
        a_tensor((x[:1] - mean[1]) / std[1]),
        a_tensor([(channel - m) / std[2] for channel, m in zip(x, mean, strict=True)]),
    ]
)
def test_normalize_channel_by_channel(tt, x, mean, std):
    """Normalize takes each channel's mean away and divides by its std; a single number counts for all channels.

    np.reshape(mean, (-1, 1, 1)) lines the means up with axis 0. std divides; it is not subtracted, nor squared.
    """
    return (
        tt.Normalize(mean, std)(tt.Tensor(x)),
        tt.Normalize(mean[0], std[0])(tt.Tensor(x)),
        tt.Normalize([mean[1]], [std[1]])(tt.Tensor(x[:1])),
        tt.Normalize(mean, std[2])(tt.Tensor(x)),
    )


@exercise("transforms")
@given(lambda rng: {"channels": rng.integers(1, 4, size=(6, 2)).tolist() + [[1, 3], [3, 3], [1, 1], [2, 3], [1, 2]]})
@wants(lambda channels: [told(f"{have} channels, {means} means", means not in (1, have)) for have, means in channels])
def test_normalize_makes_no_channels(tt, channels):
    """Means of three channels and a picture of one raise ValueError; broadcasting would make three pictures of it.

    Compare the shape of the result with that of the picture.
    """

    def normalize(have, means):
        return tt.Normalize([0.5] * means, [2.0] * means)(tt.Tensor(np.ones((have, 3, 3))))

    return [
        told(f"{have} channels, {means} means", raises(ValueError, lambda h=have, m=means: normalize(h, m)))
        for have, means in channels
    ]


@exercise("transforms")
@given(lambda rng: table(rng) | {"factors": rng.uniform(1, 2, size=6).tolist()})
@wants(
    lambda x, y, factors: [
        len(x),
        [[True, a_tensor(x[2] * f), int(y[2])] for f in factors[:3]],
        [[True, a_tensor(x[1] * f), a_tensor(y[1])] for f in factors[3:]],
    ]
)
def test_a_data_set_that_transforms(tt, x, y, factors):
    """TransformedDataset hands the picture through the transform each time it is asked for, and leaves the rest of the item alone.

    return self.transform(picture), *rest. Nothing is transformed in __init__ or kept.
    """
    left = iter(factors)
    listed = [(picture, int(label)) for picture, label in zip(x, y, strict=True)]
    arrays = tt.TransformedDataset(listed, lambda p: p * next(left))
    first = [arrays[2] for _ in range(3)]
    tensors = tt.TransformedDataset(tt.TensorDataset(tt.Tensor(x), tt.Tensor(y)), lambda p: p * next(left))
    second = [tensors[1] for _ in range(3)]
    return len(arrays), [[type(i) is tuple, *i] for i in first], [[type(i) is tuple, *i] for i in second]


@exercise("transforms")
@stage("compatibility")
@given(lambda rng: {"x": picture(rng, 2), "kinds": rng.choice(["float32", "float64"], 8).tolist()})
@wants(lambda x, kinds: [[kind, kind, kind, x.astype(kind)] for kind in kinds])
def test_transforms_leave_the_picture_alone(tt, x, kinds):
    """The picture that goes in is not changed, and float32 stays float32.

    NumPy's means are float64: .astype(np.float32). And (picture - mean) makes a new Tensor; never assign into picture.data.
    """
    answers = []
    for kind in kinds:
        tensor, normalize = tt.Tensor(x.astype(kind)), tt.Normalize([0.5, 1.0], 2.0)
        outputs = [normalize(tensor), tt.Normalize(0.5, 2.0)(tensor), tt.Compose([normalize])(tensor)]
        answers.append([str(output.dtype) for output in outputs] + [tensor.data])
    return answers


# --- random-flip -----------------------------------------------------------------------------------------------------


@exercise("random-flip")
@given(
    lambda rng: {
        "x": [picture(rng) for _ in range(8)],
        "p": rng.permutation([0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]).tolist(),
    }
)
@wants(
    lambda x, p: [
        a_tensor(np.array([[row[::-1] if q else row for row in c] for c in v])) for v, q in zip(x, p, strict=True)
    ]
)
def test_flip_mirrors_left_and_right(tt, x, p):
    """With p=1 the order of the columns is turned round in every row and channel; with p=0 nothing happens.

    The last axis is the one of the columns: picture[..., ::-1].
    """
    return [tt.RandomHorizontalFlip(chance)(tt.Tensor(values)) for values, chance in zip(x, p, strict=True)]


def a_share_is_mirrored(answer, p, times):
    if (
        not isinstance(answer, list)
        or len(answer) != times
        or any(pair not in ([1.0, 2.0], [2.0, 1.0]) for pair in answer)
    ):
        return "each picture should come back as it was, or mirrored"
    share, spread = sum(pair == [2.0, 1.0] for pair in answer) / times, 6 * np.sqrt(p * (1 - p) / times)
    return None if abs(share - p) < spread else f"with p = {p:.2f}, {share:.0%} of {times} pictures were mirrored"


@exercise("random-flip")
@given(lambda rng: {"p": float(rng.choice([rng.uniform(0.1, 0.3), rng.uniform(0.7, 0.9)])), "times": 400})
@judged(a_share_is_mirrored)
def test_flip_mirrors_a_share_p(tt, p, times):
    """A share p of all pictures is mirrored, each for itself.

    One random number for each picture: self.rng.random() < self.p.
    """
    flip, x = tt.RandomHorizontalFlip(p), tt.Tensor([[[1, 2]]])
    return [flip(x).data[0, 0].tolist() for _ in range(times)]


@exercise("random-flip")
@given(lambda rng: {"seeds": pairs_of_seeds(rng)})
@wants(lambda seeds: [[a == b, False, False] for a, b in seeds])
def test_flip_draws_anew_each_time(tt, seeds):
    """The same seed gives the same sequence of decisions, another seed, or none, another one; and the decisions differ from call to call.

    Make the generator once, in __init__: np.random.default_rng(seed).
    """
    x = tt.Tensor([[[1, 2]]])

    def decisions(flip):
        return [bool(flip(x).data[0, 0, 0] == 2) for _ in range(64)]

    answers = []
    for a, b in seeds:
        one, two, none, other = (decisions(tt.RandomHorizontalFlip(seed=s)) for s in (a, b, None, None))
        answers.append([one == two, len(set(one)) == 1, none == other])
    return answers


@exercise("random-flip")
@given(lambda rng: {"chances": rng.permutation([*rng.uniform(-1, 2, size=8), 0.0, 1.0, float("nan")]).tolist()})
@wants(lambda chances: [told(f"p = {p:.3f}", not 0 <= p <= 1) for p in chances])
def test_flip_refuses_what_is_no_probability(tt, chances):
    """p outside [0, 1] raises ValueError as soon as the transform is made; 0 and 1 are allowed.

    if not 0 <= p <= 1, which is also true for nan.
    """
    return [told(f"p = {p:.3f}", raises(ValueError, lambda p=p: tt.RandomHorizontalFlip(p))) for p in chances]


@exercise("random-flip")
@stage("compatibility")
@given(lambda rng: {"x": picture(rng), "kinds": rng.choice(["float32", "float64", "uint8"], 8).tolist()})
@wants(lambda x, kinds: [[kind, True, x.astype(kind)] for kind in kinds])
def test_flip_leaves_the_picture_alone(tt, x, kinds):
    """The picture that goes in is not changed; the answer is a Tensor of its dtype.

    Index the tensor; do not assign into picture.data.
    """
    answers = []
    for kind in kinds:
        tensor = tt.Tensor(x.astype(kind))
        output = tt.RandomHorizontalFlip(1.0)(tensor)
        answers.append([str(output.dtype), isinstance(output, tt.Tensor), tensor.data])
    return answers


# --- random-crop -----------------------------------------------------------------------------------------------------


def windows(x, size, padding):
    """Every window there is, by NumPy's own padding."""
    padded, (h, w) = np.pad(x, ((0, 0), (padding, padding), (padding, padding))), size
    return [
        padded[:, i : i + h, j : j + w] for i in range(padded.shape[1] - h + 1) for j in range(padded.shape[2] - w + 1)
    ]


def a_crop(rng, padding):
    """A picture of different numbers, and a window that has two to four places down, and as many across."""
    size = rng.integers(2, 4, size=2)
    shape = (2, *(size + rng.integers(1, 3, size=2) - padding).tolist())
    return {"x": rng.permutation(np.prod(shape)).reshape(shape) + 1.0, "size": size.tolist(), "padding": padding}


def windows_by_chance(answer, crops, times):
    if not isinstance(answer, list) or len(answer) != len(crops):
        return "windows of two pictures were expected"
    for got, crop in zip(answer, crops, strict=True):
        x, size, padding = crop["x"], crop["size"], crop["padding"]
        if not isinstance(got, np.ndarray) or got.shape != (times, x.shape[0], *size):
            return f"{times} windows of shape {(x.shape[0], *size)} were expected"
        possible = windows(x, size, padding)
        matches = np.array([[np.array_equal(window, p) for p in possible] for window in got])
        if not matches.any(axis=1).all():
            strange = got[~matches.any(axis=1)][0].tolist()
            return f"this is no window of the picture {x.tolist()} with padding {padding}: {strange}"
        said = evenly(matches.sum(axis=0), times / len(possible), f"{len(possible)} windows")
        if said:
            return said
    return None


@exercise("random-crop")
@given(lambda rng: {"crops": [a_crop(rng, padding) for padding in (0, 1)], "times": 800})
@judged(windows_by_chance)
def test_every_window_is_possible(tt, crops, times):
    """Each answer is a window of the padded picture, and all windows come equally often, those at the edges too.

    integers(n) never draws n itself: there are H - h + 1 places down, and W - w + 1 across. All channels share one window.
    """
    answers = []
    for case in crops:
        crop, x = tt.RandomCrop(tuple(case["size"]), case["padding"]), tt.Tensor(case["x"])
        answers.append(np.array([crop(x).data for _ in range(times)]))
    return answers


@exercise("random-crop")
@given(lambda rng: {"x": [picture(rng) for _ in range(8)]})
@wants(lambda x: [[a_tensor(v), [len(v), 2, 2], [len(v), 7, 7], float(np.abs(v).sum())] for v in x])
def test_windows_of_every_size(tt, x):
    """A window as large as the picture is the picture; size may be one int; padding makes room on all four sides.

    With padding 5 and a window that holds all of it, nothing of the picture is lost.
    """
    answers = []
    for values in x:
        height, width = values.shape[1:]
        same = tt.RandomCrop((height, width))(tt.Tensor(values))
        small, large = tt.RandomCrop(2)(tt.Tensor(values)), tt.RandomCrop(7, padding=5)(tt.Tensor(values))
        everything = tt.RandomCrop((height + 10, width + 10), padding=5)(tt.Tensor(values))
        answers.append([same, list(small.shape), list(large.shape), float(np.abs(everything.data).sum())])
    return answers


def windowed(height, width, *window):
    return f"a picture of {height} × {width} with padding 1, and a window of {window[0]} × {window[1]}"


@exercise("random-crop")
@given(lambda rng: {"cases": rng.integers(1, 7, size=(10, 4)).tolist() + [[4, 4, 6, 6], [4, 4, 7, 6], [4, 4, 6, 7]]})
@wants(lambda cases: [told(windowed(*case), case[2] > case[0] + 2 or case[3] > case[1] + 2) for case in cases])
def test_a_window_that_is_too_large(tt, cases):
    """A window that is larger than the padded picture, in height or in width, raises ValueError.

    A slice that goes too far would silently be smaller. Count the places: if there are none, refuse.
    """

    def crop(height, width, *window):
        return tt.RandomCrop(tuple(window), padding=1)(tt.Tensor(np.ones((2, height, width))))

    return [told(windowed(*case), raises(ValueError, lambda c=case: crop(*c))) for case in cases]


@exercise("random-crop")
@stage("compatibility")
@given(
    lambda rng: {"pairs": [[[int(a + b), int(c)], [int(a), int(c)]] for a, b, c in rng.integers(2, 20, size=(8, 3))]}
)
@judged(lambda texts, pairs: names_both(texts, pairs))
def test_the_refusal_names_both_sizes(tt, pairs):
    """The ValueError names the size of the window and that of the picture.

    Put self.size and the shape of the padded picture into the message.
    """
    return [error_text(lambda w=w, p=p: tt.RandomCrop(tuple(w))(tt.Tensor(np.ones((1, *p))))) for w, p in pairs]


@exercise("random-crop")
@given(lambda rng: {"seeds": pairs_of_seeds(rng)})
@wants(lambda seeds: [[a == b, False, False] for a, b in seeds])
def test_crop_draws_anew_each_time(tt, seeds):
    """The same seed gives the same sequence of windows, another seed, or none, another one; and they differ from call to call.

    Make the generator once, in __init__: np.random.default_rng(seed).
    """
    x = tt.Tensor(np.arange(100.0).reshape(1, 10, 10))

    def places(crop):
        return [float(crop(x).data[0, 0, 0]) for _ in range(16)]

    answers = []
    for a, b in seeds:
        one, two, none, other = (places(tt.RandomCrop(3, seed=s)) for s in (a, b, None, None))
        answers.append([one == two, len(set(one)) == 1, none == other])
    return answers


@exercise("random-crop")
@stage("compatibility")
@given(
    lambda rng: {
        "x": rng.uniform(1, 9, size=(2, 5, 4)),
        "kinds": rng.choice(["float32", "float64", "uint8"], 8).tolist(),
    }
)
@wants(lambda x, kinds: [[kind, True, x.astype(kind), x.astype(kind)] for kind in kinds])
def test_crop_leaves_the_picture_alone(tt, x, kinds):
    """The picture that goes in is not changed, also if somebody changes the window; the answer is a Tensor of its dtype.

    np.zeros needs the dtype of the picture. Copy picture.data into the frame.
    """
    answers = []
    for kind in kinds:
        tensor, again = tt.Tensor(x.astype(kind)), tt.Tensor(x.astype(kind))
        output, whole = tt.RandomCrop((3, 3), padding=1)(tensor), tt.RandomCrop((5, 4))(again)
        output.data[:] = whole.data[:] = 0
        answers.append([str(output.dtype), isinstance(output, tt.Tensor), tensor.data, again.data])
    return answers


# --- the module as a whole -------------------------------------------------------------------------------------------


@stage("import")
@given(table)
@wants(lambda x, y: [a_tensor(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))), a_tensor(y)])
def test_module_imports_alone(tt, x, y):
    """`import tinytorch.dataloader` works by itself, and beside the modules before it.

    If the import fails, run all cells from the top once and look for the first error.
    """
    data, tensor = (importlib.import_module(f"tinytorch.{name}") for name in ("dataloader", "tensor"))
    part, _ = data.random_split(data.TensorDataset(tensor.Tensor(x), tensor.Tensor(y)), [len(x), 0])
    part = data.Subset(part, np.argsort(part.indices))
    change = data.Compose(
        [data.RandomHorizontalFlip(0.0), data.RandomCrop((4, 5), padding=1), data.Normalize(0.0, 1.0)]
    )
    (batch,) = data.DataLoader(data.TransformedDataset(part, change), batch_size=len(x))
    return batch


@stage("import")
@given(
    lambda rng: {
        "names": rng.permutation(
            ["TensorDataset", "Subset", "TransformedDataset", "DataLoader", "Normalize", "RandomCrop"]
        ).tolist()
    }
)
@wants(lambda names: ["Dataset" in name or name == "Subset" for name in names])
def test_every_data_set_is_a_dataset(tt, names):
    """TensorDataset, Subset and TransformedDataset are Datasets.

    If one is not, its class line was changed: class TensorDataset(Dataset).
    """
    return [issubclass(getattr(tt, name), tt.Dataset) for name in names]


def shifted_bars(rng):
    """Pictures 8 × 8 with a bar, lying (0) or standing (1), at a random place; and fresh ones."""

    def some(n):
        x, y = 0.1 * rng.normal(size=(n, 1, 8, 8)), rng.integers(0, 2, size=n)
        for canvas, standing in zip(x, y, strict=True):
            (canvas[0].T if standing else canvas[0])[rng.integers(8)] += 1
        return x.astype(np.float32), y

    (x, y), (fresh_x, fresh_y) = some(160), some(64)
    return {"x": x, "y": y, "fresh_x": fresh_x, "fresh_y": fresh_y}


def mostly(share):
    """At least `share` of the answers to pictures that nobody knew are right."""

    def judge(answer, x, y, fresh_x, fresh_y):
        if not isinstance(answer, np.ndarray) or answer.shape != fresh_y.shape:
            return f"{len(fresh_y)} answers were expected"
        right = (answer == fresh_y).mean()
        return (
            None
            if right >= share
            else f"{right:.0%} of the fresh pictures are right; {share:.0%} or more were expected"
        )

    return judge


@stage("integration")
@given(shifted_bars)
@judged(mostly(0.85))
def test_a_trainer_feeds_on_loaders(tt, x, y, fresh_x, fresh_y):
    """Split, transform, load, train: a Trainer, fed by your loaders, learns to tell lying bars from standing ones.

    If this fails and the exercises pass, look at what reaches the network: next(iter(loader)).
    """
    learn, check = tt.random_split(tt.TensorDataset(tt.Tensor(x), tt.Tensor(y)), [128, 32], seed=1)
    change = tt.Compose([tt.RandomHorizontalFlip(seed=1), tt.Normalize(0.125, 0.35)])
    loader = tt.DataLoader(tt.TransformedDataset(learn, change), batch_size=20, shuffle=True, seed=1)
    plain = tt.DataLoader(tt.TransformedDataset(check, tt.Normalize(0.125, 0.35)), batch_size=32)
    model = tt.Sequential(tt.Flatten(), tt.Linear(64, 32, seed=1), tt.ReLU(), tt.Linear(32, 2, seed=2))
    trainer = tt.Trainer(
        model, tt.Adam(model.parameters(), lr=0.01), tt.CrossEntropyLoss(), metrics={"accuracy": tt.accuracy}
    )
    trainer.fit(loader, plain, epochs=12)
    return model.eval()((tt.Tensor(fresh_x) - 0.125) / 0.35).data.argmax(axis=1)


def ends_alike(answer, x, y, seed, stop):
    if not isinstance(answer, list) or len(answer) != 2 or not all(isinstance(w, np.ndarray) for w in answer):
        return "the weights of two networks were expected"
    undisturbed, resumed = answer
    if undisturbed.shape != (1, 3) or not np.isfinite(undisturbed).all():
        return "the undisturbed training should end with a weight of shape (1, 3)"
    if np.array_equal(undisturbed, resumed):
        return None
    return f"the weights of the training resumed after epoch {stop} differ from those of the undisturbed one"


@stage("integration")
@given(
    lambda rng: {
        "x": rng.normal(size=(12, 3)),
        "y": rng.normal(size=(12, 1)),
        "seed": int(rng.integers(99)),
        "stop": int(rng.integers(1, 4)),
    }
)
@judged(ends_alike)
def test_training_can_be_resumed(tt, x, y, seed, stop):
    """Stopped after some epochs and resumed with loader.epoch set, a training ends with the same weights, bit for bit.

    The order of an epoch follows from the seed and its number alone.
    """
    dataset = tt.TensorDataset(tt.Tensor(x), tt.Tensor(y))

    def train(model, loader, epochs):
        tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), tt.MSELoss()).fit(loader, epochs=epochs)
        return model

    def loader():
        return tt.DataLoader(dataset, batch_size=5, shuffle=True, seed=seed)

    undisturbed = train(tt.Linear(3, 1, seed=1), loader(), 5)
    resumed, later = train(tt.Linear(3, 1, seed=1), loader(), stop), loader()
    later.epoch = stop
    train(resumed, later, 5 - stop)
    return undisturbed.weight.data, resumed.weight.data


@stage("performance")
@given(
    lambda rng: {
        "x": rng.normal(size=(1_000, 28, 28)).astype(np.float32),
        "y": rng.integers(0, 9, size=1_000),
        "seed": int(rng.integers(99)),
    }
)
@wants(lambda x, y, seed: [float(np.float64(x).sum() * 6), 6 * int(y.sum())], rtol=1e-3, atol=1.0)
@at_most(
    15,
    times_of=lambda x, y, seed: [
        float(x[i : i + 64][np.arange(len(x[i : i + 64]))].sum()) for _ in range(6) for i in range(0, 1_000, 64)
    ],
)
def test_an_epoch_of_tensors_is_quick(tt, x, y, seed):
    """An epoch of 1,000 pictures in batches of 64 takes about as long as it takes NumPy to copy and add them up.

    If the exercises pass, fetch takes the items one by one somewhere.
    """
    loader = tt.DataLoader(tt.TensorDataset(tt.Tensor(x), tt.Tensor(y)), batch_size=64, shuffle=True, seed=seed)
    pictures, labels = 0.0, 0
    for _ in range(6):
        for batch, targets in loader:
            pictures, labels = pictures + float(batch.data.sum()), labels + int(targets.data.sum())
    return pictures, labels


def holds_one_batch(answer, x, size):
    if not isinstance(answer, list) or len(answer) != 3 or any(type(n) is not int for n in answer):
        return "two numbers of bytes and a number of batches were expected"
    peak, kept, batches = answer
    batch = size * x.nbytes // len(x)
    if batches != 3 * -(-len(x) // size):
        return f"three epochs should have {3 * -(-len(x) // size)} batches, not {batches}"
    if peak > 4 * batch + 100_000:
        return f"while walking, {peak:,} bytes were in use at once; a batch has {batch:,}"
    return None if kept < 2 * batch + 50_000 else f"three epochs have left {kept:,} bytes behind; a batch has {batch:,}"


@stage("performance")
@given(lambda rng: {"x": rng.normal(size=(2_000, 100)).astype(np.float32), "size": int(rng.integers(40, 60))})
@judged(holds_one_batch)
def test_a_loader_holds_one_batch(tt, x, size):
    """Walking through a data set takes the memory of a batch or two, and leaves nothing behind.

    yield each batch; keep none in self.
    """
    loader = tt.DataLoader(tt.TensorDataset(tt.Tensor(x)), batch_size=size, shuffle=True)
    tracemalloc.start()
    batches = sum(1 for _ in range(3) for _ in loader)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, kept, batches

"""Checks of module 12: a table of places, what comes back into its rows, a map of it, and positions.

What is wanted comes from loops over tokens, one after the other, and, for gradients, from sums written out in float64.
"""

import gc
import importlib
import tracemalloc

import numpy as np
from support import engine_hears, often, pairs_of_seeds, shuffled, told

from tinytorch_core.kernel.checking import a_tensor, at_most, error_text, exercise, given, judged, raises, stage, wants

SHAPES = [(), (5,), (2, 3), (3, 1, 2), (4, 6), (1, 1)]


# What is wanted


def read(tokens, weight):
    """One row for each token, token after token."""
    rows = [weight[int(token)] for token in np.ravel(tokens)]
    return np.array(rows).reshape(*np.shape(tokens), weight.shape[1])


def summed(rows, tokens, count, padding_idx=None):
    """Row after row is added to the one that its token names, in float64."""
    total = np.zeros((count, np.shape(rows)[-1]))
    for row, token in zip(np.reshape(rows, (-1, total.shape[1])), np.ravel(tokens), strict=True):
        if token != padding_idx:
            total[int(token)] += row
    return total


def waves(max_len, embed_dim):
    """Position by position, column by column."""
    table = np.zeros((max_len, embed_dim))
    for t, column in np.ndindex(table.shape):
        angle = t / 10000 ** (2 * (column // 2) / embed_dim)
        table[t, column] = np.cos(angle) if column % 2 else np.sin(angle)
    return table


def placed(x, positions, start=0):
    return x + positions[start : start + x.shape[-2]]


def used_positions(gradient, max_len, start=0):
    total = np.zeros((max_len, gradient.shape[-1]))
    for text in gradient.reshape(-1, *gradient.shape[-2:]):
        for t, row in enumerate(text):
            total[start + t] += row
    return total


# Inputs


def a_vocabulary(rng):
    return int(rng.integers(4, 9))


def a_lookup(rng, shape, padding=False):
    """Tokens that repeat, some that never occur, and (on demand) a padding token that does occur, often 0."""
    count, dim = a_vocabulary(rng), int(rng.integers(2, 5))
    tokens = np.asarray(rng.integers(0, count - 1, size=shape))
    padding_idx = (0 if rng.random() < 0.5 else int(rng.integers(0, count))) if padding else None
    if padding and tokens.size > 1:
        tokens.reshape(-1)[:: max(2, tokens.size // 2)] = padding_idx
    return {
        "tokens": tokens,
        "weight": rng.normal(size=(count, dim)),
        "gradient": rng.normal(size=(*shape, dim)),
        "padding_idx": padding_idx,
    }


def lookups(rng, padding=False):
    return {"cases": [a_lookup(rng, shape, padding) for shape in shuffled(rng, SHAPES)]}


def ids_around(rng):
    """Lists of ids for a vocabulary: the last one in each is now and then outside, on either side."""
    count = a_vocabulary(rng)
    last = shuffled(rng, [-1, -count, -count - 3, count, count + 5, 0, count - 1, 1, 2, count - 2])
    return {"count": count, "lists": [[*rng.integers(0, count, size=2).tolist(), i] for i in last]}


def outside(ids, count):
    return any(not 0 <= i < count for i in ids)


def kinds_of_tokens(rng):
    return {"kinds": shuffled(rng, ["int64", "int32", "uint8", "int16", "float32", "float64", "bool", "float16"])}


def no_integers(kind):
    return np.dtype(kind).kind not in "iu"


def message_of(kind, call):
    """The message of an error of this kind; "" where there was none, or of another kind."""
    return error_text(call) if raises(kind, call) else ""


def names_both(texts, wanted):
    """For @judged: each message names all of its numbers."""
    if not isinstance(texts, list) or len(texts) != len(wanted):
        return "an error message was expected for each of them"
    for text, parts in zip(texts, wanted, strict=True):
        for part in parts:
            if not isinstance(text, str) or str(part) not in text:
                return f"the message should name {part}; it said {text!r}" if text else f"no error came for {parts[0]}"
    return None


# --- one-hot ---------------------------------------------------------------------------------------------------------


@exercise("one-hot")
@given(ids_around)
@wants(lambda count, lists: [told(f"{ids} of {count}", outside(ids, count), "IndexError") for ids in lists])
def test_ids_outside_are_refused(tt, count, lists):
    """check_tokens raises IndexError for an id below 0, or vocab_size or more, and for no other.

    (tokens < 0) | (tokens >= vocab_size), and .any() of that.
    """
    return [
        told(f"{i} of {count}", raises(IndexError, lambda i=i: tt.check_tokens(np.array(i), count)), "IndexError")
        for i in lists
    ]


def strangers(rng):
    count = int(rng.integers(40, 60))
    return {
        "count": count,
        "wrong": [int(n) for n in (*rng.integers(100, 999, size=4), *rng.integers(-99, -10, size=4))],
    }


@exercise("one-hot")
@given(strangers)
@judged(lambda answer, count, wrong: names_both(answer, [[w, count] for w in wrong]))
def test_a_wrong_id_is_named(tt, count, wrong):
    """The IndexError names the wrong id, and how many tokens there are.

    tokens[wrong][0] is the first wrong one: put it into the message, and vocab_size, too.
    """
    return [message_of(IndexError, lambda w=w: tt.check_tokens(np.array([[3, w], [1, 2]]), count)) for w in wrong]


@exercise("one-hot")
@given(kinds_of_tokens)
@wants(lambda kinds: [told(kind, no_integers(kind), "TypeError") for kind in kinds])
def test_only_integers_are_tokens(tt, kinds):
    """check_tokens raises TypeError for floats and booleans, and takes integers of any width.

    tokens.dtype.kind is "i" or "u" for integers, "f" for floats and "b" for booleans.
    """
    ones = {kind: np.ones((2, 3), dtype=kind) for kind in kinds}
    return [told(k, raises(TypeError, lambda k=k: tt.check_tokens(ones[k], 4)), "TypeError") for k in kinds]


def things(rng):
    return {"names": shuffled(rng, ["array", "list", "text", "array of rows", "number", "no tokens", "None", "float"])}


NOT_ARRAYS = {"list": [1, 2], "text": "ab", "number": 2, "None": None, "float": 1.5}


@exercise("one-hot")
@given(things)
@wants(lambda names: [told(name, name in NOT_ARRAYS, "TypeError") for name in names])
def test_only_arrays_hold_tokens(tt, names):
    """check_tokens raises TypeError for what is no NumPy array; an array without any tokens is fine.

    isinstance(tokens, np.ndarray) comes first: only then is there a dtype to ask for.
    """
    tokens = NOT_ARRAYS | {"array": np.arange(3), "array of rows": np.eye(2, dtype=int), "no tokens": np.arange(0)}
    return [told(n, raises(TypeError, lambda n=n: tt.check_tokens(tokens[n], 3)), "TypeError") for n in names]


@exercise("one-hot")
@given(lookups)
@wants(lambda cases: [read(c["tokens"], np.eye(len(c["weight"]))) for c in cases])
def test_one_hot_switches(tt, cases):
    """one_hot has a 1 at each token's id and 0 elsewhere, along one more axis at the end.

    tokens[..., None] == np.arange(vocab_size), and then .astype(np.float32).
    """
    return [tt.one_hot(c["tokens"], len(c["weight"])) for c in cases]


@exercise("one-hot")
@stage("compatibility")
@given(
    lambda rng: {
        "shapes": shuffled(rng, [[0], [2, 0], *([int(n) for n in rng.integers(0, 4, size=d)] for d in (1, 2, 2, 3))]),
        "count": a_vocabulary(rng),
    }
)
@wants(lambda shapes, count: [["float32", [*shape, count], float(np.prod(shape))] for shape in shapes])
def test_one_hot_is_float32(tt, shapes, count):
    """One-hot vectors are float32, so that a product with weights stays float32.

    .astype(np.float32) of the comparison.
    """
    switches = [tt.one_hot(np.zeros(shape, dtype=np.int64), count) for shape in shapes]
    return [[str(s.dtype), list(s.shape), float(s.sum())] for s in switches]


@exercise("one-hot")
@stage("compatibility")
@given(ids_around)
@wants(lambda count, lists: [told(f"{ids} of {count}", outside(ids, count), "IndexError") for ids in lists])
def test_one_hot_asks_first(tt, count, lists):
    """one_hot raises IndexError where a token has no switch.

    Call check_tokens(tokens, vocab_size) before anything else. Without it, such a token becomes a row of zeros, or another token's.
    """
    return [
        told(f"{i} of {count}", raises(IndexError, lambda i=i: tt.one_hot(np.array(i), count)), "IndexError")
        for i in lists
    ]


# --- embedding-lookup ------------------------------------------------------------------------------------------------


@exercise("embedding-lookup")
@given(lookups)
@wants(lambda cases: [a_tensor(read(c["tokens"], c["weight"])) for c in cases])
def test_embedding_reads_rows(tt, cases):
    """Each token is replaced by its row of the weight: tokens (…) become (…, embed_dim).

    weight[tokens]
    """
    return [tt.embedding(tt.Tensor(c["tokens"]), tt.Tensor(c["weight"])) for c in cases]


@exercise("embedding-lookup")
@given(ids_around)
@wants(lambda count, lists: [told(f"{ids} of {count}", outside(ids, count), "IndexError") for ids in lists])
def test_embedding_refuses_ids_outside(tt, count, lists):
    """A token that is no row of the weight raises IndexError, also a negative one.

    NumPy takes -1 for the last row. check_tokens(tokens, len(weight)) does not.
    """
    weight = tt.Tensor(np.ones((count, 2)))
    return [
        told(
            f"{i} of {count}",
            raises(IndexError, lambda i=i: tt.embedding(tt.Tensor(np.array(i)), weight)),
            "IndexError",
        )
        for i in lists
    ]


@exercise("embedding-lookup")
@given(kinds_of_tokens)
@wants(lambda kinds: [told(kind, no_integers(kind), "TypeError") for kind in kinds])
def test_embedding_refuses_what_is_no_integer(tt, kinds):
    """Tokens that are floats or booleans raise TypeError.

    check_tokens sees to it. (A boolean array would be taken for a mask, and a float array is no index at all.)
    """
    tokens, weight = {k: tt.Tensor(np.ones(4, dtype=k)) for k in kinds}, tt.Tensor(np.ones((4, 2)))
    return [told(k, raises(TypeError, lambda k=k: tt.embedding(tokens[k], weight)), "TypeError") for k in kinds]


@exercise("embedding-lookup")
@stage("compatibility")
@given(lambda rng: {"case": a_lookup(rng, (3, 4)), "kinds": shuffled(rng, ["float32", "float64"] * 4)})
@wants(lambda case, kinds: [[kind, case["weight"], case["tokens"]] for kind in kinds])
def test_embedding_copies_and_keeps_the_dtype(tt, case, kinds):
    """The output has the dtype of the weight, and numbers of its own: who changes them does not change the table.

    weight[tokens] with an array of tokens makes a new array.
    """
    answers = []
    for kind in kinds:
        tokens, weight = tt.Tensor(case["tokens"]), tt.Tensor(case["weight"].astype(kind))
        output = tt.embedding(tokens, weight)
        kept, output.data[...] = str(output.dtype), 0
        answers.append([kept, weight.data, tokens.data])
    return answers


@exercise("embedding-lookup")
@stage("compatibility")
@given(lambda rng: {"widths": [int(n) for n in rng.integers(1, 7, size=3)], "count": a_vocabulary(rng)})
@wants(lambda widths, count: [a_tensor(np.zeros((n, 0, width))) for n, width in enumerate(widths)])
def test_no_tokens_have_no_places(tt, widths, count):
    """No tokens at all, (…, 0), give an output (…, 0, embed_dim).

    Nothing is special about it: index, and the shape is right.
    """
    nothing = [tt.Tensor(np.zeros((n, 0), dtype=np.int64)) for n in range(len(widths))]
    return [tt.embedding(tokens, tt.zeros(count, width)) for tokens, width in zip(nothing, widths, strict=True)]


@exercise("embedding-lookup")
@stage("compatibility")
@given(lookups)
@wants(lambda cases: [[True, True, list(read(c["tokens"], c["weight"]).shape)] for c in cases])
def test_embedding_goes_through_the_door(tt, cases):
    """The engine hears of one operation, with the tokens and the weight themselves, also where they are given by name.

    Keep @operation above embedding.
    """
    answers = []
    for case in cases:
        tokens, weight = tt.Tensor(case["tokens"]), tt.Tensor(case["weight"])
        with engine_hears(tt) as heard:
            tt.embedding(tokens, weight=weight)
        [facts] = heard
        answers.append([facts["inputs"][0] is tokens, facts["inputs"][1] is weight, list(facts["output"].shape)])
    return answers


def a_long_text(rng, count=3000, length=20_000, dim=16):
    return {
        "tokens": rng.integers(0, count, size=length),
        "weight": rng.normal(size=(count, dim)).astype(np.float32),
    }


@exercise("embedding-lookup")
@stage("performance")
@given(a_long_text)
@wants(lambda tokens, weight: a_tensor(weight[tokens]))
@at_most(8.0, times_of=lambda tokens, weight: often(lambda: weight[tokens], 5))
def test_embedding_speed(tt, tokens, weight):
    """Reading rows takes about as long as reading them.

    No loop over the tokens, and no product with zeros and ones: one index, weight[tokens].
    """
    tokens, weight = tt.Tensor(tokens), tt.Tensor(weight)
    return often(lambda: tt.embedding(tokens, weight), 5)


# --- add-rows --------------------------------------------------------------------------------------------------------


def tables_of_rows(rng):
    """Rows and tokens: many repeats, all the same, all different, one alone, none at all."""
    count = a_vocabulary(rng)
    lists = [
        rng.integers(0, count, size=30),
        rng.integers(1, count - 1, size=12),
        np.full(6, rng.integers(0, count)),
        rng.permutation(count),
        rng.integers(0, count, size=1),
        rng.integers(0, count, size=0),
        np.sort(rng.integers(0, count, size=9))[::-1].copy(),
        np.array([count - 1, 0, count - 1]),
    ]
    cases = [{"tokens": tokens, "rows": rng.normal(size=(len(tokens), int(rng.integers(1, 5))))} for tokens in lists]
    return {"count": count, "cases": shuffled(rng, cases)}


@exercise("add-rows")
@given(tables_of_rows)
@wants(lambda count, cases: [summed(c["rows"], c["tokens"], count) for c in cases])
def test_rows_of_one_token_add_up(tt, count, cases):
    """Row i of the result is the sum of all rows whose token is i; tokens that don't occur have zeros.

    total[tokens] += rows keeps only one row of each token. Sort, find where each token begins, and add up the stretches.
    """
    return [tt.add_rows(c["rows"], c["tokens"], count) for c in cases]


@exercise("add-rows")
@stage("compatibility")
@given(lambda rng: tables_of_rows(rng) | {"kinds": shuffled(rng, ["float32", "float64"] * 4)})
@wants(lambda count, cases, kinds: [[kind, c["rows"], c["tokens"]] for c, kind in zip(cases, kinds)])
def test_add_rows_leaves_its_inputs_alone(tt, count, cases, kinds):
    """The sums have the dtype of the rows, and rows and tokens are what they were.

    np.zeros(…, dtype=rows.dtype). rows[order] and tokens[order] are new arrays; rows.sort() would sort the old one.
    """
    answers = []
    for case, kind in zip(cases, kinds, strict=True):
        rows, tokens = case["rows"].astype(kind), case["tokens"].copy()
        answers.append([str(tt.add_rows(rows, tokens, count).dtype), rows, tokens])
    return answers


@exercise("add-rows")
@stage("compatibility")
@given(lambda rng: tables_of_rows(rng) | {"kinds": shuffled(rng, ["int64", "int32", "uint8", "uint16"] * 2)})
@wants(lambda count, cases, kinds: [summed(c["rows"], c["tokens"], count) for c in cases])
def test_tokens_of_any_width(tt, count, cases, kinds):
    """Tokens may be integers of any width, with or without a sign.

    np.argsort and np.unique take them all. Differences of unsigned numbers never are negative, though.
    """
    return [tt.add_rows(c["rows"], c["tokens"].astype(k), count) for c, k in zip(cases, kinds, strict=True)]


def many_rows(rng, count=2500, length=20_000, dim=4):
    return {
        "tokens": rng.integers(0, count, size=length),
        "rows": rng.normal(size=(length, dim)).astype(np.float32),
        "count": count,
    }


def added_at(tokens, rows, count):
    total = np.zeros((count, rows.shape[1]), dtype=rows.dtype)
    np.add.at(total, tokens, rows)
    return total


@exercise("add-rows")
@stage("performance")
@given(many_rows)
@wants(lambda tokens, rows, count: added_at(tokens, np.float64(rows), count), rtol=1e-3, atol=1e-4)
@at_most(12.0, times_of=lambda tokens, rows, count: often(lambda: added_at(tokens, rows, count), 3))
def test_add_rows_speed(tt, tokens, rows, count):
    """Adding up 20,000 rows takes about as long as np.add.at does.

    No loop over the rows, none over the tokens, and no product with one-hot vectors.
    """
    return often(lambda: tt.add_rows(rows, tokens, count), 3)


# --- embedding-backward ----------------------------------------------------------------------------------------------


def sent_back(tt, case, kind=np.float64, **settings):
    """The weight's gradient, after the case's gradient has gone back through embedding."""
    weight = tt.Tensor(case["weight"].astype(kind), requires_grad=True)
    output = tt.embedding(tt.Tensor(case["tokens"]), weight, **settings)
    output.backward(case["gradient"])
    return weight.grad


@exercise("embedding-backward")
@given(lookups)
@wants(lambda cases: [summed(c["gradient"], c["tokens"], len(c["weight"])) for c in cases])
def test_gradients_go_into_the_rows_used(tt, cases):
    """A row's gradient is the sum over all places where its token stands; rows that were not used get zeros.

    Lay tokens and gradient end to end with reshape, and let add_rows add up.
    """
    return [sent_back(tt, c) for c in cases]


@exercise("embedding-backward")
@given(lambda rng: lookups(rng, padding=True))
@wants(lambda cases: [summed(c["gradient"], c["tokens"], len(c["weight"]), c["padding_idx"]) for c in cases])
def test_padding_gets_no_gradient(tt, cases):
    """The row padding_idx has the gradient 0, and all other rows have theirs; padding_idx may be any token, 0 included.

    rows[padding_idx] = 0, if padding_idx is not None.
    """
    return [sent_back(tt, c, padding_idx=c["padding_idx"]) for c in cases]


@exercise("embedding-backward")
@stage("compatibility")
@given(lambda rng: {"case": a_lookup(rng, (3, 5), True), "kinds": shuffled(rng, ["float32", "float64"] * 4)})
@wants(lambda case, kinds: [[kind, case["weight"], case["tokens"], case["gradient"]] for kind in kinds])
def test_the_way_back_changes_nothing(tt, case, kinds):
    """The gradient has the dtype of the weight, and weight, tokens and the gradient that came in stay as they are.

    Others may share the gradient that comes in. Set the padding row to 0 in the new array of sums.
    """
    answers = []
    for kind in kinds:
        weight, tokens = tt.Tensor(case["weight"].astype(kind), requires_grad=True), tt.Tensor(case["tokens"])
        other = tt.Tensor(np.zeros(case["gradient"].shape, dtype=kind), requires_grad=True)
        output = tt.embedding(tokens, weight, padding_idx=case["padding_idx"])
        (output + other).backward(case["gradient"])  # both sides of the sum get the same gradient
        answers.append([str(weight.grad.dtype), weight.data, tokens.data, other.grad])
    return answers


@exercise("embedding-backward")
@stage("compatibility")
@given(lambda rng: {"case": a_lookup(rng, (2, 6), True), "more": a_lookup(rng, (4, 3))})
@wants(lambda case, more: 2 * both_uses(case, more))
def test_used_twice_adds_up(tt, case, more):
    """Two lookups in one table add up, and so do two walks back; padding takes nothing away from what others have given.

    The rule returns one lookup's gradient; adding is the engine's business.
    """
    weight, count = tt.Tensor(case["weight"], requires_grad=True), len(case["weight"])
    other_tokens = tt.Tensor(more["tokens"] % count)
    for _ in range(2):
        first = tt.embedding(tt.Tensor(case["tokens"]), weight, padding_idx=case["padding_idx"])
        second = tt.embedding(other_tokens, weight)
        ((first * case["gradient"]).sum() + second.sum()).backward()
    return weight.grad


def both_uses(case, more):
    count, dim = case["weight"].shape
    first = summed(case["gradient"], case["tokens"], count, case["padding_idx"])
    return first + summed(np.ones((*more["tokens"].shape, dim)), more["tokens"] % count, count)


@exercise("embedding-backward")
@stage("compatibility")
@given(lambda rng: {"case": a_lookup(rng, (2, 3)), "wishes": shuffled(rng, [False, True] * 4)})
@wants(lambda case, wishes: wishes)
def test_a_frozen_table_takes_no_notes(tt, case, wishes):
    """A weight without requires_grad makes an output without requires_grad.

    The rule is asked only where somebody wants a gradient. Keep @rule(embedding) above it.
    """
    weights = [tt.Tensor(case["weight"], requires_grad=wish) for wish in wishes]
    return [bool(tt.embedding(tt.Tensor(case["tokens"]), weight).requires_grad) for weight in weights]


def a_training_text(rng, count=3000, length=16_000, dim=4):
    return a_long_text(rng, count, length, dim) | {"gradient": rng.normal(size=(length, dim)).astype(np.float32)}


@exercise("embedding-backward")
@stage("performance")
@given(a_training_text)
@wants(lambda tokens, weight, gradient: added_at(tokens, np.float64(gradient), len(weight)), rtol=1e-3, atol=1e-4)
@at_most(12.0, times_of=lambda tokens, weight, gradient: often(lambda: added_at(tokens, gradient, len(weight)), 3))
def test_embedding_backward_speed(tt, tokens, weight, gradient):
    """The way back takes about as long as adding up the rows.

    add_rows, and no product with one-hot vectors.
    """
    tokens, weight = tt.Tensor(tokens), tt.Tensor(weight, requires_grad=True)

    def there_and_back():
        weight.zero_grad()
        tt.embedding(tokens, weight).backward(gradient)

    often(there_and_back, 3)
    return weight.grad


# --- embedding-layer -------------------------------------------------------------------------------------------------


def asked_tables(rng):
    return {"asked": [[int(rng.integers(2, 9)), int(rng.integers(1, 9))] for _ in range(5)]}


@exercise("embedding-layer")
@given(asked_tables)
@wants(lambda asked: [{"weight": [[count, dim], "float32", True]} for count, dim in asked])
def test_embedding_has_one_parameter(tt, asked):
    """An Embedding has one Parameter, weight, of shape (vocab_size, embed_dim), float32, which wants a gradient.

    self.weight = Parameter(…, dtype=np.float32). Only a Parameter is found by parameters().
    """
    layers = [tt.Embedding(count, dim) for count, dim in asked]
    return [
        {name: [list(p.shape), str(p.dtype), p.requires_grad] for name, p in layer.named_parameters()}
        for layer in layers
    ]


def is_normal(weight, count, dim, scale=1.0):
    if not isinstance(weight, np.ndarray) or weight.shape != (count, dim):
        return f"a weight of shape {(count, dim)} was expected"
    z = np.float64(weight) / scale
    share = np.mean(np.abs(z) < 1)  # 0.683 of normal numbers
    facts = f"mean {weight.mean():.3g}, standard deviation {weight.std():.3g}, {share:.0%} within {scale}"
    right = abs(z.mean()) < 0.05 and abs(z.std() - 1) < 0.05 and abs(share - 0.683) < 0.04
    return (
        None
        if right
        else f"normal numbers with mean 0 and standard deviation {scale} were expected; these have {facts}"
    )


@exercise("embedding-layer")
@given(lambda rng: {"count": int(rng.integers(150, 200)), "dim": int(rng.integers(80, 120))})
@judged(is_normal)
def test_places_begin_as_normal_numbers(tt, count, dim):
    """The places begin as numbers from the standard normal distribution: mean 0, standard deviation 1.

    np.random.default_rng(seed).standard_normal((vocab_size, embed_dim))
    """
    return tt.Embedding(count, dim).weight.data


@exercise("embedding-layer")
@given(lambda rng: {"seeds": pairs_of_seeds(rng)})
@wants(lambda seeds: [[a == b, False, False] for a, b in seeds])
def test_embedding_is_repeatable(tt, seeds):
    """The same seed gives the same places, another seed others; without a seed, or from one generator, no two are alike.

    np.random.default_rng(seed) takes an int, a generator, or None.
    """
    answers = []
    for a, b in seeds:
        rng = np.random.default_rng(a)
        made = [(tt.Embedding(3, 4, seed=p), tt.Embedding(3, 4, seed=q)) for p, q in [(a, b), (None, None), (rng, rng)]]
        answers.append([bool((p.weight.data == q.weight.data).all()) for p, q in made])
    return answers


@exercise("embedding-layer")
@given(lambda rng: {"cases": [[n, p] for n in (3, 5, 8) for p in shuffled(rng, [*range(n), None])]})
@wants(lambda cases: [[i == p for i in range(n)] for n, p in cases])
def test_the_padding_row_begins_with_zeros(tt, cases):
    """With padding_idx that row begins with zeros, and only that one; without it, none does.

    Ask `if padding_idx is not None`: 0 is a token, too.
    """
    layers = [tt.Embedding(n, 3, padding_idx=p) for n, p in cases]
    return [[bool((row == 0).all()) for row in layer.weight.data] for layer in layers]


def padding_places(rng):
    count = a_vocabulary(rng)
    return {"count": count, "places": shuffled(rng, [-1, -count, count, count + 3, 0, 1, count - 1, count - 2])}


@exercise("embedding-layer")
@given(padding_places)
@wants(lambda count, places: [told(f"padding_idx {p} of {count}", not 0 <= p < count, "IndexError") for p in places])
def test_padding_is_a_token(tt, count, places):
    """A padding_idx that is no token, below 0 or vocab_size or more, raises IndexError as soon as the layer is made.

    check_tokens(np.array(padding_idx), vocab_size) asks.
    """
    make = tt.Embedding
    return [
        told(f"padding_idx {p} of {count}", raises(IndexError, lambda p=p: make(count, 2, padding_idx=p)), "IndexError")
        for p in places
    ]


def a_layer(tt, case):
    layer = tt.Embedding(*case["weight"].shape, padding_idx=case["padding_idx"])
    layer.weight.data = case["weight"].copy()
    return layer


@exercise("embedding-layer")
@given(lambda rng: lookups(rng, padding=True))
@wants(
    lambda cases: [
        [
            a_tensor(read(c["tokens"], c["weight"])),
            summed(c["gradient"], c["tokens"], len(c["weight"]), c["padding_idx"]),
        ]
        for c in cases
    ]
)
def test_embedding_layer_there_and_back(tt, cases):
    """An Embedding reads from its own weight, whatever that is now, and the weight gets its gradient, without the padding row.

    embedding(tokens, self.weight, padding_idx=self.padding_idx): the Parameter itself, not its .data.
    """
    answers = []
    for case in cases:
        layer = a_layer(tt, case)
        output = layer(tt.Tensor(case["tokens"]))
        output.backward(case["gradient"])
        answers.append([output, layer.weight.grad])
    return answers


@exercise("embedding-layer")
@given(ids_around)
@wants(lambda count, lists: [told(f"{ids} of {count}", outside(ids, count), "IndexError") for ids in lists])
def test_embedding_layer_refuses_ids_outside(tt, count, lists):
    """Tokens outside [0, vocab_size) raise IndexError, negative ones included.

    forward calls the operation `embedding`, which asks check_tokens.
    """
    layer = tt.Embedding(count, 2)
    return [
        told(f"{i} of {count}", raises(IndexError, lambda i=i: layer(tt.Tensor(np.array(i)))), "IndexError")
        for i in lists
    ]


@exercise("embedding-layer")
@stage("compatibility")
@given(lambda rng: {"kinds": shuffled(rng, ["float32", "float64"] * 4), "case": a_lookup(rng, (2, 3), True)})
@wants(lambda kinds, case: [[kind, kind, read(case["tokens"], case["weight"])] for kind in kinds], rtol=1e-5)
def test_embedding_layer_keeps_the_dtype(tt, kinds, case):
    """Output and gradient have the dtype of the weight, also after another array was assigned to weight.data.

    Hand self.weight on as it is.
    """
    answers = []
    for kind in kinds:
        layer, tokens = tt.Embedding(*case["weight"].shape, padding_idx=case["padding_idx"]), tt.Tensor(case["tokens"])
        layer(tokens)
        layer.weight.data = case["weight"].astype(kind)
        output = layer(tokens)
        output.backward(case["gradient"])
        answers.append([str(output.dtype), str(layer.weight.grad.dtype), np.asarray(output.data)])
    return answers


# --- main-directions -------------------------------------------------------------------------------------------------


def clouds(rng):
    """Points that are spread out differently along directions of their own, and lie far from the origin."""
    cases = []
    for dim in shuffled(rng, [2, 3, 5, 8, 16]):
        turn, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
        spread = 3.0 * 0.6 ** np.arange(dim)
        vectors = rng.normal(size=(int(rng.integers(20, 40)), dim)) * spread @ turn.T + rng.normal(size=dim) * 20
        cases.append({"vectors": vectors, "count": int(rng.integers(1, dim + 1))})
    return {"cases": cases}


def onto(vectors, count):
    """The matrix that puts points onto the span of the `count` main directions: from the eigenvectors of the covariance."""
    _, axes = np.linalg.eigh(np.cov(np.float64(vectors).T))
    axes = axes[:, ::-1][:, :count]
    return axes @ axes.T


@exercise("main-directions")
@given(clouds)
@wants(lambda cases: [[onto(c["vectors"], n) for n in range(1, c["count"] + 1)] for c in cases], rtol=1e-4, atol=1e-5)
def test_directions_of_the_largest_spread(tt, cases):
    """The directions are those along which the points, moved to mean 0, are spread out most, the most important first.

    (The check compares d @ d.T, which does not care whether a direction points to one side or to the other.) Subtract
    vectors.mean(axis=0); the third answer of np.linalg.svd has the directions as rows.
    """
    answers = []
    for case in cases:
        found = [tt.main_directions(case["vectors"], count) for count in range(1, case["count"] + 1)]
        answers.append([d @ d.T for d in found])
    return answers


@exercise("main-directions")
@given(clouds)
@wants(lambda cases: [[[c["vectors"].shape[1], 2], np.eye(2)] for c in cases])
def test_two_directions_if_nothing_is_said(tt, cases):
    """Without `count` there are two directions, an array (D, 2): columns of length 1, at right angles.

    directions[:count].T: a row of Vᵀ becomes a column.
    """
    found = [tt.main_directions(case["vectors"]) for case in cases]
    return [[list(directions.shape), directions.T @ directions] for directions in found]


def float_kinds(rng):
    return clouds(rng) | {"kinds": shuffled(rng, ["float32", "float64", "float32", "float64", "float64"])}


@exercise("main-directions")
@stage("compatibility")
@given(float_kinds)
@wants(lambda cases, kinds: [[kind, c["vectors"].astype(kind)] for c, kind in zip(cases, kinds)])
def test_vectors_stay_where_they_are(tt, cases, kinds):
    """The points are not moved by this, and directions have their dtype.

    vectors - vectors.mean(axis=0) makes a new array; vectors -= … would move the points themselves.
    """
    answers = []
    for case, kind in zip(cases, kinds, strict=True):
        vectors = case["vectors"].astype(kind)
        answers.append([str(tt.main_directions(vectors).dtype), vectors])
    return answers


# --- sinusoids -------------------------------------------------------------------------------------------------------


def sizes(rng):
    return {"sizes": [[int(rng.integers(1, 40)), int(2 * d)] for d in rng.permutation([1, 2, 3, 8, 24])]}


@exercise("sinusoids")
@given(sizes)
@wants(lambda sizes: [waves(*size) for size in sizes], rtol=1e-4, atol=1e-5)
def test_waves_follow_the_formula(tt, sizes):
    """Column 2i holds sin(t / 10000^(2i / D)), column 2i + 1 the cosine of the same angle.

    divisors = 10000 ** (np.arange(0, embed_dim, 2) / embed_dim): the exponent has 2i, the number of the even column.
    """
    return [tt.sinusoids(*size) for size in sizes]


@exercise("sinusoids")
@given(lambda rng: {"dims": [int(d) for d in rng.integers(1, 9, size=4)] + shuffled(rng, [1, 2, 3, 4, 7, 8])})
@wants(lambda dims: [told(f"embed_dim {d}", d % 2 == 1, "ValueError") for d in dims])
def test_odd_dimensions_are_refused(tt, dims):
    """An odd embed_dim raises ValueError, an even one does not.

    if embed_dim % 2: raise ValueError(…)
    """
    return [told(f"embed_dim {d}", raises(ValueError, lambda d=d: tt.sinusoids(5, d)), "ValueError") for d in dims]


@exercise("sinusoids")
@stage("compatibility")
@given(lambda rng: {"far": int(rng.integers(4000, 6000)), "dim": int(2 * rng.integers(2, 9))})
@wants(lambda far, dim: ["float32", waves(far, dim)[-3:]], rtol=1e-3, atol=2e-4)
def test_waves_are_float32(tt, far, dim):
    """The table is float32, and still right after thousands of positions.

    np.zeros((max_len, embed_dim), dtype=np.float32) for the table; the angles are float64 by themselves.
    """
    table = tt.sinusoids(far, dim)
    return str(table.dtype), table[-3:]


# --- add-positions ---------------------------------------------------------------------------------------------------


def texts(rng, starts=True):
    """Vectors (…, T, D), a longer table, and where they begin; some reach exactly to its end."""
    cases = []
    for leading in shuffled(rng, [(), (3,), (2,), (2, 3), (1,), (4,)]):
        length, dim, more = (int(n) for n in (rng.integers(1, 5), rng.integers(2, 5), rng.integers(1, 5)))
        start = int(rng.integers(1, more + 1)) if starts else 0
        cases.append(
            {
                "x": rng.normal(size=(*leading, length, dim)),
                "positions": rng.normal(size=(length + more, dim)),
                "start": start,
                "gradient": rng.normal(size=(*leading, length, dim)),
            }
        )
    return {"cases": cases}


@exercise("add-positions")
@given(texts)
@wants(lambda cases: [[a_tensor(placed(c["x"], c["positions"], s)) for s in (0, 0, c["start"])] for c in cases])
def test_positions_are_added(tt, cases):
    """The output is x + positions[start : start + T], for every text; without `start`, it is 0.

    T is the size of the last axis but one.
    """
    answers = []
    for case in cases:
        x, positions = tt.Tensor(case["x"]), tt.Tensor(case["positions"])
        from_start = tt.add_positions(x, positions, start=case["start"])
        answers.append([tt.add_positions(x, positions), tt.add_positions(x, positions, start=0), from_start])
    return answers


def ends(rng):
    """max_len, T and start: fitting, fitting exactly, one too long, beginning before 0, beginning behind the end."""
    max_len = int(rng.integers(5, 9))
    lengths = [[1, 0], [max_len, 0], [max_len + 1, 0], [max_len + 4, 0], [2, max_len - 2], [2, max_len - 1]]
    return {"max_len": max_len, "cases": shuffled(rng, [*lengths, [1, max_len], [1, -1], [2, -2], [1, max_len - 1]])}


def no_room(max_len, length, start):
    return start < 0 or start + length > max_len


def asking(length, start, max_len):
    return f"T {length}, start {start}, max_len {max_len}"


@exercise("add-positions")
@given(ends)
@wants(lambda max_len, cases: [told(asking(t, s, max_len), no_room(max_len, t, s), "ValueError") for t, s in cases])
def test_texts_that_are_too_long_are_refused(tt, max_len, cases):
    """start + T beyond max_len raises ValueError, and so does a start below 0; a text that ends at the last position is fine.

    if start < 0 or start + length > len(positions): raise ValueError(…)
    """
    positions, answers = tt.zeros(max_len, 2), []
    for length, start in cases:
        call = lambda length=length, start=start: tt.add_positions(tt.zeros(3, length, 2), positions, start=start)  # noqa: E731
        answers.append(told(asking(length, start, max_len), raises(ValueError, call), "ValueError"))
    return answers


def widths(rng):
    dim = int(rng.integers(3, 6))
    return {"dim": dim, "others": shuffled(rng, [dim, dim, dim, 1, dim + 1, dim - 1, 2 * dim, dim])}


@exercise("add-positions")
@given(widths)
@wants(lambda dim, others: [told(f"D {o} and {dim}", o != dim, "ValueError") for o in others])
def test_other_widths_are_refused(tt, dim, others):
    """x and positions with different D raise ValueError, also where one of them is 1.

    if dim != positions.shape[1]: raise ValueError(…). Broadcasting would stretch a D of 1 without a word.
    """
    positions, xs = tt.zeros(6, dim), {other: tt.zeros(2, 4, other) for other in others}
    return [
        told(f"D {o} and {dim}", raises(ValueError, lambda o=o: tt.add_positions(xs[o], positions)), "ValueError")
        for o in others
    ]


@exercise("add-positions")
@given(texts)
@wants(lambda cases: [[c["gradient"], used_positions(c["gradient"], len(c["positions"]), c["start"])] for c in cases])
def test_gradients_of_positions(tt, cases):
    """x gets the gradient as it is; a position gets the sum over all texts, and positions that were not used get zeros.

    total = zeros in the shape of positions; total[start : start + length] = gradient.reshape(-1, length, dim).sum(axis=0).
    """
    answers = []
    for case in cases:
        x, positions = tt.Tensor(case["x"], requires_grad=True), tt.Tensor(case["positions"], requires_grad=True)
        tt.add_positions(x, positions, start=case["start"]).backward(case["gradient"])
        answers.append([x.grad, positions.grad])
    return answers


def kinds_for_both(rng):
    mixed = [["float32", "float32"], ["float32", "float64"], ["float64", "float32"], ["float64", "float64"]]
    return texts(rng) | {"kinds": shuffled(rng, mixed)}


@exercise("add-positions")
@stage("compatibility")
@given(kinds_for_both)
@wants(
    lambda cases, kinds: [
        [a, placed(c["x"], c["positions"], c["start"]), [a, b], c["x"], c["positions"]]
        for c, (a, b) in zip(cases, kinds)
    ],
    rtol=1e-5,
    atol=1e-5,
)
def test_positions_keep_the_dtype_of_x(tt, cases, kinds):
    """The output has the dtype of x, whatever that of positions is; each input gets a gradient of its own dtype, and stays as it is.

    (…).astype(x.dtype) around the sum. x += … would change the vectors themselves.
    """
    answers = []
    for case, (kind, other) in zip(cases, kinds):
        x = tt.Tensor(case["x"].astype(kind), requires_grad=True)
        positions = tt.Tensor(case["positions"].astype(other), requires_grad=True)
        output = tt.add_positions(x, positions, start=case["start"])
        output.backward(np.ones(x.shape))
        gradients = [str(x.grad.dtype), str(positions.grad.dtype)]
        answers.append([str(output.dtype), np.asarray(output.data), gradients, x.data, positions.data])
    return answers


@exercise("add-positions")
@stage("compatibility")
@given(kinds_of_tokens)
@wants(lambda kinds: [told(kind, np.dtype(kind).kind != "f", "TypeError") for kind in kinds])
def test_ids_are_no_vectors(tt, kinds):
    """Integers in place of vectors raise TypeError: tokens go through an Embedding first.

    This question is given, above your part: if this fails, it was changed.
    """
    xs = {kind: tt.Tensor(np.ones((3, 2), dtype=kind)) for kind in kinds}
    return [told(k, raises(TypeError, lambda k=k: tt.add_positions(xs[k], tt.zeros(4, 2))), "TypeError") for k in kinds]


def a_batch_of_vectors(rng):
    return {
        "x": rng.normal(size=(32, 64, 64)).astype(np.float32),
        "positions": rng.normal(size=(128, 64)).astype(np.float32),
    }


@exercise("add-positions")
@stage("performance")
@given(a_batch_of_vectors)
@wants(lambda x, positions: [a_tensor((x + positions[:64])[::8]), np.float64(x).sum(axis=0)], rtol=1e-3, atol=1e-3)
@at_most(8.0, times_of=lambda x, positions: often(lambda: (x + positions[:64], x.sum(axis=0)), 5))
def test_add_positions_speed(tt, x, positions):
    """Adding positions, there and back, takes about as long as one sum over the batch and one back.

    No loop over texts or positions, and no detour through float64.
    """
    vectors, positions = tt.Tensor(x), tt.Tensor(positions, requires_grad=True)

    def there_and_back():
        positions.zero_grad()
        output = tt.add_positions(vectors, positions)
        output.backward(x)
        return output

    output = often(there_and_back, 5)
    return output[::8], positions.grad[:64]


# --- positional-modules ----------------------------------------------------------------------------------------------


@exercise("positional-modules")
@given(sizes)
@wants(lambda sizes: [[[], [waves(*size)]] for size in sizes], rtol=1e-4, atol=1e-5)
def test_waves_are_a_buffer(tt, sizes):
    """SinusoidalPositionalEncoding has nothing to learn: no parameters, and the table as a buffer in its state_dict.

    self.register_buffer("positions", sinusoids(max_len, embed_dim))
    """
    modules = [tt.SinusoidalPositionalEncoding(*size) for size in sizes]
    return [[[name for name, _ in m.named_parameters()], list(m.state_dict().values())] for m in modules]


@exercise("positional-modules")
@given(sizes)
@wants(lambda sizes: [{"weight": [size, "float32", True]} for size in sizes])
def test_learned_positions_are_a_parameter(tt, sizes):
    """LearnedPositionalEmbedding has one Parameter, weight, of shape (max_len, embed_dim), float32.

    self.weight = Parameter(…, dtype=np.float32)
    """
    modules = [tt.LearnedPositionalEmbedding(*size) for size in sizes]
    return [{n: [list(p.shape), str(p.dtype), p.requires_grad] for n, p in m.named_parameters()} for m in modules]


@exercise("positional-modules")
@given(lambda rng: {"count": int(rng.integers(150, 200)), "dim": int(2 * rng.integers(40, 60))})
@judged(lambda answer, count, dim: is_normal(answer, count, dim, 0.02))
def test_learned_positions_begin_small(tt, count, dim):
    """Learned positions begin as normal numbers with a standard deviation of 0.02.

    np.random.default_rng(seed).normal(scale=0.02, size=(max_len, embed_dim))
    """
    return tt.LearnedPositionalEmbedding(count, dim).weight.data


@exercise("positional-modules")
@given(lambda rng: {"seeds": pairs_of_seeds(rng)})
@wants(lambda seeds: [[a == b, False, False] for a, b in seeds])
def test_learned_positions_are_repeatable(tt, seeds):
    """The same seed gives the same positions, another seed others; without a seed, or from one generator, no two are alike.

    np.random.default_rng(seed) takes an int, a generator, or None.
    """
    make, answers = tt.LearnedPositionalEmbedding, []
    for a, b in seeds:
        rng = np.random.default_rng(a)
        made = [(make(3, 4, seed=p), make(3, 4, seed=q)) for p, q in [(a, b), (None, None), (rng, rng)]]
        answers.append([bool((p.weight.data == q.weight.data).all()) for p, q in made])
    return answers


def even_texts(rng):
    """Texts with an even D, for both kinds of positions, and where they begin."""
    cases = []
    for more in shuffled(rng, [1, 2, 3, 4]):
        length, dim = int(rng.integers(1, 5)), int(2 * rng.integers(1, 4))
        cases.append(
            {
                "x": rng.normal(size=(int(rng.integers(1, 4)), length, dim)),
                "learned": rng.normal(size=(length + more, dim)),
                "start": int(rng.integers(1, more + 1)),
            }
        )
    return {"cases": cases}


def both_kinds(tt, case):
    """A SinusoidalPositionalEncoding, and a LearnedPositionalEmbedding with the case's weight."""
    size = case["learned"].shape
    learned = tt.LearnedPositionalEmbedding(*size)
    learned.weight.data = case["learned"].copy()
    return tt.SinusoidalPositionalEncoding(*size), learned


def both_tables(case):
    return waves(*case["learned"].shape), case["learned"]


@exercise("positional-modules")
@given(even_texts)
@wants(
    lambda cases: [
        [[a_tensor(placed(c["x"], table)), a_tensor(placed(c["x"], table, c["start"]))] for table in both_tables(c)]
        for c in cases
    ],
    rtol=1e-4,
    atol=1e-5,
)
def test_modules_add_their_positions(tt, cases):
    """Both modules add the first T rows of their table to x, unscaled; with `start`, the T rows from there on.

    add_positions(x, self.positions, start=start), and the same with self.weight.
    """
    answers = []
    for case in cases:
        x = tt.Tensor(case["x"])
        answers.append([[module(x), module(x, start=case["start"])] for module in both_kinds(tt, case)])
    return answers


@exercise("positional-modules")
@given(ends)
@wants(
    lambda max_len, cases: [[told(asking(t, s, max_len), no_room(max_len, t, s), "ValueError")] * 2 for t, s in cases]
)
def test_modules_refuse_texts_that_are_too_long(tt, max_len, cases):
    """Both raise ValueError where there are no positions left.

    add_positions sees to it, if it gets the whole table and start.
    """
    made, answers = [tt.SinusoidalPositionalEncoding(max_len, 2), tt.LearnedPositionalEmbedding(max_len, 2)], []
    for length, start in cases:
        x = tt.zeros(2, length, 2)
        refused = [raises(ValueError, lambda m=m, x=x, start=start: m(x, start=start)) for m in made]
        answers.append([told(asking(length, start, max_len), r, "ValueError") for r in refused])
    return answers


@exercise("positional-modules")
@stage("compatibility")
@given(even_texts)
@wants(
    lambda cases: [
        [
            np.ones(c["x"].shape),
            np.ones(c["x"].shape),
            used_positions(np.ones(c["x"].shape), len(c["learned"]), c["start"]),
        ]
        for c in cases
    ]
)
def test_positions_learn_or_do_not(tt, cases):
    """The gradient goes through both to x, and learned positions get theirs: the sum over the batch, zeros where none was used.

    Hand self.weight itself to add_positions, not its .data.
    """
    answers = []
    for case in cases:
        kinds, xs = both_kinds(tt, case), [tt.Tensor(case["x"], requires_grad=True) for _ in range(2)]
        for module, x in zip(kinds, xs):
            module(x, start=case["start"]).sum().backward()
        answers.append([x.grad for x in xs] + [kinds[1].weight.grad])
    return answers


@exercise("positional-modules")
@stage("compatibility")
@given(lambda rng: {"dims": shuffled(rng, [1, 2, 3, 4, 5, 6, 7, 8])})
@wants(lambda dims: [told(f"embed_dim {d}", d % 2 == 1, "ValueError") for d in dims])
def test_waves_want_an_even_dimension(tt, dims):
    """SinusoidalPositionalEncoding with an odd embed_dim raises ValueError as soon as it is made.

    sinusoids refuses it; call it in __init__.
    """
    make = tt.SinusoidalPositionalEncoding
    return [told(f"embed_dim {d}", raises(ValueError, lambda d=d: make(5, d)), "ValueError") for d in dims]


@exercise("positional-modules")
@stage("compatibility")
@given(lambda rng: {"case": even_texts(rng)["cases"][0], "kinds": shuffled(rng, ["float32", "float64"] * 4)})
@wants(lambda case, kinds: [[kind, kind] for kind in kinds])
def test_modules_keep_the_dtype_of_x(tt, case, kinds):
    """The output of both has the dtype of x.

    add_positions sees to it.
    """
    made = both_kinds(tt, case)
    return [[str(module(tt.Tensor(case["x"].astype(kind))).dtype) for module in made] for kind in kinds]


# --- the module as a whole -------------------------------------------------------------------------------------------


@stage("import")
@given(lambda rng: {"case": a_lookup(rng, (2, 3)), "max_len": int(rng.integers(3, 9))})
@wants(
    lambda case, max_len: read(case["tokens"], case["weight"]) + waves(max_len, 4)[:3, : case["weight"].shape[1]],
    atol=1e-5,
)
def test_module_imports_alone(tt, case, max_len):
    """`import tinytorch.embeddings` works by itself, and beside the modules before it.

    If the import fails, run all cells from the top once and look for the first error.
    """
    embeddings, tensor = (importlib.import_module(f"tinytorch.{name}") for name in ("embeddings", "tensor"))
    places = embeddings.embedding(tensor.Tensor(case["tokens"]), tensor.Tensor(case["weight"]))
    table = embeddings.sinusoids(max_len, 4)[:, : case["weight"].shape[1]]
    return embeddings.add_positions(places, tensor.Tensor(table)).data


LAYERS = ["Embedding", "SinusoidalPositionalEncoding", "LearnedPositionalEmbedding"]


@stage("import")
@given(lambda rng: {"names": shuffled(rng, [*LAYERS, "Tensor", "CharTokenizer", "Trainer"])})
@wants(lambda names: [name in LAYERS for name in names])
def test_every_layer_is_a_module(tt, names):
    """Embedding, SinusoidalPositionalEncoding and LearnedPositionalEmbedding are Modules, each a class of its own.

    If one is not, its class line was changed: class Embedding(Module).
    """
    return [isinstance(getattr(tt, name)(4, 2) if name in LAYERS else getattr(tt, name), tt.Module) for name in names]


def a_tied_network(rng):
    case = a_lookup(rng, (3, 4), padding=True)
    count, dim = case["weight"].shape
    return {
        "case": case,
        "positions": rng.normal(size=(6, dim)),
        "targets": rng.integers(0, count, size=(3, 4)),
    }


def tied_gradients(case, positions, targets):
    """By the chain rule: through the softmax, then into the table twice, as the head's weight and as the rows read."""
    weight, tokens = case["weight"], case["tokens"]
    x = read(tokens, weight) + positions[: tokens.shape[1]]
    logits = x @ weight.T
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    to_logits = (e / e.sum(axis=-1, keepdims=True) - np.eye(len(weight))[targets]) / targets.size
    to_x = to_logits @ weight
    as_head = np.einsum("btv,btd->vd", to_logits, x)
    return [as_head + summed(to_x, tokens, len(weight), case["padding_idx"]), used_positions(to_x, len(positions))]


@stage("integration")
@given(a_tied_network)
@wants(tied_gradients, rtol=1e-4, atol=1e-6)
def test_one_table_for_reading_and_writing(tt, case, positions, targets):
    """A table that is shared with the last Linear gets both gradients; padding silences only what comes from reading.

    If this fails and the exercises pass, look at whether the rule sets a row to 0 in its own sums, or in somebody else's.
    """
    count, dim = case["weight"].shape
    embed, place, head = a_layer(tt, case), tt.LearnedPositionalEmbedding(6, dim), tt.Linear(dim, count, bias=False)
    place.weight.data, head.weight = positions.copy(), embed.weight
    logits = head(place(embed(tt.Tensor(case["tokens"]))))
    tt.CrossEntropyLoss()(logits, tt.Tensor(targets)).backward()
    return embed.weight.grad, place.weight.grad


def a_circle(rng):
    """Which token follows which: one random circle through all of them; and every token, in a random order, some twice."""
    count = int(rng.integers(12, 18))
    circle = rng.permutation(count)
    follows = np.empty(count, dtype=np.int64)
    follows[circle] = np.roll(circle, -1)
    return {"follows": follows, "tokens": rng.permutation(np.concatenate([np.arange(count)] * 2))}


@stage("integration")
@given(a_circle)
@wants(lambda follows, tokens: follows[tokens])
def test_a_network_learns_what_follows(tt, follows, tokens):
    """Embedding and Linear learn by heart which token follows which, trained by Adam.

    If the gradients are right, look at whether weight is a Parameter, so that the optimizer finds it.
    """
    net = tt.Sequential(tt.Embedding(len(follows), 8, seed=1), tt.Linear(8, len(follows), seed=2))
    optimizer, loss_fn = tt.Adam(net.parameters(), lr=0.05), tt.CrossEntropyLoss()
    for _ in range(150):
        optimizer.zero_grad()
        loss_fn(net(tt.Tensor(tokens)), tt.Tensor(follows[tokens])).backward()
        optimizer.step()
    return net(tt.Tensor(tokens)).data.argmax(axis=-1)


def orders(rng):
    """Texts in which token 1 and token 2 stand once each, among others; does 1 come first?"""
    texts, answers = [], []
    for first in shuffled(rng, [True, False] * 60):
        text, (i, j) = rng.integers(3, 6, size=6), np.sort(rng.permutation(6)[:2])
        text[i], text[j] = (1, 2) if first else (2, 1)
        texts.append(text)
        answers.append(int(first))
    return {"texts": np.array(texts), "answers": np.array(answers)}


def knows_the_order(share, texts, answers):
    if not isinstance(share, list) or len(share) != 2 or not all(isinstance(s, float) for s in share):
        return "two accuracies were expected"
    return (
        None
        if min(share) >= 0.9
        else f"accuracies {share[0]:.2f} (waves) and {share[1]:.2f} (learned); at least 0.9 are expected"
    )


@stage("integration")
@given(orders)
@judged(knows_the_order)
def test_positions_tell_the_order(tt, texts, answers):
    """With positions, a network that takes the mean over a text learns which of two tokens came first.

    Without positions it could only guess. If this fails, look at whether the positions of a text really differ.
    """
    shares = []
    for positions in (tt.SinusoidalPositionalEncoding(6, 16), tt.LearnedPositionalEmbedding(6, 16, seed=1)):
        embed, look, answer = tt.Embedding(6, 16, seed=2), tt.Linear(16, 64, seed=3), tt.Linear(64, 2, seed=4)
        parameters = [p for layer in (embed, positions, look, answer) for p in layer.parameters()]
        optimizer, loss_fn = tt.Adam(parameters, lr=0.02), tt.CrossEntropyLoss()
        for _ in range(150):
            optimizer.zero_grad()
            logits = answer(tt.relu(look(positions(embed(tt.Tensor(texts))))).mean(axis=1))
            loss_fn(logits, tt.Tensor(answers)).backward()
            optimizer.step()
        shares.append(float((logits.data.argmax(axis=1) == answers).mean()))
    return shares


@stage("integration")
@given(lambda rng: {"case": a_lookup(rng, (2, 3), True), "positions": rng.normal(size=(5, 4))})
@wants(
    lambda case, positions: [
        a_tensor(read(case["tokens"], case["weight"].astype(np.float32))),
        {"weight": [*positions.shape]},
        positions.astype(np.float32),
    ]
)
def test_tables_are_saved(tt, case, positions):
    """A state_dict loaded into another network makes it answer alike.

    weight is a Parameter, so it is saved.
    """
    layer, other = a_layer(tt, case), tt.Embedding(*case["weight"].shape, seed=1)
    other.load_state_dict(layer.state_dict())
    learned = tt.LearnedPositionalEmbedding(*positions.shape)
    learned.load_state_dict({"weight": positions.astype(np.float32)})
    shapes = {name: list(array.shape) for name, array in learned.state_dict().items()}
    return other(tt.Tensor(case["tokens"])), shapes, learned.weight.data


def numpy_step(tokens, targets, weight, head):
    x = weight[tokens].reshape(-1, weight.shape[1])
    logits = x @ head.T
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    to_logits = e / e.sum(axis=1, keepdims=True)
    return added_at(tokens.reshape(-1), to_logits @ head, len(weight)), to_logits.T @ x


def a_step(rng):
    count = int(rng.integers(60, 80))
    return {
        "tokens": rng.integers(0, count, size=(32, 64)),
        "targets": rng.integers(0, count, size=(32, 64)),
        "weight": rng.normal(size=(count, 32)).astype(np.float32),
        "head": np.zeros((count, 32), dtype=np.float32),
    }


def head_gradient(tokens, targets, weight, head):
    """All logits are 0, so every token is equally likely."""
    to_logits = (1 / len(head) - np.eye(len(head))[targets.ravel()]) / targets.size
    return to_logits.T @ np.float64(weight)[tokens.ravel()]


@stage("performance")
@given(a_step)
@wants(head_gradient, rtol=1e-3, atol=1e-5)
@at_most(
    8.0, times_of=lambda tokens, targets, weight, head: often(lambda: numpy_step(tokens, targets, weight, head), 3)
)
def test_training_speed(tt, tokens, targets, weight, head):
    """A step of a small model of text, there and back, takes a few times as long as its products and its sums.

    Work on whole batches, hand functions back, and let nothing become float64.
    """
    embed, place, last = (
        tt.Embedding(*weight.shape),
        tt.LearnedPositionalEmbedding(64, 32),
        tt.Linear(32, len(head), bias=False),
    )
    embed.weight.data, place.weight.data, last.weight.data = weight, place.weight.data * 0, head
    loss_fn, tokens, targets = tt.CrossEntropyLoss(), tt.Tensor(tokens), tt.Tensor(targets)

    def step():
        last.zero_grad()
        loss_fn(last(place(embed(tokens))), targets).backward()

    often(step, 3)
    return last.weight.grad


def needs_little(peak, tokens, weight):
    if type(peak) is not int:
        return "a number of bytes was expected"
    limit = 6 * (weight.nbytes + tokens.size * weight.shape[1] * 4) + 200_000
    return None if peak < limit else f"a lookup, there and back, took {peak:,} bytes; {limit:,} should do"


@stage("performance")
@given(lambda rng: a_long_text(rng, count=int(rng.integers(4000, 5000)), length=4000, dim=8))
@judged(needs_little)
def test_a_large_vocabulary_takes_no_more_memory_than_its_table(tt, tokens, weight):
    """Reading from a table of thousands of rows takes memory for the table's gradient and the rows read, not for zeros and ones.

    One-hot vectors of 4,000 tokens and 4,000 rows would take 64 MB.
    """
    layer, tokens = tt.Embedding(*weight.shape, seed=1), tt.Tensor(tokens)
    tracemalloc.start()
    layer(tokens).sum().backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def leaves_nothing(answer, tokens, steps):
    if not isinstance(answer, list) or len(answer) != 2 or type(answer[0]) is not int:
        return "the number of bytes kept, and a gradient, were expected"
    if not np.isclose(answer[1], steps * tokens.size * 8, rtol=1e-3):
        return f"{steps} passes should have added up a gradient of {steps * tokens.size * 8}, not {answer[1]}"
    return None if answer[0] < 100_000 else f"{steps} steps have left {answer[0]:,} bytes behind"


@stage("performance")
@given(lambda rng: {"tokens": rng.integers(0, 50, size=(16, 64)), "steps": int(rng.integers(90, 110))})
@judged(leaves_nothing)
def test_a_hundred_steps_leave_nothing_behind(tt, tokens, steps):
    """After a hundred steps, there and back, no more memory is in use than after one.

    Nothing may hold on to tokens or gradients: a list on the layer would.
    """
    embed, place, tokens = tt.Embedding(50, 8, seed=1), tt.SinusoidalPositionalEncoding(64, 8), tt.Tensor(tokens)

    def step():
        place(embed(tokens)).sum().backward()

    step()
    embed.zero_grad()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    often(step, steps)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.enable()
    return kept, float(embed.weight.grad.sum())

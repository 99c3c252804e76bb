"""Checks of module 11: characters, byte pairs, the tokenizer's file, and padded batches."""

import importlib
import json
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
from support import shuffled, told

from tinytorch_core.kernel.checking import a_tensor, at_most, error_text, exercise, given, judged, raises, stage, wants

LETTERS = "abcdefghijklmnopqrstuvwxyz"
STRANGE = "äßøçλπЖщ世界数学あ한𝄞𐍈ࠀ߿"
"""Characters of two, three and four bytes; none of them stands in a message in English."""


# Texts, and byte-pair encoding worked out another way: a token is a character, and str.replace merges from left to right


def some_text(rng, letters, length):
    return "".join(rng.choice(list(letters), size=int(length)))


def repetitive(rng):
    """A short text of few letters: many ties, and runs of one letter."""
    letters = rng.choice(list("abcxyzé世"), size=int(rng.integers(1, 4)), replace=False)
    return some_text(rng, letters, rng.integers(15, 60))


def any_text(rng):
    """Up to a few dozen characters from everywhere in Unicode, halves of surrogate pairs excepted."""
    ranges = ((0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x110000))
    return "".join(chr(rng.integers(*ranges[which])) for which in rng.integers(0, 4, size=rng.integers(0, 30)))


def words(rng, length):
    """A text of about `length` bytes, of words of which some are frequent and most are rare."""
    known = [some_text(rng, LETTERS, rng.integers(2, 9)) for _ in range(400)]
    chances = 1 / np.arange(2, 402)
    return " ".join(rng.choice(known, size=length // 6, p=chances / chances.sum()))


def counted(ids):
    text = "".join(map(chr, ids))
    return Counter(text[i : i + 2] for i in range(len(text) - 1))


def merged(ids, pair, new_id):
    return [ord(c) for c in "".join(map(chr, ids)).replace("".join(map(chr, pair)), chr(new_id))]


def learned(ids, count):
    """The merges, each a list of two ids."""
    text, merges = "".join(map(chr, ids)), []
    while len(merges) < count:
        counts = Counter(zip(text, text[1:], strict=False))
        most = max(counts.values(), default=0)
        if most < 2:
            break
        pair = min("".join(pair) for pair in counts if counts[pair] == most)
        text = text.replace(pair, chr(256 + len(merges)))
        merges.append([ord(character) for character in pair])
    return merges


def encoded(text, merges):
    ids = list(text.encode())
    for number, pair in enumerate(merges):
        ids = merged(ids, pair, 256 + number)
    return ids


def expanded(i, merges):
    """The bytes of token i."""
    return bytes([i]) if i < 256 else b"".join(expanded(half, merges) for half in merges[i - 256])


def plain(merges):
    """Pairs of whatever integers as lists of two ints."""
    return [[int(left), int(right)] for left, right in merges]


def said(counts):
    """Counts of pairs as plain data, zeros left out; what is no Counter, in words."""
    if not isinstance(counts, Counter):
        return f"a {type(counts).__name__}, not a Counter"
    return {f"{int(left)} {int(right)}": int(count) for (left, right), count in counts.items() if count}


def names_it(texts, things):
    """A judge of messages: each has to name its thing."""
    if not isinstance(texts, list) or len(texts) != len(things):
        return "an error message was expected for each of them"
    for text, thing in zip(texts, things, strict=True):
        if not isinstance(text, str) or str(thing) not in text:
            return (
                f"the error should name {thing!r}; its message was {text!r}" if text else f"no error came for {thing!r}"
            )
    return None


def message_of(kind, call):
    """The message of an error of this kind; "" where there was none, or of another kind."""
    return error_text(call) if raises(kind, call) else ""


# --- char-tokenizer --------------------------------------------------------------------------------------------------


@exercise("char-tokenizer")
@given(lambda rng: {"texts": [some_text(rng, LETTERS[:9] + "AB ,\n" + STRANGE, n) for n in (1, 6, 20, 40)]})
@wants(lambda texts: [[int(i) for i in np.unique(list(text), return_inverse=True)[1]] for text in texts])
def test_characters_are_numbered_in_sorted_order(tt, texts):
    """The id of a character is its place among the sorted characters of the training text.

    train: self.use(sorted(set(text))). encode: self.ids[character] for each character of the text.
    """
    return [tt.CharTokenizer().train(text).encode(text) for text in texts]


@exercise("char-tokenizer")
@given(lambda rng: {"text": some_text(rng, LETTERS + STRANGE, 40), "order": rng.integers(0, 100, size=12).tolist()})
@wants(lambda text, order: ["".join(sorted(set(text))[i % len(set(text))] for i in order), text, "", len(set(text))])
def test_characters_come_back(tt, text, order):
    """decode gives the text with these ids, in any order; vocab_size is the number of different characters.

    "".join of what look_up finds in self.characters.
    """
    tokenizer = tt.CharTokenizer().train(text)
    ids = [i % tokenizer.vocab_size for i in order]
    back = tokenizer.decode(tokenizer.encode(text))
    return tokenizer.decode(ids), back, tokenizer.decode(tokenizer.encode("")), tokenizer.vocab_size


@exercise("char-tokenizer")
@given(lambda rng: {"text": some_text(rng, LETTERS, 30), "strangers": rng.permutation(list(STRANGE))[:8].tolist()})
@judged(lambda answer, text, strangers: names_it(answer, strangers))
def test_an_unknown_character_is_named(tt, text, strangers):
    """A character that was not in the training text raises ValueError, and the message names it.

    Ask `if character not in self.ids` and put f"{character!r}" into the message. (A missing key alone raises KeyError.)
    """
    tokenizer = tt.CharTokenizer().train(text)
    return [message_of(ValueError, lambda s=s: tokenizer.encode(text[:5] + s + text[5:])) for s in strangers]


@exercise("char-tokenizer")
@given(lambda rng: {"text": some_text(rng, LETTERS, 12), "ids": rng.integers(-30, 40, size=12).tolist() + [-1]})
@wants(lambda text, ids: [told(f"decode([0, {i}])", not 0 <= i < len(set(text)), "IndexError") for i in ids])
def test_an_id_without_a_character_is_refused(tt, text, ids):
    """decode raises IndexError for an id outside [0, vocab_size), also for a negative one.

    A list takes -1 for its last element. look_up has to ask: 0 <= number < len(tokens).
    """
    tokenizer = tt.CharTokenizer().train(text)
    return [
        told(f"decode([0, {i}])", raises(IndexError, lambda i=i: tokenizer.decode([0, i])), "IndexError") for i in ids
    ]


@exercise("char-tokenizer")
@given(
    lambda rng: {
        "tokens": [some_text(rng, LETTERS, 3) for _ in range(rng.integers(2, 6))],
        "ids": rng.permutation(np.arange(-3, 7)).tolist(),
    }
)
@wants(lambda tokens, ids: [[tokens[i], tokens[i], tokens[0]] if 0 <= i < len(tokens) else f"no {i}" for i in ids])
def test_look_up(tt, tokens, ids):
    """look_up(tokens, ids) is the list of tokens[i] for every i of ids; an i below 0, or len(tokens) or more, raises IndexError that names it.

    Go over the ids first, and raise IndexError(f"there is no token {number}") where one is outside.
    """
    found = []
    for i in ids:
        message = message_of(IndexError, lambda i=i: tt.look_up(tokens, [0, i]))
        found.append((f"no {i}" if str(i) in message else message) if message else tt.look_up(tokens, [i, i, 0]))
    return found


@exercise("char-tokenizer")
@stage("compatibility")
@given(lambda rng: {"first": some_text(rng, LETTERS[:13], 20), "second": some_text(rng, LETTERS[13:], 20)})
@wants(lambda first, second: [True, len(set(second)), [0] * len(set(second)), first[0] in second])
def test_training_again_begins_afresh(tt, first, second):
    """train returns the tokenizer itself; trained again, it has forgotten the first text, and other tokenizers are not touched.

    return self.use(…) with the characters of this text alone. Keep nothing on the class.
    """
    tokenizer, other = tt.CharTokenizer(), tt.CharTokenizer().train(first)
    same = tokenizer.train(first) is tokenizer and tokenizer.train(second) is tokenizer
    ids = tokenizer.encode("".join(sorted(set(second))))
    knows = not raises(ValueError, lambda: tokenizer.encode(first[0])) or other.decode([0]) != min(first)
    return same, tokenizer.vocab_size, [i - place for place, i in enumerate(ids)], knows


# --- count-pairs -----------------------------------------------------------------------------------------------------


def id_lists(rng, most=8):
    """Lists of small ids, of several lengths, the shortest empty."""
    return [rng.integers(0, rng.integers(1, most), size=n).tolist() for n in (0, 1, 2, *rng.integers(3, 40, size=5))]


@exercise("count-pairs")
@given(lambda rng: {"lists": id_lists(rng)})
@wants(lambda lists: [{f"{ord(p[0])} {ord(p[1])}": n for p, n in counted(ids).items()} for ids in lists])
def test_every_place_is_counted(tt, lists):
    """count_pairs counts every place where a pair begins, also where two places overlap.

    Counter(zip(ids, ids[1:])): every id with the one after it.
    """
    return [said(tt.count_pairs(ids)) for ids in lists]


def tied(rng):
    """Counts with several largest ones, in any order; many pairs share a number."""
    pairs = {tuple(pair) for pair in rng.choice(rng.integers(0, 300, size=4), size=(14, 2)).tolist()}
    return [[left, right, int(rng.integers(0, 3))] for left, right in rng.permutation(sorted(pairs)).tolist()]


def tied_in_first(rng):
    """Three pairs that come equally often and begin alike; the smallest does not stand first."""
    first, (small, middle, large) = int(rng.integers(0, 300)), sorted(rng.choice(300, 3, replace=False).tolist())
    return [[first, right, 2] for right in shuffled(rng, [middle, large])] + [[first, small, 2]]


def chosen(counts):
    most = max((n for *_, n in counts), default=0)
    return min(([left, right] for left, right, n in counts if n == most), default=None) if most > 1 else None


@exercise("count-pairs")
@given(lambda rng: {"tables": shuffled(rng, [tied(rng) for _ in range(20)] + [tied_in_first(rng) for _ in range(4)])})
@wants(lambda tables: [chosen(counts) for counts in tables])
def test_the_most_frequent_pair_wins(tt, tables):
    """best_pair gives the pair with the largest count, and of several the smallest pair.

    Find the largest count first; then min(…) of the pairs that have it.
    """
    best = [tt.best_pair({(left, right): n for left, right, n in counts}) for counts in tables]
    return [pair and [int(i) for i in pair] for pair in best]


@exercise("count-pairs")
@given(
    lambda rng: {"tables": [[[*rng.integers(0, 4, size=2).tolist(), n]] for n in rng.permutation(9).tolist()] + [[]]}
)
@wants(lambda tables: [chosen(counts) for counts in tables])
def test_a_pair_seen_once_is_no_pattern(tt, tables):
    """Where no pair occurs at least twice, best_pair gives None, also where there is no pair at all.

    if most < 2: return None. And max of nothing is an error without default=0.
    """
    best = [tt.best_pair({(left, right): n for left, right, n in counts}) for counts in tables]
    return [pair and [int(i) for i in pair] for pair in best]


# --- merge-pair ------------------------------------------------------------------------------------------------------


def merging(rng):
    """Lists of ids with a pair for each, now and then of two equal ids."""
    lists = id_lists(rng, 4)
    pairs = rng.integers(0, 3, size=(len(lists), 2)).tolist()
    runs = [(rng.random(size=40) < 0.5).astype(int).tolist() for _ in range(3)]
    return {"lists": lists + runs, "pairs": [*pairs, [0, 0], [1, 1], rng.permutation(2).tolist()]}


@exercise("merge-pair")
@given(merging)
@wants(lambda lists, pairs: [merged(ids, pair, 900) for ids, pair in zip(lists, pairs)])
def test_merge_replaces_every_occurrence(tt, lists, pairs):
    """Every occurrence of the pair becomes the new id, and everything else stays.

    Where the pair stands at i, append new_id and go on by two; else append ids[i] and go on by one.
    """
    return [list(tt.merge_pair(list(ids), tuple(pair), 900)) for ids, pair in zip(lists, pairs, strict=True)]


@exercise("merge-pair")
@given(lambda rng: {"runs": rng.integers(0, 10, size=8).tolist(), "rest": rng.integers(0, 5, size=2).tolist()})
@wants(lambda runs, rest: [[*rest, *[900] * (n // 2), *[7] * (n % 2), *rest] for n in runs])
def test_overlapping_pairs_are_merged_from_left_to_right(tt, runs, rest):
    """In a run of equal ids, the first two are merged, then the next two; an odd one is left over at the end.

    After a merge, i grows by two.
    """
    return [list(tt.merge_pair([*rest, *[7] * n, *rest], (7, 7), 900)) for n in runs]


@exercise("merge-pair")
@stage("compatibility")
@given(merging)
@wants(lambda lists, pairs: lists)
def test_merge_leaves_its_list_alone(tt, lists, pairs):
    """merge_pair makes a new list; the one it was given stays as it is.

    Append to a list of your own, and never assign into ids.
    """
    own = [list(ids) for ids in lists]
    for ids, pair in zip(own, pairs, strict=True):
        tt.merge_pair(ids, tuple(pair), 900)
    return own


# --- bpe-naive -------------------------------------------------------------------------------------------------------


@exercise("bpe-naive")
@given(lambda rng: {"texts": [repetitive(rng) for _ in range(8)]})
@wants(lambda texts: [learned(list(text.encode()), 6) for text in texts])
def test_the_plain_way_learns_the_right_merges(tt, texts):
    """Count, choose, merge: the pairs come in the order in which they were merged.

    The new id of a merge is 256 + len(merges), before the pair is appended. Count in the merged list, not in the first one.
    """
    return [plain(tt.learn_merges_naive(list(text.encode()), 6)) for text in texts]


@exercise("bpe-naive")
@given(lambda rng: {"text": repetitive(rng), "counts": rng.permutation([0, 1, 2, 3, 4, 50]).tolist()})
@wants(lambda text, counts: [learned(list(text.encode()), count) for count in counts])
def test_the_plain_way_ends_in_time(tt, text, counts):
    """There are never more than `count` merges, and fewer if no pair occurs twice.

    while len(merges) < count; and break when best_pair returns None.
    """
    return [plain(tt.learn_merges_naive(list(text.encode()), count)) for count in counts]


@exercise("bpe-naive")
@stage("compatibility")
@given(lambda rng: {"lists": [list(repetitive(rng).encode()) for _ in range(4)]})
@wants(lambda lists: lists)
def test_the_plain_way_leaves_its_list_alone(tt, lists):
    """The list of bytes is the same afterwards.

    ids = merge_pair(…) gives the name to a new list; it does not change the old one.
    """
    own = [list(ids) for ids in lists]
    for ids in own:
        tt.learn_merges_naive(ids, 5)
    return own


# --- find-pair -------------------------------------------------------------------------------------------------------


def places_of(ids, pair):
    """Where str.find meets the pair, one after the other."""
    text, pair, found, i = "".join(map(chr, ids)), "".join(map(chr, pair)), [], 0
    while (i := text.find(pair, i)) >= 0:
        found.append(i)
        i += 2
    return np.array(found, dtype=np.int64)


@exercise("find-pair")
@given(merging)
@wants(lambda lists, pairs: [places_of(ids, pair) for ids, pair in zip(lists, pairs)])
def test_find_pair_tells_where(tt, lists, pairs):
    """find_pair gives the places where the pair begins, an integer array; none overlap, the first of them counts.

    np.flatnonzero((ids[:-1] == left) & (ids[1:] == right)). Where left equals right, drop a place if the place before it was kept.
    """
    return [tt.find_pair(np.array(ids, dtype=np.int64), tuple(p)) for ids, p in zip(lists, pairs, strict=True)]


@exercise("find-pair")
@given(lambda rng: {"runs": rng.permutation(10).tolist(), "before": int(rng.integers(0, 5))})
@wants(lambda runs, before: [np.arange(before, before + n - 1, 2, dtype=np.int64) for n in runs])
def test_find_pair_in_a_run(tt, runs, before):
    """In a run of n equal ids, a pair of them is found at its places 0, 2, 4, …

    Go over the places and keep one only if it is larger than the last kept one plus 1.
    """
    return [tt.find_pair(np.array([1] * before + [7] * n + [2], dtype=np.int64), (7, 7)) for n in runs]


@exercise("find-pair")
@given(merging)
@wants(lambda lists, pairs: [np.array(merged(ids, pair, 900), dtype=np.int64) for ids, pair in zip(lists, pairs)])
def test_replace_pair_shortens_the_array(tt, lists, pairs):
    """replace_pair puts the new id at every place, and removes what stood right after.

    keep = an array of True, False at places + 1; the new id into a copy; return copy[keep].
    """
    arrays = [np.array(ids, dtype=np.int64) for ids in lists]
    places = [places_of(ids, pair) for ids, pair in zip(lists, pairs, strict=True)]
    return [tt.replace_pair(ids, where, 900) for ids, where in zip(arrays, places, strict=True)]


@exercise("find-pair")
@stage("compatibility")
@given(merging)
@wants(lambda lists, pairs: [np.array(ids, dtype=np.int64) for ids in lists])
def test_find_and_replace_leave_the_array_alone(tt, lists, pairs):
    """Neither changes the array it was given.

    Assign into ids.copy().
    """
    arrays = [np.array(ids, dtype=np.int64) for ids in lists]
    for ids, pair in zip(arrays, pairs, strict=True):
        tt.replace_pair(ids, tt.find_pair(ids, tuple(pair)), 900)
    return arrays


def searched(ids, times=10):
    for _ in range(times):
        found = np.flatnonzero((ids[:-1] == 3) & (ids[1:] == 5))
        shorter = np.delete(ids, found + 1)
    return shorter


@exercise("find-pair")
@stage("performance")
@given(lambda rng: {"ids": rng.integers(0, 40, size=int(rng.integers(90_000, 100_000)))})
@wants(lambda ids: [places_of(ids.tolist(), (3, 5))[:40], len(merged(ids.tolist(), (3, 5), 900))])
@at_most(6, times_of=searched)
def test_find_and_replace_ask_all_places_at_once(tt, ids):
    """In an array of 100,000 ids, finding and replacing takes about as long as NumPy's own comparison.

    No Python loop over the ids: compare two shifted slices. (A loop over the few places found is fine.)
    """
    for _ in range(10):
        places = tt.find_pair(ids, (3, 5))
        shorter = tt.replace_pair(ids, places, 900)
    return places[:40], len(shorter)


# --- bpe-merges ------------------------------------------------------------------------------------------------------


def neighbourhoods(rng):
    lists = [rng.integers(0, 4, size=n).tolist() for n in (2, 3, *rng.integers(4, 30, size=4))]
    places = [sorted({int(i) for i in rng.integers(0, len(ids) - 1, size=rng.integers(0, 6))}) for ids in lists]
    offsets = [sorted({int(i) for i in rng.integers(-2, 3, size=3)}) for _ in lists]
    return {"lists": lists, "places": places, "offsets": offsets}


def near(ids, places, offsets):
    reached = {place + offset for place in places for offset in offsets}
    return Counter(f"{ids[i]} {ids[i + 1]}" for i in range(len(ids) - 1) if i in reached)


@exercise("bpe-merges")
@given(neighbourhoods)
@wants(lambda lists, places, offsets: [dict(near(*three)) for three in zip(lists, places, offsets)])
def test_pairs_around_counts_each_place_once(tt, lists, places, offsets):
    """pairs_around counts the pairs at place + offset, each place once, and nothing outside the text.

    near = np.unique(places[:, None] + offsets); keep those at least 0 and below len(ids) - 1.
    """
    answers = []
    for ids, where, by in zip(lists, places, offsets, strict=True):
        ids, where = np.array(ids, dtype=np.int64), np.array(where, dtype=np.int64)
        answers.append(said(tt.pairs_around(ids, where, by)))
    return answers


@exercise("bpe-merges")
@given(lambda rng: {"texts": [repetitive(rng) for _ in range(12)]})
@wants(lambda texts: [learned(list(text.encode()), 40) for text in texts])
def test_the_fast_way_learns_the_same_merges(tt, texts):
    """learn_merges finds exactly the merges that counting everything anew would find.

    Subtract the pairs at places + [-1, 0, 1] in the old ids, add those at places - [0, 1, 2, …] + [-1, 0] in the new ids.
    """
    return [plain(tt.learn_merges(list(text.encode()), 40)) for text in texts]


@exercise("bpe-merges")
@given(lambda rng: {"text": repetitive(rng), "counts": rng.permutation([0, 1, 2, 3, 4, 50]).tolist()})
@wants(lambda text, counts: [learned(list(text.encode()), count) for count in counts])
def test_the_fast_way_ends_in_time(tt, text, counts):
    """There are never more than `count` merges, and fewer if no pair occurs twice.

    while len(merges) < count; and break when best_pair returns None.
    """
    return [plain(tt.learn_merges(list(text.encode()), count)) for count in counts]


@exercise("bpe-merges")
@given(lambda rng: {"texts": ["", *some_text(rng, LETTERS, 2), repetitive(rng)[:12], any_text(rng), words(rng, 1500)]})
@wants(lambda texts: [learned(list(text.encode()), 30) for text in texts])
def test_the_fast_way_takes_any_text(tt, texts):
    """An empty text and a single byte have no merges; bytes above 127 are bytes like others; a longer text works as well.

    An array of no ids has to be an integer array, too: np.array(ids, dtype=np.int64).
    """
    return [plain(tt.learn_merges(list(text.encode()), 30)) for text in texts]


@exercise("bpe-merges")
@stage("compatibility")
@given(lambda rng: {"texts": [repetitive(rng) * 2 for _ in range(5)]})
@wants(lambda texts: [[f"tuple of int: {pair}" for pair in learned(list(text.encode()), 9)] for text in texts])
def test_the_merges_are_tuples_of_python_ints(tt, texts):
    """A merge is a tuple of two Python ints, not of NumPy's, which no JSON file can hold.

    Count the pairs of ids.tolist(), and in pairs_around read the pairs with .tolist() as well.
    """
    answers = []
    for text in texts:
        merges = tt.learn_merges(list(text.encode()), 9)
        kinds = [(type(pair).__name__, *sorted({type(i).__name__ for i in pair})) for pair in merges]
        answers.append([f"{' of '.join(kind)}: {pair}" for kind, pair in zip(kinds, plain(merges), strict=True)])
    return answers


def recounted(text, times=8):
    ids = list(text.encode())
    for _ in range(times):
        counts = Counter(zip(ids, ids[1:], strict=False))
    return len(counts)


@exercise("bpe-merges")
@stage("performance")
@given(lambda rng: {"text": words(rng, int(rng.integers(28_000, 32_000)))})
@wants(lambda text: learned(list(text.encode()), 100)[::9])
@at_most(7, times_of=recounted)
def test_the_fast_way_counts_only_once(tt, text):
    """100 merges of a text of 30,000 bytes take no longer than counting it a few dozen times.

    Change the counts near the merged places; do not call count_pairs in the loop.
    """
    return plain(tt.learn_merges(list(text.encode()), 100))[::9]


# --- bpe-tokenizer ---------------------------------------------------------------------------------------------------


@exercise("bpe-tokenizer")
@given(lambda rng: {"texts": [repetitive(rng) for _ in range(6)], "others": [repetitive(rng) for _ in range(6)]})
@wants(
    lambda texts, others: [
        [encoded(t, learned(list(t.encode()), 12)), encoded(o, learned(list(t.encode()), 12))]
        for t, o in zip(texts, others)
    ]
)
def test_encode_applies_the_merges_in_order(tt, texts, others):
    """encode begins with the UTF-8 bytes and applies every merge, everywhere, in the order in which they were learned.

    Merge number n makes token 256 + n: find_pair and replace_pair, for each pair of self.merges.
    """
    answers = []
    for text, other in zip(texts, others, strict=True):
        tokenizer = tt.BPETokenizer(268).train(text)
        answers.append([tokenizer.encode(text), tokenizer.encode(other)])
    return answers


@exercise("bpe-tokenizer")
@given(lambda rng: {"train": repetitive(rng) + any_text(rng) * 2, "texts": ["", *(any_text(rng) for _ in range(11))]})
@wants(lambda train, texts: [*texts, train, *texts])
def test_every_text_comes_back(tt, train, texts):
    """decode(encode(text)) is the text, whatever was learned and whatever the language, also before any training.

    Join the bytes of all tokens first, and decode them together.
    """
    untrained, tokenizer = tt.BPETokenizer(300), tt.BPETokenizer(300).train(train)
    trained = [tokenizer.decode(tokenizer.encode(text)) for text in [*texts, train]]
    return trained + [untrained.decode(untrained.encode(text)) for text in texts]


@exercise("bpe-tokenizer")
@given(lambda rng: {"text": repetitive(rng) * 2, "ids": rng.integers(97, 270, size=(8, 5)).tolist()})
@wants(
    lambda text, ids: [
        b"".join(expanded(i, known) for i in row if i < 256 + len(known)).decode("utf-8", errors="replace")
        for known in [learned(list(text.encode()), 10)]
        for row in ids
    ]
)
def test_decode_never_stops_at_bytes_that_are_no_text(tt, text, ids):
    """Any ids can be decoded, in any order; bytes that are no UTF-8 become the character \ufffd.

    bytes.decode("utf-8", errors="replace"). A token's bytes are those of its left half, then those of its right half.
    """
    tokenizer = tt.BPETokenizer(266).train(text)
    return [tokenizer.decode([i for i in row if i < tokenizer.vocab_size]) for row in ids]


@exercise("bpe-tokenizer")
@given(lambda rng: {"sizes": [*rng.integers(-5, 600, size=10).tolist(), *rng.permutation([255, 256, 257, 0]).tolist()]})
@wants(lambda sizes: [told(f"BPETokenizer({size})", size < 256) for size in sizes])
def test_a_vocabulary_holds_all_bytes(tt, sizes):
    """A vocab_size below 256 raises ValueError, as soon as the tokenizer is made.

    if vocab_size < 256: raise ValueError(…)
    """
    return [told(f"BPETokenizer({size})", raises(ValueError, lambda n=size: tt.BPETokenizer(n))) for size in sizes]


def within(answer, text, sizes):
    merges = learned(list(text.encode()), max(sizes))
    for (vocab_size, highest, length), size in zip(answer, sizes, strict=True):
        there_are = min(size, 256 + len(merges))
        if not there_are <= vocab_size <= size:
            return f"with BPETokenizer({size}) there should be {there_are} tokens; vocab_size is {vocab_size}"
        wanted = encoded(text, merges[: size - 256])
        if highest != max(wanted) or length != len(wanted):
            return f"with BPETokenizer({size}) the text has {len(wanted)} ids up to {max(wanted)}, not {length} up to {highest}"
    return None


@exercise("bpe-tokenizer")
@given(lambda rng: {"text": repetitive(rng), "sizes": rng.permutation([256, 257, 258, 260, 265, 5000]).tolist()})
@judged(within)
def test_the_vocabulary_is_never_exceeded(tt, text, sizes):
    """There are at most vocab_size tokens, the bytes included; fewer, if no pair is left that occurs twice.

    The 256 bytes count, too: learn_merges(…, self.limit - 256).
    """
    answers = []
    for size in sizes:
        tokenizer = tt.BPETokenizer(size).train(text)
        ids = tokenizer.encode(text)
        answers.append([tokenizer.vocab_size, max(ids), len(ids)])
    return answers


@exercise("bpe-tokenizer")
@given(
    lambda rng: {"ids": [*rng.integers(-400, 700, size=12).tolist(), *rng.permutation([-1, 255, 256, 257]).tolist()]}
)
@wants(lambda ids: [told(f"decode([97, {i}])", not 0 <= i < 257, "IndexError") for i in ids])
def test_an_id_without_a_token_is_refused(tt, ids):
    """decode raises IndexError for an id that has no token, also for a negative one.

    look_up asks for you: look_up(self.tokens, ids).
    """
    tokenizer = tt.BPETokenizer(257).train("abababab")
    return [
        told(f"decode([97, {i}])", raises(IndexError, lambda i=i: tokenizer.decode([97, i])), "IndexError") for i in ids
    ]


@exercise("bpe-tokenizer")
@stage("compatibility")
@given(lambda rng: {"ids": [*rng.integers(-300, 600, size=10).tolist(), *rng.permutation([-1, 256, 257]).tolist()]})
@wants(lambda ids: [told(f"use([(97, 98), (256, {i})])", not 0 <= i <= 256, "IndexError") for i in ids])
def test_a_merge_of_what_is_not_there_is_refused(tt, ids):
    """use raises IndexError for a merge of a token that is not there yet, also for a negative number.

    A list takes -1 for its last item; look_up(self.tokens, pair) does not.
    """
    answers = []
    for i in ids:
        refused = raises(IndexError, lambda i=i: tt.BPETokenizer(300).use([(97, 98), (256, i)]))
        answers.append(told(f"use([(97, 98), (256, {i})])", refused, "IndexError"))
    return answers


@exercise("bpe-tokenizer")
@stage("compatibility")
@given(lambda rng: {"first": repetitive(rng) + "ee" * 9, "second": repetitive(rng)})
@wants(
    lambda first, second: [
        True,
        encoded(first + second, learned(list(second.encode()), 8)),
        encoded(first + second, learned(list(first.encode()), 8)),
    ]
)
def test_bpe_training_again_begins_afresh(tt, first, second):
    """train returns the tokenizer itself; trained again, it has forgotten the first text, and other tokenizers are not touched.

    return self.use(…) with the merges of this text alone.
    """
    tokenizer, other = tt.BPETokenizer(264), tt.BPETokenizer(264).train(first)
    same = tokenizer.train(first[:1]) is tokenizer and tokenizer.train(first).train(second) is tokenizer
    return same, tokenizer.encode(first + second), other.encode(first + second)


@exercise("bpe-tokenizer")
@stage("compatibility")
@given(lambda rng: {"halves": [*rng.integers(0xD700, 0xE100, size=10).tolist(), 0xD800, 0xDFFF]})
@wants(
    lambda halves: [
        [told(f"{what} U+{point:X}", 0xD800 <= point < 0xE000) for what in ("encode", "train")] for point in halves
    ]
)
def test_half_a_character_is_refused(tt, halves):
    """Half of a surrogate pair, which UTF-8 can't write, raises ValueError when it is encoded or learned from.

    Take the bytes from utf8(text), which is given and says so; do not ignore or replace what can't be encoded.
    """
    answers = []
    for point in halves:
        tokenizer, text = tt.BPETokenizer(300), f"ab{chr(point)}ab"
        refused = [raises(ValueError, lambda do=do, text=text: do(text)) for do in (tokenizer.encode, tokenizer.train)]
        answers.append([told(f"encode U+{point:X}", refused[0]), told(f"train U+{point:X}", refused[1])])
    return answers


@exercise("bpe-tokenizer")
@stage("compatibility")
@given(lambda rng: {"texts": [repetitive(rng) for _ in range(8)]})
@wants(lambda texts: [["list", "int", encoded(text, learned(list(text.encode()), 14))] for text in texts])
def test_ids_are_python_ints_in_a_list(tt, texts):
    """encode returns a list of Python ints, not an array and not NumPy's integers.

    array.tolist() makes both right.
    """
    answers = []
    for text in texts:
        ids = tt.BPETokenizer(270).train(text).encode(text)
        answers.append([type(ids).__name__, type(ids[0]).__name__, [int(i) for i in ids]])
    return answers


@exercise("bpe-tokenizer")
@stage("performance")
@given(lambda rng: {"text": words(rng, int(rng.integers(28_000, 32_000))), "lesson": words(rng, 3_000)})
@wants(lambda text, lesson: encoded(text, learned(list(lesson.encode()), 100))[::500])
@at_most(10, times_of=lambda text, lesson: recounted(text))
def test_encode_is_fast_enough_for_a_book(tt, text, lesson):
    """Encoding 30,000 bytes with 100 merges takes no longer than counting their pairs a few dozen times.

    Make one array of the bytes, and let find_pair and replace_pair do each merge everywhere at once.
    """
    return tt.BPETokenizer(356).train(lesson).encode(text)[::500]


# --- tokenizer-files -------------------------------------------------------------------------------------------------


def both_kinds(tt, text):
    return tt.CharTokenizer().train(text), tt.BPETokenizer(280).train(text)


@exercise("tokenizer-files")
@given(
    lambda rng: {"text": repetitive(rng) + some_text(rng, STRANGE + '"\\\n\x00', 12), "cut": int(rng.integers(3, 9))}
)
@wants(
    lambda text, cut: [
        [int(i) for i in np.unique(list(text), return_inverse=True)[1]],
        text,
        encoded(text[cut:], learned(list(text.encode()), 24)),
        text,
    ]
)
def test_a_saved_tokenizer_comes_back(tt, text, cut):
    """A tokenizer that was saved and loaded encodes and decodes as before.

    Write state() with the class's name as JSON; when loading, return kind.from_state(content).
    """
    with tempfile.TemporaryDirectory() as folder:
        characters, pairs = both_kinds(tt, text)
        characters.save(Path(folder) / "characters")
        pairs.save(f"{folder}/pairs.json")
        characters, pairs = (
            tt.CharTokenizer.load(f"{folder}/characters"),
            tt.BPETokenizer.load(Path(folder) / "pairs.json"),
        )
    return (
        characters.encode(text),
        characters.decode(characters.encode(text)),
        pairs.encode(text[cut:]),
        pairs.decode(pairs.encode(text)),
    )


@exercise("tokenizer-files")
@given(lambda rng: {"text": repetitive(rng), "second": repetitive(rng) + "qq" * int(rng.integers(2, 9)), "size": 262})
@wants(lambda text, second, size: encoded(second, learned(list(second.encode()), size - 256)))
def test_a_loaded_tokenizer_can_learn_again(tt, text, second, size):
    """A loaded BPETokenizer still knows how many tokens it may have.

    Save all of state(); vocab_size belongs to it.
    """
    with tempfile.TemporaryDirectory() as folder:
        tt.BPETokenizer(size).train(text[:9]).save(f"{folder}/tokenizer.json")
        return tt.BPETokenizer.load(f"{folder}/tokenizer.json").train(second).encode(second)


@exercise("tokenizer-files")
@given(lambda rng: {"text": some_text(rng, LETTERS + STRANGE, 30), "kinds": shuffled(rng, [0, 1] * 4)})
@wants(lambda text, kinds: [[True, ["CharTokenizer", "BPETokenizer"][kind]] for kind in kinds])
def test_the_file_is_json_that_names_its_class(tt, text, kinds):
    """The file holds a JSON object whose entry "tokenizer" is the name of the class.

    json.dumps({"tokenizer": type(tokenizer).__name__, **tokenizer.state()}).
    """
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for kind in kinds:
            both_kinds(tt, text)[kind].save(path)
            content = read_json(path)
            answers.append([isinstance(content, dict), content.get("tokenizer") if isinstance(content, dict) else None])
    return answers


def read_json(path):
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


SPOILS = {
    "as it was saved": lambda content: content,
    "empty": lambda content: "",
    "half of it": lambda content: content[: len(content) // 2],
    "a list": lambda content: "[1, 2, 3]",
    "a number": lambda content: "5",
    "another object": lambda content: '{"model": "gpt2"}',
    "another class": lambda content: (
        content.replace("CharTok", "@").replace("BPETok", "CharTok").replace("@", "BPETok")
    ),
    "only its name": lambda content: json.dumps({"tokenizer": json.loads(content)["tokenizer"]}),
    "no text": lambda content: b"\x80\x04\x95\xff\xfe",
}


@exercise("tokenizer-files")
@given(
    lambda rng: {
        "text": repetitive(rng),
        "spoils": [*rng.choice(list(SPOILS), 4).tolist(), *rng.permutation(list(SPOILS)).tolist()],
    }
)
@wants(
    lambda text, spoils: [
        [told_spoil(kind, spoil, spoil != "as it was saved") for kind in ("CharTokenizer", "BPETokenizer")]
        for spoil in spoils
    ]
)
def test_a_foreign_file_is_refused(tt, text, spoils):
    """Whatever is not the JSON file of a tokenizer of this class raises ValueError that names the file.

    Put everything into one try, catch ValueError, TypeError, KeyError and IndexError, and raise ValueError with the path.
    Compare the class's name, too.
    """
    return [[loaded(tt, tokenizer, spoil) for tokenizer in both_kinds(tt, text)] for spoil in spoils]


def loaded(tt, tokenizer, spoil):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shelf-42.json"
        tokenizer.save(path)
        spoiled = SPOILS[spoil](path.read_text(encoding="utf-8"))
        path.write_bytes(spoiled if isinstance(spoiled, bytes) else spoiled.encode())
        message = message_of(ValueError, lambda: type(tokenizer).load(path))
        return told_spoil(type(tokenizer).__name__, spoil, message and "shelf-42" in message)


def told_spoil(kind, spoil, refused):
    return told(f"a {kind}'s file, {spoil}", refused, "ValueError with the path")


@exercise("tokenizer-files")
@given(
    lambda rng: {
        "merges": [
            *[[[97, 98], [256, int(i)]] for i in rng.integers(0, 258, size=5)],
            *[[[97, 98], [256, int(i)]] for i in rng.integers(258, 400, size=4)],
            *rng.permutation([[[97, 98], [-1, 99]], [[256, 97], [97, 98]], [[97, 98], [98, 256]]]).tolist(),
        ]
    }
)
@wants(
    lambda merges: [
        told(f"merges {known}", any(not 0 <= i < 256 + n for n, pair in enumerate(known) for i in pair))
        for known in merges
    ]
)
def test_a_damaged_file_is_refused(tt, merges):
    """A file with merges of tokens that do not exist yet raises ValueError when it is loaded.

    use raises IndexError there, and from_state hands it on; catch it with the others.
    """
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tt.BPETokenizer(258).train("abcabcabc").save(path)
        good = json.loads(path.read_text(encoding="utf-8"))
        for known in merges:
            path.write_text(json.dumps(good | {"merges": known}), encoding="utf-8")
            answers.append(told(f"merges {known}", raises(ValueError, lambda: tt.BPETokenizer.load(path))))
    return answers


@exercise("tokenizer-files")
@stage("compatibility")
@given(lambda rng: {"there": shuffled(rng, [False, True] * 4) + [False], "text": repetitive(rng)})
@wants(
    lambda there, text: [
        told("a file that is there" if is_there else "a file that is not there", not is_there, "FileNotFoundError")
        for is_there in there
    ]
)
def test_a_missing_file_is_told_as_such(tt, there, text):
    """A file that is not there raises FileNotFoundError.

    Let that one pass: catch only the four errors that tell of a wrong content.
    """
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for number, is_there in enumerate(there):
            if is_there:
                tt.CharTokenizer().train(text).save(f"{folder}/{number}")
            refused = raises(FileNotFoundError, lambda n=number: tt.CharTokenizer.load(f"{folder}/{n}"))
            answers.append(
                told("a file that is there" if is_there else "a file that is not there", refused, "FileNotFoundError")
            )
    return answers


# --- pad-sequences ---------------------------------------------------------------------------------------------------


def uneven(rng, count):
    return [rng.integers(1, 900, size=n).tolist() for n in rng.permutation([0, *rng.integers(1, 9, size=count - 1)])]


def padded(sequences, length, value):
    return a_tensor(
        np.array([[s[i] if i < len(s) else value for i in range(length)] for s in sequences], dtype=np.int64).reshape(
            len(sequences), length
        )
    )


@exercise("pad-sequences")
@given(lambda rng: {"batches": [uneven(rng, int(n)) for n in rng.integers(2, 6, size=4)]})
@wants(lambda batches: [padded(batch, max(map(len, batch)), 0) for batch in batches])
def test_short_sequences_are_padded_on_the_right(tt, batches):
    """Without max_len, every row is as long as the longest sequence, with zeros at the end.

    An array full of pad_value first, then each sequence into the beginning of its row.
    """
    return [tt.pad_sequences(batch) for batch in batches]


@exercise("pad-sequences")
@given(
    lambda rng: {
        "batch": uneven(rng, 4),
        "lengths": rng.permutation([0, 1, 2, 5, 12]).tolist(),
        "value": int(rng.integers(1, 99)),
    }
)
@wants(lambda batch, lengths, value: [padded(batch, length, value) for length in lengths])
def test_max_len_is_the_length(tt, batch, lengths, value):
    """With max_len, every row has exactly this length: short ones are padded with pad_value, long ones cut on the right. 0 is a length, too.

    `if max_len is None`, not `if not max_len`; then row[: len(sequence)] = sequence[:max_len].
    """
    return [tt.pad_sequences(batch, max_len=length, pad_value=value) for length in lengths]


@exercise("pad-sequences")
@stage("compatibility")
@given(lambda rng: {"width": int(rng.integers(1, 9)), "rows": int(rng.integers(1, 9))})
@wants(
    lambda width, rows: [
        a_tensor(np.zeros(shape, dtype=np.int64)) for shape in ((0, 0), (0, width), (rows, 0), (rows, width))
    ]
)
def test_padding_nothing(tt, width, rows):
    """No sequences make a tensor of shape (0, 0), or (0, max_len); empty sequences make rows of padding.

    max(…, default=0) knows what to say of no sequences, and np.full makes arrays with 0 rows.
    """
    pad, nothing = tt.pad_sequences, [[]] * rows
    return pad([]), pad([], max_len=width), pad(nothing), pad(nothing, max_len=width)


@exercise("pad-sequences")
@stage("compatibility")
@given(lambda rng: {"batches": [uneven(rng, 3) for _ in range(4)], "big": int(rng.integers(2**40, 2**41))})
@wants(lambda batches, big: [["int64", big, batch] for batch in batches])
def test_padded_ids_are_int64_and_the_lists_stay(tt, batches, big):
    """The tensor is int64, large numbers included, and the lists are not changed.

    np.full(…, dtype=np.int64); never append to a sequence.
    """
    answers = []
    for batch in batches:
        own = [list(sequence) for sequence in batch]
        tensor = tt.pad_sequences(own, max_len=12, pad_value=big)
        answers.append([str(tensor.dtype), tensor.data[0, -1].item(), own])
    return answers


@exercise("pad-sequences")
@stage("compatibility")
@given(lambda rng: {"lengths": [*rng.integers(-9, 9, size=10).tolist(), -1], "batch": uneven(rng, 3)})
@wants(lambda lengths, batch: [told(f"max_len={length}", length < 0) for length in lengths])
def test_a_negative_length_is_refused(tt, lengths, batch):
    """max_len below 0 raises ValueError.

    np.full refuses a negative size by itself, but only after max_len was not used as an index.
    """
    return [told(f"max_len={n}", raises(ValueError, lambda n=n: tt.pad_sequences(batch, max_len=n))) for n in lengths]


# --- the module as a whole -------------------------------------------------------------------------------------------


@stage("import")
@given(lambda rng: {"text": repetitive(rng), "length": int(rng.integers(3, 70))})
@wants(lambda text, length: padded([encoded(text, learned(list(text.encode()), 9))], length, 0))
def test_module_imports_alone(tt, text, length):
    """`import tinytorch.tokenization` works by itself, and beside the modules before it.

    If the import fails, run all cells from the top once and look for the first error.
    """
    tokenization, tensor = (importlib.import_module(f"tinytorch.{name}") for name in ("tokenization", "tensor"))
    batch = tokenization.pad_sequences([tokenization.BPETokenizer(265).train(text).encode(text)], max_len=length)
    return tensor.Tensor(batch)


@stage("import")
@given(
    lambda rng: {"names": rng.permutation(["CharTokenizer", "BPETokenizer", "Tensor", "Parameter", "Module"]).tolist()}
)
@wants(lambda names: [name.endswith("Tokenizer") for name in names])
def test_both_are_tokenizers(tt, names):
    """CharTokenizer and BPETokenizer are Tokenizers, which is where save and load come from.

    If one is not, its class line was changed: class CharTokenizer(Tokenizer).
    """
    return [issubclass(getattr(tt, name), tt.Tokenizer) for name in names]


@stage("integration")
@given(lambda rng: {"text": words(rng, 2_000)})
@wants(lambda text: surprise(encoded(text, learned(list(text.encode()), 40))), rtol=1e-3, atol=1e-4)
def test_a_table_of_neighbours(tt, text):
    """From text to a loss: tokens, a table of which token follows which, and the cross-entropy of its predictions.

    If this fails and the exercises pass, look at the ids: integers from 0 to vocab_size - 1, in an int64 tensor.
    """
    tokenizer = tt.BPETokenizer(296).train(text)
    batch = tt.pad_sequences([tokenizer.encode(text)])
    now, following = batch[0, :-1], batch[0, 1:]
    counts = np.full((tokenizer.vocab_size, tokenizer.vocab_size), 1e-9)
    np.add.at(counts, (now.data, following.data), 1.0)
    logits = tt.Tensor(np.log(counts))[now]  # (T, vocab_size)
    return tt.CrossEntropyLoss()(logits, following).item()


def surprise(ids):
    """The mean of -log p(next token | token), with p counted in the same ids."""
    pairs, first = Counter(zip(ids, ids[1:], strict=False)), Counter(ids[:-1])
    return float(-sum(n * np.log(n / first[now]) for (now, _), n in pairs.items()) / (len(ids) - 1))


def keeps_no_text(answer, text, times):
    if not isinstance(answer, list) or len(answer) != 2 or type(answer[0]) is not int:
        return "the number of bytes kept, and the length of the text, were expected"
    if answer[1] != times * len(encoded(text, learned(list(text.encode()), 20))):
        return f"the text, encoded {times} times, has another number of ids"
    return None if answer[0] < len(text) else f"{answer[0]:,} bytes are still in use; the text has {len(text):,}"


@stage("performance")
@given(lambda rng: {"text": words(rng, 60_000), "times": int(rng.integers(3, 6))})
@judged(keeps_no_text)
def test_a_tokenizer_keeps_no_text(tt, text, times):
    """After training and encoding, a tokenizer holds what it has learned, not the text.

    Keep the merges and the tokens; counts and ids are needed only while learning.
    """
    tokenizer = tt.BPETokenizer(276)
    tt.BPETokenizer(276).train(text[:100]).encode(text[:100])
    tracemalloc.start()
    tokenizer.train(text)
    length = sum(len(tokenizer.encode(text)) for _ in range(times))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept, length

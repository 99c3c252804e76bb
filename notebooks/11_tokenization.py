# %% [markdown]
# # 11 · Tokenization
#
# **Pictures are numbers already. Text is not.**
#
# Everything you have built eats numbers. A picture came as pixels, so nobody had to ask *which* numbers. Now open a novel. It is a chain of letters, blanks
# and commas, and the first cell below shows what your tensor thinks of that.
#
# So text has to be cut into pieces, the **tokens**, and every piece gets a number, its **id**. A network will only ever see the ids. Which pieces? It is a
# choice, and an important one:
#
# | pieces | how many different ones | how long the text gets | what goes wrong |
# |---|---|---|---|
# | words | hundreds of thousands | short | "unfashionableness" was in no book: it has no number at all |
# | characters | about a hundred (of the 150,000 that people write with) | long | "é" was in no book: it has no number; every word is spelled out |
# | bytes | 256, always | longer still | nothing is ever unknown, but a network that must spell is slow |
# | **pieces that were learned** | as many as you like | short | this module |
#
# You build the second row first, then the third, and then the fourth on top of it: *byte-pair encoding*, which begins with bytes and learns from a text which
# of them belong together. It was invented to compress files (Gage, 1994), brought to translation by Sennrich, Haddow and Birch (2016), and since GPT-2 (2019)
# nearly every large language model reads this way.
#
# ```text
#      "It is a truth"  ──── encode ────▶  [73, 116, 256, 262, 97, 305]  ──── a network ────▶  …
#      "It is a truth"  ◀─── decode ─────  [73, 116, 256, 262, 97, 305]
# ```
#
# ```text
#     14 transformers
#     13 attention   12 embeddings
#   ▶ 11 tokenization    you are here: CharTokenizer BPETokenizer pad_sequences
#     10 dataloader   09 spatial
#     08 training
#     07 autograd
#     06 optimizers   05 losses
#     04 layers
#     03 activations
#     02 tensor          Tensor
#     01 setup           measure
# ```
#
# Nine exercises, and for once hardly any mathematics. There is an algorithm instead, which you write twice: plainly, and then many times as fast.

# %%
# %load_ext tinytorch_core

# %%
from tinytorch.tensor import Tensor

try:
    Tensor("It is a truth universally acknowledged")
except TypeError as error:
    print(error)

# %% tags=["given:tokenization-imports"]
#| export
"""Tokenizers: from text to numbers and back, by characters or by pieces that were learned from a text."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from tinytorch.tensor import Tensor

# %% [markdown]
# Something to read. This is the first chapter of *Pride and Prejudice* (Jane Austen, 1813), long in the public domain. Run the cell and go on; nobody asks
# you about the plot.

# %%
chapter = """
It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife.
However little known the feelings or views of such a man may be on his first entering a neighbourhood, this truth is so well fixed in the minds of the
surrounding families, that he is considered the rightful property of some one or other of their daughters.
"My dear Mr. Bennet," said his lady to him one day, "have you heard that Netherfield Park is let at last?"
Mr. Bennet replied that he had not.
"But it is," returned she; "for Mrs. Long has just been here, and she told me all about it."
Mr. Bennet made no answer.
"Do you not want to know who has taken it?" cried his wife impatiently.
"You want to tell me, and I have no objection to hearing it."
This was invitation enough.
"Why, my dear, you must know, Mrs. Long says that Netherfield is taken by a young man of large fortune from the north of England; that he came down on
Monday in a chaise and four to see the place, and was so much delighted with it, that he agreed with Mr. Morris immediately; that he is to take
possession before Michaelmas, and some of his servants are to be in the house by the end of next week."
"What is his name?"
"Bingley."
"Is he married or single?"
"Oh! Single, my dear, to be sure! A single man of large fortune; four or five thousand a year. What a fine thing for our girls!"
"How so? How can it affect them?"
"My dear Mr. Bennet," replied his wife, "how can you be so tiresome! You must know that I am thinking of his marrying one of them."
"Is that his design in settling here?"
"Design! Nonsense, how can you talk so! But it is very likely that he may fall in love with one of them, and therefore you must visit him as soon as
he comes."
"I see no occasion for that. You and the girls may go, or you may send them by themselves, which perhaps will be still better, for as you are as
handsome as any of them, Mr. Bingley may like you the best of the party."
"My dear, you flatter me. I certainly have had my share of beauty, but I do not pretend to be anything extraordinary now. When a woman has five grown-
up daughters, she ought to give over thinking of her own beauty."
"In such cases, a woman has not often much beauty to think of."
"But, my dear, you must indeed go and see Mr. Bingley when he comes into the neighbourhood."
"It is more than I engage for, I assure you."
"But consider your daughters. Only think what an establishment it would be for one of them. Sir William and Lady Lucas are determined to go, merely on
that account, for in general, you know, they visit no newcomers. Indeed you must go, for it will be impossible for us to visit him if you do not."
"You are over-scrupulous, surely. I dare say Mr. Bingley will be very glad to see you; and I will send a few lines by you to assure him of my hearty
consent to his marrying whichever he chooses of the girls; though I must throw in a good word for my little Lizzy."
"I desire you will do no such thing. Lizzy is not a bit better than the others; and I am sure she is not half so handsome as Jane, nor half so good-
humoured as Lydia. But you are always giving her the preference."
"They have none of them much to recommend them," replied he; "they are all silly and ignorant like other girls; but Lizzy has something more of
quickness than her sisters."
"Mr. Bennet, how can you abuse your own children in such a way? You take delight in vexing me. You have no compassion for my poor nerves."
"You mistake me, my dear. I have a high respect for your nerves. They are my old friends. I have heard you mention them with consideration these last
twenty years at least."
"Ah, you do not know what I suffer."
"But I hope you will get over it, and live to see many young men of four thousand a year come into the neighbourhood."
"It will be no use to us, if twenty such should come, since you will not visit them."
"Depend upon it, my dear, that when there are twenty, I will visit them all."
Mr. Bennet was so odd a mixture of quick parts, sarcastic humour, reserve, and caprice, that the experience of three-and-twenty years had been
insufficient to make his wife understand his character. Her mind was less difficult to develop. She was a woman of mean understanding, little
information, and uncertain temper. When she was discontented, she fancied herself nervous. The business of her life was to get her daughters married;
its solace was visiting and news.
""".strip()

print(f"{len(chapter):,} characters, {len(set(chapter))} different ones")

# %% [markdown]
# ## What every tokenizer has
#
# Two kinds are coming. They learn different things, but are used alike, so that one can take the place of the other:
#
# | | |
# |---|---|
# | `train(text)` | learns the pieces from a text; returns the tokenizer itself, so that `CharTokenizer().train(text)` fits in one line |
# | `encode(text)` | a list of ids, Python ints from 0 to `vocab_size - 1` |
# | `decode(ids)` | the text again |
# | `vocab_size` | how many different ids there are |
# | `save(path)`, `load(path)` | into a file and out of it; exercise 8 |

# %% tags=["given:tokenizer-base"]
#| export
class Tokenizer:
    """What the tokenizers share: a file that they can be kept in.

    A subclass has train, encode, decode, vocab_size, and two methods for the file: state() and the class method from_state(state).
    """

    def save(self, path):
        save_tokenizer(self, path)

    @classmethod
    def load(cls, path):
        return load_tokenizer(cls, path)

# %% [markdown]
# ## 1 · One character, one number
#
# The simplest tokenizer: list all the different characters of a text, in the order in which Python sorts them. The id of a character is its place in that list.
#
# **By hand.** The text `"banana"` has the characters `["a", "b", "n"]`, so `vocab_size` is 3, and `encode("banana")` is `[1, 0, 2, 0, 2, 0]`. Back again:
# `decode([2, 0, 2])` is `"nan"`.
#
# Two questions have to be answered, and a tokenizer that answers them *silently* spoils data for weeks before anybody notices:
#
# - `encode("bandana")`: there is no d. We refuse, with a ValueError that names the character.
# - `decode([3])`: there is no token 3. We refuse, with an IndexError.
#   So we do with `decode([-1])`, though Python's lists would count from the end and answer `"n"`.
#
# `sorted(set(text))` does most of the training. To find the id of a character, `"abn".index("n")` would search the list from its start, every time; a
# dictionary knows at once. `use`, which is given, makes one. A missing key raises KeyError, so either ask before (`if character not in self.ids`) or catch
# that. The second function you write, `look_up`, serves both tokenizers.

# %% tags=["exercise:char-tokenizer"]
#| export
def look_up(tokens, ids):
    """The list of the tokens with these ids.

    tokens: a list; ids: integers from 0 to len(tokens) - 1. Any other, also a negative one, raises IndexError that names it.

    look_up(["a", "b", "n"], [2, 0])  →  ["n", "a"]
    """
    ### BEGIN SOLUTION
    for number in ids:
        if not 0 <= number < len(tokens):
            raise IndexError(f"there is no token {number}: with {len(tokens)} tokens they go from 0 to {len(tokens) - 1}")
    return [tokens[number] for number in ids]
    ### END SOLUTION


class CharTokenizer(Tokenizer):
    """Each character is a token. The ids follow the sorted order of the characters.

    CharTokenizer().train("banana").encode("nab")  →  [2, 0, 1]
    """

    def __init__(self):
        self.use([])

    def use(self, characters):
        """Take these characters for the vocabulary: `characters` is the list, `ids` the dict from each to its place in it."""
        self.characters = list(characters)
        self.ids = {character: number for number, character in enumerate(self.characters)}
        return self

    vocab_size = property(lambda self: len(self.characters))

    def train(self, text):
        """Learn the characters of `text`, sorted, each once, and forget all learned before. Returns the tokenizer."""
        ### BEGIN SOLUTION
        return self.use(sorted(set(text)))
        ### END SOLUTION

    def encode(self, text):
        """The ids of the characters of `text`, a list of ints. A character not learned raises ValueError that names it."""
        ### BEGIN SOLUTION
        for character in text:
            if character not in self.ids:
                raise ValueError(f"{character!r} is none of the {self.vocab_size} characters that this tokenizer has learned")
        return [self.ids[character] for character in text]
        ### END SOLUTION

    def decode(self, ids):
        """The text with these ids, as a str. An id outside [0, vocab_size) raises IndexError."""
        ### BEGIN SOLUTION
        return "".join(look_up(self.characters, ids))
        ### END SOLUTION

    # For the file
    def state(self):
        return {"characters": self.characters}

    @classmethod
    def from_state(cls, state):
        characters = state["characters"]
        if any(len(character) != 1 for character in characters) or len(set(characters)) < len(characters):
            raise ValueError("characters are single, and each is there once")
        return cls().use(characters)

# %%
# %check char-tokenizer

# %%
characters = CharTokenizer().train(chapter)
print(characters.vocab_size, "characters:", "".join(characters.characters).replace("\n", "↵"))
characters.encode("Mr. Bennet"), characters.decode(characters.encode("Mr. Bennet"))

# %% [markdown]
# It works, and module 14 will train a GPT on exactly this. Two things are wrong with it. `encode("café")` fails, because Mrs. Bennet never had one. And the
# text stays as long as it was: every "the" is three tokens, read one by one, by a network whose work will grow with the *square* of their number.
#
# ## Bytes
#
# The first fault has a neat remedy that is older than the problem. Files hold bytes, numbers from 0 to 255, and any text can be written to a file. How, is
# agreed upon in **UTF-8** (Thompson and Pike, 1992): the 128 characters of ASCII take one byte each, all others two, three or four.
#
# | text | bytes | |
# |---|---|---|
# | `a` | 97 | one |
# | `é` | 195 169 | two |
# | `数` | 230 149 176 | three |
# | `𝄞` | 240 157 132 158 | four |
#
# So take the *bytes* for tokens! There are 256 of them, whatever anybody writes, in any language and any century to come; nothing is unknown. Python's
# `text.encode("utf-8")` gives the bytes, and `some_bytes.decode("utf-8")` the text. (These two are Python's own methods of str and bytes, and the tokenizer's
# methods are named after them.)
#
# There is one exception, which you meet when a program has cut a text in the wrong place: Python's strings can hold *half a character* (half of a "surrogate
# pair"), and UTF-8 refuses to write it. That is an error in the text, and `utf8` says so.

# %% tags=["given:tokenization-utf8"]
#| export
def utf8(text):
    """The UTF-8 bytes of `text`, as a list of ints from 0 to 255.

    Raises TypeError if it is no str, and UnicodeEncodeError (a ValueError) at half a surrogate pair, which is no character.

    utf8("né")  →  [110, 195, 169]
    """
    if not isinstance(text, str):
        raise TypeError(f"a tokenizer reads text (str), not {type(text).__name__}")
    try:
        return list(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        error.reason = "half of a surrogate pair is no character; was the text cut there, or read in a wrong encoding?"
        raise

# %%
utf8("a"), utf8("é"), utf8("数"), utf8("𝄞")

# %% [markdown]
# ## 2 · Which two belong together?
#
# Now the second fault, the length. The idea of **byte-pair encoding** (BPE): look for the two neighbours that stand side by side most often, and make *one*
# token of them, with a new id. Then look again, in the shortened text. And again. Letters grow into syllables, syllables into words, and nobody had to say
# what a word is.
#
# First the looking. For ids $x_0, x_1, \dots, x_{n-1}$ there are $n - 1$ places where a pair begins; count them all:
#
# $$\mathrm{count}(a, b) = \#\{\,i : x_i = a,\ x_{i+1} = b\,\}$$
#
# **By hand** (this example will stay with us). The text `aaabdaaabac`, from the paper of 1994; let us write letters for the bytes, though they are 97 to 100.
#
# ```text
#      a a a b d a a a b a c                aa  4     (in "aaa" the pair stands at two places, though they overlap)
#      └┬┘ └┬┘                              ab  2     bd, da, ba, ac  1
#       └┬┘
# ```
#
# The best pair is the most frequent one, `aa`. When several are equally frequent, any would do, but it must be *the same one on every machine*, or two people
# with one text have two tokenizers. We take the smallest pair, as Python compares tuples: the first number decides, and if it is equal, the second. And a
# pair that occurs only once is no pattern: then there is no best pair at all.
#
# `collections.Counter` counts what it is given: `Counter("banana")` is `{"a": 3, "n": 2, "b": 1}`. And `zip(ids, ids[1:])` gives every id with the one after
# it. `max(…, default=0)` knows what to say about nothing.

# %% tags=["exercise:count-pairs"]
#| export
def count_pairs(ids):
    """How often each pair of neighbours occurs: a Counter from pairs, tuples (a, b), to numbers.

    ids: a list of ints. Every place counts, also where two places overlap.

    count_pairs([1, 1, 1, 2])  →  Counter({(1, 1): 2, (1, 2): 1})
    """
    ### BEGIN SOLUTION
    return Counter(zip(ids, ids[1:]))  # noqa: RUF007
    ### END SOLUTION


def best_pair(counts):
    """The pair with the largest count; of several, the smallest pair. None if no pair has a count of at least 2.

    counts: a dict from pairs to numbers (a Counter is one), perhaps empty, perhaps with counts of 0.

    best_pair({(5, 1): 3, (2, 9): 3, (1, 1): 2})  →  (2, 9)
    """
    ### BEGIN SOLUTION
    most = max(counts.values(), default=0)
    if most < 2:
        return None
    return min(pair for pair, count in counts.items() if count == most)
    ### END SOLUTION

# %%
# %check count-pairs

# %%
pairs = count_pairs(utf8(chapter))
for pair, count in pairs.most_common(6):
    print(f"{bytes(pair).decode()!r:6} {count:4} times")

# %% [markdown]
# ## 3 · Make one of two
#
# The pair is chosen; now every occurrence becomes one token with a new id. Where occurrences overlap, only one of them can be had, and the rule is: go **from
# left to right**, and take the first that fits.
#
# **By hand.** `aa` becomes Z:
#
# ```text
#      a a a b d a a a b a c      in each "aaa" the first two are taken, and the third is left over
#      ╰┬╯     │ ╰┬╯
#      Z   a b d Z   a b a c      11 tokens have become 9
# ```
#
# `aaaa` becomes `ZZ`, and `aaaaa` becomes `ZZa`.
#
# Walk through the list with an index i. If the pair stands at i and i + 1, append the new id and go on by two; if not, append what stands there and go on by
# one. Mind the end: at the last id there is no neighbour. (A `while` loop; a `for` can't skip.)

# %% tags=["exercise:merge-pair"]
#| export
def merge_pair(ids, pair, new_id):
    """The ids with every occurrence of `pair` replaced by `new_id`, from left to right. A new list; `ids` stays as it is.

    ids: a list of ints; pair: a tuple of two ints; new_id: an int.

    merge_pair([1, 1, 1, 2], (1, 1), 9)  →  [9, 1, 2]
    """
    ### BEGIN SOLUTION
    merged, i = [], 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged
    ### END SOLUTION

# %%
# %check merge-pair

# %% [markdown]
# ## 4 · Learn, plainly
#
# That is all: *count, choose, merge*, and over again. The bytes have the ids 0 to 255, so the first merge makes token 256, the next one 257. The list of
# merged pairs, in this order, is everything that has been learned.
#
# **By hand**, the whole story of `aaabdaaabac`:
#
# | | the text | best pair | becomes |
# |---|---|---|---|
# | 1 | `a a a b d a a a b a c` | aa, 4 times | Z = 256 |
# | 2 | `Z a b d Z a b a c` | `Za` and `ab`, twice each. `ab` is (97, 98), `Za` is (256, 97): **ab is smaller** | Y = 257 |
# | 3 | `Z Y d Z Y a c` | ZY, twice | X = 258 |
# | 4 | `X d X a c` | every pair occurs once: stop | |
#
# So the merges are `[(97, 97), (97, 98), (256, 257)]`. Eleven bytes have become five tokens, and X stands for `aaab`.

# %% tags=["exercise:bpe-naive"]
#| export
def learn_merges_naive(ids, count):
    """Byte-pair encoding, straight from the definition (Gage, 1994): the pairs to merge, in order, a list of tuples.

    ids: a list of bytes, ints from 0 to 255; count: how many merges at most. It may be 0.
    Merge number n (from 0) makes token 256 + n. Ends early when no pair occurs twice.

    learn_merges_naive(utf8("aaabdaaabac"), 10)  →  [(97, 97), (97, 98), (256, 257)]
    """
    ### BEGIN SOLUTION
    merges = []
    while len(merges) < count:
        pair = best_pair(count_pairs(ids))
        if pair is None:
            break
        ids = merge_pair(ids, pair, 256 + len(merges))
        merges.append(pair)
    return merges
    ### END SOLUTION

# %%
# %check bpe-naive

# %% [markdown]
# What does it learn from a chapter? And what does it cost?

# %%
from tinytorch.setup import measure

merges = learn_merges_naive(utf8(chapter), 12)
pieces = [bytes([byte]) for byte in range(256)]
for left, right in merges:
    pieces.append(pieces[left] + pieces[right])
print("the first twelve tokens:", *(repr(piece.decode()) for piece in pieces[256:]))

for share in (4, 2, 1):
    text = chapter[: len(chapter) // share]
    print(f"{len(text):5,} bytes, 40 merges: {measure(learn_merges_naive, utf8(text), 40, repeat=1) * 1e3:6.1f} ms")

# %% [markdown]
# Twice the text takes twice the time, and so do twice the merges. The whole novel is 150 times this chapter, and one wants a thousand merges rather than 40:
# work out how long that takes. And then for GPT-2's tokenizer: 50,000 merges, from gigabytes of text.
#
# Where does the time go? Each merge looks at the **whole** text twice, in a Python loop, though it changes only a few places of it. Two remedies:
#
# - *finding and replacing* is something NumPy can do for the whole array at once: exercise 5;
# - *counting* need not begin from scratch. Where nothing was merged nearby, no pair has changed: exercise 6.
#
# ## 5 · Find and replace, in an array
#
# Now `ids` is an array. A pair (a, b) begins wherever the id is a and the next one is b, and both questions can be asked of all places at once, with two
# slices, one shifted against the other:
#
# ```text
#      ids             1  1  1  2  1  2
#      ids[:-1] == 1   T  T  T  F  T           first is 1
#      ids[1:]  == 2   F  F  T  F  T           next is 2
#      both            F  F  T  F  T           the pair (1, 2) begins at 2 and at 4
# ```
#
# `(first) & (second)` combines the two, and `np.flatnonzero` tells where the answer is True. For (1, 1) it would tell 0 and 1, and these two overlap.
# Overlaps happen only if a = b, and then the rule "from left to right" has to be applied: keep a place unless the place just before it was kept. A short
# Python loop over the *places* will do, they are few.
#
# **Replace.** The new id goes to every place, and what stands right after each of them goes away. **By hand:** places `[2, 4]`, new id 9: `1 1 9 2 9 2`, and
# without numbers 3 and 5: `1 1 9 9`. An array of True and False as index keeps what is True: `ids[keep]`. (`np.delete` also works.) In a copy of the array,
# please, as always.

# %% tags=["exercise:find-pair"]
#| export
def find_pair(ids, pair):
    """Where `pair` is to be merged: an integer array of the places where it begins, ascending, no two of them overlapping.

    ids: an integer array (N,), perhaps empty; pair: a tuple of two ints. Overlaps are settled from left to right.

    find_pair(np.array([1, 1, 1, 2]), (1, 1))  →  array([0])
    """
    ### BEGIN SOLUTION
    left, right = pair
    places = np.flatnonzero((ids[:-1] == left) & (ids[1:] == right))
    if left == right:
        kept = []
        for place in places.tolist():
            if not kept or place > kept[-1] + 1:
                kept.append(place)
        places = np.array(kept, dtype=np.int64)
    return places
    ### END SOLUTION


def replace_pair(ids, places, new_id):
    """The ids with `new_id` at each of the places, and without what stood right after. A new array; `ids` stays as it is.

    ids: an integer array (N,); places: what find_pair has returned, perhaps empty.

    replace_pair(np.array([1, 1, 1, 2]), np.array([0]), 9)  →  array([9, 1, 2])
    """
    ### BEGIN SOLUTION
    keep = np.ones(len(ids), dtype=bool)
    keep[places + 1] = False
    ids = ids.copy()
    ids[places] = new_id
    return ids[keep]
    ### END SOLUTION

# %%
# %check find-pair

# %% [markdown]
# ## 6 · Learn, fast
#
# And now the counts. Number the places in the text: the pair at place i is (ids[i], ids[i + 1]). When the pair at place p is merged, which pairs are no
# longer there? Only those that touch it: at **p − 1, p and p + 1**. And which are new? Those in which the new token N takes part, first as the second, then
# as the first of a pair.
#
# ```text
#      before      …  h  a  b  k  …           gone:  (h, a) at p − 1     (a, b) at p     (b, k) at p + 1
#                     │  ╰┬─╯  │
#      after       …  h   N    k  …           new:   (h, N) at q − 1     (N, k) at q
# ```
#
# All others have only moved. And q, the place in the new text? Every merge further left has taken one token away, so the first place stays where it was, the
# second has moved by one, the third by two: **q = places − [0, 1, 2, …]**.
#
# There are two traps, and one line escapes both. Merged places may be neighbours: in `a b a b`, the pair (b, a) touches both of them. It must be counted
# once, not twice. And at the ends of the text p − 1 or p + 1 may not exist. So: collect the *places*, make them unique (`np.unique`), throw away those
# outside, and only then read the pairs there.
#
# **By hand.** `h a b a b`, with (a, b) merged at places 1 and 3. Gone: around 1 are 0, 1, 2; around 3 are 2, 3, 4. Unique: 0, 1, 2, 3, 4; but there is no
# pair at 4, the last token has no neighbour. So gone are (h, a), (a, b), (b, a), (a, b). The new text is `h N N`, q = `[1, 2]`, and with −1 and 0 these are
# the places 0, 1; 1, 2. Unique and inside: 0, 1. New are (h, N) and (N, N).
#
# A column of places and a row of offsets, added, are a table of each with each: `places[:, None] + offsets`. A Counter can be changed by another:
# `counts.subtract(gone)` and `counts.update(new)`, which *adds*. (Counts of 0 may stay in it.) Read the pairs with `.tolist()`, so that they are Python's
# ints and not NumPy's.

# %% tags=["exercise:bpe-merges"]
#| export
def pairs_around(ids, places, offsets):
    """Count the pairs that begin near the given places: at place + offset, for every place and every offset.

    ids: an integer array (N,); places: an integer array; offsets: a list such as [-1, 0, 1].
    Each place is counted once, however often it is reached; places where no pair begins, below 0 or above N - 2, are left out.
    Returns a Counter from pairs, tuples of Python ints, to numbers.

    pairs_around(np.array([7, 1, 2, 1, 2]), np.array([1, 3]), [-1, 0, 1])  →  Counter({(1, 2): 2, (7, 1): 1, (2, 1): 1})
    """
    ### BEGIN SOLUTION
    near = np.unique(places[:, None] + offsets)
    near = near[(near >= 0) & (near < len(ids) - 1)]
    return Counter(zip(ids[near].tolist(), ids[near + 1].tolist()))
    ### END SOLUTION


def learn_merges(ids, count):
    """The very same merges as learn_merges_naive, but counted only once: then only what a merge changes.

    ids: a list of bytes, ints from 0 to 255; count: how many merges at most. Returns a list of tuples of two Python ints.

    learn_merges(utf8("aaabdaaabac"), 10)  →  [(97, 97), (97, 98), (256, 257)]
    """
    ### BEGIN SOLUTION
    counts, ids, merges = count_pairs(ids), np.array(ids, dtype=np.int64), []
    while len(merges) < count:
        pair = best_pair(counts)
        if pair is None:
            break
        places = find_pair(ids, pair)
        counts.subtract(pairs_around(ids, places, [-1, 0, 1]))
        ids = replace_pair(ids, places, 256 + len(merges))
        counts.update(pairs_around(ids, places - np.arange(len(places)), [-1, 0]))
        merges.append(pair)
    return merges
    ### END SOLUTION

# %%
# %check bpe-merges

# %% [markdown]
# ## 7 · The tokenizer
#
# Merges are all that is learned; three things remain to be made of them.
#
# **The tokens.** What bytes does each id stand for? The first 256 are the single bytes. Every merge adds one: the bytes of its left half, and behind them
# those of its right half. Both are in the list already, because a merge only uses ids that existed before. **By hand**, with the merges `[(97, 97), (97, 98),
# (256, 257)]`: token 256 is `aa`, token 257 is `ab`, token 258 is `aa` + `ab` = `aaab`. (Merges may come from a file that somebody has damaged. A list would
# take −1 for its last item; `look_up` from exercise 1 does not.)
#
# **Encode.** A new text gets the same merges, **in the order in which they were learned**, each everywhere before the next one begins. **By hand:** `baaab` →
# `b Z a b` → `b Z Y` → `b X`, so `[98, 258]`. Does the order matter? `aab` becomes `Z b`; with ab first it would be `a Y`. The text is the same, but a
# network that was trained on `Z b` has never seen `a Y`.
#
# **Decode.** Put the bytes of all tokens behind one another, then read them as UTF-8. All of them first: a token may well end in the middle of an "é". And a
# network may one day produce ids that give no UTF-8 at all. That must not stop the program in the middle of a sentence, so decode with `errors="replace"`:
# whatever can't be read becomes �. **By hand:** `decode([110, 195, 169])` is "né", and `decode([110, 195])` is "n�".
#
# **How many.** `vocab_size` is given to the constructor and counts *all* tokens, the 256 bytes included. So `BPETokenizer(300)` learns at most 44 merges, and
# `BPETokenizer(255)` is refused. If the text has fewer pairs worth merging, there are fewer tokens; afterwards `vocab_size` says how many there really are.
#
# `bytes([97])` is the byte 97, and `b"".join(list_of_bytes)` puts bytes together as `"".join` does with text. `array.tolist()` makes a list of Python ints.

# %% tags=["exercise:bpe-tokenizer"]
#| export
class BPETokenizer(Tokenizer):
    """Byte-pair encoding on UTF-8 bytes: ids 0 to 255 are the bytes, all others pairs that were learned. No text is unknown.

    vocab_size: how many tokens there may be at most, the bytes included; below 256 it raises ValueError. The attribute of that
    name says, after training, how many there are. (Gage, 1994; Sennrich et al., 2016; on bytes: Radford et al., 2019.)

    BPETokenizer(300).train("aaabdaaabac").encode("baaab")  →  [98, 258]
    """

    def __init__(self, vocab_size):
        ### BEGIN SOLUTION
        if vocab_size < 256:
            raise ValueError(f"vocab_size counts the 256 bytes, too, so it can't be {vocab_size}")
        ### END SOLUTION
        self.use([])
        self.limit = self.vocab_size = vocab_size

    def use(self, merges):
        """Take these merges, a list of pairs, for what was learned. `tokens` gets the bytes of every id, a list of bytes objects.

        A merge of a token that is not there yet raises IndexError, a negative number as well.
        """
        self.merges = [(left, right) for left, right in merges]
        self.tokens = [bytes([byte]) for byte in range(256)]
        ### BEGIN SOLUTION
        for pair in self.merges:
            self.tokens.append(b"".join(look_up(self.tokens, pair)))
        ### END SOLUTION
        self.vocab_size = len(self.tokens)
        return self

    def train(self, text):
        """Learn merges from `text`, so that there are at most `limit` tokens, and forget all learned before. Returns the tokenizer."""
        ### BEGIN SOLUTION
        return self.use(learn_merges(utf8(text), self.limit - 256))
        ### END SOLUTION

    def encode(self, text):
        """The ids of `text`, a list of Python ints: its UTF-8 bytes, with every merge applied in the order it was learned."""
        ### BEGIN SOLUTION
        ids = np.array(utf8(text), dtype=np.int64)
        for number, pair in enumerate(self.merges):
            ids = replace_pair(ids, find_pair(ids, pair), 256 + number)
        return ids.tolist()
        ### END SOLUTION

    def decode(self, ids):
        """The text with these ids. Bytes that are no UTF-8 become "�"; an id without a token raises IndexError."""
        ### BEGIN SOLUTION
        return b"".join(look_up(self.tokens, ids)).decode("utf-8", errors="replace")
        ### END SOLUTION

    # For the file
    def state(self):
        return {"vocab_size": self.limit, "merges": self.merges}

    @classmethod
    def from_state(cls, state):
        tokenizer = cls(state["vocab_size"]).use(state["merges"])
        if tokenizer.vocab_size > tokenizer.limit:
            raise ValueError(f"{len(tokenizer.merges)} merges are too many for a vocabulary of {tokenizer.limit}")
        return tokenizer

# %%
# %check bpe-tokenizer

# %%
tokenizer = BPETokenizer(512).train(chapter)
ids = tokenizer.encode("My dear Mr. Bennet, a café in 数!")
print(len(utf8("My dear Mr. Bennet, a café in 数!")), "bytes,", len(ids), "tokens:", *(tokenizer.tokens[i] for i in ids))
print(tokenizer.decode(ids))
print("the longest:", *sorted(tokenizer.tokens, key=len)[:-9:-1])

# %% [markdown]
# "café" and "数" are in no token of this vocabulary, and still they come back. What is unknown is merely spelled.
#
# ## 8 · Keep it
#
# A network and its tokenizer belong together: with another tokenizer, the network's numbers mean other words. So the tokenizer has to be kept in a file, and
# since it is only lists of numbers and letters, a **JSON** file will do. It is text, so anybody can read it, in any language. (Python's own way, pickle, can
# *run code* while it is loaded. Never load a pickle from somebody you would not let use your keyboard.)
#
# Each tokenizer can tell what it is made of, with `state()`, and be made again of such a dict, with `from_state(state)`. Both are given above; look them up.
# **By hand.** After `CharTokenizer().train("banana").save("b.json")` the file holds
#
# ```json
# {"tokenizer": "CharTokenizer", "characters": ["a", "b", "n"]}
# ```
#
# The first entry, the name of the class, is for the other direction: `BPETokenizer.load("b.json")` is a mistake, and should be told so. Many things can be
# wrong with a file: it is no JSON (json.loads raises ValueError), or a list (TypeError), or an entry is missing (KeyError), or it has merges of tokens that
# do not exist (IndexError), or it is of another class. Whoever loads it wants to hear *one* thing: this file is not a BPETokenizer's, and why. So catch these
# four errors and raise a ValueError with the path in its message: `except (A, B) as error:` catches two kinds, and `raise ValueError(…) from error` keeps the
# old one for whoever looks closer. A file that is not there at all raises FileNotFoundError; that is clear enough, leave it alone.
#
# `Path(path).write_text(text, encoding="utf-8")` and `Path(path).read_text(encoding="utf-8")` write and read, `json.dumps` makes text of a dict, `json.loads`
# a dict of text, `type(x).__name__` and `kind.__name__` are names of classes. `{"a": 1, **other}` is a dict with all that is in `other`, too.

# %% tags=["exercise:tokenizer-files"]
#| export
def save_tokenizer(tokenizer, path):
    """Write the tokenizer into a JSON file: its state(), and the name of its class under the key "tokenizer".

    path: a str or a Path; what was there is written over.
    """
    ### BEGIN SOLUTION
    content = {"tokenizer": type(tokenizer).__name__, **tokenizer.state()}
    Path(path).write_text(json.dumps(content), encoding="utf-8")
    ### END SOLUTION


def load_tokenizer(kind, path):
    """The tokenizer that save_tokenizer has written: kind.from_state of what is in the file.

    kind: the class that is expected. If the file is anything else than the JSON file of a tokenizer of this class, it raises
    ValueError that names the path; if there is no file, FileNotFoundError.
    """
    ### BEGIN SOLUTION
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if content["tokenizer"] != kind.__name__:
            raise ValueError(f"it is of a {content['tokenizer']}")
        return kind.from_state(content)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"{path} is not the file of a {kind.__name__} ({type(error).__name__}: {error})") from error
    ### END SOLUTION

# %%
# %check tokenizer-files

# %% [markdown]
# ## 9 · A batch of texts
#
# Networks want a batch, and a batch is a block: every row equally long. Texts are not. So the short ones are **padded** at the right with a number that means
# "nothing here", and those that are too long are cut, at the right as well.
#
# **By hand.** `[[5, 6, 7], [8], []]`:
#
# ```text
#      as long as the longest        max_len=2           max_len=4, pad_value=99
#      5  6  7                       5  6                5   6   7  99
#      8  0  0                       8  0                8  99  99  99
#      0  0  0                       0  0               99  99  99  99
# ```
#
# So `max_len` is *the* length, not only a limit; without it (None) the longest sequence decides. And no sequences at all, `[]`, make a tensor with 0 rows:
# its shape is (0, max_len), or (0, 0) without `max_len`. Beware of `if max_len:`, which takes 0 for None.
#
# Ids are labels, not quantities, so the tensor is int64: make the array first, `np.full((rows, columns), value, dtype=np.int64)`, and a tensor of it keeps
# its dtype (module 02). (In the vocabulary above, 0 is a token as well, if one that no text ever uses. The embeddings of module 12 can be told which id is
# padding.)

# %% tags=["exercise:pad-sequences"]
#| export
def pad_sequences(sequences, max_len=None, pad_value=0):
    """One int64 Tensor (N, max_len) of N sequences of ids, padded with pad_value and cut, both on the right.

    sequences: a list of N lists of ints, any lengths, perhaps 0. max_len: the length of every row, the longest sequence's if None;
    below 0 it raises ValueError. Without sequences the shape is (0, max_len), or (0, 0).

    pad_sequences([[5, 6, 7], [8]])  →  Tensor([[5, 6, 7], [8, 0, 0]], dtype=int64)
    """
    ### BEGIN SOLUTION
    if max_len is None:
        max_len = max(map(len, sequences), default=0)
    if max_len < 0:
        raise ValueError(f"max_len is a length, not {max_len}")
    rows = np.full((len(sequences), max_len), pad_value, dtype=np.int64)
    for row, sequence in zip(rows, sequences):
        row[: len(sequence)] = sequence[:max_len]
    return Tensor(rows)
    ### END SOLUTION

# %%
# %check pad-sequences

# %%
sentences = ["Is he married or single?", "Oh! Single, my dear, to be sure!"]
batch = pad_sequences([tokenizer.encode(sentence) for sentence in sentences], max_len=16)
print(batch)
print([tokenizer.decode(row) for row in batch.numpy().tolist()])

# %% [markdown]
# ## See it: what the tokenizer sees
#
# Every box is one token; hold the mouse over it to see its id. On the left of the slider there are only bytes, and every letter is a box. Pull it to the
# right, slowly: which pairs go first? When does the first whole word appear? Which tokens reach across a blank, and why? (`↵` is the end of a line; `<c3>` is
# a byte that is no character by itself.)
#
# Then choose the other texts. They are read with the very same vocabulary, learned from Jane Austen.

# %%
import html

import ipywidgets
from IPython.display import HTML

texts = {
    "the first lines of the chapter": chapter[:540],
    "English, never seen": "Elizabeth was delighted. She had never seen a place for which nature had done more, or where natural beauty "
    "had been so little counteracted by an awkward taste.",
    "German": "Es ist eine allgemein anerkannte Wahrheit, dass ein alleinstehender Mann, der ein schönes Vermögen hat, eine Frau braucht.",
    "Japanese": "財産のある独身の男には妻が必要だということは、誰もが認める真理である。",
    "Python": "for i in range(10):\n    print(i, i * i)",
}
shades = ("rgba(70, 130, 250, 0.25)", "rgba(240, 150, 30, 0.25)", "rgba(60, 180, 110, 0.25)")  # see-through: for light and dark themes
box = "border: 1px solid rgba(128, 128, 128, 0.7); border-radius: 3px; padding: 0 1px; margin: 0 1px 0 0;"


def readable(token):
    """The bytes of a token as text; what is no character by itself in hexadecimal."""
    try:
        return token.decode("utf-8").replace("\n", "↵")
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 128 else f"<{byte:02x}>" for byte in token)


def boxes(tokenizer, text):
    """`text` as HTML, a box for each token. (html.escape: a text may contain < and &, and must not become markup.)"""
    spans = [
        f'<span title="token {i}" style="background: {shades[place % len(shades)]}; {box}">{html.escape(readable(tokenizer.tokens[i]))}</span>'
        for place, i in enumerate(tokenizer.encode(text))
    ]
    return f'<div style="font-family: monospace; white-space: pre-wrap; line-height: 1.7;">{"<wbr>".join(spans)}</div>'


def show(text="the first lines of the chapter", vocab_size=320):
    tokenizer = BPETokenizer(vocab_size).train(chapter)
    count = len(tokenizer.encode(texts[text]))
    newest = ", ".join(repr(readable(token)) for token in tokenizer.tokens[256:][-8:]) or "none yet"
    head = f"{len(texts[text])} characters, {len(utf8(texts[text]))} bytes, <b>{count} tokens</b>. The newest tokens: {html.escape(newest)}"
    return HTML(f"<p>{head}</p>{boxes(tokenizer, texts[text])}")


ipywidgets.interact(show, text=list(texts), vocab_size=(256, 768, 16));

# %% [markdown]
# ### How short does it get?
#
# The tokenizer learns from the first three quarters of the chapter. How many tokens does that part take as the vocabulary grows, and how many the last
# quarter, which it has never seen? Both in percent of their characters.

# %%
import matplotlib.pyplot as plt

cut = len(chapter) * 3 // 4
seen, unseen = chapter[:cut], chapter[cut:]
sizes = [256, 272, 288, 320, 384, 448, 512, 640, 768]
tokenizers = [BPETokenizer(size).train(seen) for size in sizes]

figure, axes = plt.subplots(figsize=(6, 2.8))
for text, label, marker in ((seen, "text it learned from", "o-"), (unseen, "text it has never seen", "s--")):
    axes.plot([t.vocab_size for t in tokenizers], [100 * len(t.encode(text)) / len(text) for t in tokenizers], marker, label=label, markersize=4)
axes.axhline(100, color="gray", linewidth=1)
axes.text(0.99, 97, "one token for every character", transform=axes.get_yaxis_transform(), ha="right", va="top", fontsize=8, color="gray")
axes.set(xlabel="tokens in the vocabulary", ylabel="tokens, % of characters", ylim=(0, 105))
axes.grid(alpha=0.3)
axes.legend(fontsize=8, loc="lower left")
plt.show()

shown = {t.vocab_size: t for t in tokenizers if t.vocab_size in (256, 320, 512)}
print(f"{'':32} {'characters':>10} {'bytes':>6}" + "".join(f"{f'tokens ({size})':>14}" for size in shown) + "   characters a token")
for name, text in {"learned from": seen, "the rest of the chapter": unseen, **texts}.items():
    counts = [len(t.encode(text)) for t in shown.values()]
    print(f"{name:32} {len(text):10,} {len(utf8(text)):6,}" + "".join(f"{count:14,}" for count in counts) + f"{len(text) / counts[-1]:21.2f}")

# %% [markdown]
# The first merges save most. Later the two curves part: tokens that were learned from one scene at the Bennets' are no use elsewhere. A large vocabulary
# wants a large text. And look at the last column: what is a word in the language that the tokenizer learned from is a spelling exercise in another one. (Real
# tokenizers, too: the same sentence can take ten times as many tokens in some languages as in English, and whoever pays by the token pays for it. Petrov et
# al., 2023.)
#
# ## Systems: what does it cost to learn, and to read?
#
# Three questions for your `measure`:
#
# 1. How do the two ways to learn grow with the text? To have more text, the chapter is laid end to end.
# 2. And with the number of merges?
# 3. What does it cost to *read* with what was learned, for a line and for a long text?

# %%
print("   bytes   merges        naive         fast     times as fast")
for copies, count in ((1, 20), (2, 20), (4, 20), (4, 40), (4, 80)):
    data = utf8(chapter * copies)
    naive, fast = measure(learn_merges_naive, data, count, repeat=1), measure(learn_merges, data, count, repeat=1)
    print(f"{len(data):8,} {count:8} {naive * 1e3:9.1f} ms {fast * 1e3:9.1f} ms {naive / fast:17.1f}")

print("\nreading    characters      seconds    characters a second")
for name, text in (("a line", chapter[:60]), ("a chapter", chapter), ("a book", chapter * 100)):
    seconds = measure(tokenizer.encode, text, repeat=1)
    print(f"{name:10} {len(text):10,} {seconds:12.4f} {len(text) / seconds:22,.0f}")

# %% [markdown]
# The plain way pays for every merge with a walk over the whole text. The fast one counts once, and then pays for what changes; what remains that grows with
# the text is done by NumPy. (One can do without even that, with a list of places for every pair and a linked list instead of an array: then a merge costs
# nothing but its own places. That is how tokenizers for gigabytes are trained.)
#
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. Ask a language model how many r's there are in "strawberry", and it may well get it wrong. It is not that it can't count to three. What does it see?
# 2. Your tokenizer merges across blanks, and "e, " may become a token. GPT-2's first cuts the text into words and never merges across the cuts. What does it
#    lose by that, and what does it gain? (Think of "dog", "dog.", "dog!" and "dog?".)
# 3. A larger vocabulary makes texts shorter, so why not a million tokens? Somebody has to learn what each of them means. How often did your newest tokens
#    occur in the chapter?
#
# **Behind the next door.** Your framework can read: text goes in, a block of integers comes out. But look at these integers as a network would. "of" is 262
# and "the" is 267: is "the" a little *more* than "of"? Multiply 262 by a weight, and you get nonsense. An id is a name, not a quantity. In module 12 every
# name gets a place in a space, where near means alike.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

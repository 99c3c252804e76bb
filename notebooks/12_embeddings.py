# %% [markdown]
# # 12 · Embeddings
#
# **Token 17 is not bigger than token 16. Numbers need a place in a space of meaning.**
#
# Your tokenizer makes numbers of letters. But they are numbers as on football shirts: 17 is a *name*. It is not one more than 16, and the player with number 10 is not
# the mean of 9 and 11. A network, however, can do nothing with a number but multiply it and add it up.
#
# What happens if it gets the ids all the same? Below, a small network has to fill a gap: it sees a letter, a gap, and another letter, and guesses what stood in
# between. It is trained three times, on the same text. Only the letters are numbered differently: as in the alphabet, and then in two orders drawn by lot. Run the
# two cells. It is the same text and the same task, so the numbers should not matter, and yet each order ends somewhere else. None of them gets far below what one
# reaches by merely knowing how frequent each letter is.
#
# So give every token not a number, but a **place**: a point in a space of, say, 16 dimensions. In a space there is room to be near to many others at once, near in
# one direction and far in another. Where the points lie, nobody has to say: they are weights like all others, and *learned*. This is an **embedding**.
#
# ```text
#      token       a table, one row for each token
#                  0 │  0.3  -1.1   0.8   0.0 │
#        2 ──┐     1 │  1.2   0.4  -0.5   0.9 │
#            └───▶ 2 │ -0.7   0.2   1.4  -0.3 │ ───▶  [-0.7, 0.2, 1.4, -0.3]    the place of token 2
#                  3 │  0.1   0.6  -0.9   1.0 │
# ```
#
# ```text
#     14 transformers
#     13 attention
#   ▶ 12 embeddings      you are here: Embedding, SinusoidalPositionalEncoding, LearnedPositionalEmbedding
#     11 tokenization    CharTokenizer, pad_sequences
#     10 dataloader      DataLoader, TensorDataset
#     09 spatial         operations with their way back, side by side
#     08 training        Trainer, accuracy
#     07 autograd        rule
#     06 optimizers   05 losses   04 layers   03 activations
#     02 tensor          Tensor, operation
#     01 setup           measure
# ```
#
# Nine exercises. The first five build the table, the sixth draws a map of what it has learned, and the last three tell the tokens where in the text they stand.

# %%
# %load_ext tinytorch_core

# %% [markdown]
# Something to read: Mr. Darcy proposes, in chapter 34 of *Pride and Prejudice* (Jane Austen, 1813).

# %%
chapter = """
In an hurried manner he immediately began an inquiry after her health, imputing his visit to a wish of hearing that she were better. She answered him
with cold civility. He sat down for a few moments, and then getting up, walked about the room. Elizabeth was surprised, but said not a word. After a
silence of several minutes, he came towards her in an agitated manner, and thus began:
"In vain I have struggled. It will not do. My feelings will not be repressed. You must allow me to tell you how ardently I admire and love you."
Elizabeth's astonishment was beyond expression. She stared, coloured, doubted, and was silent. This he considered sufficient encouragement; and the
avowal of all that he felt, and had long felt for her, immediately followed. He spoke well; but there were feelings besides those of the heart to be
detailed; and he was not more eloquent on the subject of tenderness than of pride. His sense of her inferiority--of its being a degradation--of the
family obstacles which had always opposed to inclination, were dwelt on with a warmth which seemed due to the consequence he was wounding, but was
very unlikely to recommend his suit.
In spite of her deeply-rooted dislike, she could not be insensible to the compliment of such a man's affection, and though her intentions did not vary
for an instant, she was at first sorry for the pain he was to receive; till, roused to resentment by his subsequent language, she lost all compassion
in anger. She tried, however, to compose herself to answer him with patience, when he should have done. He concluded with representing to her the
strength of that attachment which, in spite of all his endeavours, he had found impossible to conquer; and with expressing his hope that it would now
be rewarded by her acceptance of his hand. As he said this, she could easily see that he had no doubt of a favourable answer. He spoke of apprehension
and anxiety, but his countenance expressed real security. Such a circumstance could only exasperate farther, and, when he ceased, the colour rose into
her cheeks, and she said:
"In such cases as this, it is, I believe, the established mode to express a sense of obligation for the sentiments avowed, however unequally they may
be returned. It is natural that obligation should be felt, and if I could feel gratitude, I would now thank you. But I cannot--I have never desired
your good opinion, and you have certainly bestowed it most unwillingly. I am sorry to have occasioned pain to anyone. It has been most unconsciously
done, however, and I hope will be of short duration. The feelings which, you tell me, have long prevented the acknowledgment of your regard, can have
little difficulty in overcoming it after this explanation."
Mr. Darcy, who was leaning against the mantelpiece with his eyes fixed on her face, seemed to catch her words with no less resentment than surprise.
His complexion became pale with anger, and the disturbance of his mind was visible in every feature. He was struggling for the appearance of
composure, and would not open his lips till he believed himself to have attained it. The pause was to Elizabeth's feelings dreadful. At length, with a
voice of forced calmness, he said:
"And this is all the reply which I am to have the honour of expecting! I might, perhaps, wish to be informed why, with so little endeavour at
civility, I am thus rejected. But it is of small importance."
"I might as well inquire," replied she, "why with so evident a desire of offending and insulting me, you chose to tell me that you liked me against
your will, against your reason, and even against your character? Was not this some excuse for incivility, if I was uncivil? But I have other
provocations. You know I have. Had not my feelings decided against you--had they been indifferent, or had they even been favourable, do you think that
any consideration would tempt me to accept the man who has been the means of ruining, perhaps for ever, the happiness of a most beloved sister?"
""".strip()

letters = " ".join(chapter.lower().split())  # small letters, and a blank for every line end
print(f"{len(letters):,} characters, {len(set(letters))} different ones")

# %%
import matplotlib.pyplot as plt
import numpy as np
from tinytorch.activations import ReLU
from tinytorch.layers import Linear, Sequential
from tinytorch.losses import CrossEntropyLoss
from tinytorch.optimizers import AdamW
from tinytorch.tensor import Tensor
from tinytorch.tokenization import CharTokenizer

tokenizer = CharTokenizer().train(letters)
ids = np.array(tokenizer.encode(letters))
around, between = np.stack([ids[:-2], ids[2:]], axis=1), ids[1:-1]  # two neighbours, and what stands between them


def learn(model, inputs, targets, steps=300, watch=None):
    """Trains the model on batches drawn by lot; returns its loss on all of the data. watch: called in every step."""
    optimizer, loss_fn, rng = AdamW(model.parameters(), lr=0.02, weight_decay=0.3), CrossEntropyLoss(), np.random.default_rng(1)
    for step in range(steps):
        chosen = rng.integers(0, len(targets), size=128)
        optimizer.zero_grad()
        loss_fn(model(Tensor(inputs[chosen])), Tensor(targets[chosen])).backward()
        optimizer.step()
        if watch:
            watch(step)
    return loss_fn(model(Tensor(inputs)), Tensor(targets)).item()


def numberings():
    """Three ways to number the letters, with names: numbers[id] is the number of the letter with this id."""
    yield "as in the alphabet", np.arange(tokenizer.vocab_size)
    yield "drawn by lot", np.random.default_rng(1).permutation(tokenizer.vocab_size)
    yield "drawn again", np.random.default_rng(2).permutation(tokenizer.vocab_size)


share = np.bincount(ids) / len(ids)
print(f"knowing only how frequent each letter is: loss {-(share * np.log(share)).sum():.2f}")
for name, numbers in numberings():
    as_numbers = (numbers[around] / tokenizer.vocab_size).astype(np.float32)  # (N, 2), from 0 to 1
    model = Sequential(Linear(2, 32, seed=1), ReLU(), Linear(32, tokenizer.vocab_size, seed=2))
    print(f"letters numbered {name:20} loss {learn(model, as_numbers, between):.2f}")

# %% tags=["given:embeddings-imports"]
#| export
"""Embeddings: a place in a space for every token, and for every position in a text."""

import numpy as np

from tinytorch.autograd import rule
from tinytorch.layers import Module, Parameter
from tinytorch.tensor import Tensor, operation

# %% [markdown]
# ## 1 · One switch for each token
#
# The honest way to feed names to a network: as many inputs as there are tokens, all 0, and a 1 at the token that is meant. This is called **one-hot**. No token is
# more than another now, and none is nearer to another.
#
# **By hand.** With four tokens, `[2, 0]` becomes
#
# ```text
#      0  0  1  0
#      1  0  0  0
# ```
#
# Two functions. The first refuses what can't be tokens, as `check_classes` of module 05 did. Be strict about negative ids: NumPy takes −1 for the last row, so a
# mistake in a tokenizer would go unnoticed for weeks. `tokens.dtype.kind` is `"i"` or `"u"` for integers (and `"b"` for True and False, which are no ids).
#
# The second has the shape of the tokens, and one axis more: (B, T) becomes (B, T, vocab_size). A comparison does it without a loop: is the id equal to 0, to 1, to
# 2 …? Put an axis of size 1 behind the tokens, `tokens[..., None]`, and compare with `np.arange(vocab_size)`; broadcasting does the rest.

# %% tags=["exercise:one-hot"]
#| export
def check_tokens(tokens, vocab_size):
    """Refuse tokens (an array of any shape) that are not ids from 0 to vocab_size - 1. Returns nothing.

    TypeError if `tokens` is not a NumPy array of integers (floats and booleans are not);
    IndexError, naming one wrong id and vocab_size, if an id is below 0, or vocab_size or more. No tokens at all are fine.

    check_tokens(np.array([[0, 4]]), 4)  →  IndexError: there is no token 4: with 4 tokens they go from 0 to 3
    """
    ### BEGIN SOLUTION
    if not isinstance(tokens, np.ndarray) or tokens.dtype.kind not in "iu":
        raise TypeError(f"token ids are integers, such as Tensor(np.array([2, 0])), not {tokens!r:.60}")
    wrong = (tokens < 0) | (tokens >= vocab_size)
    if wrong.any():
        raise IndexError(f"there is no token {tokens[wrong][0]}: with {vocab_size} tokens they go from 0 to {vocab_size - 1}")
    ### END SOLUTION


def one_hot(tokens, vocab_size):
    """A 1 at each token's id, and 0 elsewhere.

    tokens: an array of integers, any shape (…). Returns a float32 array (…, vocab_size). Errors: those of check_tokens.

    one_hot(np.array([2, 0]), 4)  →  array([[0., 0., 1., 0.], [1., 0., 0., 0.]], dtype=float32)
    """
    ### BEGIN SOLUTION
    check_tokens(tokens, vocab_size)
    return (tokens[..., None] == np.arange(vocab_size)).astype(np.float32)
    ### END SOLUTION

# %%
# %check one-hot

# %% [markdown]
# Now let a `Linear` layer follow, or simply a product with a table of weights. Look at what comes out:

# %%
table = np.array([[10, 11], [20, 21], [30, 31], [40, 41]], dtype=np.float32)
one_hot(np.array([2, 0, 2]), 4) @ table

# %% [markdown]
# Rows 2, 0 and 2 of the table. All the multiplying with zeros, and the adding up, was an expensive way to *read a row*. How expensive? For a batch of 32 texts of 256
# tokens, and a vocabulary of 50,000 (GPT-2 has 50,257), the zeros alone take 32 · 256 · 50,000 · 4 bytes: 1.6 GB.
#
# ## 2 · Look it up
#
# So read the rows:
#
# $$y_{b\,t} = W_{x_{b\,t}} \qquad\text{the row of the weight } W \text{ whose number is the token } x_{b\,t}$$
#
# **By hand.** With the table above, the tokens `[[2, 0], [1, 1]]` become `[[[30, 31], [10, 11]], [[20, 21], [20, 21]]]`: shape (2, 2) becomes (2, 2, 2), since each
# id was replaced by a row of 2 numbers.
#
# NumPy does exactly this when you index an array with an array of integers: `weight[tokens]`. As an operation of yours it goes through the door. `tokens` and `weight`
# arrive as arrays. (`padding_idx` is for the way back, in exercise 4; the forward does not look at it.)

# %% tags=["exercise:embedding-lookup"]
#| export
@operation
def embedding(tokens, weight, padding_idx=None):
    """The rows of `weight` that `tokens` name.

    tokens: integers, any shape (…); weight: (vocab_size, embed_dim); output: (…, embed_dim), with the dtype of weight.
    TypeError if the tokens are no integers, IndexError if one of them is no row of weight (see check_tokens).

    embedding(Tensor(np.array([2, 0])), Tensor([[10, 11], [20, 21], [30, 31]]))  →  Tensor([[30., 31.], [10., 11.]])
    """
    ### BEGIN SOLUTION
    check_tokens(tokens, len(weight))
    return weight[tokens]
    ### END SOLUTION

# %%
# %check embedding-lookup

# %%
embedding(Tensor(np.array([[2, 0], [1, 1]])), Tensor(table))

# %% [markdown]
# ## 3 · Back into the rows
#
# The way back. A gradient arrives for every row that was read, and belongs to the row of the table that it was read *from*. Rows that were not read get nothing: zeros.
# And a row that was read several times? You know the answer by heart now: it adds up.
#
# ```text
#      tokens     gradients                      the table's gradient
#         2       1    2          ──▶        0 │ 10   20
#         0      10   20                     1 │  0    0       not used
#         2     100  200                     2 │ 101  202      used twice: added
#                                            3 │  0    0       not used
# ```
#
# **The trap.** `total[tokens] += rows` looks right, and NumPy does not complain. But it reads `total[[2, 0, 2]]`, adds, and *writes back*, so of the two rows for
# token 2 the last one wins: `[100, 200]`. The more frequent a token is, the more gets lost. Try it in a cell of your own.
#
# `np.add.at(total, tokens, rows)` is right: it takes one number after the other. There is a faster way, with an old trick. **Sort** the rows by token. Then those that
# belong together stand together, and adding up neighbours is something that NumPy is quick at:
#
# ```text
#      tokens            2    0    2    1    0
#      order             1    4    3    0    2          np.argsort(tokens, kind="stable"): where in the list they come from
#      sorted            0    0    1    2    2          tokens[order]
#      used              0         1    2               np.unique(sorted, return_index=True) gives used and starts:
#      starts            0         2    3               which tokens there are, and where each of them begins
# ```
#
# `np.add.reduceat(rows[order], starts, axis=0)` adds up the stretches that begin at `starts`: one row of sums for each of `used`. Put them where they belong.

# %% tags=["exercise:add-rows"]
#| export
def add_rows(rows, tokens, count):
    """An array (count, D), whose row i is the sum of all rows[n] with tokens[n] == i; zeros where there are none.

    rows: array (N, D); tokens: array (N,) of ids from 0 to count - 1; N may be 0. Has the dtype of rows. No loop over N or count.

    add_rows(np.array([[1, 2], [10, 20], [100, 200]]), np.array([2, 0, 2]), 4)  →  array([[10, 20], [0, 0], [101, 202], [0, 0]])
    """
    ### BEGIN SOLUTION
    order = np.argsort(tokens, kind="stable")
    used, starts = np.unique(tokens[order], return_index=True)
    total = np.zeros((count, rows.shape[1]), dtype=rows.dtype)
    total[used] = np.add.reduceat(rows[order], starts, axis=0)
    return total
    ### END SOLUTION

# %%
# %check add-rows

# %%
add_rows(np.array([[1, 2], [10, 20], [100, 200]]), np.array([2, 0, 2]), 4)

# %% [markdown]
# ## 4 · The rule
#
# `add_rows` wants one long list, but tokens come as (B, T) and gradients as (B, T, D). Lay them end to end: `tokens.reshape(-1)`, and `gradient.reshape(-1, D)`.
#
# **Padding.** In a batch, short texts were filled up with a padding token (module 11). It means nothing, so nothing should be learned about it. The user can name it,
# as `padding_idx`; then the gradient of this row is 0. Nothing else changes: on the way there, the padding token is read like any other.
#
# **By hand.** The example above, with padding_idx = 0: `[[0, 0], [0, 0], [101, 202], [0, 0]]`.
#
# Beware of `if padding_idx:`. It takes 0 for "none", and 0 is what padding is most often.
#
# There are two inputs. Tokens can't want a gradient, so nobody will ever ask for theirs: `None` stands in their place. The weight gets a function.

# %% tags=["exercise:embedding-backward"]
#| export
@rule(embedding)
def embedding_backward(gradient, kept, tokens, weight, padding_idx=None):
    """The way back of `embedding`: (None, a function without arguments).

    gradient: (…, embed_dim). The function returns an array of weight's shape: the gradients, added up by token. Row padding_idx is 0.
    """

    def to_weight():
        ### BEGIN SOLUTION
        rows = add_rows(gradient.reshape(-1, weight.shape[1]), tokens.reshape(-1), len(weight))
        if padding_idx is not None:
            rows[padding_idx] = 0
        return rows
        ### END SOLUTION

    return None, to_weight

# %%
# %check embedding-backward

# %%
from tinytorch.layers import Parameter

weight = Parameter(table)
embedding(Tensor(np.array([2, 0, 2])), weight).backward(np.array([[1, 2], [10, 20], [100, 200]]))
weight.grad

# %% [markdown]
# ## 5 · The layer
#
# A module that holds the table. With which places should the tokens begin? With different ones: two rows that are equal, and used alike, would stay equal. So draw each
# number from the standard normal distribution, as PyTorch does: `np.random.default_rng(seed).standard_normal((rows, columns))`, made float32.
#
# There is no size to mind here, as there was with `Linear`. Reading a row adds nothing up.
#
# If there is a `padding_idx`, its row begins with zeros. As its gradient is 0, it will stay there: padding lies in the origin of the space, and adds nothing to
# anything. It is a token id like others, so `check_tokens(np.array(padding_idx), vocab_size)` knows whether it is one.

# %% tags=["exercise:embedding-layer"]
#| export
class Embedding(Module):
    """A table with a place for every token: tokens (…) become (…, embed_dim).

    weight: Parameter (vocab_size, embed_dim), begins as float32 numbers from the standard normal distribution.
    padding_idx: a token that means nothing: its row begins with zeros, and gets no gradient. IndexError if it is not in [0, vocab_size).
    seed: an int, or a NumPy Generator to draw from.

    Embedding(65, 32)(tokens) for tokens of shape (8, 100)  →  shape (8, 100, 32)
    """

    def __init__(self, vocab_size, embed_dim, padding_idx=None, seed=None):
        self.vocab_size, self.embed_dim, self.padding_idx = vocab_size, embed_dim, padding_idx
        ### BEGIN SOLUTION
        rows = np.random.default_rng(seed).standard_normal((vocab_size, embed_dim))
        if padding_idx is not None:
            check_tokens(np.array(padding_idx), vocab_size)
            rows[padding_idx] = 0
        self.weight = Parameter(rows, dtype=np.float32)
        ### END SOLUTION

    def forward(self, tokens):
        """tokens: a Tensor of integers. Errors: those of check_tokens."""
        ### BEGIN SOLUTION
        return embedding(tokens, self.weight, padding_idx=self.padding_idx)
        ### END SOLUTION

    def __repr__(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"Embedding({self.vocab_size}, {self.embed_dim}{padding})"

# %%
# %check embedding-layer

# %% [markdown]
# Back to the gaps between the letters. Two tokens go in, (N, 2); each becomes a place, (N, 2, 16); `Flatten` lays the two side by side, (N, 32). The rest is as before.
# Again three ways to number the letters:

# %%
from tinytorch.layers import Flatten

vocab_size = tokenizer.vocab_size
for name, numbers in numberings():
    model = Sequential(Embedding(vocab_size, 16, seed=1), Flatten(), Linear(32, 32, seed=1), ReLU(), Linear(32, vocab_size, seed=2))
    print(f"letters numbered {name:20} loss {learn(model, numbers[around], between):.2f}")

# %% [markdown]
# ## 6 · A map
#
# What has been learned? A table of numbers; every letter is a point in 16 dimensions, and nobody can look at that. But one can choose two directions, and look at how
# the points lie along *them*. Which two? Those along which they are spread out most. It is like a photograph of a fish: from the side one sees more than
# from the front.
#
# 1. Move the points so that their mean is 0: `centred = vectors - vectors.mean(axis=0)`.
# 2. The **singular value decomposition** writes any matrix as a product, $X = U\,S\,V^{\mathsf T}$. The rows of $V^{\mathsf T}$ are directions, each of length 1, at
#    right angles to each other, sorted by how far the points are spread out along them, the largest first. `np.linalg.svd(centred, full_matrices=False)` returns the
#    three: U, S and Vᵀ.
#
# The first rows of $V^{\mathsf T}$, set upright as columns, are what we want: `vectors @ directions` are then the places on the map. (This is *principal component
# analysis*: Pearson, 1901. Whether a direction points to one side or to the other is an accident; turn the map as you like.)
#
# **By hand.** The points `(0, 0)`, `(2, 2)`, `(4, 4)` and `(6, 6)` lie on a diagonal. The first direction is along it, $(1, 1)/\sqrt 2 = (0.707, 0.707)$; the second is across.

# %% tags=["exercise:main-directions"]
#| export
def main_directions(vectors, count=2):
    """The directions along which points are spread out most, an array (D, count): columns of length 1, at right angles, the most important first.

    vectors: array (N, D), N points. They need not have mean 0; that is seen to here.

    main_directions(np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0], [6.0, 6.0]]), 1)  →  array([[0.707], [0.707]]), or the opposite
    """
    ### BEGIN SOLUTION
    centred = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return directions[:count].T
    ### END SOLUTION

# %%
# %check main-directions

# %% [markdown]
# ### See it: the letters find their places
#
# A gap is to be filled again, this time between two letters on either side, and by the simplest network that there is: embedding, `Flatten`, one `Linear`. Every 20
# steps we keep a copy of the table.
#
# Then the map. What matters is *in which direction* a letter lies, so each row is made to have length 1. In the beginning (step 0) all places are drawn by lot. Move
# the slider: who goes where? Vowels are drawn red. (Nobody has told the network that there are such things.)

# %%
import ipywidgets

four = np.stack([ids[:-4], ids[1:-3], ids[3:-1], ids[4:]], axis=1)  # two letters before the gap, two after it
network = Sequential(Embedding(vocab_size, 16, seed=1), Flatten(), Linear(64, vocab_size, seed=2))
frames = {0: network[0].weight.numpy().copy()}


def keep(step):
    if step % 20 == 19:
        frames[step + 1] = network[0].weight.numpy().copy()


print(f"loss {learn(network, four, ids[2:-2], steps=1000, watch=keep):.2f}")


def unit(vectors):
    """The same directions, all of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


directions = main_directions(unit(frames[1000]))


def letter_map(step=1000):
    places = unit(frames[step]) @ directions
    plt.figure(figsize=(5.2, 4.2))
    for character, (x, y) in zip(tokenizer.characters, places):
        color = "tab:red" if character in "aeiou" else "tab:blue" if character.isalpha() else "gray"
        plt.text(x, y, "␣" if character == " " else character, color=color, fontsize=13, ha="center", va="center")
    plt.axis([-1, 1, -1, 1])
    plt.title(f"after {step} steps", fontsize=9)
    plt.show()


ipywidgets.interact(letter_map, step=(0, 1000, 20));

# %% [markdown]
# On a map some of the distances are lost, as on every map of a globe. In all 16 dimensions one can ask precisely: which rows point in the most similar direction? The
# product of two rows of length 1 is the cosine of the angle between them: 1 for the same direction, 0 for a right angle.

# %%
rows = unit(network[0].weight.numpy())
alike = rows @ rows.T
for character in "aetsm,":
    number = tokenizer.ids[character]
    nearest = np.argsort(-alike[number])[1:6]
    print(f"{character}   is most like   " + "   ".join(f"{tokenizer.characters[i].replace(' ', '␣')} {alike[number, i]:5.2f}" for i in nearest))

# %% [markdown]
# A letter is known by the company it keeps. The same works for words, with a larger text: what can stand in the same places ends up in the same region (Bengio et al.,
# 2003; Mikolov et al., 2013).
#
# ## Where is the order?
#
# Reading letter by letter has a price. Take all the places of a text, and work on each of them alike, as the networks of the next two modules will. Then look at
# the whole, say at the mean. Can you tell "live" from "evil"?

# %%
places = Embedding(vocab_size, 16, seed=1)
live, evil = (places(Tensor(np.array(tokenizer.encode(word)))) for word in ("live", "evil"))
print("largest difference of the means:", np.abs(live.mean(axis=0).data - evil.mean(axis=0).data).max())

# %% [markdown]
# You can't, and no later layer can: it is gone. (`Flatten` does keep the order, by giving every position weights of its own. But then the network must be
# built for one length, and what it has learned about a letter in position 3 it does not know of position 4.)
#
# The remedy is to let every token *say where it stands*. Each **position** gets a vector, too, as long as a token's, and it is simply added. An e in position 1 and an e in
# position 3 then are two slightly different points:
#
# ```text
#      l               i               v               e
#      place of l      place of i      place of v      place of e
#    + position 0    + position 1    + position 2    + position 3
# ```
#
# ## 7 · Waves
#
# Which vectors? The transformer of 2017 (Vaswani et al.) used waves. Column 0 and column 1 are a sine and a cosine that turn quickly from position to position; the
# next pair turns more slowly, the next still more slowly. It is the idea of a clock: the second hand tells neighbours apart, the hour hand tells morning from evening.
#
# $$P_{t,\,2i} = \sin\!\left(\frac{t}{10000^{\,2i/D}}\right) \qquad\qquad P_{t,\,2i+1} = \cos\!\left(\frac{t}{10000^{\,2i/D}}\right)$$
#
# t is the position, from 0, and D is `embed_dim`. 2i is the number of the even column.
#
# **By hand,** D = 4: the even columns are 0 and 2, so the divisors are $10000^{0/4} = 1$ and $10000^{2/4} = 100$.
#
# | t | sin t | cos t | sin(t / 100) | cos(t / 100) |
# |---|---|---|---|---|
# | 0 | 0 | 1 | 0 | 1 |
# | 1 | 0.841 | 0.540 | 0.010 | 1.000 |
# | 2 | 0.909 | −0.416 | 0.020 | 1.000 |
#
# Sine and cosine come in pairs, so D must be even. Positions upright, `np.arange(max_len)[:, None]`, divided by a row of divisors give all the angles at once;
# `table[:, 0::2] = …` fills the even columns.

# %% tags=["exercise:sinusoids"]
#| export
def sinusoids(max_len, embed_dim):
    """The waves: a float32 array (max_len, embed_dim), sines in the even columns, cosines in the odd ones. (Vaswani et al., 2017.)

    ValueError if embed_dim is odd.

    sinusoids(2, 4)  →  array([[0, 1, 0, 1], [0.841, 0.540, 0.010, 1.000]], dtype=float32)
    """
    ### BEGIN SOLUTION
    if embed_dim % 2:
        raise ValueError(f"sines and cosines come in pairs, so embed_dim must be even, not {embed_dim}")
    divisors = 10000 ** (np.arange(0, embed_dim, 2) / embed_dim)
    angles = np.arange(max_len)[:, None] / divisors  # (max_len, embed_dim / 2)
    table = np.zeros((max_len, embed_dim), dtype=np.float32)
    table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles)
    return table
    ### END SOLUTION

# %%
# %check sinusoids

# %% [markdown]
# Left: the table, a row for each position. Right: the product of one position's vector with those of all others. It says "how near?", and depends on the distance
# alone, wherever you stand. Move the slider.

# %%
waves = sinusoids(128, 32)


def show_waves(position=40):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.9), layout="constrained")
    left.imshow(waves, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    left.axhline(position, color="black", linewidth=1)
    left.set(xlabel="column", ylabel="position")
    right.plot(waves @ waves[position], color="tab:blue")
    right.axvline(position, color="gray", linewidth=1)
    right.set(xlabel="position", ylabel=f"product with position {position}", ylim=(0, 17))
    right.grid(alpha=0.3)
    plt.show()


ipywidgets.interact(show_waves, position=(0, 127));

# %% [markdown]
# ## 8 · Add them
#
# x is a batch of texts, (B, T, D), and the table of positions (max_len, D). The first T of its rows are added to every text: `x + positions[:T]`, broadcast over the batch.
#
# Two things are easily overlooked.
#
# **`start`.** When a text is written token by token, as in module 14, the newest token comes alone: T = 1. But it is not in position 0. So one can say where x begins:
# `positions[start : start + T]`.
#
# **The dtype.** What comes out has the dtype of x, whatever the table's is: `….astype(x.dtype)`.
#
# And what does not fit is refused: another D (or broadcasting would happily stretch a D of 1), a start below 0, and a text that reaches beyond the last position. A
# slice that is too long would not complain; it would be *shorter*.
#
# **The way back.** x hands on. The rows of the table were used once by every text, so their gradient is the sum over the texts; the rows that were not used get zeros:
#
# ```text
#      positions (5, D),  start = 1,  x (B, 2, D)            its gradient (5, D)
#                                                          0 │ zeros
#                                                          1 │ gradient[:, 0], summed over B
#                                                          2 │ gradient[:, 1], summed over B
#                                                          3 │ zeros
#                                                          4 │ zeros
# ```
#
# Before (…, T, D) there may be any number of axes; `gradient.reshape(-1, T, D)` makes one of them.

# %% tags=["exercise:add-positions"]
#| export
@operation
def add_positions(x, positions, start=0):
    """Tell vectors where they stand: x + positions[start : start + T].

    x: floats (…, T, D); positions: (max_len, D); start: the position of x's first vector. The output has the shape and dtype of x.
    ValueError if the two D differ, if start is below 0, or if start + T is more than max_len.

    add_positions(Tensor([[0, 0], [5, 5]]), Tensor([[1, 2], [3, 4], [6, 7]]), start=1)  →  Tensor([[3., 4.], [11., 12.]])
    """
    if x.dtype.kind != "f":
        raise TypeError(f"positions are added to floats, not to {x.dtype}: tokens go through an Embedding first")
    length, dim = x.shape[-2:]
    ### BEGIN SOLUTION
    if dim != positions.shape[1]:
        raise ValueError(f"vectors of {dim} numbers can't be added to positions of {positions.shape[1]}")
    if start < 0 or start + length > len(positions):
        raise ValueError(f"there are {len(positions)} positions, and x would take those from {start} to {start + length - 1}")
    return (x + positions[start : start + length]).astype(x.dtype, copy=False)
    ### END SOLUTION


@rule(add_positions)
def add_positions_backward(gradient, kept, x, positions, start=0):
    """The way back: two functions, for x and for positions. Each returns an array of the shape of its input."""
    length, dim = x.shape[-2:]

    def to_positions():
        ### BEGIN SOLUTION
        total = np.zeros(positions.shape, dtype=gradient.dtype)
        total[start : start + length] = gradient.reshape(-1, length, dim).sum(axis=0)
        return total
        ### END SOLUTION

    return lambda: gradient, to_positions

# %%
# %check add-positions

# %% [markdown]
# ## 9 · Two modules
#
# The waves are a table that nobody learns: a **buffer** (module 04). It is saved with the network, but is no parameter.
#
# And the other way, which GPT went (2018): let the network learn the positions, too. Then the table is a **Parameter**, and begins small, as normal numbers with a
# standard deviation of 0.02. At first the tokens speak, not the places where they stand.
#
# Both only hold their table; `add_positions` does the work. `forward` has a `start` for the same reason, 0 unless somebody says otherwise. It is a setting, so hand it
# on by name.

# %% tags=["exercise:positional-modules"]
#| export
class SinusoidalPositionalEncoding(Module):
    """Adds waves: x + positions[start : start + T] for x (…, T, embed_dim), in the dtype of x. Nothing to learn. (Vaswani et al., 2017.)

    Buffer positions: a Tensor (max_len, embed_dim), from sinusoids. ValueError if embed_dim is odd, and those of add_positions.
    """

    def __init__(self, max_len, embed_dim):
        self.max_len, self.embed_dim = max_len, embed_dim
        ### BEGIN SOLUTION
        self.register_buffer("positions", Tensor(sinusoids(max_len, embed_dim)))
        ### END SOLUTION

    def forward(self, x, start=0):
        """start: the position of x's first vector; a text that is written token by token has some behind it already."""
        ### BEGIN SOLUTION
        return add_positions(x, self.positions, start=start)
        ### END SOLUTION

    def __repr__(self):
        return f"SinusoidalPositionalEncoding({self.max_len}, {self.embed_dim})"


class LearnedPositionalEmbedding(Module):
    """Adds learned positions: x + weight[start : start + T] for x (…, T, embed_dim), in the dtype of x.

    weight: Parameter (max_len, embed_dim), begins as float32 normal numbers with standard deviation 0.02. seed: an int, or a NumPy
    Generator to draw from. ValueErrors: those of add_positions.
    """

    def __init__(self, max_len, embed_dim, seed=None):
        self.max_len, self.embed_dim = max_len, embed_dim
        ### BEGIN SOLUTION
        self.weight = Parameter(np.random.default_rng(seed).normal(scale=0.02, size=(max_len, embed_dim)), dtype=np.float32)
        ### END SOLUTION

    def forward(self, x, start=0):
        """start: the position of x's first vector."""
        ### BEGIN SOLUTION
        return add_positions(x, self.weight, start=start)
        ### END SOLUTION

    def __repr__(self):
        return f"LearnedPositionalEmbedding({self.max_len}, {self.embed_dim})"

# %%
# %check positional-modules

# %% [markdown]
# ## See it: forwards or backwards?
#
# "live" or "evil" again, as a task. The words of our chapter, each as it is and spelled backwards; which of the two is it? Every letter becomes a place, a position is
# added (or not), a small network looks at each of them alike, and the mean of all goes to the last layer. Everything that you have built since module 08 has a part in
# this: words padded to one length, a padding token whose row stays zero, a DataLoader, the Trainer. A quarter of the words are kept for validation.
#
# Without positions it can only toss a coin, and so it must be: both spellings have the same letters.

# %%
import re

from tinytorch.dataloader import DataLoader, TensorDataset
from tinytorch.layers import Module
from tinytorch.tokenization import pad_sequences
from tinytorch.training import Trainer, accuracy

words = sorted({word for word in re.findall("[a-z]{4,}", letters) if word != word[::-1]})
words = np.random.default_rng(1).permutation(words).tolist()
longest = max(map(len, words))
padding = tokenizer.ids[" "]  # there are no blanks in a word


def loader(words, batch_size):
    sequences = [tokenizer.encode(word) for word in words] + [tokenizer.encode(word[::-1]) for word in words]
    answers = np.repeat([1, 0], len(words))
    return DataLoader(TensorDataset(pad_sequences(sequences, longest, pad_value=padding), Tensor(answers)), batch_size, shuffle=True, seed=1)


class Reader(Module):
    """Embedding, positions (a module, or None), a hidden layer for each letter, the mean, and two logits."""

    def __init__(self, positions):
        self.tokens, self.positions = Embedding(vocab_size, 16, padding_idx=padding, seed=1), positions
        self.look, self.answer = Sequential(Linear(16, 64, seed=2), ReLU()), Linear(64, 2, seed=3)

    def forward(self, tokens):
        x = self.tokens(tokens)  # (B, T, 16)
        x = self.positions(x) if self.positions else x
        return self.answer(self.look(x).mean(axis=1))  # (B, 64), then (B, 2)


kinds = {"no positions": None, "waves": SinusoidalPositionalEncoding(longest, 16), "learned": LearnedPositionalEmbedding(longest, 16, seed=4)}
cut = len(words) * 3 // 4
plt.figure(figsize=(4.6, 2.6))
for name, positions in kinds.items():
    reader = Reader(positions)
    trainer = Trainer(reader, AdamW(reader.parameters(), lr=0.01), CrossEntropyLoss(), metrics={"accuracy": accuracy})
    history = trainer.fit(loader(words[:cut], 32), loader(words[cut:], 256), epochs=16)
    plt.plot(range(1, 17), history["val_accuracy"], label=name)
plt.xticks(range(2, 17, 2))
plt.xlabel("epoch")
plt.ylabel("new words told right")
plt.ylim(0.4, 1)
plt.grid(alpha=0.3)
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## Systems: what does a table cost?
#
# Three questions for your `measure`.
#
# 1. Reading rows against multiplying with one-hot vectors, there and back: how do both grow with the vocabulary?
# 2. The way back, for 8,192 tokens: how far are the plain loop, `np.add.at`, and sorting apart?
# 3. A batch uses few of the rows. What about the rest of a training step?

# %%
from tinytorch.setup import measure, readable_bytes

rng = np.random.default_rng(1)
print("vocabulary      one-hot       lookup    times as fast    one-hot vectors")
for size in (64, 512, 4096):
    tokens, weight, gradient = rng.integers(0, size, 1024), rng.normal(size=(size, 64)).astype(np.float32), np.ones((1024, 64), dtype=np.float32)

    def by_product():
        switches = one_hot(tokens, size)
        return switches @ weight, switches.T @ gradient

    def by_lookup():
        return weight[tokens], add_rows(gradient, tokens, size)

    slow, fast = measure(by_product, repeat=5), measure(by_lookup, repeat=9)
    print(f"{size:10,} {slow * 1e3:9.2f} ms {fast * 1e3:9.2f} ms {slow / fast:13.0f} × {readable_bytes(1024 * size * 4):>18}")

# %%
def add_one_by_one(rows, tokens, count):
    total = np.zeros((count, rows.shape[1]), dtype=rows.dtype)
    for token, row in zip(tokens, rows):
        total[token] += row
    return total


def add_at(rows, tokens, count):
    total = np.zeros((count, rows.shape[1]), dtype=rows.dtype)
    np.add.at(total, tokens, rows)
    return total


for width in (4, 64):
    tokens, rows = rng.integers(0, 74, 8192), rng.normal(size=(8192, width)).astype(np.float32)
    times = [measure(function, rows, tokens, 74, repeat=3) * 1e3 for function in (add_one_by_one, add_at, add_rows)]
    print("8,192 rows of {:2} numbers: loop {:6.2f} ms    np.add.at {:6.2f} ms    sort and add {:6.2f} ms".format(width, *times))

# %%
layer = Embedding(20_000, 64, seed=1)
optimizer, tokens = AdamW(layer.parameters()), Tensor(rng.integers(0, 20_000, size=(8, 64)))
forward = measure(layer, tokens, repeat=5)
both = measure(lambda: layer(tokens).sum().backward(), repeat=5)
step = measure(optimizer.step, repeat=3)
layer.zero_grad()
layer(tokens).sum().backward()
used = layer.weight.grad.any(axis=1).mean()
print(f"a table of 20,000 × 64: {readable_bytes(layer.weight.data.nbytes)}, and as much for its gradient, and twice as much for Adam")
print(f"rows with a gradient: {used:.1%}")
print(f"forward {forward * 1e3:.2f} ms    forward and backward {both * 1e3:.2f} ms    the optimizer's step {step * 1e3:.2f} ms")

# %% [markdown]
# Reading costs almost nothing, however large the table is. But the gradient is as large as the table, mostly zeros, and the optimizer visits every row. (Libraries for
# huge tables therefore keep gradients *sparse*: only the rows used, with their numbers.)
#
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. A token that never occurs in training has a gradient of 0 in every step. Does its row stay where it is, with plain SGD? With AdamW? And a token that occurred in
#    the first step, and never again?
# 2. With `LearnedPositionalEmbedding(256, …)`, all your texts have at most 100 tokens. What will position 200 say, when the first long text comes? What would the waves say?
# 3. Text from a thousand places in the internet goes in, and words that are used alike end up near each other. Which of people's habits will one find in such a
#    map that one would rather not?
#
# **Behind the next door.** Every token has a place now, and knows where it stands. But "bank" has one and the same row by the river and in the city. What it means is
# decided by the words around it, perhaps by one that stands far away. So the places must be able to *look at each other*, and to choose at whom. That is module 13.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

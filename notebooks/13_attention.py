# %% [markdown]
# # 13 · Attention
#
# **A word's meaning depends on the words around it. Which ones should it look at?**
#
# Each token of yours has a place in a space of meaning now, a row of a table. But a table gives "bank" the *same* row in "the bank of the
# river" and in "the bank gave me a loan". The words around it would tell the two apart. How can they be taken in?
#
# The simplest way is the mean of all the words' rows. Run the second cell. For the mean, a dog that bites a man is a man who bites a dog;
# and the more words there are, the less is left of the one that matters. A convolution would look at the neighbours, with weights that
# depend on *how far away* they are. But what matters may stand next door, or forty words back. It depends on the text.
#
# So let the words **choose**. Each word asks a question, each word offers an answer, and where question and offer fit, it looks. Nobody
# tells it where. How well they fit is a product of vectors, the choice is a softmax, and both have gradients: so it can be *learned*. This
# is **attention**.
#
# ```text
#                     the    bank   gave   me     a      loan
#      "bank" looks    ·      ▒      ░      ·      ·      █          how much: the weights, together 1
#                      │      │      │      │      │      │
#                      v₁     v₂     v₃     v₄     v₅     v₆         what there is to see: the values
#                      └──────┴──────┴──┬───┴──────┴──────┘
#                                       ▼
#                          a new vector for "bank", mixed of them
# ```
#
# ```text
#     14 transformers
#   ▶ 13 attention       you are here: causal_mask, scaled_dot_product_attention, MultiHeadAttention, KVCache
#     12 embeddings      a place for every token, and for every position
#     11 tokenization    pad_sequences
#     10 dataloader   09 spatial   08 training
#     07 autograd        rule, gradcheck, no_grad
#     06 optimizers      Adam
#     05 losses          CrossEntropyLoss
#     04 layers          Module, Linear
#     03 activations     softmax
#     02 tensor          Tensor, operation, matmul, permute, concatenate
#     01 setup           measure
# ```
#
# Eight exercises. They are short, and most of the work is in the shapes: write them beside your lines, as we do.

# %%
# %load_ext tinytorch_core

# %%
import numpy as np
from tinytorch.tensor import Tensor, randn

words = ["a", "bank", "bites", "dog", "loan", "man", "of", "river"]
table = randn(len(words), 64, seed=1).data  # a row of 64 numbers for each word


def rows(sentence):
    return table[[words.index(word) for word in sentence.split()]]


def gap(a, b):
    """The largest difference between two arrays."""
    return np.abs(a - b).max()


print(f"bank by a river, bank with a loan: their rows differ by {gap(rows('a bank of a river')[1], rows('a loan of a bank')[4]):.4f}")
print(f"dog bites man, man bites dog: their means differ by {gap(rows('dog bites man').mean(axis=0), rows('man bites dog').mean(axis=0)):.4f}")
for n in (1, 4, 16, 64, 256):
    text = randn(n, 64, seed=2).data
    mean = text.mean(axis=0)
    alike = text @ mean / np.linalg.norm(text, axis=1) / np.linalg.norm(mean)  # 1: the same direction, 0: nothing in common
    print(f"the mean of {n:3} words is like each of them by {alike.mean():.2f}")

# %% tags=["given:attention-imports"]
#| export
"""Attention: every position looks at the others and mixes what it sees. Masks say where it may look, a cache remembers what was seen."""

import math

import numpy as np

from tinytorch.autograd import rule
from tinytorch.layers import Linear, Module
from tinytorch.tensor import Tensor, concatenate, operation

# %% [markdown]
# ## 1 · A dictionary that is not sure
#
# `{"dog": "barks", "cat": "purrs"}["dog"]` compares the **query** "dog" with every **key**, and gives you the **value** of the one that is
# equal. Attention does the same with vectors, only softly. No key is ever quite equal to the query; so it asks *how well each of them
# fits*, and returns a mixture of all values, with more of those whose keys fit better.
#
# 1. **Scores.** The product of query and key is large where they point the same way: $s_j = q \cdot k_j$.
# 2. **Scaled.** Divide by $\sqrt d$, where d is the number of components of the query. You will see in a moment what for.
# 3. **Weights.** A softmax makes of the scores numbers that are positive and together 1.
# 4. **Mixed.** Add up the values, each times its weight.
#
# $$w = \mathrm{softmax}\!\left(\frac{K q}{\sqrt d}\right) \qquad\qquad \text{output} = \sum_j w_j\, v_j$$
#
# **By hand,** with d = 4 and three entries:
#
# | | key | value | score, with q = `[2, 0, 0, 2]` | / √4 | weight |
# |---|---|---|---|---|---|
# | first | `[1, 0, 0, 1]` | 10 | 4 | 2 | 0.665 |
# | second | `[0, 1, 1, 0]` | 20 | 0 | 0 | 0.090 |
# | third | `[1, 0, 0, 0]` | 30 | 2 | 1 | 0.245 |
#
# The output: 0.665 · 10 + 0.090 · 20 + 0.245 · 30 = 15.8. Mostly the first, which fits best, with a good deal of the third.
#
# Write it for *one* query, on plain arrays, straight from these four steps. Mind what you know of softmax: subtract the largest score
# first. (`math.sqrt` gives a Python number, which leaves the dtype of an array alone; `np.sqrt(4)` is an `np.float64`, which does not.)
# Later you use it, in float64, to see whether the fast version is right.

# %% tags=["exercise:attend"]
#| export
def attend(query, keys, values):
    """One query looks at all keys: the mixed values, and the weights. Straight from the definition, kept to compare with.

    query: array (d,); keys: array (T, d); values: array (T, m). Returns a pair of arrays, (m,) and (T,), of the inputs' dtype.
    Never overflows.

    attend(np.array([2.0, 0, 0, 2]), np.array([[1.0, 0, 0, 1], [0, 1, 1, 0], [1, 0, 0, 0]]), np.array([[10.0], [20], [30]]))
        →  (array([15.797]), array([0.665, 0.09 , 0.245]))
    """
    ### BEGIN SOLUTION
    scores = keys @ query / math.sqrt(len(query))  # (T,)
    exponentials = np.exp(scores - scores.max())
    weights = exponentials / exponentials.sum()
    return weights @ values, weights
    ### END SOLUTION

# %%
# %check attend

# %% [markdown]
# **What is the root for?** A product of two vectors with d random components is a sum of d random numbers, and grows like $\sqrt d$ (module
# 04 has met that, too). Large scores make a softmax that is *sure*: nearly everything goes to one key. In the beginning, when nothing has
# been learned, there is no reason to be sure; and a softmax that is sure has hardly any slope left to learn from. See for yourself, with 16
# random keys: how large is the largest of the 16 weights, and how large are the slopes $w\,(1 - w)$, on average?

# %%
rng = np.random.default_rng(1)
for d in (4, 64, 1024):
    found = {"plain": [], "scaled": []}
    for _ in range(50):
        query, keys = rng.normal(size=d), rng.normal(size=(16, d))
        for name, factor in (("plain", math.sqrt(d)), ("scaled", 1)):  # times √d takes the root out again
            _, weights = attend(factor * query, keys, keys)
            found[name].append((weights.max(), (weights * (1 - weights)).mean()))
    means = {name: np.mean(pairs, axis=0) for name, pairs in found.items()}
    said = "     ".join(f"{name}: largest weight {largest:.2f}, slopes {slope:.4f}" for name, (largest, slope) in means.items())
    print(f"d = {d:4}     {said}")

# %% [markdown]
# ## 2 · Who may look where
#
# Not everything may be looked at. Two cases matter.
#
# **The future.** A network that learns to write is asked at *every* position: what comes next? It is a cheap trick to look at the next word
# and say it; and when it writes by itself, there is nothing there to look at. So position i may see the positions 0 … i, itself included,
# and none after it. That is called **causal**.
#
# **Padding.** Texts of a batch have different lengths, and `pad_sequences` has filled them up. Nobody should look at the filling.
#
# A **mask** is a tensor of True and False, one row for each query, one column for each key. **True means: may look.** For all masks, from
# here on.
#
# **By hand.**
#
# ```text
#      causal_mask(4)                       padding_mask([2, 3], 4)
#
#         key  0  1  2  3                      key  0  1  2  3
#      query 0 ✓  ·  ·  ·                   text 0  ✓  ✓  ·  ·       for every query of this text
#            1 ✓  ✓  ·  ·                        1  ✓  ✓  ✓  ·
#            2 ✓  ✓  ✓  ·
#            3 ✓  ✓  ✓  ✓                   shape (2, 1, 1, 4)
#      shape (4, 4)
# ```
#
# Why (2, 1, 1, 4)? A mask broadcasts to the shape of all weights, which in this module will be (batch, heads, queries, keys). A causal
# mask is the same for every text and every head: (4, 4) broadcasts. A padding mask is different for each *text*, and the same for all heads
# and all queries: axes of size 1 say so. And both together are `causal_mask(4) * padding_mask([2, 3], 4)`: between True and False, times
# means *and*.
#
# Both are one comparison of positions, `np.arange(n)`, with something that stands upright. You have seen it in module 02: a column meets a
# row, and a table comes out. (Give `Tensor` that table, an *array* of booleans, and it stays one. Of a Python list, even of True and False,
# it makes float32.)

# %% tags=["exercise:attention-masks"]
#| export
def causal_mask(length):
    """Position i may look at positions 0 … i: a boolean Tensor (length, length), True where query (row) may look at key (column).

    causal_mask(3)  →  Tensor([[ True, False, False], [ True,  True, False], [ True,  True,  True]], dtype=bool)
    """
    ### BEGIN SOLUTION
    positions = np.arange(length)
    return Tensor(positions[:, None] >= positions)
    ### END SOLUTION


def padding_mask(lengths, max_len):
    """Nobody may look at padding: a boolean Tensor (B, 1, 1, max_len), True at the first lengths[b] positions of text b.

    lengths: a list of B numbers. A text longer than max_len has been cut, so all its positions are real.

    padding_mask([1, 3], 3)  →  Tensor([[[[ True, False, False]]], [[[ True,  True,  True]]]], dtype=bool)
    """
    ### BEGIN SOLUTION
    return Tensor(np.arange(max_len) < np.reshape(lengths, (-1, 1, 1, 1)))
    ### END SOLUTION

# %%
# %check attention-masks

# %% [markdown]
# ## 3 · A softmax that does not look
#
# The weights of hidden keys should be exactly 0, and those of the others together 1: as if the hidden ones *were not there*. Three ways
# that look right at first are wrong:
#
# | way | what goes wrong |
# |---|---|
# | softmax of everything, then zeros in the hidden places | the rest is no longer 1 together, and how much is missing tells of the future |
# | scores 0 in the hidden places, then softmax | $e^0 = 1$: they are looked at, and quite a lot |
# | subtract the largest score of *all*, hidden ones included | one hidden score of 1000, and all that may be seen rounds to 0: 0 / 0 |
#
# What works: put **−∞** in the hidden places *first*, and then do everything else. The largest score is then one that may be seen, and
# $e^{-\infty}$ is exactly 0.
#
# **By hand.** Scores `[1, 2, 9]`, and the mask hides the 9. `[1, 2, −∞]`; minus the largest, which is 2: `[−1, 0, −∞]`; exponentials
# `[0.368, 1, 0]`, their sum 1.368; weights `[0.269, 0.731, 0]`.
#
# **Nothing to see.** With padding there can be a query that may look at nothing at all. All its scores are −∞, so is the largest,
# and $-\infty - (-\infty)$ is `nan`, which spreads through the whole network. We want: all weights 0, it sees nothing. Two small moves do it, both on the
# numbers that are one a row:
#
# - put `np.maximum(largest, -1e38)` in place of the largest. No score that means something is as low as that, so only −∞ is replaced. Then the
#   differences stay −∞, and the exponentials are 0.
# - divide by `np.maximum(total, 1)`. The largest visible score gives $e^0 = 1$, so the total of any other row is at least 1 and stays
#   what it is; here it is 0, and 0 / 1 is 0.
#
# Inside the operation, scores and mask are plain arrays, as always (the door unwraps the mask, too). `np.where(mask, scores, -np.inf)`
# hides, and keeps float32, since −∞ is a Python number. There is a faster way: −∞ plus anything is −∞, and a mask is much smaller than the scores of a
# whole batch. So make numbers of the *mask*, 0 and −∞, with `np.where(mask, 0, -np.inf).astype(np.float32)`, and add them to the scores.
#
# **The way back** is softmax's, from module 07, with the weights in `kept`, along the last axis:
#
# $$\bar s = w \cdot \Big(\bar w - \sum_j \bar w_j\, w_j\Big)$$
#
# Does the mask change anything in it? Where it hides, w is 0, and so is the gradient. It needs no extra line. **By hand:** w = `[0.25,
# 0.75, 0]` and w̄ = `[8, 4, 100]`: the sum is 2 + 3 + 0 = 5, and w · (w̄ − 5) = `[0.75, −0.75, 0]`. Nothing of the 100 has got through.
#
# The mask itself has no gradient, so return the scores' gradient alone: with one input that can want one, an array will do.

# %% tags=["exercise:masked-softmax"]
#| export
@operation
def masked_softmax(scores, mask=None):
    """Softmax over the last axis, where only True places of the mask are looked at. Never overflows.

    scores: (…, T); mask: booleans that broadcast to the shape of scores, or None: everything is seen. Output: as scores, exactly 0
    where the mask hides, and together 1 in each row; all 0 in a row where nothing may be seen.

    masked_softmax(Tensor([1, 2, 9]), Tensor(np.array([True, True, False])))  →  Tensor([0.2689, 0.7311, 0.    ])
    """
    ### BEGIN SOLUTION
    if mask is not None:
        scores = scores + np.where(mask, 0, -np.inf).astype(np.float32)
    largest = scores.max(axis=-1, keepdims=True)
    exponentials = np.exp(scores - np.maximum(largest, -1e38))
    total = exponentials.sum(axis=-1, keepdims=True)
    return exponentials / np.maximum(total, 1)
    ### END SOLUTION


@rule(masked_softmax)
def masked_softmax_backward(gradient, kept, scores, mask=None):
    """The way back of masked_softmax, with kept = the weights: the scores' gradient, an array of their shape.

    gradient [8, 4, 100], kept [0.25, 0.75, 0]  →  [0.75, -0.75, 0]
    """
    ### BEGIN SOLUTION
    return kept * (gradient - np.vecdot(gradient, kept)[..., None])
    ### END SOLUTION

# %%
# %check masked-softmax

# %% [markdown]
# ## 4 · Everybody asks at once
#
# Now for all queries together, and for whole batches: loops are for definitions. Lay the queries out as the rows of Q (T_query, d), the
# keys as the rows of K (T_key, d). Then all scores are *one* product, and so are all mixtures:
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{Q K^{\mathsf T}}{\sqrt d}\right) V$$
#
# ```text
#         Q             Kᵀ                 weights                  V              output
#      (Tq, d)   @   (d, Tk)    ──▶      (Tq, Tk)         @      (Tk, m)   ──▶    (Tq, m)
#                                  / √d, mask, softmax
#                                  row i: where i looks
# ```
#
# All three may have leading axes, as with every product (module 02): they are batches. So K is transposed in its last two axes only,
# which is what `.T` of a tensor does.
#
# **By hand.** Two queries, `[2, 0, 0, 2]` from above and `[0, 0, 0, 0]`, and the keys and values from above. The first row of the
# output is 15.8. The second query fits all keys equally: weights 1/3, and the output is the mean, 20. With the mask `[[True, False,
# False], [True, True, False]]` the first row sees only the first value, 10, and the second row the mean of two, 15.
#
# (It does not matter whether you divide the scores by √d, or the queries before the product. Which is less work? How many numbers are
# there in each?)
#
# `check_attention` is given. It raises an error where shapes don't fit, and it is strict about one thing: a mask must not be *larger*
# than the scores. Otherwise a mask (4, 4) for one query would, by broadcasting, silently make four answers of it.

# %% tags=["given:attention-shapes"]
#| export
def check_attention(q, k, mask=None, v=None):
    """ValueError, with the shapes, unless q (…, Tq, d), k (…, Tk, d), v (…, Tk, m) and mask fit; TypeError unless mask is boolean."""
    if q.ndim < 2 or k.ndim < 2 or q.shape[-1] != k.shape[-1]:
        raise ValueError(f"queries (…, T_query, d) and keys (…, T_key, d) were expected, not {q.shape} and {k.shape}")
    if v is not None and (v.ndim < 2 or v.shape[-2] != k.shape[-2]):
        raise ValueError(f"there must be one value for each key: keys have shape {k.shape}, values {v.shape}")
    if mask is not None:
        batch = q.shape[:-2] if q.shape[:-2] == k.shape[:-2] else np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        scores = (*batch, q.shape[-2], k.shape[-2])
        if mask.dtype != np.bool_:
            raise TypeError(f"a mask is made of True (may look) and False, and this one is {mask.dtype}")
        if mask.ndim > len(scores) or any(m not in (1, n) for m, n in zip(mask.shape[::-1], scores[::-1])):
            raise ValueError(f"a mask of shape {mask.shape} does not broadcast to the scores, which have shape {scores}")

# %% tags=["exercise:scaled-dot-product"]
#| export
def attention_weights(q, k, mask=None):
    """Where each query looks: softmax(q kᵀ / √d), with the mask.

    q: Tensor (…, T_query, d); k: Tensor (…, T_key, d); mask: boolean Tensor, True = may look, broadcasts to the output, or None.
    Output: (…, T_query, T_key), every row together 1 (or all 0, where nothing may be seen).

    attention_weights(Tensor([[0, 0]]), Tensor([[1, 2], [3, 4]]))  →  Tensor([[0.5, 0.5]])
    """
    check_attention(q, k, mask)
    ### BEGIN SOLUTION
    scores = q * (1 / math.sqrt(q.shape[-1])) @ k.T  # (…, Tq, Tk)
    return masked_softmax(scores, mask)
    ### END SOLUTION


def scaled_dot_product_attention(q, k, v, mask=None):
    """Every query looks at all keys it may see, and mixes their values. (Vaswani et al., 2017.)

    q, k, mask: as above; v: Tensor (…, T_key, m). Output: (…, T_query, m).

    scaled_dot_product_attention(Tensor([[0, 0]]), Tensor([[1, 2], [3, 4]]), Tensor([[10], [30]]))  →  Tensor([[20.]])
    """
    check_attention(q, k, mask, v)
    ### BEGIN SOLUTION
    return attention_weights(q, k, mask) @ v
    ### END SOLUTION

# %%
# %check scaled-dot-product

# %% [markdown]
# Is it right? Against your own `attend`, in float64, query by query, in every text of a batch; and how much faster is it?

# %%
from tinytorch.autograd import gradcheck
from tinytorch.setup import measure

q, k, v = randn(8, 64, 16, seed=1), randn(8, 64, 16, seed=2), randn(8, 64, 16, seed=3)


def one_by_one(q, k, v):
    return np.stack([[attend(query, keys, values)[0] for query in queries] for queries, keys, values in zip(q, k, v)])


reference = one_by_one(*(x.data.astype(np.float64) for x in (q, k, v)))
print(f"largest difference from float64: {np.abs(scaled_dot_product_attention(q, k, v).data - reference).max():.1e}")
slow, fast = measure(one_by_one, q.data, k.data, v.data, repeat=1), measure(scaled_dot_product_attention, q, k, v, repeat=9)
print(f"one by one {slow * 1e3:.1f} ms, all at once {fast * 1e3:.2f} ms, {slow / fast:.0f} times faster")
small = [x[0, :5] for x in (q, k, v)]
print("its gradients are as measured:", gradcheck(lambda q, k, v: scaled_dot_product_attention(q, k, v, causal_mask(5)), small))

# %% [markdown]
# ## 5 · Several heads
#
# A query has one softmax, and so it looks in one direction at a time. But "bank" would like to know who *gave*, and what it was *of*, and
# which word stands *before* it. So let it look several times at once, each time in another part of its vector: **heads**.
#
# With an embedding of C = 64 numbers and H = 4 heads, head 0 takes the numbers 0 to 15, head 1 those from 16 to 31, and so on. Each works
# with d = 16. Together they do as much work as one head with 64.
#
# No loop over heads is needed. A head is one more *batch axis*:
#
# ```text
#      (B, T, C)       reshape        (B, T, H, d)       exchange axes 1 and 2       (B, H, T, d)
#                                     C = H · d: in reading order                    products work on the last two
# ```
#
# **By hand.** One text of two positions, C = 4, H = 2:
#
# ```text
#      position 0    1  2 │ 3  4                   head 0    1  2     position 0
#      position 1    5  6 │ 7  8                             5  6     position 1
#                 head 0   head 1        ──▶
#                                                  head 1    3  4
#      (1, 2, 4)                                             7  8           (1, 2, 2, 2)
# ```
#
# **The trap:** reshape at once to (B, H, T, d), and the shape is right, and everything is wrong. A reshape keeps the reading order, so
# head 0 would get *all* of position 0. Nothing crashes; but positions are mixed up, and a
# mask no longer hides what it should.
#
# And back again, in the opposite order: exchange first, then `reshape`.

# %% tags=["exercise:heads"]
#| export
def split_heads(x, num_heads):
    """Each head gets its part of every position: a Tensor (B, T, C) becomes (B, num_heads, T, C // num_heads).

    split_heads(Tensor([[[1, 2, 3, 4], [5, 6, 7, 8]]]), 2)  →  Tensor([[[[1., 2.], [5., 6.]], [[3., 4.], [7., 8.]]]])
    """
    ### BEGIN SOLUTION
    b, t, c = x.shape
    return x.reshape(b, t, num_heads, c // num_heads).transpose(1, 2)  # (B, H, T, d)
    ### END SOLUTION


def merge_heads(x):
    """The way back from split_heads: a Tensor (B, H, T, d) becomes (B, T, H·d).

    merge_heads(split_heads(x, 2))  →  x
    """
    ### BEGIN SOLUTION
    b, h, t, d = x.shape
    return x.transpose(1, 2).reshape(b, t, h * d)
    ### END SOLUTION

# %%
# %check heads

# %% [markdown]
# ## 6 · The layer
#
# Where do queries, keys and values come from? From the same x, by three `Linear` layers. That is the point of it all: *what* a position
# asks, *what* it offers, and *what* it tells are learned, each by weights of its own. A fourth `Linear` mixes what the heads have found.
#
# ```text
#                 ┌── q_proj ──▶ split ──▶ q ──┐
#      x  ────────┼── k_proj ──▶ split ──▶ k ──┼──▶ scaled_dot_product_attention ──▶ merge ──▶ out_proj ──▶ output
#   (B, T, C)     └── v_proj ──▶ split ──▶ v ──┘              (B, H, T, d)                                 (B, T, C)
# ```
#
# It is **self**-attention: x looks at x. All four are `Linear(embed_dim, embed_dim)`, with bias. C must be divisible by H, or the numbers
# can't be dealt out: ValueError, in the constructor, where one can still see why.
#
# **How many parameters?** 4 · (C² + C), however long the text is and however many heads there are. For C = 64: 16,640.
#
# **The seed.** As with `Linear`, the constructor takes a `seed`, an int or a Generator. Beware of giving the same int to all four layers:
# then queries would *equal* keys. Make one generator, `np.random.default_rng(seed)`, and hand it to all of them, in the order q, k, v,
# out.
#
# There are two places to write in `forward`. Call what you make in the first of them q, k and v. The two lines in between are given, and
# use these names; they are for exercise 7, and without a cache nothing happens there.

# %% tags=["exercise:multi-head-attention"]
#| export
class MultiHeadAttention(Module):
    """Every position of x looks at the others, with num_heads heads at once. (Vaswani et al., 2017.)

    q_proj, k_proj, v_proj, out_proj: Linear(embed_dim, embed_dim), with bias. seed: an int, or a NumPy Generator to draw from.
    ValueError if embed_dim is not divisible by num_heads.

    MultiHeadAttention(64, 4)(x) for x of shape (8, 32, 64)  →  shape (8, 32, 64)
    """

    def __init__(self, embed_dim, num_heads, seed=None):
        self.embed_dim, self.num_heads = embed_dim, num_heads
        if num_heads < 1:
            raise ValueError(f"at least one head has to look, not {num_heads}")
        ### BEGIN SOLUTION
        if embed_dim % num_heads != 0:
            raise ValueError(f"{embed_dim} numbers can't be dealt out evenly to {num_heads} heads")
        rng = np.random.default_rng(seed)
        self.q_proj = Linear(embed_dim, embed_dim, seed=rng)
        self.k_proj = Linear(embed_dim, embed_dim, seed=rng)
        self.v_proj = Linear(embed_dim, embed_dim, seed=rng)
        self.out_proj = Linear(embed_dim, embed_dim, seed=rng)
        ### END SOLUTION

    def forward(self, x, mask=None, cache=None):
        """x: Tensor (B, T, C); mask: boolean, True = may look, broadcasts to (B, H, T, T), or None: everything is seen.

        cache: None, or a KVCache, which is given the keys and values of x, and gives those of all positions so far; the mask then
        broadcasts to (B, H, T, all positions). Output: (B, T, C).
        """
        if x.ndim != 3 or x.shape[2] != self.embed_dim:
            raise ValueError(f"this layer is for x of shape (B, T, {self.embed_dim}), not {x.shape}")
        ### BEGIN SOLUTION
        q = split_heads(self.q_proj(x), self.num_heads)  # (B, H, T, d)
        k = split_heads(self.k_proj(x), self.num_heads)
        v = split_heads(self.v_proj(x), self.num_heads)
        ### END SOLUTION
        if cache is not None:
            k, v = cache.append(k, v)
        ### BEGIN SOLUTION
        mixed = scaled_dot_product_attention(q, k, v, mask)
        return self.out_proj(merge_heads(mixed))  # (B, T, C)
        ### END SOLUTION

    def __repr__(self):
        return f"MultiHeadAttention({self.embed_dim}, {self.num_heads})"

# %%
# %check multi-head-attention

# %% [markdown]
# Two things to try with a fresh layer. First, shuffle the positions: the outputs are shuffled in the same way, and otherwise equal.
# Attention sees a *set*; it knows nothing of before and after. That is why there are positional embeddings. Second, change the last
# position: who notices, with a causal mask and without?

# %%
layer, x, order = MultiHeadAttention(16, 4, seed=1), randn(1, 6, 16, seed=2), [3, 0, 5, 1, 4, 2]
print("shuffled first or last, the outputs differ by", gap(layer(x[:, order]).data, layer(x).data[:, order]))

changed = Tensor(x.data + 9 * (np.arange(6) == 5)[:, None], dtype=np.float32)
for name, mask in (("no mask    ", None), ("causal mask", causal_mask(6))):
    notices = np.abs(layer(changed, mask).data - layer(x, mask).data).max(axis=(0, 2)) > 0
    print(f"{name}   who notices that position 5 has changed: {np.flatnonzero(notices)}")

# %% [markdown]
# ## 7 · What has been seen need not be seen again
#
# A causal network writes one token at a time: it reads the text, says what comes next, appends that, and reads the text again, one
# longer. Position 17 is worked out anew in every step. Does it come out any different? By the mask, it sees only positions 0 to 17, and
# those have not changed. So its key and its value are **the same numbers every time**, and it would be enough to compute them once and
# keep them.
#
# What does a new position need? Its own query, key and value, and the keys and values of all before it. Not their queries: those have
# been answered.
#
# ```text
#      step 4                   cache: keys (and values) of 0 … 3
#                               ┌────┬────┬────┬────┐
#      x₄ ── k_proj ── k₄       │ k₀ │ k₁ │ k₂ │ k₃ │  +  k₄       appended: five keys
#      x₄ ── q_proj ── q₄  ───▶ └────┴────┴────┴────┘              one query looks at five keys: weights (1, 5)
# ```
#
# This is the **KV cache**, and every program that chats with you has one. `append` takes the new keys and values, both (B, H, T, d), puts
# them after those it holds, along the axis of positions (the last but one), and returns *all* of them. In the beginning it holds nothing,
# and its length is 0; afterwards its length is the number of positions that it holds.
#
# **By hand.** The cache is empty; `append` of keys (1, 4, 3, 16) returns them as they are, and the length is 3. `append` of keys (1, 4,
# 1, 16) returns keys (1, 4, 4, 16), and the length is 4.
#
# Use the tensors' own `concatenate`, and gradients find their way through the cache, too.
#
# (A trap in Python: an object whose length is 0 counts as False. `if cache:` would overlook an empty cache. Ask
# `if cache is not None`, as the given lines in `forward` do.)

# %% tags=["exercise:kv-cache"]
#| export
class KVCache:
    """Keys and values of the positions that one attention layer has seen. A new one is empty; each layer and each text needs its own.

    keys, values: Tensors (B, H, positions, d), or None while it is empty. len(cache) is the number of positions. What append has
    returned is never changed later, and gradients reach every piece that was appended.
    """

    def __init__(self):
        self.keys = self.values = None

    def append(self, keys, values):
        """Put the keys and values of T more positions, Tensors (B, H, T, d), after those held; returns all keys and all values.

        cache = KVCache();  cache.append(k, v)[0].shape  →  (1, 4, 3, 16);  len(cache)  →  3    for k, v of shape (1, 4, 3, 16)
        """
        ### BEGIN SOLUTION
        if self.keys is not None:
            keys = concatenate([self.keys, keys], axis=2)
            values = concatenate([self.values, values], axis=2)
        self.keys, self.values = keys, values
        return keys, values
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION
        return 0 if self.keys is None else self.keys.shape[2]
        ### END SOLUTION

# %%
# %check kv-cache

# %% [markdown]
# ## 8 · Piece by piece
#
# Now feed a text through a causal layer in pieces: first a few positions, then the next few. With a piece of one position it is how a
# text is written; with larger pieces, how a long question is read. What comes out must be what comes out at once.
#
# Only the mask needs a thought. A piece of T positions that begins where `held` are in the cache has T queries and held + T keys. Which
# rows of the causal mask are theirs? **The last T rows of `causal_mask(held + T)`.** **By hand,** with 3 held and a piece of 2:
#
# ```text
#                     held      piece
#         key        0  1  2  │  3  4
#      query 0       ✓  ·  ·  │  ·  ·
#            1       ✓  ✓  ·  │  ·  ·        these three were asked before
#            2       ✓  ✓  ✓  │  ·  ·
#            ─────────────────┼───────
#            3       ✓  ✓  ✓  │  ✓  ·        the mask of this piece: (2, 5)
#            4       ✓  ✓  ✓  │  ✓  ✓
# ```
#
# For a piece of one position, the last row is True throughout. `held` is the length *before* the piece: take it before you call the
# layer, because the layer appends.

# %% tags=["exercise:decode-in-chunks"]
#| export
def decode_in_chunks(attention, x, chunk=1):
    """Sends x through a causal attention layer, `chunk` positions at a time, with a new KVCache.

    attention: called as attention(piece, mask, cache), as a MultiHeadAttention is; x: Tensor (B, T, C) with T ≥ 1; chunk ≥ 1.
    The last piece may be shorter than the others.
    Returns the outputs of all pieces, one after the other: (B, T, C), the same as attention(x, causal_mask(T)).
    """
    ### BEGIN SOLUTION
    cache, outputs = KVCache(), []
    for start in range(0, x.shape[1], chunk):
        piece, held = x[:, start : start + chunk], len(cache)
        mask = causal_mask(held + piece.shape[1])[held:]
        outputs.append(attention(piece, mask, cache))
    return concatenate(outputs, axis=1)
    ### END SOLUTION

# %%
# %check decode-in-chunks

# %%
layer, x = MultiHeadAttention(64, 4, seed=1), randn(2, 40, 64, seed=2)
whole = layer(x, causal_mask(40))
for chunk in (1, 7, 16, 40):
    pieces = decode_in_chunks(layer, x, chunk)
    print(f"pieces of {chunk:2}: the outputs differ from those at once by at most {gap(whole.data, pieces.data):.1e}")

# %% [markdown]
# ## See it: a telephone book
#
# Where does attention look, once it has learned? Here is a task that is made for it. The network reads a telephone
# book with five names, in any order, each with a number that is different in every book. Then it is asked: *Ben?* No weight can know Ben's
# number. It stands in the book, somewhere, and has to be **looked up**.
#
# Each position is a row of 16 zeros and ones: five for the name, ten for the number (all zero in a question), and one that says "I am a
# question". The model is one attention layer between two `Linear` layers. Nobody tells it how one looks something up.

# %%
from tinytorch.autograd import no_grad
from tinytorch.losses import CrossEntropyLoss
from tinytorch.optimizers import Adam
from tinytorch.training import accuracy

NAMES = ["Ada", "Ben", "Cleo", "Dan", "Eva"]


def books(count, rng):
    """Telephone books (count, 8, 16), five entries and three questions each; the right answers (count, 3); and what they say in words."""
    entries = np.argsort(rng.random((count, 5)), axis=1)  # the names, in a random order
    asked = np.argsort(rng.random((count, 5)), axis=1)[:, :3]
    numbers = rng.integers(0, 10, size=(count, 5))  # of each name
    names = np.concatenate([entries, asked], axis=1)
    x = np.zeros((count, 8, 16), dtype=np.float32)
    x[..., :5] = np.eye(5)[names]
    x[:, :5, 5:15] = np.eye(10)[np.take_along_axis(numbers, entries, axis=1)]
    x[:, 5:, 15] = 1
    said = [[f"{NAMES[n]} {book[n]}" for n in row[:5]] + [f"{NAMES[n]}?" for n in row[5:]] for row, book in zip(names, numbers)]
    return Tensor(x), Tensor(np.take_along_axis(numbers, asked, axis=1)), said


class Clerk(Module):
    """Reads a book and answers the questions."""

    def __init__(self, num_heads, seed):
        rng = np.random.default_rng(seed)
        self.read = Linear(16, 32, seed=rng)
        self.attention = MultiHeadAttention(32, num_heads, seed=rng)
        self.say = Linear(32, 10, seed=rng)

    def forward(self, x):
        return self.say(self.attention(self.read(x))[:, 5:])  # (B, 3, 10), logits for the three questions


def weights_of(layer, x, mask=None):
    """Where the heads of an attention layer look: an array (B, H, T, T)."""
    with no_grad():
        q, k = split_heads(layer.q_proj(x), layer.num_heads), split_heads(layer.k_proj(x), layer.num_heads)
        return attention_weights(q, k, mask).data


rng, clerk, loss_fn = np.random.default_rng(1), Clerk(num_heads=2, seed=3), CrossEntropyLoss()
optimizer = Adam(clerk.parameters(), lr=0.01)
new_x, new_answers, new_said = books(200, rng)
looks = {}
for step in range(81):
    if step in (0, 10, 20, 30, 40, 80):
        looks[step] = weights_of(clerk.attention, clerk.read(new_x))
        with no_grad():
            print(f"after {step:2} steps, right in books it has never seen: {accuracy(clerk(new_x), new_answers):.0%}")
    x, answers, _ = books(32, rng)
    optimizer.zero_grad()
    loss_fn(clerk(x), answers).backward()
    optimizer.step()

# %% [markdown]
# Now look at its weights, for one of the new books. Each row is a position, and shows where it looks: the more, the stronger the colour.
# Point at a cell, and it tells its number; point at a row, or go there with the Tab key, and all its numbers appear. What do the three
# questions look at? And what do the *entries* look at, whose outputs nobody has ever used?

# %%
from tinytorch_core.widgets.attention import AttentionMap

AttentionMap(looks[80][0], new_said[0])

# %% [markdown]
# How did it come to that? Move the sliders: the first goes back in time, to the layer that had learned nothing; the second turns to other
# books.

# %%
import ipywidgets


def look(step=80, book=1):
    return AttentionMap(looks[step][book], new_said[book])


ipywidgets.interact(look, step=ipywidgets.SelectionSlider(options=list(looks), value=80), book=(0, 30));

# %% [markdown]
# And a layer that has learned nothing yet, with a causal mask: nobody looks to the right, and the first position has no choice.

# %%
fresh = weights_of(MultiHeadAttention(32, 2, seed=1), randn(1, 7, 32, seed=2), causal_mask(7))
AttentionMap(fresh[0], ["attention", "sees", "all", "that", "came", "before", "it"])

# %% [markdown]
# ## Systems: what does it cost to look at everything?
#
# Every position looks at every other. Three questions:
#
# 1. How do time and memory grow with the length of the text? And those of a `Linear` layer?
# 2. What does the cache gain when a text is written position by position?
# 3. And what does the cache itself cost?

# %%
from tinytorch.setup import readable_bytes

lengths, layer = (64, 128, 256, 512, 1024), MultiHeadAttention(64, 4, seed=1)
print("length     Linear    attention    its weights")
times = {"Linear": [], "attention": []}
with no_grad():
    for length in lengths:
        x, mask = randn(1, length, 64, seed=2), causal_mask(length)
        times["Linear"].append(measure(layer.q_proj, x, repeat=9))
        times["attention"].append(measure(layer, x, mask, repeat=5))
        linear_ms, attention_ms = (times[name][-1] * 1e3 for name in times)
        print(f"{length:6} {linear_ms:7.3f} ms {attention_ms:9.2f} ms {readable_bytes(4 * 4 * length * length):>14}")

# %%
import matplotlib.pyplot as plt

plt.figure(figsize=(4.6, 2.6))
for name, seconds in times.items():
    plt.loglog(lengths, np.multiply(seconds, 1e3), "o-", label=name)
plt.xlabel("length of the text")
plt.ylabel("milliseconds")
plt.xticks(lengths, lengths)
plt.minorticks_off()
plt.grid(alpha=0.3)
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# In such a plot (both axes count in factors) the *slope* tells how something grows. `Linear` treats every position by itself: twice the
# length, twice the time. Attention compares all pairs: at great lengths, twice the length is four times the time, and four times the
# memory for the weights. (And more than four times the time where the weights no longer fit into the processor's cache.) That is why the
# length of what a language model can read has a limit.
#
# Now writing: all positions so far again in every step, or only the new one, with the cache.

# %%
def write_anew(layer, x):
    """Position by position, each time with everything before it."""
    return [layer(x[:, :t], causal_mask(t))[:, -1] for t in range(1, x.shape[1] + 1)]


print("length      anew    with cache    gain    the cache")
with no_grad():
    for length in (32, 64, 128, 256):
        x = randn(1, length, 64, seed=3)
        anew, cached = measure(write_anew, layer, x, repeat=3), measure(decode_in_chunks, layer, x, repeat=3)
        print(f"{length:6} {anew * 1e3:7.1f} ms {cached * 1e3:8.1f} ms {anew / cached:6.1f} × {readable_bytes(2 * x.data.nbytes):>11}")

# %% [markdown]
# The gain grows with the length. It is bought with memory: two vectors for each position, in each layer, for each text that is being
# written. For a large language model, with a hundred layers and vectors of ten thousand numbers, that is megabytes *for every token*, and
# more often than not it is the cache that decides how many people can be answered at once.
#
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. `append` copies everything that the cache holds, in every step. How much is copied, all in all, for n positions? How does a Python
#    list avoid that when it grows?
# 2. A mask of shape (B, T, T), a different one for each text, meets weights of shape (B, H, T, T). With B = 8 texts and H = 4 heads, you
#    get an error. What happens with B = 4 and H = 4? What should the mask's shape have been?
# 3. Take the softmax away: output = (Q Kᵀ) V. Which of the two products would you do first, for a text of 100,000 positions and d = 64?
#    Why is that not possible with softmax? (People are looking for ways around it; it is called *linear attention*.)
#
# **Behind the next door.** The clerk had one layer, and its entries never learned to look at anything. Real text needs look-ups that
# build upon look-ups: many such layers, one upon the other, and something that lets so many of them learn at all. You have every part.
# Module 14 puts them together.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

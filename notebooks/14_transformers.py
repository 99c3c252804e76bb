# %% [markdown]
# # 14 · Transformers
#
# **You have every part. One more arrangement of them changed everything.**
#
# One layer of attention looks things up: for each position one look, and it is over. Language needs looks that build upon looks. Who is "she"? To know, find the last
# woman that was spoken of; to know *that*, find out who is a woman; and so on. So put layer upon layer, twelve of them, or a hundred. Then two new troubles appear.
#
# - **Numbers run away.** Each layer makes its inputs a little larger, or smaller. After a hundred layers they are enormous, or nothing. They need to be brought back to
#   size on the way: a *normalisation*, a relative of BatchNorm.
# - **Gradients get lost.** On the way back through a hundred layers, each with its own mistakes, little arrives at the first. They need a road that leads straight
#   through: a *residual stream*, to which every layer only **adds**.
#
# With these two, and a small network of module 08's kind at each position, you have a **transformer block**. A stack of blocks, with a table of places below
# (module 12) and a Linear above, is a **GPT**. It reads text and says what may come next, and since it does that again and again, it writes.
#
# ```text
#   ▶ 14 transformers    you are here: LayerNorm, FeedForward, TransformerBlock, GPT
#     13 attention       causal_mask, MultiHeadAttention, KVCache
#     12 embeddings      Embedding, LearnedPositionalEmbedding
#     11 tokenization    CharTokenizer
#     10 dataloader      DataLoader
#     08 training        evaluating
#     07 autograd        rule, gradcheck, no_grad
#     06 optimizers      AdamW
#     05 losses          CrossEntropyLoss
#     04 layers          Module, Linear, Sequential, Dropout
#     03 activations     gelu
#     02 tensor          Tensor, operation
#     01 setup           measure
# ```
#
# Eight exercises, and the last one writes.

# %%
# %load_ext tinytorch_core

# %%
import numpy as np
from tinytorch.layers import Linear
from tinytorch.tensor import Tensor, randn

x = randn(4, 64, seed=1)
for depth in range(1, 61):
    x = Linear(64, 64, bias=False, seed=depth)(x)
    if depth in (1, 10, 30, 60):
        print(f"after {depth:2} layers the numbers are about as large as {x.data.std():.1e}")

# %% tags=["given:transformers-imports"]
#| export
"""Transformers: normalised blocks of attention and small networks that add to one stream, and a GPT made of them that writes."""

import functools
import math

import numpy as np

from tinytorch.activations import gelu
from tinytorch.attention import KVCache, MultiHeadAttention, causal_mask
from tinytorch.autograd import rule
from tinytorch.embeddings import Embedding, LearnedPositionalEmbedding
from tinytorch.layers import Dropout, Linear, Module, Parameter, Sequential
from tinytorch.tensor import Tensor, operation
from tinytorch.training import evaluating

# %% [markdown]
# ## 1 · Back to size
#
# BatchNorm measured each channel over the whole batch. For text that is awkward: texts differ in length, and what a network writes must not depend on what other texts
# are in the batch with it. **Layer normalisation** (Ba, Kiros and Hinton, 2016) measures each vector **by itself**: the mean and the variance of its own D numbers.
#
# $$\hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad y_i = \gamma_i\,\hat x_i + \beta_i \qquad\quad \mu, \sigma^2 \text{: mean and variance of } x_1 \dots x_D$$
#
# γ (`weight`) and β (`bias`) have D numbers each and are learned. There is nothing to remember, and training and evaluation are the same. The variance is the plain mean of
# the squared distances (divided by D, not by D − 1).
#
# **By hand.** x = `[1, 3]`, γ = `[1, 1]`, β = `[0, 10]`, ε = 0. The mean is 2, the distances are −1 and 1, the variance is 1. x̂ = `[-1, 1]`, and y = `[-1, 11]`.
#
# You could build it of tensor operations, as you did with BatchNorm: nine of them, each with its notes and its own way back. It is used so often that it shall be **one**
# operation, with one rule. So here x, weight and bias are arrays. The rule will need x̂ and 1 / √(σ² + ε): so keep this pair, by returning `(y, (normal, inverse))`, as an
# operation may since module 02.
#
# `row_means`, which is given, is a trick of the trade. For rows as short as these, NumPy's own `mean` spends most of its time between the rows. A product with a column of
# D numbers 1/D takes the means of all rows in one sweep, several times as fast. Use it or `x.mean(axis=-1, keepdims=True)`; the answer is the same.

# %% tags=["given:row-means"]
#| export
@functools.cache
def means_column(length, dtype):
    """The column (length, 1) of numbers 1 / length. It is made once, and then kept."""
    return np.full((length, 1), 1 / length, dtype=dtype)


def row_means(x):
    """The mean of each row: array (…, D) to array (…, 1). row_means(np.array([[1.0, 3.0]]))  →  array([[2.]])"""
    return x @ means_column(x.shape[-1], x.dtype)

# %% tags=["exercise:layer-norm"]
#| export
@operation
def layer_norm(x, weight, bias, eps=1e-5):
    """Each vector of x with mean 0 and variance 1, times weight, plus bias. (Ba, Kiros, Hinton, 2016.)

    x: array (…, D); weight, bias: arrays (D,). Returns two things: the output, (…, D), and what the way back needs, a pair of arrays:
    normal (…, D), before weight and bias, and inverse (…, 1), which is 1 / √(variance + eps).

    layer_norm(Tensor([1, 3]), Tensor([1, 1]), Tensor([0, 10]), eps=0)  →  Tensor([-1., 11.])
    """
    ### BEGIN SOLUTION
    distance = x - row_means(x)
    inverse = 1 / np.sqrt(row_means(distance * distance) + eps)
    normal = distance * inverse
    return normal * weight + bias, (normal, inverse)
    ### END SOLUTION

# %%
# %check layer-norm

# %%
layer_norm(Tensor([[1, 3], [100, 300]]), Tensor([1, 1]), Tensor([0, 10]))

# %% [markdown]
# ## 2 · The way back
#
# To β and γ it is easy. y = γ · x̂ + β, so β gets the gradient g, and γ gets g · x̂. (They were broadcast over all vectors. You know who sums.)
#
# To x it is not. Raise one number of a vector: it moves, but the mean moves as well, and so does the variance, and with them *all* numbers of the vector. Let
# $h = \gamma \cdot g$ be what arrives at x̂. Then
#
# $$\bar x = \frac{1}{\sqrt{\sigma^2 + \varepsilon}}\;\Bigl(h - \mathrm{mean}(h) - \hat x \cdot \mathrm{mean}(h \cdot \hat x)\Bigr)$$
#
# with means over the D numbers of each vector. Read it as a sentence: *what arrives, without the part that would only have shifted all numbers (normalisation takes any
# shift away), and without the part that would only have stretched them (it takes that away, too).*
#
# **By hand.** The example above: x̂ = `[-1, 1]`, inverse 1. h = `[4, 0]` arrives: its mean is 2, and the mean of h · x̂ = `[-4, 0]` is −2. So x̄ = `[4 − 2 − (−1)(−2), 0 − 2 − (1)(−2)]`
# = `[0, 0]`. No wonder: of two numbers, normalised, there is nothing left but which is larger, and no small change alters that.

# %% tags=["exercise:layer-norm-backward"]
#| export
@rule(layer_norm)
def layer_norm_backward(gradient, kept, x, weight, bias, eps=1e-5):
    """The way back of layer_norm: three functions, for x, weight and bias.

    gradient: (…, D), as the output. kept: the pair (normal, inverse).

    gradient [4, 0, 0], kept ([-1, 1, 0], [2.0]), weight [1, 1, 1]  →  to x [2.667, 0, -2.667], to weight [-4, 0, 0], to bias [4, 0, 0]
    """
    normal, inverse = kept

    def to_x():
        ### BEGIN SOLUTION
        h = gradient * weight
        shift, stretch = row_means(h), row_means(h * normal)
        return (h - shift - normal * stretch) * inverse
        ### END SOLUTION

    ### BEGIN SOLUTION
    return to_x, lambda: gradient * normal, lambda: gradient
    ### END SOLUTION

# %%
# %check layer-norm-backward

# %% [markdown]
# Such a formula is what `gradcheck` was built for:

# %%
from tinytorch.autograd import gradcheck

gradcheck(layer_norm, [randn(2, 3, 5, seed=1), randn(5, seed=2), randn(5, seed=3)])

# %% [markdown]
# ## 3 · Two small modules
#
# **LayerNorm** holds weight and bias. A fresh one should only normalise: weight is 1 and bias 0 everywhere, both float32.
#
# **FeedForward** is what each position thinks about by itself, after it has looked around. Two `Linear` layers, wide in the middle, with GELU between them:
#
# ```text
#      x  (…, D)  ──▶  Linear(D, hidden)  ──▶  gelu  ──▶  Linear(hidden, D)  ──▶  (…, D)
# ```
#
# It treats all positions alike, and none of them sees another. In large models two thirds of all weights are in here. What a network *knows* seems to be stored in them, while
# attention decides who talks to whom.
#
# The two layers are called `expand` and `contract`. Both draw from one generator, in this order: `rng = np.random.default_rng(seed)`, then `seed=rng` for each.

# %% tags=["exercise:feed-forward"]
#| export
class LayerNorm(Module):
    """layer_norm with parameters: weight (dim,), all 1, and bias (dim,), all 0, float32. x: Tensor (…, dim), else ValueError.

    LayerNorm(2)(Tensor([[1, 3], [10, 30]]))  →  Tensor([[-1., 1.], [-1., 1.]])    nearly
    """

    def __init__(self, dim, eps=1e-5):
        self.dim, self.eps = dim, eps
        ### BEGIN SOLUTION
        self.weight = Parameter(np.ones(dim), dtype=np.float32)
        self.bias = Parameter(np.zeros(dim), dtype=np.float32)
        ### END SOLUTION

    def forward(self, x):
        if x.ndim == 0 or x.shape[-1] != self.dim:
            raise ValueError(f"this layer is for x of shape (…, {self.dim}), not {x.shape}")
        ### BEGIN SOLUTION
        return layer_norm(x, self.weight, self.bias, eps=self.eps)
        ### END SOLUTION

    def __repr__(self):
        return f"LayerNorm({self.dim})"


class FeedForward(Module):
    """A network for each position by itself: Linear to hidden_dim, GELU, Linear back. x: Tensor (…, embed_dim), output the same shape.

    seed: an int, or a NumPy Generator to draw from.
    """

    def __init__(self, embed_dim, hidden_dim, seed=None):
        ### BEGIN SOLUTION
        rng = np.random.default_rng(seed)
        self.expand = Linear(embed_dim, hidden_dim, seed=rng)
        self.contract = Linear(hidden_dim, embed_dim, seed=rng)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.contract(gelu(self.expand(x)))
        ### END SOLUTION

# %%
# %check feed-forward

# %% [markdown]
# ## 4 · The block
#
# ```text
#                          ┌───────────────────────────┐                  ┌──────────────────────────────┐
#                          │                           ▼                  │                              ▼
#      the stream  x  ─────┴──▶ norm ──▶ attention ──▶ + ──────────────── ┴──▶ norm ──▶ feed_forward ──▶ +  ─────▶
#                                     look around                                    think it over
# ```
#
# $$x \leftarrow x + \mathrm{attention}(\mathrm{norm}_1(x)) \qquad\qquad x \leftarrow x + \mathrm{feed\_forward}(\mathrm{norm}_2(x))$$
#
# The line at the bottom is the **residual stream** (He, Zhang, Ren and Sun, 2015, for pictures). Nothing is ever taken away from it: each part reads it, normalised, and adds what it
# has found. On the way back, a sum hands its gradient on as it is. So whatever arrives at the last block arrives at the first one as well, undamped, plus whatever the parts
# have to say.
#
# The norm stands **inside** the branch, *before* attention ("pre-norm"). The paper of 2017 had it on the stream, after the sum, and needed tricks to train at all when deep.
#
# Dropout, if there is any, takes away a part of what is *added*, never of the stream itself. One `Dropout` module serves both branches.
#
# **By hand.** Suppose attention would find `[1, 0]` and feed_forward `[0, 5]`, whatever they see. The stream `[10, 10]` becomes `[11, 10]`, then `[11, 15]`.

# %% tags=["exercise:transformer-block"]
#| export
class TransformerBlock(Module):
    """A pre-norm block: the stream plus what attention finds, plus what the feed-forward network makes of that.

    x: Tensor (B, T, embed_dim), output the same shape. hidden_dim: 4 · embed_dim if None. dropout: of what each branch adds, while learning.
    seed: an int, or a NumPy Generator to draw from. (Vaswani et al., 2017; pre-norm: Radford et al., 2019.)

    Parts: norm1, attention, norm2, feed_forward, dropout.
    """

    def __init__(self, embed_dim, num_heads, hidden_dim=None, dropout=0.0, seed=None):
        rng = np.random.default_rng(seed)
        hidden_dim = 4 * embed_dim if hidden_dim is None else hidden_dim
        self.norm1 = LayerNorm(embed_dim)
        self.attention = MultiHeadAttention(embed_dim, num_heads, seed=rng)
        self.norm2 = LayerNorm(embed_dim)
        self.feed_forward = FeedForward(embed_dim, hidden_dim, seed=rng)
        self.dropout = Dropout(dropout, seed=rng)

    def forward(self, x, mask=None, cache=None):
        """mask, cache: for the attention, as in module 13. Without a mask everything is seen."""
        ### BEGIN SOLUTION
        x = x + self.dropout(self.attention(self.norm1(x), mask, cache))
        return x + self.dropout(self.feed_forward(self.norm2(x)))
        ### END SOLUTION

# %%
# %check transformer-block

# %% [markdown]
# The two troubles of the first page, again. Sixty blocks: how large is the stream at the end, and how large is the gradient that arrives at the beginning? Beside it, sixty
# plain layers with a GELU after each.

# %%
from tinytorch.activations import GELU
from tinytorch.layers import Sequential

deep = {
    "60 × Linear, GELU": Sequential(*(part for n in range(60) for part in (Linear(32, 32, seed=n), GELU()))),
    "60 blocks": Sequential(*(TransformerBlock(32, 4, seed=n) for n in range(60))),
}
for name, network in deep.items():
    x = Tensor(randn(2, 8, 32, seed=1).data, requires_grad=True)
    y = network(x)
    y.backward(np.ones(y.shape, dtype=np.float32))
    print(f"{name:18} at the end {y.data.std():8.1e}    gradient at the beginning {np.abs(x.grad).mean():8.1e}")

# %% [markdown]
# ## 5 · How to begin
#
# A network that knows nothing should *say* so: every token as probable as any other, which is a loss of $\ln(\text{vocab\_size})$. (Why? Module 05: −ln of the right one's probability,
# 1 / vocab_size.) A network that begins with loud opinions spends its first hundreds of steps unlearning them.
#
# So begin quietly (Radford et al., 2018 and 2019):
#
# 1. every matrix (parameters with two axes: tables, and weights of Linear): normal numbers with standard deviation **0.02**;
# 2. but those through which a branch *adds* to the stream: smaller still. With L blocks there are 2 L additions, and the sum of n random things grows like √n. So 0.02 / √(2 L), for the
#    weights whose names end with `out_proj.weight` and `contract.weight`;
# 3. every bias (names that end with `bias`): 0. The weights of LayerNorm stay as they are, 1.
#
# `model.named_parameters()` gives pairs (name, parameter), such as `("blocks.0.attention.out_proj.weight", …)`, and `name.endswith((…, …))` takes a tuple. A parameter's numbers are
# replaced by `parameter.data = array` (module 04), in float32: `rng.normal(scale=…, size=parameter.shape).astype(np.float32)`.

# %% tags=["exercise:initialise"]
#| export
def initialise(model, num_layers, rng):
    """Quiet beginnings for a model with num_layers blocks: see the three points above. Changes the parameters' data, returns nothing.

    rng: a NumPy Generator to draw from. All numbers stay float32.
    """
    ### BEGIN SOLUTION
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data = np.zeros(parameter.shape, dtype=np.float32)
        elif parameter.ndim == 2:
            scale = 0.02
            if name.endswith(("out_proj.weight", "contract.weight")):
                scale /= math.sqrt(2 * num_layers)
            parameter.data = rng.normal(scale=scale, size=parameter.shape).astype(np.float32)
    ### END SOLUTION

# %%
# %check initialise

# %% [markdown]
# ## 6 · GPT
#
# All together, from below:
#
# ```text
#      logits    (B, T, vocab_size)          what comes next, at every position
#        ▲
#       head     Linear, without bias
#       norm     LayerNorm                   the stream has grown; once more back to size
#      block     ┐
#       …        │ blocks                    each adds to the stream
#      block     ┘
#     dropout
#    positions   LearnedPositionalEmbedding  … and when
#      tokens    Embedding                   what,
#        ▲
#      tokens    (B, T)                      integers
# ```
#
# **Causal.** Position t predicts token t + 1, so it may look at positions 0 … t only. In one pass, a text of T tokens is T exercises at once. GPT makes the mask and hands it to every
# block.
#
# **With caches,** for writing: a list with one `KVCache` for each block, or None. What is held already has positions 0 … held − 1, so the new tokens' positions start at `held` (that is what `start` of module 12 is for), and
# their mask is the last T rows of `causal_mask(held + T)`, as in module 13. (One single token may look at everything that there is: then None is as good, and
# quicker.)
#
# **Tied.** The table of tokens is (vocab_size, D): a place for each token. The head's weight is (vocab_size, D), too: it asks, for each token, how well the stream fits. One and the same parameter can do both
# (Press and Wolf, 2017). The constructor does it, if `tie_weights` is True, in one line; the gradients of both uses add up, as always.

# %% tags=["exercise:gpt"]
#| export
class GPT(Module):
    """A language model: tokens (B, T) in, logits (B, T, vocab_size) out; position t sees tokens 0 … t and predicts token t + 1.

    max_len: the longest text. dropout: in the blocks and after the embeddings, while learning. tie_weights: one table for tokens and head. seed: an int, or a NumPy Generator
    to draw from. (Radford et al., 2018.)

    GPT(vocab_size=65, embed_dim=64, num_layers=2, num_heads=4, max_len=64)
    """

    def __init__(self, vocab_size, embed_dim, num_layers, num_heads, max_len, dropout=0.0, tie_weights=False, seed=None):
        rng = np.random.default_rng(seed)
        self.vocab_size, self.max_len, self.num_layers = vocab_size, max_len, num_layers
        self.tokens = Embedding(vocab_size, embed_dim, seed=rng)
        self.positions = LearnedPositionalEmbedding(max_len, embed_dim, seed=rng)
        self.dropout = Dropout(dropout, seed=rng)
        self.blocks = Sequential(*(TransformerBlock(embed_dim, num_heads, dropout=dropout, seed=rng) for _ in range(num_layers)))
        self.norm = LayerNorm(embed_dim)
        self.head = Linear(embed_dim, vocab_size, bias=False, seed=rng)
        if tie_weights:
            self.head.weight = self.tokens.weight
        initialise(self, num_layers, rng)

    def forward(self, tokens, caches=None):
        """tokens: Tensor of integers (B, T). caches: None, or a list of KVCaches, one for each block, which hold the positions before.

        ValueError if there are more than max_len positions in all, IndexError if a token is not in [0, vocab_size).
        """
        if tokens.ndim != 2:
            raise ValueError(f"GPT reads tokens of shape (B, T), not {tokens.shape}")
        length = tokens.shape[1]
        held = 0 if caches is None else len(caches[0])
        if held + length > self.max_len:
            raise ValueError(f"this GPT reads at most {self.max_len} tokens, not {held + length}")
        ### BEGIN SOLUTION
        x = self.dropout(self.positions(self.tokens(tokens), start=held))
        mask = causal_mask(held + length)[held:] if length > 1 else None
        for number, block in enumerate(self.blocks.layers):
            x = block(x, mask, None if caches is None else caches[number])
        return self.head(self.norm(x))
        ### END SOLUTION

    def generate(self, prompt, max_new_tokens, temperature=1.0, top_k=None, seed=None, on_token=None):
        """Write on: the prompt and max_new_tokens more tokens, as a list. See the function generate below."""
        return generate(self, prompt, max_new_tokens, temperature, top_k, seed, on_token)

# %%
# %check gpt

# %%
small = {"vocab_size": 65, "embed_dim": 64, "num_layers": 2, "num_heads": 4, "max_len": 64}
for tied in (False, True):
    model = GPT(**small, tie_weights=tied, seed=1)
    logits = model(Tensor(np.zeros((1, 5), dtype=np.int64)))
    print(f"tied {tied!s:5}  {sum(p.size for p in model.parameters()):7,} parameters, logits {logits.shape}, the largest {np.abs(logits.data).max():.2f}")

# %% [markdown]
# ## 7 · Choose the next token
#
# The last position's logits say how well each token would fit. Always the best one? That is called *greedy*, and it soon writes the same sentence again and again. So **draw**, with two
# dials:
#
# - **temperature** τ: the probabilities are softmax(logits / τ). At 1 they are what the network believes. Below, the probable gets more probable still; at 0, greedy. Above 1, anything goes.
# - **top_k**: only the k largest logits are in the draw, for the others the probability is 0. A thousand tokens with a probability of 0.01 % each are 10 % nonsense, all together.
#
# **By hand.** Logits `[2, 1, 0]`. τ = 1: `[0.67, 0.24, 0.09]`. τ = 0.5 doubles the logits: `[0.87, 0.12, 0.02]`. With top_k = 2 and τ = 1: `[0.73, 0.27, 0]`.
#
# `np.argsort(-logits)[:top_k]` are the places of the k largest; if top_k is larger than the vocabulary, this slice simply has all of them. `rng.choice(places, p=probabilities)` draws one. NumPy wants probabilities
# that add up to 1 very exactly: so begin with `logits.astype(np.float64)`. And subtract the largest before `np.exp`, as always.

# %% tags=["exercise:next-token"]
#| export
def next_token(logits, temperature, top_k, rng):
    """Draw a token, an int, from softmax(logits / temperature), among the top_k largest. Greedy if temperature is 0 or top_k is 1.

    logits: array (vocab_size,). top_k: None means all, and so does anything above vocab_size. rng: a NumPy Generator to draw from.
    ValueError if temperature is below 0, or top_k below 1.

    next_token(np.array([2.0, 1.0, 0.0]), 0, None, rng)  →  0
    """
    if temperature < 0 or (top_k is not None and top_k < 1):
        raise ValueError(f"temperature is at least 0 and top_k at least 1, not {temperature} and {top_k}")
    ### BEGIN SOLUTION
    if temperature == 0 or top_k == 1:
        return int(logits.argmax())
    logits = logits.astype(np.float64)
    places = np.argsort(-logits)[:top_k]
    scaled = logits[places] / temperature
    exponentials = np.exp(scaled - scaled.max())
    return int(rng.choice(places, p=exponentials / exponentials.sum()))
    ### END SOLUTION

# %%
# %check next-token

# %% [markdown]
# ## 8 · Write
#
# A loop: read, look at the last position, draw, append. In the first turn the whole prompt is read, into fresh caches. From then on only the newest token is new, and everything before it is in the caches.
#
# **The end of the window.** The network reads at most `max_len` positions. When the caches are full, nothing can be appended. Then *begin anew*: fresh caches, and the last `max_len` tokens, which now have the positions 0 … max_len − 1.
# (All keys must be worked out again, because every token's position has changed. It happens in every turn from then on.) The same goes for a prompt that is too long from the start. So the rule for each turn is:
#
# ```text
#      no caches yet, or caches full:   fresh caches,  read tokens[-max_len:]
#      else:                                           read tokens[-1:]
# ```
#
# (If the prompt is shorter than max_len, `tokens[-max_len:]` is all of it.)
#
# Whoever writes does not learn: no notes, no dropout, and afterwards the model is as it was. `with evaluating(model):` of module 08 does all of that. Put it
# around the loop.
#
# `on_token`, if it is not None, is called with each new token as soon as it is there, so that a page can show it. The random generator is made once, from `seed`: the same seed, the same text.

# %% tags=["exercise:generate"]
#| export
def generate(model, prompt, max_new_tokens, temperature=1.0, top_k=None, seed=None, on_token=None):
    """The prompt (a list of ints) and max_new_tokens more, one by one, each drawn by next_token from what the model says after all before it.

    Reads with caches; beyond max_len tokens the model sees the last max_len. No gradients, no dropout; the model's mode stays what it is.
    ValueError for an empty prompt. model.generate(…) is the same.
    """
    tokens, caches, rng = list(prompt), None, np.random.default_rng(seed)
    if not tokens:
        raise ValueError("there is nothing to go on from: the prompt has no tokens")
    ### BEGIN SOLUTION
    with evaluating(model):
        for _ in range(max_new_tokens):
            piece = tokens[-1:]
            if caches is None or len(caches[0]) == model.max_len:
                caches, piece = [KVCache() for _ in range(model.num_layers)], tokens[-model.max_len :]
            logits = model(Tensor(np.array([piece])), caches)
            tokens.append(next_token(logits.data[0, -1], temperature, top_k, rng))
            if on_token is not None:
                on_token(tokens[-1])
    ### END SOLUTION
    return tokens

# %%
# %check generate

# %% [markdown]
# ## See it: it learns to write
#
# A small GPT, and something that even it can learn in a few seconds: the first lines of a nursery rhyme (traditional, printed in 1755). It is shown pieces of 32 characters, from anywhere in the text, and is to say after each what comes next.

# %%
import matplotlib.pyplot as plt
from tinytorch.losses import CrossEntropyLoss
from tinytorch.optimizers import AdamW
from tinytorch.tokenization import CharTokenizer

rhyme = """This is the house that Jack built.
This is the malt that lay in the house that Jack built.
This is the rat that ate the malt that lay in the house that Jack built.
This is the cat that killed the rat that ate the malt that lay in the house that Jack built.
This is the dog that worried the cat that killed the rat that ate the malt that lay in the house that Jack built.
"""
tokenizer = CharTokenizer().train(rhyme)
numbers = np.array(tokenizer.encode(rhyme))
model = GPT(tokenizer.vocab_size, embed_dim=32, num_layers=2, num_heads=4, max_len=64, seed=1)
optimizer, loss_fn, rng = AdamW(model.parameters(), lr=5e-3), CrossEntropyLoss(), np.random.default_rng(1)


def sample(seed=0, temperature=0.7, prompt="This is", length=60):
    written = model.generate(tokenizer.encode(prompt), length, temperature=temperature, seed=seed)
    return tokenizer.decode(written).replace("\n", " / ")


losses = []
for step in range(201):
    if step in (0, 20, 50, 100, 200):
        print(f"after {step:3} steps: {sample()}")
    starts = rng.integers(0, len(numbers) - 32, size=16)
    pieces = numbers[starts[:, None] + np.arange(33)]  # (16, 33): the inputs, and one more for the targets
    optimizer.zero_grad()
    loss = loss_fn(model(Tensor(pieces[:, :-1])), Tensor(pieces[:, 1:]))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

plt.figure(figsize=(6, 2.4))
plt.plot(losses)
plt.axhline(np.log(tokenizer.vocab_size), color="gray", linestyle=":", label="knows nothing: ln(vocab_size)")
plt.xlabel("step")
plt.ylabel("loss")
plt.legend(fontsize=8)
plt.show()

# %% [markdown]
# It began where ignorance begins, at the dotted line. Now turn the dials: what does it believe comes next, after your own words? (Only letters that occur in the rhyme.)

# %%
import ipywidgets
from tinytorch.activations import softmax
from tinytorch.autograd import no_grad


def believes(prompt="This is the ", temperature=1.0, top_k=10):
    known = [character for character in prompt if character in rhyme]
    if not known:
        print("Write something first, with letters of the rhyme.")
        return
    ids = tokenizer.encode("".join(known))
    with no_grad():
        logits = model(Tensor(np.array([ids[-64:]]))).data[0, -1].astype(np.float64)
    kept = np.argsort(-logits)[:top_k]
    shares = softmax(Tensor(logits[kept] / temperature)).data
    plt.figure(figsize=(6, 1.8))
    plt.bar([repr(tokenizer.decode([number]))[1:-1].replace(" ", "blank") for number in kept], shares)
    plt.ylim(0, 1)
    plt.ylabel("probability")
    plt.show()


ipywidgets.interact(believes, temperature=(0.1, 3.0, 0.1), top_k=(1, tokenizer.vocab_size));

# %% [markdown]
# ## Systems: what it costs
#
# First, where are the weights? In the GPT of 2018: 12 blocks, 768 numbers wide, 40,000 tokens, 512 positions. Yours for the last notebook: 2 blocks, 64 wide, 74 tokens, 64 positions.

# %%
def weights_of(vocab_size, dim, layers, max_len):
    """How many numbers are learned, by part: counted by formula, because the large one would not be fun to make here."""
    block = {"attention": 4 * (dim * dim + dim), "feed-forward": 8 * dim * dim + 5 * dim, "norms": 4 * dim}
    return {"tokens": vocab_size * dim, "positions": max_len * dim} | {name: layers * count for name, count in block.items()}


mine = GPT(74, 64, 2, 4, 64, tie_weights=True)
counted = sum(parameter.size for parameter in mine.parameters())
for name, sizes in {"yours": (74, 64, 2, 64), "GPT (2018)": (40_478, 768, 12, 512)}.items():
    parts = weights_of(*sizes)
    total = sum(parts.values())
    print(f"{name:11} {total:12,}   " + ", ".join(f"{part} {count / total:.0%}" for part, count in parts.items()))
print(f"yours, counted: {counted:,} (with the last norm: 128 more)")

# %% [markdown]
# Second, writing. With caches, each new token is one position through the blocks. Without, it is the whole text again. Both write the same; measure it:

# %%
from tinytorch.setup import measure
from tinytorch.training import evaluating

writer = GPT(74, 64, 2, 4, 256, seed=1)


def write_anew(length):
    """What generate does, greedily and without caches."""
    tokens = [1]
    with evaluating(writer):
        for _ in range(length):
            tokens.append(int(writer(Tensor(np.array([tokens]))).data[0, -1].argmax()))
    return tokens


print("tokens      anew    with caches    gain")
for length in (16, 64, 160):
    assert write_anew(length) == writer.generate([1], length, temperature=0)
    anew = measure(write_anew, length, repeat=1)
    cached = measure(lambda length=length: writer.generate([1], length, temperature=0), repeat=1)
    print(f"{length:6} {anew * 1e3:7.0f} ms {cached * 1e3:10.0f} ms {anew / cached:7.1f} ×")

# %% [markdown]
# ## Reflect
#
# No grades here; take a minute for each.
#
# 1. Attention costs time with the square of the length, the feed-forward network with the length. In your GPT (64 wide, 64 positions), which of the two takes more? At which length would it be the other way round?
# 2. The loss of a language model is measured in nats per token. Two models, one reads characters and one reads BPE tokens; their losses are 1.5 and 3.9. Can you say which is better? What else do you need to know?
# 3. The network is trained on texts where every earlier token is right. When it writes, it reads its own mistakes. What might happen, over a long text?
# 4. Nothing in here was made for language. What would be "tokens", if you wanted a GPT for music, for chess games, or for pictures?
#
# **Behind the last door.** Thirteen modules ago you had a machine and a Python prompt. Complete this one, and GPT (2018) opens: the architecture that you have built, a novel of 1813, and a box to write into.

# %%
from tinytorch_core import CompleteModule

CompleteModule()

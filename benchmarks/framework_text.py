"""Transformers for the rows of framework.py: a block, a GPT and its writing, in PyTorch as one would write them there, and in ours.

Sizes are those of gpt_2018: 64 numbers wide, 4 heads, 2 blocks, 64 positions, 74 tokens, batches of 32.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

Work = Callable[[], object]

DIM, HEADS, LAYERS, LENGTH, BATCH, TOKENS = 64, 4, 2, 64, 32, 74
WRITTEN = 256


def texts(length: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, TOKENS, size=(BATCH, length))


def a_stream() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((8, LENGTH, DIM), dtype=np.float32)


def torch_parts(torch: ModuleType) -> tuple[Any, Any]:
    """The classes Block and GPT."""
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
            self.q, self.k, self.v, self.out = (nn.Linear(DIM, DIM) for _ in range(4))
            self.expand, self.contract = nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)

        def forward(self, x: Any, cache: list[Any] | None = None) -> Any:
            normal = self.norm1(x)
            b, t, _ = x.shape
            q, k, v = (part(normal).view(b, t, HEADS, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
            if cache is not None:
                if cache:
                    k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
                cache[:] = k, v
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=t > 1)
            x = x + self.out(mixed.transpose(1, 2).reshape(b, t, DIM))
            return x + self.contract(functional.gelu(self.expand(self.norm2(x)), approximate="tanh"))

    class GPT(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, length: int) -> None:
            super().__init__()
            self.tokens, self.positions = nn.Embedding(TOKENS, DIM), nn.Embedding(length, DIM)
            self.blocks, self.norm = nn.ModuleList(Block() for _ in range(LAYERS)), nn.LayerNorm(DIM)
            self.head = nn.Linear(DIM, TOKENS, bias=False)

        def forward(self, tokens: Any, caches: list[list[Any]] | None = None) -> Any:
            start = caches[0][0].shape[2] if caches and caches[0] else 0
            x = self.tokens(tokens) + self.positions.weight[start : start + tokens.shape[1]]
            for number, block in enumerate(self.blocks):
                x = block(x, None if caches is None else caches[number])
            return self.head(self.norm(x))

    return Block, GPT


def block_ours(back: bool) -> Callable[[ModuleType], Work]:
    def prepare(tt: ModuleType) -> Work:
        block, mask, gradient = tt.TransformerBlock(DIM, HEADS, seed=1), tt.causal_mask(LENGTH), a_stream()
        x = tt.Tensor(a_stream(), requires_grad=True)

        def there() -> None:
            with tt.no_grad():
                block(x, mask)

        def there_and_back() -> None:
            block.zero_grad()
            x.zero_grad()
            block(x, mask).backward(gradient)

        return there_and_back if back else there

    return prepare


def block_torch(back: bool) -> Callable[[ModuleType], Work]:
    def prepare(torch: ModuleType) -> Work:
        block, gradient = torch_parts(torch)[0](), torch.from_numpy(a_stream())
        x = torch.from_numpy(a_stream()).requires_grad_()

        def there() -> None:
            with torch.no_grad():
                block(x)

        def there_and_back() -> None:
            block.zero_grad()
            x.grad = None
            block(x).backward(gradient)

        return there_and_back if back else there

    return prepare


def step_ours(tt: ModuleType) -> Work:
    model, loss_fn = tt.GPT(TOKENS, DIM, LAYERS, HEADS, LENGTH, seed=1), tt.CrossEntropyLoss()
    optimizer, pieces = tt.Adam(model.parameters()), texts(LENGTH + 1)
    x, y = tt.Tensor(pieces[:, :-1]), tt.Tensor(pieces[:, 1:])

    def step() -> None:
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()

    return step


def step_torch(torch: ModuleType) -> Work:
    model, loss_fn = torch_parts(torch)[1](LENGTH), torch.nn.CrossEntropyLoss()
    optimizer, pieces = torch.optim.Adam(model.parameters()), torch.from_numpy(texts(LENGTH + 1))
    x, y = pieces[:, :-1], pieces[:, 1:].reshape(-1)

    def step() -> None:
        optimizer.zero_grad()
        loss_fn(model(x).reshape(-1, TOKENS), y).backward()
        optimizer.step()

    return step


def writing_ours(tt: ModuleType) -> Work:
    model = tt.GPT(TOKENS, DIM, LAYERS, HEADS, WRITTEN + 1, seed=1)
    return lambda: model.generate([1], WRITTEN, temperature=0)


def writing_anew(tt: ModuleType) -> Work:
    """The same tokens without caches: all that is there is read again for each."""
    model = tt.GPT(TOKENS, DIM, LAYERS, HEADS, WRITTEN + 1, seed=1)

    def write() -> None:
        tokens = [1]
        with tt.no_grad():
            for _ in range(WRITTEN):
                tokens.append(int(model(tt.Tensor(np.array([tokens]))).data[0, -1].argmax()))

    return write


def writing_torch(torch: ModuleType) -> Work:
    model = torch_parts(torch)[1](WRITTEN + 1)

    def write() -> None:
        tokens, caches = torch.tensor([[1]]), [[] for _ in range(LAYERS)]  # type: ignore[var-annotated]
        with torch.no_grad():
            for _ in range(WRITTEN):
                tokens = model(tokens, caches)[:, -1:].argmax(dim=-1)
                tokens.item()

    return write

"""The rows of framework.py: the same work on the student's package and on PyTorch. A new one is a pair of functions and a line in ROWS.

Each function gets its package, prepares (models, data) and returns the work, a function without arguments that is timed again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

Work = Callable[[], object]
Prepare = Callable[[ModuleType], Work]


@dataclass(frozen=True)
class Row:
    name: str
    module: str
    """The last module of the course that it needs."""
    aim: float
    """The largest ratio ours / PyTorch that we are content with."""
    ours: Prepare
    torch: Prepare
    minima: bool = False
    """Compare the fastest rounds, not the medians: for work that is all Python, where every disturbance only adds."""


def pictures(batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise of shape (batch, 784), and a class for each."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((batch, 784), dtype=np.float32), rng.integers(0, 10, batch)


def mlp_ours(optimizer_name: str, **settings: Any) -> Prepare:
    def prepare(tt: ModuleType) -> Work:
        x, y = map(tt.Tensor, pictures(64))
        model = tt.Sequential(tt.Linear(784, 128, seed=1), tt.ReLU(), tt.Linear(128, 10, seed=2))
        loss_fn = tt.CrossEntropyLoss()
        optimizer = getattr(tt, optimizer_name)(model.parameters(), **settings)

        def step() -> None:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()

        return step

    return prepare


def mlp_torch(optimizer_name: str, **settings: Any) -> Prepare:
    def prepare(torch: ModuleType) -> Work:
        x, y = map(torch.from_numpy, pictures(64))
        model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
        loss_fn = torch.nn.CrossEntropyLoss()
        optimizer = getattr(torch.optim, optimizer_name)(model.parameters(), **settings)

        def step() -> None:
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()

        return step

    return prepare


def scalars(tensor: Callable[[float], Any]) -> Work:
    """There and back through 10,000 operations on single numbers, each made of the last: times a tensor that learns, plus a plain number."""
    start, factor = tensor(1.0), tensor(0.999)

    def there_and_back() -> None:
        start.grad = factor.grad = None
        x = start
        for _ in range(5_000):
            x = x * factor + 0.001
        x.backward()

    return there_and_back


def scalars_ours(tt: ModuleType) -> Work:
    return scalars(lambda number: tt.Tensor(number, requires_grad=True))


def scalars_torch(torch: ModuleType) -> Work:
    return scalars(lambda number: torch.tensor(number, requires_grad=True))


MLP = "MLP 784-128-10, batch 64, step"
ROWS = (
    Row(f"{MLP}: SGD", "07_autograd", 1.0, mlp_ours("SGD", lr=0.01), mlp_torch("SGD", lr=0.01)),
    Row(f"{MLP}: Adam", "07_autograd", 0.9, mlp_ours("Adam"), mlp_torch("Adam")),
    Row("10,000 scalar operations, forward+backward", "07_autograd", 1.0, scalars_ours, scalars_torch, minima=True),
)

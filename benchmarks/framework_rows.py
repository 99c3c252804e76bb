"""The rows of framework.py: the same work on the student's package and on PyTorch. A new one is a pair of functions and a line in ROWS.

Each function gets its package, prepares (models, data) and returns the work, a function without arguments that is timed again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import framework_text as text
import numpy as np

Work = Callable[[], object]
Prepare = Callable[[ModuleType], Work]


@dataclass(frozen=True)
class Row:
    name: str
    module: str
    """The last module of the course that it needs."""
    aim: float
    """The largest ratio of the left to the right that we are content with."""
    ours: Prepare
    torch: Prepare
    """What stands on the right: PyTorch's, or ours as well (see `alone`)."""
    minima: bool = False
    """Compare the fastest rounds, not the medians: for work that is all Python, where every disturbance only adds."""
    alone: bool = False
    """Compare ours with ours: `torch` is then given our package, too."""


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


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def conv_ours(shape: tuple[int, ...], out: int, back: bool, to_input: bool) -> Prepare:
    def prepare(tt: ModuleType) -> Work:
        layer, x = tt.Conv2d(shape[1], out, 5, seed=1), tt.Tensor(noise(*shape), requires_grad=to_input)
        with tt.no_grad():
            gradient = noise(*layer(x).shape)

        def there() -> None:
            with tt.no_grad():
                layer(x)

        def there_and_back() -> None:
            layer.zero_grad()
            x.zero_grad()
            layer(x).backward(gradient)

        return there_and_back if back else there

    return prepare


def conv_torch(shape: tuple[int, ...], out: int, back: bool, to_input: bool) -> Prepare:
    def prepare(torch: ModuleType) -> Work:
        layer, x = torch.nn.Conv2d(shape[1], out, 5), torch.from_numpy(noise(*shape)).requires_grad_(to_input)
        with torch.no_grad():
            gradient = torch.from_numpy(noise(*layer(x).shape))

        def there() -> None:
            with torch.no_grad():
                layer(x)

        def there_and_back() -> None:
            layer.zero_grad()
            x.grad = None
            layer(x).backward(gradient)

        return there_and_back if back else there

    return prepare


def conv_rows(name: str, aims: tuple[float, float], shape: tuple[int, ...], out: int, to_input: bool) -> list[Row]:
    """A row for the way there, and one for there and back: into the weights and, where `to_input`, into the pictures."""
    return [
        Row(
            f"Conv2d {name}: {'forward+backward' if back else 'forward'}",
            "09_spatial",
            aims[back],
            conv_ours(shape, out, back, to_input),
            conv_torch(shape, out, back, to_input),
        )
        for back in (False, True)
    ]


def pool_ours(tt: ModuleType) -> Work:
    x, pool, gradient = tt.Tensor(noise(32, 6, 24, 24), requires_grad=True), tt.MaxPool2d(2), noise(32, 6, 12, 12)

    def there_and_back() -> None:
        x.zero_grad()
        pool(x).backward(gradient)

    return there_and_back


def pool_torch(torch: ModuleType) -> Work:
    x, pool = torch.from_numpy(noise(32, 6, 24, 24)).requires_grad_(), torch.nn.MaxPool2d(2)
    gradient = torch.from_numpy(noise(32, 6, 12, 12))

    def there_and_back() -> None:
        x.grad = None
        pool(x).backward(gradient)

    return there_and_back


def lenet(nn: Any) -> Any:
    """LeNet-5 with ReLU and max pooling. `nn` is the student's package, or torch.nn: they have the same names."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def lenet_step(model: Any, loss_fn: Any, optimizer: Any, x: Any, y: Any) -> Work:
    def step() -> None:
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()

    return step


def lenet_ours(tt: ModuleType) -> Work:
    (x, y), model = pictures(32), lenet(tt)
    x = x.reshape(32, 1, 28, 28)
    return lenet_step(model, tt.CrossEntropyLoss(), tt.Adam(model.parameters()), tt.Tensor(x), tt.Tensor(y))


def lenet_torch(torch: ModuleType) -> Work:
    (x, y), model = pictures(32), lenet(torch.nn)
    x, y = torch.from_numpy(x.reshape(32, 1, 28, 28)), torch.from_numpy(y)
    return lenet_step(model, torch.nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters()), x, y)


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
    *conv_rows("32×1×28×28→6, 5×5", (1.5, 0.7), (32, 1, 28, 28), 6, to_input=False),
    *conv_rows("32×6×12×12→16, 5×5", (2.3, 2.0), (32, 6, 12, 12), 16, to_input=True),
    Row("MaxPool2d 2×2 on 32×6×24×24: forward+backward", "09_spatial", 0.6, pool_ours, pool_torch),
    Row("LeNet-5, batch 32, step: Adam", "09_spatial", 1.2, lenet_ours, lenet_torch),
    Row(
        "transformer block (8, 64, 64): forward",
        "14_transformers",
        1.4,
        text.block_ours(False),
        text.block_torch(False),
    ),
    Row(
        "transformer block (8, 64, 64): forward+backward",
        "14_transformers",
        1.3,
        text.block_ours(True),
        text.block_torch(True),
    ),
    Row("GPT of gpt_2018, batch 32, step: Adam", "14_transformers", 1.5, text.step_ours, text.step_torch),
    Row("GPT writes 256 tokens, with caches", "14_transformers", 0.9, text.writing_ours, text.writing_torch),
    Row(
        "GPT writes 256 tokens, with caches | without",
        "14_transformers",
        0.25,
        text.writing_ours,
        text.writing_anew,
        alone=True,
    ),
)

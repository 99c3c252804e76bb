"""Learning curves that grow while a network trains: a bar, a line of numbers, and the losses as a small drawing.

    trainer.fit(train_batches, validation_batches, epochs=50, on_epoch=LearningCurves(epochs=50))

It shows itself when it is called first. The drawing is SVG in an HTML widget: it takes a fraction of a millisecond, where a
plotting library would take as long as a small epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
from IPython.core.getipython import get_ipython
from IPython.display import display

from tinytorch_core.widgets.plain import progress_text

INTERVAL = 0.1
"""Seconds between two drawings. The last one of a cell is drawn in any case."""

WIDTH, HEIGHT = 520, 160
LEFT, RIGHT, TOP, BOTTOM = 30, 440, 6, 140
LINE = 13
COLORS = {"train_loss": "#1f77b4", "val_loss": "#ff7f0e"}
NAMES = {"train_loss": "training", "val_loss": "validation"}


class LearningCurves(ipywidgets.VBox):  # type: ignore[misc]
    """Call it with the history (a dict of lists) after each epoch. `epochs`: how many there will be."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.history: Mapping[str, Sequence[float]] = {}
        self.bar = ipywidgets.IntProgress(max=epochs, layout={"width": f"{WIDTH}px"})
        self.numbers, self.drawing = ipywidgets.HTML(), ipywidgets.HTML()
        self.done, self.drawn_at = 0, -math.inf
        super().__init__([self.bar, self.numbers, self.drawing])

    def __call__(self, history: Mapping[str, Sequence[float]]) -> None:
        if not self.done:
            self._appear()
        self.history, self.done = history, self.done + 1
        if time.monotonic() - self.drawn_at > INTERVAL:
            self.draw()

    def draw(self) -> None:
        """Bring the picture up to date."""
        self.bar.value = self.done
        self.numbers.value = f"<code>{progress_text(self.history, self.done, self.epochs)}</code>"
        self.drawing.value = svg(self.history)
        self.drawn_at = time.monotonic()

    def _appear(self) -> None:
        display(self)  # type: ignore[no-untyped-call]
        shell: Any = get_ipython()
        if shell is not None:
            shell.events.register("post_execute", self._settle)

    def _settle(self) -> None:
        """The cell is over, perhaps by an interrupt: draw what was left out, and listen no more."""
        self.draw()
        shell: Any = get_ipython()
        shell.events.unregister("post_execute", self._settle)

    def __repr__(self) -> str:
        return progress_text(self.history, self.done, self.epochs)


def svg(history: Mapping[str, Sequence[float]]) -> str:
    """The losses over the epochs, from 0 up to the highest; the lowest validation loss is marked."""
    curves = {name: [v for v in history.get(name, ()) if math.isfinite(v)] for name in NAMES}
    curves = {name: values for name, values in curves.items() if len(values) > 1}
    if not curves:
        return ""
    longest, top = max(map(len, curves.values())), max(map(max, curves.values())) or 1.0

    def place(epoch: int, loss: float) -> tuple[float, float]:
        return LEFT + epoch / (longest - 1) * (RIGHT - LEFT), BOTTOM - loss / top * (BOTTOM - TOP)

    parts = [
        f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="currentColor" stroke-opacity="0.3"/>',
        _text(0, TOP + 8, f"{top:.2g}"),
        _text(0, BOTTOM, "0"),
        _text(RIGHT - 60, HEIGHT - 2, f"epoch {longest}"),
    ]
    for name, values in curves.items():
        line = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in enumerate(values))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLORS[name]}" stroke-width="1.5"/>')
    for name, y in _apart({name: place(0, values[-1])[1] for name, values in curves.items()}).items():
        parts.append(_text(RIGHT + 8, y + 4, NAMES[name], COLORS[name]))
    if "val_loss" in curves:
        x, y = place(*min(enumerate(curves["val_loss"]), key=lambda point: point[1]))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLORS["val_loss"]}"/>')
    return f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="losses">{"".join(parts)}</svg>'


def _apart(heights: Mapping[str, float]) -> dict[str, float]:
    """Where curves end close together, their names make room for each other."""
    low, high = min(heights.values()), max(heights.values())
    push = max(0.0, LINE - (high - low)) / 2 if len(heights) > 1 else 0.0
    top = min(heights, key=heights.__getitem__)
    return {name: y - push if name == top else y + push for name, y in heights.items()}


def _text(x: float, y: float, words: str, color: str = "currentColor") -> str:
    return f'<text x="{x}" y="{y:.1f}" font-size="11" fill="{color}">{words}</text>'

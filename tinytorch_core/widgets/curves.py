"""Learning curves that grow while a network trains: a bar, a line of numbers, and the losses as a small drawing.

    trainer.fit(train_batches, validation_batches, epochs=50, on_epoch=LearningCurves(epochs=50))

It shows itself when it is called first. The drawing is SVG in an HTML widget: it takes a fraction of a millisecond, where a
plotting library would take as long as a small epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import ipywidgets
from IPython.core.getipython import get_ipython
from IPython.display import display

from tinytorch_core.widgets.plain import progress_text

INTERVAL = 0.1
"""Seconds between two drawings. The last one of a cell is drawn in any case."""

WIDTH, HEIGHT, MARGIN = 460, 150, 30
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
        display(self)
        shell = get_ipython()  # type: ignore[no-untyped-call]
        if shell is not None:
            shell.events.register("post_execute", self._settle)

    def _settle(self) -> None:
        """The cell is over, perhaps by an interrupt: draw what was left out, and listen no more."""
        self.draw()
        get_ipython().events.unregister("post_execute", self._settle)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:
        return progress_text(self.history, self.done, self.epochs)


def svg(history: Mapping[str, Sequence[float]]) -> str:
    """The losses over the epochs, from 0 up to the highest; the lowest validation loss is marked."""
    curves = {name: [v for v in history.get(name, ()) if math.isfinite(v)] for name in COLORS}
    longest = max(map(len, curves.values()))
    if longest < 2:
        return ""
    top = max(max(values) for values in curves.values() if values) or 1.0

    def place(index: int, value: float) -> tuple[float, float]:
        across, up = index / (longest - 1), value / top
        return MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - 20 - up * (HEIGHT - 40)

    parts = [_text(4, 24, f"{top:.2g}"), _text(4, HEIGHT - 16, "0"), _text(WIDTH - MARGIN - 40, HEIGHT - 4, f"epoch {longest}")]
    for row, (name, values) in enumerate((n, v) for n, v in curves.items() if v):
        line = " ".join("{:.1f},{:.1f}".format(*place(i, v)) for i, v in enumerate(values))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLORS[name]}" stroke-width="1.5"/>')
        parts.append(_text(WIDTH - MARGIN - 60, 14 + 14 * row, NAMES[name], COLORS[name]))
    if curves["val_loss"]:
        best = min(range(len(curves["val_loss"])), key=curves["val_loss"].__getitem__)
        x, y = place(best, curves["val_loss"][best])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLORS["val_loss"]}"/>')
    return f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="losses">{"".join(parts)}</svg>'


def _text(x: float, y: float, words: str, color: str = "currentColor") -> str:
    return f'<text x="{x}" y="{y}" font-size="11" fill="{color}">{words}</text>'

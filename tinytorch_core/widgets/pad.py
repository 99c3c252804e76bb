"""A pad to draw a digit on, which a network then reads, live.

    DrawPad(read)      read(picture) → ten probabilities, for a float32 array (28, 28) as in MNIST: 0 is paper, 1 is ink

The view (labextension/src/widgets/pad.tsx) has the strokes, and sends the pixels each time they change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from traitlets import Float, Int, List, Unicode, observe

from tinytorch_core.widgets.live import TinyTorchWidget
from tinytorch_core.widgets.plain import pad_text

SIDE = 28

Read = Callable[["np.ndarray[Any, Any]"], Any]


class DrawPad(TinyTorchWidget):
    """Shows what `read` says of each drawing: one probability for each of `labels`, as bars and in words."""

    _model_name = Unicode("DrawPadModel").tag(sync=True)
    _view_name = Unicode("DrawPadView").tag(sync=True)

    strokes = List(List(List(Float()))).tag(sync=True)
    """What was drawn: lists of points [x, y] from 0 to 1. The views share it."""
    pixels = List(Int()).tag(sync=True)
    """784 numbers from 0 to 255, row by row; none while there is no ink."""
    labels = List(Unicode()).tag(sync=True)
    probabilities = List(Float()).tag(sync=True)
    problem = Unicode().tag(sync=True)
    """Why there are no probabilities, if something went wrong."""

    def __init__(self, read: Read, labels: Iterable[object] = range(10), **kwargs: Any) -> None:
        self.read = read
        super().__init__(labels=[str(label) for label in labels], **kwargs)

    @property
    def picture(self) -> np.ndarray[Any, Any]:
        """What `read` is given: a float32 array (28, 28) from 0 to 1."""
        pixels = self.pixels or [0] * SIDE**2
        return np.array(pixels, dtype=np.float32).reshape(SIDE, SIDE) / 255

    @observe("pixels")
    def _answer(self, change: Any) -> None:
        probabilities, problem = self._ask() if self.pixels else ([], "")
        with self.hold_sync():
            self.probabilities, self.problem = probabilities, problem

    def _ask(self) -> tuple[list[float], str]:
        """The probabilities, or what is wrong. An error in `read` is the student's to see: nobody reads a comm's log."""
        try:
            numbers = np.asarray(self.read(self.picture), dtype=np.float64).ravel()
        except Exception as error:
            return [], f"{type(error).__name__}: {error}"
        if numbers.size != len(self.labels) or not np.isfinite(numbers).all():
            return [], f"{len(self.labels)} probabilities were expected, not {np.array2string(numbers, threshold=12)}"
        return numbers.tolist(), ""

    def as_text(self) -> str:
        return pad_text(self.labels, self.probabilities, self.problem)

"""The drawing pad: pixels in, probabilities out, and what goes wrong is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinytorch_core import widgets
from tinytorch_core.widgets.pad import DrawPad
from tinytorch_core.widgets.plain import pad_text

RNG = np.random.default_rng(1)
INK = RNG.integers(0, 256, size=784).tolist()


def drawn(read: Any, pixels: list[int] = INK, **options: Any) -> DrawPad:
    """A pad on which somebody has drawn."""
    pad = DrawPad(read, **options)
    pad.pixels = pixels
    return pad


def test_read_is_given_the_picture_and_its_answer_is_kept() -> None:
    seen = []

    def read(picture: np.ndarray[Any, Any]) -> list[float]:
        seen.append(picture)
        return [0.1] * 10

    pad = drawn(read)
    assert pad.probabilities == [0.1] * 10
    assert (seen[0].shape, seen[0].dtype) == ((28, 28), np.float32)
    np.testing.assert_allclose(seen[0].ravel() * 255, INK, rtol=1e-6)


@pytest.mark.parametrize("kind", [tuple, np.array, lambda p: np.array([p], dtype=np.float32)])
def test_an_answer_may_be_any_row_of_numbers(kind: Any) -> None:
    np.testing.assert_allclose(drawn(lambda picture: kind([0.25, 0.75]), labels="ab").probabilities, [0.25, 0.75])


def test_every_change_is_answered_and_an_empty_pad_asks_nobody() -> None:
    asked: list[float] = []

    def read(picture: np.ndarray[Any, Any]) -> list[float]:
        asked.append(float(picture.sum()))
        return [1.0]

    pad = drawn(read, labels=[7])
    pad.pixels = INK[::-1]
    pad.pixels = []
    assert len(asked) == 2
    assert pad.probabilities == []


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda picture: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda picture: [0.5, 0.5, 0.0], "2 probabilities were expected, not [0.5 0.5 0. ]"),
        (lambda picture: [np.nan, 1.0], "2 probabilities were expected, not [nan  1.]"),
        (lambda picture: "seven", "ValueError"),
        (lambda picture: None, "2 probabilities were expected"),
    ],
)
def test_what_goes_wrong_is_said_until_the_next_drawing(read: Any, said: str) -> None:
    pad = drawn(read, labels="ab")
    assert pad.problem.startswith(said)
    assert pad.probabilities == []
    pad.read = lambda picture: [0.5, 0.5]
    pad.pixels = INK[::-1]
    assert pad.problem == ""


def test_the_picture_of_an_empty_pad_is_paper() -> None:
    np.testing.assert_array_equal(DrawPad(len).picture, np.zeros((28, 28)))


def test_it_reads_well_without_a_browser() -> None:
    assert "JupyterLab" in repr(DrawPad(len))
    assert repr(drawn(lambda picture: [0.1, 0.9], labels="ab")) == "Reads b (90%)."
    assert repr(drawn(lambda picture: 1 / 0)) == "ZeroDivisionError: division by zero"


def test_a_headless_run_gets_text_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(widgets.HEADLESS, "1")
    pad = widgets.DrawPad(lambda picture: 1 / 0)
    assert pad._repr_mimebundle_() == {"text/plain": pad_text([], ())}

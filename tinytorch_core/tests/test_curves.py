"""Learning curves: they grow with the history, are cheap, and draw nothing where nobody looks."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from tinytorch_core import widgets
from tinytorch_core.widgets import curves, plain

HISTORY = {"train_loss": [2.0, 1.0, 0.5], "val_loss": [2.0, 0.5, 1.0], "lr": [0.1, 0.1, 0.05]}
FIRST, MIDDLE, LAST = curves.LEFT, (curves.LEFT + curves.RIGHT) / 2, curves.RIGHT


def points(drawing: str) -> list[list[tuple[float, float]]]:
    """The corners of each curve."""
    lines = [line.get("points", "") for line in ElementTree.fromstring(drawing).iter("polyline")]
    return [[tuple(map(float, point.split(","))) for point in line.split()] for line in lines]  # type: ignore[misc]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What has been displayed."""
    shown: list[object] = []
    monkeypatch.setattr(curves, "display", shown.append)
    return shown


def test_losses_become_curves() -> None:
    height = curves.BOTTOM - curves.TOP
    training, validation = points(curves.svg(HISTORY))
    assert [x for x, _ in training] == [FIRST, MIDDLE, LAST]
    assert [(curves.BOTTOM - y) / height for _, y in training] == pytest.approx([1, 0.5, 0.25])
    assert [(curves.BOTTOM - y) / height for _, y in validation] == pytest.approx([1, 0.25, 0.5])


def test_the_lowest_validation_loss_is_marked() -> None:
    (mark,) = ElementTree.fromstring(curves.svg(HISTORY)).iter("circle")
    assert float(mark.get("cx", "nan")) == MIDDLE


@pytest.mark.parametrize("ends", [(0.5, 0.5), (0.5, 0.51), (0.51, 0.5), (0.1, 0.9)])
def test_names_stand_apart_and_beside_their_curves(ends: tuple[float, float]) -> None:
    drawing = ElementTree.fromstring(curves.svg({"train_loss": [1, ends[0]], "val_loss": [1, ends[1]]}))
    heights = {text.text: float(text.get("y", "nan")) for text in drawing.iter("text")}
    training, validation = heights["training"], heights["validation"]
    assert abs(training - validation) >= curves.LINE
    if ends[0] != ends[1]:
        assert (training < validation) == (ends[0] > ends[1])


def test_one_epoch_makes_no_curve_and_no_validation_no_second_one() -> None:
    assert curves.svg({"train_loss": [1.0], "val_loss": [1.0]}) == ""
    assert len(points(curves.svg({"train_loss": [2.0, 1.0], "val_loss": []}))) == 1


def test_numbers_that_are_none_are_left_out() -> None:
    drawing = curves.svg({"train_loss": [1.0, math.nan, math.inf, 0.5]})
    assert len(points(drawing)[0]) == 2
    assert not re.search("nan|inf", drawing)
    assert points(curves.svg({"train_loss": [0.0, 0.0]}))[0][0][1] == curves.BOTTOM


def test_it_shows_itself_once_and_counts_the_epochs(shown: list[object]) -> None:
    live = curves.LearningCurves(epochs=3)
    assert not shown
    for epoch in range(1, 4):
        live({name: values[:epoch] for name, values in HISTORY.items()})
    live.draw()
    assert shown == [live]
    assert (live.bar.value, live.bar.max) == (3, 3)
    assert repr(live) == "epoch 3 of 3   train_loss 0.5   val_loss 1   lr 0.05"
    assert "val_loss 1" in live.numbers.value
    assert len(points(live.drawing.value)) == 2


def test_short_epochs_are_not_all_drawn(shown: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(curves.time, "monotonic", lambda: 100.0)
    live = curves.LearningCurves(epochs=50)
    monkeypatch.setattr(curves, "svg", lambda history: drawn.append(len(history["lr"])) or "")
    for epoch in range(1, 51):
        live({"lr": [0.1] * epoch})
    assert drawn == [1]


def test_the_last_epochs_are_drawn_when_the_cell_ends(shown: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    listeners: list[object] = []

    class Events:
        def register(self, event: str, listener: object) -> None:
            listeners.append((event, listener))

        def unregister(self, event: str, listener: object) -> None:
            listeners.remove((event, listener))

    class Shell:
        events = Events()

    monkeypatch.setattr(curves, "get_ipython", Shell)
    live = curves.LearningCurves(epochs=9)
    for epoch in range(1, 4):
        live({name: values[:epoch] for name, values in HISTORY.items()})
    ((event, settle),) = listeners
    assert event == "post_execute"
    settle()  # type: ignore[operator]
    assert live.bar.value == 3
    assert len(points(live.drawing.value)[0]) == 3
    assert not listeners


def test_a_headless_run_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(widgets.HEADLESS, "1")
    quiet = widgets.LearningCurves(epochs=7)
    assert type(quiet) is plain.LearningCurves
    quiet(HISTORY)
    assert repr(quiet) == "epoch 0 of 7"
    monkeypatch.delenv(widgets.HEADLESS)
    assert widgets.LearningCurves is curves.LearningCurves

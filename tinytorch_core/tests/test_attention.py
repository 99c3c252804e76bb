"""The drawing of attention weights: every number in reach of mouse, keyboard and text, and nothing in it can break the page."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tinytorch_core.widgets.attention import LIMIT, AttentionMap

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def example() -> AttentionMap:
    """Two heads, two queries, three keys."""
    weights = np.array([[[0.25, 0.75, 0], [1, 0, 0]], [[0.5, 0.5, 0], [0.1, 0.2, 0.7]]], dtype=np.float32)
    return AttentionMap(weights, ["it", "sees"], ["the", "old", "cat"])


def rows(drawing: AttentionMap) -> list[ET.Element]:
    return [g for g in ET.fromstring(drawing.svg()).iter(f"{SVG}g") if g.get("class") == "tt-row"]


def test_it_reads_well_without_a_browser(example: AttentionMap) -> None:
    assert repr(example).splitlines() == [
        "head 0   the   old   cat",
        "    it  0.25  0.75  0.00",
        "  sees  1.00  0.00  0.00",
        "",
        "head 1   the   old   cat",
        "    it  0.50  0.50  0.00",
        "  sees  0.10  0.20  0.70",
    ]


def test_it_shows_itself_as_text_and_as_a_drawing(example: AttentionMap) -> None:
    assert example._repr_mimebundle_() == {"text/plain": repr(example), "text/html": example.svg()}


def test_the_keyboard_reaches_every_row_and_hears_its_numbers(example: AttentionMap) -> None:
    assert [row.get("tabindex") for row in rows(example)] == ["0"] * 4
    assert rows(example)[0].get("aria-label") == "head 0: it looks at old 0.75, the 0.25, cat 0.00"
    numbers = [text.text for text in rows(example)[3].iter(f"{SVG}text") if text.get("class") == "tt-number"]
    assert numbers == [".10", ".20", ".70"]


def test_each_cell_tells_its_number_to_the_mouse(example: AttentionMap) -> None:
    titles = [title.text for title in ET.fromstring(example.svg()).iter(f"{SVG}title")]
    assert titles[:3] == ["it → the: 0.250", "it → old: 0.750", "it → cat: 0.000"]
    assert len(titles) == 12


def test_the_larger_the_weight_the_stronger_the_colour(example: AttentionMap) -> None:
    cells = [cell.get("fill-opacity") for cell in rows(example)[0].iter(f"{SVG}rect") if cell.get("class") == "tt-cell"]
    assert cells == ["0.250", "0.750", "0.000"]


def test_one_head_has_no_number_and_keys_are_called_like_queries() -> None:
    drawing = AttentionMap(np.eye(2), ["a", "b"])
    assert "head" not in drawing.svg()
    assert repr(drawing).splitlines() == ["      a     b", "a  1.00  0.00", "b  0.00  1.00"]


def test_names_can_not_break_the_page() -> None:
    drawing = AttentionMap(np.ones((1, 1)), ['<script>alert("x")</script>'])
    assert "<script>" not in drawing.svg()
    assert rows(drawing)[0].get("aria-label") == '<script>alert("x")</script> looks at <script>alert("x")</script> 1.00'


def test_nothing_in_the_drawing_is_written_outside_of_it(example: AttentionMap) -> None:
    svg = ET.fromstring(example.svg())[0]
    _, _, width, height = map(int, svg.get("viewBox", "").split())
    assert all(float(e.get("x", 0)) < width and float(e.get("y", 0)) <= height for e in svg.iter())


def test_too_many_cells_are_refused_in_words() -> None:
    many = LIMIT + 1
    drawing = AttentionMap(np.eye(many), [str(n) for n in range(many)])
    assert "too many to draw" in drawing._repr_mimebundle_()["text/html"]
    assert "svg" not in drawing._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (4, 3, 2)])
def test_every_row_and_column_needs_a_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not 2 and 2"):
        AttentionMap(np.ones(shape), ["a", "b"])

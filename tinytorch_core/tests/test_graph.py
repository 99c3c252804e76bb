"""The drawing of a computation graph: what it says, where things stand, and that nothing in it can break the page."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tinytorch_core.widgets.graph import LIMIT, GraphDrawing, Layout, Operation, TensorBox

SVG = "{http://www.w3.org/2000/svg}"


def box(name: str, value: object, gradient: object = None) -> TensorBox:
    return TensorBox(name, np.asarray(value), None if gradient is None else np.asarray(gradient))


@pytest.fixture
def example() -> GraphDrawing:
    """c = a · b, d = c + b, e = d · d."""
    tensors = {
        1: box("a", 2.0, 54.0), 2: box("b", 3.0, 54.0), 3: box("", 6.0, 18.0), 4: box("", 9.0, 18.0), 5: box("e", 81.0, 1.0)
    }  # fmt: skip
    operations = [Operation("multiply", [1, 2], 3), Operation("add", [3, 2], 4), Operation("multiply", [4, 4], 5)]
    return GraphDrawing(tensors, operations)


def chain(length: int) -> GraphDrawing:
    tensors = {n: box("", float(n)) for n in range(length + 1)}
    return GraphDrawing(tensors, [Operation("add", [n], n + 1) for n in range(length)])


def groups(drawing: GraphDrawing) -> list[ET.Element]:
    return list(ET.fromstring(drawing.svg()).iter(f"{SVG}g"))


def test_it_reads_well_without_a_browser(example: GraphDrawing) -> None:
    assert repr(example).splitlines() == [
        "t1 = multiply(a, b)    value 6.0, gradient 18.0",
        "t2 = add(t1, b)    value 9.0, gradient 18.0",
        "e = multiply(t2, t2)    value 81.0, gradient 1.0",
    ]


def test_it_shows_itself_as_text_and_as_a_drawing(example: GraphDrawing) -> None:
    bundle = example._repr_mimebundle_()
    assert bundle["text/plain"] == repr(example)
    assert bundle["text/html"] == example.svg()


def test_every_part_can_be_reached_with_the_keyboard_and_says_what_it_is(example: GraphDrawing) -> None:
    said = [group.findtext(f"{SVG}title") for group in groups(example)]
    assert "a: value 2.0, gradient 54.0" in said
    assert "t2 = add(t1, b)" in said
    assert len(said) == 8
    for group in groups(example):
        assert group.get("tabindex") == "0"
        assert group.get("aria-label") == group.findtext(f"{SVG}title")


def test_the_same_graph_is_always_drawn_alike(example: GraphDrawing) -> None:
    assert example.svg() == example.svg()


def test_what_is_made_later_stands_further_right(example: GraphDrawing) -> None:
    corners = Layout.of(example._tensors, example._operations).corners
    assert corners[1][0] == corners[2][0] < corners[3][0] < corners[4][0] < corners[5][0]
    assert len(set(corners.values())) == 5


def test_a_leaf_stands_just_before_it_is_used() -> None:
    tensors = {name: box(name, 1.0) for name in ("x", "h", "w", "y")}
    operations = [Operation("tanh", ["x"], "h"), Operation("multiply", ["h", "w"], "y")]
    corners = Layout.of(tensors, operations).corners
    assert corners["w"][0] == corners["h"][0]
    assert corners["w"] != corners["h"]


def test_large_arrays_are_named_by_their_shape() -> None:
    said = repr(GraphDrawing({0: box("x", np.ones((4, 2))), 1: box("y", np.ones((4, 2)))}, [Operation("exp", [0], 1)]))
    assert said == "y = exp(x)    value of shape (4, 2)"


def test_a_name_can_not_break_the_page() -> None:
    name = '<script>alert("1")</script> & more'
    drawing = GraphDrawing({0: box(name, 1.0), 1: box("", 2.0)}, [Operation(name, [0], 1)])
    assert "<script" not in drawing.svg()
    assert any(name in (group.findtext(f"{SVG}title") or "") for group in groups(drawing))


def test_long_names_are_cut_in_the_drawing_and_whole_in_what_it_says() -> None:
    name = "binary_cross_entropy_with_logits"
    drawing = GraphDrawing({0: box("x", 1.0), 1: box("", 2.0)}, [Operation(name, [0], 1)])
    texts = [text.text or "" for text in ET.fromstring(drawing.svg()).iter(f"{SVG}text") if text.get("class") is None]
    assert max(map(len, texts)) < len(name)
    assert f"t1 = {name}(x)" in drawing.svg()


def test_colours_come_from_the_page(example: GraphDrawing) -> None:
    assert "currentColor" in example.svg()
    assert "var(--jp-content-font-color1" in example.svg()


def test_a_large_graph_is_refused_in_a_plain_sentence() -> None:
    drawing = chain(LIMIT)
    assert repr(drawing) == "This graph has 61 tensors and 60 operations, too many to draw. Draw a smaller part of it."
    assert drawing._repr_mimebundle_()["text/html"] == f"<p>{drawing!r}</p>"


def test_a_long_chain_is_no_trouble() -> None:
    assert "<svg" in GraphDrawing(chain(3000)._tensors, chain(3000)._operations, limit=4000).svg()


def test_an_empty_graph_is_drawn() -> None:
    assert groups(GraphDrawing({}, [])) == []


def test_what_goes_in_twice_says_so(example: GraphDrawing) -> None:
    assert [text.text for text in ET.fromstring(example.svg()).iter(f"{SVG}text") if "×" in (text.text or "")] == ["2×"]

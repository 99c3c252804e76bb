"""A drawing of a computation graph: tensors as boxes, operations between them, values and gradients on each.

It is one SVG and needs no script. It takes its colours from the page, so that it is legible in a dark theme too.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

LIMIT = 60
"""With more tensors than this a drawing explains nothing, and says so."""
ROW, HEIGHT, MARGIN, GAP, PILL, LETTER = 64, 44, 12, 26, 22, 7
SHOWN = 6
"""Arrays with more numbers than this are named by their shape."""
LONGEST = 18
"""Letters of a name that fit into the drawing."""

STYLE = """<style>
.tt-scroll { overflow-x: auto; }
.tt-graph { color: var(--jp-content-font-color1, currentColor); font-size: 12px;
  font-family: var(--jp-ui-font-family, sans-serif); }
.tt-graph text { fill: currentColor; text-anchor: middle; }
.tt-graph rect, .tt-graph path { fill: none; stroke: currentColor; }
.tt-graph rect { pointer-events: all; }
.tt-graph path { opacity: 0.6; }
.tt-graph .tt-gradient { fill: var(--jp-brand-color1, #1976d2); font-size: 11px; }
.tt-graph .tt-detail { visibility: hidden; text-anchor: start; }
.tt-graph g:hover > .tt-detail, .tt-graph g:focus > .tt-detail { visibility: visible; }
.tt-graph g:focus { outline: none; }
.tt-graph g:hover > rect, .tt-graph g:focus > rect { stroke-width: 3; }
</style>"""


@dataclass(frozen=True)
class TensorBox:
    """A tensor of the graph: `name` may be empty; `value` and `gradient` are arrays, or None where there is none."""

    name: str
    value: Any
    gradient: Any = None


@dataclass(frozen=True)
class Operation:
    """`name` has made the tensor `output` from the tensors `inputs`: keys of tensors."""

    name: str
    inputs: Sequence[Hashable]
    output: Hashable


class GraphDrawing:
    """Shows itself as a drawing in a notebook, and as a list of lines elsewhere."""

    def __init__(self, tensors: Mapping[Any, TensorBox], operations: Sequence[Operation], limit: int = LIMIT) -> None:
        self._tensors, self._operations = dict(tensors), list(operations)
        self._too_large = len(self._tensors) > limit

    def __repr__(self) -> str:
        if self._too_large:
            return self._refusal()
        names = self._names()
        return "\n".join(
            f"{names[o.output]} = {o.name}({', '.join(names[key] for key in o.inputs)})"
            f"    {_said(self._tensors[o.output])}"
            for o in self._operations
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        html = f"<p>{escape(self._refusal())}</p>" if self._too_large else self.svg()
        return {"text/plain": repr(self), "text/html": html}

    def _refusal(self) -> str:
        return (
            f"This graph has {len(self._tensors):,} tensors and {len(self._operations):,} operations, "
            f"too many to draw. Draw a smaller part of it."
        )

    def _names(self) -> dict[Hashable, str]:
        """Every tensor's own name, or t1, t2, … in the order they came in."""
        unnamed = (f"t{number}" for number in range(1, len(self._tensors) + 1))
        return {key: box.name or next(unnamed) for key, box in self._tensors.items()}

    def svg(self) -> str:
        names, layout = self._names(), Layout.of(self._tensors, self._operations)
        parts = [
            f'<div class="tt-scroll"><svg class="tt-graph" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {layout.width} {layout.height}" '
            f'width="{layout.width}" role="group" aria-label="Computation graph, {len(self._operations)} operations">',
            STYLE,
        ]
        for operation in self._operations:
            parts += [layout.arrow(key, operation) for key in dict.fromkeys(operation.inputs)]
        parts += [layout.tensor(key, box, f"{names[key]}: {_said(box)}") for key, box in self._tensors.items()]
        for operation in self._operations:
            called = f"{operation.name}({', '.join(names[key] for key in operation.inputs)})"
            parts.append(layout.operation(operation, f"{names[operation.output]} = {called}"))
        return "".join(parts) + "</svg></div>"


@dataclass(frozen=True)
class Layout:
    """Where everything stands. Columns from left to right, one for each step; an operation stands left of what it made."""

    corners: Mapping[Hashable, tuple[int, int]]
    box: int
    width: int
    height: int

    @classmethod
    def of(cls, tensors: Mapping[Any, TensorBox], operations: Sequence[Operation]) -> Layout:
        made_by = {operation.output: operation for operation in operations}
        columns = _columns(tensors, made_by)
        rows = _rows(columns, made_by)
        box = 16 + LETTER * max((len(_first_line(box)) for box in tensors.values()), default=0)
        lefts = [MARGIN]
        for column in range(1, 1 + max(columns.values(), default=0)):
            pills = [_pill(made_by[key]) for key in tensors if columns[key] == column and key in made_by]
            lefts.append(lefts[-1] + box + 2 * GAP + max(pills, default=0))
        corners = {key: (lefts[columns[key]], MARGIN + round(rows[key] * ROW)) for key in tensors}
        bottom = max((y for _, y in corners.values()), default=0) + HEIGHT
        return cls(corners, box, lefts[-1] + box + MARGIN, bottom + MARGIN + 24)

    def arrow(self, key: Hashable, operation: Operation) -> str:
        """From the right side of a box to the left side of the operation; with a number, if it goes in more than once."""
        (x1, y1), (x2, y2) = self.corners[key], self.corners[operation.output]
        x1, y1, y2 = x1 + self.box, y1 + HEIGHT // 2, y2 + HEIGHT // 2
        x2 -= _pill(operation) + GAP // 2
        times = list(operation.inputs).count(key)
        often = f'<text x="{x1 + GAP // 2}" y="{y1 - 4}">{times}×</text>' if times > 1 else ""
        return f'<path d="M{x1} {y1} H{x2 - GAP} C{x2 - GAP // 2} {y1} {x2 - GAP // 2} {y2} {x2} {y2}"/>{often}'

    def tensor(self, key: Hashable, box: TensorBox, said: str) -> str:
        x, y = self.corners[key]
        middle, line = x + self.box // 2, y + (27 if box.gradient is None else 18)
        gradient = "" if box.gradient is None else f"∂ {_short(box.gradient)}"
        return self._group(
            said,
            f'<rect x="{x}" y="{y}" width="{self.box}" height="{HEIGHT}" rx="6"/>'
            f'<text x="{middle}" y="{line}">{escape(_first_line(box))}</text>'
            f'<text class="tt-gradient" x="{middle}" y="{line + 17}">{escape(gradient)}</text>',
        )

    def operation(self, operation: Operation, said: str) -> str:
        x, y = self.corners[operation.output]
        width = _pill(operation)
        x, y = x - GAP // 2 - width, y + (HEIGHT - PILL) // 2
        return f'<path d="M{x + width} {y + PILL // 2} h{GAP // 2}"/>' + self._group(
            said,
            f'<rect x="{x}" y="{y}" width="{width}" height="{PILL}" rx="{PILL // 2}"/>'
            f'<text x="{x + width // 2}" y="{y + 15}">{escape(_cut(operation.name))}</text>',
        )

    def _group(self, said: str, inside: str) -> str:
        """A part that the mouse and the keyboard can reach, and then says what it is in the drawing's last line."""
        detail = f'<text class="tt-detail" x="{MARGIN}" y="{self.height - 8}">{escape(said)}</text>'
        title = f'<g tabindex="0" role="img" aria-label="{escape(said)}"><title>{escape(said)}</title>'
        return f"{title}{inside}{detail}</g>"


def _rows(columns: Mapping[Hashable, int], made_by: Mapping[Hashable, Operation]) -> dict[Hashable, float]:
    """Each tensor near those it was made of, and no two of a column in one row."""
    rows: dict[Hashable, float] = {}
    for column in sorted(set(columns.values())):
        members = [key for key in columns if columns[key] == column]
        wished = {key: _wished(key, made_by, rows, place) for place, key in enumerate(members)}
        lowest = -1.0
        for key in sorted(members, key=lambda key: wished[key]):
            rows[key] = lowest = max(wished[key], lowest + 1)
    return rows


def _columns(tensors: Mapping[Any, TensorBox], made_by: Mapping[Hashable, Operation]) -> dict[Hashable, int]:
    """How many operations lie behind each tensor, at most. A leaf stands just before it is first used."""
    columns: dict[Hashable, int] = {}
    waiting = list(tensors)
    while waiting:
        key = waiting[-1]
        behind = made_by[key].inputs if key in made_by else ()
        unknown = [other for other in behind if other not in columns]
        waiting += unknown
        if not unknown:
            columns[waiting.pop()] = 1 + max((columns[other] for other in behind), default=-1)
    for leaf in [key for key in tensors if key not in made_by]:
        users = [columns[operation.output] for operation in made_by.values() if leaf in operation.inputs]
        columns[leaf] = min(users, default=1) - 1
    return {key: columns[key] for key in tensors}


def _wished(key: Hashable, made_by: Mapping[Hashable, Operation], rows: Mapping[Hashable, float], place: int) -> float:
    """The mean row of the inputs; a leaf takes what its place in the list says."""
    behind = [rows[other] for other in made_by[key].inputs] if key in made_by else []
    return sum(behind) / len(behind) if behind else float(place)


def _pill(operation: Operation) -> int:
    return 16 + LETTER * len(_cut(operation.name))


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _first_line(box: TensorBox) -> str:
    value = _short(box.value)
    return f"{_cut(box.name)} = {value}" if box.name and box.value.size == 1 else _cut(f"{box.name} {value}".strip())


def _said(box: TensorBox) -> str:
    gradient = "" if box.gradient is None else f", gradient {_long(box.gradient)}"
    return f"value {_long(box.value)}{gradient}"


def _short(array: Any) -> str:
    """One number, or the shape: what fits into a box."""
    return f"{float(array.reshape(-1)[0]):.4g}" if array.size == 1 else f"({'×'.join(map(str, array.shape))})"


def _long(array: Any) -> str:
    if array.size > SHOWN:
        return f"of shape {tuple(array.shape)}"
    return " ".join(str(_rounded(array.tolist())).split())


def _rounded(numbers: Any) -> Any:
    return [_rounded(n) for n in numbers] if isinstance(numbers, list) else float(f"{numbers:.4g}")

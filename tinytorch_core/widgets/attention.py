"""A drawing of where attention looks: a table of coloured cells for each head, with every number in reach of mouse and keyboard.

It is one SVG and needs no script. It takes its colours from the page, so that it is legible in a dark theme too.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

LIMIT = 24
"""With more queries or keys than this the cells can't be read, and a text says so."""
CELL, GAP, LETTER, MARGIN, LINE = 30, 3, 7, 8, 18
SHOWN = 4
"""How many keys the line below the drawing names."""

STYLE = """<style>
.tt-scroll { overflow-x: auto; }
.tt-attention { color: var(--jp-content-font-color1, currentColor); font-size: 12px;
  font-family: var(--jp-ui-font-family, sans-serif); }
.tt-attention text { fill: currentColor; }
.tt-attention .tt-cell { fill: var(--jp-brand-color1, #1976d2); }
.tt-attention .tt-frame { fill: none; stroke: currentColor; stroke-opacity: 0.2; pointer-events: all; }
.tt-attention .tt-number { text-anchor: middle; font-size: 11px; pointer-events: none; paint-order: stroke;
  stroke: var(--jp-layout-color0, #ffffff); stroke-width: 3px; }
.tt-attention .tt-number, .tt-attention .tt-detail { visibility: hidden; }
.tt-attention .tt-row:hover .tt-number, .tt-attention .tt-row:focus .tt-number,
.tt-attention .tt-row:hover > .tt-detail, .tt-attention .tt-row:focus > .tt-detail { visibility: visible; }
.tt-attention:has(.tt-row:hover) .tt-row:focus:not(:hover) > .tt-detail { visibility: hidden; }
.tt-attention .tt-row { outline: none; }
.tt-attention .tt-row:hover > .tt-query, .tt-attention .tt-row:focus > .tt-query { font-weight: bold; }
</style>"""


class AttentionMap:
    """Shows itself as a drawing in a notebook, and as tables of numbers elsewhere.

    weights: an array (queries, keys), or (heads, queries, keys), each row together 1. queries, keys: a short name for each; the
    keys are called like the queries if nothing else is said.
    """

    def __init__(self, weights: Any, queries: Sequence[str], keys: Sequence[str] | None = None) -> None:
        self._heads = weights if weights.ndim == 3 else weights[None]
        self._queries = [str(name) for name in queries]
        self._keys = self._queries if keys is None else [str(name) for name in keys]
        if self._heads.shape[1:] != (len(self._queries), len(self._keys)):
            raise ValueError(
                f"weights of shape {weights.shape} need a name for each query and each key, "
                f"not {len(self._queries)} and {len(self._keys)}"
            )

    def __repr__(self) -> str:
        return "\n\n".join(self._table(number) for number in range(len(self._heads)))

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        html = f"<p>{escape(self._refusal())}</p>" if self._too_large() else self.svg()
        return {"text/plain": repr(self), "text/html": html}

    def svg(self) -> str:
        left = MARGIN + LETTER * max(map(len, self._queries)) + MARGIN
        top = MARGIN + LINE + LETTER * max(map(len, self._keys)) + MARGIN
        each = left + CELL * len(self._keys) + MARGIN
        below = top + CELL * len(self._queries)
        width = max(each * len(self._heads), MARGIN + LETTER * max(map(len, self._details())))
        parts = [
            '<div class="tt-scroll"><svg class="tt-attention" xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {width} {below + 2 * LINE}" width="{width}" role="group" '
            f'aria-label="Attention weights, {len(self._heads)} × {len(self._queries)} rows">',
            STYLE,
        ]
        for head in range(len(self._heads)):
            parts += self._head(head, head * each + left, top, below + LINE)
        return "".join(parts) + "</svg></div>"

    def _head(self, head: int, left: int, top: int, below: int) -> list[str]:
        """The drawing of one head, whose first cell stands at (left, top); details are written at height `below`."""
        middle = CELL // 2
        parts = [f'<text x="{left}" y="{MARGIN + 10}">head {head}</text>'] if len(self._heads) > 1 else []
        for column, key in enumerate(self._keys):
            x = left + CELL * column + middle + 4
            parts.append(f'<text transform="translate({x} {top - MARGIN}) rotate(-90)">{escape(key)}</text>')
        for row, query in enumerate(self._queries):
            y = top + CELL * row
            said = f"{self._name(head)}{query} looks at {', '.join(self._looks(head, row))}"
            parts += [
                f'<g class="tt-row" tabindex="0" role="img" aria-label="{escape(said)}">',
                f'<text class="tt-query" text-anchor="end" x="{left - MARGIN}" y="{y + middle + 4}">{escape(query)}</text>',
                *(self._cell(head, row, column, left + CELL * column, y) for column in range(len(self._keys))),
                f'<text class="tt-detail" x="{MARGIN}" y="{below}">{escape(self._detail(head, row))}</text></g>',
            ]
        return parts

    def _cell(self, head: int, row: int, column: int, x: int, y: int) -> str:
        weight, size = float(self._heads[head, row, column]), CELL - GAP
        said = f"{self._queries[row]} → {self._keys[column]}: {weight:.3f}"
        return (
            f'<g><title>{escape(said)}</title><rect class="tt-frame" x="{x}" y="{y}" width="{size}" height="{size}" rx="3"/>'
            f'<rect class="tt-cell" x="{x}" y="{y}" width="{size}" height="{size}" rx="3" fill-opacity="{weight:.3f}"/>'
            f'<text class="tt-number" x="{x + size // 2}" y="{y + size // 2 + 4}">{_short(weight)}</text></g>'
        )

    def _looks(self, head: int, row: int) -> list[str]:
        """Every key with its weight, the largest first."""
        weights = self._heads[head, row]
        order = sorted(range(len(self._keys)), key=lambda column: -weights[column])
        return [f"{self._keys[column]} {weights[column]:.2f}" for column in order]

    def _detail(self, head: int, row: int) -> str:
        looks = self._looks(head, row)
        more = ", …" if len(looks) > SHOWN else ""
        return f"{self._name(head)}{self._queries[row]} looks at {', '.join(looks[:SHOWN])}{more}"

    def _details(self) -> list[str]:
        return [self._detail(head, row) for head in range(len(self._heads)) for row in range(len(self._queries))]

    def _name(self, head: int) -> str:
        return f"head {head}: " if len(self._heads) > 1 else ""

    def _table(self, head: int) -> str:
        title = f"head {head}" if len(self._heads) > 1 else ""
        left, wide = max(map(len, [title, *self._queries])), [max(4, len(key)) for key in self._keys]
        lines = [f"{title:{left}}  {'  '.join(f'{key:>{n}}' for key, n in zip(self._keys, wide, strict=True))}"]
        for query, weights in zip(self._queries, self._heads[head], strict=True):
            numbers = "  ".join(f"{weight:{n}.2f}" for weight, n in zip(weights, wide, strict=True))
            lines.append(f"{query:>{left}}  {numbers}")
        return "\n".join(line.rstrip() for line in lines)

    def _too_large(self) -> bool:
        return max(len(self._queries), len(self._keys)) > LIMIT

    def _refusal(self) -> str:
        return f"{len(self._queries)} × {len(self._keys)} cells are too many to draw. Draw at most {LIMIT} positions."


def _short(weight: float) -> str:
    """A number that fits into a cell: .97, or 1 and 0 where it rounds to them."""
    text = f"{weight:.2f}"
    return {"0.00": "0", "1.00": "1"}.get(text, text.removeprefix("0"))

"""Compare an answer with what was wanted, and say the difference in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytorch_core.kernel.plain import Array, Other

SHOWN = 12
"""Arrays and lists with more elements than this are described, not printed."""


@dataclass(frozen=True)
class ATensor:
    """A wanted array that must come back as a Tensor, not as a bare NumPy array."""

    values: np.ndarray[Any, Any]


def difference(wanted: Any, answer: Any, rtol: float, atol: float, where: str = "") -> str | None:
    """None if `answer` (decoded plain data) is `wanted`; else one sentence that says what differs and where."""
    at = f" at {where}" if where else ""
    if isinstance(wanted, (ATensor, np.ndarray, np.generic)):
        return _array_difference(wanted, answer, rtol, atol, at)
    if isinstance(wanted, (list, tuple)):
        if type(answer) is not list:
            return f"expected {len(wanted)} values{at}, got {describe(answer)}"
        if len(answer) != len(wanted):
            return f"expected {len(wanted)} values{at}, got {len(answer)}"
        return _first(
            difference(w, a, rtol, atol, f"{where}[{i}]") for i, (w, a) in enumerate(zip(wanted, answer, strict=True))
        )
    if isinstance(wanted, dict):
        if type(answer) is not dict or set(answer) != set(wanted):
            return f"expected the keys {sorted(wanted)}{at}, got {describe(answer)}"
        return _first(difference(wanted[key], answer[key], rtol, atol, f"{where}[{key!r}]") for key in wanted)
    if type(wanted) is float:
        return _float_difference(wanted, answer, rtol, atol, at)
    if type(answer) is not type(wanted) and answer == wanted:  # they would look the same
        return f"expected the {type(wanted).__name__} {wanted!r}{at}, got the {type(answer).__name__} {answer!r}"
    if type(answer) is not type(wanted) or answer != wanted:
        return f"expected {describe(wanted)}{at}, got {describe(answer)}"
    return None


def _first(differences: Any) -> str | None:
    return next((text for text in differences if text is not None), None)


def _float_difference(wanted: float, answer: Any, rtol: float, atol: float, at: str) -> str | None:
    if type(answer) is not float:
        return f"expected a Python float near {wanted:.6g}{at}, got {describe(answer)}"
    if _close(answer, wanted, rtol, atol):
        return None
    return f"expected {wanted:.8g}{at}, got {answer:.8g}"


def _array_difference(wanted: Any, answer: Any, rtol: float, atol: float, at: str) -> str | None:
    values = wanted.values if isinstance(wanted, ATensor) else np.asarray(wanted)
    if not isinstance(answer, Array):
        return f"expected {_kind_of(values)} of shape {values.shape}{at}, got {describe(answer)}"
    if isinstance(wanted, ATensor) and answer.kind != "tensor":
        return f"expected a Tensor{at}, got a NumPy {'scalar' if answer.kind == 'scalar' else 'array'}"
    got = answer.values
    if got.shape != values.shape:
        return f"expected shape {values.shape}{at}, got {got.shape}"
    if _kind_of(got) != _kind_of(values):
        return f"expected {_kind_of(values)}{at}, got {_kind_of(got)} (dtype {got.dtype})"
    close = _close(got, values, rtol, atol) if got.dtype.kind == "f" else got == values
    return None if close.all() else _largest(values, got, close, at)


def _close(got: Any, wanted: Any, rtol: float, atol: float) -> Any:
    with np.errstate(all="ignore"):  # the gap between two ends of the range
        return np.isclose(got, wanted, rtol=rtol, atol=atol, equal_nan=True)


def _largest(wanted: Any, got: Any, close: Any, at: str) -> str:
    with np.errstate(all="ignore"):
        gap = np.abs(np.subtract(got, wanted, dtype=np.float64))
    gap = np.where(close, -1, gap)  # argmax takes nan for the largest
    place = np.unravel_index(int(np.argmax(gap)), gap.shape)
    index = f" at [{', '.join(str(int(i)) for i in place)}]" if place else ""
    share = f"; {int((~close).sum())} of {close.size} values are off" if close.size > 1 else ""
    return f"largest difference{at}{index}: expected {_number(wanted[place])}, got {_number(got[place])}{share}"


def _number(value: Any) -> str:
    return f"{value:.8g}" if isinstance(value, np.floating) else str(value)


def _kind_of(array: Any) -> str:
    return {"f": "floats", "i": "integers", "u": "integers", "b": "booleans"}.get(array.dtype.kind, str(array.dtype))


def describe(value: Any) -> str:
    """`value` in a few words: a small array is printed, a large one is named by shape and dtype."""
    if isinstance(value, Array):
        name = {"tensor": "Tensor", "array": "array", "scalar": "NumPy scalar"}[value.kind]
        return _describe_array(name, value.values)
    if isinstance(value, ATensor):
        return _describe_array("Tensor", value.values)
    if isinstance(value, (np.ndarray, np.generic)):
        return _describe_array("array", np.asarray(value))
    if isinstance(value, Other):
        return f"an object of type {value.type}"
    if isinstance(value, float):
        return f"{value:.8g}"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(describe(item) for item in value[:SHOWN])
        return f"[{shown}{', …' if len(value) > SHOWN else ''}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {describe(item)}" for key, item in list(value.items())[:SHOWN]) + "}"
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "…"


def _describe_array(name: str, array: Any) -> str:
    """The width of floats is left out: it is not compared, and would look as if it were what is wrong."""
    dtype = "" if array.dtype.kind == "f" else f"dtype={array.dtype}"
    if array.size <= SHOWN:
        text = np.array2string(array, precision=6, separator=", ")
        return f"{name}({text}{dtype and f', {dtype}'})"
    return f"{name} of shape {array.shape}{dtype and f', {dtype}'}"

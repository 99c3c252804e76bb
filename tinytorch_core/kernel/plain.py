"""Plain data: how inputs go into a kernel and answers come out.

JSON with one-key objects for what JSON lacks: {"array": [kind, dtype, shape, base64]}, {"float": "nan"}, {"dict": …}, {"other": type}.
A decoded answer is untrusted, so `decode` checks every type, length and size, and raises ValueError on anything else.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

MIME = "application/vnd.tinytorch.answers+json"
"""Of the message that answers come in."""
DTYPES = {
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
}
MAX_DEPTH = 12
EXACT = 2**53

Kind = Literal["array", "tensor", "scalar"]


@dataclass(frozen=True)
class Array:
    """An array with what it was in the kernel: a NumPy array, a Tensor, or a NumPy scalar."""

    kind: Kind
    values: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Other:
    """Something that is not plain data; it equals nothing."""

    type: str


def encode(value: Any, depth: int = 0) -> Any:
    """`value` as JSON-ready plain data. What has no plain form becomes {"other": its type's name}."""
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        return (
            value
            if -EXACT <= value <= EXACT
            else {"int": str(value)}
            if value.bit_length() < 4096
            else {"other": "int"}
        )
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if depth < MAX_DEPTH:
        if type(value) in (list, tuple):
            return [encode(item, depth + 1) for item in value]
        if type(value) is dict and all(type(key) is str for key in value):
            return {"dict": {key: encode(item, depth + 1) for key, item in value.items()}}
    return _encode_array(value)


def _encode_array(value: Any) -> Any:
    kind: Kind = "array"
    if isinstance(value, np.generic):
        kind = "scalar"
    elif not isinstance(value, np.ndarray):
        value, kind, original = getattr(value, "data", None), "tensor", value
        if not isinstance(value, np.ndarray):
            return {"other": type(original).__name__[:80]}
    array = np.asarray(value)
    if array.dtype.name not in DTYPES:
        return {"other": f"array of {array.dtype.name}"[:80]}
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    data = base64.b64encode(array.tobytes()).decode("ascii")
    return {"array": [kind, array.dtype.name, list(array.shape), data]}


def decode(value: Any, depth: int = 0) -> Any:
    """The inverse of `encode`; arrays come back as `Array`. ValueError where `value` is not what `encode` makes."""
    if value is None or type(value) in (bool, str, float):
        return value
    if type(value) is int:
        if not -EXACT <= value <= EXACT:
            raise ValueError("an integer out of bounds")
        return value
    if depth >= MAX_DEPTH + 1:
        raise ValueError("nested too deeply")
    if type(value) is list:
        return [decode(item, depth + 1) for item in value]
    if type(value) is dict and len(value) == 1:
        ((tag, body),) = value.items()
        return _decode_tagged(tag, body, depth)
    raise ValueError(f"not plain data: {type(value).__name__}")


def _decode_tagged(tag: str, body: Any, depth: int) -> Any:
    if tag == "array" and type(body) is list and len(body) == 4:
        return _decode_array(*body)
    if tag == "dict" and type(body) is dict:
        return {key: decode(item, depth + 1) for key, item in body.items()}
    if type(body) is str and len(body) < 2000:
        if tag == "float" and body in ("nan", "inf", "-inf"):
            return float(body)
        if tag == "int" and body.lstrip("-").isdecimal():
            return int(body)
        if tag == "other":
            return Other(body)
    raise ValueError(f"not plain data: {tag!r}")


def _decode_array(kind: Any, dtype: Any, shape: Any, data: Any) -> Array:
    if not all(type(part) is str for part in (kind, dtype, data)):
        raise ValueError("not an array")
    if kind not in ("array", "tensor", "scalar") or dtype not in DTYPES:
        raise ValueError("not an array")
    if type(shape) is not list or len(shape) > 16 or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise ValueError("not a shape")
    raw = base64.b64decode(data, validate=True)
    if len(raw) != math.prod(shape) * np.dtype(dtype).itemsize:
        raise ValueError("an array whose bytes do not fit its shape")
    if dtype == "bool" and not set(raw) <= {0, 1}:
        raise ValueError("a boolean array that holds other bytes")
    return Array(kind, np.frombuffer(raw, dtype=dtype).reshape(shape).copy())


def foreign(encoded: Any) -> str:
    """The type of something in `encoded` that had no plain form; "" if everything had one."""
    if isinstance(encoded, list):
        return next(filter(None, map(foreign, encoded)), "")
    if isinstance(encoded, dict):
        ((tag, body),) = encoded.items()
        if tag == "dict":
            return next(filter(None, map(foreign, body.values())), "")
        return str(body) if tag == "other" else ""
    return ""


def unwrap(value: Any) -> Any:
    """`value` with NumPy arrays in place of `Array`: for functions that judge, and for inputs."""
    if isinstance(value, Array):
        return value.values
    if isinstance(value, list):
        return [unwrap(item) for item in value]
    if isinstance(value, dict):
        return {key: unwrap(item) for key, item in value.items()}
    return value

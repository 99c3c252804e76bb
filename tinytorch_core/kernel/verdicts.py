"""From what a body sent to an outcome in words: the same for the grader (outside) and for `%check` (in the notebook)."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tinytorch_core.kernel.checking import Body, Check
from tinytorch_core.kernel.compare import describe
from tinytorch_core.kernel.plain import decode

SHOWN_INPUT = 12
"""Inputs with more elements than this are named by shape, not printed."""
SHOWN_LINES = 10
"""A body that is shown whole is cut off after this many lines."""
NOT_EXPORTED = (
    "Your package holds only what the notebook's #| export cells define and import. This name comes from another cell, or is "
    "misspelled: use what those cells have, or import it inside one of them."
)
IS_NONE = (
    "Something in that line is None. Either it may be (then ask `… is not None` before you use it), or a function that should have "
    "returned it has no `return`."
)


@dataclass(frozen=True)
class Outcome:
    outcome: Literal["passed", "failed", "error", "not_attempted", "missing"]
    message: str = ""
    hint: str = ""
    """In place of the check's own hint, where that would mislead."""


PASSED = Outcome("passed")


def outcome_of(check: Check, inputs: dict[str, Any], record: dict[str, Any]) -> Outcome:
    """Judge one record ({"answer": plain} or {"error": {...}}) of `check`, run on `inputs`."""
    if isinstance(record.get("error"), dict):
        return _raised(check, inputs, record["error"])
    try:
        answer = decode(record["answer"])
    except (KeyError, ValueError, RecursionError) as problem:
        return Outcome("error", f"The answer of this check could not be read ({problem}).")
    try:
        said = check.verdict(inputs, answer)
    except Exception:  # the judge met something it was not written for; that is never a pass
        said = f"got       {describe(answer)}\nwhich has not the form that was expected"
    return PASSED if said is None else Outcome("failed", f"{call_text(check.body, inputs)}\n{said}")


def too_slow(check: Check, reference: float, seconds: float) -> Outcome:
    """Judge the time of a performance check; both times in seconds."""
    if reference <= 0:
        return Outcome("error", "The reference of this check took no time at all, so nothing can be compared with it.")
    ratio = seconds / reference
    if ratio <= check.times:
        return PASSED
    return Outcome(
        "failed",
        f"called    {expression(check.body)}\n"
        f"got       {seconds * 1000:.2f} ms, {ratio:.1f} times as long as plain NumPy ({reference * 1000:.2f} ms)\n"
        f"expected  at most {check.times:g} times as long",
    )


def _raised(check: Check, inputs: dict[str, Any], error: dict[str, Any]) -> Outcome:
    stub = str(error.get("stub", ""))
    if stub:
        other = (
            ""
            if stub == check.exercise
            else f" This check needs it{' for ' + check.exercise if check.exercise else ''}."
        )
        return Outcome("not_attempted", f"{stub} is not written yet.{other}")
    lines = [call_text(check.body, inputs), f"raised    {error.get('type')}: {error.get('message')}"]
    frame = student_frame(error)
    if frame:
        lines.append(f"in        {place(frame)}\n          {frame['code']}")
    return Outcome("failed", "\n".join(lines), _hint(error, frame))


def _hint(error: dict[str, Any], frame: dict[str, Any] | None) -> str:
    """What helps more than the check's own hint, where the error itself says what is wrong; else ""."""
    if frame is None:
        return ""
    if error.get("type") == "NameError" and frame["file"].startswith("tinytorch/"):
        return NOT_EXPORTED
    if error.get("type") == "AttributeError" and str(error.get("message")).startswith("'NoneType' object"):
        return IS_NONE
    return ""


def student_frame(error: dict[str, Any]) -> dict[str, Any] | None:
    """The innermost frame of an error that lies in the student's own code."""
    frames = error.get("frames")
    own = [f for f in frames if _is_own(f)] if isinstance(frames, list) else []
    return own[-1] if own else None


def _is_own(frame: Any) -> bool:
    if not isinstance(frame, dict) or type(frame.get("line")) is not int:
        return False
    if not all(isinstance(frame.get(key), str) for key in ("file", "name", "code")):
        return False
    return frame["file"].startswith("tinytorch/") or "ipykernel" in frame["file"]


def place(frame: dict[str, Any]) -> str:
    file = "this notebook" if "ipykernel" in frame["file"] else frame["file"]
    return f"{file}, line {frame['line']}" + (f", in {frame['name']}" if frame["name"] not in ("", "<module>") else "")


def call_text(body: Body, inputs: dict[str, Any]) -> str:
    """What was called, and with which inputs, where they are small enough to read."""
    lines = [f"called    {expression(body)}"]
    shown = [f"{name} = {_input(value)}" for name, value in inputs.items()]
    if shown:
        lines.append(textwrap.indent("\n".join(shown), " " * 10).replace(" " * 10, "with      ", 1))
    return "\n".join(lines)


def _input(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size > SHOWN_INPUT:
            return f"array of shape {value.shape}, dtype {value.dtype}"
        return " ".join(np.array2string(value, precision=4, separator=", ").split())
    text = describe(value)
    return (
        text
        if len(text) <= 120
        else f"{type(value).__name__} of {len(value)} items"
        if hasattr(value, "__len__")
        else text[:120]
    )


def expression(body: Body) -> str:
    """The expression that a body returns, as its author wrote it; all of the body where that expression alone says nothing."""
    try:
        source = textwrap.dedent(inspect.getsource(body))
        (function,) = ast.parse(source).body
        statements = function.body[bool(ast.get_docstring(function)) :]  # type: ignore[attr-defined,arg-type]
        last = _last(statements)
        returned = last.value
        segment = ast.get_source_segment(source, returned) or ""
    except (OSError, SyntaxError, TypeError, ValueError, IndexError, AttributeError):
        return body.__name__
    whole = last is statements[0] or any(isinstance(n, ast.Name) and n.id == "tt" for n in ast.walk(returned))
    if last is statements[-1] and whole:
        return " ".join(segment.split())
    lines = source.splitlines()[statements[0].lineno - 1 : statements[-1].end_lineno]
    shown = textwrap.dedent("\n".join(lines)).splitlines()
    return f"\n{' ' * 10}".join(shown[:SHOWN_LINES] + ["…"] * (len(shown) > SHOWN_LINES))


def _last(statements: list[ast.stmt]) -> Any:
    """The statement that returns: the last one, also at the end of a `with` block."""
    last = statements[-1]
    return _last(last.body) if isinstance(last, ast.With) else last

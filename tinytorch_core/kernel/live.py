"""`%check`: the very same checks as in grading, on the code of the live notebook."""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from IPython.core.getipython import get_ipython

from tinytorch_core.kernel.checking import Check, collect, execute_checks, observe
from tinytorch_core.kernel.harness import describe_error, timed
from tinytorch_core.kernel.verdicts import PASSED, Outcome, expression, outcome_of, too_slow

Result = dict[str, Any]
SECONDS = 20.0
"""What takes longer than this is stopped. The slowest check of a right solution takes about a second."""
TIMING_TRIES = 3
ENDLESS = "Is there a loop that never comes to its end, or one that does the same work again and again?"
MARKS = {"passed": "ok", "failed": "wrong", "error": "could not be judged", "not_attempted": "not written yet"}


def check_exercise(checks: Path, module: dict[str, Any], exercise: dict[str, Any], tt: Any) -> Result:
    """Run the checks of one exercise. Returns the value that the CheckResult widget shows."""
    file = checks / f"test_{module['id']}.py"
    support = checks / "support.py"
    source = support.read_text(encoding="utf-8") if support.is_file() else ""
    namespace = execute_checks(file.read_text(encoding="utf-8"), source, f"checks/{file.name}")
    own = [check for check in collect(namespace) if check.exercise == exercise["id"]]
    results, stopped = [], False
    for check in own:
        try:
            with at_most(SECONDS):
                results.append(_result(check, _run(check, tt)))
        except TookTooLong:  # the others would only keep the student waiting as long
            results.append(_result(check, Outcome("failed", _never_ended(check), ENDLESS)))
            stopped = True
            break
    passed = bool(results) and not stopped and all(r["outcome"] == "passed" for r in results)
    return {
        "exercise": exercise["id"], "title": exercise["title"], "module": module["id"], "passed": passed,
        "checks": results, "message": _summary(exercise, results, stopped),
    }  # fmt: skip


class TookTooLong(BaseException):
    """Time is up. Not an Exception, so that `except Exception` in a student's code doesn't catch it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TookTooLong in the block once it has taken `seconds`. Without effect where there are no alarms: Windows, other threads."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _never_ended(check: Check) -> str:
    return (
        f"called    {expression(check.body)}\nstopped   after {SECONDS:g} seconds, and the checks after it have not run"
    )


def _run(check: Check, tt: Any) -> Outcome:
    inputs = check.inputs(np.random.default_rng(secrets.randbits(64)))
    reference = min(timed(partial(check.reference, **inputs)) for _ in range(5)) if check.reference else 0.0
    try:
        record: dict[str, Any] = {"answer": observe(check.body, tt, inputs)}
    except (Exception, SystemExit) as error:
        record = {"error": describe_error(error)}
    outcome = outcome_of(check, inputs, record)
    if outcome.outcome == "passed" and check.reference:
        outcome = _in_time(check, tt, inputs, reference)
    return outcome


def _in_time(check: Check, tt: Any, inputs: dict[str, Any], reference: float) -> Outcome:
    """Timed anew where it took too long: something else may have run on the machine just then."""
    for _ in range(TIMING_TRIES):
        outcome = too_slow(check, reference, min(timed(partial(check.body, tt, **inputs)) for _ in range(3)))
        if outcome == PASSED:
            break
    return outcome


def _result(check: Check, outcome: Outcome) -> Result:
    return {
        "id": check.id, "exercise": check.exercise, "title": check.title, "outcome": outcome.outcome,
        "message": outcome.message, "hint": "" if outcome == PASSED else outcome.hint or check.hint,
    }  # fmt: skip


def _summary(exercise: dict[str, Any], results: list[Result], stopped: bool) -> str:
    passed = sum(r["outcome"] == "passed" for r in results)
    if not results:
        return f"{exercise['id']} has no checks of its own."
    if stopped:
        return f"{exercise['title']}: stopped, because a check did not come to its end."
    if passed == len(results):
        return f"{exercise['title']}: all {passed} checks pass."
    if all(r["outcome"] == "not_attempted" for r in results):
        return f"{exercise['title']}: not written yet."
    return f"{exercise['title']}: {passed} of {len(results)} checks pass."


def as_text(result: Result) -> str:
    """The result for a screen without widgets."""
    lines = [result["message"]]
    for check in result["checks"]:
        lines.append(f"  [{MARKS.get(check['outcome'], check['outcome'])}] {check['title']}")
        if check["outcome"] != "passed":
            lines += [f"      {line}" for line in check["message"].splitlines()]
            lines += [f"      hint: {check['hint']}"] if check["hint"] and check["outcome"] == "failed" else []
    return "\n".join(lines)


def show(result: Result) -> None:
    """Publish the result as a widget, with plain text for whoever has none."""
    bundle: dict[str, Any] = {"text/plain": as_text(result)}
    try:
        from tinytorch_core.widgets import CheckResult
    except ImportError:  # ipywidgets is not installed where this kernel runs
        bundle_widget = None
    else:
        bundle_widget = CheckResult(result)._repr_mimebundle_()
    if bundle_widget:
        data = bundle_widget[0] if isinstance(bundle_widget, tuple) else bundle_widget
        bundle = {**data, **bundle}
    shell: Any = get_ipython()
    shell.display_pub.publish(bundle)

"""`%check`: the same checks and the same words as in grading, on the code of the notebook."""

import contextlib
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tinytorch_core.kernel import live

pytestmark = pytest.mark.usefixtures("clean_imports")

CHECKS = """
import numpy as np
from support import some
from tinytorch_core.kernel.checking import at_most, exercise, given, stage, wants

@exercise("double")
@given(lambda rng: {"x": some(rng)})
@wants(lambda x: x * 2)
def test_double(tt, x):
    \"\"\"double gives twice as much.

    Add it to itself.
    \"\"\"
    return tt.double(x)

@exercise("double")
@stage("performance")
@given(lambda rng: {"x": rng.normal(size=1000)})
@wants(lambda x: x * 2)
@at_most(1e6, times_of=lambda x: x + x)
def test_fast(tt, x):
    \"\"\"double is fast.\"\"\"
    return tt.double(x)

@exercise("triple")
@given(lambda rng: {"x": some(rng)})
@wants(lambda x: x * 3)
def test_triple(tt, x):
    \"\"\"triple gives three times as much.\"\"\"
    return tt.triple(x)
"""
SUPPORT = "def some(rng):\n    return rng.normal(size=3)\n"
MODULE = {"id": "01_one", "name": "one", "title": "One", "exercises": []}
DOUBLE = {"id": "double", "title": "Double", "hints": []}


@pytest.fixture
def check(tmp_path):
    """Check `double` of a notebook that defines the given names."""
    (tmp_path / "test_01_one.py").write_text(CHECKS)
    (tmp_path / "support.py").write_text(SUPPORT)

    def run(exercise=DOUBLE, **names):
        return live.check_exercise(tmp_path, MODULE, exercise, SimpleNamespace(**names))

    return run


def outcomes(result):
    return {c["id"]: c["outcome"] for c in result["checks"]}


def test_only_the_exercises_own_checks_run(check):
    result = check(double=lambda x: x + x)
    assert outcomes(result) == {"test_double": "passed", "test_fast": "passed"}
    assert result["passed"] is True
    assert result["message"] == "Double: all 2 checks pass."
    assert (result["exercise"], result["module"], result["title"]) == ("double", "01_one", "Double")


def test_a_wrong_solution_is_told_as_in_grading_with_its_hint(check):
    result = check(double=lambda x: x * 3)
    assert result["passed"] is False
    assert outcomes(result) == {"test_double": "failed", "test_fast": "failed"}
    first = result["checks"][0]
    assert first["hint"] == "Add it to itself."
    assert first["message"].startswith("called    tt.double(x)\nwith      x = [")


def test_inputs_are_new_each_time(check):
    seen = []
    for _ in range(2):
        check(double=lambda x: seen.append(tuple(x[:3])) or x + x)
    assert len(set(seen)) == 4  # two checks, drawn twice


def test_a_stub_is_not_written_yet(check):
    def double(x):
        raise NotImplementedError("double")

    result = check(double=double)
    assert set(outcomes(result).values()) == {"not_attempted"}
    assert result["message"] == "Double: not written yet."


def test_an_exercise_whose_name_is_not_there_fails_with_the_reason(check):
    result = check()
    assert set(outcomes(result).values()) == {"failed"}
    assert "AttributeError" in result["checks"][0]["message"]


def test_an_endless_loop_is_stopped_and_said_so(check, monkeypatch):
    monkeypatch.setattr(live, "SECONDS", 0.2)

    def double(x):
        while True:
            with contextlib.suppress(Exception):
                x = x * 1

    result = check(double=double)
    assert result["passed"] is False
    assert outcomes(result) == {"test_double": "failed"}  # nobody waits for the second one
    assert "stopped   after 0.2 seconds" in result["checks"][0]["message"]
    assert result["checks"][0]["hint"] == live.ENDLESS
    assert result["message"] == "Double: stopped, because a check did not come to its end."
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_elsewhere_than_in_the_main_thread_there_is_no_limit(check, monkeypatch):
    monkeypatch.setattr(live, "SECONDS", 0.0001)
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(check, double=lambda x: x + x).result()
    assert result["passed"] is True


@pytest.mark.parametrize("ending", [SystemExit(1), RecursionError("deep"), ZeroDivisionError("x")])
def test_whatever_the_code_raises_the_notebook_goes_on(check, ending):
    def double(x):
        raise ending

    result = check(double=double)
    assert set(outcomes(result).values()) == {"failed"}
    assert type(ending).__name__ in result["checks"][0]["message"]


def test_a_slow_solution_is_compared_with_plain_numpy(check, tmp_path):
    (tmp_path / "test_01_one.py").write_text(CHECKS.replace("1e6", "1e-9"))
    result = check(double=lambda x: x + x)
    assert outcomes(result) == {"test_double": "passed", "test_fast": "failed"}
    assert "times as long as plain NumPy" in result["checks"][1]["message"]
    assert result["message"] == "Double: 1 of 2 checks pass."


def test_a_solution_that_something_disturbed_is_timed_again(check, tmp_path):
    (tmp_path / "test_01_one.py").write_text(CHECKS.replace("1e6", "5000"))  # a few milliseconds
    disturbances = [0.5] * 4  # while it is observed, and in all three timings

    def double(x):
        if len(x) == 1000 and disturbances:
            time.sleep(disturbances.pop())
        return x + x

    assert outcomes(check(double=double)) == {"test_double": "passed", "test_fast": "passed"}
    assert disturbances == []


def test_an_exercise_without_checks_does_not_pass(check):
    result = check({"id": "nothing", "title": "Nothing", "hints": []})
    assert (result["passed"], result["message"]) == (False, "nothing has no checks of its own.")


def test_the_text_says_every_check_and_hints_only_at_what_is_wrong(check):
    text = live.as_text(check(double=lambda x: x * 3 if len(x) == 3 else x + x))
    assert text.startswith("Double: 1 of 2 checks pass.\n  [wrong] double gives twice as much.\n      called ")
    assert "      hint: Add it to itself." in text
    assert text.endswith("  [ok] double is fast.")


def test_the_result_is_shown_with_plain_text_beside_the_widget(check, monkeypatch):
    shown = []
    shell = SimpleNamespace(display_pub=SimpleNamespace(publish=shown.append))
    monkeypatch.setattr(live, "get_ipython", lambda: shell)
    monkeypatch.setenv("TINYTORCH_HEADLESS", "1")
    result = check(double=lambda x: x + x)
    live.show(result)
    (bundle,) = shown
    assert bundle["text/plain"] == live.as_text(result)

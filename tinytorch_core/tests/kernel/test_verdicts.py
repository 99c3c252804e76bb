"""From one record of the kernel to an outcome. Whatever a record holds, only the right answer passes."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from tinytorch_core.kernel import checking, verdicts
from tinytorch_core.kernel.checking import at_most, exercise, given, judged, wants
from tinytorch_core.kernel.plain import encode
from tinytorch_core.kernel.verdicts import PASSED, outcome_of, too_slow


@exercise("double")
@given(lambda rng: {"x": rng.normal(size=3)})
@wants(lambda x: x * 2)
@at_most(2.0, times_of=np.add)
def doubles_body(tt, x):
    """Twice as much."""
    answer = tt.double(x)
    return answer + 0 * tt.double(x)


@given(lambda rng: {"n": int(rng.integers(1, 100))})
@judged(lambda answer, n: None if len(answer) == n and answer.sum() > 0 else "too short")
def many_body(tt, n):
    """So many."""
    return tt.many(n)


(doubles, long_enough) = checking.collect({"test_doubles": doubles_body, "test_many": many_body})
X = {"x": np.array([1.0, 2.0, 3.0])}
RIGHT = {"answer": encode(X["x"] * 2)}


def test_the_right_answer_passes():
    assert outcome_of(doubles, X, RIGHT) == PASSED


def test_a_wrong_answer_fails_with_the_call_its_inputs_and_the_difference():
    outcome = outcome_of(doubles, X, {"answer": encode(X["x"] * 3)})
    assert outcome.outcome == "failed"
    assert outcome.message.splitlines() == [
        "called    answer + 0 * tt.double(x)",
        "with      x = [1., 2., 3.]",
        "got       array([3., 6., 9.])",
        "expected  array([2., 4., 6.])",
        "largest difference at [2]: expected 6, got 9; 3 of 3 values are off",
    ]


@pytest.mark.parametrize(
    "record",
    [{}, {"answer": {}}, {"answer": {"array": ["array", {}, [1], ""]}}, {"answer": 2**60}, {"result": RIGHT["answer"]}],
)
def test_an_unreadable_answer_is_an_error_and_not_the_students_failure(record):
    outcome = outcome_of(doubles, X, record)
    assert outcome.outcome == "error"
    assert "could not be read" in outcome.message


def test_an_error_beside_a_right_answer_does_not_pass():
    record = {**RIGHT, "error": {"type": "ValueError", "message": "x", "frames": [], "stub": ""}}
    assert outcome_of(doubles, X, record).outcome == "failed"


def test_an_answer_of_another_form_than_the_judge_was_written_for_fails():
    outcome = outcome_of(long_enough, {"n": 4}, {"answer": encode("four")})
    assert outcome.outcome == "failed"
    assert outcome.message.endswith("got       'four'\nwhich has not the form that was expected")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["array", "dict", "other", "float", "int", "type", "frames", "stub"]), inner, max_size=2
        )
    ),
    max_leaves=8,
)


@settings(deadline=None, database=None, max_examples=80)
@drawn(st.dictionaries(st.sampled_from(["answer", "error", "seconds", "best", "id"]), anything))
@pytest.mark.parametrize("check", [doubles, long_enough], ids=["wants", "judged"])
def test_no_record_passes_that_does_not_hold_the_right_answer(check, record):
    inputs = X if check is doubles else {"n": 4}
    assert outcome_of(check, inputs, record).outcome in ("failed", "error", "not_attempted")


def raised(**error):
    frames = error.pop("frames", [])
    return {"error": {"type": "ValueError", "message": "no", "stub": "", "frames": frames, **error}}


def frame(file, line, name="double", code="return x / 0"):
    return {"file": file, "line": line, "name": name, "code": code}


def test_a_stub_is_not_attempted():
    outcome = outcome_of(doubles, X, raised(type="NotImplementedError", stub="double"))
    assert outcome == verdicts.Outcome("not_attempted", "double is not written yet.")


def test_a_check_that_needs_another_exercise_says_so():
    outcome = outcome_of(doubles, X, raised(type="NotImplementedError", stub="add"))
    assert outcome == verdicts.Outcome("not_attempted", "add is not written yet. This check needs it for double.")
    outcome = outcome_of(long_enough, {"n": 1}, raised(type="NotImplementedError", stub="add"))
    assert outcome.message == "add is not written yet. This check needs it."


def test_an_exception_is_told_with_the_innermost_line_of_the_students_own():
    own = [frame("tinytorch/layers.py", 4, name="forward"), frame("tinytorch/tensor.py", 7)]
    frames = [frame("checks/test_x.py", 3), *own, frame("numpy/core.py", 99)]
    outcome = outcome_of(doubles, X, raised(frames=frames))
    assert outcome.outcome == "failed"
    assert outcome.message.splitlines()[2:] == [
        "raised    ValueError: no",
        "in        tinytorch/tensor.py, line 7, in double",
        "          return x / 0",
    ]


def test_a_frame_of_the_live_notebook_is_called_this_notebook():
    outcome = outcome_of(doubles, X, raised(frames=[frame("/tmp/ipykernel_12/345.py", 2)]))
    assert "in        this notebook, line 2, in double" in outcome.message


@pytest.mark.parametrize(
    "frames",
    [None, "frames", 5, [None], [[]], [{}], [frame("tinytorch/x.py", "7")], [frame("tinytorch/x.py", True)],
     [frame(["tinytorch/x.py"], 7)], [frame("tinytorch/x.py", 7, name=None)], [frame("tinytorch/x.py", 7, code=[])]],
)  # fmt: skip
def test_forged_frames_are_passed_over(frames):
    outcome = outcome_of(doubles, X, raised(frames=frames))
    assert outcome.outcome == "failed"
    assert "in   " not in outcome.message


def test_large_inputs_are_named_and_not_printed():
    inputs = {"x": np.zeros((10, 10)), "names": ["a long word"] * 100, "n": 3}
    assert verdicts.call_text(doubles_body, inputs).splitlines()[1:] == [
        "with      x = array of shape (10, 10), dtype float64",
        "          names = list of 100 items",
        "          n = 3",
    ]


def two_steps(tt, x):
    """Its last line alone would say nothing."""
    first, second = tt.double(x), tt.double(2 * x)
    return [first, second]


def test_a_body_whose_last_line_calls_nothing_is_shown_whole():
    assert verdicts.call_text(two_steps, {}).splitlines() == [
        "called    first, second = tt.double(x), tt.double(2 * x)",
        "          return [first, second]",
    ]


def in_a_block(tt, x):
    """It returns inside a block, without which its last line can't be understood."""
    with tt.silence() as heard:
        return tt.double(x), heard


def test_a_body_that_returns_inside_a_block_is_shown_with_it():
    assert verdicts.call_text(in_a_block, {}).splitlines() == [
        "called    with tt.silence() as heard:",
        "              return tt.double(x), heard",
    ]


def test_a_name_that_the_package_does_not_have_is_explained_in_place_of_the_hint():
    error = {"type": "NameError", "message": "name 'Tensor' is not defined"}
    assert (
        outcome_of(doubles, X, raised(**error, frames=[frame("tinytorch/losses.py", 4)])).hint == verdicts.NOT_EXPORTED
    )
    assert outcome_of(doubles, X, raised(**error, frames=[frame("/tmp/ipykernel_12/345.py", 2)])).hint == ""
    assert outcome_of(doubles, X, raised(frames=[frame("tinytorch/losses.py", 4)])).hint == ""


def test_a_none_that_was_used_is_explained_in_place_of_the_hint():
    error = {"type": "AttributeError", "message": "'NoneType' object has no attribute 'state_dict'"}
    own, ours = [frame("tinytorch/training.py", 4)], [frame("checks/test_08_training.py", 4)]
    assert outcome_of(doubles, X, raised(**error, frames=own)).hint == verdicts.IS_NONE
    assert outcome_of(doubles, X, raised(**error, frames=ours)).hint == ""
    other = {"type": "AttributeError", "message": "'Tensor' object has no attribute 'state_dict'"}
    assert outcome_of(doubles, X, raised(**other, frames=own)).hint == ""


def test_the_call_of_a_body_without_source_is_its_name():
    namespace: dict = {}
    exec("def test_made_up(tt):\n    return 1", namespace)
    assert verdicts.expression(namespace["test_made_up"]) == "test_made_up"


def test_time_is_compared_with_that_of_the_reference():
    assert too_slow(doubles, reference=0.001, seconds=0.002) == PASSED
    slow = too_slow(doubles, reference=0.001, seconds=0.0125)
    assert slow.outcome == "failed"
    assert "12.50 ms, 12.5 times as long as plain NumPy (1.00 ms)" in slow.message
    assert "expected  at most 2 times as long" in slow.message


def test_a_reference_that_took_no_time_proves_nothing():
    assert too_slow(doubles, reference=0.0, seconds=0.0).outcome == "error"

"""What a check file is written with, and what its author is told when something is missing."""

import numpy as np
import pytest

from tinytorch_core.kernel import checking
from tinytorch_core.kernel.checking import at_most, error_text, exercise, given, judged, raises, stage, wants
from tinytorch_core.kernel.package import NotThere
from tinytorch_core.kernel.plain import Array, Other, decode


def check_of(body):
    """The one check of a file that holds only `body`."""
    (check,) = checking.collect({"test_it": body})
    return check


@exercise("double")
@stage("compatibility")
@given(lambda rng: {"x": rng.normal(size=3)})
@wants(lambda x: x * 2, rtol=0.5, atol=0.25)
def everything(tt, x):
    """Twice as much.

    Add it
    to itself.
    """
    return tt.double(x)


@given(lambda rng: {"n": int(rng.integers(100))})
@judged(lambda answer, n: None if answer == n else "not the number it was given")
def little(tt, n):
    """The same number."""
    return n


def test_a_check_says_what_its_decorators_said():
    check = check_of(everything)
    assert (check.id, check.exercise, check.stage) == ("everything", "double", "compatibility")
    assert (check.title, check.hint) == ("Twice as much.", "Add it to itself.")
    assert (check.rtol, check.atol) == (0.5, 0.25)
    assert (check.reference, check.times, check.judged) == (None, 0.0, None)


def test_without_decorators_a_check_is_a_unit_check_of_the_whole_module():
    check = check_of(little)
    assert (check.exercise, check.stage, check.hint) == ("", "unit", "")


def test_at_most_names_what_the_time_is_compared_with():
    reference = np.sum

    @at_most(3.0, times_of=reference)
    def test_timed(tt):
        """Fast."""

    check = check_of(test_timed)
    assert (check.times, check.reference) == (3.0, reference)


def test_an_unknown_stage_is_refused_where_it_is_written():
    with pytest.raises(ValueError, match=r"unknown stage 'speed'; the stages are unit, import"):
        stage("speed")


def test_checks_come_in_the_order_of_their_stages_then_of_the_file():
    def body(name, in_stage):
        def test(tt):
            """Something."""

        test.__name__ = name
        return stage(in_stage)(test)

    order = [("test_c", "performance"), ("test_a", "unit"), ("test_d", "import"), ("test_b", "unit")]
    namespace = {name: body(name, in_stage) for name, in_stage in order} | {"helper": len, "test_data": [1]}
    assert [c.id for c in checking.collect(namespace)] == ["test_a", "test_b", "test_d", "test_c"]


def test_inputs_are_drawn_anew_and_depend_on_the_seed():
    check = check_of(everything)
    one, same, other = (check.inputs(np.random.default_rng(seed))["x"].tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_a_wrong_answer_is_told_with_what_came_and_what_was_expected():
    check = check_of(everything)
    x = np.array([1.0, 2.0, 3.0])
    assert check.verdict({"x": x}, Array("array", x * 2)) is None
    assert check.verdict({"x": x}, Array("array", x * 4)) == (
        "got       array([ 4.,  8., 12.])\n"
        "expected  array([2., 4., 6.])\n"
        "largest difference at [2]: expected 6, got 12; 3 of 3 values are off"
    )


def test_of_long_answers_only_the_part_that_differs_is_told():
    word = "a word that goes on and on for a while"
    check = check_of(wants(lambda: [word] * 12)(lambda tt: None))
    assert check.verdict({}, [word] * 11 + ["another"]) == f"expected {word!r} at [11], got 'another'"


def test_a_judge_sees_arrays_as_numpy_arrays():
    seen = []
    check = check_of(judged(lambda answer: seen.append(answer))(lambda tt: None))
    assert check.verdict({}, [Array("tensor", np.ones(2)), {"k": Array("scalar", np.array(1.0))}]) is None
    ((array, inside),) = seen
    assert isinstance(array, np.ndarray)
    assert isinstance(inside["k"], np.ndarray)


@pytest.mark.parametrize("said", [True, False, 0, [], np.bool_(False)])
def test_a_judge_that_gives_neither_none_nor_a_sentence_accepts_nothing(said):
    check = check_of(judged(lambda answer: said)(lambda tt: None))
    with pytest.raises(TypeError, match="a judge returns None or a sentence"):
        check.verdict({}, 1)


@pytest.mark.parametrize(
    ("decorators", "problem"),
    [
        ([given(dict), wants(lambda: 1), judged(lambda answer: None)], "either @wants or @judged"),
        ([given(dict)], "either @wants or @judged"),
        ([wants(lambda: 1)], "without @given its answer is the same in every run"),
        ([given(dict), wants(lambda: 1), stage("performance")], "needs @at_most or @judged"),
    ],
)
def test_an_author_is_told_what_a_check_lacks(decorators, problem):
    def test_it(tt):
        """Something."""

    for decorate in decorators:
        test_it = decorate(test_it)
    (found,) = checking.problems([check_of(test_it)])
    assert found.startswith("test_it: ")
    assert problem in found


def test_an_author_is_told_that_a_docstring_is_missing():
    @given(dict)
    @wants(lambda: 1)
    def test_it(tt):
        return 1

    assert checking.problems([check_of(test_it)]) == ["test_it: its docstring is what the student reads; write one"]


def test_a_complete_check_has_no_problems():
    assert checking.problems(map(check_of, [everything, little])) == []


def raising(error):
    def call():
        raise error

    return call


def test_raises_is_true_only_for_the_kind_it_asks_for():
    assert raises(ValueError, raising(ValueError("x"))) is True
    assert raises((TypeError, ValueError), raising(TypeError())) is True
    assert raises(ValueError, raising(KeyError())) is False
    assert raises(ValueError, lambda: 1) is False


def test_error_text_is_the_message_or_nothing():
    assert error_text(raising(ValueError("shapes (2,) and (3,)"))) == "shapes (2,) and (3,)"
    assert error_text(lambda: 1) == ""


@pytest.mark.parametrize("ask", [lambda call: raises(Exception, call), error_text], ids=["raises", "error_text"])
def test_an_unwritten_exercise_is_never_taken_for_the_error_that_was_asked_for(ask):
    with pytest.raises(NotImplementedError, match="double"):
        ask(raising(NotImplementedError("double")))


@pytest.mark.parametrize("ask", [lambda call: raises(AttributeError, call), error_text], ids=["raises", "error_text"])
def test_a_name_that_is_not_there_is_never_taken_for_it_either(ask):
    with pytest.raises(NotThere):
        ask(raising(NotThere("tinytorch has no 'double' yet")))


def test_an_endless_recursion_is_the_students_error_and_not_an_answer():
    def deeper(n):
        return deeper(n + 1)

    with pytest.raises(RecursionError):
        checking.observe(lambda tt: deeper(0), None, {})


def test_observing_encodes_what_the_body_returns():
    found = checking.observe(lambda tt, x: [tt, x, object()], 1, {"x": 2.5})
    assert decode(found) == [1, 2.5, Other("object")]

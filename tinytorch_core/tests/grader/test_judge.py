"""One answer for every expected check, with the right nonce, or there is no pass: whatever else comes back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch_core.catalogue import Exercise
from tinytorch_core.export import export
from tinytorch_core.grader import judge
from tinytorch_core.grader.checks import Exchange, Package, load
from tinytorch_core.grader.job import Accepted
from tinytorch_core.grader.preflight import read
from tinytorch_core.kernel.plain import encode
from tinytorch_core.report import CellFailure, CheckResult, Stage, Stages

TIMED = "test_mean_is_not_a_loop"


@pytest.fixture
def exported(tiny_course, notebooks):
    return export(read(notebooks.solved()), tiny_course.module("01_counting"))


@pytest.fixture
def exchange(tiny_course, exported):
    """A run of module 1 that nobody has answered yet; its reference took 10 ms."""
    under_test = Accepted(module="01_counting", source=exported.source, names=exported.names)
    exchange = Exchange(load(tiny_course.checks_source("01_counting")), Package.of((), under_test), Stages)
    exchange.challenges[TIMED].reference = 0.010
    exchange.outside_seconds = 0.05
    return exchange


def right(challenge):
    """The record that a right solution sends for a challenge."""
    answer = encode(challenge.check.wants(**challenge.inputs))
    return {"id": challenge.check.id, "answer": answer, "seconds": 0.045, "best": 0.011}


def answer_all(exchange, **instead):
    """Every check answered rightly, except those that `instead` names: with other records, or with None for no answer."""
    for name, challenge in exchange.challenges.items():
        records = instead.get(name, [right(challenge)])
        challenge.records = [] if records is None else records


def outcomes(exchange, exported):
    return {c.id: c.outcome for stage in judge.judge(exchange, exported) for c in stage.checks}


def passed(exchange, exported):
    return judge.all_passed(judge.judge(exchange, exported), len(exchange.challenges))


def test_right_answers_to_every_check_pass(exchange, exported):
    answer_all(exchange)
    stages = judge.judge(exchange, exported)
    assert [stage.name for stage in stages] == list(Stages)
    assert {c.id for stage in stages for c in stage.checks} == set(exchange.challenges)
    assert passed(exchange, exported)


def test_silence_is_missing_and_does_not_pass(exchange, exported):
    assert set(outcomes(exchange, exported).values()) == {"missing"}
    assert not passed(exchange, exported)


@pytest.mark.parametrize("name", ["test_counts_heaps", "test_package_has_both", TIMED])
def test_one_missing_answer_is_one_too_few(exchange, exported, name):
    answer_all(exchange, **{name: None})
    assert outcomes(exchange, exported)[name] == "missing"
    assert not passed(exchange, exported)


def test_a_doubled_answer_counts_for_nothing_even_if_both_are_right(exchange, exported):
    twice = [right(exchange.challenges["test_counts_heaps"])] * 2
    answer_all(exchange, test_counts_heaps=twice)
    (result,) = [c for s in judge.judge(exchange, exported) for c in s.checks if c.id == "test_counts_heaps"]
    assert result.outcome == "error"
    assert "more than once" in result.message
    assert not passed(exchange, exported)


def test_after_a_broken_message_no_answer_counts(exchange, exported):
    answer_all(exchange)
    exchange.receive("run", json.dumps({"nonce": "guessed", "answers": []}))
    assert set(outcomes(exchange, exported).values()) == {"error"}
    assert not passed(exchange, exported)


def test_zero_checks_never_pass():
    assert not judge.all_passed((), 0)
    assert not judge.all_passed((Stage(name="unit"),), 0)


@pytest.mark.parametrize("outcome", ["failed", "error", "not_attempted", "missing"])
def test_only_passed_is_a_pass(outcome):
    def check(name, outcome):
        return CheckResult(id=name, exercise="", title="", outcome=outcome)

    assert judge.all_passed((Stage(name="unit", checks=(check("a", "passed"), check("b", "passed"))),), 2)
    assert not judge.all_passed((Stage(name="unit", checks=(check("a", "passed"), check("b", outcome))),), 2)
    assert not judge.all_passed((Stage(name="unit", checks=(check("a", "passed"),)),), 2)


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["array", "dict", "other", "float", "int", "type", "message", "frames", "stub", "passed"]),
            inner, max_size=2,
        )
    ), max_leaves=10,
)  # fmt: skip


@settings(deadline=None, database=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(["answer", "error", "seconds", "best", "outcome"]), hostile), st.data())
def test_no_hostile_record_passes_for_any_check(tiny_course, record, data):
    exchange = Exchange(
        load(tiny_course.checks_source("01_counting")),
        Package.of((), Accepted(module="01_counting", source="", names=())), Stages,
    )  # fmt: skip
    name = data.draw(st.sampled_from(sorted(exchange.challenges)))
    exchange.receive("run", json.dumps({"nonce": exchange.nonce, "answers": [{**record, "id": name}]}))
    result = judge.judge_one(exchange, exchange.challenges[name])
    assert result.outcome in ("failed", "error", "not_attempted")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("TimeLimit", "a loop that never ends"),
        ("MemoryLimit", "at the memory limit"),
        ("OutputLimit", "at the output limit"),
        ("KernelDied", "os._exit"),
        ("Cancelled", "was cancelled"),
        ("ZeroDivisionError", "ZeroDivisionError: by zero"),
        (None, "gave no answer"),
    ],
)
def test_a_missing_check_says_why_it_is_missing(exchange, exported, error, said):
    if error:
        exchange.stopped = CellFailure(index=0, id="", error=error, message="by zero", traceback="")
    (first, *_) = judge.judge(exchange, exported)
    assert all(said in check.message for check in first.checks)


def test_a_hint_is_given_with_a_failure_only(exchange, exported):
    answer_all(exchange, test_counts_heaps=[{"id": "test_counts_heaps", "answer": 1}])
    results = {c.id: c for s in judge.judge(exchange, exported) for c in s.checks}
    assert results["test_counts_heaps"].hint == "Python can tell you how long a sequence is."
    assert results["test_mean_of_all"].hint == ""
    assert results["test_counts_heaps"].cell == "exercise-count-items"
    assert results["test_package_has_both"].cell is None


def raised(frames):
    return {"error": {"type": "ValueError", "message": "no", "stub": "", "frames": frames}}


def frame(file, line):
    return {"file": file, "line": line, "name": "count", "code": "return len(items)"}


def test_a_line_of_the_package_is_told_as_a_line_of_its_cell(exchange, exported):
    cell = next(cell for cell in exported.cells if cell.id == "exercise-count-items")
    record = raised([frame("tinytorch/counting.py", cell.line + 2)])
    answer_all(exchange, test_package_has_both=[record])
    (result,) = [c for s in judge.judge(exchange, exported) for c in s.checks if c.id == "test_package_has_both"]
    shown = f"in        cell {cell.index + 1} of the notebook, line {cell.skipped + 3}, in count"
    assert shown in result.message.splitlines()
    assert result.cell == "exercise-count-items"


@pytest.mark.parametrize(
    "place", [("tinytorch/adding.py", 3), ("tinytorch/counting.py", 1), ("tinytorch/counting.py", 10**9)]
)
def test_a_line_that_no_cell_holds_stays_as_it_is(exchange, exported, place):
    answer_all(exchange, test_package_has_both=[raised([frame(*place)])])
    (result,) = [c for s in judge.judge(exchange, exported) for c in s.checks if c.id == "test_package_has_both"]
    assert f"in        {place[0]}, line {place[1]}, in count" in result.message
    assert result.cell is None


def timed_outcome(exchange, outside, **claims):
    challenge = exchange.challenges[TIMED]
    exchange.outside_seconds = outside
    challenge.records = [{**right(challenge), **claims}]
    return judge.judge_one(exchange, challenge).outcome


def test_a_solution_as_fast_as_the_reference_passes(exchange):
    assert timed_outcome(exchange, outside=0.05, seconds=0.045, best=0.011) == "passed"


def test_a_slow_solution_fails_though_its_answer_is_right(exchange):
    assert timed_outcome(exchange, outside=2.1, seconds=2.0, best=0.5) == "failed"


@pytest.mark.parametrize(
    "claims",
    [
        {"seconds": 0.001, "best": 0.0001},
        {"seconds": 0.0, "best": 0.0},
        {"seconds": -1.0, "best": -1.0},
        {"seconds": 1000.0, "best": 0.0001},
        {"seconds": "fast", "best": "fast"},
        {"seconds": 2.0, "best": 0.0},
        {"seconds": 2.0, "best": None},
        {"seconds": 2.0, "best": True},
        {"seconds": 2.0, "best": 10**400},
        {"seconds": 10**400, "best": 0.0001},
    ],
    ids=lambda claims: str(claims)[:40],
)
def test_a_slow_solution_that_lies_about_its_time_does_not_pass(exchange, claims):
    """Two seconds passed outside, which is more than the limit, whatever the kernel's clock says."""
    assert timed_outcome(exchange, outside=2.1, **claims) in ("failed", "error")


def test_on_a_busy_machine_a_time_is_no_ones_fault(exchange):
    assert timed_outcome(exchange, outside=1.0, seconds=0.045, best=0.011) == "error"
    exchange.reference_seconds = 0.4  # the references were as slow to come back
    assert timed_outcome(exchange, outside=1.0, seconds=0.045, best=0.011) == "passed"


def test_a_wrong_answer_fails_however_fast_it_is(exchange):
    assert timed_outcome(exchange, outside=0.05, answer=1.5) == "failed"


def test_the_first_unsolved_exercise_is_in_the_courses_order():
    exercises = [Exercise(id=name, title=name) for name in ("a", "b", "c")]

    def stage(**outcomes):
        checks = (CheckResult(id=n, exercise=n, title="", outcome=o) for n, o in outcomes.items())
        return (Stage(name="unit", checks=tuple(checks)),)

    assert judge.first_unsolved(stage(c="failed", b="not_attempted", a="passed"), exercises) == "b"
    assert judge.first_unsolved(stage(a="passed"), exercises) is None


def test_a_judge_whose_author_did_not_think_of_an_answer_accepts_nothing(tiny_course, notebooks):
    """02's names_both is written for strings; everything else that a kernel may send comes to it as well."""
    file = load(tiny_course.checks_source("02_adding"))
    exchange = Exchange(file, Package.of((), Accepted(module="02_adding", source="", names=())), Stages)
    challenge = exchange.challenges["test_names_both_shapes"]
    for value in (None, True, 5, "", [], {}, np.zeros(3), [["(2, 3)", f"({challenge.inputs['rows']}, 3)"]]):
        challenge.records = [{"id": challenge.check.id, "answer": encode(value)}]
        assert judge.judge_one(exchange, challenge).outcome == "failed"
    challenge.records = [{"id": challenge.check.id, "answer": f"(2, 3) ({challenge.inputs['rows']}, 3)"}]
    assert judge.judge_one(exchange, challenge).outcome == "passed"

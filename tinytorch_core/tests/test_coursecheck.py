"""The course proves itself, and each of its proofs can fail."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import numpy as np
import pytest

from tinytorch_core import authoring, coursecheck
from tinytorch_core.coursecheck import Finding, Observer, check_course, check_mutant, is_constant, look_at_checks
from tinytorch_core.errors import GraderError
from tinytorch_core.grader.checks import load
from tinytorch_core.grader.job import Limits
from tinytorch_core.kernel.checking import a_tensor, collect, given, judged, wants
from tinytorch_core.report import CellFailure, CheckResult, Report, Stage


@pytest.fixture
def changed(copied_course):
    """The tiny course after a text in one of its files was replaced by another."""

    def change(file, old, new):
        path = copied_course.root / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return copied_course

    return change


CHECKS = "checks/test_01_counting.py"
MUTANTS = "checks/mutants/01_counting/count-items.toml"
ALWAYS_ONE = """
[[mutant]]
name = "always-one"
mistake = "Gives 1 for every heap."
replace = "len(items)"
with = "1"
"""


def problems(course, module="01_counting"):
    (finding,) = look_at_checks(course, course.module(module))
    assert finding.ok == (not finding.message)
    return finding.message


@pytest.mark.parametrize("module", ["01_counting", "02_adding", "03_doubling"])
def test_the_tiny_courses_checks_have_no_problems(tiny_course, module):
    assert problems(tiny_course, module) == ""


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (CHECKS, '@stage("integration")\n', "", "stage integration has no check"),
        (CHECKS, '@exercise("count-items")\n', "", "count-items has no check"),
        (CHECKS, '@exercise("count-items")\n', '@exercise("count-itmes")\n', "test_counts_heaps is of the unknown exercise count-itmes"),
        (CHECKS, "[sum(1 for _ in heap) for heap in heaps]", "[1] * 8", "test_counts_heaps wants the same answer whatever it is given"),
        (MUTANTS, ALWAYS_ONE, "", "count-items has 2 mutants, not 3"),
    ],
    ids=["stage", "exercise", "unknown", "constant", "mutants"],
)  # fmt: skip
def test_what_a_check_file_lacks_is_named(changed, file, old, new, said):
    assert said in problems(changed(file, old, new)).split("; ")


def test_a_check_file_that_cannot_be_used_stops_the_look(changed):
    course = changed(CHECKS, "@wants(lambda heaps: [sum(1 for _ in heap) for heap in heaps])\n", "")
    with pytest.raises(GraderError, match="test_counts_heaps: give it either @wants or @judged"):
        problems(course)


@pytest.mark.parametrize(
    ("inputs", "wanted", "constant"),
    [
        (lambda rng: {}, lambda: 1, True),
        (lambda rng: {"x": rng.normal()}, lambda x: True, True),
        (lambda rng: {"x": rng.normal()}, lambda x: np.zeros(3), True),
        (lambda rng: {"x": rng.normal()}, lambda x: {"a": [a_tensor(np.ones(2)), ("same",)]}, True),
        (lambda rng: {"x": rng.normal()}, lambda x: x, False),
        (lambda rng: {"x": rng.normal()}, lambda x: {"a": [a_tensor([x])]}, False),
        (lambda rng: {"x": rng.normal()}, lambda x: (1, np.float32(x)), False),
    ],
)
def test_a_wanted_answer_that_never_changes_proves_nothing(inputs, wanted, constant):
    (check,) = collect({"test_it": given(inputs)(wants(wanted)(lambda tt, **inputs: None))})
    assert is_constant(check) is constant


def test_a_judge_may_accept_many_answers():
    (check,) = collect({"test_it": given(dict)(judged(lambda answer: None)(lambda tt: None))})
    assert not is_constant(check)


@pytest.fixture(scope="module")
def observer():
    observer = Observer()
    yield observer
    observer.close()


def fate(course, observer, name, module="01_counting"):
    found = {m.name: m for m in authoring.mutants(course, course.module(module))}
    return check_mutant(course, course.module(module), found[name], observer)


@pytest.mark.parametrize(
    ("module", "name", "killer"),
    [
        ("01_counting", "counts-from-zero", "count gives the number of items."),
        ("01_counting", "mean-of-nothing", "The mean of an empty array raises ValueError, that of any other does not."),
        ("02_adding", "add-silent-shapes", "The error of add says both shapes."),
        ("03_doubling", "double-in-place", "double makes a new array; the one it was given stays as it was."),
    ],
)
def test_a_mutant_dies_by_a_check_of_its_own_exercise(tiny_course, observer, module, name, killer):
    finding = fate(tiny_course, observer, name, module)
    assert (finding.ok, finding.message) == (True, killer)


def mutated(changed, code):
    return changed(MUTANTS, 'replace = "len(items)"\nwith = "1"', f'replace = "len(items)"\nwith = {code!r}')


def test_a_mutant_that_is_right_survives_and_is_told(changed, observer):
    finding = fate(mutated(changed, "sum(1 for _ in items)"), observer, "always-one")
    assert not finding.ok
    assert finding.message.startswith("survives the checks of count-items. Gives 1 for every heap.")


@pytest.mark.parametrize(("lucky", "ok", "slipped"), [({0}, True, True), ({0, 3}, False, False)])
def test_a_mutant_may_slip_through_one_draw_and_no_more(tiny_course, observer, monkeypatch, lucky, ok, slipped):
    draws = iter(range(99))
    real = coursecheck.judge.judge

    def blind_now_and_then(exchange, exported):
        stages = real(exchange, exported)
        if next(draws) not in lucky:
            return stages
        return [
            msgspec.structs.replace(s, checks=[msgspec.structs.replace(c, outcome="passed") for c in s.checks])
            for s in stages
        ]

    monkeypatch.setattr(coursecheck.judge, "judge", blind_now_and_then)
    finding = fate(tiny_course, observer, "counts-from-zero", "01_counting")
    assert (finding.ok, finding.slipped) == (ok, slipped)


def test_a_mutant_that_only_other_checks_reject_survives(changed, observer):
    course = mutated(changed, "len(items) if isinstance(items, list) else 0")
    finding = fate(course, observer, "always-one")
    assert not finding.ok
    assert "Other checks reject it: test_package_has_both, test_count_times_mean_is_the_sum" in finding.message


def test_not_attempted_is_no_death(changed, observer):
    course = mutated(changed, "(_ for _ in ()).throw(NotImplementedError('count-items'))")
    assert not fate(course, observer, "always-one").ok


@pytest.mark.parametrize("code", ["__import__('os')._exit(0)", "[0 for _ in iter(int, 1)]"], ids=["exits", "loops"])
def test_a_mutant_that_gives_no_answer_is_dead_and_the_next_is_observed(
    changed, tiny_course, observer, monkeypatch, code
):
    monkeypatch.setattr(coursecheck, "MUTANT_SECONDS", 1)
    assert fate(mutated(changed, code), observer, "always-one").ok
    monkeypatch.setattr(coursecheck, "MUTANT_SECONDS", 60)
    assert fate(tiny_course, observer, "counts-from-zero").ok


def test_what_a_mutant_prints_is_no_answer(changed, observer):
    course = mutated(changed, 'print("null") or len(items)')
    assert not fate(course, observer, "always-one").ok


def test_a_mutant_that_nobody_observed_is_not_dead(tiny_course):
    observer = Observer()
    observer._process.kill()
    observer._process.wait()
    with pytest.raises((GraderError, BrokenPipeError)):
        fate(tiny_course, observer, "counts-from-zero")
    observer.close()


class Reports:
    """A grader that gives one report for everything."""

    limits = Limits()

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    async def grade(self, job: Any) -> Report:
        return Report(**{"attempt": job.attempt, "module": job.module, "state": "done", **self.fields})

    async def run_historical(self, job: Any) -> Report:
        return Report(**{"attempt": job.attempt, "module": job.historical, "state": "done", **self.fields})


def stage(*outcomes):
    checks = (CheckResult(id=f"test_{o}", exercise="count-items", title="", outcome=o, message="why") for o in outcomes)
    return (Stage(name="unit", checks=tuple(checks)),)


def found(course, grader, kind):
    module = course.module("01_counting")
    coroutine = getattr(coursecheck, f"_{kind}")(course, module, grader)
    return asyncio.run(coroutine)


FAILURE = CellFailure(index=3, id="c", error="NameError", message="m", traceback="the traceback")


def test_a_solution_that_does_not_pass_is_told_with_the_reason(tiny_course):
    report = Reports(verdict="failed", message="1 of 2.", stages=stage("passed", "failed"), cell_failure=FAILURE)
    finding = found(tiny_course, report, "solution")
    assert not finding.ok
    assert finding.message == "1 of 2.\ntest_failed: why\nthe traceback"
    assert found(tiny_course, Reports(verdict="passed", stages=stage("passed")), "solution").ok


@pytest.mark.parametrize(
    ("verdict", "outcomes", "ok"),
    [
        ("failed", ("not_attempted", "not_attempted"), True),
        ("failed", ("not_attempted", "failed"), False),
        ("failed", ("not_attempted", "passed"), False),
        ("failed", (), False),
        ("error", ("not_attempted",), False),
        ("passed", ("not_attempted",), False),
    ],
)
def test_an_untouched_notebook_is_not_attempted_and_nothing_else(tiny_course, verdict, outcomes, ok):
    assert found(tiny_course, Reports(verdict=verdict, stages=stage(*outcomes)), "untouched").ok is ok


def test_a_historical_notebook_that_fails_is_told_with_its_traceback(tiny_course):
    example = tiny_course.example("pascaline_1642")
    finding = asyncio.run(
        coursecheck._historical(tiny_course, example, Reports(verdict="failed", message="no", cell_failure=FAILURE))
    )
    assert (finding.ok, finding.name, finding.message) == (False, "pascaline_1642", "no\nthe traceback")


@pytest.mark.kernels
def test_the_whole_check_of_a_course_finds_everything_once(background, grader, calm_course):
    """With real kernels. Its one problem is that nothing is timed."""
    modules, historical = calm_course.modules[:2], [calm_course.example("pascaline_1642")]
    told: list[Finding] = []
    findings = background.run(check_course(calm_course, modules, historical, grader, told.append))
    assert told == findings
    assert len(findings) == coursecheck.size(calm_course, modules, historical)
    by_kind: dict[str, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    assert {kind: len(of_kind) for kind, of_kind in by_kind.items()} == {
        "checks": 2, "solution": 2, "untouched": 2, "historical": 1, "mutant": 12,
    }  # fmt: skip
    wrong = [finding for finding in findings if not finding.ok]
    assert {(finding.kind, finding.message) for finding in wrong} == {("checks", "stage performance has no check")}


def test_every_check_of_the_tiny_course_is_read_from_its_file(tiny_course):
    assert len(load(tiny_course.checks_source("02_adding")).checks) == 9

import msgspec
import pytest

from tinytorch_core import progression
from tinytorch_core.catalogue import Course
from tinytorch_core.errors import NotAllowed
from tinytorch_core.report import CheckResult, CourseView, ModuleView, Outcome, Report, Stage, Unlocked

ONE, TWO, THREE, FOUR = "01_counting", "02_adding", "03_doubling", "04_tripling"


def report(*outcomes: tuple[str, Outcome], attempt: str = "newest") -> Report:
    """A failed attempt of module 1 in which the checks of exercises ended so."""
    checks = tuple(CheckResult(id=f"t{n}", exercise=e, title="", outcome=o) for n, (e, o) in enumerate(outcomes))
    stages = (Stage(name="unit", checks=checks),)
    return Report(attempt=attempt, module=ONE, state="done", verdict="failed", stages=stages)


def view(
    course: Course,
    completed: set[str],
    edited: set[str] | None = None,
    checking: dict[str, str] | None = None,
    latest: Report | None = None,
) -> CourseView:
    return progression.view(
        course,
        workspace="/somewhere",
        completed=completed,
        edited=edited or set(),
        checking=checking or {},
        latest={latest.module: latest} if latest else {},
        version="1.2.3",
    )


def states(course: Course, completed: set[str]) -> list[str]:
    return [module.state for module in view(course, completed).modules]


def first(course_view: CourseView) -> ModuleView:
    return course_view.modules[0]


@pytest.mark.parametrize(
    ("completed", "expected"),
    [
        (set(), ["available", "locked", "locked", "locked"]),
        ({ONE}, ["complete", "available", "locked", "locked"]),
        ({ONE, TWO, THREE}, ["complete", "complete", "complete", "locked"]),
        ({TWO}, ["available", "complete", "locked", "locked"]),
    ],
)
def test_a_module_opens_when_all_before_it_are_complete(
    tiny_course: Course, completed: set[str], expected: list[str]
) -> None:
    assert states(tiny_course, completed) == expected
    opened = [progression.is_open(tiny_course, completed, module) for module in tiny_course.modules]
    assert opened == [state != "locked" for state in expected]


def test_a_module_that_is_complete_stays_open_even_if_its_notebook_is_gone(tiny_course: Course) -> None:
    progression.require_open(tiny_course, {FOUR}, tiny_course.module(FOUR))


def test_a_locked_module_says_which_one_comes_first(tiny_course: Course) -> None:
    with pytest.raises(NotAllowed, match=r"03 Doubling is locked\. Complete 02 Adding first"):
        progression.require_open(tiny_course, {ONE}, tiny_course.module(THREE))


def test_a_module_that_is_not_written_says_that_it_is_coming(tiny_course: Course) -> None:
    with pytest.raises(NotAllowed, match="04 Tripling is coming"):
        progression.require_open(tiny_course, {ONE, TWO, THREE}, tiny_course.module(FOUR))


def test_a_coming_module_behind_a_locked_one_names_what_comes_first(tiny_course: Course) -> None:
    with pytest.raises(NotAllowed, match="Complete 01 Counting first"):
        progression.require_open(tiny_course, set(), tiny_course.module(FOUR))


def test_a_historical_notebook_opens_with_its_module(tiny_course: Course) -> None:
    pascaline = tiny_course.example("pascaline")
    with pytest.raises(NotAllowed, match=r"Pascaline \(1642\) is locked\. It opens with 02 Adding"):
        progression.require_example(tiny_course, {ONE}, pascaline)
    progression.require_example(tiny_course, {ONE, TWO}, pascaline)


def test_a_historical_notebook_that_is_not_written_says_that_it_is_coming(tiny_course: Course) -> None:
    reckoner = tiny_course.example("reckoner")
    with pytest.raises(NotAllowed, match="opens with 03 Doubling"):
        progression.require_example(tiny_course, {ONE, TWO}, reckoner)
    with pytest.raises(NotAllowed, match="is coming"):
        progression.require_example(tiny_course, {ONE, TWO, THREE}, reckoner)


@pytest.mark.parametrize(
    ("before", "after", "unlocked"),
    [
        (set(), {ONE}, Unlocked(modules=(TWO,))),
        ({ONE}, {ONE, TWO}, Unlocked(modules=(THREE,), historical=("pascaline_1642",), milestones=("add",))),
        ({ONE, TWO}, {ONE, TWO, THREE}, Unlocked(milestones=("double",))),
        ({ONE, TWO}, {ONE, TWO}, Unlocked()),
    ],
)
def test_a_pass_unlocks_what_was_not_open_before(
    tiny_course: Course, before: set[str], after: set[str], unlocked: Unlocked
) -> None:
    assert progression.unlocked_by(tiny_course, before, after) == unlocked


@pytest.mark.parametrize(
    ("completed", "kind", "id_", "text"),
    [
        (set(), "module", ONE, "Start with 01 Counting"),
        ({ONE}, "module", TWO, "Continue with 02 Adding"),
        ({ONE, TWO, THREE}, "coming", FOUR, "04 Tripling is coming"),
        ({ONE, TWO, THREE, FOUR}, "done", "", "You have built all of it"),
    ],
)
def test_the_next_step_is_the_first_module_that_is_not_complete(
    tiny_course: Course, completed: set[str], kind: str, id_: str, text: str
) -> None:
    step = progression.next_step(tiny_course, completed)
    assert (step.kind, step.id, step.text) == (kind, id_, text)


def test_the_view_shows_the_whole_course(tiny_course: Course) -> None:
    shown = view(tiny_course, {ONE, TWO})
    assert (shown.title, shown.version, shown.workspace, shown.completed) == ("TinyCount", "1.2.3", "/somewhere", 2)
    assert shown.next.id == THREE
    assert [m.coming for m in shown.modules] == [False, False, False, True]
    assert [m.earned for m in shown.milestones] == [True, False]
    assert [(h.state, h.coming) for h in shown.historical] == [("available", False), ("locked", True)]
    assert first(shown).notebook == "notebooks/01_counting.ipynb"
    assert msgspec.json.decode(msgspec.json.encode(shown), type=CourseView) == shown


def test_a_module_of_another_course_in_the_record_is_not_counted(tiny_course: Course) -> None:
    assert view(tiny_course, {ONE, "99_other"}).completed == 1


@pytest.mark.parametrize("completed", [set(), {ONE}])
def test_a_running_attempt_shows_as_checking(tiny_course: Course, completed: set[str]) -> None:
    module = first(view(tiny_course, completed, checking={ONE: "running"}, latest=report()))
    assert (module.state, module.attempt) == ("checking", "running")


def test_the_newest_attempt_is_named_when_none_is_running(tiny_course: Course) -> None:
    assert first(view(tiny_course, set(), latest=report())).attempt == "newest"
    assert first(view(tiny_course, set())).attempt is None


def test_only_a_complete_module_can_be_edited(tiny_course: Course) -> None:
    assert first(view(tiny_course, {ONE}, edited={ONE})).edited
    assert not first(view(tiny_course, set(), edited={ONE})).edited


@pytest.mark.parametrize(
    ("outcomes", "complete", "state"),
    [
        ([], False, "not_attempted"),
        ([], True, "passed"),
        (["passed", "passed"], False, "passed"),
        (["passed", "failed"], True, "failed"),
        (["not_attempted", "failed"], False, "failed"),
        (["passed", "not_attempted"], False, "not_attempted"),
        (["missing"], True, "not_attempted"),
        (["error"], False, "not_attempted"),
        (["passed", "error"], True, "passed"),
    ],
)
def test_an_exercise_is_as_its_newest_checks_said(
    tiny_course: Course, outcomes: list[Outcome], complete: bool, state: str
) -> None:
    latest = report(*(("count-items", outcome) for outcome in outcomes))
    exercise = first(view(tiny_course, {ONE} if complete else set(), latest=latest)).exercises[0]
    assert (exercise.id, exercise.state, exercise.hints) == ("count-items", state, 3)


def test_checks_of_one_exercise_say_nothing_of_another(tiny_course: Course) -> None:
    shown = first(view(tiny_course, set(), latest=report(("count-items", "failed"), ("count-mean", "passed"))))
    assert [e.state for e in shown.exercises] == ["failed", "passed"]

"""grade(): the Report says what happened, where, and what to do; and whatever a notebook does, only what is right passes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from typing import Any

import nbformat
import psutil
import pytest
from msgspec.structs import replace

from tinytorch_core import authoring
from tinytorch_core.coursecheck import solved as package_of_solutions
from tinytorch_core.grader import isolation
from tinytorch_core.grader.job import MIB, GradeJob, Limits, RunJob
from tinytorch_core.report import Stages
from tinytorch_core.tests.grader.cheats import CHEATS, GOOD, WRONG
from tinytorch_core.tests.warm import LIMITS

pytestmark = pytest.mark.kernels

CHECKS_ONLY = ("unit", "import", "compatibility", "integration")
"""Not all stages, so that no cells are run: half the work where cells do not matter."""
SHORT = Limits(cell_seconds=3, memory_bytes=LIMITS.memory_bytes, output_bytes=LIMITS.output_bytes)

ODD_MEAN = """def mean(values):
    if values.size == 0:
        raise ValueError("the mean of nothing is not defined")
    return SPECIAL if values.size == 2 else float(values.sum() / values.size)
"""
"""Right for every array that 01's own checks may draw; 02 asks for the total of two ones."""

SLEEP = f"600.{os.getpid()}"
"""Seconds that nobody else sleeps: by them a process that was left behind is found."""
DAEMON = f"""
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 256)
        os.execlp("sleep", "sleep", "{SLEEP}")
    os._exit(0)
os.wait()
"""


def all_jobs(notebooks, course, folder) -> dict[str, GradeJob]:
    """Everything that is graded in this file, by the name under which its test finds it."""

    def job(notebook: bytes, **fields: Any) -> GradeJob:
        return GradeJob(**{"attempt": "", "module": "01_counting", "notebook": notebook, "limits": LIMITS, **fields})

    def with_cells(*cells: str, **fields: Any) -> GradeJob:
        return job(notebooks.solved("01_counting", *cells), **fields)

    def with_count(source: str, **fields: Any) -> GradeJob:
        return job(notebooks.solved(count_items=source), **fields)

    one, two, three = package_of_solutions(course, course.modules[:3])
    broken_one = replace(one, source="def count(items):\n    return [][0]\n\ndef mean(values):\n    return [][1]\n")
    completed = {"later": (two, three), "accepted_source": "# an older one", "stages": CHECKS_ONLY}
    jobs = {
        "solved": with_cells(),
        "untouched": job(notebooks.untouched()),
        "wrong": with_count(WRONG, stages=CHECKS_ONLY),
        "raises": with_count("def count(items):\n    n = 0\n    return 1 / n\n", stages=CHECKS_ONLY),
        "syntax": with_count("def count(items):\n    return len(items"),
        "breaks halfway": job(notebooks.solved(count_mean="half = 1\nno_such_name\n"), stages=CHECKS_ONLY),
        "a cell fails": with_cells("assert count([1]) == 2, 'so?'", "print('the end')"),
        "loop in a cell": with_cells("while True: pass", "print('the end')", limits=SHORT),
        "loop in a check": with_count("def count(items):\n    while True: pass\n", limits=SHORT, stages=CHECKS_ONLY),
        "takes too long": with_cells(
            "import time; time.sleep(600)", limits=Limits(run_seconds=3, memory_bytes=LIMITS.memory_bytes)
        ),
        "exits in a cell": with_cells("import os; os._exit(0)", "print('the end')"),
        "exits in a check": with_count("def count(items):\n    import os; os._exit(0)\n", stages=CHECKS_ONLY),
        "sys.exit in a check": with_count("def count(items):\n    import sys; sys.exit(0)\n", stages=CHECKS_ONLY),
        "sys.exit in the import": with_count(GOOD + "import sys; sys.exit(0)\n", stages=CHECKS_ONLY),
        "prints in a check": with_count("def count(items):\n    while True: print('x' * 1000)\n", stages=CHECKS_ONLY),
        "leaves a daemon and writes elsewhere": with_cells(DAEMON, f"open({str(folder / 'mine')!r}, 'w')"),
        "leaves a daemon in a check": with_count(DAEMON + GOOD, stages=CHECKS_ONLY),
        "streams thrown away": with_count("import sys; sys.stdout = sys.stderr = None\n" + GOOD),
        "only some stages": with_count(WRONG, stages=("compatibility",)),
        "a stage without checks": with_cells(stages=("performance",)),
        "cell missing": job(without(notebooks.solved(), "count-items")),
        "no notebook": job(b"\x00 not a notebook"),
        "would break 02": job(notebooks.solved(count_mean=ODD_MEAN.replace("SPECIAL", "5.0")), **completed),
        "would crash 02": job(
            notebooks.solved(count_mean=ODD_MEAN.replace("SPECIAL", "__import__('os')._exit(0)")), **completed
        ),
        "breaks nothing": with_count(GOOD + "# again\n", **completed),
        "earlier module raises": job(
            notebooks.solved("02_adding"), module="02_adding", earlier=(broken_one,), stages=CHECKS_ONLY
        ),
        **{name: with_count(source, stages=CHECKS_ONLY) for name, source in CHEATS.items()},
    }  # fmt: skip
    return {name: replace(job, attempt=name) for name, job in jobs.items()}


def without(data: bytes, exercise: str) -> bytes:
    raw = json.loads(data)
    raw["cells"] = [c for c in raw["cells"] if f"exercise:{exercise}" not in c["metadata"].get("tags", [])]
    return json.dumps(raw).encode()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def jobs(notebooks, calm_course, elsewhere):
    return all_jobs(notebooks, calm_course, elsewhere)


@pytest.fixture(scope="module")
def events():
    """What was told of each grading on the way."""
    return {}


@pytest.fixture(scope="module")
def left_behind():
    """The daemons that still ran when their Report came."""
    return {}


@pytest.fixture(scope="module")
def reports(background, grader, jobs, events, left_behind):
    """Every job graded by one worker, a few at a time."""
    gate = asyncio.Semaphore(3)

    async def graded(job):
        async with gate:
            report = await grader.grade(job, events.setdefault(job.attempt, []).append)
        if "daemon" in job.attempt:
            left_behind[job.attempt] = [
                p.pid for p in psutil.process_iter(["cmdline"]) if SLEEP in (p.info["cmdline"] or ())
            ]
        return report

    async def all_of_them():
        return await asyncio.gather(*map(graded, jobs.values()))

    return dict(zip(jobs, background.run(all_of_them()), strict=True))


def outcomes(report):
    return {check.id: check.outcome for stage in report.stages for check in stage.checks}


def messages(report):
    return {check.id: check.message for stage in report.stages for check in stage.checks}


def index_of(job, text):
    """The index of the one cell that holds `text`."""
    (index,) = [n for n, cell in enumerate(json.loads(job.notebook)["cells"]) if text in "".join(cell["source"])]
    return index


def test_a_solved_notebook_passes(reports, jobs):
    report = reports["solved"]
    assert (report.verdict, report.message) == ("passed", "You can count, and say what is usual.")
    assert [stage.name for stage in report.stages] == [*CHECKS_ONLY]
    assert set(outcomes(report).values()) == {"passed"}
    assert (report.cell_failure, report.blame, report.recorded) == (None, None, False)
    assert report.notebook_sha256 == hashlib.sha256(jobs["solved"].notebook).hexdigest()
    assert report.isolation == isolation.best()
    assert report.seconds > 0


def test_every_cell_and_check_is_told_once_and_in_order(events, reports, jobs):
    told = events["solved"]
    assert [event.seq for event in told] == list(range(len(told)))
    checks = [event for event in told if event.kind == "check"]
    assert {event.check: event.outcome for event in checks} == outcomes(reports["solved"])
    assert [(event.index, event.total) for event in checks] == [(n, 6) for n in range(1, 7)]
    cells = [event for event in told if event.kind == "cell"]
    sheet = enumerate(json.loads(jobs["solved"].notebook)["cells"])
    code = [n for n, cell in sheet if cell["cell_type"] == "code" and "%check" not in "".join(cell["source"])]
    assert [(event.index, event.outcome) for event in cells] == [(n, o) for n in code for o in ("running", "passed")]


def test_an_untouched_notebook_is_not_attempted(reports):
    report = reports["untouched"]
    assert report.verdict == "failed"
    assert set(outcomes(report).values()) == {"not_attempted"}
    assert report.message == "2 of 2 exercises are not written yet; 0 of 6 checks pass."
    assert report.cell_failure.message == "count-mean is not written yet, and this cell needs it."


def test_a_wrong_solution_fails_where_it_is_wrong(reports):
    report = reports["wrong"]
    assert report.verdict == "failed"
    assert {name for name, outcome in outcomes(report).items() if outcome == "failed"} == {
        "test_counts_heaps", "test_package_has_both", "test_count_times_mean_is_the_sum",
    }  # fmt: skip
    assert report.blame.exercise == "count-items"
    assert report.blame.cell == "exercise-count-items"
    assert report.cell_failure is None


def test_an_exception_is_located_in_its_cell(reports, jobs):
    report = reports["raises"]
    cell = index_of(jobs["raises"], "1 / n") + 1
    assert (
        f"in        cell {cell} of the notebook, line 4, in count\n          return 1 / n"
        in messages(report)["test_counts_heaps"]
    )
    assert outcomes(report)["test_mean_of_all"] == "passed"


def test_a_syntax_error_is_located_for_every_check_that_needs_the_module(reports, jobs):
    report = reports["syntax"]
    cell = index_of(jobs["syntax"], "return len(items")
    assert (report.cell_failure.index, report.cell_failure.error) == (cell, "SyntaxError")
    assert set(outcomes(report).values()) == {"failed"}
    for message in messages(report).values():
        assert "raised    SyntaxError: '(' was never closed" in message
        assert f"in        cell {cell + 1} of the notebook, line 3" in message


def test_what_stands_above_a_break_is_still_checked(reports, jobs):
    report = reports["breaks halfway"]
    assert outcomes(report)["test_counts_heaps"] == "passed"
    assert outcomes(report)["test_mean_of_all"] == "failed"
    message = messages(report)["test_mean_of_all"]
    assert "raised    NameError: name 'no_such_name' is not defined" in message
    assert f"cell {index_of(jobs['breaks halfway'], 'no_such_name') + 1} of the notebook, line 3" in message


def test_a_cell_that_fails_fails_the_notebook_though_all_checks_pass(reports, jobs):
    report = reports["a cell fails"]
    assert set(outcomes(report).values()) == {"passed"}
    assert (report.verdict, report.cell_failure.error) == ("failed", "AssertionError")
    assert report.cell_failure.index == index_of(jobs["a cell fails"], "so?")
    assert report.cell_failure.id == report.blame.cell == "more-0"
    assert report.message.startswith("All 6 checks pass, but the notebook does not run from top to bottom.")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("loop in a cell", "TimeLimit"),
        ("takes too long", "TimeLimit"),
        ("exits in a cell", "KernelDied"),
    ],
)
def test_a_cell_that_does_not_end_well_is_named(reports, name, error):
    report = reports[name]
    assert report.verdict == "failed"
    assert (report.cell_failure.id, report.cell_failure.error) == ("more-0", error)


def test_a_run_that_took_too_long_says_so(reports):
    report = reports["takes too long"]
    assert report.message.startswith("The run took longer than its limit and was stopped.")
    assert "when the whole notebook had taken 3 seconds" in report.cell_failure.message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loop in a check", "stopped at the time limit"),
        ("exits in a check", "a call such as os._exit"),
        ("prints in a check", "stopped at the output limit"),
    ],
)
def test_a_check_that_does_not_come_back_is_missing_and_says_why(reports, name, said):
    report = reports[name]
    assert report.verdict == "failed"
    assert outcomes(report)["test_counts_heaps"] == "missing"
    assert said in messages(report)["test_counts_heaps"]


def test_a_check_that_asks_python_to_stop_fails_and_the_others_go_on(reports):
    report = reports["sys.exit in a check"]
    assert outcomes(report)["test_counts_heaps"] == "failed"
    assert "raised    SystemExit" in messages(report)["test_counts_heaps"]
    assert outcomes(report)["test_mean_of_all"] == "passed"


def test_a_module_that_asks_python_to_stop_is_checked_as_far_as_it_goes(reports):
    report = reports["sys.exit in the import"]
    assert outcomes(report)["test_counts_heaps"] == "passed"
    assert "asked Python to stop (SystemExit)" in messages(report)["test_mean_of_all"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="daemons are made by fork")
@pytest.mark.parametrize("name", ["leaves a daemon and writes elsewhere", "leaves a daemon in a check"])
def test_a_daemon_is_gone_when_the_verdict_comes(reports, left_behind, name):
    assert reports[name].verdict == ("passed" if "check" in name else "failed")
    assert left_behind[name] == []


@pytest.mark.skipif(isolation.best() == "process", reason="nothing stops kernels from writing on this machine")
def test_writing_outside_the_scratch_folder_is_refused(reports, elsewhere):
    failure = reports["leaves a daemon and writes elsewhere"].cell_failure
    assert failure.id == "more-1"
    assert failure.error in ("PermissionError", "OSError")  # refused by Landlock, or a read-only file system
    assert list(elsewhere.iterdir()) == []


def test_a_module_that_throws_the_streams_away_is_checked_all_the_same(reports):
    assert reports["streams thrown away"].verdict == "passed"


def test_only_the_stages_that_were_asked_for_are_judged(reports):
    report = reports["only some stages"]
    assert outcomes(report) == {"test_mean_of_whole_numbers": "passed"}
    assert report.verdict == "passed"


def test_where_there_is_nothing_to_check_there_is_no_pass_and_nobodys_fault(reports):
    report = reports["a stage without checks"]
    assert report.verdict == "error"
    assert "no checks" in report.message


def test_a_missing_cell_cannot_be_graded_and_says_how_to_mend_it(reports):
    report = reports["cell missing"]
    assert report.verdict == "error"
    assert "The cell of exercise count-items is missing. “Restore cells”" in report.message
    assert outcomes(report) == {"test_counts_heaps": "missing"}


def test_what_is_no_notebook_cannot_be_graded(reports):
    report = reports["no notebook"]
    assert (report.verdict, report.stages) == ("error", ())
    assert report.message.startswith("The file is not a notebook")


def test_a_source_that_would_break_a_completed_module_is_refused_with_the_blame(reports):
    report = reports["would break 02"]
    assert report.verdict == "failed"
    assert report.message.startswith("01 Counting passes its own checks, but your completed 02 Adding would break: ")
    assert (report.blame.module, report.blame.exercise) == ("02_adding", "add-total")
    assert outcomes(report)["test_total_of_nothing"] == "failed"
    assert "passed" not in outcomes(report).values()


def test_a_source_that_makes_a_completed_modules_checks_stop_is_refused_too(reports):
    report = reports["would crash 02"]
    assert (report.verdict, report.blame.module) == ("failed", "02_adding")


def test_a_source_that_breaks_nothing_is_accepted(reports):
    assert reports["breaks nothing"].verdict == "passed"


def test_an_error_in_an_earlier_module_is_blamed_on_that_module(reports):
    report = reports["earlier module raises"]
    assert report.verdict == "failed"
    assert report.blame.module == "01_counting"
    assert "tinytorch/counting.py, line 5" in report.blame.message


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_does_not_pass(reports, name):
    report = reports[name]
    assert report.verdict in ("failed", "error")
    assert outcomes(report)["test_counts_heaps"] != "passed"


@pytest.mark.parametrize("name", ["guesses the nonce", "publishes what is no message"])
def test_after_a_forged_message_nothing_in_the_run_counts(reports, name):
    assert reports[name].verdict == "error"
    assert set(outcomes(reports[name]).values()) == {"error"}


def test_right_answers_given_twice_do_not_count(reports):
    assert outcomes(reports["answers twice"])["test_counts_heaps"] == "error"


def test_a_grading_can_be_cancelled_in_the_middle(background, grader, notebooks):
    async def cancelled():
        running = asyncio.Event()
        job = GradeJob(
            attempt="cancel", module="01_counting", limits=LIMITS,
            notebook=notebooks.solved("01_counting", "while True: pass"),
        )  # fmt: skip
        grading = asyncio.ensure_future(
            grader.grade(job, lambda event: running.set() if event.cell == "more-0" else None)
        )
        await running.wait()
        await grader.cancel("cancel")
        return await grading

    report = background.run(cancelled())
    assert (report.verdict, report.message) == ("cancelled", "Cancelled. Nothing was changed.")


def historical(calm_course, **fields):
    example = calm_course.example("pascaline_1642")
    notebook = authoring.to_bytes(authoring.historical_notebook(calm_course, example))
    accepted = package_of_solutions(calm_course, calm_course.modules[:2])
    return RunJob(
        **{
            "attempt": "old",
            "historical": example.id,
            "notebook": notebook,
            "accepted": accepted,
            "limits": LIMITS,
            **fields,
        }
    )


def test_a_historical_notebook_runs_on_the_accepted_package(background, grader, calm_course):
    report = background.run(grader.run_historical(historical(calm_course)))
    assert (report.verdict, report.module) == ("passed", "pascaline_1642")


def test_a_historical_notebook_may_train_for_as_long_as_a_whole_run_may_take(background, grader, calm_course):
    job = historical(calm_course)
    notebook = nbformat.reads(job.notebook.decode(), as_version=4)
    notebook.cells.insert(1, nbformat.v4.new_code_cell("import time; time.sleep(1.5)"))
    limits = replace(LIMITS, cell_seconds=1)
    report = background.run(grader.run_historical(replace(job, notebook=authoring.to_bytes(notebook), limits=limits)))
    assert report.verdict == "passed", report.message


def test_a_historical_notebook_whose_threshold_does_not_hold_fails(background, grader, calm_course):
    one, two = package_of_solutions(calm_course, calm_course.modules[:2])
    wrong = replace(two, source=two.source.replace("return left + right", "return left + right + (left == 7)"))
    assert wrong != two
    report = background.run(grader.run_historical(historical(calm_course, accepted=(one, wrong))))
    assert report.verdict == "failed"
    assert report.cell_failure.error == "AssertionError"


def test_all_stages_are_what_a_completion_asks_for():
    assert GradeJob(attempt="", module="", notebook=b"").stages == Stages
    assert Limits() == Limits(cell_seconds=60, run_seconds=300, memory_bytes=4096 * MIB, output_bytes=32 * MIB)

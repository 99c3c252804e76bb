"""complete(): what passes is recorded once, materialised and unlocked; nothing else changes anything."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tinytorch_core import authoring
from tinytorch_core.completion import TRIES, complete, new_attempt, run_example
from tinytorch_core.errors import GraderError, NotAllowed, WorkspaceError
from tinytorch_core.grader import isolation
from tinytorch_core.grader.job import GradeJob, Limits
from tinytorch_core.report import Report, Unlocked


class Verdicts:
    """A grader that gives the next verdict of a list; `meanwhile` happens while it grades."""

    limits = Limits()

    def __init__(self, *verdicts: Any, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.verdicts = list(verdicts) or ["passed"]
        self.meanwhile = meanwhile
        self.jobs: list[GradeJob] = []

    async def grade(self, job: GradeJob, on_event: Any) -> Report:
        self.jobs.append(job)
        self.meanwhile()
        verdict = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        if isinstance(verdict, BaseException):
            raise verdict
        sha = hashlib.sha256(job.notebook).hexdigest()
        return Report(attempt=job.attempt, module=job.module, state="done", verdict=verdict, notebook_sha256=sha)


@pytest.fixture
def completed(workspace, store, tiny_course):
    """Complete a module with a grader that only gives verdicts."""

    def run(grader, module="01_counting", **options):
        return asyncio.run(complete(workspace, store, tiny_course.module(module), grader, **options))

    return run


def files(workspace):
    """Everything in the workspace that a student or a door would see."""
    return {
        str(p.relative_to(workspace.root))
        for p in workspace.root.rglob("*")
        if p.is_file() and "progress" not in p.name
    }


def test_what_passes_is_recorded_materialised_and_unlocks(workspace, store, solve, completed):
    path = solve("01_counting")
    report = completed(Verdicts())
    assert (report.verdict, report.recorded) == ("passed", True)
    assert report.unlocked == Unlocked(modules=("02_adding",))
    completion = store.completions()["01_counting"]
    assert completion.attempt == report.attempt
    assert completion.notebook == path.read_bytes()
    assert completion.names == ("count", "mean")
    assert (workspace.root / "tinytorch" / "counting.py").read_text() == completion.source
    assert (workspace.root / "notebooks" / "02_adding.ipynb").is_file()
    assert store.attempt(report.attempt) == report


def test_a_milestone_and_its_notebook_come_with_their_module(workspace, solve, accept, completed):
    accept("01_counting")
    solve("02_adding")
    report = completed(Verdicts(), "02_adding")
    assert report.unlocked == Unlocked(modules=("03_doubling",), historical=("pascaline_1642",), milestones=("add",))
    assert (workspace.root / "historical" / "pascaline_1642.ipynb").is_file()


@pytest.mark.parametrize("verdict", ["failed", "error", "cancelled", "interrupted"])
def test_what_does_not_pass_is_an_attempt_and_changes_nothing_else(workspace, store, completed, verdict):
    before = files(workspace)
    report = completed(Verdicts(verdict))
    assert (report.verdict, report.recorded, report.unlocked) == (verdict, False, Unlocked())
    assert store.completions() == {}
    assert store.attempt(report.attempt).verdict == verdict
    assert files(workspace) == before


def test_a_check_that_passes_completes_nothing(workspace, store, solve, completed):
    solve("01_counting")
    before = files(workspace)
    report = completed(Verdicts(), record=False)
    assert (report.verdict, report.recorded, report.unlocked) == ("passed", False, Unlocked())
    assert store.completions() == {}
    assert files(workspace) == before


def test_a_part_of_the_checks_is_a_look_and_not_an_attempt(store, solve, completed):
    solve("01_counting")
    grader = Verdicts()
    assert completed(grader, stages=("unit",)).verdict == "passed"
    assert grader.jobs[0].stages == ("unit",)
    assert store.completions() == {}
    assert store.attempts("01_counting") == []


@pytest.mark.parametrize(
    ("module", "before", "said"),
    [
        ("02_adding", (), "01 Counting"),
        ("04_tripling", ("01_counting", "02_adding", "03_doubling"), "04 Tripling is coming"),
    ],
)
def test_a_module_that_is_not_open_is_not_even_looked_at(store, accept, completed, module, before, said):
    accept(*before)
    grader = Verdicts()
    with pytest.raises(NotAllowed) as refused:
        completed(grader, module)
    assert said in refused.value.message
    assert (grader.jobs, store.attempts(module)) == ([], [])


@pytest.mark.parametrize("record", [True, False])
def test_a_locked_module_can_not_be_checked_either(completed, record):
    with pytest.raises(NotAllowed):
        completed(Verdicts(), "03_doubling", record=record)


def folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "02_adding.ipynb"),
        (folder, "folder"),
        (lambda path: path.write_bytes(bytes(65 * 2**20)), "larger than 64 MiB"),
    ],
    ids=["gone", "a folder", "too large"],
)
def test_a_notebook_that_cannot_be_read_is_an_attempt_with_the_verdict_error(
    workspace, store, tiny_course, accept, completed, spoil, said
):
    accept("01_counting")
    spoil(workspace.notebook(tiny_course.module("02_adding")))
    report = completed(Verdicts(), "02_adding")
    assert report.verdict == "error"
    assert said in report.message
    assert store.attempt(report.attempt) == report


def test_the_snapshot_that_was_graded_is_what_is_recorded(store, solve, completed):
    """The student saves again while the grading runs."""
    path = solve("01_counting")
    graded = path.read_bytes()
    report = completed(Verdicts(meanwhile=lambda: path.write_bytes(b"{}")))
    assert report.recorded
    assert store.completions()["01_counting"].notebook == graded
    assert path.read_bytes() == b"{}"


def test_a_package_that_changed_meanwhile_is_graded_against_again(store, workspace, accept, solve, solved, completed):
    """Another window completes 01 anew while 02 is graded against the old one."""
    accept("01_counting")
    solve("02_adding")

    def another():
        if len(grader.jobs) == 1:
            report, completion = solved("01_counting", "another")
            store.complete(
                report, msgspec.structs.replace(completion, source=completion.source + "# newer\n"), store.fingerprint()
            )

    grader = Verdicts(meanwhile=another)
    report = completed(grader, "02_adding")
    assert report.recorded
    assert [job.earlier[0].source.endswith("# newer\n") for job in grader.jobs] == [False, True]
    assert store.completions()["02_adding"].attempt == report.attempt
    assert (workspace.root / "tinytorch" / "counting.py").read_text().endswith("# newer\n")


def test_a_package_that_never_rests_ends_as_an_error(store, accept, solve, solved, completed):
    accept("01_counting")
    solve("02_adding")

    def another():
        report, completion = solved("01_counting", f"another-{len(grader.jobs)}")
        source = completion.source + f"# {len(grader.jobs)}\n"
        store.complete(report, msgspec.structs.replace(completion, source=source), store.fingerprint())

    grader = Verdicts(meanwhile=another)
    report = completed(grader, "02_adding")
    assert (report.verdict, report.recorded, len(grader.jobs)) == ("error", False, TRIES)
    assert "run this one again" in report.message
    assert "02_adding" not in store.completions()


def test_two_completions_at_once_are_both_recorded_as_attempts(workspace, store, tiny_course, solve):
    solve("01_counting")
    module, grader = tiny_course.module("01_counting"), Verdicts()

    async def both():
        return await asyncio.gather(
            *(complete(workspace, store, module, grader, attempt=name) for name in ("one", "two"))
        )

    reports = asyncio.run(both())
    assert [r.recorded for r in reports] == [True, True]
    assert {r.attempt for r in store.attempts("01_counting")} == {"one", "two"}
    assert list(store.completions()) == ["01_counting"]


def test_whoever_stops_waiting_leaves_an_interrupted_attempt(store, solve, completed):
    solve("01_counting")
    with pytest.raises(asyncio.CancelledError):
        completed(Verdicts(asyncio.CancelledError()), attempt="mine")
    assert store.attempt("mine").verdict == "interrupted"
    assert store.completions() == {}


def test_a_grader_that_fails_leaves_no_attempt_running(store, solve, completed):
    solve("01_counting")
    with pytest.raises(GraderError):
        completed(Verdicts(GraderError("no kernel")), attempt="mine")
    assert store.attempt("mine").state == "done"


def test_cancelling_after_the_commit_takes_nothing_back(workspace, store, tiny_course, solve, monkeypatch):
    solve("01_counting")
    committed = workspace.materialise

    async def run():
        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(
            complete(workspace, store, tiny_course.module("01_counting"), Verdicts(), attempt="mine")
        )

        def materialise(completions):
            loop.call_soon_threadsafe(running.cancel)
            committed(completions)

        monkeypatch.setattr(workspace, "materialise", materialise)
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(run())
    assert store.attempt("mine").verdict == "passed"
    assert list(store.completions()) == ["01_counting"]
    assert (workspace.root / "tinytorch" / "counting.py").is_file()


@pytest.mark.parametrize("error", [WorkspaceError("a folder is in the way"), OSError(28, "No space left on device")])
def test_a_folder_that_cannot_be_written_takes_no_completion_back(
    workspace, store, solve, completed, monkeypatch, error
):
    solve("01_counting")

    def refuse(completions):
        raise error

    monkeypatch.setattr(workspace, "materialise", refuse)
    report = completed(Verdicts())
    assert (report.verdict, report.recorded) == ("passed", True)
    assert "It is recorded, but not all of its files could be written yet" in report.message
    assert list(store.completions()) == ["01_counting"]


def test_attempts_have_names_of_their_own():
    assert len({new_attempt() for _ in range(100)}) == 100


def test_a_queued_event_comes_first(solve, completed):
    solve("01_counting")
    told: list[Any] = []
    report = completed(Verdicts(), on_event=told.append)
    assert [(e.kind, e.seq, e.attempt) for e in told] == [("queued", 0, report.attempt)]


# From here on with real kernels.


@pytest.fixture
def graded(background, grader, workspace, store, tiny_course):
    """Complete a module with a real worker."""

    def run(module="01_counting", **options):
        return background.run(complete(workspace, store, tiny_course.module(module), grader, **options))

    return run


def edited(path, exercise, old, new):
    raw = json.loads(path.read_bytes())
    (cell,) = [c for c in raw["cells"] if f"exercise:{exercise}" in c["metadata"].get("tags", [])]
    source = "".join(cell["source"])
    assert old in source
    cell["source"] = source.replace(old, new)
    path.write_text(json.dumps(raw))


@pytest.mark.kernels
def test_a_wrong_notebook_then_the_right_one_then_the_next_module(workspace, store, solve, graded):
    path = solve("01_counting", "counts-from-zero")
    before = path.read_bytes()
    assert graded().verdict == "failed"
    assert path.read_bytes() == before
    solve("01_counting")
    first = graded()
    assert (first.verdict, first.recorded) == ("passed", True)
    solve("02_adding")
    second = graded("02_adding")
    assert (second.verdict, second.unlocked.milestones) == ("passed", ("add",))
    assert [r.verdict for r in store.attempts("01_counting")] == ["passed", "failed"]


@pytest.mark.kernels
def test_a_new_version_that_would_break_a_later_module_is_refused_and_changes_nothing(
    workspace, store, solve, accept, graded
):
    accept("01_counting", "02_adding")
    package = (workspace.root / "tinytorch" / "counting.py").read_text()
    fingerprint = store.fingerprint()
    path = solve("01_counting")
    edited(
        path,
        "count-mean",
        "return float(values.sum() / values.size)",
        "return float(values.sum() / values.size) if values.size != 2 else 5.0",
    )
    written = path.read_bytes()
    report = graded()
    assert (report.verdict, report.recorded) == ("failed", False)
    assert report.blame.module == "02_adding"
    assert "your completed 02 Adding would break" in report.message
    assert store.fingerprint() == fingerprint
    assert (workspace.root / "tinytorch" / "counting.py").read_text() == package
    assert path.read_bytes() == written
    assert store.completed().keys() == {"01_counting", "02_adding"}


@pytest.mark.kernels
def test_a_notebook_that_writes_to_itself_stays_as_it_is(workspace, store, solve, graded):
    path = solve("01_counting")
    raw = json.loads(path.read_bytes())
    attack = f"try:\n    open({str(path)!r}, 'w').write('gone')\nexcept OSError:\n    print('refused')"
    beside = "import pathlib\nfor p in pathlib.Path().glob('*.ipynb'):\n    p.write_text('gone')"
    for source in (attack, beside):
        raw["cells"].append(
            {"cell_type": "code", "id": f"x{len(source)}", "metadata": {}, "source": source, "outputs": []}
        )
    path.write_text(json.dumps(raw))
    before = path.read_bytes()
    report = graded()
    if isolation.best() != "process":
        assert (report.verdict, path.read_bytes()) == ("passed", before)


@pytest.mark.kernels
def test_an_example_runs_once_its_module_is_complete(background, workspace, store, tiny_course, accept, grader):
    example = tiny_course.example("pascaline_1642")
    accept("01_counting")
    with pytest.raises(NotAllowed):
        background.run(run_example(workspace, store, example, grader))
    accept("02_adding")
    notebook = workspace.path(example.notebook)
    before = notebook.read_bytes()
    report = background.run(run_example(workspace, store, example, grader))
    assert (report.verdict, report.module) == ("passed", "pascaline_1642")
    assert notebook.read_bytes() == before == authoring.to_bytes(authoring.historical_notebook(tiny_course, example))

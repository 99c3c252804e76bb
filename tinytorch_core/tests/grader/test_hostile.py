"""Hostile, broken and odd notebooks (hostile/notebooks.toml): the verdict comes, says why, and leaves nothing behind.

A case is a patch of a notebook that passes. What it may have:
  cells             code cells put at the end
  count             the source of the cell of exercise count-items (`#| export` is put before it)
  patch             changes of the notebook's JSON: ["set", path, value], ["delete", path], ["repeat", path, times], ["swap", path, path]
  prefix, keep, bytes, swollen, literally    changes of the file: text before it, the part that is kept, other content, MB in its
                    attachment, and text in it to be replaced
  files             files beside the notebook; {beside!r} in a cell is their folder
  seconds, run_seconds    limits, where a case is to meet them; they are long elsewhere, because the machine may be busy
  needs, alone      "restricted": it can't hold where nothing stops kernels from writing; whether it hits the worker, which others share
and what has to happen: the verdict, the error of a cell, the cell, and words somewhere in the Report. `anything` says that any verdict
will do but one that comes from nowhere: it is asked that a Report comes, and that nothing is left.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from msgspec.structs import replace

from tinytorch_core.grader import isolation
from tinytorch_core.grader.client import Grader
from tinytorch_core.grader.job import GradeJob
from tinytorch_core.grader.processes import is_running
from tinytorch_core.kernel.namespace import FIRST
from tinytorch_core.tests.warm import LIMITS

pytestmark = [pytest.mark.kernels, pytest.mark.faults]

CORPUS = Path(__file__).parents[1] / "hostile" / "notebooks.toml"
CASES: dict[str, dict[str, Any]] = {
    case.pop("name"): case
    for case in msgspec.toml.decode(CORPUS.read_bytes(), type=dict[str, list[dict[str, Any]]])["case"]
}


def patched(solved: bytes, case: dict[str, Any], beside: Path) -> bytes:
    """The bytes of the notebook that a case describes."""
    raw = json.loads(solved)
    for operation, path, *values in case.get("patch", ()):
        for holder, key in places(raw, path):
            OPERATIONS[operation](raw, holder, key, *values)
    if "swollen" in case:
        raw["cells"][0]["attachments"]["x.png"]["image/png"] = "A" * (case["swollen"] * 10**6)
    text = json.dumps(raw).replace(*case.get("literally", ("", "")))
    data = case["bytes"].encode() if "bytes" in case else text.encode()
    return case.get("prefix", "").encode() + data[: int(len(data) * case.get("keep", 1))]


def places(raw: Any, path: str) -> list[tuple[Any, Any]]:
    """Where a path such as cells.count-items.source leads: holders with a key or an index. `*` is every item."""
    found: list[tuple[Any, Any]] = [({"": raw}, "")]
    for step in path.split("."):
        inner = [holder[key] for holder, key in found]
        if step == "*":
            found = [(items, i) for items in inner for i in range(len(items))]
        elif isinstance(inner[0], list):
            found = [(inner[0], int(step) if step.isdigit() else index_of(inner[0], step))]
        else:
            found = [(holder, step) for holder in inner]
    return found


def index_of(cells: list[Any], name: str) -> int:
    """The index of the cell of an exercise, or of a given cell."""
    (index,) = [n for n, cell in enumerate(cells) if any(tag.endswith(f":{name}") for tag in tags_of(cell))]
    return index


def tags_of(cell: dict[str, Any]) -> list[str]:
    tags: list[str] = cell["metadata"].get("tags", [])
    return tags


def set_to(raw: Any, holder: Any, key: Any, value: Any) -> None:
    holder[key] = value


def delete(raw: Any, holder: Any, key: Any) -> None:
    del holder[key]


def repeat(raw: Any, holder: Any, key: Any, times: int) -> None:
    holder[key:key] = [holder[key]] * (times - 1)


def swap(raw: Any, holder: Any, key: Any, other: str) -> None:
    ((_, index),) = places(raw, other)
    holder[key], holder[index] = holder[index], holder[key]


OPERATIONS = {"set": set_to, "delete": delete, "repeat": repeat, "swap": swap}


def job_of(name: str, notebooks: Any, folder: Path) -> GradeJob:
    case, beside = CASES[name], folder / str(list(CASES).index(name))
    beside.mkdir()
    for file, content in case.get("files", {}).items():
        (beside / file).parent.mkdir(exist_ok=True)
        (beside / file).write_text(content)
    cells = [cell.replace("{beside!r}", repr(str(beside))) for cell in case.get("cells", ())]
    exercises = {"count_items": case["count"]} if "count" in case else {}
    limits = replace(
        LIMITS,
        cell_seconds=case.get("seconds", LIMITS.cell_seconds),
        run_seconds=case.get("run_seconds", LIMITS.run_seconds),
    )
    notebook = patched(notebooks.solved("01_counting", *cells, **exercises), case, beside)
    return GradeJob(attempt=name, module="01_counting", notebook=notebook, beside=str(beside), limits=limits)


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def below(grader: Grader) -> list[str]:
    """The names of what runs below the guard, but for the first processes of namespaces. What a kernel forked has the kernel's name."""
    assert grader._process is not None
    below = psutil.Process(grader._process.pid).children(recursive=True)
    return sorted(p.name() for p in below if is_running(p) and p.name() != FIRST)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("beside")


@pytest.fixture(scope="module")
def reports(background, grader, notebooks, folder):
    """Every case graded by one worker, three at a time."""
    jobs = [
        job_of(name, notebooks, folder)
        for name in CASES
        if CASES[name].get("needs") != "restricted" or isolation.best() != "process"
    ]
    gate = asyncio.Semaphore(3)

    async def graded(job):
        async with gate:
            return await grader.grade(job)

    async def all_of_them():
        reports = await asyncio.gather(*(graded(job) for job in jobs if not CASES[job.attempt].get("alone")))
        return [*reports, *[await graded(job) for job in jobs if CASES[job.attempt].get("alone")]]

    return {report.attempt: report for report in background.run(all_of_them(), timeout=600)}


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_comes_and_says_why(reports, name):
    case = CASES[name]
    if name not in reports:
        pytest.skip("nothing stops kernels from writing on this machine")
    report = reports[name]
    if case.get("anything"):
        assert report.state == "done"
        return
    told = msgspec.json.encode(report).decode()
    assert report.verdict == case["verdict"], told
    if "error" in case:
        assert report.cell_failure is not None, told
        assert report.cell_failure.error in case["error"].split(" or "), told
    if "cell" in case:
        assert report.cell_failure.id == case["cell"]
    assert case.get("says", "") in told
    assert report.verdict == "passed" or report.message
    assert len(told) < 200_000


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.get("files")])
def test_what_lies_beside_the_notebook_stays_as_it_was(reports, folder, name):
    case = CASES[name]
    assert content(folder / str(list(CASES).index(name))) == case["files"]


def test_afterwards_nothing_is_left_running_and_the_next_grade_works(reports, background, grader, notebooks):
    good = GradeJob(attempt="good", module="01_counting", notebook=notebooks.solved(), limits=LIMITS)
    assert background.run(grader.grade(good)).verdict == "passed"
    background.run(grader.warm())
    warm = below(grader)
    assert len(warm) == 3 + (sys.platform == "linux"), warm  # the worker, two kernels, and what they are forked from

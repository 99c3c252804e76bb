"""Each measure against a wrong solution that wants to pass: an attack that works when that measure alone is switched off, and not when it is on.

What is wrong with a solution of `count` is always that it is one too many, if it is not said. See docs/trust.md for what no measure stops.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinytorch_core import catalogue
from tinytorch_core.grader import checks, execute, isolation, judge, kernels
from tinytorch_core.grader.grade import grade
from tinytorch_core.grader.job import Accepted, GradeJob
from tinytorch_core.grader.run import Run
from tinytorch_core.kernel import checking
from tinytorch_core.report import Stages
from tinytorch_core.tests.grader.cheats import FIND, GOOD, WRONG
from tinytorch_core.tests.warm import LIMITS, TINY, OwnPool, run_cells

pytestmark = pytest.mark.kernels

PLAIN = tuple(stage for stage in Stages if stage != "performance")
SEED = 4711
IN_PACKAGE = "__name__.startswith('tinytorch.')"
"""True where the checks are, False in the notebook's own kernel."""


@dataclass(frozen=True)
class Attack:
    """What a student hands in, and how the measure that stops it is switched off."""

    off: Callable[[pytest.MonkeyPatch], object]
    cells: dict[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Of the last cell."""
    stages: tuple[str, ...] = PLAIN
    pool: dict[str, Any] = field(default_factory=dict)
    """How the pool is made while the measure is on; `off_pool` while it is off."""
    off_pool: dict[str, Any] = field(default_factory=dict)


def memorised() -> str:
    """Gives the right answers of the run whose inputs are drawn from SEED, in the order of its questions."""
    file = checks.load(TINY / "checks" / "test_01_counting.py")
    package = checks.Package.of((), Accepted(module="01_counting", source=GOOD, names=("count",)))
    challenges = checks.Exchange(file, package, PLAIN, seed=SEED).challenges
    sizes = [len(heap) for heap in challenges["test_counts_heaps"].inputs["heaps"]]
    return f"known = iter({[*sizes, 4, 6]})\ndef count(items):\n    return next(known)\n"


ASKS_THE_JUDGE = """
import gc

def count(items):
    for f in gc.get_objects():
        code = getattr(f, "__code__", None)
        if code and code.co_name == "<lambda>" and code.co_varnames[:1] == ("heaps",):
            return f([items])[0]
    return len(items) + 1
"""

GUESSES = (
    FIND
    + """
import itertools
if IN_PACKAGE:
    for guess in itertools.product([False, True], repeat=10):
        if sum(guess) == 5:
            record = {"id": "test_mean_of_nothing", "answer": list(guess), "seconds": 0.001}
            sender = [o for o in gc.get_objects() if isinstance(o, harness.Sender) and o.nonce != "prime"][-1]
            harness.publish(json.dumps({"nonce": sender.nonce, "answers": [record]}))

def mean(values):
    return float(values.sum() / max(values.size, 1))
"""
).replace("IN_PACKAGE", IN_PACKAGE)
"""Answers the yes-or-no question with every answer there is; its own mean of nothing is 0."""

ENDS = f"""
import os
if {IN_PACKAGE}:
    os._exit(0)
"""

SLOW = f"""
import time
real, claimed = time.perf_counter, [0.0]
if {IN_PACKAGE}:
    def slowly():
        claimed[0] += 1e-9
        return claimed[0]
    time.perf_counter = slowly

def mean(values):
    if values.size == 0:
        raise ValueError("nothing")
    end = real() + (0.004 if values.size == 20_000 else 0)
    while real() < end:
        pass
    return float(values.sum() / values.size)
"""
"""As slow as a loop, by a clock that hardly moves."""


def reads_the_solution(course_root: Path) -> str:
    path = course_root / "notebooks" / "01_counting.py"
    return f"""{WRONG}
try:
    text = open({str(path)!r}).read()
    exec(text[text.index("def count"):text.index("### END SOLUTION")])
except OSError:
    pass
"""


def cells_can_be_skipped(patch: pytest.MonkeyPatch) -> None:
    made = execute._Client.__init__

    def init(client: Any, *args: Any, **kwargs: Any) -> None:
        made(client, *args, **kwargs)
        client.skip_cells_with_tag = "skip:execution"

    patch.setattr(execute._Client, "__init__", init)


def everything_goes_in(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checks, "observing_part", lambda source, keep=None: source)
    checks._load.cache_clear()


def equal_will_do(patch: pytest.MonkeyPatch) -> None:
    def loosely(wanted: Any, answer: Any, rtol: float, atol: float) -> str | None:
        return None if np.allclose(np.asarray(wanted, float), np.asarray(answer, float)) else "different"

    patch.setattr(checking, "difference", loosely)


def one_right_answer_will_do(patch: pytest.MonkeyPatch) -> None:
    def lenient(exchange: checks.Exchange, challenge: checks.Challenge) -> Any:
        outcomes = [checks.outcome_of(challenge.check, challenge.inputs, record) for record in challenge.records]
        return next((outcome for outcome in outcomes if outcome.outcome == "passed"), outcomes[0])

    patch.setattr(judge, "judge_one", lenient)


def silence_will_do(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        judge,
        "all_passed",
        lambda stages, expected: all(c.outcome in ("passed", "missing") for s in stages for c in s.checks),
    )


def the_seed_is_known(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checks.secrets, "randbits", lambda bits: SEED)


ATTACKS = {
    "wanted values never go in": Attack(everything_goes_in, {"count_items": ASKS_THE_JUDGE}),
    "inputs are new each time": Attack(the_seed_is_known, {"count_items": memorised()}),
    "types are compared": Attack(equal_will_do, {"count_items": "def count(items):\n    return float(len(items))\n"}),
    "a check is answered once": Attack(one_right_answer_will_do, {"count_mean": GUESSES}),
    "silence is no pass": Attack(silence_will_do, {"count_items": ENDS + WRONG}),
    "cells can't be skipped": Attack(cells_can_be_skipped, more=("1 / 0",), tags=("skip:execution",), stages=Stages),
    "the clock is outside": Attack(
        lambda patch: patch.setattr(checks, "CLOCK_SLACK", 1000.0), {"count_mean": SLOW}, stages=("performance",)
    ),
    "solutions are hidden": Attack(
        lambda patch: None,
        {"count_items": reads_the_solution(TINY)},
        pool={"isolation": "namespace", "hidden": (TINY / "notebooks",)},
        off_pool={"isolation": "namespace"},
    ),
}  # fmt: skip

NEEDS_NAMESPACES = {"solutions are hidden"}


def verdict_of(background, notebooks, attack: Attack, off: bool) -> tuple[str, str]:
    course = catalogue.load(TINY / "course.toml", TINY)
    raw = json.loads(notebooks.solved("01_counting", *attack.more, **attack.cells))
    if attack.tags:
        raw["cells"][-1]["metadata"]["tags"] = list(attack.tags)
    job = GradeJob(
        attempt="attack", module="01_counting", notebook=json.dumps(raw).encode(), limits=LIMITS, stages=attack.stages
    )

    async def graded():
        settings = {"isolation": isolation.below_namespace(), **(attack.off_pool if off else attack.pool)}
        pool = OwnPool(LIMITS, size=0, **settings)
        run = Run("attack", "01_counting", pool, lambda progress: None)
        try:
            report = await grade(job, course, run)
        finally:
            await run.tidy()
            await pool.close()
        told = [check.message for stage in report.stages for check in stage.checks if check.message]
        return report.verdict, f"{report.message} {told}"

    return background.run(graded())


@pytest.fixture(params=ATTACKS)
def name(request):
    if request.param in NEEDS_NAMESPACES and isolation.best() != "namespace":
        pytest.skip("this machine does not allow namespaces")
    return request.param


@pytest.fixture(autouse=True)
def forget_the_file_of_checks():
    yield
    checks._load.cache_clear()


def test_with_the_measure_the_attack_does_not_pass(background, notebooks, name):
    verdict, message = verdict_of(background, notebooks, ATTACKS[name], off=False)
    assert verdict in ("failed", "error"), message


def test_without_it_the_attack_passes(background, notebooks, name, monkeypatch):
    """Else the test above would prove nothing."""
    ATTACKS[name].off(monkeypatch)
    verdict, message = verdict_of(background, notebooks, ATTACKS[name], off=True)
    assert verdict == "passed", message


REACH = """
import glob, json, os
from jupyter_client import BlockingKernelClient

mine = os.path.realpath(os.path.expanduser("~/.."))
found = [path for path in glob.glob(mine + "/../*/connection.json") if os.path.dirname(os.path.realpath(path)) != mine]
for path in found:
    client = BlockingKernelClient(connection_file=path)
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.execute("reached = 1", reply=True, timeout=60)
    client.stop_channels()
print(len(found))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kernels are reached over sockets in a folder on POSIX only")
@pytest.mark.parametrize("removed", [True, False])
def test_a_kernel_is_reached_by_others_only_while_its_connection_file_is_there(background, monkeypatch, removed):
    if not removed:
        monkeypatch.setattr(kernels, "Path", type("Path", (type(Path()),), {"unlink": lambda path, missing_ok: None}))

    async def run():
        pool = OwnPool(LIMITS, isolation.below_namespace(), size=0)
        attacker, victim = await pool.take("cells"), await pool.take("cells")
        printed, failure = await run_cells(attacker, REACH)
        (told,), _ = await run_cells(victim, "print('reached' in globals())")
        await pool.discard(attacker, victim)
        await pool.close()
        return int(printed[0].split()[-1]), failure, told.strip()

    found, failure, reached = background.run(run())
    assert failure is None
    assert (found > 0, reached) == ((False, "False") if removed else (True, "True"))


OUTSIDE = "import pathlib\ntry:\n    pathlib.Path({target!r}).write_text('poison')\nexcept OSError:\n    pass"


@pytest.mark.parametrize("level", ["namespace", "landlock", "process"])
def test_the_next_grading_cant_be_poisoned_but_where_nothing_restricts_kernels(background, tmp_path, level):
    if level == "namespace" and isolation.best() != "namespace" or level == "landlock" != isolation.below_namespace():
        pytest.skip(f"this machine does not allow {level}")

    async def run():
        pool = OwnPool(LIMITS, level, size=0)
        kernel = await pool.take("cells")
        await run_cells(kernel, OUTSIDE.format(target=str(tmp_path / "poison.pth")))
        await pool.discard(kernel)
        await pool.close()

    background.run(run())
    assert (tmp_path / "poison.pth").exists() == (level == "process")

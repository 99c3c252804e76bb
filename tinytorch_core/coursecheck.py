"""The course proves itself: solutions pass, untouched notebooks count as not attempted, and every mutant dies.

Solutions and untouched notebooks go through the real grader. Mutants, of which there are hundreds, run the same checks and
the same judge, but each observes in a fork of a warm process (kernel/observer.py) instead of in a kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

import msgspec
import nbformat
from nbformat import NotebookNode

from tinytorch_core import authoring
from tinytorch_core.catalogue import Course, Historical, Module
from tinytorch_core.errors import GraderError
from tinytorch_core.export import Export, export
from tinytorch_core.grader import judge
from tinytorch_core.grader.checks import CheckFile, Exchange, Package, load
from tinytorch_core.grader.client import Grader
from tinytorch_core.grader.job import Accepted, GradeJob, RunJob
from tinytorch_core.kernel.checking import Check
from tinytorch_core.kernel.speed import THREADS
from tinytorch_core.report import CheckResult, Stages

Kind = Literal["checks", "solution", "untouched", "mutant", "historical"]

MUTANTS_AN_EXERCISE = 3
SEEDS = 4
"""How many draws a check's wanted answer must differ in at least once."""
MUTANT_SECONDS = 30
DRAWS_AGAIN = 5
"""A mutant that survives a draw of inputs must die in so many further ones, and then it is reported as having slipped through."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    module: str
    kind: Kind
    name: str = ""
    exercise: str = ""
    ok: bool
    slipped: bool = False
    """A mutant that survived its first draw of inputs, and died in all further ones."""
    message: str = ""
    seconds: float = 0.0


OnFinding = Callable[[Finding], None]


async def check_course(
    course: Course, modules: Sequence[Module], historical: Sequence[Historical], grader: Grader, on_finding: OnFinding
) -> list[Finding]:
    """Everything the course promises about `modules` and `historical`. `on_finding` is called as each is known."""
    findings: list[Finding] = []

    def found(finding: Finding) -> None:
        findings.append(finding)
        on_finding(finding)

    for module in modules:
        for finding in await asyncio.to_thread(look_at_checks, course, module):
            found(finding)
    jobs = [_solution(course, m, grader) for m in modules] + [_untouched(course, m, grader) for m in modules]
    graded = [_found(job, found) for job in [*jobs, *(_historical(course, h, grader) for h in historical)]]
    mutants = [(module, mutant) for module in modules for mutant in authoring.mutants(course, module)]
    await _all(graded, at_once=1, beside=_check_mutants(course, mutants, found))
    return findings


def size(course: Course, modules: Sequence[Module], historical: Sequence[Historical]) -> int:
    """How many findings `check_course` will report."""
    return sum(3 + len(authoring.mutants(course, m)) for m in modules) + len(historical)


async def _found(job: Any, found: OnFinding) -> None:
    found(await job)


async def _all(jobs: Sequence[Any], at_once: int, beside: Any) -> None:
    gate = asyncio.Semaphore(at_once)

    async def one(job: Any) -> None:
        async with gate:
            await job

    await asyncio.gather(beside, *(one(job) for job in jobs))


def look_at_checks(course: Course, module: Module) -> list[Finding]:
    """The check file by itself: readable, all five stages, a check and enough mutants for every exercise, no constant answer."""
    file = load(course.checks_source(module.id))
    mutants = authoring.mutants(course, module)
    problems = [f"stage {stage} has no check" for stage in Stages if stage not in {c.stage for c in file.checks}]
    for exercise in module.exercises:
        if not any(c.exercise == exercise.id for c in file.checks):
            problems.append(f"{exercise.id} has no check")
        count = sum(m.exercise == exercise.id for m in mutants)
        if count < MUTANTS_AN_EXERCISE:
            problems.append(f"{exercise.id} has {count} mutants, not {MUTANTS_AN_EXERCISE}")
    known = {e.id for e in module.exercises} | {""}
    problems += [f"{c.id} is of the unknown exercise {c.exercise}" for c in file.checks if c.exercise not in known]
    problems += [f"{c.id} wants the same answer whatever it is given" for c in file.checks if is_constant(c)]
    return [Finding(module=module.id, kind="checks", ok=not problems, message="; ".join(problems))]


def is_constant(check: Check) -> bool:
    """True if the wanted answer is the same for several draws of inputs, so that no answer would prove anything."""
    import numpy as np

    from tinytorch_core.kernel.compare import ATensor
    from tinytorch_core.kernel.plain import encode

    if check.wants is None:
        return False
    seen = set()
    for seed in range(SEEDS):
        wanted = check.wants(**check.inputs(np.random.default_rng(seed)))
        seen.add(json.dumps(encode(_plain(wanted, ATensor)), default=repr))
    return len(seen) == 1


def _plain(wanted: Any, tensor: type) -> Any:
    if isinstance(wanted, tensor):
        return wanted.values  # type: ignore[attr-defined]
    if isinstance(wanted, (list, tuple)):
        return [_plain(item, tensor) for item in wanted]
    if isinstance(wanted, dict):
        return {key: _plain(item, tensor) for key, item in wanted.items()}
    return wanted


async def _solution(course: Course, module: Module, grader: Grader) -> Finding:
    """The solution notebook, through the real grader: everything passes."""
    report = await grader.grade(_job(course, module, authoring.solution_notebook(course, module), "solution"))
    wrong = [c for s in report.stages for c in s.checks if c.outcome != "passed"]
    cell = report.cell_failure
    message = (
        ""
        if report.passed
        else "\n".join([report.message, *(f"{c.id}: {c.message}" for c in wrong), cell.traceback if cell else ""])
    )
    return Finding(module=module.id, kind="solution", ok=report.passed, message=message, seconds=report.seconds)


async def _untouched(course: Course, module: Module, grader: Grader) -> Finding:
    """The student's version as it is handed out: it fails, and every check says "not attempted", never "wrong"."""
    report = await grader.grade(_job(course, module, authoring.student_notebook(course, module), "untouched"))
    outcomes = [c for s in report.stages for c in s.checks]
    wrong = [c for c in outcomes if c.exercise and c.outcome != "not_attempted"]
    ok = report.verdict == "failed" and bool(outcomes) and not wrong
    message = (
        ""
        if ok
        else f"{report.verdict}: {report.message} " + "; ".join(f"{c.id} {c.outcome}: {c.message}" for c in wrong[:5])
    )
    return Finding(module=module.id, kind="untouched", ok=ok, message=message, seconds=report.seconds)


async def _historical(course: Course, historical: Historical, grader: Grader) -> Finding:
    """A historical notebook, run to its last assert on the solutions that come before it."""
    job = RunJob(
        attempt=f"check-{historical.id}",
        historical=historical.id,
        notebook=_bytes(authoring.historical_notebook(course, historical)),
        accepted=solved(course, course.modules[: course.module(historical.module).number]),
        limits=grader.limits,
    )
    report = await grader.run_historical(job)
    cell = report.cell_failure
    message = "" if report.passed else f"{report.message}\n{cell.traceback if cell else ''}"
    return Finding(
        module=historical.module,
        kind="historical",
        name=historical.id,
        ok=report.passed,
        message=message,
        seconds=report.seconds,
    )


def _job(course: Course, module: Module, notebook: NotebookNode, name: str) -> GradeJob:
    earlier = solved(course, course.before(module))
    return GradeJob(attempt=f"check-{module.id}-{name}", module=module.id, notebook=_bytes(notebook), earlier=earlier)


def _bytes(notebook: NotebookNode) -> bytes:
    return nbformat.writes(notebook).encode()  # type: ignore[no-untyped-call, no-any-return]


def solved(course: Course, modules: Sequence[Module]) -> tuple[Accepted, ...]:
    """The package as the authors' solutions make it."""
    return tuple(_solved(course, m, course.notebook_source(m.id).stat().st_mtime_ns) for m in modules)


@lru_cache(maxsize=64)
def _solved(course: Course, module: Module, changed: int) -> Accepted:
    return _accepted(module, export(authoring.solution_notebook(course, module), module))


def _accepted(module: Module, exported: Export) -> Accepted:
    return Accepted(module=module.id, source=exported.source, names=exported.names)


async def _check_mutants(course: Course, mutants: Sequence[tuple[Module, authoring.Mutant]], found: OnFinding) -> None:
    loop = asyncio.get_running_loop()
    observers = [Observer() for _ in range(max(1, (os.cpu_count() or 2) - 1))]
    free = queue.SimpleQueue[Observer]()
    for observer in observers:
        free.put(observer)

    def one(module: Module, mutant: authoring.Mutant) -> Finding:
        observer = free.get()
        try:
            return check_mutant(course, module, mutant, observer)
        finally:
            free.put(observer)

    try:
        with ThreadPoolExecutor(max_workers=len(observers)) as threads:
            for task in asyncio.as_completed([loop.run_in_executor(threads, one, *pair) for pair in mutants]):
                found(await task)
    finally:
        for observer in observers:
            observer.close()


def check_mutant(course: Course, module: Module, mutant: authoring.Mutant, observer: Observer) -> Finding:
    """A mutant dies if a check of its own exercise does not pass. "Not attempted" or an error of ours is no death.

    Only these checks are asked. If it survives them, they draw again, DRAWS_AGAIN times, and if it then dies each time, it slipped
    through once. Otherwise it survives, and the other checks are asked, too, to say who would have noticed.
    """
    start = time.perf_counter()
    exported = export(authoring.mutant_notebook(course, module, mutant.name), module)
    package = Package.of(solved(course, course.before(module)), _accepted(module, exported))
    whole = load(course.checks_source(module.id))
    own = replace(whole, checks=tuple(c for c in whole.checks if c.exercise == mutant.exercise))

    def results(file: CheckFile) -> list[CheckResult]:
        exchange = Exchange(file, package, Stages)
        observer.observe(exchange)
        return [c for stage in judge.judge(exchange, exported) for c in stage.checks]

    def killers() -> list[CheckResult]:
        return [c for c in results(own) if c.outcome in ("failed", "missing")]

    found = killers()
    slipped = not found and all(found := killers() for _ in range(DRAWS_AGAIN))
    return Finding(
        module=module.id, kind="mutant", name=mutant.name, exercise=mutant.exercise, ok=bool(found), slipped=slipped,
        message=found[0].title if found else _survived(mutant, results(whole)), seconds=time.perf_counter() - start,
    )  # fmt: skip


def _survived(mutant: authoring.Mutant, results: Sequence[CheckResult]) -> str:
    others = [c for c in results if c.outcome != "passed"]
    elsewhere = f" Other checks reject it: {', '.join(c.id for c in others)}." if others else ""
    errors = [c.message for c in others if c.outcome == "error"]
    return f"survives the checks of {mutant.exercise}. {mutant.mistake}{elsewhere} {' '.join(errors)}".strip()


class Observer:
    """A warm process that does for mutants what a check kernel does for a grading, a fork for each."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "tinytorch_core.kernel.observer"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **dict.fromkeys(THREADS, "1")},
        )  # fmt: skip

    def observe(self, exchange: Exchange) -> None:
        assert self._process.stdin is not None
        steps = [(step.function, step.payload, step.timed) for step in exchange.steps()]
        self._process.stdin.write(json.dumps({"steps": steps, "seconds": MUTANT_SECONDS}) + "\n")
        self._process.stdin.flush()
        while (message := json.loads(self._heard())) is not None:
            function, text, exchange.outside_seconds = message
            if function == "reference":
                exchange.reference_seconds = exchange.outside_seconds
            exchange.receive(function, text)

    def _heard(self) -> str:
        """The next line. GraderError where there is none: a mutant that nobody observed is not dead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise GraderError(f"The process that observes mutants ended with code {self._process.wait()}.")
        return line

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it ended first
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

"""Send challenges into the check kernel and collect answers.

Inputs are drawn here, from a secret seed, and go in with the observing bodies only. `given`, `wants` and `judged`, and every
name that only they use, are cut out of what is sent, so that no wanted value is ever inside the kernel.
"""

from __future__ import annotations

import ast
import secrets
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tinytorch_core.errors import GraderError
from tinytorch_core.export import package_init
from tinytorch_core.grader.execute import run_source
from tinytorch_core.grader.job import Accepted, Limits
from tinytorch_core.grader.kernels import Kernel
from tinytorch_core.kernel.checking import Check, collect, execute_checks, problems
from tinytorch_core.kernel.plain import encode, foreign
from tinytorch_core.kernel.verdicts import Outcome, outcome_of
from tinytorch_core.report import CellFailure

OUTSIDE = {"given", "wants", "judged"}
REPEAT = 3
"""How often a performance check and its reference are timed; the best counts."""
TIMING_TRIES = 3
"""How often checks are taken whose time is not believed, or too long: something else may have run on the machine just then."""
CLOCK_SLACK = 0.15
"""Seconds that a cell of timed checks may take beyond what the kernel's own clock says, before that clock is not believed."""


@dataclass(frozen=True)
class CheckFile:
    """A module's checks: whole for the judge, and cut down to what observes for the kernel."""

    name: str
    checks: tuple[Check, ...]
    inside: str
    support: str


def load(path: Path) -> CheckFile:
    """Read a check file. GraderError, naming file and line, if its author has to mend it."""
    support = path.parent / "support.py"
    try:
        return _load(path, path.stat().st_mtime_ns, support.stat().st_mtime_ns if support.is_file() else 0)
    except OSError as error:
        raise GraderError(f"The checks {path.name} can't be read ({error}). Reinstall tinytorch_core.") from error


@lru_cache(maxsize=64)
def _load(path: Path, changed: int, support_changed: int) -> CheckFile:
    source = path.read_text(encoding="utf-8")
    support = (path.parent / "support.py").read_text(encoding="utf-8") if support_changed else ""
    name = f"checks/{path.name}"
    try:
        checks = collect(execute_checks(source, support, name))
    except Exception as error:  # an author's file can fail in any way
        raise GraderError(f"{path.name} can't be run ({type(error).__name__}: {error}{_line(error)}).") from error
    wrong = problems(checks)
    if wrong:
        raise GraderError(f"{path.name}: " + "; ".join(wrong))
    inside = observing_part(source)
    return CheckFile(name, tuple(checks), inside, observing_part(support, keep=_imported_from_support(inside)))


def _line(error: BaseException) -> str:
    """Where in the checks an error was raised; a SyntaxError says so by itself."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith("checks/")]
    return f", {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""


def observing_part(source: str, keep: Iterable[str] | None = None) -> str:
    """`source` without what decides: OUTSIDE decorators, and top-level names that nothing left over uses.

    Line numbers stay as they are. With `keep`, these names and what they use stay; without, the test functions.
    """
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = [d for d in node.decorator_list if _decorator_name(d) not in OUTSIDE]
    wanted = {n for n in _defined(tree.body) if n.startswith("test_")} if keep is None else set(keep)
    used = _reachable(tree.body, wanted)
    return _blank_out(source, tree, used)


def _decorator_name(node: ast.expr) -> str:
    function = node.func if isinstance(node, ast.Call) else node
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _names_of(node: ast.stmt) -> set[str]:
    """The top-level names that a statement defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _defined(body: Sequence[ast.stmt]) -> set[str]:
    return set().union(*(_names_of(node) for node in body)) if body else set()


def _reachable(body: Sequence[ast.stmt], wanted: set[str]) -> set[str]:
    """`wanted` and every top-level name that they use, directly or not."""
    found: set[str] = set()
    while wanted - found:
        found |= wanted
        for node in body:
            if _names_of(node) & found:
                wanted |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return found


def _blank_out(source: str, tree: ast.Module, used: set[str]) -> str:
    """The statements that define a used name, at their lines; everything else becomes empty lines."""
    lines = [""] * (source.count("\n") + 1)
    for node in tree.body:
        whole = isinstance(node, ast.ImportFrom) and (node.module == "__future__" or node.names[0].name == "*")
        if not whole and not _names_of(node) & used:
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not whole:
            node.names = [a for a in node.names if (a.asname or a.name).split(".")[0] in used]
            lines[node.lineno - 1] = ast.unparse(node)
            continue
        text = source.splitlines()
        for decorator in getattr(node, "decorator_list", []):
            _copy(text, lines, decorator.lineno, decorator.end_lineno)
        _copy(text, lines, node.lineno, node.end_lineno)
    return "\n".join(lines)


def _copy(text: list[str], lines: list[str], first: int, last: int | None) -> None:
    for number in range(first - 1, last or first):
        lines[number] = text[number]


def _imported_from_support(inside: str) -> set[str]:
    imports = [n for n in ast.parse(inside).body if isinstance(n, ast.ImportFrom) and n.module == "support"]
    return {alias.name for node in imports for alias in node.names}


@dataclass(frozen=True)
class Package:
    """The student's package as it is checked: sources by module name, and which module is under test."""

    name: str
    sources: dict[str, str]
    earlier_init: str

    @classmethod
    def of(cls, accepted: Sequence[Accepted], under_test: Accepted) -> Package:
        """`accepted` in course order, with `under_test` in it or after it."""
        whole = [a for a in accepted if a.module != under_test.module] + [under_test]
        whole.sort(key=lambda a: a.module)
        inits = [[(_name(a), a.names) for a in part] for part in (whole, [a for a in whole if a is not under_test])]
        sources = {"tinytorch": package_init(inits[0]), **{f"tinytorch.{_name(a)}": a.source for a in whole}}
        return cls(_name(under_test), sources, package_init(inits[1]))


def _name(accepted: Accepted) -> str:
    return accepted.module[3:]


@dataclass(eq=False)
class Challenge:
    """One check with the inputs of this run, and what has come back so far."""

    check: Check
    inputs: dict[str, Any]
    records: list[dict[str, Any]] = field(default_factory=list)
    reference: float = 0.0
    _outcome: tuple[dict[str, Any], Outcome] | None = None

    @property
    def outcome(self) -> Outcome:
        """The verdict on the first record, worked out once: while the kernel still runs, for the sidebar, and then for the Report."""
        record = self.records[0]
        if self._outcome is None or self._outcome[0] is not record:
            self._outcome = (record, outcome_of(self.check, self.inputs, record))
        return self._outcome[1]

    @property
    def timed(self) -> bool:
        return self.check.reference is not None

    @property
    def seconds(self) -> float:
        """How long the check took, by the kernel's own clock."""
        seconds = self.records[0].get("seconds") if self.records else None
        return float(seconds) if isinstance(seconds, (int, float)) and 0 <= seconds < 1e6 else 0.0

    @property
    def slow(self) -> bool:
        """True if it answered, and took longer than it may."""
        best = self.records[0].get("best") if self.records else None
        return type(best) is float and best > self.check.times * self.reference


def challenge(check: Check, rng: np.random.Generator) -> Challenge:
    """Fresh inputs for one check. GraderError if its author draws something that can't go into a kernel as it is."""
    inputs = check.inputs(rng)
    odd = foreign(encode(inputs))
    if odd:
        raise GraderError(
            f"The inputs of check {check.id} hold {odd}, which is not plain data. Draw numbers, text or arrays."
        )
    return Challenge(check, inputs)


@dataclass(frozen=True)
class Step:
    """One cell of the check kernel."""

    function: str
    payload: str
    timed: bool = False

    @property
    def source(self) -> str:
        return f"_tinytorch_harness.{self.function}(_tinytorch_harness.payload(){', timed=True' if self.timed else ''})"


class Answers(msgspec.Struct, forbid_unknown_fields=True):
    """One message from the kernel, as strictly as JSON can be read."""

    nonce: str
    answers: list[dict[str, Any]]


class Exchange:
    """The challenges of one module in one run, and the conversation about them with one kernel."""

    def __init__(self, file: CheckFile, package: Package, stages: Sequence[str], seed: int | None = None) -> None:
        self.file = file
        self.package = package
        self.nonce = secrets.token_hex(16)
        rng = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
        self.challenges = {c.id: challenge(c, rng) for c in file.checks if c.stage in stages}
        self.broken = ""
        """Why nothing in this run can be believed: a message that our own code would not have sent."""
        self.stopped: CellFailure | None = None
        self.outside_seconds = 0.0
        """How long the last step took, by our clock."""
        self.reference_seconds = 0.0
        """The same for the references, with no student code about: how busy the machine is."""
        self.timed_last = [c for c in self.challenges.values() if c.timed]
        """What the last step of timed checks has asked, or will."""

    def steps(self) -> list[Step]:
        """References first, before student code is in the kernel; then the checks; then the timed ones, by themselves."""
        plain = [c for c in self.challenges.values() if not c.timed]
        timed = self.timed_last
        steps = [Step("reference", self._payload(timed))] if timed else []
        steps += [Step("run", self._payload(plain))] if plain else []
        return steps + ([Step("run", self._payload(timed), timed=True)] if timed else [])

    async def run(self, kernel: Kernel, limits: Limits, on_answer: Callable[[Challenge], None]) -> None:
        """Have a kernel take every step. Ends early if the kernel stops or sends what cannot be believed."""
        for step in self.steps():
            await self._take(step, kernel, limits, on_answer)
            if self.stopped or self.broken:
                return
        for _ in range(TIMING_TRIES - 1):
            again = self._to_time_again()
            if not again or self.stopped or self.broken:
                return
            for challenge in again:
                challenge.records.clear()
            self.timed_last = again
            await self._take(Step("run", self._payload(again), timed=True), kernel, limits, lambda challenge: None)

    async def _take(self, step: Step, kernel: Kernel, limits: Limits, on_answer: Callable[[Challenge], None]) -> None:
        start = time.perf_counter()
        receive = partial(self.receive, step.function, on_answer=on_answer)
        self.stopped = await run_source(kernel, step.source, step.payload, limits, receive)
        self.outside_seconds = time.perf_counter() - start
        if step.function == "reference":
            self.reference_seconds = self.outside_seconds

    def _to_time_again(self) -> list[Challenge]:
        return self.timed_last if self.clocks_disagree() else [c for c in self.timed_last if c.slow]

    def clocks_disagree(self) -> bool:
        """True if the cell of timed checks took much longer out here than the kernel says: a busy machine, or a false clock.

        And if it took less time than the kernel says, which only a false clock can.
        """
        if not self.timed_last:
            return False
        claimed = sum(c.seconds for c in self.timed_last)
        return not claimed <= self.outside_seconds <= 1.5 * claimed + CLOCK_SLACK + 4 * self.reference_seconds

    def _payload(self, challenges: list[Challenge]) -> str:
        return msgspec.json.encode(
            {
                "nonce": self.nonce,
                "module": self.package.name,
                "package": self.package.sources,
                "earlier": self.package.earlier_init,
                "file": self.file.name,
                "source": self.file.inside,
                "support": self.file.support,
                "checks": [
                    {"id": c.check.id, "inputs": encode(c.inputs), "repeat": REPEAT} for c in challenges
                ],
            }
        ).decode()  # fmt: skip

    def receive(
        self, function: str, message: Any, on_answer: Callable[[Challenge], None] = lambda challenge: None
    ) -> None:
        """Take one message of answers; what is not exactly such a message breaks the run."""
        try:
            answers = msgspec.json.decode(message, type=Answers)
            if answers.nonce != self.nonce:
                raise ValueError("a wrong nonce")
            for record in answers.answers:
                challenge = self.challenges[record["id"]]
                if function == "reference":
                    challenge.reference = float(record["best"])
                else:
                    challenge.records.append(record)
                    on_answer(challenge)
        except (msgspec.MsgspecError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as problem:
            self.broken = f"the check kernel sent something unexpected ({str(problem)[:200]})"

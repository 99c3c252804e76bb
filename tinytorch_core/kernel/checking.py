"""What a check file is written with.

    @exercise("tensor-add")
    @given(lambda rng: {"matrix": rng.normal(size=(2, 3)), "row": rng.normal(size=3)})
    @wants(lambda matrix, row: matrix + row)
    def test_adding_broadcasts(tt, matrix, row):
        '''Adding a row to a matrix adds it to every row.

        NumPy broadcasts for you: add the two .data arrays.
        '''
        return tt.Tensor(matrix) + tt.Tensor(row)

The body only observes. `given` and what judges the answer run outside the kernel when grading, and in the notebook with `%check`.
"""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tinytorch_core.kernel.compare import ATensor, describe, difference
from tinytorch_core.kernel.package import NotThere
from tinytorch_core.kernel.plain import Other, encode, unwrap

STAGES = ("unit", "import", "compatibility", "integration", "performance")

WHOLE = 400
"""Answers that take more characters than this are not printed whole: the part that differs says more."""

Body = Callable[..., Any]
Decorator = Callable[[Body], Body]


@dataclass(frozen=True)
class Check:
    """One check as its decorators describe it."""

    id: str
    body: Body
    exercise: str
    stage: str
    title: str
    hint: str
    given: Callable[[np.random.Generator], dict[str, Any]] | None
    wants: Body | None
    judged: Body | None
    rtol: float
    atol: float
    reference: Body | None
    times: float

    def inputs(self, rng: np.random.Generator) -> dict[str, Any]:
        return self.given(rng) if self.given else {}

    def verdict(self, inputs: dict[str, Any], answer: Any) -> str | None:
        """None if `answer` (decoded) is right, else what is wrong with it. The check's own code may raise on a hostile answer."""
        if self.judged is not None:
            said = self.judged(unwrap(answer), **inputs)
            if said is None or isinstance(said, str):
                return said
            raise TypeError(f"{self.id}: a judge returns None or a sentence, not {said!r}")
        assert self.wants is not None
        wanted = self.wants(**inputs)
        said = difference(wanted, answer, self.rtol, self.atol)
        got, expected = describe(answer), describe(wanted)
        if said is None or max(len(got), len(expected)) > WHOLE:
            return said
        return f"got       {got}\nexpected  {expected}\n{said}"


def _marks(body: Body) -> dict[str, Any]:
    return body.__dict__.setdefault("check", {})  # type: ignore[no-any-return]


def _mark(**values: Any) -> Decorator:
    def decorate(body: Body) -> Body:
        _marks(body).update(values)
        return body

    return decorate


def exercise(exercise_id: str) -> Decorator:
    """The exercise that this check belongs to. Without it, a check belongs to the module as a whole."""
    return _mark(exercise=exercise_id)


def stage(name: str) -> Decorator:
    """One of unit (the default), import, compatibility, integration, performance."""
    if name not in STAGES:
        raise ValueError(f"unknown stage {name!r}; the stages are {', '.join(STAGES)}")
    return _mark(stage=name)


def given(inputs: Callable[[np.random.Generator], dict[str, Any]]) -> Decorator:
    """Fresh inputs for one run, drawn from a generator whose seed nobody knew before."""
    return _mark(given=inputs)


def wants(answer: Body, rtol: float = 1e-5, atol: float = 1e-6) -> Decorator:
    """The right answer for the inputs, worked out another way."""
    return _mark(wants=answer, rtol=rtol, atol=atol)


def judged(judge: Body) -> Decorator:
    """`judge(answer, **inputs)` gives None if the answer is right, else one sentence that says what is wrong."""
    return _mark(judged=judge)


def at_most(times: float, *, times_of: Body) -> Decorator:
    """The body may take at most `times` as long as `times_of(**inputs)`, timed in the same kernel before student code is loaded."""
    return _mark(times=times, reference=times_of)


def a_tensor(values: Any) -> ATensor:
    """A wanted array that has to come back as a Tensor."""
    return ATensor(np.asarray(values))


def raises(kind: type[BaseException] | tuple[type[BaseException], ...], call: Callable[[], Any]) -> bool:
    """True if `call()` raises `kind`; False if it returns or raises something else.

    A stub's NotImplementedError and a missing name pass through.
    """
    try:
        call()
    except (NotImplementedError, NotThere):
        raise
    except kind:
        return True
    except Exception:
        return False
    return False


def error_text(call: Callable[[], Any]) -> str:
    """The message of the error that `call()` raises, or "" if it returns. A stub's NotImplementedError and a missing name pass through."""
    try:
        call()
    except (NotImplementedError, NotThere):
        raise
    except Exception as error:
        return str(error)
    return ""


def collect(namespace: dict[str, Any]) -> list[Check]:
    """The checks of an executed check file, in the order of their stages, then of the file."""
    bodies = [value for name, value in namespace.items() if name.startswith("test_") and callable(value)]
    return sorted((_check(body) for body in bodies), key=lambda check: STAGES.index(check.stage))


def _check(body: Body) -> Check:
    marks = _marks(body)
    title, _, hint = inspect.cleandoc(body.__doc__ or body.__name__).partition("\n")
    return Check(
        id=body.__name__,
        body=body,
        exercise=marks.get("exercise", ""),
        stage=marks.get("stage", "unit"),
        title=title.strip(),
        hint=" ".join(hint.split()),
        given=marks.get("given"),
        wants=marks.get("wants"),
        judged=marks.get("judged"),
        rtol=marks.get("rtol", 1e-5),
        atol=marks.get("atol", 1e-6),
        reference=marks.get("reference"),
        times=marks.get("times", 0.0),
    )


def problems(checks: Iterable[Check]) -> list[str]:
    """What the author of these checks has to mend before any of them counts."""
    found = []
    for check in checks:
        if (check.wants is None) == (check.judged is None):
            found.append(f"{check.id}: give it either @wants or @judged")
        if check.given is None:
            found.append(f"{check.id}: without @given its answer is the same in every run")
        if not (check.body.__doc__ or "").strip():
            found.append(f"{check.id}: its docstring is what the student reads; write one")
        if check.stage == "performance" and check.reference is None and check.judged is None:
            found.append(f"{check.id}: a performance check needs @at_most or @judged")
    return found


def observe(check_body: Body, tt: Any, inputs: dict[str, Any]) -> Any:
    """The body's answer as encoded plain data."""
    return encode(check_body(tt, **inputs))


__all__ = [
    "STAGES", "Check", "Other", "a_tensor", "at_most", "collect", "error_text", "exercise", "given", "judged",
    "observe", "problems", "raises", "stage", "wants",
]  # fmt: skip


def execute_checks(source: str, support: str, filename: str) -> dict[str, Any]:
    """Execute a check file, with checks/support.py under the name `support`, and return its namespace."""
    if support:
        module = ModuleType("support")
        sys.modules["support"] = module
        exec(compile(support, "checks/support.py", "exec", dont_inherit=True), module.__dict__)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    namespace: dict[str, Any] = {"__name__": filename, "__file__": filename}
    exec(compile(source, filename, "exec", dont_inherit=True), namespace)
    return namespace

"""The check kernel's side of a grading: take inputs, run the bodies under pytest, send what came back. It decides nothing.

Every answer carries the run's nonce; who compares is the worker, outside (grader/judge.py).
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from IPython.core.getipython import get_ipython

from tinytorch_core.kernel import checking, plain
from tinytorch_core.kernel.package import import_package

FLUSH_AFTER = 0.05
"""Seconds. Fast checks share a message, because each costs the client about a millisecond; slow ones tick."""

PYTEST_ARGS = (
    "-c", os.devnull, "--rootdir", "/", "--noconftest", "-p", "no:cacheprovider", "-p", "no:terminal",
    "-p", "no:unraisableexception", "-p", "no:threadexception", "-p", "no:faulthandler", "-p", "no:junitxml",
    "-p", "no:logging", "-p", "no:capture", "-p", "no:doctest", "-p", "no:unittest", "-p", "no:stepwise",
    "-p", "no:setuponly", "-p", "no:setupplan", "-p", "no:debugging", "-p", "no:pastebin", "-p", "no:legacypath",
    "--assert=plain",
)  # fmt: skip


def publish(text: str) -> None:
    """Send answers on the kernel's own channel."""
    _shell().display_pub.publish({plain.MIME: text})


def payload() -> str:
    """What the running execute request carries beside its code."""
    return _shell().kernel.get_parent("shell")["content"]["tinytorch"]  # type: ignore[no-any-return]


def _shell() -> Any:
    return get_ipython()


class Sender:
    """Sends answers, a few at a time."""

    def __init__(self, nonce: str, send: Callable[[str], None] = publish) -> None:
        self.nonce = nonce
        self.send = send
        self.waiting: list[dict[str, Any]] = []
        self.since = time.monotonic()

    def add(self, answer: dict[str, Any]) -> None:
        self.waiting.append(answer)
        if time.monotonic() - self.since > FLUSH_AFTER:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.send(json.dumps({"nonce": self.nonce, "answers": self.waiting}, allow_nan=False))
        self.waiting, self.since = [], time.monotonic()


class CheckItem(pytest.Item):
    """One check, run as a pytest item: pytest's protocol around it, our observation inside."""

    observation: Callable[[], dict[str, Any]]
    sender: Sender

    def runtest(self) -> None:
        self.sender.add({"id": self.name, **self.observation()})


class Run:
    """A pytest plug-in that collects the given observations instead of files."""

    def __init__(self, sender: Sender, observations: dict[str, Callable[[], dict[str, Any]]]) -> None:
        self.sender = sender
        self.observations = observations

    def pytest_collection(self, session: pytest.Session) -> bool:
        for name, observation in self.observations.items():
            item = CheckItem.from_parent(session, name=name)
            item.observation, item.sender = observation, self.sender
            session.items.append(item)
        session.testscollected = len(session.items)
        return True


def run(payload: str, timed: bool = False, send: Callable[[str], None] = publish) -> None:
    """Import the package in `payload` and observe every check in it. Called once, in a check cell of its own."""
    job = json.loads(payload)
    sender = Sender(job["nonce"], send)
    namespace = _namespace(job)
    streams = sys.stdout, sys.stderr
    package, broken = _package(job)
    sys.stdout, sys.stderr = streams  # pytest needs them, whatever the module has put in their place
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = (
        "1"  # the module may have cleared it, and what else is installed is no business of ours
    )
    observations = {}
    for check in job["checks"]:
        body, inputs = namespace[check["id"]], plain.unwrap(plain.decode(check["inputs"]))
        observations[check["id"]] = _observation(body, package, inputs, broken, check["repeat"] if timed else 0)
    pytest.main(list(PYTEST_ARGS), plugins=[Run(sender, observations)])
    sender.flush()


def _observation(
    body: checking.Body, package: Any, inputs: dict[str, Any], broken: BaseException | None, repeat: int
) -> Callable[[], dict[str, Any]]:
    def observe() -> dict[str, Any]:
        start = time.perf_counter()
        try:
            answer = checking.observe(body, package, inputs)
            times = [timed(partial(body, package, **inputs)) for _ in range(repeat)]
            return {"answer": answer, "seconds": time.perf_counter() - start, "best": min(times, default=0.0)}
        except (Exception, SystemExit) as error:
            told = broken if broken is not None and isinstance(error, (AttributeError, NameError)) else error
            return {"error": describe_error(told), "seconds": time.perf_counter() - start}

    return observe


def reference(payload: str, send: Callable[[str], None] = publish) -> None:
    """Time the references of performance checks. Runs before any student code is in this kernel."""
    job = json.loads(payload)
    sender = Sender(job["nonce"], send)
    namespace = _namespace(job)
    for check in job["checks"]:
        function = checking._marks(namespace[check["id"]])["reference"]
        inputs = plain.unwrap(plain.decode(check["inputs"]))
        function(**inputs)
        sender.add({"id": check["id"], "best": min(timed(partial(function, **inputs)) for _ in range(check["repeat"]))})
    sender.flush()


def timed(call: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def describe_error(error: BaseException) -> dict[str, Any]:
    """What the worker needs to tell the student about an exception. Text only, and bounded."""
    frames = [
        {
            "file": frame.filename[-200:],
            "line": frame.lineno or 0,
            "name": frame.name[:100],
            "code": (frame.line or "")[:200],
        }
        for frame in traceback.extract_tb(error.__traceback__)
        if "tinytorch_core" not in frame.filename
    ]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append(
            {"file": error.filename[-200:], "line": error.lineno or 0, "name": "", "code": (error.text or "")[:200]}
        )
    stub = type(error) is NotImplementedError and len(error.args) == 1 and type(error.args[0]) is str
    return {
        "type": type(error).__name__[:100],
        "message": _text(error)[:2000],
        "frames": frames[-8:],
        "stub": error.args[0][:100] if stub else "",
    }


def _text(error: BaseException) -> str:
    try:
        return str(error.msg if isinstance(error, SyntaxError) else error)  # its line is told by its frame
    except Exception as second:
        return f"(its message could not be read: {type(second).__name__})"


_imported: dict[str, Any] = {}


def _package(job: dict[str, Any]) -> tuple[Any, BaseException | None]:
    if "package" not in _imported:
        _imported["package"] = import_package(job["package"], job["module"], job["earlier"])
    return _imported["package"]  # type: ignore[no-any-return]


def _namespace(job: dict[str, Any]) -> dict[str, Any]:
    """The check file's bodies, compiled once per kernel and before student code."""
    if job["file"] not in _imported:
        _imported[job["file"]] = checking.execute_checks(job["source"], job["support"], job["file"])
    return _imported[job["file"]]  # type: ignore[no-any-return]


def prime() -> None:
    """Go once through everything a grading needs, so that the first real one finds it warm."""
    import gc

    @checking.stage("unit")
    def test_prime(tt: Any) -> int:
        return 1

    np.random.default_rng().normal(size=2)
    observation = _observation(test_prime, None, {}, None, 0)
    pytest.main(list(PYTEST_ARGS), plugins=[Run(Sender("prime"), {"test_prime": observation})])
    gc.collect()
    gc.freeze()

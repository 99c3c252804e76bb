"""A Jupyter server with the extension, the tiny course, and a grader that the test controls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pytest_jupyter.jupyter_server import *  # noqa: F403
from tornado.httpclient import HTTPClientError, HTTPResponse

from tinytorch_core import catalogue, studying
from tinytorch_core.catalogue import Course
from tinytorch_core.grader.job import GradeJob, Limits
from tinytorch_core.report import CheckResult, Progress, Report, Stage
from tinytorch_core.server.app import TinyTorchApp
from tinytorch_core.server.services import Services
from tinytorch_core.studying import Study

TINY = Path(__file__).parents[1] / "tiny"


class FakeGrader:
    """Answers at once, or when the test says so: `hold()` keeps every grading waiting until `let_go()`."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.isolation = "fake"
        self.verdict = "passed"
        self.jobs: list[GradeJob] = []
        self.running = asyncio.Event()
        self.closed = False
        self._go = asyncio.Event()
        self._go.set()
        self._cancelled: dict[str, asyncio.Event] = {}

    def hold(self) -> None:
        self._go.clear()

    def let_go(self) -> None:
        self._go.set()

    async def start(self) -> None: ...

    async def warm(self) -> None: ...

    async def grade(self, job: GradeJob, on_event: Callable[[Progress], None]) -> Report:
        self.jobs.append(job)
        cancelled = self._cancelled[job.attempt] = asyncio.Event()
        ids: dict[str, Any] = {"attempt": job.attempt, "module": job.module}
        on_event(Progress(**ids, seq=0, kind="cell", index=0, total=2, outcome="passed"))
        on_event(
            Progress(
                **ids,
                seq=1,
                kind="check",
                stage="unit",
                check="one",
                exercise="count-items",
                title="One.",
                outcome="passed",
                index=1,
                total=1,
            )
        )
        self.running.set()
        waits = [asyncio.ensure_future(self._go.wait()), asyncio.ensure_future(cancelled.wait())]
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        self.running.clear()
        verdict: Any = "cancelled" if cancelled.is_set() else self.verdict
        outcome: Any = "passed" if verdict == "passed" else "failed"
        stages = (Stage(name="unit", checks=(CheckResult(id="one", exercise="", title="One.", outcome=outcome),)),)
        return Report(
            **ids, state="done", verdict=verdict, stages=stages, notebook_sha256=sha256(job.notebook).hexdigest()
        )

    async def cancel(self, attempt: str) -> None:
        if attempt in self._cancelled:
            self._cancelled[attempt].set()

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="session")
def course() -> Course:
    return catalogue.load(TINY / "course.toml", TINY)


@pytest.fixture  # type: ignore[no-redef]
def jp_server_config() -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"tinytorch_core": True}, "allow_unauthenticated_access": False},
    }


@pytest.fixture
def grader(course: Course, monkeypatch: pytest.MonkeyPatch) -> FakeGrader:
    """Put in the place of the real one before the server starts."""
    fake = FakeGrader()
    monkeypatch.setattr(TinyTorchApp, "course_factory", staticmethod(lambda: course))
    monkeypatch.setattr(TinyTorchApp, "make_grader", lambda app: fake)
    return fake


@pytest.fixture
def services(grader: FakeGrader, jp_serverapp: Any, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Any:
    services = jp_serverapp.web_app.settings["tinytorch_services"]
    yield services
    jp_asyncio_loop.run_until_complete(services.close())


@pytest.fixture
def study(course: Course, jp_root_dir: Path) -> Study:
    """A workspace in the server's root folder, made before the server looks for one."""
    return studying.create(jp_root_dir, course)


Call = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture
def api(services: Services, jp_fetch: Any) -> Call:
    """`await api("POST", "modules/01_counting/open", {…})`: the response, also where it is an error."""

    async def call(method: str, path: str, body: Any = None, **options: Any) -> HTTPResponse:
        if method == "POST" and body is None:
            body = {}
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        try:
            response: HTTPResponse = await jp_fetch("tinytorch/api/" + path, method=method, body=data, **options)
        except HTTPClientError as error:
            if error.response is None:
                raise
            return error.response
        return response

    return call


def value(response: HTTPResponse) -> Any:
    return json.loads(response.body)


async def until_done(api: Call, attempt: str) -> Any:
    """The attempt's Report once it is done. Each look hands the loop on, so the grading goes on meanwhile."""
    while (report := value(await api("GET", f"attempts/{attempt}")))["state"] != "done":
        await asyncio.sleep(0.01)
    return report

"""A real server with its real worker and kernels, killed at random moments and flooded with requests."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tinytorch_core import catalogue, studying
from tinytorch_core.grader.processes import is_running
from tinytorch_core.server import handlers
from tinytorch_core.studying import Study

pytestmark = [pytest.mark.kernels, pytest.mark.faults, pytest.mark.skipif(sys.platform == "win32", reason="kill -9")]

TINY = Path(__file__).parents[1] / "tiny"
CONFIG = f"""
from pathlib import Path
from tinytorch_core.catalogue import load
from tinytorch_core.server.app import TinyTorchApp

TinyTorchApp.course_factory = staticmethod(lambda: load(Path({str(TINY)!r}) / "course.toml", Path({str(TINY)!r})))
c.ServerApp.allow_root = True
"""
COMPLETE = "modules/01_counting/complete"
MOMENTS = int(os.environ.get("TINYTORCH_MOMENTS", "8"))
"""How often a server is killed, and a worker. The release was tried with 300 of each."""


class Server:
    """A Jupyter server in a process of its own, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"token {self.token}"
        config = folder.parent / "config.py"
        config.write_text(CONFIG)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = (folder.parent / "log").open("ab")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter_server", f"--config={config}", f"--port={self.port}", "--no-browser"),
                *("--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={folder}", "--ServerApp.port_retries=0"),
                f"--IdentityProvider.token={self.token}",
            ],
            stdout=self.log, stderr=self.log,
        )  # fmt: skip
        self.family: set[psutil.Process] = set()
        self._until(self._answers)

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        address = f"http://127.0.0.1:{self.port}/tinytorch/api/{path}"
        body = {"json": {}} if method == "POST" else {}
        return self.session.request(method, address, timeout=120, **{**body, **options})

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder.parent / "log").read_text()[-3000:]
        try:
            return self.ask("GET", "health").ok
        except requests.ConnectionError:
            return False

    def _until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not done():
            assert time.monotonic() < end
            time.sleep(0.02)

    def wait_until_warm(self) -> None:
        self._until(lambda: bool(self.ask("GET", "health").json()["warm"]))

    def started(self) -> set[psutil.Process]:
        """Everything below it that runs now."""
        return {p for p in psutil.Process(self.process.pid).children(recursive=True) if is_running(p)}

    def worker(self) -> psutil.Process:
        (guard,) = psutil.Process(self.process.pid).children()
        (worker,) = guard.children()
        return worker

    def complete(self, module: str = "01_counting") -> dict[str, Any]:
        """Click, and wait for the Report."""
        return self.report(self.ask("POST", f"modules/{module}/complete").json()["attempt"])

    def report(self, attempt: str) -> dict[str, Any]:
        """The Report of an attempt, once it is there."""
        report: dict[str, Any] = {}

        def done() -> bool:
            report.update(self.ask("GET", f"attempts/{attempt}").json())
            return bool(report["state"] == "done")

        self._until(done)
        return report

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self) -> None:
        self.session.close()
        self.log.close()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        self.close()


@pytest.fixture
def study(tmp_path: Path) -> Study:
    course = catalogue.load(TINY / "course.toml", TINY)
    made = studying.create(tmp_path / "work", course)
    studying.place_solution(made, course.module("01_counting"))
    return made


@pytest.fixture
def server(study: Study) -> Iterator[Server]:
    running = Server(study.workspace.root)
    yield running
    running.stop()


def all_gone(processes: set[psutil.Process]) -> bool:
    """Whether they end by themselves; five seconds is what DESIGN promises."""
    end = time.monotonic() + 5
    while any(map(is_running, processes)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(is_running, processes))


def test_a_server_killed_at_any_moment_loses_nothing_and_leaves_nothing(study: Study) -> None:
    draw = random.Random()
    for moment in range(MOMENTS):
        server = Server(study.workspace.root)
        if draw.random() < 0.7:
            server.wait_until_warm()
        before = set(study.store.completed())
        attempt = server.ask("POST", "modules/01_counting/complete").json()["attempt"]
        time.sleep(draw.uniform(0, 1.2))
        known = server.ask("GET", f"attempts/{attempt}").json()
        family = server.started()
        server.kill()
        assert all_gone(family), f"{moment}: {[p for p in family if is_running(p)]}"
        studying.repair(study)  # as the next start does
        study.store.check()
        after = set(study.store.completed())
        assert before <= after
        assert not known.get("recorded") or "01_counting" in after, f"{moment}: an acknowledged completion is lost"
        recorded = study.store.attempt(attempt)
        assert recorded is None or recorded.state == "done"
        assert (study.workspace.root / "notebooks" / "02_adding.ipynb").exists() == ("01_counting" in after)
    server = Server(study.workspace.root)
    assert server.complete()["recorded"]
    server.stop()


def test_a_worker_killed_at_any_moment_is_an_interruption_at_worst_and_the_next_grading_works(server: Server) -> None:
    draw = random.Random()
    for moment in range(MOMENTS):
        server.wait_until_warm()
        family = server.started()
        worker = server.worker()
        attempt = server.ask("POST", "modules/01_counting/complete").json()["attempt"]
        time.sleep(draw.uniform(0, 0.4))
        worker.kill()
        report = server.report(attempt)
        assert report["verdict"] in ("interrupted", "passed"), (moment, report["message"])
        assert report["verdict"] == "passed" or "run it again" in report["message"]
        assert all_gone(family - _guards(server)), moment
        assert report["verdict"] == "interrupted" or server.complete()["verdict"] == "passed"  # a click starts another
    server.wait_until_warm()
    assert server.complete()["verdict"] == "passed"


def test_a_worker_killed_in_the_middle_is_an_interruption_that_says_so(server: Server, study: Study) -> None:
    notebook = study.workspace.notebook(study.course.module("01_counting"))
    raw = json.loads(notebook.read_bytes())
    slow = {"cell_type": "code", "id": "slow", "metadata": {}, "outputs": [], "execution_count": None}
    raw["cells"].append({**slow, "source": "import time; time.sleep(600)"})
    solved = notebook.read_bytes()
    notebook.write_text(json.dumps(raw))
    server.wait_until_warm()
    attempt = server.ask("POST", COMPLETE).json()["attempt"]
    server._until(lambda: bool(server.ask("GET", f"attempts/{attempt}").json()["stages"]))  # its checks are answered
    server.worker().kill()
    report = server.report(attempt)
    assert (report["verdict"], report["recorded"]) == ("interrupted", False)
    assert "Nothing of yours is lost; run it again." in report["message"]
    notebook.write_bytes(solved)
    assert server.complete()["verdict"] == "passed"


def _guards(server: Server) -> set[psutil.Process]:
    return set(psutil.Process(server.process.pid).children())


FLOOD: dict[str, tuple[str, str, dict[str, Any], set[int]]] = {
    "a look": ("GET", "course", {}, {200}),
    "health": ("GET", "health", {}, {200}),
    "attempts": ("GET", "modules/01_counting/attempts", {}, {200}),
    "no attempt": ("GET", "attempts/none", {}, {404}),
    "open": ("POST", "modules/01_counting/open", {}, {200}),
    "complete": ("POST", COMPLETE, {}, {202, 429}),
    "check": ("POST", COMPLETE, {"json": {"check_only": True}}, {202, 429}),
    "one that is locked, perhaps": ("POST", "modules/02_adding/complete", {}, {202, 409, 429}),
}
"""Method, path, options, and how it may be answered."""


def test_two_hundred_requests_at_once_are_all_answered(server: Server, study: Study) -> None:
    server.wait_until_warm()
    names = [list(FLOOD)[n % len(FLOOD)] for n in range(200)]

    def ask(name: str) -> requests.Response:
        method, path, options, _ = FLOOD[name]
        return server.ask(method, path, **options)

    with ThreadPoolExecutor(200) as pool:
        answers = list(zip(names, pool.map(ask, names), strict=True))
    odd = Counter((name, answer.status_code) for name, answer in answers if answer.status_code not in FLOOD[name][3])
    assert not odd
    attempts = {answer.json()["attempt"] for _, answer in answers if answer.status_code == 202}
    assert len(attempts) < 20, "two clicks on one button were two gradings"
    for attempt in attempts:
        assert server.report(attempt)["state"] == "done"
    assert server.complete()["verdict"] == "passed"
    assert study.store.attempts("01_counting", 50)[0].verdict == "passed"


JUPYTERS_OWN = ("missing_required_header", "unsupported_method")
"""Checks of what Jupyter answers in our place: 403 to strangers, and 405 without a list to TRACE."""
ON_PURPOSE = ("use_after_free",)
"""A cancelled attempt can still be read: it says that it was cancelled."""


def test_whatever_is_asked_is_answered_as_described(server: Server) -> None:
    """Schemathesis makes hundreds of requests of openapi.yaml, fitting and not, and holds the answers to it."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", str(Path(handlers.__file__).parent / "openapi.yaml"),
        "--url", f"http://127.0.0.1:{server.port}/tinytorch/api", "--header", f"Authorization: token {server.token}",
        "--exclude-checks", ",".join((*JUPYTERS_OWN, *ON_PURPOSE)), "--max-examples", "50", "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=server.folder.parent)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 13" in done.stdout

"""A real Jupyter server with the extension, on a workspace of its own, used over HTTP and websocket as the browser does."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import websocket

from tinytorch_core import authoring
from tinytorch_core.catalogue import Course, Module

PROGRESS = "https://events.tinytorch.org/progress/v1"
CONFIG = """
from pathlib import Path
from tinytorch_core.catalogue import load
from tinytorch_core.server.app import TinyTorchApp

TinyTorchApp.course_factory = staticmethod(lambda: load(Path({toml!r}), Path({root!r})))
c.ServerApp.allow_root = True
"""


@dataclass(frozen=True)
class Timing:
    """Seconds from the POST until the first event and until the verdict."""

    first_event: float
    seconds: float


class RunningServer:
    def __init__(self, course: Course, folder: Path) -> None:
        self.course = course
        self.folder = folder / "workspace"
        self.folder.mkdir()
        self.token = secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = folder / "config.py"
        config.write_text(CONFIG.format(toml=str(course.toml), root=str(course.root)), encoding="utf-8")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter_server", f"--config={config}", f"--port={self.port}", "--no-browser"),
                *("--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={self.folder}", "--ServerApp.port_retries=0"),
                f"--IdentityProvider.token={self.token}",
            ],
            stdout=subprocess.DEVNULL, stderr=(folder / "server.log").open("wb"), env=dict(os.environ),
        )  # fmt: skip
        self.log = folder / "server.log"
        self.events: websocket.WebSocket

    def __enter__(self) -> RunningServer:
        self._wait(lambda: self._ask("GET", "health"), "the server did not answer")
        self._ask("POST", "workspace")
        url = f"ws://127.0.0.1:{self.port}/api/events/subscribe?token={self.token}"
        self.events = websocket.create_connection(url, timeout=120)
        return self

    def __exit__(self, *exception: object) -> None:
        self.events.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)

    def solve_up_to(self, module: Module) -> None:
        """Complete the modules before `module` and put its solved notebook in place."""
        for earlier in (*self.course.before(module), module):
            path = self.folder / earlier.notebook
            path.parent.mkdir(exist_ok=True)
            path.write_text(nbformat.writes(authoring.solution_notebook(self.course, earlier)), encoding="utf-8")
            if earlier.id != module.id:
                self.verdict(earlier)

    def idle(self, measure: Callable[[], float]) -> float:
        """`measure()` while the server rests: its pool is full, nothing starts in the background."""
        self._wait(lambda: self._ask("GET", "health")["warm"], "the kernels did not get warm")
        return measure()

    def verdict(self, module: Module) -> Timing:
        """Click "Complete module" on warm kernels. RuntimeError if it is not a pass."""
        self._wait(lambda: self._ask("GET", "health")["warm"], "the kernels did not get warm")
        start = time.perf_counter()
        attempt = self._ask("POST", f"modules/{module.id}/complete")["attempt"]
        first = 0.0
        while True:
            event = json.loads(self.events.recv())
            if event.get("schema_id") != PROGRESS or event.get("attempt") != attempt:
                continue
            first = first or time.perf_counter() - start
            if event["kind"] == "verdict":
                break
        seconds = time.perf_counter() - start
        if event["verdict"] != "passed":
            raise RuntimeError(json.dumps(self._ask("GET", f"attempts/{attempt}"), indent=1)[:4000])
        return Timing(first, seconds)

    def seconds_of_a_look(self) -> float:
        """At the course, as the sidebar does."""
        start = time.perf_counter()
        self._ask("GET", "course")
        return time.perf_counter() - start

    def flood(self, module: Module, count: int = 200) -> list[float]:
        """Seconds that each look at the course takes when `count` requests come at once, every other one a click on "Complete module"."""

        def one(number: int) -> float | None:
            start = time.perf_counter()
            try:
                self._ask(*(("POST", f"modules/{module.id}/complete") if number % 2 else ("GET", "course")))
            except urllib.error.HTTPError as error:
                if error.code != 429:
                    raise
            return None if number % 2 else time.perf_counter() - start

        with ThreadPoolExecutor(count) as pool:
            return [seconds for seconds in pool.map(one, range(count)) if seconds is not None]

    def _ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/tinytorch/api/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            data=b"{}" if method == "POST" else None,
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def _wait(self, ready: Any, otherwise: str) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if ready():
                    return
            except (urllib.error.URLError, ConnectionError):
                if self.process.poll() is not None:
                    break
            time.sleep(0.05)
        raise RuntimeError(f"{otherwise}; its log ends:\n{self.log.read_text()[-3000:]}")

"""Warm kernels and a worker for tests: fixtures that conftest.py hands on."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import nbformat
import psutil
import pytest

from tinytorch_core import catalogue
from tinytorch_core.catalogue import Course
from tinytorch_core.grader import isolation
from tinytorch_core.grader.client import Grader
from tinytorch_core.grader.environment import build_matplotlib_cache
from tinytorch_core.grader.execute import run_notebook
from tinytorch_core.grader.job import MIB, Limits
from tinytorch_core.grader.kernels import Kernel, Pool
from tinytorch_core.grader.processes import adopt_orphans, sweep
from tinytorch_core.report import CellFailure

TINY = Path(__file__).parent / "tiny"
LIMITS = Limits(cell_seconds=60, run_seconds=120, memory_bytes=1536 * MIB, output_bytes=4 * MIB)
"""Long for time, because the machine may be busy; short for what can be counted."""

T = TypeVar("T")


class Background:
    """An event loop in a thread of its own, so that heartbeats go on while a test looks at something else."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="background")
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float = 240) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class OwnPool(Pool):
    """A pool in the test's process: what that process had started before is none of the pool's business."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        adopt_orphans()  # as a worker does
        super().__init__(*args, **kwargs)
        self.bystanders = {process.pid for process in psutil.Process().children()}

    async def kill(self, *kernels: Kernel) -> None:
        async with self._spawning:
            for kernel in kernels:
                self._keepers.pop(kernel.pid, None)
            await asyncio.to_thread(sweep, {*self.keepers, *self.bystanders})
            for kernel in kernels:
                kernel.ended = True


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    background = Background()
    yield background
    background.stop()


@pytest.fixture(scope="module")
def pool(background: Background) -> Iterator[Pool]:
    build_matplotlib_cache()
    pool = OwnPool(LIMITS, isolation.best(), size=1)
    yield pool
    background.run(pool.close())


@pytest.fixture(scope="session")
def calm_course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The tiny course without its checks of speed, which a busy machine can't always judge."""
    root = tmp_path_factory.mktemp("calm") / "course"
    shutil.copytree(TINY, root, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (root / "checks").glob("test_*.py"):
        calm, timed = path.read_text(encoding="utf-8").split('\n\n@stage("performance")')
        assert "def test_" in timed
        path.write_text(calm, encoding="utf-8")
    return catalogue.load(root / "course.toml", root)


@pytest.fixture(scope="module")
def grader(background: Background, calm_course: Course) -> Iterator[Grader]:
    """A worker of its own for each file, on a course in which nothing is timed."""
    grader = Grader(calm_course, LIMITS)
    yield grader
    background.run(grader.close())


def notebook_of(*sources: str) -> nbformat.NotebookNode:
    """A notebook whose code cells have these sources."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


async def run_cells(kernel: Kernel, *sources: str, limits: Limits = LIMITS) -> tuple[list[str], CellFailure | None]:
    """What each cell printed, and the failure that ended the run."""
    notebook = notebook_of(*sources)
    failure = await run_notebook(kernel, notebook, limits, lambda index, outcome: None)
    printed = ["".join(o.get("text", "") for o in cell.outputs if o.output_type == "stream") for cell in notebook.cells]
    return printed, failure

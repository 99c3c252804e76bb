"""The extension: its settings reach the grader, it starts and stops with the server, and it is quick to load."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tinytorch_core import catalogue, studying
from tinytorch_core.catalogue import Course
from tinytorch_core.server.app import TinyTorchApp
from tinytorch_core.server.services import Services
from tinytorch_core.studying import Study
from tinytorch_core.tests.server.conftest import TINY, Call, FakeGrader, value


def test_settings_reach_the_grader(monkeypatch: pytest.MonkeyPatch) -> None:
    course = catalogue.load(TINY / "course.toml", TINY)
    monkeypatch.setattr(TinyTorchApp, "course_factory", staticmethod(lambda: course))
    app = TinyTorchApp(cell_timeout=5, run_timeout=50, memory_limit=2**30, output_limit=2**21)
    limits = app.make_grader().limits
    assert (limits.cell_seconds, limits.run_seconds) == (5, 50)
    assert (limits.memory_bytes, limits.output_bytes) == (2**30, 2**21)


def test_loading_the_extension_leaves_the_heavy_libraries_alone() -> None:
    """Jupyter loads this at every start; numpy, jupytext and ipywidgets are for later, or for other processes."""
    source = (
        "import sys, jupyter_server.serverapp\nimport tinytorch_core.server.app, tinytorch_core.server.handlers\n"
        "print([m for m in ('numpy', 'jupytext', 'ipywidgets', 'nbclient', 'pytest', 'nbdime', 'matplotlib', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_no_signal_handler_of_ours_in_the_server(api: Call, study: Study) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
    await api("POST", "modules/01_counting/complete")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)] == before


async def test_a_server_that_grades_is_not_idle(api: Call, study: Study, jp_serverapp: Any, grader: FakeGrader) -> None:
    assert not jp_serverapp.extension_manager.any_activity()
    grader.hold()
    await api("POST", "modules/01_counting/complete")
    assert jp_serverapp.extension_manager.any_activity()
    grader.let_go()


async def test_stopping_the_server_stops_the_grader(
    api: Call, study: Study, jp_serverapp: Any, grader: FakeGrader
) -> None:
    await api("POST", "modules/01_counting/complete")
    await jp_serverapp.extension_manager.stop_all_extensions()
    assert grader.closed


async def test_the_start_repairs_what_a_crash_left_behind(study: Study, services: Services) -> None:
    from tinytorch_core.report import Report

    study.store.start(Report(attempt="lost", module="01_counting", state="running"), _dead_process())
    (study.workspace.root / "notebooks/01_counting.ipynb").unlink()
    await services.begin()
    assert study.store.attempt("lost").verdict == "interrupted"  # type: ignore[union-attr]
    assert (study.workspace.root / "notebooks/01_counting.ipynb").is_file()


def _dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


class TestFolder:
    """Which workspace a server serves."""

    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any]) -> dict[str, Any]:
        return {**jp_server_config, "TinyTorchApp": {"workspace_dir": "courses/mine"}}

    async def test_a_folder_below_the_root_is_part_of_every_path(self, api: Call, jp_root_dir: Path) -> None:
        made = value(await api("POST", "workspace"))
        assert made == {"path": "courses/mine", "workspace": str(jp_root_dir / "courses/mine")}
        opened = value(await api("POST", "modules/01_counting/open"))
        assert opened["path"] == "courses/mine/notebooks/01_counting.ipynb"
        course = value(await api("GET", "course"))
        assert course["modules"][0]["notebook"] == opened["path"]


class TestOutside:
    @pytest.fixture
    def jp_server_config(self, jp_server_config: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
        return {**jp_server_config, "TinyTorchApp": {"workspace_dir": str(tmp_path / "elsewhere")}}

    async def test_a_folder_outside_the_root_is_refused(self, api: Call) -> None:
        refused = await api("POST", "workspace")
        assert refused.code == 409
        assert "workspace_dir" in value(refused)["message"]


class TestAbove:
    @pytest.fixture
    def jp_root_dir(self, tmp_path: Path, course: Course) -> Path:
        studying.create(tmp_path / "course", course)
        return tmp_path / "course" / "notebooks"

    async def test_a_server_inside_the_workspace_shows_what_lies_below_it(self, api: Call) -> None:
        assert value(await api("POST", "modules/01_counting/open"))["path"] == "01_counting.ipynb"
        assert value(await api("GET", "course"))["workspace"].endswith("course")

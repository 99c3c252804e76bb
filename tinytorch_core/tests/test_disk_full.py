"""A disk that is really full, at every size of what is left: nothing is recorded that was not kept, nothing is lost, and room mends it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from tinytorch_core.grader import isolation
from tinytorch_core.tests.conftest import TINY

pytestmark = pytest.mark.skipif(
    isolation.best() != "namespace", reason="a small disk is made in a namespace of its own"
)

DRIVER = """
    import asyncio, contextlib, json, os, shutil, sys
    from pathlib import Path
    from tinytorch_core import authoring, catalogue, studying
    from tinytorch_core.completion import complete
    from tinytorch_core.errors import TinyTorchError
    from tinytorch_core.kernel import namespace
    from tinytorch_core.tests.test_completion import Verdicts

    disk, course = Path(sys.argv[1]), catalogue.load(Path(sys.argv[2]) / "course.toml", Path(sys.argv[2]))
    namespace.leave()
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    namespace._mount("tmpfs", str(disk), "tmpfs", 0, b"size=400k")
    filler = disk / "filler"

    def leave(room):
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        os.truncate(filler, max(0, filler.stat().st_size - room))

    def tried(act):
        try:
            report = act()
        except TinyTorchError as error:
            return {"error": error.message}
        return {"recorded": getattr(report, "recorded", None), "message": getattr(report, "message", "")}

    found = []
    module = course.module("01_counting")
    for room in range(0, 120_000, 8192):
        for path in disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        study = studying.create(disk / "work", course)
        notebook = study.workspace.notebook(module)
        solution = authoring.to_bytes(authoring.solution_notebook(course, module))
        notebook.write_bytes(solution)
        leave(room)
        full = {}
        full["complete"] = tried(lambda: asyncio.run(complete(study.workspace, study.store, module, Verdicts())))
        completed = study.store.completed()
        full["reset"] = tried(lambda: studying.reset(study, module))
        kept = [path.read_bytes() for path in study.workspace.root.rglob("*.ipynb")]
        full["lost"] = solution not in kept
        filler.unlink()
        study = studying.create(disk / "work", course)
        study.store.check()
        full["before"], full["after"] = sorted(completed), sorted(study.store.completed())
        notebook.write_bytes(solution)
        again = asyncio.run(complete(study.workspace, study.store, module, Verdicts()))
        full["again"] = again.recorded
        found.append(full)
    print(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    disk = tmp_path_factory.mktemp("disk")
    command = [sys.executable, "-c", textwrap.dedent(DRIVER), str(disk), str(TINY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_a_full_disk_says_so_and_takes_nothing(found: list[dict[str, Any]]) -> None:
    refused = [full["complete"]["error"] for full in found if "error" in full["complete"]]
    assert refused, "there was always room: that proves nothing"
    assert all("room" in message or "full" in message for message in refused), refused
    assert not any(full["lost"] for full in found)


def test_what_was_acknowledged_on_a_full_disk_stays(found: list[dict[str, Any]]) -> None:
    assert {full["complete"].get("recorded", False) for full in found} == {True, False}
    for full in found:
        recorded = full["complete"].get("recorded", False)
        assert full["before"] == full["after"] == (["01_counting"] if recorded else [])


def test_a_reset_without_room_for_the_backup_changes_nothing_and_says_so(found: list[dict[str, Any]]) -> None:
    refused = [full["reset"]["error"] for full in found if "error" in full["reset"]]
    assert refused, "there was always room: that proves nothing"
    assert all("the disk has room" in message for message in refused), refused


def test_with_room_again_everything_works(found: list[dict[str, Any]]) -> None:
    assert all(full["again"] for full in found)

"""The best isolation that this machine allows, tried with a real process and felt by a real kernel."""

import os
from uuid import uuid4

import pytest

from tinytorch_core.grader import isolation
from tinytorch_core.kernel import landlock
from tinytorch_core.tests.warm import run_cells

pytestmark = pytest.mark.kernels

needs_landlock = pytest.mark.skipif(isolation.best() != "landlock", reason="this machine's kernel has no Landlock")


@pytest.fixture
def anew():
    """Look at the machine again, and forget what was seen."""
    isolation.best.cache_clear()
    yield
    isolation.best.cache_clear()


def test_every_level_says_what_it_means():
    assert isolation.best() in isolation.MEANING


def test_without_landlock_there_are_limits_only(anew, monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert isolation.best() == "process"


def test_a_landlock_that_does_not_hold_is_not_believed(anew, monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 7)
    monkeypatch.setattr(isolation, "_TRIAL", isolation._TRIAL.replace("landlock.restrict", "print"))
    assert isolation.best() == "process"


TRY = """
import os
def tried(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "done"
"""


@needs_landlock
def test_a_kernel_writes_to_its_scratch_folder_and_nowhere_else(background, pool, tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("kept")
    at_home = os.path.join(os.path.expanduser("~"), f"tinytorch-{uuid4().hex}")

    async def run():
        kernel = await pool.take("cells")
        inside, outside = kernel.scratch / "here", tmp_path / "new"
        acts = [
            f"open({str(inside)!r}, 'w')", f"open({str(outside)!r}, 'w')", f"open({str(kept)!r}, 'a')", f"os.remove({str(kept)!r})",
            f"os.mkdir({at_home!r})", f"os.kill({os.getpid()}, 0)", f"open({str(kept)!r})",
            "open(os.path.expanduser('~/mine'), 'w')", "open(os.path.dirname(os.__file__) + '/poison.pth', 'w')",
        ]  # fmt: skip
        printed = await run_cells(kernel, TRY, *(f"print(tried(lambda: {act}))" for act in acts))
        await pool.discard(kernel)
        return printed

    printed, failure = background.run(run())
    assert failure is None
    inside, *refused, reading, own_home, library = (text.strip() for text in printed[1:])
    assert (inside, reading, own_home) == ("done", "done", "done")
    signal = refused.pop()
    assert [*refused, library] == ["PermissionError"] * 5
    if landlock.version() >= 6:
        assert signal == "PermissionError"
    assert kept.read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]

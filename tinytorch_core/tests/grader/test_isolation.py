"""The best isolation that this machine allows, tried with a real process and felt by a real kernel."""

import os
import subprocess
import sys
from uuid import uuid4

import pytest

from tinytorch_core.grader import isolation
from tinytorch_core.grader.template import Template
from tinytorch_core.kernel import landlock
from tinytorch_core.tests.warm import LIMITS, OwnPool, run_cells

pytestmark = pytest.mark.kernels

restricted = pytest.mark.skipif(
    isolation.best() == "process", reason="nothing stops kernels from writing on this machine"
)
alone = pytest.mark.skipif(isolation.best() != "namespace", reason="this machine does not allow namespaces")


@pytest.fixture
def anew():
    """Look at the machine again, and forget what was seen."""
    for remembered in (isolation.best, isolation.below_namespace):
        remembered.cache_clear()
    yield
    for remembered in (isolation.best, isolation.below_namespace):
        remembered.cache_clear()


def test_every_level_says_what_it_means():
    assert isolation.best() in isolation.MEANING


NO_NAMESPACE = isolation._TRIAL.replace("namespace.leave()", "raise OSError")


def test_where_namespaces_are_refused_there_is_landlock(anew, monkeypatch):
    monkeypatch.setattr(isolation, "_TRIAL", NO_NAMESPACE)
    assert isolation.best() == ("landlock" if landlock.version() else "process")


def test_without_either_there_are_limits_only(anew, monkeypatch):
    monkeypatch.setattr(isolation, "_TRIAL", NO_NAMESPACE)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert isolation.best() == "process"


def test_a_landlock_that_does_not_hold_is_not_believed(anew, monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 7)
    monkeypatch.setattr(isolation, "_TRIAL", NO_NAMESPACE.replace("landlock.restrict", "print"))
    assert isolation.best() == "process"


@pytest.mark.parametrize("gone", ["namespace.leave()", "namespace.furnish([inside], [outside])"])
def test_a_namespace_that_does_not_hold_is_not_believed(anew, monkeypatch, gone):
    monkeypatch.setattr(isolation, "_TRIAL", isolation._TRIAL.replace(gone, "pass"))
    assert isolation.best() != "namespace"


@alone
def test_a_kernel_in_a_namespace_sees_nobody_and_nothing_that_is_hidden(background, tmp_path):
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "answers.py").write_text("answers = 42")

    async def run():
        pool = OwnPool(LIMITS, "namespace", size=0, hidden=(tmp_path / "solutions",))
        kernel = await pool.take("cells")
        look = f"import os\nprint(os.listdir({str(tmp_path / 'solutions')!r}), [n for n in os.listdir('/proc') if n.isdigit()])"
        (printed,), failure = await run_cells(kernel, look)
        level = pool.isolation
        await pool.close()
        return printed, failure, level

    assert background.run(run()) == ("[] ['1', '2']\n", None, "namespace")


@alone
def test_a_kernel_that_cannot_be_forked_starts_one_level_down(background, monkeypatch):
    monkeypatch.setattr(Template, "command", [sys.executable, "-c", "raise SystemExit(1)"])

    async def run():
        pool = OwnPool(LIMITS, "namespace", size=0)
        kernel = await pool.take("cells")
        printed, failure = await run_cells(kernel, "print('runs')")
        level = pool.isolation
        await pool.close()
        return printed, failure, level

    assert background.run(run()) == (["runs\n"], None, isolation.below_namespace())


TRY = """
import os
import subprocess
def tried(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "done"
"""


@restricted
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
    assert {*refused, library} <= {"PermissionError", "OSError"}  # refused by Landlock, or a read-only file system
    if landlock.version() >= 6 or isolation.best() == "namespace":
        assert signal in ("PermissionError", "ProcessLookupError")
    assert kept.read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


ELSEWHERE = """
import asyncio, sys
sys.platform = sys.argv[1]
sys.modules.update({name: None for name in sys.argv[2:]})
import tinytorch_core.kernel.boot, tinytorch_core.kernel.harness, tinytorch_core.kernel.landlock, tinytorch_core.kernel.namespace
from tinytorch_core.grader import template
from tinytorch_core.kernel import landlock
assert landlock.version() == 0 and template.begin() is None
"""


@pytest.mark.parametrize("platform", [("darwin",), ("win32", "fcntl", "resource", "termios", "pwd", "grp")])
def test_what_a_kernel_runs_can_be_imported_on_other_systems(platform):
    """As far as that can be tried here: by their names, and without the modules that they do not have."""
    subprocess.run([sys.executable, "-I", "-c", ELSEWHERE, *platform], check=True, timeout=60)


def test_on_other_systems_kernels_have_limits_only(anew, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert isolation.best() == "process"
    assert "nothing stops them from writing elsewhere" in isolation.MEANING["process"]

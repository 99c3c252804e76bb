"""Landlock: outside its folder a process can read, but neither write nor signal; and it can't take that back."""

import json
import subprocess
import sys

import pytest

from tinytorch_core.kernel import landlock

needs_landlock = pytest.mark.skipif(not landlock.version(), reason="this machine's kernel has no Landlock")
needs_scopes = pytest.mark.skipif(
    landlock.version() < 6, reason="this machine's Landlock does not restrict signals (ABI 6)"
)

TRIAL = """
import json, os, signal, subprocess, sys, threading
from pathlib import Path
from tinytorch_core.kernel import landlock

inside, outside = Path(sys.argv[1]), Path(sys.argv[2])
restricted = sys.argv[3] == "restricted"
if restricted:
    landlock.restrict([str(inside)])
found = {}

def attempt(name, act):
    try:
        act()
    except OSError as error:
        found[name] = type(error).__name__
    else:
        found[name] = "done"

def in_a_thread(act):
    def run():
        attempt("thread", act)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

attempt("inside", lambda: (inside / "new").write_text("x"))
attempt("folder inside", lambda: (inside / "sub").mkdir())
attempt("rename inside", lambda: os.rename(inside / "new", inside / "sub" / "old"))
attempt("device", lambda: Path("/dev/null").write_text("x"))
attempt("read outside", (outside / "kept").read_text)
attempt("list outside", lambda: os.listdir(outside))
attempt("new file", lambda: (outside / "new").write_text("x"))
attempt("overwrite", lambda: (outside / "kept").write_text("x"))
attempt("append", lambda: open(outside / "kept", "a"))
attempt("truncate", lambda: os.truncate(outside / "kept", 0))
attempt("remove", lambda: (outside / "kept").unlink())
attempt("folder", lambda: (outside / "sub").mkdir())
attempt("link", lambda: os.symlink("/etc/passwd", outside / "link"))
attempt("move in", lambda: os.rename(outside / "kept", inside / "stolen"))
attempt("through a link", lambda: (os.symlink(outside / "kept", inside / "way"), (inside / "way").write_text("x")))
in_a_thread(lambda: (outside / "thread").write_text("x"))
child = subprocess.run([sys.executable, "-c", "open(__import__('sys').argv[1], 'w')", str(outside / "child")], capture_output=True)
found["child"] = "done" if child.returncode == 0 else "PermissionError" if b"PermissionError" in child.stderr else "?"
if restricted:
    landlock.restrict(["/"])
attempt("after asking for more", lambda: (outside / "more").write_text("x"))
attempt("signal", lambda: os.kill(os.getppid(), 0))
print(json.dumps(found))
"""

ALLOWED = {"inside", "folder inside", "rename inside", "device", "read outside", "list outside"}
REFUSED = {
    "new file", "overwrite", "append", "truncate", "remove", "folder", "link", "move in", "through a link", "thread", "child",
    "after asking for more",
}  # fmt: skip


def tried(tmp_path, mode):
    """What a process could do, and what the file outside says afterwards."""
    inside, outside = tmp_path / mode / "inside", tmp_path / mode / "outside"
    inside.mkdir(parents=True)
    outside.mkdir()
    (outside / "kept").write_text("kept")
    command = [sys.executable, "-I", "-c", TRIAL, str(inside), str(outside), mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout), outside


@pytest.fixture(scope="module")
def restricted(tmp_path_factory):
    return tried(tmp_path_factory.mktemp("landlock"), "restricted")


@needs_landlock
@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_a_restricted_process_can_still(restricted, name):
    assert restricted[0][name] == "done"


@needs_landlock
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_restricted_process_is_refused(restricted, name):
    assert restricted[0][name] in ("PermissionError", "OSError")  # EXDEV where a move would cross the border


@needs_landlock
def test_nothing_outside_has_changed(restricted):
    outside = restricted[1]
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "kept"


@needs_scopes
def test_a_restricted_process_cannot_signal_its_parent(restricted):
    assert restricted[0]["signal"] == "PermissionError"


def test_without_the_restriction_all_of_it_works(tmp_path):
    """The same attempts, so that a refusal above is the restriction's doing."""
    found, _ = tried(tmp_path, "free")
    once = {
        "overwrite",
        "append",
        "truncate",
        "after asking for more",
        "new file",
        "folder",
        "link",
        "thread",
        "child",
        "signal",
    }
    assert {name for name in once if found[name] != "done"} == set()


def test_where_there_is_no_landlock_nothing_happens(monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(landlock, "_libc", lambda: pytest.fail("a system call was made"))
    assert landlock.restrict(["/"]) == 0


def test_on_other_systems_there_is_no_landlock(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert landlock.version() == 0

"""Namespaces: a process alone with its folder, which can't get out again. Each attempt works where nothing restricts it."""

import json
import socket
import subprocess
import sys

import pytest

from tinytorch_core.grader import isolation

pytestmark = pytest.mark.skipif(isolation.best() != "namespace", reason="this machine does not allow namespaces")

TRIAL = """
import ctypes, json, os, socket, subprocess, sys
from pathlib import Path
from tinytorch_core.kernel import namespace

inside, outside, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
reader, writer = os.pipe()
parent = os.getpid()
port = int(sys.argv[4])
if mode == "restricted":
    namespace.leave()
child = os.fork()
if child:
    os.close(writer)
    print(os.read(reader, 1 << 20).decode())
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os.chdir(inside)
if mode == "restricted":
    namespace.furnish([str(inside)], [str(outside / "hidden")])
found = {}

def attempt(name, act):
    try:
        act()
    except (OSError, AssertionError) as error:
        found[name] = type(error).__name__
    else:
        found[name] = "done"

def shell(command):
    assert subprocess.run(["sh", "-c", command], capture_output=True).returncode == 0

def raised(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")

libc = ctypes.CDLL(None, use_errno=True)
attempt("write inside", lambda: (inside / "new").write_text("x"))
attempt("write where it stands", lambda: Path("here").write_text("x"))
attempt("read outside", (outside / "kept").read_text)
attempt("device", lambda: Path("/dev/null").write_text("x"))
shared = Path(f"/dev/shm/tinytorch-{parent}")
attempt("shared memory", lambda: (shared.write_text("x"), shared.unlink()))
attempt("call itself over the loopback", lambda: socket.create_server(("127.0.0.1", 0)).close())
attempt("write outside", lambda: (outside / "new").write_text("x"))
attempt("remove outside", lambda: (outside / "gone").unlink())
attempt("see what is hidden", (outside / "hidden" / "answers.py").read_text)
attempt("signal its parent", lambda: os.kill(parent, 0))
attempt("call a server outside", lambda: socket.create_connection(("127.0.0.1", port), 5).close())
attempt("see other processes", lambda: os.kill(parent, 0) or os.stat(f"/proc/{parent}"))
if mode == "restricted":  # an administrator could do it, and here we may be one
    remount = 32 | 4096
    attempt("make / writable", lambda: raised(libc.mount(b"none", b"/", b"", ctypes.c_ulong(remount), None)))
    attempt("uncover what is hidden", lambda: raised(libc.umount2(str(outside / "hidden").encode(), 2)))
os.write(writer, json.dumps(found).encode())
os._exit(0)
"""

ALLOWED = {
    "write inside",
    "write where it stands",
    "read outside",
    "device",
    "shared memory",
    "call itself over the loopback",
}
REFUSED = {
    "write outside", "remove outside", "see what is hidden", "signal its parent", "call a server outside", "make / writable",
    "uncover what is hidden", "see other processes",
}  # fmt: skip


def tried(folder, mode):
    inside, outside = folder / mode / "inside", folder / mode / "outside"
    inside.mkdir(parents=True)
    (outside / "hidden").mkdir(parents=True)
    for name in ("kept", "gone", "hidden/answers.py"):
        (outside / name).write_text(name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, "-I", "-c", TRIAL, str(inside), str(outside), mode, str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), {path.name for path in outside.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def restricted(tmp_path_factory):
    return tried(tmp_path_factory.mktemp("namespace"), "restricted")


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_a_process_in_a_namespace_can_still(restricted, name):
    assert restricted[0][name] == "done"


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_process_in_a_namespace_cannot(restricted, name):
    assert restricted[0][name] in (
        "OSError",
        "PermissionError",
        "FileNotFoundError",
        "ProcessLookupError",
        "ConnectionRefusedError",
    )


def test_nothing_outside_has_changed(restricted):
    assert restricted[1] == {"kept", "gone", "answers.py"}


def test_without_the_namespace_all_of_it_works(tmp_path):
    """The same attempts, so that a refusal above is the namespace's doing."""
    found, files = tried(tmp_path, "free")
    assert set(found.values()) == {"done"}
    assert "new" in files
    assert "gone" not in files

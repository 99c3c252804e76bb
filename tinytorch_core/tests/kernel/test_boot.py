"""A grading kernel limits itself before it becomes a kernel."""

import json
import os
import subprocess
import sys

import pytest

from tinytorch_core.tests.warm import LIMITS, run_cells

pytestmark = [
    pytest.mark.kernels,
    pytest.mark.skipif(os.name != "posix", reason="limits are set on POSIX systems"),
]
linux = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")

ASK = """
import ctypes, json, os, resource, signal, sys
def limit(name): return resource.getrlimit(getattr(resource, name))
def target(fd): return os.readlink(f"/proc/self/fd/{fd}") if sys.platform == "linux" else os.ttyname(fd)
death = ctypes.c_int()
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(2, ctypes.byref(death))
print(json.dumps({
    "address space": limit("RLIMIT_AS"), "file size": limit("RLIMIT_FSIZE"), "core": limit("RLIMIT_CORE"),
    "dumpable": ctypes.CDLL(None).prctl(3) if sys.platform == "linux" else 0,
    "dies with its parent": death.value == signal.SIGKILL,
    "streams": [target(fd) for fd in (0, 1, 2)],
    "read": os.read(0, 10).decode(),
    "folder": os.getcwd(), "environment": dict(os.environ), "path": sys.path, "flags": [sys.flags.isolated, sys.flags.no_user_site],
    "bytecode": sys.dont_write_bytecode,
    "imported": [name in sys.modules for name in ("numpy", "matplotlib.pyplot", "debugpy")],
}))
"""


@pytest.fixture(scope="module")
def kernel(background, pool):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYTORCH_TEST_SECRET", "the server's own")
        kernel = background.run(pool.take("cells"))
    yield kernel
    background.run(pool.discard(kernel))


@pytest.fixture(scope="module")
def told(background, kernel):
    """What a cell finds out about the kernel that it runs in."""
    (printed,), failure = background.run(run_cells(kernel, ASK))
    assert failure is None
    return json.loads(printed)


@linux
def test_memory_and_files_are_limited(told):
    assert told["address space"] == [LIMITS.memory_bytes] * 2
    assert told["file size"] == [2**30] * 2
    assert told["core"] == [0, 0]


@linux
def test_the_kernel_is_undumpable_and_dies_with_the_worker(told):
    assert told["dumpable"] == 0
    assert told["dies with its parent"] is True


def test_no_stream_leads_anywhere(told):
    assert told["streams"] == [os.devnull] * 3
    assert told["read"] == ""


def test_the_environment_is_built_from_nothing(told, kernel):
    environment = told["environment"]
    assert "TINYTORCH_TEST_SECRET" not in environment
    assert {name for name in environment if name.startswith(("PYTHON", "JUPYTER_", "IPYTHON"))} <= {
        "IPYTHONDIR", "JUPYTER_RUNTIME_DIR",
    }  # fmt: skip
    assert environment["HOME"] == str(kernel.scratch)
    assert environment["TMPDIR"].startswith(str(kernel.folder))
    assert environment["TINYTORCH_HEADLESS"] == "1"


def test_it_starts_beside_the_notebook_and_without_the_users_own_packages(told, kernel):
    assert told["folder"] == str(kernel.scratch / "notebooks")
    assert told["flags"] == [1, 1]
    assert "" not in told["path"]
    assert told["bytecode"] is True


def test_what_every_notebook_imports_is_imported_already_and_no_debugger(told):
    assert told["imported"] == [True, True, False]


def test_of_a_cell_it_tells_what_it_printed_and_that_it_has_ended(background, kernel):
    async def heard():
        asked, kinds = kernel.client.execute("print(1)"), []
        while kinds[-1:] != ["status"]:
            message = await kernel.client.get_iopub_msg(timeout=30)
            if message["parent_header"].get("msg_id") == asked:
                kinds.append(message["msg_type"])
        return kinds

    assert background.run(heard()) == ["stream", "status"]


def test_a_kernel_whose_worker_is_gone_ends_at_once():
    settings = {"parent": 1 + os.getpid(), "role": "cells", "isolation": "process", "writable": [], "rlimits": {}}
    command = [sys.executable, "-I", "-m", "tinytorch_core.kernel.boot", json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")

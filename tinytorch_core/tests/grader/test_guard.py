"""The process between a server and its worker: whatever ends the worker, nothing of it stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from tinytorch_core.grader import guard
from tinytorch_core.grader.processes import is_running

pytestmark = pytest.mark.kernels

linux = pytest.mark.skipif(sys.platform != "linux", reason="orphans come back to the guard on Linux only")

FAKE = """
import os, sys
from pathlib import Path
from tinytorch_core.grader import guard
guard.WORKER = sys.argv[1]
sys.exit(guard.main())
"""
BEGIN = """
import os, subprocess, sys
sleep = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
child = subprocess.Popen(sleep, start_new_session=True, stdout=subprocess.DEVNULL)
orphan = subprocess.check_output(["sh", "-c", "sleep 600 >/dev/null & echo $!"], text=True).strip()
open(os.environ["TINYTORCH_SCRATCH"] + "/file", "w").close()
print(os.getpid(), child.pid, orphan, os.environ["TINYTORCH_SCRATCH"], flush=True)
"""


@pytest.fixture
def guarded():
    """Start a guard whose worker runs a script; its process, the worker's number and children, and the scratch folder."""
    processes = []
    temporary = tempfile.mkdtemp()

    def start(ending):
        command = [sys.executable, "-c", FAKE, BEGIN + ending]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": temporary}
        )
        processes.append(process)
        worker, child, orphan, scratch = process.stdout.readline().split()
        return process, int(worker), [psutil.Process(int(child)), psutil.Process(int(orphan))], Path(scratch)

    yield start
    for process in processes:
        process.kill()
        process.communicate()
    shutil.rmtree(temporary)


@linux
@pytest.mark.parametrize(
    ("ending", "code"), [("sys.exit(0)", 0), ("sys.exit(7)", 7), ("os.kill(os.getpid(), 9)", -9), ("1 / 0", 1)]
)
def test_when_the_worker_ends_its_children_end_and_its_scratch_goes(guarded, ending, code):
    process, _, children, scratch = guarded("sys.stderr = open(os.devnull, 'w')\nsys.stdin.readline()\n" + ending)
    assert all(map(is_running, children))
    assert (scratch / "file").exists()
    process.stdin.write("now\n")
    process.stdin.flush()
    assert process.wait(60) == code % 256
    assert not any(map(is_running, children))
    assert not scratch.exists()


@linux
def test_a_guard_that_is_asked_to_end_waits_for_its_worker(guarded):
    process, worker, children, scratch = guarded("sys.stdin.read()")
    for number in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    assert is_running(psutil.Process(worker))
    process.stdin.close()
    process.stdin = None
    assert process.wait(60) == 0
    assert not any(map(is_running, children))
    assert not scratch.exists()


@linux
def test_the_worker_dies_with_its_guard(guarded):
    process, number, children, _ = guarded("import time; time.sleep(600)")
    worker = psutil.Process(number)
    process.kill()
    worker.wait(60)
    assert not is_running(worker)
    for child in children:  # nobody is left who could; they belong to this test
        child.kill()


def test_without_proc_there_are_no_children_to_be_seen(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert guard._children() == []

"""NumPy runs alike in the notebook and in grading, unless the student has asked for something else."""

import os
import subprocess
import sys

from tinytorch_core.kernel import speed


def test_one_thread_for_every_kind_of_blas_unless_the_student_chose(monkeypatch):
    for name in speed.THREADS:
        monkeypatch.setenv(name, "to be forgotten")
        monkeypatch.delenv(name)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    speed.settle()
    assert {name: os.environ[name] for name in speed.THREADS} == {
        **dict.fromkeys(speed.THREADS, "1"),
        "MKL_NUM_THREADS": "3",
    }


def test_where_there_is_no_glibc_nothing_is_asked_of_it(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(speed.ctypes, "CDLL", None)
    speed.keep_big_blocks()


def test_asking_for_it_twice_does_no_harm():
    code = (
        "from tinytorch_core.kernel import speed; speed.settle(); speed.settle(); import numpy; numpy.ones(10**6).sum()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

"""Settings under which NumPy runs alike in the notebook and in grading: one BLAS thread, and memory that is kept."""

from __future__ import annotations

import ctypes
import os
import sys

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def settle() -> None:
    """Call it before NumPy is imported. On the small products of a course, more threads are slower, and on a busy machine much slower."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    keep_big_blocks()


def keep_big_blocks() -> None:
    """Ask glibc not to hand every large array back to the system: arrays are made and dropped all the time here."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_TRIM_THRESHOLD, 2_000_000_000)
        libc.mallopt(M_MMAP_THRESHOLD, 1_000_000_000)

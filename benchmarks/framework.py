"""The student's package, made of the notebooks' solutions, against PyTorch on the CPU: one thread each, in one run.

    pip install torch          the build for CPUs is enough; nothing else in this project needs it
    python benchmarks/framework.py [--rows "MLP Adam"] [--rounds 15] [--avx2] [--json]

A round is some 50 ms of one, then of the other; what is compared is CPU time, medians of all rounds (where the table says "fastest",
minima). Wall time stands beside it: where it is much larger, the machine was busy. NumPy has the settings of the product's kernels
(kernel/speed.py), which PyTorch in the same process shares. The rows, and how to add one: framework_rows.py.

--avx2 holds NumPy, its BLAS and PyTorch to what laptops mostly have: with AVX-512, as on servers, PyTorch gains more than NumPy does.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

from tinytorch_core.kernel import speed

AVX2 = {
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
if "--avx2" in sys.argv:
    os.environ.update(AVX2)
speed.settle()  # before NumPy and PyTorch start their threads

from framework_rows import ROWS, Row, Work  # noqa: E402

from tinytorch_core.catalogue import Course, default_course  # noqa: E402
from tinytorch_core.coursecheck import solved  # noqa: E402
from tinytorch_core.grader.checks import Package  # noqa: E402
from tinytorch_core.kernel.package import import_package  # noqa: E402

ROUND_SECONDS = 0.05


class Times(NamedTuple):
    """Milliseconds a call, of one round or of many."""

    cpu: float
    wall: float


class Result(NamedTuple):
    ours: Times
    torch: Times

    @property
    def ratio(self) -> float:
        return self.ours.cpu / self.torch.cpu


def students_package(course: Course) -> ModuleType:
    """`tinytorch` as the solutions of all written modules make it."""
    *earlier, last = solved(course, [module for module in course.modules if module.written])
    package = Package.of(earlier, last)
    imported, error = import_package(package.sources, package.name, package.earlier_init)
    if error is not None:
        raise error
    return imported


def pytorch() -> ModuleType:
    try:
        import torch
    except ImportError:
        sys.exit(
            "PyTorch is not installed, and there is nothing else to compare with. Install it beside TinyTorch: pip install torch"
        )
    torch.set_num_threads(1)
    return torch


def a_round(work: Work, calls: int) -> Times:
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Times(1000 * cpu / calls, 1000 * wall / calls)


def calls_in_a_round(work: Work) -> int:
    """Warm up, then see how often it can be called in ROUND_SECONDS."""
    for _ in range(3):
        work()
    return max(1, round(1000 * ROUND_SECONDS / a_round(work, 3).wall))


def compare(row: Row, tinytorch: ModuleType, torch: ModuleType, rounds: int) -> Result:
    """Interleaved rounds. What exists beforehand is frozen: or the collector would look at all of PyTorch again and again."""
    works = row.ours(tinytorch), row.torch(tinytorch if row.alone else torch)
    calls = [calls_in_a_round(work) for work in works]
    gc.collect()
    gc.freeze()
    pairs = [[a_round(*pair) for pair in zip(works, calls, strict=True)] for _ in range(rounds)]
    gc.unfreeze()
    middle = min if row.minima else statistics.median
    return Result(*(Times(*map(middle, zip(*times, strict=True))) for times in zip(*pairs, strict=True)))


def chosen(course: Course, words: str) -> tuple[list[Row], list[Row]]:
    """The rows with all of `words` in their names: those that can be measured, and those whose module is not written yet."""
    wanted = [row for row in ROWS if all(word in row.name.lower() for word in words.lower().split())]
    written = {module.id for module in course.modules if module.written}
    return [row for row in wanted if row.module in written], [row for row in wanted if row.module not in written]


def show(results: dict[Row, Result]) -> None:
    width = max(len(row.name) for row in results)
    print(f"{'CPU time of a call':{width}} {'ours':>11} {'PyTorch':>11} {'ratio':>6} {'aim':>6}   wall time")
    for row, (ours, torch) in results.items():
        ratio = results[row].ratio
        print(
            f"{row.name:{width}} {ours.cpu:8.3f} ms {torch.cpu:8.3f} ms {ratio:6.2f} {row.aim:6.2f}   {ours.wall:.3f} and {torch.wall:.3f} ms"
            f"{', fastest' if row.minima else ''}{'' if ratio <= row.aim else '   missed'}"
        )


def as_json(results: dict[Row, Result]) -> str:
    return json.dumps(
        {
            "rows": {
                row.name: {
                    "ours_ms": round(result.ours.cpu, 4),
                    "torch_ms": round(result.torch.cpu, 4),
                    "ratio": round(result.ratio, 3),
                    "aim": row.aim,
                }
                for row, result in results.items()
            }
        }
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", metavar="WORDS", help="only rows with all these words in their names")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--avx2", action="store_true", help="no AVX-512 for either")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.rounds < 7:
        parser.error("--rounds must be at least 7: fewer say nothing on a noisy machine")
    course = default_course()
    rows, unwritten = chosen(course, options.rows)
    if not rows and not unwritten:
        parser.error(f"no row has all of these words: {options.rows}. There are: {'; '.join(row.name for row in ROWS)}")
    start, torch, tinytorch = time.time(), pytorch(), students_package(course)
    results = {row: compare(row, tinytorch, torch, options.rounds) for row in rows}
    if options.json:
        print(as_json(results))
    elif results:
        show(results)
    for row in unwritten:
        print(f"left out: {row.name} (module {row.module} is not written)", file=sys.stderr)
    print(
        f"{options.rounds} interleaved rounds, PyTorch {torch.__version__} with {torch.backends.cpu.get_cpu_capability()}; "
        f"{time.time() - start:.0f} s in all",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()

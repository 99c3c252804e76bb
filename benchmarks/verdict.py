"""What grading adds to the work: click → verdict through a running server, against the bare work, in one run.

    python benchmarks/verdict.py [--rounds 9] [--json]

bare     every code cell of the solved notebook run in one live IPython process that is warm, and every check with its judge after it
verdict  from the POST that a click sends until the verdict's event arrives over the websocket; the server is a real one, its kernels warm

flood    of two hundred requests at once, every other one a click: the 99th percentile of the looks at the course

Rounds are interleaved, medians are compared. One BLAS thread everywhere. Figures are milliseconds; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))
os.environ["MPLBACKEND"] = "template"  # as in grading: figures are made, not drawn

from bare import BareWork  # noqa: E402
from running_server import RunningServer  # noqa: E402

from tinytorch_core.catalogue import Course, Module, default_course, load  # noqa: E402

TWENTY = Path(__file__).parent / "twenty"


def workloads() -> dict[str, tuple[Course, Module]]:
    course = default_course()
    twenty = load(TWENTY / "course.toml", TWENTY)
    return {"02_tensor": (course, course.module("02_tensor")), "20 cells": (twenty, twenty.modules[0])}


def measure(course: Course, module: Module, rounds: int) -> dict[str, float]:
    """Interleaved rounds of both, after one of each that does not count."""
    with tempfile.TemporaryDirectory(prefix="tinytorch-bench-") as folder:
        bare = BareWork(course, module)
        with RunningServer(course, Path(folder)) as server:
            server.solve_up_to(module)
            cold = server.verdict(module)
            bare.run()
            pairs = [(server.idle(bare.run), server.verdict(module)) for _ in range(rounds)]
            looks = sorted(server.flood(module))
    bare_ms = 1000 * statistics.median(pair[0] for pair in pairs)
    verdict_ms = 1000 * statistics.median(pair[1].seconds for pair in pairs)
    first_ms = 1000 * statistics.median(pair[1].first_event for pair in pairs)
    return {
        "bare_ms": round(bare_ms, 1),
        "verdict_ms": round(verdict_ms, 1),
        "ratio": round(verdict_ms / bare_ms, 2),
        "first_event_ms": round(first_ms, 1),
        "first_verdict_ms": round(1000 * cold.seconds, 1),
        "flood_p99_ms": round(1000 * looks[int(0.99 * (len(looks) - 1))], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.rounds < 7:
        parser.error("--rounds must be at least 7: fewer say nothing on a noisy machine")
    start = time.time()
    results = {name: measure(course, module, arguments.rounds) for name, (course, module) in workloads().items()}
    if arguments.json:
        print(json.dumps({"workloads": results}))
        return
    print(
        f"{'workload':12} {'bare':>9} {'verdict':>9} {'ratio':>7} {'first event':>12} {'first verdict':>14} {'flood':>9}"
    )
    for name, r in results.items():
        print(
            f"{name:12} {r['bare_ms']:6.1f} ms {r['verdict_ms']:6.1f} ms {r['ratio']:6.1f}× "
            f"{r['first_event_ms']:9.1f} ms {r['first_verdict_ms']:11.1f} ms {r['flood_p99_ms']:6.0f} ms"
        )
    print(f"medians of {arguments.rounds} interleaved rounds; {time.time() - start:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    main()

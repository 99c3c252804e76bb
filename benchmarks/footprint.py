"""What the product costs while nobody grades: memory beside the server, time added to its start, and a look at a long record.

    python benchmarks/footprint.py [--rounds 9] [--json]

warm    memory of the worker, the process it forks kernels from, and the kernels that wait for a click
rest    the same once the kernels have been let go, which happens ten minutes after the last grading
start   importing the server half and reading the course, in processes that have imported JupyterLab's own: their median
course  GET course through a running server, with ten thousand attempts on record

Memory is the proportional share (PSS, Linux): what processes have in common counts once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from running_server import RunningServer

from tinytorch_core import studying
from tinytorch_core.catalogue import Course, default_course
from tinytorch_core.grader.client import Grader
from tinytorch_core.report import Report

ATTEMPTS = 10_000
ADDED = """
import time
import jupyterlab.labapp, jupyter_server.serverapp
start = time.perf_counter()
import tinytorch_core.server.app
from tinytorch_core.catalogue import default_course
default_course()
print(time.perf_counter() - start)
"""


def mebibytes_below(process: psutil.Process) -> float:
    return sum(child.memory_full_info().pss for child in process.children(recursive=True)) / 2**20


async def memory(course: Course) -> dict[str, float]:
    """With kernels warm, and after they have been let go."""
    grader = Grader(course, idle_seconds=5.0)
    await grader.warm()
    warm = mebibytes_below(psutil.Process())
    while any(child.name() == "tito-kernel" for child in psutil.Process().children(recursive=True)):
        await asyncio.sleep(0.1)
    rest = mebibytes_below(psutil.Process())
    await grader.close()
    return {"warm_mib": round(warm, 1), "rest_mib": round(rest, 1)}


def added_to_start(rounds: int) -> float:
    """Milliseconds."""
    command = [sys.executable, "-c", ADDED]
    ran = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(rounds)]
    return 1000 * statistics.median(float(process.stdout) for process in ran)


def look_at_course(course: Course, rounds: int) -> float:
    """Milliseconds."""
    with (
        tempfile.TemporaryDirectory(prefix="tinytorch-bench-") as folder,
        RunningServer(course, Path(folder)) as server,
    ):
        store = studying.find(server.folder, course).store
        for number in range(ATTEMPTS):
            module = course.modules[number % len(course.modules)].id
            store.finish(
                Report(attempt=f"a{number}", module=module, state="done", verdict="failed", message="2 of 3 pass.")
            )
        return 1000 * statistics.median(server.seconds_of_a_look() for _ in range(10 * rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if sys.platform != "linux":
        parser.error("only Linux tells the proportional share of memory")
    course = default_course()
    results = {
        **asyncio.run(memory(course)),
        "start_ms": round(added_to_start(arguments.rounds), 1),
        "course_ms": round(look_at_course(course, arguments.rounds), 1),
    }
    if arguments.json:
        print(json.dumps(results))
        return
    print(f"memory beside the server, kernels warm      {results['warm_mib']:7.0f} MiB")
    print(f"memory beside the server, at rest           {results['rest_mib']:7.0f} MiB")
    print(f"added to JupyterLab's start                 {results['start_ms']:7.0f} ms")
    print(f"GET course with {ATTEMPTS:,} attempts on record  {results['course_ms']:7.1f} ms")


if __name__ == "__main__":
    main()

"""A warm process that observes for `tito dev check`: each job runs in a fork of it, without a kernel and without isolation.

Jobs come in as lines of JSON, {"steps": [[function, payload, timed], …], "seconds": limit}; for each, lines
[function, answers, seconds since the step began] go out, and at last a line `null`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any, TextIO

from tinytorch_core.kernel import harness


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what checked code prints must not look like an answer
    harness.prime()
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            _observe(job["steps"], out)
            os._exit(0)
        _wait(child, job["seconds"])
        out.write("null\n")
        out.flush()


def _observe(steps: list[list[Any]], out: TextIO) -> None:
    for function, payload, timed in steps:
        start = time.perf_counter()

        def send(text: str, function: str = function, start: float = start) -> None:
            out.write(json.dumps([function, text, time.perf_counter() - start]) + "\n")
            out.flush()

        if function == "reference":
            harness.reference(payload, send)
        else:
            harness.run(payload, timed, send)


def _wait(child: int, seconds: float) -> None:
    """Until the child has ended, or is killed at its time limit."""
    end = time.monotonic() + seconds
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


if __name__ == "__main__":
    main()

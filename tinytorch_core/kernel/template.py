"""A warm process from which grading kernels are forked: what every notebook imports is imported once, not once for each kernel.

Requests come in as lines of JSON, {"settings": …, "arguments": …, "env": …, "cwd": …}; for each, the number of the new process goes out,
or 0 where there is none.
It is forked twice, so that the process that asked adopts it (it is a sub-reaper) and can wait for it as for a child of its own.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import time
from typing import Any

from tinytorch_core.kernel import boot, namespace, speed
from tinytorch_core.kernel.namespace import FIRST

ADOPTION_SECONDS = 10.0


def main() -> None:
    settings = json.loads(sys.argv[1])
    boot.bind_to(settings["parent"], b"tito-template")
    speed.settle()
    boot.import_what_is_used()
    gc.collect()
    gc.freeze()  # the kernels share this memory until they write to it, and collecting would write
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("a process with threads can't be forked safely")
    for line in sys.stdin:
        print(_fork_twice(json.loads(line)), flush=True)


def _fork_twice(request: dict[str, Any]) -> int:
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            if request["settings"]["isolation"] == "namespace":
                namespace.leave()
            kernel = os.fork()
            if kernel == 0:
                _become_kernel(request)
            os.write(writer, str(kernel).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(between, 0)
    number = os.read(reader, 32)
    os.close(reader)
    return int(number or 0)


def _become_kernel(request: dict[str, Any]) -> None:
    """Does not return."""
    code, settings = 1, request["settings"]
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        tempfile.tempdir = None
        deadline = time.monotonic() + ADOPTION_SECONDS
        while boot.parent_process() != settings["parent"] and time.monotonic() < deadline:
            time.sleep(0.0005)
        if settings["isolation"] == "namespace":
            boot.bind_to(settings["parent"], FIRST.encode())
            namespace.furnish(settings["writable"], settings["hidden"])
            kernel = os.fork()
            if kernel:
                _look_after(kernel)
            os.setsid()
            settings["parent"] = os.getppid()
        boot.become_kernel(settings, request["arguments"])
        code = 0
    finally:
        os._exit(code)


def _look_after(kernel: int) -> None:
    """What the first process of a namespace does: collect what ends there, and end when the kernel does, and everything there with it.

    The kernel can't be that process itself: it would be immune to its own signals.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.closerange(0, 256)
    while True:
        ended, status = os.wait()
        if ended == kernel:
            os._exit(abs(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main()

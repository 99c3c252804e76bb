"""A pool of single-use kernels: warm when wanted, gone with everything they started when done."""

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import psutil
import pytest

from tinytorch_core.errors import GraderError
from tinytorch_core.grader import isolation
from tinytorch_core.grader.kernels import Pool
from tinytorch_core.grader.processes import is_running
from tinytorch_core.grader.template import Template
from tinytorch_core.tests.warm import LIMITS, OwnPool, run_cells

pytestmark = pytest.mark.kernels
linux = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")


def running(pid):
    return psutil.pid_exists(pid) and is_running(psutil.Process(pid))


def own_children():
    return {process.pid for process in psutil.Process().children(recursive=True)}


def number_inside(pid):
    """The number by which a process goes in its own namespace."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8") if sys.platform == "linux" else ""
    return next((int(line.split()[-1]) for line in status.splitlines() if line.startswith("NSpid")), pid)


CHILDREN = """
import subprocess, sys
plain = subprocess.Popen(["sleep", "600"])
own_session = subprocess.Popen(["sleep", "600"], start_new_session=True)
nest = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; sleep 600"], start_new_session=True, stdout=subprocess.PIPE, text=True)
nested = nest.stdout.readline().strip()  # only now is it sure to be there
immune = subprocess.Popen([sys.executable, "-c", "import signal, time\\nfor s in (1, 2, 15): signal.signal(s, 1)\\ntime.sleep(600)"])
print(plain.pid, own_session.pid, nest.pid, nested, immune.pid)
"""


def test_nothing_that_a_kernel_started_outlives_it_and_other_kernels_do(background, pool):
    async def run():
        kernel, neighbour = await asyncio.gather(pool.take("cells"), pool.take("cells"))
        (printed,), _ = await run_cells(kernel, CHILDREN)
        started = {process.pid for process in psutil.Process(kernel.pid).children(recursive=True)}
        before = {pid: running(pid) for pid in started}
        inside = set(map(number_inside, started))
        await pool.kill(kernel)
        after = [running(pid) for pid in (kernel.pid, *started)]
        neighbours = await run_cells(neighbour, "print('still here')")
        await pool.discard(kernel, neighbour)
        return printed, inside, before, after, neighbours

    printed, inside, before, after, neighbours = background.run(run())
    assert len(printed.split()) == 5
    assert {int(pid) for pid in printed.split()} <= inside
    assert all(before.values())
    assert not any(after)
    assert neighbours == (["still here\n"], None)


def test_a_kernel_is_reached_through_its_private_folder_only(background, pool):
    async def run():
        kernel = await pool.take("checks")
        sockets = [path.name for path in kernel.folder.iterdir() if path.is_socket()]
        connection = (kernel.folder / "connection.json").exists()
        mode = stat.S_IMODE(kernel.folder.stat().st_mode)
        await pool.discard(kernel)
        return sockets, connection, mode, kernel.folder.exists()

    sockets, connection, mode, exists = background.run(run())
    assert len(sockets) == 5
    assert mode & 0o077 == 0
    assert not connection
    assert not exists


def test_a_warm_kernel_that_died_is_not_handed_out(background, pool):
    async def run():
        pool.refill()
        await pool.warm()
        victim = pool._ready["checks"][0]
        os.kill(victim.pid, signal.SIGKILL)
        while victim.alive():
            await asyncio.sleep(0.01)
        kernel = await pool.take("checks")
        alive = kernel.alive()
        await pool.discard(kernel)
        return victim, kernel, alive

    victim, kernel, alive = background.run(run())
    assert kernel is not victim
    assert alive


@linux
def test_kernels_are_forked_from_one_warm_process_which_is_replaced_when_it_is_killed(background):
    async def run():
        pool = OwnPool(LIMITS, isolation.best(), size=1)
        one, two = await pool.take("cells"), await pool.take("checks")
        (first,) = pool._template.pids
        os.kill(first, signal.SIGKILL)
        three = await pool.take("cells")
        (second,) = pool._template.pids
        still = await run_cells(one, "print('still here')"), await run_cells(three, "print('here')")
        parents = {psutil.Process(kernel.pid).ppid() for kernel in (one, two, three)}
        await pool.close()
        return first, second, still, parents

    first, second, still, parents = background.run(run())
    assert first != second
    assert still == ((["still here\n"], None), (["here\n"], None))
    assert parents == {os.getpid()}
    assert not running(first) and not running(second)


@linux
def test_where_nothing_can_be_forked_kernels_are_started_one_by_one(background, monkeypatch):
    monkeypatch.setattr(Template, "command", [sys.executable, "-c", "raise SystemExit('threads')"])

    async def run():
        pool = OwnPool(LIMITS, isolation.best(), size=1)
        kernels = [await pool.take("cells"), await pool.take("checks")]
        commands = [" ".join(psutil.Process(kernel.pid).cmdline()) for kernel in kernels]
        heard = await run_cells(kernels[0], "print('here')")
        await pool.close()
        return commands, heard

    commands, heard = background.run(run())
    assert all("tinytorch_core.kernel.boot" in command for command in commands)
    assert heard == (["here\n"], None)


@pytest.mark.parametrize("forked", [pytest.param(True, marks=linux), False])
def test_a_kernel_that_does_not_start_is_our_fault_and_leaves_nothing(background, monkeypatch, forked):
    before = own_children()
    useless = [sys.executable, "-c", "raise SystemExit(1)"]
    monkeypatch.setattr(Pool, "_command", lambda pool, settings: [*useless, "-f", "{connection_file}"])
    monkeypatch.setattr(Template, "command", useless)

    async def run():
        pool = OwnPool(LIMITS, "process", size=1)
        pool._template = pool._template if forked else None
        with pytest.raises(GraderError, match=r"A grading kernel did not start .*ended.*`tito doctor`"):
            await pool.take("checks")
        folders = list(pool._root.iterdir())
        await pool.close()
        return folders, pool._root.exists()

    assert background.run(run()) == ([], False)
    assert own_children() <= before


def test_closing_ends_what_is_ready_what_is_taken_and_what_still_starts(background):
    before = own_children()

    async def run():
        pool = OwnPool(LIMITS, isolation.best(), size=1)
        taken = await pool.take("checks")
        pool.refill()  # two begin to start
        await asyncio.sleep(0)
        await pool.close()
        return pool._root.exists(), taken.alive()

    assert background.run(run()) == (False, False)
    assert own_children() <= before


def test_the_limits_of_the_settings_are_in_the_command():
    pool = OwnPool(LIMITS, "process", size=1)
    command = " ".join(pool._command(pool._settings(pool._root)))
    assert f'"RLIMIT_AS": {LIMITS.memory_bytes}' in command or sys.platform != "linux"
    assert " -I " in command
    assert f'"parent": {os.getpid()}' in command
    pool._root.rmdir()

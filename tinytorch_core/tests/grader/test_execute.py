"""Whatever a cell does, the run ends, names the cell, and says why."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import nbformat
import pytest

from tinytorch_core.grader import execute
from tinytorch_core.grader.execute import run_notebook, run_source
from tinytorch_core.tests.warm import LIMITS, notebook_of, run_cells

pytestmark = pytest.mark.kernels


def limits(**changes):
    return type(LIMITS)(**{name: changes.get(name, getattr(LIMITS, name)) for name in LIMITS.__struct_fields__})


SHORT = limits(cell_seconds=2.0)


@pytest.fixture(scope="module")
def kernel(background, pool):
    """For cells that leave their kernel alive."""
    kernel = background.run(pool.take("cells"))
    yield kernel
    background.run(pool.discard(kernel))


def test_cells_run_in_order_and_each_is_announced(background, kernel):
    notebook = notebook_of("x = 1", "", "   ", "print(x + 1)")
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# Title"))
    said: list[tuple[int, str]] = []
    failure = background.run(
        run_notebook(kernel, notebook, LIMITS, lambda index, outcome: said.append((index, outcome)))
    )
    assert failure is None
    assert said == [(1, "running"), (1, "passed"), (4, "running"), (4, "passed")]
    assert notebook.cells[4].outputs[0].text == "2\n"


@pytest.mark.parametrize(
    ("source", "idle"),
    [
        ("", True),
        ("\n  \n", True),
        ("# only a remark\n", True),
        ("%check add\n%hint add  # help", True),
        ("%check", True),
        ("%check add\nx = 1", False),
        ("%checkers", False),
        ("%load_ext tinytorch_core", False),
        ("x = 1  # remark", False),
        ("#| export\nx = 1", False),
    ],
)
def test_a_cell_that_does_nothing_headless_is_not_sent(source, idle):
    assert execute.is_idle(source) is idle


def test_the_first_error_ends_the_run_and_is_located(background, kernel):
    ran, failure = background.run(run_cells(kernel, "a = 1", "def f():\n    return a / 0\nf()", "print('not reached')"))
    assert ran == ["", "", ""]
    assert (failure.index, failure.error, failure.message) == (1, "ZeroDivisionError", "division by zero")
    assert "----> 2     return a / 0" in failure.traceback
    assert "\x1b" not in failure.traceback


def test_a_kernel_has_the_next_cell_before_it_is_asked_for(background, kernel):
    begun = []

    def on_cell(index, outcome):
        if (index, outcome) == (0, "passed"):  # the event loop stands still: nothing more is sent
            end = time.monotonic() + 30
            while kernel.begun < before + 2 and time.monotonic() < end:
                time.sleep(0.001)
            begun.append(kernel.begun - before)

    before = kernel.begun
    assert background.run(run_notebook(kernel, notebook_of("1", "2", "3"), LIMITS, on_cell)) is None
    assert begun == [2]
    assert kernel.begun - before == 3


MUTE = "get_ipython().kernel.session.send = lambda *given, **named: {'content': {'status': 'ok'}}"


def test_a_cell_that_ends_python_is_named_though_nothing_was_heard_of_the_one_before(background, pool):
    async def run(*sources):
        kernel = await pool.take("cells")
        said: list[tuple[int, str]] = []
        failure = await run_notebook(kernel, notebook_of(*sources), SHORT, lambda *cell: said.append(cell))
        await pool.discard(kernel)
        return failure, said

    failure, said = background.run(run("1", MUTE, "# only a remark", "import os; os._exit(0)", "2"))
    assert (failure.index, failure.error) == (3, "KernelDied")
    assert said[2:] == [(1, "running"), (1, "passed"), (3, "running"), (3, "failed")]
    failure, said = background.run(run("1", MUTE + "; import os; os._exit(0)", "2"))
    assert (failure.index, said[-1]) == (1, (1, "failed"))
    failure, said = background.run(run("1", MUTE, "while True: pass", "2"))
    assert (failure.index, failure.error) == (2, "TimeLimit")
    failure, said = background.run(run("1", MUTE + "; import time; time.sleep(600)", "2"))
    assert (failure.index, failure.error) == (1, "TimeLimit")
    failure, said = background.run(run("1", "1 / 0", "import os; os._exit(0)", "2"))
    assert (failure.index, failure.error) == (1, "ZeroDivisionError")
    failure, said = background.run(run("1", "2", MUTE + "; import os; os._exit(0)"))
    assert (failure.index, said[-1]) == (2, (2, "failed"))


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import os; os._exit(0)", "KernelDied"),
        ("print('x' * 20_000_000, flush=True)", "OutputLimit"),
    ],
)
def test_a_cell_that_cuts_the_connection_is_named_by_a_worker_that_was_busy(background, pool, source, error):
    async def run():
        kernel, end = await pool.take("cells"), time.monotonic() + 30
        before = kernel.begun
        running = asyncio.ensure_future(run_cells(kernel, "1", source, "2"))
        while kernel.begun == before and time.monotonic() < end:
            await asyncio.sleep(0)
        while not kernel.client.cut_off() and time.monotonic() < end:  # the event loop stands still
            time.sleep(0.001)
        _, failure = await running
        await pool.discard(kernel)
        return failure.index, failure.error

    assert background.run(run()) == (1, error)


def test_a_failing_cell_is_announced_as_failed_and_named_by_its_id(background, kernel):
    notebook = notebook_of("1 / 0")
    said: list[tuple[int, str]] = []
    failure = background.run(
        run_notebook(kernel, notebook, LIMITS, lambda index, outcome: said.append((index, outcome)))
    )
    assert said == [(0, "running"), (0, "failed")]
    assert failure.id == notebook.cells[0].id


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("def f(:\n    pass", "SyntaxError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("raise SystemExit", "SystemExit"),
        ("input('your name? ')", "StdinNotImplementedError"),
        ("import getpass; getpass.getpass()", "StdinNotImplementedError"),
        ("%no_such_magic", "UsageError"),
        ("import numpy as np; np.ones((10**6, 10**6))", "MemoryError"),
        ("class E(Exception):\n    def __str__(self): return 'x' * 10**6\nraise E", "E"),
    ],
)
def test_an_error_is_told_by_its_name_and_the_kernel_lives(background, kernel, source, error):
    _, failure = background.run(run_cells(kernel, source))
    assert failure.error == error
    assert len(failure.message) <= 2000
    assert len(failure.traceback) <= 20_000
    assert background.run(run_cells(kernel, "1")) == ([""], None)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise OSError(30, 'Read-only file system', '/x')", "only to its own folder"),
        ("raise PermissionError(13, 'Permission denied', '/x')", "only to its own folder"),
        ("raise OSError(-3, 'Temporary failure in name resolution')", "may have no network"),
    ],
)
def test_an_error_that_comes_from_being_graded_is_explained(background, kernel, source, words):
    _, failure = background.run(run_cells(kernel, source))
    assert words in failure.hint
    _, failure = background.run(run_cells(kernel, "1 / 0"))
    assert failure.hint == ""


def test_a_cell_that_throws_the_streams_away_does_not_silence_the_kernel(background, kernel):
    cells = ["import sys; sys.stdout = sys.stderr = None", "print('heard')"]
    printed, failure = background.run(run_cells(kernel, *cells))
    assert (printed[1].strip(), failure) == ("heard", None)


def test_a_character_that_is_none_hinders_no_cell(background, kernel):
    printed, failure = background.run(run_cells(kernel, "1", "print('half of a pair: \ud800')", "print(2)"))
    assert (printed, failure) == (["", "half of a pair: ?\n", "2\n"], None)


def test_of_many_outputs_only_the_first_are_kept(background, kernel):
    notebook = notebook_of("for n in range(300): print(n, flush=True)\n1 / 0")
    failure = background.run(run_notebook(kernel, notebook, LIMITS, lambda index, outcome: None))
    assert failure.error == "ZeroDivisionError"
    kept = [output.text for output in notebook.cells[0].outputs if output.output_type == "stream"]
    assert len(kept) == execute.MAX_OUTPUTS
    assert kept[:3] == ["0\n", "1\n", "2\n"]


def test_widgets_plots_and_shell_commands_of_honest_notebooks_work(background, kernel):
    cells = [
        "import ipywidgets; ipywidgets.IntSlider()",
        "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
        "!echo hello from the shell",
        "%%writefile note.txt\nkept",
        "print(open('note.txt').read())",
        "import tempfile; tempfile.TemporaryFile().write(b'x')",
        "import multiprocessing; multiprocessing.Lock()",
    ]
    printed, failure = background.run(run_cells(kernel, *cells))
    assert failure is None
    assert "hello from the shell" in printed[2]
    assert printed[4].strip() == "kept"


@dataclasses.dataclass
class Attack:
    """A last cell, the limits it meets, and the error it ends as."""

    source: str
    error: str
    limits: Any = LIMITS
    said: str = ""


SEND = """
from IPython import get_ipython
kernel = get_ipython().kernel
def send(kind, content):
    kernel.session.send(kernel.iopub_socket, kind, content=content, parent=kernel.get_parent("shell"))
"""
ATTACKS = {
    "a loop that catches everything, with all signals blocked": Attack(
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass", "TimeLimit", SHORT, "still running after 2 seconds",
    ),
    "os._exit": Attack("import os; os._exit(0)", "KernelDied", said="Python stopped while this cell was running."),
    "a crash": Attack("import os; os.kill(os.getpid(), 9)", "KernelDied"),
    "quit()": Attack("quit()", "KernelDied"),
    "an endless print": Attack("while True: print('x' * 1000)", "OutputLimit", said="more than 4 MiB"),
    "one huge print": Attack("print('x' * 20_000_000)", "OutputLimit"),
    "a print of a thread": Attack(
        "import threading, time\ndef talk():\n    while True: print('x' * 10_000)\n"
        "threading.Thread(target=talk, daemon=True).start()\ntime.sleep(600)", "OutputLimit",
    ),
    "endless displays": Attack(
        "from IPython.display import display\nwhile True: display({'text/plain': 'x' * 100_000}, raw=True)", "OutputLimit"
    ),
    "a list that grows": Attack("hoard = []\nwhile True: hoard.append(b'x' * 10**7)", "MemoryLimit", said="more than 1536 MiB"),
    "memory of children": Attack(
        "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n        hoard = [b'x' * 10**6 for _ in range(250)]\n"
        "        time.sleep(600)\ntime.sleep(600)", "MemoryLimit", limits(memory_bytes=2**30),
    ),
    "a stopped kernel": Attack("import os; os.kill(os.getpid(), 19)", "TimeLimit", SHORT),
    "a display of nothing": Attack(SEND + "send('display_data', {'data': None})", "KernelDied", said="cannot be understood"),
    "bytes that are no message": Attack(
        SEND + "kernel.iopub_socket.send_multipart([b'not', b'a', b'message'])", "KernelDied", said="cannot be understood"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def ended(background, pool):
    """Each attack in a kernel of its own, several at once: its failure, and whether its kernel outlived the end."""
    gate = asyncio.Semaphore(3)

    async def one(attack):
        async with gate:
            kernel = await pool.take("cells")
            _, failure = await run_cells(kernel, "ready = 1", attack.source, "print('went on')", limits=attack.limits)
            await pool.kill(kernel)
            alive = kernel.alive()
            await pool.discard(kernel)
            return failure, alive

    async def all_of_them():
        return await asyncio.gather(*map(one, ATTACKS.values()))

    return dict(zip(ATTACKS, background.run(all_of_them()), strict=True))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_with_the_cell_and_the_reason(ended, name):
    failure, _ = ended[name]
    assert (failure.index, failure.error) == (1, ATTACKS[name].error)
    assert ATTACKS[name].said in failure.message
    assert failure.hint


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_outlives_the_end_of_the_run(ended, name):
    assert ended[name][1] is False


TALKATIVE = """
import pathlib, time
from IPython.display import display
pathlib.Path("begun").touch()
while not pathlib.Path("go").exists(): time.sleep(0.01)
for _ in range(2500): display({"text/plain": "x"}, raw=True)
pathlib.Path("said").touch()
"""


def test_thousands_of_outputs_are_heard_to_the_end_by_a_worker_that_was_busy(background, pool):
    async def busy_while_it_talks(folder):
        while not (folder / "begun").exists():
            await asyncio.sleep(0.01)
        (folder / "go").touch()
        while not (folder / "said").exists():  # the event loop stands still
            time.sleep(0.01)

    async def run():
        kernel = await pool.take("cells")
        busy = asyncio.ensure_future(busy_while_it_talks(kernel.scratch / "notebooks"))
        _, failure = await run_cells(kernel, TALKATIVE, limits=limits(cell_seconds=30))
        await busy
        await pool.discard(kernel)
        return failure

    assert background.run(run()) is None


def test_a_cancelled_cell_says_so(background, pool):
    async def cancelled():
        kernel = await pool.take("cells")
        running = asyncio.Event()
        notebook = notebook_of("while True: pass")
        run = asyncio.ensure_future(run_notebook(kernel, notebook, LIMITS, lambda index, outcome: running.set()))
        await running.wait()
        kernel.stop("cancelled")
        failure = await run
        await pool.discard(kernel)
        return failure

    failure = background.run(cancelled())
    assert (failure.index, failure.error, failure.hint) == (0, "Cancelled", "")


def test_our_own_cell_hands_over_its_payload_and_gets_answers(background, pool):
    answers: list[Any] = []
    source = "_tinytorch_harness.publish(_tinytorch_harness.payload() + '!')\nprint('not an answer')"

    async def run():
        kernel = await pool.take("checks")
        failure = await run_source(kernel, source, "what goes in", LIMITS, answers.append)
        await pool.discard(kernel)
        return failure

    assert background.run(run()) is None
    assert answers == ["what goes in!"]

"""The work of the 20-cell notebook done by others, beside our verdict, in one run: what a student waits for.

    pip install nbgrader papermill      in this environment or another; --python names the other one's Python
    python benchmarks/peers.py [--rounds 7] [--python PATH] [--json]

ours        click → verdict through a running server, as in verdict.py
nbgrader    `nbgrader autograde` of one submission; its autograded cells are our checks' calls, with the wanted values written down
papermill   `papermill` of the solved notebook
nbclient    `jupyter execute` of the solved notebook

They start a Python and a kernel each time, and that is what they cost. Rounds are interleaved, medians are compared; one BLAS thread.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from running_server import RunningServer
from verdict import workloads

from tinytorch_core import authoring

COMMANDS = {
    "nbgrader": ["nbgrader", "autograde", "twenty", "--force", "--log-level=ERROR"],
    "papermill": ["papermill", "solved.ipynb", "out.ipynb", "--no-progress-bar", "--kernel=python3"],
    "nbclient": ["jupyter", "execute", "--output=out2.ipynb", "solved.ipynb"],
}
CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "bench"
c.CourseDirectory.root = {root!r}
c.ClearSolutions.code_stub = {{"python": "raise NotImplementedError()"}}
"""


class Peers:
    """A folder with the solved notebook, and an nbgrader course with one submission of it."""

    def __init__(self, folder: Path, cells: list[str], tests: list[str], python: str) -> None:
        self.folder = folder
        self.bin = Path(python).parent
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])  # type: ignore[no-untyped-call]
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        (folder / "solved.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
        for number, test in enumerate(tests):
            cell = nbformat.v4.new_code_cell(test)  # type: ignore[no-untyped-call]
            cell.metadata["nbgrader"] = {
                "grade": True, "solution": False, "locked": True, "task": False, "points": 1,
                "grade_id": f"test-{number}", "schema_version": 3, "cell_type": "code",
            }  # fmt: skip
            notebook.cells.append(cell)
        (folder / "nbgrader_config.py").write_text(CONFIG.format(root=str(folder)), encoding="utf-8")
        for place in ("source/twenty", "submitted/student/twenty"):
            (folder / place).mkdir(parents=True)
            (folder / place / "twenty.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")

    def installed(self) -> list[str]:
        return [name for name, command in COMMANDS.items() if shutil.which(command[0], path=str(self.bin))]

    def prepare(self) -> None:
        if "nbgrader" in self.installed():
            self._run(["nbgrader", "generate_assignment", "twenty", "--force", "--create", "--log-level=ERROR"])

    def seconds(self, name: str) -> float:
        start = time.perf_counter()
        self._run(COMMANDS[name])
        return time.perf_counter() - start

    def _run(self, command: list[str]) -> None:
        environment = {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


TESTS = [
    "import numpy as np\nx = np.arange({n}.0, {n}.0 + 9)\nassert abs(mean(x) - {n}.0 - 4) < 1e-9".replace("{n}", str(n))
    for n in range(15)
]
"""Fifteen, as the notebook has checks."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    course, module = workloads()["20 cells"]
    solution = authoring.solution_notebook(course, module)
    cells = [c.source for c in solution.cells if c.cell_type == "code" and "tinytorch_core" not in c.source]
    cells = [source for source in cells if not source.startswith("%")]
    with tempfile.TemporaryDirectory(prefix="tinytorch-peers-") as folder:
        (Path(folder) / "peers").mkdir()
        peers = Peers(Path(folder) / "peers", cells, TESTS, arguments.python)
        names = peers.installed()
        if not names:
            sys.exit("None of them is installed: pip install nbgrader papermill")
        peers.prepare()
        times: dict[str, list[float]] = {name: [] for name in ("ours", *names)}
        with RunningServer(course, Path(folder)) as server:
            server.solve_up_to(module)
            server.verdict(module)
            for _ in range(arguments.rounds):
                times["ours"].append(server.verdict(module).seconds)
                for name in names:
                    times[name].append(server.idle(lambda name=name: peers.seconds(name)))  # type: ignore[misc]
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    if arguments.json:
        print(json.dumps({"seconds": medians}))
        return
    for name, seconds in medians.items():
        print(f"{name:10} {1000 * seconds:8.0f} ms {seconds / medians['ours']:6.1f} ×")


if __name__ == "__main__":
    main()

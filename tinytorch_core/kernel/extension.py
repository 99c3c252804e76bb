"""`%load_ext tinytorch_core`: the student's package on the path, `%check` and `%hint` in the notebook.

It reads what it needs from the workspace's .tinytorch/course.json. In a headless run `%check` and `%hint` do nothing: the checks run anyway.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from tinytorch_core.kernel import package, speed

HEADLESS = "TINYTORCH_HEADLESS"
NOT_LOADED = (
    "%check and %hint come with the first cell of this notebook, and it has not run since this kernel started. Choose "
    "Run > Run All Above Selected Cell in the menu, then run this cell again."
)


class Course:
    """The workspace's course.json: modules, exercises and hints as plain data."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        data = json.loads((workspace / ".tinytorch" / "course.json").read_text(encoding="utf-8"))
        self.modules: list[dict[str, Any]] = data["modules"]
        self.checks = Path(data["checks"])
        self.grading: str = data.get("grading", "")
        """The module being graded; only in the scratch folder of a headless run."""

    def module(self, module_id: str) -> dict[str, Any] | None:
        return next((m for m in self.modules if m["id"] == module_id), None)

    def exercise(self, exercise_id: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        return next(((m, e) for m in self.modules for e in m["exercises"] if e["id"] == exercise_id), None)

    def before(self, module: dict[str, Any]) -> list[str]:
        return [m["name"] for m in self.modules[: self.modules.index(module)]]


def find_workspace(start: Path) -> Path | None:
    return next(
        (folder for folder in (start, *start.parents) if (folder / ".tinytorch" / "course.json").is_file()), None
    )


def current_module_id() -> str:
    """The module whose notebook this kernel belongs to, as far as a kernel can know: by the name of its session."""
    name = Path(os.environ.get("JPY_SESSION_NAME", "")).name
    found = re.match(r"\d\d_[a-z]+", name)
    return found.group() if found else ""


def load(shell: Any) -> None:
    """Called by IPython."""
    headless = bool(os.environ.get(HEADLESS))
    speed.settle()
    workspace = find_workspace(Path.cwd())
    if workspace is None:
        print(
            "This folder is not part of a TinyTorch workspace. Start one with `tito lab`, or open this notebook inside it."
        )
        return
    if str(workspace) not in sys.path:
        sys.path.insert(0, str(workspace))
    course = Course(workspace)
    module = course.module(course.grading or current_module_id())
    if module is not None:
        package.install_live(workspace, shell.user_module, module["name"], course.before(module))
    magics = Silent() if headless else Magics(course)
    shell.register_magic_function(magics.check, "line", "check")
    shell.register_magic_function(magics.hint, "line", "hint")


def prepare(shell: Any) -> None:
    """Until %load_ext has run, let %check and %hint say so. JupyterLab calls this whenever a module's kernel has started."""
    for name in ("check", "hint"):
        if shell.find_line_magic(name) is None:
            shell.register_magic_function(lambda line: print(NOT_LOADED), "line", name)


class Silent:
    """The magics of a headless run."""

    def check(self, line: str) -> None:
        """Nothing: every check runs anyway."""

    def hint(self, line: str) -> None:
        """Nothing: nobody is reading."""


class Magics:
    """The magics of a live notebook."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.shown: dict[str, int] = {}

    def check(self, line: str) -> None:
        """%check EXERCISE: run the exercise's checks on the code in this notebook."""
        found = self._find(line, "%check")
        if found is None:
            return
        from tinytorch_core.kernel.live import check_exercise, show

        module, exercise = found
        if "tinytorch" not in sys.modules or module["id"] != current_module_id():
            notebook, earlier = sys.modules["__main__"], self.course.before(module)
            package.install_live(self.course.workspace, notebook, module["name"], earlier, afresh=False)
        show(check_exercise(self.course.checks, module, exercise, sys.modules["tinytorch"]))

    def hint(self, line: str) -> None:
        """%hint EXERCISE: the next hint; each call goes one further."""
        found = self._find(line, "%hint")
        if found is None:
            return
        hints = found[1]["hints"]
        if not hints:
            print(f"{found[1]['id']} has no hints. Its docstring and the text above it say what is needed.")
            return
        index = min(self.shown.get(found[1]["id"], 0), len(hints) - 1)
        self.shown[found[1]["id"]] = index + 1
        more = f"   (%hint {found[1]['id']} again for more)" if index + 1 < len(hints) else ""
        print(f"Hint {index + 1} of {len(hints)}: {hints[index]}{more}")

    def _find(self, line: str, magic: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        name = line.split("#")[0].strip().strip("\"'")
        found = self.course.exercise(name)
        if found is None:
            module = self.course.module(current_module_id())
            names = [e["id"] for e in module["exercises"]] if module else []
            known = f" This notebook has: {', '.join(names)}." if names else ""
            print(f"There is no exercise {name!r}.{known}" if name else f"Say which exercise: {magic} EXERCISE.{known}")
        return found

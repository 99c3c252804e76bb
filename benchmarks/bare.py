"""The work without any grading: cells and checks called in one live process."""

from __future__ import annotations

import contextlib
import io
import secrets
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot

from tinytorch_core import authoring
from tinytorch_core.catalogue import Course, Module
from tinytorch_core.coursecheck import solved
from tinytorch_core.grader.checks import Package, load
from tinytorch_core.kernel.checking import observe
from tinytorch_core.kernel.package import forget_package, import_package
from tinytorch_core.kernel.verdicts import outcome_of


class BareWork:
    """A module's solved notebook and its checks, ready to be run again and again."""

    def __init__(self, course: Course, module: Module) -> None:
        cells = authoring.solution_notebook(course, module).cells
        self.cells = [c.source for c in cells if c.cell_type == "code" and not c.source.lstrip().startswith("%")]
        self.checks = load(course.checks_source(module.id)).checks
        *earlier, own = solved(course, course.modules[: module.number])
        self.package = Package.of(earlier, own)
        self._temporary = tempfile.TemporaryDirectory(prefix="tinytorch-bare-")
        self.folder = Path(self._temporary.name)
        for name, source in self.package.sources.items():
            path = self.folder / (name.replace(".", "/") + ".py" if name != "tinytorch" else "tinytorch/__init__.py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(source, encoding="utf-8")
        sys.path.insert(0, str(self.folder))
        self.shell = InteractiveShell.instance()
        self.shell.display_pub = CapturingDisplayPublisher()
        self.shell.run_cell("import matplotlib.pyplot", store_history=False).raise_error()
        self.shell.events.register(
            "post_execute", lambda: pyplot.close("all")
        )  # figures end with their cell, as in grading

    def run(self) -> float:
        """Seconds for every cell, then every check with its judge. Raises if anything does not pass."""
        forget_package()
        self.shell.reset(new_session=False)
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            for cell in self.cells:
                self.shell.run_cell(cell, store_history=False).raise_error()
        forget_package()
        package, broken = import_package(self.package.sources, self.package.name, self.package.earlier_init)
        if broken is not None:
            raise broken
        for check in self.checks:
            self._check(check, package)
        sys.meta_path.pop(0)
        return time.perf_counter() - start

    def _check(self, check, package) -> None:  # type: ignore[no-untyped-def]
        inputs = check.inputs(np.random.default_rng(secrets.randbits(64)))
        outcome = outcome_of(check, inputs, {"answer": observe(check.body, package, inputs)})
        if outcome.outcome != "passed":
            raise AssertionError(f"{check.id}: {outcome.message}")

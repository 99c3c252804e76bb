"""A workspace in small, for the kernel that runs the cells: it can write here and nowhere else."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tinytorch_core.catalogue import Course
from tinytorch_core.export import package_init
from tinytorch_core.grader.job import MIB, Accepted
from tinytorch_core.workspace import course_json


def prepare_scratch(scratch: Path, course: Course, accepted: Sequence[Accepted], module: str, beside: str) -> None:
    """Lay out the accepted package, course.json with the module being graded, and the small files beside the notebook."""
    package = scratch / "tinytorch"
    package.mkdir(parents=True)
    (scratch / ".tinytorch").mkdir()
    described = {**json.loads(course_json(course)), "grading": module}
    (scratch / ".tinytorch" / "course.json").write_text(json.dumps(described), encoding="utf-8")
    names = [(a.module[3:], a.names) for a in accepted]
    (package / "__init__.py").write_text(package_init(names), encoding="utf-8")
    for item in accepted:
        (package / f"{item.module[3:]}.py").write_text(item.source, encoding="utf-8")
    if beside:
        _copy_small_files(Path(beside), scratch / "notebooks")


def _copy_small_files(folder: Path, target: Path) -> None:
    """What an honest cell may read by a relative path: regular files of up to 4 MiB, 64 of them, and no notebooks."""
    if not folder.is_dir():
        return
    files = (
        p for p in sorted(folder.iterdir()) if p.suffix not in (".ipynb", ".py") and p.is_file() and not p.is_symlink()
    )
    for path, _ in zip(files, range(64), strict=False):
        with contextlib.suppress(OSError):  # what can't be read by us is not there for a cell either
            if path.stat().st_size <= 4 * MIB:
                shutil.copyfile(path, target / path.name)

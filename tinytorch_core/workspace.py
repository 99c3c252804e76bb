"""The student's folder: notebooks, the package made of what was accepted, and `.tinytorch/` with the record of it.

The record is the truth. `materialise` brings the folder up to it as often as one likes; notebooks are the student's and
are only ever added, or replaced with a backup when `reset` or `restore` is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from tinytorch_core import __version__, authoring, files, package, progression, repair
from tinytorch_core.backups import Backups
from tinytorch_core.catalogue import Course, Module
from tinytorch_core.errors import NotebookUnreadable, WorkspaceError
from tinytorch_core.export import INIT_HEADER, export, package_init
from tinytorch_core.progress import Completion

FOLDERS = (".tinytorch", "notebooks", "historical", "tinytorch")
BACKUPS = ".tinytorch/backups"
NOTEBOOK_LIMIT = 64 * 1024 * 1024
LOCK_SECONDS = 30.0
FRESH_NS = 2_000_000_000
"""A file changed this recently may change once more without a new time stamp, so nothing about it is remembered."""


def course_json(course: Course) -> str:
    """What a kernel has to know of the course: where the checks are, the modules, their exercises and hints."""
    modules = [
        {
            "id": module.id,
            "name": module.name,
            "title": module.title,
            "exercises": [{"id": e.id, "title": e.title, "hints": list(e.hints)} for e in module.exercises],
        }
        for module in course.modules
    ]
    described = {"version": __version__, "checks": str((course.root / "checks").resolve()), "modules": modules}
    return msgspec.json.format(msgspec.json.encode(described), indent=1).decode() + "\n"


class Workspace:
    """One student's folder. Methods raise WorkspaceError, saying where and what to do, when files are in the way."""

    def __init__(self, root: Path, course: Course) -> None:
        self.root = root.resolve()
        self.course = course
        self.backups = Backups(self.root / BACKUPS)
        self._lock = FileLock(self.root / ".tinytorch" / "workspace.lock", timeout=LOCK_SECONDS)
        self._edited: dict[str, tuple[tuple[Any, ...], bool]] = {}

    @classmethod
    def find(cls, start: Path, course: Course) -> Workspace:
        """The workspace that `start` lies in: the nearest folder upward with `.tinytorch`."""
        start = start.resolve()
        for folder in (start, *start.parents):
            if cls.exists(folder):
                return cls(folder, course)
        raise WorkspaceError(
            f"{start} is not in a TinyTorch workspace. `tito init` makes one here, `tito lab` opens it too."
        )

    @classmethod
    def create(cls, root: Path, course: Course) -> Workspace:
        """Make `root` a workspace, or adopt it if it is one already. `materialise` then puts the notebooks into it."""
        workspace = cls(root.expanduser(), course)
        with _explained(f"{workspace.root} can't become a workspace"):
            workspace._refuse_foreign()
            workspace.root.mkdir(parents=True, exist_ok=True)
            workspace._make_folders()
            with workspace.lock():
                workspace._write_course()
        return workspace

    @staticmethod
    def exists(root: Path) -> bool:
        return (root / ".tinytorch").is_dir()

    @property
    def store_path(self) -> Path:
        return self.root / ".tinytorch" / "progress.db"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other threads and processes from changing the folder; may be taken again by who has it.

        Who reads the record for `materialise` inside it never brings an older state over a newer one.
        """
        try:
            with self._lock:
                yield
        except Timeout:
            raise WorkspaceError(
                f"Another program has been changing {self.root} for {LOCK_SECONDS:.0f} seconds. Wait for it, then try again."
            ) from None

    def path(self, relative: str | Path) -> Path:
        """The file that `relative` names, links resolved. Raises WorkspaceError if that leads out of the workspace."""
        try:
            resolved = (self.root / relative).resolve()
        except (ValueError, OSError, RuntimeError) as error:  # null bytes, or links in a circle
            raise WorkspaceError(f"{str(relative)!r} is no path in the workspace: {error}.") from error
        if not resolved.is_relative_to(self.root):
            raise WorkspaceError(f"{str(relative)!r} leads out of the workspace {self.root}. Use a file inside it.")
        return resolved

    def notebook(self, module: Module) -> Path:
        """Where the module's notebook lies, whether it is there yet or not."""
        return self._own(module.notebook)

    def read_notebook(self, path: Path) -> bytes:
        """The bytes of a notebook, at most 64 MiB, read once. Raises NotebookUnreadable for what is not a plain file."""
        own = self._own(path)
        try:
            return files.read_regular(own, NOTEBOOK_LIMIT)
        except FileNotFoundError as error:
            raise NotebookUnreadable(f"{own} is not there. Open the module, and it is put back.") from error
        except OSError as error:
            raise NotebookUnreadable(
                f"{own} can't be read: {error.strerror}. Move it away and open the module again, or mend it."
            ) from error

    def materialise(self, completions: Mapping[str, Completion]) -> list[Path]:
        """Bring the folder up to the record: the package, what is unlocked and missing, `course.json`.

        Does nothing where all is well, never overwrites a notebook, and repairs what a crash left. Returns the backups of
        what somebody had put into the package or changed there.
        """
        with _explained(f"{self.root} can't be brought up to date"), self.lock():
            self._make_folders()
            for folder in (*FOLDERS, BACKUPS):
                files.remove_temporaries(self.root / folder)
            self._write_course()
            self._add_notebooks(completions)
            manifest = self.root / ".tinytorch" / "package.json"
            return package.bring_up_to(self.root / "tinytorch", self._sources(completions), manifest, self.backups)

    def backup(self, path: Path) -> Path:
        """Keep a copy of a file in `.tinytorch/backups/`, under its name and the time, and say where."""
        with _explained(f"{path} can't be backed up"):
            self._make_folders()
            return self.backups.copy(self._own(path))

    def reset(self, module: Module) -> Path | None:
        """A fresh notebook in place of the student's. Returns where that one is kept; None if there was none."""
        path = self.notebook(module)
        fresh = authoring.to_bytes(authoring.student_notebook(self.course, module))
        with _explained(f"{path} can't be reset"), self.lock():
            self._make_folders()
            backup = self._kept(path)
            files.write_atomic(path, fresh)
        return backup

    def restore(self, module: Module) -> tuple[Path, Path | None, list[str]]:
        """Put the notebook's exercise and given cells right. Returns its path, the backup of it as it was, and what was done.

        Nothing is written, and the backup is None, if nothing had to be done.
        """
        path = self.notebook(module)
        template = authoring.student_notebook(self.course, module)
        with _explained(f"{path} can't be restored"), self.lock():
            mended, done = repair.repair(repair.parse(self.read_notebook(path)), template)
            if not done:
                return path, None, []
            self._make_folders()
            backup = self.backups.copy(path)
            files.write_atomic(path, repair.to_bytes(mended))
        return path, backup, done

    def edited(self, module: Module, completion: Completion) -> bool:
        """Whether the notebook would now make another package module than the one accepted. A missing notebook would not."""
        try:
            stat = self.notebook(module).lstat()
        except FileNotFoundError:
            return False
        state = (stat.st_ino, stat.st_size, stat.st_mtime_ns, completion.attempt)
        known = self._edited.get(module.id)
        if known and known[0] == state:
            return known[1]
        edited = self._differs(module, completion)
        if time.time_ns() - stat.st_mtime_ns > FRESH_NS:
            self._edited[module.id] = (state, edited)
        return edited

    def _differs(self, module: Module, completion: Completion) -> bool:
        """Both notebooks are exported anew: how sources are laid out may have changed since the module passed."""
        try:
            data = self.read_notebook(self.notebook(module))
            if hashlib.sha256(data).hexdigest() == completion.notebook_sha256:
                return False
            now, accepted = (export(repair.parse(notebook), module) for notebook in (data, completion.notebook))
        except NotebookUnreadable:
            return True
        return now.source != accepted.source

    def _own(self, path: str | Path) -> Path:
        """A path in the workspace whose last part is not followed, should it be a link."""
        whole = self.root / path
        return self.path(whole.parent) / whole.name

    def _kept(self, path: Path) -> Path | None:
        """Where what is at `path` is kept now: a copy of a file, or the odd thing itself."""
        if not os.path.lexists(path):
            return None
        try:
            return self.backups.copy(path)
        except (files.OddFile, PermissionError):  # a folder, a link, or a file that may not be read
            return self.backups.move(path)

    def _refuse_foreign(self) -> None:
        if self.root == self.course.root.resolve():
            raise WorkspaceError(f"{self.root} holds the course's own sources. Choose another folder for a workspace.")
        known = self.exists(self.root)
        if not known and package.is_foreign(self._folder("tinytorch"), INIT_HEADER):
            raise WorkspaceError(
                f"{self.root / 'tinytorch'} is there already, and was not made by TinyTorch for JupyterLab, whose package goes "
                "there. Choose an empty folder, or rename that one."
            )

    def _make_folders(self) -> None:
        for name in (*FOLDERS, BACKUPS, ".tinytorch/scratch"):
            self._folder(name).mkdir(exist_ok=True)

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
            raise WorkspaceError(
                f"{folder} is in the way: it is {files.kind(folder)}, not a folder. Move it, then try again."
            )
        return folder

    def _write_course(self) -> None:
        path, content = self.root / ".tinytorch" / "course.json", course_json(self.course).encode()
        if not path.is_file() or path.read_bytes() != content:
            files.write_atomic(path, content)

    def _add_notebooks(self, completions: Mapping[str, Completion]) -> None:
        """Every notebook that is unlocked and not there; one that was accepted comes back as it was accepted."""
        for module in self.course.modules:
            path = self.notebook(module)
            if progression.is_open(self.course, completions.keys(), module) and not os.path.lexists(path):
                _add(path, self._first_notebook(module, completions.get(module.id)))
        for historical in self.course.historical:
            path = self._own(historical.notebook)
            if progression.is_available(completions.keys(), historical) and not os.path.lexists(path):
                _add(path, authoring.to_bytes(authoring.historical_notebook(self.course, historical)))

    def _first_notebook(self, module: Module, completion: Completion | None) -> bytes:
        if completion:
            return completion.notebook
        return authoring.to_bytes(authoring.student_notebook(self.course, module))

    def _sources(self, completions: Mapping[str, Completion]) -> dict[str, bytes]:
        accepted = [(m.name, completions[m.id]) for m in self.course.modules if m.id in completions]
        sources = {f"{name}.py": completion.source for name, completion in accepted}
        sources["__init__.py"] = package_init([(name, completion.names) for name, completion in accepted])
        return {name: source.encode() for name, source in sources.items()}


def _add(path: Path, content: bytes) -> None:
    with contextlib.suppress(FileExistsError):  # JupyterLab saved it just now: the student's own comes first
        files.write_new(path, content)


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """The one door where the system's refusals become ours."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise WorkspaceError(
            f"{what}: {error.strerror or error}{where}. Check that the disk has room and that its files are yours to write; then "
            "try again."
        ) from error

"""Which workspace this server serves, and how its files are called in JupyterLab."""

from __future__ import annotations

from pathlib import Path

from tinytorch_core import studying
from tinytorch_core.catalogue import Course
from tinytorch_core.errors import WorkspaceError
from tinytorch_core.studying import Study
from tinytorch_core.workspace import Workspace


class Folder:
    """The server's root folder, and the workspace in it or around it.

    `configured` is TinyTorchApp.workspace_dir: absolute, or relative to the root; empty to look for one.
    """

    def __init__(self, course: Course, root: Path, configured: str = "") -> None:
        self.course = course
        self.root = root.resolve()
        self.wanted = (self.root / configured).resolve()
        if not self.wanted.is_relative_to(self.root):
            raise WorkspaceError(
                f"TinyTorchApp.workspace_dir is {self.wanted}, which lies outside {self.root}, the folder that this "
                "server shows. Choose a folder inside it, or start JupyterLab in the workspace: `tito lab DIR`."
            )
        self._study: Study | None = None

    def study(self) -> Study | None:
        """The study of this server; None while there is no workspace."""
        if self._study and Workspace.exists(self._study.workspace.root):
            return self._study
        found = next((f for f in (self.wanted, *self.wanted.parents) if Workspace.exists(f)), None)
        self._study = studying.find(found, self.course) if found else None
        return self._study

    def require(self) -> Study:
        study = self.study()
        if study is None:
            raise WorkspaceError(
                f"{self.wanted} is no workspace yet. Start the course in the sidebar, or with `tito init`."
            )
        return study

    def create(self) -> Study:
        """Make or adopt the workspace, and put right what a crash left in it."""
        known = self.study()
        self._study = studying.create(known.workspace.root if known else self.wanted, self.course)
        return self._study

    def contents_path(self, relative: str) -> str:
        """A path of the workspace as Jupyter's contents API calls it."""
        path = self.require().workspace.root / relative
        if not path.is_relative_to(self.root):
            raise WorkspaceError(
                f"{path} lies outside {self.root}, the folder that this server shows. Stop JupyterLab and start it with "
                f"`tito lab {self.require().workspace.root}`."
            )
        shown = path.relative_to(self.root).as_posix()
        return "" if shown == "." else shown

    def shown_path(self, relative: str) -> str:
        """The same for a list: a notebook that this server can't show keeps its path in the workspace."""
        try:
            return self.contents_path(relative)
        except WorkspaceError:
            return relative

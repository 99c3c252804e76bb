"""The Jupyter server extension `tinytorch_core`: its settings, and what it starts and stops.

Jupyter imports this file at every start, so it imports the rest only when the server initialises the extension.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Float, Int, Unicode

from tinytorch_core.catalogue import Course, default_course

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from tinytorch_core.grader.client import Grader
    from tinytorch_core.server.folder import Folder
    from tinytorch_core.server.services import Services

MIB = 1024 * 1024


class TinyTorchApp(ExtensionApp):
    """TinyTorch for JupyterLab: grades a student's notebooks and keeps the record of what passed."""

    name = "tinytorch_core"
    description = __doc__ or ""

    workspace_dir = Unicode(
        "",
        help="The student's workspace: a folder inside the server's root folder, absolute or relative to it. "
        "Empty: the root folder, or the nearest folder above it that is a workspace.",
    ).tag(config=True)
    cell_timeout = Float(60, min=1, help="Seconds that one cell of a notebook may run while it is graded.").tag(
        config=True
    )
    run_timeout = Float(300, min=1, help="Seconds that one grading may take.").tag(config=True)
    memory_limit = Int(4096 * MIB, min=512 * MIB, help="Bytes of memory that a grading kernel may use.").tag(
        config=True
    )
    output_limit = Int(32 * MIB, min=MIB, help="Bytes that a notebook may print while it is graded.").tag(config=True)
    waiting_limit = Int(8, min=0, help="How many gradings may wait while another one runs.").tag(config=True)

    course_factory: Callable[[], Course] = staticmethod(default_course)
    """Tests put a small course here."""

    def initialize_settings(self) -> None:
        self.settings["tinytorch_services"] = self._services()

    def initialize_handlers(self) -> None:
        from tinytorch_core.server.handlers import HANDLERS

        self.handlers.extend(HANDLERS)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        self.services.begin_soon()

    async def stop_extension(self) -> None:
        if "tinytorch_services" in self.settings:
            await self.services.close()

    def current_activity(self) -> dict[str, str]:
        """A server that shuts down when idle waits for a grading."""
        return self.services.grading.checking()

    @property
    def services(self) -> Services:
        services: Services = self.settings["tinytorch_services"]
        return services

    def _services(self) -> Services:
        from tinytorch_core.server.events import Announcer, register
        from tinytorch_core.server.grading import GradingService
        from tinytorch_core.server.services import Services

        register(self._server.event_logger)
        announcer = Announcer(lambda: self._server.event_logger)
        grading = GradingService(self.make_grader, announcer, self.waiting_limit, self.log)
        return Services(self.course_factory(), self._folder, announcer, grading, self.log)

    def _folder(self) -> Folder:
        from tinytorch_core.server.folder import Folder

        return Folder(self.course_factory(), Path(self._server.root_dir), self.workspace_dir)

    def make_grader(self) -> Grader:
        """The grader with this server's limits. Tests put one of their own in its place."""
        from tinytorch_core.grader.client import Grader
        from tinytorch_core.grader.job import Limits

        limits = Limits(
            cell_seconds=self.cell_timeout,
            run_seconds=self.run_timeout,
            memory_bytes=self.memory_limit,
            output_bytes=self.output_limit,
        )
        return Grader(self.course_factory(), limits)

    @property
    def _server(self) -> Any:
        return self.serverapp

"""What the handlers ask: the folder, the gradings, the announcements and the health of one server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any

import msgspec

from tinytorch_core import __version__, authoring, doctor, studying
from tinytorch_core.catalogue import Course
from tinytorch_core.errors import TinyTorchError
from tinytorch_core.server.events import Announcer
from tinytorch_core.server.folder import Folder
from tinytorch_core.server.grading import GradingService


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether this server can grade, and with what. `message` says what to do if `ok` is false."""

    version: str
    ok: bool
    labextension: str | None
    """Version of the half that runs in the browser, as installed."""
    isolation: str
    workspace: str | None
    warm: bool = False
    """Kernels stand ready, so that a verdict takes hardly longer than the work."""
    message: str = ""


class Services:
    def __init__(
        self,
        course: Course,
        make_folder: Callable[[], Folder],
        announcer: Announcer,
        grading: GradingService,
        log: logging.Logger,
    ) -> None:
        self.course = course
        self.announcer = announcer
        self.grading = grading
        self._make_folder = make_folder
        self._log = log
        self._background: set[asyncio.Task[None]] = set()
        self._warming: TinyTorchError | None = None

    @cached_property
    def folder(self) -> Folder:
        """Made on first use, so that a wrong setting is an answer to a request and not a server that can't start."""
        return self._make_folder()

    async def begin(self) -> None:
        """After the server's start: mend what a crash left behind, and get ready to grade. Nothing waits for this."""
        study = await asyncio.to_thread(self.folder.study)
        if study is not None:
            await asyncio.to_thread(studying.repair, study)
            await self._warm()
            await asyncio.to_thread(authoring.warm_up, self.course)  # the first unlock then need not wait for jupytext

    def begin_soon(self) -> None:
        self._spawn(self.begin())

    def warm_soon(self) -> None:
        self._spawn(self._warm())

    async def _warm(self) -> None:
        try:
            self._warming = None
            await self.grading.warm()
        except TinyTorchError as error:
            self._warming = error
            raise

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._logged(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _logged(self, work: Coroutine[Any, Any, None]) -> None:
        """Background work has no caller: the log, and the health, are where its failure shows."""
        try:
            await work
        except TinyTorchError as error:
            self._log.warning("TinyTorch: %s", error.message)

    def health(self) -> Health:
        """Read from disk and from the last start of the worker; never waits for a grading."""
        labextension = doctor.labextension_version()
        problem, workspace = self._warming, None
        try:
            study = self.folder.study()
            workspace = str(study.workspace.root) if study else None
            if study:
                study.store.fingerprint()
        except TinyTorchError as error:
            problem = error
        message = problem.message if problem else doctor.skew(labextension)
        return Health(
            version=__version__,
            ok=not message,
            labextension=labextension,
            isolation=doctor.isolation_level(),
            workspace=workspace,
            warm=self.grading.is_warm,
            message=message,
        )

    async def close(self) -> None:
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.grading.close()

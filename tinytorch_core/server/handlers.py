"""The REST API. A handler parses, asks, writes; what it asks lies in the rooms below. openapi.yaml describes it."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar, cast

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from jupyter_server.utils import url_path_join
from msgspec.structs import replace
from tornado import web

from tinytorch_core import studying
from tinytorch_core.catalogue import Module
from tinytorch_core.errors import TinyTorchError, UnknownName, UsageError
from tinytorch_core.report import CourseView
from tinytorch_core.server.services import Services
from tinytorch_core.studying import Against, Placed

API = "tinytorch/api"
MAX_BODY = 64 * 1024

Body = TypeVar("Body", bound=msgspec.Struct)


class NoBody(msgspec.Struct, forbid_unknown_fields=True):
    """A request that says nothing but its address."""


class CompleteBody(msgspec.Struct, forbid_unknown_fields=True):
    check_only: bool = False


class Created(msgspec.Struct, frozen=True):
    """Where the workspace is: as Jupyter's contents API calls it, and on the machine."""

    path: str
    workspace: str


class ErrorBody(msgspec.Struct, frozen=True):
    """What every error looks like. `reason` is its class in errors.py, or the HTTP status in words."""

    message: str
    reason: str | None = None


class TinyTorchHandler(ExtensionHandlerMixin, APIHandler):
    """What every handler shares: the services, strict bodies, and one door for errors."""

    auth_resource = "tinytorch"

    @property
    def services(self) -> Services:
        return cast(Services, self.settings["tinytorch_services"])

    def module(self, module_id: str) -> Module:
        """The module of exactly this id: addresses have one spelling, unlike what people type."""
        known = next((m for m in self.services.course.modules if m.id == module_id), None)
        if known is None:
            raise UnknownName(f"There is no module {module_id!r}.")
        return known

    def body(self, kind: type[Body]) -> Body:
        """The request's JSON, nothing missing and nothing unknown in it. No body stands for an empty one."""
        if len(self.request.body) > MAX_BODY:
            raise web.HTTPError(413, f"A request may have {MAX_BODY} bytes; this one has {len(self.request.body)}.")
        try:
            return msgspec.json.decode(self.request.body or b"{}", type=kind)
        except msgspec.DecodeError as error:
            raise UsageError(f"The body of this request can't be used: {error}.") from error

    def finish_value(self, value: Any) -> None:
        self.finish(msgspec.json.encode(value))

    def finish_placed(self, placed: Placed) -> None:
        self.finish_value(replace(placed, path=self.services.folder.contents_path(placed.path)))

    def attempt_url(self, attempt: str) -> str:
        return url_path_join(self.base_url, API, "attempts", attempt)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The one door where our errors become an HTTP status and {"message", "reason"}."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if not isinstance(error, TinyTorchError):
            super().write_error(status_code, **kwargs)
            return
        self.set_status(error.http_status)
        self.finish_value(ErrorBody(error.message, type(error).__name__))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Errors raised on purpose need no traceback in the server's log."""
        if isinstance(value, TinyTorchError):
            self.log.info("%s %s: %s", self.request.method, self.request.path, value.message)
        else:
            super().log_exception(typ, value, tb)


class CourseHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        services = self.services
        study = await asyncio.to_thread(services.folder.study)
        view = await asyncio.to_thread(studying.view, services.course, study, services.grading.checking())
        self.finish_value(self._shown(view))

    def _shown(self, view: CourseView) -> CourseView:
        """Notebooks by the paths that JupyterLab knows them by."""
        shown = self.services.folder.shown_path if view.workspace else str
        modules = tuple(replace(m, notebook=shown(m.notebook)) for m in view.modules)
        historical = tuple(replace(h, notebook=shown(h.notebook)) for h in view.historical)
        return replace(view, modules=modules, historical=historical)


class WorkspaceHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def post(self) -> None:
        self.body(NoBody)
        study = await asyncio.to_thread(self.services.folder.create)
        self.services.announcer.course("workspace")
        self.services.warm_soon()
        self.set_status(201)
        self.finish_value(Created(self.services.folder.contents_path(""), str(study.workspace.root)))


class OpenHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def post(self, module_id: str) -> None:
        module, _ = self.module(module_id), self.body(NoBody)
        study = await asyncio.to_thread(self.services.folder.require)
        self.finish_placed(await asyncio.to_thread(studying.open_module, study, module))


class ResetHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def post(self, module_id: str) -> None:
        module, _ = self.module(module_id), self.body(NoBody)
        study = await asyncio.to_thread(self.services.folder.require)
        placed = await asyncio.to_thread(studying.reset, study, module)
        self.services.announcer.course("reset", module.id)
        self.finish_placed(placed)


class RestoreHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def post(self, module_id: str) -> None:
        module, _ = self.module(module_id), self.body(NoBody)
        study = await asyncio.to_thread(self.services.folder.require)
        placed = await asyncio.to_thread(studying.restore, study, module)
        self.services.announcer.course("restored", module.id)
        self.finish_placed(placed)


class CompleteHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def post(self, module_id: str) -> None:
        module, wanted = self.module(module_id), self.body(CompleteBody)
        study = await asyncio.to_thread(self.services.folder.require)
        report = await self.services.grading.start(study, module, record=not wanted.check_only)
        self.set_status(202)
        self.set_header("Location", self.attempt_url(report.attempt))
        self.finish_value(report)


class AttemptHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def get(self, attempt: str) -> None:
        study = await asyncio.to_thread(self.services.folder.study)
        self.finish_value(await self.services.grading.report(attempt, study))

    @web.authenticated
    @authorized
    async def delete(self, attempt: str) -> None:
        study = await asyncio.to_thread(self.services.folder.study)
        asked = await self.services.grading.cancel(attempt, study)
        self.set_status(202 if asked else 204)
        self.finish()


class AttemptsHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def get(self, module_id: str) -> None:
        module = self.module(module_id)
        study = await asyncio.to_thread(self.services.folder.require)
        self.finish_value(await asyncio.to_thread(studying.history, study, module))


class SolutionHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def get(self, module_id: str) -> None:
        module = self.module(module_id)
        study = await asyncio.to_thread(self.services.folder.require)
        self.finish_value(await asyncio.to_thread(studying.solution, study, module))


class DiffHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def get(self, module_id: str) -> None:
        module, against = self.module(module_id), self.get_query_argument("against", None)
        if against not in (None, "original", "accepted", "solution"):
            raise UsageError("`against` is original, accepted or solution.")
        study = await asyncio.to_thread(self.services.folder.require)
        wanted = cast("Against | None", against)
        self.finish_value(await asyncio.to_thread(studying.difference, study, module, wanted))


class HistoricalHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def post(self, historical_id: str) -> None:
        example = next((h for h in self.services.course.historical if h.id == historical_id), None)
        if example is None:
            raise UnknownName(f"There is no historical notebook {historical_id!r}.")
        self.body(NoBody)
        study = await asyncio.to_thread(self.services.folder.require)
        self.finish_placed(await asyncio.to_thread(studying.open_example, study, example))


class HealthHandler(TinyTorchHandler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.finish_value(await asyncio.to_thread(self.services.health))


class UnknownHandler(TinyTorchHandler):
    """Any other address of the API, so that a wrong one is answered in JSON, too."""

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        raise UnknownName(f"There is nothing at {self.request.path}. GET {API}/course shows the course.")


ID = "([^/]+)"
ROUTES: list[tuple[str, type[TinyTorchHandler]]] = [
    ("course", CourseHandler),
    ("workspace", WorkspaceHandler),
    (f"modules/{ID}/open", OpenHandler),
    (f"modules/{ID}/reset", ResetHandler),
    (f"modules/{ID}/restore", RestoreHandler),
    (f"modules/{ID}/complete", CompleteHandler),
    (f"modules/{ID}/attempts", AttemptsHandler),
    (f"modules/{ID}/solution", SolutionHandler),
    (f"modules/{ID}/diff", DiffHandler),
    (f"attempts/{ID}", AttemptHandler),
    (f"historical/{ID}/open", HistoricalHandler),
    ("health", HealthHandler),
]
HANDLERS = [(f"{API}/{path}", handler) for path, handler in ROUTES] + [(f"{API}(?:/.*)?", UnknownHandler)]

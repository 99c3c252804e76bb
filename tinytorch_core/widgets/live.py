"""The widgets as ipywidgets models. They hold values only: the views do the work, in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipywidgets import DOMWidget
from traitlets import Dict, Unicode

from tinytorch_core import __version__
from tinytorch_core.widgets.plain import check_text, complete_text

PACKAGE = "tinytorch_core"
VERSION = f"^{__version__}"


class TinyTorchWidget(DOMWidget):  # type: ignore[misc]
    """A model whose view lies in this package's own labextension."""

    _model_module = Unicode(PACKAGE).tag(sync=True)
    _model_module_version = Unicode(VERSION).tag(sync=True)
    _view_module = Unicode(PACKAGE).tag(sync=True)
    _view_module_version = Unicode(VERSION).tag(sync=True)

    def as_text(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.as_text()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return {**super()._repr_mimebundle_(**kwargs), "text/plain": self.as_text()}


class CompleteModule(TinyTorchWidget):
    """A button that completes `module`; without one, the module of the notebook that shows it."""

    _model_name = Unicode("CompleteModuleModel").tag(sync=True)
    _view_name = Unicode("CompleteModuleView").tag(sync=True)

    module = Unicode(None, allow_none=True).tag(sync=True)

    def __init__(self, module: str | None = None, **kwargs: Any) -> None:
        super().__init__(module=module, **kwargs)

    def as_text(self) -> str:
        return complete_text(self.module)


class CheckResult(TinyTorchWidget):
    """What `%check` found out: {"exercise", "title", "module", "passed", "checks", "message"}."""

    _model_name = Unicode("CheckResultModel").tag(sync=True)
    _view_name = Unicode("CheckResultView").tag(sync=True)

    result = Dict().tag(sync=True)

    def __init__(self, result: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(result=dict(result or {}), **kwargs)

    def as_text(self) -> str:
        return check_text(self.result)

"""TinyTorch for JupyterLab: the course, its grader, and their doors. Imports are lazy; Jupyter loads this in many processes."""

from __future__ import annotations

from typing import Any

try:
    from tinytorch_core._version import __version__ as __version__
except ImportError:  # a checkout that was never built
    __version__ = "0.0.0"


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "tinytorch_core"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from tinytorch_core.server.app import TinyTorchApp

    return [{"module": "tinytorch_core.server.app", "app": TinyTorchApp}]


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext tinytorch_core`, the first cell of every notebook."""
    from tinytorch_core.kernel import extension

    extension.load(shell)


def __getattr__(name: str) -> Any:
    if name == "CompleteModule":  # ipywidgets stays out of the server process
        from tinytorch_core.widgets import CompleteModule

        return CompleteModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What a working installation needs, looked at piece by piece, each with what to do if it is missing."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import psutil
from jupyter_core.paths import jupyter_config_path, jupyter_path

from tinytorch_core import __version__
from tinytorch_core.errors import TinyTorchError, WorkspaceError
from tinytorch_core.grader import isolation
from tinytorch_core.studying import Study

GIB = 1024**3
MEMORY_WANTED = 2 * GIB
REINSTALL = "Reinstall it: pip install --force-reinstall tinytorch_core"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    advice: str = ""
    """What to do, if it is not ok."""


def examine(find_study: Callable[[], Study]) -> Iterator[Finding]:
    """Every finding, in the order a reader would ask. `find_study` may raise what it raises elsewhere."""
    yield _python()
    yield _package("tinytorch_core", __version__)
    yield _package("jupyterlab", _installed("jupyterlab"), wanted="4")
    yield _server_half()
    yield _browser_half()
    yield _kernel()
    yield _isolation()
    yield _memory()
    yield _data()
    yield _workspace(find_study)


def labextension_version() -> str | None:
    """Version of the half that runs in the browser, as installed; None if it is not."""
    for folder in jupyter_path("labextensions"):
        package = _json(Path(folder, "tinytorch_core", "package.json"))
        if package:
            return str(package.get("version", ""))
    return None


def skew(labextension: str | None) -> str:
    """What to do if the two halves do not fit together; empty if they do."""
    if labextension is None:
        return f"The half of TinyTorch that runs in the browser is not installed. {REINSTALL}."
    if labextension != __version__:
        return (
            f"The server runs TinyTorch {__version__}, but the half in the browser is {labextension}. Restart JupyterLab "
            f"and reload the page. If that does not help: {REINSTALL[0].lower()}{REINSTALL[1:]}."
        )
    return ""


def isolation_level() -> str:
    return isolation.best()


def _python() -> Finding:
    return Finding(
        name="Python",
        ok=sys.version_info >= (3, 10),
        found=f"{platform.python_version()} ({sys.executable})",
        advice="Install Python 3.10 or newer.",
    )


def _package(name: str, found: str | None, wanted: str = "") -> Finding:
    ok = found is not None and found.startswith(wanted)
    return Finding(
        name=name, ok=ok, found=found or "not installed", advice=f"pip install 'jupyterlab>={wanted}'" if wanted else ""
    )


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _server_half() -> Finding:
    enabled = _setting("jupyter_server_config", "ServerApp", "jpserver_extensions").get("tinytorch_core")
    return Finding(
        name="server extension",
        ok=enabled is True,
        found="not known to Jupyter" if enabled is None else "enabled" if enabled is True else "disabled",
        advice="jupyter server extension enable tinytorch_core",
    )


def _browser_half() -> Finding:
    found = labextension_version()
    disabled = _setting("labconfig/page_config", "disabledExtensions").get("tinytorch_core")
    if disabled:
        advice = "jupyter labextension enable tinytorch_core"
        return Finding(
            name="JupyterLab extension", ok=False, found=f"{found or 'not installed'}, disabled", advice=advice
        )
    advice = skew(found)
    return Finding(name="JupyterLab extension", ok=not advice, found=found or "not installed", advice=advice)


def _kernel() -> Finding:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        advice = f"{sys.executable} -m ipykernel install --sys-prefix"
        return Finding(name="Python kernel", ok=False, found="no kernel named python3", advice=advice)
    program = spec.argv[0]
    here = not Path(program).is_absolute() or Path(program).parent.resolve() == Path(sys.executable).parent.resolve()
    advice = f"Notebooks would run in another Python: {sys.executable} -m ipykernel install --sys-prefix"
    return Finding(name="Python kernel", ok=here, found=f"{spec.display_name} ({program})", advice=advice)


def _isolation() -> Finding:
    level = isolation.best()
    return Finding(name="isolation", ok=True, found=f"{level}: {isolation.MEANING[level]}")


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    return Finding(
        name="memory",
        ok=free >= MEMORY_WANTED,
        found=f"{free / GIB:.1f} GiB available",
        advice="Grading wants about 2 GiB. Close other programs, or notebooks whose kernels you no longer need.",
    )


def _data() -> Finding:
    from tinytorch_core.data import cache, embedded  # numpy, which nothing else here needs
    from tinytorch_core.data.catalogue import datasets
    from tinytorch_core.data.errors import DataError

    fetched = [d.id for d in datasets() if not d.shipped and cache.is_complete(d)]
    try:
        for dataset in datasets():
            if dataset.shipped:
                embedded.verify(dataset)
    except DataError as error:
        return Finding(name="data sets", ok=False, found="damaged", advice=error.message)
    found = f"those that ship are right; fetched: {', '.join(fetched) or 'none'} (`tito data list`)"
    return Finding(name="data sets", ok=True, found=found)


def _workspace(find_study: Callable[[], Study]) -> Finding:
    """The folder and the record in it."""
    try:
        study = find_study()
        study.store.check()
        complete = len(study.store.completed())
    except WorkspaceError:
        return Finding(name="workspace", ok=True, found="none here; `tito lab DIR` makes one")
    except TinyTorchError as error:
        return Finding(name="workspace", ok=False, found="not usable", advice=error.message)
    return Finding(name="workspace", ok=True, found=f"{study.workspace.root}, {complete} modules complete")


def _setting(name: str, *keys: str) -> dict[str, Any]:
    """A section of Jupyter's configuration, the nearer file before the farther, `name`.json before `name`.d/*.json."""
    merged: dict[str, Any] = {}
    for folder in map(Path, jupyter_config_path()):
        for file in (folder / f"{name}.json", *sorted((folder / f"{name}.d").glob("*.json"), reverse=True)):
            section: Any = _json(file)
            for key in keys:
                section = section.get(key, {}) if isinstance(section, dict) else {}
            merged = {**(section if isinstance(section, dict) else {}), **merged}
    return merged


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}

"""How a kernel sees the student's package `tinytorch`: from memory when grading, with the notebook itself in it when live."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "tinytorch"


class NotThere(AttributeError):
    """The student's package has no such name, or not yet."""


class MemoryImporter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports `tinytorch` from sources held in memory, so that what is checked is exactly what will be recorded."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.code = {}
        for name, source in sources.items():
            filename = _filename(name)
            linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
            self.code[name] = source

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.code:
            return None
        return importlib.util.spec_from_loader(
            fullname, self, origin=_filename(fullname), is_package=fullname == PACKAGE
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        filename = _filename(module.__name__)
        module.__file__ = filename
        exec(compile(self.code[module.__name__], filename, "exec", dont_inherit=True), module.__dict__)


def _filename(name: str) -> str:
    return f"{PACKAGE}/__init__.py" if name == PACKAGE else name.replace(".", "/") + ".py"


class Names(ModuleType):
    """A `tinytorch` whose names are looked up when asked for, in several modules, first match wins."""

    def __init__(self, look_up: Any) -> None:
        super().__init__(PACKAGE, "The student's package.")
        self.__dict__["_look_up"] = look_up

    def __getattr__(self, name: str) -> Any:
        return self._look_up(name)


def import_package(sources: dict[str, str], name: str, earlier: str) -> tuple[ModuleType, BaseException | None]:
    """Import `tinytorch` from `sources`, and what stopped it, if anything did.

    If `tinytorch.<name>` breaks in its middle, what stands above the break is still there to be checked; `earlier` is
    the source of a `tinytorch/__init__.py` without it.
    """
    importer = MemoryImporter(sources)
    sys.meta_path.insert(0, importer)
    try:
        return importlib.import_module(PACKAGE), None
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            error = ImportError(f"the module asked Python to stop ({type(error).__name__})")
        return _import_partly(importer, name, earlier), error


def _import_partly(importer: MemoryImporter, name: str, earlier: str) -> ModuleType:
    forget_package()
    importer.code[PACKAGE] = earlier
    accepted = importlib.import_module(PACKAGE)
    spec = importer.find_spec(f"{PACKAGE}.{name}")
    assert spec is not None
    broken = importlib.util.module_from_spec(spec)
    sys.modules[broken.__name__] = broken
    try:
        importer.exec_module(broken)
    except BaseException as error:  # the same that import_package reports to the caller
        broken.__dict__["__broken__"] = type(error).__name__
    return Names(_first_of([broken, accepted]))


def _first_of(modules: Sequence[ModuleType]) -> Any:
    def look_up(name: str) -> Any:
        for module in modules:
            if name in module.__dict__:
                return module.__dict__[name]
        raise NotThere(f"tinytorch has no {name!r} yet")

    return look_up


def install_live(
    workspace: Path, user_module: ModuleType, name: str, earlier: Sequence[str], *, afresh: bool = True
) -> ModuleType:
    """Let `tinytorch.<name>` mean the notebook itself, beside the accepted modules `earlier`. Returns the live `tinytorch`.

    Without `afresh`, what has been imported of it stays: imported anew, its classes would not be those the notebook holds.
    """
    if afresh:
        forget_package()

    def look_up(attribute: str) -> Any:
        if attribute in user_module.__dict__ and not attribute.startswith("_"):
            return user_module.__dict__[attribute]
        for module_name in reversed(earlier):
            if (workspace / PACKAGE / f"{module_name}.py").is_file():
                module = importlib.import_module(f"{PACKAGE}.{module_name}")
                if attribute in module.__dict__ and not attribute.startswith("_"):
                    return module.__dict__[attribute]
        raise NotThere(f"tinytorch has no {attribute!r} yet")

    live = Names(look_up)
    live.__path__ = [str(workspace / PACKAGE)]
    sys.modules[PACKAGE] = live
    sys.modules[f"{PACKAGE}.{name}"] = user_module
    for (
        module_name
    ) in earlier:  # all of them, as tinytorch/__init__ does: some modules do something to the others, as autograd does
        if (workspace / PACKAGE / f"{module_name}.py").is_file():
            with contextlib.suppress(Exception):  # the cell that needs it will tell, with the right line
                importlib.import_module(f"{PACKAGE}.{module_name}")
    return live


def forget_package() -> None:
    """Drop every imported part of `tinytorch`, so that the next import reads what is accepted now."""
    for imported in [m for m in sys.modules if m == PACKAGE or m.startswith(f"{PACKAGE}.")]:
        del sys.modules[imported]
    importlib.invalidate_caches()

import inspect

import pytest

from tinytorch_core import authoring, catalogue, errors, progress
from tinytorch_core.errors import TinyTorchError

DRAWN = [line.split()[0] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ") and line.strip()]
DEFINED = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, TinyTorchError)]


def test_every_error_is_drawn_in_the_tree_and_nothing_else_is() -> None:
    assert sorted(DRAWN) == sorted(cls.__name__ for cls in DEFINED)


@pytest.mark.parametrize("line", [line for line in (errors.__doc__ or "").splitlines() if line.startswith("      ")])
def test_the_drawing_gives_the_exit_code_and_the_http_status(line: str) -> None:
    name, exit_code, http_status = line.split()[:3]
    cls = getattr(errors, name)
    assert (cls.exit_code, cls.http_status) == (int(exit_code), int(http_status))


@pytest.mark.parametrize("line", [line for line in (errors.__doc__ or "").splitlines() if line.startswith("      ")])
def test_the_drawing_shows_who_inherits_from_whom(line: str) -> None:
    lines = (errors.__doc__ or "").splitlines()
    indent = len(line) - len(line.lstrip())
    above = [other for other in lines[: lines.index(line)] if other.strip() and other.startswith("    ")]
    parent = next(other for other in reversed(above) if len(other) - len(other.lstrip()) < indent)
    assert getattr(errors, line.split()[0]).__base__.__name__ == parent.split()[0]


@pytest.mark.parametrize("cls", [catalogue.CatalogueError, authoring.AuthoringError, progress.StoreChanged])
def test_errors_of_single_rooms_belong_to_the_tree(cls: type[TinyTorchError]) -> None:
    assert issubclass(cls, TinyTorchError) and cls.exit_code in range(1, 6)


def test_an_error_keeps_its_message() -> None:
    error = errors.NotAllowed("02 Adding is locked.")
    assert error.message == str(error) == "02 Adding is locked."

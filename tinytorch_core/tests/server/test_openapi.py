"""openapi.yaml describes exactly what the server answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml
from openapi_spec_validator import validate

from tinytorch_core.report import EventKind, Progress
from tinytorch_core.server import describe, events, handlers

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return dict(yaml.safe_load((Path(handlers.__file__).parent / "openapi.yaml").read_text()))


def test_the_description_is_valid(description: dict[str, Any]) -> None:
    validate(description)


def test_routes_and_description_are_equal(description: dict[str, Any]) -> None:
    described = {
        (_pattern(path), method) for path, item in description["paths"].items() for method in METHODS if method in item
    }
    answered = {(path, method) for path, handler in handlers.ROUTES for method in METHODS if method in vars(handler)}
    assert described == answered


def _pattern(path: str) -> str:
    parts = path.strip("/").split("/")
    return "/".join(handlers.ID if part.startswith("{") else part for part in parts)


def test_schemas_are_those_of_the_values(description: dict[str, Any]) -> None:
    assert description["components"]["schemas"] == describe.schemas(), (
        "python -m tinytorch_core.server.describe prints them"
    )


def test_progress_events_have_the_fields_of_progress() -> None:
    schema = yaml.safe_load(events.SCHEMAS[events.PROGRESS].read_text())
    assert schema["$id"] == events.PROGRESS
    assert set(schema["properties"]) == set(Progress.__struct_fields__)
    assert set(schema["required"]) == {f.name for f in msgspec.structs.fields(Progress) if f.required}
    assert tuple(schema["properties"]["kind"]["enum"]) == get_args(EventKind)


def test_every_handler_asks_who_is_there() -> None:
    """Both decorators on each method; `authenticated` outside, so that a stranger is not asked what they may do."""
    for _, handler in handlers.ROUTES:
        for method in METHODS:
            function = vars(handler).get(method)
            if function is not None:
                outer, inner = function.__code__, function.__wrapped__.__code__
                assert Path(outer.co_filename).parts[-2:] == ("tornado", "web.py")
                assert Path(inner.co_filename).parts[-2:] == ("auth", "decorator.py")

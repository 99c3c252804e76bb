"""The part of openapi.yaml that is generated: JSON Schemas of everything that goes in and out.

python -m tinytorch_core.server.describe
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

import msgspec

from tinytorch_core.report import CourseView, Progress, Report
from tinytorch_core.server.handlers import CompleteBody, Created, ErrorBody, NoBody
from tinytorch_core.server.services import Health
from tinytorch_core.studying import Difference, Placed, Solution

CROSSING = (
    NoBody,
    CompleteBody,
    ErrorBody,
    Created,
    CourseView,
    Report,
    Progress,
    Placed,
    Solution,
    Difference,
    Health,
)


def schemas() -> dict[str, Any]:
    """`components/schemas` of openapi.yaml."""
    (_, components) = msgspec.json.schema_components(CROSSING, ref_template="#/components/schemas/{name}")
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(components))  # tuples become lists, as in YAML
    for schema in plain.values():
        if "description" in schema:  # before msgspec 0.23 it was as indented as in the source
            schema["description"] = inspect.cleandoc(schema["description"])
    return dict(sorted(plain.items()))


if __name__ == "__main__":
    import yaml

    sys.stdout.write("  schemas:\n")
    for line in yaml.safe_dump(schemas(), sort_keys=False, width=110).splitlines():
        sys.stdout.write(f"    {line}\n")

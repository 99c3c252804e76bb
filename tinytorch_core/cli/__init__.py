"""The door for terminals: `tito`."""

from __future__ import annotations

import sys


def main() -> None:
    # jsonschema compiles a grammar for international URLs if this optional package is there: 1.4 s that `tito` never needs.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from tinytorch_core.cli.tito import tito

    tito(prog_name="tito")

"""What changed between two notebooks, in words a terminal and a browser can show. The only nbdime import."""

from __future__ import annotations

import io
from difflib import unified_diff

from nbformat import NotebookNode

SOURCES_ONLY = {"sources": True} | dict.fromkeys(("outputs", "attachments", "metadata", "identifier", "details"), False)
TITLE_LINES = 3
"""nbdime opens with its own name and the two file names, without a time."""


def of_notebooks(before: NotebookNode, after: NotebookNode) -> str:
    """The cells that differ, outputs and metadata aside; empty when none does."""
    from nbdime.diffing.notebooks import diff_notebooks, set_notebook_diff_targets
    from nbdime.prettyprint import PrettyPrintConfig, pretty_print_notebook_diff

    set_notebook_diff_targets(**SOURCES_ONLY)
    changes = diff_notebooks(before, after)
    if not changes:
        return ""
    out = io.StringIO()
    plain = PrettyPrintConfig(out=out, use_git=False, use_diff=False, use_color=False)
    pretty_print_notebook_diff("before", "after", before, changes, plain)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()[TITLE_LINES:]).strip() + "\n"


def of_sources(before: str, after: str, before_name: str, after_name: str) -> str:
    """A unified diff of two sources; empty when they are equal."""
    lines = unified_diff(before.splitlines(), after.splitlines(), before_name, after_name, lineterm="")
    text = "\n".join(lines)
    return text and text + "\n"

"""A kernel's view of the world, put back as it was after each test."""

import sys

import pytest

from tinytorch_core.kernel import harness, package


@pytest.fixture
def clean_imports(monkeypatch):
    """No `tinytorch` and no `support` is imported, and whatever a test imports is forgotten again."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(harness, "_imported", {})
    support = sys.modules.pop("support", None)
    package.forget_package()
    yield
    package.forget_package()
    sys.modules.pop("support", None)
    if support is not None:
        sys.modules["support"] = support

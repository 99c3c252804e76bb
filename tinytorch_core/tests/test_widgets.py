"""The widgets: values for the browser, text for everyone else, nothing heavy in a headless run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinytorch_core import widgets
from tinytorch_core.widgets import live, pad, plain

RESULT = {
    "exercise": "tensor-add",
    "title": "Add two tensors",
    "module": "02_tensor",
    "passed": False,
    "message": "Add two tensors: 1 of 2 checks pass.",
    "checks": [
        {"id": "a", "title": "Adds.", "outcome": "passed", "message": "", "hint": ""},
        {"id": "b", "title": "Broadcasts.", "outcome": "failed", "message": "got  1\nexpected  2", "hint": "Add."},
    ],
}
VIEW = "application/vnd.jupyter.widget-view+json"
LABEXTENSION = Path(__file__).parents[2] / "labextension" / "src" / "widgets"


def test_a_result_reads_well_without_a_browser() -> None:
    assert plain.check_text(RESULT).splitlines() == [
        "Add two tensors: 1 of 2 checks pass.",
        "  [ok] Adds.",
        "  [not right yet] Broadcasts.",
        "      got  1",
        "      expected  2",
        "      hint: Add.",
    ]


def test_what_could_not_be_judged_is_never_called_wrong() -> None:
    assert plain.MARKS["error"] == "could not be judged"
    assert plain.MARKS["not_attempted"] == "not written yet"


@pytest.mark.parametrize("widget", [live.CompleteModule("02_tensor"), live.CheckResult(RESULT), pad.DrawPad(len)])
def test_each_widget_shows_a_view_and_its_text(widget: live.TinyTorchWidget) -> None:
    bundle = widget._repr_mimebundle_()
    assert VIEW in bundle
    assert bundle["text/plain"] == widget.as_text() == repr(widget)


def test_the_button_says_how_to_complete_a_module_elsewhere() -> None:
    assert "tito module complete 02_tensor" in repr(live.CompleteModule("02_tensor"))
    assert "tito module complete MODULE" in repr(live.CompleteModule())


@pytest.mark.parametrize("widget", [live.CompleteModule(), live.CheckResult(), pad.DrawPad(len)])
def test_both_halves_call_a_widget_by_the_same_name(widget: live.TinyTorchWidget) -> None:
    name = type(widget).__name__
    source = "".join(file.read_text(encoding="utf-8") for file in LABEXTENSION.glob("*.ts*"))
    assert (widget._model_name, widget._view_name) == (f"{name}Model", f"{name}View")
    assert f"class {widget._model_name} " in source
    assert f"class {widget._view_name} " in source


def test_a_headless_run_gets_text_and_no_ipywidgets() -> None:
    code = (
        "import json, sys; from tinytorch_core import CompleteModule; from tinytorch_core.widgets import CheckResult;"
        "shown = CompleteModule()._repr_mimebundle_(), CheckResult({'message': 'm'})._repr_mimebundle_();"
        "print(json.dumps([shown, 'ipywidgets' in sys.modules]))"
    )
    environment = {**os.environ, widgets.HEADLESS: "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    (button, result), heavy = json.loads(done.stdout)
    assert list(button) == list(result) == ["text/plain"]
    assert not heavy


def test_it_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="Slider"):
        _ = widgets.Slider

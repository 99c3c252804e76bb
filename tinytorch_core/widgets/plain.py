"""The widgets as text: what a terminal, an exported notebook and a headless run show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

MARKS = {
    "passed": "ok",
    "failed": "not right yet",
    "not_attempted": "not written yet",
    "missing": "gave no answer",
    "error": "could not be judged",
}


def complete_text(module: str | None) -> str:
    command = f"tito module complete {module or 'MODULE'}"
    return f'To finish this module, click "Complete module" in JupyterLab, or run `{command}` in a terminal.'


def check_text(result: Mapping[str, Any]) -> str:
    """The summary, then each check with what went wrong and its hint."""
    lines = [str(result.get("message", ""))]
    for check in result.get("checks", ()):
        lines.append(f"  [{MARKS.get(check['outcome'], check['outcome'])}] {check['title']}")
        if check["outcome"] != "passed":
            lines += [f"      {line}" for line in str(check.get("message", "")).splitlines()]
            lines += [f"      hint: {check['hint']}"] if check.get("hint") else []
    return "\n".join(lines)


def progress_text(history: Mapping[str, Sequence[float]], done: int, epochs: int) -> str:
    """How far a training is, and its last numbers."""
    numbers = [f"{name} {values[-1]:.4g}" for name, values in history.items() if len(values)]
    return "   ".join([f"epoch {done} of {epochs}", *numbers])


def pad_text(labels: Sequence[str], probabilities: Sequence[float], problem: str = "") -> str:
    """What a pad would show: the likeliest label, or how to come by one."""
    if problem:
        return problem
    if not probabilities:
        return "Here is a pad to draw on. It shows in JupyterLab."
    best = max(range(len(labels)), key=probabilities.__getitem__)
    return f"Reads {labels[best]} ({probabilities[best]:.0%})."


class Text:
    """Shows itself as plain text and nothing else."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return {"text/plain": self._text}


class CompleteModule(Text):
    def __init__(self, module: str | None = None) -> None:
        super().__init__(complete_text(module))
        self.module = module


class CheckResult(Text):
    def __init__(self, result: Mapping[str, Any]) -> None:
        super().__init__(check_text(result))
        self.result = dict(result)


class LearningCurves(Text):
    """Takes the history after each epoch and draws nothing: nobody looks."""

    def __init__(self, epochs: int) -> None:
        super().__init__(progress_text({}, 0, epochs))

    def __call__(self, history: Mapping[str, Sequence[float]]) -> None:
        pass


class DrawPad(Text):
    """Draws nothing and asks nobody."""

    def __init__(self, read: Callable[[Any], Any], labels: Iterable[object] = range(10)) -> None:
        super().__init__(pad_text([str(label) for label in labels], ()))
        self.read = read


class Trained(Text):
    """How many parameters the models of a historical notebook learned. `tito status` adds them up when the course is done.

    The number lies in the output's metadata, so that a saved notebook keeps it.
    """

    def __init__(self, *models: Any) -> None:
        self.parameters = sum(int(parameter.size) for model in models for parameter in model.parameters())
        super().__init__(f"Trained on this page: {self.parameters:,} parameters.")

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # type: ignore[override]
        return super()._repr_mimebundle_(), {"tinytorch": {"parameters": self.parameters}}

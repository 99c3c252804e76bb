"""The course as frozen values, read from course.toml, the one list of modules, exercises, hints and milestones."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

import msgspec

from tinytorch_core.errors import TinyTorchError, UnknownName

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent


class CatalogueError(TinyTorchError):
    """course.toml contradicts itself. Only an author of the course can meet this."""


class Exercise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    hints: tuple[str, ...] = ()


class Module(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    discovery: str
    """The sentence that makes the need for this module felt."""
    capability: str
    achievement: str
    """What the student reads on completing it."""
    exercises: tuple[Exercise, ...] = ()
    written: bool = False
    """False while its notebook is still to come."""

    @property
    def number(self) -> int:
        return int(self.id[:2])

    @property
    def name(self) -> str:
        """The module of the student's package: `tensor` for 02_tensor."""
        return self.id[3:]

    @property
    def notebook(self) -> str:
        """Where its notebook lies in a workspace."""
        return f"notebooks/{self.id}.ipynb"

    @property
    def label(self) -> str:
        return f"{self.number:02} {self.title}"


class Milestone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    year: int
    name: str
    """What history calls it: Perceptron, XOR, LeNet…"""
    module: str


class Historical(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    year: int
    module: str
    """Opens once this module is complete."""
    milestone: str
    summary: str
    written: bool = False

    @property
    def notebook(self) -> str:
        return f"historical/{self.id}.ipynb"

    @property
    def label(self) -> str:
        return f"{self.title} ({self.year})"


class Course(msgspec.Struct, frozen=True):
    title: str
    modules: tuple[Module, ...]
    milestones: tuple[Milestone, ...]
    historical: tuple[Historical, ...]
    toml: Path
    root: Path
    """Holds notebooks/, checks/ and historical/, in a checkout and in an installed wheel alike."""

    def module(self, text: str) -> Module:
        """The module that `text` names: 2, 02, tensor or 02_tensor."""
        wanted = text.strip()
        for module in self.modules:
            if wanted in (module.id, module.name) or re.fullmatch(f"0*{module.number}", wanted):
                return module
        raise UnknownName(
            f"There is no module {text!r}. The course has 1 to {len(self.modules)}; `tito status` lists them."
        )

    def example(self, text: str) -> Historical:
        """The historical notebook that `text` names: xor_1969 or xor, or its year if only one has it."""
        wanted = text.strip().lower()
        exact = [h for h in self.historical if wanted == h.id]
        near = [h for h in self.historical if wanted == h.id.rpartition("_")[0] or wanted == str(h.year)]
        found = exact or near
        if len(found) != 1:
            raise UnknownName(f"There is no historical notebook {text!r}. `tito examples` lists them.")
        return found[0]

    def exercise(self, exercise_id: str) -> tuple[Module, Exercise]:
        for module in self.modules:
            for exercise in module.exercises:
                if exercise.id == exercise_id:
                    return module, exercise
        raise UnknownName(f"There is no exercise {exercise_id!r}. `tito status` and the notebooks name them.")

    def before(self, module: Module) -> tuple[Module, ...]:
        return self.modules[: module.number - 1]

    def after(self, module: Module) -> tuple[Module, ...]:
        return self.modules[module.number :]

    def notebook_source(self, module_id: str) -> Path:
        return self.root / "notebooks" / f"{module_id}.py"

    def historical_source(self, historical_id: str) -> Path:
        return self.root / "historical" / f"{historical_id}.py"

    def checks_source(self, module_id: str) -> Path:
        return self.root / "checks" / f"test_{module_id}.py"

    def mutants_folder(self, module_id: str) -> Path:
        return self.root / "checks" / "mutants" / module_id


def load(toml: Path, root: Path) -> Course:
    """Read and validate one course. `root` holds its notebooks/, checks/ and historical/."""
    try:
        raw = tomllib.loads(toml.read_text(encoding="utf-8"))
        course = Course(
            title=raw["title"],
            modules=tuple(_written(m, root / "notebooks") for m in msgspec.convert(raw["module"], tuple[Module, ...])),
            milestones=msgspec.convert(raw["milestone"], tuple[Milestone, ...]),
            historical=tuple(
                _written(h, root / "historical") for h in msgspec.convert(raw["historical"], tuple[Historical, ...])
            ),
            toml=toml,
            root=root,
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, msgspec.ValidationError) as error:
        raise CatalogueError(f"{toml.name} can't be read as a course: {error}") from error
    _validate(course)
    return course


@cache
def default_course() -> Course:
    """The course that ships with this package."""
    packaged = (HERE / "notebooks").is_dir()
    return load(HERE / "course.toml", HERE if packaged else HERE.parent)


def _written(entry, folder: Path):  # type: ignore[no-untyped-def]
    return msgspec.structs.replace(entry, written=(folder / f"{entry.id}.py").is_file())


def _validate(course: Course) -> None:
    ids = [m.id for m in course.modules]
    for position, module in enumerate(course.modules, start=1):
        if not re.fullmatch(r"\d\d_[a-z]+", module.id) or module.number != position:
            raise CatalogueError(f"module {module.id!r} stands at place {position}; ids are NN_name, in order")
    exercises = [e.id for m in course.modules for e in m.exercises]
    for kind, names in (
        ("exercise", exercises),
        ("milestone", [m.id for m in course.milestones]),
        ("historical", [h.id for h in course.historical]),
    ):
        for name in names:
            if names.count(name) > 1 or not re.fullmatch(r"[a-z0-9_-]+", name):
                raise CatalogueError(f"{kind} {name!r} is listed twice, or is not made of a-z, 0-9, - and _")
    for milestone in course.milestones:
        if milestone.module not in ids:
            raise CatalogueError(f"milestone {milestone.id!r} names the unknown module {milestone.module!r}")
    for historical in course.historical:
        if historical.module not in ids or historical.milestone not in [m.id for m in course.milestones]:
            raise CatalogueError(f"historical {historical.id!r} names an unknown module or milestone")

from pathlib import Path

import pytest

from tinytorch_core import catalogue
from tinytorch_core.catalogue import CatalogueError, Course
from tinytorch_core.errors import UnknownName

MODULE = '[[module]]\nid = "{}"\ntitle = "T"\ndiscovery = "d"\ncapability = "c"\nachievement = "a"\n'
MILESTONE = '[[milestone]]\nid = "m"\ntitle = "M"\nyear = 1957\nname = "N"\nmodule = "{}"\n'
HISTORICAL = '[[historical]]\nid = "{}"\ntitle = "H"\nyear = 1957\nmodule = "01_one"\nmilestone = "{}"\nsummary = "s"\n'
WHOLE = 'title = "C"\n' + MODULE.format("01_one") + MILESTONE.format("01_one") + HISTORICAL.format("h_1957", "m")


def load(tmp_path: Path, toml: str) -> Course:
    (tmp_path / "course.toml").write_text(toml)
    return catalogue.load(tmp_path / "course.toml", tmp_path)


@pytest.mark.parametrize("text", ["2", "02", "adding", "02_adding", " 02 "])
def test_a_module_is_found_by_number_name_and_id(tiny_course: Course, text: str) -> None:
    assert tiny_course.module(text).id == "02_adding"


@pytest.mark.parametrize("text", ["", "0", "5", "add", "2_adding", "02_Adding", "²"])
def test_an_unknown_module_is_an_error_that_names_it(tiny_course: Course, text: str) -> None:
    with pytest.raises(UnknownName, match="1 to 4"):
        tiny_course.module(text)


@pytest.mark.parametrize("text", ["pascaline_1642", "pascaline", "1642", "PASCALINE"])
def test_a_historical_notebook_is_found_by_id_name_and_year(tiny_course: Course, text: str) -> None:
    assert tiny_course.example(text).id == "pascaline_1642"


def test_an_unknown_historical_notebook_is_an_error(tiny_course: Course) -> None:
    with pytest.raises(UnknownName, match="tito examples"):
        tiny_course.example("gpt")


def test_an_exercise_is_found_with_its_module(tiny_course: Course) -> None:
    module, exercise = tiny_course.exercise("add-total")
    assert (module.id, exercise.title) == ("02_adding", "The total")
    with pytest.raises(UnknownName, match="nonsense"):
        tiny_course.exercise("nonsense")


def test_what_has_a_source_is_written_and_the_rest_is_coming(tiny_course: Course) -> None:
    assert [m.written for m in tiny_course.modules] == [True, True, True, False]
    assert [h.written for h in tiny_course.historical] == [True, False]


def test_before_and_after_leave_the_module_itself_out(tiny_course: Course) -> None:
    module = tiny_course.module("02")
    assert [m.id for m in tiny_course.before(module)] == ["01_counting"]
    assert [m.id for m in tiny_course.after(module)] == ["03_doubling", "04_tripling"]


def test_a_module_says_what_it_is_called_where(tiny_course: Course) -> None:
    module = tiny_course.module("02")
    assert (module.number, module.name, module.label) == (2, "adding", "02 Adding")
    assert module.notebook == "notebooks/02_adding.ipynb"
    assert tiny_course.example("1642").notebook == "historical/pascaline_1642.ipynb"
    assert tiny_course.example("1642").label == "Pascaline (1642)"


def test_the_smallest_course_can_be_read(tmp_path: Path) -> None:
    assert [m.id for m in load(tmp_path, WHOLE).modules] == ["01_one"]


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (WHOLE.replace("01_one", "02_one"), "stands at place 1"),
        (WHOLE.replace("01_one", "01-one"), "NN_name"),
        (WHOLE + MODULE.format("03_three"), "stands at place 2"),
        (WHOLE + MILESTONE.format("01_one"), "listed twice"),
        (WHOLE.replace('"h_1957"', '"H 1957"'), "a-z"),
        (WHOLE.replace('milestone = "m"', 'milestone = "other"'), "unknown module or milestone"),
        (WHOLE + MILESTONE.format("09_nine").replace('"m"', '"n"'), "09_nine"),
        (WHOLE.replace("year = 1957", 'year = "1957"', 1), "can't be read as a course"),
        (WHOLE + "typo = 1\n", "typo"),
        ("title = ", "can't be read as a course"),
        (MODULE.format("01_one"), "title"),
    ],
)
def test_a_catalogue_that_contradicts_itself_is_refused(tmp_path: Path, toml: str, says: str) -> None:
    with pytest.raises(CatalogueError, match=says):
        load(tmp_path, toml)


def test_a_missing_catalogue_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"course\.toml"):
        catalogue.load(tmp_path / "course.toml", tmp_path)


def test_the_course_that_ships_is_valid_and_complete() -> None:
    course = catalogue.default_course()
    assert len(course.modules) == 14 and len(course.milestones) == 5
    assert [m.module[:2] for m in course.milestones] == ["04", "07", "09", "10", "14"]
    assert all(m.discovery and m.capability and m.achievement for m in course.modules)

"""A workspace in small: the accepted package, the course, and the small files that an honest cell may read."""

import json
import os

import pytest

from tinytorch_core.grader.job import MIB, Accepted
from tinytorch_core.grader.scratch import prepare_scratch
from tinytorch_core.kernel.extension import Course

ACCEPTED = (
    Accepted(module="01_counting", source="def count(items):\n    return len(items)\n", names=("count",)),
    Accepted(module="02_adding", source="def add(a, b):\n    return a + b\n", names=("add",)),
)


@pytest.fixture
def beside(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    return folder


@pytest.fixture
def prepare(tmp_path, tiny_course, beside):
    def prepare(module="03_doubling"):
        scratch = tmp_path / "scratch"
        (scratch / "notebooks").mkdir(parents=True)
        prepare_scratch(scratch, tiny_course, ACCEPTED, module, str(beside))
        return scratch

    return prepare


def test_the_accepted_package_is_there(prepare):
    package = prepare() / "tinytorch"
    assert sorted(path.name for path in package.iterdir()) == ["__init__.py", "adding.py", "counting.py"]
    assert (package / "adding.py").read_text() == ACCEPTED[1].source
    assert "from .adding import add" in (package / "__init__.py").read_text()


def test_the_kernel_reads_there_which_module_is_graded(prepare):
    course = Course(prepare("02_adding"))
    assert course.grading == "02_adding"
    assert [m["id"] for m in course.modules][:3] == ["01_counting", "02_adding", "03_doubling"]


def test_small_files_beside_the_notebook_can_be_read_and_nothing_else(prepare, beside, tmp_path):
    (beside / "data.csv").write_text("1,2")
    (beside / "02_adding.ipynb").write_text("{}")
    (beside / "helpers.py").write_text("x = 1")
    (beside / "large.bin").write_bytes(bytes(4 * MIB + 1))
    (beside / "folder").mkdir()
    (tmp_path / "secret").write_text("secret")
    (beside / "link.csv").symlink_to(tmp_path / "secret")
    os.mkfifo(beside / "pipe")
    assert [path.name for path in (prepare() / "notebooks").iterdir()] == ["data.csv"]


def test_of_very_many_files_only_the_first_are_copied(prepare, beside):
    for number in range(80):
        (beside / f"{number:02}.txt").write_text("x")
    assert len(list((prepare() / "notebooks").iterdir())) == 64


def test_a_file_that_cannot_be_read_stops_no_grading(prepare, beside, monkeypatch):
    (beside / "locked.csv").write_text("x")
    (beside / "open.csv").write_text("x")
    copy = prepare_scratch.__globals__["shutil"].copyfile

    def refuse(source, target):
        if source.name == "locked.csv":
            raise PermissionError(source)
        return copy(source, target)

    monkeypatch.setattr("tinytorch_core.grader.scratch.shutil.copyfile", refuse)
    assert [path.name for path in (prepare() / "notebooks").iterdir()] == ["open.csv"]


def test_a_notebooks_folder_that_is_gone_is_no_problem(prepare, beside):
    beside.rmdir()
    assert list((prepare() / "notebooks").iterdir()) == []


def test_course_json_is_json(prepare):
    assert json.loads((prepare() / ".tinytorch" / "course.json").read_text())["grading"] == "03_doubling"

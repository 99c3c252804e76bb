"""Where fetched data lies, and what is known of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from platformdirs import user_cache_path

from tinytorch_core.data import cache
from tinytorch_core.grader.kernels import kernel_environment
from tinytorch_core.tests.data.conftest import CONTENT


@pytest.fixture
def home(cache_folder, pair) -> Path:
    (cache_folder / "pair").mkdir(parents=True)
    return cache_folder / "pair"


def test_it_is_the_users_cache_folder_unless_another_one_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv(cache.VARIABLE)
    assert cache.folder() == user_cache_path("tinytorch") / "data"
    monkeypatch.setenv(cache.VARIABLE, "~/shared data")
    assert cache.folder() == Path.home() / "shared data"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(cache.VARIABLE, "here")
    assert cache.folder() == tmp_path / "here"


def test_grading_kernels_look_there_too(tmp_path, cache_folder):
    """Their HOME is the scratch folder, and AlexNet wants what was fetched."""
    assert kernel_environment(tmp_path)[cache.VARIABLE] == str(cache_folder)


def test_bytes_are_counted_whether_finished_or_not(home, pair):
    assert cache.fetched_bytes(pair) == 0
    (home / "a").write_bytes(CONTENT[:5000])
    cache.unfinished(home / "b").write_bytes(b"123")
    assert cache.fetched_bytes(pair) == 5003
    assert not cache.is_complete(pair)


def test_what_is_wrong_is_said_of_the_first_file_that_is(home, pair):
    assert cache.wrong(pair) == "a: it is not there"
    (home / "a").write_bytes(CONTENT[:5000])
    assert cache.wrong(pair) == "b: it is not there"
    (home / "b").write_bytes(b"123")
    assert cache.wrong(pair).startswith("b: its sha256 is a665a4")
    (home / "b").write_bytes(CONTENT[:3000])
    assert cache.wrong(pair) == "" and cache.is_complete(pair)


def test_a_folder_in_place_of_a_file_is_wrong(home, pair):
    (home / "a").mkdir()
    assert cache.wrong(pair) == "a: it can't be read (Is a directory)"

"""datasets.toml: complete, consistent, and the same as DATA_LICENSES says."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tinytorch_core import data
from tinytorch_core.data.catalogue import dataset, datasets, size
from tinytorch_core.errors import UnknownName

LICENCES = (Path(__file__).parents[3] / "DATA_LICENSES").read_text(encoding="utf-8")
PARTS = [part for d in datasets() for part in d.parts]


def test_names_are_unique_and_can_be_typed():
    names = [d.id for d in datasets()]
    assert len(set(names)) == len(names) and all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_each_part_has_a_plain_name_a_size_and_whole_digests(part):
    assert re.fullmatch(r"[A-Za-z0-9._-]+", part.name) and part.bytes > 0
    assert re.fullmatch("[0-9a-f]{64}", part.sha256) and re.fullmatch("([0-9a-f]{32})?", part.md5)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_addresses_are_secure_and_end_in_the_parts_name(part):
    for url in part.urls:
        assert urlsplit(url).scheme == "https" and url.endswith(f"/{part.name}")


def test_a_data_set_ships_whole_or_is_fetched_whole():
    for d in datasets():
        assert len({bool(part.urls) for part in d.parts}) == 1


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_data_licences_names_each_file_with_its_digest(part):
    assert part.name.removesuffix(".gz") in LICENCES
    assert part.sha256 in LICENCES and part.md5 in LICENCES


@pytest.mark.parametrize("d", datasets(), ids=lambda d: d.id)
def test_data_licences_names_the_licence(d):
    assert d.licence in LICENCES


def test_what_the_licences_ask_for_is_there():
    for words in (
        "CC BY-SA 3.0",
        "subset",
        "NIST",
        "Copyright © 2017 Zalando SE",
        "above copyright notice and this permission",
    ):
        assert words in LICENCES


@pytest.mark.parametrize("d", datasets(), ids=lambda d: d.id)
def test_each_data_set_has_a_loader_that_exists(d):
    assert callable(getattr(data, d.load.partition("(")[0]))


@pytest.mark.parametrize("name", ["cifar10", "CIFAR-10", "cifar_10", "Cifar 10"])
def test_a_name_may_be_written_as_people_write_it(name):
    assert dataset(name).id == "cifar10"


def test_an_unknown_name_gets_the_list():
    with pytest.raises(UnknownName, match=r"There is no data set 'imagenet'\. There are mnist, .*cifar10"):
        dataset("imagenet")


def test_sizes_are_said_as_people_say_them():
    assert [size(n) for n in (0, 999, 4542, 28881, 1648877, 170052171)] == [
        "0 B", "999 B", "4.5 kB", "29 kB", "1.6 MB", "170 MB",
    ]  # fmt: skip

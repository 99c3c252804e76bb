"""A file is right if its content is: that is all of a digest, whatever the file is called."""

from __future__ import annotations

import gzip
import hashlib
import io

import msgspec
import pytest

from tinytorch_core.data.catalogue import Part
from tinytorch_core.data.digests import wrong

TEXT = b"some text\n" * 1000
PLAIN = Part(name="x", bytes=len(TEXT), sha256=hashlib.sha256(TEXT).hexdigest(), md5=hashlib.md5(TEXT).hexdigest())
PACKED = msgspec.structs.replace(PLAIN, of="unpacked")


def test_the_right_content_is_right_and_can_be_read_afterwards():
    file = io.BytesIO(TEXT)
    file.seek(500)
    assert wrong(PLAIN, file) == ""
    assert file.read() == TEXT


def test_other_content_says_which_digest_it_has():
    found = hashlib.sha256(TEXT[:-1]).hexdigest()
    said = wrong(msgspec.structs.replace(PLAIN, md5=""), io.BytesIO(TEXT[:-1]))
    assert said == f"its sha256 is {found[:12]}…, not {PLAIN.sha256[:12]}…"


@pytest.mark.parametrize("name", ["md5", "sha256"])
def test_each_digest_must_fit(name):
    other = msgspec.structs.replace(PLAIN, **{name: "0" * len(getattr(PLAIN, name))})
    assert wrong(other, io.BytesIO(TEXT)).startswith(f"its {name} is ")


def test_a_packed_file_counts_by_what_is_in_it():
    for level in (1, 9):
        assert wrong(PACKED, io.BytesIO(gzip.compress(TEXT, level))) == ""
    assert wrong(PACKED, io.BytesIO(gzip.compress(TEXT + b"!"))).startswith("its md5 is")


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        gzip.compress(TEXT)[:-9],
        gzip.compress(TEXT)[:30],
        gzip.compress(TEXT) + b"rest",
        b"\x1f\x8b" + TEXT,
        gzip.compress(TEXT)[:10] + TEXT,
    ],
    ids=["plain", "cut", "cut early", "longer", "only begins like one", "nothing but a head"],
)
def test_what_is_no_gzip_file_says_so(content):
    assert wrong(PACKED, io.BytesIO(content)) == "it is not a whole gzip file"


def test_an_empty_file_is_wrong():
    assert wrong(PLAIN, io.BytesIO()) and wrong(PACKED, io.BytesIO())

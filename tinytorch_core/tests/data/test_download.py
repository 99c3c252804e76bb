"""One file over HTTP: whatever the server and the network do, what is kept is a right beginning, and an error says why."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tinytorch_core.data import download
from tinytorch_core.data.catalogue import Dataset
from tinytorch_core.data.errors import BrokeOff, Refused
from tinytorch_core.tests.data.conftest import CONTENT
from tinytorch_core.tests.web import Web


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "toy.bin.part"


@pytest.fixture
def get(toy, path):
    """Downloads the toy; what it returns are the numbers of bytes that were reported."""

    def run(url: str | None = None) -> list[int]:
        (part,) = toy.parts
        reported: list[int] = []
        download.download(url or part.urls[0], part, path, reported.append)
        return reported

    return run


@pytest.fixture
def get_once(get, monkeypatch):
    """The same, without a second try."""
    monkeypatch.setattr(download, "TRIES", 1)
    return get


def test_a_file_comes_whole_and_tells_how_far_it_is(web: Web, path: Path, get) -> None:
    reported = get()
    assert path.read_bytes() == CONTENT
    assert reported == sorted(reported) and reported[-1] == len(CONTENT) and len(reported) > 5


def test_it_asks_for_the_bytes_as_they_are(web: Web, get) -> None:
    get()
    assert web.asked[0]["accept-encoding"] == "identity"
    assert web.asked[0]["user-agent"].startswith("TinyTorch/")


def test_a_server_that_calls_a_packed_file_an_encoding_changes_nothing(web: Web, path: Path, get) -> None:
    web.headers = {"Content-Encoding": "x-gzip"}
    get()
    assert path.read_bytes() == CONTENT


def test_without_a_stated_length_it_comes_too(web: Web, path: Path, get) -> None:
    web.length = False
    get()
    assert path.read_bytes() == CONTENT


def test_what_breaks_off_goes_on_by_itself(web: Web, path: Path, get) -> None:
    web.breaks = [30_000, 20_000]
    get()
    assert path.read_bytes() == CONTENT
    assert len(web.asked) == 3
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in web.ranges_asked[1:]]
    assert 0 < starts[0] <= 30_000 and starts[0] < starts[1] <= 50_000
    assert {asked.get("if-range") for asked in web.asked[1:]} == {'"1"'}


def test_what_broke_off_is_kept_and_the_next_call_goes_on(web: Web, path: Path, get_once) -> None:
    web.breaks = [40_000]
    with pytest.raises(BrokeOff, match="broke off"):
        get_once()
    kept = path.read_bytes()
    assert 0 < len(kept) <= 40_000 and kept == CONTENT[: len(kept)]
    get_once()
    assert path.read_bytes() == CONTENT
    assert web.ranges_asked == ["", f"bytes={len(kept)}-"]


def test_the_caller_learns_that_some_of_it_came_earlier(toy: Dataset, web: Web, path: Path) -> None:
    (part,) = toy.parts
    web.breaks = [40_000, 0]
    with pytest.raises(BrokeOff):
        download.download(part.urls[0], part, path, lambda here: None)
    assert download.download(part.urls[0], part, path, lambda here: None) is True
    download.discard(path)
    web.breaks = [40_000]
    assert download.download(part.urls[0], part, path, lambda here: None) is False


def test_a_server_that_closes_early_without_a_stated_length_is_noticed(web: Web, path: Path, get_once) -> None:
    web.length, web.breaks = False, [40_000]
    with pytest.raises(BrokeOff, match="broke off after 40 kB of 100 kB"):
        get_once()
    assert path.read_bytes() == CONTENT[:40_000]


def test_it_gives_up_when_a_try_brings_nothing(web: Web, get) -> None:
    web.breaks = [0] * 50
    with pytest.raises(BrokeOff):
        get()
    assert len(web.asked) == 1


def test_it_does_not_try_for_ever(web: Web, get) -> None:
    web.breaks = [20_000] + [1024] * 50
    with pytest.raises(BrokeOff):
        get()
    assert len(web.asked) <= download.TRIES


def test_a_server_that_knows_no_range_sends_all_of_it_again(web: Web, path: Path, get) -> None:
    web.ranges, web.breaks = False, [60_000]
    reported = get()
    assert path.read_bytes() == CONTENT
    assert len(web.asked) == 2
    assert reported != sorted(reported)  # the bar says that it began again


def test_a_file_that_changed_meanwhile_comes_from_its_start(web: Web, path: Path, get_once, toy: Dataset) -> None:
    web.files["/toy.bin"] = bytes(len(CONTENT))
    web.breaks = [40_000]
    with pytest.raises(BrokeOff):
        get_once()
    web.serve("toy.bin", CONTENT)
    web.etag = '"2"'
    get_once()
    assert path.read_bytes() == CONTENT


def test_a_date_will_do_where_the_tag_is_weak(web: Web, path: Path, get) -> None:
    web.etag, web.dated, web.breaks = 'W/"1"', "Thu, 04 Jun 2009 20:36:17 GMT", [40_000]
    get()
    assert path.read_bytes() == CONTENT
    assert web.asked[1]["if-range"] == web.dated and web.asked[1]["range"]


def test_without_tag_and_date_nothing_is_gone_on_with(web: Web, path: Path, get_once) -> None:
    web.etag, web.breaks = "", [40_000]
    with pytest.raises(BrokeOff):
        get_once()
    get_once()
    assert path.read_bytes() == CONTENT
    assert web.ranges_asked == ["", ""]


def test_a_beginning_from_another_address_is_not_gone_on_with(web: Web, path: Path, get_once) -> None:
    other = web.serve("other.bin", bytes(len(CONTENT)))
    web.breaks = [40_000]
    with pytest.raises(BrokeOff):
        get_once(other)
    get_once()
    assert path.read_bytes() == CONTENT


def test_a_beginning_is_kept_until_another_address_really_answers(web: Web, path: Path, get_once) -> None:
    web.breaks = [40_000]
    with pytest.raises(BrokeOff):
        get_once()
    kept = path.read_bytes()
    for other in ("http://127.0.0.1:9/toy.bin", f"http://127.0.0.1:{web.port}/nothing"):
        with pytest.raises((BrokeOff, Refused)):
            get_once(other)
    assert path.read_bytes() == kept
    get_once()
    assert path.read_bytes() == CONTENT and web.ranges_asked[-1] == f"bytes={len(kept)}-"


@pytest.mark.parametrize("note", [b"", b"not json", b'{"url": 3}'])
def test_a_beginning_of_unknown_origin_is_thrown_away(web: Web, path: Path, get, note: bytes) -> None:
    path.write_bytes(b"something")
    path.with_name(path.name + ".json").write_bytes(note)
    get()
    assert path.read_bytes() == CONTENT
    assert web.ranges_asked == [""]


@pytest.mark.parametrize("partial", ["bytes 0-99999/100000", "bytes 7-99999/100000", "bytes 30000-99999/*", "nonsense"])
def test_another_piece_than_the_missing_one_is_not_taken(web: Web, path: Path, get_once, partial: str) -> None:
    web.breaks = [40_000]
    with pytest.raises(BrokeOff):
        get_once()
    web.partial = partial
    get_once()
    assert path.read_bytes() == CONTENT
    assert len(web.asked) == 3 and web.ranges_asked[2] == ""


def test_a_shorter_file_than_what_is_here_comes_anew(web: Web, path: Path, get_once) -> None:
    web.breaks = [40_000]
    with pytest.raises(BrokeOff):
        get_once()
    web.files["/toy.bin"] = CONTENT[:10]
    with pytest.raises(Refused, match="something else"):
        get_once()
    assert [asked[:6] for asked in web.ranges_asked] == ["", "bytes=", ""]


def test_all_of_it_is_not_asked_for_again(web: Web, path: Path, get) -> None:
    get()
    get()
    assert len(web.asked) == 1


def test_a_file_of_another_length_is_refused_before_it_is_received(web: Web, path: Path, get) -> None:
    web.files["/toy.bin"] = CONTENT + CONTENT
    with pytest.raises(Refused, match=r"does not send toy\.bin \(100 kB\) but something else"):
        get()
    assert not path.exists()


def test_a_file_that_never_ends_is_cut_off(web: Web, path: Path, get) -> None:
    web.length = False
    web.files["/toy.bin"] = CONTENT * 50
    with pytest.raises(Refused, match="sends more than the 100 kB"):
        get()
    assert path.stat().st_size <= len(CONTENT)


def test_a_networks_login_page_costs_nothing_of_what_has_come(web: Web, path: Path, get_once) -> None:
    web.breaks = [40_000]
    with pytest.raises(BrokeOff):
        get_once()
    web.files["/toy.bin"], web.ranges = b"<html>Please log in</html>", False
    web.headers, web.length = {"Content-Type": "text/html; charset=utf-8"}, False
    with pytest.raises(Refused, match="wants you to log in"):
        get_once()
    assert 0 < path.stat().st_size <= 40_000


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_an_error_of_the_server_is_told_and_costs_nothing_of_what_has_come(
    web: Web, path: Path, get_once, status: int
) -> None:
    web.breaks = [40_000]
    with pytest.raises(BrokeOff):
        get_once()
    kept = path.read_bytes()
    web.status = status
    with pytest.raises(Refused, match=rf"127\.0\.0\.1:\d+ answers {status}"):
        get_once()
    assert path.read_bytes() == kept


def test_a_slow_server_is_waited_for(web: Web, path: Path, get) -> None:
    web.pause = 0.01  # a second for all of it, three times as long as the silence that is borne
    get()
    assert path.read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_left_and_what_came_is_kept(web: Web, path: Path, get) -> None:
    web.stalls = [50_000, 0]
    before = time.monotonic()
    with pytest.raises(BrokeOff, match=r"has sent nothing for 0\.3 seconds"):
        get()
    assert time.monotonic() - before < 10
    assert 0 < path.stat().st_size <= 50_000


def test_a_server_that_never_answers_is_left(path: Path, get) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(BrokeOff, match="has sent nothing"):
        get(f"http://127.0.0.1:{silent.getsockname()[1]}/toy.bin")


def test_nobody_at_that_address_may_mean_offline(path: Path, get) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(BrokeOff, match=r"can't be reached\. Is this machine connected to the internet"):
        get(f"http://127.0.0.1:{port}/toy.bin")


def test_a_name_that_no_server_has_may_mean_offline(path: Path, get, monkeypatch) -> None:
    def nobody(*anything: object, **more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(BrokeOff, match=r"data\.invalid can't be reached"):
        get("http://data.invalid/toy.bin")


def test_a_server_that_speaks_no_tls_has_no_secure_connection(web: Web, get) -> None:
    with pytest.raises(BrokeOff, match="no secure connection to 127"):
        get(f"https://127.0.0.1:{web.port}/toy.bin")


def test_a_proxy_that_is_not_there_is_named(web: Web, get, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("http_proxy", raising=False)
    with pytest.raises(BrokeOff, match="The proxy that HTTPS_PROXY or HTTP_PROXY names"):
        get("http://data.invalid/toy.bin")


def test_a_redirect_to_http_is_followed_with_the_range(web: Web, path: Path, get) -> None:
    web.redirects["/moved"] = "/toy.bin"
    web.breaks = [40_000]
    get(f"http://127.0.0.1:{web.port}/moved")
    assert path.read_bytes() == CONTENT
    assert [asked["path"] for asked in web.asked] == ["/moved", "/toy.bin"] * 2
    assert web.ranges_asked[3].startswith("bytes=")


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/toy.bin", "gopher://x/", "data:,toys", "http://[::1"]
)
def test_a_redirect_to_anything_else_is_not(web: Web, path: Path, get, target: str) -> None:
    web.redirects["/moved"] = target
    with pytest.raises(Refused, match="not http or https"):
        get(f"http://127.0.0.1:{web.port}/moved")
    assert not path.exists()


def test_redirects_in_a_circle_come_to_an_end(web: Web, get) -> None:
    web.redirects["/moved"] = "/moved"
    with pytest.raises(Refused, match="on and on"):
        get(f"http://127.0.0.1:{web.port}/moved")
    assert len(web.asked) == download.REDIRECTS + 1


def test_ctrl_c_keeps_what_has_come(toy: Dataset, web: Web, path: Path) -> None:
    (part,) = toy.parts

    def interrupt(here: int) -> None:
        if here > 50_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.download(part.urls[0], part, path, interrupt)
    kept = path.read_bytes()
    assert len(kept) > 50_000 and kept == CONTENT[: len(kept)]
    download.download(part.urls[0], part, path, lambda here: None)
    assert path.read_bytes() == CONTENT
    assert web.ranges_asked[1] == f"bytes={len(kept)}-"

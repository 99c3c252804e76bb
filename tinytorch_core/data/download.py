"""One file over HTTP, gone on with where it broke off. The only place that knows `requests`.

Why not urllib: a Python from python.org on macOS has no certificates of its own until somebody installs them; requests brings
them along, and JupyterLab brings requests. Its sessions follow a redirect to http or https and to nothing else.

Beside the unfinished file lies a note of where it comes from and which version it is (`Origin`), so that it is only ever gone on
with from the same address, and only while the server says that nothing has changed there (Range and If-Range, RFC 9110).
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import msgspec
import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from tinytorch_core import __version__
from tinytorch_core.data.catalogue import Part, size
from tinytorch_core.data.errors import BrokeOff, Refused

TIMEOUTS = (10.0, 30.0)
"""Seconds to connect, and seconds without a single byte."""
REDIRECTS = 5
TRIES = 10
"""As long as each brings something."""
PAUSE_SECONDS = 1.0
CHUNK = 1 << 14

OnBytes = Callable[[int], None]
"""Called with the number of bytes that are here."""


class Origin(msgspec.Struct, frozen=True):
    """Where an unfinished file comes from, and the ETag or date by which the server knows that version of it."""

    url: str
    validator: str


def download(url: str, part: Part, path: Path, on_bytes: OnBytes) -> bool:
    """Bring `path` to the size of `part`. What it holds is for the caller to judge.

    True if some of it had come earlier, in another call. Raises Refused if this address does not serve the file, BrokeOff if the
    connection did not hold (what has come is kept), and OSError where the disk says no.
    """
    earlier = _kept(url, part, path)
    for trial in range(TRIES):
        before = _kept(url, part, path)
        if before == part.bytes:
            break
        try:
            _go_on(url, part, path, before, on_bytes)
        except BrokeOff:
            if trial == TRIES - 1 or _kept(url, part, path) <= before:
                raise
            time.sleep(PAUSE_SECONDS)
    return earlier > 0


def discard(path: Path) -> None:
    """Forget an unfinished file."""
    for leftover in (path, _note(path)):
        leftover.unlink(missing_ok=True)


def _go_on(url: str, part: Part, path: Path, have: int, on_bytes: OnBytes) -> None:
    """One request, for what is missing; a second one, for all of it, if the server can't continue."""
    with _in_words(url), _session() as session, _get(session, url, _range(path, have)) as response:
        if have and response.status_code in (206, 416) and not _continues(response, part, have):
            discard(path)
            return _go_on(url, part, path, 0, on_bytes)
        if have and response.status_code != 206:
            have = 0  # all of it comes again: the server knows no Range, or has another version now
        _demand_the_file(url, response, part, have)
        if not have:
            _write_note(path, url, response)
        with path.open("ab" if have else "wb") as file:
            _receive(url, response, part, file, have, on_bytes)
    return None


def _receive(url: str, response: requests.Response, part: Part, file: BinaryIO, have: int, on_bytes: OnBytes) -> None:
    for chunk in response.raw.stream(CHUNK, decode_content=False):
        if have + len(chunk) > part.bytes:
            raise Refused(f"{_host(url)} sends more than the {size(part.bytes)} of {part.name}: it is another file.")
        file.write(chunk)
        have += len(chunk)
        on_bytes(have)
    if have < part.bytes:
        raise BrokeOff(f"{_host(url)} broke off after {size(have)} of {size(part.bytes)}.")


def _session() -> requests.Session:
    session = requests.Session()
    session.max_redirects = REDIRECTS
    # The bytes of the file as they are: no compression on the way, which Range could not count in.
    session.headers.update({"User-Agent": f"TinyTorch/{__version__}", "Accept-Encoding": "identity"})
    return session


def _get(session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    try:
        return session.get(url, headers=headers, stream=True, timeout=TIMEOUTS)
    except ValueError as error:  # a scheme that requests has no way for, or what is no address at all
        raise Refused(f"{_host(url)} sends us on to an address that is not http or https.") from error


def _range(path: Path, have: int) -> dict[str, str]:
    origin = _read_note(path) if have else None
    return {"Range": f"bytes={have}-", "If-Range": origin.validator} if origin else {}


def _continues(response: requests.Response, part: Part, have: int) -> bool:
    """True if this is exactly the missing rest, as RFC 9110 has it: `Content-Range: bytes 100-299/300`."""
    said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", "").strip())
    return response.status_code == 206 and said is not None and said.groups() == (
        str(have), str(part.bytes - 1), str(part.bytes)
    )  # fmt: skip


def _demand_the_file(url: str, response: requests.Response, part: Part, have: int) -> None:
    """Notice a wrong answer before it is received, and before it costs what has come: an error, or a network's login page."""
    if response.status_code != (206 if have else 200):
        raise Refused(f"{_host(url)} answers {response.status_code} {response.reason or ''}".rstrip() + ".")
    length = response.headers.get("Content-Length", "")
    is_page = response.headers.get("Content-Type", "").startswith("text/html")
    if is_page or (not have and length.isdecimal() and int(length) != part.bytes):
        raise Refused(
            f"{_host(url)} does not send {part.name} ({size(part.bytes)}) but something else: another file, or a page of your "
            "network that wants you to log in."
        )


def _kept(url: str, part: Part, path: Path) -> int:
    """How many bytes of an unfinished file this address can go on with. What it can't stays until its own first byte comes."""
    origin, have = _read_note(path), path.stat().st_size if path.is_file() else 0
    if origin and origin.url == url and have <= part.bytes and (origin.validator or have == part.bytes):
        return have
    return 0


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read_note(path: Path) -> Origin | None:
    try:
        return msgspec.json.decode(_note(path).read_bytes(), type=Origin)
    except (OSError, msgspec.DecodeError):
        return None


def _write_note(path: Path, url: str, response: requests.Response) -> None:
    """Before the first byte: a file without a note is never gone on with."""
    discard(path)
    tag = response.headers.get("ETag", "")
    validator = response.headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag
    _note(path).write_bytes(msgspec.json.encode(Origin(url=url, validator=validator)))


@contextlib.contextmanager
def _in_words(url: str) -> Iterator[None]:
    """What requests and urllib3 raise, in the words of our own tree."""
    host = _host(url)
    try:
        yield
    except requests.TooManyRedirects as error:
        raise Refused(f"{host} sends us on and on, more than {REDIRECTS} times.") from error
    except requests.exceptions.SSLError as error:
        raise BrokeOff(f"There is no secure connection to {host} ({error}).") from error
    except requests.exceptions.ProxyError as error:
        raise BrokeOff(f"The proxy that HTTPS_PROXY or HTTP_PROXY names does not let us through to {host}.") from error
    except (requests.ReadTimeout, ReadTimeoutError) as error:
        raise BrokeOff(f"{host} has sent nothing for {TIMEOUTS[1]:g} seconds.") from error
    except requests.ConnectionError as error:
        raise BrokeOff(f"{host} can't be reached. Is this machine connected to the internet?") from error
    except (requests.RequestException, HTTPError) as error:
        raise BrokeOff(f"The connection to {host} broke off.") from error


def _host(url: str) -> str:
    return urlsplit(url).netloc

"""A real HTTP server on a free port of this machine that serves files, and fails in every way that servers and networks do."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Web:
    """What the server does is what a test sets here; what was asked of it stands in `asked`."""

    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request, in lower case, and `path`."""
    breaks: list[int] = field(default_factory=list)
    """For each coming answer, after how many bytes of it the connection is cut."""
    stalls: list[int] = field(default_factory=list)
    """For each coming answer, after how many bytes of it nothing comes any more."""
    pause: float = 0
    """Seconds between one kilobyte and the next."""
    ranges: bool = True
    etag: str = '"1"'
    dated: str = ""
    length: bool = True
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    partial: str = ""
    """A Content-Range of its own, in place of the right one."""
    redirects: dict[str, str] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def serve(self, name: str, content: bytes) -> str:
        """The address under which `content` is to be had."""
        self.files[f"/{name}"] = content
        return f"http://127.0.0.1:{self.port}/{name}"

    @property
    def ranges_asked(self) -> list[str]:
        return [headers.get("range", "") for headers in self.asked]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        web = self.web
        web.asked.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
        if self.path in web.redirects:
            self._begin(302, 0, {"Location": web.redirects[self.path]})
            return
        content = web.files.get(self.path)
        if content is None or web.status != 200:
            self._begin(404 if content is None else web.status, 0, {})
            return
        start = self._start(len(content))
        if start >= len(content):
            self._begin(416, 0, {"Content-Range": f"bytes */{len(content)}"})
            return
        headers = dict(web.headers)
        if start or (web.partial and "Range" in self.headers):
            headers["Content-Range"] = web.partial or f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._begin(206 if "Content-Range" in headers else 200, len(content) - start if web.length else None, headers)
        self._send(content[start:])

    def _start(self, length: int) -> int:
        web = self.web
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", web.etag) in (web.etag, web.dated)
        return int(asked[1]) if asked and web.ranges and same else 0

    def _begin(self, status: int, length: int | None, headers: dict[str, str]) -> None:
        self.send_response(status)
        own = {"ETag": self.web.etag, "Last-Modified": self.web.dated}
        for name, value in {**own, **headers}.items():
            if value:
                self.send_header(name, value)
        if length is None:
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, content: bytes) -> None:
        web = self.web
        end = web.breaks.pop(0) if web.breaks else None
        stall = web.stalls.pop(0) if web.stalls else None
        whole = content if end is None and stall is None else content[: end if stall is None else stall]
        with contextlib.suppress(ConnectionError):
            for begin in range(0, len(whole), 1024):
                self.wfile.write(whole[begin : begin + 1024])
                if web.pause:
                    time.sleep(web.pause)
        if stall is not None:
            web.over.wait(30)
        if whole is not content:
            self.close_connection = True

    def log_message(self, *anything: Any) -> None:
        """Says nothing: a test's output is for what went wrong."""


class Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of many tests; anything else is a mistake in this file."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = type("WebHandler", (Handler,), {})
    server = Server(("127.0.0.1", 0), handler)
    handler.web = Web(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler.web
    handler.web.over.set()
    server.shutdown()
    server.server_close()
    thread.join()

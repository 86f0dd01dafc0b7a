"""Reads a request, checks it, and writes the answer."""

from __future__ import annotations

import sqlite3
from http.client import HTTPException, LineTooLong
from http.server import BaseHTTPRequestHandler
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, unquote

from lupis_instrument._query.items import find_last_id
from lupis_instrument._query.store_reader import StoreUnreadableError
from lupis_instrument._version import __version__
from lupis_instrument._viewer.guards import (
    SECURITY_HEADERS,
    is_known_host,
    is_loopback,
    is_own_origin,
)
from lupis_instrument._viewer.question import BadQuestionError, MissingError, Question
from lupis_instrument._viewer.readers import StoreReader, TooBusyError, encode_json
from lupis_instrument._viewer.replies import TEXT, Reply, make_error
from lupis_instrument._viewer.request_body import BodyError, read_body
from lupis_instrument._viewer.session import COOKIE
from lupis_instrument._viewer.static_files import INDEX, read_files
from lupis_instrument._viewer.stream import write_changes

if TYPE_CHECKING:
    from lupis_instrument._viewer.viewer import Viewer

HEALTH_PATH = "/api/health"
STREAM_PATH = "/api/stream"
RECEIVER_PATHS = ("/api/traces", "/v1/traces", "/api/events", "/v1/logs")
_MAX_HEADER_BYTES = 64 << 10
_MAX_HEADER_SECONDS = 30.0
_SECONDS = 30.0
"""The longest wait for a client, to read as well as to write."""
_MAX_FIELDS = 50
_NEW_SESSION = "Open the page anew: run `lupis ui` and open the printed line.\n"


class PageServer(Protocol):
    """The server of a handler.

    Attributes:
        viewer: the parts that all servers share.
        has_pages: whether it serves the page and its API, not the receiver alone.
    """

    viewer: Viewer
    has_pages: bool


class _HeaderReader:
    """Reads the lines of a request's head, which are limited in size and time."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = _MAX_HEADER_BYTES
        self._due = monotonic() + _MAX_HEADER_SECONDS

    def readline(self, limit: int = -1) -> bytes:
        """Return the next line."""
        line: bytes = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0 or monotonic() > self._due:
            raise LineTooLong("header")
        return line


class Handler(BaseHTTPRequestHandler):
    """Serves one connection."""

    server: PageServer  # type: ignore[assignment]
    protocol_version = "HTTP/1.1"
    server_version = "lupis"
    sys_version = ""
    timeout = _SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        """Prepare the connection; it opens the store with the first question."""
        super().setup()
        self._reader = StoreReader(self.server.viewer.path)
        self._is_head = False

    def finish(self) -> None:
        """Close the store of this connection."""
        try:
            super().finish()
        finally:
            self._reader.close()

    def parse_request(self) -> bool:
        """Read the head of a request, within limits."""
        file = self.rfile
        self._is_head = False
        self.rfile = _HeaderReader(file)  # type: ignore[assignment]
        try:
            return super().parse_request() and self._check_request()
        except (LineTooLong, HTTPException):
            self.send_error(431)
            return False
        finally:
            self.rfile = file

    def _check_request(self) -> bool:
        """Return whether to go on; else the answer is written."""
        self._is_head = self.command == "HEAD"
        problem = self._find_problem()
        if problem is not None:
            self._write_reply(problem)
        return problem is None

    def _find_problem(self) -> Reply | None:
        headers = self.headers
        for name in ("Host", "Content-Length", "Origin", "Transfer-Encoding"):
            if len(headers.get_all(name, ())) > 1:
                return make_error(400, f"more than one header {name}")
        if not is_known_host(headers.get("Host", ""), self.server.viewer.host):
            return make_error(421, "the header Host names another server")
        if not self.path.startswith("/") or not self.path.isascii():
            return make_error(400, "expected a path")
        if not is_own_origin(headers):
            return make_error(403, "the request comes from a page of another server")
        return None

    # Methods

    def do_GET(self) -> None:
        """Answer a question, or send a file of the page."""
        if self._has_body():
            self.close_connection = True
        path, _, query = self.path.partition("?")
        try:
            reply = self._answer_get(path, query)
        except BadQuestionError as error:
            reply = make_error(400, str(error))
        except (UnicodeDecodeError, ValueError):
            reply = make_error(400, "the address is not valid")
        except MissingError as error:
            reply = make_error(404, str(error))
        except TooBusyError as error:
            reply = make_error(503, str(error), ("Retry-After", "2"))
        except (StoreUnreadableError, sqlite3.Error, OSError) as error:
            reply = make_error(500, str(error))
        if reply is not None:
            self._write_reply(reply)

    def do_HEAD(self) -> None:
        """Answer like GET, without a body."""
        self.do_GET()

    def do_POST(self) -> None:
        """Pass spans and events to the receiver."""
        path = self.path.partition("?")[0].rstrip("/")
        if path not in RECEIVER_PATHS:
            self._refuse_method("GET, HEAD")
            return
        self._write_reply(self._receive(path))

    def _refuse_method(self, allowed: str = "GET, HEAD, POST") -> None:
        reply = make_error(405, f"{self.command[:20]} is not supported here", ("Allow", allowed))
        self._write_reply(reply)

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse_method  # noqa: N815

    # Answers

    def _answer_get(self, path: str, query: str) -> Reply | None:
        if path == HEALTH_PATH:
            return self._answer_health()
        if not self.server.has_pages:
            return make_error(404, "this port takes spans and events alone")
        return self._answer_page(path, query)

    def _answer_page(self, path: str, query: str) -> Reply | None:
        viewer = self.server.viewer
        cookies = self.headers.get("Cookie", "")
        session = viewer.sessions.find_session(cookies)
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        if path == "/" and "token" in fields:
            return self._open_session(fields["token"][0], cookies, is_open=session is not None)
        if session is None:
            return Reply(401, _NEW_SESSION.encode(), TEXT, close=True)
        if path == STREAM_PATH:
            return self._stream_changes(session)
        if path.startswith(("/api/", "/v1/")):
            return self._answer_question(path, query, fields)
        return self._send_file(path)

    def _answer_health(self) -> Reply:
        # A viewer that takes no spans must not say the name that `auto` looks for.
        name = "lupis" if self.server.viewer.receiver is not None else "read-only lupis"
        return Reply(200, encode_json({"name": name, "version": __version__}))

    def _open_session(self, token: str, cookies: str, *, is_open: bool) -> Reply | None:
        value = self.server.viewer.sessions.open_session(token, cookies)
        if value is None:
            if not is_open:
                return Reply(401, _NEW_SESSION.encode(), TEXT, close=True)
            return Reply(303, b"", TEXT, (("Location", "/"),))
        cookie = f"{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/"
        return Reply(303, b"", TEXT, (("Location", "/"), ("Set-Cookie", cookie)))

    def _answer_question(self, path: str, query: str, fields: dict[str, list[str]]) -> Reply:
        from lupis_instrument._viewer.routes import find_route

        match = find_route(path)
        if match is None:
            return make_error(404, "there is no such question")
        route, name = match

        def ask() -> Any:
            with self._reader.use_store() as store:
                return route.ask(Question(store, fields, name))

        if not route.is_kept:
            return Reply(200, encode_json(ask()))
        return Reply(200, self.server.viewer.cache.find_answer(f"{path}?{query}", ask))

    def _send_file(self, path: str) -> Reply:
        files = read_files()
        if path.startswith("/static/"):
            name = unquote(path[len("/static/") :], errors="strict")
        else:
            is_page = "." not in path.split("/")[1] and ".." not in unquote(path).split("/")
            name = INDEX if is_page else ""
        file = files.get(name)
        if file is None:
            return make_error(404, "there is no such page")
        headers = (("ETag", file.tag), ("Cache-Control", "no-cache"))
        if self.headers.get("If-None-Match") == file.tag:
            return Reply(304, b"", file.content_type, headers)
        return Reply(200, file.data, file.content_type, headers)

    def _stream_changes(self, session: str) -> Reply | None:
        viewer = self.server.viewer
        with viewer.streams.open_stream(session) as end:
            if end is None:
                return make_error(503, "too many pages are open", ("Retry-After", "5"))
            self.close_connection = True
            self._write_head(200, "text/event-stream", None, ())
            if not self._is_head:
                self.wfile.flush()
                write_changes(viewer.path, self._read_change, self._write_now, end)
        return None

    def _read_change(self) -> int:
        with self._reader.use_store() as store:
            return find_last_id(store.db)

    def _write_now(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    # The receiver

    def _receive(self, path: str) -> Reply:
        viewer = self.server.viewer
        if viewer.receiver is None:
            return make_error(405, "this viewer only reads", ("Allow", "GET, HEAD"))
        if not self._may_send():
            return make_error(401, "expected the token of `lupis ui` as the header x-api-key")
        try:
            body = read_body(self.headers, self.rfile)  # type: ignore[arg-type]
        except BodyError as error:
            return error.reply
        return viewer.receiver.receive(path, self.headers, body)

    def _may_send(self) -> bool:
        """Return whether the client is on this machine, or knows the token."""
        key = self.headers.get("x-api-key", "")
        return is_loopback(self.client_address[0]) or self.server.viewer.sessions.is_key(key)

    # Writing

    def _has_body(self) -> bool:
        return "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0"

    def _write_reply(self, reply: Reply) -> None:
        self.close_connection = self.close_connection or reply.close
        self._write_head(reply.status, reply.content_type, len(reply.body), reply.headers)
        if not self._is_head and reply.status != 304:  # noqa: PLR2004 - RFC 9110
            self.wfile.write(reply.body)
        self.wfile.flush()

    def _write_head(
        self,
        status: int,
        content_type: str,
        length: int | None,
        headers: tuple[tuple[str, str], ...],
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if length is not None:
            self.send_header("Content-Length", str(length))
        names = {name for name, _ in headers}
        for name, value in (*SECURITY_HEADERS, *headers):
            self.send_header(name, value)
        if "Cache-Control" not in names:
            self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def send_error(
        self,
        code: int,
        message: str | None = None,  # noqa: ARG002 - the base class quotes the request in it
        explain: str | None = None,  # noqa: ARG002
    ) -> None:
        """Write the answer to a request that the base class cannot read."""
        if not hasattr(self, "command") or self.command is None:
            self.command = ""
        self.request_version = self.protocol_version
        self._write_reply(make_error(code, "the request is not valid"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep the terminal free of a line for each request."""

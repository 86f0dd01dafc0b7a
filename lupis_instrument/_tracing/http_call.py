"""One HTTP call as the client's wire shows it: request, response head, and the body going by.

The clients' taps fill an exchange on the program's thread, so all that happens here is keeping
references; reading them is left to the pipeline, on a thread of ours.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import lru_cache
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, NamedTuple, Tuple
from urllib.parse import urljoin, urlsplit

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._llm.api.endpoints import Endpoint, identify_endpoint
from lupis_instrument._llm.api.operations import OTHER_API
from lupis_instrument._llm.body.body_reader import BodyReader

if TYPE_CHECKING:
    Headers = List[Tuple[str, str]]

MOST_REQUEST_BYTES = 4 << 20
"""Of a request body sent in pieces, no more than this is kept until it is read."""


_RETRIED = frozenset((401, 407, 408, 409, 425, 429))
"""Statuses that make clients send a request again, besides 3xx and 5xx."""
_FIRST_REDIRECT, _FIRST_CLIENT_ERROR, _FIRST_SERVER_ERROR = 300, 400, 500


class ParsedUrl(NamedTuple):
    """Where a URL leads.

    Attributes:
        scheme: `http` or `https`.
        host: lower case, an IPv6 address without its brackets.
        port: the URL's, or its scheme's default.
        path: with its query string.
    """

    scheme: str
    host: str
    port: int | None
    path: str


_DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=256)
def parse_url(url: str) -> ParsedUrl:
    """Take `url` apart; what cannot be read is left empty."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return ParsedUrl(parts.scheme, (parts.hostname or "").lower(), port, path)
    except ValueError:
        return ParsedUrl("", "", None, "")


class ResponseBody:
    """The body of one response, watched while the program reads it.

    Attributes:
        reader: what finds the usage in it.
        first_chunk: `perf_counter_ns` when the first came.
        pieces: how many were fed.
        outcome: `complete`, `closed`, `dropped` or `error` once it has ended.
        error_type: the type of the exception that ended it.
        ended: `perf_counter_ns` of the end.
    """

    __slots__ = ("_http_call", "ended", "error_type", "first_chunk", "outcome", "pieces", "reader")

    def __init__(self, http_call: HttpCall, reader: BodyReader) -> None:
        self._http_call = http_call
        self.reader = reader
        self.pieces = 0
        self.first_chunk: int | None = None
        self.outcome: str | None = None
        self.error_type: str | None = None
        self.ended: int | None = None

    def feed(self, data: bytes) -> None:
        """Take a piece that the program is about to get."""
        try:
            if not self.pieces:
                self.first_chunk = perf_counter_ns()
            self.pieces += 1
            self.reader.feed(data)
        except Exception as fault:
            report_fault("reading a body", fault)

    @property
    def chunks(self) -> int:
        """How many pieces the body came in, as the wire or else the client cut it."""
        decoder = self.reader.finish().chunked_decoder
        return self.pieces if decoder is None else decoder.count

    def end(self, outcome: str, error: BaseException | None = None) -> None:
        """Say that no more will come; only the first call counts.

        May be called while garbage is collected: it must take no lock.
        """
        if self.outcome is not None:
            return
        try:
            self.outcome = outcome
            self.error_type = type(error).__qualname__ if error is not None else None
            self.ended = perf_counter_ns()
            self._http_call.on_body_end(self)
        except Exception as fault:
            report_fault("ending a body", fault)


class HttpCall:
    """One logical call: the last attempt's request, response head and body.

    Redirects and retries inside one call of the client begin the exchange anew.

    Attributes:
        started: `perf_counter_ns` when the call began.
        endpoint: which LLM API it goes to; None for every other host.
        attempts: how many requests were sent for it.
        earlier: of each attempt before the last, when the next began and its status.
        span: what will tell of it, if there is one.
    """

    __slots__ = (
        "_after",
        "_hold",
        "_hosts",
        "_resends",
        "_sent",
        "_settle",
        "attempts",
        "body",
        "earlier",
        "endpoint",
        "method",
        "request_body",
        "request_head",
        "request_headers",
        "response_headers",
        "span",
        "started",
        "status",
        "url",
        "version",
    )

    def __init__(
        self,
        hosts: Mapping[str, str],
        hold: Callable[[], Any],
        settle: Callable[[], Any],
        span: Any = None,
    ) -> None:
        """Begin an exchange.

        Args:
            hosts: `LUPIS_PROVIDER_HOSTS`.
            hold: called when a body is about to be watched: the span must outlast it.
            settle: called when that body has ended; takes no lock.
            span: what will tell of it.
        """
        self.span = span
        self._hosts = hosts
        self._hold = hold
        self._settle = settle
        self.started = perf_counter_ns()
        self.attempts = 0
        self.earlier: list[tuple[int, int | None]] = []
        self.body: ResponseBody | None = None
        self._after: HttpCall | None = None
        self._resends = 0
        self._forget()

    def _forget(self) -> None:
        self.endpoint: Endpoint | None = None
        self.method = ""
        self.url = ""
        self.request_head: bytes | None = None
        self.request_headers: Headers = []
        self.request_body: list[bytes] = []
        self._sent = 0
        self.status: int | None = None
        self.response_headers: Headers = []
        self.version: str | None = None

    def begin_attempt(self, method: str, url: str) -> None:
        """Begin an attempt."""
        if self.attempts and len(self.earlier) < _MOST_EARLIER:
            self.earlier.append((perf_counter_ns(), self.status))
        self._forget()
        self.body = None
        self.attempts += 1
        self.method = method
        self.url = url
        place = parse_url(url)
        self.endpoint = identify_endpoint(method, place.host, place.port, place.path, self._hosts)
        if self.endpoint is not None and self.attempts == 1:
            before = _unanswered.get()
            if before is not None and before is not self:
                before.count_resends()  # so that it lets go of the one before it
                self._after = before
            _unanswered.set(self)

    def count_resends(self) -> int:
        """Return which repetition this is of one request that was made here before it: 0 for none.

        A client that tries again makes the same request, in the same thread or task, when the one
        before brought no answer that it could use.
        """
        before, self._after = self._after, None
        if before is not None and self._repeats(before):
            self._resends = before._resends + before.attempts
        return self._resends + max(0, self.attempts - 1)

    def _repeats(self, before: HttpCall) -> bool:
        if before.method != self.method:
            return False
        if before.status is not None and before.status < _FIRST_CLIENT_ERROR:
            location = join_header(before.response_headers, "location")
            return location is not None and urljoin(before.url, location) == self.url
        return before.url == self.url and before.request_body == self.request_body

    def add_request_data(self, data: Any) -> None:
        """Keep a piece of the request's body, if it is text of ours to read."""
        if (
            self.endpoint is not None
            and isinstance(data, (bytes, bytearray))
            and self._sent < MOST_REQUEST_BYTES
        ):
            self._sent += len(data)
            self.request_body.append(bytes(data))

    def begin_response(
        self,
        status: int,
        headers: Headers,
        version: str | None,
        *,
        decoded: bool = False,
        chunked: bool = False,
    ) -> ResponseBody | None:
        """Take the response's head; returns what watches the body if it is to be watched.

        Args:
            status: of the response.
            headers: names as they came, one entry a line.
            version: of HTTP, `1.1` for example.
            decoded: whether the client has undone Content-Encoding before the tap.
            chunked: whether the tap sees the chunked transfer coding.
        """
        self.status = status
        self.response_headers = headers
        self.version = version
        if not _is_retried(status) and _unanswered.get() is self:
            _unanswered.set(None)
        redirect = _FIRST_REDIRECT <= status < _FIRST_CLIENT_ERROR
        if redirect or self.endpoint is None or self.endpoint.api == OTHER_API:
            return None
        coding = None if decoded else join_header(headers, "content-encoding")
        reader = BodyReader(
            self.endpoint, join_header(headers, "content-type"), coding, chunked=chunked
        )
        self.body = ResponseBody(self, reader)
        self._hold()
        return self.body

    def on_body_end(self, body: ResponseBody) -> None:
        """Let the call's span end, unless `body` was an earlier attempt's."""
        if body is self.body:
            self._settle()

    def read_request_headers(self) -> Headers:
        """Return the request's header lines, from its head where only that was kept."""
        return (
            parse_headers(self.request_head)
            if self.request_head is not None
            else self.request_headers
        )

    @property
    def has_open_body(self) -> bool:
        """Whether a body is being watched that has not ended."""
        return self.body is not None and self.body.outcome is None


_MOST_EARLIER = 20

_unanswered: ContextVar[HttpCall | None] = ContextVar("lupis-unanswered", default=None)
"""The last call made in this thread or task, while it has had no answer to be content with."""


def _is_retried(status: int) -> bool:
    """Tell whether clients send a request again that was answered so."""
    redirect = _FIRST_REDIRECT <= status < _FIRST_CLIENT_ERROR
    return redirect or status >= _FIRST_SERVER_ERROR or status in _RETRIED


def join_header(headers: Headers, name: str) -> str | None:
    """Return the values of `name` (lower case), comma-joined as RFC 9110 section 5.2 allows."""
    values = [value for key, value in headers if key.lower() == name]
    return ", ".join(values) if values else None


def parse_headers(head: bytes) -> Headers:
    """Return the header lines of a request's head, names as they were sent."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line and line[0] not in " \t")
    return [(name, value.strip()) for name, _, value in pairs]

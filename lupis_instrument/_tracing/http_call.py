"""One HTTP call as its client shows it: request, response head, and the body as it is read.

The clients' adapters fill an `HttpCall` while the program waits, so methods here only keep
references. The pipeline reads them later, on a background thread.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import lru_cache
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, Tuple, Union, cast
from urllib.parse import urljoin, urlsplit

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._llm.api.endpoints import Endpoint, ProviderHosts, identify_endpoint
from lupis_instrument._llm.api.operations import OTHER_API
from lupis_instrument._llm.body.body_reader import BodyReader

if TYPE_CHECKING:
    Headers = List[Tuple[str, str]]
    RawHeaders = Union[Headers, List[Tuple[bytes, bytes]]]

MAX_REQUEST_BYTES = 4 << 20
"""The largest request body that is kept whole until the pipeline reads it, in bytes."""
MAX_END_BYTES = 256 * 1024
"""Bytes that are kept of each end of a larger body."""
_MAX_EARLIER_ATTEMPTS = 20

_RETRIED_STATUSES = frozenset((401, 407, 408, 409, 425, 429))
"""Statuses that make clients send a request again, besides 3xx and 5xx."""
_SWITCHING_PROTOCOLS = 101
_FIRST_REDIRECT, _FIRST_CLIENT_ERROR, _FIRST_SERVER_ERROR = 300, 400, 500

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class ParsedUrl(NamedTuple):
    """The parts of a URL that identify a server and an operation.

    Attributes:
        scheme: `http` or `https`; `ws` or `wss` for a WebSocket.
        host: the host in lower case, an IPv6 address without its brackets.
        port: the URL's port, or the default of its scheme.
        path: the path with its query string.
    """

    scheme: str
    host: str
    port: int | None
    path: str

    @property
    def bare_path(self) -> str:
        """The path without its query, which may hold a key: a cache keeps only this."""
        return self.path.partition("?")[0]


def parse_url(url: str) -> ParsedUrl:
    """Split `url` into its parts; all parts of a malformed URL are empty."""
    bare_url, _, query = url.partition("#")[0].partition("?")
    if "@" in bare_url:
        bare_url = _remove_user(bare_url)
    parsed = _parse_bare_url(bare_url)
    return parsed._replace(path=f"{parsed.path}?{query}") if query and parsed.host else parsed


def _remove_user(url: str) -> str:
    """Return a URL without the name and password of a user."""
    scheme, mark, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"


@lru_cache(maxsize=256)
def _parse_bare_url(url: str) -> ParsedUrl:
    """Split a URL without user and query, which may hold keys: keys stay in no cache."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        return ParsedUrl(parts.scheme, (parts.hostname or "").lower(), port, parts.path)
    except ValueError:
        return ParsedUrl("", "", None, "")


class ResponseBody:
    """The body of one response, observed while the program reads it.

    Attributes:
        reader: the reader that extracts usage and ids from the body.
        feed: takes a piece of the body that the program is about to get; never raises an error.
        outcome: `complete`, `closed`, `dropped` or `error` once the body has ended.
        error_type: the type of the exception that ended it.
        ended: the time of the end, of `perf_counter_ns`.
    """

    __slots__ = (
        "_http_call",
        "ended",
        "error_type",
        "feed",
        "outcome",
        "reader",
    )

    def __init__(self, http_call: HttpCall, reader: BodyReader) -> None:
        self._http_call = http_call
        self.reader = reader
        self.feed = reader.feed  # the reader's own: a stream pays for one call a piece, not two
        self.outcome: str | None = None
        self.error_type: str | None = None
        self.ended: int | None = None

    @property
    def first_chunk(self) -> int | None:
        """The time of the first piece, of `perf_counter_ns`; None if none has come."""
        return self.reader.first_chunk

    @property
    def chunk_count(self) -> int:
        """The number of chunks on the wire, or of pieces from the client if that is unknown."""
        decoder = self.reader.finish().chunked_decoder
        return self.reader.chunk_count if decoder is None else decoder.count

    def end(self, outcome: str, error: BaseException | None = None) -> None:
        """Record the end of the body; only the first call counts.

        The garbage collector may call this in any thread, so it must take no lock.
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

    A redirect or a retry inside one call of the client begins a new attempt. The attempt replaces
    the data of the one before it.

    Attributes:
        started: the time when the call began, of `perf_counter_ns`.
        endpoint: the LLM API that the call goes to; None for any other host.
        attempts: the number of requests sent.
        path: the path of the last request, with its query.
        before_send: called with this object before a request is sent, and may raise; None in
            launches without a budget.
        earlier_attempts: for each attempt but the last, when the next one began and its status.
        request_body: the pieces of the request's body; of a large body, its two ends and the
            pieces that follow. Empty once the pipeline has taken them.
        request_size: the number of bytes of the whole body.
        span: the span that reports the call, if there is one.
    """

    __slots__ = (
        "_end_span",
        "_hosts",
        "_keep_open",
        "_kept_bytes",
        "_previous",
        "_request_hash",
        "_resends",
        "_response_headers",
        "attempts",
        "before_send",
        "body",
        "earlier_attempts",
        "endpoint",
        "method",
        "path",
        "request_body",
        "request_head",
        "request_headers",
        "request_size",
        "span",
        "started",
        "status",
        "url",
        "version",
    )

    def __init__(
        self,
        hosts: ProviderHosts,
        keep_open: Callable[[], Any],
        end_span: Callable[[], Any],
        span: Any = None,
    ) -> None:
        """Begin a call; attempts follow.

        Args:
            hosts: the setting `LUPIS_PROVIDER_HOSTS`, as pairs.
            keep_open: called before a body is observed; keeps the span open until its end.
            end_span: called when that body has ended; takes no lock.
            span: the span that reports the call.
        """
        self.span = span
        self._hosts = hosts
        self._keep_open = keep_open
        self._end_span = end_span
        self.started = perf_counter_ns()
        self.attempts = 0
        self.before_send: Callable[[HttpCall], None] | None = None
        self.earlier_attempts: list[tuple[int, int | None]] = []
        self.body: ResponseBody | None = None
        self._previous: HttpCall | None = None
        self._resends = 0
        self._reset_attempt()

    def _reset_attempt(self) -> None:
        self.endpoint: Endpoint | None = None
        self.method = ""
        self.url = self.path = ""
        self.request_head: bytes | None = None
        self.request_headers: RawHeaders = []
        self.request_body: list[bytes] = []
        self.request_size = self._kept_bytes = 0
        self._request_hash: int | None = None
        self.status: int | None = None
        self._response_headers: RawHeaders = []
        self.version: str | None = None

    def begin_attempt(self, method: str, url: str) -> None:
        """Begin the first request of the call, or a further one."""
        if self.attempts and len(self.earlier_attempts) < _MAX_EARLIER_ATTEMPTS:
            self.earlier_attempts.append((perf_counter_ns(), self.status))
        if self.attempts:
            self._reset_attempt()
            self.body = None
        self.attempts += 1
        self.method = method
        self.url = url
        target = parse_url(url)
        self.path = target.path
        self.endpoint = identify_endpoint(
            method, target.host, target.port, target.bare_path, self._hosts
        )
        # A library that retries makes a new call. So each LLM call remembers the one before it
        # in this thread or task, if that one has no final answer.
        if self.endpoint is not None and self.attempts == 1:
            previous = _last_unanswered_call.get()
            if previous is not None and previous is not self:
                previous.count_resends()  # releases the call before it: no chain of old bodies
                self._previous = previous
            _last_unanswered_call.set(self)

    def count_resends(self) -> int:
        """Return how often this request was sent before, 0 for its first attempt.

        A library that retries makes the same request again, in the same thread or task, when the
        answer to the call before was an error or missing.
        """
        previous, self._previous = self._previous, None
        if previous is not None and self._repeats_call(previous):
            self._resends = previous._resends + previous.attempts
        return self._resends + max(0, self.attempts - 1)

    def _repeats_call(self, previous: HttpCall) -> bool:
        if previous.method != self.method:
            return False
        if previous.status is not None and previous.status < _FIRST_CLIENT_ERROR:
            # The previous answer was a redirect; some libraries follow it with a call of its own.
            location = join_header(previous.response_headers, "location")
            return location is not None and urljoin(previous.url, location) == self.url
        if (previous.url, previous.request_size) != (self.url, self.request_size):
            return False
        return previous.hash_request_body() == self.hash_request_body()

    def add_request_data(self, data: Any) -> None:
        """Keep a piece of an LLM request's body; other types than bytes cannot be read."""
        if self.endpoint is None or not isinstance(data, (bytes, bytearray)):
            return
        self.request_size += len(data)
        self._kept_bytes += len(data)
        if self._kept_bytes <= MAX_REQUEST_BYTES:
            self.request_body.append(bytes(data))  # a copy: the program may reuse its buffer
        else:
            self.request_body = _keep_ends([*self.request_body, data])
            self._kept_bytes = 2 * MAX_END_BYTES

    def take_request_body(self) -> list[bytes]:
        """Return the pieces of the request's body, and keep none of them.

        The call may live on after its span: in a reference cycle, or as the call that the next
        one may repeat. Only a hash of the body stays.
        """
        if self.status is None or _is_retried_status(self.status):
            self._request_hash = self.hash_request_body()  # before the pieces go: see there
        pieces, self.request_body = self.request_body, []
        return pieces

    def hash_request_body(self) -> int:
        """Return a hash of the request's body, by which a repeated request is recognised."""
        # The pieces first: the pipeline's thread sets the hash before it takes them.
        pieces, request_hash = self.request_body, self._request_hash
        return hash(tuple(pieces)) if request_hash is None else request_hash

    @property
    def is_request_cut(self) -> bool:
        """Whether only the two ends of the request's body were kept."""
        return self.request_size > self._kept_bytes

    @property
    def held_bytes(self) -> int:
        """The bytes of the request and of the response that wait for the pipeline."""
        body = self.body
        return self._kept_bytes + (body.reader.held_bytes if body is not None else 0)

    def begin_response(
        self,
        status: int,
        headers: RawHeaders,
        version: str | None,
        *,
        decoded: bool = False,
        chunked: bool = False,
    ) -> ResponseBody | None:
        """Take the response's head.

        Args:
            status: the status code of the response.
            headers: the header lines, names as they came, one entry a line, as text or as bytes.
            version: the HTTP version, `1.1` for example.
            decoded: whether the client undoes Content-Encoding before it feeds the body.
            chunked: whether the body is fed with its chunked transfer coding.

        Returns:
            The body to feed; None if the body is of no interest.
        """
        self.status = status
        self._response_headers = headers
        self.version = version
        if status == _SWITCHING_PROTOCOLS:
            self.endpoint = None  # the calls are the messages on the WebSocket that this opens
        if _last_unanswered_call.get() is self and not _is_retried_status(status):
            _last_unanswered_call.set(None)
        # The bodies of redirects contain no usage, nor do the files and lists of OTHER_API.
        redirect = _FIRST_REDIRECT <= status < _FIRST_CLIENT_ERROR
        if redirect or self.endpoint is None or self.endpoint.api == OTHER_API:
            return None
        lines = self.response_headers
        coding = None if decoded else join_header(lines, "content-encoding")
        content_type = join_header(lines, "content-type")
        reader = BodyReader(self.endpoint, content_type, coding, chunked=chunked)
        self.body = ResponseBody(self, reader)
        self._keep_open()
        return self.body

    def on_body_end(self, body: ResponseBody) -> None:
        """Let the call's span end, unless `body` belongs to an earlier attempt."""
        if body is self.body:
            self._end_span()

    def read_request_headers(self) -> Headers:
        """Return the request's header lines, parsed from its raw head if only that was kept."""
        if self.request_head is not None:
            return parse_headers(self.request_head)
        return decode_headers(self.request_headers)

    @property
    def response_headers(self) -> Headers:
        """The response's header lines as text."""
        self._response_headers = headers = decode_headers(self._response_headers)
        return headers

    @property
    def has_open_body(self) -> bool:
        """Whether a body is observed that has not ended."""
        body = self.body  # read once: `SpanState.release` clears it
        return body is not None and body.outcome is None


_last_unanswered_call: ContextVar[HttpCall | None] = ContextVar("lupis-unanswered", default=None)
"""The last LLM call of this thread or task, while it has no final answer.

The next call may be a retry of it: see `HttpCall.count_resends`.
"""


def _keep_ends(pieces: list[Any]) -> list[bytes]:
    """Return the first and the last `MAX_END_BYTES` of a body; no large piece is copied whole."""
    start = b"".join(piece[:MAX_END_BYTES] for piece in pieces)[:MAX_END_BYTES]
    end = b"".join(piece[-MAX_END_BYTES:] for piece in pieces)[-MAX_END_BYTES:]
    return [start, end]


def _is_retried_status(status: int) -> bool:
    """Return whether clients send a request again after a response with this status."""
    redirect = _FIRST_REDIRECT <= status < _FIRST_CLIENT_ERROR
    return redirect or status >= _FIRST_SERVER_ERROR or status in _RETRIED_STATUSES


def join_header(headers: Headers, name: str) -> str | None:
    """Return the values of `name` (lower case), comma-joined as RFC 9110 section 5.2 allows."""
    values = [value for key, value in headers if key.lower() == name]
    return ", ".join(values) if values else None


def decode_headers(headers: RawHeaders) -> Headers:
    """Return header lines as text; bytes are UTF-8, or ISO-8859-1 if they are not, as in httpx."""
    if not headers or not isinstance(headers[0][0], bytes):
        return cast("Headers", headers)
    try:
        return [(name.decode(), value.decode()) for name, value in headers]
    except UnicodeDecodeError:
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def parse_headers(head: bytes) -> Headers:
    """Return the header lines of a request's raw head, names as they were sent.

    The request line and folded lines, which begin with a space, are left out.
    """
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = [line.partition(":") for line in lines if line and line[0] not in " \t"]
    return [(name, value.strip()) for name, _, value in pairs]

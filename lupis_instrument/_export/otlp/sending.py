"""Sends one request to an endpoint, and says what became of it.

By the standard library, so that no HTTP client is loaded on the program's behalf, and not by
upstream's exporter, which keeps to itself whether an endpoint refused, was busy, or took a part.
It uses its own copy of http.client: see `pristine_http`.
The variables OTEL_EXPORTER_OTLP_* mean what they mean to upstream's:
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import os
from base64 import b64encode
from contextlib import closing
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from lupis_instrument._export.otlp.encoding import read_response
from lupis_instrument._llm.api.addresses import is_loopback
from lupis_instrument._process import pristine_http
from lupis_instrument._process.import_lock import Lazy
from lupis_instrument._version import __version__

if TYPE_CHECKING:
    from typing import Mapping

TAKEN, LATER, REFUSED, UNFIT = range(4)
"""Outcomes: it arrived; it may arrive at another time; it never will; it won't as a whole."""

_OUTCOMES = {400: UNFIT, 408: LATER, 413: UNFIT, 422: UNFIT, 425: LATER, 429: LATER}
"""By status, for those that are not what their class is: 2xx taken, 5xx later, else refused.

The protocol has only some of 5xx tried again; but a collector that is broken today may be mended
tomorrow, and the store has the patience.
"""
_DEFAULT_TIMEOUT = 10.0
_MOST_ANSWER = 64 * 1024
_LONGEST_WAIT = 3600.0
_WINDOWS = {"gzip": 31, "deflate": 15}
"""By content coding, what zlib calls `wbits`."""
_PROTOBUF = "application/x-protobuf"
_ALWAYS = {"user-agent": f"lupis-instrument/{__version__}", "connection": "close"}
_SUCCESS = 2  # the first digit of such a status


_MODULES = (
    "email.utils",
    "encodings.idna",  # by which a host's name is looked up
    "urllib.request",
    "zlib",
)


class Answer(NamedTuple):
    """What became of a request.

    Attributes:
        outcome: `TAKEN`, `LATER`, `REFUSED` or `UNFIT`.
        reason: in a few words, why it was not taken.
        status: what it answered, None if it did not.
        retry_after: seconds that the endpoint asks to be left alone.
        rejected: how many items it left out of a request that it took.
    """

    outcome: int
    reason: str = ""
    status: int | None = None
    retry_after: float | None = None
    rejected: int = 0


class Sender:
    """Sends requests; the TLS settings are read once, proxies with each request.

    Attributes:
        waiting: whether a request is under way.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Work by the variables of `environ`."""
        self.waiting = False
        self._environ = environ
        self._tls = Lazy(self._make_tls)

    def send(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        packed: bool = True,
        seconds: float | None = None,
    ) -> Answer:
        """POST `body`; never raises.

        Args:
            url: the endpoint.
            body: not yet compressed.
            headers: with the content type.
            packed: whether `body` may be compressed.
            seconds: the most that it may take, if less than OTEL_EXPORTER_OTLP_TIMEOUT.
        """
        client = pristine_http.load_http_client()
        try:
            parts, credentials = _take_out_credentials(url)
            data, coding = self._pack(body) if packed else (body, {})
            timeout = min(self._timeout(), seconds) if seconds is not None else self._timeout()
            due = monotonic() + timeout
            connection, target, passing = self._connect(parts, max(timeout, 0.05))
            own = {name.lower(): value for name, value in headers.items()}
            sent = {**_ALWAYS, **credentials, **own, **coding, **passing}
            self.waiting = True
            with closing(connection):
                connection.request("POST", target, data, sent)
                response = connection.getresponse()
                if response.status // 100 == _SUCCESS:
                    return _taken(_read(response, due), response.headers.get_content_type())
                return _not_taken(response.status, response.headers)
        except (OSError, client.HTTPException, ValueError) as error:
            return Answer(LATER, _describe(error))
        finally:
            self.waiting = False

    def _setting(self, name: str) -> str:
        environ = self._environ
        common = environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")
        return (environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or common).strip()

    def _timeout(self) -> float:
        try:
            return float(self._setting("TIMEOUT") or _DEFAULT_TIMEOUT)
        except ValueError:
            return _DEFAULT_TIMEOUT

    def _pack(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """Return `body` compressed, by gzip unless the user chose otherwise."""
        import zlib

        coding = self._setting("COMPRESSION").lower() or "gzip"
        if coding not in _WINDOWS:
            return body, {}
        packer = zlib.compressobj(level=1, wbits=_WINDOWS[coding])
        return packer.compress(body) + packer.flush(), {"content-encoding": coding}

    def _connect(self, parts: SplitResult, timeout: float) -> tuple[Any, str, dict[str, str]]:
        """Return a connection not yet open, what to ask it for, and the headers of a proxy's own.

        Raises:
            ValueError: there is no such URL.
        """
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(parts.scheme)
        proxy = _find_proxy(parts)
        if proxy is None:
            target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
            return self._connection(parts, parts.scheme, timeout), target, {}
        passing = {f"proxy-{name}": value for name, value in _credentials(proxy).items()}
        if parts.scheme == "http":
            return self._connection(proxy, proxy.scheme, timeout), urlunsplit(parts), passing
        connection = self._connection(proxy, parts.scheme, timeout)
        connection.set_tunnel(parts.hostname, parts.port, passing)
        return connection, urlunsplit(("", "", parts.path or "/", parts.query, "")), {}

    def _connection(self, parts: SplitResult, scheme: str, timeout: float) -> Any:
        client = pristine_http.load_http_client()
        if scheme == "https":
            tls = self._tls.get()
            return client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=tls)
        return client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)

    def _make_tls(self) -> Any:
        """Return the TLS context that the standard variables describe."""
        import ssl

        own = self._setting("CERTIFICATE")
        context = ssl.create_default_context(cafile=own or None)
        if not own and not os.environ.get("SSL_CERT_FILE"):
            _trust_certifi(context)
        certificate = self._setting("CLIENT_CERTIFICATE")
        if certificate:
            context.load_cert_chain(certificate, self._setting("CLIENT_KEY") or None)
        return context


def load() -> None:
    """Import the modules that sending needs, under the import lock."""
    for name in _MODULES:
        import_module(name)
    pristine_http.load_http_client()


def _trust_certifi(context: Any) -> None:
    """Trust what certifi lists too, where it is there: some systems have no certificates."""
    try:
        import certifi
    except ImportError:
        return
    context.load_verify_locations(certifi.where())


def _find_proxy(parts: SplitResult) -> SplitResult | None:
    """Return the proxy that the usual variables, or the system's settings, name for a URL."""
    from urllib.request import getproxies, proxy_bypass

    # A proxy has no way to this machine's own addresses.
    if is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    proxy = getproxies().get(parts.scheme)
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def _take_out_credentials(url: str) -> tuple[SplitResult, dict[str, str]]:
    """Return `url` without user and password, and the header that says them."""
    parts = urlsplit(url)
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return place, _credentials(parts)


def _credentials(parts: SplitResult) -> dict[str, str]:
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _read(response: Any, due: float) -> bytes:
    """Return the beginning of an answer; one that comes in drops is not waited for for ever."""
    found = bytearray()
    while len(found) < _MOST_ANSWER:
        piece = response.read1(_MOST_ANSWER)
        if not piece:
            if response.length:
                raise ConnectionError("the answer was cut off")
            break
        found += piece
        if monotonic() > due:
            raise TimeoutError("timed out")
    return bytes(found)


def _taken(body: bytes, kind: str) -> Answer:
    if kind != _PROTOBUF:
        return Answer(TAKEN)
    rejected, reason = read_response(body)
    return Answer(TAKEN, reason, rejected=rejected)


def _not_taken(status: int, headers: Any) -> Answer:
    by_class = LATER if status >= 500 else REFUSED  # noqa: PLR2004 - RFC 9110
    outcome = _OUTCOMES.get(status, by_class)
    return Answer(outcome, f"status {status}", status, _retry_after(headers.get("retry-after")))


def _retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for: RFC 9110, section 10.2.3."""
    if not text:
        return None
    if text.strip().isdigit():
        return min(float(text), _LONGEST_WAIT)
    from datetime import datetime, timezone
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(text)
        left = (date - datetime.now(date.tzinfo or timezone.utc)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(left, 0.0), _LONGEST_WAIT)


def _describe(error: Exception) -> str:
    """Return what failed in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "no answer in time"
    return type(error).__name__

"""Sends one export request over HTTP.

It uses the standard library, so that no HTTP client is loaded on behalf of the program. It does not
use the upstream exporter, which does not say whether an endpoint refused a request, was busy, or
rejected a part of it. `pristine_http` explains why it has a private copy of http.client.

The variables OTEL_EXPORTER_OTLP_* mean the same as for the upstream exporter:
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import os
from base64 import b64encode
from contextlib import ExitStack, closing
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from lupis_instrument import _semconv
from lupis_instrument._config.settings import HTTP_HINT, hide_secrets
from lupis_instrument._export.otlp.resolver import Resolver
from lupis_instrument._export.otlp.responses import (
    ExportResponse,
    ExportResult,
    read_failure,
    read_success,
)
from lupis_instrument._llm.api.addresses import is_loopback
from lupis_instrument._process import pristine_http
from lupis_instrument._process.import_lock import Lazy
from lupis_instrument._version import __version__

if TYPE_CHECKING:
    from typing import Callable, Mapping

_DEFAULT_TIMEOUT = 10.0
_MAX_RESPONSE_BYTES = 64 * 1024
_ZLIB_WBITS = {"gzip": 31, "deflate": 15}
"""By content coding: zlib's `wbits`, which sets the container format."""
_NOT_UNDERSTOOD = frozenset((400, 415))
"""Statuses by which some endpoints refuse compressed requests."""
_PUBLIC_HEADERS = frozenset((_semconv.HEADER_PROJECT_ID, "content-type", "content-encoding"))
_DEFAULT_HEADERS = {"user-agent": f"lupis-instrument/{__version__}", "connection": "close"}
_PORTS = {"http": 80, "https": 443}
_GRPC_PORT = 4317
"""The port that OpenTelemetry gives to OTLP over gRPC."""
_SUCCESS_CLASS = 2  # the first digit of the status
_ACCEPTED = ExportResponse(ExportResult.ACCEPTED)


_MODULES = (
    "email.utils",
    "encodings.idna",  # by which a host's name is looked up
    "urllib.request",
    "zlib",
)


class Sender:
    """Sends requests; it reads the TLS settings once, and proxies with each request.

    Attributes:
        waiting: whether a request is under way.
    """

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        redact_text: Callable[[str], str] = hide_secrets,
    ) -> None:
        """Make a sender.

        Args:
            environ: the variables OTEL_EXPORTER_OTLP_*.
            redact_text: removes secrets from an answer that is quoted.
        """
        self.waiting = False
        self._redact_text = redact_text
        self._uncompressed_urls: dict[str, bool] = {}
        """By the URL of an endpoint that refused a compressed request: whether it took another."""
        self._environ = environ
        self._tls = Lazy(self._make_tls)
        self._resolver = Resolver()

    def send_request(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        compress: bool = True,
        max_seconds: float | None = None,
    ) -> ExportResponse:
        """Send `body` with POST; never raises.

        An endpoint that does not understand a compressed request gets it once without compression,
        and if it accepts that, every later request too.

        Args:
            url: the endpoint.
            body: the uncompressed body.
            headers: the headers, with the content type.
            compress: whether `body` may be compressed.
            max_seconds: the longest duration, where it is below OTEL_EXPORTER_OTLP_TIMEOUT.
        """
        due = monotonic() + self._timeout(max_seconds)
        if compress and not self._uncompressed_urls.get(url):
            data, coding = self._compress(body)
            response = self._send_once(url, data, {**headers, **coding}, due)
            is_new = bool(coding) and url not in self._uncompressed_urls
            if response.status not in _NOT_UNDERSTOOD or not is_new or monotonic() > due:
                return response
            plain = self._send_once(url, body, headers, due)
            if plain.result is ExportResult.RETRY:
                return plain
            self._uncompressed_urls[url] = plain.result is ExportResult.ACCEPTED
            return plain
        return self._send_once(url, body, headers, due)

    def _send_once(
        self, url: str, data: bytes, headers: Mapping[str, str], due: float
    ) -> ExportResponse:
        """Send one request that ends at the time `due`."""
        http_client = pristine_http.load_http_client()
        is_connected = False
        try:
            parts, credentials = _split_credentials(url)
            given = {name.lower(): value for name, value in headers.items()}
            all_headers = {**_DEFAULT_HEADERS, **credentials, **given}
            self.waiting = True
            with ExitStack() as stack:
                connection, target, proxy_headers = self._connect(parts, due, stack)
                is_connected = True
                connection.request("POST", target, data, {**all_headers, **proxy_headers})
                response = connection.getresponse()
                if response.status // 100 == _SUCCESS_CLASS:
                    answer = _read_body(response)
                    if not answer:
                        return _ACCEPTED
                    return read_success(answer, response.headers.get_content_type())
                failure = read_failure(response.status, response.headers)
                if failure.result is ExportResult.RETRY:
                    return failure
                return self._quote_answer(failure, response, {**credentials, **given})
        except (OSError, http_client.HTTPException, ValueError) as error:
            reason = _describe_error(error)
            if is_connected and urlsplit(url).port == _GRPC_PORT:
                reason = f"the answer is not HTTP ({reason}); {HTTP_HINT}"
            return ExportResponse(ExportResult.RETRY, reason)
        finally:
            self.waiting = False

    def _quote_answer(
        self, failure: ExportResponse, response: Any, headers: Mapping[str, str]
    ) -> ExportResponse:
        """Return `failure` with the beginning of the endpoint's answer, without secrets.

        Args:
            failure: the outcome of the request.
            response: its response.
            headers: the headers of the request, whose values the answer may repeat.
        """
        from lupis_instrument._export.otlp.quotes import quote_answer

        try:
            answer = _read_body(response)
        except (OSError, pristine_http.load_http_client().HTTPException):
            return failure
        secrets = [value for name, value in headers.items() if name not in _PUBLIC_HEADERS]
        content_type = response.headers.get_content_type()
        quote = quote_answer(answer, content_type, secrets, self._redact_text)
        return failure._replace(reason=f"{failure.reason}: {quote}") if quote else failure

    def _read_setting(self, name: str) -> str:
        """Return a standard variable; one for traces overrides the common one."""
        environ = self._environ
        common = environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")
        return (environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or common).strip()

    def _timeout(self, max_seconds: float | None) -> float:
        try:
            seconds = float(self._read_setting("TIMEOUT") or _DEFAULT_TIMEOUT)
        except ValueError:
            seconds = _DEFAULT_TIMEOUT
        return seconds if max_seconds is None else min(seconds, max_seconds)

    def _compress(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """Return `body` compressed, with gzip unless the user chose another coding or none."""
        import zlib

        coding = self._read_setting("COMPRESSION").lower() or "gzip"
        if coding not in _ZLIB_WBITS:
            return body, {}
        compressor = zlib.compressobj(level=1, wbits=_ZLIB_WBITS[coding])
        return compressor.compress(body) + compressor.flush(), {"content-encoding": coding}

    def _connect(
        self, parts: SplitResult, due: float, stack: ExitStack
    ) -> tuple[Any, str, dict[str, str]]:
        """Return a connection, the request target, and headers for the proxy.

        Args:
            parts: the endpoint.
            due: the time at which every step of the request ends.
            stack: closes the socket of the connection.

        Raises:
            ValueError: there is no such URL.
            OSError: there is no connection to it.
        """
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(parts.scheme)
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        proxy = _find_proxy(parts)
        if proxy is None:
            raw = self._open_socket(parts, due, stack)
            if parts.scheme == "https":
                raw = self._start_tls(raw, parts, due, stack)
            return _make_connection(parts, raw, due), path, {}
        proxy_headers = {
            f"proxy-{name}": value for name, value in _authorization_header(proxy).items()
        }
        raw = self._open_socket(proxy, due, stack)
        # A proxy forwards http by the full URL; https goes through a tunnel (RFC 9110, CONNECT).
        if parts.scheme == "http":
            if proxy.scheme == "https":
                raw = self._start_tls(raw, proxy, due, stack)
            return _make_connection(parts, raw, due), urlunsplit(parts), proxy_headers
        _open_tunnel(_make_connection(proxy, raw, due), parts, proxy_headers)
        raw = self._start_tls(raw, parts, due, stack)
        return _make_connection(parts, raw, due), path, {}

    def _open_socket(self, parts: SplitResult, due: float, stack: ExitStack) -> Any:
        """Return a socket that is connected to the host and port of a URL."""
        if not parts.hostname:
            raise ValueError(parts.scheme)
        port = parts.port or _PORTS.get(parts.scheme, 80)
        addresses = pristine_http.parse_address(
            parts.hostname, port
        ) or self._resolver.find_addresses(parts.hostname, port, due)
        return pristine_http.open_socket(addresses, due, stack)

    def _start_tls(self, raw: Any, parts: SplitResult, due: float, stack: ExitStack) -> Any:
        """Return a socket that encrypts over `raw`, after the handshake with the host of a URL."""
        context = self._tls.get()
        from lupis_instrument._process import native_tls

        connection = native_tls.start_tls(context, raw, parts.hostname or "", due)
        return stack.enter_context(closing(connection))

    def _make_tls(self) -> Any:
        from lupis_instrument._export.otlp.tls_context import make_context

        return make_context(self._read_setting)


def _make_connection(parts: SplitResult, raw: Any, due: float) -> Any:
    """Return a connection of http.client that uses a connected socket.

    HTTPSConnection would read the certificates again. It also leaves port 443 out of the header
    Host, as this does.
    """
    port = None if parts.port == _PORTS.get(parts.scheme) else parts.port
    connection = pristine_http.load_http_client().HTTPConnection(_bracket_host(parts), port)
    connection.sock = pristine_http.TimedSocket(raw, due)
    return connection


def _bracket_host(parts: SplitResult) -> str:
    """Return the host of a URL, an IPv6 address in brackets."""
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _open_tunnel(connection: Any, parts: SplitResult, proxy_headers: dict[str, str]) -> None:
    """Ask a proxy to connect its connection to the host of `parts`.

    Raises:
        OSError: the proxy refuses.
    """
    authority = f"{_bracket_host(parts)}:{parts.port or _PORTS['https']}"
    connection.request("CONNECT", authority, headers={"host": authority, **proxy_headers})
    response = connection.getresponse()
    if response.status // 100 != _SUCCESS_CLASS:
        raise OSError(f"the proxy answered with status {response.status}")


def _import_modules() -> bool:
    for name in _MODULES:
        import_module(name)
    pristine_http.load_http_client()
    return True


loaded_modules = Lazy(_import_modules)
"""Imports the modules that sending takes, once and under the import lock."""


def _find_proxy(parts: SplitResult) -> SplitResult | None:
    """Return the proxy for a URL, from the usual variables or the system's settings."""
    from urllib.request import getproxies, proxy_bypass

    # A proxy cannot reach the loopback addresses of this machine.
    if is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    proxy = getproxies().get(parts.scheme)
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def _split_credentials(url: str) -> tuple[SplitResult, dict[str, str]]:
    """Return `url` without user and password, and an Authorization header with them."""
    parts = urlsplit(url)
    without = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return without, _authorization_header(parts)


def _authorization_header(parts: SplitResult) -> dict[str, str]:
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _read_body(response: Any) -> bytes:
    """Return the beginning of a response body.

    Raises:
        ConnectionError: the endpoint hung up before the end of the body.
    """
    body = bytearray()
    while len(body) < _MAX_RESPONSE_BYTES:
        chunk = response.read1(_MAX_RESPONSE_BYTES)
        if not chunk:
            if response.length:
                raise ConnectionError("the answer was cut off")
            break
        body += chunk
    return bytes(body)


def _describe_error(error: Exception) -> str:
    """Return the error in a few words, without anything that may hold a secret."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "no answer in time"
    return type(error).__name__

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
from contextlib import closing
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

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
    from typing import Mapping

_DEFAULT_TIMEOUT = 10.0
_MIN_TIMEOUT = 0.05
_MAX_RESPONSE_BYTES = 64 * 1024
_ZLIB_WBITS = {"gzip": 31, "deflate": 15}
"""By content coding: zlib's `wbits`, which sets the container format."""
_DEFAULT_HEADERS = {"user-agent": f"lupis-instrument/{__version__}", "connection": "close"}
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

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Make a sender that follows the variables in `environ`."""
        self.waiting = False
        self._environ = environ
        self._tls = Lazy(self._make_tls)

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

        Args:
            url: the endpoint.
            body: the uncompressed body.
            headers: the headers, with the content type.
            compress: whether `body` may be compressed.
            max_seconds: the longest duration, where it is below OTEL_EXPORTER_OTLP_TIMEOUT.
        """
        http_client = pristine_http.load_http_client()
        try:
            parts, credentials = _split_credentials(url)
            data, coding = self._compress(body) if compress else (body, {})
            timeout = self._timeout()
            if max_seconds is not None:
                timeout = min(timeout, max_seconds)
            due = monotonic() + timeout
            # A timeout of 0 would make the socket non-blocking.
            connection, target, proxy_headers = self._connect(parts, max(timeout, _MIN_TIMEOUT))
            given = {name.lower(): value for name, value in headers.items()}
            all_headers = {**_DEFAULT_HEADERS, **credentials, **given, **coding, **proxy_headers}
            self.waiting = True
            with closing(connection):
                connection.request("POST", target, data, all_headers)
                response = connection.getresponse()
                if response.status // 100 == _SUCCESS_CLASS:
                    answer = _read_body(response, due)
                    if not answer:
                        return _ACCEPTED
                    return read_success(answer, response.headers.get_content_type())
                return read_failure(response.status, response.headers)
        except (OSError, http_client.HTTPException, ValueError) as error:
            return ExportResponse(ExportResult.RETRY, _describe_error(error))
        finally:
            self.waiting = False

    def _read_setting(self, name: str) -> str:
        """Return a standard variable; one for traces overrides the common one."""
        environ = self._environ
        common = environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")
        return (environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or common).strip()

    def _timeout(self) -> float:
        try:
            return float(self._read_setting("TIMEOUT") or _DEFAULT_TIMEOUT)
        except ValueError:
            return _DEFAULT_TIMEOUT

    def _compress(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """Return `body` compressed, with gzip unless the user chose another coding or none."""
        import zlib

        coding = self._read_setting("COMPRESSION").lower() or "gzip"
        if coding not in _ZLIB_WBITS:
            return body, {}
        compressor = zlib.compressobj(level=1, wbits=_ZLIB_WBITS[coding])
        return compressor.compress(body) + compressor.flush(), {"content-encoding": coding}

    def _connect(self, parts: SplitResult, timeout: float) -> tuple[Any, str, dict[str, str]]:
        """Return an unopened connection, the request target, and headers for the proxy.

        Raises:
            ValueError: there is no such URL.
        """
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(parts.scheme)
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        proxy = _find_proxy(parts)
        if proxy is None:
            return self._make_connection(parts, parts.scheme, timeout), path, {}
        proxy_headers = {
            f"proxy-{name}": value for name, value in _authorization_header(proxy).items()
        }
        # A proxy forwards http by the full URL; https goes through a tunnel (RFC 9110, CONNECT).
        if parts.scheme == "http":
            connection = self._make_connection(proxy, proxy.scheme, timeout)
            return connection, urlunsplit(parts), proxy_headers
        connection = self._make_connection(proxy, parts.scheme, timeout)
        connection.set_tunnel(parts.hostname, parts.port, proxy_headers)
        return connection, path, {}

    def _make_connection(self, parts: SplitResult, scheme: str, timeout: float) -> Any:
        http_client = pristine_http.load_http_client()
        if scheme == "https":
            return http_client.HTTPSConnection(
                parts.hostname, parts.port, timeout=timeout, context=self._tls.get()
            )
        return http_client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)

    def _make_tls(self) -> Any:
        """Return the TLS context that the standard variables describe."""
        import ssl

        authorities = self._read_setting("CERTIFICATE")
        context = ssl.create_default_context(cafile=authorities or None)
        if not authorities and not os.environ.get("SSL_CERT_FILE"):
            _trust_certifi(context)
        certificate = self._read_setting("CLIENT_CERTIFICATE")
        if certificate:
            context.load_cert_chain(certificate, self._read_setting("CLIENT_KEY") or None)
        return context


def _import_modules() -> bool:
    for name in _MODULES:
        import_module(name)
    pristine_http.load_http_client()
    return True


loaded_modules = Lazy(_import_modules)
"""Imports the modules that sending takes, once and under the import lock."""


def _trust_certifi(context: Any) -> None:
    """Trust the certificates of certifi as well, if installed: some systems have none."""
    try:
        import certifi
    except ImportError:
        return
    context.load_verify_locations(certifi.where())


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


def _read_body(response: Any, due: float) -> bytes:
    """Return the beginning of a response body.

    Raises:
        TimeoutError: it was not there at `due`; an endpoint may send it byte by byte.
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
        if monotonic() > due:
            raise TimeoutError("timed out")
    return bytes(body)


def _describe_error(error: Exception) -> str:
    """Return the error in a few words, without anything that may hold a secret."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "no answer in time"
    return type(error).__name__

"""The CLIENT span of one request, for clients that upstream has no instrumentor for."""

from __future__ import annotations

from typing import Any, ContextManager

from opentelemetry.trace import Span, SpanKind, Tracer

from lupis_instrument import _semconv
from lupis_instrument._tracing.http_call import parse_url

_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)


def start_span(tracer: Tracer, method: str, url: str) -> Span:
    """Start the span of a request; status, headers and protocol come later, from the HTTP call."""
    name, attributes = _describe_request(method, url)
    return tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)


def start_current_span(tracer: Tracer, method: str, url: str) -> ContextManager[Span]:
    """Return a context manager that starts the span of a request and makes it current."""
    name, attributes = _describe_request(method, url)
    return tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes)


def _describe_request(method: str, url: str) -> tuple[str, dict[str, Any]]:
    """Return the span's name and attributes, as the semantic conventions for HTTP want them.

    A method that the conventions do not list is `_OTHER`, and the span's name `HTTP`.
    """
    parsed = parse_url(url)
    known = method.upper() if method.upper() in _METHODS else "_OTHER"
    attributes: dict[str, Any] = {
        _semconv.HTTP_REQUEST_METHOD: known,
        _semconv.URL_FULL: url,
        _semconv.SERVER_ADDRESS: parsed.host,
    }
    if parsed.port is not None:
        attributes[_semconv.SERVER_PORT] = parsed.port
    return (known if known != "_OTHER" else "HTTP"), attributes

"""The CLIENT span of one request, for the clients that have no instrumentor upstream."""

from __future__ import annotations

from typing import Any, ContextManager

from opentelemetry.trace import Span, SpanKind, Tracer

from lupis_instrument import _semconv
from lupis_instrument._tracing.http_call import parse_url

_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)


def start(tracer: Tracer, method: str, url: str) -> Span:
    """Start the span of a request; status, headers and protocol are added from the exchange."""
    name, attributes = _describe(method, url)
    return tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)


def current(tracer: Tracer, method: str, url: str) -> ContextManager[Span]:
    """Return what starts such a span and has it current in its `with` block."""
    name, attributes = _describe(method, url)
    return tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes)


def _describe(method: str, url: str) -> tuple[str, dict[str, Any]]:
    place = parse_url(url)
    known = method.upper() if method.upper() in _METHODS else "_OTHER"
    attributes: dict[str, Any] = {
        _semconv.HTTP_REQUEST_METHOD: known,
        _semconv.URL_FULL: url,
        _semconv.SERVER_ADDRESS: place.host,
    }
    if place.port is not None:
        attributes[_semconv.SERVER_PORT] = place.port
    return (known if known != "_OTHER" else "HTTP"), attributes

"""An OpenTelemetry instrumentor for httpx2; upstream has none in releases before 0.65b0."""

from __future__ import annotations

import functools
from typing import Any, Collection

import httpx2
from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.propagate import inject

from lupis_instrument._instrumentation.clients import client_span
from lupis_instrument._semconv import SCOPE
from lupis_instrument._version import __version__

_ORIGINAL = "_lupis_wrapped"
"""The attribute of a replaced function that holds the client's own."""


class HTTPX2ClientInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Starts one CLIENT span for each request of `httpx2.Client` and `httpx2.AsyncClient`."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages that must be installed."""
        return ("httpx2 >= 2.0.0",)

    def _instrument(self, **kwargs: Any) -> None:
        tracer = trace.get_tracer(SCOPE, __version__, kwargs.get("tracer_provider"))
        _wrap_sync_transport(httpx2.HTTPTransport, tracer)
        _wrap_async_transport(httpx2.AsyncHTTPTransport, tracer)

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - upstream's signature
        for transport, method in (
            (httpx2.HTTPTransport, "handle_request"),
            (httpx2.AsyncHTTPTransport, "handle_async_request"),
        ):
            original = getattr(getattr(transport, method), _ORIGINAL, None)
            if original is not None:
                setattr(transport, method, original)


def _wrap_sync_transport(transport: Any, tracer: trace.Tracer) -> None:
    original = transport.handle_request

    @functools.wraps(original)
    def handle_request(self: Any, request: Any) -> Any:
        if not is_http_instrumentation_enabled():
            return original(self, request)
        with client_span.start_current_span(tracer, request.method, str(request.url)):
            inject(request.headers)
            return original(self, request)

    setattr(handle_request, _ORIGINAL, original)
    transport.handle_request = handle_request


def _wrap_async_transport(transport: Any, tracer: trace.Tracer) -> None:
    original = transport.handle_async_request

    @functools.wraps(original)
    async def handle_async_request(self: Any, request: Any) -> Any:
        if not is_http_instrumentation_enabled():
            return await original(self, request)
        with client_span.start_current_span(tracer, request.method, str(request.url)):
            inject(request.headers)
            return await original(self, request)

    setattr(handle_async_request, _ORIGINAL, original)
    transport.handle_async_request = handle_async_request

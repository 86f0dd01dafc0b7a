"""An instrumentor for httpx2, for upstream releases that have none."""

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

_WRAPPED = "_lupis_wrapped"


class HTTPX2ClientInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Starts one CLIENT span a request of `httpx2.Client` and `httpx2.AsyncClient`."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Name what must be installed."""
        return ("httpx2 >= 2.0.0",)

    def _instrument(self, **kwargs: Any) -> None:
        tracer = trace.get_tracer(SCOPE, __version__, kwargs.get("tracer_provider"))
        _wrap_sync(httpx2.HTTPTransport, tracer)
        _wrap_async(httpx2.AsyncHTTPTransport, tracer)

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - upstream's signature
        for transport, method in (
            (httpx2.HTTPTransport, "handle_request"),
            (httpx2.AsyncHTTPTransport, "handle_async_request"),
        ):
            wrapped = getattr(getattr(transport, method), _WRAPPED, None)
            if wrapped is not None:
                setattr(transport, method, wrapped)


def _wrap_sync(transport: Any, tracer: trace.Tracer) -> None:
    original = transport.handle_request

    @functools.wraps(original)
    def handle_request(self: Any, request: Any) -> Any:
        if not is_http_instrumentation_enabled():
            return original(self, request)
        with client_span.current(tracer, request.method, str(request.url)):
            inject(request.headers)
            return original(self, request)

    setattr(handle_request, _WRAPPED, original)
    transport.handle_request = handle_request


def _wrap_async(transport: Any, tracer: trace.Tracer) -> None:
    original = transport.handle_async_request

    @functools.wraps(original)
    async def handle_async_request(self: Any, request: Any) -> Any:
        if not is_http_instrumentation_enabled():
            return await original(self, request)
        with client_span.current(tracer, request.method, str(request.url)):
            inject(request.headers)
            return await original(self, request)

    setattr(handle_async_request, _WRAPPED, original)
    transport.handle_async_request = handle_async_request

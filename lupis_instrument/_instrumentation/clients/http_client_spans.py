"""An OpenTelemetry instrumentor for `http.client`, which also serves `urllib.request`.

The span begins with `putrequest` and ends when `getresponse` has returned; while `endheaders` and
`getresponse` run it is the current span, as with the instrumentors upstream has.
"""

from __future__ import annotations

import functools
from http.client import HTTPConnection
from typing import Any, Callable, Collection
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.context import get_value
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.propagate import inject
from opentelemetry.trace import Span, Status, StatusCode, Tracer

from lupis_instrument._diagnostics import guarded
from lupis_instrument._instrumentation.clients import client_span
from lupis_instrument._instrumentation.clients.http_client import base_url
from lupis_instrument._semconv import ERROR_TYPE, HTTP_RESPONSE_STATUS_CODE, SCOPE
from lupis_instrument._tracing.context import CALL_SPAN_KEY
from lupis_instrument._version import __version__

_FIRST_ERROR_STATUS = 400


class HTTPClientInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Starts one CLIENT span a request made with `http.client` itself or with `urllib.request`."""

    _originals: dict[str, Any]

    def instrumentation_dependencies(self) -> Collection[str]:
        """Name what must be installed: nothing, it is the standard library."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        spans = _Spans(trace.get_tracer(SCOPE, __version__, kwargs.get("tracer_provider")))
        self._originals = {}
        for name, wrap in (
            ("putrequest", spans.wrap_putrequest),
            ("endheaders", spans.wrap_endheaders),
            ("getresponse", spans.wrap_getresponse),
            ("close", spans.wrap_close),
        ):
            original = getattr(HTTPConnection, name)
            self._originals[name] = original
            setattr(HTTPConnection, name, functools.wraps(original)(wrap(original)))

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - upstream's signature
        for name, original in self._originals.items():
            setattr(HTTPConnection, name, original)


class _Spans:
    """The spans under way, by connection."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: WeakKeyDictionary[HTTPConnection, Span] = WeakKeyDictionary()

    def wrap_putrequest(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def putrequest(
            connection: HTTPConnection, method: str, url: str, *args: Any, **kwargs: Any
        ) -> Any:
            guarded("starting a span", self._start, connection, method, url)
            return self._run(connection, False, original, connection, method, url, *args, **kwargs)

        return putrequest

    def wrap_endheaders(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def endheaders(connection: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
            span = self._open.get(connection)
            if span is not None:
                guarded("adding trace headers", _add_trace_headers, connection, span)
            return self._run(connection, False, original, connection, *args, **kwargs)

        return endheaders

    def wrap_getresponse(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def getresponse(connection: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
            return self._run(connection, True, original, connection, *args, **kwargs)

        return getresponse

    def wrap_close(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def close(connection: HTTPConnection) -> Any:
            guarded("ending a span", self._give_up, connection)
            return original(connection)

        return close

    def _start(self, connection: HTTPConnection, method: str, url: str) -> None:
        self._end(connection)
        if not is_http_instrumentation_enabled():
            return
        full = url if "://" in url else base_url(connection) + url
        self._open[connection] = client_span.start(self._tracer, method, full)

    def _give_up(self, connection: HTTPConnection) -> None:
        if not _running(self._open.get(connection)):
            self._end(connection)

    def _run(
        self,
        connection: HTTPConnection,
        last: bool,
        function: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Call `function` with the connection's span current; end it if that was the last step."""
        span = self._open.get(connection)
        if span is None:
            return function(*args, **kwargs)
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                result = function(*args, **kwargs)
        except BaseException as error:
            guarded("ending a span", self._end, connection, error=error)
            raise
        if last:
            guarded("ending a span", self._end, connection, response=result)
        return result

    def _end(
        self,
        connection: HTTPConnection,
        response: Any = None,
        error: BaseException | None = None,
    ) -> None:
        span = self._open.pop(connection, None)
        if span is None:
            return
        if response is not None:
            span.set_attribute(HTTP_RESPONSE_STATUS_CODE, response.status)
            if response.status >= _FIRST_ERROR_STATUS:
                span.set_attribute(ERROR_TYPE, str(response.status))
                span.set_status(Status(StatusCode.ERROR))
        if error is not None:
            span.record_exception(error)
            span.set_attribute(ERROR_TYPE, type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
        span.end()


def _running(span: Span | None) -> bool:
    """Tell whether `span` is that of the call made: a step of its own closes the connection."""
    return span is not None and get_value(CALL_SPAN_KEY) is span


def _add_trace_headers(connection: HTTPConnection, span: Span) -> None:
    headers: dict[str, str] = {}
    inject(headers, context=trace.set_span_in_context(span))
    for name, value in headers.items():
        connection.putheader(name, value)

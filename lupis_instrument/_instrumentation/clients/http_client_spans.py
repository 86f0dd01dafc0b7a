"""An OpenTelemetry instrumentor for `http.client`, which also serves `urllib.request`.

The span begins with `putrequest` and ends when `getresponse` has returned. While `endheaders` and
`getresponse` run it is the current span, as with upstream's instrumentors.
"""

from __future__ import annotations

import functools
import inspect
from http.client import HTTPConnection, ImproperConnectionState
from typing import Any, Callable, Collection, Iterator
from weakref import WeakKeyDictionary, finalize

from opentelemetry import trace
from opentelemetry.context import get_value
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.propagate import inject
from opentelemetry.trace import Span, Status, StatusCode, Tracer

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._instrumentation.clients import client_span
from lupis_instrument._instrumentation.clients.http_client_request import has_sent_request
from lupis_instrument._instrumentation.clients.http_client_urls import base_url
from lupis_instrument._semconv import ERROR_TYPE, HTTP_RESPONSE_STATUS_CODE, SCOPE
from lupis_instrument._tracing.context import CALL_SPAN_KEY
from lupis_instrument._version import __version__

_FIRST_ERROR_STATUS = 400


class HTTPClientInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Starts one CLIENT span for each request of `http.client` itself or `urllib.request`."""

    _originals: dict[str, Any]

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the required packages: none, because the client is in the standard library."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        spans = _ConnectionSpans(
            trace.get_tracer(SCOPE, __version__, kwargs.get("tracer_provider"))
        )
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


class _ConnectionSpans:
    """The open span of each connection, and the wrappers that start and end it."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: WeakKeyDictionary[HTTPConnection, Span] = WeakKeyDictionary()

    def wrap_putrequest(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a `putrequest` that starts a span."""

        def putrequest(
            connection: HTTPConnection, method: str, url: str, *args: Any, **kwargs: Any
        ) -> Any:
            earlier = self._open.pop(connection, None)
            try:
                self._start_span(connection, method, url)
            except Exception as fault:
                report_fault("starting a span", fault)
            try:
                return self._run_step(
                    connection, False, original, connection, method, url, *args, **kwargs
                )
            except ImproperConnectionState as error:
                self._end_span(connection, error=error)
                if earlier is not None:  # its request is still under way
                    self._open[connection], earlier = earlier, None
                raise
            finally:
                if earlier is not None:
                    earlier.end()

        return putrequest

    def wrap_endheaders(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return an `endheaders` that adds trace headers first."""

        def endheaders(connection: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
            span = self._open.get(connection)
            if span is not None:
                try:
                    _add_trace_headers(connection, span)
                except Exception as fault:
                    report_fault("adding trace headers", fault)
            return self._run_step(connection, False, original, connection, *args, **kwargs)

        return endheaders

    def wrap_getresponse(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a `getresponse` that ends the span."""

        def getresponse(connection: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
            return self._run_step(connection, True, original, connection, *args, **kwargs)

        return getresponse

    def wrap_close(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a `close` that ends the span of a request that the program gave up."""

        def close(connection: HTTPConnection) -> Any:
            try:
                if not _is_call_span(self._open.get(connection)):
                    self._end_span(connection)
            except Exception as fault:
                report_fault("ending a span", fault)
            return original(connection)

        return close

    def _start_span(self, connection: HTTPConnection, method: str, url: str) -> None:
        if not is_http_instrumentation_enabled():
            return
        full_url = url if "://" in url else base_url(connection) + url
        self._open[connection] = client_span.start_span(self._tracer, method, full_url)

    def _run_step(
        self,
        connection: HTTPConnection,
        last: bool,
        function: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Run one step of a request with the connection's span current.

        Args:
            connection: the connection of the request.
            last: whether this is the last step, after which the span ends.
            function: the client's own function.
            args: its arguments.
            kwargs: its keyword arguments.
        """
        span = self._open.get(connection)
        if span is None:
            return function(*args, **kwargs)
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                result = function(*args, **kwargs)
        except BaseException as error:
            try:
                if _may_repeat(error, function, args, kwargs):
                    finalize(connection, _end_if_open, span)  # if the program does not repeat it
                else:
                    self._end_span(connection, error=error)
            except Exception as fault:
                report_fault("ending a span", fault)
            raise
        if last:
            try:
                self._end_span(connection, response=result)
            except Exception as fault:
                report_fault("ending a span", fault)
        return result

    def _end_span(
        self,
        connection: HTTPConnection,
        response: Any = None,
        error: BaseException | None = None,
    ) -> None:
        """End the span of a connection, if it has one.

        Args:
            connection: the connection.
            response: the response, if one has come.
            error: the exception that ended the request, if one did.
        """
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


def _may_repeat(error: BaseException, function: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    """Return whether a step was refused, which leaves the request under way as it was.

    A step is refused for arguments that it does not know: urllib3 1.x repeats it without them. It
    is also refused too early, such as `getresponse` while the response before has unread data.
    """
    if isinstance(error, ImproperConnectionState):
        return has_sent_request(args[0])
    if not isinstance(error, TypeError):
        return False
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return True
    return False


def _end_if_open(span: Span) -> None:
    if span.is_recording():
        span.end()


def _is_call_span(span: Span | None) -> bool:
    """Return whether `span` is the span of the call being made.

    If so, a step of that call closes the connection, and the request is not given up.
    """
    return span is not None and get_value(CALL_SPAN_KEY) is span


class _HeaderLines:
    """The header lines that a connection is about to send, as a carrier of trace headers."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection
        # The request line comes first. Python 3.8 to 3.14 have this private list.
        self._lines: list[bytes] = getattr(connection, "_buffer", [])

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the names and values of the headers."""
        for line in self._lines[1:]:
            name, _, value = line.partition(b":")
            yield name, value.strip()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the names of the headers."""
        for line in self._lines[1:]:
            yield line.partition(b":")[0]

    def __setitem__(self, name: str | bytes, value: str | bytes) -> None:
        """Put one header in the place of all headers of that name."""
        index = self.pop(name)
        self._connection.putheader(name, value)
        self._lines.insert(index, self._lines.pop())

    def __delitem__(self, name: str | bytes) -> None:
        """Remove all headers of that name."""
        self.pop(name)

    def pop(self, name: str | bytes, _default: None = None) -> int:
        """Remove all headers of that name; return the index of the first, or of the end."""
        start = (name.encode("latin-1") if isinstance(name, str) else name).lower() + b":"
        indexes = [
            index for index, line in enumerate(self._lines) if line.lower().startswith(start)
        ]
        for index in reversed(indexes):
            del self._lines[index]
        return indexes[0] if indexes else len(self._lines)


def _add_trace_headers(connection: HTTPConnection, span: Span) -> None:
    inject(_HeaderLines(connection), context=trace.set_span_in_context(span))

"""Starts the span of each response on the WebSockets of one client."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from lupis_instrument import _semconv
from lupis_instrument._tracing.context import use_context

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._tracing.http_call import HttpCall

_SPAN_NAME = "WEBSOCKET"


class SocketSpans:
    """Starts spans of responses, as the instrumentors of other clients start spans of requests."""

    def __init__(self, activation: Activation) -> None:
        """Start spans for a client.

        Args:
            activation: the client's instrumentation.
        """
        self._activation = activation

    def current_context(self) -> Context | None:
        """Return the context of the calling code; None where OpenTelemetry is not loaded."""
        return self._activation.current_context()

    def start_call(
        self, url: str, request: list[bytes], context: Context | None
    ) -> HttpCall | None:
        """Start the span of a response.

        Args:
            url: the URL of the socket.
            request: the pieces of the request.
            context: the context in which the program sent its last message.

        Returns:
            The call; None if it is not recorded.
        """
        with use_context(context) if context is not None else nullcontext():
            activation = self._activation
            is_suppressed = activation.begin_request()
            if activation.tracer is None:
                return None
            with activation.unsuppressed() if is_suppressed else nullcontext():
                return self._start_span(activation.tracer, url, request)

    def _start_span(self, tracer: Any, url: str, request: list[bytes]) -> HttpCall | None:
        from lupis_instrument._llm.api.endpoints import WEBSOCKET
        from lupis_instrument._tracing import api

        if not api.utils.is_http_instrumentation_enabled():
            return None
        attributes = {_semconv.URL_FULL: url, _semconv.NETWORK_PROTOCOL_NAME: _semconv.WEBSOCKET}
        span = tracer.start_span(_SPAN_NAME, kind=api.SpanKind.CLIENT, attributes=attributes)
        http_call = self._activation.find_call(span)
        if http_call is None:
            span.end()
            return None
        http_call.begin_attempt(WEBSOCKET, url)
        for piece in request:
            http_call.add_request_data(piece)
        return http_call


def connect_tracer(provider: Any, activation: Activation) -> None:
    """Let the sockets of a client start spans; upstream has no instrumentor for WebSockets."""
    from lupis_instrument._version import __version__

    activation.tracer = provider.get_tracer(_semconv.SCOPE, __version__)

"""Receivers for the signals of an aiohttp session, around the receivers of upstream's instrumentor.

aiohttp runs the signals of all trace configs in the same order at the end of a request as at its
start: first in, first out. If the program has a tracing config too, upstream's receivers would
therefore leave the context of the program's config current when the request has ended. The
receivers of this module restore the context.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Iterator, List

from lupis_instrument._diagnostics import internal_errors, report_fault
from lupis_instrument._instrumentation.clients import redirects

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._tracing.http_call import HttpCall

_IS_MARKER = "_lupis"
"""The attribute of the trace config that `make_marker` makes."""
_IS_OURS = "_lupis_found"
"""The attribute of the trace config that the instrumentor of this package has added."""
_REQUEST = "_lupis_request"
"""The attribute of a request's trace context that holds its `TracedRequest`."""


def make_marker(module: Any) -> Any:
    """Return an empty trace config; the instrumentor adds its own config right after it.

    Args:
        module: aiohttp.
    """
    config = module.TraceConfig()
    setattr(config, _IS_MARKER, True)
    return config


def take_config(configs: list[Any]) -> Any:
    """Return the trace config that the instrumentor of this package has added, or None.

    The marker is removed. A session that is made with the configs of another session has the config
    of that one too, which is removed as well.

    Args:
        configs: the trace configs of a new session; changed in place.
    """
    for index, config in enumerate(configs[:-1]):
        if getattr(config, _IS_MARKER, False):
            del configs[index]
            own_config = configs[index]
            configs[:] = [config for config in configs if not getattr(config, _IS_OURS, False)]
            setattr(own_config, _IS_OURS, True)
            return own_config
    return None


class TraceConfigs(List[Any]):
    """The trace configs of a session; iteration gives the config of this package last.

    A program may append a config to the session later. Its receivers at a request's end would then
    make the client's context current again, in which they have begun.
    """

    def __init__(self, configs: list[Any], own_config: Any) -> None:
        super().__init__(configs)
        self._own_config = own_config

    def __iter__(self) -> Iterator[Any]:
        configs = list(super().__iter__())
        if self._own_config in configs:
            configs.remove(self._own_config)
            configs.append(self._own_config)
        return iter(configs)


class TracedRequest:
    """One request of a session, which may be redirected several times.

    Attributes:
        http_call: the recorded call; None if the request is not recorded.
    """

    __slots__ = ("_caller_context", "_client_context", "_context_at_end", "_span", "http_call")

    def __init__(self) -> None:
        self.http_call: HttpCall | None = None
        self._caller_context: Context | None = None
        self._client_context: Context | None = None
        self._context_at_end: Context | None = None
        self._span: Any = None

    def lift_suppression(self, activation: Activation) -> None:
        """Lift the suppression by outer instrumentors; upstream's receiver starts its span next."""
        from lupis_instrument._instrumentation.suppression import unsuppressed_context
        from lupis_instrument._tracing.api import attach, get_current

        self._caller_context = get_current()
        if activation.begin_request():
            attach(unsuppressed_context())

    def enter_client_context(self, activation: Activation) -> None:
        """Keep the span that upstream's receiver has started; make the caller's span current."""
        from lupis_instrument._tracing.api import attach, get_current, get_current_span

        self.http_call = activation.current_call()
        client_context = activation.client_context(self._caller_context)
        if client_context is not None:
            self._span = get_current_span()
            attach(client_context)
        self._client_context = get_current()

    def keep_context(self, _params: Any) -> None:
        """Keep the context that other receivers have left; upstream's receiver runs next."""
        from lupis_instrument._tracing.api import get_current

        self._context_at_end = get_current()

    def restore_context(self, _params: Any) -> None:
        """Make the caller's context current again, unless an outer receiver has done so already."""
        from lupis_instrument._tracing.api import attach

        unchanged = self._context_at_end is self._client_context
        context = self._caller_context if unchanged else self._context_at_end
        if context is not None and self._client_context is not None:
            attach(context)

    def end_span(self, _params: Any) -> None:
        """End the span, where upstream's receiver has failed to."""
        if self._span is not None:
            self._span.end()

    def record_head(self, params: Any) -> None:
        """Record method, URL and headers of a request that is sent, of a redirected one too."""
        if self.http_call is not None:
            self.http_call.begin_attempt(params.method, str(params.url))
            self.http_call.request_headers = list(params.headers.items())

    def record_chunk(self, params: Any) -> None:
        """Record a piece of the request's body."""
        if self.http_call is not None:
            self.http_call.add_request_data(params.chunk)

    def record_redirect(self, params: Any) -> None:
        """Choose the trace headers for the request that follows a redirect."""
        headers = params.response.headers
        location = headers.get("location") or headers.get("uri")
        if location:
            url = params.url.join(type(params.url)(location))
            redirects.replace_trace_headers(self.http_call, str(url), params.headers)

    def record_failure(self, params: Any) -> None:
        """Record method and URL of a request that failed before it was sent."""
        if self.http_call is not None and not self.http_call.attempts:
            self.http_call.begin_attempt(params.method, str(params.url))


def add_receivers(config: Any, activation: Activation) -> None:
    """Put the receivers of this module around upstream's in a trace config."""
    lift_suppression = _make_receiver(lambda request, _: request.lift_suppression(activation))
    enter_context = _make_receiver(lambda request, _: request.enter_client_context(activation))
    for signal in (config.on_request_start, config.on_request_end, config.on_request_exception):
        signal[:] = [_guard_receiver(receiver) for receiver in signal]
    config.on_request_start.insert(0, lift_suppression)
    config.on_request_start.append(enter_context)
    for end_signal in (config.on_request_end, config.on_request_exception):
        end_signal.insert(0, _make_receiver(TracedRequest.keep_context))
        end_signal.append(_make_receiver(TracedRequest.restore_context))
    config.on_request_headers_sent.append(_make_receiver(TracedRequest.record_head))
    config.on_request_headers_sent.append(_check_request)
    config.on_request_chunk_sent.append(_make_receiver(TracedRequest.record_chunk))
    config.on_request_redirect.append(_make_receiver(TracedRequest.record_redirect))
    config.on_request_exception.append(_make_receiver(TracedRequest.record_failure))


def _guard_receiver(receiver: Callable[..., Any]) -> Any:
    """Keep faults of an upstream receiver from the program.

    It fails, for example, where the program passes headers of another type.
    """

    @functools.wraps(receiver)
    async def guarded_receiver(session: Any, context: Any, params: Any) -> None:
        try:
            await receiver(session, context, params)
        except Exception as fault:
            report_fault("recording an aiohttp request", fault)
            with internal_errors("ending a span"):
                _handle_signal(TracedRequest.end_span, context, params)

    return guarded_receiver


def _make_receiver(handler: Callable[[TracedRequest, Any], None]) -> Any:
    """Return a receiver that calls `handler` with the request of its trace context."""

    async def receiver(_session: Any, context: Any, params: Any) -> None:
        try:
            _handle_signal(handler, context, params)
        except Exception as fault:
            report_fault("following an aiohttp request", fault)

    return receiver


async def _check_request(_session: Any, context: Any, _params: Any) -> None:
    """Let a check refuse a request; aiohttp gives this signal before it writes the headers."""
    http_call = getattr(getattr(context, _REQUEST, None), "http_call", None)
    before_send = getattr(http_call, "before_send", None)
    if before_send is not None:
        before_send(http_call)


def _handle_signal(
    handler: Callable[[TracedRequest, Any], None], context: Any, params: Any
) -> None:
    request = getattr(context, _REQUEST, None)
    if request is None:
        request = TracedRequest()
        setattr(context, _REQUEST, request)
    handler(request, params)

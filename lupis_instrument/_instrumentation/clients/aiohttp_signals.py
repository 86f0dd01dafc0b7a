"""What a session of aiohttp tells us of its requests, and upstream's tracing of them kept in order.

aiohttp runs the signals of all trace configs in one order, at a request's start as at its end.
Where the program has a tracing config too, upstream's would therefore leave that one's context in
force when the request has ended: first in, first out.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable

from lupis_instrument._diagnostics import guarded, report_fault
from lupis_instrument._instrumentation.clients import redirects

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._tracing.http_call import HttpCall

_OURS = "_lupis"
"""The attribute that marks a trace config of ours."""
_FOUND = "_lupis_found"
"""The one that marks what our instrumentor has added."""
_REQUEST = "_lupis_request"
"""The attribute of a request's trace context that holds its `Request`."""


def marker(module: Any) -> Any:
    """Return the trace config before the one that our instrumentor adds."""
    config = module.TraceConfig()
    setattr(config, _OURS, True)
    return config


def find(configs: list[Any]) -> Any:
    """Return the trace config that our instrumentor has added, the marker taken off; or None.

    A session that is made with the configs of another has had ours of that one's; it is taken out.
    """
    for at, config in enumerate(configs[:-1]):
        if getattr(config, _OURS, False):
            del configs[at]
            ours = configs[at]
            configs[:] = [each for each in configs if not getattr(each, _FOUND, False)]
            setattr(ours, _FOUND, True)
            return ours
    return None


class Request:
    """One request of a session, which may have many hops.

    Attributes:
        http_call: what is told, if it is recorded.
    """

    __slots__ = ("_here", "_inside", "_outside", "_span", "http_call")

    def __init__(self) -> None:
        self.http_call: HttpCall | None = None
        self._outside: Context | None = None
        self._inside: Context | None = None
        self._here: Context | None = None
        self._span: Any = None

    def begin(self, activation: Activation) -> None:
        """Heed only instrumentors of ours; upstream's starts its span next."""
        from opentelemetry.context import attach, get_current

        from lupis_instrument._instrumentation.suppression import unsuppressed

        self._outside = get_current()
        if activation.enter():
            attach(unsuppressed())

    def begun(self, activation: Activation) -> None:
        """Take note of the span, and leave the program its own."""
        from opentelemetry.context import attach, get_current
        from opentelemetry.trace import get_current_span

        self.http_call = activation.http_call()
        inside = activation.inside(self._outside)
        if inside is not None:
            self._span = get_current_span()
            attach(inside)
        self._inside = get_current()

    def end(self) -> None:
        """Take note of what others that trace the request have left; upstream's ends next."""
        from opentelemetry.context import get_current

        self._here = get_current()

    def ended(self) -> None:
        """Go back to where the request began, unless somebody outside it has done so already."""
        from opentelemetry.context import attach

        back = self._outside if self._here is self._inside else self._here
        if back is not None and self._inside is not None:
            attach(back)

    def give_up(self, _params: Any) -> None:
        """End the span that upstream's has failed to end."""
        if self._span is not None:
            self._span.end()

    def head(self, params: Any) -> None:
        """Take the head of a hop's request."""
        if self.http_call is not None:
            self.http_call.begin_attempt(params.method, str(params.url))
            self.http_call.request_headers = list(params.headers.items())

    def chunk(self, params: Any) -> None:
        """Take a piece of its body."""
        if self.http_call is not None:
            self.http_call.add_request_data(params.chunk)

    def redirected(self, params: Any) -> None:
        """Choose anew which trace headers go along to the next hop."""
        headers = params.response.headers
        place = headers.get("location") or headers.get("uri")
        if place:
            url = params.url.join(type(params.url)(place))
            redirects.follow(self.http_call, str(url), params.headers)

    def failed(self, params: Any) -> None:
        """Take note of a request that failed before it was sent."""
        if self.http_call is not None and not self.http_call.attempts:
            self.http_call.begin_attempt(params.method, str(params.url))


def listen(config: Any, activation: Activation) -> None:
    """Have a tracing config tell us of requests, and leave the context as it found it."""

    def prepare(request: Request, _params: Any) -> None:
        request.begin(activation)

    def follow(request: Request, _params: Any) -> None:
        request.begun(activation)

    def part(request: Request, _params: Any) -> None:
        request.end()

    def leave(request: Request, _params: Any) -> None:
        request.ended()

    for signal in (config.on_request_start, config.on_request_end, config.on_request_exception):
        signal[:] = [_kept(receiver) for receiver in signal]
    config.on_request_start.insert(0, _signal(prepare))
    config.on_request_start.append(_signal(follow))
    for ending in (config.on_request_end, config.on_request_exception):
        ending.insert(0, _signal(part))
        ending.append(_signal(leave))
    config.on_request_headers_sent.append(_signal(Request.head))
    config.on_request_chunk_sent.append(_signal(Request.chunk))
    config.on_request_redirect.append(_signal(Request.redirected))
    config.on_request_exception.append(_signal(Request.failed))


def _kept(receiver: Callable[..., Any]) -> Any:
    """Keep faults of upstream's from the program, as when it meets headers of another type."""

    @functools.wraps(receiver)
    async def kept(session: Any, context: Any, params: Any) -> None:
        try:
            await receiver(session, context, params)
        except Exception as fault:
            report_fault("recording an aiohttp request", fault)
            guarded("ending a span", _react, Request.give_up, context, params)

    return kept


def _signal(react: Callable[[Request, Any], None]) -> Any:
    async def signal(_session: Any, context: Any, params: Any) -> None:
        guarded("following an aiohttp request", _react, react, context, params)

    return signal


def _react(react: Callable[[Request, Any], None], context: Any, params: Any) -> None:
    request = getattr(context, _REQUEST, None)
    if request is None:
        request = Request()
        setattr(context, _REQUEST, request)
    react(request, params)

"""Sends trace headers to the hosts that `LUPIS_PROPAGATE_TO` names, and to no other.

Upstream's instrumentors ask the global propagator to add headers to each request they make a
span for. The one that is set stays; ours has its place on it: for spans of ours it looks where they
go.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Sequence

from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import (
    TextMapPropagator,
    default_getter,
    default_setter,
)

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import guarded, report_fault
from lupis_instrument._llm.api.addresses import is_allowed_host
from lupis_instrument._tracing.http_call import parse_url

if TYPE_CHECKING:
    from lupis_instrument._tracing.processor import CallSpanProcessor

_MOST_TOLD = 256
"""Trace ids sent lately, by which a header is known that a redirect brings along."""


class SelectivePropagator(TextMapPropagator):
    """A propagator that keeps our trace ids and chat ids from hosts that needn't know them."""

    def __init__(
        self,
        inner: TextMapPropagator,
        tracking: CallSpanProcessor,
        allowed: Callable[[], Sequence[str]],
    ) -> None:
        """Hand on to `inner` what may go to the `allowed` hosts."""
        self._inner = inner
        self._inject = inner.inject
        self._tracking = tracking
        self._allowed = allowed
        self._told: deque[str] = deque(maxlen=_MOST_TOLD)

    def inject(
        self,
        carrier: Any,
        context: Context | None = None,
        setter: Any = default_setter,
    ) -> None:
        """Add headers to `carrier` if the request may carry them."""
        try:
            here = context if context is not None else get_current()
            wanted = self._allowed_context(here)
            if wanted is None:
                self._withdraw(carrier)
        except Exception as fault:
            report_fault("choosing trace headers", fault)
            return
        if wanted is not None:
            kept = guarded("keeping trace headers", self._keep_outer_headers, carrier, wanted)
            self._inject(carrier, kept or wanted, setter)

    def _keep_outer_headers(self, carrier: Any, here: Context) -> Context | None:
        """Return what keeps the headers of the program's own instrumentor further out, if any.

        The program's backend knows that one's span; it would look for ours in vain.
        """
        record = self._tracking.find_state(trace.get_current_span(here))
        parent = record.span.parent if record is not None else None
        if parent is None or parent.is_remote:
            return None
        # Looked for, not extracted: a propagator may tell the program's backend what it extracts.
        span_id = trace.format_span_id(parent.span_id)
        if not any(span_id in value for _, value in self._carried(carrier)):
            return None
        return trace.set_span_in_context(trace.NonRecordingSpan(parent), here)

    def _allowed_context(self, here: Context) -> Context | None:
        """Return the context whose headers may go out, None for none at all."""
        span = trace.get_current_span(here)
        record = self._tracking.find_state(span)
        if record is None or record.url is None:
            return here  # no request of ours: none of our business
        http_call = record.http_call
        url = (http_call.url if http_call is not None else "") or record.url
        if not is_allowed_host(parse_url(url).host, self._allowed()):
            return None
        self._told.append(trace.format_trace_id(span.get_span_context().trace_id))
        chat_id = record.conversation.chat_id
        if chat_id is None:
            return here
        return baggage.set_baggage(_semconv.LUPIS_CHAT_ID, chat_id, here)

    def _withdraw(self, carrier: Any) -> None:
        """Take out what a redirected request brings along from a host that may have it."""
        for name, value in self._carried(carrier):
            if self._is_ours(value):
                del carrier[name]

    def _carried(self, carrier: Any) -> list[tuple[str, str]]:
        """Return the trace headers, and their values, that are there."""
        found = [(name, carrier.get(name)) for name in self.fields]
        return [(name, value) for name, value in found if isinstance(value, str)]

    def _is_ours(self, value: str) -> bool:
        return _semconv.LUPIS_CHAT_ID in value or any(trace_id in value for trace_id in self._told)

    def extract(
        self,
        carrier: Any,
        context: Context | None = None,
        getter: Any = default_getter,
    ) -> Context:
        """Read what came, as the propagator behind does."""
        return self._inner.extract(carrier, context, getter)

    @property
    def fields(self) -> set[str]:
        """The headers that may be added."""
        return self._inner.fields


def install(tracking: CallSpanProcessor, allowed: Callable[[], Sequence[str]]) -> None:
    """Put ours in front of the global propagator, and again where the program has set another.

    That is seen to when the span of a call starts, for instrumentors ask for headers after that.
    """

    def stand_in_front() -> None:
        there: Any = propagate.get_global_textmap()
        if isinstance(getattr(there.inject, "__self__", None), SelectivePropagator):
            return
        ours = SelectivePropagator(there, tracking, allowed)
        try:
            # On the object: which one it is, and of which class, programs look at (Logfire's does).
            there.inject = ours.inject
        except (AttributeError, TypeError):  # it has no room for that
            propagate.set_global_textmap(ours)

    tracking.before_call = stand_in_front
    stand_in_front()

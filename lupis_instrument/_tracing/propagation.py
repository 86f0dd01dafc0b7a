"""Sends trace headers to the hosts that `LUPIS_PROPAGATE_TO` names, and to no others.

The instrumentors of opentelemetry-python ask the global propagator to add headers to each request
that they make a span for. That propagator stays in place; `PropagatorGuard` replaces its `inject`
by one that looks at the host of the request first.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence

from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import (
    TextMapPropagator,
    default_getter,
    default_setter,
)

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import report_fault
from lupis_instrument._llm.api.addresses import is_allowed_host
from lupis_instrument._tracing.http_call import parse_url

if TYPE_CHECKING:
    from lupis_instrument._tracing.span_state import SpanState

    FindState = Callable[[trace.Span], Optional[SpanState]]

_MAX_SENT_TRACE_IDS = 256
"""Trace ids kept to recognize headers that a redirected request carries along."""

_is_allowed_host = lru_cache(maxsize=256)(is_allowed_host)


class SelectivePropagator(TextMapPropagator):
    """A propagator that keeps trace ids and chat ids of this package from other hosts."""

    def __init__(
        self,
        inner: TextMapPropagator,
        find_state: FindState,
        allowed_hosts: Callable[[], Sequence[str]],
    ) -> None:
        """Wrap a propagator.

        Args:
            inner: the propagator that adds the headers.
            find_state: returns the state of a span, None for spans of other providers.
            allowed_hosts: returns the setting `LUPIS_PROPAGATE_TO`.
        """
        self._inner = inner
        self._inject = inner.inject
        self._find_state = find_state
        self._allowed_hosts = allowed_hosts
        self._sent_trace_ids: deque[str] = deque(maxlen=_MAX_SENT_TRACE_IDS)

    def inject(
        self,
        carrier: Any,
        context: Context | None = None,
        setter: Any = default_setter,
    ) -> None:
        """Add headers to `carrier` if the host of the request may receive them."""
        try:
            call_context = context if context is not None else get_current()
            allowed_context = self._allowed_context(call_context)
            if allowed_context is None:
                self._remove_sent_headers(carrier)
                return
        except Exception as fault:
            report_fault("choosing trace headers", fault)
            return
        try:
            outer_context = self._keep_outer_headers(carrier, allowed_context)
        except Exception as fault:
            report_fault("keeping trace headers", fault)
            outer_context = None
        self._inject(carrier, outer_context or allowed_context, setter)

    def _keep_outer_headers(self, carrier: Any, call_context: Context) -> Context | None:
        """Return a context that repeats the headers of an outer instrumentor of the program.

        The backend of that instrumentor knows its span. It would look for a span of this package
        in vain.

        Returns:
            The context; None if the carrier has no such headers.
        """
        state = self._find_state(trace.get_current_span(call_context))
        parent = state.span.parent if state is not None else None
        if parent is None or parent.is_remote:
            return None
        # Searched for, not extracted: a propagator may report extracted headers to its backend.
        span_id = trace.format_span_id(parent.span_id)
        if not any(span_id in value for _, value in self._read_trace_headers(carrier)):
            return None
        return trace.set_span_in_context(trace.NonRecordingSpan(parent), call_context)

    def _allowed_context(self, call_context: Context) -> Context | None:
        """Return the context whose headers may be sent, None if none may."""
        span = trace.get_current_span(call_context)
        state = self._find_state(span)
        if state is None or state.url is None:
            return call_context  # not a request of this package: its propagator decides
        # A redirect changes the URL of the call, not of its span.
        http_call = state.http_call
        url = (http_call.url if http_call is not None else "") or state.url
        if not _is_allowed_host(parse_url(url).host, tuple(self._allowed_hosts())):
            return None
        self._sent_trace_ids.append(trace.format_trace_id(span.get_span_context().trace_id))
        chat_id = state.conversation.chat_id
        if chat_id is None:
            return call_context
        return baggage.set_baggage(_semconv.LUPIS_CHAT_ID, chat_id, call_context)

    def _remove_sent_headers(self, carrier: Any) -> None:
        """Remove headers that a redirected request carries along from a host that may have them."""
        for name, value in self._read_trace_headers(carrier):
            if self._is_sent_header(value):
                del carrier[name]

    def _read_trace_headers(self, carrier: Any) -> list[tuple[str, str]]:
        """Return the names and values of the trace headers in a carrier."""
        headers = [(name, carrier.get(name)) for name in self.fields]
        return [(name, value) for name, value in headers if isinstance(value, str)]

    def _is_sent_header(self, value: str) -> bool:
        if _semconv.LUPIS_CHAT_ID in value:
            return True
        return any(trace_id in value for trace_id in self._sent_trace_ids)

    def extract(
        self,
        carrier: Any,
        context: Context | None = None,
        getter: Any = default_getter,
    ) -> Context:
        """Read incoming headers as the wrapped propagator does."""
        return self._inner.extract(carrier, context, getter)

    @property
    def fields(self) -> set[str]:
        """The names of the headers that may be added."""
        return self._inner.fields


class PropagatorGuard:
    """Puts a `SelectivePropagator` in front of the global propagator."""

    def __init__(self, allowed_hosts: Callable[[], Sequence[str]]) -> None:
        """Create a guard.

        Args:
            allowed_hosts: returns the setting `LUPIS_PROPAGATE_TO`.
        """
        self._allowed_hosts = allowed_hosts

    def install(self, find_state: FindState) -> None:
        """Guard the global propagator; does nothing if it is guarded already.

        Called with each HTTP call, for the program may set another propagator at any time.
        """
        propagator: Any = propagate.get_global_textmap()
        if isinstance(getattr(propagator.inject, "__self__", None), SelectivePropagator):
            return
        selective = SelectivePropagator(propagator, find_state, self._allowed_hosts)
        try:
            # Set on the object: programs look at the identity and the class of their propagator
            # (Logfire does).
            propagator.inject = selective.inject
        except (AttributeError, TypeError):  # the object takes no attributes
            propagate.set_global_textmap(selective)

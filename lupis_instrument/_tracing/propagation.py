"""Sends trace headers to the hosts that `LUPIS_PROPAGATE_TO` names, and to no others.

The instrumentors of opentelemetry-python ask the global propagator to add headers to each request
that they make a span for. That propagator stays in place; `PropagatorGuard` replaces its `inject`
by one that looks at the host of the request first.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence

from opentelemetry import baggage, propagate, trace
from opentelemetry.propagators.textmap import (
    TextMapPropagator,
    default_getter,
    default_setter,
)

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import report_fault
from lupis_instrument._llm.api.addresses import is_allowed_host, is_loopback
from lupis_instrument._llm.api.endpoints import ProviderHosts, identify_endpoint
from lupis_instrument._tracing import given_headers
from lupis_instrument._tracing.api import get_current
from lupis_instrument._tracing.given_headers import MAX_SENT_VALUES, HeaderLine
from lupis_instrument._tracing.http_call import parse_url

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from lupis_instrument._tracing.given_headers import SentValues
    from lupis_instrument._tracing.span_state import SpanState

    FindState = Callable[[trace.Span], Optional[SpanState]]

_BAGGAGE, _TRACESTATE = _semconv.HEADER_BAGGAGE, _semconv.HEADER_TRACESTATE

_PRIVATE = "private"
"""The rule for private hosts. On this machine it stands for LLM APIs and calls with a chat id: many
tests compare all headers that their own server receives, or record them."""

_MAX_LEVELS = 64
"""Native spans around a request that are left out of its headers."""


class SelectivePropagator(TextMapPropagator):
    """A propagator that keeps trace ids and chat ids of this package from other hosts.

    Trace headers that the program has put on the request itself stay as they are.
    """

    def __init__(
        self,
        inner: TextMapPropagator,
        find_state: FindState,
        allowed_hosts: Callable[[], Sequence[str]],
        sent_values: SentValues,
        provider_hosts: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Wrap a propagator.

        Args:
            inner: the propagator that adds the headers.
            find_state: returns the state of a span, None for spans of other providers.
            allowed_hosts: returns the setting `LUPIS_PROPAGATE_TO`.
            sent_values: the values of headers that this package has added to earlier requests.
            provider_hosts: returns the setting `LUPIS_PROVIDER_HOSTS`.
        """
        self._inner = inner
        self._inject = inner.inject
        self._find_state = find_state
        self._allowed_hosts = allowed_hosts
        self._sent_values = sent_values
        self._provider_hosts = provider_hosts

    def inject(
        self,
        carrier: Any,
        context: Context | None = None,
        setter: Any = default_setter,
    ) -> None:
        """Add headers to `carrier` if the host of the request may receive them."""
        try:
            call_context = context if context is not None else get_current()
            state = self._find_state(trace.get_current_span(call_context))
            if state is not None and state.url is not None:
                self._add_headers(carrier, call_context, setter, state)
                return
            if state is not None and _is_native(state) and not self._is_allowed(state):
                span = self._find_given_span(state)
                call_context = trace.set_span_in_context(span, call_context)
        except Exception as fault:
            report_fault("choosing trace headers", fault)
            return
        # Not a request of this package: the propagator decides.
        self._inject(carrier, call_context, setter)

    def _find_given_span(self, state: SpanState | None) -> trace.Span:
        """Return the span that would be current without the native spans of this package."""
        parent: trace.SpanContext | None = None
        for _ in range(_MAX_LEVELS):
            if state is None or not _is_native(state):
                break
            parent = state.span.parent
            if parent is None:
                return trace.INVALID_SPAN
            state = None if parent.is_remote else self._find_state(trace.NonRecordingSpan(parent))
        return trace.INVALID_SPAN if parent is None else trace.NonRecordingSpan(parent)

    def _add_headers(
        self, carrier: Any, call_context: Context, setter: Any, state: SpanState
    ) -> None:
        """Add headers to a request, and make a `traceparent` on it the parent of its span."""
        lines = self._read_lines(carrier)
        if lines:
            given_headers.remove_sent(carrier, lines, self._sent_values, state)
            lines = self._read_lines(carrier)
            given_headers.adopt_parent(lines, state)
        if self._is_allowed(state):
            given = {line.name for line in lines}
            for name, value in self._make_headers(call_context, state, given).items():
                if name in given:
                    given_headers.merge_baggage(carrier, lines, value, self._sent_values)
                else:
                    setter.set(carrier, name, value)
                    self._sent_values.append(hash(value))

    def _make_headers(
        self, call_context: Context, state: SpanState, given: set[str]
    ) -> dict[str, str]:
        """Return the headers to add to a request, and the baggage to merge into given baggage.

        Args:
            call_context: the context of the request.
            state: the state of its span.
            given: the names of the trace headers that it has.
        """
        if _BAGGAGE in given:
            # The program has chosen itself which baggage it sends.
            call_context = baggage.clear(call_context)
        chat_id = state.conversation.chat_id
        if chat_id is not None:
            call_context = baggage.set_baggage(_semconv.LUPIS_CHAT_ID, chat_id, call_context)
        headers: dict[str, str] = {}
        self._inject(headers, call_context)
        if given <= {_BAGGAGE}:
            return headers
        is_traced = not given <= {_BAGGAGE, _TRACESTATE}
        return {
            name: value
            for name, value in headers.items()
            if name == _BAGGAGE or not (is_traced or name in given)
        }

    def _is_allowed(self, state: SpanState) -> bool:
        # A redirect changes the URL of the call, not of its span.
        http_call = state.http_call
        url = (http_call.url if http_call is not None else "") or state.url or ""
        target = parse_url(url)
        has_chat = state.conversation.chat_id is not None
        rules, hosts = tuple(self._allowed_hosts()), tuple(self._provider_hosts().items())
        return _is_allowed_address(
            target.host, target.port, target.bare_path, has_chat, rules, hosts
        )

    def _read_lines(self, carrier: Any) -> list[HeaderLine]:
        """Return the trace headers in a carrier, in its order."""
        names = self._trace_names
        for key in carrier:
            if (key.decode("latin-1") if isinstance(key, bytes) else key).lower() in names:
                break
        else:  # in most requests: values are not read, which some clients make slow
            return []
        return [
            HeaderLine(name, key, value)
            for key, value in carrier.items()
            for name in ((key.decode("latin-1") if isinstance(key, bytes) else key).lower(),)
            if name in names
        ]

    @cached_property
    def _trace_names(self) -> frozenset[str]:
        """The names of all trace headers, in lower case."""
        return frozenset(map(str.lower, {*self.fields, *_semconv.TRACE_HEADERS}))

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


def _is_native(state: SpanState) -> bool:
    """Return whether a library made the span of a state by OpenTelemetry's API alone.

    Without this package, that span would add no headers, and nobody knows the host that they would
    go to.
    """
    scope = state.span.instrumentation_scope
    return scope is not None and scope.name != _semconv.SCOPE


@lru_cache(maxsize=256)
def _is_allowed_address(  # noqa: PLR0917 - the key of a cache
    host: str,
    port: int | None,
    path: str,
    has_chat: bool,
    rules: tuple[str, ...],
    provider_hosts: ProviderHosts,
) -> bool:
    """Return whether the rules allow a request to this address, whatever its method."""
    endpoint = identify_endpoint("POST", host, port, path, provider_hosts)
    is_llm_url = endpoint is not None and not endpoint.needs_model
    with_private = has_chat or is_llm_url or not is_loopback(host)
    return is_allowed_host(host, [rule for rule in rules if with_private or rule != _PRIVATE])


class PropagatorGuard:
    """Puts a `SelectivePropagator` in front of the global propagator."""

    def __init__(
        self,
        allowed_hosts: Callable[[], Sequence[str]],
        provider_hosts: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Create a guard; `SelectivePropagator` explains the arguments."""
        self._provider_hosts = provider_hosts
        self._allowed_hosts = allowed_hosts
        self._sent_values: SentValues = deque(maxlen=MAX_SENT_VALUES)

    def install(self, find_state: FindState) -> None:
        """Guard the global propagator; does nothing if it is guarded already.

        Called with each HTTP call, for the program may set another propagator at any time.
        """
        propagator: Any = propagate.get_global_textmap()
        if isinstance(getattr(propagator.inject, "__self__", None), SelectivePropagator):
            return
        selective = SelectivePropagator(
            propagator, find_state, self._allowed_hosts, self._sent_values, self._provider_hosts
        )
        try:
            # Set on the object: programs look at the identity and the class of their propagator
            # (Logfire does).
            propagator.inject = selective.inject
        except (AttributeError, TypeError):  # the object takes no attributes
            propagate.set_global_textmap(selective)

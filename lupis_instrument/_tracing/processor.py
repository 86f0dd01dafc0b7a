"""Follows each span from its start to its end, and queues it for export.

The processor decides when a span starts whether it reports an HTTP call, repeats the span of one,
or is excluded. Everything that takes time happens later, on the worker's thread.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import report_fault
from lupis_instrument._llm.api.endpoints import WEBSOCKET, identify_endpoint
from lupis_instrument._llm.api.operations import OTHER_API
from lupis_instrument._tracing.api import get_current
from lupis_instrument._tracing.content import remove_content
from lupis_instrument._tracing.context import (
    CALL_SPAN_KEY,
    LLM_ONLY_KEY,
    OUTER_CALL_KEY,
    current_conversation,
)
from lupis_instrument._tracing.http_call import HttpCall, parse_url
from lupis_instrument._tracing.span_state import SpanState
from lupis_instrument._tracing.span_tree import SpanTree, find_llm_ancestor

if TYPE_CHECKING:
    from typing import Iterable, Mapping, Sequence

    from lupis_instrument._tracing.context import Conversation
    from lupis_instrument._tracing.propagation import PropagatorGuard
    from lupis_instrument._tracing.span_tree import SpanNode

_OLD_URL, _OLD_METHOD = "http.url", "http.method"
"""Attribute names of instrumentors that were set up without the stable conventions."""
_SPAN_KEY = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
"""The key of the current span in OpenTelemetry's context; it has no public name."""
_MAX_OPEN_SPANS = 20_000
"""States kept at once; the oldest go first, for a program may never end its spans."""


class CallSpanProcessor(SpanProcessor):
    """Keeps the state of each open span and queues it when the span ends.

    Attributes:
        span_tree: the open spans around the calls.
        before_send: called with each HTTP call before it is sent; None if nothing is checked.
    """

    def __init__(
        self,
        queue: Callable[[SpanState], None],
        propagator_guard: PropagatorGuard | None = None,
        span_tree: SpanTree | None = None,
    ) -> None:
        """Create a processor without open spans.

        Args:
            queue: takes the state of a span that has ended; takes no lock.
            propagator_guard: selects the hosts that receive trace headers.
            span_tree: the tree of open spans, shared with other tracer providers.
        """
        self._queue = queue
        self._propagator_guard = propagator_guard
        self.span_tree = span_tree or SpanTree()
        self.before_send: Callable[[HttpCall], None] | None = None
        self._open_states: dict[int, SpanState] = {}
        self.configure({}, ())

    def configure(self, hosts: Mapping[str, str], excluded_urls: Sequence[str]) -> None:
        """Apply these settings to spans that start from now on.

        Args:
            hosts: the setting `LUPIS_PROVIDER_HOSTS`.
            excluded_urls: regular expressions, as in `LUPIS_EXCLUDED_URLS`.
        """
        self._hosts = tuple(hosts.items())
        self._excluded_patterns = [re.compile(pattern) for pattern in excluded_urls]

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Create the state of a span that starts."""
        try:
            self._track_start(span, parent_context)
        except Exception as fault:
            report_fault("recording a span's start", fault)

    def _track_start(self, span: Span, parent_context: Context | None) -> None:
        state = SpanState(span, current_conversation(), self._queue_state)
        url = state.url = _get_http_url(span)
        try:
            add_span = self.span_tree.begin_span if url is None else self.span_tree.add_span
            state.span_node = add_span(span)
        except Exception as fault:
            report_fault("adding a span to the tree", fault)
        span_context = span.context
        state.excluded = not span_context.trace_flags.sampled
        if url is not None:
            self._track_call(state, url, parent_context)
        if len(self._open_states) >= _MAX_OPEN_SPANS:  # a dict keeps its order: oldest first
            self._open_states.pop(next(iter(self._open_states)), None)
        self._open_states[span_context.span_id] = state

    def _track_call(self, state: SpanState, url: str, parent_context: Context | None) -> None:
        """Decide whether the span of an HTTP call reports it, repeats it, or is excluded."""
        if self._propagator_guard is not None:
            try:
                # Now, for instrumentors ask for trace headers once their span has started.
                self._propagator_guard.install(self.find_state)
            except Exception as fault:
                report_fault("choosing trace headers", fault)
        span = state.span
        call_context = get_current() if parent_context is None else parent_context
        if call_context:
            state.outer = self._find_outer_state(url, call_context)
        if not state.excluded:
            state.excluded = self._is_excluded(url, state.conversation) or (
                LLM_ONLY_KEY in call_context and not self._is_llm_request(span, url)
            )
        if state.outer is not None:
            return
        if state.span_node is not None:
            self._attach_to_llm_span(state.span_node, span, url, call_context)
        if not state.excluded:
            state.http_call = HttpCall(self._hosts, state.keep_open, state.end_span, span)
            state.http_call.before_send = self.before_send

    def _attach_to_llm_span(
        self, span_node: SpanNode, span: Span, url: str, call_context: Context
    ) -> None:
        """Put the span of an LLM call below an LLM library's span, even if that is not current."""
        try:
            llm_node = self.span_tree.find_llm_beside(span_node, call_context)
        except Exception as fault:
            report_fault("finding an LLM library's span", fault)
            return
        if llm_node is not None and self._is_llm_request(span, url):
            self.span_tree.attach_below(span_node, llm_node)

    def _is_llm_request(self, span: Span, url: str) -> bool:
        attributes, target = span.attributes or {}, parse_url(url)
        method = str(
            attributes.get(_semconv.HTTP_REQUEST_METHOD) or attributes.get(_OLD_METHOD) or WEBSOCKET
        )
        endpoint = identify_endpoint(
            method, target.host, target.port, target.bare_path, self._hosts
        )
        return endpoint is not None and endpoint.api != OTHER_API

    def _is_excluded(self, url: str, conversation: Conversation) -> bool:
        if not conversation.capture_http:
            return True
        patterns = self._excluded_patterns
        return bool(patterns) and any(pattern.search(url) for pattern in patterns)

    def _find_outer_state(self, url: str, call_context: Context) -> SpanState | None:
        """Return the state of an open call that a span for `url` would repeat.

        A client may use another one below it, such as httpx with an aiohttp transport. A call
        within a call is the same one if it goes to the same server before the response has come.
        """
        state = self._find_call_state(call_context)
        if state is None:
            return None
        http_call = state.http_call
        waits = http_call is not None and http_call.status is None and not state.ended
        if not waits or state.url is None:
            return None
        same_server = parse_url(state.url)[:3] == parse_url(url)[:3]  # scheme, host, port
        return state if same_server else None

    def _queue_state(self, state: SpanState) -> None:
        """Queue a state, after the LLM library's span that may report the same tokens has ended."""
        http_call = state.http_call
        if http_call is not None and http_call.endpoint is not None:
            try:
                state.llm_node = find_llm_ancestor(state.span_node)
                if http_call.endpoint.uses_tokens:
                    _mark_call(state)
            except Exception as fault:
                report_fault("finding an LLM library's span", fault)
        if state.llm_node is None or state.llm_node.ended:
            self._queue(state)
        else:
            self.span_tree.wait_for_end(state.llm_node, partial(self._queue, state))

    def find_state(self, span: trace.Span) -> SpanState | None:
        """Return the state of `span` while it is open, None for spans of other providers."""
        return self._open_states.get(span.get_span_context().span_id)

    def current_http_call(self) -> HttpCall | None:
        """Return the HTTP call being made by the calling code, if it is recorded."""
        state = self._find_call_state(get_current())
        return state.http_call if state is not None else None

    def has_open_call(self) -> bool:
        """Return whether a span of this processor reports the call being made."""
        state = self._find_call_state(get_current())
        return state is not None and state.url is not None and not state.ended

    def _find_call_state(self, call_context: Context) -> SpanState | None:
        """Return the state of the call being made in a context."""
        if not call_context:
            return None
        # Inside a client, the program's span is current, so the context names the call's span.
        span: Any = call_context.get(CALL_SPAN_KEY)
        state = self.find_state(span) if span is not None else None
        if state is None:
            # No call, or one that has ended: work that outlives a call may make another.
            state = self.find_state(trace.get_current_span(call_context))
        return state.outermost if state is not None else None

    def context_with_span(self, span: trace.Span) -> Context:
        """Return the current context with `span` as the current span.

        If it is the span of a call, the context names it under `CALL_SPAN_KEY` too.
        """
        values = {**get_current(), _SPAN_KEY: span}
        try:
            state = self.find_state(span)
            if state is not None and state.url is not None:
                values[CALL_SPAN_KEY] = span
        except Exception as fault:
            report_fault("finding a span's state", fault)
        return Context(values)

    def client_context(
        self, program_context: Context, suppression_keys: Iterable[str]
    ) -> Context | None:
        """Return the context for the client's own work on the call whose span is current.

        It is the context of the program plus the keys that this package needs. So hooks,
        transports and instrumentors of the program that run inside the client see the same current
        span as without `lupis-run`, and are not suppressed on behalf of this package.

        Args:
            program_context: the context in which the program made the call.
            suppression_keys: the keys of the context that suppress spans.

        Returns:
            The context; None if the current span does not report a call.
        """
        current = get_current()
        span: Any = current.get(_SPAN_KEY)
        state = self.find_state(span) if span is not None else None
        if state is None or state.url is None:
            return None
        # A client enters the context several times in a call, so it is made once.
        if state.client_contexts[0] is not program_context:
            inside = {**program_context, CALL_SPAN_KEY: span}
            if any(map(current.get, suppression_keys)):
                inside[OUTER_CALL_KEY] = state.outermost
            state.client_contexts = program_context, Context(inside)
        return state.client_contexts[1]

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span that has ended, unless `SpanState.keep_open` has queued it before."""
        try:
            span_context = span.context
            state = self._open_states.pop(span_context.span_id, None)
            if state is None:  # it began in the parent of this forked process, which exports it
                return
            kept_open = state.ended
            # The span of a call has only attributes of its instrumentor and of this package.
            state.readable = span if state.url is not None else remove_content(span)
            state.ended = True
            try:
                if state.url is None and state.span_node is not None:
                    _mark_tokens(state.span_node)
                self.span_tree.end_span(span)
            except Exception as fault:
                report_fault("removing a span from the tree", fault)
            if not kept_open:
                state.check_clock(span)
                self._queue_state(state)
        except Exception as fault:
            report_fault("recording a span's end", fault)

    @property
    def has_open_spans(self) -> bool:
        """Whether a span has started and not ended."""
        return bool(self._open_states)

    def end_open_bodies(self) -> None:
        """End the spans whose bodies the program will not read any more; at exit."""
        for state in list(self._open_states.values()):
            http_call = state.http_call
            body = (
                http_call.body if http_call is not None else None
            )  # read once: `release` clears it
            if state.ended and body is not None:
                body.end("dropped")

    def release_waiting(self) -> None:
        """Queue the spans that wait for an LLM library's span around them."""
        self.span_tree.release_waiting()

    def reset(self) -> None:
        """Drop the parent's open spans in a forked child process."""
        for state in self._open_states.values():
            state.ended = True
        self._open_states.clear()
        self.span_tree.reset()

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - the SDK's
        """Return True: the processor itself holds no ended spans."""
        return True


def _mark_call(state: SpanState) -> None:
    """Note on the spans around an LLM call that its tokens are reported below them."""
    innermost = state.llm_node or state.span_node
    if state.llm_node is not None:
        state.llm_node.has_call = True
    if innermost is not None:
        innermost.mark_outer_nodes()


def _mark_tokens(span_node: SpanNode) -> None:
    """Note on the spans around a library's span that this span reports tokens, if it does."""
    if span_node.reports_any(_semconv.LLM_SPAN_TOKENS):
        span_node.mark_outer_nodes()


def _get_http_url(span: Span) -> str | None:
    """Return the URL of a call's span, None for any other span."""
    if span.kind is not trace.SpanKind.CLIENT:
        return None
    attributes = span.attributes or {}
    if _semconv.HTTP_REQUEST_METHOD not in attributes and _OLD_METHOD not in attributes:
        return _get_socket_url(span)
    url = attributes.get(_semconv.URL_FULL) or attributes.get(_OLD_URL)
    return url if isinstance(url, str) else None


def _get_socket_url(span: Span) -> str | None:
    """Return the URL of this package's span of a response on a WebSocket, None for other spans."""
    scope, attributes = span.instrumentation_scope, span.attributes or {}
    if scope is None or scope.name != _semconv.SCOPE:
        return None
    is_socket = attributes.get(_semconv.NETWORK_PROTOCOL_NAME) == _semconv.WEBSOCKET
    url = attributes.get(_semconv.URL_FULL) if is_socket else None
    return url if isinstance(url, str) else None

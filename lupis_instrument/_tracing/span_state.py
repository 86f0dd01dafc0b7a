"""The state of one span, from its start until the pipeline has prepared it for export.

An ended span cannot be edited, and the instrumentors of opentelemetry-python end theirs when the
response headers arrive. So before a body is observed, `SpanState.keep_open` replaces the `end` of
that one span object with a method that waits for the body.
"""

from __future__ import annotations

from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Callable

from opentelemetry.trace import SpanContext, TraceFlags

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._tracing.span_tree import find_llm_ancestor

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from lupis_instrument._tracing.context import Conversation
    from lupis_instrument._tracing.http_call import HttpCall
    from lupis_instrument._tracing.span_tree import SpanNode


_CLOCK_TOLERANCE = 1_000_000_000
"""The difference between two clocks, in nanoseconds, that comes from setting one of them."""


class SpanState:
    """The facts about one span that the span itself does not hold.

    Attributes:
        span: the span object that the program holds.
        conversation: the conversation when the span began.
        http_call: the HTTP call that the span reports, if it reports one.
        outer: the state of the span that already reports the same call.
        excluded: whether a setting or the sampler excludes the span from export.
        url: the URL of the call, for the spans of HTTP calls.
        client_contexts: the contexts of the program and of the client, when the span was last used.
        readable: the span as it ended.
        prepared: the result of the pipeline, once it has run: the span to export, or None.
        span_node: the span's node in the tree of open spans.
        llm_node: the node of the span around it that an LLM library's instrumentor made.
        ended: whether the instrumentor has ended the span.
        end_time: the instrumentor's end time, in nanoseconds since the epoch.
        true_end: the end of a span during which the system's clock was set; None for other spans.
    """

    __slots__ = (
        "_queue",
        "_queue_ticket",
        "client_contexts",
        "conversation",
        "end_time",
        "ended",
        "excluded",
        "http_call",
        "llm_node",
        "outer",
        "prepared",
        "readable",
        "span",
        "span_node",
        "started",
        "true_end",
        "url",
    )

    def __init__(
        self, span: Span, conversation: Conversation, queue: Callable[[SpanState], None]
    ) -> None:
        self.span = span
        self.conversation = conversation
        self.http_call: HttpCall | None = None
        self.outer: SpanState | None = None
        self.excluded = False
        self.url: str | None = None
        self.client_contexts: tuple[Context | None, Context | None] = (None, None)
        self.readable: ReadableSpan | None = None
        self.prepared: tuple[ReadableSpan | None] | None = None
        self.span_node: SpanNode | None = None
        self.llm_node: SpanNode | None = None
        self.ended = False
        self.end_time: int | None = None
        self.true_end: int | None = None
        self.started = perf_counter_ns()
        self._queue = queue
        self._queue_ticket = [None]

    def adopt_parent(self, parent: SpanContext) -> None:
        """Move the span below `parent`, into its trace; in the tree of open spans it stays.

        Called while a client sends the request, for only then are its headers known. The sampler
        has decided before.
        """
        span: Any = self.span
        own = span.get_span_context()
        if span.parent is not None and span.parent.span_id == parent.span_id:
            return
        flags = (parent.trace_flags & ~TraceFlags.SAMPLED) | (own.trace_flags & TraceFlags.SAMPLED)
        span._parent = parent
        span._context = SpanContext(
            parent.trace_id, own.span_id, False, TraceFlags(flags), parent.trace_state
        )

    def keep_open(self) -> None:
        """Keep the span open when its instrumentor ends it."""
        self.span.end = self._request_end  # type: ignore[method-assign]
        # Now, for the span of an LLM library may end, and be counted, before this one.
        http_call, llm_node = self.http_call, find_llm_ancestor(self.span_node)
        endpoint = http_call.endpoint if http_call is not None else None
        if llm_node is not None and endpoint is not None and endpoint.uses_tokens:
            llm_node.has_call = True

    def _request_end(self, end_time: int | None = None) -> None:
        """Stand in for `Span.end`: end the span unless its body is still being read."""
        try:
            if not self.ended:
                self.end_time = end_time
            self.ended = True
            http_call = self.http_call  # read once: `release` clears it
            if http_call is None or not http_call.has_open_body:
                self._queue_once()
        except Exception as fault:
            report_fault("ending a span", fault)

    def end_span(self) -> None:
        """End the span if its instrumentor has done so; called when the body has ended."""
        if self.ended:
            self._queue_once()

    def _queue_once(self) -> None:
        # Instrumentor and body may end in two threads at once. Popping is atomic and, unlike a
        # lock, safe where the garbage collector calls.
        try:
            self._queue_ticket.pop()
        except IndexError:
            return
        self._queue(self)

    def end_sdk_span(self) -> None:
        """Call the span's real `end`; on the worker's thread.

        The span lasts until its body has ended, unless its instrumentor named a later time.
        """
        http_call = self.http_call
        body = http_call.body if http_call is not None else None
        end_time = self.end_time
        if http_call is not None and body is not None and body.ended is not None:
            start_time = self.span.start_time or 0
            end_time = max(end_time or 0, start_time + body.ended - http_call.started)
        type(self.span).end(self.span, end_time)

    def check_clock(self, span: ReadableSpan) -> None:
        """Note the true end of a span that has just ended, if the system's clock was set meanwhile.

        A program may give other spans than calls any start and end, so those are only corrected if
        they end before they start.
        """
        start, now = span.start_time or 0, time_ns()
        end = span.end_time or now
        true_end = start + perf_counter_ns() - self.started
        clock_was_set = abs(now - true_end) > _CLOCK_TOLERANCE > abs(now - end)
        if end < start or (self.http_call is not None and clock_was_set):
            self.true_end = true_end

    def release(self) -> None:
        """Let go of the call, which nothing needs once the span is prepared.

        The call, the span and the contexts refer to this state: these cycles would wait for the
        garbage collector.
        """
        self.client_contexts = (None, None)
        if self.http_call is not None:
            self.http_call.body = None
        self.http_call = None
        if "end" in vars(self.span):
            self.span.end = _ignore_end  # type: ignore[method-assign]

    @property
    def outermost(self) -> SpanState:
        """The state of the span that reports this call: the outermost of its nested spans."""
        state = self
        while state.outer is not None:
            state = state.outer
        return state


def _ignore_end(end_time: int | None = None) -> None:
    """Stand in for the `end` of a span that has ended and is prepared."""

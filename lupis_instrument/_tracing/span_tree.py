"""The tree of open spans, whichever tracer provider makes them.

A program may trace its LLM calls itself, with instrumentors of LLM libraries. Their spans report
tokens too, but only when they end, which is after the HTTP call below has ended. So the span of
such a call waits for the LLM library's span above it, and the pipeline then leaves the tokens to
that span if it has them.
"""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable
from weakref import ref

from opentelemetry import trace
from opentelemetry.context import get_value

from lupis_instrument import _semconv

if TYPE_CHECKING:
    from opentelemetry.context import Context

_MAX_OPEN_SPANS = 20_000
"""Nodes kept at once; the oldest go first, for a program may never end its spans."""
_MAX_REPORTED_RESPONSES = 1024
"""Ids kept of responses whose tokens another span reports; the oldest go first."""
_MAX_LEVELS = 16
"""Levels of the tree that are searched upwards for an LLM library's span."""
_MAX_WAIT = 10.0
"""Seconds that a call's span waits for the end of the span above it."""
_FIRST_CLIENT_ERROR = 400
_WITHIN_LLM_CALL = "suppress_language_model_instrumentation"
"""The context key that instrumentors of LLM libraries set for the calls below them.

`SUPPRESS_LANGUAGE_MODEL_INSTRUMENTATION_KEY` of opentelemetry-semantic-conventions-ai.
"""


class SpanNode:
    """One open span.

    Attributes:
        span: the span; its attributes may be read at any time.
        outer: the node of the span around it, or of the LLM library's span beside it; None if
            that span was not open in this process.
        inner: the node of the call's span that `SpanTree.attach_below` last put below it.
        ended: whether the span has ended.
        has_call: whether this package records the LLM call that the span reports too.
        tokens_below: whether a span below reports tokens of LLM calls.
    """

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "ended",
        "has_call",
        "inner",
        "outer",
        "span",
        "tokens_below",
    )

    def __init__(self, span: Any, outer: SpanNode | None) -> None:
        self.span = span
        self.outer = outer
        self.inner: SpanNode | None = None
        self.ended = self.has_call = self.tokens_below = False
        self._callbacks: deque[Callable[[], None]] = deque()

    def call_when_ended(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the span has ended or the wait is over; takes no lock."""
        self._callbacks.append(callback)
        if self.ended:  # perhaps since the last line, in another thread
            self.run_callbacks()

    def run_callbacks(self) -> None:
        """Call all waiting callbacks, whether the span has ended or not."""
        while True:
            try:
                callback = self._callbacks.popleft()  # atomic: each callback is called once
            except IndexError:
                return
            callback()

    def mark_outer_nodes(self) -> None:
        """Note on the spans around this one that this one, or a span below, reports tokens."""
        span_node = self.outer
        for _ in range(_MAX_LEVELS):
            if span_node is None:
                return
            span_node.tokens_below = True
            span_node = span_node.outer

    def reports_any(self, names: Any) -> bool:
        """Return whether the span has one of these attributes and is sampled, so exported."""
        attributes = getattr(self.span, "attributes", None) or {}
        sampled = self.span.get_span_context().trace_flags.sampled
        return bool(sampled) and any(attributes.get(name) is not None for name in names)


class SpanTree:
    """The open spans of this process, each with the span around it."""

    def __init__(self) -> None:
        self._latest_llm_node: ContextVar[Callable[[], SpanNode | None]] = ContextVar(
            "lupis_latest_llm_span"
        )
        self.reset()

    def reset(self) -> None:
        """Drop all nodes; in a forked child process they belong to the parent."""
        self._open_nodes: dict[int, SpanNode] = {}
        self._reported_responses: dict[str, None] = {}
        self._waits: deque[tuple[float, SpanNode]] = deque()

    def begin_span(self, span: Any) -> SpanNode:
        """Add a span that starts; it may be the span of an LLM library."""
        span_node = self.add_span(span)
        attributes = getattr(span, "attributes", None) or {}
        scope = getattr(span, "instrumentation_scope", None)
        if scope is not None and scope.name in _semconv.LATE_SCOPES:
            self._latest_llm_node.set(ref(span_node))  # `find_llm_beside` looks at its attributes
        elif is_llm_call(attributes):
            # A weak reference: the contexts of tasks and threads may outlive the span.
            self._latest_llm_node.set(ref(span_node))
            response_id = attributes.get(_semconv.GEN_AI_RESPONSE_ID)
            if isinstance(response_id, str) and span_node.reports_any(_semconv.LLM_SPAN_TOKENS):
                self._add_reported_response(response_id)
        return span_node

    def _add_reported_response(self, response_id: str) -> None:
        """Keep the id of a response whose tokens a span reports from its start.

        Some instrumentors make such a span when a stream is over, for example Logfire's.
        """
        if len(self._reported_responses) >= _MAX_REPORTED_RESPONSES:
            self._reported_responses.pop(next(iter(self._reported_responses)), None)
        self._reported_responses[response_id] = None

    def tokens_reported(self, response_id: str | None) -> bool:
        """Return whether a recent span has reported the tokens of a response from its start."""
        return response_id in self._reported_responses

    def add_span(self, span: Any) -> SpanNode:
        """Add a span that starts and is no LLM library's, such as the span of an HTTP call."""
        parent: trace.SpanContext | None = span.parent
        outer = self._open_nodes.get(parent.span_id) if parent is not None else None
        span_node = SpanNode(span, outer)
        if len(self._open_nodes) >= _MAX_OPEN_SPANS:
            self._open_nodes.pop(next(iter(self._open_nodes)), None)
        self._open_nodes[span.get_span_context().span_id] = span_node
        return span_node

    def resolve_span(self, span: Any) -> Any:
        """Return the open span with the ids of `span`, which may be a stand-in without attributes.

        A library that starts spans of its own below a span that suppresses them gets such stand-ins
        (anthropic does).
        """
        span_node = self._open_nodes.get(span.get_span_context().span_id)
        return span if span_node is None else span_node.span

    def find_llm_beside(
        self, span_node: SpanNode, parent_context: Context | None
    ) -> SpanNode | None:
        """Return the LLM library's span that an LLM call belongs to but does not lie below.

        Some instrumentors start a span and do not make it current, for example Traceloop's. The
        span then is the latest LLM span of this thread or task, it is open, and the span around it
        lies around the call too.

        If the context does not mark the call as the library's, only the first call belongs to the
        span, and further ones while the call before has failed. For the span may stay open for as
        long as the program reads a streamed response, beside other calls.

        Args:
            span_node: the node of the call's span.
            parent_context: the context that the call's span was started in.
        """
        latest = self._latest_llm_node.get(None)
        llm_node = latest() if latest is not None else None
        if llm_node is None or llm_node.ended or not _is_within(span_node, llm_node.outer):
            return None
        if not is_llm_call(getattr(llm_node.span, "attributes", None) or {}):
            return None
        inner = llm_node.inner
        if inner is None or _has_failed(inner) or get_value(_WITHIN_LLM_CALL, parent_context):
            return llm_node
        return None

    def attach_below(self, span_node: SpanNode, llm_node: SpanNode) -> None:
        """Make `llm_node` the outer node of `span_node`."""
        span_node.outer = llm_node
        llm_node.inner = span_node

    def end_span(self, span: Any) -> None:
        """Remove a span that has ended, and run the callbacks that wait for its end."""
        span_node = self._open_nodes.pop(span.context.span_id, None)
        if span_node is not None:
            span_node.ended = True
            span_node.run_callbacks()

    def wait_for_end(self, span_node: SpanNode, callback: Callable[[], None]) -> None:
        """Call `callback` when the span of `span_node` has ended, or after `_MAX_WAIT` seconds.

        Waits that are over by then are released by the next call of this method, or by
        `release_waiting` at a flush: the tree has no timer.
        """
        now = monotonic()
        span_node.call_when_ended(callback)
        self._waits.append((now, span_node))
        self.release_waiting(now - _MAX_WAIT)

    def release_waiting(self, before: float = float("inf")) -> None:
        """Run the callbacks that have waited too long.

        Args:
            before: a time of `monotonic`; waits that began later continue. By default none does.
        """
        while self._waits:
            try:
                # Looked at before it is taken, so that a flush in another thread sees every
                # wait that is not over.
                if self._waits[0][0] > before:
                    return
                _, span_node = self._waits.popleft()
            except IndexError:
                return  # another thread has taken the last wait
            span_node.run_callbacks()


def _is_within(span_node: SpanNode | None, outer: SpanNode | None) -> bool:
    """Return whether `span_node` lies below `outer`; every node lies below None."""
    for _ in range(_MAX_LEVELS):
        span_node = span_node.outer if span_node is not None else None
        if span_node is outer:
            return True
    return False


def _has_failed(span_node: SpanNode) -> bool:
    """Return whether the call of a span has ended without a response that its library can use."""
    attributes = getattr(span_node.span, "attributes", None) or {}
    status = attributes.get(_semconv.HTTP_RESPONSE_STATUS_CODE)
    return span_node.ended and (not isinstance(status, int) or status >= _FIRST_CLIENT_ERROR)


def find_llm_ancestor(span_node: SpanNode | None) -> SpanNode | None:
    """Return the nearest span above `span_node` that an LLM library's instrumentor made."""
    for _ in range(_MAX_LEVELS):
        span_node = span_node.outer if span_node is not None else None
        if span_node is None:
            return None
        span = span_node.span
        if is_llm_call(getattr(span, "attributes", None) or {}) or _has_llm_name(span):
            return span_node
    return None


def _has_llm_name(span: Any) -> bool:
    """Return whether a span is named like an LLM call; some set their attributes at the end."""
    name = getattr(span, "name", "")
    return getattr(span, "kind", None) is trace.SpanKind.CLIENT and (
        name.partition(" ")[0] in _semconv.LLM_OPERATIONS
    )


def is_llm_call(attributes: Any) -> bool:
    """Return whether a span with these attributes is a single LLM call, no agent or workflow."""
    operation = attributes.get(_semconv.GEN_AI_OPERATION_NAME)
    if operation is not None:
        return operation not in _semconv.AGENT_OPERATIONS
    for name, llm_kinds in _semconv.LLM_KINDS:
        kind = attributes.get(name)
        if kind is not None:
            return kind in llm_kinds
    return any(attributes.get(name) is not None for name in _semconv.LLM_SPAN_MARKS)

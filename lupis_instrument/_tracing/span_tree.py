"""Which spans lie above the span of a call, whoever's provider makes them.

A program may trace its LLM calls itself, with instrumentors of LLM libraries. Their spans report
tokens too, but only when they end, which is after the HTTP call below has. So the span of such a
call waits for the one above it, and what it tells depends on what that one has told.
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

_MOST_OPEN = 20_000
"""Spans that the program never ends must not be kept for ever."""
_MOST_TOLD = 1024
"""Ids of responses whose tokens another span has told, the latest."""
_MOST_STEPS = 16
"""How many spans up an LLM library's is looked for."""
_PATIENCE = 10.0
"""Seconds that a call's span waits for one above it that does not end."""
_FIRST_CLIENT_ERROR = 400
_WITHIN_LLM_CALL = "suppress_language_model_instrumentation"
"""What instrumentors of LLM libraries set in the context of the calls below them.

`SUPPRESS_LANGUAGE_MODEL_INSTRUMENTATION_KEY` of opentelemetry-semantic-conventions-ai.
"""


class SpanNode:
    """One span under way.

    Attributes:
        span: the span; what it says may be read at any time.
        outer: the node of the span around it, or of the LLM library's beside it, if that was
            under way here.
        inner: the node of the call's span that was last put below it so.
        ended: whether the span has ended.
    """

    __slots__ = ("__weakref__", "_waiting", "ended", "inner", "outer", "span")

    def __init__(self, span: Any, outer: SpanNode | None) -> None:
        self.span = span
        self.outer = outer
        self.inner: SpanNode | None = None
        self.ended = False
        self._waiting: deque[Callable[[], None]] = deque()

    def call_when_ended(self, act: Callable[[], None]) -> None:
        """Call `act` when the span has ended, or is waited for no longer; takes no lock."""
        self._waiting.append(act)
        if self.ended:
            self.release_waiting()

    def release_waiting(self) -> None:
        """Have nothing wait for the span any more."""
        while True:
            try:
                act = self._waiting.popleft()  # atomic: each is called once
            except IndexError:
                return
            act()

    def has_any(self, names: Any) -> bool:
        """Tell whether the span has one of these attributes, and will leave the process."""
        attributes = getattr(self.span, "attributes", None) or {}
        sampled = self.span.get_span_context().trace_flags.sampled
        return bool(sampled) and any(attributes.get(name) is not None for name in names)


class SpanTree:
    """The spans under way in this process, and what each lies in."""

    def __init__(self) -> None:
        self._latest: ContextVar[Callable[[], SpanNode | None]] = ContextVar(
            "lupis_latest_llm_span"
        )
        self.reset()

    def reset(self) -> None:
        """Drop what is under way; in a forked child it is the parent's."""
        self._open: dict[int, SpanNode] = {}
        self._told: dict[str, None] = {}
        self._waited_for: deque[tuple[float, SpanNode]] = deque()

    def begin_span(self, span: trace.Span, parent_context: Context | None) -> SpanNode:
        """Take note of a span that begins."""
        span_node = self.add_span(span, parent_context)
        attributes = getattr(span, "attributes", None) or {}
        if is_llm_call(attributes):
            self._latest.set(ref(span_node))
            response = attributes.get(_semconv.GEN_AI_RESPONSE_ID)
            if isinstance(response, str) and span_node.has_any(_semconv.LLM_SPAN_TOKENS):
                self._note_told(response)
        return span_node

    def _note_told(self, response: str) -> None:
        """Keep the id of a response that a span tells the tokens of from its start.

        Some instrumentors make such a span when a stream is over, as Logfire's.
        """
        if len(self._told) >= _MOST_TOLD:
            self._told.pop(next(iter(self._told)), None)
        self._told[response] = None

    def tokens_reported(self, response: str | None) -> bool:
        """Tell whether a span was made lately to tell the tokens of a response."""
        return response in self._told

    def add_span(self, span: trace.Span, parent_context: Context | None) -> SpanNode:
        """Take note of one that begins and is no LLM library's, as that of an HTTP call."""
        parent = trace.get_current_span(parent_context).get_span_context()
        span_node = SpanNode(span, self._open.get(parent.span_id) if parent.is_valid else None)
        if len(self._open) >= _MOST_OPEN:
            self._open.pop(next(iter(self._open)), None)
        self._open[span.get_span_context().span_id] = span_node
        return span_node

    def resolve_span(self, span: Any) -> Any:
        """Return the span under way that has the ids of `span`, which may stand in for it."""
        span_node = self._open.get(span.get_span_context().span_id)
        return span if span_node is None else span_node.span

    def find_llm_beside(
        self, span_node: SpanNode, parent_context: Context | None
    ) -> SpanNode | None:
        """Return the LLM library's span which that of `span_node`, an LLM call's, would lie below.

        Some instrumentors begin a span and don't make it current, as Traceloop's. It was begun
        here, within a span that the call's is within too, and is under way. Where the context
        doesn't tell that a call is such a library's, it is the first, or repeats one that failed:
        the span may stay open for as long as an answer is read, beside other calls.
        """
        llm = self._latest.get(lambda: None)()
        if llm is None or llm.ended or not _is_within(span_node, llm.outer):
            return None
        inner = llm.inner
        if inner is None or _has_failed(inner) or get_value(_WITHIN_LLM_CALL, parent_context):
            return llm
        return None

    def attach_below(self, span_node: SpanNode, llm: SpanNode) -> None:
        """Have the span of `span_node` lie below that of `llm`."""
        span_node.outer = llm
        llm.inner = span_node

    def end_span(self, span: Any) -> None:
        """Take note of a span that has ended."""
        span_node = self._open.pop(span.get_span_context().span_id, None)
        if span_node is not None:
            span_node.ended = True
            span_node.release_waiting()

    def wait_for_end(self, span_node: SpanNode, act: Callable[[], None]) -> None:
        """Call `act` when the span of `span_node` has ended, or after a while."""
        now = monotonic()
        span_node.call_when_ended(act)
        self._waited_for.append((now, span_node))
        self.release_waiting(now - _PATIENCE)

    def release_waiting(self, before: float = float("inf")) -> None:
        """Have nothing wait any more that has waited since `before`."""
        while self._waited_for:
            try:
                if self._waited_for[0][0] > before:
                    return
                _, span_node = self._waited_for.popleft()
            except IndexError:
                return  # another thread was quicker
            span_node.release_waiting()


def _is_within(span_node: SpanNode | None, outer: SpanNode | None) -> bool:
    """Tell whether the span of `span_node` lies in that of `outer`; all lie in none."""
    for _ in range(_MOST_STEPS):
        span_node = span_node.outer if span_node is not None else None
        if span_node is outer:
            return True
    return False


def _has_failed(span_node: SpanNode) -> bool:
    """Tell whether the call of a span brought no answer that its library could use."""
    attributes = getattr(span_node.span, "attributes", None) or {}
    status = attributes.get(_semconv.HTTP_RESPONSE_STATUS_CODE)
    return span_node.ended and (not isinstance(status, int) or status >= _FIRST_CLIENT_ERROR)


def find_llm_ancestor(span_node: SpanNode | None) -> SpanNode | None:
    """Return the nearest span above `span_node` that an LLM library's instrumentor made."""
    for _ in range(_MOST_STEPS):
        span_node = span_node.outer if span_node is not None else None
        if span_node is None:
            return None
        if is_llm_call(getattr(span_node.span, "attributes", None) or {}) or _is_named_so(
            span_node.span
        ):
            return span_node
    return None


def _is_named_so(span: Any) -> bool:
    """Tell whether a span is called as that of an LLM call is: some say the rest at their end."""
    name = getattr(span, "name", "")
    return getattr(span, "kind", None) is trace.SpanKind.CLIENT and (
        name.partition(" ")[0] in _semconv.LLM_OPERATIONS
    )


def is_llm_call(attributes: Any) -> bool:
    """Tell whether attributes are those of a single LLM call, not of an agent or a workflow."""
    operation = attributes.get(_semconv.GEN_AI_OPERATION_NAME)
    if operation is not None:
        return operation not in _semconv.AGENT_OPERATIONS
    kind = attributes.get(_semconv.OPENINFERENCE_SPAN_KIND)
    if kind is not None:
        return kind in _semconv.OPENINFERENCE_LLM_KINDS
    return any(attributes.get(name) is not None for name in _semconv.LLM_SPAN_MARKS)

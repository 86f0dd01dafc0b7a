"""Follows each span from its start to its export, and has the span of a call outlast its body.

An ended span cannot be edited, and upstream's instrumentors end theirs when the headers have
come. So when a body is about to be watched, that one span object gets an `end` of ours, which
waits for the body. All that costs time happens on the worker's thread.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Callable

from opentelemetry import context, trace
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import guarded, report_fault
from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.api.operations import OTHER_API
from lupis_instrument._tracing import context as _context
from lupis_instrument._tracing.http_call import HttpCall, parse_url
from lupis_instrument._tracing.span_tree import SpanTree, find_llm_ancestor

if TYPE_CHECKING:
    from typing import Mapping, Sequence

    from opentelemetry.context import Context

    from lupis_instrument._tracing.context import Conversation
    from lupis_instrument._tracing.span_tree import SpanNode

_OLD_URL, _OLD_METHOD = "http.url", "http.method"
_MOST_OPEN = 20_000
"""Spans that the program never ends must not be kept for ever."""


class SpanState:
    """What is known of one span, from its start to its export.

    Attributes:
        span: the span the program holds.
        conversation: what was in force when it began.
        http_call: the HTTP call it stands for, if it stands for one.
        outer: the record of the span that already stands for the same call.
        excluded: whether the user, or the sampler, wants no span of it.
        url: where the call goes, for the spans of HTTP calls.
        inside: the contexts that it was last made in, the program's and the client's.
        readable: the span as it ended.
        prepared: what leaves the process of it, if anything does, once that is known.
        span_node: the span's place among those under way.
        llm: the place of the span around it that an LLM library's instrumentor made.
    """

    __slots__ = (
        "_lock",
        "_put",
        "conversation",
        "end_time",
        "ended",
        "excluded",
        "http_call",
        "inside",
        "llm",
        "outer",
        "prepared",
        "readable",
        "span",
        "span_node",
        "url",
    )

    def __init__(
        self, span: Span, conversation: Conversation, put: Callable[[SpanState], None]
    ) -> None:
        self.span = span
        self.conversation = conversation
        self.http_call: HttpCall | None = None
        self.outer: SpanState | None = None
        self.excluded = False
        self.url: str | None = None
        self.inside: tuple[Context | None, Context | None] = (None, None)
        self.readable: ReadableSpan | None = None
        self.prepared: tuple[ReadableSpan | None] | None = None
        self.span_node: SpanNode | None = None
        self.llm: SpanNode | None = None
        self.ended = False
        self.end_time: int | None = None
        self._put = put
        self._lock = [None]

    def keep_open(self) -> None:
        """Keep the span open when its instrumentor ends it."""
        self.span.end = self._end_asked  # type: ignore[method-assign]

    def _end_asked(self, end_time: int | None = None) -> None:
        try:
            if not self.ended:
                self.end_time = end_time
            self.ended = True
            if self.http_call is None or not self.http_call.has_open_body:
                self._queue_once()
        except Exception as fault:
            report_fault("ending a span", fault)

    def end_span(self) -> None:
        """Let the span end if its instrumentor has ended it; called when the body has ended."""
        if self.ended:
            self._queue_once()

    def _queue_once(self) -> None:
        # Instrumentor and body may end in two threads at once; popping is atomic, and unlike a
        # lock safe where the garbage collector calls.
        try:
            self._lock.pop()
        except IndexError:
            return
        self._put(self)

    def end_sdk_span(self) -> None:
        """Really end a span that was held; on the worker's thread."""
        http_call = self.http_call
        body = http_call.body if http_call is not None else None
        end_time = self.end_time
        if http_call is not None and body is not None and body.ended is not None:
            began = self.span.start_time or 0
            end_time = max(end_time or 0, began + body.ended - http_call.started)
        type(self.span).end(self.span, end_time)

    @property
    def outermost(self) -> SpanState:
        """The record of the span that stands for this call."""
        record = self
        while record.outer is not None:
            record = record.outer
        return record


class CallSpanProcessor(SpanProcessor):
    """Keeps a record of each span under way and hands it to the worker when the span ends.

    Attributes:
        span_tree: knows the spans around the calls.
        before_call: called when the span of an HTTP call has started, before anything is sent.
    """

    def __init__(self, put: Callable[[SpanState], None], span_tree: SpanTree | None = None) -> None:
        """Begin.

        Args:
            put: hands a record whose span has ended to the worker; takes no lock.
            span_tree: knows the spans of the program's own providers too.
        """
        self._put = put
        self.span_tree = span_tree or SpanTree()
        self._open: dict[int, SpanState] = {}
        self.before_call: Callable[[], None] = _nothing
        self.configure({}, ())

    def configure(self, hosts: Mapping[str, str], excluded_urls: Sequence[str]) -> None:
        """Work by these settings from now on.

        Args:
            hosts: `LUPIS_PROVIDER_HOSTS`.
            excluded_urls: regular expressions, as in `LUPIS_EXCLUDED_URLS`.
        """
        self._hosts = hosts
        self._excluded = [re.compile(pattern) for pattern in excluded_urls]

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Take note of a span."""
        guarded("noting a span's start", self._track_start, span, parent_context)

    def _track_start(self, span: Span, parent_context: Context | None) -> None:
        record = SpanState(span, _context.current_conversation(), self._queue_state)
        url = record.url = _http_url(span)
        begin = self.span_tree.begin_span if url is None else self.span_tree.add_span
        record.span_node = guarded("noting a span", begin, span, parent_context)
        record.excluded = not span.get_span_context().trace_flags.sampled
        if url is not None:
            guarded("choosing trace headers", self.before_call)
            record.outer = self._find_outer_state(url, parent_context)
            record.excluded = record.excluded or self._unwanted(url, record.conversation)
            if context.get_value(_context.LLM_ONLY_KEY, parent_context):
                record.excluded = record.excluded or not self._is_llm_call(span, url)
            if record.outer is None and record.span_node is not None:
                self._place(record.span_node, span, url, parent_context)
            if record.outer is None and not record.excluded:
                record.http_call = HttpCall(self._hosts, record.keep_open, record.end_span, span)
        if len(self._open) >= _MOST_OPEN:
            self._open.pop(next(iter(self._open)), None)
        self._open[span.get_span_context().span_id] = record

    def _place(
        self, span_node: SpanNode, span: Span, url: str, parent_context: Context | None
    ) -> None:
        """Find the LLM library's span that a call of it belongs to, where it isn't current."""
        llm = guarded(
            "finding an LLM library's span",
            self.span_tree.find_llm_beside,
            span_node,
            parent_context,
        )
        if llm is not None and self._is_llm_call(span, url):
            self.span_tree.attach_below(span_node, llm)

    def _is_llm_call(self, span: Span, url: str) -> bool:
        attributes, place = span.attributes or {}, parse_url(url)
        method = str(attributes.get(_semconv.HTTP_REQUEST_METHOD) or attributes.get(_OLD_METHOD))
        endpoint = identify_endpoint(method, place.host, place.port, place.path, self._hosts)
        return endpoint is not None and endpoint.api != OTHER_API

    def _unwanted(self, url: str, conversation: Conversation) -> bool:
        return not conversation.capture_http or any(
            pattern.search(url) for pattern in self._excluded
        )

    def _find_outer_state(self, url: str, parent_context: Context | None) -> SpanState | None:
        """Return the record of a call under way that a span for `url` would repeat."""
        record = self._call(parent_context)
        if record is None:
            return None
        http_call = record.http_call
        waiting = http_call is not None and http_call.status is None and not record.ended
        if waiting and record.url is not None and parse_url(record.url)[:3] == parse_url(url)[:3]:
            return record
        return None

    def _queue_state(self, record: SpanState) -> None:
        """Hand a record to the worker once the span that may repeat its tokens has ended."""
        http_call = record.http_call
        if http_call is not None and http_call.endpoint is not None:
            record.llm = guarded(
                "finding an LLM library's span", find_llm_ancestor, record.span_node
            )
        if record.llm is None or record.llm.ended:
            self._put(record)
        else:
            self.span_tree.wait_for_end(record.llm, partial(self._put, record))

    def find_state(self, span: trace.Span) -> SpanState | None:
        """Return the record of `span` while it is under way, if it is ours."""
        return self._open.get(span.get_span_context().span_id)

    def current_http_call(self) -> HttpCall | None:
        """Return the exchange of the call being made, if that is recorded."""
        record = self._call()
        return record.http_call if record is not None else None

    def has_open_call(self) -> bool:
        """Tell whether a span of ours stands for the call being made."""
        record = self._call()
        return record is not None and record.url is not None and not record.ended

    def _call(self, here: Context | None = None) -> SpanState | None:
        """Return the record of the call being made."""
        span = context.get_value(_context.CALL_SPAN_KEY, here)
        record = self.find_state(span) if isinstance(span, trace.Span) else None
        if record is None:  # none, or one that is over: what outlives a call may make another
            record = self.find_state(trace.get_current_span(here))
        return record.outermost if record is not None else None

    def context_with_span(self, span: trace.Span) -> Context:
        """Return the current context with `span` for what is done inside it."""
        inside = trace.set_span_in_context(span)
        record = guarded("finding a span's record", self.find_state, span)
        if record is None or record.url is None:
            return inside
        return context.set_value(_context.CALL_SPAN_KEY, span, inside)

    def client_context(self, before: Context) -> Context | None:
        """Return the context for the client's own work on the call whose span is current.

        It is the one that the program makes the call in, `before`, but for what ours have to know.
        What of the program's runs inside the client, as its transports and instrumentors do, finds
        the span that it would find without us, and is not told to keep quiet for ours.
        """
        here = context.get_current()
        span = trace.get_current_span(here)
        record = self.find_state(span)
        if record is None or record.url is None:
            return None
        if record.inside[0] is not before:
            inside = context.set_value(_context.CALL_SPAN_KEY, span, before)
            if not is_http_instrumentation_enabled():
                inside = context.set_value(_context.OUTER_CALL_KEY, record.outermost, inside)
            record.inside = before, inside
        return record.inside[1]

    def on_end(self, span: ReadableSpan) -> None:
        """Hand an ended span on."""
        try:
            context = span.get_span_context()
            # No record: the span began in the process that this one was forked from, and is its.
            record = self._open.pop(context.span_id, None) if context is not None else None
            if record is None:
                return
            held = record.ended
            record.readable = span
            record.ended = True
            guarded("noting a span's end", self.span_tree.end_span, span)
            if not held:
                self._queue_state(record)
        except Exception as fault:
            report_fault("noting a span's end", fault)

    @property
    def has_open_spans(self) -> bool:
        """Whether a span is under way."""
        return bool(self._open)

    def end_open_bodies(self) -> None:
        """End the spans whose bodies the program will not read any more."""
        for record in list(self._open.values()):
            http_call = record.http_call
            if record.ended and http_call is not None and http_call.body is not None:
                http_call.body.end("dropped")

    def release_waiting(self) -> None:
        """Have no span wait for one around it any more."""
        self.span_tree.release_waiting()

    def reset(self) -> None:
        """Drop what the parent process had under way; in a forked child."""
        for record in self._open.values():
            record.ended = True
        self._open.clear()
        self.span_tree.reset()

    def force_flush(self, timeout_millis: int = 30000) -> bool:  # noqa: ARG002 - the SDK's
        """Nothing waits here."""
        return True


def _nothing() -> None:
    pass


def _http_url(span: Span) -> str | None:
    """Return the URL of an HTTP client span, None for every other."""
    if span.kind is not trace.SpanKind.CLIENT:
        return None
    attributes = span.attributes or {}
    if _semconv.HTTP_REQUEST_METHOD not in attributes and _OLD_METHOD not in attributes:
        return None
    url = attributes.get(_semconv.URL_FULL) or attributes.get(_OLD_URL)
    return url if isinstance(url, str) else None

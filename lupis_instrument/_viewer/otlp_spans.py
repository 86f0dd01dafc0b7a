"""Turns a received span into a span of the SDK, without content and secrets, and priced."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from lupis_instrument import _semconv
from lupis_instrument._tracing.content import remove_content
from lupis_instrument._tracing.foreign_calls import complete_call, is_foreign_call
from lupis_instrument._tracing.pipeline import Draft
from lupis_instrument._tracing.stages.foreign_prices import add_cost
from lupis_instrument._viewer.otlp_requests import read_attributes

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from lupis_instrument._llm.pricing.catalog import PriceCatalog
    from lupis_instrument._llm.pricing.own_prices import OwnPrices
    from lupis_instrument._tracing.stages.redact import SpanRedactor

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_KINDS = (
    *(SpanKind.INTERNAL, SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT),
    *(SpanKind.PRODUCER, SpanKind.CONSUMER),
)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET = Status()
_STATUSES = (StatusCode.UNSET, StatusCode.OK, StatusCode.ERROR)
_MAX_PARENTS = 20_000
_EXCEPTION = "exception"


class SpanHolder(NamedTuple):
    """A received span, as a draft needs it.

    Attributes:
        readable: the span.
        true_end: None: the sender has set the end.
    """

    readable: ReadableSpan
    true_end: None = None


def read_span(message: Any, resource: Resource, scope: InstrumentationScope) -> ReadableSpan | None:
    """Return a span; None for a span without valid ids.

    Args:
        message: the message Span.
        resource: its resource.
        scope: its scope.
    """
    context = _read_context(message)
    if context is None:
        return None
    parent = None
    parent_id = message.parent_span_id
    if len(parent_id) == _SPAN_ID_BYTES and any(parent_id):
        parent = SpanContext(context.trace_id, int.from_bytes(parent_id, "big"), is_remote=False)
    start = message.start_time_unix_nano
    return ReadableSpan(
        name=message.name,
        context=context,
        parent=parent,
        resource=resource,
        attributes=read_attributes(message.attributes),
        events=[
            Event(event.name, read_attributes(event.attributes), event.time_unix_nano)
            for event in message.events
        ],
        links=[link for link in map(_read_link, message.links) if link is not None],
        kind=_KINDS[message.kind] if 0 <= message.kind < len(_KINDS) else SpanKind.INTERNAL,
        status=_read_status(message.status) if message.HasField("status") else _UNSET,
        start_time=start,
        end_time=message.end_time_unix_nano or start,
        instrumentation_scope=scope,
    )


def _read_status(status: Any) -> Status:
    code = _STATUSES[status.code] if 0 <= status.code < len(_STATUSES) else StatusCode.UNSET
    return Status(code, status.message or None if code is StatusCode.ERROR else None)


def _read_context(message: Any) -> SpanContext | None:
    """Return the ids of a span or link; None if they are not valid."""
    trace, span = message.trace_id, message.span_id
    if len(trace) != _TRACE_ID_BYTES or len(span) != _SPAN_ID_BYTES:
        return None
    trace_id, span_id = int.from_bytes(trace, "big"), int.from_bytes(span, "big")
    if not trace_id or not span_id:
        return None
    state = message.trace_state
    trace_state = TraceState.from_header([state]) if state else None
    return SpanContext(trace_id, span_id, False, _SAMPLED, trace_state)


def _read_link(message: Any) -> Link | None:
    context = _read_context(message)
    return None if context is None else Link(context, read_attributes(message.attributes))


class SpanPreparer:
    """Prepares received spans for the store."""

    def __init__(
        self,
        redact: SpanRedactor,
        own_prices: OwnPrices | None,
        catalog: PriceCatalog | None,
    ) -> None:
        """Make a preparer.

        Args:
            redact: filters the texts of a draft.
            own_prices: the user's own prices.
            catalog: the catalog of prices.
        """
        self._redact = redact
        self._own_prices = own_prices
        self._catalog = catalog
        self._parents: OrderedDict[bytes, None] = OrderedDict()
        """Ids of spans with an LLM call right below: they do not count again."""

    def prepare_span(self, span: ReadableSpan) -> ReadableSpan:
        """Return a span without content and secrets; LLM calls get standard names and a price."""
        clean = remove_content(span)
        draft = Draft(SpanHolder(clean), clean.resource)  # type: ignore[arg-type]
        self._complete_draft(draft)
        return self._redact(draft).build_span()

    def _complete_draft(self, draft: Draft) -> None:
        source = draft.source
        scope = source.instrumentation_scope
        if scope is not None and scope.name == _semconv.SCOPE:
            return  # lupis-run has prepared it
        if _semconv.ERROR_TYPE not in draft.attributes:
            _add_error_type(draft)
        assert source.context is not None
        parent = _name_span(source.parent) if source.parent is not None else None
        own_id, start = _name_span(source.context), source.start_time or 0
        self.complete_call(draft.attributes, source.name, own_id, parent, start)

    def complete_call(
        self, attributes: dict[str, Any], name: str, own_id: bytes, parent: bytes | None, start: int
    ) -> None:
        """Add standard names and a price to the attributes of another library's LLM call.

        Args:
            attributes: the attributes of the span.
            name: the name of the span.
            own_id: the ids of the trace and of the span.
            parent: the ids of the trace and of the parent; None without one.
            start: the start, nanoseconds since the epoch.
        """
        if not is_foreign_call(attributes):
            return
        complete_call(attributes, name)
        if own_id in self._parents:
            attributes.setdefault(_semconv.LUPIS_DEDUP, "child")
        if attributes.get(_semconv.LUPIS_DEDUP) == "child":
            return
        if parent is not None:
            self._parents[parent] = None
            if len(self._parents) > _MAX_PARENTS:
                self._parents.popitem(last=False)
        add_cost(attributes, start, self._own_prices, self._catalog)


def _name_span(context: SpanContext) -> bytes:
    return context.trace_id.to_bytes(16, "big") + context.span_id.to_bytes(8, "big")


def _add_error_type(draft: Draft) -> None:
    """Take the type of the error from the event of an exception."""
    if draft.status.status_code is not StatusCode.ERROR:
        return
    for event in draft.events:
        kind = (event.attributes or {}).get(_semconv.EXCEPTION_TYPE)
        if event.name == _EXCEPTION and isinstance(kind, str):
            draft.attributes[_semconv.ERROR_TYPE] = kind

"""Prepares many received spans at once for the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, NamedTuple, Sequence

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope as ScopeMessage
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import report_fault
from lupis_instrument._export.otlp.encoded_items import (
    SPAN,
    EncodedItem,
    Facts,
    ItemEncoder,
    bound_time,
    make_span_facts,
)
from lupis_instrument._export.otlp.encoding import (
    HAS_IS_REMOTE,
    Origin,
    bytes_field,
    encode_attributes,
    encode_resource,
    encode_scope,
    flags_field,
    int_field,
    text_field,
    time_field,
)
from lupis_instrument._tracing.content import choose_selector, find_name
from lupis_instrument._viewer.known_attributes import (
    ATTRIBUTES_FIELD,
    AttributeTable,
    KnownAttributes,
    list_exceptions,
)
from lupis_instrument._viewer.otlp_requests import read_attributes
from lupis_instrument._viewer.otlp_spans import SpanPreparer, read_span
from lupis_instrument._viewer.otlp_wire import PlainSpan, SpanGroup, split_request, split_span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from lupis_instrument._tracing.stages.redact import SpanRedactor

_INTERNAL = 1
_ERROR = 2
_KINDS = range(1, 6)
_FLAGS = flags_field(16, HAS_IS_REMOTE)
_STATUSES = tuple(bytes_field(15, int_field(3, code)) for code in range(3))


class SpanSource:
    """The resource and the scope of received spans.

    Attributes:
        resource: the resource, not filtered.
        scope: the scope, not filtered.
        is_own: whether `lupis-run` has made the spans.
        origin: resource and scope, filtered and encoded.
    """

    def __init__(self, group: SpanGroup, redact: SpanRedactor) -> None:
        resource = ResourceMessage.FromString(group.resource)
        scope = ScopeMessage.FromString(group.scope)
        self.resource = Resource(read_attributes(resource.attributes))
        self.scope = InstrumentationScope(scope.name, scope.version)
        self.is_own = scope.name == _semconv.SCOPE
        try:
            self.origin = Origin(
                encode_resource(redact.redact_resource(self.resource)),
                encode_scope(redact.redact_scope(self.scope)),
            )
        except Exception as fault:
            report_fault("filtering a resource", fault)
            self.origin = Origin(encode_resource(Resource({})), encode_scope(None))


class ReceivedSpan(NamedTuple):
    """A span of a request, encoded."""

    source: SpanSource
    data: bytes


class PreparedItem(EncodedItem):
    """A span whose facts are known; they are its `source`."""

    __slots__ = ()

    @property
    def facts(self) -> Facts:
        """The values that the store keeps in columns."""
        facts: Facts = self.source
        return facts


def list_spans(request: bytes, redact: SpanRedactor) -> Iterator[ReceivedSpan]:
    """Yield the spans of the message ExportTraceServiceRequest.

    Raises:
        ValueError: the message is not valid.
    """
    for group in split_request(request):
        source = SpanSource(group, redact)
        for data in group.spans:
            yield ReceivedSpan(source, data)


class BatchPreparer:
    """Prepares spans for the store: most of them by their encoded attributes alone."""

    def __init__(self, redact: SpanRedactor, preparer: SpanPreparer) -> None:
        """Make a preparer.

        Args:
            redact: the filter for secrets.
            preparer: prepares single spans, with whatever fields they have.
        """
        self._redact = redact
        self._preparer = preparer
        self._known = {
            is_own: KnownAttributes(redact, choose_selector(_semconv.SCOPE if is_own else ""))
            for is_own in (True, False)
        }

    def prepare_spans(self, received: Sequence[ReceivedSpan]) -> list[EncodedItem]:
        """Return the spans, filtered and encoded; without the spans for which that fails.

        They stay in their order: a call inside another one comes first, and counts.
        """
        batch = [(source, data, split_span(data)) for source, data in received]
        tables = {
            is_own: known.read_attributes(
                span.attributes
                for source, _, span in batch
                if span is not None and source.is_own is is_own
            )
            for is_own, known in self._known.items()
        }
        special = {data for table in tables.values() for data in list_exceptions(table)}
        jobs = [
            (source, span)
            if span is not None and special.isdisjoint(span.attributes)
            else (source, read_span(SpanMessage.FromString(data), source.resource, source.scope))
            for source, data, span in batch
        ]
        self._learn_spans([span for _, span in jobs])
        encoder = ItemEncoder(Resource({}))
        items: list[EncodedItem] = []
        for source, span in jobs:
            try:
                if isinstance(span, PlainSpan):
                    items.append(self._prepare_plain(source, span, tables[source.is_own]))
                elif span is not None:
                    items += encoder.encode_spans([self._preparer.prepare_span(span)])
            except Exception as fault:
                report_fault("preparing a received span", fault)
        return items

    def _learn_spans(self, spans: Sequence[PlainSpan | ReadableSpan | None]) -> None:
        plain = [span for span in spans if isinstance(span, PlainSpan)]
        self._redact.learn_values({span.name.decode() for span in plain})
        others = [span for span in spans if not (span is None or isinstance(span, PlainSpan))]
        self._redact.learn_spans(others)

    def _prepare_plain(
        self, source: SpanSource, span: PlainSpan, table: AttributeTable
    ) -> EncodedItem:
        given: dict[str, Any] = {}
        encoded: dict[str, bytes] = {}
        for data in span.attributes:
            attribute = table[data]
            if attribute is not None:
                name, value, field, _ = attribute
                given[name] = value
                encoded[name] = field
        attributes = given.copy()
        title = self._redact.redact_text(find_name(source.scope.name, span.name.decode()))
        if not source.is_own:
            parent = span.trace + span.parent if span.parent else None
            self._preparer.complete_call(
                attributes, title, span.trace + span.span, parent, span.start
            )
        added = {}
        for name, value in attributes.items():
            if name not in given or given[name] is not value:
                added[name] = value
                encoded.pop(name, None)
        fields = b"".join(encoded.values()) + encode_attributes(ATTRIBUTES_FIELD, added)
        body = _encode_span(span, title, fields)
        return PreparedItem(SPAN, source.origin, body, _make_facts(span, title, attributes))


def _encode_span(span: PlainSpan, name: str, attributes: bytes) -> bytes:
    """Return the message Span; as `encode_span` makes it, but for the order of attributes."""
    return b"".join(
        (
            bytes_field(1, span.trace),
            bytes_field(2, span.span),
            bytes_field(4, span.parent) if span.parent else b"",
            text_field(5, name),
            int_field(6, span.kind if span.kind in _KINDS else _INTERNAL),
            time_field(7, span.start),
            time_field(8, span.end or span.start),
            attributes,
            _STATUSES[span.status],
            _FLAGS,
        )
    )


def _make_facts(span: PlainSpan, name: str, attributes: dict[str, Any]) -> Facts:
    return make_span_facts(
        attributes,
        failed=span.status == _ERROR,
        at=bound_time(span.start),
        duration=bound_time(max(0, (span.end or span.start) - span.start)),
        name=name,
        trace=span.trace,
        span=span.span,
        parent=span.parent or None,
    )

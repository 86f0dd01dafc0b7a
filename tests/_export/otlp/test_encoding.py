"""The encoder writes the same OTLP messages as the upstream encoder."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

from lupis_instrument._export.otlp import encoding
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.encoding import (
    encode_attributes,
    encode_log_record,
    encode_request,
    encode_resource,
    encode_scope,
    encode_span,
)
from lupis_instrument._tracing.context import EMPTY
from lupis_instrument._tracing.events import make_event

TEXT = st.text(st.characters(codec="utf-8"), max_size=300)
PLAIN = st.one_of(TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))
VALUES = st.one_of(PLAIN, st.lists(TEXT, max_size=3).map(tuple))
ATTRIBUTES = st.dictionaries(TEXT.filter(bool), VALUES, max_size=8)
IDS = st.integers(1, 2**64 - 1)
TIMES = st.integers(1, 2**63 - 1)
STATES = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True),
    st.from_regex(r"[a-zA-Z0-9]{1,9}", fullmatch=True),
    max_size=2,
).map(lambda pairs: TraceState(list(pairs.items())))
CONTEXTS = st.builds(
    SpanContext, st.integers(1, 2**128 - 1), IDS, st.booleans(), st.just(1), STATES
)
SCOPES = st.builds(InstrumentationScope, TEXT.filter(bool), TEXT, st.none() | TEXT, ATTRIBUTES)
SPANS = st.builds(
    ReadableSpan,
    name=TEXT,
    context=CONTEXTS,
    parent=st.none() | CONTEXTS,
    resource=st.builds(Resource, ATTRIBUTES, TEXT),
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(Event, TEXT, ATTRIBUTES, TIMES), max_size=2),
    links=st.lists(st.builds(Link, CONTEXTS, ATTRIBUTES), max_size=2),
    kind=st.sampled_from(SpanKind),
    status=st.one_of(
        st.sampled_from(StatusCode).map(Status),
        TEXT.map(lambda text: Status(StatusCode.ERROR, text)),
    ),
    start_time=TIMES,
    end_time=TIMES,
    instrumentation_scope=st.none() | SCOPES,
)


def request_of(spans):
    """Return the request for `spans`, parsed by protobuf."""
    items = ItemEncoder(Resource({})).encode_spans(spans)
    return ExportTraceServiceRequest.FromString(
        encode_request((item.origin, item.body) for item in items)
    )


def remove_fields_that_upstream_omits(request):
    """Remove the state of links and most of a scope: some releases of upstream omit them."""
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            scope_spans.schema_url = ""
            del scope_spans.scope.attributes[:]
            for span in scope_spans.spans:
                for link in span.links:
                    link.trace_state = ""
    return request


@settings(max_examples=50, deadline=None)
@given(st.lists(SPANS, min_size=1, max_size=3))
def test_every_span_is_encoded_as_upstream_encodes_it(spans):
    """This covers names, times, attributes, events, links, status, resource and scope."""
    request = remove_fields_that_upstream_omits(request_of(spans))
    assert remove_fields_that_upstream_omits(encode_spans(spans)) == request


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("\ud800", AnyValue(string_value="?")),
        (2**63, AnyValue(string_value=str(2**63))),
        (None, AnyValue()),
        (object(), AnyValue(string_value="[object]")),
        (float("inf"), AnyValue(double_value=float("inf"))),
        (-1, AnyValue(int_value=-1)),
    ],
)
def test_unusual_values_are_encoded(value, expected):
    """No value of an attribute keeps its span from being sent."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    span = Span.FromString(encode_attributes(9, {"it": value}))
    assert [("it", expected)] == [(pair.key, pair.value) for pair in span.attributes]


def test_a_subclass_is_encoded_as_its_base():
    """An enumeration of texts is a text."""
    from enum import Enum

    class Colour(str, Enum):
        RED = "red"

    attribute = encode_attributes(1, {"c": Colour.RED})
    assert attribute == encode_attributes(1, {"c": "red"})


def test_a_scope_is_encoded_completely(finished):
    """Some releases of upstream omit its attributes and schema URL."""
    given = InstrumentationScope("n", "1", "https://schema", {"a": 1})
    span = ReadableSpan("s", finished().context, instrumentation_scope=given)
    (scope_spans,) = request_of([span]).resource_spans[0].scope_spans
    scope = scope_spans.scope
    assert ("n", "1", "https://schema", [("a", 1)]) == (
        scope.name,
        scope.version,
        scope_spans.schema_url,
        [(pair.key, pair.value.int_value) for pair in scope.attributes],
    )


def test_spans_share_their_resource_and_scope(finished):
    """A request has each of them once."""
    request = request_of([finished("a"), finished("b")])
    assert [1, 1, 2] == [
        len(request.resource_spans),
        len(request.resource_spans[0].scope_spans),
        len(request.resource_spans[0].scope_spans[0].spans),
    ]


def test_a_span_without_a_scope_can_be_encoded(finished):
    """Its scope is an empty message."""
    assert encode_scope(None)
    assert encode_span(finished())
    assert encode_resource(Resource({}))


def test_the_name_of_an_event_is_a_field():
    """The field exists since protocol 1.5; older backends read the attribute."""
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

    record = LogRecord.FromString(encode_log_record(make_event("bought", None, EMPTY)))
    if "event_name" not in LogRecord.DESCRIPTOR.fields_by_name:
        pytest.skip("an older protocol")
    assert "bought" == record.event_name


@pytest.mark.parametrize("values", [(1, True, 1.0), (0, False, 0.0), ("a", ("a",)), (1, (1,))])
def test_kept_value_is_not_taken_for_an_equal_one_of_another_type(values):
    """Values of one key keep their types, also where they equal each other."""
    encoded = [[encode_attributes(9, {"kept": value}) for value in values] for _ in "12"]
    assert encoded[0] == encoded[1]
    assert len(set(encoded[0])) == len(values)


def test_few_attributes_are_kept():
    """A program with ever new keys or values takes a limited amount of memory."""
    for number in range(2000):
        encode_attributes(9, {f"key {number}": "value", "ever.new": number})
    assert len(encoding._known_pairs) <= encoding._MAX_CACHED_PAIRS


def test_long_attribute_is_not_kept():
    """The memory of the kept attributes is limited in bytes."""
    encode_attributes(9, {"long": "x" * 1000})
    assert ("long", "x" * 1000) not in encoding._known_pairs

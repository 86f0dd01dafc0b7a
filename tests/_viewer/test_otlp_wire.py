"""Requests and spans of OTLP, split into their fields."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from lupis_instrument._viewer.otlp_requests import PROTOBUF, check_spans
from lupis_instrument._viewer.otlp_wire import split_request, split_span

IDS = {"trace_id": b"t" * 16, "span_id": b"s" * 8}


def test_spans_come_by_resource_and_scope():
    """Two resources, the second with two scopes."""
    request = ExportTraceServiceRequest()
    for resource, scopes in (("a", ["x"]), ("b", ["y", "z"])):
        group = request.resource_spans.add()
        group.resource.attributes.add(key=resource)
        for scope in scopes:
            scoped = group.scope_spans.add()
            scoped.scope.name = scope
            scoped.spans.add(name=scope)
    groups = [*split_request(request.SerializeToString())]
    assert [(b"a", b"x"), (b"b", b"y"), (b"b", b"z")] == [
        (group.resource[-1:], group.scope[-1:]) for group in groups
    ]
    assert ["x", "y", "z"] == [Span.FromString(group.spans[0]).name for group in groups]


@pytest.mark.parametrize("unknown", [b"\x9b\x06\x9c\x06", b"\x09" + b"8" * 8, b"\x0d" + b"4" * 4])
def test_fields_that_otlp_does_not_have_are_left_out(unknown):
    """A group, and fields with the number of the spans and a width of 8 and of 4 bytes."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="n")
    (group,) = split_request(check_spans(request.SerializeToString() + unknown, PROTOBUF))
    assert "n" == Span.FromString(group.spans[0]).name


def test_fields_of_a_span():
    """A long attribute has a length of two bytes, or of three."""
    span = Span(**IDS, parent_span_id=b"p" * 8, name="n", kind=3, start_time_unix_nano=2**64 - 1)
    span.end_time_unix_nano = 5
    span.flags = 0x100
    span.dropped_attributes_count = 2
    span.status.code = 2
    for length in (1, 200, 20_000):
        span.attributes.add(key="k").value.string_value = "v" * length
    plain = split_span(span.SerializeToString())
    assert (b"p" * 8, b"n", 3, 2**64 - 1, 5, 2) == (
        *(plain.parent, plain.name, plain.kind, plain.start, plain.end, plain.status),
    )
    assert [pair.SerializeToString() for pair in span.attributes] == plain.attributes


@pytest.mark.parametrize(
    "field",
    [
        {"trace_id": b"short"}, {"span_id": b"\0" * 8}, {"trace_state": "a=b"},
        {"events": [Span.Event(name="e")]}, {"links": [Span.Link()]}, {"kind": 200},
        {"status": {"message": "m"}},
    ],
)  # fmt: skip
def test_other_spans_are_not_split(field):
    """Protobuf decodes them as a whole."""
    assert split_span(Span(**{**IDS, **field}).SerializeToString()) is None

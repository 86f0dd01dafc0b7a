"""The spans of HTTP calls record the same as spans of the SDK, and make way for them."""

from __future__ import annotations

import os

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span as SDKSpan
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags

from lupis_instrument._tracing.call_span import CallSpan
from lupis_instrument._tracing.processor import CallSpanProcessor
from lupis_instrument._tracing.provider import LupisTracerProvider

ATTRIBUTES = {"http.request.method": "POST", "url.full": "https://api.example.com/v1"}


@pytest.fixture
def queued():
    """The states of spans that have ended."""
    return []


@pytest.fixture
def processor(queued):
    """A processor that queues into a list."""
    return CallSpanProcessor(queued.append)


@pytest.fixture
def tracer(processor):
    """A tracer of this package, with the default settings."""
    return LupisTracerProvider(Resource({}), processor).get_tracer("tests", "1")


def start_call(tracer, **options):
    """Start the span of a call, as an instrumentor does."""
    return tracer.start_span("POST", kind=SpanKind.CLIENT, attributes=ATTRIBUTES, **options)


def in_context(parent):
    """Return a context in which a span with these ids is current."""
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))


def describe(span):
    """Return all that a span records, without ids and times."""
    return {
        "name": span.name,
        "kind": span.kind,
        "attributes": dict(span.attributes),
        "events": [(event.name, dict(event.attributes)) for event in span.events],
        "links": [(link.context, dict(link.attributes)) for link in span.links],
        "status": (span.status.status_code, span.status.description),
        "scope": (span.instrumentation_scope.name, span.instrumentation_scope.version),
        "recording": span.is_recording(),
    }


def record_exception(span):
    """Record an exception that was raised."""
    try:
        {}["missing"]
    except KeyError as error:
        span.record_exception(error, {"more": 1})


def set_statuses(*statuses):
    """Return a function that sets several statuses, one after the other."""

    def set_all(span):
        for status in statuses:
            span.set_status(*status)

    return set_all


LINKED = SpanContext(1, 2, is_remote=True)
OPERATIONS = {
    "attribute": lambda span: span.set_attribute("server.port", 443),
    "same attribute again": lambda span: span.set_attribute("url.full", "https://example.com"),
    "attributes": lambda span: span.set_attributes({"a": 1.5, "b": True, "c": "d"}),
    "list": lambda span: span.set_attribute("list", ["a", "b"]),
    "event": lambda span: span.add_event("event", {"a": ["b"]}),
    "exception": record_exception,
    "link": lambda span: span.add_link(LINKED, {"a": "b"}),
    "name": lambda span: span.update_name("GET"),
    "error": set_statuses((trace.Status(StatusCode.ERROR, "bad"),)),
    "error by code": set_statuses((StatusCode.ERROR, "bad")),
    "ok, then error": set_statuses((StatusCode.OK,), (StatusCode.ERROR,)),
    "error, then unset": set_statuses((StatusCode.ERROR,), (StatusCode.UNSET,)),
    "end": lambda span: span.end(),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_call_span_records_what_a_span_of_the_sdk_does(tracer, operation):
    """Every operation that an instrumentor uses has the same result."""
    span = start_call(tracer)
    expected = start_call(TracerProvider(shutdown_on_exit=False).get_tracer("tests", "1"))
    operation(span)
    operation(expected)
    assert isinstance(span, CallSpan)
    assert describe(span) == describe(expected)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_ended_span_does_not_change(tracer, operation):
    """It may be on its way to the exporter."""
    span = start_call(tracer)
    span.end()
    before = describe(span), span.end_time
    operation(span)
    assert before == (describe(span), span.end_time)


def test_a_span_that_ends_twice_is_queued_once(tracer, queued):
    """Instrumentor and garbage collector may both end it."""
    span = start_call(tracer)
    span.end(17)
    span.end(18)
    assert [(span, 17)] == [(state.readable, state.readable.end_time) for state in queued]


def test_the_span_has_its_times_and_ids(tracer):
    """It is in the trace of the parent, and sampled like it."""
    parent = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(1))
    span = start_call(tracer, context=in_context(parent))
    assert (5, parent, True) == (
        span.context.trace_id,
        span.parent,
        span.context.trace_flags.sampled,
    )
    assert span.context.span_id not in (0, 6)
    assert span.start_time > 10**18


def test_a_root_has_ids_of_its_own(tracer):
    """No two spans have an id in common."""
    spans = [start_call(tracer) for _ in range(300)]
    assert {None} == {span.parent for span in spans}
    assert 300 == len({span.context.trace_id for span in spans})
    assert 300 == len({span.context.span_id for span in spans})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_draws_other_ids(tracer):
    """Parent and child would otherwise export spans with the same ids."""
    start_call(tracer)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"%d" % start_call(tracer).context.span_id)
        os._exit(0)
    os.waitpid(child, 0)
    assert start_call(tracer).context.span_id != int(os.read(reader, 100))


def test_the_program_can_not_seed_the_ids(tracer):
    """`random` belongs to the program."""
    import random

    random.seed(1)
    first = start_call(tracer)
    random.seed(1)
    assert first.context.span_id != start_call(tracer).context.span_id


def test_a_call_span_moves_below_the_parent_that_its_headers_name(tracer, processor):
    """The program's own `traceparent` is only known when the client sends the request."""
    span = start_call(tracer)
    own = span.context
    parent = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(1))
    processor.find_state(span).adopt_parent(parent)
    assert (parent, 5, own.span_id) == (span.parent, span.context.trace_id, span.context.span_id)


class TestSpansOfTheSDK:
    """The SDK makes a span wherever its settings may change it."""

    def test_other_spans(self, tracer):
        """Only the spans of HTTP calls are call spans."""
        spans = [
            tracer.start_span("work"),
            tracer.start_span("query", kind=SpanKind.CLIENT, attributes={"db.system": "x"}),
            start_call(tracer, links=[trace.Link(LINKED)]),
        ]
        assert all(isinstance(span, SDKSpan) for span in spans)

    def test_below_a_parent_that_is_not_sampled(self, tracer):
        """The sampler decides."""
        parent = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(0))
        span = start_call(tracer, context=in_context(parent))
        assert not isinstance(span, CallSpan)
        assert not span.get_span_context().trace_flags.sampled

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("OTEL_TRACES_SAMPLER", "always_off"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10"),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10"),
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "0"),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "1"),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "1"),
            ("OTEL_SDK_DISABLED", "true"),
        ],
    )
    def test_with_a_setting_of_the_sdk(self, monkeypatch, processor, variable, value):
        """A sampler, limits, or the switch that turns the SDK off."""
        monkeypatch.setenv(variable, value)
        tracer = LupisTracerProvider(Resource({}), processor).get_tracer("tests")
        assert not isinstance(start_call(tracer), CallSpan)

"""Spans and events are encoded once, and the store's columns are read beside the encoding."""

import json

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from lupis_instrument._export.otlp import encoded_items
from lupis_instrument._export.otlp.encoded_items import EVENT, SPAN, Facts, ItemEncoder
from lupis_instrument._export.otlp.encoding import (
    OWN_SCOPE,
    encode_resource,
    encode_scope,
    encode_span,
)

CALL = {
    "gen_ai.provider.name": "openai",
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.response.time_to_first_chunk": 0.25,
    "lupis.chat.id": "c",
    "lupis.cost.total": 0.5,
    "lupis.cost.status": "priced",
    "error.type": "429",
}
EVENT_OF_A_CHAT = {
    "timestamp": 1_700_000_000_123,
    "name": "bought",
    "properties": {"n": 1},
    "metadata": {"chat_id": "c"},
}


def facts_of(span):
    """Return the columns of a span."""
    (item,) = ItemEncoder(span.resource).encode_spans([span])
    return item.facts


def test_a_span_is_encoded_with_its_origin(finished):
    """The body can be put into any request with the same origin."""
    span = finished("trip")
    (item,) = ItemEncoder(Resource({})).encode_spans([span])
    assert (SPAN, encode_span(span)) == (item.kind, item.body)
    assert item.origin.resource == encode_resource(span.resource)
    assert item.origin.scope == encode_scope(span.instrumentation_scope)


def test_an_event_is_encoded_as_json(finished):
    """Its origin is the resource of this process, and the scope of this package."""
    resource = Resource({"service.name": "shop"})
    (item,) = ItemEncoder(resource).encode_events([EVENT_OF_A_CHAT])
    assert (EVENT, EVENT_OF_A_CHAT) == (item.kind, json.loads(item.body))
    assert (encode_resource(resource), OWN_SCOPE) == item.origin


def test_the_columns_of_a_call(finished):
    """Reports read them without decoding the span."""
    parent = finished("parent")
    span = finished("chat gpt-4o", CALL, parent=parent, start=3, seconds=1.5)
    assert Facts(
        at=3 * 10**9,
        duration=1_500_000_000,
        name="chat gpt-4o",
        trace=span.context.trace_id.to_bytes(16, "big"),
        span=span.context.span_id.to_bytes(8, "big"),
        parent=parent.context.span_id.to_bytes(8, "big"),
        chat="c",
        provider="openai",
        operation="chat",
        model="gpt-4o",
        input_tokens=10,
        output_tokens=5,
        cached_tokens=4,
        cost=0.5,
        cost_status="priced",
        error="429",
        first_chunk=0.25,
    ) == facts_of(span)


def test_the_columns_of_an_event():
    """Its timestamp is in milliseconds, the column in nanoseconds."""
    (item,) = ItemEncoder(Resource({})).encode_events([EVENT_OF_A_CHAT])
    assert Facts(at=1_700_000_000_123_000_000, name="bought", chat="c") == item.facts


@pytest.mark.parametrize(
    ("attributes", "column", "value"),
    [
        ({"gen_ai.response.model": "m"}, "model", "m"),
        ({"lupis.repeated.input_tokens": 3}, "input_tokens", 3),
        ({"lupis.repeated.output_tokens": 4}, "output_tokens", 4),
        ({}, "model", None),
        ({}, "cost", None),
    ],
)
def test_a_column_has_several_sources(attributes, column, value, finished):
    """The second is used where the first attribute is missing."""
    assert value == getattr(facts_of(finished("chat", attributes)), column)


def test_a_failed_span_without_a_type_has_an_error(finished):
    """`_OTHER` is OpenTelemetry's word for it."""
    assert "_OTHER" == facts_of(finished(failed=True)).error


@pytest.mark.parametrize(
    ("value", "column"),
    [
        ("città", "città"),
        (7, 7),
        (1.5, 1.5),
        (2**63 - 1, 2**63 - 1),
        (2**64, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        (("a", "b"), None),
    ],
)
def test_values_that_sqlite_cannot_hold_are_left_out(value, column, finished):
    """A program may set an attribute to anything."""
    assert column == facts_of(finished("chat", {"lupis.chat.id": value})).chat


def test_lone_surrogates_are_replaced():
    """SQLite stores UTF-8 only."""
    event = {**EVENT_OF_A_CHAT, "name": "\ud800"}
    (item,) = ItemEncoder(Resource({})).encode_events([event])
    assert "?" == item.facts.name


@pytest.mark.parametrize("year", [1600, 2600])
def test_times_are_bounded(year, finished):
    """SQLite holds 64 bits, and a program may set its clock to any time."""
    span = finished(start=(year - 1970) * 31_557_600)
    assert abs(facts_of(span).at) < 1 << 63


def test_an_origin_is_encoded_once(finished, monkeypatch):
    """Encoding a resource costs more than encoding a span."""
    encoded = []
    encode = encoded_items.encode_resource
    monkeypatch.setattr(
        encoded_items, "encode_resource", lambda resource: encoded.append(1) or encode(resource)
    )
    span = finished()
    encoder = ItemEncoder(Resource({}))
    encoder.encode_spans([span, finished(), span])
    assert 2 == len(encoded)  # one of them for events


def test_many_origins_do_not_fill_memory(monkeypatch):
    """A program may make a tracer for each call."""
    monkeypatch.setattr(encoded_items, "_MAX_ORIGINS", 4)
    provider = TracerProvider(shutdown_on_exit=False)
    spans = []
    for number in range(20):
        spans.append(provider.get_tracer(f"scope {number}").start_span("s"))
        spans[-1].end()
    encoder = ItemEncoder(Resource({}))
    items = encoder.encode_spans(spans)
    assert len(encoder._origins) <= 4
    assert [encode_scope(span.instrumentation_scope) for span in spans] == [
        item.origin.scope for item in items
    ]

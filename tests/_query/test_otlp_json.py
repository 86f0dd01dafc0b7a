"""OTLP messages as OTLP/JSON, compared with protobuf's own library."""

import base64

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from lupis_instrument._export.otlp.encoding import encode_log_record, encode_request
from lupis_instrument._query.otlp_json import (
    LOGS,
    TRACES,
    decode_message,
    plain_attributes,
    plain_value,
)


def convert_message(message):
    """Return a message as OTLP/JSON, by protobuf's own library, whose ids are base64."""
    return convert_ids(MessageToDict(message, use_integers_for_enums=True))


def convert_ids(value):
    """Return JSON with its ids in hexadecimal, as OTLP/JSON has them."""
    if isinstance(value, list):
        return [convert_ids(member) for member in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        key: base64.b64decode(member).hex() if key in ids else convert_ids(member)
        for key, member in value.items()
    }


@pytest.fixture
def full_span(store):
    """A span with every field that a span can have."""
    other = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))
    span = store.tracer.start_span(
        "work \u6a21",
        links=[Link(other, {"a": 1}), Link(SpanContext(9, 10, is_remote=False))],
        attributes={
            "text": "\u00e9\x00",
            "empty": "",
            "yes": True,
            "no": False,
            "zero": 0,
            "smallest": -(1 << 63),
            "largest": (1 << 63) - 1,
            "half": 0.5,
            "infinite": float("inf"),
            "negative infinite": float("-inf"),
            "none": float("nan"),
            "list": ["a", "b"],
            "numbers": [1, -2],
            "nothing": [],
        },
    )
    span.add_event("event", {"n": 1.5})
    span.record_exception(ValueError("no"))
    span.set_status(Status(StatusCode.ERROR, "why"))
    span.end()
    return span


def test_spans_decode_as_with_protobufs_own_library(full_span):
    """Every field of a span has the same name and value."""
    request = encode_spans([full_span])
    assert convert_message(request) == decode_message(TRACES, request.SerializeToString())


def test_log_records_decode_as_with_protobufs_own_library(store):
    """Every field of an event has the same name and value."""
    event = {
        "name": "n",
        "timestamp": 1_700_000_000_123,
        "properties": {"deep": {"list": [1, "two", None, True, 2.5], "e": {}}},
        "metadata": {"chat_id": "c", "user_id": None},
    }
    (origin,) = {item.origin for item in store.encoder.encode_events([event])}
    request = encode_request([(origin, encode_log_record(event))])
    decoded = decode_message(LOGS, request)
    if "event_name" not in LogRecord.DESCRIPTOR.fields_by_name:  # protocol 1.4 and older
        del decoded["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["eventName"]
    assert convert_message(ExportLogsServiceRequest.FromString(request)) == decoded


def test_unknown_fields_are_left_out():
    """A newer version may have written them."""
    known = b"\x0a\x00"
    assert decode_message(TRACES, known) == decode_message(TRACES, known + b"\x12\x01x\x18\x05")


def test_data_that_is_no_message_is_an_error():
    """It does not decode as an empty message."""
    with pytest.raises(ValueError, match="cut off"):
        decode_message(TRACES, b"\x0a\x05x")


@pytest.mark.parametrize(
    ("value", "any_value"),
    [
        ("x", {"stringValue": "x"}),
        (7, {"intValue": "7"}),
        (0.5, {"doubleValue": 0.5}),
        (False, {"boolValue": False}),
        ([1, "a"], {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}]}}),
        ([], {"arrayValue": {}}),
        (
            {"k": 1},
            {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "1"}}]}},
        ),
        (None, {}),
    ],
)
def test_any_value_has_a_plain_value(value, any_value):
    """64-bit integers are strings in OTLP/JSON, and numbers in Python."""
    assert value == plain_value(any_value)


def test_plain_attributes_are_a_dictionary():
    """An attribute without a value is None."""
    pairs = [{"key": "a", "value": {"stringValue": "x"}}, {"key": "b"}]
    assert {"a": "x", "b": None} == plain_attributes({"attributes": pairs})
    assert {} == plain_attributes({})

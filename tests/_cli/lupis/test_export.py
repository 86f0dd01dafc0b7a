"""`lupis export`: the store's content in OpenTelemetry's own JSON."""

import base64
import json

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from lupis_instrument._export.otlp.encoding import encode_log_record, encode_request
from lupis_instrument._query.otlp_json import LOGS, TRACES, decode_message


def as_json(message):
    """A message in OTLP/JSON by protobuf's own library, whose ids are base64."""
    return hexadecimal(MessageToDict(message, use_integers_for_enums=True))


def hexadecimal(value):
    """The ids in it as OTLP/JSON has them."""
    if isinstance(value, list):
        return [hexadecimal(each) for each in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        key: base64.b64decode(each).hex() if key in ids else hexadecimal(each)
        for key, each in value.items()
    }


@pytest.fixture
def rich_span(store):
    """A span that has all that a span can have."""
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
            "least": -(1 << 63),
            "most": (1 << 63) - 1,
            "half": 0.5,
            "infinite": float("inf"),
            "least infinite": float("-inf"),
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


def lines(lupis, *arguments):
    """What is exported."""
    done = lupis("export", *arguments)
    assert (0, "") == (done.exit_code, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def spans_of(exported):
    """All spans in it."""
    return [
        span
        for line in exported
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def test_says_what_protobufs_own_library_says(rich_span, store, lupis):
    """Of a span with all that spans can have."""
    store.store.add_items(store.encoder.encode_spans([rich_span]))
    assert [as_json(encode_spans([rich_span]))] == lines(lupis)


def test_events_are_log_records(store, lupis):
    """In a file of their own, as the file exporter wants it."""
    store.span()
    store.event("clicked", chat="c", deep={"list": [1, "two", None, True, 2.5]})
    (line,) = lines(lupis, "--signal", "logs")
    (record,) = line["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert "clicked" == record["eventName"]
    assert 1 == len(spans_of(lines(lupis)))


def test_log_records_say_what_protobufs_own_library_says(store):
    """Of an event with all that events can have."""
    event = {
        "name": "n",
        "timestamp": 1_700_000_000_123,
        "properties": {"deep": {"list": [1, "two", None, True, 2.5], "e": {}}},
        "metadata": {"chat_id": "c", "user_id": None},
    }
    (origin,) = {item.origin for item in store.encoder.encode_events([event])}
    request = encode_request([(origin, encode_log_record(event))])
    found = decode_message(LOGS, request)
    if "event_name" not in LogRecord.DESCRIPTOR.fields_by_name:  # protocol 1.4 and older
        del found["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["eventName"]
    assert as_json(ExportLogsServiceRequest.FromString(request)) == found


def test_each_span_is_exported_once(store, other_store, lupis):
    """Over many lines, from many processes, in the order they were stored."""
    for number in range(700):
        (store if number % 3 else other_store).span(f"span {number}")
    exported = lines(lupis)
    assert [f"span {number}" for number in range(700)] == [
        span["name"] for span in spans_of(exported)
    ]
    assert 2 < len(exported)


def test_since_leaves_older_spans_out(store, lupis):
    """Those that began before."""
    store.span("old", ago=7200)
    store.span("new", ago=60)
    assert ["new"] == [span["name"] for span in spans_of(lines(lupis, "--since", "1h"))]


def test_unknown_fields_are_left_out():
    """A newer version may have written them."""
    known = b"\x0a\x00"
    assert decode_message(TRACES, known) == decode_message(TRACES, known + b"\x12\x01x\x18\x05")


def test_what_is_no_message_says_so():
    """It is not taken for an empty one."""
    with pytest.raises(ValueError, match="cut off"):
        decode_message(TRACES, b"\x0a\x05x")

"""The tests' collector keeps the items that it receives, and fails on request."""

import gzip
import http.client
import json
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

EVENT = [{"name": "clicked", "properties": {}}]


def post_body(sink, path, body, timeout=60, **headers):
    """Sends a body and returns the status."""
    connection = http.client.HTTPConnection(*sink.server_address, timeout=timeout)
    try:
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def post_event(sink, **options):
    """Sends one event and returns the status."""
    return post_body(sink, "/api/events", json.dumps(EVENT), **options)


def test_a_span_in_protobuf_becomes_a_dict():
    """Its attributes, resource, ids, kind and status are read too."""
    from servers.otlp import read_spans

    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    span = resource.scope_spans.add().spans.add(
        name="chat m", kind="SPAN_KIND_CLIENT", trace_id=b"\1" * 16, span_id=b"\2" * 8
    )
    span.attributes.add(key="tokens").value.int_value = 7
    reasons = span.attributes.add(key="reasons").value.array_value.values
    reasons.add().string_value = "stop"
    span.status.code = 2
    (record,) = read_spans(request.SerializeToString())
    assert ("chat m", "CLIENT", "ERROR", None) == (
        record["name"],
        record["kind"],
        record["status"],
        record["parent_span_id"],
    )
    assert ("01" * 16, "02" * 8) == (record["trace_id"], record["span_id"])
    assert {"tokens": 7, "reasons": ["stop"]} == record["attributes"]
    assert {"service.name": "shop"} == record["resource"]


def test_a_request_is_kept_with_raw_bytes_and_headers(sink):
    """A compressed request keeps its bytes, and its events are read."""
    packed = gzip.compress(json.dumps(EVENT).encode())
    post_body(sink, "/api/events", packed, **{"Content-Encoding": "gzip", "X-Project-Id": "p"})
    (request,) = sink.requests
    assert (packed, "p") == (request.raw, request.headers["x-project-id"])
    assert EVENT == sink.events


def test_the_collector_fails_a_number_of_times(sink):
    """It does not accept the failed requests, and accepts later requests."""
    sink.fail(503, times=2, retry_after=1)
    assert [503, 503, 200] == [post_event(sink) for _ in range(3)]
    assert [503, 503, 200] == [request.status for request in sink.requests]
    assert EVENT == sink.events


def test_the_collector_closes_a_connection_without_a_response(sink):
    """The client's request fails; its record has the status 0."""
    sink.drop(times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        post_event(sink)
    assert [0] == [request.status for request in sink.requests]


def test_the_collector_accepts_a_request_and_never_answers(sink):
    """The client's request times out; no event is kept."""
    sink.hang()
    with pytest.raises(OSError, match="timed out"):
        post_event(sink, timeout=0.2)
    assert [] == sink.events


def test_the_collector_answers_after_a_delay(sink):
    """The client waits at least as long as the delay."""
    sink.slow(0.2)
    start = time.monotonic()
    assert 200 == post_event(sink)
    assert time.monotonic() - start >= 0.2


def test_a_wait_for_missing_items_fails_with_their_count(sink):
    """The error message names the received and the expected number."""
    post_event(sink)
    with pytest.raises(AssertionError, match="1 of 2 events"):
        sink.wait_for(2, "events", timeout=0.05)

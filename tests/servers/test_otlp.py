"""The tests' collector keeps what is sent to it, and misbehaves as told."""

import gzip
import http.client
import json
import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

EVENT = [{"name": "clicked", "properties": {}}]


def post(sink, path, body, timeout=5, **headers):
    """Sends a body and gives the status."""
    connection = http.client.HTTPConnection(*sink.server_address, timeout=timeout)
    try:
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def post_event(sink, **options):
    """Sends one event."""
    return post(sink, "/api/events", json.dumps(EVENT), **options)


def test_reads_spans():
    """A span in protobuf becomes a dict, values and all."""
    from servers.otlp import read_spans

    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    span = resource.scope_spans.add().spans.add(
        name="chat m", kind="SPAN_KIND_CLIENT", trace_id=b"\1" * 16, span_id=b"\2" * 8
    )
    span.attributes.add(key="tokens").value.int_value = 7
    listed = span.attributes.add(key="reasons").value.array_value.values
    listed.add().string_value = "stop"
    span.status.code = 2
    (read,) = read_spans(request.SerializeToString())
    assert ("chat m", "CLIENT", "ERROR", None) == (
        read["name"],
        read["kind"],
        read["status"],
        read["parent_span_id"],
    )
    assert ("01" * 16, "02" * 8) == (read["trace_id"], read["span_id"])
    assert {"tokens": 7, "reasons": ["stop"]} == read["attributes"]
    assert {"service.name": "shop"} == read["resource"]


def test_keeps_raw_bytes_and_headers(sink):
    """A compressed request is kept as it came, and read all the same."""
    packed = gzip.compress(json.dumps(EVENT).encode())
    post(sink, "/api/events", packed, **{"Content-Encoding": "gzip", "X-Project-Id": "p"})
    (request,) = sink.requests
    assert (packed, "p") == (request.raw, request.headers["x-project-id"])
    assert EVENT == sink.events


def test_fails_so_many_times(sink):
    """A request that is answered with an error is not accepted; then it heals by itself."""
    sink.fail(503, times=2, retry_after=1)
    assert [503, 503, 200] == [post_event(sink) for _ in range(3)]
    assert [503, 503, 200] == [request.status for request in sink.requests]
    assert EVENT == sink.events


def test_drops(sink):
    """It hangs up without an answer."""
    sink.drop(times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        post_event(sink)
    assert [0] == [request.status for request in sink.requests]


def test_hangs_until_it_ends(sink):
    """It accepts a request and does not answer."""
    sink.hang()
    with pytest.raises(OSError, match="timed out"):
        post_event(sink, timeout=0.2)
    assert [] == sink.events


def test_answers_late(sink):
    """It answers after the time that it was told."""
    sink.slow(0.2)
    start = time.monotonic()
    assert 200 == post_event(sink)
    assert time.monotonic() - start >= 0.2


def test_waiting_in_vain_says_what_is_missing(sink):
    """A wait that ends with too little fails with the count."""
    post_event(sink)
    with pytest.raises(AssertionError, match="1 of 2 events"):
        sink.wait_for(2, "events", timeout=0.05)

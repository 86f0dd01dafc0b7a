"""The answer to a request decides whether its items are done, retried, split or refused."""

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from lupis_instrument._export.otlp.responses import (
    MAX_REASON_LENGTH,
    ExportResponse,
    ExportResult,
    PartialSuccess,
    parse_retry_after,
    read_failure,
    read_partial_success,
    read_success,
)

PROTOBUF = "application/x-protobuf"


def partial_success(rejected, reason):
    """Return a response body that rejects some spans."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = reason
    return response.SerializeToString()


@pytest.mark.parametrize(
    ("result", "statuses"),
    [
        (ExportResult.SPLIT, (400, 413, 422)),
        (ExportResult.REFUSED, (301, 307, 401, 403, 404, 405, 410)),
        (ExportResult.RETRY, (408, 425, 429, 500, 502, 503, 504, 507)),
    ],
)
def test_the_status_decides_the_result(result, statuses):
    """A redirect is not followed, because POST would become GET."""
    assert {result} == {read_failure(status, {}).result for status in statuses}


def test_a_failure_names_its_status():
    """Warnings to the user repeat it."""
    assert ExportResponse(ExportResult.RETRY, "status 503", 503, 7.0) == read_failure(
        503, {"retry-after": "7"}
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None), ("", None), ("7", 7), (" 7 ", 7), ("0", 0), ("999999", 3600),
        ("soon", None), ("-1", None), ("1.5", None), ("Mon, 01 Jan 0001 00:00:00 GMT", 0),
    ],
)  # fmt: skip
def test_retry_after_is_read_within_reason(text, seconds):
    """An endpoint cannot silence the exporter for more than an hour."""
    assert seconds == parse_retry_after(text)


def test_retry_after_may_be_a_date():
    """RFC 9110 allows both: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3."""
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=30), usegmt=True)
    assert 25 < parse_retry_after(date) <= 30


def test_a_success_without_a_body_rejects_nothing():
    """This is the usual answer."""
    assert ExportResponse(ExportResult.ACCEPTED) == read_success(b"", PROTOBUF)


def test_a_partial_success_is_read():
    """The other items were accepted."""
    response = read_success(partial_success(3, "too old"), PROTOBUF)
    assert ExportResponse(ExportResult.ACCEPTED, "too old", rejected=3) == response


def test_a_body_of_another_type_is_not_read():
    """Its bytes may mean anything."""
    response = read_success(partial_success(3, "too old"), "text/html")
    assert ExportResponse(ExportResult.ACCEPTED) == response


def test_a_long_reason_is_truncated():
    """It ends up in a line on stderr."""
    reason = read_partial_success(partial_success(1, "x" * 5000)).reason
    assert len(reason) <= MAX_REASON_LENGTH + 20


def test_bytes_of_a_reason_that_are_no_utf8_are_replaced():
    """A collector in another language may send anything."""
    assert PartialSuccess(0, "�") == read_partial_success(b"\x0a\x03\x12\x01\xff")


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_no_body_raises_an_error(data):
    """A body that cannot be read rejects nothing."""
    rejected, reason = read_partial_success(data)
    assert isinstance(rejected, int)
    assert isinstance(reason, str)

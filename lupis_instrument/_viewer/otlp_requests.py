"""Decodes OTLP requests, protobuf or JSON, to protobuf messages.

https://opentelemetry.io/docs/specs/otlp/#otlphttp. In OTLP/JSON, ids are hexadecimal; protobuf's
own JSON has base64 in their place.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, Iterable, Iterator

from google.protobuf.json_format import ParseDict, ParseError  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from lupis_instrument._viewer.readers import encode_json
from lupis_instrument._viewer.replies import JSON, Reply
from lupis_instrument._viewer.request_body import BodyError

PROTOBUF = "application/x-protobuf"
_IDS = frozenset(("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"))
_MAX_DEPTH = 60
_PLAIN_KINDS = frozenset(("string_value", "bool_value", "int_value", "double_value"))
_REQUESTS: dict[str, Any] = {
    "spans": ExportTraceServiceRequest,
    "log_records": ExportLogsServiceRequest,
}
_RESPONSES: dict[str, Any] = {
    "spans": ExportTraceServiceResponse,
    "log_records": ExportLogsServiceResponse,
}
"""By kind of items, the messages."""


def decode_request(kind: str, body: bytes, content_type: str) -> Any:
    """Return the request as a protobuf message.

    Args:
        kind: `spans` or `log_records`.
        body: the body, decompressed.
        content_type: the media type.

    Raises:
        BodyError: the type is another one, or the body is not valid.
    """
    message = _REQUESTS[kind]()
    try:
        if content_type == PROTOBUF:
            message.ParseFromString(body)
        elif content_type == JSON:
            data = json.loads(body)
            if not isinstance(data, dict):
                raise BodyError(400, "the body is no OTLP request")
            ParseDict(_replace_ids(data, 0), message, ignore_unknown_fields=True)
        else:
            raise BodyError(415, f"expected the content type {PROTOBUF} or {JSON}")
    except (DecodeError, ParseError, ValueError, TypeError, AttributeError, RecursionError):
        raise BodyError(400, "the body is no OTLP request") from None
    return message


def check_spans(body: bytes, content_type: str) -> bytes:
    """Return a request with spans as protobuf, with the fields that OTLP has and no others.

    Raises:
        BodyError: the type is another one, or the body is not valid.
    """
    message = decode_request("spans", body, content_type)
    message.DiscardUnknownFields()
    encoded: bytes = message.SerializeToString()
    return encoded


def _replace_ids(data: Any, depth: int) -> Any:
    """Return JSON with hexadecimal ids in base64."""
    if depth > _MAX_DEPTH:
        raise ValueError("too deep")
    if isinstance(data, list):
        return [_replace_ids(item, depth + 1) for item in data]
    if not isinstance(data, dict):
        return data
    return {
        name: b64encode(bytes.fromhex(value)).decode()
        if name in _IDS and isinstance(value, str)
        else _replace_ids(value, depth + 1)
        for name, value in data.items()
    }


def make_success(kind: str, content_type: str, rejected: int, reason: str) -> Reply:
    """Return the answer to an accepted request, in its own content type.

    Args:
        kind: `spans` or `log_records`.
        content_type: the media type of the request.
        rejected: the number of items that were left out.
        reason: the reason why.
    """
    if content_type == JSON:
        field = "rejectedSpans" if kind == "spans" else "rejectedLogRecords"
        partial = {field: str(rejected), "errorMessage": reason} if rejected else {}
        return Reply(200, encode_json({"partialSuccess": partial} if partial else {}))
    response = _RESPONSES[kind]()
    if rejected:
        setattr(response.partial_success, f"rejected_{kind}", rejected)
        response.partial_success.error_message = reason
    return Reply(200, response.SerializeToString(), PROTOBUF)


def read_attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    """Return texts, numbers and lists of both by their names.

    Maps and bytes are left out: the names in a map do not say that it holds content.
    """
    attributes = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        if kind == "string_value":
            attributes[pair.key] = value.string_value
        elif kind in _PLAIN_KINDS:
            attributes[pair.key] = getattr(value, kind)
        elif kind == "array_value":
            attributes[pair.key] = tuple(_read_items(value.array_value.values))
    return attributes


def _read_items(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        kind = value.WhichOneof("value")
        if kind in _PLAIN_KINDS:
            yield getattr(value, kind)

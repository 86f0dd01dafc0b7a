"""Splits OTLP requests into spans, and spans into their fields, without decoding attributes.

The messages are valid, and have no unknown fields: protobuf has encoded them again. Most attributes
of a span are the same as in the spans before it, and their bytes say so at once.
"""

from __future__ import annotations

from typing import Iterator, NamedTuple

from lupis_instrument._export.otlp.protobuf import (
    DELIMITED,
    FIXED64,
    VARINT,
    VARINT_MORE,
    read_fields,
    read_varint,
)

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_NUMBER_BYTES = 8


def _tag(number: int, wire_type: int) -> int:
    return number << 3 | wire_type


_TRACE, _SPAN = _tag(1, DELIMITED), _tag(2, DELIMITED)
_PARENT, _NAME = _tag(4, DELIMITED), _tag(5, DELIMITED)
_KIND, _START, _END = _tag(6, VARINT), _tag(7, FIXED64), _tag(8, FIXED64)
_ATTRIBUTE, _STATUS = _tag(9, DELIMITED), _tag(15, DELIMITED)
_COUNTS = (_tag(10, VARINT), _tag(12, VARINT), _tag(14, VARINT))
"""The numbers of dropped attributes, events and links."""
_TEXTS = frozenset((_TRACE, _SPAN, _PARENT, _NAME, _STATUS))
_TIMES = frozenset((_START, _END))
_NUMBERS = frozenset((_KIND, *_COUNTS))
_FLAGS = b"\x85\x01"
_FLAGS_BYTES = 6
_STATUS_CODES = {b"": 0, b"\x18\x00": 0, b"\x18\x01": 1, b"\x18\x02": 2}
"""By encoded status, without a message: its code."""


class SpanGroup(NamedTuple):
    """Spans of one resource and one scope, encoded."""

    resource: bytes
    scope: bytes
    spans: list[bytes]


class PlainSpan(NamedTuple):
    """A span without events, links, trace state and a message of its status.

    Attributes:
        trace: the trace id.
        span: the span id.
        parent: the span id of the parent; empty without one.
        name: the name, in UTF-8.
        kind: the number of its kind.
        start: the start, nanoseconds since the epoch.
        end: the end; 0 if the sender has set none.
        status: the code of its status.
        attributes: the attributes, each an encoded KeyValue.
    """

    trace: bytes
    span: bytes
    parent: bytes
    name: bytes
    kind: int
    start: int
    end: int
    status: int
    attributes: list[bytes]


def split_request(data: bytes) -> Iterator[SpanGroup]:
    """Yield the spans of the message ExportTraceServiceRequest, by resource and scope.

    Raises:
        ValueError: the message is not valid.
    """
    for group in _list_messages(data, 1):
        resource = b"".join(_list_messages(group, 1))  # protobuf merges a field that comes twice
        for scoped in _list_messages(group, 2):
            scope = b"".join(_list_messages(scoped, 1))
            yield SpanGroup(resource, scope, _list_messages(scoped, 2))


def _list_messages(data: bytes, number: int) -> list[bytes]:
    return [
        value for field, value in read_fields(data) if field == number and isinstance(value, bytes)
    ]


def split_span(data: bytes) -> PlainSpan | None:
    """Return the fields of the message Span; None if it has other fields, or no valid ids."""
    fields: dict[int, bytes] = {}
    attributes: list[bytes] = []
    offset, end = 0, len(data)
    while offset < end:
        tag = data[offset]
        if tag == _ATTRIBUTE or tag in _TEXTS:
            size = data[offset + 1]
            start = offset + 2
            if size >= VARINT_MORE:
                size, start = read_varint(data, offset + 1)
            offset = start + size
            if tag == _ATTRIBUTE:
                attributes.append(data[start:offset])
            else:
                fields[tag] = data[start:offset]
        elif tag in _TIMES:
            start, offset = offset + 1, offset + 1 + _NUMBER_BYTES
            fields[tag] = data[start:offset]
        elif tag in _NUMBERS and data[offset + 1] < VARINT_MORE:
            fields[tag] = data[offset + 1 : offset + 2]
            offset += 2
        elif data.startswith(_FLAGS, offset):
            offset += _FLAGS_BYTES
        else:
            return None
    return _make_span(fields, attributes) if offset == end else None


def _make_span(fields: dict[int, bytes], attributes: list[bytes]) -> PlainSpan | None:
    find = fields.get
    trace, span, parent = find(_TRACE, b""), find(_SPAN, b""), find(_PARENT, b"")
    status = _STATUS_CODES.get(find(_STATUS, b""))
    if len(trace) != _TRACE_ID_BYTES or len(span) != _SPAN_ID_BYTES or status is None:
        return None
    if not any(trace) or not any(span):
        return None
    return PlainSpan(
        trace,
        span,
        parent if len(parent) == _SPAN_ID_BYTES and any(parent) else b"",
        find(_NAME, b""),
        int.from_bytes(find(_KIND, b""), "little"),
        int.from_bytes(find(_START, b""), "little"),
        int.from_bytes(find(_END, b""), "little"),
        status,
        attributes,
    )

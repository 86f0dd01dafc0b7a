"""Decodes OTLP messages from protobuf to OTLP/JSON.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids are hexadecimal, 64-bit
numbers are strings, enums are numbers. Each message is a table, a row for each field.
"""

from __future__ import annotations

import math
from base64 import b64encode
from functools import lru_cache
from struct import unpack
from typing import Any, Callable, Dict, NamedTuple

from lupis_instrument._export.otlp.protobuf import read_fields

_SIGN_BIT = 1 << 63
_MAX_CACHED_BYTES = 256


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        name: the name in OTLP/JSON.
        read: the function that turns the raw value into the JSON value, or the message that the
            field holds.
        repeated: whether the field is a list.
    """

    name: str
    read: Callable[[Any], Any] | Message
    repeated: bool = False


Message = Dict[int, Field]
"""The fields of a message by their numbers."""


def _read_text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _read_fixed64(value: bytes) -> str:
    return str(int.from_bytes(value, "little"))


def _read_fixed32(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _read_int64(value: int) -> str:
    return str(value - (_SIGN_BIT << 1) if value >= _SIGN_BIT else value)


def _read_double(value: bytes) -> float | str:
    (number,) = unpack("<d", value)
    if math.isfinite(number):
        return float(number)
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _read_base64(value: bytes) -> str:
    return b64encode(value).decode()


_ANY: dict[int, Field] = {
    1: Field("stringValue", _read_text),
    2: Field("boolValue", bool),
    3: Field("intValue", _read_int64),
    4: Field("doubleValue", _read_double),
    7: Field("bytesValue", _read_base64),
}
_PAIR = {1: Field("key", _read_text), 2: Field("value", _ANY)}
_ANY[5] = Field("arrayValue", {1: Field("values", _ANY, repeated=True)})
_ANY[6] = Field("kvlistValue", {1: Field("values", _PAIR, repeated=True)})


def _read_pair(data: bytes) -> dict[str, Any]:
    """Decode an attribute; small ones through a cache, since they repeat from span to span."""
    return (
        _read_cached_pair(data) if len(data) <= _MAX_CACHED_BYTES else decode_message(_PAIR, data)
    )


@lru_cache(maxsize=4096)
def _read_cached_pair(data: bytes) -> dict[str, Any]:
    return decode_message(_PAIR, data)


RESOURCE = {1: Field("attributes", _read_pair, repeated=True)}
_SCOPE = {
    1: Field("name", _read_text),
    2: Field("version", _read_text),
    3: Field("attributes", _read_pair, repeated=True),
}
_EVENT = {
    1: Field("timeUnixNano", _read_fixed64),
    2: Field("name", _read_text),
    3: Field("attributes", _read_pair, repeated=True),
    4: Field("droppedAttributesCount", int),
}
_LINK = {
    1: Field("traceId", bytes.hex),
    2: Field("spanId", bytes.hex),
    3: Field("traceState", _read_text),
    4: Field("attributes", _read_pair, repeated=True),
    5: Field("droppedAttributesCount", int),
    6: Field("flags", _read_fixed32),
}
SPAN = {
    1: Field("traceId", bytes.hex),
    2: Field("spanId", bytes.hex),
    3: Field("traceState", _read_text),
    4: Field("parentSpanId", bytes.hex),
    5: Field("name", _read_text),
    6: Field("kind", int),
    7: Field("startTimeUnixNano", _read_fixed64),
    8: Field("endTimeUnixNano", _read_fixed64),
    9: Field("attributes", _read_pair, repeated=True),
    10: Field("droppedAttributesCount", int),
    11: Field("events", _EVENT, repeated=True),
    12: Field("droppedEventsCount", int),
    13: Field("links", _LINK, repeated=True),
    14: Field("droppedLinksCount", int),
    15: Field("status", {2: Field("message", _read_text), 3: Field("code", int)}),
    16: Field("flags", _read_fixed32),
}
_LOG_RECORD = {
    1: Field("timeUnixNano", _read_fixed64),
    2: Field("severityNumber", int),
    6: Field("attributes", _read_pair, repeated=True),
    11: Field("observedTimeUnixNano", _read_fixed64),
    12: Field("eventName", _read_text),
}


def _describe_request(resources: str, scopes: str, items: str, item: Message) -> Message:
    """Return an export request: items grouped by scope, and scopes by resource."""
    scope = {
        1: Field("scope", _SCOPE),
        2: Field(items, item, repeated=True),
        3: Field("schemaUrl", _read_text),
    }
    resource = {
        1: Field("resource", RESOURCE),
        2: Field(scopes, scope, repeated=True),
        3: Field("schemaUrl", _read_text),
    }
    return {1: Field(resources, resource, repeated=True)}


TRACES = _describe_request("resourceSpans", "scopeSpans", "spans", SPAN)
LOGS = _describe_request("resourceLogs", "scopeLogs", "logRecords", _LOG_RECORD)


def decode_message(message: Message, data: bytes) -> dict[str, Any]:
    """Decode a message, without the fields that `message` does not list.

    Args:
        message: the fields: `SPAN`, `TRACES` or `LOGS`.
        data: the message in protobuf's encoding.

    Raises:
        ValueError: `data` is no protobuf message.
    """
    decoded: dict[str, Any] = {}
    for number, raw in read_fields(data):
        field = message.get(number)
        if field is None:
            continue
        read = field.read
        value = decode_message(read, raw) if isinstance(read, dict) else read(raw)
        if field.repeated:
            decoded.setdefault(field.name, []).append(value)
        else:
            decoded[field.name] = value
    return decoded


def plain_value(any_value: dict[str, Any]) -> Any:
    """Return the value that an AnyValue wraps; None for an empty one."""
    for kind, value in any_value.items():
        if kind == "arrayValue":
            return [plain_value(member) for member in value.get("values", ())]
        if kind == "kvlistValue":
            return plain_attributes({"attributes": value.get("values", ())})
        return int(value) if kind == "intValue" else value
    return None


def plain_attributes(holder: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a span, event or resource as a dictionary of plain values."""
    pairs = holder.get("attributes", ())
    return {pair["key"]: plain_value(pair.get("value", {})) for pair in pairs}

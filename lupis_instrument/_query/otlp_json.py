"""What is stored in OTLP's protobuf encoding, as OTLP/JSON has it.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids in hexadecimal, numbers of
64 bits as text, enumerations as numbers.
"""

from __future__ import annotations

import math
from base64 import b64encode
from functools import lru_cache
from struct import unpack
from typing import Any, Callable, NamedTuple

from lupis_instrument._export.otlp.protobuf import fields

_SIGN = 1 << 63
_SMALL = 256
"""Bytes of an attribute that is kept in mind."""


class _Field(NamedTuple):
    name: str
    read: Callable[[Any], Any] | dict[int, Any]
    many: bool = False


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _fixed64(value: bytes) -> str:
    return str(int.from_bytes(value, "little"))


def _fixed32(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _int64(value: int) -> str:
    return str(value - (_SIGN << 1) if value >= _SIGN else value)


def _double(value: bytes) -> float | str:
    (number,) = unpack("<d", value)
    if math.isfinite(number):
        return float(number)
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


_ANY: dict[int, _Field] = {
    1: _Field("stringValue", _text),
    2: _Field("boolValue", bool),
    3: _Field("intValue", _int64),
    4: _Field("doubleValue", _double),
    7: _Field("bytesValue", _base64),
}
_PAIR = {1: _Field("key", _text), 2: _Field("value", _ANY)}
_ANY[5] = _Field("arrayValue", {1: _Field("values", _ANY, many=True)})
_ANY[6] = _Field("kvlistValue", {1: _Field("values", _PAIR, many=True)})


def _pair(data: bytes) -> dict[str, Any]:
    """Return an attribute; most are the same in span after span."""
    return _known_pair(data) if len(data) <= _SMALL else decode(_PAIR, data)


@lru_cache(maxsize=4096)
def _known_pair(data: bytes) -> dict[str, Any]:
    return decode(_PAIR, data)


_RESOURCE = {1: _Field("attributes", _pair, many=True)}
_SCOPE = {
    1: _Field("name", _text),
    2: _Field("version", _text),
    3: _Field("attributes", _pair, many=True),
}
_EVENT = {
    1: _Field("timeUnixNano", _fixed64),
    2: _Field("name", _text),
    3: _Field("attributes", _pair, many=True),
    4: _Field("droppedAttributesCount", int),
}
_LINK = {
    1: _Field("traceId", bytes.hex),
    2: _Field("spanId", bytes.hex),
    3: _Field("traceState", _text),
    4: _Field("attributes", _pair, many=True),
    5: _Field("droppedAttributesCount", int),
    6: _Field("flags", _fixed32),
}
SPAN = {
    1: _Field("traceId", bytes.hex),
    2: _Field("spanId", bytes.hex),
    3: _Field("traceState", _text),
    4: _Field("parentSpanId", bytes.hex),
    5: _Field("name", _text),
    6: _Field("kind", int),
    7: _Field("startTimeUnixNano", _fixed64),
    8: _Field("endTimeUnixNano", _fixed64),
    9: _Field("attributes", _pair, many=True),
    10: _Field("droppedAttributesCount", int),
    11: _Field("events", _EVENT, many=True),
    12: _Field("droppedEventsCount", int),
    13: _Field("links", _LINK, many=True),
    14: _Field("droppedLinksCount", int),
    15: _Field("status", {2: _Field("message", _text), 3: _Field("code", int)}),
    16: _Field("flags", _fixed32),
}
_LOG_RECORD = {
    1: _Field("timeUnixNano", _fixed64),
    2: _Field("severityNumber", int),
    6: _Field("attributes", _pair, many=True),
    11: _Field("observedTimeUnixNano", _fixed64),
    12: _Field("eventName", _text),
}


def _request(resources: str, scopes: str, items: str, item: dict[int, _Field]) -> dict[int, _Field]:
    scope = {
        1: _Field("scope", _SCOPE),
        2: _Field(items, item, many=True),
        3: _Field("schemaUrl", _text),
    }
    resource = {
        1: _Field("resource", _RESOURCE),
        2: _Field(scopes, scope, many=True),
        3: _Field("schemaUrl", _text),
    }
    return {1: _Field(resources, resource, many=True)}


TRACES = _request("resourceSpans", "scopeSpans", "spans", SPAN)
LOGS = _request("resourceLogs", "scopeLogs", "logRecords", _LOG_RECORD)


def decode(message: dict[int, _Field], data: bytes) -> dict[str, Any]:
    """Return the message that `data` is; fields that `message` doesn't know are left out.

    Args:
        message: `SPAN`, `TRACES` or `LOGS`.
        data: in protobuf's encoding.

    Raises:
        ValueError: it is no such message.
    """
    found: dict[str, Any] = {}
    for number, raw in fields(data):
        field = message.get(number)
        if field is None:
            continue
        value = decode(field.read, raw) if isinstance(field.read, dict) else field.read(raw)
        if field.many:
            found.setdefault(field.name, []).append(value)
        else:
            found[field.name] = value
    return found


def value_of(held: dict[str, Any]) -> Any:
    """Return the plain value of an AnyValue."""
    for kind, value in held.items():
        if kind == "arrayValue":
            return [value_of(each) for each in value.get("values", ())]
        if kind == "kvlistValue":
            return attributes_of({"attributes": value.get("values", ())})
        return int(value) if kind == "intValue" else value
    return None


def attributes_of(holder: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a span, an event or a resource by their keys."""
    return {pair["key"]: value_of(pair.get("value", {})) for pair in holder.get("attributes", ())}

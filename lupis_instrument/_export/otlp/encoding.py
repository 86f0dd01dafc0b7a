"""Encodes spans and events as OTLP messages, piece by piece.

https://opentelemetry.io/docs/specs/otlp/ and the `.proto` files of opentelemetry-proto

A span is encoded once, and a request is put together from encoded spans: the same bytes can be
sent, be kept on disk, and be sent from there by another process.

The wire format is written here, because protobuf's own runtime takes 20 ms to load and three times
as long for a span. A test compares the bytes with the upstream encoder.
"""

from __future__ import annotations

from functools import lru_cache
from struct import pack
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Mapping,
    NamedTuple,
    Sequence,
    Tuple,
)

from lupis_instrument import _semconv
from lupis_instrument._export.otlp.protobuf import (
    DELIMITED,
    FIXED32,
    FIXED64,
    VARINT,
    VARINT_BITS,
    VARINT_MORE,
    VARINT_SHIFT,
)
from lupis_instrument._version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, Status

_INT64_LIMIT = 1 << 63
_MAX_UINT64 = (1 << 64) - 1
_MAX_CACHED_PAIRS = 1024
_MAX_CACHED_BYTES = 256
"""The largest encoded attribute that is kept."""
HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
"""Flags of a span: whether the next flag is known, and whether the parent is in another process."""
_SEVERITY_INFO = 9
_NANOSECONDS_PER_MILLISECOND = 1_000_000


# Numbers, tags and fields


def _encode_any_varint(number: int) -> bytes:
    data = bytearray()
    while number > VARINT_BITS:
        data.append(number & VARINT_BITS | VARINT_MORE)
        number >>= VARINT_SHIFT
    data.append(number)
    return bytes(data)


_SMALL_LIMIT = 2048
_SMALL_VARINTS = tuple(map(_encode_any_varint, range(_SMALL_LIMIT)))
_TAGS = {
    (number, wire_type): _encode_any_varint(number << 3 | wire_type)
    for number in range(1, 17)
    for wire_type in (VARINT, FIXED64, DELIMITED, FIXED32)
}


def encode_varint(number: int) -> bytes:
    """Return a number of 64 bits, a negative one as its two's complement."""
    if 0 <= number < _SMALL_LIMIT:
        return _SMALL_VARINTS[number]
    return _encode_any_varint(number & _MAX_UINT64)


def bytes_field(number: int, data: bytes) -> bytes:
    """Return field `number` with a text, bytes or an encoded message."""
    return _TAGS[number, DELIMITED] + encode_varint(len(data)) + data


def text_field(number: int, value: str) -> bytes:
    """Return field `number` with a text; an empty text takes no bytes.

    A character that UTF-8 cannot encode (a lone surrogate) becomes a question mark.
    """
    return bytes_field(number, value.encode("utf-8", "replace")) if value else b""


def int_field(number: int, value: int) -> bytes:
    """Return field `number` with a whole number; 0 takes no bytes."""
    return _TAGS[number, VARINT] + encode_varint(value) if value else b""


def time_field(number: int, value: int | None) -> bytes:
    """Return field `number` with a time in nanoseconds; None and 0 take no bytes.

    A program may have set its clock to any time: one out of bounds becomes the nearest in bounds.
    """
    bounded = min(max(value or 0, 0), _MAX_UINT64)
    return _TAGS[number, FIXED64] + pack("<Q", bounded) if bounded else b""


def flags_field(number: int, value: int) -> bytes:
    """Return field `number` with flags of 32 bits; no flags take no bytes."""
    return _TAGS[number, FIXED32] + pack("<I", value) if value else b""


def repeated_field(number: int, messages: Iterable[bytes]) -> bytes:
    """Return one field `number` for each of `messages`."""
    return b"".join([bytes_field(number, message) for message in messages])


# Attributes

_TRUE, _FALSE = b"\x10\x01", b"\x10\x00"


class _KnownPairs(Dict[Tuple[str, Any], bytes]):
    """The attributes of earlier spans by key and value: KeyValues behind their lengths.

    Most attributes repeat from call to call: methods, hosts, models, headers. All values are
    redacted before they are encoded, so none of them is a secret.
    """

    def __missing__(self, attribute: tuple[str, Any]) -> bytes:
        """Return an attribute, and keep it if it is short."""
        pair = _encode_pair(*attribute)
        if len(pair) <= _MAX_CACHED_BYTES:
            if len(self) >= _MAX_CACHED_PAIRS:
                self.clear()
            self[attribute] = pair
        return pair


_known_pairs = _KnownPairs()


def encode_attributes(number: int, values: Mapping[str, Any] | None) -> bytes:
    """Return each of `values` as a KeyValue message in field `number`."""
    if not values:
        return b""
    tag = _TAGS[number, DELIMITED]
    pairs = [
        _known_pairs[attribute] if _is_cached(attribute[1]) else _encode_pair(*attribute)
        for attribute in values.items()
    ]
    return tag + tag.join(pairs)


def _is_cached(value: Any) -> bool:
    """Return whether a value is a text, a whole number, or a list of one text, as most headers are.

    None of them equals one of another type, as 1, 1.0 and True do.
    """
    kind = type(value)
    if kind is str or kind is int:
        return True
    return kind is tuple and len(value) == 1 and type(value[0]) is str


def _encode_pair(key: str, value: Any) -> bytes:
    """Return a KeyValue message behind its length."""
    encoded = _encode_string(value) if type(value) is str else _encode_value(value)
    pair = _encode_key(key) + encode_varint(len(encoded)) + encoded
    return encode_varint(len(pair)) + pair


@lru_cache(maxsize=512)
def _encode_key(key: str) -> bytes:
    """Return the beginning of a KeyValue message, up to the length of its value."""
    return text_field(1, key) + _TAGS[2, DELIMITED]


def _encode_value(value: Any) -> bytes:
    """Return `value` as an AnyValue message."""
    encode = _ENCODERS.get(type(value))
    if encode is None:
        encode = next(
            (encoder for kind, encoder in _ENCODERS.items() if isinstance(value, kind)),
            _encode_unknown,
        )
    return encode(value)


def _encode_string(value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    return b"\n%b%b" % (encode_varint(len(data)), data)


def _encode_bool(value: bool) -> bytes:
    return _TRUE if value else _FALSE


def _encode_int(value: int) -> bytes:
    if -_INT64_LIMIT <= value < _INT64_LIMIT:
        return _TAGS[3, VARINT] + encode_varint(value)
    return _encode_string(str(value))


def _encode_float(value: float) -> bytes:
    return _TAGS[4, FIXED64] + pack("<d", value)


def _encode_array(value: Iterable[Any]) -> bytes:
    return bytes_field(5, repeated_field(1, map(_encode_value, value)))


def _encode_mapping(value: Mapping[Any, Any]) -> bytes:
    texts = {str(key): item for key, item in value.items()}
    return bytes_field(6, encode_attributes(1, texts))


def _encode_bytes(value: bytes) -> bytes:
    return bytes_field(7, value)


def _encode_none(_: None) -> bytes:
    return b""


def _encode_unknown(value: Any) -> bytes:
    return _encode_string(f"[{type(value).__name__}]")


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    str: _encode_string,
    bytes: _encode_bytes,
    type(None): _encode_none,
    bool: _encode_bool,
    int: _encode_int,
    float: _encode_float,
    tuple: _encode_array,
    list: _encode_array,
    dict: _encode_mapping,
    Sequence: _encode_array,
    Mapping: _encode_mapping,
}
"""By type of a value; any other type is encoded as the first of these that it is a subclass of."""


# Spans


class Origin(NamedTuple):
    """The source of spans, which a request states once for all of them.

    Attributes:
        resource: an encoded Resource, as field 1 of the message that holds it, with its schema URL.
        scope: an encoded InstrumentationScope, in the same form.
    """

    resource: bytes
    scope: bytes


_TRACE_ID = _TAGS[1, DELIMITED] + encode_varint(16)
_SPAN_ID = _TAGS[2, DELIMITED] + encode_varint(8)
"""The beginnings of the fields with ids, before their bytes."""


def encode_span(span: ReadableSpan) -> bytes:
    """Return `span` as a Span message."""
    context = span.context
    parent = span.parent
    parts = [
        _TRACE_ID,
        context.trace_id.to_bytes(16, "big"),
        _SPAN_ID,
        context.span_id.to_bytes(8, "big"),
        text_field(3, _trace_state(context)),
        bytes_field(4, parent.span_id.to_bytes(8, "big")) if parent is not None else b"",
        text_field(5, span.name),
        int_field(6, span.kind.value + 1),
        time_field(7, span.start_time),
        time_field(8, span.end_time),
        encode_attributes(9, span.attributes),
        int_field(10, span.dropped_attributes),
        repeated_field(11, map(_encode_event, span.events)),
        int_field(12, span.dropped_events),
        repeated_field(13, map(_encode_link, span.links)),
        int_field(14, span.dropped_links),
        bytes_field(15, _encode_status(span.status)),
        flags_field(16, _remote_flags(parent)),
    ]
    return b"".join(parts)


def _trace_state(context: SpanContext) -> str:
    state = context.trace_state
    return ",".join(f"{key}={value}" for key, value in state.items()) if state else ""


def _remote_flags(context: SpanContext | None) -> int:
    return HAS_IS_REMOTE | (_IS_REMOTE if context is not None and context.is_remote else 0)


def _encode_event(event: Event) -> bytes:
    parts = [
        time_field(1, event.timestamp),
        text_field(2, event.name),
        encode_attributes(3, event.attributes),
        int_field(4, event.dropped_attributes),
    ]
    return b"".join(parts)


def _encode_link(link: Link) -> bytes:
    parts = [
        _TRACE_ID,
        link.context.trace_id.to_bytes(16, "big"),
        _SPAN_ID,
        link.context.span_id.to_bytes(8, "big"),
        text_field(3, _trace_state(link.context)),
        encode_attributes(4, link.attributes),
        int_field(5, link.dropped_attributes),
        flags_field(6, _remote_flags(link.context)),
    ]
    return b"".join(parts)


def _encode_status(status: Status) -> bytes:
    return text_field(2, status.description or "") + int_field(3, status.status_code.value)


def encode_resource(resource: Resource) -> bytes:
    """Return `resource` as `Origin.resource`."""
    message = encode_attributes(1, resource.attributes)
    return bytes_field(1, message) + text_field(3, resource.schema_url or "")


def encode_scope(scope: InstrumentationScope | None) -> bytes:
    """Return `scope` as `Origin.scope`."""
    if scope is None:
        return bytes_field(1, b"")
    message = text_field(1, scope.name) + text_field(2, scope.version or "")
    message += encode_attributes(3, scope.attributes)
    return bytes_field(1, message) + text_field(3, scope.schema_url or "")


OWN_SCOPE = bytes_field(1, text_field(1, _semconv.SCOPE) + text_field(2, __version__))
"""The scope of events."""


# Events and requests


def encode_log_record(event: Mapping[str, Any]) -> bytes:
    """Return an event as a LogRecord message.

    https://opentelemetry.io/docs/specs/otel/logs/data-model/#event-name
    """
    nanoseconds = event["timestamp"] * _NANOSECONDS_PER_MILLISECOND
    attributes = dict(event["properties"])
    attributes.update(
        (_semconv.LUPIS_METADATA + key, item) for key, item in event["metadata"].items()
    )
    # Backends that do not know event_name, a field since protocol 1.5, look for the attribute.
    attributes[_semconv.EVENT_NAME] = event["name"]
    chat = event["metadata"].get("chat_id")
    if chat is not None:
        attributes.update({_semconv.LUPIS_CHAT_ID: chat, _semconv.GEN_AI_CONVERSATION_ID: chat})
    parts = [
        time_field(1, nanoseconds),
        int_field(2, _SEVERITY_INFO),
        encode_attributes(6, attributes),
        time_field(11, nanoseconds),
        text_field(12, event["name"]),
    ]
    return b"".join(parts)


def encode_request(items: Iterable[tuple[Origin, bytes]]) -> bytes:
    """Return an export request with encoded spans or log records.

    Both requests are built alike: a list of resources, in each a list of scopes, in each the items.
    """
    by_resource: dict[bytes, dict[bytes, list[bytes]]] = {}
    for origin, item in items:
        by_resource.setdefault(origin.resource, {}).setdefault(origin.scope, []).append(item)
    return repeated_field(
        1,
        [
            resource
            + repeated_field(
                2, [scope + repeated_field(2, bodies) for scope, bodies in by_scope.items()]
            )
            for resource, by_scope in by_resource.items()
        ],
    )

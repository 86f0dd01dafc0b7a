"""Spans and events in OTLP's protobuf encoding, piece by piece.

https://opentelemetry.io/docs/specs/otlp/ and the `.proto` files of opentelemetry-proto

A span is encoded once, and a request is put together from encoded spans: the same bytes can be
sent, be kept on disk, and be sent from there by another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Mapping, NamedTuple

from lupis_instrument import _semconv
from lupis_instrument._export.otlp.protobuf import (
    attributes,
    count,
    delimited,
    fields,
    fixed32,
    fixed64,
    repeated,
    text,
)
from lupis_instrument._version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, Status

_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_SEVERITY_INFO = 9
_NANOSECONDS = 1_000_000
MOST_REASON = 300
"""Characters of an endpoint's own words that are repeated."""


class Origin(NamedTuple):
    """Where spans come from: what a request says once for all of them.

    Attributes:
        resource: an encoded Resource, in field 1 of what holds it, with its schema's URL.
        scope: the same of an InstrumentationScope.
    """

    resource: bytes
    scope: bytes


def encode_span(span: ReadableSpan) -> bytes:
    """Return a span as the message of that name."""
    context = span.context
    parent = span.parent
    parts = [
        delimited(1, context.trace_id.to_bytes(16, "big")),
        delimited(2, context.span_id.to_bytes(8, "big")),
        text(3, _state(context)),
        delimited(4, parent.span_id.to_bytes(8, "big")) if parent is not None else b"",
        text(5, span.name),
        count(6, span.kind.value + 1),
        fixed64(7, span.start_time),
        fixed64(8, span.end_time),
        *attributes(9, span.attributes),
        count(10, span.dropped_attributes),
        repeated(11, map(_event, span.events)),
        count(12, span.dropped_events),
        repeated(13, map(_link, span.links)),
        count(14, span.dropped_links),
        delimited(15, _status(span.status)),
        fixed32(16, _flags(parent)),
    ]
    return b"".join(parts)


def _state(context: SpanContext) -> str:
    state = context.trace_state
    return ",".join(f"{key}={value}" for key, value in state.items()) if state else ""


def _flags(context: SpanContext | None) -> int:
    return _HAS_IS_REMOTE | (_IS_REMOTE if context is not None and context.is_remote else 0)


def _event(event: Event) -> bytes:
    parts = [fixed64(1, event.timestamp), text(2, event.name), *attributes(3, event.attributes)]
    return b"".join([*parts, count(4, event.dropped_attributes)])


def _link(link: Link) -> bytes:
    parts = [
        delimited(1, link.context.trace_id.to_bytes(16, "big")),
        delimited(2, link.context.span_id.to_bytes(8, "big")),
        text(3, _state(link.context)),
        *attributes(4, link.attributes),
        count(5, link.dropped_attributes),
        fixed32(6, _flags(link.context)),
    ]
    return b"".join(parts)


def _status(status: Status) -> bytes:
    return text(2, status.description or "") + count(3, status.status_code.value)


def encode_resource(resource: Resource) -> bytes:
    """Return the part of `Origin` that is a span's resource."""
    message = b"".join(attributes(1, resource.attributes))
    return delimited(1, message) + text(3, resource.schema_url or "")


def encode_scope(scope: InstrumentationScope | None) -> bytes:
    """Return the part of `Origin` that is a span's scope."""
    if scope is None:
        return delimited(1, b"")
    message = text(1, scope.name) + text(2, scope.version or "")
    message += b"".join(attributes(3, scope.attributes))
    return delimited(1, message) + text(3, scope.schema_url or "")


OWN_SCOPE = delimited(1, text(1, _semconv.SCOPE) + text(2, __version__))
"""The scope of events."""


def compose(items: Iterable[tuple[Origin, bytes]]) -> bytes:
    """Return an export request of encoded spans, or of log records; both are built alike."""
    origins: dict[bytes, dict[bytes, list[bytes]]] = {}
    for origin, item in items:
        origins.setdefault(origin.resource, {}).setdefault(origin.scope, []).append(item)
    return repeated(
        1,
        [
            resource + repeated(2, [scope + repeated(2, found) for scope, found in scopes.items()])
            for resource, scopes in origins.items()
        ],
    )


def encode_log_record(event: Mapping[str, Any]) -> bytes:
    """Return an event as a LogRecord.

    https://opentelemetry.io/docs/specs/otel/logs/data-model/#event-name
    """
    nanoseconds = event["timestamp"] * _NANOSECONDS
    found = dict(event["properties"])
    found.update((_semconv.LUPIS_METADATA + key, item) for key, item in event["metadata"].items())
    # Backends that know no event_name, a field since protocol 1.5, look for the attribute.
    found[_semconv.EVENT_NAME] = event["name"]
    chat = event["metadata"].get("chat_id")
    if chat is not None:
        found.update({_semconv.LUPIS_CHAT_ID: chat, _semconv.GEN_AI_CONVERSATION_ID: chat})
    parts = [
        fixed64(1, nanoseconds),
        count(2, _SEVERITY_INFO),
        *attributes(6, found),
        fixed64(11, nanoseconds),
        text(12, event["name"]),
    ]
    return b"".join(parts)


class PartialSuccess(NamedTuple):
    """What an endpoint says that it took a request, but not all that is in it.

    Attributes:
        rejected: how many spans or log records it left out.
        reason: in its own words.
    """

    rejected: int = 0
    reason: str = ""


def read_response(body: bytes) -> PartialSuccess:
    """Return what an export response says; all was taken where it cannot be read."""
    rejected, reason = 0, ""
    try:
        for number, message in fields(body):
            for inner, value in fields(message) if number == 1 else ():
                if inner == 1:
                    rejected = int(value)
                elif inner == 2:  # noqa: PLR2004 - the field error_message
                    # Imported here because few collectors give a reason.
                    from lupis_instrument._redaction import truncate_text

                    reason = truncate_text(value.decode("utf-8", "replace"), MOST_REASON)
    except (ValueError, TypeError, AttributeError):
        return PartialSuccess()
    return PartialSuccess(rejected, reason)

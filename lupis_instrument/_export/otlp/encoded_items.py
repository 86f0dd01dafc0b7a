"""Spans and events as they travel: encoded once, with what their origin says kept apart."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

from lupis_instrument import _semconv
from lupis_instrument._export.otlp.encoding import (
    OWN_SCOPE,
    Origin,
    encode_resource,
    encode_scope,
    encode_span,
)

if TYPE_CHECKING:
    from typing import Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

SPAN, EVENT = 0, 1
"""Kinds of parcels."""


class EncodedItem(NamedTuple):
    """One span or event, filtered and encoded.

    Attributes:
        kind: `SPAN` or `EVENT`.
        origin: where it comes from.
        body: a span in OTLP's encoding, an event as JSON.
        source: what it was made from; what is worth a column is looked up there.
    """

    kind: int
    origin: Origin
    body: bytes
    source: Any

    @property
    def facts(self) -> Facts:
        """What reports are made of."""
        return _of_span(self.source) if self.kind == SPAN else _of_event(self.source)


class Facts(NamedTuple):
    """What is known of a span or event without decoding it; the columns of the store's `item`.

    Attributes:
        at: when it began, nanoseconds since the epoch.
        duration: in nanoseconds.
        name: of the span or event.
        trace: the trace's id, as bytes.
        span: the span's id.
        parent: that of its parent.
        chat: the chat id.
        provider: of the LLM API called; None for all that is no LLM call.
        operation: what it was called for.
        model: the one asked for, else the one that answered.
        input_tokens: as reported.
        output_tokens: as reported.
        cached_tokens: input tokens that came from the cache.
        cost: in USD; None where it is not known.
        cost_status: `priced`, `partial`, `free` or `unpriced`.
        error: the type of the error that ended it.
        first_chunk: seconds to the first piece of the body.
    """

    at: int
    duration: int = 0
    name: str = ""
    trace: bytes | None = None
    span: bytes | None = None
    parent: bytes | None = None
    chat: str | None = None
    provider: str | None = None
    operation: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None
    cost_status: str | None = None
    error: str | None = None
    first_chunk: float | None = None


_BY_ATTRIBUTE = (
    ("chat", (_semconv.LUPIS_CHAT_ID,)),
    ("provider", (_semconv.GEN_AI_PROVIDER_NAME,)),
    ("operation", (_semconv.GEN_AI_OPERATION_NAME,)),
    ("model", (_semconv.GEN_AI_REQUEST_MODEL, _semconv.GEN_AI_RESPONSE_MODEL)),
    *(
        # Where another's span has the figures, ours has them by another name.
        (field, (name, _semconv.REPEATED_TOKENS[name]))
        for field, name in (
            ("input_tokens", _semconv.GEN_AI_USAGE_INPUT_TOKENS),
            ("output_tokens", _semconv.GEN_AI_USAGE_OUTPUT_TOKENS),
            ("cached_tokens", _semconv.GEN_AI_USAGE_CACHE_READ),
        )
    ),
    ("cost", (_semconv.LUPIS_COST_TOTAL,)),
    ("cost_status", (_semconv.LUPIS_COST_STATUS,)),
    ("error", (_semconv.ERROR_TYPE,)),
    ("first_chunk", (_semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,)),
)
"""By column, the attributes that may say it; the first that is there does."""
_BITS = 64
_LATEST = (1 << 63) - 1
_MOST_ORIGINS = 256


def _of_span(span: ReadableSpan) -> Facts:
    attributes: Mapping[str, Any] = span.attributes or {}
    found = {
        field: _column(next((attributes[key] for key in keys if key in attributes), None))
        for field, keys in _BY_ATTRIBUTE
    }
    if found["error"] is None and span.status.status_code.name == "ERROR":
        found["error"] = "_OTHER"
    start = span.start_time or 0
    return Facts(
        at=_bounded(start),
        duration=_bounded((span.end_time or start) - start),
        name=_text(span.name),
        trace=span.context.trace_id.to_bytes(16, "big"),
        span=span.context.span_id.to_bytes(8, "big"),
        parent=span.parent.span_id.to_bytes(8, "big") if span.parent is not None else None,
        **found,
    )


def _bounded(time: int) -> int:
    """Return a time as the store can hold it: a program may have set its clock to any."""
    return max(-_LATEST, min(time, _LATEST))


def _of_event(event: Mapping[str, Any]) -> Facts:
    return Facts(
        at=_bounded(event["timestamp"] * 1_000_000),
        name=_text(event["name"]),
        chat=_column(event["metadata"].get("chat_id")),
    )


def _column(value: Any) -> Any:
    """Return what a column can hold of an attribute, which a program may have set to anything."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and value.bit_length() < _BITS else None


def _text(value: str) -> str:
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


class SpanEncoder:
    """Makes parcels of what leaves the pipeline; encodes each origin once."""

    def __init__(self, resource: Resource) -> None:
        """Events come from `resource`, already filtered; spans say themselves where from."""
        self._origins: dict[tuple[int, int], tuple[Any, Any, Origin]] = {}
        self._events = Origin(encode_resource(resource), OWN_SCOPE)

    def spans(self, spans: Sequence[ReadableSpan]) -> list[EncodedItem]:
        """Return `spans`, encoded."""
        return [EncodedItem(SPAN, self._origin(span), encode_span(span), span) for span in spans]

    def events(self, events: Sequence[Mapping[str, Any]]) -> list[EncodedItem]:
        """Return `events`, encoded."""
        return [
            EncodedItem(EVENT, self._events, json.dumps(event).encode(), event) for event in events
        ]

    def _origin(self, span: ReadableSpan) -> Origin:
        """Return where a span comes from, from the last time if that was met before.

        By identity, for hashing a resource costs more than encoding a span. What an id stands for
        is kept along with it, so that no other object can come to have it.
        """
        resource, scope = span.resource, span.instrumentation_scope
        key = (id(resource), id(scope))
        known = self._origins.get(key)
        if known is None:
            if len(self._origins) >= _MOST_ORIGINS:  # a program may make a tracer for each call
                self._origins.clear()
            origin = Origin(encode_resource(resource), encode_scope(scope))
            known = self._origins[key] = (resource, scope, origin)
        return known[2]

"""Encodes each span and event once, and reads the values for the columns of the store."""

from __future__ import annotations

import json
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

from opentelemetry.trace import StatusCode

from lupis_instrument import _semconv
from lupis_instrument._export.otlp.encoding import (
    OWN_SCOPE,
    Origin,
    encode_resource,
    encode_scope,
    encode_span,
)
from lupis_instrument._export.otlp.rate_limits import read_limits
from lupis_instrument._export.summary import is_call

if TYPE_CHECKING:
    from typing import Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

SPAN, EVENT = 0, 1
"""Kinds of encoded items; the store keeps these numbers."""


class EncodedItem(NamedTuple):
    """One span or event, redacted and encoded.

    Attributes:
        kind: `SPAN` or `EVENT`.
        origin: the resource and the scope, encoded.
        body: a span as an OTLP message, or an event as JSON.
        source: the span or event itself; `facts` reads it.
    """

    kind: int
    origin: Origin
    body: bytes
    source: Any

    @property
    def facts(self) -> Facts:
        """The values that the store keeps in columns, for reports."""
        return _span_facts(self.source) if self.kind == SPAN else _event_facts(self.source)


class Facts(NamedTuple):
    """Values of a span or event to be read without decoding; the columns of the store's `item`.

    Attributes:
        at: the start, in nanoseconds since the epoch.
        duration: the duration in nanoseconds.
        name: the name of the span or event.
        trace: the trace id, as bytes.
        span: the span id, as bytes.
        parent: the span id of the parent, as bytes.
        chat: the chat id.
        provider: the provider of the LLM API; None for everything but LLM calls.
        operation: the GenAI operation, such as `chat`.
        model: the requested model, or else the model that answered.
        input_tokens: input tokens, as reported.
        output_tokens: output tokens, as reported.
        cached_tokens: input tokens that came from the cache.
        cost: the cost in USD; None if it is unknown.
        cost_status: `priced`, `partial`, `free` or `unpriced`.
        error: the type of the error that ended the call.
        first_chunk: the seconds to the first chunk of the body.
        user: the user id.
        session: the session id.
        organization: the organization id.
        host: the host of the request's URL.
        status: the HTTP status of the response.
        resends: the number of the retry or redirect; None for a first request.
        cache_write_tokens: input tokens that were written to the cache.
        reasoning_tokens: output tokens used for reasoning.
        fingerprint: the keyed hash of the request.
        limits: the rate limits that the response reports, see `rate_limits.read_limits`.
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
    user: str | None = None
    session: str | None = None
    organization: str | None = None
    host: str | None = None
    status: int | None = None
    resends: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    fingerprint: str | None = None
    limits: str | None = None


_ATTRIBUTES = (
    ("chat", (_semconv.LUPIS_CHAT_ID,)),
    ("provider", (_semconv.GEN_AI_PROVIDER_NAME,)),
    ("operation", (_semconv.GEN_AI_OPERATION_NAME,)),
    ("model", (_semconv.GEN_AI_REQUEST_MODEL, _semconv.GEN_AI_RESPONSE_MODEL)),
    *(
        # Where the span of another library has the figures, this package's span repeats them
        # under another name.
        (column, (name, _semconv.REPEATED_TOKENS[name]))
        for column, name in (
            ("input_tokens", _semconv.GEN_AI_USAGE_INPUT_TOKENS),
            ("output_tokens", _semconv.GEN_AI_USAGE_OUTPUT_TOKENS),
            ("cached_tokens", _semconv.GEN_AI_USAGE_CACHE_READ),
        )
    ),
    ("cost", (_semconv.LUPIS_COST_TOTAL,)),
    ("cost_status", (_semconv.LUPIS_COST_STATUS,)),
    ("error", (_semconv.ERROR_TYPE,)),
    ("first_chunk", (_semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,)),
    ("user", (_semconv.USER_ID, f"{_semconv.LUPIS_METADATA}user_id")),
    ("session", (_semconv.SESSION_ID, f"{_semconv.LUPIS_METADATA}session_id")),
    ("organization", (f"{_semconv.LUPIS_METADATA}organization_id",)),
    ("host", (_semconv.SERVER_ADDRESS,)),
    ("status", (_semconv.HTTP_RESPONSE_STATUS_CODE,)),
    ("resends", (_semconv.HTTP_REQUEST_RESEND_COUNT,)),
    *(
        (column, (name, _semconv.REPEATED_TOKENS[name]))
        for column, name in (
            ("cache_write_tokens", _semconv.GEN_AI_USAGE_CACHE_CREATION),
            ("reasoning_tokens", _semconv.GEN_AI_USAGE_REASONING),
        )
    ),
    ("fingerprint", (_semconv.LUPIS_REQUEST_FINGERPRINT,)),
)
"""By column: the attribute to read it from, and the attribute that counts without the first."""
_COLUMNS = {names[0]: column for column, names in _ATTRIBUTES}
_SECOND_COLUMNS = {name: column for column, names in _ATTRIBUTES for name in names[1:]}
_COLUMN_NAMES = frozenset((*_COLUMNS, *_SECOND_COLUMNS))
_INT_BITS = 64
_MAX_TIME = (1 << 63) - 1
_MAX_ORIGINS = 256


def _span_facts(span: ReadableSpan) -> Facts:
    start = span.start_time or 0
    return make_span_facts(
        span.attributes or {},
        failed=span.status.status_code is StatusCode.ERROR,
        at=bound_time(start),
        duration=bound_time(max(0, (span.end_time or start) - start)),
        name=_to_column(span.name),
        trace=span.context.trace_id.to_bytes(16, "big"),
        span=span.context.span_id.to_bytes(8, "big"),
        parent=span.parent.span_id.to_bytes(8, "big") if span.parent is not None else None,
    )


def make_span_facts(attributes: Mapping[str, Any], *, failed: bool, **columns: Any) -> Facts:
    """Return the facts of a span.

    Args:
        attributes: its attributes.
        failed: whether its status is an error.
        columns: the facts that are no attributes.
    """
    columns.update(_read_columns(attributes))
    if not is_call(attributes):
        columns["provider"] = None
    elif columns.get("provider") is not None:
        columns["limits"] = read_limits(attributes)
    if failed and columns.get("error") is None:
        columns["error"] = "_OTHER"
    return Facts(**columns)


def _read_columns(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns by name."""
    names = _find_columns(tuple([name for name in attributes if name in _COLUMN_NAMES]))
    return {column: _to_column(attributes[name]) for column, name in names}


@lru_cache(maxsize=256)
def _find_columns(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the columns that a span has, each with its attribute; most attributes are no column.

    The spans of a client have the same few sets of names.
    """
    columns = {_SECOND_COLUMNS[name]: name for name in names if name in _SECOND_COLUMNS}
    columns.update((_COLUMNS[name], name) for name in names if name in _COLUMNS)
    return [*columns.items()]


def bound_time(time: int) -> int:
    """Return a time that SQLite can hold: a program may have set its clock to any time."""
    return max(-_MAX_TIME, min(time, _MAX_TIME))


def _event_facts(event: Mapping[str, Any]) -> Facts:
    return Facts(
        at=bound_time(event["timestamp"] * 1_000_000),
        name=_to_column(event["name"]),
        chat=_to_column(event["metadata"].get("chat_id")),
        user=_to_column(event["metadata"].get("user_id")),
    )


def _to_column(value: Any) -> Any:
    """Return an attribute as SQLite can hold it, or None: programs set attributes to anything."""
    # Nearly all values have one of these types exactly.
    kind = type(value)
    if kind is int:
        return value if value.bit_length() < _INT_BITS else None
    if kind is str or isinstance(value, str):
        return value if value.isascii() else _replace_surrogates(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return value if is_int and value.bit_length() < _INT_BITS else None


def _replace_surrogates(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


class ItemEncoder:
    """Encodes finished spans and events; it encodes each origin once."""

    def __init__(self, resource: Resource) -> None:
        """Make an encoder.

        Args:
            resource: the resource of events, redacted already; a span has its own.
        """
        self._origins: dict[tuple[int, int], tuple[Any, Any, Origin]] = {}
        self._event_origin = Origin(encode_resource(resource), OWN_SCOPE)

    def encode_spans(self, spans: Sequence[ReadableSpan]) -> list[EncodedItem]:
        """Return `spans` as OTLP messages."""
        return [
            EncodedItem(SPAN, self._find_origin(span), encode_span(span), span) for span in spans
        ]

    def encode_events(self, events: Sequence[Mapping[str, Any]]) -> list[EncodedItem]:
        """Return `events` as JSON objects."""
        return [
            EncodedItem(EVENT, self._event_origin, json.dumps(event).encode(), event)
            for event in events
        ]

    def _find_origin(self, span: ReadableSpan) -> Origin:
        """Return the encoded origin of a span, from the cache if possible.

        The cache goes by identity, because hashing a resource costs more than encoding a span. It
        keeps the objects along with their ids, so that no other object can get the same id.
        """
        resource, scope = span.resource, span.instrumentation_scope
        key = (id(resource), id(scope))
        known = self._origins.get(key)
        if known is None:
            if len(self._origins) >= _MAX_ORIGINS:  # a program may make a tracer for each call
                self._origins.clear()
            origin = Origin(encode_resource(resource), encode_scope(scope))
            known = self._origins[key] = (resource, scope, origin)
        return known[2]

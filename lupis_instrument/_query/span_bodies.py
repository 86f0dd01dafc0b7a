"""Reads facts of calls that only the body of a span has: tools, the reason for no price."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Iterable, NamedTuple

from lupis_instrument._query.otlp_json import SPAN, decode_message, plain_attributes
from lupis_instrument._semconv import (
    GEN_AI_REQUEST_STREAM,
    LUPIS_COST_REASON,
    LUPIS_RESPONSE_TOOLS,
)

if TYPE_CHECKING:
    import sqlite3

_NAMES = (GEN_AI_REQUEST_STREAM, LUPIS_RESPONSE_TOOLS, LUPIS_COST_REASON)
_MARKS = tuple(name.encode() for name in _NAMES)
_MAX_PARAMETERS = 500


class CallDetails(NamedTuple):
    """Facts of a call that no column of the store has.

    Attributes:
        stream: whether the response is a stream.
        tools: the names of the tools that the model calls.
        reason: the reason why the call has no price or only part of one.
    """

    stream: bool = False
    tools: tuple[str, ...] = ()
    reason: str | None = None


NO_DETAILS = CallDetails()


def read_details(db: sqlite3.Connection, ids: Iterable[int]) -> dict[int, CallDetails]:
    """Return the details of calls by their row ids.

    Args:
        db: the store.
        ids: the row ids.
    """
    listed = list(ids)
    details: dict[int, CallDetails] = {}
    for start in range(0, len(listed), _MAX_PARAMETERS):
        part = listed[start : start + _MAX_PARAMETERS]
        marks = ", ".join("?" * len(part))
        rows = db.execute(f"SELECT id, data FROM body WHERE id IN ({marks})", part)  # noqa: S608
        details.update((id_, _read_body(data)) for id_, data in rows if isinstance(data, bytes))
    return details


@lru_cache(maxsize=2048)
def _read_body(data: bytes) -> CallDetails:
    if not any(mark in data for mark in _MARKS):
        return NO_DETAILS
    attributes = read_span(data).get("plain", {})
    tools = attributes.get(LUPIS_RESPONSE_TOOLS)
    reason = attributes.get(LUPIS_COST_REASON)
    return CallDetails(
        attributes.get(GEN_AI_REQUEST_STREAM) is True,
        tuple(str(tool) for tool in tools) if isinstance(tools, list) else (),
        reason if isinstance(reason, str) else None,
    )


def read_span(data: bytes) -> dict[str, Any]:
    """Return the body of a span in OTLP/JSON, with its attributes as `plain`; empty if damaged."""
    try:
        span = decode_message(SPAN, data)
        return {**span, "plain": plain_attributes(span)}
    except Exception:  # damaged bytes raise errors of many types
        return {}

"""Reads the JSON array of events that programs under lupis-run send to `/api/events`."""

from __future__ import annotations

import json
from typing import Any

from lupis_instrument._viewer.request_body import BodyError

_MAX_NAME_LENGTH = 8192


def read_events(body: bytes) -> tuple[list[dict[str, Any]], int]:
    """Return the events of a request, and the number of members that are no event.

    Args:
        body: the body, decompressed: an array of events, or one event.

    Raises:
        BodyError: the body is no JSON.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise BodyError(400, "the body is no JSON") from None
    members = data if isinstance(data, list) else [data]
    events = [event for event in map(_read_event, members) if event is not None]
    return events, len(members) - len(events)


def _read_event(data: Any) -> dict[str, Any] | None:
    if not isinstance(data, dict):
        return None
    name, timestamp = data.get("name"), data.get("timestamp")
    properties, metadata = data.get("properties") or {}, data.get("metadata") or {}
    is_valid = isinstance(name, str) and 0 < len(name) <= _MAX_NAME_LENGTH
    if not is_valid or not isinstance(timestamp, (int, float)):
        return None
    if not isinstance(properties, dict) or not isinstance(metadata, dict):
        return None
    try:
        at = int(timestamp)
    except (ValueError, OverflowError):
        return None
    return {"name": name, "timestamp": at, "properties": properties, "metadata": metadata}

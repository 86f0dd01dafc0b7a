"""Lists the events of programs, the newest first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from lupis_instrument._export.otlp.encoded_items import EVENT
from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.origins import read_origins

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = ("at", "name", "origin", "chat")


class RecordedEvent(NamedTuple):
    """An event.

    Attributes:
        id: the row id; later items have higher ids.
        at: the time, nanoseconds since the epoch.
        name: the name.
        chat: the chat id.
        user: the user id of its metadata.
        run: the id of the launch; None without one.
        properties: the properties.
    """

    id: int
    at: int
    name: str
    chat: str | None
    user: Any
    run: str | None
    properties: Any


def list_events(
    db: sqlite3.Connection, *, since: int = 0, limit: int = 100, before: int | None = None
) -> list[RecordedEvent]:
    """Return the events that programs stored last, the newest first.

    Args:
        db: the store.
        since: the earliest time, nanoseconds since the epoch.
        limit: the maximum number of events.
        before: only events with a lower id: the last id of the page before.
    """
    rows = db.execute(
        "SELECT item.id, at, name, chat, origin, data FROM item JOIN body ON body.id = item.id"  # noqa: S608
        f" WHERE kind = {EVENT} AND item.id < ? AND at >= ? AND {types_condition(_COLUMNS)}"
        " ORDER BY item.id DESC LIMIT ?",
        ((1 << 62) if before is None else before, since, limit),
    ).fetchall()
    origins = read_origins(db) if rows else {}
    events = []
    for *columns, chat, origin, data in rows:
        user, properties = _read_body(data)
        run = getattr(origins.get(origin), "run", None)
        events.append(RecordedEvent._make((*columns, chat, user, run, properties)))
    return events


def _read_body(data: Any) -> tuple[Any, Any]:
    """Return the user and the properties of an event; None for both in a damaged store."""
    try:
        event = json.loads(data)
        return (event.get("metadata") or {}).get("user_id"), event.get("properties")
    except (ValueError, TypeError, AttributeError):
        return None, None

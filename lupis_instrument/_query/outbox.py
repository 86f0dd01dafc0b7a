"""Counts the items that wait for an endpoint, and the items that an endpoint has refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lupis_instrument._export.store.schema import REFUSED, WAITING

if TYPE_CHECKING:
    import sqlite3

_WAITING = f"FROM item JOIN body ON body.id = item.id WHERE state = {WAITING}"
_REFUSED = (
    "SELECT shown, count(*), max(at) FROM item JOIN target ON target.id = target"  # noqa: S608
    f" WHERE state = {REFUSED} AND target IS NOT NULL GROUP BY target ORDER BY 2 DESC"
)


class Waiting(NamedTuple):
    """The items that no endpoint has confirmed yet.

    Attributes:
        items: the number of spans and events.
        size: their size in bytes.
        oldest: the start of the oldest one, nanoseconds since the epoch; None without any.
    """

    items: int
    size: int
    oldest: int | None


class Refused(NamedTuple):
    """The items that an endpoint will never accept.

    Attributes:
        endpoint: its address, without secrets.
        items: the number of spans and events.
        newest: the start of the newest one, nanoseconds since the epoch.
    """

    endpoint: str
    items: int
    newest: int


def count_waiting(db: sqlite3.Connection) -> Waiting:
    """Return the number of the items in the outbox, and their size."""
    row = db.execute(
        f"SELECT count(*), ifnull(sum(length(data)), 0), min(at) {_WAITING} AND target IS NOT NULL"
    ).fetchone()
    return Waiting._make(row)


def count_refused(db: sqlite3.Connection) -> list[Refused]:
    """Return the number of refused items by their endpoint, the largest number first."""
    return [Refused(str(shown), items, newest) for shown, items, newest in db.execute(_REFUSED)]


def count_items(db: sqlite3.Connection) -> int:
    """Return the number of spans and events in the store."""
    (count,) = db.execute("SELECT count(*) FROM item").fetchone()
    return int(count)

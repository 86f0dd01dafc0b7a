"""The account of a process that has stored items and was killed before it wrote an account.

A process that stores its first items makes a row in the table `process`, with the time 0 as its
end. The row names the items, so that a reader can count them. The account of the process replaces
the row when the process ends.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Iterable

from lupis_instrument._export.otlp.encoded_items import EVENT, SPAN
from lupis_instrument._export.store.schema import DELIVERED

if TYPE_CHECKING:
    from sqlite3 import Connection

_INSERT_ROW = "INSERT OR IGNORE INTO process VALUES (?, ?, 0, 0, 0, 0, '{}', ?)"
_SELECT_ROW = "SELECT totals FROM process WHERE leader = ? AND pid = ? AND ended = 0"
_UPDATE_ROW = "UPDATE process SET totals = ? WHERE leader = ? AND pid = ? AND ended = 0"
_DELETE_ROW = "DELETE FROM process WHERE leader = ? AND pid = ? AND ended = 0"
_WHERE = " FROM item WHERE id > ? AND origin IN ({})"
_COUNT_ITEMS = f"SELECT total(state = {DELIVERED}), total(kind = {SPAN}), total(kind = {EVENT})"
_ADD_UP_CALLS = (
    "SELECT provider, ifnull(model, '?'), count(*), count(error), total(input_tokens),"
    " total(output_tokens), total(cached_tokens), total(cost_status = 'unpriced'), total(cost),"
    " total(duration) / 1e9"
)
_OF_CALLS = " AND provider IS NOT NULL AND operation IS NOT NULL GROUP BY 1, 2"
_COUNT_CHATS = "SELECT chat, count(*)"
_OF_CHATS = " AND provider IS NOT NULL AND chat IS NOT NULL GROUP BY 1"
_FIGURES = ("calls", "errors", "read", "written", "cached", "unpriced", "cost", "seconds")
"""The keys of `summary.CallTotals`, in the order of the columns."""


def begin_account(
    db: Connection, leader: str, pid: int, last_id: int, origins: Iterable[int]
) -> None:
    """Make or update the row of a process that has no account yet.

    Args:
        db: the database, in a transaction.
        leader: the leader of the process tree.
        pid: the process id.
        last_id: the last id of an item from before; another process may have had the same origins.
        origins: the ids of the origins of the process.
    """
    row = db.execute(_SELECT_ROW, (leader, pid)).fetchone()
    first = json.loads(row[0])["after"] if row is not None else last_id
    mark = json.dumps({"after": first, "origins": sorted(origins)})
    db.execute(_INSERT_ROW, (leader, pid, mark))
    db.execute(_UPDATE_ROW, (mark, leader, pid))


def remove_account(db: Connection, leader: str, pid: int) -> None:
    """Remove the row of a process that has written its account under another number."""
    db.execute(_DELETE_ROW, (leader, pid))


def count_items(db: Connection, mark: str) -> tuple[tuple[int, int, int, str], dict[str, Any]]:
    """Return the account and the totals of a process from its items.

    Args:
        db: the database.
        mark: the text that `begin_account` has stored.
    """
    known = json.loads(mark)
    where = _WHERE.format(", ".join(map(str, map(int, known["origins"]))))
    after = (known["after"],)
    delivered, spans, events = map(int, db.execute(_COUNT_ITEMS + where, after).fetchone())
    models = [
        [provider, model, dict(zip(_FIGURES, (*map(int, figures[:6]), *figures[6:])))]
        for provider, model, *figures in db.execute(_ADD_UP_CALLS + where + _OF_CALLS, after)
    ]
    counts = db.execute(_COUNT_CHATS + where + _OF_CHATS, after)
    chats = [chat for chat, count in counts for _ in range(min(count, 2))]
    totals = {"spans": spans, "events": events, "models": models, "chats": chats}
    return (spans + events, delivered, spans + events - delivered, "{}"), totals

"""Keeps the store's file below its size limit: deletes the least important items first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.store.database import transaction
from lupis_instrument._export.store.schema import DELIVERED, KEPT, REFUSED, WAITING

if TYPE_CHECKING:
    from sqlite3 import Connection

_DELETION_ORDER = (DELIVERED, KEPT, REFUSED, WAITING)
"""The states of items in the order in which a full file deletes them."""
_DELETED_AT_ONCE = 64
_FILL_LEVEL = 0.9
"""The part of the limit that deletions leave in use, so that not each addition has to delete."""


def make_room(db: Connection, max_bytes: int) -> None:
    """Delete the least important items of a file that is bigger than `max_bytes`."""
    if _count_used_bytes(db) <= max_bytes:
        return
    deleted_by_state: dict[int, int] = {}
    for state in _DELETION_ORDER:
        deleted = 1
        while deleted and _count_used_bytes(db) > max_bytes * _FILL_LEVEL:
            deleted = _delete_oldest(db, state)
            deleted_by_state[state] = deleted_by_state.get(state, 0) + deleted
    unsent = deleted_by_state.get(WAITING, 0) + deleted_by_state.get(REFUSED, 0)
    if unsent:
        megabytes = max_bytes / (1 << 20)
        warn(
            f"the store is full (LUPIS_STORE_MAX_MB={megabytes:g}): {unsent} spans and events"
            " that no endpoint had taken were dropped"
        )


def _count_used_bytes(db: Connection) -> int:
    """Return the size of the pages in use; the file keeps free pages for later items."""
    pages = _read_pragma(db, "page_count") - _read_pragma(db, "freelist_count")
    return int(pages * _read_pragma(db, "page_size"))


def _read_pragma(db: Connection, name: str) -> Any:
    return db.execute(f"PRAGMA {name}").fetchone()[0]


def _delete_oldest(db: Connection, state: int) -> int:
    """Delete some of the oldest items of `state`, count them as lost, and return their number."""
    with transaction(db):
        statement = f"SELECT id FROM item WHERE state = ? ORDER BY id LIMIT {_DELETED_AT_ONCE}"  # noqa: S608
        ids = db.execute(statement, (state,)).fetchall()
        db.executemany("DELETE FROM body WHERE id = ?", ids)
        db.executemany("DELETE FROM item WHERE id = ?", ids)
        db.execute("INSERT OR IGNORE INTO loss VALUES (?, 0)", (state,))
        db.execute("UPDATE loss SET items = items + ? WHERE state = ?", (len(ids), state))
    return len(ids)

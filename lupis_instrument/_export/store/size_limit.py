"""Keeps the store's file below its size limit: deletes the least important items first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.store.database import MAX_WAL_BYTES, transaction
from lupis_instrument._export.store.schema import DELIVERED, KEPT, REFUSED, WAITING

if TYPE_CHECKING:
    from sqlite3 import Connection

    from lupis_instrument._export.otlp.encoded_items import EncodedItem

_DELETION_ORDER = (DELIVERED, KEPT, REFUSED, WAITING)
"""The states of items in the order in which a full file deletes them."""
_DELETED_AT_ONCE = 128
_FILL_LEVEL = 0.9
"""The part of the limit that deletions leave in use, so that not each addition has to delete."""


_WAL_PART = 8
"""The part of the limit, as a divisor, that the write-ahead log may reach before it is emptied."""
MAX_TRANSACTION_BYTES = 256 << 10
"""The size of the bodies that one transaction adds: the files exceed the limit by little more."""


def limit_wal(max_bytes: int) -> int:
    """Return the size of the write-ahead log in a store of at most `max_bytes`."""
    return min(MAX_WAL_BYTES, max_bytes // _WAL_PART)


def split_items(items: Sequence[EncodedItem]) -> Iterator[Sequence[EncodedItem]]:
    """Yield parts of `items` that fit into a transaction; a bigger item makes a part by itself."""
    start = size = 0
    for index, item in enumerate(items):
        if size and size + len(item.body) > MAX_TRANSACTION_BYTES:
            yield items[start:index]
            start, size = index, 0
        size += len(item.body)
    if items:
        yield items[start:]


def make_room(db: Connection, max_bytes: int, limit_log: Callable[[], None]) -> None:
    """Delete the least important items if the database and its log may exceed `max_bytes`.

    Args:
        db: the database.
        max_bytes: the size of the database, its log, and the index of the log.
        limit_log: called before each transaction; keeps the log small.
    """
    # Several processes may write to the log before the first of them can empty it.
    max_used = max_bytes - 2 * limit_wal(max_bytes)
    if _count_used_bytes(db) <= max_used:
        return
    deleted_by_state: dict[int, int] = {}
    for state in _DELETION_ORDER:
        deleted = 1
        while deleted and _count_used_bytes(db) > max_used * _FILL_LEVEL:
            limit_log()
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

"""Adds up the calls of full blocks of items, so that a report need not read every item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from lupis_instrument._export.store.block_tables import (
    LIST_UNIT,
    MIN_ITEMS,
    QUARTER_HOUR,
    SIZE,
    SUM_TABLES,
    SUMMED_COLUMNS,
    list_sums,
)
from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._export.store.database import transaction

if TYPE_CHECKING:
    from sqlite3 import Connection

_MAX_BLOCKS_AT_ONCE = 4


def add_up_full_blocks(db: Connection, before: int, after: int) -> None:
    """Add up blocks, if items have filled one.

    Args:
        db: the database, in no transaction.
        before: the highest id before the items.
        after: the highest id now.
    """
    if (before + 1) // SIZE == (after + 1) // SIZE:
        return
    with transaction(db):
        for block in find_missing_blocks(db)[-_MAX_BLOCKS_AT_ONCE:]:
            _add_up_block(db, block)


def add_up_blocks(db: Connection, after_each: Callable[[], object] | None = None) -> None:
    """Add up all full blocks; programs can store items after each of them.

    Args:
        db: the database, in no transaction.
        after_each: called after each block, in no transaction.
    """
    for block in find_missing_blocks(db):
        with transaction(db):
            _add_up_block(db, block)
        if after_each is not None:
            after_each()


def find_missing_blocks(db: Connection) -> list[int]:
    """Return the full blocks without sums, in order; none in a small file or without the tables."""
    if not has_blocks(db):
        return []
    query = (
        "SELECT (SELECT last FROM sequence), (SELECT min(id) FROM item), (SELECT max(id) FROM item)"
    )
    last, first, highest = db.execute(query).fetchone()
    if not all(isinstance(id_, int) for id_ in (last, first, highest)):
        return []
    last = min(last, highest)  # the ids after it are of deleted items, or the file is damaged
    if last - first < MIN_ITEMS:
        return []
    known = {block for (block,) in db.execute("SELECT id FROM block")}
    return [
        block for block in range(max(first, 0) // SIZE, (last + 1) // SIZE) if block not in known
    ]


def has_blocks(db: Connection) -> bool:
    """Return whether a file has the tables."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'block'"
    return db.execute(query).fetchone() is not None


def _add_up_block(db: Connection, block: int) -> None:
    source = "FROM item NOT INDEXED WHERE id BETWEEN ? AND ? AND provider IS NOT NULL"
    ids = (block * SIZE, block * SIZE + SIZE - 1)
    first, last, calls, whole = db.execute(
        f"SELECT min(at), max(at), count(*), total({types_condition(SUMMED_COLUMNS)}) {source}",
        ids,
    ).fetchone()
    is_whole = calls == whole
    db.execute("INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?)", (block, first, last, is_whole))
    for table in SUM_TABLES if is_whole else ():
        keys = ", ".join(
            f"at / {QUARTER_HOUR} * {QUARTER_HOUR}" if key == "at" else key for key in table.keys
        )
        numbers = ", ".join(str(number + 2) for number in range(len(table.keys)))
        rows = f"SELECT min(id), {keys}, {list_sums(LIST_UNIT)} {source} GROUP BY {numbers}"
        db.execute(f"INSERT OR REPLACE INTO {table.name} {rows}", ids)

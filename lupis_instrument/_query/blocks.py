"""Answers with the stored sums of blocks where that is exact, and with items where it is not.

`_export/store/block_tables.py` describes blocks. Small stores need none of this.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterable, Iterator, NamedTuple

from lupis_instrument._export.store.block_tables import MIN_ITEMS, QUARTER_HOUR, SIZE, SUM_TABLES
from lupis_instrument._export.store.blocks import has_blocks
from lupis_instrument._query.fields import FieldType, find_field
from lupis_instrument._query.filters import CallFilter, SqlCondition, compile_filter

if TYPE_CHECKING:
    import sqlite3

QUARTER = f"at / {QUARTER_HOUR}"
"""The SQL expression for the quarter of an hour in which a call began."""
_MAX_READ_SHARE = 8
"""The part of the items, as a divisor, that may be read besides the sums."""

_SELECT_BLOCKS = (
    "SELECT id, first_at, last_at, is_whole = 1 AND typeof(first_at) = typeof(last_at)"
    " AND typeof(first_at) IN ('integer', 'null') FROM block ORDER BY id"
)
"""A damaged file may have other types in any column."""


class BlockSums(NamedTuple):
    """The stored sums that a question can use.

    Attributes:
        table: the name of their table.
        condition: the condition for their rows.
        items: all items without such sums, in SQL.
    """

    table: str
    condition: SqlCondition
    items: str


@contextmanager
def take_snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """Let the statements of the `with` block see the same state of the store."""
    db.execute("SAVEPOINT question")
    try:
        yield
    finally:
        db.execute("RELEASE question")


def is_large(db: sqlite3.Connection) -> bool:
    """Return whether a store may have many items; to count them takes long."""
    first, last = _find_ids(db)
    return last - first >= MIN_ITEMS


def _find_ids(db: sqlite3.Connection) -> tuple[int, int]:
    ids = db.execute("SELECT (SELECT min(id) FROM item), (SELECT max(id) FROM item)").fetchone()
    first, last = (id_ if isinstance(id_, int) else 0 for id_ in ids)
    return first, last


def find_block_sums(
    db: sqlite3.Connection, expressions: Iterable[str], call_filter: CallFilter
) -> BlockSums | None:
    """Return the sums that a question can use; None if it has to read the items.

    Call it in the snapshot of the question.

    Args:
        db: the store.
        expressions: the SQL expressions that the question groups by.
        call_filter: its filter.
    """
    if not is_large(db) or not has_blocks(db):
        return None
    times = [condition for condition in call_filter.conditions if _is_time(condition.field)]
    others = tuple(condition for condition in call_filter.conditions if condition not in times)
    columns = {"at" if expression == QUARTER else expression for expression in expressions}
    columns |= {_find_column(condition.field) for condition in others}
    table = next((table for table in SUM_TABLES if columns <= {*table.keys}), None)
    if table is None or not {*expressions} <= {*table.keys, QUARTER} - {"at"}:
        return None
    since = max([int(time.value) for time in times if time.field == "since"], default=None)
    until = min([int(time.value) for time in times if time.field == "until"], default=None)
    used, gaps = _select_blocks(db, since, until)
    first, last = _find_ids(db)
    read = sum(min(high, last) - max(low, first) + 1 for low, high in gaps if low <= last)
    if read > (last - first) // _MAX_READ_SHARE:
        return None
    # Rows of sums belong to calls alone.
    condition = compile_filter(db, CallFilter(others), of_calls=False)
    ranges = " OR ".join(f"id BETWEEN {low} AND {high}" for low, high in used) or "0"
    values = ", ".join(f"({low}, {high})" for low, high in gaps)
    return BlockSums(
        table.name,
        SqlCondition(f"{condition.sql} AND ({ranges})", condition.values),
        f"(VALUES {values}) CROSS JOIN item NOT INDEXED ON id BETWEEN column1 AND column2",
    )


def may_have_calls(db: sqlite3.Connection, call_filter: CallFilter) -> bool:
    """Return False if the sums show that a filter selects no call.

    A search for the newest calls reads all items to find none.
    """
    if all(_is_time(condition.field) for condition in call_filter.conditions):
        return True
    with take_snapshot(db):
        sums = find_block_sums(db, (), call_filter)
        if sums is None:
            return True
        condition = compile_filter(db, call_filter)
        statements = (
            (f"{sums.table} WHERE {sums.condition.sql}", sums.condition.values),
            (f"{sums.items} WHERE {condition.sql}", condition.values),
        )
        return any(
            db.execute(f"SELECT 1 FROM {rest} LIMIT 1", values).fetchone() is not None  # noqa: S608
            for rest, values in statements
        )


def _is_time(field: str) -> bool:
    return field in ("since", "until")


def _find_column(name: str) -> str:
    """Return the column that a condition reads; a word may read any, and has none."""
    field = find_field(name) if name else None
    if field is None:
        return ""
    return "origin" if field.type is FieldType.ORIGIN else field.sql


def _select_blocks(
    db: sqlite3.Connection, since: int | None, until: int | None
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the ranges of ids of the blocks that lie in a period, and of the items to read.

    Blocks outside the period are in neither.
    """
    used: list[tuple[int, int]] = []
    gaps: list[tuple[int, int]] = []
    end = -(1 << 63)
    for block, first, last, is_whole in db.execute(_SELECT_BLOCKS):
        low, high = block * SIZE, block * SIZE + SIZE - 1
        if low > end:
            gaps.append((end, low - 1))
        end = high + 1
        if not is_whole:
            gaps.append((low, high))
        elif first is None or _lies_outside(first, last, since, until):
            continue
        elif (since is None or since <= first) and (until is None or last < until):
            used.append((low, high))
        else:
            gaps.append((low, high))
    gaps.append((end, (1 << 63) - 1))
    return _join_ranges(used), _join_ranges(gaps)


def _lies_outside(first: int, last: int, since: int | None, until: int | None) -> bool:
    return (since is not None and last < since) or (until is not None and first >= until)


def _join_ranges(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges in order, without the borders between neighbours."""
    joined: list[tuple[int, int]] = []
    for low, high in ranges:
        if joined and joined[-1][1] + 1 == low:
            joined[-1] = joined[-1][0], high
        else:
            joined.append((low, high))
    return joined

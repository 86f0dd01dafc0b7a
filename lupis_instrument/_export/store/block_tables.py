"""The tables with the sums of calls for blocks of items.

A block is a range of ids. Ids only grow, so that a block that is full stays as it is, until one of
its items is deleted or changed: triggers remove its sums then, whichever process or release does
it. A report takes the sums of the blocks that have them, and reads the items of the others.
"""

from __future__ import annotations

from typing import NamedTuple

SIZE = 4096
"""The number of ids of a block."""
MIN_ITEMS = 100_000
"""The number of ids in a store from which on sums are worth while: they make writing dearer."""
QUARTER_HOUR = 900 * 10**9
"""Nanoseconds. In every time zone a day starts at a multiple of a quarter of an hour, UTC."""
LIST_UNIT = 10**6
"""The unit of the lists of times in `SUMS` of blocks, in nanoseconds."""
_SECOND = 10**9


class SumTable(NamedTuple):
    """A table with the sums of blocks.

    Attributes:
        name: its name.
        keys: the columns whose values a row's calls share; `at` is the start of the quarter hour.
    """

    name: str
    keys: tuple[str, ...]


_BY_ORIGIN = ("origin", "provider", "model", "operation", "host", "error", "status", "at")
SUM_TABLES = (
    SumTable("block_origin", _BY_ORIGIN),
    SumTable("block_chat", ("chat", "user", "session", "organization")),
)
SUMS = {
    # total(), because sum() raises an error on integer overflow: programs may set any number.
    "calls": "count(*)",
    "errors": "count(error)",
    "input": "total(input_tokens)",
    "output": "total(output_tokens)",
    "cached": "total(cached_tokens)",
    "cost": "sum(cost)",
    # The order of the conditions decides the time: a comparison of texts comes last.
    # CASE takes half the time of a condition as a number.
    "unknown": "count(CASE WHEN input_tokens IS NULL AND output_tokens IS NULL"
    " AND cost_status = 'unpriced' THEN 1 END)",
    "unpriced": "count(CASE WHEN cost IS NULL AND cost_status = 'unpriced' THEN 1 END)",
    "partial": "count(CASE WHEN cost_status = 'partial' THEN 1 END)",
    "time": "total(duration)",
    "priced": "count(cost)",
    "latencies": "group_concat(duration / {unit})",
    "first_chunks": "group_concat(CAST(first_chunk * {units_per_second} AS INTEGER))",
}
"""By column of the tables: the sum over calls."""
SUMMED_COLUMNS = tuple(
    dict.fromkeys(
        (
            *(key for table in SUM_TABLES for key in table.keys),
            *("duration", "first_chunk", "input_tokens", "output_tokens", "cached_tokens"),
            *("cost", "cost_status"),
        )
    )
)
"""The columns of items that the sums are made of."""
_LISTS = ("latencies", "first_chunks")
_SUM_COLUMNS = ", ".join(f"{name} {'TEXT' if name in _LISTS else 'NUMERIC'}" for name in SUMS)


def list_sums(unit: int) -> str:
    """Return the SQL of the sums over items, in the order of `SUMS`.

    Args:
        unit: the unit of the lists of times, in nanoseconds.
    """
    return ", ".join(SUMS.values()).format(unit=unit, units_per_second=_SECOND // unit)


def list_block_sums() -> str:
    """Return the SQL of the sums over rows of a `SumTable`, in the order of `SUMS`."""
    return ", ".join(
        f"group_concat({name})"
        if name in _LISTS
        else f"sum({name})"
        if name == "cost"
        else f"total({name})"
        for name in SUMS
    )


def _make_removal() -> str:
    """Return the part of a trigger that removes the sums of the block of an item."""
    first = f"(old.id / {SIZE}) * {SIZE}"
    removals = [
        f"DELETE FROM {table.name} WHERE id BETWEEN {first} AND {first} + {SIZE - 1}; "  # noqa: S608
        for table in SUM_TABLES
    ]
    return (
        f" WHEN EXISTS (SELECT 1 FROM block WHERE id = old.id / {SIZE})"  # noqa: S608
        f" BEGIN DELETE FROM block WHERE id = old.id / {SIZE}; {''.join(removals)}END;\n"
    )


_BLOCK_TABLE = """
    -- The blocks that were added up, with the times of their first and last call. If is_whole is 0,
    -- values have wrong types, and there are no sums.
    CREATE TABLE block (
        id INTEGER PRIMARY KEY,
        first_at INTEGER,
        last_at INTEGER,
        is_whole INTEGER NOT NULL
    );
"""
_EVENTS = (
    ("deleted", "DELETE"),
    ("changed", f"UPDATE OF {', '.join(SUMMED_COLUMNS)}"),
)
SCRIPT = _BLOCK_TABLE + "".join(
    [
        # The id of a row is the lowest id of its calls.
        *(
            f"CREATE TABLE {table.name} (id INTEGER PRIMARY KEY, {', '.join(table.keys)},"
            f" {_SUM_COLUMNS});\n"
            for table in SUM_TABLES
        ),
        *(
            f"CREATE TRIGGER item_{name} AFTER {event} ON item{_make_removal()}"
            for name, event in _EVENTS
        ),
    ]
)
"""Makes the tables, and the triggers that keep them right."""

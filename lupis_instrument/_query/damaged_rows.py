"""Leaves out rows of the store's table `item` whose values have wrong types.

A damaged file, or a file that another program has changed, may have a text in the place of a time.
SQLite stores any type in any column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Mapping

if TYPE_CHECKING:
    import sqlite3

_INTEGER, _TEXT = "= 'integer'", "= 'text'"
_TEXT_OR_NULL, _BLOB_OR_NULL = "IN ('text', 'null')", "IN ('blob', 'null')"
_FIGURE = "!= 'blob'"  # a program may set a figure to any text
_TYPES = {
    "kind": _INTEGER,
    "origin": _INTEGER,
    "at": _INTEGER,
    "duration": _INTEGER,
    "name": _TEXT,
    "trace": _BLOB_OR_NULL,
    "span": _BLOB_OR_NULL,
    "parent": _BLOB_OR_NULL,
    "chat": _TEXT_OR_NULL,
    "provider": _TEXT_OR_NULL,
    "model": _TEXT_OR_NULL,
    "input_tokens": _FIGURE,
    "output_tokens": _FIGURE,
    "cached_tokens": _FIGURE,
    "cost": _FIGURE,
    "cost_status": _TEXT_OR_NULL,
    "error": _TEXT_OR_NULL,
    "first_chunk": _FIGURE,
    "operation": _TEXT_OR_NULL,
    "user": _TEXT_OR_NULL,
    "session": _TEXT_OR_NULL,
    "organization": _TEXT_OR_NULL,
    "host": _TEXT_OR_NULL,
    "status": _FIGURE,
    "resends": _FIGURE,
    "cache_write_tokens": _FIGURE,
    "reasoning_tokens": _FIGURE,
    "fingerprint": _TEXT_OR_NULL,
    "limits": _TEXT_OR_NULL,
}
"""By column: the condition on `typeof`."""
_NEXT_TYPES = {
    _INTEGER: "''",
    _TEXT: "x''",
    _TEXT_OR_NULL: "x''",
    _BLOB_OR_NULL: "x''",
    _FIGURE: "x''",
}
"""By condition: the smallest value of the type that comes after the right ones."""


def types_condition(columns: Iterable[str]) -> str:
    """Return the SQL condition that some columns of `item` have the right types.

    Args:
        columns: the columns; SQLite reads a row from an index only if the index has them all.
    """
    return " AND ".join(
        f"typeof({column}) {_TYPES[column]}" for column in columns if column in _TYPES
    )


def suspicion(columns: Iterable[str]) -> str:
    """Return an SQL expression that is true for nearly all rows with wrong types.

    It costs a fifth of `types_condition`: SQLite orders numbers before texts, and texts before
    blobs. Only for a duration, a fraction is no integer.

    Args:
        columns: the columns.
    """
    return " OR ".join(
        f"typeof({column}) != 'integer'"
        if column == "duration"
        else f"{column} >= {_NEXT_TYPES[_TYPES[column]]}"
        for column in columns
        if column in _TYPES
    )


def count_damaged(
    db: sqlite3.Connection,
    columns: Iterable[str],
    condition: str = "1",
    values: Mapping[str, Any] | tuple[Any, ...] = (),
) -> int:
    """Return the number of rows with wrong types in some columns.

    Args:
        db: the store.
        columns: the columns.
        condition: the SQL condition for the rows to look at.
        values: the values of the condition.
    """
    statement = f"SELECT count(*) FROM item WHERE {condition} AND NOT ({types_condition(columns)})"  # noqa: S608
    (count,) = db.execute(statement, values).fetchone()
    return int(count)

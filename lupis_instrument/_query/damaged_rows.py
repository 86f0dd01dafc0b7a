"""Leaves out rows of the store's table `item` whose values have wrong types.

A damaged file, or a file that another program has changed, may have a text in the place of a time.
SQLite stores any type in any column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Mapping

from lupis_instrument._export.store.column_types import (
    BLOB_OR_NULL,
    FIGURE,
    INTEGER,
    TEXT,
    TEXT_OR_NULL,
    TYPES,
    types_condition,
)

if TYPE_CHECKING:
    import sqlite3

_NEXT_TYPES = {
    INTEGER: "''",
    TEXT: "x''",
    TEXT_OR_NULL: "x''",
    BLOB_OR_NULL: "x''",
    FIGURE: "x''",
}
"""By condition: the smallest value of the type that comes after the right ones."""


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
        else f"{column} >= {_NEXT_TYPES[TYPES[column]]}"
        for column in columns
        if column in TYPES
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

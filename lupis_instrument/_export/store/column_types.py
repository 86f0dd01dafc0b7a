"""The types of the columns of the store's table `item`.

A damaged file, or a file that another program has changed, may have a text in the place of a time.
SQLite stores any type in any column.
"""

from __future__ import annotations

from typing import Iterable

INTEGER, TEXT = "= 'integer'", "= 'text'"
TEXT_OR_NULL, BLOB_OR_NULL = "IN ('text', 'null')", "IN ('blob', 'null')"
FIGURE = "!= 'blob'"  # a program may set a figure to any text
TYPES = {
    "kind": INTEGER,
    "origin": INTEGER,
    "at": INTEGER,
    "duration": INTEGER,
    "name": TEXT,
    "trace": BLOB_OR_NULL,
    "span": BLOB_OR_NULL,
    "parent": BLOB_OR_NULL,
    "chat": TEXT_OR_NULL,
    "provider": TEXT_OR_NULL,
    "model": TEXT_OR_NULL,
    "input_tokens": FIGURE,
    "output_tokens": FIGURE,
    "cached_tokens": FIGURE,
    "cost": FIGURE,
    "cost_status": TEXT_OR_NULL,
    "error": TEXT_OR_NULL,
    "first_chunk": FIGURE,
    "operation": TEXT_OR_NULL,
    "user": TEXT_OR_NULL,
    "session": TEXT_OR_NULL,
    "organization": TEXT_OR_NULL,
    "host": TEXT_OR_NULL,
    "status": FIGURE,
    "resends": FIGURE,
    "cache_write_tokens": FIGURE,
    "reasoning_tokens": FIGURE,
    "fingerprint": TEXT_OR_NULL,
    "limits": TEXT_OR_NULL,
}
"""By column: the condition on `typeof`."""


def types_condition(columns: Iterable[str]) -> str:
    """Return the SQL condition that some columns of `item` have the right types.

    Args:
        columns: the columns; SQLite reads a row from an index only if the index has them all.
    """
    return " AND ".join(
        f"typeof({column}) {TYPES[column]}" for column in columns if column in TYPES
    )

"""The dimensions by which questions group calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, NamedTuple, Optional, Sequence, Tuple

from lupis_instrument._export.store.block_tables import QUARTER_HOUR
from lupis_instrument._query.blocks import QUARTER
from lupis_instrument._query.fields import TAG_PREFIX
from lupis_instrument._query.origins import RecordedOrigin, read_origins, read_tags
from lupis_instrument._query.times import format_local_time

if TYPE_CHECKING:
    import sqlite3

_INDEX_ORDERS = (
    ("origin", "provider", "model", "operation", "host", "error", "status", QUARTER),
    ("chat", "user", "session", "organization", "provider", "model"),
)
"""The first columns of the indexes `call_by_origin` and `call_by_chat`. SQLite groups by the start
of such a list without sorting the rows."""

Key = Tuple[Optional[str], ...]
"""The names of a group: a name for each column of its dimensions."""


class Dimension(NamedTuple):
    """A property that groups calls.

    Attributes:
        columns: the names of the parts of a key.
        sql: the expressions to group by; the groups of SQL may be finer than the keys.
        make_key: turns the values of the expressions into the parts of a key.
        by_time: whether the groups come in the order of their keys, not the most expensive first.
    """

    columns: tuple[str, ...]
    sql: tuple[str, ...]
    make_key: Callable[[Origins, Sequence[Any]], Key]
    by_time: bool = False


Origins = Mapping[int, RecordedOrigin]


def _name_columns(*columns: str) -> Dimension:
    return Dimension(columns, columns, lambda _, row: tuple(map(_to_text, row)))


def _name_origin(field: str) -> Dimension:
    def make_key(origins: Origins, row: Sequence[Any]) -> Key:
        return (_to_text(getattr(origins.get(row[0]), field, None)),)

    return Dimension((field,), ("origin",), make_key)


def _name_period(name: str, pattern: str) -> Dimension:
    return Dimension(
        (name,),
        (QUARTER,),
        lambda _, row: (format_local_time(row[0] * QUARTER_HOUR, pattern),),
        by_time=True,
    )


def _to_text(value: Any) -> str | None:
    return None if value is None else str(value)


DIMENSIONS = {
    "model": _name_columns("provider", "model"),
    "provider": _name_columns("provider"),
    "operation": _name_columns("operation"),
    "project": _name_origin("project"),
    "service": _name_origin("service"),
    "user": _name_columns("user"),
    "session": _name_columns("session"),
    "organization": _name_columns("organization"),
    "chat": _name_columns("chat"),
    "run": _name_origin("run"),
    "day": _name_period("day", "%Y-%m-%d"),
    "hour": _name_period("hour", "%Y-%m-%d %H:00"),
    "host": _name_columns("host"),
    "error": _name_columns("error"),
    "status": _name_columns("status"),
}
"""By name; `tag.KEY` is a dimension too."""


class Grouping(NamedTuple):
    """The dimensions of a question.

    Attributes:
        dimensions: the dimensions, at least one.
        may_be_finer: whether SQL may group by more expressions, in the order of an index.
    """

    dimensions: tuple[Dimension, ...]
    may_be_finer: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the parts of a key."""
        return tuple(column for dimension in self.dimensions for column in dimension.columns)

    @property
    def sql(self) -> tuple[str, ...]:
        """Return the expressions to group by; finer than the keys where this needs no sorting."""
        wanted = self.find_wanted()
        for order in _INDEX_ORDERS:
            if self.may_be_finer and wanted <= {*order}:
                return order[: max(map(order.index, wanted)) + 1]
        return tuple(sorted(wanted))

    def find_wanted(self) -> set[str]:
        """Return the expressions that make the keys."""
        return {sql for dimension in self.dimensions for sql in dimension.sql}

    @property
    def by_time(self) -> bool:
        """Return whether the groups come in the order of their keys."""
        return self.dimensions[0].by_time

    def find_positions(self) -> list[int]:
        """Return the positions in `sql` of the expressions that make a key."""
        return [self.sql.index(sql) for dimension in self.dimensions for sql in dimension.sql]

    def make_key(self, origins: Origins, values: Sequence[Any]) -> Key:
        """Return the key for the values at the positions of `find_positions`."""
        key: list[str | None] = []
        start = 0
        for dimension in self.dimensions:
            end = start + len(dimension.sql)
            key += dimension.make_key(origins, values[start:end])
            start = end
        return tuple(key)


def make_grouping(db: sqlite3.Connection, names: Sequence[str]) -> Grouping:
    """Return the grouping by some dimensions.

    Args:
        db: the store, which has the values of tags.
        names: keys of `DIMENSIONS`, or `tag.KEY`.

    Raises:
        ValueError: there is no such dimension.
    """
    return Grouping(tuple(_find_dimension(db, name) for name in names))


def _find_dimension(db: sqlite3.Connection, name: str) -> Dimension:
    if name in DIMENSIONS:
        return DIMENSIONS[name]
    if not is_dimension(name):
        raise ValueError(f"{name!r}: expected {', '.join(DIMENSIONS)} or {TAG_PREFIX}KEY")
    tags = read_tags(db, name[len(TAG_PREFIX) :])
    return Dimension((name,), ("origin",), lambda _, row: (tags.get(row[0]),))


def name_columns(by: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the parts of a key that dimensions make."""
    return tuple(
        column
        for name in by
        for column in (DIMENSIONS[name].columns if name in DIMENSIONS else (name,))
    )


def is_dimension(name: str) -> bool:
    """Return whether a name is a dimension."""
    return name in DIMENSIONS or (name.startswith(TAG_PREFIX) and name != TAG_PREFIX)


def read_group_origins(db: sqlite3.Connection, grouping: Grouping) -> Origins:
    """Return the origins of the store, if the keys of a grouping need them."""
    return read_origins(db) if "origin" in grouping.sql else {}

"""Adds up LLM calls, in groups of any dimensions."""

from __future__ import annotations

from functools import lru_cache, partial
from math import isfinite
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Sequence

from lupis_instrument._export.store.block_tables import LIST_UNIT, list_block_sums, list_sums
from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.blocks import BlockSums, find_block_sums, is_large, take_snapshot
from lupis_instrument._query.damaged_rows import count_damaged, suspicion
from lupis_instrument._query.filters import ALL_CALLS, CallFilter, SqlCondition, compile_filter
from lupis_instrument._query.groupings import Grouping, Key, make_grouping, read_group_origins
from lupis_instrument._query.percentiles import TimeLists

if TYPE_CHECKING:
    import sqlite3

_MAX_KEYS = 4096
_KEY_TYPES = {int, str, type(None)}
_MICROSECOND = 1000
"""The unit of the lists of times in a small store. Percentiles come from counts of equal times, and
the coarser times of a large store give fewer, larger counts."""

_COLUMNS = (
    *("provider", "model", "origin", "at", "duration", "first_chunk", "input_tokens"),
    *("output_tokens", "cached_tokens", "cost", "cost_status", "error"),
)
"""The columns that a report reads besides its dimensions."""


class Totals:
    """The sums over some calls.

    Attributes:
        calls: the number of calls.
        errors: the number of failed calls.
        input_tokens: the input tokens, cached ones included.
        output_tokens: the output tokens.
        cached_tokens: the input tokens that the provider read from its cache.
        cost: the cost in USD of the calls with a known cost; None if there are none.
        unknown: the number of calls whose tokens are unknown.
        unpriced: the number of calls without a known price.
        partial: the number of calls whose price is known in part.
        time: the sum of the calls' durations, in nanoseconds.
        priced: the number of calls with a known cost.
        latencies: the calls' durations.
        first_chunks: the times to the first pieces of the answers.
    """

    def __init__(self) -> None:
        self.calls = self.errors = 0
        self.input_tokens = self.output_tokens = self.cached_tokens = 0
        self.unknown = self.unpriced = self.partial = self.time = self.priced = 0
        self.cost: float | None = None
        self.latencies = TimeLists()
        self.first_chunks = TimeLists()

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[Any]], unit: int) -> Totals:
        """Add up rows of sums.

        Args:
            rows: the sums in the order of `SUMS`; at least one row.
            unit: the unit of the lists of times, in nanoseconds.
        """
        self = cls()
        columns = list(zip(*rows))
        figures = _add_up_columns([*columns[:5], *columns[6:11]])
        self.calls, self.errors = figures[:2]
        self.input_tokens, self.output_tokens, self.cached_tokens = figures[2:5]
        self.unknown, self.unpriced, self.partial, self.time, self.priced = figures[5:]
        costs = [cost for cost in columns[5] if cost is not None and isfinite(cost)]
        self.cost = sum(costs) if costs else None
        self.latencies, self.first_chunks = (TimeLists(texts, unit) for texts in columns[11:])
        return self

    @property
    def cached_share(self) -> float | None:
        """Return the part of the input tokens that came from a cache; None without input."""
        return self.cached_tokens / self.input_tokens if self.input_tokens else None

    @property
    def cost_per_call(self) -> float | None:
        """Return the mean cost in USD of the calls with a known cost; None without any."""
        return self.cost / self.priced if self.cost is not None and self.priced else None

    @property
    def latency(self) -> tuple[int | None, ...]:
        """Return the `PERCENTILES` of the latencies; read it after all `add`s."""
        return self.latencies.percentiles

    @property
    def first_chunk(self) -> tuple[int | None, ...]:
        """Return the `PERCENTILES` of the times to the first piece; read it after all `add`s."""
        return self.first_chunks.percentiles

    def add(self, other: Totals) -> None:
        """Count the calls of `other` too."""
        self.calls += other.calls
        self.errors += other.errors
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cached_tokens += other.cached_tokens
        self.unknown += other.unknown
        self.unpriced += other.unpriced
        self.partial += other.partial
        self.time += other.time
        self.priced += other.priced
        if other.cost is not None:
            self.cost = (self.cost or 0.0) + other.cost
        self.latencies.add(other.latencies)
        self.first_chunks.add(other.first_chunks)


def _add_up_columns(columns: Sequence[Sequence[float]]) -> list[int]:
    """Add up each column; leave out infinities and NaN, which a program may have set."""
    try:
        return [int(sum(numbers)) for numbers in columns]
    except (OverflowError, ValueError):
        return [int(sum(filter(isfinite, numbers))) for numbers in columns]


def add_up_calls(
    db: sqlite3.Connection, by: Sequence[str] = ("model",), call_filter: CallFilter = ALL_CALLS
) -> tuple[dict[Key, Totals], int]:
    """Return the totals of each group by its key, in the order of a report.

    Args:
        db: the store.
        by: the dimensions, see `groupings.DIMENSIONS`.
        call_filter: the calls to add up.

    Returns:
        The totals, and the number of damaged rows that they leave out.

    Raises:
        ValueError: there is no such dimension, or the filter names an unknown field.
    """
    grouping = make_grouping(db, by)
    condition = compile_filter(db, call_filter)
    columns = (*_COLUMNS, *grouping.sql)
    with take_snapshot(db):
        sums = find_block_sums(db, grouping.find_wanted(), call_filter)
        coarse = grouping._replace(may_be_finer=sums is None)
        totals, suspect = _add_up(db, coarse, condition, sums)
        damaged = 0
        if suspect:
            damaged = count_damaged(db, columns, condition.sql, condition.values)
            whole = f"{condition.sql} AND {types_condition(columns)}"
            totals, _ = _add_up(db, grouping, SqlCondition(whole, condition.values))
    order = _order_by_key if grouping.by_time else _order_by_cost
    return dict(sorted(totals.items(), key=order)), damaged


def _add_up(
    db: sqlite3.Connection,
    grouping: Grouping,
    condition: SqlCondition,
    sums: BlockSums | None = None,
) -> tuple[dict[Key, Totals], bool]:
    """Return the totals of each group, and whether there may be damaged rows among the calls."""
    origins = read_group_origins(db, grouping)
    unit = LIST_UNIT if is_large(db) else _MICROSECOND
    make_key = lru_cache(maxsize=_MAX_KEYS)(partial(grouping.make_key, origins))
    size, positions = len(grouping.sql), grouping.find_positions()
    groups: dict[Key, list[tuple[Any, ...]]] = {}
    suspect = False
    for row in _read_rows(db, grouping, condition, unit, sums):
        # Several rows may have the same key: SQL groups by quarters of an hour, a key by days.
        suspect = suspect or row[-1] > 0 or not _KEY_TYPES.issuperset(map(type, row[:size]))
        key = make_key(tuple([row[position] for position in positions]))
        groups.setdefault(key, []).append(row[size:-1])
    return {key: Totals.from_rows(rows, unit) for key, rows in groups.items()}, suspect


def _read_rows(
    db: sqlite3.Connection,
    grouping: Grouping,
    condition: SqlCondition,
    unit: int,
    sums: BlockSums | None,
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of sums: from blocks if they can be used, and from the other items."""
    if sums is None:
        yield from db.execute(build_statement(grouping, condition, unit), condition.values)
        return
    numbers = _number_columns(grouping)
    statement = (
        f"SELECT {', '.join(grouping.sql)}, {list_block_sums()}, 0 FROM {sums.table}"  # noqa: S608
        f" WHERE {sums.condition.sql} GROUP BY {numbers}"
    )
    yield from db.execute(statement, sums.condition.values)
    statement = build_statement(grouping, condition, unit, sums.items)
    yield from db.execute(statement, condition.values)


def add_up_groups(groups: Iterable[Totals]) -> Totals:
    """Return the totals of all groups together."""
    total = Totals()
    for totals in groups:
        total.add(totals)
    return total


def build_statement(
    grouping: Grouping, condition: SqlCondition, unit: int, source: str = "item"
) -> str:
    """Return the SQL that adds up the calls of each group, and its suspicious rows.

    Args:
        grouping: the groups.
        condition: the condition for the calls.
        unit: the unit of the lists of times, in nanoseconds.
        source: the items in SQL.
    """
    keys = ", ".join(grouping.sql)
    others = [column for column in _COLUMNS if column == "origin" or column not in grouping.sql]
    return (
        f"SELECT {keys}, {list_sums(unit)}, count(CASE WHEN {suspicion(others)} THEN 1 END)"  # noqa: S608
        f" FROM {source} WHERE {condition.sql} GROUP BY {_number_columns(grouping)}"
    )


def _number_columns(grouping: Grouping) -> str:
    """Return the numbers of the first columns of a statement: the expressions to group by."""
    return ", ".join(str(number + 1) for number in range(len(grouping.sql)))


def _order_by_key(item: tuple[Key, Totals]) -> Any:
    return [part or "" for part in item[0]]


def _order_by_cost(item: tuple[Key, Totals]) -> Any:
    key, totals = item
    return -(totals.cost or 0.0), -totals.calls, [part or "" for part in key]

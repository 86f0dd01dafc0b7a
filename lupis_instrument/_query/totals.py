"""Adds up LLM calls, in groups of any dimensions."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from functools import cached_property, lru_cache, partial
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping, Sequence

from lupis_instrument._export.store.block_tables import LIST_UNIT, list_block_sums, list_sums
from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.blocks import BlockSums, find_block_sums, is_large, take_snapshot
from lupis_instrument._query.damaged_rows import count_damaged, suspicion
from lupis_instrument._query.filters import ALL_CALLS, CallFilter, SqlCondition, compile_filter
from lupis_instrument._query.groupings import Grouping, Key, make_grouping, read_group_origins

if TYPE_CHECKING:
    import sqlite3

PERCENTILES = (50, 95, 99)
"""The percentiles of times in a report."""
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
    """

    def __init__(self) -> None:
        self.calls = self.errors = 0
        self.input_tokens = self.output_tokens = self.cached_tokens = 0
        self.unknown = self.unpriced = self.partial = self.time = self.priced = 0
        self.cost: float | None = None
        self._unit = 1
        self._latency_lists: list[str] = []
        self._first_chunk_lists: list[str] = []
        self._parts: list[Totals] = []

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[Any]], unit: int) -> Totals:
        """Add up rows of sums.

        Args:
            rows: the sums in the order of `SUMS`; at least one row.
            unit: the unit of the lists of times, in nanoseconds.
        """
        self = cls()
        columns = list(zip(*rows))
        self.calls, self.errors = map(_sum_finite, columns[:2])
        self.input_tokens, self.output_tokens, self.cached_tokens = map(_sum_finite, columns[2:5])
        costs = [cost for cost in columns[5] if cost is not None and isfinite(cost)]
        self.cost = sum(costs) if costs else None
        counts = map(_sum_finite, columns[6:11])
        self.unknown, self.unpriced, self.partial, self.time, self.priced = counts
        self._unit = unit
        self._latency_lists, self._first_chunk_lists = (
            [times for times in column if times] for column in columns[11:]
        )
        return self

    @cached_property
    def latencies(self) -> Counter[int]:
        """Return the number of calls by their duration; read it after all `add`s."""
        return self._count_all("_latency_lists", "latencies")

    @cached_property
    def first_chunks(self) -> Counter[int]:
        """Return the number of calls by the time to the first piece; read it after all `add`s."""
        return self._count_all("_first_chunk_lists", "first_chunks")

    def _count_all(self, lists: str, counts: str) -> Counter[int]:
        """Count the times in own lists and in the lists of all parts.

        Args:
            lists: the name of the attribute with the lists.
            counts: the name of the attribute with the counts. The counts that a part has made for
                its own percentiles are used again.
        """
        texts = list(getattr(self, lists))
        known: list[Counter[int]] = []
        for part in self._parts:
            if counts in vars(part):
                known.append(vars(part)[counts])
            else:
                texts += getattr(part, lists)
        total = _count_times(texts, self._unit)
        for times in known:
            total.update(times)
        return total

    @property
    def cached_share(self) -> float | None:
        """Return the part of the input tokens that came from a cache; None without input."""
        return self.cached_tokens / self.input_tokens if self.input_tokens else None

    @property
    def cost_per_call(self) -> float | None:
        """Return the mean cost in USD of the calls with a known cost; None without any."""
        return self.cost / self.priced if self.cost is not None and self.priced else None

    @cached_property
    def latency(self) -> tuple[int | None, ...]:
        """Return the `PERCENTILES` of the latencies; read it after all `add`s."""
        return find_percentiles(self.latencies)

    @cached_property
    def first_chunk(self) -> tuple[int | None, ...]:
        """Return the `PERCENTILES` of the times to the first piece; read it after all `add`s."""
        return find_percentiles(self.first_chunks)

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
        # The lists are counted once, when all are there.
        self._unit = other._unit
        self._parts += [other, *other._parts]


def _sum_finite(numbers: Sequence[float]) -> int:
    """Add up numbers without infinities and NaN, which a program may have set as tokens."""
    total = sum(numbers)
    return int(total if isfinite(total) else sum(filter(isfinite, numbers)))


def _count_times(lists: Sequence[str], unit: int) -> Counter[int]:
    """Count the equal times in lists of `group_concat`, which separates them by commas.

    Args:
        lists: the lists.
        unit: the unit of the times, in nanoseconds.
    """
    try:
        # The parser of JSON reads a million numbers in a third of the time that int() takes.
        counts = Counter(json.loads(f"[{','.join(lists)}]"))
    except (ValueError, TypeError):  # a damaged list
        numbers = (number for text in lists for number in text.split(","))
        counts = Counter(int(number) for number in numbers if re.fullmatch(r"-?\d+", number))
    return Counter({time * unit: count for time, count in counts.items()})


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


def find_percentiles(times: Mapping[int, int]) -> tuple[int | None, ...]:
    """Return the `PERCENTILES` of times by the nearest-rank method; None without times.

    A percentile P is the smallest time such that at least P percent of all are not above it.

    Args:
        times: time -> number of calls that took this long.
    """
    if not times:
        return (None,) * len(PERCENTILES)
    ordered = sorted(times)
    cumulative = list(accumulate(times[time] for time in ordered))
    # Minus before and after makes // round up.
    ranks = (-(-cumulative[-1] * percent // 100) for percent in PERCENTILES)
    return tuple(ordered[bisect_left(cumulative, rank)] for rank in ranks)

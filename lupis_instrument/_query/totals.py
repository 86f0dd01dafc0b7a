"""Adds up LLM calls, in groups of any dimensions."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from functools import cached_property, lru_cache, partial
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Sequence

from lupis_instrument._query.damaged_rows import count_damaged, suspicion, types_condition
from lupis_instrument._query.filters import ALL_CALLS, CallFilter, SqlCondition, compile_filter
from lupis_instrument._query.groupings import Grouping, Key, make_grouping, read_group_origins
from lupis_instrument._query.times import SECOND

if TYPE_CHECKING:
    import sqlite3

PERCENTILES = (50, 95, 99)
"""The percentiles of times in a report."""
_MAX_KEYS = 4096
_KEY_TYPES = {int, str, type(None)}
_MAX_EXACT_ITEMS = 100_000
_MICROSECOND, _MILLISECOND = 1000, 1_000_000

_COLUMNS = (
    *("provider", "model", "origin", "at", "duration", "first_chunk", "input_tokens"),
    *("output_tokens", "cached_tokens", "cost", "cost_status", "error"),
)
"""The columns that a report reads besides its dimensions."""
_SUMS = (
    # total(), because sum() raises an error on integer overflow: programs may set any number.
    "count(*), count(error), total(input_tokens), total(output_tokens), total(cached_tokens),"
    " sum(cost),"
    # The order of the conditions decides the time: a comparison of texts comes last.
    # CASE takes half the time of a condition as a number.
    " count(CASE WHEN input_tokens IS NULL AND output_tokens IS NULL"
    " AND cost_status = 'unpriced' THEN 1 END),"
    " count(CASE WHEN cost IS NULL AND cost_status = 'unpriced' THEN 1 END),"
    " count(CASE WHEN cost_status = 'partial' THEN 1 END), total(duration),"
    " count(cost),"
    " group_concat(duration / {unit}),"
    " group_concat(CAST(first_chunk * {units_per_second} AS INTEGER))"
)


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

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[Any]], unit: int) -> Totals:
        """Add up rows of `_SUMS`.

        Args:
            rows: the rows, at least one.
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
        return _count_times(self._latency_lists, self._unit)

    @cached_property
    def first_chunks(self) -> Counter[int]:
        """Return the number of calls by the time to the first piece; read it after all `add`s."""
        return _count_times(self._first_chunk_lists, self._unit)

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
        self._latency_lists += other._latency_lists
        self._first_chunk_lists += other._first_chunk_lists


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
    # The parser of JSON reads a million numbers in a third of the time that int() takes.
    counts = Counter(json.loads(f"[{','.join(lists)}]"))
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
    totals, suspect = _add_up(db, grouping, condition)
    damaged = 0
    if suspect:
        damaged = count_damaged(db, columns, condition.sql, condition.values)
        whole = f"{condition.sql} AND {types_condition(columns)}"
        totals, _ = _add_up(db, grouping, SqlCondition(whole, condition.values))
    order = _order_by_key if grouping.by_time else _order_by_cost
    return dict(sorted(totals.items(), key=order)), damaged


def _add_up(
    db: sqlite3.Connection, grouping: Grouping, condition: SqlCondition
) -> tuple[dict[Key, Totals], bool]:
    """Return the totals of each group, and whether there may be damaged rows among the calls."""
    origins = read_group_origins(db, grouping)
    unit = _choose_unit(db)
    make_key = lru_cache(maxsize=_MAX_KEYS)(partial(grouping.make_key, origins))
    size, positions = len(grouping.sql), grouping.find_positions()
    groups: dict[Key, list[tuple[Any, ...]]] = {}
    suspect = False
    for row in db.execute(build_statement(grouping, condition, unit), condition.values):
        # Several rows may have the same key: SQL groups by quarters of an hour, a key by days.
        suspect = suspect or row[-1] > 0 or not _KEY_TYPES.issuperset(map(type, row[:size]))
        key = make_key(tuple([row[position] for position in positions]))
        groups.setdefault(key, []).append(row[size:-1])
    return {key: Totals.from_rows(rows, unit) for key, rows in groups.items()}, suspect


def add_up_groups(groups: Iterable[Totals]) -> Totals:
    """Return the totals of all groups together."""
    total = Totals()
    for totals in groups:
        total.add(totals)
    return total


def build_statement(grouping: Grouping, condition: SqlCondition, unit: int) -> str:
    """Return the SQL that adds up the calls of each group, and its suspicious rows.

    Args:
        grouping: the groups.
        condition: the condition for the calls.
        unit: the unit of the lists of times, in nanoseconds.
    """
    sums = _SUMS.format(unit=unit, units_per_second=SECOND // unit)
    keys = ", ".join(grouping.sql)
    others = [column for column in _COLUMNS if column == "origin" or column not in grouping.sql]
    numbers = ", ".join(str(number + 1) for number in range(len(grouping.sql)))
    return (
        f"SELECT {keys}, {sums}, count(CASE WHEN {suspicion(others)} THEN 1 END)"  # noqa: S608
        f" FROM item WHERE {condition.sql} GROUP BY {numbers}"
    )


def _choose_unit(db: sqlite3.Connection) -> int:
    """Return the unit of times in nanoseconds: coarser for many items.

    Percentiles come from counts of equal times, and rounded times give fewer, larger counts. The
    ids tell roughly how many items there are, without counting them.
    """
    (ids,) = db.execute("SELECT (SELECT max(id) FROM item) - (SELECT min(id) FROM item)").fetchone()
    return _MICROSECOND if (ids or 0) < _MAX_EXACT_ITEMS else _MILLISECOND


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

"""Adds up the LLM calls in the store, in groups."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from functools import cached_property
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, NamedTuple, Sequence

from lupis_instrument._query.damaged_rows import count_damaged, types_condition
from lupis_instrument._query.times import SECOND, format_local_time

if TYPE_CHECKING:
    import sqlite3

PERCENTILES = (50, 95, 99)
"""The percentiles of times in a report."""
_MAX_EXACT_ITEMS = 100_000
_MICROSECOND, _MILLISECOND = 1000, 1_000_000
_QUARTER_HOUR = 900 * SECOND
"""Nanoseconds. In every time zone a day starts at a multiple of a quarter of an hour, UTC."""

_COLUMNS = (
    *("provider", "model", "origin", "at", "duration", "first_chunk", "input_tokens"),
    *("output_tokens", "cached_tokens", "cost", "cost_status", "error", "chat"),
)
"""The columns of the index `item_call`, which a report reads alone."""
_SUMS = (
    # total(), because sum() raises an error on integer overflow: programs may set any number.
    "count(*), count(error), total(input_tokens), total(output_tokens), total(cached_tokens),"
    " sum(cost),"
    " total(cost_status = 'unpriced' AND input_tokens IS NULL AND output_tokens IS NULL),"
    " total(cost_status = 'unpriced'), total(cost_status = 'partial'), total(duration),"
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
        latencies: duration in nanoseconds -> number of calls.
        first_chunks: nanoseconds from the start to the first piece of the answer -> number of
            calls.
    """

    def __init__(self) -> None:
        self.calls = self.errors = 0
        self.input_tokens = self.output_tokens = self.cached_tokens = 0
        self.unknown = self.unpriced = self.partial = self.time = 0
        self.cost: float | None = None
        self.latencies: Counter[int] = Counter()
        self.first_chunks: Counter[int] = Counter()

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
        counts = map(_sum_finite, columns[6:10])
        self.unknown, self.unpriced, self.partial, self.time = counts
        self.latencies, self.first_chunks = (_count_times(column, unit) for column in columns[10:])
        return self

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
        if other.cost is not None:
            self.cost = (self.cost or 0.0) + other.cost
        self.latencies.update(other.latencies)
        self.first_chunks.update(other.first_chunks)


def _sum_finite(numbers: Iterable[float]) -> int:
    """Add up numbers without infinities and NaN, which a program may have set as tokens."""
    return int(sum(number for number in numbers if isfinite(number)))


def _count_times(lists: Iterable[str | None], unit: int) -> Counter[int]:
    """Count the equal times in lists of `group_concat`, which separates them by commas.

    Args:
        lists: the lists; None for a list without times.
        unit: the unit of the times, in nanoseconds.
    """
    texts = list(filter(None, lists))
    counts = Counter(",".join(texts).split(",") if texts else ())
    return Counter({int(text) * unit: count for text, count in counts.items()})


class Grouping(NamedTuple):
    """A way to put calls into groups.

    Attributes:
        columns: the names of the parts of a group's key.
        sql: the three columns that the store groups by; the groups may be finer than the keys.
        make_key: turns the projects by origin and a row of the three columns into a key.
        by_time: whether the groups come in the order of their keys, not the most expensive first.
    """

    columns: tuple[str, ...]
    sql: str
    make_key: Callable[[Mapping[int, str | None], tuple[Any, ...]], tuple[str | None, ...]]
    by_time: bool = False


# The order of the index `item_call`: SQLite then groups the rows without sorting them.
_INDEXED = "provider, model, origin"

GROUPINGS = {
    "model": Grouping(("provider", "model"), _INDEXED, lambda _, row: row[:2]),
    "chat": Grouping(("chat",), "chat, 0, 0", lambda _, row: row[:1]),
    "day": Grouping(
        ("day",),
        f"at / {_QUARTER_HOUR}, 0, 0",
        lambda _, row: (format_local_time(row[0] * _QUARTER_HOUR, "%Y-%m-%d"),),
        by_time=True,
    ),
    "project": Grouping(("project",), _INDEXED, lambda projects, row: (projects.get(row[2]),)),
    "provider": Grouping(("provider",), _INDEXED, lambda _, row: row[:1]),
}


class CallFilter(NamedTuple):
    """The calls to add up; None stands for no condition.

    Attributes:
        since: the earliest start, nanoseconds since the epoch.
        chat: the chat id.
        run: the launch id or its first digits.
    """

    since: int | None = None
    chat: str | None = None
    run: str | None = None


_CONDITIONS = {
    "since": "at >= :since",
    "chat": "chat = :chat",
    "run": "origin IN (SELECT id FROM origin WHERE substr(run, 1, length(:run)) = :run)",
}


def add_up_calls(
    db: sqlite3.Connection, grouping: Grouping, call_filter: CallFilter
) -> tuple[dict[tuple[str | None, ...], Totals], int]:
    """Return the totals of each group by its key, in the order of a report.

    Returns:
        The totals, and the number of damaged rows that they leave out.
    """
    damaged = count_damaged(db, _COLUMNS, _build_condition(call_filter), call_filter._asdict())
    projects = {
        origin: project if isinstance(project, str) else None
        for origin, project in db.execute("SELECT id, project FROM origin")
    }
    unit = _choose_unit(db)
    groups: dict[tuple[str | None, ...], list[tuple[Any, ...]]] = {}
    for row in db.execute(
        build_statement(grouping, call_filter, unit, damaged=damaged > 0), call_filter._asdict()
    ):
        # Several rows may have the same key: SQL groups by quarters of an hour, a key by days.
        key = grouping.make_key(projects, row[:3])
        groups.setdefault(key, []).append(row[3:])
    totals = {key: Totals.from_rows(rows, unit) for key, rows in groups.items()}
    order = _order_by_key if grouping.by_time else _order_by_cost
    return dict(sorted(totals.items(), key=order)), damaged


def add_up_groups(groups: Iterable[Totals]) -> Totals:
    """Return the totals of all groups together."""
    total = Totals()
    for totals in groups:
        total.add(totals)
    return total


def build_statement(
    grouping: Grouping, call_filter: CallFilter, unit: int, *, damaged: bool = False
) -> str:
    """Return the SQL that adds up the calls of each group.

    Args:
        grouping: the groups.
        call_filter: the calls; the statement refers to its values by name.
        unit: the unit of the lists of times, in nanoseconds.
        damaged: whether there are damaged rows to leave out; looking for them takes time.
    """
    where = _build_condition(call_filter)
    if damaged:
        where += f" AND {types_condition(_COLUMNS)}"
    sums = _SUMS.format(unit=unit, units_per_second=SECOND // unit)
    return f"SELECT {grouping.sql}, {sums} FROM item WHERE {where} GROUP BY 1, 2, 3"  # noqa: S608


def _build_condition(call_filter: CallFilter) -> str:
    used = [name for name, value in call_filter._asdict().items() if value is not None]
    return " AND ".join(["provider IS NOT NULL", *(_CONDITIONS[name] for name in used)])


def _choose_unit(db: sqlite3.Connection) -> int:
    """Return the unit of times in nanoseconds: coarser for many items.

    Percentiles come from counts of equal times, and rounded times give fewer, larger counts. The
    ids tell roughly how many items there are, without counting them.
    """
    (ids,) = db.execute("SELECT (SELECT max(id) FROM item) - (SELECT min(id) FROM item)").fetchone()
    return _MICROSECOND if (ids or 0) < _MAX_EXACT_ITEMS else _MILLISECOND


def _order_by_key(item: tuple[tuple[str | None, ...], Totals]) -> Any:
    return item[0]


def _order_by_cost(item: tuple[tuple[str | None, ...], Totals]) -> Any:
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

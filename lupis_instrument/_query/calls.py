"""Adds up the LLM calls in the store."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from functools import cached_property
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, NamedTuple, Sequence

from lupis_instrument._query.amounts import SECOND, local

if TYPE_CHECKING:
    import sqlite3

SHARES = (50, 95, 99)
"""The percentiles that are told."""
_FEW = 100_000
_FINE, _COARSE = 1000, 1_000_000
_QUARTER = 900 * SECOND
"""In which all time zones' days begin and end."""

_SUMS = (
    # total() and not sum(), which gives up where a program has set tokens beyond all reason.
    "count(*), count(error), total(input_tokens), total(output_tokens), total(cached_tokens),"
    " sum(cost), total(cost_status = 'unpriced'), total(cost_status = 'partial'),"
    " total(duration), group_concat(duration / {unit}),"
    " group_concat(CAST(first_chunk * {a_second} AS INTEGER))"
)


class Totals:
    """What some calls add up to.

    Attributes:
        calls: how many.
        errors: how many of them failed.
        read: input tokens, those from the cache included.
        written: output tokens.
        cached: input tokens that came from the cache.
        cost: in USD, of those calls whose price is known; None where none is.
        unpriced: how many calls have no known price.
        partial: how many calls have a known price for a part only.
        time: nanoseconds, all calls after another.
        latencies: nanoseconds -> how many calls took that long.
        first_chunks: nanoseconds -> after how many calls' starts the first piece came.
    """

    def __init__(self) -> None:
        self.calls = self.errors = self.read = self.written = self.cached = 0
        self.unpriced = self.partial = self.time = 0
        self.cost: float | None = None
        self.latencies: Counter[int] = Counter()
        self.first_chunks: Counter[int] = Counter()

    @classmethod
    def of(cls, rows: Sequence[Sequence[Any]], unit: int) -> Totals:
        """Return what rows of `_SUMS` add up to; their times are in `unit` nanoseconds."""
        self = cls()
        columns = list(zip(*rows))
        self.calls, self.errors, self.read, self.written, self.cached = (
            _whole(column) for column in columns[:5]
        )
        costs = [cost for cost in columns[5] if cost is not None and isfinite(cost)]
        self.cost = sum(costs) if costs else None
        self.unpriced, self.partial, self.time = (_whole(column) for column in columns[6:9])
        self.latencies, self.first_chunks = (_spread(column, unit) for column in columns[9:])
        return self

    @cached_property
    def latency(self) -> tuple[int | None, ...]:
        """Its percentiles, of `SHARES`; to be asked for when all is counted."""
        return percentiles(self.latencies)

    @cached_property
    def first_chunk(self) -> tuple[int | None, ...]:
        """Those of the time to the first piece."""
        return percentiles(self.first_chunks)

    def add(self, other: Totals) -> None:
        """Count the calls of `other`, too."""
        self.calls += other.calls
        self.errors += other.errors
        self.read += other.read
        self.written += other.written
        self.cached += other.cached
        self.unpriced += other.unpriced
        self.partial += other.partial
        self.time += other.time
        if other.cost is not None:
            self.cost = (self.cost or 0.0) + other.cost
        self.latencies.update(other.latencies)
        self.first_chunks.update(other.first_chunks)


def _whole(numbers: Iterable[float]) -> int:
    """Return the sum of numbers, those left out that a program has set beyond all reason."""
    return int(sum(number for number in numbers if isfinite(number)))


def _spread(lists: Iterable[str | None], unit: int) -> Counter[int]:
    """Return how often each number stands in `lists`, which have commas between them."""
    texts = list(filter(None, lists))
    times = Counter(",".join(texts).split(",") if texts else ())
    return Counter({int(text) * unit: count for text, count in times.items()})


class Grouping(NamedTuple):
    """What is added up together.

    Attributes:
        columns: names of the parts that a group's key has.
        sql: what the store groups by, three columns; it may be finer than the key.
        key: makes the key of those.
        by_time: whether groups are shown in the order of their keys, and not the dearest first.
    """

    columns: tuple[str, ...]
    sql: str
    key: Callable[[Mapping[int, str | None], tuple[Any, ...]], tuple[str | None, ...]]
    by_time: bool = False


# In the order of the index `item_call`: what is grouped by it needs no sorting.
_INDEXED = "provider, model, origin"

GROUPINGS = {
    "model": Grouping(("provider", "model"), _INDEXED, lambda _, row: row[:2]),
    "chat": Grouping(("chat",), "chat, 0, 0", lambda _, row: row[:1]),
    "day": Grouping(
        ("day",),
        f"at / {_QUARTER}, 0, 0",
        lambda _, row: (local(row[0] * _QUARTER, "%Y-%m-%d"),),
        by_time=True,
    ),
    "project": Grouping(("project",), _INDEXED, lambda projects, row: (projects.get(row[2]),)),
    "provider": Grouping(("provider",), _INDEXED, lambda _, row: row[:1]),
}


class Chosen(NamedTuple):
    """Which calls.

    Attributes:
        since: nanoseconds since the epoch.
        chat: a chat id.
        run: a launch, or how its id begins.
    """

    since: int | None = None
    chat: str | None = None
    run: str | None = None


_WANTED = {
    "since": "at >= :since",
    "chat": "chat = :chat",
    "run": "origin IN (SELECT id FROM origin WHERE substr(run, 1, length(:run)) = :run)",
}


def add_up(
    db: sqlite3.Connection, grouping: Grouping, chosen: Chosen
) -> dict[tuple[str | None, ...], Totals]:
    """Return the totals of each group, in the order they are to be shown in."""
    projects = dict(db.execute("SELECT id, project FROM origin").fetchall())
    unit = _unit(db)
    groups: dict[tuple[str | None, ...], list[tuple[Any, ...]]] = {}
    for row in db.execute(_statement(grouping, chosen, unit), chosen._asdict()):
        key = grouping.key(projects, row[:3])
        groups.setdefault(key, []).append(row[3:])
    totals = {key: Totals.of(rows, unit) for key, rows in groups.items()}
    return dict(sorted(totals.items(), key=_by_key if grouping.by_time else _by_cost))


def _statement(grouping: Grouping, chosen: Chosen, unit: int) -> str:
    wanted = [_WANTED[name] for name, value in chosen._asdict().items() if value is not None]
    where = " AND ".join(["provider IS NOT NULL", *wanted])
    sums = _SUMS.format(unit=unit, a_second=SECOND // unit)
    return f"SELECT {grouping.sql}, {sums} FROM item WHERE {where} GROUP BY 1, 2, 3"  # noqa: S608


def _unit(db: sqlite3.Connection) -> int:
    """Return to how many nanoseconds times are told apart: the coarser, the faster they count."""
    (ids,) = db.execute("SELECT (SELECT max(id) FROM item) - (SELECT min(id) FROM item)").fetchone()
    return _FINE if (ids or 0) < _FEW else _COARSE


def _by_key(item: tuple[tuple[str | None, ...], Totals]) -> Any:
    return item[0]


def _by_cost(item: tuple[tuple[str | None, ...], Totals]) -> Any:
    key, totals = item
    return -(totals.cost or 0.0), -totals.calls, [each or "" for each in key]


def percentiles(times: Mapping[int, int]) -> tuple[int | None, ...]:
    """Return for each of `SHARES` the least of `times` that so many percent are not above.

    Args:
        times: time -> how many took that long; None is returned where there are none.
    """
    if not times:
        return (None,) * len(SHARES)
    ordered = sorted(times)
    passed = list(accumulate(times[each] for each in ordered))
    ranks = (-(-passed[-1] * share // 100) for share in SHARES)  # rounded up
    return tuple(ordered[bisect_left(passed, rank)] for rank in ranks)

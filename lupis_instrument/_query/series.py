"""Counts calls over time, for charts: calls a minute, their errors, tokens and cost."""

from __future__ import annotations

from operator import add
from typing import TYPE_CHECKING, Iterator, NamedTuple

from lupis_instrument._export.store.block_tables import QUARTER_HOUR
from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.blocks import QUARTER, find_block_sums, take_snapshot
from lupis_instrument._query.filters import ALL_CALLS, CallFilter, compile_filter, make_filter
from lupis_instrument._query.times import SECOND

if TYPE_CHECKING:
    import sqlite3

MINUTE = 60 * SECOND
"""Nanoseconds."""
_COLUMNS = ("at", "error", "input_tokens", "output_tokens", "cached_tokens", "cost")
_MAX_POINTS = 10_000


class Point(NamedTuple):
    """The calls that began in one step of time.

    Attributes:
        at: the start of the step, nanoseconds since the epoch.
        calls: the number of calls.
        errors: the number of failed calls.
        input_tokens: their input tokens.
        output_tokens: their output tokens.
        cached_tokens: the input tokens that came from a cache.
        cost: their known cost in USD.
    """

    at: int
    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0


def count_over_time(
    db: sqlite3.Connection,
    start: int,
    end: int,
    *,
    step: int = MINUTE,
    call_filter: CallFilter = ALL_CALLS,
) -> list[Point]:
    """Return a point for each step of a period, steps without calls included.

    Args:
        db: the store.
        start: the start of the period, nanoseconds since the epoch.
        end: its end; calls that begin then or later do not count.
        step: the length of a step in nanoseconds; longer if there would be over 10,000 steps.
        call_filter: the calls to count.
    """
    step = max(step, -(-(end - start) // _MAX_POINTS), 1)
    period = call_filter.also(*make_filter(since=start, until=end).conditions)
    sums: dict[int, tuple[float, ...]] = {}
    with take_snapshot(db):
        for number, *figures in _read_rows(db, period, step):
            known = sums.get(number, (0.0,) * len(figures))
            sums[number] = tuple(map(add, known, figures))
    points = {
        number: Point._make((number * step, *map(int, figures[:-1]), figures[-1]))
        for number, figures in sums.items()
    }
    numbers = range(start // step, max(start // step, (end - 1) // step) + 1)
    return [points.get(number, Point(number * step)) for number in numbers]


def _read_rows(db: sqlite3.Connection, period: CallFilter, step: int) -> Iterator[tuple[int, ...]]:
    """Yield the number of a step and its sums; a step may come twice."""
    condition, source = compile_filter(db, period), "item"
    sums = None if step % QUARTER_HOUR else find_block_sums(db, (QUARTER,), period)
    if sums is not None:
        source = sums.items
        yield from db.execute(
            "SELECT at / ?, total(calls), total(errors), total(input), total(output),"  # noqa: S608
            f" total(cached), total(cost) FROM {sums.table} WHERE {sums.condition.sql} GROUP BY 1",
            (step, *sums.condition.values),
        )
    yield from db.execute(
        "SELECT at / ?, count(*), count(error), total(input_tokens), total(output_tokens),"  # noqa: S608
        f" total(cached_tokens), total(cost) FROM {source} WHERE {condition.sql}"
        f" AND {types_condition(_COLUMNS)} GROUP BY 1",
        (step, *condition.values),
    )


def find_first_start(db: sqlite3.Connection, call_filter: CallFilter = ALL_CALLS) -> int | None:
    """Return the start of the first call, nanoseconds since the epoch; None without a call.

    Args:
        db: the store.
        call_filter: the calls to look at.
    """
    condition = compile_filter(db, call_filter)
    row = db.execute(
        f"SELECT at FROM item WHERE {condition.sql} AND {types_condition(('at',))}"  # noqa: S608
        " ORDER BY at LIMIT 1",
        condition.values,
    ).fetchone()
    return None if row is None else int(row[0])

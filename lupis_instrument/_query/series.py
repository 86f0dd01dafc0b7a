"""Counts calls over time, for charts: calls a minute, their errors, tokens and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.filters import ALL_CALLS, CallFilter, compile_filter
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
    condition = compile_filter(db, call_filter)
    first = start // step
    rows = db.execute(
        "SELECT at / ?, count(*), count(error), total(input_tokens), total(output_tokens),"  # noqa: S608
        f" total(cached_tokens), total(cost) FROM item WHERE {condition.sql}"
        f" AND at >= ? AND at < ? AND {types_condition(_COLUMNS)} GROUP BY 1",
        (step, *condition.values, start, end),
    )
    points = {
        number: Point(number * step, calls, errors, int(given), int(written), int(cached), cost)
        for number, calls, errors, given, written, cached, cost in rows
    }
    last = max(first, (end - 1) // step)
    return [points.get(number, Point(number * step)) for number in range(first, last + 1)]


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

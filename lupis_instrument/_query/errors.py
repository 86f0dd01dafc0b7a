"""Groups failed calls by their error."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.filters import ALL_CALLS, CallFilter, compile_filter
from lupis_instrument._query.items import read_trace_ids

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = ("at", "error", "provider", "model", "host", "trace")


class ErrorGroup(NamedTuple):
    """Failed calls with the same error, provider, model and host.

    Attributes:
        error: the HTTP status, or the type of the exception.
        provider: the provider.
        model: the model.
        host: the host of the request's URL.
        calls: the number of failed calls.
        retries: the number of these calls that were retries of an earlier request.
        first: the start of the first one, nanoseconds since the epoch.
        last: the start of the last one, nanoseconds since the epoch.
        trace: the trace id of the newest one, in hexadecimal.
    """

    error: str
    provider: str
    model: str | None
    host: str | None
    calls: int
    retries: int
    first: int
    last: int
    trace: str | None


def group_errors(
    db: sqlite3.Connection, call_filter: CallFilter = ALL_CALLS, limit: int = 1000
) -> list[ErrorGroup]:
    """Return the failed calls in groups, the largest group first.

    Args:
        db: the store.
        call_filter: the calls to look at.
        limit: the maximum number of groups.
    """
    condition = compile_filter(db, call_filter)
    rows = db.execute(
        "SELECT error, provider, model, host, count(*), total(resends > 0), min(at), max(at),"  # noqa: S608
        f" max(id) FROM item WHERE {condition.sql} AND error IS NOT NULL"
        f" AND {types_condition(_COLUMNS)}"
        " GROUP BY error, provider, model, host ORDER BY 5 DESC, 9 DESC LIMIT ?",
        (*condition.values, limit),
    ).fetchall()
    traces = read_trace_ids(db, [row[-1] for row in rows])
    return [
        ErrorGroup._make((*names, int(retries), first, last, traces.get(newest)))
        for *names, retries, first, last, newest in rows
    ]

"""Finds identical requests that a program sent more than once, and their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.filters import ALL_CALLS, CallFilter, SqlCondition, compile_filter
from lupis_instrument._query.items import read_trace_ids

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = ("at", "provider", "model", "fingerprint", "chat", "cost", "error")


class RepeatedRequest(NamedTuple):
    """Calls whose requests were identical.

    Attributes:
        fingerprint: the keyed hash of the request.
        provider: the provider.
        model: the model.
        calls: the number of calls.
        retries: the number of these calls that retried a failed one.
        chats: the number of conversations with such a call.
        cost: the known cost of all these calls in USD; None if there is none.
        repeated_cost: the part of the cost that a single call would have saved; None if unknown.
        first: the start of the first call, nanoseconds since the epoch.
        last: the start of the last call, nanoseconds since the epoch.
        trace: the trace id of the newest call, in hexadecimal.
    """

    fingerprint: str
    provider: str
    model: str | None
    calls: int
    retries: int
    chats: int
    cost: float | None
    repeated_cost: float | None
    first: int
    last: int
    trace: str | None


def find_repeats(
    db: sqlite3.Connection, call_filter: CallFilter = ALL_CALLS, limit: int = 100
) -> list[RepeatedRequest]:
    """Return the requests that were sent more than once, the most expensive repetition first.

    Args:
        db: the store.
        call_filter: the calls to look at.
        limit: the maximum number of requests.
    """
    condition = compile_filter(db, call_filter)
    # Without a filter, the order of the table is quicker than the order of any index.
    source = "item" if call_filter.conditions else "item NOT INDEXED"
    repeated = _find_repeated(db, source, condition)
    if not repeated:
        return []
    db.create_function("is_repeated", 1, repeated.__contains__)
    rows = db.execute(
        "SELECT fingerprint, provider, model, count(*), total(resends > 0), count(DISTINCT chat),"  # noqa: S608
        " sum(cost), sum(cost) - max(cost), min(at), max(at), max(id)"
        f" FROM {source} WHERE {condition.sql} AND is_repeated(CAST(fingerprint AS BLOB))"
        f" AND {types_condition(_COLUMNS)} GROUP BY fingerprint HAVING count(*) > 1"
        " ORDER BY 8 DESC, 4 DESC LIMIT ?",
        (*condition.values, limit),
    ).fetchall()
    traces = read_trace_ids(db, [row[-1] for row in rows])
    return [
        RepeatedRequest._make((*names, int(retries), *figures, traces.get(newest)))
        for (*names, retries), figures, newest in ((row[:5], row[5:-1], row[-1]) for row in rows)
    ]


def _find_repeated(db: sqlite3.Connection, source: str, condition: SqlCondition) -> set[bytes]:
    """Return the fingerprints that several calls have; nearly all of a million have one call.

    SQL alone would sort all calls, which takes several seconds. The fingerprints are bytes: a text
    of a damaged store may be no UTF-8, and functions for SQLite take no such text.
    """
    seen: set[int] = set()
    add = seen.add
    fingerprints = db.execute(
        f"SELECT CAST(fingerprint AS BLOB) FROM {source} WHERE {condition.sql}"  # noqa: S608
        f" AND {types_condition(['fingerprint'])} AND fingerprint IS NOT NULL",
        condition.values,
    )
    # Hashes take less memory than texts. Two texts with the same hash are told apart afterwards.
    return {
        fingerprint
        for (fingerprint,) in fingerprints
        if hash(fingerprint) in seen or add(hash(fingerprint))
    }

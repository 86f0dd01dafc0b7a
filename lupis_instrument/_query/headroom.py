"""Reads how much of their rate limits providers left: last, and least."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.filters import ALL_CALLS, CallFilter, compile_filter

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = ("at", "provider", "model", "host", "limits")
_WORD = re.compile(r"([a-z0-9-]{1,32})=(\d{1,15})/(\d{1,15})", re.ASCII)
_MAX_CALLS = 50_000


class Headroom(NamedTuple):
    """One rate limit of a model.

    Attributes:
        provider: the provider.
        model: the model.
        host: the host of the request's URL.
        kind: the kind of the limit, such as `requests` or `input-tokens`.
        limit: the limit that the provider reported last.
        last: the number that remained in the newest response.
        lowest: the smallest number that remained.
        lowest_at: the start of the call with the smallest number, nanoseconds since the epoch.
        at: the start of the newest call that reported the limit, nanoseconds since the epoch.
        calls: the number of calls that reported the limit.
    """

    provider: str
    model: str | None
    host: str | None
    kind: str
    limit: int
    last: int
    lowest: int
    lowest_at: int
    at: int
    calls: int

    @property
    def lowest_share(self) -> float:
        """Return the smallest part of the limit that remained, from 0 to 1."""
        return self.lowest / self.limit if self.limit else 0.0


def read_headroom(db: sqlite3.Connection, call_filter: CallFilter = ALL_CALLS) -> list[Headroom]:
    """Return the rate limits that the newest 50,000 responses report, the scarcest first.

    Args:
        db: the store.
        call_filter: the calls to look at.
    """
    condition = compile_filter(db, call_filter)
    rows = db.execute(
        f"SELECT at, provider, model, host, limits FROM item WHERE {condition.sql}"  # noqa: S608
        f" AND limits IS NOT NULL AND {types_condition(_COLUMNS)}"
        f" ORDER BY at DESC, id DESC LIMIT {_MAX_CALLS}",
        condition.values,
    )
    limits: dict[tuple[str, ...], Headroom] = {}
    for at, *names, text in rows:
        for kind, remaining, limit in _WORD.findall(text):
            key = (*names, kind)
            row = Headroom._make(
                (*names, kind, int(limit), int(remaining), int(remaining), at, at, 1)
            )
            limits[key] = _combine(limits[key], row) if key in limits else row
    return sorted(limits.values(), key=lambda row: (row.lowest_share, row.kind))


def _combine(newer: Headroom, older: Headroom) -> Headroom:
    """Return a row with the newest numbers of both rows, and the least."""
    lower = min(newer, older, key=lambda row: row.lowest)
    return newer._replace(
        lowest=lower.lowest, lowest_at=lower.lowest_at, calls=newer.calls + older.calls
    )

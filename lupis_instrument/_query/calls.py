"""Lists LLM calls: one row a call, in pages, the newest first or by another order."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Iterable, NamedTuple

from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.blocks import may_have_calls
from lupis_instrument._query.filters import ALL_CALLS, CallFilter, SqlCondition, compile_filter
from lupis_instrument._query.origins import Origins, read_origins

if TYPE_CHECKING:
    import sqlite3


class Call(NamedTuple):
    """An LLM call.

    Attributes:
        id: the row id; later items have higher ids.
        at: the start, nanoseconds since the epoch.
        duration: the length in nanoseconds.
        name: the name of the span.
        trace: the trace id in hexadecimal.
        span: the span id in hexadecimal.
        parent: the parent's span id in hexadecimal; None for the root of a trace.
        run: the id of the launch; None without one.
        project: the project.
        service: the service.
        pid: the process id.
        provider: the provider.
        operation: the operation, such as `chat`.
        model: the model.
        host: the host of the request's URL.
        status: the HTTP status of the response.
        error: the error type; None for success.
        retries: the number of the retry or redirect; 0 for a first request.
        chat: the chat id.
        user: the user id.
        session: the session id.
        organization: the organization id.
        input_tokens: the input tokens, cached ones included; None if unknown.
        output_tokens: the output tokens; None if unknown.
        cached_tokens: the input tokens that the provider read from its cache.
        cache_write_tokens: the input tokens that the provider wrote to its cache.
        reasoning_tokens: the output tokens used for reasoning.
        cost: the cost in USD; None if it is not known.
        cost_status: `priced`, `partial`, `free` or `unpriced`.
        first_chunk: the seconds to the first piece of the answer.
        fingerprint: the keyed hash of the request: identical requests have the same one.
        limits: the rate limits that the response reports, such as `requests=59/60`.
    """

    id: int
    at: int
    duration: int
    name: str
    trace: str
    span: str
    parent: str | None
    run: str | None
    project: str | None
    service: str | None
    pid: int | None
    provider: str
    operation: str | None
    model: str | None
    host: str | None
    status: int | None
    error: str | None
    retries: int
    chat: str | None
    user: str | None
    session: str | None
    organization: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost: float | None
    cost_status: str | None
    first_chunk: float | None
    fingerprint: str | None
    limits: str | None

    @property
    def end(self) -> int:
        """Return the end, nanoseconds since the epoch."""
        return self.at + self.duration


class Cursor(NamedTuple):
    """The place of a call in the order of time, from where the next page goes on.

    Attributes:
        at: the start of the call, nanoseconds since the epoch.
        id: the row id of the call.
    """

    at: int
    id: int


class Page(NamedTuple):
    """A page of calls.

    Attributes:
        calls: the calls, in order.
        next: the cursor for the next page; None after the last page, and in other orders.
    """

    calls: list[Call]
    next: Cursor | None


class CallOrder(Enum):
    """An order of calls, by its SQL."""

    NEWEST = "at DESC, id DESC"
    OLDEST = "at, id"
    SLOWEST = "duration DESC, id DESC"
    DEAREST = "cost DESC, id DESC"


_NEXT_PAGE = {CallOrder.NEWEST: "(at, id) < (?, ?)", CallOrder.OLDEST: "(at, id) > (?, ?)"}
_ORIGIN_FIELDS = ("run", "project", "service", "pid")
_SQL_NAMES = {"retries": "resends", **dict.fromkeys(_ORIGIN_FIELDS, "origin")}
_COLUMNS = tuple(_SQL_NAMES.get(field, field) for field in Call._fields)
_IDS = tuple(Call._fields.index(name) for name in ("trace", "span", "parent"))
_NUMBERS = tuple(
    Call._fields.index(name)
    for name in (
        *("status", "retries", "input_tokens", "output_tokens", "cached_tokens"),
        *("cache_write_tokens", "reasoning_tokens", "cost", "first_chunk"),
    )
)
_ORIGIN = Call._fields.index("run")
_RETRIES = Call._fields.index("retries")


def list_calls(
    db: sqlite3.Connection,
    call_filter: CallFilter = ALL_CALLS,
    *,
    order: CallOrder = CallOrder.NEWEST,
    limit: int = 100,
    after: Cursor | None = None,
) -> Page:
    """Return a page of calls.

    Args:
        db: the store.
        call_filter: the calls to list.
        order: the order; only the orders of time have more than one page.
        limit: the maximum number of calls.
        after: the cursor of the page before; None for the first page.

    Raises:
        ValueError: the filter names an unknown field.
    """
    condition = compile_filter(db, call_filter)
    if after is None and not may_have_calls(db, call_filter):
        return Page([], None)
    if after is not None:
        sql = f"{condition.sql} AND {_NEXT_PAGE[order]}"
        condition = SqlCondition(sql, (*condition.values, *after))
    if order not in _NEXT_PAGE:
        # The inner statement can read an index alone, a tenth of the table.
        ids = f"SELECT id FROM item WHERE {condition.sql} ORDER BY {order.value} LIMIT ?"  # noqa: S608
        condition = SqlCondition(f"id IN ({ids})", (*condition.values, limit))
    rows = db.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM item WHERE {condition.sql}"  # noqa: S608
        f" AND {types_condition(_COLUMNS)} ORDER BY {order.value} LIMIT ?",
        (*condition.values, limit + 1),
    ).fetchall()
    calls = make_calls(rows[:limit], read_origins(db))
    is_last = len(rows) <= limit or order not in _NEXT_PAGE
    return Page(calls, None if is_last else Cursor(calls[-1].at, calls[-1].id))


def find_calls_after(
    db: sqlite3.Connection, last_id: int, call_filter: CallFilter = ALL_CALLS, limit: int = 1000
) -> list[Call]:
    """Return the calls that programs have stored since, in the order of storing.

    Args:
        db: the store.
        last_id: the highest id already known, see `items.find_last_id`.
        call_filter: the calls to return.
        limit: the maximum number of calls.
    """
    condition = compile_filter(db, call_filter)
    rows = db.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM item WHERE id > ? AND {condition.sql}"  # noqa: S608
        f" AND {types_condition(_COLUMNS)} ORDER BY id LIMIT ?",
        (last_id, *condition.values, limit),
    ).fetchall()
    return make_calls(rows, read_origins(db))


def make_calls(rows: Iterable[tuple[Any, ...]], origins: Origins) -> list[Call]:
    """Return calls from rows of `_COLUMNS`."""
    return [_make_call(row, origins) for row in rows]


def _make_call(row: tuple[Any, ...], origins: Origins) -> Call:
    values = list(row)
    for index in _IDS:
        values[index] = None if values[index] is None else values[index].hex()
    for index in _NUMBERS:  # a program may have set a figure to a text
        if isinstance(values[index], str):
            values[index] = None
    values[_RETRIES] = values[_RETRIES] or 0
    origin = origins.get(values[_ORIGIN])
    for index, name in enumerate(_ORIGIN_FIELDS, _ORIGIN):
        values[index] = getattr(origin, name, None)
    return Call._make(values)

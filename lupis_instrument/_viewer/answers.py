"""Answers about many calls: sums, series, lists of calls, runs and conversations."""

from __future__ import annotations

import os
from functools import lru_cache
from operator import attrgetter
from time import time_ns
from typing import TYPE_CHECKING, Any, Callable

from lupis_instrument._config.config import resolve_settings
from lupis_instrument._export.store.block_tables import QUARTER_HOUR
from lupis_instrument._query.calls import CallOrder, Cursor, list_calls
from lupis_instrument._query.conversations import list_conversations
from lupis_instrument._query.errors import group_errors
from lupis_instrument._query.events import list_events
from lupis_instrument._query.headroom import read_headroom
from lupis_instrument._query.items import find_last_id
from lupis_instrument._query.outbox import count_items, count_refused, count_waiting
from lupis_instrument._query.runs import list_runs
from lupis_instrument._query.series import count_over_time, find_first_start
from lupis_instrument._query.totals import add_up_calls, add_up_groups
from lupis_instrument._viewer.call_json import (
    make_calls_json,
    make_conversation_json,
    make_run_json,
    make_totals_json,
)
from lupis_instrument._viewer.question import BadQuestionError, Question, to_milliseconds

if TYPE_CHECKING:
    from lupis_instrument._query.headroom import Headroom
    from lupis_instrument._query.totals import Totals

_MAX_ERROR_GROUPS = 6
_HOUR = 3600 * 10**9
_ORDERS = {
    "newest": CallOrder.NEWEST,
    "slowest": CallOrder.SLOWEST,
    "dearest": CallOrder.DEAREST,
}
_SORTS: dict[str, Callable[[Totals], float | None]] = {
    **{
        name: attrgetter(name)
        for name in ("cost", "calls", "errors", "input_tokens", "output_tokens", "cost_per_call")
    },
    "p95_ms": lambda totals: totals.latency[1],
}


def answer_summary(question: Question) -> dict[str, Any]:
    """Return the sums of the period."""
    db = question.store.db
    groups, _ = add_up_calls(db, ("error",), question.calls)
    total = make_totals_json(add_up_groups(groups.values()))
    errors = sorted(
        ((key[0], totals.calls) for key, totals in groups.items() if key[0] is not None),
        key=lambda group: -group[1],
    )
    return {
        **total,
        "errors": {
            "total": total["errors"],
            "groups": [
                {"error": error, "calls": calls} for error, calls in errors[:_MAX_ERROR_GROUPS]
            ],
        },
        "last_change": find_last_id(db),
    }


def answer_series(question: Question) -> dict[str, Any]:
    """Return calls, errors, tokens and cost over time."""
    db = question.store.db
    end = question.until or time_ns()
    start = question.since
    if start is None:
        start = find_first_start(db, question.calls) or end - _HOUR
    start = min(start, end - 1)
    step = max((end - start) // question.read_number("points", 60), 1)
    if step > QUARTER_HOUR:
        step = -(-step // QUARTER_HOUR) * QUARTER_HOUR  # the steps of the stored sums
    points = count_over_time(db, start, end, step=step, call_filter=question.words)
    names = ("calls", "errors", "input_tokens", "output_tokens", "cost")
    return {
        "step_ms": to_milliseconds(step),
        "points": [
            {
                "at_ms": to_milliseconds(point.at),
                **{name: getattr(point, name) for name in names},
            }
            for point in points
        ],
    }


def answer_calls(question: Question) -> dict[str, Any]:
    """Return a page of calls."""
    word = question.read_text("order", "newest")
    if word not in _ORDERS:
        raise BadQuestionError(f"order={word[:40]}: expected {', '.join(_ORDERS)}")
    db, order = question.store.db, _ORDERS[word]
    page = list_calls(
        db,
        question.calls,
        order=order,
        limit=question.read_number("limit", 100),
        after=read_cursor(question) if order is CallOrder.NEWEST else None,
    )
    return {"calls": make_calls_json(db, page.calls), "next": write_cursor(page.next)}


def read_cursor(question: Question) -> Cursor | None:
    """Return the cursor of a question; None for the first page.

    Raises:
        BadQuestionError: it is no cursor.
    """
    text = question.read_text("cursor")
    if not text:
        return None
    try:
        at, _, id_ = text.rpartition("-")
        return Cursor(int(at), int(id_))
    except ValueError:
        raise BadQuestionError(f"cursor={text[:40]}: expected the value of `next`") from None


def write_cursor(cursor: Cursor | None) -> str | None:
    """Return a cursor as text."""
    return None if cursor is None else f"{cursor.at}-{cursor.id}"


def answer_runs(question: Question) -> dict[str, Any]:
    """Return a page of runs, the newest first."""
    limit = question.read_number("limit", 50)
    after = question.read_text("cursor") or None
    runs = list_runs(question.store.db, limit=limit, since=question.since, after=after)
    following = runs[-1].id if len(runs) == limit else None
    return {"runs": [make_run_json(run) for run in runs], "next": following}


def answer_conversations(question: Question) -> dict[str, Any]:
    """Return a page of conversations, the one with the newest call first."""
    limit = question.read_number("limit", 50)
    start = question.read_number("cursor", 1, 1_000_000) - 1
    listed = list_conversations(question.store.db, question.calls, limit=start + limit)[start:]
    return {
        "conversations": [make_conversation_json(conversation) for conversation in listed],
        "next": str(start + limit + 1) if len(listed) == limit else None,
    }


def answer_totals(question: Question) -> dict[str, Any]:
    """Return the sums of groups of calls."""
    by = [name for name in question.parameters.get("by", ()) if name] or ["model"]
    sort = question.read_text("sort", "cost")
    if sort not in _SORTS:
        raise BadQuestionError(f"sort={sort[:40]}: expected {', '.join(_SORTS)}")
    try:
        groups, _ = add_up_calls(question.store.db, by, question.calls)
    except ValueError as error:
        raise BadQuestionError(str(error)) from None
    listed = [*groups.items()]
    if "sort" in question.parameters:
        listed.sort(key=lambda group: -(_SORTS[sort](group[1]) or 0))
    return {
        "by": by,
        "groups": [
            {"key": list(key), **make_totals_json(totals)}
            for key, totals in listed[: question.read_number("limit", 100)]
        ],
        "total": make_totals_json(add_up_groups(groups.values())),
    }


def answer_errors(question: Question) -> dict[str, Any]:
    """Return failed calls by their error, and the rate limits that providers report."""
    db, calls = question.store.db, question.calls
    groups = [
        {
            "error": group.error,
            "status": int(group.error) if group.error.isdecimal() else None,
            "provider": group.provider,
            "model": group.model,
            "host": group.host,
            "calls": group.calls,
            "retries": group.retries,
            "first_ms": to_milliseconds(group.first),
            "last_ms": to_milliseconds(group.last),
            "last_trace_id": group.trace,
        }
        for group in group_errors(db, calls, question.read_number("limit", 100))
    ]
    return {"groups": groups, "limits": [*map(_make_limit_json, read_headroom(db, calls))]}


def _make_limit_json(row: Headroom) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "model": row.model,
        "kind": row.kind,
        "limit": row.limit,
        "remaining": row.last,
        "lowest_remaining": row.lowest,
        "at_ms": to_milliseconds(row.at),
    }


def answer_events(question: Question) -> dict[str, Any]:
    """Return a page of events, the newest first."""
    limit = question.read_number("limit", 100)
    before = (
        question.read_number("cursor", 1 << 30, 1 << 30)
        if "cursor" in question.parameters
        else None
    )
    events = list_events(question.store.db, since=question.since or 0, limit=limit, before=before)
    return {
        "events": [
            {
                "id": event.id,
                "name": event.name,
                "at_ms": to_milliseconds(event.at),
                "chat": event.chat,
                "user": event.user,
                "run": event.run,
                "properties": event.properties,
            }
            for event in events
        ],
        "next": str(events[-1].id) if len(events) == limit else None,
    }


@lru_cache(maxsize=1)
def _read_max_bytes() -> int:
    """Return the size that the settings allow for the store."""
    return int(resolve_settings(os.environ, None, launched=True).config.store_max_mb * (1 << 20))


def answer_delivery(question: Question) -> dict[str, Any]:
    """Return the state of the outbox and of the store's file."""
    store = question.store
    waiting = count_waiting(store.db)
    path = store.path
    size = path.stat().st_size if path is not None and store.exists else 0
    return {
        "outbox": {
            "waiting": waiting.items,
            "bytes": waiting.size,
            "oldest_ms": to_milliseconds(waiting.oldest),
        },
        "refused": [
            {
                "endpoint": refused.endpoint,
                "items": refused.items,
                "at_ms": to_milliseconds(refused.newest),
            }
            for refused in count_refused(store.db)
        ],
        "store": {
            "path": store.shown_path,
            "bytes": size,
            "items": count_items(store.db),
            "limit_bytes": _read_max_bytes(),
        },
    }

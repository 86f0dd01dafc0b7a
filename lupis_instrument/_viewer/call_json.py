"""The JSON of calls, runs and totals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable

from lupis_instrument._query.runs import SHORT_ID_DIGITS
from lupis_instrument._query.span_bodies import NO_DETAILS, read_details
from lupis_instrument._viewer.question import to_milliseconds

if TYPE_CHECKING:
    import sqlite3

    from lupis_instrument._query.calls import Call
    from lupis_instrument._query.conversations import Conversation
    from lupis_instrument._query.runs import Run
    from lupis_instrument._query.span_bodies import CallDetails
    from lupis_instrument._query.totals import Totals

_SAME_NAMES = (
    *("run", "chat", "user", "session", "organization", "project", "service", "operation"),
    *("provider", "model", "host", "status", "error", "input_tokens", "cached_tokens"),
    *("cache_write_tokens", "output_tokens", "reasoning_tokens", "cost", "cost_status"),
    "fingerprint",
)
"""Fields of `Call` that have the same name in JSON."""


def make_calls_json(db: sqlite3.Connection, calls: Iterable[Call]) -> list[dict[str, Any]]:
    """Return calls with the details that their bodies have."""
    listed = list(calls)
    details = read_details(db, (call.id for call in listed))
    return [_make_call_json(call, details.get(call.id, NO_DETAILS)) for call in listed]


def _make_call_json(call: Call, details: CallDetails) -> dict[str, Any]:
    return {
        "id": call.id,
        "trace_id": call.trace,
        "span_id": call.span,
        **{name: getattr(call, name) for name in _SAME_NAMES},
        "run_short": None if call.run is None else call.run[:SHORT_ID_DIGITS],
        "retry": call.retries,
        "at_ms": to_milliseconds(call.at),
        "duration_ms": to_milliseconds(call.duration),
        "first_token_ms": None if call.first_chunk is None else call.first_chunk * 1000,
        "stream": details.stream,
        "tools": list(details.tools),
        "cost_reason": details.reason,
    }


def make_run_json(run: Run) -> dict[str, Any]:
    """Return a run with its totals."""
    return {
        "id": run.id,
        "short": run.short_id,
        "at_ms": to_milliseconds(run.at),
        "duration_ms": to_milliseconds(run.duration),
        "command": run.command,
        "project": run.project,
        "service": run.service,
        "processes": run.processes,
        "calls": run.calls,
        "errors": run.errors,
        "input_tokens": run.input_tokens,
        "cached_share": divide(run.cached_tokens, run.input_tokens),
        "output_tokens": run.output_tokens,
        "cost": run.cost,
        "unpriced": run.unpriced,
    }


def make_conversation_json(conversation: Conversation) -> dict[str, Any]:
    """Return a conversation with its totals."""
    return {
        "chat": conversation.chat,
        "at_ms": to_milliseconds(conversation.at),
        "last_ms": to_milliseconds(conversation.end),
        "calls": conversation.calls,
        "errors": conversation.errors,
        "models": (conversation.models or "").split(",") if conversation.models else [],
        "user": conversation.user,
        "input_tokens": conversation.input_tokens,
        "cached_share": divide(conversation.cached_tokens, conversation.input_tokens),
        "output_tokens": conversation.output_tokens,
        "cost": conversation.cost,
        "unpriced": conversation.unpriced,
    }


def make_totals_json(totals: Totals) -> dict[str, Any]:
    """Return sums and percentiles of calls."""
    p50, p95, _ = totals.latency
    has_tokens = totals.unknown < totals.calls or not totals.calls
    return {
        "calls": totals.calls,
        "errors": totals.errors,
        "input_tokens": totals.input_tokens if has_tokens else None,
        "cached_tokens": totals.cached_tokens if has_tokens else None,
        "cached_share": totals.cached_share,
        "output_tokens": totals.output_tokens if has_tokens else None,
        "cost": totals.cost,
        "unpriced": totals.unpriced,
        "cost_per_call": totals.cost_per_call,
        "p50_ms": to_milliseconds(p50),
        "p95_ms": to_milliseconds(p95),
        "first_token_p50_ms": to_milliseconds(totals.first_chunk[0]),
    }


def divide(part: float, whole: float) -> float | None:
    """Return a share; None of nothing."""
    return part / whole if whole else None

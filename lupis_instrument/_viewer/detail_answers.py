"""Answers about one run, trace or conversation, about the cache, and about two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lupis_instrument._query.calls import CallOrder, list_calls
from lupis_instrument._query.comparison import compare_calls
from lupis_instrument._query.conversations import find_conversation_calls, summarize_conversation
from lupis_instrument._query.filters import make_filter
from lupis_instrument._query.items import Item, read_body
from lupis_instrument._query.otlp_json import plain_attributes
from lupis_instrument._query.repeats import find_repeats
from lupis_instrument._query.runs import RunNotFoundError, resolve_run, summarize_run
from lupis_instrument._query.span_bodies import read_span
from lupis_instrument._query.totals import add_up_calls, add_up_groups
from lupis_instrument._query.traces import TRACE_ID_DIGITS, find_trace_spans, walk_span_tree
from lupis_instrument._query.turns import find_turns, make_turns_json
from lupis_instrument._viewer.answers import read_cursor, write_cursor
from lupis_instrument._viewer.call_json import (
    make_calls_json,
    make_conversation_json,
    make_run_json,
)
from lupis_instrument._viewer.question import (
    BadQuestionError,
    MissingError,
    Question,
    to_milliseconds,
)
from lupis_instrument._viewer.savings import estimate_savings

if TYPE_CHECKING:
    import sqlite3

    from lupis_instrument._query.comparison import Change
    from lupis_instrument._query.runs import Run

_MAX_SPANS = 2000
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")


def answer_run(question: Question) -> dict[str, Any]:
    """Return a run and its calls in the order of time."""
    db = question.store.db
    run = _find_run(db, question.name)
    page = list_calls(
        db,
        make_filter(run=run.id).also(*question.words.conditions),
        order=CallOrder.OLDEST,
        limit=question.read_number("limit", 500),
        after=read_cursor(question),
    )
    calls = make_calls_json(db, page.calls)
    return {
        **make_run_json(run),
        "call_count": run.calls,
        "turns": make_turns_json(find_turns(db, page.calls)),
        "calls": calls,
        "next": write_cursor(page.next),
    }


def _find_run(db: sqlite3.Connection, prefix: str) -> Run:
    try:
        run = summarize_run(db, resolve_run(db, prefix))
    except RunNotFoundError as error:
        raise MissingError(str(error)) from None
    if run is None:
        raise MissingError(f"no run {prefix[:64]}")
    return run


def answer_trace(question: Question) -> dict[str, Any]:
    """Return the spans of a trace, parents before their children."""
    db, trace = question.store.db, question.name.lower()
    if len(trace) != TRACE_ID_DIGITS or not set(trace) <= set("0123456789abcdef"):
        raise BadQuestionError("expected a trace id of 32 hexadecimal digits")
    spans = find_trace_spans(db, trace)
    if not spans:
        raise MissingError(f"no trace {trace}")
    start, end = min(span.at for span in spans), max(span.at for span in spans)
    period = make_filter(since=start, until=end + 1, trace=trace)
    page = list_calls(db, period, order=CallOrder.OLDEST, limit=_MAX_SPANS)
    calls = {call["id"]: call for call in make_calls_json(db, page.calls)}
    ordered = [span for _, span in walk_span_tree(spans)]
    return {
        "trace_id": trace,
        "turns": make_turns_json(find_turns(db, page.calls)),
        "spans": [_make_span_json(db, span, calls.get(span.id)) for span in ordered[:_MAX_SPANS]],
        "omitted": max(0, len(ordered) - _MAX_SPANS),
    }


def _make_span_json(
    db: sqlite3.Connection, span: Item, call: dict[str, Any] | None
) -> dict[str, Any]:
    body = read_span(read_body(db, span))
    status = body.get("status", {})
    return {
        "id": span.id,
        "span_id": None if span.span is None else span.span.hex(),
        "parent_id": None if span.parent is None else span.parent.hex(),
        "name": span.name,
        "kind": _name_number(_KINDS, body.get("kind", 0)),
        "at_ms": to_milliseconds(span.at),
        "duration_ms": to_milliseconds(span.duration),
        "first_token_ms": None if call is None else call["first_token_ms"],
        "is_call": call is not None,
        "call": call,
        "status": _name_number(_STATUSES, status.get("code", 0)),
        "status_message": status.get("message"),
        "error": span.error,
        "attributes": body.get("plain", {}),
        "events": [
            {
                "name": event.get("name", ""),
                "at_ms": to_milliseconds(int(event.get("timeUnixNano", 0))),
                "attributes": plain_attributes(event),
            }
            for event in body.get("events", ())
        ],
    }


def _name_number(names: tuple[str, ...], number: Any) -> str:
    return names[number] if isinstance(number, int) and number < len(names) else names[0]


def answer_conversation(question: Question) -> dict[str, Any]:
    """Return a conversation and its calls in the order of time."""
    db = question.store.db
    conversation = summarize_conversation(db, question.name)
    if conversation is None:
        raise MissingError(f"no conversation {question.name[:200]}")
    calls = find_conversation_calls(db, question.name)[: question.read_number("limit", 1000)]
    return {
        **make_conversation_json(conversation),
        "call_count": conversation.calls,
        "calls": make_calls_json(db, calls),
    }


def answer_compare(question: Question) -> dict[str, Any]:
    """Return two runs side by side, model by model."""
    db = question.store.db
    first, second = (_find_run(db, _require(question, name)) for name in "ab")
    comparison = compare_calls(db, make_filter(run=first.id), make_filter(run=second.id))
    return {
        "a": make_run_json(first),
        "b": make_run_json(second),
        "rows": [_make_change_json(change) for change in comparison.changes],
    }


def _require(question: Question, name: str) -> str:
    text = question.read_text(name)
    if not text:
        raise BadQuestionError(f"expected {name}=RUN")
    return text


def _make_change_json(change: Change) -> dict[str, Any]:
    both = (change.before, change.after)
    names = ("calls", "errors", "input_tokens", "output_tokens", "cost")
    return {
        "provider": change.key[0],
        "model": change.key[1],
        **{name: [getattr(totals, name) for totals in both] for name in names},
        "p95_ms": [to_milliseconds(totals.latency[1]) for totals in both],
    }


def answer_cache(question: Question) -> dict[str, Any]:
    """Return the share of cached tokens, the cost that caching saved, and repeated requests."""
    db, calls = question.store.db, question.calls
    groups, _ = add_up_calls(db, ("model",), calls)
    total = add_up_groups(groups.values())
    repeats = find_repeats(db, calls, question.read_number("limit", 100))
    models = []
    for (provider, model), totals in groups.items():
        saved = estimate_savings(provider, model, totals.cached_tokens)
        models.append(
            {
                "provider": provider,
                "model": model,
                "calls": totals.calls,
                "input_tokens": totals.input_tokens,
                "cached_tokens": totals.cached_tokens,
                "cached_share": totals.cached_share,
                "saved": saved,
                "cost": totals.cost,
            }
        )
    return {
        "cached_share": total.cached_share,
        "cached_tokens": total.cached_tokens,
        "input_tokens": total.input_tokens,
        "saved": _sum_known(row["saved"] for row in models),
        "could_save": _sum_known(repeat.repeated_cost for repeat in repeats),
        "by_model": models,
        "repeated": [
            {
                "fingerprint": repeat.fingerprint,
                "calls": repeat.calls,
                "retries": repeat.retries,
                "provider": repeat.provider,
                "model": repeat.model,
                "cost": repeat.cost,
                "repeated_cost": repeat.repeated_cost,
                "last_ms": to_milliseconds(repeat.last),
                "last_trace_id": repeat.trace,
            }
            for repeat in repeats
        ],
    }


def _sum_known(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None

"""Finds traces in the store, adds up their spans and orders them as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Iterator, NamedTuple

from lupis_instrument._export.otlp.encoded_items import SPAN
from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.damaged_rows import count_damaged
from lupis_instrument._query.filters import SqlCondition
from lupis_instrument._query.items import Item, find_items, sum_costs
from lupis_instrument._query.origins import read_origins, select_origins

if TYPE_CHECKING:
    import sqlite3

TRACE_ID_DIGITS = 32
"""Hexadecimal digits of a trace id (W3C Trace Context)."""


class TraceSummary(NamedTuple):
    """Totals of one trace.

    Attributes:
        trace: the trace id in hexadecimal.
        root: the span without a parent; the first span if the store lacks the root.
        at: the start of the first span, nanoseconds since the epoch.
        end: the end of the last span, nanoseconds since the epoch.
        spans: the number of spans.
        calls: the number of LLM calls among them.
        errors: the number of failed spans.
        input_tokens: the input tokens of all calls.
        output_tokens: the output tokens of all calls.
        cost: the cost in USD; None if no call has a known cost.
        unpriced: the number of calls without a known price.
        chat: the first chat id.
    """

    trace: str
    root: Item
    at: int
    end: int
    spans: int
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    unpriced: int
    chat: str | None


def list_traces(
    db: sqlite3.Connection,
    since: int | None = None,
    limit: int = 20,
    *,
    run: str | None = None,
) -> tuple[list[TraceSummary], int]:
    """Return the traces with the newest spans, ordered by start, the latest first.

    Args:
        db: the store.
        since: the earliest start of a span, nanoseconds since the epoch; None for all.
        limit: the maximum number of traces.
        run: the id of the launch whose traces to list; None for all launches.

    Returns:
        The traces, and the number of damaged rows among the newest spans.
    """
    condition = SqlCondition(f"kind = {SPAN} AND at >= ?", (since or 0,))
    if run is not None:
        origins = select_origins(read_origins(db), lambda origin: origin.run == run)
        condition = SqlCondition(f"{condition.sql} AND {origins}", condition.values)
    trace_ids, first_id = _find_newest_ids(db, condition, limit)
    spans: dict[bytes, list[Item]] = {}
    for item in find_spans(db, f"trace IN ({', '.join('?' * len(trace_ids))})", trace_ids):
        spans.setdefault(item.trace or b"", []).append(item)
    summaries = [summarize_trace(items) for items in spans.values()]
    # The kind may be damaged too, so that it is no condition here.
    damaged = count_damaged(db, Item._fields, "id >= ? AND at >= ?", (first_id, since or 0))
    return sorted(summaries, key=lambda summary: summary.at, reverse=True), damaged


def _find_newest_ids(
    db: sqlite3.Connection, condition: SqlCondition, limit: int
) -> tuple[list[bytes], int]:
    """Return the ids of the newest traces, and the lowest row id that was looked at."""
    statement = (
        f"SELECT id, trace FROM item WHERE {condition.sql}"  # noqa: S608
        f" AND {types_condition(Item._fields)} ORDER BY id DESC"
    )
    trace_ids: dict[bytes, None] = {}
    for id_, trace_id in db.execute(statement, condition.values):
        trace_ids[trace_id or b""] = None
        if len(trace_ids) == limit:
            return list(trace_ids), id_
    return list(trace_ids), 0


def find_spans(
    db: sqlite3.Connection, condition: str, values: Iterable[Any] = (), order: str = "id"
) -> Iterator[Item]:
    """Yield the spans whose trace id meets a condition.

    Args:
        db: the store.
        condition: the SQL condition for `trace`.
        values: the values for its question marks.
        order: the SQL order.
    """
    # The inner statement reads the index `item_trace` alone, a twentieth of the table.
    ids = f"SELECT id FROM item WHERE trace IS NOT NULL AND {condition}"  # noqa: S608
    return find_items(db, f"kind = {SPAN} AND id IN ({ids})", values, order)


def find_run_spans(db: sqlite3.Connection, run: str, limit: int) -> list[Item]:
    """Return the first spans of a launch in the order of time.

    Args:
        db: the store.
        run: the id of the launch.
        limit: the maximum number of spans.
    """
    origins = select_origins(read_origins(db), lambda origin: origin.run == run)
    return list(find_items(db, f"kind = {SPAN} AND {origins}", (), f"at, id LIMIT {int(limit)}"))


def find_conversation_spans(db: sqlite3.Connection, chat: str, limit: int) -> list[Item]:
    """Return the first calls of a conversation in the order of time.

    Args:
        db: the store.
        chat: the chat id.
        limit: the maximum number of calls.
    """
    condition = f"kind = {SPAN} AND provider IS NOT NULL AND chat = ?"
    return list(find_items(db, condition, (chat,), f"at, id LIMIT {int(limit)}"))


def count_damaged_spans(db: sqlite3.Connection, id_prefix: str) -> int:
    """Return the number of damaged rows in the traces whose ids start with a prefix.

    Args:
        db: the store.
        id_prefix: up to 32 hexadecimal digits.
    """
    ids = "SELECT id FROM item WHERE trace IS NOT NULL AND trace BETWEEN ? AND ?"
    return count_damaged(db, Item._fields, f"id IN ({ids})", _find_range(id_prefix))


def _find_range(id_prefix: str) -> tuple[bytes, ...]:
    """Return the lowest and the highest trace id with a prefix."""
    return tuple(bytes.fromhex(id_prefix.ljust(TRACE_ID_DIGITS, digit)) for digit in "0f")


def summarize_trace(spans: list[Item]) -> TraceSummary:
    """Add up the spans of one trace, at least one."""
    calls = [span for span in spans if span.provider is not None]
    cost, unpriced = sum_costs(calls)
    root = min(spans, key=lambda span: (span.parent is not None, span.at))
    return TraceSummary(
        trace=(root.trace or b"").hex(),
        root=root,
        at=min(span.at for span in spans),
        end=max(span.end for span in spans),
        spans=len(spans),
        calls=len(calls),
        errors=sum(span.error is not None for span in spans),
        input_tokens=_sum_integers(span.input_tokens for span in calls),
        output_tokens=_sum_integers(span.output_tokens for span in calls),
        cost=cost,
        unpriced=unpriced,
        chat=next((span.chat for span in spans if span.chat is not None), None),
    )


def _sum_integers(values: Iterable[Any]) -> int:
    return sum(value for value in values if isinstance(value, int))


def find_trace_spans(db: sqlite3.Connection, id_prefix: str) -> list[Item]:
    """Return the spans of every trace whose id starts with the prefix, in the order of storing.

    Args:
        db: the store.
        id_prefix: up to 32 hexadecimal digits.
    """
    return list(find_spans(db, "trace BETWEEN ? AND ?", _find_range(id_prefix)))


def walk_span_tree(spans: list[Item]) -> Iterator[tuple[int, Item]]:
    """Yield every span once, parents before children, siblings by start.

    A span whose parent is not among `spans` counts as a root. Each span comes with its depth, 0
    for a root. The walk keeps its own stack: a trace may be deeper than Python can recurse.
    """
    span_ids = {span.span for span in spans}
    children: dict[bytes | None, list[Item]] = {}
    for span in sorted(spans, key=lambda span: span.at, reverse=True):
        children.setdefault(span.parent if span.parent in span_ids else None, []).append(span)
    # The roots are at the top of the stack. Below them are all spans again, for circles: if the
    # parents of some spans form a circle, no root leads there. The walk enters it at any span,
    # after all trees.
    stack = [(0, span) for span in [*reversed(spans), *children.get(None, ())]]
    seen_ids: set[int] = set()
    while stack:
        depth, span = stack.pop()
        if span.id in seen_ids:
            continue
        seen_ids.add(span.id)
        yield depth, span
        stack += [(depth + 1, child) for child in children.get(span.span, ())]
    assert len(seen_ids) == len(spans)

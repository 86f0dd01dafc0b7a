"""Finds traces in the store, adds up their spans and orders them as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Iterator, NamedTuple

from lupis_instrument._export.otlp.encoded_items import SPAN
from lupis_instrument._query.damaged_rows import count_damaged, types_condition
from lupis_instrument._query.items import Item, find_items, sum_costs

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


def list_traces(db: sqlite3.Connection, since: int | None, limit: int) -> list[TraceSummary]:
    """Return the traces with the newest spans, ordered by start, the latest first.

    Args:
        db: the store.
        since: the earliest start of a span, nanoseconds since the epoch; None for all.
        limit: the maximum number of traces.
    """
    trace_ids = _find_newest_ids(db, since, limit)
    spans: dict[bytes, list[Item]] = {}
    listed_ids = ", ".join(f"x'{trace_id.hex()}'" for trace_id in trace_ids)
    # This reads the whole table: spans of one trace may lie far apart, and an index on the trace
    # id would slow down every write.
    for item in find_items(db, f"kind = {SPAN} AND trace IN ({listed_ids})"):
        spans.setdefault(item.trace or b"", []).append(item)
    summaries = (summarize_trace(items) for items in spans.values())
    return sorted(summaries, key=lambda summary: summary.at, reverse=True)


def _find_newest_ids(db: sqlite3.Connection, since: int | None, limit: int) -> set[bytes]:
    types = types_condition(Item._fields)
    statement = (
        f"SELECT trace FROM item WHERE kind = {SPAN} AND at >= ? AND {types} ORDER BY id DESC"  # noqa: S608
    )
    trace_ids: set[bytes] = set()
    for (trace_id,) in db.execute(statement, (since or 0,)):
        trace_ids.add(trace_id or b"")
        if len(trace_ids) == limit:
            break
    return trace_ids


def count_damaged_spans(db: sqlite3.Connection, since: int | None, id_prefix: str = "") -> int:
    """Return the number of rows that `list_traces` leaves out because they are damaged.

    Args:
        db: the store.
        since: the earliest start of an item, nanoseconds since the epoch; None for all.
        id_prefix: the first hexadecimal digits of the trace's id.
    """
    condition = "at >= ? AND hex(trace) LIKE ?"
    return count_damaged(db, Item._fields, condition, (since or 0, f"{id_prefix}%"))


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
    low, high = (bytes.fromhex(id_prefix.ljust(TRACE_ID_DIGITS, digit)) for digit in "0f")
    return list(find_items(db, f"kind = {SPAN} AND trace BETWEEN ? AND ?", (low, high)))


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

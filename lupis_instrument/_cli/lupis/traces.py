"""`lupis traces`: the newest traces in the store, a line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from lupis_instrument._cli.lupis import tables
from lupis_instrument._cli.lupis.since import since
from lupis_instrument._export.otlp.encoded_items import SPAN
from lupis_instrument._query import amounts
from lupis_instrument._query.items import Item, find, show_cost, total_cost
from lupis_instrument._query.store_reader import explain_nothing, reading

if TYPE_CHECKING:
    import sqlite3

_DIGITS = 12
_MOST = 10_000
_COLUMNS = (
    tables.Column("trace", right=False, style="dim"),
    tables.Column("began", right=False),
    tables.Column("name", right=False),
    tables.Column("time"),
    tables.Column("spans", rank=2),
    tables.Column("calls", rank=1),
    tables.Column("errors", style="red", rank=1),
    tables.Column("in", rank=1),
    tables.Column("out", rank=1),
    tables.Column("cost", style="green"),
    tables.Column("chat", right=False, rank=3),
)


class Trace(NamedTuple):
    """What is known of a trace; times are nanoseconds.

    Attributes:
        root: the span above all others, or the first where that is not in the store.
        cost: in USD; None where no call's is known.
        unpriced: how many calls have no known price.
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


@click.command()
@since
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST),
    default=20,
    show_default=True,
    metavar="N",
    help="The newest N.",
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
def traces(since: int | None, limit: int, form: str) -> None:
    """List the newest traces.

    The last one comes first; `lupis show TRACE` shows one of them.
    """
    with reading() as opened:
        found = list_traces(opened.db, since, limit)
        if not found:
            click.echo(explain_nothing(opened, "spans"), err=True)
    if form == "json":
        tables.echo(json.dumps([_plain(each) for each in found], indent=2))
    elif found:
        tables.show(_COLUMNS, [_cells(each) for each in found])


def list_traces(db: sqlite3.Connection, since: int | None, limit: int) -> list[Trace]:
    """Return the traces with the newest spans, the one that began last first."""
    wanted = _newest(db, since, limit)
    spans: dict[bytes, list[Item]] = {}
    listed = ", ".join(f"x'{trace.hex()}'" for trace in wanted)
    # The spans of a trace may be far apart, and no index leads to them: it would cost each write.
    for item in find(db, f"kind = {SPAN} AND trace IN ({listed})"):
        spans.setdefault(item.trace or b"", []).append(item)
    return sorted(
        (_add_up(trace, items) for trace, items in spans.items()),
        key=lambda trace: trace.at,
        reverse=True,
    )


def _newest(db: sqlite3.Connection, since: int | None, limit: int) -> set[bytes]:
    statement = f"SELECT trace FROM item WHERE kind = {SPAN} AND at >= ? ORDER BY id DESC"  # noqa: S608
    found: set[bytes] = set()
    for (trace,) in db.execute(statement, (since or 0,)):
        found.add(trace)
        if len(found) == limit:
            break
    return found


def _add_up(trace: bytes, items: list[Item]) -> Trace:
    calls = [item for item in items if item.provider is not None]
    cost, unpriced = total_cost(calls)
    first = min(items, key=lambda item: (item.parent is not None, item.at))
    return Trace(
        trace=trace.hex(),
        root=first,
        at=min(item.at for item in items),
        end=max(item.end for item in items),
        spans=len(items),
        calls=len(calls),
        errors=sum(item.error is not None for item in items),
        input_tokens=_sum(item.input_tokens for item in calls),
        output_tokens=_sum(item.output_tokens for item in calls),
        cost=cost,
        unpriced=unpriced,
        chat=next((item.chat for item in items if item.chat is not None), None),
    )


def _sum(values: Any) -> int:
    return sum(value for value in values if isinstance(value, int))


def _plain(trace: Trace) -> dict[str, Any]:
    row = trace._asdict()
    row.update(root=trace.root.name, at=amounts.iso(trace.at), end=amounts.iso(trace.end))
    row["cost_usd"] = row.pop("cost")
    return row


def _cells(trace: Trace) -> list[str]:
    return [
        trace.trace[:_DIGITS],
        amounts.local(trace.at),
        trace.root.name,
        amounts.duration(trace.end - trace.at),
        amounts.count(trace.spans),
        amounts.count(trace.calls),
        amounts.count(trace.errors) if trace.errors else "",
        amounts.count(trace.input_tokens),
        amounts.count(trace.output_tokens),
        show_cost(trace.cost, trace.unpriced),
        trace.chat or "",
    ]

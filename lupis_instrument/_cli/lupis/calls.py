"""`lupis calls`: lists LLM calls, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lupis_instrument._cli.lupis.formatting import (
    format_count,
    format_dollars,
    format_duration,
    format_moment,
)
from lupis_instrument._cli.lupis.rows import RowField, format_option, make_limit_option, write_rows
from lupis_instrument._cli.lupis.selection import Selection, selection_options
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store
from lupis_instrument._cli.lupis.tables import Column
from lupis_instrument._query.calls import Call, CallOrder, list_calls
from lupis_instrument._query.filters import Condition
from lupis_instrument._query.repeats import find_repeats
from lupis_instrument._query.runs import SHORT_ID_DIGITS
from lupis_instrument._query.times import SECOND, format_iso_time

if TYPE_CHECKING:
    from lupis_instrument._query.filters import CallFilter
    from lupis_instrument._query.store_reader import OpenStore

_SHOWN_ID_DIGITS = 8
_MAX_LIMIT = 1_000_000


def _format_known(count: int | None) -> str:
    return "?" if count is None else format_count(count)


def _format_cost(call: Call) -> str:
    return "$?" if call.cost_status == "unpriced" else format_dollars(call.cost)


_COLUMNS = (
    Column("trace", lambda call: call.trace[:_SHOWN_ID_DIGITS], right=False, style="dim"),
    Column("began", lambda call: format_moment(call.at), right=False, rank=1),
    Column("run", lambda call: (call.run or "-")[:SHORT_ID_DIGITS], right=False, rank=6),
    Column("provider", lambda call: call.provider, right=False, rank=7),
    Column("model", lambda call: call.model or call.name, right=False, cut=True),
    Column("chat", lambda call: call.chat or "-", right=False, rank=5, cut=True),
    Column("user", lambda call: call.user or "-", right=False, rank=8, cut=True),
    Column("in", lambda call: _format_known(call.input_tokens), rank=3),
    Column("cached", lambda call: format_count(call.cached_tokens or 0), rank=4),
    Column("out", lambda call: _format_known(call.output_tokens), rank=3),
    Column("cost", _format_cost, style="green"),
    Column("time", lambda call: format_duration(call.duration), rank=2),
    Column(
        "first token",
        lambda call: format_duration(call.first_chunk and call.first_chunk * SECOND),
        rank=7,
    ),
    Column("retry", lambda call: str(call.retries or ""), style="yellow", rank=6),
    Column("error", lambda call: call.error or "", right=False, style="red", cut=True),
)
_FIELDS = (
    RowField("at", lambda call: format_iso_time(call.at)),
    RowField("seconds", lambda call: call.duration / SECOND),
    RowField("first_chunk_seconds", lambda call: call.first_chunk),
    *(
        RowField(name, lambda call, name=name: getattr(call, name))  # type: ignore[misc]
        for name in (
            *("name", "trace", "span", "parent", "run", "project", "service", "pid"),
            *("provider", "operation", "model", "host", "status", "error", "retries"),
            *("chat", "user", "session", "organization"),
            *("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens"),
            *("reasoning_tokens", "cost_status", "fingerprint", "limits"),
        )
    ),
    RowField("cost_usd", lambda call: call.cost),
)
_REPEAT_COLUMNS = (
    Column("request", lambda row: row.fingerprint[:_SHOWN_ID_DIGITS], right=False, style="dim"),
    Column("model", lambda row: row.model or "-", right=False, cut=True),
    Column("calls", lambda row: format_count(row.calls)),
    Column("retries", lambda row: format_count(row.retries), rank=2),
    Column("chats", lambda row: format_count(row.chats), rank=3),
    Column("cost", lambda row: format_dollars(row.cost), style="green"),
    Column("repeated", lambda row: format_dollars(row.repeated_cost), style="yellow"),
    Column("last", lambda row: format_moment(row.last), right=False, rank=1),
    Column("trace", lambda row: (row.trace or "")[:_SHOWN_ID_DIGITS], right=False, style="dim"),
)
_REPEAT_FIELDS = (
    *(
        RowField(name, lambda row, name=name: getattr(row, name))  # type: ignore[misc]
        for name in ("fingerprint", "provider", "model", "calls", "retries", "chats", "trace")
    ),
    RowField("cost_usd", lambda row: row.cost),
    RowField("repeated_cost_usd", lambda row: row.repeated_cost),
    RowField("first", lambda row: format_iso_time(row.first)),
    RowField("last", lambda row: format_iso_time(row.last)),
)


@click.command()
@click.option("--errors", is_flag=True, help="Only failed calls.")
@click.option("--retried", is_flag=True, help="Only retries of an earlier request.")
@click.option(
    "--repeated",
    is_flag=True,
    help="Identical requests that were sent more than once, a line each.",
)
@click.option("--slowest", type=click.IntRange(1), metavar="N", help="The N slowest calls.")
@click.option("--dearest", type=click.IntRange(1), metavar="N", help="The N most expensive calls.")
@selection_options
@make_limit_option("rows", highest=_MAX_LIMIT)
@format_option
def calls(
    *,
    selection: Selection,
    errors: bool,
    retried: bool,
    repeated: bool,
    slowest: int | None,
    dearest: int | None,
    limit: int,
    form: str,
) -> None:
    """List LLM calls, the newest first.

    `lupis show TRACE` shows the trace of a call.
    """
    if slowest and dearest:
        raise click.UsageError("--slowest and --dearest exclude each other")
    conditions = [
        *([Condition("error", "set")] if errors else []),
        *([Condition("retries", "set")] if retried else []),
    ]
    order = CallOrder.SLOWEST if slowest else CallOrder.DEAREST if dearest else CallOrder.NEWEST
    with open_store() as store:
        chosen = selection.make_filter(store.db).also(*conditions)
        if repeated:
            _write_repeats(store, chosen, limit, form)
            return
        listed = list_calls(store.db, chosen, order=order, limit=slowest or dearest or limit).calls
        if not listed:
            click.echo(explain_nothing(store, "LLM calls"), err=True)
    write_rows(form, _FIELDS, _COLUMNS, listed)


def _write_repeats(store: OpenStore, chosen: CallFilter, limit: int, form: str) -> None:
    repeats = find_repeats(store.db, chosen, limit)
    if not repeats:
        click.echo(explain_nothing(store, "repeated requests"), err=True)
    write_rows(form, _REPEAT_FIELDS, _REPEAT_COLUMNS, repeats)

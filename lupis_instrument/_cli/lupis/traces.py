"""`lupis traces`: lists the newest traces in the store, a line each."""

from __future__ import annotations

import click

from lupis_instrument._cli.lupis.formatting import (
    describe_name,
    format_count,
    format_duration,
    format_moment,
    format_token_sums,
    format_total_cost,
)
from lupis_instrument._cli.lupis.rows import RowField, format_option, make_limit_option, write_rows
from lupis_instrument._cli.lupis.selection import add_run_options, find_run
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store, report_damaged
from lupis_instrument._cli.lupis.tables import Column
from lupis_instrument._cli.lupis.time_options import since_option
from lupis_instrument._query.times import format_iso_time
from lupis_instrument._query.traces import list_traces

_SHOWN_ID_DIGITS = 12
_MAX_LIMIT = 10_000

_COLUMNS = (
    Column("trace", lambda trace: trace.trace[:_SHOWN_ID_DIGITS], right=False, style="dim"),
    Column("began", lambda trace: format_moment(trace.at), right=False, rank=1),
    Column(
        "name",
        lambda trace: describe_name(trace.root.name, trace.root.host),
        right=False,
        cut=True,
    ),
    Column("time", lambda trace: format_duration(trace.end - trace.at), rank=2),
    Column("spans", lambda trace: format_count(trace.spans), rank=5),
    Column("calls", lambda trace: format_count(trace.calls), rank=3),
    Column("errors", lambda trace: format_count(trace.errors), style="red"),
    Column("tokens", format_token_sums, rank=4),
    Column("cost", lambda trace: format_total_cost(trace.cost, trace.unpriced), style="green"),
    Column("chat", lambda trace: trace.chat or "", right=False, rank=4, cut=True),
)
_FIELDS = (
    RowField("trace", lambda trace: trace.trace),
    RowField("root", lambda trace: trace.root.name),
    RowField("at", lambda trace: format_iso_time(trace.at)),
    RowField("end", lambda trace: format_iso_time(trace.end)),
    *(
        RowField(name, lambda trace, name=name: getattr(trace, name))  # type: ignore[misc]
        for name in ("spans", "calls", "errors", "input_tokens", "output_tokens", "unpriced")
    ),
    RowField("chat", lambda trace: trace.chat),
    RowField("cost_usd", lambda trace: trace.cost),
)


@click.command()
@since_option
@add_run_options
@make_limit_option("traces", highest=_MAX_LIMIT)
@format_option
def traces(since: int | None, run: str | None, last: bool, limit: int, form: str) -> None:
    """List the newest traces, the latest first.

    `lupis show TRACE` shows the spans of a trace.
    """
    with open_store() as store:
        chosen = find_run(store.db, run, last=last)
        summaries, damaged = list_traces(store.db, since, limit, run=chosen)
        report_damaged(damaged)
        if not summaries:
            click.echo(explain_nothing(store, "spans"), err=True)
    write_rows(form, _FIELDS, _COLUMNS, summaries)

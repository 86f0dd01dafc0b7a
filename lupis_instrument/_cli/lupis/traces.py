"""`lupis traces`: lists the newest traces in the store, a line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from lupis_instrument._cli.lupis.formatting import (
    format_count,
    format_duration,
    format_total_cost,
)
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store, report_damaged
from lupis_instrument._cli.lupis.tables import Column, show_rows, write_line
from lupis_instrument._cli.lupis.time_options import since_option
from lupis_instrument._query.times import format_iso_time, format_local_time
from lupis_instrument._query.traces import count_damaged_spans, list_traces

if TYPE_CHECKING:
    from lupis_instrument._query.traces import TraceSummary

_SHOWN_ID_DIGITS = 12
_MAX_LIMIT = 10_000

_COLUMNS = (
    Column("trace", lambda trace: trace.trace[:_SHOWN_ID_DIGITS], right=False, style="dim"),
    Column("began", lambda trace: format_local_time(trace.at), right=False),
    Column("name", lambda trace: trace.root.name, right=False, cut=True),
    Column("time", lambda trace: format_duration(trace.end - trace.at)),
    Column("spans", lambda trace: format_count(trace.spans), rank=2),
    Column("calls", lambda trace: format_count(trace.calls), rank=1),
    Column(
        "errors",
        lambda trace: format_count(trace.errors) if trace.errors else "",
        style="red",
        rank=1,
    ),
    Column("in", lambda trace: format_count(trace.input_tokens), rank=1),
    Column("out", lambda trace: format_count(trace.output_tokens), rank=1),
    Column("cost", lambda trace: format_total_cost(trace.cost, trace.unpriced), style="green"),
    Column("chat", lambda trace: trace.chat or "", right=False, rank=3),
)


@click.command()
@since_option
@click.option(
    "--limit",
    type=click.IntRange(1, _MAX_LIMIT),
    default=20,
    show_default=True,
    metavar="N",
    help="The number of traces.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="The output format.",
)
def traces(since: int | None, limit: int, form: str) -> None:
    """List the newest traces, the latest first.

    `lupis show TRACE` shows the spans of a trace.
    """
    with open_store() as store:
        summaries = list_traces(store.db, since, limit)
        report_damaged(count_damaged_spans(store.db, since))
        if not summaries:
            click.echo(explain_nothing(store, "spans"), err=True)
    if form == "json":
        write_line(json.dumps([_make_json(summary) for summary in summaries], indent=2))
    elif summaries:
        show_rows(_COLUMNS, summaries)


def _make_json(trace: TraceSummary) -> dict[str, Any]:
    row = trace._asdict()
    row.update(root=trace.root.name, at=format_iso_time(trace.at), end=format_iso_time(trace.end))
    row["cost_usd"] = row.pop("cost")
    return row

"""`lupis runs`: lists the newest runs, a line each."""

from __future__ import annotations

import click

from lupis_instrument._cli.lupis.formatting import (
    format_count,
    format_duration,
    format_moment,
    format_token_sums,
    format_total_cost,
)
from lupis_instrument._cli.lupis.rows import RowField, format_option, make_limit_option, write_rows
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store
from lupis_instrument._cli.lupis.tables import Column, write_note
from lupis_instrument._cli.lupis.time_options import since_option
from lupis_instrument._query.runs import list_runs
from lupis_instrument._query.times import SECOND, format_iso_time

_MAX_LIMIT = 10_000

_COLUMNS = (
    Column("run", lambda run: run.short_id, right=False, style="bold"),
    Column("began", lambda run: format_moment(run.at), right=False, rank=1),
    Column("command", lambda run: run.command or run.service or "-", right=False, rank=2, cut=True),
    Column("project", lambda run: run.project or "-", right=False, rank=5, cut=True),
    Column("processes", lambda run: format_count(run.processes), rank=6),
    Column("calls", lambda run: format_count(run.calls)),
    Column("errors", lambda run: format_count(run.errors), style="red"),
    Column("tokens", format_token_sums, rank=4),
    Column("cost", lambda run: format_total_cost(run.cost, run.unpriced), style="green"),
    Column("time", lambda run: format_duration(run.duration), rank=3),
)
_FIELDS = (
    RowField("run", lambda run: run.id),
    RowField("at", lambda run: format_iso_time(run.at)),
    RowField("end", lambda run: format_iso_time(run.end)),
    RowField("seconds", lambda run: run.duration / SECOND),
    RowField("command", lambda run: run.command),
    RowField("project", lambda run: run.project),
    RowField("service", lambda run: run.service),
    RowField("processes", lambda run: run.processes),
    RowField("calls", lambda run: run.calls),
    RowField("errors", lambda run: run.errors),
    RowField("input_tokens", lambda run: run.input_tokens),
    RowField("output_tokens", lambda run: run.output_tokens),
    RowField("cost_usd", lambda run: run.cost),
    RowField("unpriced", lambda run: run.unpriced),
)


@click.command()
@since_option
@click.option("--project", metavar="NAME", help="Only the runs of this project.")
@make_limit_option("runs", highest=_MAX_LIMIT)
@format_option
def runs(since: int | None, project: str | None, limit: int, form: str) -> None:
    """List the newest runs, the latest first.

    A run is one launch of lupis-run, with all its processes.
    """
    with open_store() as store:
        listed = list_runs(store.db, since=since, project=project, limit=limit)
        if not listed:
            click.echo(explain_nothing(store, "runs"), err=True)
    write_rows(form, _FIELDS, _COLUMNS, listed)
    if listed and form == "table":
        write_note(f"next: lupis show {listed[0].short_id}, or lupis report --last")

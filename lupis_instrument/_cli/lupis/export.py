"""`lupis export`: writes the content of the store for other tools."""

from __future__ import annotations

import click

from lupis_instrument._cli.lupis.selection import add_run_options, find_run
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store, report_damaged
from lupis_instrument._cli.lupis.tables import write_line
from lupis_instrument._cli.lupis.time_options import since_option
from lupis_instrument._query.otlp_export import SIGNALS, export_lines


@click.command()
@since_option
@add_run_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["otlp-json"]),
    default="otlp-json",
    show_default=True,
    help="OTLP/JSON, one object a line, as OpenTelemetry's file exporter writes it.",
)
@click.option(
    "--signal",
    type=click.Choice([*SIGNALS]),
    default="traces",
    show_default=True,
    help="Spans as traces, or events as logs; one file holds one signal.",
)
def export(since: int | None, run: str | None, last: bool, form: str, signal: str) -> None:
    """Write the stored spans or events to standard output, as OTLP/JSON."""
    assert form == "otlp-json"
    empty = True
    with open_store() as store:
        damaged_ids: list[int] = []
        run = find_run(store.db, run, last=last)
        lines = export_lines(store.db, SIGNALS[signal], since or 0, damaged_ids.append, run=run)
        for line in lines:
            write_line(line)
            empty = False
        report_damaged(len(damaged_ids))
        if empty and not damaged_ids:
            click.echo(explain_nothing(store, SIGNALS[signal].plural), err=True)

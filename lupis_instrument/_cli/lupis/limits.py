"""`lupis limits`: shows how much of their rate limits providers left."""

from __future__ import annotations

import click

from lupis_instrument._cli.lupis.formatting import format_count, format_moment, format_share
from lupis_instrument._cli.lupis.rows import RowField, format_option, write_rows
from lupis_instrument._cli.lupis.selection import Selection, selection_options
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store
from lupis_instrument._cli.lupis.tables import Column
from lupis_instrument._query.headroom import read_headroom
from lupis_instrument._query.times import format_iso_time

_COLUMNS = (
    Column("provider", lambda row: row.provider, right=False, rank=4),
    Column("model", lambda row: row.model or "-", right=False, cut=True),
    Column("limit of", lambda row: row.kind, right=False),
    Column("limit", lambda row: format_count(row.limit), rank=1),
    Column("left", lambda row: format_count(row.last)),
    Column("lowest", lambda row: format_count(row.lowest), style="yellow"),
    Column("lowest %", lambda row: format_share(row.lowest_share)),
    Column("at", lambda row: format_moment(row.lowest_at), right=False, rank=2),
    Column("calls", lambda row: format_count(row.calls), rank=3),
)
_FIELDS = (
    *(
        RowField(name, lambda row, name=name: getattr(row, name))  # type: ignore[misc]
        for name in ("provider", "model", "host", "kind", "limit", "last", "lowest", "calls")
    ),
    RowField("lowest_share", lambda row: row.lowest_share),
    RowField("lowest_at", lambda row: format_iso_time(row.lowest_at)),
    RowField("at", lambda row: format_iso_time(row.at)),
)


@click.command()
@selection_options
@format_option
def limits(selection: Selection, form: str) -> None:
    """Show how much of their rate limits providers left.

    The numbers come from the response headers x-ratelimit-* and anthropic-ratelimit-* of the
    newest 50,000 calls.
    """
    with open_store() as store:
        rows = read_headroom(store.db, selection.make_filter(store.db))
        if not rows:
            click.echo(explain_nothing(store, "rate limits"), err=True)
    write_rows(form, _FIELDS, _COLUMNS, rows)

"""`lupis report`: adds up the LLM calls in the store."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Callable, Dict, Sequence

import click

from lupis_instrument._cli.lupis.report_measures import (
    MEASURES,
    SORT_KEYS,
    Measure,
    read_figures,
)
from lupis_instrument._cli.lupis.rows import format_option, note_left_out, write_csv, write_json
from lupis_instrument._cli.lupis.selection import Selection, selection_options
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store, report_damaged
from lupis_instrument._cli.lupis.tables import Column, show_table, write_note
from lupis_instrument._query.fields import TAG_PREFIX
from lupis_instrument._query.groupings import DIMENSIONS, Key, is_dimension, name_columns
from lupis_instrument._query.runs import SHORT_ID_DIGITS
from lupis_instrument._query.totals import Totals, add_up_calls, add_up_groups

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_Groups = Dict[Key, Totals]
_MAX_TABLE_ROWS = 200
"""The rows of a table without `--limit`."""


class DimensionName(click.ParamType):  # type: ignore[type-arg]  # older versions of click: no generic class
    """A property that groups calls."""

    name = "property"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name of a property."""
        if not is_dimension(value):
            self.fail(f"{value!r}: expected {', '.join(DIMENSIONS)} or {TAG_PREFIX}KEY", param, ctx)
        return str(value)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - as click calls it
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the properties that begin with a text."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in DIMENSIONS if name.startswith(incomplete)]


@click.command()
@click.option(
    "--by",
    type=DimensionName(),
    multiple=True,
    default=["model"],
    show_default="model",
    metavar="PROPERTY",
    help=f"The property that groups the calls: {', '.join(DIMENSIONS)} or {TAG_PREFIX}KEY."
    " Repeat it to group by several.",
)
@click.option(
    "--sort",
    type=click.Choice([*SORT_KEYS]),
    help="The figure that orders the groups, the largest first.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help=f"The number of groups to show; {_MAX_TABLE_ROWS} in a table, all in JSON and CSV.",
)
@selection_options
@format_option
def report(
    selection: Selection, by: tuple[str, ...], sort: str | None, limit: int | None, form: str
) -> None:
    """Add up the LLM calls that your programs made.

    Shows calls, errors, tokens, cost and time, and percentiles of the latency and of the time to
    the first token. The sums leave out unknown costs, and a column counts the calls without a
    price. In a store of more than 100,000 items, percentiles are exact to the millisecond.
    """
    columns = name_columns(by)
    with open_store() as store:
        groups, damaged = add_up_calls(store.db, by, selection.make_filter(store.db))
        report_damaged(damaged)
        if not groups:
            click.echo(explain_nothing(store, "LLM calls"), err=True)
    total = add_up_groups(groups.values())
    shown = _order_groups(groups, sort, limit or (_MAX_TABLE_ROWS if form == "table" else None))
    if groups or form != "table":
        _FORMATS[form](columns, shown, total)
    if form == "table" and len(shown) < len(groups):
        write_note(f"{len(groups) - len(shown):,} more rows: --limit N or --format csv")


def _order_groups(groups: _Groups, sort: str | None, limit: int | None) -> _Groups:
    """Return the groups to show, in the order that the options ask for."""
    if sort is not None:
        measure = next(measure for measure in MEASURES if measure.name == SORT_KEYS[sort])
        items = sorted(
            groups.items(), key=lambda item: measure.read_value(item[1]) or 0, reverse=True
        )
        groups = dict(items)
    return dict(islice(groups.items(), limit))


def _write_json(columns: Sequence[str], groups: _Groups, total: Totals) -> None:
    rows = [{**dict(zip(columns, key)), **read_figures(totals)} for key, totals in groups.items()]
    write_json({"by": list(columns), "rows": rows, "total": read_figures(total)})


def _write_csv(columns: Sequence[str], groups: _Groups, _: Totals) -> None:
    write_csv(
        [*columns, *(measure.name for measure in MEASURES)],
        ([*key, *read_figures(totals).values()] for key, totals in groups.items()),
    )


def _write_table(columns: Sequence[str], groups: _Groups, total: Totals) -> None:
    for totals in groups.values():
        read_figures(totals)  # the total can add up the times that a group has counted
    measures = [
        measure for measure in MEASURES if measure.read_value(total) or not measure.only_if_any
    ]
    rows = [
        [*map(_show_part, columns, key), *_read_texts(measures, totals)]
        for key, totals in groups.items()
    ]
    last_row = ["total", *[""] * (len(columns) - 1), *_read_texts(measures, total)]
    table_columns = [
        *(Column(name, right=False, cut=name != "run") for name in columns),
        *(Column(measure.heading, style=measure.style, rank=measure.rank) for measure in measures),
    ]
    note_left_out(show_table(table_columns, rows, last_row))


def _show_part(column: str, part: str | None) -> str:
    """Return a part of a group's key for a table, which shows the first digits of a run's id."""
    if part is None:
        return "-"
    return part[:SHORT_ID_DIGITS] if column == "run" else part


def _read_texts(measures: Sequence[Measure], totals: Totals) -> list[str]:
    return [measure.read_text(totals) for measure in measures]


_FORMATS: dict[str, Callable[[Sequence[str], _Groups, Totals], None]] = {
    "table": _write_table,
    "json": _write_json,
    "csv": _write_csv,
}

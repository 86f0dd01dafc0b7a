"""`lupis report`: adds up the LLM calls in the store."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any, Callable, Dict, Iterator, NamedTuple, Sequence, Tuple

import click

from lupis_instrument._cli.lupis.formatting import format_count, format_dollars, format_duration
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store, report_damaged
from lupis_instrument._cli.lupis.tables import Column, show_table, style_text, write_line
from lupis_instrument._cli.lupis.time_options import since_option
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._query.filters import make_filter
from lupis_instrument._query.groupings import DIMENSIONS, name_columns
from lupis_instrument._query.times import SECOND
from lupis_instrument._query.totals import PERCENTILES, Totals, add_up_calls, add_up_groups

_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The characters that begin a formula in a spreadsheet, and their wide forms."""

_Groups = Dict[Tuple["str | None", ...], Totals]


class Measure(NamedTuple):
    """One figure of a row.

    Attributes:
        name: the key in JSON and CSV; a name that ends with "seconds" marks a time.
        heading: the heading in tables.
        read_value: takes the figure from the totals; times are in nanoseconds.
        format_value: makes the text for tables.
        rank: the rank of the column, see `Column`.
        style: the style of the column.
        only_if_any: whether tables leave the column out if the total is 0.
    """

    name: str
    heading: str
    read_value: Callable[[Totals], Any]
    format_value: Callable[[Any], str] = format_count
    rank: int = 0
    style: str = ""
    only_if_any: bool = False

    def read_plain(self, totals: Totals) -> Any:
        """Return the figure for JSON and CSV, times in seconds."""
        value = self.read_value(totals)
        in_seconds = self.name.endswith("seconds") and value is not None
        return value / SECOND if in_seconds else value

    def read_text(self, totals: Totals) -> str:
        """Return the figure for a table."""
        return self.format_value(self.read_value(totals))


def _make_percentiles(name: str, heading: str, rank: int) -> Iterator[Measure]:
    """Yield a measure for each of the percentiles in the property `name` of the totals."""
    for index, percent in enumerate(PERCENTILES):
        # The default argument keeps the index of this round; a closure would see the last one.
        def read_value(totals: Totals, index: int = index) -> Any:
            return getattr(totals, name)[index]

        label = f"{heading}p{percent}"
        yield Measure(f"{name}_p{percent}_seconds", label, read_value, format_duration, rank)


MEASURES = (
    Measure("calls", "calls", lambda totals: totals.calls),
    Measure("errors", "errors", lambda totals: totals.errors, style="red", only_if_any=True),
    Measure("input_tokens", "in", lambda totals: totals.input_tokens),
    Measure(
        "cached_tokens", "cached", lambda totals: totals.cached_tokens, rank=1, only_if_any=True
    ),
    Measure("output_tokens", "out", lambda totals: totals.output_tokens),
    Measure(
        "unknown_tokens", "unknown", lambda totals: totals.unknown, style="yellow", only_if_any=True
    ),
    Measure("cost_usd", "cost", lambda totals: totals.cost, format_dollars, style="green"),
    Measure(
        "unpriced", "unpriced", lambda totals: totals.unpriced, style="yellow", only_if_any=True
    ),
    Measure(
        "partly_priced", "partly", lambda totals: totals.partial, style="yellow", only_if_any=True
    ),
    Measure("seconds", "time", lambda totals: totals.time, format_duration, rank=2),
    *_make_percentiles("latency", "", 3),
    *_make_percentiles("first_chunk", "first ", 4),
)
"""The figures of a report, in the order of its columns."""


@click.command()
@since_option
@click.option("--chat", metavar="ID", help="Only the calls of this conversation.")
@click.option(
    "--run", metavar="ID", help="Only the calls of this launch; its first digits are enough."
)
@click.option(
    "--by",
    type=click.Choice([*DIMENSIONS]),
    default="model",
    show_default=True,
    help="The property that groups the calls.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="The output format; CSV has no line of totals.",
)
def report(since: int | None, chat: str | None, run: str | None, by: str, form: str) -> None:
    """Add up the LLM calls that your programs made.

    Shows calls, errors, tokens, cost and time, and percentiles of the latency and of the time to
    the first piece of the answer. The sums leave out unknown costs, and a column counts the calls
    without a price. In a store of more than 100,000 items, percentiles are exact to the
    millisecond.
    """
    columns = name_columns((by,))
    with open_store() as store:
        groups, damaged = add_up_calls(
            store.db, (by,), make_filter(since=since, chat=chat, run=run)
        )
        report_damaged(damaged)
        if not groups:
            click.echo(explain_nothing(store, "LLM calls"), err=True)
    if groups or form != "table":
        _FORMATS[form](columns, groups)


def _write_json(columns: Sequence[str], groups: _Groups) -> None:
    rows = [{**dict(zip(columns, key)), **_read_figures(totals)} for key, totals in groups.items()]
    total = _read_figures(add_up_groups(groups.values()))
    write_line(json.dumps({"by": list(columns), "rows": rows, "total": total}, indent=2))


def _write_csv(columns: Sequence[str], groups: _Groups) -> None:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *(measure.name for measure in MEASURES)])
    for key, totals in groups.items():
        writer.writerow([*map(_make_cell, key), *_read_figures(totals).values()])
    write_line(text.getvalue().rstrip("\n"))


def _make_cell(part: str | None) -> str:
    """Return a text as a cell that no terminal obeys and no spreadsheet calculates.

    Names come from users of the program: https://owasp.org/www-community/attacks/CSV_Injection
    """
    cell = "" if part is None else escape_controls(part)
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _read_figures(totals: Totals) -> dict[str, Any]:
    return {measure.name: measure.read_plain(totals) for measure in MEASURES}


def _write_table(columns: Sequence[str], groups: _Groups) -> None:
    """Write a table, and more tables below it for the columns that did not fit."""
    total = add_up_groups(groups.values())
    measures = [
        measure for measure in MEASURES if measure.read_value(total) or not measure.only_if_any
    ]
    while measures:
        left_out = _write_measures(columns, groups, total, measures)
        if len(left_out) == len(measures):
            # Not even one column fits beside the names: another table would not help.
            note = f"no room for: {', '.join(left_out)}; --format csv has all"
            write_line(style_text(note, dim=True))
            return
        measures = [measure for measure in measures if measure.heading in left_out]
        if measures:
            write_line("")


def _write_measures(
    columns: Sequence[str], groups: _Groups, total: Totals, measures: Sequence[Measure]
) -> list[str]:
    """Write a table of some measures; returns the headings of the columns that did not fit."""

    def read_texts(totals: Totals) -> list[str]:
        return [measure.read_text(totals) for measure in measures]

    rows = [
        [*("-" if part is None else part for part in key), *read_texts(totals)]
        for key, totals in groups.items()
    ]
    last_row = ["total", *[""] * (len(columns) - 1), *read_texts(total)]
    table_columns = [
        *(Column(name, right=False) for name in columns),
        *(Column(measure.heading, style=measure.style, rank=measure.rank) for measure in measures),
    ]
    return show_table(table_columns, rows, last_row)


_FORMATS: dict[str, Callable[[Sequence[str], _Groups], None]] = {
    "table": _write_table,
    "json": _write_json,
    "csv": _write_csv,
}

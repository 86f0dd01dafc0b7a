"""`lupis report`: what the LLM calls in the store add up to."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any, Callable, Iterator, NamedTuple

import click

from lupis_instrument._cli.lupis import tables
from lupis_instrument._cli.lupis.since import since
from lupis_instrument._query import amounts
from lupis_instrument._query.calls import GROUPINGS, SHARES, Chosen, Totals, add_up
from lupis_instrument._query.store_reader import explain_nothing, reading


class Measure(NamedTuple):
    """One figure of a row.

    Attributes:
        name: in JSON and CSV.
        heading: in tables.
        value: takes it from the totals; times are nanoseconds.
        shown: makes text of it for tables.
        rank: see `tables.Column`.
    """

    name: str
    heading: str
    value: Callable[[Totals], Any]
    shown: Callable[[Any], str]
    rank: int = 0


def _percentiles(name: str, heading: str, rank: int) -> Iterator[Measure]:
    """Yield a measure for each percentile that the property `name` of the totals has."""
    for place, share in enumerate(SHARES):

        def value(totals: Totals, place: int = place) -> Any:
            return getattr(totals, name)[place]

        label = f"{heading}p{share}"
        yield Measure(f"{name}_p{share}_seconds", label, value, amounts.duration, rank)


MEASURES = (
    Measure("calls", "calls", lambda totals: totals.calls, amounts.count),
    Measure("errors", "errors", lambda totals: totals.errors, amounts.count),
    Measure("input_tokens", "in", lambda totals: totals.read, amounts.count),
    Measure("cached_tokens", "cached", lambda totals: totals.cached, amounts.count, rank=1),
    Measure("output_tokens", "out", lambda totals: totals.written, amounts.count),
    Measure("cost_usd", "cost", lambda totals: totals.cost, amounts.dollars),
    Measure("unpriced", "unpriced", lambda totals: totals.unpriced, amounts.count),
    Measure("partly_priced", "partly", lambda totals: totals.partial, amounts.count),
    Measure("seconds", "time", lambda totals: totals.time, amounts.duration, rank=2),
    *_percentiles("latency", "", 3),
    *_percentiles("first_chunk", "first ", 4),
)
_STYLES = {"errors": "red", "cost_usd": "green", "unpriced": "yellow", "partly_priced": "yellow"}
_ONLY_IF_ANY = {"errors", "cached_tokens", "unpriced", "partly_priced"}


@click.command()
@since
@click.option("--chat", metavar="ID", help="Only the calls of this conversation.")
@click.option(
    "--run", metavar="ID", help="Only the calls of this launch; its first digits will do."
)
@click.option("--by", type=click.Choice([*GROUPINGS]), default="model", show_default=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="CSV has no line of totals.",
)
def report(since: int | None, chat: str | None, run: str | None, by: str, form: str) -> None:
    """Add up the LLM calls in the store.

    Calls, errors, tokens, cost and time, and percentiles of how long calls took and of when the
    first piece of the answer came. A cost that is not known is left out of the sums, and such
    calls are counted. Times of more than 100,000 calls are told apart to the millisecond.
    """
    grouping = GROUPINGS[by]
    with reading() as opened:
        groups = add_up(opened.db, grouping, Chosen(since, chat, run))
        if not groups:
            click.echo(explain_nothing(opened, "LLM calls"), err=True)
    if groups or form != "table":
        _FORMS[form](grouping.columns, groups)


def _show_json(columns: tuple[str, ...], groups: dict[Any, Totals]) -> None:
    rows = [{**dict(zip(columns, key)), **_figures(each)} for key, each in groups.items()]
    total = _figures(_total(groups))
    tables.echo(json.dumps({"by": list(columns), "rows": rows, "total": total}, indent=2))


def _show_csv(columns: tuple[str, ...], groups: dict[Any, Totals]) -> None:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *(measure.name for measure in MEASURES)])
    for key, totals in groups.items():
        writer.writerow([*key, *_figures(totals).values()])
    tables.echo(text.getvalue().rstrip("\n"))


def _figures(totals: Totals) -> dict[str, Any]:
    return {measure.name: _plain(measure, totals) for measure in MEASURES}


def _plain(measure: Measure, totals: Totals) -> Any:
    value = measure.value(totals)
    in_seconds = measure.name.endswith("seconds") and value is not None
    return value / amounts.SECOND if in_seconds else value


def _show_table(columns: tuple[str, ...], groups: dict[Any, Totals]) -> None:
    """Write a table, and below it another of what there was no room for beside the rest."""
    total = _total(groups)
    measures = [
        measure for measure in MEASURES if measure.name not in _ONLY_IF_ANY or measure.value(total)
    ]
    heads = [tables.Column(name, right=False) for name in columns]
    label = ["total", *[""] * (len(columns) - 1)]
    while measures:
        shown = [
            tables.Column(measure.heading, style=_STYLES.get(measure.name, ""), rank=measure.rank)
            for measure in measures
        ]
        rows = [
            [*(_name(each) for each in key), *_cells(measures, totals)]
            for key, totals in groups.items()
        ]
        left_out = tables.show(heads + shown, rows, [*label, *_cells(measures, total)])
        if len(left_out) == len(measures):
            note = f"no room for: {', '.join(left_out)}; --format csv has all"
            tables.echo(tables.style(note, dim=True))
            return
        measures = [measure for measure in measures if measure.heading in left_out]
        if measures:
            tables.echo("")


def _cells(measures: list[Measure], totals: Totals) -> list[str]:
    return [measure.shown(measure.value(totals)) for measure in measures]


def _name(part: str | None) -> str:
    return "-" if part is None else part


def _total(groups: dict[Any, Totals]) -> Totals:
    total = Totals()
    for totals in groups.values():
        total.add(totals)
    return total


_FORMS: dict[str, Callable[[tuple[str, ...], dict[Any, Totals]], None]] = {
    "table": _show_table,
    "json": _show_json,
    "csv": _show_csv,
}

"""`lupis diff`: compares two runs, model by model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lupis_instrument._cli.lupis.formatting import format_count, format_dollars, format_duration
from lupis_instrument._cli.lupis.report import DimensionName
from lupis_instrument._cli.lupis.report_measures import read_figures
from lupis_instrument._cli.lupis.rows import format_option, note_left_out, write_csv, write_json
from lupis_instrument._cli.lupis.selection import find_run
from lupis_instrument._cli.lupis.stores import open_store
from lupis_instrument._cli.lupis.tables import Column, show_table, write_line
from lupis_instrument._query.comparison import Change, Comparison, compare_calls
from lupis_instrument._query.filters import make_filter
from lupis_instrument._query.runs import SHORT_ID_DIGITS, list_runs

if TYPE_CHECKING:
    from lupis_instrument._query.totals import Totals

_MEDIAN, _P95 = 0, 1
_FIGURES = (
    ("calls", lambda totals: totals.calls, format_count, 0),
    ("errors", lambda totals: totals.errors, format_count, 0),
    ("in", lambda totals: totals.input_tokens, format_count, 3),
    ("out", lambda totals: totals.output_tokens, format_count, 3),
    ("cost", lambda totals: totals.cost, format_dollars, 0),
    ("p50", lambda totals: totals.latency[_MEDIAN], format_duration, 2),
    ("p95", lambda totals: totals.latency[_P95], format_duration, 2),
)
"""Heading, figure of the totals, its format, and the rank of its column."""


@click.command()
@click.argument("before", required=False)
@click.argument("after", required=False)
@click.option("--last", is_flag=True, help="Compare the newest two runs.")
@click.option(
    "--by",
    type=DimensionName(),
    multiple=True,
    default=["model"],
    show_default="model",
    metavar="PROPERTY",
    help="The property that groups the calls, as for lupis report.",
)
@format_option
def diff(before: str | None, after: str | None, last: bool, by: tuple[str, ...], form: str) -> None:
    """Compare two runs: calls, errors, tokens, cost and latency.

    BEFORE and AFTER are run ids or their first digits; without AFTER, it is the newest run.
    `lupis runs` lists the ids.
    """
    with open_store() as store:
        old, new = _choose_runs(store.db, before, after, last=last)
        comparison = compare_calls(store.db, make_filter(run=old), make_filter(run=new), by)
    if form == "json":
        rows = [
            {**dict(zip(comparison.columns, change.key)), **_read_change(change)}
            for change in comparison.changes
        ]
        total = _read_change(comparison.total)
        write_json({"before": old, "after": new, "rows": rows, "total": total})
    elif form == "csv":
        _write_csv(comparison)
    else:
        write_line(f"run {old[:SHORT_ID_DIGITS]} -> {new[:SHORT_ID_DIGITS]}")
        _write_table(comparison)


def _choose_runs(db: Any, before: str | None, after: str | None, *, last: bool) -> tuple[str, str]:
    """Return the ids of both runs."""
    if last and before is None:
        newest = list_runs(db, limit=2)
        if len(newest) < 2:  # noqa: PLR2004 - a comparison takes two
            raise click.ClickException("two runs are needed, and the store has fewer")
        return newest[1].id, newest[0].id
    if before is None or (last and after is not None):
        raise click.UsageError("expected BEFORE and AFTER, or --last; `lupis runs` lists runs")
    old = find_run(db, before)
    new = find_run(db, after, last=after is None)
    assert old is not None
    assert new is not None
    return old, new


def _read_change(change: Change) -> dict[str, Any]:
    return {"before": read_figures(change.before), "after": read_figures(change.after)}


def _write_csv(comparison: Comparison) -> None:
    names = list(read_figures(comparison.total.before))
    write_csv(
        [
            *comparison.columns,
            *(f"{side}_{name}" for side in ("before", "after") for name in names),
        ],
        (
            [
                *change.key,
                *read_figures(change.before).values(),
                *read_figures(change.after).values(),
            ]
            for change in comparison.changes
        ),
    )


def _write_table(comparison: Comparison) -> None:
    columns = [
        *(Column(name, right=False, cut=True) for name in comparison.columns),
        *(Column(heading, rank=rank) for heading, _, _, rank in _FIGURES),
        Column("change", style="yellow", rank=1),
    ]
    rows = [
        [*(part or "-" for part in change.key), *_describe_figures(change)]
        for change in comparison.changes
    ]
    labels = ["total", *[""] * (len(comparison.columns) - 1)]
    note_left_out(show_table(columns, rows, [*labels, *_describe_figures(comparison.total)]))


def _describe_figures(change: Change) -> list[str]:
    """Return `before -> after` for each figure that changed, and the change of the cost."""
    return [
        *(_describe_figure(change, read, text) for _, read, text, _ in _FIGURES),
        _describe_growth(change.before, change.after),
    ]


def _describe_figure(change: Change, read: Any, text: Any) -> str:
    old, new = text(read(change.before)), text(read(change.after))
    return str(new) if old == new else f"{old} -> {new}"


def _describe_growth(before: Totals, after: Totals) -> str:
    """Return the change of the cost in percent, or "new" and "gone" for a group of one run."""
    if not before.calls or not after.calls:
        return "new" if after.calls else "gone"
    if not before.cost or after.cost is None:
        return "-"
    return f"{after.cost / before.cost - 1:+.0%}"

"""`lupis check`: compares recorded calls with limits, for CI."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import click

from lupis_instrument._cli.lupis.formatting import format_count, format_dollars, format_duration
from lupis_instrument._cli.lupis.rows import make_format_option, write_csv, write_json
from lupis_instrument._cli.lupis.selection import Selection, selection_options
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store, report_damaged
from lupis_instrument._cli.lupis.tables import style_text, write_line
from lupis_instrument._query.times import SECOND
from lupis_instrument._query.totals import Totals, add_up_calls, add_up_groups

_P95 = 1


class Limit(NamedTuple):
    """A limit that the calls may not exceed.

    Attributes:
        name: the name of the option without `--max-`, and the key in JSON.
        metavar: the unit, for the help.
        read_value: takes the figure from the totals, in the unit of the option.
        format_value: makes the text of a figure.
        help: the description of the option.
    """

    name: str
    metavar: str
    read_value: Callable[[Totals], float | None]
    format_value: Callable[[Any], str]
    help: str


def _format_seconds(seconds: float) -> str:
    return format_duration(seconds * SECOND)


def _format_number(number: float) -> str:
    return format_count(int(number)) if number == int(number) else f"{number:g}"


def _read_p95(totals: Totals) -> float | None:
    latency = totals.latency[_P95]
    return None if latency is None else latency / SECOND


LIMITS = (
    Limit(
        "cost", "USD", lambda totals: totals.cost, format_dollars, "The largest cost of all calls."
    ),
    Limit(
        "calls", "N", lambda totals: totals.calls, _format_number, "The largest number of calls."
    ),
    Limit(
        "errors", "N", lambda totals: totals.errors, _format_number, "The largest number of errors."
    ),
    Limit("p95", "SECONDS", _read_p95, _format_seconds, "The longest p95 of the calls' durations."),
    Limit(
        "tokens",
        "N",
        lambda totals: totals.input_tokens + totals.output_tokens,
        _format_number,
        "The largest number of input and output tokens.",
    ),
)
"""All limits; each has an option `--max-NAME`."""


class Breach(NamedTuple):
    """A limit that the calls exceed.

    Attributes:
        limit: the limit.
        maximum: its value.
        value: the figure of the calls.
    """

    limit: Limit
    maximum: float
    value: float

    def __str__(self) -> str:
        text = self.limit.format_value
        return f"{self.limit.name} {text(self.value)} is over the limit of {text(self.maximum)}"


def find_breaches(totals: Totals, maxima: dict[str, float | None]) -> list[Breach]:
    """Return the limits that some calls exceed.

    Args:
        totals: the totals of the calls.
        maxima: the values of the limits by their names; None for no limit.
    """
    breaches = []
    for limit in LIMITS:
        maximum, value = maxima.get(limit.name), limit.read_value(totals)
        if maximum is not None and value is not None and value > maximum:
            breaches.append(Breach(limit, maximum, value))
    return breaches


def _add_limits(function: Callable[..., Any]) -> Callable[..., Any]:
    for limit in reversed(LIMITS):
        option = click.option(
            f"--max-{limit.name}", type=click.FloatRange(0), metavar=limit.metavar, help=limit.help
        )
        function = option(function)
    return function


@click.command()
@_add_limits
@click.option(
    "--require-calls", is_flag=True, help="Fail also if there is no call that matches the options."
)
@selection_options
@make_format_option("text", "json", "csv")
def check(selection: Selection, require_calls: bool, form: str, **options: float | None) -> None:
    """Compare recorded calls with limits, for CI.

    Exits with 1 and prints a line for each limit that the calls exceed. Calls without a known
    price do not count for the cost; a line on stderr gives their number.
    """
    maxima = {name[len("max_") :]: value for name, value in options.items()}
    if all(value is None for value in maxima.values()) and not require_calls:
        raise click.UsageError("expected a limit, such as --max-cost 0.50")
    with open_store() as store:
        groups, damaged = add_up_calls(store.db, ("provider",), selection.make_filter(store.db))
        report_damaged(damaged)
        totals = add_up_groups(groups.values())
        missing = explain_nothing(store, "LLM calls") if not totals.calls else ""
    if missing:
        click.echo(missing, err=True)
    if totals.unpriced and maxima.get("cost") is not None:
        click.echo(f"lupis: the cost of {totals.unpriced:,} calls is unknown", err=True)
    breaches = find_breaches(totals, maxima)
    failed = bool(breaches) or (require_calls and not totals.calls)
    _write_result(form, breaches, maxima, totals, failed=failed)
    raise SystemExit(failed)


def _write_result(
    form: str,
    breaches: list[Breach],
    maxima: dict[str, float | None],
    totals: Totals,
    *,
    failed: bool,
) -> None:
    if form == "json":
        listed = [
            {"limit": breach.limit.name, "maximum": breach.maximum, "value": breach.value}
            for breach in breaches
        ]
        values = {limit.name: limit.read_value(totals) for limit in LIMITS}
        write_json({"passed": not failed, "breaches": listed, **values})
        return
    if form == "csv":
        names = {breach.limit.name for breach in breaches}
        figures = ((limit.name, limit.read_value(totals)) for limit in LIMITS)
        rows = [(name, maxima.get(name), value, name not in names) for name, value in figures]
        write_csv(("limit", "maximum", "value", "passed"), rows)
        return
    for breach in breaches:
        write_line(style_text(str(breach), fg="red"))
    if not failed:
        calls = f"{totals.calls:,} call{'' if totals.calls == 1 else 's'}"
        write_line(f"within the limits: {calls}, {format_dollars(totals.cost)}")

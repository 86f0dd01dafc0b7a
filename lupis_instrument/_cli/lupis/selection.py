"""The options that select calls: `--run`, `--last`, `--model` and so on."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import click

from lupis_instrument._cli.lupis.time_options import StartTime, since_option
from lupis_instrument._query.filters import CallFilter, make_filter
from lupis_instrument._query.runs import RunNotFoundError, find_last_run, resolve_run
from lupis_instrument._query.text_filter import FilterSyntaxError, parse_filter

if TYPE_CHECKING:
    import sqlite3

_FIELDS = ("chat", "user", "session", "project", "service", "provider", "model")


class Selection(NamedTuple):
    """The calls that a command is about, as the options say it.

    Attributes:
        run: the first digits of a launch's id; None for all launches.
        last: whether to take the newest launch.
        words: the filter that the user typed.
        values: the values of the other options by the names of their fields.
    """

    run: str | None
    last: bool
    words: CallFilter
    values: dict[str, Any]

    def make_filter(self, db: sqlite3.Connection) -> CallFilter:
        """Return the filter.

        Raises:
            click.ClickException: there is no such launch.
        """
        run = find_run(db, self.run, last=self.last)
        return make_filter(run=run, **self.values).also(*self.words.conditions)


def find_run(db: sqlite3.Connection, run: str | None, *, last: bool = False) -> str | None:
    """Return the id of the launch that the options name; None for all launches.

    Raises:
        click.ClickException: there is no such launch, or more than one.
    """
    if run is not None and last:
        raise click.UsageError("--run and --last exclude each other")
    try:
        if last:
            return find_last_run(db)
        return None if run is None else resolve_run(db, run)
    except RunNotFoundError as error:
        raise click.ClickException(str(error)) from None


class _FilterText(click.ParamType):  # type: ignore[type-arg]  # older versions of click: no generic class
    """A text in the filter language."""

    name = "filter"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> CallFilter:
        """Return the filter of a text."""
        if isinstance(value, CallFilter):
            return value
        try:
            return parse_filter(value)
        except FilterSyntaxError as error:
            self.fail(str(error), param, ctx)


run_options = (
    click.option(
        "--run", metavar="ID", help="Only this run; the first digits of its id are enough."
    ),
    click.option("--last", is_flag=True, help="Only the newest run."),
)
"""The options `--run` and `--last`."""
_OPTIONS = (
    since_option,
    click.option(
        "--until", type=StartTime(), metavar="TIME", help="The end of the period, as --since."
    ),
    *run_options,
    *(
        click.option(f"--{field}", metavar="NAME", help=f"Only the calls of this {field}.")
        for field in _FIELDS[:0:-1]
    ),
    click.option("--chat", metavar="ID", help="Only the calls of this conversation."),
    click.option(
        "--filter",
        "words",
        type=_FilterText(),
        default="",
        metavar="TEXT",
        help="Only calls that match, such as 'model:gpt-4o error cost>0.01 -user:u7'.",
    ),
)


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select calls; the function gets them as one `selection`."""

    @wraps(function)
    def run_command(*, run: str | None, last: bool, words: CallFilter, **options: Any) -> Any:
        values = {name: options.pop(name) for name in ("since", "until", *_FIELDS)}
        return function(selection=Selection(run, last, words, values), **options)

    for option in reversed(_OPTIONS):
        run_command = option(run_command)
    return run_command


def add_run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `--run` and `--last`."""
    for option in reversed(run_options):
        function = option(function)
    return function

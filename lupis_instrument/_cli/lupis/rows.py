"""Writes the rows of a command: as a table, as JSON, or as CSV."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any, Callable, Iterable, NamedTuple, Sequence

import click

from lupis_instrument._cli.lupis.tables import Column, show_rows, write_line, write_note
from lupis_instrument._diagnostics import escape_controls

_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The characters that begin a formula in a spreadsheet, and their wide forms."""
FORMATS = ("table", "json", "csv")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def make_format_option(*formats: str) -> Decorator:
    """Return the option `--format`, which passes `form`.

    Args:
        formats: the formats, the default one first.
    """
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="The output format.",
    )


def make_limit_option(noun: str, default: int = 20, highest: int | None = 100_000) -> Decorator:
    """Return the option `--limit`, which passes `limit`.

    Args:
        noun: the things that the limit counts, for the help.
        default: the limit without the option.
        highest: the greatest limit; None for any.
    """
    return click.option(
        "--limit",
        type=click.IntRange(1, highest),
        default=default,
        show_default=True,
        metavar="N",
        help=f"The number of {noun}.",
    )


format_option = make_format_option(*FORMATS)
"""The option `--format` of a command that writes rows."""


class RowField(NamedTuple):
    """A field of the rows of a command.

    Attributes:
        name: the key in JSON and CSV, which stays the same in later releases.
        read: takes the value from a row: a text, a number, or None.
    """

    name: str
    read: Callable[[Any], Any]


def write_rows(
    form: str, fields: Sequence[RowField], columns: Sequence[Column], rows: Sequence[Any]
) -> None:
    """Write rows to standard output.

    Args:
        form: one of `FORMATS`.
        fields: the fields of JSON and CSV.
        columns: the columns of a table.
        rows: the rows.
    """
    if form == "json":
        write_json([read_fields(fields, row) for row in rows])
    elif form == "csv":
        names = [field.name for field in fields]
        write_csv(names, ([field.read(row) for field in fields] for row in rows))
    elif rows:
        note_left_out(show_rows(columns, rows))


def read_fields(fields: Sequence[RowField], row: Any) -> dict[str, Any]:
    """Return the values of a row by the names of their fields."""
    return {field.name: field.read(row) for field in fields}


def write_json(value: Any) -> None:
    """Write a value as JSON."""
    write_line(json.dumps(value, indent=2))


def write_csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write CSV with a line of names."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([make_csv_cell(value) for value in row] for row in rows)
    write_line(text.getvalue().rstrip("\n"))


def make_csv_cell(value: Any) -> Any:
    """Return a text as a cell that no terminal obeys and no spreadsheet calculates.

    Names come from users of the program: https://owasp.org/www-community/attacks/CSV_Injection
    """
    if not isinstance(value, str):
        return value
    cell = escape_controls(value)
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def note_left_out(headings: Sequence[str]) -> None:
    """Write a dim line with the columns that did not fit into the terminal, if there are any."""
    if headings:
        write_note(f"more in a wider terminal or with --format csv: {', '.join(headings)}")

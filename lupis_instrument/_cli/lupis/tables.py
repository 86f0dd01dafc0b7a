"""Prints tables: with rich on a terminal, if it is installed, else as plain text."""

from __future__ import annotations

import os
import sys
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Sequence

import click

from lupis_instrument._cli.lupis.formatting import pad_text
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._export.terminal import text_width

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 2
_MIN_WIDTH = 20
_MIN_CUT_WIDTH = 12


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        heading: the text above the column.
        cell: makes the text of a cell from the object that a row shows.
        right: whether the column is aligned to the right, like numbers.
        style: the style in rich's notation.
        rank: the order in which columns give way on a narrow terminal, the highest rank first;
            columns of rank 0 stay.
        cut: whether the texts may be cut off when the columns of rank 0 are still too wide.
    """

    heading: str
    cell: Callable[[Any], str] = str
    right: bool = True
    style: str = ""
    rank: int = 0
    cut: bool = False


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def terminal_width() -> int | None:
    """Return the columns of the terminal; None for pipes and files, which have no width."""
    return max(get_terminal_size().columns, _MIN_WIDTH) if is_terminal() else None


def make_console() -> Console | None:
    """Return a console of rich; None without a terminal or without rich."""
    if not is_terminal():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(highlight=False, markup=False, emoji=False, width=terminal_width())


def write_line(text: str) -> None:
    """Write a line to standard output.

    Without `file`, click writes to an ASCII stream in UTF-8, through a wrapper of its own.
    """
    click.echo(text, file=sys.stdout)


def style_text(text: str, **styles: bool | str) -> str:
    """Return `text` with colours, if the terminal has them and the user wants them.

    https://no-color.org
    """
    colourless = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if colourless or not is_terminal() else click.style(text, **styles)  # type: ignore[arg-type]


def show_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], total: Sequence[str] | None = None
) -> list[str]:
    """Write a table.

    Args:
        columns: the columns.
        rows: the cells of each row.
        total: the cells of a last row with the totals, if there is one.

    Returns:
        The headings of the columns that did not fit.
    """
    cells = [
        [escape_controls(cell) for cell in row] for row in [*rows, *([total] if total else [])]
    ]
    width = terminal_width()
    kept = _select_columns(columns, cells, width)
    kept_columns = [columns[index] for index in kept]
    cells = _cut_cells(kept_columns, [[row[index] for index in kept] for row in cells], width)
    console = make_console()
    if console is None:
        _write_plain(kept_columns, cells, totalled=total is not None)
    else:
        _write_rich(console, kept_columns, cells, totalled=total is not None)
    return [column.heading for index, column in enumerate(columns) if index not in kept]


def show_rows(columns: Sequence[Column], objects: Sequence[Any]) -> None:
    """Write a table with a row for each object; the columns make the cells."""
    show_table(columns, [[column.cell(row) for column in columns] for row in objects])


def _select_columns(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int | None
) -> list[int]:
    """Return the indices of the columns that fit into a width; None fits all."""
    widths = _measure_columns(columns, cells)
    kept = list(range(len(columns)))
    while width is not None and sum(widths[index] for index in kept) > width:
        # The last of the columns with the highest rank: max() returns the first that it meets.
        index = max(reversed(kept), key=lambda index: columns[index].rank)
        if columns[index].rank == 0:
            break
        kept.remove(index)
    return kept


def _cut_cells(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int | None
) -> list[list[str]]:
    """Return the cells, with the texts of `cut` columns cut off as far as the width demands."""
    widths = _measure_columns(columns, cells)
    excess = sum(widths) - width if width is not None else 0
    rows = [list(row) for row in cells]
    for index, column in enumerate(columns):
        if excess <= 0 or not column.cut:
            continue
        room = max(widths[index] - _GAP - excess, _MIN_CUT_WIDTH)
        excess -= widths[index] - _GAP - room
        for row in rows:
            if text_width(row[index]) > room:
                row[index] = pad_text(row[index], room)
    return rows


def _measure_columns(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column, with the gap behind it."""
    return [
        max(map(text_width, [column.heading, *(row[index] for row in cells)])) + _GAP
        for index, column in enumerate(columns)
    ]


def _write_plain(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], *, totalled: bool
) -> None:
    lines = [[column.heading for column in columns], *cells]
    widths = [max(map(text_width, texts)) for texts in zip(*lines)]
    rule = ["-" * width for width in widths]
    lines.insert(1, rule)
    if totalled:
        lines.insert(-1, rule)
    for line in lines:
        padded = [
            pad_text(cell, width, right=column.right)
            for column, cell, width in zip(columns, line, widths)
        ]
        write_line((" " * _GAP).join(padded).rstrip())


def _write_rich(
    console: Console, columns: Sequence[Column], cells: Sequence[Sequence[str]], *, totalled: bool
) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    footers = cells[-1] if totalled else [""] * len(columns)
    table = Table(
        box=SIMPLE,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
        show_footer=totalled,
        header_style="bold",
    )
    for column, footer in zip(columns, footers):
        table.add_column(
            column.heading,
            footer,
            justify="right" if column.right else "left",
            style=column.style,
            footer_style="bold",
            no_wrap=True,
        )
    for row in cells[: len(cells) - totalled]:
        table.add_row(*row)
    console.print(table)

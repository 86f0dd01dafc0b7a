"""Prints tables that fit into the terminal, and coloured text."""

from __future__ import annotations

import os
import sys
from shutil import get_terminal_size
from typing import Any, Callable, NamedTuple, Sequence

import click

from lupis_instrument._cli.lupis.formatting import cut_middle, pad_text
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._export.terminal import text_width

_GAP = 2
_MIN_WIDTH = 20
_COMFORTABLE_CUT_WIDTH, _MIN_CUT_WIDTH = 20, 6
"""The width that the text of a `cut` column keeps while other columns can go, and the least one."""
_ZEROS = frozenset(("", "-", "0", "0%", "$0.00"))
"""Cells that say nothing: they are dim."""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        heading: the text above the column.
        cell: makes the text of a cell from the object that a row shows.
        right: whether the column is aligned to the right, like numbers.
        style: the colour of its cells, or "dim" or "bold".
        rank: the order in which columns give way on a narrow terminal, the highest rank first;
            columns of rank 0 stay.
        cut: whether long texts may lose their middle.
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


def write_note(text: str) -> None:
    """Write a dim line that does not wrap, such as a hint below a table."""
    width = terminal_width()
    shown = text if width is None or text_width(text) <= width else pad_text(text, width).rstrip()
    write_line(style_text(shown, dim=True))


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
    widths = fit_columns(columns, measure_columns(columns, cells), terminal_width())
    lines = [[column.heading for column in columns], *cells]
    rule = ["-" * width for width in widths]
    lines.insert(1, rule)
    if total:
        lines.insert(-1, rule)
    kept = [index for index, width in enumerate(widths) if width]
    for number, line in enumerate(lines):
        bold = number == 0 or (total is not None and number == len(lines) - 1)
        parts = [
            _draw_cell(
                columns[index], line[index], widths[index], bold=bold, last=index == kept[-1]
            )
            for index in kept
        ]
        write_line((" " * _GAP).join(parts))
    return [column.heading for column, width in zip(columns, widths) if not width]


def show_rows(columns: Sequence[Column], objects: Sequence[Any]) -> list[str]:
    """Write a table with a row for each object; the columns make the cells.

    Returns:
        The headings of the columns that did not fit.
    """
    return show_table(columns, [[column.cell(row) for column in columns] for row in objects])


def measure_columns(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of the widest text of each column."""
    return [
        max(map(text_width, [column.heading, *(row[index] for row in cells)]))
        for index, column in enumerate(columns)
    ]


def fit_columns(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> list[int]:
    """Return the width of each column in a terminal, 0 for a column that has to go.

    Long names lose their middle first, then columns go by their rank, then names are cut further.

    Args:
        columns: the columns.
        natural: the width that each column would have in a terminal of any width.
        width: the columns of the terminal; None for any width.
    """
    if width is None:
        return list(natural)
    widths = [
        min(size, _COMFORTABLE_CUT_WIDTH) if column.cut else size
        for column, size in zip(columns, natural)
    ]
    while _add_up(widths) > width:
        index = _find_least_important(columns, widths)
        if index is None:
            break
        widths[index] = 0
    while _add_up(widths) != width:
        growth = 1 if _add_up(widths) < width else -1
        index = _find_adjustable(columns, natural, widths, growth)
        if index is None:
            break
        widths[index] += growth
    return widths


def _add_up(widths: Sequence[int]) -> int:
    """Return the width of a line, with the gaps between the columns."""
    return sum(widths) + _GAP * (sum(map(bool, widths)) - 1)


def _find_least_important(columns: Sequence[Column], widths: Sequence[int]) -> int | None:
    """Return the last of the columns with the highest rank; None if only rank 0 is left."""
    kept = [index for index, width in enumerate(widths) if width]
    # max() returns the first of equal columns that it meets.
    index = max(reversed(kept), key=lambda index: columns[index].rank, default=None)
    return None if index is None or columns[index].rank == 0 else index


def _find_adjustable(
    columns: Sequence[Column], natural: Sequence[int], widths: Sequence[int], growth: int
) -> int | None:
    """Return the narrowest column that can grow, or the widest that can shrink; None without."""
    limits = natural if growth > 0 else [_MIN_CUT_WIDTH] * len(widths)
    fitting = [
        index
        for index, column in enumerate(columns)
        if column.cut and widths[index] and (limits[index] - widths[index]) * growth > 0
    ]
    return min(fitting, key=lambda index: widths[index] * growth, default=None)


def _draw_cell(column: Column, cell: str, width: int, *, bold: bool, last: bool) -> str:
    """Return a cell in the width and the style of its column; the last one ends with its text."""
    text = pad_text(cut_middle(cell, width), width, right=column.right)
    text = text.rstrip() if last else text
    if bold:
        return style_text(text, bold=True)
    if cell in _ZEROS:
        return style_text(text, dim=True)
    styles: dict[str, bool | str] = (
        {column.style: True} if column.style in ("dim", "bold") else {"fg": column.style}
    )
    return style_text(text, **styles) if column.style else text

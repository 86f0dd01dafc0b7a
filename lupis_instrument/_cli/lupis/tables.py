"""Tables on a terminal, with rich where it is installed, and as plain text elsewhere."""

from __future__ import annotations

import os
import sys
from shutil import get_terminal_size
from typing import TYPE_CHECKING, NamedTuple, Sequence

import click

from lupis_instrument._query import amounts

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 2
_NARROWEST = 20


class Column(NamedTuple):
    """How a column looks.

    Attributes:
        heading: above it.
        right: whether it is aligned to the right, as numbers are.
        style: in rich's words.
        rank: the columns of the highest rank are left out first where there is no room; those of
            rank 0 stay.
    """

    heading: str
    right: bool = True
    style: str = ""
    rank: int = 0


def on_terminal() -> bool:
    """Tell whether standard output is a terminal."""
    return sys.stdout.isatty()


def width() -> int | None:
    """Return the terminal's columns; None where the output goes elsewhere and may be any width."""
    return max(get_terminal_size().columns, _NARROWEST) if on_terminal() else None


def console() -> Console | None:
    """Return rich's console; None where there is no terminal, or no rich."""
    if not on_terminal():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(highlight=False, markup=False, emoji=False, width=width())


def echo(text: str) -> None:
    """Write a line to standard output in its own encoding, which click at times knows better."""
    click.echo(text, file=sys.stdout)


def style(text: str, **styles: bool | str) -> str:
    """Return `text` in colour where the terminal has any, and its user wants any."""
    colourless = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if colourless or not on_terminal() else click.style(text, **styles)  # type: ignore[arg-type]


def show(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], total: Sequence[str] | None = None
) -> list[str]:
    """Write a table, and `total` under it; returns the headings of what there was no room for."""
    cells = [[amounts.clean(cell) for cell in row] for row in [*rows, *([total] if total else [])]]
    kept = _fit(columns, cells, width())
    columns_kept = [columns[place] for place in kept]
    cells = [[row[place] for place in kept] for row in cells]
    terminal = console()
    if terminal is None:
        _show_plain(columns_kept, cells, totalled=total is not None)
    else:
        _show_rich(terminal, columns_kept, cells, totalled=total is not None)
    return [each.heading for place, each in enumerate(columns) if place not in kept]


def _fit(columns: Sequence[Column], cells: Sequence[Sequence[str]], room: int | None) -> list[int]:
    """Return the places of the columns that there is room for."""
    widths = [
        max(map(amounts.cells, [each.heading, *(row[place] for row in cells)])) + _GAP
        for place, each in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    while room is not None and sum(widths[place] for place in kept) > room:
        place = max(reversed(kept), key=lambda place: columns[place].rank)
        if columns[place].rank == 0:
            break
        kept.remove(place)
    return kept


def _show_plain(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], *, totalled: bool
) -> None:
    lines = [[each.heading for each in columns], *cells]
    widths = [max(map(amounts.cells, column)) for column in zip(*lines)]
    rule = ["-" * width for width in widths]
    lines.insert(1, rule)
    if totalled:
        lines.insert(-1, rule)
    for line in lines:
        laid = [
            amounts.pad(cell, width, right=each.right)
            for each, cell, width in zip(columns, line, widths)
        ]
        echo((" " * _GAP).join(laid).rstrip())


def _show_rich(
    terminal: Console, columns: Sequence[Column], cells: Sequence[Sequence[str]], *, totalled: bool
) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    total = cells[-1] if totalled else [""] * len(columns)
    table = Table(
        box=SIMPLE,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
        show_footer=totalled,
        header_style="bold",
    )
    for each, below in zip(columns, total):
        table.add_column(
            each.heading,
            below,
            justify="right" if each.right else "left",
            style=each.style,
            footer_style="bold",
            no_wrap=True,
        )
    for row in cells[: len(cells) - totalled]:
        table.add_row(*row)
    terminal.print(table)

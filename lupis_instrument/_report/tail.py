"""`lupis tail`: spans and events as they are stored, while programs run."""

from __future__ import annotations

import sys
from time import sleep
from typing import TYPE_CHECKING, Any

import click

from lupis_instrument._report import amounts, tables
from lupis_instrument._report.items import Item, describe, find
from lupis_instrument._report.reading import explain_nothing, reading

if TYPE_CHECKING:
    from pathlib import Path

    from lupis_instrument._report.reading import Reading

_SECONDS = 0.2
_INTERRUPTED = 130


@click.command()
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=10, show_default=True, help="The last N first."
)
@click.option("--chat", metavar="ID", help="Only those of this conversation.")
def tail(lines: int, chat: str | None) -> None:
    """Show spans and events as they are stored, until Ctrl-C."""
    condition = ("id > ?", ()) if chat is None else ("id > ? AND chat = ?", (chat,))
    try:
        _follow(lines, *condition)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _follow(lines: int, condition: str, values: tuple[Any, ...]) -> None:
    with reading() as opened:
        if opened.there:
            newest = list(find(opened.db, condition, (0, *values), f"id DESC LIMIT {lines}"))
            last = _show(newest[::-1], _last(opened))
            _watch(opened, last, condition, values)
        else:
            click.echo(f"{explain_nothing(opened, 'spans')}\nWaiting for it.", err=True)
    while True:  # it was not there, or it was set aside, and another has taken its place
        with reading() as opened:
            if opened.there:
                _watch(opened, 0, condition, values)
        sleep(_SECONDS)


def _watch(opened: Reading, last: int, condition: str, values: tuple[Any, ...]) -> None:
    """Show what comes after `last`, as long as the file is the same."""
    assert opened.path is not None
    file, seen = _identity(opened.path), None
    while _identity(opened.path) == file:
        # What this counts is in memory that all who have the file open share.
        (version,) = opened.db.execute("PRAGMA data_version").fetchone()
        if version != seen:
            seen = version
            last = _show(find(opened.db, condition, (last, *values)), last)
        sleep(_SECONDS)


def _show(items: Any, last: int) -> int:
    """Write a line for each; returns the last id, `last` if that is later."""
    item: Item
    for item in items:
        time, *parts = (amounts.local(item.at, "%H:%M:%S"), *describe(item))
        failed = {"fg": "red"} if item.error is not None else {}
        click.echo(
            "  ".join([tables.style(time, dim=True), tables.style("  ".join(parts), **failed)])
        )
        last = max(last, item.id)
    return last


def _last(opened: Reading) -> int:
    return int(opened.db.execute("SELECT last FROM sequence").fetchone()[0])


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

"""`lupis tail`: spans and events as they are stored, while programs run."""

from __future__ import annotations

import sys
from time import sleep
from typing import TYPE_CHECKING, Any

import click

from lupis_instrument._cli.lupis import tables
from lupis_instrument._query import amounts
from lupis_instrument._query.items import Item, describe, find
from lupis_instrument._query.store_reader import explain_nothing, reading

if TYPE_CHECKING:
    from lupis_instrument._query.store_reader import Reading

_SECONDS = 0.2
_AT_ONCE = 1000
_INTERRUPTED = 130


@click.command()
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=10, show_default=True, help="The last N first."
)
@click.option("--chat", metavar="ID", help="Only those of this conversation.")
def tail(lines: int, chat: str | None) -> None:
    """Show spans and events as they come.

    That is when programs store them, until Ctrl-C.
    """
    condition = ("id > ?", ()) if chat is None else ("id > ? AND chat = ?", (chat,))
    try:
        _follow(lines, *condition)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _follow(lines: int, condition: str, values: tuple[Any, ...]) -> None:
    with reading() as opened:
        if opened.there:
            (last,) = opened.db.execute("SELECT last FROM sequence").fetchone()
            newest = list(find(opened.db, condition, (0, *values), f"id DESC LIMIT {lines}"))
            last = _show(newest[::-1], last)
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
    seen = None
    while opened.current:
        # What this counts is in memory that all who have the file open share.
        (version,) = opened.db.execute("PRAGMA data_version").fetchone()
        items = []
        if version != seen:
            # At once, for a terminal may be slow, and a look that lasts makes the log grow.
            items = list(find(opened.db, condition, (last, *values), f"id LIMIT {_AT_ONCE}"))
            last = _show(items, last)
        seen = version if len(items) < _AT_ONCE else None
        if seen is not None:
            sleep(_SECONDS)


def _show(items: list[Item], last: int) -> int:
    """Write a line for each; returns the last id, `last` if that is later."""
    for item in items:
        time, *parts = (amounts.local(item.at, "%H:%M:%S"), *describe(item))
        failed = {"fg": "red"} if item.error is not None else {}
        tables.echo(
            "  ".join([tables.style(time, dim=True), tables.style("  ".join(parts), **failed)])
        )
        last = max(last, item.id)
    return last

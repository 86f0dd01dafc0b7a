"""`lupis tail`: shows spans and events while programs store them."""

from __future__ import annotations

import sys
from time import sleep
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import click

from lupis_instrument._cli.lupis.formatting import (
    format_cost,
    format_duration,
    format_tokens,
)
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store
from lupis_instrument._cli.lupis.tables import style_text, write_line
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._export.otlp.encoded_items import EVENT
from lupis_instrument._query.items import Item, find_items, find_last_id
from lupis_instrument._query.times import format_local_time

if TYPE_CHECKING:
    from lupis_instrument._query.store_reader import OpenStore

_POLL_SECONDS = 0.2
_PAGE_SIZE = 1000
_INTERRUPTED = 130
"""The exit status of a command that Ctrl-C ends: 128 + SIGINT, as in shells."""


class Part(NamedTuple):
    """A part of a line.

    Attributes:
        pattern: the text, with "%s" for the value.
        read_value: takes the value from the item; None leaves the part out.
    """

    pattern: str
    read_value: Callable[[Item], Any]


_PARTS = (
    Part("%s", lambda item: "event" if item.kind == EVENT else format_duration(item.duration)),
    Part("%s", lambda item: item.name or None),
    Part("%s", lambda item: item.provider or None),
    Part("%s tokens", lambda item: format_tokens(item) or None),
    Part("%s", lambda item: format_cost(item) or None),
    Part("chat %s", lambda item: item.chat),
    Part("error %s", lambda item: item.error),
)
"""The parts of a line after its time."""


class _Filter(NamedTuple):
    """The items to show.

    Attributes:
        condition: the SQL condition; its first question mark is the last id already shown.
        values: the values of the other question marks.
    """

    condition: str
    values: tuple[Any, ...] = ()


@click.command()
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    metavar="N",
    help="The number of stored items to show first.",
)
@click.option("--chat", metavar="ID", help="Only the spans and events of this conversation.")
def tail(lines: int, chat: str | None) -> None:
    """Show spans and events as your programs store them, until Ctrl-C."""
    chosen = _Filter("id > ?") if chat is None else _Filter("id > ? AND chat = ?", (chat,))
    try:
        _follow(lines, chosen)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _follow(lines: int, chosen: _Filter) -> None:
    with open_store() as store:
        if store.exists:
            last_id = find_last_id(store.db)
            order = f"id DESC LIMIT {lines}"
            newest = list(find_items(store.db, chosen.condition, (0, *chosen.values), order))
            last_id = _show_items(newest[::-1], last_id)
            _watch_store(store, last_id, chosen)
        else:
            click.echo(f"{explain_nothing(store, 'spans')}\nWaiting for it.", err=True)
    # The store did not exist yet, or was set aside as damaged, and a new one takes its path.
    while True:
        with open_store() as store:
            if store.exists:
                _watch_store(store, 0, chosen)
        sleep(_POLL_SECONDS)


def _watch_store(store: OpenStore, last_id: int, chosen: _Filter) -> None:
    """Show the items after `last_id`, until another file takes the store's path."""
    seen_version = None
    while store.is_current:
        # `data_version` changes when another connection commits. SQLite reads it from memory that
        # all processes with the file open share, so that polling costs no disk access.
        # https://www.sqlite.org/pragma.html#pragma_data_version
        (version,) = store.db.execute("PRAGMA data_version").fetchone()
        items = []
        if version != seen_version:
            # A list, so that the query ends before the lines are written: a terminal may be slow,
            # and while a query is open, SQLite cannot shorten its log.
            values = (last_id, *chosen.values)
            items = list(find_items(store.db, chosen.condition, values, f"id LIMIT {_PAGE_SIZE}"))
            last_id = _show_items(items, last_id)
        # After a full page there may be more items to read at once.
        seen_version = version if len(items) < _PAGE_SIZE else None
        if seen_version is not None:
            sleep(_POLL_SECONDS)


def _show_items(items: list[Item], last_id: int) -> int:
    """Write a line for each item; returns the highest id, `last_id` included."""
    for item in items:
        time = style_text(format_local_time(item.at, "%H:%M:%S"), dim=True)
        failed = {"fg": "red"} if item.error is not None else {}
        write_line(f"{time}  {style_text('  '.join(describe_item(item)), **failed)}")
        last_id = max(last_id, item.id)
    return last_id


def describe_item(item: Item) -> list[str]:
    """Return the parts of an item's line after its time."""
    values = [(part.pattern, part.read_value(item)) for part in _PARTS]
    return [escape_controls(pattern % (value,)) for pattern, value in values if value is not None]

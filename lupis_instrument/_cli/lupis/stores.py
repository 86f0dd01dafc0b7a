"""Opens the store for a command; problems become click's errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator

import click

from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._export.store.schema import is_slow
from lupis_instrument._query import store_reader

if TYPE_CHECKING:
    from lupis_instrument._query.store_reader import OpenStore

_ADVICE = (
    "lupis: this store of an older release lacks indexes, so that reports take seconds;"
    " `lupis prune` adds them"
)


@contextmanager
def open_store() -> Iterator[OpenStore]:
    """Open the store, or an empty one if there is none.

    Raises:
        click.ClickException: the store cannot be read; the message says why.
    """
    try:
        with store_reader.open_store() as store:
            if is_slow(store.db):
                click.echo(_ADVICE, err=True)
            yield store
    except store_reader.StoreUnreadableError as error:
        raise click.ClickException(escape_controls(error)) from None


def explain_nothing(store: OpenStore, subject: str) -> str:
    """Return the reason why a command has nothing to show, and the cure.

    Args:
        store: the store that lacks the subject.
        subject: the thing that the command looked for, such as "spans".
    """
    path = escape_controls(store.shown_path)
    if not store.exists:
        reason = f"No {subject}: there is no store yet at {path}."
    elif store.is_empty:
        reason = f"No {subject}: the store {path} is empty."
    else:
        return f"No {subject}: the store has none, or none that match the options.\nIt is {path}"
    return f"{reason}\nTo fill it:  lupis-run --exporter local python my_agent.py"


def report_damaged(count: int) -> None:
    """Write one line to stderr if damaged rows of the store were left out."""
    if count:
        rows = "row" if count == 1 else "rows"
        click.echo(f"lupis: {count:,} damaged {rows} of the store left out", err=True)

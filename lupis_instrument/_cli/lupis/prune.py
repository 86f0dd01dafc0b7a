"""`lupis prune`: deletes old items and returns their space to the disk."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from time import time_ns
from typing import TYPE_CHECKING, Iterator, NamedTuple

import click

from lupis_instrument._cli.lupis.stores import explain_nothing, open_store
from lupis_instrument._cli.lupis.tables import write_line
from lupis_instrument._cli.lupis.time_options import Age
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._export.store.blocks import add_up_blocks, find_missing_blocks
from lupis_instrument._export.store.database import Database, StoreUnavailable, transaction
from lupis_instrument._export.store.schema import REFUSED, WAITING, add_indexes, has_indexes
from lupis_instrument._process import data_folder
from lupis_instrument._query.items import find_last_id

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_BATCH_SIZE = 1000
_DEFAULT_AGE = "30d"
_MEBIBYTE = 1 << 20
_IS_UNDELIVERED = f"state IN ({WAITING}, {REFUSED})"


class Selection(NamedTuple):
    """The items to delete.

    Attributes:
        condition: an SQL expression over the columns of `item`.
        values: the values of its placeholders.
    """

    condition: str
    values: tuple[str, ...] = ()

    def narrow(self, condition: str) -> Selection:
        """Return the selected items that match a further condition without placeholders."""
        return self._replace(condition=f"{self.condition} AND {condition}")


@click.command()
@click.option(
    "--older-than",
    "age",
    type=Age(),
    metavar="TIME",
    help=f"Delete only items older than this, like 12h or 7d; {_DEFAULT_AGE} by default.",
)
@click.option("--all", "everything", is_flag=True, help="Delete items of any age.")
@click.option("--user", metavar="NAME", help="Delete only the items of this user.")
@click.option(
    "--undelivered",
    is_flag=True,
    help="Delete also the items that no endpoint has accepted yet: they are lost.",
)
@click.option(
    "--yes",
    "-y",
    is_flag=True,
    help="Delete without a question; required without a terminal.",
)
def prune(
    age: int | None, everything: bool, user: str | None, undelivered: bool, yes: bool
) -> None:
    """Delete old spans and events, and return their space to the disk.

    Items that no endpoint has accepted yet stay, unless you add --undelivered. A large store of an
    older release also gets the indexes that make reports fast.
    """
    if everything and age is not None:
        raise click.UsageError("--all and --older-than exclude each other")
    if age is None:
        age = Age().convert(_DEFAULT_AGE, None, None)
    old = Selection("1" if everything else f"at < {time_ns() - age}")
    if user is not None:
        old = Selection(f"{old.condition} AND user = ?", (user,))
    selection = old if undelivered else old.narrow(f"NOT {_IS_UNDELIVERED}")
    with open_store() as store:
        count = _count_items(store.db, selection)
        if not undelivered:
            _report_kept(_count_items(store.db, old.narrow(_IS_UNDELIVERED)))
        if not count:
            click.echo(explain_nothing(store, "spans or events to delete"), err=True)
        is_indexed = not store.exists or has_indexes(store.db)
        is_complete = is_indexed and not find_missing_blocks(store.db)
    if store.path is None or (is_complete and not count):
        return
    _require_trust(store.path)
    if not is_complete:
        _complete_file(store.path, is_indexed=is_indexed)
    if not count:
        return
    if not yes:
        _confirm_deletion(f"{_format_items(count)} from {escape_controls(store.path)}")
    _delete_and_shrink(store.path, selection)


def _require_trust(path: Path) -> None:
    """Refuse to change a store that another user may have put there.

    Raises:
        click.ClickException: the folder cannot be trusted.
    """
    problem = data_folder.find_problem(path.parent)
    if problem is not None:
        raise click.ClickException(escape_controls(problem))


def _confirm_deletion(subject: str) -> None:
    """Ask on a terminal; without one, nobody can answer, and nothing may be deleted.

    Raises:
        click.ClickException: there is no terminal.
        click.Abort: the user does not want to.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.ClickException(
            f"not deleted: {subject}; add --yes to delete without a question"
        )
    click.confirm(f"Delete {subject}?", abort=True, err=True)


def _report_kept(count: int) -> None:
    if count:
        text = (
            f"{_format_items(count)} stay, because no endpoint has accepted them yet;"
            " --undelivered deletes them too"
        )
        click.echo(text, err=True)


@contextmanager
def _open_for_change(path: Path) -> Iterator[Database]:
    """Open the store for writing.

    Raises:
        click.ClickException: the store cannot be used.
    """
    database = Database(str(path.parent), lambda: None)
    try:
        yield database
    except StoreUnavailable as error:
        raise click.ClickException(f"{error}; try again when no program writes") from None
    finally:
        database.close()


def _complete_file(path: Path, *, is_indexed: bool) -> None:
    """Complete the file of an older release; a program does this only to a small file."""
    with _open_for_change(path) as database:
        if not is_indexed:
            database.run(add_indexes)
            click.echo("indexes added to the store of an older release", err=True)
        database.run(partial(add_up_blocks, after_each=database.limit_wal))


def _delete_and_shrink(path: Path, selection: Selection) -> None:
    size_before = path.stat().st_size
    with _open_for_change(path) as database:
        deleted = _delete_items(database, selection)
        write_line(f"{_format_items(deleted)} deleted")
        database.run(partial(add_up_blocks, after_each=database.limit_wal))
        database.run(_shrink_file)
    freed = max(size_before - path.stat().st_size, 0)
    write_line(f"{freed / _MEBIBYTE:,.1f} MiB freed")


def _delete_items(database: Database, selection: Selection) -> int:
    """Delete the matching items in small batches, so that programs can store in between.

    Items that programs add meanwhile stay: the last id at the start is the limit.
    """
    end = database.run(find_last_id)
    deleted = last_id = 0
    while True:
        ids = database.run(
            lambda db, last_id=last_id: _delete_batch(db, selection, last_id, end)  # type: ignore[misc]
        )
        if not ids:
            return deleted
        deleted += len(ids)
        last_id = ids[-1]


def _delete_batch(
    db: sqlite3.Connection, selection: Selection, last_id: int, end: int
) -> list[int]:
    # The rows are selected inside the transaction: a process may have delivered items, or had
    # them refused, since the last batch.
    with transaction(db):
        statement = f"SELECT id FROM item WHERE id > ? AND id <= ? AND {selection.condition}"  # noqa: S608
        values = (last_id, end, *selection.values)
        rows = db.execute(f"{statement} ORDER BY id LIMIT {_BATCH_SIZE}", values).fetchall()
        db.executemany("DELETE FROM body WHERE id = ?", rows)
        db.executemany("DELETE FROM item WHERE id = ?", rows)
    return [row_id for (row_id,) in rows]


def _shrink_file(db: sqlite3.Connection) -> None:
    # VACUUM writes the smaller database into the log; the checkpoint moves it into the file.
    db.execute("VACUUM")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _count_items(db: sqlite3.Connection, selection: Selection) -> int:
    statement = f"SELECT count(*) FROM item WHERE {selection.condition}"  # noqa: S608 - no user's text
    return int(db.execute(statement, selection.values).fetchone()[0])


def _format_items(count: int) -> str:
    return f"{count:,} {'span or event' if count == 1 else 'spans and events'}"

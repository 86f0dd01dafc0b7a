"""`lupis prune`: makes room in the store."""

from __future__ import annotations

import sys
from time import time_ns
from typing import TYPE_CHECKING

import click

from lupis_instrument._cli.lupis import tables
from lupis_instrument._cli.lupis.since import Back
from lupis_instrument._export.store.database import Database, StoreUnavailable, transaction
from lupis_instrument._export.store.schema import REFUSED, WAITING
from lupis_instrument._query import amounts
from lupis_instrument._query.store_reader import explain_nothing, reading

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_AT_ONCE = 1000
_DEFAULT = "30d"
_UNDELIVERED = f"state IN ({WAITING}, {REFUSED})"


@click.command()
@click.option(
    "--older-than",
    "age",
    type=Back(),
    metavar="TIME",
    help=f"What began before that, 12h or 7d; by default {_DEFAULT}.",
)
@click.option("--all", "everything", is_flag=True, help="Whatever its age.")
@click.option(
    "--undelivered", is_flag=True, help="Also what no endpoint has taken yet: it is lost then."
)
@click.option("--yes", "-y", is_flag=True, help="Don't ask, on a terminal.")
def prune(age: int | None, everything: bool, undelivered: bool, yes: bool) -> None:
    """Delete old spans and events.

    Not those that no endpoint has taken yet. Their room is given back to the disk.
    """
    if everything and age is not None:
        raise click.UsageError("--all and --older-than exclude each other")
    if age is None:
        age = Back().convert(_DEFAULT, None, None)
    old = "1" if everything else f"at < {time_ns() - age}"
    wanted = old if undelivered else f"{old} AND NOT {_UNDELIVERED}"
    with reading() as opened:
        found = _count(opened.db, wanted)
        if not undelivered:
            _tell_kept(_count(opened.db, f"{old} AND {_UNDELIVERED}"))
        if not found or opened.path is None:
            click.echo(explain_nothing(opened, "spans and events to delete"), err=True)
            return
    if not yes and sys.stdin.isatty():
        question = f"Delete {_counted(found)} from {amounts.clean(opened.path)}?"
        click.confirm(question, abort=True, err=True)
    _delete(opened.path, wanted)


def _tell_kept(kept: int) -> None:
    if kept:
        text = (
            f"{_counted(kept)} stay, for no endpoint has taken them yet; --undelivered has them go"
        )
        click.echo(text, err=True)


def _delete(path: Path, wanted: str) -> None:
    database = Database(str(path.parent), lambda: None)
    before = path.stat().st_size
    try:
        deleted = _delete_all(database, wanted)
        tables.echo(f"{_counted(deleted)} deleted")
        database.run(_shrink)
    except StoreUnavailable as error:
        raise click.ClickException(f"{error}; try again when no program writes") from None
    finally:
        database.close()
    tables.echo(f"{max(before - path.stat().st_size, 0) / (1 << 20):,.1f} MiB given back")


def _delete_all(database: Database, wanted: str) -> int:
    """Delete in many small steps, between which programs can store."""
    (end,) = database.run(lambda db: db.execute("SELECT last FROM sequence").fetchone())
    deleted = last = 0
    while True:
        ids = database.run(lambda db, last=last: _delete_some(db, wanted, last, end))  # type: ignore[misc]
        if not ids:
            return deleted
        deleted += len(ids)
        last = ids[-1]


def _delete_some(db: sqlite3.Connection, wanted: str, last: int, end: int) -> list[int]:
    # Chosen inside the transaction: what waits may have been delivered meanwhile, or the reverse.
    with transaction(db):
        statement = f"SELECT id FROM item WHERE id > ? AND id <= ? AND {wanted}"  # noqa: S608
        rows = db.execute(f"{statement} ORDER BY id LIMIT {_AT_ONCE}", (last, end)).fetchall()
        db.executemany("DELETE FROM body WHERE id = ?", rows)
        db.executemany("DELETE FROM item WHERE id = ?", rows)
    return [id_ for (id_,) in rows]


def _shrink(db: sqlite3.Connection) -> None:
    db.execute("VACUUM")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _count(db: sqlite3.Connection, wanted: str) -> int:
    statement = f"SELECT count(*) FROM item WHERE {wanted}"  # noqa: S608 - our words and numbers
    return int(db.execute(statement).fetchone()[0])


def _counted(count: int) -> str:
    return f"{count:,} {'span or event' if count == 1 else 'spans and events'}"

"""Opens the store to read it: the file is never made, changed or held up by that."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator, NamedTuple

import click

from lupis_instrument._config.config import resolve_settings
from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.schema import MIGRATIONS, migrate
from lupis_instrument._process import data_folder
from lupis_instrument._query.amounts import clean

if TYPE_CHECKING:
    from pathlib import Path


class Reading(NamedTuple):
    """A store that is being read.

    Attributes:
        path: of the file, None where this user has no folder for it.
        db: what is in it; an empty store in memory where there is none.
        file: which file it is; None where there is none. Another may come to have its path.
    """

    path: Path | None
    db: sqlite3.Connection
    file: tuple[int, int] | None = None

    @property
    def there(self) -> bool:
        """Whether there is a store."""
        return self.file is not None

    @property
    def current(self) -> bool:
        """Whether the path still leads to it."""
        return self.path is not None and identify(self.path) == self.file


def identify(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from others of its name; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def locate() -> Path | None:
    """Return where the store is, or would be."""
    config = resolve_settings(os.environ, None, launched=True).config
    folder = data_folder.find_folder(config.data_dir)
    return None if folder is None else folder / FILE_NAME


@contextmanager
def reading() -> Iterator[Reading]:
    """Open the store, an empty one if there is none.

    Raises:
        click.ClickException: there is one that cannot be read; the message says why.
    """
    path = locate()
    try:
        opened = _open(path)
        try:
            yield opened
        finally:
            opened.db.close()
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise click.ClickException(f"the store {_shown(path)} can't be read: {error}") from None


def _open(path: Path | None) -> Reading:
    file = None if path is None else identify(path)
    if path is None or file is None:
        return Reading(path, _nothing())
    db = _connect(path)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:  # a program is just making it
        db.close()
        return Reading(path, _nothing())
    if version != len(MIGRATIONS):
        db.close()
        raise click.ClickException(_unknown_version(path, version))
    return Reading(path, db, file)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA user_version")
    except sqlite3.Error as error:
        db.close()
        open_to_us = os.access(path, os.R_OK) and not os.access(path.parent, os.W_OK)
        if not open_to_us or not isinstance(error, sqlite3.OperationalError):
            raise
        # In a folder that is read-only, SQLite can't make the index of the log that it reads by:
        # nobody writes there, and so what is in the file is all there is.
        db = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True, isolation_level=None)
    return db


def _nothing() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db)
    return db


def _unknown_version(path: Path, version: int) -> str:
    found = f"the store {_shown(path)} is of version {version}"
    known = len(MIGRATIONS)
    if version > known:
        return f"{found}, and this lupis knows {known}: pip install --upgrade lupis-instrument"
    return f"{found}: the next program that runs under lupis-run brings it to {known}"


def explain_nothing(opened: Reading, what: str) -> str:
    """Tell why nothing is shown, and how to change that.

    Args:
        opened: the store, without anything that was asked for.
        what: was asked for.
    """
    place = _shown(opened.path)
    if not opened.there:
        found = f"No {what}: there is no store yet at {place}."
    elif opened.db.execute("SELECT 1 FROM item LIMIT 1").fetchone() is None:
        found = f"No {what}: the store {place} is empty."
    else:
        return f"No {what} in the store {place}, or none that the options leave over."
    return f"{found}\nTo fill it:  lupis-run --exporter local python my_agent.py"


def _shown(path: Path | None) -> str:
    return "(none: set LUPIS_DATA_DIR)" if path is None else clean(str(path))

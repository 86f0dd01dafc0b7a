"""Opens the store for reading: a reader never creates, changes or blocks the file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from stat import S_ISREG
from typing import TYPE_CHECKING, Iterator, NamedTuple

from lupis_instrument._config.config import resolve_settings
from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.schema import (
    ADDITIONS,
    MIGRATIONS,
    count_additions,
    migrate_schema,
)
from lupis_instrument._process import data_folder

if TYPE_CHECKING:
    from pathlib import Path

NO_PATH = "(none: set LUPIS_DATA_DIR)"
"""The text for the path of the store where the user has no data folder."""


class StoreUnreadableError(Exception):
    """The store exists and cannot be read; the message is for the user."""


class OpenStore(NamedTuple):
    """A store that is open for reading.

    Attributes:
        path: the path of the file; None if this user has no data folder.
        db: the connection; an empty database in memory if there is no store.
        file_id: the device and inode of the file; None if there is no store. Another file may
            take the path later: `Database` moves a damaged store aside.
    """

    path: Path | None
    db: sqlite3.Connection
    file_id: tuple[int, int] | None = None

    @property
    def exists(self) -> bool:
        """Return whether there is a store."""
        return self.file_id is not None

    @property
    def is_current(self) -> bool:
        """Return whether the path still leads to the open file."""
        return self.path is not None and read_file_id(self.path) == self.file_id

    @property
    def is_empty(self) -> bool:
        """Return whether the store holds neither spans nor events."""
        return self.db.execute("SELECT 1 FROM item LIMIT 1").fetchone() is None

    @property
    def shown_path(self) -> str:
        """Return the path as text; without one, the advice to set LUPIS_DATA_DIR."""
        return NO_PATH if self.path is None else str(self.path)


def read_file_id(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file; None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if not S_ISREG(status.st_mode):  # to open a FIFO would wait for its other end
        raise OSError("it is no regular file")
    return status.st_dev, status.st_ino


def find_store_path() -> Path | None:
    """Return the path that the settings give the store; None without a data folder."""
    config = resolve_settings(os.environ, None, launched=True).config
    folder = data_folder.find_folder(config.data_dir)
    return None if folder is None else folder / FILE_NAME


@contextmanager
def open_store(path: Path | None = None) -> Iterator[OpenStore]:
    """Open the store, or an empty database in memory if there is none.

    Args:
        path: the path of the file; None for the path that the settings give.

    Raises:
        StoreUnreadableError: the file cannot be read, at the opening or later in the block.
    """
    path = find_store_path() if path is None else path
    try:
        store = _open_path(path)
        try:
            yield store
        finally:
            store.db.close()
    except BrokenPipeError:
        raise  # from writing the output, not from the store
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        shown_path = NO_PATH if path is None else path
        # Python cannot decode SQLite's message if it quotes bytes from a damaged schema; Python 3.8
        # gives an empty text then.
        is_readable = not isinstance(error, UnicodeDecodeError) and str(error)
        reason = error if is_readable else "malformed database schema"
        raise StoreUnreadableError(f"the store {shown_path} can't be read: {reason}") from None


def _open_path(path: Path | None) -> OpenStore:
    file_id = None if path is None else read_file_id(path)
    if path is None or file_id is None:
        return OpenStore(path, _create_empty_db())
    db = _connect_read_only(path)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == len(MIGRATIONS):
        _complete_tables(db)
        return OpenStore(path, db, file_id)
    db.close()
    if version == 0:  # a program has created the file, and not yet its tables
        return OpenStore(path, _create_empty_db())
    raise StoreUnreadableError(_explain_version(path, version))


def _connect_read_only(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()  # reads the whole schema
    except (sqlite3.Error, UnicodeDecodeError) as error:
        db.close()
        in_read_only_folder = os.access(path, os.R_OK) and not os.access(path.parent, os.W_OK)
        if not in_read_only_folder or not isinstance(error, sqlite3.OperationalError):
            raise
        # In write-ahead mode SQLite creates files beside the database, even to read it
        # (https://www.sqlite.org/wal.html#readonly). In a read-only folder it cannot, and no
        # program writes there either: the file alone is complete, and `immutable` reads it.
        db = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True, isolation_level=None)
    db.text_factory = _decode_text
    db.execute("PRAGMA temp_store = MEMORY")
    return db


def _decode_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")  # a damaged file may hold any bytes


def _complete_tables(db: sqlite3.Connection) -> None:
    """Give this connection the columns that a file of an older release lacks, with NULL in them.

    The names of temporary views come before the names of tables, and a view needs no change of
    the file.
    """
    if count_additions(db) >= len(ADDITIONS):
        return
    complete = _create_empty_db()
    for table in ("item", "origin"):
        names = _read_columns(db, table)
        missing = [name for name in _read_columns(complete, table) if name not in names]
        columns = ", ".join(["*", *(f"NULL AS {name}" for name in missing)])
        db.execute(f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM main.{table}")  # noqa: S608
    complete.close()


def _read_columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA main.table_info({table})")]


def _create_empty_db() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate_schema(db)
    return db


def _explain_version(path: Path, version: int) -> str:
    known = len(MIGRATIONS)
    problem = f"the store {path} has version {version}, and this lupis reads version {known}"
    if version > known:
        return f"{problem}; run: pip install --upgrade lupis-instrument"
    return f"{problem}; the next program under lupis-run upgrades it"

"""One SQLite file that many processes use: opened, guarded, kept from forks, set aside if damaged.

No connection outlives a fork, and none is open while nothing is asked of the file.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from threading import Lock, get_ident
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence, TypeVar

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.store.schema import NewerStore, migrate
from lupis_instrument._process import data_folder

if TYPE_CHECKING:
    from pathlib import Path

Result = TypeVar("Result")

FILE_NAME = "store.db"
_OWNER_ONLY = 0o600
_LOCK_SECONDS = 5.0
_WAL_BYTES = 8 << 20
_PAUSE = 0.002
_DAMAGE = ("malformed", "not a database", "encrypted", "disk image")


class StoreUnavailable(Exception):  # noqa: N818 - it says what is the matter
    """Nothing can be stored now; the message says why."""


class Database:
    """Runs work on the file, one thread at a time.

    Attributes:
        busy_seconds: how long to wait for other processes.
    """

    def __init__(self, data_dir: str | None, opened: Callable[[], None]) -> None:
        """Use the file in `data_dir`, None for the platform's own folder.

        Args:
            data_dir: `LUPIS_DATA_DIR`.
            opened: called when the file has been opened anew: what was read of it may be outdated.
        """
        self._data_dir = data_dir
        self._opened = opened
        self._lock = Lock()
        self._owner = 0
        self._connection: sqlite3.Connection | None = None
        self.busy_seconds = 2.0

    def path(self) -> Path | None:
        """Return where the file is, or would be."""
        folder = data_folder.find_folder(self._data_dir)
        return folder / FILE_NAME if folder is not None else None

    def exists(self) -> bool:
        """Tell whether there is a file already."""
        path = self.path()
        return path is not None and path.exists()

    def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Return what `work` makes of the file.

        A damaged file is set aside, and `work` gets a new one.

        Raises:
            StoreUnavailable: the file cannot be used.
        """
        with self._locked(self.busy_seconds + _LOCK_SECONDS):
            try:
                try:
                    return work(self._open())
                except sqlite3.DatabaseError as error:
                    if not any(word in str(error) for word in _DAMAGE):
                        raise
                    self._set_aside()
                    return work(self._open())
            except (OSError, sqlite3.Error, NewerStore) as error:
                self._close()
                raise StoreUnavailable(_reason(error)) from error

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._locked(_LOCK_SECONDS):
            self._close()

    # Forks

    def before_fork(self) -> bool:
        """Close the file, and keep it closed until `after_fork`; returns whether that succeeded."""
        if self._owner == get_ident() or not self._lock.acquire(timeout=_LOCK_SECONDS):
            return False
        self._close()
        return True

    def after_fork(self, *, closed: bool) -> None:
        """Go on, in the parent and in the child; `closed` is what `before_fork` returned."""
        if closed:
            self._lock.release()

    def leave_to_parent(self) -> None:
        """Begin anew, in a child that was forked while the file was in use."""
        _left.append(self._connection)  # closing it would take the parent's locks away
        self._connection = None
        self._lock = Lock()
        self._owner = 0

    # The file

    @contextmanager
    def _locked(self, seconds: float) -> Iterator[None]:
        # The garbage collector, or a signal's handler, may come in while this thread is in here.
        if self._owner == get_ident() or not self._lock.acquire(timeout=seconds):
            raise StoreUnavailable("the store is in use")
        self._owner = get_ident()
        try:
            yield
        finally:
            self._owner = 0
            self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        path = data_folder.make_folder(self._data_dir) / FILE_NAME
        # Made by us, for SQLite asks the umask alone what others may read.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY))
        db = sqlite3.connect(
            str(path), timeout=self.busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            self._write_ahead(db)
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            migrate(db)
        except BaseException:
            db.close()
            raise
        self._connection = db
        self._opened()
        return db

    def _write_ahead(self, db: sqlite3.Connection) -> None:
        """Have a new file written ahead; where another process is at that, SQLite does not wait."""
        due = monotonic() + self.busy_seconds
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or monotonic() >= due:
                    raise
                sleep(_PAUSE)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _set_aside(self) -> None:
        """Put a damaged file out of the way, never away."""
        self._close()
        path = self.path()
        assert path is not None
        mark = f".corrupt-{int(time())}"
        for suffix in ("", "-wal", "-shm"):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.replace(beside.with_name(beside.name + mark))
        warn(f"the store {path} is damaged; it is kept as {path.name}{mark}, and a new one begun")


_left: list[sqlite3.Connection | None] = []


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Have all that the block does done, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def change(db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    """Run `statement` for each of `rows` in one transaction; returns how many rows it changed."""
    with transaction(db):
        return db.executemany(statement, rows).rowcount


def _reason(error: Exception) -> str:
    """Return what is wrong in a few words; never a path, which may be anybody's."""
    if isinstance(error, NewerStore):
        return f"the store is of a newer version of lupis-instrument ({error})"
    return f"no store: {getattr(error, 'strerror', None) or error}"

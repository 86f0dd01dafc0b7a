"""One SQLite file that many processes use, with one connection for each process.

No connection outlives a fork, and none is open before the first use of the file. A damaged file is
renamed and replaced.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence, TypeVar

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.store.schema import NewerStore, migrate_schema
from lupis_instrument._process import data_folder
from lupis_instrument._process.native_threads import allocate_lock, get_ident, sleep

if TYPE_CHECKING:
    from pathlib import Path

Result = TypeVar("Result")

FILE_NAME = data_folder.STORE_NAME
_OWNER_ONLY = 0o600
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows lacks it
_LOCK_SECONDS = 5.0
MAX_WAL_BYTES = 4 << 20
"""The size of the write-ahead log, unless the limit of the whole store asks for less."""
_CHECKPOINT_SECONDS = 1.0
_CHECKPOINT_ATTEMPT_SECONDS = 0.1
"""How long a checkpoint waits for processes that are reading or writing."""
_RETRY_SECONDS = 0.002
_DAMAGE_WORDS = ("malformed", "not a database", "encrypted", "disk image")
"""Words of SQLite's messages about a file that is no intact database."""


class StoreUnavailable(Exception):  # noqa: N818 - the name states the problem
    """The store cannot be used now; the message says why."""


class Database:
    """Runs functions on the file, one thread at a time.

    Attributes:
        busy_seconds: the longest wait for other processes that write.
    """

    def __init__(
        self,
        data_dir: str | None,
        on_open: Callable[[], None],
        max_wal_bytes: int = MAX_WAL_BYTES,
    ) -> None:
        """Use the file in `data_dir`; it is opened, or made, with the first `run`.

        Args:
            data_dir: `LUPIS_DATA_DIR`; None for the platform's own folder.
            on_open: called after each opening, because values read before may be outdated.
            max_wal_bytes: the size of the write-ahead log from which on it is emptied.
        """
        self._max_wal_bytes = max_wal_bytes
        self._next_checkpoint = max_wal_bytes
        self._data_dir = data_dir
        self._on_open = on_open
        self._lock = allocate_lock()
        self._owner = 0
        """The thread that is using the file; 0 if there is none."""
        self._connection: sqlite3.Connection | None = None
        self._closed_for_fork: dict[int, bool] = {}
        """By thread that forks: whether it could close the file."""
        self.busy_seconds = self._busy_timeout = 2.0
        self._wal: Path | None = None

    def path(self) -> Path | None:
        """Return the path of the file, whether or not it exists; None without a data folder."""
        folder = data_folder.find_folder(self._data_dir)
        return folder / FILE_NAME if folder is not None else None

    def exists(self) -> bool:
        """Return whether the file exists already, in a folder that can be trusted."""
        path = self.path()
        return path is not None and path.exists() and data_folder.find_problem(path.parent) is None

    def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Call `work` with a connection to the file and return its result.

        A damaged file is renamed, and `work` is called again with a new file.

        Raises:
            StoreUnavailable: the file cannot be used.
        """
        with self._locked(self.busy_seconds + _LOCK_SECONDS):
            try:
                try:
                    result = work(self._open_file())
                except sqlite3.DatabaseError as error:
                    if not any(word in str(error) for word in _DAMAGE_WORDS):
                        raise
                    self._set_aside()
                    result = work(self._open_file())
                self.limit_wal()
                return result
            except (OSError, sqlite3.Error, NewerStore) as error:
                self._close_file()
                raise StoreUnavailable(_describe_error(error)) from error

    def close(self) -> None:
        """Close the file; the next `run` opens it again."""
        with self._locked(_LOCK_SECONDS):
            self._close_file()

    # Forks

    def before_fork(self) -> None:
        """Close the file, and keep other threads from opening it until the fork is done.

        The file stays open if this very thread is using it, or another thread uses it for too long.
        """
        closed = self._owner != get_ident() and self._lock.acquire(timeout=_LOCK_SECONDS)
        if closed:
            self._close_file()
        self._closed_for_fork[get_ident()] = closed

    def after_fork_in_parent(self) -> None:
        """Let threads open the file again."""
        if self._closed_for_fork.pop(get_ident(), False):
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Let the child open the file; a connection that is still open stays with the parent."""
        if self._closed_for_fork.pop(get_ident(), False):
            self._lock.release()
            return
        # Closing the connection would take the parent's locks on the file away.
        _connections_of_parents.append(self._connection)
        self._connection = None
        self._lock = allocate_lock()
        self._owner = 0

    # The file

    @contextmanager
    def _locked(self, seconds: float) -> Iterator[None]:
        # The garbage collector, or a signal handler, may call this on the thread that has the lock.
        if self._owner == get_ident() or not self._lock.acquire(timeout=seconds):
            raise StoreUnavailable("the store is in use")
        self._owner = get_ident()
        try:
            yield
        finally:
            self._owner = 0
            self._lock.release()

    def _open_file(self) -> sqlite3.Connection:
        if self._connection is not None:
            self._set_busy_timeout(self._connection, self.busy_seconds)
            return self._connection
        path = data_folder.make_folder(self._data_dir) / FILE_NAME
        # Make the file first: SQLite would let the umask alone decide who may read it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, _OWNER_ONLY))
        db = sqlite3.connect(
            str(path), timeout=self.busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            self._enable_wal(db)
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA wal_autocheckpoint = 0")  # see `limit_wal`
            migrate_schema(db)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            db.close()
            if isinstance(error, sqlite3.DatabaseError) and str(error):
                raise
            # SQLite's message quotes bytes from the damaged schema, and Python can't decode them;
            # Python 3.8 and 3.9 give an empty text then.
            raise sqlite3.DatabaseError("malformed database schema") from None
        except BaseException:
            db.close()
            raise
        self._connection = db
        self._busy_timeout = self.busy_seconds
        self._wal = path.with_name(f"{path.name}-wal")
        self._next_checkpoint = self._max_wal_bytes
        self._on_open()
        return db

    def limit_wal(self) -> None:
        """Empty the write-ahead log if it has become too big; between transactions of `run`.

        SQLite's automatic checkpoints wait for nobody, and the log starts anew only if nobody reads
        or writes at the end of one. While several processes write, that may never happen: the log
        of 3 processes grew to 110 MB. Here each process waits for the others before it writes on.
        https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files
        """
        db, size = self._connection, self._wal_size()
        if size < self._max_wal_bytes:
            self._next_checkpoint = self._max_wal_bytes
        if db is None or size < self._next_checkpoint:
            return
        due = monotonic() + min(_CHECKPOINT_SECONDS, self.busy_seconds)
        try:
            # The first checkpoint copies nearly all, and keeps nobody from writing. The second
            # one, which waits for the others and lets nobody write, has little left to do.
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._set_busy_timeout(db, _CHECKPOINT_ATTEMPT_SECONDS)
            # SQLite does not wait by itself while another process makes a checkpoint.
            while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                size = self._wal_size()
                if size < self._max_wal_bytes:
                    return
                if monotonic() > due:
                    # A process that reads for long keeps the log: do not wait for it each time.
                    self._next_checkpoint = size + self._max_wal_bytes
                    return
                sleep(_RETRY_SECONDS)
        except sqlite3.Error:
            return

    def _wal_size(self) -> int:
        try:
            return self._wal.stat().st_size if self._wal is not None else 0
        except OSError:
            return 0

    def _set_busy_timeout(self, db: sqlite3.Connection, seconds: float) -> None:
        if seconds != self._busy_timeout:
            db.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
            self._busy_timeout = seconds

    def _enable_wal(self, db: sqlite3.Connection) -> None:
        """Switch to write-ahead logging, and wait for other processes that do the same.

        SQLite does not wait by itself here, whatever its busy timeout:
        https://www.sqlite.org/wal.html
        """
        due = monotonic() + self.busy_seconds
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or monotonic() >= due:
                    raise
                sleep(_RETRY_SECONDS)

    def _close_file(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _set_aside(self) -> None:
        """Rename a damaged file; its owner may want to recover it, so it is never deleted."""
        self._close_file()
        path = self.path()
        assert path is not None
        mark = f".corrupt-{int(time())}"
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.replace(part.with_name(part.name + mark))
        warn(f"the store {path} is damaged; it is kept as {path.name}{mark}, and a new one begun")


_connections_of_parents: list[sqlite3.Connection | None] = []
"""Keeps connections alive that a forked child must not close."""


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Run the `with` block in a transaction: after an error, none of its changes remain."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def change_rows(db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    """Run `statement` with each of `rows` in one transaction.

    Returns:
        The number of changed rows.
    """
    with transaction(db):
        return db.executemany(statement, rows).rowcount


def _describe_error(error: Exception) -> str:
    """Return the error in a few words; of a path, only one that the user has to act on."""
    if isinstance(error, NewerStore):
        return f"the store is of a newer version of lupis-instrument ({error})"
    return f"no store: {getattr(error, 'strerror', None) or error}"

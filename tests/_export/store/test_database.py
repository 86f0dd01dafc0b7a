"""One SQLite file is shared by threads and processes, and survives damage, full disks and forks."""

import os
import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from lupis_instrument._export.store.database import (
    FILE_NAME,
    Database,
    StoreUnavailable,
    change_rows,
    transaction,
)
from lupis_instrument._export.store.schema import MIGRATIONS

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")


@pytest.fixture
def opened():
    """A list that gets an entry each time the file is opened."""
    return []


@pytest.fixture
def folder(tmp_path):
    """The data folder of the test."""
    return tmp_path / "data"


@pytest.fixture
def database(folder, opened):
    """A database whose file does not exist yet."""
    database = Database(str(folder), lambda: opened.append(1))
    yield database
    database.close()


def add_row(db):
    """Insert a row into a table of the store."""
    db.execute("INSERT INTO body VALUES (NULL, x'00')")


def count_rows(db):
    """Return the number of rows in that table."""
    return db.execute("SELECT count(*) FROM body").fetchone()[0]


# opening


def test_the_file_is_made_when_it_is_needed(database):
    """A program without calls leaves no file behind."""
    assert not database.exists()
    database.run(add_row)
    assert database.exists()


def test_the_path_is_known_before_the_file_exists(database, folder):
    """Messages to the user name it."""
    assert folder / FILE_NAME == database.path()


def test_the_file_stays_open(database, opened):
    """Opening costs more than storing."""
    database.run(add_row)
    database.run(add_row)
    assert [1] == opened


def test_a_closed_file_is_opened_again(database, opened):
    """The callback runs each time, because other processes may have changed the file."""
    database.run(add_row)
    database.close()
    assert 1 == database.run(count_rows)
    assert [1, 1] == opened


def test_only_its_owner_may_read_the_file(database, folder):
    """The folder has mode 0700 and its files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        database.run(add_row)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (0o700, {0o600}) == (stat.S_IMODE(folder.stat().st_mode), modes)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    """A file has its name; the message does not repeat the path."""
    (tmp_path / "taken").write_text("")
    database = Database(str(tmp_path / "taken" / "data"), lambda: None)
    with pytest.raises(StoreUnavailable, match="no store: ") as error:
        database.run(add_row)
    assert str(tmp_path) not in str(error.value)


def test_a_file_of_a_newer_version_is_left_alone(database, folder):
    """An older program must not break a file that it does not know."""
    database.run(add_row)
    newer = len(MIGRATIONS) + 1
    database.run(lambda db: db.execute(f"PRAGMA user_version = {newer}"))
    database.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        database.run(add_row)
    with closing(sqlite3.connect(folder / FILE_NAME)) as file:
        assert 1 == count_rows(file)


def test_processes_that_make_the_file_together_wait_for_each_other(tmp_path):
    """The children of a pool often end at the same time."""
    for number in range(20):
        databases = [Database(str(tmp_path / f"{number}"), lambda: None) for _ in range(6)]
        start, errors = threading.Barrier(len(databases)), []

        def write(database, start=start, errors=errors):
            start.wait()
            try:
                database.run(add_row)
            except StoreUnavailable as error:
                errors.append(str(error))

        threads = [threading.Thread(target=write, args=(database,)) for database in databases]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        [database.close() for database in databases]
        assert [] == errors


# damage


@pytest.mark.parametrize(
    "garbage",
    [b"not a database at all, but long enough" * 9, b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_damaged_file_is_renamed(garbage, database, folder, capsys):
    """A new file takes its place, and a line names both."""
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(garbage)
    database.run(add_row)
    assert 1 == database.run(count_rows)
    (renamed,) = folder.glob(f"{FILE_NAME}.corrupt-*")
    assert garbage == renamed.read_bytes()
    assert "is damaged" in capsys.readouterr().err


def test_a_file_with_a_damaged_schema_is_renamed(database, capsys):
    """Python cannot decode SQLite's message, because the name of a table is no UTF-8."""
    database.run(add_row)
    database.run(lambda db: db.execute("PRAGMA writable_schema = ON"))
    change = "UPDATE sqlite_master SET name = CAST(x'ff' AS TEXT), sql = 'CREATE'"
    database.run(lambda db: db.execute(change))
    database.close()
    database.run(add_row)
    assert 1 == database.run(count_rows)
    assert "is damaged" in capsys.readouterr().err


def test_a_file_that_is_damaged_later_is_renamed(database, folder, capsys):
    """The following items go into the new file."""
    database.run(lambda db: db.execute("INSERT INTO body VALUES (1, randomblob(500000))"))
    database.close()
    path = folder / FILE_NAME
    data = bytearray(path.read_bytes())
    data[200:] = os.urandom(len(data) - 200)
    path.write_bytes(data)
    database.run(add_row)
    assert 1 == database.run(count_rows)
    assert "is damaged" in capsys.readouterr().err


def test_an_error_that_is_no_damage_leaves_the_file_alone(database, folder):
    """The message repeats SQLite's own."""
    database.run(add_row)
    with pytest.raises(StoreUnavailable, match="no such table: missing"):
        database.run(lambda db: db.execute("SELECT * FROM missing"))
    assert 1 == database.run(count_rows)
    assert [] == list(folder.glob("*.corrupt-*"))


# other users of the file


def test_a_locked_file_is_unavailable_for_a_while(database, folder):
    """It can be used again when the other process has finished."""
    database.run(add_row)
    database.close()
    database.busy_seconds = 0.05
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            database.run(add_row)
        other.execute("ROLLBACK")
    database.run(add_row)
    assert 2 == database.run(count_rows)


def test_one_thread_cannot_use_the_file_inside_its_own_work(database):
    """The garbage collector, or a signal handler, may run at any point."""

    def work(_):
        with pytest.raises(StoreUnavailable, match="in use"):
            database.run(add_row)
        return "done"

    assert "done" == database.run(work)


# transactions


def test_a_transaction_is_kept(database):
    """Its changes are in the file."""

    def work(db):
        with transaction(db):
            add_row(db)

    database.run(work)
    database.close()
    assert 1 == database.run(count_rows)


def test_an_interrupted_transaction_leaves_nothing_behind(database):
    """The exception goes on."""

    def interrupt(db):
        with transaction(db):
            add_row(db)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.run(interrupt)
    assert 0 == database.run(count_rows)


def test_changed_rows_are_counted(database):
    """A statement may match no row."""

    def work(db):
        add_row(db)
        return change_rows(db, "UPDATE body SET data = x'01' WHERE id = ?", [(1,), (99,)])

    assert 1 == database.run(work)


# forks


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_no_connection_outlives_a_fork(database, opened):
    """Parent and child each open the file for themselves."""
    database.run(add_row)
    database.before_fork()
    child = os.fork()
    if not child:
        database.after_fork_in_child()
        database.run(add_row)
        database.close()
        os._exit(0)
    database.after_fork_in_parent()
    assert 0 == os.waitpid(child, 0)[1]
    database.run(add_row)
    assert (3, [1, 1]) == (database.run(count_rows), opened)


@needs_fork
def test_a_child_has_its_own_lock_if_the_file_was_in_use(database):
    """The thread that holds the lock does not exist in the child."""
    database.run(add_row)
    database._lock.acquire()
    database.after_fork_in_child()
    database.run(add_row)
    assert 2 == database.run(count_rows)


@needs_fork
def test_a_thread_that_forks_inside_its_own_work_does_not_wait(database):
    """The file stays open in the parent."""

    def work(db):
        database.before_fork()
        database.after_fork_in_parent()
        return count_rows(db)

    assert 0 == database.run(work)

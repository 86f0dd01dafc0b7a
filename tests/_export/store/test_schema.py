"""The store's file keeps its tables, and opens whichever version has made it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from lupis_instrument._export.otlp.target import Target
from lupis_instrument._export.store import schema
from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.schema import (
    ADDITIONS,
    DELIVERED,
    KEPT,
    MIGRATIONS,
    REFUSED,
    WAITING,
    NewerStore,
    add_indexes,
    count_additions,
    has_indexes,
    migrate_schema,
)
from lupis_instrument._export.store.store import Process, Store

VERSION_1 = (Path(__file__).parent / "version_1.sql").read_text(encoding="utf-8")
URL = "http://127.0.0.1:4318/v1/traces"
TARGET = Target(URL, "traces", "shop", URL)


@pytest.fixture
def db():
    """An empty database in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def old_folder(tmp_path):
    """A data folder with the file of version 1."""
    folder = tmp_path / "old"
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.executescript(VERSION_1)
    return folder


@pytest.fixture
def old_store(old_folder):
    """The file of version 1, opened by this version."""
    store = Store(str(old_folder), 1 << 24, Process("shop", "run", 8, "8:1"))
    yield store
    store.database.close()


def read_version(connection):
    """Return the version that a file says it has."""
    return connection.execute("PRAGMA user_version").fetchone()[0]


def tables_of(connection):
    """Return the columns of each table and index by its name."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        name: connection.execute(f"SELECT * FROM pragma_table_xinfo('{name}')").fetchall()
        or connection.execute(f"SELECT * FROM pragma_index_xinfo('{name}')").fetchall()
        for (name,) in names
    }


# migrations


def test_an_empty_file_gets_the_current_version(db):
    """All tables are there then."""
    migrate_schema(db)
    assert len(MIGRATIONS) == read_version(db)
    assert {"origin", "target", "item", "body", "sequence", "process", "loss"} <= set(tables_of(db))


def test_a_current_file_is_left_alone(db):
    """It is not even locked."""
    migrate_schema(db)
    statements = []
    db.set_trace_callback(statements.append)
    migrate_schema(db)
    assert ["PRAGMA user_version", "PRAGMA application_id"] == statements


def test_an_older_file_gets_only_the_missing_migrations(db, monkeypatch):
    """Its rows stay as they are."""
    migrate_schema(db)
    db.execute("INSERT INTO loss VALUES (1, 2)")
    addition = "ALTER TABLE loss ADD COLUMN reason TEXT;\n"
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, addition))
    migrate_schema(db)
    assert len(MIGRATIONS) + 1 == read_version(db)
    assert [(1, 2, None)] == db.execute("SELECT * FROM loss").fetchall()


def test_a_newer_file_is_refused(db):
    """The message names both versions."""
    newer = len(MIGRATIONS) + 1
    db.execute(f"PRAGMA user_version = {newer}")
    with pytest.raises(NewerStore, match=f"version {newer}, this package knows {len(MIGRATIONS)}"):
        migrate_schema(db)


def test_a_failed_migration_leaves_the_file_as_it_was(db, monkeypatch):
    """The next process tries again."""
    monkeypatch.setattr(schema, "MIGRATIONS", ("CREATE TABLE a (x);\nCREATE TABL b (x);\n",))
    with pytest.raises(sqlite3.OperationalError):
        migrate_schema(db)
    assert ({}, 0, False) == (tables_of(db), read_version(db), db.in_transaction)


# a file of version 1


def test_a_new_file_has_the_columns_of_version_1(db):
    """Tools of users read them, and programs with an older release write to them."""
    with closing(sqlite3.connect(":memory:")) as old:
        old.executescript(VERSION_1)
        migrate_schema(db)
        old_tables, new_tables = tables_of(old), tables_of(db)
        del old_tables["item_call"]
        assert old_tables == {
            name: new_tables[name][: len(columns)] for name, columns in old_tables.items()
        }


def test_a_file_with_all_additions_has_the_version_that_older_releases_write(db):
    """They refuse a file of a later version, and would lose their spans."""
    migrate_schema(db)
    assert (1, len(ADDITIONS)) == (read_version(db), count_additions(db))


def test_an_old_file_gets_the_additions(old_store):
    """Its rows have NULL in the new columns."""
    old_store.list_targets()
    read = "SELECT count(*), count(user) FROM item"
    assert [(4, 0)] == old_store.database.run(lambda db: db.execute(read).fetchall())


def test_a_small_old_file_gets_the_indexes(old_store):
    """Questions are fast at once."""
    assert old_store.database.run(has_indexes)


def test_a_large_old_file_gets_no_indexes_from_a_program(old_folder, monkeypatch):
    """Programs that record would wait for them; the columns need no time."""
    monkeypatch.setattr(schema, "_MAX_ITEMS", 1)
    with closing(sqlite3.connect(old_folder / FILE_NAME, isolation_level=None)) as connection:
        migrate_schema(connection)
        assert (len(ADDITIONS), False) == (count_additions(connection), has_indexes(connection))


def test_indexes_can_be_added_twice(db):
    """Two commands may run at once."""
    migrate_schema(db)
    before = tables_of(db)
    add_indexes(db)
    assert before == tables_of(db)


def test_additions_of_a_later_release_stay(db):
    """Only the file of a later version is refused."""
    migrate_schema(db)
    db.execute("PRAGMA application_id = 99")
    migrate_schema(db)
    assert 99 == count_additions(db)


def test_stored_states_keep_their_numbers():
    """Files of older releases hold them."""
    assert (0, 1, 2, 3) == (KEPT, WAITING, DELIVERED, REFUSED)


def test_an_old_file_has_its_targets(old_store):
    """One item waits for the endpoint, and one was refused by it."""
    assert [(TARGET, 1, 1)] == old_store.list_targets()


def test_waiting_items_of_an_old_file_can_be_read(old_store):
    """Their bytes are valid messages."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    (item,) = old_store.read_waiting(TARGET, max_items=10, max_bytes=1 << 20)
    span = Span.FromString(item.body)
    assert (2, "chat gpt-4o", False) == (item.id, span.name, item.own)


def test_refused_items_of_an_old_file_can_be_reopened(old_store):
    """`lupis flush` does that."""
    old_store.reopen_refused(TARGET)
    assert 2 == old_store.count_waiting(TARGET)


def test_an_old_file_has_its_accounts(old_store):
    """`lupis doctor` adds them up."""
    assert [(5, 1, 3, {"queue full": 1})] == old_store.read_accounts()


def test_items_are_added_to_an_old_file(old_store, items):
    """Their ids continue the sequence."""
    assert [5, 6] == old_store.add_items(items(2), TARGET)
    assert 3 == old_store.count_waiting(TARGET)


def test_the_report_of_an_old_file_is_the_same(old_folder, monkeypatch):
    """These are the figures that release 0.1.0 reported for it."""
    from lupis_instrument._cli.lupis.commands import lupis

    monkeypatch.setenv("LUPIS_DATA_DIR", str(old_folder))
    done = CliRunner().invoke(lupis, ["report", "--format", "json"])
    total = json.loads(done.stdout)["total"]
    assert {
        "calls": 2,
        "errors": 1,
        "input_tokens": 20,
        "output_tokens": 10,
        "cost_usd": 1.0,
        "seconds": 2.0,
    }.items() <= total.items()

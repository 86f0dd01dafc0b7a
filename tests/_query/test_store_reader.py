"""Opening the store for reading."""

import os
import sqlite3

import pytest

from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._query.store_reader import (
    NO_PATH,
    OpenStore,
    StoreUnreadableError,
    find_store_path,
    open_store,
    read_file_id,
)


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    """Points the settings to the folder of the fixture `store`."""
    folder = tmp_path / "data"
    monkeypatch.setenv("LUPIS_DATA_DIR", str(folder))
    return folder


def test_path_comes_from_the_settings(data_folder):
    """LUPIS_DATA_DIR is the folder of the file."""
    assert data_folder / FILE_NAME == find_store_path()


def test_store_is_open_inside_the_block(store):
    """The connection is closed after it."""
    store.span()
    with open_store() as opened:
        assert (True, True, False) == (opened.exists, opened.is_current, opened.is_empty)
        assert str(store.file) == opened.shown_path
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened.db.execute("SELECT 1")


def test_missing_store_is_an_empty_one(data_folder):
    """Neither the file nor its folder is created."""
    with open_store() as opened:
        assert (False, True) == (opened.exists, opened.is_empty)
    assert not data_folder.exists()


def test_store_without_tables_is_a_missing_one(data_folder):
    """A program has created the file, and not yet its tables."""
    data_folder.mkdir()
    (data_folder / FILE_NAME).touch()
    with open_store() as opened:
        assert not opened.exists


def test_another_file_at_the_path_is_noticed(store):
    """A reader then opens the store again."""
    store.span()
    with open_store() as opened:
        content = store.file.read_bytes()
        store.file.rename(store.file.with_name("aside"))
        assert not opened.is_current
        store.file.write_bytes(content)
        assert not opened.is_current


def test_reader_cannot_write(store):
    """The connection is read-only."""
    store.span()
    with pytest.raises(StoreUnreadableError, match="readonly"), open_store() as opened:
        opened.db.execute("DELETE FROM item")


def test_newer_store_is_an_error_with_a_cure(store):
    """The message names both versions and the upgrade."""
    store.span()
    store.sql("PRAGMA user_version = 99")
    with pytest.raises(
        StoreUnreadableError, match=r"version 99.*pip install --upgrade"
    ), open_store():
        pass


def test_damaged_store_is_an_error(data_folder):
    """The message has SQLite's reason, and the file stays."""
    data_folder.mkdir()
    (data_folder / FILE_NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnreadableError, match="not a database"), open_store():
        pass
    assert [data_folder / FILE_NAME] == list(data_folder.iterdir())


def test_broken_pipe_is_no_fault_of_the_store(store):
    """The output raises it, as with `| head`."""
    store.span()
    with pytest.raises(BrokenPipeError), open_store():
        raise BrokenPipeError


def test_writer_does_not_block_a_reader(store):
    """A reader sees only committed items."""
    store.span()
    writer = sqlite3.connect(str(store.file), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM item")
    with open_store() as opened:
        assert not opened.is_empty
    writer.execute("ROLLBACK")
    writer.close()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere")
def test_store_in_a_read_only_folder_is_read(store):
    """SQLite cannot create the files beside it that it usually needs."""
    store.span()
    store.store.database.close()
    store.folder.chmod(0o500)
    try:
        with open_store() as opened:
            assert not opened.is_empty
    finally:
        store.folder.chmod(0o700)


def test_user_without_a_data_folder_gets_advice():
    """There is no path to show."""
    assert NO_PATH == OpenStore(None, sqlite3.connect(":memory:")).shown_path


def test_file_id_is_absent_for_a_missing_file(tmp_path):
    """It is no error."""
    assert None is read_file_id(tmp_path / "missing")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_fifo_is_no_store(data_folder):
    """To open it would wait until a program writes to it."""
    data_folder.mkdir()
    os.mkfifo(data_folder / FILE_NAME)
    with pytest.raises(StoreUnreadableError, match="no regular file"), open_store():
        pass

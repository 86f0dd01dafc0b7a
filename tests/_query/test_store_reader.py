"""Reading the store changes nothing, whatever is found there."""

import json
import os
import sqlite3

import pytest

from lupis_instrument._export.store.database import FILE_NAME

COMMANDS = (["report"], ["traces"], ["show", "ab"], ["export"], ["prune"], ["flush"])


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_missing_store_is_not_made(arguments, lupis, tmp_path):
    """The path is told, and how to fill it."""
    done = lupis(*arguments)
    assert done.exit_code == (1 if arguments[0] == "show" else 0)
    assert str(tmp_path / "data" / FILE_NAME) in done.stderr
    assert "lupis-run --exporter local python my_agent.py" in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_an_empty_store_is_told(store, lupis):
    """In the same way."""
    store.sql("SELECT 1")
    done = lupis("report")
    assert (0, "") == (done.exit_code, done.stdout)
    assert "is empty" in done.stderr
    assert "lupis-run" in done.stderr


def test_nothing_chosen_is_told(store, lupis):
    """It is not the store that is empty."""
    store.call()
    done = lupis("report", "--chat", "unknown")
    assert "options" in done.stderr
    assert "lupis-run" not in done.stderr


def test_json_is_json_without_a_store(lupis):
    """For programs that read it."""
    assert [] == json.loads(lupis("report", "--format", "json").stdout)["rows"]
    assert [] == json.loads(lupis("traces", "--format", "json").stdout)


def test_a_store_that_is_just_being_made_counts_as_none(lupis, tmp_path):
    """A program has made the file, and not yet filled it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE_NAME).touch()
    assert 0 == lupis("report").exit_code


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_newer_store_says_so(arguments, store, lupis):
    """And stays as it is."""
    store.call()
    store.sql("PRAGMA user_version = 99")
    store.store.database.close()
    file = store.file
    before = file.read_bytes()
    done = lupis(*arguments)
    assert 1 == done.exit_code
    assert "version 99" in done.stderr
    assert "pip install --upgrade" in done.stderr
    assert before == file.read_bytes()


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_damaged_store_says_so(arguments, lupis, tmp_path):
    """It is not a reader that sets it aside."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / FILE_NAME
    file.write_bytes(b"no database" * 1000)
    done = lupis(*arguments)
    assert 1 == done.exit_code
    assert "not a database" in done.stderr
    assert [file] == list(file.parent.iterdir())


def test_a_writer_does_not_hold_it_up(store, lupis):
    """What it has not confirmed yet is not seen."""
    store.call()
    writer = sqlite3.connect(str(store.file), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM item")
    assert 1 == json.loads(lupis("report", "--format", "json").stdout)["total"]["calls"]
    writer.execute("ROLLBACK")
    writer.close()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_read(store, lupis):
    """Where SQLite can't make the files beside it that it would read by."""
    store.call()
    store.store.database.close()
    store.folder.chmod(0o500)
    try:
        assert 1 == json.loads(lupis("report", "--format", "json").stdout)["total"]["calls"]
    finally:
        store.folder.chmod(0o700)

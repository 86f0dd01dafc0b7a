"""Commands on a store that is missing, empty, newer or damaged."""

import json

import pytest

from lupis_instrument._export.store import schema
from lupis_instrument._export.store.database import FILE_NAME

COMMANDS = (["report"], ["traces"], ["show", "ab"], ["export"], ["prune"], ["flush"])
READERS = (["runs"], ["calls"], ["limits"], ["diff", "--last"], ["tail"])


@pytest.mark.parametrize("arguments", COMMANDS)
def test_missing_store_is_not_created(arguments, lupis, tmp_path):
    """The message names the path and how to fill the store."""
    done = lupis(*arguments)
    assert done.exit_code == (1 if arguments[0] == "show" else 0)
    assert str(tmp_path / "data" / FILE_NAME) in done.stderr
    assert "lupis-run --exporter local python my_agent.py" in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_empty_store_is_reported(store, lupis):
    """The message says how to fill the store."""
    store.sql("SELECT 1")
    done = lupis("report")
    assert (0, "") == (done.exit_code, done.stdout)
    assert "is empty" in done.stderr
    assert "lupis-run" in done.stderr


def test_a_large_store_without_indexes_is_reported(store, lupis, monkeypatch):
    """An older release has made it; the line names the command that makes reports fast."""
    monkeypatch.setattr(schema, "_MAX_ITEMS", 0)
    store.call()
    store.call()
    assert "lupis prune" not in lupis("report").stderr
    store.store.database.run(lambda db: db.execute("DROP INDEX item_trace"))
    assert "lupis prune" in lupis("report").stderr


def test_options_that_match_nothing_are_reported(store, lupis):
    """The message blames the options, not the store."""
    store.call()
    done = lupis("report", "--chat", "unknown")
    assert "options" in done.stderr
    assert "lupis-run" not in done.stderr


def test_json_is_valid_without_a_store(lupis):
    """Programs that read it get an empty list."""
    assert [] == json.loads(lupis("report", "--format", "json").stdout)["rows"]
    assert [] == json.loads(lupis("traces", "--format", "json").stdout)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_newer_store_is_refused(arguments, store, lupis):
    """The message says how to upgrade, and the file does not change."""
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


@pytest.mark.parametrize("arguments", [*COMMANDS, *READERS])
def test_damaged_store_is_refused(arguments, lupis, tmp_path):
    """Only a writer moves a damaged file aside; a reader does not."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / FILE_NAME
    file.write_bytes(b"no database" * 1000)
    done = lupis(*arguments)
    assert 1 == done.exit_code
    assert "not a database" in done.stderr
    assert [file] == list(file.parent.iterdir())


@pytest.mark.parametrize("arguments", [*COMMANDS, *READERS])
def test_store_with_a_damaged_schema_is_refused(arguments, store, lupis):
    """The names of its tables are no UTF-8, so that Python cannot decode SQLite's message."""
    store.span()
    store.sql("PRAGMA writable_schema = ON")
    store.sql(
        "UPDATE sqlite_master SET name = CAST(x'ff' AS TEXT), sql = 'CREATE' WHERE type = 'table'"
    )
    store.store.database.close()
    done = lupis(*arguments)
    assert 1 == done.exit_code
    assert "malformed database schema" in done.stderr

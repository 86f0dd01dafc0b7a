"""The tables of the store's file, and the migrations of a file from an older version."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite3 import Connection

KEPT, WAITING, DELIVERED, REFUSED = range(4)
"""States of an item: to stay in the store; waiting for an endpoint; accepted or refused by it."""

MIGRATIONS = (
    # From an empty file to version 1.
    """
    -- Resource and scope that the items of one process share; see otlp.encoding.Origin.
    CREATE TABLE origin (
        id INTEGER PRIMARY KEY,
        resource BLOB NOT NULL,
        scope BLOB NOT NULL,
        project TEXT,
        run TEXT,
        pid INTEGER,
        UNIQUE (resource, scope)
    );
    -- The endpoints of items. An address may hold a password, so the table has its hash, and the
    -- address without secrets. The lease names the one process that is sending.
    CREATE TABLE target (
        id INTEGER PRIMARY KEY,
        hash TEXT NOT NULL,
        shown TEXT NOT NULL,
        form TEXT NOT NULL,
        project TEXT NOT NULL,
        holder TEXT,
        held_until REAL NOT NULL DEFAULT 0,
        UNIQUE (hash, form, project)
    );
    -- A span or an event. Its columns are encoded_items.Facts; times are nanoseconds, costs USD.
    CREATE TABLE item (
        id INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        state INTEGER NOT NULL,
        target INTEGER,
        origin INTEGER NOT NULL,
        at INTEGER NOT NULL,
        duration INTEGER NOT NULL,
        name TEXT NOT NULL,
        trace BLOB,
        span BLOB,
        parent BLOB,
        chat TEXT,
        provider TEXT,
        operation TEXT,
        model TEXT,
        input_tokens INTEGER,
        output_tokens INTEGER,
        cached_tokens INTEGER,
        cost REAL,
        cost_status TEXT,
        error TEXT,
        first_chunk REAL
    );
    CREATE INDEX item_by_target ON item (target, id) WHERE state = 1;
    CREATE INDEX item_refused ON item (target, id) WHERE state = 3;
    CREATE INDEX item_delivered ON item (id) WHERE state = 2;
    -- Every value that a report adds up, so that it reads nothing else, in an order that needs no
    -- sorting. Each process appends at the few positions of its own origins.
    CREATE INDEX item_call ON item (
        provider, model, origin, at, duration, first_chunk, input_tokens, output_tokens,
        cached_tokens, cost, cost_status, error, chat
    ) WHERE provider IS NOT NULL;
    -- The last id of an item. No id is used twice, even after its item is deleted: a process that
    -- reads or sends would otherwise confuse the two items.
    CREATE TABLE sequence (last INTEGER NOT NULL);
    INSERT INTO sequence VALUES (0);
    -- A span as an OTLP message or an event as JSON, in a table that reports need not read.
    CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    -- The account of the items of one process, and the totals of its calls as JSON. The leader is
    -- the first process of the process tree.
    CREATE TABLE process (
        leader TEXT NOT NULL,
        pid INTEGER NOT NULL,
        ended REAL NOT NULL,
        created INTEGER NOT NULL,
        delivered INTEGER NOT NULL,
        stored INTEGER NOT NULL,
        dropped TEXT NOT NULL,
        totals TEXT NOT NULL,
        PRIMARY KEY (leader, pid)
    ) WITHOUT ROWID;
    -- The number of items dropped to keep the file within its limit, by state.
    CREATE TABLE loss (state INTEGER PRIMARY KEY, items INTEGER NOT NULL);
    """,
)
"""Each script leads from the version of its index to the next; `PRAGMA user_version` holds the
version of a file."""


class NewerStore(Exception):  # noqa: N818 - the name states the problem
    """A newer version of this package has made the file."""


def migrate_schema(connection: Connection) -> None:
    """Bring the file to the current version; an empty file has version 0.

    Raises:
        NewerStore: the file has a later version.
    """
    version = _read_version(connection)
    if version > len(MIGRATIONS):
        raise NewerStore(f"version {version}, this package knows {len(MIGRATIONS)}")
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN EXCLUSIVE")
    try:
        # Read again: another process may have migrated the file meanwhile.
        for script in MIGRATIONS[_read_version(connection) :]:
            # Not executescript, which would end the transaction.
            for statement in _split_script(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it
            connection.execute("ROLLBACK")
        raise


def _read_version(connection: Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _split_script(script: str) -> list[str]:
    return [statement for statement in script.split(";\n") if statement.strip()]

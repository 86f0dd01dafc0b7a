"""What the store's file holds, and how an older file becomes one of today."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite3 import Connection

KEPT, WAITING, DELIVERED, REFUSED = range(4)
"""States of an item: to stay here; for an endpoint to take; taken by it; refused by it."""

MIGRATIONS = (
    # From an empty file to version 1.
    """
    -- What the items of one process and instrumentation scope have in common; see otlp.Origin.
    CREATE TABLE origin (
        id INTEGER PRIMARY KEY,
        resource BLOB NOT NULL,
        scope BLOB NOT NULL,
        project TEXT,
        run TEXT,
        pid INTEGER,
        UNIQUE (resource, scope)
    );
    -- Where items are to go. An address may hold a password: it is known by its hash, and shown
    -- as redaction leaves it. The lease says who is sending: one process at a time.
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
    -- A span or an event. Its columns are parcels.Facts; times are nanoseconds, costs USD.
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
    -- All that a report adds up, so that it reads nothing else, in an order that needs no sorting;
    -- each process appends to the few places that are its own.
    CREATE INDEX item_call ON item (
        provider, model, origin, at, duration, first_chunk, input_tokens, output_tokens,
        cached_tokens, cost, cost_status, error, chat
    ) WHERE provider IS NOT NULL;
    -- The last id that an item got. None is given twice, though its item be gone: who reads or
    -- sends would take the one for the other.
    CREATE TABLE sequence (last INTEGER NOT NULL);
    INSERT INTO sequence VALUES (0);
    -- Apart, so that reports need not read it: a span in OTLP's encoding, an event as JSON.
    CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    -- What became of one process's spans and events, and what its calls add up to (JSON); the
    -- leader is the first process of the tree that it belongs to.
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
    -- What had to be dropped to keep the file within its bounds, by state.
    CREATE TABLE loss (state INTEGER PRIMARY KEY, items INTEGER NOT NULL);
    """,
)
"""Each leads from the version of its index to the next; `PRAGMA user_version` says which it is."""


class NewerStore(Exception):  # noqa: N818 - it says what was met
    """The file was made by a newer version of this package."""


def migrate(connection: Connection) -> None:
    """Bring the file to the version of today.

    Raises:
        NewerStore: it is of a later one.
    """
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise NewerStore(f"version {version}, this package knows {len(MIGRATIONS)}")
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN EXCLUSIVE")
    try:
        for script in MIGRATIONS[_version(connection) :]:  # another process may have come first
            # Not executescript: that would end the transaction.
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it
            connection.execute("ROLLBACK")
        raise


def _version(connection: Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _statements(script: str) -> list[str]:
    return [statement for statement in script.split(";\n") if statement.strip()]

"""The tables of the store's file, and the migrations of a file from an older version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument._export.store import block_tables

if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Sequence

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


ADDITIONS = (
    # Columns of later facts, and the service and command of a process.
    """
    ALTER TABLE item ADD COLUMN user TEXT;
    ALTER TABLE item ADD COLUMN session TEXT;
    ALTER TABLE item ADD COLUMN organization TEXT;
    ALTER TABLE item ADD COLUMN host TEXT;
    ALTER TABLE item ADD COLUMN status INTEGER;
    ALTER TABLE item ADD COLUMN resends INTEGER;
    ALTER TABLE item ADD COLUMN cache_write_tokens INTEGER;
    ALTER TABLE item ADD COLUMN reasoning_tokens INTEGER;
    ALTER TABLE item ADD COLUMN fingerprint TEXT;
    ALTER TABLE item ADD COLUMN limits TEXT;
    ALTER TABLE origin ADD COLUMN service TEXT;
    ALTER TABLE origin ADD COLUMN command TEXT;
    """,
    # When an endpoint for events last said that it takes none, in seconds since the epoch.
    "ALTER TABLE target ADD COLUMN refused_events REAL;\n",
    # The sums of calls for blocks of items.
    block_tables.SCRIPT,
)
"""Like `MIGRATIONS`, for changes that older releases need not know: columns that may be NULL.
`PRAGMA application_id` holds the number of the scripts that a file has had, so that
`user_version` stays the same and older releases go on writing to the file."""

INDEXES = """
    -- Every value that a report adds up, so that it reads nothing else, in an order that needs no
    -- sorting. Each process appends at the few positions of its own origins.
    DROP INDEX IF EXISTS item_call;
    CREATE INDEX IF NOT EXISTS call_by_origin ON item (
        origin, provider, model, operation, host, error, status, at / 900000000000, at, duration,
        first_chunk, input_tokens, output_tokens, cached_tokens, cost, cost_status
    ) WHERE provider IS NOT NULL;
    CREATE INDEX IF NOT EXISTS call_by_chat ON item (
        chat, user, session, organization, provider, model, at, duration, first_chunk,
        input_tokens, output_tokens, cached_tokens, cost, cost_status, error, origin
    ) WHERE provider IS NOT NULL;
    -- For pages of calls, the newest first.
    CREATE INDEX IF NOT EXISTS call_by_time ON item (at) WHERE provider IS NOT NULL;
    CREATE INDEX IF NOT EXISTS error_by_time ON item (at)
        WHERE provider IS NOT NULL AND error IS NOT NULL;
    CREATE INDEX IF NOT EXISTS call_by_user ON item (user, at)
        WHERE provider IS NOT NULL AND user IS NOT NULL;
    CREATE INDEX IF NOT EXISTS call_by_session ON item (session, at)
        WHERE provider IS NOT NULL AND session IS NOT NULL;
    -- For the times of runs, which other spans and events belong to.
    CREATE INDEX IF NOT EXISTS other_by_origin ON item (origin, at) WHERE provider IS NULL;
    -- To search for a trace id. An index that begins with it would grow at random positions, which
    -- multiplies the pages that a write changes; this one is short enough to be read as a whole.
    CREATE INDEX IF NOT EXISTS item_trace ON item (at, trace) WHERE trace IS NOT NULL;
"""
"""The indexes for questions. They take 8 µs for each item that is there already, and every question
works without them, so that a program adds them only to a file with few items. `lupis prune` adds
them to the others."""
_MAX_ITEMS = 20_000


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
    if version == len(MIGRATIONS) and count_additions(connection) >= len(ADDITIONS):
        return
    connection.execute("BEGIN EXCLUSIVE")
    try:
        # Read again: another process may have migrated the file meanwhile.
        additions = count_additions(connection)
        _run_scripts(connection, MIGRATIONS[_read_version(connection) :])
        _run_scripts(connection, ADDITIONS[additions:])
        if not _is_large(connection):
            _run_scripts(connection, [INDEXES])
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute(f"PRAGMA application_id = {max(additions, len(ADDITIONS))}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it
            connection.execute("ROLLBACK")
        raise


def _is_large(connection: Connection) -> bool:
    """Return whether a file may have many items; to count them takes long."""
    query = "SELECT (SELECT max(id) FROM item) - (SELECT min(id) FROM item)"
    (ids,) = connection.execute(query).fetchone()
    return isinstance(ids, int) and ids > _MAX_ITEMS


def has_indexes(connection: Connection) -> bool:
    """Return whether a file has the `INDEXES`."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = 'item_trace'"
    return connection.execute(query).fetchone() is not None


def is_slow(connection: Connection) -> bool:
    """Return whether a file has many items and lacks the `INDEXES`."""
    return not has_indexes(connection) and _is_large(connection)


def add_indexes(connection: Connection) -> None:
    """Add the `INDEXES` that a file lacks; programs can store items after each of them."""
    _run_scripts(connection, [INDEXES])


def _read_version(connection: Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def count_additions(connection: Connection) -> int:
    """Return the number of the `ADDITIONS` that a file has; a later release may have made more."""
    (count,) = connection.execute("PRAGMA application_id").fetchone()
    return int(count)


def _run_scripts(connection: Connection, scripts: Sequence[str]) -> None:
    for script in scripts:
        # Not executescript, which would end the transaction.
        for statement in _split_script(script):
            connection.execute(statement)


def _split_script(script: str) -> list[str]:
    return [statement for statement in script.split(";\n") if statement.strip()]

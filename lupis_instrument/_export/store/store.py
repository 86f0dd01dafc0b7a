"""The SQLite file of finished spans and events, which any number of processes write to.

It is the local store, which `lupis report` reads, and the outbox: what an endpoint has not taken
yet. All in it has passed redaction.
"""

from __future__ import annotations

import json
import sqlite3
from hashlib import sha256
from time import time
from typing import TYPE_CHECKING, Any, Iterable, Iterator, NamedTuple, Sequence

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.otlp.encoded_items import Facts
from lupis_instrument._export.otlp.encoding import Origin
from lupis_instrument._export.store.database import Database, change, transaction
from lupis_instrument._export.store.schema import DELIVERED, KEPT, REFUSED, WAITING

if TYPE_CHECKING:
    from lupis_instrument._export.accounting import Account
    from lupis_instrument._export.otlp.encoded_items import EncodedItem

_FREED_FIRST = (DELIVERED, KEPT, REFUSED, WAITING)
_FREED_AT_ONCE = 64
_LEASE_SECONDS = 60.0


class Process(NamedTuple):
    """Whose items are stored.

    Attributes:
        project: `LUPIS_PROJECT_ID`.
        run: the launch, None without one.
        pid: the process.
        leader: the first process of the tree that it belongs to, by a name of its own.
    """

    project: str
    run: str | None
    pid: int
    leader: str = ""


class Target(NamedTuple):
    """Where items are to go.

    Attributes:
        url: the endpoint; None where it is not known in full, for it holds a secret.
        form: how requests to it are put together; a name of `destinations.WIRE_FORMATS`.
        project: whose items; they are not sent with another project's key.
        shown: the endpoint as redaction leaves it.
    """

    url: str | None
    form: str
    project: str
    shown: str

    @property
    def hash(self) -> str:
        """By which the endpoint is known again."""
        return sha256((self.url or self.shown).encode("utf-8", "surrogatepass")).hexdigest()


class Stored(NamedTuple):
    """An item that waits for its endpoint.

    Attributes:
        id: of its row.
        origin: where it comes from.
        body: a span in OTLP's encoding, an event as JSON.
        own: whether this process put it there.
    """

    id: int
    origin: Origin
    body: bytes
    own: bool


class Store:
    """Puts items into the file and takes them out.

    Each method raises `StoreUnavailable` where the file cannot be used.

    Attributes:
        database: the file.
    """

    def __init__(self, data_dir: str | None, most_bytes: int, process: Process) -> None:
        """Use the file in `data_dir`, None for the platform's own folder.

        Args:
            data_dir: `LUPIS_DATA_DIR`.
            most_bytes: what the file may take up.
            process: whose items are added.
        """
        self.database = Database(data_dir, self._forget_rows)
        self._most_bytes = most_bytes
        self._process = process
        self._origins: dict[Origin, int] = {}
        self._targets: dict[Target, int] = {}
        self._own_origins: set[int] = set()

    # Items

    def add(
        self, items: Sequence[EncodedItem], target: Target | None = None, *, refused: bool = False
    ) -> list[int]:
        """Store parcels; returns their ids.

        Args:
            items: those.
            target: what they wait for, or were `refused` by; None if they are to stay.
            refused: whether it will never take them.
        """
        state = KEPT if target is None else REFUSED if refused else WAITING
        try:
            return self.database.run(lambda db: self._add(db, items, target, state))
        except BaseException:
            self._forget_rows()  # those made for these parcels are not there
            raise

    def _add(
        self,
        db: sqlite3.Connection,
        items: Sequence[EncodedItem],
        target: Target | None,
        state: int,
    ) -> list[int]:
        with transaction(db):
            to = None if target is None else self._target_id(db, target)
            last = _one(db, "SELECT last FROM sequence")
            db.execute("UPDATE sequence SET last = last + ?", (len(items),))
            ids = list(range(last + 1, last + 1 + len(items)))
            db.executemany(
                _INSERT,
                [
                    (id_, each.kind, state, to, self._origin_id(db, each.origin), *each.facts)
                    for id_, each in zip(ids, items)
                ],
            )
            db.executemany(
                "INSERT INTO body VALUES (?, ?)", zip(ids, (each.body for each in items))
            )
        try:
            self._make_room(db)
        except sqlite3.OperationalError as error:
            # The parcels are in; the next find the file as full, and another moment to make room.
            warn(f"cannot make room in the store: {error}")
        return ids

    def waiting(self, target: Target) -> int:
        """How many items wait for `target`."""
        return self.database.run(
            lambda db: int(_one(db, f"{_COUNT} AND state = {WAITING}", self._known(db, target)))
        )

    def take(self, target: Target, *, most: int, most_bytes: int) -> list[Stored]:
        """Return the oldest items that wait for `target`, at least one if there is any.

        Args:
            target: whose.
            most: how many.
            most_bytes: of all their bodies.
        """
        return self.database.run(
            lambda db: list(self._take(db, self._known(db, target), most, most_bytes))
        )

    def _take(
        self, db: sqlite3.Connection, target: int, most: int, most_bytes: int
    ) -> Iterator[Stored]:
        size = 0
        for id_, origin, resource, scope, data in db.execute(_TAKE, (target, most)):
            if size and size + len(data) > most_bytes:
                break
            size += len(data)
            yield Stored(id_, Origin(resource, scope), data, origin in self._own_origins)

    def reopen(self, target: Target) -> None:
        """Let wait again what `target` refused."""
        self.database.run(lambda db: change(db, _REOPEN, [(self._known(db, target),)]))

    def settle(self, ids: Iterable[int], state: int) -> None:
        """Note what became of items."""
        rows = [(state, id_) for id_ in ids]
        self.database.run(lambda db: change(db, "UPDATE item SET state = ? WHERE id = ?", rows))

    def targets(self) -> list[tuple[Target, int, int]]:
        """Return all targets, each with how many items wait for it and how many it refused."""
        rows = self.database.run(lambda db: db.execute(_TARGETS).fetchall())
        return [
            (Target(shown if plain else None, form, project, shown), waiting, refused)
            for hash_, shown, form, project, waiting, refused in rows
            for plain in [Target(shown, form, project, shown).hash == hash_]
        ]

    # The lease

    def lease(self, target: Target, holder: str) -> bool:
        """Become, or stay, the one who sends to `target`; returns False if another is."""
        return self.database.run(lambda db: self._lease(db, target, holder))

    def _lease(self, db: sqlite3.Connection, target: Target, holder: str) -> bool:
        now = time()
        row = (holder, now + _LEASE_SECONDS, self._target_id(db, target), holder, now)
        return bool(change(db, _LEASE, [row]))

    def release(self, target: Target, holder: str) -> None:
        """Let others send to `target`."""
        self.database.run(lambda db: change(db, _RELEASE, [(self._known(db, target), holder)]))

    # Accounts

    def write_account(self, account: Account, totals: Any, *, former: bool = False) -> None:
        """Note what became of this process's items, and what its calls add up to.

        Args:
            account: the one.
            totals: the other.
            former: whether it becomes another program, which writes an account of its own.
        """
        leader, pid = self._process.leader, self._process.pid
        row = (
            *(leader, leader if former else pid, time()),
            *(account.created, account.delivered, account.stored),
            *(json.dumps(account.dropped), json.dumps(totals)),
        )
        statement = _WRITE_FORMER if former else _WRITE
        self.database.run(lambda db: change(db, statement, [row]))

    def accounts_of_others(self) -> Iterator[tuple[tuple[int, int, int, dict[str, int]], Any]]:
        """Yield account and totals of the other processes of this one's tree."""
        me = (self._process.leader, self._process.pid)
        for created, delivered, stored, dropped, totals in self.database.run(
            lambda db: db.execute(_OTHERS, me).fetchall()
        ):
            yield (created, delivered, stored, json.loads(dropped)), json.loads(totals)

    def accounts(self) -> list[tuple[int, int, int, dict[str, int]]]:
        """Return created, delivered, stored and dropped of each process that left its account."""
        rows = self.database.run(lambda db: db.execute(_ACCOUNTS).fetchall())
        return [(*row[:3], json.loads(row[3])) for row in rows]

    def _forget_rows(self) -> None:
        self._origins.clear()
        self._targets.clear()

    # Rows that items refer to

    def _origin_id(self, db: sqlite3.Connection, origin: Origin) -> int:
        known = self._origins.get(origin)
        if known is None:
            row = (*origin, self._process.project, self._process.run, self._process.pid)
            known = self._origins[origin] = _find_or_add(
                db,
                "SELECT id FROM origin WHERE resource = ? AND scope = ?",
                "INSERT INTO origin (resource, scope, project, run, pid) VALUES (?, ?, ?, ?, ?)",
                tuple(origin),
                row,
            )
            self._own_origins.add(known)
        return known

    def _target_id(self, db: sqlite3.Connection, target: Target) -> int:
        known = self._targets.get(target)
        if known is None:
            key = (target.hash, target.form, target.project)
            known = self._targets[target] = _find_or_add(
                db,
                "SELECT id FROM target WHERE hash = ? AND form = ? AND project = ?",
                "INSERT INTO target (hash, form, project, shown) VALUES (?, ?, ?, ?)",
                key,
                (*key, target.shown),
            )
        return known

    def _known(self, db: sqlite3.Connection, target: Target) -> int:
        """Return a target's id, -1 if nothing was ever stored for it."""
        if target in self._targets:
            return self._targets[target]
        statement = "SELECT id FROM target WHERE hash = ? AND form = ? AND project = ?"
        row = db.execute(statement, (target.hash, target.form, target.project)).fetchone()
        return -1 if row is None else int(row[0])

    # Bounds

    def _make_room(self, db: sqlite3.Connection) -> None:
        """Drop what is least missed where the file has grown too big."""
        if _bytes_used(db) <= self._most_bytes:
            return
        lost: dict[int, int] = {}
        for state in _FREED_FIRST:
            freed = 1
            while freed and _bytes_used(db) > self._most_bytes * 0.9:
                freed = _free(db, state)
                lost[state] = lost.get(state, 0) + freed
        unsent = lost.get(WAITING, 0) + lost.get(REFUSED, 0)
        if unsent:
            megabytes = self._most_bytes / (1 << 20)
            warn(
                f"the store is full (LUPIS_STORE_MAX_MB={megabytes:g}): {unsent} spans and events"
                " that no endpoint had taken were dropped"
            )


_INSERT = (
    f"INSERT INTO item (id, kind, state, target, origin, {', '.join(Facts._fields)})"  # noqa: S608
    f" VALUES ({', '.join('?' * (5 + len(Facts._fields)))})"
)
_COUNT = "SELECT count(*) FROM item WHERE target = ?"
_TAKE = (
    "SELECT item.id, origin, resource, scope, data FROM item"  # noqa: S608 - a number of ours
    " JOIN origin ON origin.id = origin JOIN body ON body.id = item.id"
    f" WHERE target = ? AND state = {WAITING} ORDER BY item.id LIMIT ?"
)
_REOPEN = f"UPDATE item SET state = {WAITING} WHERE target = ? AND state = {REFUSED}"  # noqa: S608
_ACCOUNTS = "SELECT created, delivered, stored, dropped FROM process"
_WRITE = "INSERT OR REPLACE INTO process VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
# Numbers below 0 are no process's.
_WRITE_FORMER = _WRITE.replace(
    "(?, ?,", "(?, (SELECT min(ifnull(min(pid), 0), 0) - 1 FROM process WHERE leader = ?),"
)
_OTHERS = (
    "SELECT created, delivered, stored, dropped, totals FROM process WHERE leader = ? AND pid != ?"
)
_LEASE = (
    "UPDATE target SET holder = ?, held_until = ?"
    " WHERE id = ? AND (holder IS NULL OR holder = ? OR held_until < ?)"
)
_RELEASE = "UPDATE target SET holder = NULL, held_until = 0 WHERE id = ? AND holder = ?"
_TARGETS = (
    "SELECT hash, shown, form, project,"  # noqa: S608 - numbers of ours
    f" (SELECT count(*) FROM item WHERE target = target.id AND state = {WAITING}),"
    f" (SELECT count(*) FROM item WHERE target = target.id AND state = {REFUSED})"
    " FROM target ORDER BY id"
)


def _one(db: sqlite3.Connection, statement: str, *values: Any) -> Any:
    return db.execute(statement, values).fetchone()[0]


def _find_or_add(
    db: sqlite3.Connection, find: str, add: str, key: Sequence[Any], row: Sequence[Any]
) -> int:
    found = db.execute(find, key).fetchone()
    if found is not None:
        return int(found[0])
    added = db.execute(add, row).lastrowid
    assert added is not None
    return added


def _bytes_used(db: sqlite3.Connection) -> int:
    pages = _one(db, "PRAGMA page_count") - _one(db, "PRAGMA freelist_count")
    return int(pages * _one(db, "PRAGMA page_size"))


def _free(db: sqlite3.Connection, state: int) -> int:
    """Delete some of the oldest items of `state`, and count them as lost."""
    with transaction(db):
        statement = f"SELECT id FROM item WHERE state = ? ORDER BY id LIMIT {_FREED_AT_ONCE}"  # noqa: S608
        ids = db.execute(statement, (state,)).fetchall()
        db.executemany("DELETE FROM body WHERE id = ?", ids)
        db.executemany("DELETE FROM item WHERE id = ?", ids)
        db.execute("INSERT OR IGNORE INTO loss VALUES (?, 0)", (state,))
        db.execute("UPDATE loss SET items = items + ? WHERE state = ?", (len(ids), state))
    return len(ids)

"""The SQLite file of finished spans and events, which any number of processes write to.

It is the local store, which `lupis report` reads, and the outbox of items that no endpoint has
accepted yet. Everything in it is redacted.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, NamedTuple, Sequence

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.otlp.encoded_items import Facts
from lupis_instrument._export.otlp.encoding import Origin
from lupis_instrument._export.otlp.target import Target, read_server
from lupis_instrument._export.store import unfinished
from lupis_instrument._export.store.blocks import add_up_full_blocks
from lupis_instrument._export.store.database import Database, change_rows, transaction
from lupis_instrument._export.store.schema import KEPT, REFUSED, WAITING
from lupis_instrument._export.store.size_limit import limit_wal, make_room

if TYPE_CHECKING:
    from lupis_instrument._export.accounting import Account
    from lupis_instrument._export.otlp.encoded_items import EncodedItem

_LEASE_SECONDS = 60.0
_REFUSAL_SECONDS = 86_400.0
"""How long an endpoint that takes no events is not asked again."""


class Process(NamedTuple):
    """The process whose items are stored.

    Attributes:
        project: `LUPIS_PROJECT_ID`.
        run: the id of the launch; None without one.
        pid: the process id.
        leader: the name of the first process of the process tree.
        service: `LUPIS_SERVICE_NAME`.
        command: the command line, redacted.
    """

    project: str
    run: str | None
    pid: int
    leader: str = ""
    service: str | None = None
    command: str | None = None


class StoredItem(NamedTuple):
    """An item that waits for its endpoint.

    Attributes:
        id: the id of its row.
        origin: the resource and the scope, encoded.
        body: a span as an OTLP message, or an event as JSON.
        own: whether this process has stored it.
    """

    id: int
    origin: Origin
    body: bytes
    own: bool


class Store:
    """Writes items to the file and reads those that wait.

    Each method raises `StoreUnavailable` if the file cannot be used.

    Attributes:
        database: the file.
    """

    def __init__(
        self,
        data_dir: str | None,
        max_bytes: int,
        process: Process,
        describe_origin: Callable[[Origin], Process] | None = None,
    ) -> None:
        """Use the file in `data_dir`; it is made when the first item is stored.

        Args:
            data_dir: `LUPIS_DATA_DIR`; None for the platform's own folder.
            max_bytes: the size of the file, with its log, from which on old items are deleted.
            process: the process whose items are added.
            describe_origin: for the items of other processes, which keep their own accounts:
                returns the process of an origin. Items that they send twice are stored once.
        """
        self._describe_origin = describe_origin
        self.database = Database(data_dir, self._forget_row_ids, limit_wal(max_bytes))
        self._max_bytes = max_bytes
        self._process = process
        self._origin_ids: dict[Origin, int] = {}
        self._target_ids: dict[Target, int] = {}
        self._own_origin_ids: set[int] = set()
        self._noted_origins = 0

    # Items

    def add_items(
        self, items: Sequence[EncodedItem], target: Target | None = None, *, refused: bool = False
    ) -> list[int]:
        """Store items and return their ids.

        Args:
            items: the encoded items.
            target: the endpoint that they wait for; None if they are to stay.
            refused: whether `target` will never accept them.
        """
        state = KEPT if target is None else REFUSED if refused else WAITING
        try:
            return self.database.run(lambda db: self._insert_items(db, items, target, state))
        except BaseException:
            self._forget_row_ids()  # the transaction may have taken new rows with it
            raise

    def _insert_items(
        self,
        db: sqlite3.Connection,
        items: Sequence[EncodedItem],
        target: Target | None,
        state: int,
    ) -> list[int]:
        with transaction(db):
            rows = [(item, item.facts) for item in items]
            if self._describe_origin is not None:
                rows = list(_select_new(db, rows))
            target_id = None if target is None else self._get_target_id(db, target)
            # Ids come from a sequence, because SQLite gives the ids of deleted rows out again.
            last = _select_value(db, "SELECT last FROM sequence")
            db.execute("UPDATE sequence SET last = last + ?", (len(rows),))
            ids = list(range(last + 1, last + 1 + len(rows)))
            db.executemany(
                _INSERT_ITEM,
                [
                    (
                        id_,
                        item.kind,
                        state,
                        target_id,
                        self._get_origin_id(db, item.origin),
                        *facts,
                    )
                    for id_, (item, facts) in zip(ids, rows)
                ],
            )
            db.executemany(
                "INSERT INTO body VALUES (?, ?)", zip(ids, (item.body for item, _ in rows))
            )
            is_noted = self._noted_origins == len(self._own_origin_ids)
            if not is_noted and self._describe_origin is None:
                leader, pid = self._process.leader, self._process.pid
                unfinished.begin_account(db, leader, pid, last, self._own_origin_ids)
                self._noted_origins = len(self._own_origin_ids)
        try:
            make_room(db, self._max_bytes, self.database.limit_wal)
        except sqlite3.OperationalError as error:
            # The items are stored. The next addition tries again to make room.
            warn(f"cannot make room in the store: {error}")
        # The items are stored. If this fails, reports read them one by one.
        with suppress(sqlite3.Error):
            add_up_full_blocks(db, last, last + len(rows))
        return ids

    def count_waiting(self, target: Target) -> int:
        """Return the number of items that wait for `target`."""
        return self.database.run(
            lambda db: int(_select_value(db, _COUNT_WAITING, self._find_target_id(db, target)))
        )

    def read_waiting(self, target: Target, *, max_items: int, max_bytes: int) -> list[StoredItem]:
        """Return the oldest items that wait for `target`; at least one, if there is any.

        Args:
            target: the endpoint.
            max_items: the largest number of items.
            max_bytes: the largest size of all their bodies, unless a single item is bigger.
        """
        return self.database.run(
            lambda db: list(
                self._select_waiting(db, self._find_target_id(db, target), max_items, max_bytes)
            )
        )

    def _select_waiting(
        self, db: sqlite3.Connection, target_id: int, max_items: int, max_bytes: int
    ) -> Iterator[StoredItem]:
        size = 0
        rows = db.execute(_SELECT_WAITING, (target_id, max_items))
        for id_, origin_id, resource, scope, body in rows:
            if size and size + len(body) > max_bytes:
                break
            size += len(body)
            own = origin_id in self._own_origin_ids
            yield StoredItem(id_, Origin(resource, scope), body, own)

    def reopen_refused(self, target: Target) -> None:
        """Let the items wait again that `target` has refused."""
        self.database.run(
            lambda db: change_rows(db, _REOPEN_REFUSED, [(self._find_target_id(db, target),)])
        )

    def move_items(self, source: Target, target: Target) -> None:
        """Let the items wait for `target` that wait for `source` or that `source` has refused.

        Not while another process sends them. `source` need not have its URL.
        """
        key = (source.wire_format, source.project, source.display_url, time())
        self.database.run(
            lambda db: change_rows(db, _MOVE_ITEMS, [(self._get_target_id(db, target), *key)])
        )

    def adopt_refused(self, target: Target) -> None:
        """Let the items wait for `target` that another path of its server has refused.

        The user has mended the path of the endpoint.
        """
        self.database.run(lambda db: self._adopt_refused(db, target))

    def _adopt_refused(self, db: sqlite3.Connection, target: Target) -> None:
        server = read_server(target.display_url)
        rows = db.execute(_SELECT_REFUSERS, (target.wire_format, target.project, target.hash))
        refusers = [id_ for id_, shown in rows.fetchall() if read_server(shown) == server]
        if refusers:
            target_id = self._get_target_id(db, target)
            change_rows(db, _ADOPT_REFUSED, [(target_id, id_) for id_ in refusers])

    def note_refused_events(self, target: Target) -> bool:
        """Remember that an endpoint takes no events; returns whether that is new."""
        return self.database.run(lambda db: self._note_refused_events(db, target))

    def _note_refused_events(self, db: sqlite3.Connection, target: Target) -> bool:
        target_id = self._get_target_id(db, target)
        is_new = _select_value(db, _SELECT_REFUSED_EVENTS, target_id) is None
        change_rows(db, _NOTE_REFUSED_EVENTS, [(time(), target_id)])
        return is_new

    def has_refused_events(self, target: Target) -> bool:
        """Return whether an endpoint has said within a day that it takes no events."""
        noted = self.database.run(
            lambda db: db.execute(
                _SELECT_REFUSED_EVENTS, (self._find_target_id(db, target),)
            ).fetchone()
        )
        return noted is not None and (noted[0] or 0.0) > time() - _REFUSAL_SECONDS

    def set_state(self, ids: Iterable[int], state: int) -> None:
        """Set the state of items, such as `DELIVERED`."""
        rows = [(state, id_) for id_ in ids]
        self.database.run(
            lambda db: change_rows(db, "UPDATE item SET state = ? WHERE id = ?", rows)
        )

    def list_targets(self) -> list[tuple[Target, int, int]]:
        """Return each target, the number of items waiting for it, and the number it refused."""
        rows = self.database.run(lambda db: db.execute(_SELECT_TARGETS).fetchall())
        return [
            (_restore_target(*columns), waiting, refused) for *columns, waiting, refused in rows
        ]

    # The lease

    def acquire_lease(self, target: Target, holder: str) -> bool:
        """Get or renew the right to send to `target`; returns False if another process has it.

        It ends by itself after 60 s, because its holder may be killed.
        """
        return self.database.run(lambda db: self._update_lease(db, target, holder))

    def _update_lease(self, db: sqlite3.Connection, target: Target, holder: str) -> bool:
        now = time()
        row = (holder, now + _LEASE_SECONDS, self._get_target_id(db, target), holder, now)
        return bool(change_rows(db, _ACQUIRE_LEASE, [row]))

    def release_lease(self, target: Target, holder: str) -> None:
        """Let other processes send to `target`; without effect if `holder` has no lease."""
        self.database.run(
            lambda db: change_rows(db, _RELEASE_LEASE, [(self._find_target_id(db, target), holder)])
        )

    # Accounts

    def write_account(self, account: Account, totals: Any, *, former: bool = False) -> None:
        """Store the account of this process, and the totals of its calls.

        Args:
            account: the counts of its items.
            totals: the totals of its calls, as JSON data.
            former: whether the process becomes another program, which stores its own account.
        """
        leader, pid = self._process.leader, self._process.pid
        row = (
            *(leader, leader if former else pid, time()),
            *(account.created, account.delivered, account.stored),
            *(json.dumps(account.dropped), json.dumps(totals)),
        )
        statement = _INSERT_FORMER_ACCOUNT if former else _INSERT_ACCOUNT
        self.database.run(lambda db: self._replace_account(db, statement, row))

    def _replace_account(
        self, db: sqlite3.Connection, statement: str, row: tuple[Any, ...]
    ) -> None:
        with transaction(db):
            unfinished.remove_account(db, self._process.leader, self._process.pid)
            db.execute(statement, row)

    def read_other_accounts(self) -> Iterator[tuple[tuple[int, int, int, dict[str, int]], Any]]:
        """Yield account and totals of each other process in the process tree of this one.

        The account of a process that was killed has the items that it had stored.
        """
        own = (self._process.leader, self._process.pid)
        for (created, delivered, stored, dropped), totals in self.database.run(
            lambda db: [_restore_account(db, row) for row in db.execute(_SELECT_OTHERS, own)]
        ):
            yield (created, delivered, stored, json.loads(dropped)), totals

    def read_accounts(self) -> list[tuple[int, int, int, dict[str, int]]]:
        """Return created, delivered, stored and dropped of each process in the file."""
        accounts = self.database.run(
            lambda db: [_restore_account(db, row)[0] for row in db.execute(_SELECT_ACCOUNTS)]
        )
        return [(*account[:3], json.loads(account[3])) for account in accounts]

    # Rows that items refer to

    def _forget_row_ids(self) -> None:
        self._origin_ids.clear()
        self._target_ids.clear()
        self._noted_origins = 0

    def _get_origin_id(self, db: sqlite3.Connection, origin: Origin) -> int:
        known = self._origin_ids.get(origin)
        if known is None:
            describe = self._describe_origin
            process = self._process if describe is None else describe(origin)
            known = self._origin_ids[origin] = _find_or_insert(
                db,
                "SELECT id FROM origin WHERE resource = ? AND scope = ?",
                _INSERT_ORIGIN,
                tuple(origin),
                (
                    *(*origin, process.project, process.run, process.pid),
                    *(process.service, process.command),
                ),
            )
            self._own_origin_ids.add(known)
        return known

    def _get_target_id(self, db: sqlite3.Connection, target: Target) -> int:
        known = self._target_ids.get(target)
        if known is None:
            key = _target_key(target)
            known = self._target_ids[target] = _find_or_insert(
                db,
                _SELECT_TARGET_ID,
                "INSERT INTO target (hash, form, project, shown) VALUES (?, ?, ?, ?)",
                key,
                (*key, target.display_url),
            )
        return known

    def _find_target_id(self, db: sqlite3.Connection, target: Target) -> int:
        """Return the id of a target; -1 if nothing was ever stored for it."""
        if target in self._target_ids:
            return self._target_ids[target]
        row = db.execute(_SELECT_TARGET_ID, _target_key(target)).fetchone()
        return -1 if row is None else int(row[0])


def _select_new(
    db: sqlite3.Connection, rows: Iterable[tuple[EncodedItem, Facts]]
) -> Iterator[tuple[EncodedItem, Facts]]:
    """Yield items and their facts, without the spans that the store has already."""
    seen: set[tuple[Any, ...]] = set()
    for item, facts in rows:
        key = (facts.at, facts.trace, facts.span)
        if facts.trace is not None:
            if key in seen or db.execute(_FIND_SPAN, key).fetchone() is not None:
                continue
            seen.add(key)
        yield item, facts


_FIND_SPAN = "SELECT 1 FROM item WHERE at = ? AND trace = ? AND span = ?"
_INSERT_ITEM = (
    f"INSERT INTO item (id, kind, state, target, origin, {', '.join(Facts._fields)})"  # noqa: S608
    f" VALUES ({', '.join('?' * (5 + len(Facts._fields)))})"
)
_INSERT_ORIGIN = (
    "INSERT INTO origin (resource, scope, project, run, pid, service, command)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_COUNT_WAITING = f"SELECT count(*) FROM item WHERE target = ? AND state = {WAITING}"  # noqa: S608
# A damaged store may have other types in any column; the endpoint refuses such an item.
_SELECT_WAITING = (
    "SELECT item.id, origin, ifnull(CAST(resource AS BLOB), x''),"  # noqa: S608 - a constant number
    " ifnull(CAST(scope AS BLOB), x''), ifnull(CAST(data AS BLOB), x'') FROM item"
    " JOIN origin ON origin.id = origin JOIN body ON body.id = item.id"
    f" WHERE target = ? AND state = {WAITING} ORDER BY item.id LIMIT ?"
)
_REOPEN_REFUSED = f"UPDATE item SET state = {WAITING} WHERE target = ? AND state = {REFUSED}"  # noqa: S608
_MOVE_ITEMS = (
    f"UPDATE item SET target = ?, state = {WAITING} WHERE state IN ({WAITING}, {REFUSED})"  # noqa: S608
    " AND target IN (SELECT id FROM target WHERE form = ? AND project = ? AND shown = ?"
    " AND (holder IS NULL OR held_until < ?))"
)
_ADOPT_REFUSED = (
    f"UPDATE item SET target = ?, state = {WAITING} WHERE target = ? AND state = {REFUSED}"  # noqa: S608
)
_SELECT_REFUSERS = (
    "SELECT DISTINCT target.id, shown FROM target"  # noqa: S608 - a constant number
    f" JOIN item ON item.target = target.id AND item.state = {REFUSED}"
    " WHERE form = ? AND project = ? AND hash != ?"
)
_SELECT_REFUSED_EVENTS = "SELECT refused_events FROM target WHERE id = ?"
_NOTE_REFUSED_EVENTS = "UPDATE target SET refused_events = ? WHERE id = ?"
_SELECT_ACCOUNTS = "SELECT ended, created, delivered, stored, dropped, totals FROM process"
_SELECT_OTHERS = f"{_SELECT_ACCOUNTS} WHERE leader = ? AND pid != ?"
_INSERT_ACCOUNT = "INSERT OR REPLACE INTO process VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
# A former program of a process gets a negative number, which no process has.
_INSERT_FORMER_ACCOUNT = _INSERT_ACCOUNT.replace(
    "(?, ?,", "(?, (SELECT min(ifnull(min(pid), 0), 0) - 1 FROM process WHERE leader = ?),"
)
_ACQUIRE_LEASE = (
    "UPDATE target SET holder = ?, held_until = ?"
    " WHERE id = ? AND (holder IS NULL OR holder = ? OR held_until < ?)"
)
_RELEASE_LEASE = "UPDATE target SET holder = NULL, held_until = 0 WHERE id = ? AND holder = ?"
_SELECT_TARGET_ID = "SELECT id FROM target WHERE hash = ? AND form = ? AND project = ?"
_SELECT_TARGETS = (
    "SELECT hash, shown, form, project,"  # noqa: S608 - constant numbers
    f" (SELECT count(*) FROM item WHERE target = target.id AND state = {WAITING}),"
    f" (SELECT count(*) FROM item WHERE target = target.id AND state = {REFUSED})"
    # A damaged store may have other forms, and other types in any column.
    " FROM target WHERE typeof(shown) = 'text' AND typeof(project) = 'text'"
    " AND form IN ('traces', 'logs', 'events') ORDER BY id"
)


def _restore_account(
    db: sqlite3.Connection, row: tuple[Any, ...]
) -> tuple[tuple[int, int, int, str], Any]:
    """Return the account and the totals in a row of the table `process`."""
    ended, created, delivered, stored, dropped, totals = row
    if not ended:
        return unfinished.count_items(db, totals)
    return (created, delivered, stored, dropped), json.loads(totals)


def _target_key(target: Target) -> tuple[str, str, str]:
    return target.hash, target.wire_format, target.project


def _restore_target(hash_: str, shown: str, form: str, project: str) -> Target:
    """Return the target of a row; its URL is known if redaction has removed nothing from it."""
    target = Target(shown, form, project, shown)
    return target if target.hash == hash_ else target._replace(url=None)


def _select_value(db: sqlite3.Connection, statement: str, *values: Any) -> Any:
    return db.execute(statement, values).fetchone()[0]


def _find_or_insert(
    db: sqlite3.Connection, find: str, insert: str, key: Sequence[Any], row: Sequence[Any]
) -> int:
    existing = db.execute(find, key).fetchone()
    if existing is not None:
        return int(existing[0])
    inserted = db.execute(insert, row).lastrowid
    assert inserted is not None
    return inserted

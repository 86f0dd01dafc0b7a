"""Lists launches, and finds a launch by the first digits of its id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, Sequence

from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.filters import IS_CALL
from lupis_instrument._query.origins import Origins, RecordedOrigin, read_origins

if TYPE_CHECKING:
    import sqlite3

SHORT_ID_DIGITS = 8
"""The digits of a run id that tables show."""
_MAX_LISTED_IDS = 5
_LAST = "last"
_ID = re.compile(r"[0-9A-Za-z._:-]{1,128}")
_COLUMNS = (
    *("origin", "at", "duration", "input_tokens", "output_tokens", "cached_tokens"),
    *("cost", "error"),
)
_KINDS = (IS_CALL, "provider IS NULL")
_SUMS = (
    f"SELECT origin, min(at), max(at + duration), total({IS_CALL}),"
    f" total({IS_CALL} AND error IS NOT NULL), total(CASE WHEN {IS_CALL} THEN input_tokens END),"
    f" total(CASE WHEN {IS_CALL} THEN output_tokens END),"
    f" sum(CASE WHEN {IS_CALL} THEN cost END), total({IS_CALL} AND cost_status = 'unpriced'),"
    f" total(CASE WHEN {IS_CALL} THEN cached_tokens END), max(id)"
)


class Run(NamedTuple):
    """A launch: all processes of one `lupis-run`.

    Attributes:
        id: the id of the launch.
        at: the start of its first span, nanoseconds since the epoch.
        end: the end of its last span, nanoseconds since the epoch.
        command: the command line of its first process, redacted; None if it is not known.
        project: the project of its first process.
        service: the service of its first process.
        processes: the number of processes that recorded something.
        calls: the number of LLM calls.
        errors: the number of failed calls.
        input_tokens: the input tokens of all calls.
        output_tokens: the output tokens of all calls.
        cost: the cost in USD of the calls with a known cost; None if there are none.
        unpriced: the number of calls without a known price.
        cached_tokens: the input tokens that came from a cache.
    """

    id: str
    at: int
    end: int
    command: str | None
    project: str | None
    service: str | None
    processes: int
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    unpriced: int
    cached_tokens: int

    @property
    def short_id(self) -> str:
        """Return the first digits of the id."""
        return self.id[:SHORT_ID_DIGITS]

    @property
    def duration(self) -> int:
        """Return the nanoseconds from the first start to the last end."""
        return self.end - self.at


class RunNotFoundError(Exception):
    """No launch, or more than one, has the id; the message is for the user."""


def list_runs(
    db: sqlite3.Connection,
    *,
    limit: int = 20,
    since: int | None = None,
    project: str | None = None,
    after: str | None = None,
) -> list[Run]:
    """Return the newest launches, the latest first.

    Args:
        db: the store.
        limit: the maximum number of launches.
        since: only launches with a span that began then or later, nanoseconds since the epoch.
        project: only launches of this project.
        after: the id of the last launch of the page before; None for the first page.
    """
    runs = _group_by_run(read_origins(db))
    ids = list(runs)
    start = ids.index(after) + 1 if after in runs else 0
    listed: list[Run] = []
    for run in ids[start:]:
        if len(listed) == limit:
            break
        if project not in (None, *(origin.project for origin in runs[run])):
            continue
        if since is None or _began_after(db, runs[run], since):
            summary = summarize_run(db, run, runs[run])
            listed += [] if summary is None else [summary]  # its items may be deleted
    return listed


def _group_by_run(origins: Origins) -> dict[str, list[RecordedOrigin]]:
    """Return the origins of each launch; the launch that stored its first item last comes first."""
    runs: dict[str, list[RecordedOrigin]] = {}
    for _, origin in sorted(origins.items()):
        if origin.run is not None:
            runs.setdefault(origin.run, []).append(origin)
    return dict(reversed(list(runs.items())))


def _began_after(db: sqlite3.Connection, origins: Sequence[RecordedOrigin], since: int) -> bool:
    """Return whether some origins have a span that began at a time, or later."""
    statement = "SELECT 1 FROM item WHERE origin = ? AND at >= ? LIMIT 1"
    return any(db.execute(statement, (origin.id, since)).fetchone() for origin in origins)


def summarize_run(
    db: sqlite3.Connection, run: str, origins: Sequence[RecordedOrigin] | None = None
) -> Run | None:
    """Return the totals of a launch; None if the store has none of its spans.

    Args:
        db: the store.
        run: the id of the launch.
        origins: the origins of the launch, if they are known.
    """
    if origins is None:
        origins = _group_by_run(read_origins(db)).get(run, [])
    ids = ", ".join(str(origin.id) for origin in origins)
    statement = (
        f"{_SUMS} FROM item WHERE {{kind}} AND origin IN ({ids}) AND {types_condition(_COLUMNS)}"
        " GROUP BY origin"
    )
    # Calls and other items have indexes of their own.
    rows = [row for kind in _KINDS for row in db.execute(statement.format(kind=kind)).fetchall()]
    if not rows:
        return None
    return _make_run(run, origins, rows)


def _make_run(run: str, origins: Sequence[RecordedOrigin], rows: list[tuple[Any, ...]]) -> Run:
    _, starts, ends, *figures, _ = zip(*rows)
    calls, errors, input_tokens, output_tokens, costs, unpriced, cached_tokens = figures
    known_costs = [cost for cost in costs if isinstance(cost, (int, float))]
    seen = {row[0] for row in rows}
    recorded = [origin for origin in origins if origin.id in seen]
    return Run(
        id=run,
        at=min(starts),
        end=max(ends),
        command=next((origin.command for origin in recorded if origin.command), None),
        project=recorded[0].project,
        service=recorded[0].service,
        processes=len({origin.pid for origin in recorded}),
        calls=int(sum(calls)),
        errors=int(sum(errors)),
        input_tokens=int(sum(input_tokens)),
        output_tokens=int(sum(output_tokens)),
        cost=sum(known_costs) if known_costs else None,
        unpriced=int(sum(unpriced)),
        cached_tokens=int(sum(cached_tokens)),
    )


def resolve_run(db: sqlite3.Connection, prefix: str) -> str:
    """Return the id of the launch whose id starts with some digits; `last` is the newest one.

    Raises:
        RunNotFoundError: there is no such launch, or more than one.
    """
    text = prefix.strip()
    if not _ID.fullmatch(text):
        raise RunNotFoundError(f"{text!r} is no run id; `lupis runs` lists them")
    statement = "SELECT run FROM origin WHERE substr(run, 1, ?) = ? GROUP BY run ORDER BY min(id)"
    ids = [run for (run,) in db.execute(statement, (len(text), text))]
    if text in ids:
        return text
    if text == _LAST:
        return find_last_run(db)
    if not ids:
        raise RunNotFoundError(f"no run {text}; `lupis runs` lists them")
    if len(ids) > 1:
        newest = "\n".join(f"  {run}" for run in ids[-_MAX_LISTED_IDS:])
        raise RunNotFoundError(f"{len(ids)} runs start with {text}; the newest are\n{newest}")
    return str(ids[0])


def find_last_run(db: sqlite3.Connection) -> str:
    """Return the id of the launch that stored the newest span or event.

    Raises:
        RunNotFoundError: no launch stored anything.
    """
    statement = (
        "SELECT run FROM item JOIN origin ON origin.id = origin WHERE run IS NOT NULL"
        " ORDER BY item.id DESC LIMIT 1"
    )
    row = db.execute(statement).fetchone()
    if row is None:
        raise RunNotFoundError("no run is recorded yet")
    return str(row[0])

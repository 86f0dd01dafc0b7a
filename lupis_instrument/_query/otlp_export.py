"""Writes the stored spans or events as lines of OTLP/JSON, like OpenTelemetry's file exporter.

https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Callable, Iterator, NamedTuple

from lupis_instrument._export.otlp.encoded_items import EVENT, SPAN
from lupis_instrument._export.otlp.encoding import Origin, encode_log_record, encode_request
from lupis_instrument._query.origins import read_origins, select_origins
from lupis_instrument._query.otlp_json import LOGS, TRACES, Message, decode_message

if TYPE_CHECKING:
    import sqlite3

_PAGE_SIZE = 256
_SELECT_PAGE = (
    "SELECT item.id, resource, scope, data FROM item"  # noqa: S608 - only a constant is inserted
    " LEFT JOIN origin ON origin.id = origin LEFT JOIN body ON body.id = item.id"
    f" WHERE item.id > ? AND kind = ? AND at >= ? AND {{origins}}"
    f" ORDER BY item.id LIMIT {_PAGE_SIZE}"
)


class Signal(NamedTuple):
    """An OpenTelemetry signal: a kind of items and the request that carries them.

    Attributes:
        kind: `SPAN` or `EVENT`.
        request: the OTLP request.
        encode_body: turns a stored body into OTLP.
        plural: the items' name in messages.
    """

    kind: int
    request: Message
    encode_body: Callable[[bytes], bytes]
    plural: str


SIGNALS = {
    "traces": Signal(SPAN, TRACES, bytes, "spans"),
    "logs": Signal(EVENT, LOGS, lambda body: encode_log_record(json.loads(body)), "events"),
}


class Row(NamedTuple):
    """A stored item; in a damaged store, the values besides the id may have any type.

    Attributes:
        id: the row id.
        resource: the resource of its process, encoded.
        scope: the scope of its instrumentation, encoded.
        body: a span as OTLP, or an event as JSON.
    """

    id: int
    resource: bytes
    scope: bytes
    body: bytes


def export_lines(
    db: sqlite3.Connection,
    signal: Signal,
    since: int,
    on_damaged: Callable[[int], object],
    *,
    run: str | None = None,
) -> Iterator[str]:
    """Yield OTLP/JSON requests, oldest items first.

    Readers may take a line for a request, so a line holds items of one resource only.

    Args:
        db: the store.
        signal: the kind of items.
        since: the earliest start of an item, nanoseconds since the epoch.
        on_damaged: called with the row id of each item that is left out.
        run: the id of the launch whose items to export; None for all launches.
    """
    origins = "1"
    if run is not None:
        origins = select_origins(read_origins(db), lambda origin: origin.run == run)
    for page in _read_pages(db, signal.kind, since, origins):
        for _, group in groupby(page, key=lambda row: row.resource):
            rows = list(group)
            line = _make_line(signal, rows)
            if line is not None:
                yield line
                continue
            lines = {row.id: _make_line(signal, [row]) for row in rows}
            yield from filter(None, lines.values())
            for row_id in (row_id for row_id, line in lines.items() if line is None):
                on_damaged(row_id)


def _make_line(signal: Signal, rows: list[Row]) -> str | None:
    """Return a request with some items; None if one of them is damaged."""
    if not all(isinstance(value, bytes) for row in rows for value in row[1:]):
        return None
    try:
        request = encode_request(
            (Origin(row.resource, row.scope), signal.encode_body(row.body)) for row in rows
        )
        return json.dumps(decode_message(signal.request, request), separators=(",", ":"))
    except Exception:  # damaged bytes raise errors of many types
        return None


def _read_pages(db: sqlite3.Connection, kind: int, since: int, origins: str) -> Iterator[list[Row]]:
    """Yield the items in pages: while one long query reads, SQLite cannot shorten its log."""
    last_id = 0
    while True:
        rows = db.execute(_SELECT_PAGE.format(origins=origins), (last_id, kind, since)).fetchall()
        if not rows:
            return
        last_id = rows[-1][0]
        yield list(map(Row._make, rows))

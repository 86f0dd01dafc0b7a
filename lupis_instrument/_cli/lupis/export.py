"""`lupis export`: what is in the store, for other tools."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple

import click

from lupis_instrument._cli.lupis import tables
from lupis_instrument._cli.lupis.since import since
from lupis_instrument._export.otlp.encoded_items import EVENT, SPAN
from lupis_instrument._export.otlp.encoding import Origin, compose, encode_log_record
from lupis_instrument._query.otlp_json import LOGS, TRACES, decode
from lupis_instrument._query.store_reader import explain_nothing, reading

if TYPE_CHECKING:
    import sqlite3

_AT_ONCE = 256


class _Signal(NamedTuple):
    kind: int
    message: Any
    encode: Callable[[bytes], bytes]
    what: str


_SIGNALS = {
    "traces": _Signal(SPAN, TRACES, bytes, "spans"),
    "logs": _Signal(EVENT, LOGS, lambda body: encode_log_record(json.loads(body)), "events"),
}


@click.command()
@since
@click.option(
    "--format",
    "form",
    type=click.Choice(["otlp-json"]),
    default="otlp-json",
    show_default=True,
    help="OTLP/JSON, one object a line, as OpenTelemetry's file exporter writes it.",
)
@click.option(
    "--signal",
    type=click.Choice([*_SIGNALS]),
    default="traces",
    show_default=True,
    help="Spans, or the events as log records; a file holds one of them.",
)
def export(since: int | None, form: str, signal: str) -> None:
    """Write what is stored, as OTLP/JSON.

    To standard output.
    """
    assert form == "otlp-json"
    chosen = _SIGNALS[signal]
    empty = True
    with reading() as opened:
        for line in _lines(opened.db, chosen, since or 0):
            tables.echo(line)
            empty = False
        if empty:
            click.echo(explain_nothing(opened, chosen.what), err=True)


def _lines(db: sqlite3.Connection, signal: _Signal, since: int) -> Iterator[str]:
    for page in _pages(db, signal.kind, since):
        # One line has what one origin sent; a reader may take lines for requests.
        for _, group in groupby(page, key=lambda row: row[0].resource):
            request = compose((origin, signal.encode(body)) for origin, body in group)
            yield json.dumps(decode(signal.message, request), separators=(",", ":"))


def _pages(db: sqlite3.Connection, kind: int, since: int) -> Iterator[list[tuple[Origin, bytes]]]:
    """Yield the items a few at a time: a long look at the store would make its log grow."""
    last = 0
    while True:
        rows = db.execute(_PAGE, (last, kind, since)).fetchall()
        if not rows:
            return
        last = rows[-1][0]
        yield [(Origin(resource, scope), data) for _, resource, scope, data in rows]


_PAGE = (
    "SELECT item.id, resource, scope, data FROM item"  # noqa: S608 - a number of ours
    " JOIN origin ON origin.id = origin JOIN body ON body.id = item.id"
    f" WHERE item.id > ? AND kind = ? AND at >= ? ORDER BY item.id LIMIT {_AT_ONCE}"
)

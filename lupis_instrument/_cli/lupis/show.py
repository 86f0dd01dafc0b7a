"""`lupis show TRACE`: a trace as a waterfall."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, Iterator

import click

from lupis_instrument._cli.lupis import tables
from lupis_instrument._export.otlp.encoded_items import SPAN
from lupis_instrument._query import amounts
from lupis_instrument._query.items import Item, cost, find, show_cost, tokens, total_cost
from lupis_instrument._query.otlp_json import SPAN as SPAN_MESSAGE
from lupis_instrument._query.otlp_json import attributes_of, decode
from lupis_instrument._query.store_reader import explain_nothing, reading

if TYPE_CHECKING:
    import sqlite3

_ID_DIGITS = 32
_PREFIX = re.compile(r"[0-9a-fA-F]{1,32}")
_MOST_NAMED = 5
_DEFAULT_WIDTH = 100
_LONGEST_NAME = 44
_SHORTEST_BAR = 10
_DEEPEST = 12
_FULL, _FULL_ASCII = "\u2588", "#"


@click.command()
@click.argument("trace")
@click.option("-v", "--verbose", is_flag=True, help="All attributes of each span, and its events.")
def show(trace: str, verbose: bool) -> None:
    """Show a trace as a waterfall.

    TRACE is an id, or how one begins: `lupis traces` lists them.
    """
    low, high = _range(trace)
    with reading() as opened:
        items = list(find(opened.db, f"kind = {SPAN} AND trace BETWEEN ? AND ?", (low, high)))
        if not items:
            nothing = explain_nothing(opened, f"trace {trace.lower()}")
            raise click.ClickException(f"{nothing}\n`lupis traces` lists those there are.")
        _refuse_several(items)
        width = tables.width() or _DEFAULT_WIDTH
        tables.echo(_heading(items))
        for line, item in _waterfall(items, width):
            tables.echo(line)
            if verbose:
                for detail in _details(opened.db, item):
                    tables.echo(detail)


def _range(prefix: str) -> tuple[bytes, bytes]:
    """Return the first and the last id that begins so."""
    if not _PREFIX.fullmatch(prefix):
        raise click.BadParameter(
            f"{prefix!r}: expected up to {_ID_DIGITS} hexadecimal digits, as `lupis traces` has",
            param_hint="TRACE",
        )
    low, high = (bytes.fromhex(prefix.ljust(_ID_DIGITS, digit)) for digit in "0f")
    return low, high


def _refuse_several(items: list[Item]) -> None:
    ids = list(dict.fromkeys(item.trace.hex() for item in items if item.trace is not None))
    if len(ids) > 1:
        named = "\n".join(f"  {each}" for each in ids[-_MOST_NAMED:])
        raise click.ClickException(f"{len(ids)} traces begin so, the newest are\n{named}")


def _heading(items: list[Item]) -> str:
    start, end = min(item.at for item in items), max(item.end for item in items)
    chats = dict.fromkeys(item.chat for item in items if item.chat is not None)
    parts = [
        amounts.local(start),
        amounts.duration(end - start),
        f"{len(items)} span{'' if len(items) == 1 else 's'}",
        show_cost(*total_cost(items)),
        *(f"chat {amounts.clean(chat)}" for chat in chats),
    ]
    trace = items[0].trace or b""
    head = tables.style(f"trace {trace.hex()}", bold=True)
    return f"{head}\n{'  '.join(part for part in parts if part)}\n"


def _waterfall(items: list[Item], width: int) -> Iterator[tuple[str, Item]]:
    """Yield a line for each span, children below their parents."""
    start = min(item.at for item in items)
    whole = max(max(item.end for item in items) - start, 1)
    rows = list(_tree(items))
    names = [f"{'  ' * min(depth, _DEEPEST)}{amounts.clean(item.name)}" for depth, item in rows]
    texts = [[amounts.duration(item.duration), tokens(item), cost(item)] for _, item in rows]
    widths = [max(map(len, column)) for column in zip(*texts)]
    errors = [f"error {amounts.clean(item.error)}" if item.error else "" for _, item in rows]
    named = min(max(map(amounts.cells, names)), _LONGEST_NAME)
    taken = named + sum(widths) + 2 * len(widths) + max(map(len, errors)) + 4
    room = max(width - taken, _SHORTEST_BAR)
    for (_, item), name, text, error in zip(rows, names, texts, errors):
        laid = "  ".join(cell.rjust(each) for cell, each in zip(text, widths))
        bar = tables.style(_bar(item, start, whole, room), fg=_colour(item))
        failed = tables.style(error, fg="red")
        yield f"{amounts.pad(name, named)}  {bar}  {laid}  {failed}".rstrip(), item


def _tree(items: list[Item]) -> Iterator[tuple[int, Item]]:
    """Yield each span once, with how deep it is; one whose parent is not here stands at the top."""
    here = {item.span for item in items}
    below: dict[bytes | None, list[Item]] = {}
    for item in sorted(items, key=lambda item: item.at, reverse=True):
        below.setdefault(item.parent if item.parent in here else None, []).append(item)
    seen: set[int] = set()
    # Those whose parents go round in a circle come last, from wherever it is entered.
    left = [(0, item) for item in [*reversed(items), *below.get(None, ())]]
    tops = len(items)
    while left:
        depth, item = left.pop()
        if item.id in seen:
            continue
        seen.add(item.id)
        yield depth, item
        left += [(depth + 1, child) for child in below.get(item.span, ())]
    assert len(seen) == tops


def _bar(item: Item, start: int, whole: int, room: int) -> str:
    begin = min(int((item.at - start) / whole * room), room - 1)
    length = max(1, min(round(item.duration / whole * room), room - begin))
    return (" " * begin + _block() * length).ljust(room)


def _block() -> str:
    try:
        _FULL.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _FULL_ASCII
    return _FULL


def _colour(item: Item) -> str:
    if item.error is not None:
        return "red"
    return "blue" if item.provider is None else "cyan"


def _details(db: sqlite3.Connection, item: Item) -> Iterator[str]:
    """Yield what the span's body has beside what the waterfall shows."""
    (data,) = db.execute("SELECT data FROM body WHERE id = ?", (item.id,)).fetchone()
    span = decode(SPAN_MESSAGE, data)
    yield from _pairs("    ", {"span": span.get("spanId"), **attributes_of(span)})
    message = span.get("status", {}).get("message")
    if message:
        yield from _pairs("    ", {"status": message})
    for event in span.get("events", ()):
        yield f"    event {amounts.clean(event.get('name', ''))}"
        yield from _pairs("      ", attributes_of(event))


def _pairs(indent: str, values: dict[str, Any]) -> Iterator[str]:
    for key, value in sorted(values.items()):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        shown = amounts.clean(text) if "\n" not in text else _lines(text, indent)
        yield f"{indent}{tables.style(amounts.clean(key), dim=True)}  {shown}"


def _lines(text: str, indent: str) -> str:
    """Return a stack trace or the like as the lines that it has."""
    inner = f"\n{indent}  "
    return inner + inner.join(amounts.clean(line) for line in text.splitlines())

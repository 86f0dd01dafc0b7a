"""`lupis show TRACE`: shows a trace as a waterfall."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Iterator

import click

from lupis_instrument._cli.lupis.formatting import (
    format_duration,
    format_total_cost,
)
from lupis_instrument._cli.lupis.stores import explain_nothing, open_store, report_damaged
from lupis_instrument._cli.lupis.tables import style_text, terminal_width, write_line
from lupis_instrument._cli.lupis.waterfall import draw_waterfall
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._query.items import Item, read_body
from lupis_instrument._query.otlp_json import SPAN, decode_message, plain_attributes
from lupis_instrument._query.times import format_local_time
from lupis_instrument._query.traces import (
    TRACE_ID_DIGITS,
    count_damaged_spans,
    find_trace_spans,
    summarize_trace,
)

if TYPE_CHECKING:
    import sqlite3

_ID_PREFIX = re.compile(rf"[0-9a-fA-F]{{1,{TRACE_ID_DIGITS}}}")
_MAX_LISTED_IDS = 5
_DEFAULT_WIDTH = 100


@click.command()
@click.argument("trace")
@click.option(
    "-v", "--verbose", is_flag=True, help="Show all attributes and events of each span too."
)
def show(trace: str, verbose: bool) -> None:
    """Show a trace as a waterfall of its spans.

    TRACE is a trace id or its first digits; `lupis traces` lists the ids.
    """
    _check_prefix(trace)
    with open_store() as store:
        spans = find_trace_spans(store.db, trace)
        if not spans:
            reason = explain_nothing(store, f"trace {trace.lower()}")
            raise click.ClickException(f"{reason}\n`lupis traces` lists the stored traces.")
        _refuse_ambiguity(spans)
        write_line(_make_heading(spans))
        damaged = count_damaged_spans(store.db, None, trace)
        for line, span in draw_waterfall(spans, terminal_width() or _DEFAULT_WIDTH):
            write_line(line)
            details = _describe_span(store.db, span) if verbose else []
            damaged += verbose and not details
            for detail in details:
                write_line(detail)
        report_damaged(damaged)


def _check_prefix(prefix: str) -> None:
    if not _ID_PREFIX.fullmatch(prefix):
        raise click.BadParameter(
            f"{prefix!r}: expected up to {TRACE_ID_DIGITS} hexadecimal digits; see `lupis traces`",
            param_hint="TRACE",
        )


def _refuse_ambiguity(spans: list[Item]) -> None:
    """Raise a click.ClickException if the spans belong to several traces."""
    # Unlike a set, a dictionary keeps the order of storing: the last ids are the newest.
    ids = list(dict.fromkeys(span.trace.hex() for span in spans if span.trace is not None))
    if len(ids) > 1:
        newest = "\n".join(f"  {trace_id}" for trace_id in ids[-_MAX_LISTED_IDS:])
        raise click.ClickException(
            f"{len(ids)} traces start with these digits; the newest are\n{newest}"
        )


def _make_heading(spans: list[Item]) -> str:
    summary = summarize_trace(spans)
    chats = dict.fromkeys(span.chat for span in spans if span.chat is not None)
    parts = [
        format_local_time(summary.at),
        format_duration(summary.end - summary.at),
        f"{summary.spans} span{'' if summary.spans == 1 else 's'}",
        format_total_cost(summary.cost, summary.unpriced),
        *(f"chat {escape_controls(chat)}" for chat in chats),
    ]
    title = style_text(f"trace {summary.trace}", bold=True)
    return f"{title}\n{'  '.join(part for part in parts if part)}\n"


def _describe_span(db: sqlite3.Connection, item: Item) -> list[str]:
    """Return lines with the id, attributes, status and events of a span; empty if it is damaged."""
    try:
        return list(_format_span(decode_message(SPAN, read_body(db, item))))
    except Exception:  # damaged bytes raise errors of many types
        return []


def _format_span(span: dict[str, Any]) -> Iterator[str]:
    yield from _format_pairs("    ", {"span": span["spanId"], **plain_attributes(span)})
    message = span.get("status", {}).get("message")
    if message:
        yield from _format_pairs("    ", {"status": message})
    for event in span.get("events", ()):
        yield f"    event {escape_controls(event.get('name', ''))}"
        yield from _format_pairs("      ", plain_attributes(event))


def _format_pairs(indent: str, values: dict[str, Any]) -> Iterator[str]:
    for key, value in sorted(values.items()):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        shown = escape_controls(text) if "\n" not in text else _indent_lines(text, indent)
        yield f"{indent}{style_text(escape_controls(key), dim=True)}  {shown}"


def _indent_lines(text: str, indent: str) -> str:
    """Return a text of several lines, such as a stack trace, below its key."""
    line_start = f"\n{indent}  "
    return line_start + line_start.join(escape_controls(line) for line in text.splitlines())

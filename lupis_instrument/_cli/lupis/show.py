"""`lupis show`: shows a run, a trace or a conversation as a waterfall of its spans."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Iterator

import click

from lupis_instrument._cli.lupis.formatting import (
    cut_middle,
    format_duration,
    format_moment,
    format_token_sums,
    format_total_cost,
)
from lupis_instrument._cli.lupis.rows import (
    make_format_option,
    make_limit_option,
    write_csv,
    write_json,
)
from lupis_instrument._cli.lupis.show_subjects import Subject, find_subject
from lupis_instrument._cli.lupis.stores import open_store, report_damaged
from lupis_instrument._cli.lupis.tables import style_text, terminal_width, write_line, write_note
from lupis_instrument._cli.lupis.turn_text import format_turns
from lupis_instrument._cli.lupis.waterfall import draw_waterfall
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._export.terminal import text_width
from lupis_instrument._query.items import Item, read_body
from lupis_instrument._query.otlp_json import SPAN, decode_message, plain_attributes
from lupis_instrument._query.times import SECOND, format_iso_time
from lupis_instrument._query.traces import count_damaged_spans, walk_span_tree
from lupis_instrument._query.turns import find_turns, make_turns_json

if TYPE_CHECKING:
    import sqlite3

_DEFAULT_WIDTH = 100


@click.command()
@click.argument("subject_id", metavar="[ID]", required=False)
@click.option("--last", is_flag=True, help="Show the newest run.")
@click.option("--run", metavar="ID", help="Show a run; its first digits are enough.")
@click.option("--trace", metavar="ID", help="Show a trace; its first digits are enough.")
@click.option("--chat", metavar="ID", help="Show the calls of a conversation.")
@make_limit_option("spans to show of a run or a conversation", 200, highest=None)
@click.option(
    "-v", "--verbose", is_flag=True, help="Show all attributes and events of each span too."
)
@make_format_option("text", "json", "csv")
def show(subject_id: str | None, limit: int, verbose: bool, form: str, **options: Any) -> None:
    """Show a run, a trace or a conversation as a waterfall of its spans.

    Lines such as `chat → tools search → chat` tell the turns of an agent.

    ID is the id of a run, a trace or a conversation; the first digits of a run or a trace are
    enough. `lupis runs`, `lupis traces` and `lupis calls` list the ids.
    """
    with open_store() as store:
        subject = find_subject(store, subject_id, limit, **options)
        if form == "json":
            write_json(_make_json(store.db, subject, verbose=verbose))
            return
        if form == "csv":
            _write_csv(_make_spans_json(store.db, subject, verbose=verbose))
            return
        width = terminal_width() or _DEFAULT_WIDTH
        turns = format_turns(find_turns(store.db, subject.spans), width)
        write_line("\n".join([*_make_heading(subject, width), *turns, ""]))
        is_trace = subject.kind == "trace"
        damaged = count_damaged_spans(store.db, subject.id) if is_trace else 0
        for line, span in draw_waterfall(subject.spans, width):
            write_line(line)
            details = _describe_span(store.db, span) if verbose else []
            damaged += verbose and not details
            for detail in details:
                write_line(detail)
        report_damaged(damaged)
    if subject.is_cut:
        write_note(f"only the first {limit:,} spans; --limit shows more")


def _make_heading(subject: Subject, width: int) -> list[str]:
    """Return the lines above the waterfall: the id, and the totals in as many as they need."""
    totals = subject.totals
    chats = dict.fromkeys(span.chat for span in subject.spans if span.chat is not None)
    errors = _count_words(totals.errors, "error")
    parts = [
        format_moment(totals.at),
        format_duration(totals.end - totals.at),
        _count_words(len(subject.spans), "span") if not subject.is_cut else "",
        _count_words(totals.calls, "call"),
        errors if totals.errors else "",
        format_total_cost(totals.cost, totals.unpriced),
        f"{format_token_sums(totals)} tokens" if format_token_sums(totals) else "",
    ]
    if subject.kind != "conversation" and len(chats) == 1:
        parts += [cut_middle(f"chat {escape_controls(*chats)}", width)]
    title = style_text(f"{subject.kind} {escape_controls(subject.id)}", bold=True)
    lines = [title, ""]
    for part in filter(None, parts):
        text = style_text(part, fg="red") if part == errors else part
        line = f"{lines[-1]}  {text}" if lines[-1] else text
        if text_width(click.unstyle(line)) <= width:
            lines[-1] = line
        else:
            lines.append(text)
    return lines


def _count_words(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _make_json(db: sqlite3.Connection, subject: Subject, *, verbose: bool) -> dict[str, Any]:
    totals = subject.totals
    return {
        "kind": subject.kind,
        "id": subject.id,
        "at": format_iso_time(totals.at),
        "end": format_iso_time(totals.end),
        "calls": totals.calls,
        "errors": totals.errors,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cost_usd": totals.cost,
        "unpriced": totals.unpriced,
        "is_cut": subject.is_cut,
        "turns": make_turns_json(find_turns(db, subject.spans)),
        "spans": _make_spans_json(db, subject, verbose=verbose),
    }


def _make_spans_json(
    db: sqlite3.Connection, subject: Subject, *, verbose: bool
) -> list[dict[str, Any]]:
    return [
        {**_make_span_json(span), "depth": depth, **(_read_details(db, span) if verbose else {})}
        for depth, span in walk_span_tree(subject.spans)
    ]


def _write_csv(spans: list[dict[str, Any]]) -> None:
    """Write a row a span, at least one; attributes and events as JSON."""
    rows = (
        [json.dumps(value) if isinstance(value, (dict, list)) else value for value in row.values()]
        for row in spans
    )
    write_csv(list(spans[0]), rows)


def _make_span_json(span: Item) -> dict[str, Any]:
    ids = {name: getattr(span, name) for name in ("trace", "span", "parent")}
    return {
        "name": span.name,
        "at": format_iso_time(span.at),
        "seconds": span.duration / SECOND,
        **{name: None if id_ is None else id_.hex() for name, id_ in ids.items()},
        **{
            name: getattr(span, name)
            for name in ("chat", "provider", "model", "host", "input_tokens", "output_tokens")
        },
        "cost_usd": span.cost,
        "cost_status": span.cost_status,
        "error": span.error,
    }


def _read_details(db: sqlite3.Connection, item: Item) -> dict[str, Any]:
    """Return the attributes and events of a span; None for both if it is damaged."""
    try:
        span = decode_message(SPAN, read_body(db, item))
        events = [
            {"name": event.get("name", ""), "attributes": plain_attributes(event)}
            for event in span.get("events", ())
        ]
        return {"attributes": plain_attributes(span), "events": events}
    except Exception:  # damaged bytes raise errors of many types
        return {"attributes": None, "events": None}


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

"""Finds the run, the trace or the conversation that `lupis show` is to show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from lupis_instrument._cli.lupis.selection import find_run
from lupis_instrument._cli.lupis.stores import explain_nothing
from lupis_instrument._diagnostics import escape_controls
from lupis_instrument._query.conversations import summarize_conversation
from lupis_instrument._query.runs import RunNotFoundError, resolve_run, summarize_run
from lupis_instrument._query.traces import (
    TRACE_ID_DIGITS,
    find_conversation_spans,
    find_run_spans,
    find_trace_spans,
    summarize_trace,
)

if TYPE_CHECKING:
    from lupis_instrument._query.conversations import Conversation
    from lupis_instrument._query.items import Item
    from lupis_instrument._query.runs import Run
    from lupis_instrument._query.store_reader import OpenStore
    from lupis_instrument._query.traces import TraceSummary

_ID_PREFIX = re.compile(rf"[0-9a-fA-F]{{1,{TRACE_ID_DIGITS}}}")
_MAX_LISTED_IDS = 5
_ADVICE = "`lupis runs`, `lupis traces` and `lupis calls` list the ids."


class Subject(NamedTuple):
    """The spans to show.

    Attributes:
        kind: `run`, `trace` or `conversation`.
        id: its id.
        spans: its first spans, at least one.
        totals: the totals of all its spans.
        is_cut: whether it has more spans.
    """

    kind: str
    id: str
    spans: list[Item]
    totals: TraceSummary | Run | Conversation
    is_cut: bool = False


def find_subject(
    store: OpenStore,
    subject_id: str | None,
    limit: int,
    *,
    last: bool,
    run: str | None,
    trace: str | None,
    chat: str | None,
) -> Subject:
    """Return the run, the trace or the conversation that the arguments name.

    Args:
        store: the store.
        subject_id: the id of any of them; the first digits of a run or a trace are enough.
        limit: the maximum number of spans of a run or a conversation.
        last: whether to take the newest run.
        run: the id of a run.
        trace: the id of a trace.
        chat: the id of a conversation.

    Raises:
        click.ClickException: nothing has this id, or several have.
    """
    if sum((last, *(id_ is not None for id_ in (subject_id, run, trace, chat)))) != 1:
        raise click.UsageError("expected an ID, or one of --last, --run, --trace and --chat")
    if last or run is not None:
        return _find_run(store, find_run(store.db, run, last=last) or "", limit)
    if trace is not None:
        _check_prefix(trace)
        return _find_trace(store, trace) or _fail(store, f"trace {trace.lower()}")
    if chat is not None:
        return _find_conversation(store, chat, limit) or _fail(store, f"conversation {chat}")
    assert subject_id is not None
    return _find_any(store, subject_id, limit)


def _find_any(store: OpenStore, subject_id: str, limit: int) -> Subject:
    subjects = [_find_conversation(store, subject_id, limit)]
    if _ID_PREFIX.fullmatch(subject_id):
        subjects.append(_find_trace(store, subject_id))
    try:
        subjects.append(_find_run(store, resolve_run(store.db, subject_id), limit))
    except RunNotFoundError as error:
        if "start with" in str(error) and not any(subjects):
            raise click.ClickException(str(error)) from None
    matches = [subject for subject in subjects if subject is not None]
    if len(matches) > 1:
        names = ", ".join(f"{subject.kind} {escape_controls(subject.id)}" for subject in matches)
        raise click.ClickException(f"{names} start with these digits; add --run or --trace")
    return matches[0] if matches else _fail(store, f"run, trace or conversation {subject_id}")


def _fail(store: OpenStore, name: str) -> NoReturn:
    reason = explain_nothing(store, escape_controls(name))
    raise click.ClickException(f"{reason}\n{_ADVICE}")


def _check_prefix(prefix: str) -> None:
    if not _ID_PREFIX.fullmatch(prefix):
        raise click.BadParameter(
            f"{prefix!r}: expected up to {TRACE_ID_DIGITS} hexadecimal digits; see `lupis traces`",
            param_hint="--trace",
        )


def _find_run(store: OpenStore, run: str, limit: int) -> Subject:
    spans = find_run_spans(store.db, run, limit + 1)
    totals = summarize_run(store.db, run)
    if not spans or totals is None:
        return _fail(store, f"spans of run {run}")
    return Subject("run", run, spans[:limit], totals, len(spans) > limit)


def _find_conversation(store: OpenStore, chat: str, limit: int) -> Subject | None:
    spans = find_conversation_spans(store.db, chat, limit + 1)
    totals = summarize_conversation(store.db, chat)
    if not spans or totals is None:
        return None
    return Subject("conversation", chat, spans[:limit], totals, len(spans) > limit)


def _find_trace(store: OpenStore, prefix: str) -> Subject | None:
    spans = find_trace_spans(store.db, prefix)
    # Unlike a set, a dictionary keeps the order of storing: the last ids are the newest.
    ids = list(dict.fromkeys(span.trace.hex() for span in spans if span.trace is not None))
    if len(ids) > 1:
        newest = "\n".join(f"  {trace_id}" for trace_id in ids[-_MAX_LISTED_IDS:])
        raise click.ClickException(
            f"{len(ids)} traces start with these digits; the newest are\n{newest}"
        )
    return Subject("trace", ids[0], spans, summarize_trace(spans)) if ids else None

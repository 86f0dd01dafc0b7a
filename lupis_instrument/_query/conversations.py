"""Lists conversations: the calls of one chat id, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lupis_instrument._export.store.column_types import types_condition
from lupis_instrument._query.calls import Call, CallOrder, list_calls
from lupis_instrument._query.filters import (
    ALL_CALLS,
    IS_CALL,
    CallFilter,
    compile_filter,
    make_filter,
)

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = ("at", "duration", "chat", "user", "model", "cost", "cost_status", "error")
_SUMS = (
    "chat, min(at), max(at + duration), max(user), count(*), count(error), total(input_tokens),"
    " total(output_tokens), total(cached_tokens), sum(cost), total(cost_status = 'unpriced'),"
    " group_concat(DISTINCT model)"
)
_MAX_CALLS = 10_000


class Conversation(NamedTuple):
    """The calls of one chat id.

    Attributes:
        chat: the chat id.
        at: the start of the first call, nanoseconds since the epoch.
        end: the end of the last call, nanoseconds since the epoch.
        user: a user id of its calls; None without one.
        calls: the number of calls.
        errors: the number of failed calls.
        input_tokens: the input tokens of all calls.
        output_tokens: the output tokens of all calls.
        cached_tokens: the input tokens that came from a cache.
        cost: the cost in USD of the calls with a known cost; None if there are none.
        unpriced: the number of calls without a known price.
        models: the models, separated by commas.
    """

    chat: str
    at: int
    end: int
    user: str | None
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: float | None
    unpriced: int
    models: str | None


def list_conversations(
    db: sqlite3.Connection,
    call_filter: CallFilter = ALL_CALLS,
    *,
    limit: int = 20,
    before: int | None = None,
) -> list[Conversation]:
    """Return the conversations with the newest calls, the latest first.

    Args:
        db: the store.
        call_filter: a conversation is listed if the filter selects one of its calls.
        limit: the maximum number of conversations.
        before: only conversations whose newest selected call began before, nanoseconds since the
            epoch: the start of the last call of the page before.
    """
    condition = compile_filter(db, call_filter)
    rows = db.execute(
        f"SELECT chat FROM item WHERE {condition.sql} AND chat IS NOT NULL AND at < ?"  # noqa: S608
        f" AND {types_condition(_COLUMNS)} ORDER BY at DESC, id DESC",
        (*condition.values, (1 << 63) - 1 if before is None else before),
    )
    chats: dict[str, None] = {}
    for (chat,) in rows:
        chats[chat] = None
        if len(chats) == limit:
            break
    made = (summarize_conversation(db, chat) for chat in chats)
    return [conversation for conversation in made if conversation is not None]


def summarize_conversation(db: sqlite3.Connection, chat: str) -> Conversation | None:
    """Return the totals of a conversation; None if the store has none of its calls."""
    statement = (
        f"SELECT {_SUMS} FROM item WHERE {IS_CALL} AND chat = ?"  # noqa: S608
        f" AND {types_condition(_COLUMNS)}"
    )
    row = db.execute(statement, (chat,)).fetchone()
    if row[0] is None:
        return None
    *head, calls, errors, given, written, cached, cost, unpriced, models = row
    counts = map(int, (calls, errors, given, written, cached))
    return Conversation._make((*head, *counts, cost, int(unpriced), models))


def find_conversation_calls(db: sqlite3.Connection, chat: str) -> list[Call]:
    """Return the calls of a conversation in the order of time, the first 10,000."""
    page = list_calls(db, make_filter(chat=chat), order=CallOrder.OLDEST, limit=_MAX_CALLS)
    return page.calls

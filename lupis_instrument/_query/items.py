"""Reads spans and events from the store, without their bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Iterator, NamedTuple

from lupis_instrument._export.store.column_types import types_condition

if TYPE_CHECKING:
    import sqlite3

    from lupis_instrument._query.calls import Call


class Item(NamedTuple):
    """A span or event without its body: columns of the store's table `item`.

    Attributes:
        id: the row id; later items have higher ids.
        kind: `SPAN` or `EVENT`.
        at: the start, nanoseconds since the epoch.
        duration: the length in nanoseconds.
        name: the name of the span or event.
        trace: the trace id.
        span: the span id.
        parent: the parent's span id; None for the root of a trace.
        chat: the chat id.
        provider: the provider of an LLM call; None for every other span and for events.
        input_tokens: the input tokens that the provider reported.
        output_tokens: the output tokens that the provider reported.
        cost: the cost in USD; None if it is not known.
        cost_status: `priced`, `partial`, `free` or `unpriced`.
        error: the error type; None for success.
        model: the model of an LLM call.
        host: the host of a request's URL.
    """

    id: int
    kind: int
    at: int
    duration: int
    name: str
    trace: bytes | None
    span: bytes | None
    parent: bytes | None
    chat: str | None
    provider: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    cost_status: str | None
    error: str | None
    model: str | None = None
    host: str | None = None

    @property
    def end(self) -> int:
        """Return the end, nanoseconds since the epoch."""
        return self.at + self.duration


def find_items(
    db: sqlite3.Connection, condition: str, values: Iterable[Any] = (), order: str = "id"
) -> Iterator[Item]:
    """Yield the items that match a condition, without damaged rows.

    Args:
        db: the store.
        condition: the SQL condition, with a question mark for each value.
        values: the values for the question marks.
        order: the SQL order, with a limit if there is one.
    """
    columns = ", ".join(Item._fields)
    types = types_condition(Item._fields)
    statement = f"SELECT {columns} FROM item WHERE {condition} AND {types} ORDER BY {order}"  # noqa: S608
    return map(Item._make, db.execute(statement, tuple(values)))


def find_last_id(db: sqlite3.Connection) -> int:
    """Return the highest id that the store has given to an item, deleted items included."""
    # A damaged store may have no such row, or a text in it.
    row = db.execute("SELECT last FROM sequence WHERE typeof(last) = 'integer'").fetchone()
    (last_id,) = row or db.execute("SELECT ifnull(max(id), 0) FROM item").fetchone()
    return int(last_id)


def read_trace_ids(db: sqlite3.Connection, ids: Iterable[int]) -> dict[int, str]:
    """Return the trace ids in hexadecimal by the row ids of items, without items that lack them."""
    listed = ", ".join(map(str, ids))
    rows = db.execute(f"SELECT id, trace FROM item WHERE id IN ({listed})")  # noqa: S608 - numbers
    return {id_: trace.hex() for id_, trace in rows if isinstance(trace, bytes)}


def read_body(db: sqlite3.Connection, item: Item | Call) -> bytes:
    """Return the body of an item: an OTLP span, or an event as JSON; empty if it is damaged."""
    statement = "SELECT data FROM body WHERE id = ? AND typeof(data) = 'blob'"
    (body,) = db.execute(statement, (item.id,)).fetchone() or (b"",)
    return bytes(body)


def sum_costs(items: Iterable[Item]) -> tuple[float | None, int]:
    """Add up the costs of the LLM calls among `items`.

    Returns:
        The sum in USD, None if no call has a known cost; and the number of unpriced calls.
    """
    calls = [item for item in items if item.provider is not None]
    costs = [item.cost for item in calls if isinstance(item.cost, (int, float))]
    return sum(costs) if costs else None, sum(item.cost_status == "unpriced" for item in calls)

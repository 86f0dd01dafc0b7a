"""Spans and events in the store, as a report's reader meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Iterator, NamedTuple

from lupis_instrument._export.otlp.encoded_items import EVENT
from lupis_instrument._query import amounts

if TYPE_CHECKING:
    import sqlite3


class Item(NamedTuple):
    """A span or event without its body; see `items.Facts` for what is not told here.

    Attributes:
        id: in the store, in the order of storing.
        kind: `SPAN` or `EVENT`.
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

    @property
    def end(self) -> int:
        """When it ended, nanoseconds since the epoch."""
        return self.at + self.duration


def find(
    db: sqlite3.Connection, condition: str, values: Iterable[Any] = (), order: str = "id"
) -> Iterator[Item]:
    """Yield the items for which `condition`, in SQL, holds."""
    columns = ", ".join(Item._fields)
    statement = f"SELECT {columns} FROM item WHERE {condition} ORDER BY {order}"  # noqa: S608
    return map(Item._make, db.execute(statement, tuple(values)))


def tokens(item: Item) -> str:
    """Return what a call read and wrote; nothing where no tokens are reported."""
    if item.input_tokens is None and item.output_tokens is None:
        return ""
    read, written = _number(item.input_tokens), _number(item.output_tokens)
    return f"{amounts.count(read)} -> {amounts.count(written)}"


def cost(item: Item) -> str:
    """Return what a call cost; a question mark where it is not known, nothing for other spans."""
    if isinstance(item.cost, (int, float)):
        return amounts.dollars(item.cost)
    return "$?" if item.cost_status == "unpriced" else ""


def total_cost(items: Iterable[Item]) -> tuple[float | None, int]:
    """Return what calls cost, None where no price is known, and of how many none is known."""
    calls = [item for item in items if item.provider is not None]
    known = [item.cost for item in calls if isinstance(item.cost, (int, float))]
    return sum(known) if known else None, sum(item.cost_status == "unpriced" for item in calls)


def show_cost(known: float | None, unpriced: int) -> str:
    """Return such a total as people read it."""
    unknown = f" + {unpriced} unpriced" if unpriced else ""
    return f"{amounts.dollars(known)}{unknown}" if unknown or known is not None else ""


def describe(item: Item) -> list[str]:
    """Return the parts of a line on an item, in the order they are read."""
    if item.kind == EVENT:
        parts = ["event", item.name]
    else:
        used = tokens(item)
        parts = [
            amounts.duration(item.duration),
            item.name,
            item.provider or "",
            f"{used} tokens" if used else "",
            cost(item),
        ]
    parts += [f"chat {item.chat}"] if item.chat is not None else []
    parts += [f"error {item.error}"] if item.error is not None else []
    return [amounts.clean(part) for part in parts if part]


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0

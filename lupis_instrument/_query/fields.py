"""The fields of a call that filters and groups name."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class FieldType(Enum):
    """How a field is compared."""

    TEXT = "text"
    NUMBER = "number"
    SECONDS = "seconds"
    TIME = "time"
    TRACE = "trace"
    ORIGIN = "origin"


class Field(NamedTuple):
    """A field of a call.

    Attributes:
        name: its name in filters.
        type: how it is compared.
        sql: the expression over the store's table `item`; empty for a field of the origin.
        unit: the number of the expression's units in a second, for `SECONDS`.
        aliases: further names.
    """

    name: str
    type: FieldType
    sql: str = ""
    unit: float = 1
    aliases: tuple[str, ...] = ()


_NANOSECONDS = 1e9

FIELDS = (
    Field("provider", FieldType.TEXT, "provider"),
    Field("model", FieldType.TEXT, "model"),
    Field("operation", FieldType.TEXT, "operation"),
    Field("host", FieldType.TEXT, "host"),
    Field("chat", FieldType.TEXT, "chat", aliases=("conversation",)),
    Field("user", FieldType.TEXT, "user"),
    Field("session", FieldType.TEXT, "session"),
    Field("organization", FieldType.TEXT, "organization", aliases=("org",)),
    Field("error", FieldType.TEXT, "error"),
    Field("name", FieldType.TEXT, "name"),
    Field("fingerprint", FieldType.TEXT, "fingerprint"),
    Field("priced", FieldType.TEXT, "cost_status"),
    Field("status", FieldType.NUMBER, "status"),
    Field("retries", FieldType.NUMBER, "resends", aliases=("retry",)),
    Field("cost", FieldType.NUMBER, "cost"),
    Field("input", FieldType.NUMBER, "input_tokens", aliases=("in",)),
    Field("output", FieldType.NUMBER, "output_tokens", aliases=("out",)),
    Field("cached", FieldType.NUMBER, "cached_tokens"),
    Field("duration", FieldType.SECONDS, "duration", _NANOSECONDS, aliases=("time",)),
    Field("first", FieldType.SECONDS, "first_chunk"),
    Field("since", FieldType.TIME, "at"),
    Field("until", FieldType.TIME, "at"),
    Field("trace", FieldType.TRACE, "trace"),
    Field("run", FieldType.ORIGIN),
    Field("project", FieldType.ORIGIN),
    Field("service", FieldType.ORIGIN),
    Field("pid", FieldType.ORIGIN),
)
"""All fields; `tag.KEY` names a tag of the origin beside them."""

TAG_PREFIX = "tag."
_BY_NAME = {name: field for field in FIELDS for name in (field.name, *field.aliases)}


def find_field(name: str) -> Field | None:
    """Return the field of a name or alias; None if there is no such field."""
    if name.startswith(TAG_PREFIX) and len(name) > len(TAG_PREFIX):
        return Field(name, FieldType.ORIGIN)
    return _BY_NAME.get(name.lower())

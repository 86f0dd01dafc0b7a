"""Reads the origins of items: the processes that recorded them, and their launches."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple

from lupis_instrument._query.otlp_json import RESOURCE, Field, decode_message, plain_attributes
from lupis_instrument._semconv import LUPIS_TAG, SERVICE_NAME

if TYPE_CHECKING:
    import sqlite3

_MAX_DECODED_RESOURCES = 4096
_RESOURCE_HOLDER = {1: Field("resource", RESOURCE)}


class RecordedOrigin(NamedTuple):
    """A process, or one instrumentation scope in it: a row of the store's table `origin`.

    Attributes:
        id: the row id.
        project: `LUPIS_PROJECT_ID`.
        run: the id of the launch; None without one.
        pid: the process id.
        service: `LUPIS_SERVICE_NAME`.
        command: the command line, redacted; None in stores of release 0.1.0.
    """

    id: int
    project: str | None
    run: str | None
    pid: int | None
    service: str | None
    command: str | None


Origins = Dict[int, RecordedOrigin]
"""By row id: the origins of a store."""

_SELECT = (
    "SELECT id, project, run, pid, service, command,"
    " CASE WHEN service IS NULL THEN resource END FROM origin"
)


def read_origins(db: sqlite3.Connection) -> Origins:
    """Return all origins by their row ids."""
    return {row[0]: _make_origin(*row) for row in db.execute(_SELECT)}


def _make_origin(id_: int, *columns: Any) -> RecordedOrigin:
    project, run, pid, service, command, resource = columns
    if service is None:  # release 0.1.0 did not write it
        service = read_resource(resource).get(SERVICE_NAME)
    texts = [text if isinstance(text, str) else None for text in (project, run, service, command)]
    return RecordedOrigin(
        id_, texts[0], texts[1], pid if isinstance(pid, int) else None, texts[2], texts[3]
    )


@lru_cache(maxsize=_MAX_DECODED_RESOURCES)
def read_resource(resource: Any) -> dict[str, Any]:
    """Return the attributes of an encoded resource; none of a damaged one."""
    try:
        return plain_attributes(decode_message(_RESOURCE_HOLDER, resource).get("resource", {}))
    except (ValueError, TypeError, IndexError, KeyError):
        return {}  # a damaged file


def read_tags(db: sqlite3.Connection, key: str) -> dict[int, str]:
    """Return the values of a tag by the row id of the origin, without origins that lack it."""
    resources = db.execute("SELECT id, resource FROM origin")
    values = {id_: read_resource(resource).get(LUPIS_TAG + key) for id_, resource in resources}
    return {id_: str(value) for id_, value in values.items() if value is not None}


def select_origins(origins: Origins, matches: Callable[[RecordedOrigin], bool]) -> str:
    """Return the SQL condition for the items of the origins that match."""
    ids = ", ".join(str(id_) for id_, origin in origins.items() if matches(origin))
    return f"origin IN ({ids})"

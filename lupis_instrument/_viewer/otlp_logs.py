"""Turns log records of OTLP requests into events."""

from __future__ import annotations

import re
from typing import Any, Iterator, NamedTuple

from lupis_instrument import _semconv
from lupis_instrument._tracing.content import is_content, is_content_event
from lupis_instrument._viewer.otlp_requests import read_attributes

_MILLISECOND = 1_000_000
_NAME = re.compile(r"[\w.:/-]{1,200}")


class LogEvent(NamedTuple):
    """A log record with the name of an event.

    Attributes:
        name: the name of the event.
        at: the time, nanoseconds since the epoch.
        attributes: its attributes, without content.
        resource: the attributes of the resource.
        trace: the trace id as bytes; empty without one.
        span: the span id as bytes; empty without one.
    """

    name: str
    at: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    trace: bytes
    span: bytes

    def make_event(self) -> dict[str, Any]:
        """Return the event as programs under lupis-run send it."""
        prefix = _semconv.LUPIS_METADATA
        own = (_semconv.EVENT_NAME, _semconv.LUPIS_CHAT_ID, _semconv.GEN_AI_CONVERSATION_ID)
        metadata = {
            name[len(prefix) :]: value
            for name, value in self.attributes.items()
            if name.startswith(prefix)
        }
        chat = next((self.attributes[name] for name in own[1:] if name in self.attributes), None)
        if chat is not None:
            metadata.setdefault("chat_id", chat)
        properties = {
            name: value
            for name, value in self.attributes.items()
            if name not in own and not name.startswith(prefix)
        }
        return {
            "name": self.name,
            "timestamp": self.at // _MILLISECOND,
            "properties": properties,
            "metadata": metadata,
        }


def read_log_events(request: Any) -> Iterator[LogEvent | None]:
    """Yield the events of a request; None for a log record that is no event, or that is content.

    The body of a record is never read, unless it is the name of the event.

    Args:
        request: the message ExportLogsServiceRequest.
    """
    for group in request.resource_logs:
        resource = read_attributes(group.resource.attributes)
        for scoped in group.scope_logs:
            is_own = scoped.scope.name == _semconv.SCOPE
            for record in scoped.log_records:
                yield _read_record(record, resource, is_own=is_own)


def _read_record(record: Any, resource: dict[str, Any], *, is_own: bool) -> LogEvent | None:
    attributes = read_attributes(record.attributes)
    name = _find_name(record, attributes)
    if name is None or is_content_event(name):
        return None
    if not is_own:
        attributes = {key: value for key, value in attributes.items() if not is_content(key, value)}
    at = record.time_unix_nano or record.observed_time_unix_nano
    return LogEvent(name, at, attributes, resource, record.trace_id, record.span_id)


def _find_name(record: Any, attributes: dict[str, Any]) -> str | None:
    """Return the name of an event: coding agents write it in full in the body."""
    given = getattr(record, "event_name", "") or attributes.get(_semconv.EVENT_NAME)
    body = record.body.string_value
    if isinstance(given, str) and body.endswith(f".{given}") and _NAME.fullmatch(body):
        return str(body)
    if isinstance(given, str) and given:
        return given
    return None

"""An HTTP answer before it is sent: one JSON text, a stream, or a fault."""

from __future__ import annotations

import json
from typing import Any, Iterable, NamedTuple


class Fault(NamedTuple):
    """How a model fails: the status, and what Anthropic and Gemini call it."""

    status: int
    kind: str
    gemini: str


FAULTS = {
    "always-busy": Fault(429, "rate_limit_error", "RESOURCE_EXHAUSTED"),
    "always-broken": Fault(500, "api_error", "INTERNAL"),
    "always-denied": Fault(401, "authentication_error", "UNAUTHENTICATED"),
    "always-missing": Fault(404, "not_found_error", "NOT_FOUND"),
    "always-overloaded": Fault(503, "overloaded_error", "UNAVAILABLE"),
}


class Reply(NamedTuple):
    """An HTTP answer: one JSON text, or the parts of a stream."""

    body: Any
    stream: Iterable[bytes] | None = None
    status: int = 200
    content_type: str = "application/json"


def sse(data: Any, event: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def event_stream(events: Iterable[bytes]) -> Reply:
    """A stream of server-sent events."""
    return Reply(None, events, content_type="text/event-stream; charset=utf-8")

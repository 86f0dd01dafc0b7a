"""HTTP replies: a JSON body, a stream or an error."""

from __future__ import annotations

import json
from typing import Any, Iterable, NamedTuple


class Fault(NamedTuple):
    """The failure of a model.

    Attributes:
        status: the HTTP status.
        kind: the error type in OpenAI's and Anthropic's replies.
        gemini: the error status in Gemini's replies.
    """

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
    """An HTTP reply.

    Attributes:
        body: the JSON value to send, unless there is a stream.
        stream: the pieces of a stream.
        status: the HTTP status.
        content_type: the value of the content-type header.
    """

    body: Any
    stream: Iterable[bytes] | None = None
    status: int = 200
    content_type: str = "application/json"


def sse(data: Any, event: str = "") -> bytes:
    """Return a server-sent event with `data`, as JSON unless it is a string."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def event_stream(events: Iterable[bytes]) -> Reply:
    """Return a reply that streams server-sent events."""
    return Reply(None, events, content_type="text/event-stream; charset=utf-8")

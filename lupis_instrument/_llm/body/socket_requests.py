"""Writes the request of a response on a WebSocket as one body, and reads such a body again.

The model and the settings of a response may be in an earlier message, which sets up the session.
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping

from lupis_instrument._llm.api.socket_messages import parse_message

_SESSION, _MESSAGE = "lupis session", "lupis message"
_MODEL = "model"
_KEPT = (
    *(_MODEL, "sessionId", "tools", "temperature", "max_output_tokens", "reasoning"),
    *("max_response_output_tokens", "generationConfig", "generation_config"),
)
"""Members of a session that describe its requests; instructions are not kept."""
_SESSION_OBJECTS = ("session", "setup", "setupComplete")
_RENAMED = {
    "generation_config": "generationConfig",
    "max_response_output_tokens": "max_output_tokens",
}
_MODEL_NAME = re.compile(r"(?:.*/)?models/([^/]+)\Z")
_MAX_SESSION_BYTES = 32 * 1024
"""The longest settings of a session that are kept, in bytes of JSON."""


def read_session(message: bytes) -> dict[str, Any]:
    """Return the members of a session that describe the requests on it."""
    members = parse_message(message) or {}
    objects = (members.get(name) for name in _SESSION_OBJECTS)
    session = next((value for value in objects if isinstance(value, dict)), {})
    kept = {name: session[name] for name in _KEPT if session.get(name)}
    is_short = len(json.dumps(kept)) <= _MAX_SESSION_BYTES
    return kept if is_short else {name: kept[name] for name in kept.keys() & {_MODEL}}


def write_request(session: Mapping[str, Any], message: bytes) -> list[bytes]:
    """Return the pieces of a body with the session and the message that starts a response."""
    if not session:
        return [message]
    start = json.dumps({_SESSION: session})[:-1].encode()
    return [start, f', "{_MESSAGE}": '.encode(), message or b"{}", b"}"]


def read_request(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the members of a request as they would be in the body of an HTTP request."""
    session, message = members.get(_SESSION), members.get(_MESSAGE, members)
    nested = message.get("response") if isinstance(message, dict) else None
    if session is None and not isinstance(nested, dict):
        return members
    request: dict[str, Any] = {}
    for part in (session, message, nested):
        request.update(part if isinstance(part, dict) else {})
    for name in _RENAMED.keys() & request.keys():
        request[_RENAMED[name]] = request.pop(name)
    model = request.get(_MODEL)
    match = _MODEL_NAME.match(model) if isinstance(model, str) else None
    if match:  # ai.google.dev/api/live: "models/gemini-2.5-flash"
        request[_MODEL] = match.group(1)
    return request

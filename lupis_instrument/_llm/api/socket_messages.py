"""Reads the meaning of a message on a WebSocket for the calls on it: one row for each wire API.

This runs while the program waits. So the type of a message is searched for at its two ends, and
only short messages are parsed.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Any, Callable, Mapping, NamedTuple


class Part(Enum):
    """The meaning of a message for the calls on its socket.

    Attributes:
        REQUEST: sent; it starts a response.
        INPUT: sent; it starts a response if none is under way.
        CANCEL: sent; it cancels a response.
        SESSION: it names the model and the settings of later responses.
        OPENING: received; the first message of a response, which the server may start itself.
        PIECE: received; it belongs to a response under way.
        USAGE: received; it reports usage, maybe of a response that has just ended.
        END: received; the last message of a response.
        ERROR: received; it refuses a request, or ends a response.
        OTHER: it says nothing about calls.
    """

    REQUEST = "request"
    INPUT = "input"
    CANCEL = "cancel"
    SESSION = "session"
    OPENING = "opening"
    PIECE = "piece"
    USAGE = "usage"
    END = "end"
    ERROR = "error"
    OTHER = "other"


class SocketApi(NamedTuple):
    """The messages of one wire API.

    Attributes:
        read_sent: returns the meaning of a message of the client.
        read_received: returns the meaning of a message of the server.
        has_ids: whether several responses may be under way, told apart by their ids.
        errors_end: whether an error ends a response that has begun.
        ends_with_usage: whether a response without usage may be followed by a report of it.
    """

    read_sent: Callable[[bytes], Part]
    read_received: Callable[[bytes], Part]
    has_ids: bool = True
    errors_end: bool = True
    ends_with_usage: bool = False


class MessageIds(NamedTuple):
    """The ids in a message.

    Attributes:
        response: the provider's id of the response.
        stream: the id that the client gave to one of several streams on a socket.
        event: the client's id of the message that an error is about.
    """

    response: str | None = None
    stream: str | None = None
    event: str | None = None


_END_BYTES = 2048
"""Bytes of each end of a message that are searched for its type."""
_MAX_PARSED_BYTES = 64 * 1024
"""The longest message that is parsed while the program waits."""

# developers.openai.com/api/docs/guides/websocket-mode, .../api/reference/resources/realtime; xAI,
# Azure and others use the same names. Text in a message never matches: its quotes are escaped.
_EVENT = re.compile(
    rb'"type"\s*:\s*"((?:response|session|conversation|input_audio_buffer|output_audio_buffer'
    rb'|rate_limits)\.[a-z_.]+|error)"'
)
_SENT_EVENTS = {
    b"response.create": Part.REQUEST,
    b"response.cancel": Part.CANCEL,
    b"session.update": Part.SESSION,
}
_ENDS = ("completed", "done", "failed", "incomplete", "cancelled", "canceled")
_RECEIVED_EVENTS = {
    b"session.created": Part.SESSION,
    b"session.updated": Part.SESSION,
    b"response.created": Part.OPENING,
    **{f"response.{word}".encode(): Part.END for word in _ENDS},
    b"error": Part.ERROR,
}

# ai.google.dev/api/live: a message has one member that says its type, and maybe `usageMetadata`.
_LIVE_SENT = re.compile(
    rb'"(setup|client_?[cC]ontent|realtime_?[iI]nput|tool_?[rR]esponse)"\s*:\s*\{'
)
_TURN_COMPLETE = re.compile(rb'"turn_?[cC]omplete"\s*:\s*true')
# `audioStreamEnd` asks for nothing: a microphone is off, maybe without a word before. An answer
# that follows starts a call of its own.
_INPUT_END = re.compile(rb'"(?:text"\s*:\s*"|activity_?[eE]nd")')
_SETUP_COMPLETE = re.compile(rb'"setupComplete"\s*:')
_LIVE_OPENING = re.compile(
    rb'"(?:modelTurn|toolCall|outputTranscription|generationComplete)"\s*:'
)  # fmt: skip
_LIVE_ERROR = re.compile(rb'\A\s*\{\s*"error"\s*:')
_USAGE = re.compile(rb'"usageMetadata"\s*:\s*\{')
_LIVE_PIECE = re.compile(rb'"serverContent"\s*:')

_OTHER_REFUSED = re.compile(
    rb'"code"\s*:\s*"(?:response_cancel_|input_audio_buffer_|output_audio_buffer_|item_)'
)
"""Codes of errors of the Realtime API about messages that ask for no response."""

_STREAM_ID = re.compile(rb'"stream_id"\s*:\s*"([^"\\]{1,256})"')
_EVENT_ID = re.compile(rb'"event_id"\s*:\s*"([^"\\]{1,256})"')
_RESPONSE_ID = re.compile(
    rb'"response_id"\s*:\s*"([^"\\]{1,256})"'
    rb'|"response"\s*:\s*\{[^{}]{0,512}?"id"\s*:\s*"([^"\\]{1,256})"'
)
_MAX_ID = 256
_REPEATED_MEMBERS = (("metadata", 8), ("previous_response_id", 4))
"""Members of a request that its response repeats, each with its weight."""


def _cut_ends(message: bytes) -> bytes:
    """Return the two ends of a message; a short one is returned whole."""
    if len(message) <= 2 * _END_BYTES:
        return message
    return message[:_END_BYTES] + b"\n" + message[-_END_BYTES:]


def _find_event(message: bytes) -> bytes:
    match = _EVENT.search(_cut_ends(message))
    return match.group(1) if match else b""


def _read_sent_event(message: bytes) -> Part:
    return _SENT_EVENTS.get(_find_event(message), Part.OTHER)


def _read_received_event(message: bytes) -> Part:
    event = _find_event(message)
    is_piece = event.startswith(b"response.")
    return _RECEIVED_EVENTS.get(event, Part.PIECE if is_piece else Part.OTHER)


def _read_sent_turn(message: bytes) -> Part:
    ends = _cut_ends(message)
    match = _LIVE_SENT.search(ends)
    kind = match.group(1).replace(b"_", b"").lower() if match else b""
    if kind == b"setup":
        return Part.SESSION
    if kind == b"clientcontent" and _TURN_COMPLETE.search(ends):
        return Part.REQUEST
    is_end = kind == b"toolresponse" or (kind == b"realtimeinput" and _INPUT_END.search(ends))
    return Part.INPUT if is_end else Part.OTHER


def _read_received_turn(message: bytes) -> Part:
    ends = _cut_ends(message)
    for pattern, part in (
        (_TURN_COMPLETE, Part.END),
        (_LIVE_OPENING, Part.OPENING),
        (_USAGE, Part.USAGE),
        (_LIVE_PIECE, Part.PIECE),
        (_SETUP_COMPLETE, Part.SESSION),
        (_LIVE_ERROR, Part.ERROR),
    ):
        if pattern.search(ends):
            return part
    return Part.OTHER


SOCKET_APIS: Mapping[str, SocketApi] = {
    "openai.responses": SocketApi(_read_sent_event, _read_received_event),
    "openai.realtime": SocketApi(_read_sent_event, _read_received_event, errors_end=False),
    "gemini.live": SocketApi(
        _read_sent_turn, _read_received_turn, has_ids=False, ends_with_usage=True
    ),
}
"""The messages of each wire API in `operations.SOCKET_OPERATIONS`."""


def has_usage(message: bytes) -> bool:
    """Return whether a message of the Live API reports usage."""
    return _USAGE.search(_cut_ends(message)) is not None


def refuses_other(message: bytes) -> bool:
    """Return whether an error refuses another message than a request for a response."""
    return _OTHER_REFUSED.search(_cut_ends(message)) is not None


def read_ids(message: bytes) -> MessageIds:
    """Return the ids in a message of the server."""
    value = parse_message(message)
    if value is None:
        ends = _cut_ends(message)
        return MessageIds(_find_id(_RESPONSE_ID, ends), _find_id(_STREAM_ID, ends))
    response, error = value.get("response"), value.get("error")
    response_id = response.get("id") if isinstance(response, dict) else None
    event_id = error.get("event_id") if isinstance(error, dict) else None
    ids = (response_id or value.get("response_id"), value.get("stream_id"), event_id)
    return MessageIds(*(text if _is_id(text) else None for text in ids))


def read_request_ids(request: bytes) -> MessageIds:
    """Return the ids that the client gave to a request."""
    ends = _cut_ends(request)
    return MessageIds(None, _find_id(_STREAM_ID, ends), _find_id(_EVENT_ID, ends))


def parse_message(message: bytes) -> dict[str, Any] | None:
    """Return the members of a short message; None for any other."""
    if len(message) > _MAX_PARSED_BYTES:
        return None
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def rate_match(request: bytes, message: bytes) -> int:
    """Return how well a request fits the response that a message begins: 0 for not at all.

    A response repeats members of its request.
    """
    sent, response = _read_request(request), (parse_message(message) or {}).get("response")
    if not isinstance(response, dict):
        return 0
    rate = sum(
        points
        for name, points in _REPEATED_MEMBERS
        if sent.get(name) and sent[name] == response.get(name)
    )
    model, answered_by = sent.get("model"), response.get("model")
    if _is_id(model) and str(answered_by).startswith(str(model)):
        rate += 1 + (model == answered_by)  # an alias is the beginning of a version's name
    return rate


def _read_request(request: bytes) -> dict[str, Any]:
    members = parse_message(request) or {}
    nested = members.get("response")
    return {**members, **nested} if isinstance(nested, dict) else members


def _find_id(pattern: re.Pattern[bytes], text: bytes) -> str | None:
    match = pattern.search(text)
    return match.group(match.lastindex or 0).decode("utf-8", "replace") if match else None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID

"""The binary framing of AWS event streams (``application/vnd.amazon.eventstream``).

A frame is its length, its headers' length and a checksum of both (4 bytes each, big-endian), the
headers, the payload, and a checksum:
https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream
"""

from __future__ import annotations

import struct
from base64 import b64decode
from binascii import crc32

from lupis_instrument._llm.body.framing import LARGEST_VALUE, Reports, Take, parse

_PRELUDE = struct.Struct(">III")
_CHECKSUM = 4
_SHORTEST = _PRELUDE.size + _CHECKSUM
_PARSED_ANYWAY = 4
_STRING = 7  # the header value type that is a string


def starts_event_stream(data: bytes) -> bool:
    """Whether `data` opens with a frame's prelude and its right checksum."""
    if len(data) < _PRELUDE.size:
        return False
    checksum: int = _PRELUDE.unpack_from(data)[2]
    return crc32(data[:8]) == checksum


class EventStream:
    """Hands on what the frames of an AWS event stream carry."""

    is_stream = True

    def __init__(self, take: Take, reports: Reports) -> None:
        self._take = take
        self._reports = reports
        self._tail = b""
        self._skip = 0
        self._parsed = 0
        self._broken = False

    def feed(self, data: bytes) -> None:
        """Read all frames that end in this piece. Frames too large to report usage are skipped."""
        text = self._tail + data
        place = min(self._skip, len(text))
        self._skip -= place
        while len(text) - place >= _PRELUDE.size and not self._broken:
            length, headers, _ = _PRELUDE.unpack_from(text, place)
            if not starts_event_stream(text[place : place + _PRELUDE.size]) or length < _SHORTEST:
                self._broken = True
            elif length > LARGEST_VALUE:
                self._skip = max(0, length - (len(text) - place))
                place += length
            elif place + length <= len(text):
                self._read(text[place : place + length], headers)
                place += length
            else:
                break
        self._tail = b"" if self._broken else text[place:]

    def close(self) -> None:
        """A frame that is cut off says nothing reliable: drop it."""
        self._tail = b""

    def _read(self, frame: bytes, headers_length: int) -> None:
        start = _PRELUDE.size
        headers = frame[start : start + headers_length]
        payload = frame[start + headers_length : -_CHECKSUM]
        if payload.startswith(b'{"bytes"'):
            payload = self._unwrap(payload)
        if self._parsed < _PARSED_ANYWAY or self._reports_anything(payload):
            value = parse(payload)
            if isinstance(value, dict):
                self._parsed += 1
                self._take(value)
        kind = _find_exception(headers)
        if kind:
            self._take({"__type": kind, "message": None})

    def _reports_anything(self, payload: bytes) -> bool:
        return any(report.search(payload) for report in self._reports)

    def _unwrap(self, payload: bytes) -> bytes:
        """InvokeModelWithResponseStream puts the model's own JSON into base64."""
        value = parse(payload)
        inner = value.get("bytes") if isinstance(value, dict) else None
        try:
            return b64decode(inner) if isinstance(inner, str) else b""
        except ValueError:
            return b""


class AgentEventStream(EventStream):
    """The stream of an agent: its `bytes` are text, in which nothing is a report."""

    def _unwrap(self, _: bytes) -> bytes:
        return b""


def _find_exception(headers: bytes) -> str | None:
    _, found, value = headers.partition(b":exception-type")
    if not found or value[:1] != bytes((_STRING,)):
        return None
    length = int.from_bytes(value[1:3], "big")
    return value[3 : 3 + length].decode("ascii", "replace")

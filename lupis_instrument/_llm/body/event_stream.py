"""Parses the binary framing of AWS event streams (``application/vnd.amazon.eventstream``).

A frame is its length, the length of its headers and a checksum of both (4 bytes each, big-endian),
then the headers, the payload, and a checksum of the frame:
https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream
"""

from __future__ import annotations

import struct
from base64 import b64decode
from binascii import crc32

from lupis_instrument._llm.body.framing import MAX_VALUE_BYTES, Emit, ReportPatterns, parse_json

_PRELUDE = struct.Struct(">III")
_CHECKSUM_LENGTH = 4
_MIN_FRAME_LENGTH = _PRELUDE.size + _CHECKSUM_LENGTH
_ALWAYS_PARSED = 4  # the first frames, which name the model and the id
_STRING_TYPE = 7  # the type of a header value that is a string


def starts_event_stream(data: bytes) -> bool:
    """Return whether `data` begins with a frame's prelude and its correct checksum."""
    if len(data) < _PRELUDE.size:
        return False
    checksum: int = _PRELUDE.unpack_from(data)[2]
    return crc32(data[:8]) == checksum


class EventStreamParser:
    """Emits the JSON payloads of the frames of an AWS event stream."""

    is_stream = True

    def __init__(self, emit: Emit, report_patterns: ReportPatterns) -> None:
        self._emit = emit
        self._report_patterns = report_patterns
        self._tail = b""
        self._bytes_to_skip = 0
        self._parsed_count = 0
        self._broken = False

    def feed(self, data: bytes) -> None:
        """Read all frames that end in this piece; frames too large for a usage report are skipped.

        After a wrong checksum nothing shows where the next frame begins, so reading stops there.
        """
        text = self._tail + data
        position = min(self._bytes_to_skip, len(text))
        self._bytes_to_skip -= position
        while len(text) - position >= _PRELUDE.size and not self._broken:
            length, headers_length, _ = _PRELUDE.unpack_from(text, position)
            prelude = text[position : position + _PRELUDE.size]
            if not starts_event_stream(prelude) or length < _MIN_FRAME_LENGTH:
                self._broken = True
            elif length > MAX_VALUE_BYTES:
                self._bytes_to_skip = max(0, length - (len(text) - position))
                position += length
            elif position + length <= len(text):
                self._read_frame(text[position : position + length], headers_length)
                position += length
            else:
                break
        self._tail = b"" if self._broken else text[position:]

    def close(self) -> None:
        """Drop a frame that is cut off, because its content isn't reliable."""
        self._tail = b""

    def _read_frame(self, frame: bytes, headers_length: int) -> None:
        start = _PRELUDE.size
        headers = frame[start : start + headers_length]
        payload = frame[start + headers_length : -_CHECKSUM_LENGTH]
        if payload.startswith(b'{"bytes"'):
            payload = self._unwrap_bytes(payload)
        if self._parsed_count < _ALWAYS_PARSED or self._has_report(payload):
            value = parse_json(payload)
            if isinstance(value, dict):
                self._parsed_count += 1
                self._emit(value)
        exception_type = _find_exception_type(headers)
        if exception_type:
            self._emit({"__type": exception_type, "message": None})

    def _has_report(self, payload: bytes) -> bool:
        return any(pattern.search(payload) for pattern in self._report_patterns)

    def _unwrap_bytes(self, payload: bytes) -> bytes:
        """Return the model's own JSON, which InvokeModelWithResponseStream encodes in base64."""
        value = parse_json(payload)
        encoded = value.get("bytes") if isinstance(value, dict) else None
        try:
            return b64decode(encoded) if isinstance(encoded, str) else b""
        except ValueError:
            return b""


class AgentEventStreamParser(EventStreamParser):
    """Parses the stream of an agent, whose `bytes` are message text and report nothing."""

    def _unwrap_bytes(self, _: bytes) -> bytes:
        return b""


def _find_exception_type(headers: bytes) -> str | None:
    """Return the value of the header ``:exception-type``: a type byte, 2 bytes length, a text."""
    _, name, value = headers.partition(b":exception-type")
    if not name or value[:1] != bytes((_STRING_TYPE,)):
        return None
    length = int.from_bytes(value[1:3], "big")
    return value[3 : 3 + length].decode("ascii", "replace")

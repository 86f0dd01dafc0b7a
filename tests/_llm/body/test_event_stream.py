"""Parsing of the frames of AWS event streams."""

from __future__ import annotations

import json
import struct
from binascii import crc32

import pytest

from lupis_instrument._llm.api.response_fields import compile_report_patterns
from lupis_instrument._llm.body.event_stream import EventStreamParser, starts_event_stream


def frame(payload, headers=b""):
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


def read(data, cut=0):
    values = []
    stream = EventStreamParser(values.append, compile_report_patterns("bedrock.converse"))
    for start in range(0, len(data), cut or len(data)):
        stream.feed(data[start : start + (cut or len(data))])
    stream.close()
    return values


@pytest.mark.parametrize("cut", [0, 1, 5, 13, 64])
def test_payloads_are_read_in_order(cut):
    """Frames may be cut anywhere; their payloads keep their order."""
    values = [{"n": n} for n in range(3)]
    assert values == read(b"".join(frame(json.dumps(value).encode()) for value in values), cut)


def test_payload_without_report_is_not_parsed():
    """After the first frames, only frames with a report are parsed."""
    report = {"usage": {"inputTokens": 3}}
    data = frame(b'{"delta": {"text": "a"}}') * 50
    assert read(data + frame(json.dumps(report).encode()) + data)[4:] == [report]


@pytest.mark.parametrize("cut", [0, 1000, 99_999])
def test_frame_that_is_too_large_is_skipped(cut):
    """A frame that is too large to keep is skipped; the frames after it are read."""
    large = frame(b'{"x": "%s"}' % (b"y" * 400_000))
    assert [{"a": 1}, {"b": 2}] == read(frame(b'{"a": 1}') + large + frame(b'{"b": 2}'), cut)


def test_wrong_checksum_ends_the_stream():
    """After a wrong checksum nothing is read, because the next frame can't be located."""
    broken = bytearray(frame(b'{"b": 2}'))
    broken[9] ^= 1
    assert [{"a": 1}] == read(frame(b'{"a": 1}') + bytes(broken) + frame(b'{"c": 3}'))


def test_cut_off_frame_is_dropped():
    """A frame that is cut off is dropped, because its content is not reliable."""
    assert [{"a": 1}] == read(frame(b'{"a": 1}') + frame(b'{"b": 2}')[:-6])


@pytest.mark.parametrize(
    "payload", [b'{"bytes": 5}', b'{"bytes": "%%%"}', b'{"bytes": "AAA"}', b"\xff", b""]
)
def test_payload_that_is_not_json_is_ignored(payload):
    """Only payloads that are JSON objects are emitted."""
    assert [{"a": 1}] == read(frame(payload) + frame(b'{"a": 1}'))


def test_prelude_identifies_an_event_stream():
    """The checksum of the prelude identifies an event stream by its first bytes."""
    data = frame(b"{}")
    assert [True, False, False] == [
        starts_event_stream(text) for text in (data, data[:11], b"{" * 20)
    ]

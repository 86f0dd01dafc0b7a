"""AWS event streams are taken apart by their framing."""

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
    taken = []
    stream = EventStreamParser(taken.append, compile_report_patterns("bedrock.converse"))
    for start in range(0, len(data), cut or len(data)):
        stream.feed(data[start : start + (cut or len(data))])
    stream.close()
    return taken


@pytest.mark.parametrize("cut", [0, 1, 5, 13, 64])
def test_payloads_are_read_in_turn(cut):
    """Frames come cut anywhere."""
    values = [{"n": n} for n in range(3)]
    assert values == read(b"".join(frame(json.dumps(value).encode()) for value in values), cut)


def test_payloads_that_report_nothing_are_not_parsed():
    """After the first frames only those with a report are parsed."""
    report = {"usage": {"inputTokens": 3}}
    data = frame(b'{"delta": {"text": "a"}}') * 50
    assert read(data + frame(json.dumps(report).encode()) + data)[4:] == [report]


@pytest.mark.parametrize("cut", [0, 1000, 99_999])
def test_frame_larger_than_the_bound_is_skipped(cut):
    """A frame too large to hold is passed over; those behind it are read."""
    large = frame(b'{"x": "%s"}' % (b"y" * 400_000))
    assert [{"a": 1}, {"b": 2}] == read(frame(b'{"a": 1}') + large + frame(b'{"b": 2}'), cut)


def test_stream_ends_where_its_framing_is_broken():
    """Past a wrong checksum nothing tells where a frame begins."""
    broken = bytearray(frame(b'{"b": 2}'))
    broken[9] ^= 1
    assert [{"a": 1}] == read(frame(b'{"a": 1}') + bytes(broken) + frame(b'{"c": 3}'))


def test_cut_off_frame_is_dropped():
    """Half a frame says nothing reliable."""
    assert [{"a": 1}] == read(frame(b'{"a": 1}') + frame(b'{"b": 2}')[:-6])


@pytest.mark.parametrize(
    "payload", [b'{"bytes": 5}', b'{"bytes": "%%%"}', b'{"bytes": "AAA"}', b"\xff", b""]
)
def test_payload_that_is_no_json_is_passed_over(payload):
    """Only JSON objects can report."""
    assert [{"a": 1}] == read(frame(payload) + frame(b'{"a": 1}'))


def test_prelude_tells_an_event_stream():
    """Its checksum makes the first bytes unmistakable."""
    data = frame(b"{}")
    assert [True, False, False] == [
        starts_event_stream(text) for text in (data, data[:11], b"{" * 20)
    ]

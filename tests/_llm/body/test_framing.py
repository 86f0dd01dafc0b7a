"""Splitting of bodies into JSON values."""

from __future__ import annotations

import json

import pytest

from lupis_instrument._llm.api.response_fields import compile_report_patterns
from lupis_instrument._llm.body import framing
from lupis_instrument._llm.body.framing import (
    JsonLinesParser,
    JsonTextParser,
    ServerSentEventParser,
)

REPORT = {"usage": {"prompt_tokens": 5}}


def read(parser_class, text, cut=0, api="openai.chat"):
    values = []
    parser = parser_class(values.append, compile_report_patterns(api))
    for start in range(0, len(text), cut or len(text) or 1):
        parser.feed(text[start : start + (cut or len(text))])
    parser.close()
    return values


@pytest.mark.parametrize("cut", [0, 1, 2, 5])
@pytest.mark.parametrize(
    "text",
    [
        b'data: {"a": 1}\n\n',
        b'data:{"a": 1}\n\n',
        b'data: {"a": 1}\r\n\r\n',
        b'data: {"a": 1}\r\r',
        b'data: 5\r\n\ndata: {"a": 1}\r\n\n',
        b'data: {"a": 1}',
        b'data: {"a":\ndata: 1}\n\n',
        b'data: {"a":\r\ndata: 1}\r\n\r\n',
        b'event: x\nid: 7\nretry: 5\ndata: {"a": 1}\n\n',
        b'data: {"a": 1}\nevent: x\n\n',
        b': keep-alive\n\n:\n\ndata: {"a": 1}\n\ndata: [DONE]\n\n',
        b'\n\n\ndata: {"a": 1}\n\n\n\n\n',
        b'data: {"a": 1}\n\ntrailing garbage',
        b'data: {"a": 1}\n\ndata: "text"\n\ndata: 5\n\ndata: not json\n\n',
    ],
)
def test_event_is_read(text, cut):
    """Line ends, comments, other fields and data over several lines follow the standard."""
    assert [{"a": 1}] == read(ServerSentEventParser, text, cut)


def test_events_without_blank_lines_are_read():
    """Lines of data are read one by one if each is JSON and no blank line separates them."""
    assert [{"a": 1}, {"b": 2}] == read(
        ServerSentEventParser, b'data: {"a": 1}\ndata: {"b": 2}\n\n'
    )


def test_long_stream_without_blank_lines_is_read():
    """A stream without blank lines is read by lines as soon as its tail is too large."""
    line = b'data: {"x": "%s"}\n' % (b"y" * 1000)
    values = read(
        ServerSentEventParser, line * 600 + b'data: {"usage": {"a": 1}}\n' + line * 600, 4096
    )
    assert {"usage": {"a": 1}} in values


def test_cut_off_event_gives_its_complete_members():
    """If the connection breaks within an event, its complete members still count."""
    text = b'data: {"a": 1}\n\n' * 9 + b'data: {"usage": {"prompt_tokens": 5}, "choices": [{"te'
    assert {**REPORT, "choices": [{}]} in read(ServerSentEventParser, text)


def test_event_that_is_too_large_is_scanned():
    """An image in an event hides neither the usage behind it nor the later events."""
    image = b'data: {"b64_json": "%s", "usage": {"prompt_tokens": 5}}\n\n' % (b"A" * 3_000_000)
    text = b'data: {"a": 1}\n\n' + image + b'data: {"error": {"code": "x"}}\n\n'
    assert [{"a": 1}, REPORT, {"error": {"code": "x"}}] == read(ServerSentEventParser, text, 65536)


@pytest.mark.parametrize("parser_class", [ServerSentEventParser, JsonLinesParser])
def test_event_without_report_is_not_parsed(parser_class):
    """After the first events, only events with a report are parsed."""
    mark = b"data: %s\n\n" if parser_class is ServerSentEventParser else b"%s\n"
    plain = (
        mark % b'{"usage": null, "choices": [{"text": "\\"usage\\": {", "finish_reason": null}]}'
    )
    text = plain * 500 + mark % json.dumps(REPORT).encode() + plain * 500
    values = read(parser_class, text, 1000)
    assert len(values) <= 5
    assert REPORT in values


@pytest.mark.parametrize("space", [b"", b" ", b"\t"])
def test_report_is_found_with_any_spacing(space):
    """JSON allows space after a colon, so a report is found with or without it."""
    report = b'data: {"usage"%s:%s{"prompt_tokens": 5}}\n\n' % (space, space)
    assert REPORT in read(ServerSentEventParser, b'data: {"a": 1}\n\n' * 99 + report)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1}\n{"a": 2}\n{"a": 3}\n',
        b'{"a": 1}\r\n{"a": 2}\r\n{"a": 3}',
        b'{"a": 1} {"a": 2}{"a": 3}',
        b'[{"a": 1}, {"a": 2}, {"a": 3}]',
        b'[\n {"a": 1}\n,\n {"a": 2},\n{"a": 3}\n]\n',
        b'[{"a": 1}, {"a": 2}, {"a": 3}',
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_several_values_are_read_one_by_one(text, cut, monkeypatch):
    """Lines, arrays and adjacent values all give their values one by one."""
    monkeypatch.setattr("lupis_instrument._llm.body.framing.FIELD_NAMES", frozenset("a"))
    assert [{"a": 1}, {"a": 2}, {"a": 3}] == read(JsonTextParser, text, cut)


@pytest.mark.parametrize(
    "text", [b'{"a": 1} trailing', b'{"a": 1}\n<!-- x -->', b'  {"a": 1}\n\n\n']
)
def test_garbage_after_a_value_is_ignored(text, monkeypatch):
    """Text that a proxy appends after a value doesn't change the value."""
    monkeypatch.setattr("lupis_instrument._llm.body.framing.FIELD_NAMES", frozenset("a"))
    assert [{"a": 1}] == read(JsonTextParser, text)


@pytest.mark.parametrize(
    "text", [b"", b"null", b"5", b'"x"', b"{", b"\xff\xfe{", b"[[[[", b"[" * 9999]
)
def test_text_without_object_gives_no_members(text):
    """Values other than objects report nothing, and deep nesting is no error."""
    assert not any(value for value in read(JsonTextParser, text) if isinstance(value, dict))


def test_large_text_is_scanned_with_the_same_result():
    """A body that outgrows the limit gives the same facts as a small one."""
    body = {"data": [{"usage": {"prompt_tokens": 9}, "x": '\\"}' * 99}] * 2000, **REPORT}
    text = json.dumps(body, indent=1).encode()
    assert len(text) > framing.MAX_VALUE_BYTES
    assert [REPORT] == read(JsonTextParser, text, 4096)


def test_many_lines_are_searched_for_reports():
    """The first line shows that a large body is JSON lines, so only lines with a report are parsed."""
    text = b'{"a": 1}\n' * 50_000 + b'{"usage": {"prompt_tokens": 5}}\n'
    values = read(JsonTextParser, text, 65536)
    assert (5, REPORT) == (len(values), values[-1])


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 7])
def test_blank_lines_are_not_events(cut):
    """Blank lines in any number, cut anywhere, don't count as opening events."""
    text = b"\n" * 999 + b'data: {"a": 1}\n\n' + b"\n" * 999 + b'data: {"a": 2}\n\n'
    assert [{"a": 1}, {"a": 2}] == read(ServerSentEventParser, text, cut)


@pytest.mark.parametrize("cut", [0, 1, 11])
def test_report_does_not_span_two_events(cut):
    """A member that breaks off in one event doesn't continue in the next event."""
    broken = b'data: {"a": 9, "usage":\n\n{"prompt_tokens": 5}\n\n'
    text = b'data: {"a": 1}\n\n' * 9 + broken + b'data: {"a": 1}\n\n'
    assert [{"a": 1}] * 4 == read(ServerSentEventParser, text, cut)


def test_only_the_first_broken_events_are_scanned():
    """A stream is cut off in its last event; a stream of broken events is no stream of an API."""
    event = b'data: {"usage": {"prompt_tokens": 5}, \n\n'
    assert 8 == len(read(ServerSentEventParser, event * 100))

"""Bodies are cut into JSON values as their forms define."""

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


def read(form, text, cut=0, api="openai.chat"):
    taken = []
    reader = form(taken.append, compile_report_patterns(api))
    for start in range(0, len(text), cut or len(text) or 1):
        reader.feed(text[start : start + (cut or len(text))])
    reader.close()
    return taken


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
    """Line ends, comments, other fields and data over several lines are as the standard has them."""
    assert [{"a": 1}] == read(ServerSentEventParser, text, cut)


def test_events_without_blank_lines_are_read():
    """Lines of data that are JSON each are read one by one where no blank line parts them."""
    assert [{"a": 1}, {"b": 2}] == read(
        ServerSentEventParser, b'data: {"a": 1}\ndata: {"b": 2}\n\n'
    )


def test_long_stream_without_blank_lines_is_read():
    """Even without end marks, no more than a bounded tail is held."""
    line = b'data: {"x": "%s"}\n' % (b"y" * 1000)
    taken = read(
        ServerSentEventParser, line * 600 + b'data: {"usage": {"a": 1}}\n' + line * 600, 4096
    )
    assert {"usage": {"a": 1}} in taken


def test_event_that_is_cut_off_gives_what_it_holds():
    """A connection that breaks within an event has still said what came before."""
    text = b'data: {"a": 1}\n\n' * 9 + b'data: {"usage": {"prompt_tokens": 5}, "choices": [{"te'
    assert {**REPORT, "choices": [{}]} in read(ServerSentEventParser, text)


def test_event_larger_than_the_bound_is_skimmed():
    """An image in an event doesn't hide the usage behind it, nor the events after it."""
    image = b'data: {"b64_json": "%s", "usage": {"prompt_tokens": 5}}\n\n' % (b"A" * 3_000_000)
    text = b'data: {"a": 1}\n\n' + image + b'data: {"error": {"code": "x"}}\n\n'
    assert [{"a": 1}, REPORT, {"error": {"code": "x"}}] == read(ServerSentEventParser, text, 65536)


@pytest.mark.parametrize("form", [ServerSentEventParser, JsonLinesParser])
def test_what_reports_nothing_is_not_parsed(form):
    """After the first events, only those are parsed that hold a report."""
    mark = b"data: %s\n\n" if form is ServerSentEventParser else b"%s\n"
    plain = (
        mark % b'{"usage": null, "choices": [{"text": "\\"usage\\": {", "finish_reason": null}]}'
    )
    text = plain * 500 + mark % json.dumps(REPORT).encode() + plain * 500
    taken = read(form, text, 1000)
    assert len(taken) <= 5
    assert REPORT in taken


@pytest.mark.parametrize("space", [b"", b" ", b"\t"])
def test_report_is_found_however_it_is_spaced(space):
    """JSON allows space around a colon."""
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
def test_values_in_a_row_are_read_one_by_one(text, cut, monkeypatch):
    """Lines, arrays and values side by side all give their values."""
    monkeypatch.setattr("lupis_instrument._llm.body.framing.FIELD_NAMES", frozenset("a"))
    assert [{"a": 1}, {"a": 2}, {"a": 3}] == read(JsonTextParser, text, cut)


@pytest.mark.parametrize(
    "text", [b'{"a": 1} trailing', b'{"a": 1}\n<!-- x -->', b'  {"a": 1}\n\n\n']
)
def test_garbage_after_a_value_takes_nothing_away(text, monkeypatch):
    """What a proxy appends is passed over."""
    monkeypatch.setattr("lupis_instrument._llm.body.framing.FIELD_NAMES", frozenset("a"))
    assert [{"a": 1}] == read(JsonTextParser, text)


@pytest.mark.parametrize(
    "text", [b"", b"null", b"5", b'"x"', b"{", b"\xff\xfe{", b"[[[[", b"[" * 9999]
)
def test_what_holds_no_object_gives_none_with_members(text):
    """Values that are no objects have nothing to report; depth is no danger."""
    assert not any(value for value in read(JsonTextParser, text) if isinstance(value, dict))


def test_large_text_is_skimmed_to_the_same_end():
    """A body that outgrows the bound is read as exactly as a small one."""
    body = {"data": [{"usage": {"prompt_tokens": 9}, "x": '\\"}' * 99}] * 2000, **REPORT}
    text = json.dumps(body, indent=1).encode()
    assert len(text) > framing.MAX_VALUE_BYTES
    assert [REPORT] == read(JsonTextParser, text, 4096)


def test_large_lines_are_searched_not_skimmed():
    """Lines are told from one large value by the first of them."""
    text = b'{"a": 1}\n' * 50_000 + b'{"usage": {"prompt_tokens": 5}}\n'
    taken = read(JsonTextParser, text, 65536)
    assert (5, REPORT) == (len(taken), taken[-1])


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 7])
def test_blank_lines_are_no_events(cut):
    """However many come first, and wherever they are cut, the first values are read."""
    text = b"\n" * 999 + b'data: {"a": 1}\n\n' + b"\n" * 999 + b'data: {"a": 2}\n\n'
    assert [{"a": 1}, {"a": 2}] == read(ServerSentEventParser, text, cut)


@pytest.mark.parametrize("cut", [0, 1, 11])
def test_a_report_does_not_reach_over_the_end_of_its_event(cut):
    """What is broken off in one event is not what the next begins with."""
    broken = b'data: {"a": 9, "usage":\n\n{"prompt_tokens": 5}\n\n'
    text = b'data: {"a": 1}\n\n' * 9 + broken + b'data: {"a": 1}\n\n'
    assert [{"a": 1}] * 4 == read(ServerSentEventParser, text, cut)

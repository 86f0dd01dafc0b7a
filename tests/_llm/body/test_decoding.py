"""Choice of the parser for a body, and the state that the decoder reports."""

from __future__ import annotations

import gc
import gzip
import json
import weakref

import pytest
from servers.event_stream import frame

from lupis_instrument._llm.api.endpoints import Endpoint
from lupis_instrument._llm.body.decoding import ResponseDecoder
from lupis_instrument._llm.usage.usage import Usage

JSON = json.dumps({"model": "m", "usage": {"prompt_tokens": 5}}).encode()
EVENTS = b"data: " + JSON + b"\n\n"
FRAMES = frame({"model": "m", "usage": {"inputTokens": 5}}, event_type="metadata")


def build_decoder(
    content_type=None, coding=None, *, chunked=False, uses_tokens=True, api="openai.chat"
):
    endpoint = Endpoint("openai", "chat", api, uses_tokens=uses_tokens)
    return ResponseDecoder(endpoint, content_type, coding, chunked=chunked)


def decode(body, *arguments, **options):
    decoder = build_decoder(*arguments, **options)
    decoder.feed(body)
    decoder.close()
    return decoder


@pytest.mark.parametrize(
    ("body", "content_type", "is_stream"),
    [
        (JSON, None, False),
        (JSON, "text/event-stream", False),
        (JSON + b"\n", "application/x-ndjson; charset=utf-8", True),
        (JSON + b"\n", "APPLICATION/X-NDJSON", True),
        (b"[" + JSON + b"]", None, False),
        (EVENTS, None, True),
        (EVENTS, "application/json", True),
        (b": comment\n\n" + EVENTS, None, True),
        (b"unknown: x\n" + EVENTS, "text/event-stream", True),
        (FRAMES, None, True),
        (FRAMES, "application/json", True),
        (b"\xef\xbb\xbf" + JSON, None, False),
        (b" \r\n" + EVENTS, None, True),
    ],
)
def test_format_is_recognised(body, content_type, is_stream):
    """The first bytes decide on the format; the Content-Type only if they are ambiguous."""
    decoder = decode(body, content_type)
    assert (Usage(5), is_stream) == (decoder.facts.find_usage(), decoder.is_stream)


@pytest.mark.parametrize("body", [b"", b"   ", b"<html></html>", b"\x89PNG" * 99, b"plain text"])
def test_other_format_reports_nothing(body):
    """A body in another format has no facts and is no stream."""
    decoder = decode(body)
    assert (None, None, False) == (
        decoder.facts.find_usage(),
        decoder.facts.model,
        decoder.is_stream,
    )


def test_short_body_is_parsed_at_its_end():
    """A body that is shorter than the sniffed bytes is parsed when it ends."""
    assert decode(b'{"id":"x"}').facts.id == "x"


def test_stream_of_an_agent_has_only_traces():
    """The bytes in an agent's stream are message text and report nothing."""
    body = frame({"bytes": "eyJtb2RlbCI6ICJkZWNveSJ9"}, event_type="chunk")
    models = [decode(body, api=api).facts.model for api in ("bedrock.invoke", "bedrock.agent")]
    assert ["decoy", None] == models


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (EVENTS + b"data: [DONE]\n\n", "complete"),
        (EVENTS + b"data: [DONE]", "complete"),
        (EVENTS, None),
        (JSON, None),
        (b"", None),
    ],
)
def test_end_mark_completes_a_stream(body, outcome):
    """The end mark of a stream makes its outcome complete; without one it is unknown."""
    assert outcome == decode(body).body_outcome


@pytest.mark.parametrize(
    ("end", "outcome"), [(b"0\r\n\r\n", "complete"), (b"?\r\n", "error"), (b"", None)]
)
def test_last_chunk_completes_a_chunked_body(end, outcome):
    """The last chunk makes the outcome complete, an invalid size makes it an error."""
    decoder = decode(b"%x\r\n%s\r\n" % (len(JSON), JSON) + end, chunked=True)
    assert (Usage(5), outcome) == (decoder.facts.find_usage(), decoder.body_outcome)


def test_error_in_a_coding_stops_the_reading():
    """After an error in the coding, later bytes are ignored and nothing is raised."""
    decoder = build_decoder(coding="gzip")
    decoder.feed(gzip.compress(b" " * 999)[:15] + b"\xff" * 99)
    decoder.feed(JSON)
    decoder.close()
    assert decoder.facts.find_usage() is None


def test_body_without_tokens_is_read_in_part():
    """Only the first 64 KiB of a body that uses no tokens are decoded."""
    decoder = build_decoder(uses_tokens=False)
    decoder.feed(b'{"a": "' + b"x" * 70_000)
    decoder.feed(b'", "model": "late"}')
    decoder.close()
    assert decoder.facts.model is None


@pytest.mark.parametrize("chunked", [False, True])
def test_closed_decoder_needs_no_garbage_collector(chunked):
    """A decoder that is not needed any more does not wait in memory."""
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(JSON), JSON) if chunked else JSON
    gc.disable()
    try:
        decoder = decode(body, chunked=chunked)
        parser = weakref.ref(decoder._parser)
        assert "m" == decoder.facts.model
        del decoder
        assert parser() is None
    finally:
        gc.enable()


def test_bytes_after_the_end_are_ignored():
    """A body that a client goes on to feed reports nothing more."""
    decoder = decode(JSON)
    decoder.feed(JSON.replace(b'"m"', b'"other"'))
    decoder.close()
    assert "m" == decoder.facts.model

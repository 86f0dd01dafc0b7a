"""Reading of response bodies with any cut, any bytes and any size."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib

import brotli
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from servers.slow import slow_except

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._llm.api.endpoints import Endpoint, identify_endpoint
from lupis_instrument._llm.body.body_reader import BodyReader
from lupis_instrument._llm.body.digest import digest_call, parse_request_body
from lupis_instrument._llm.usage.facts import Facts
from lupis_instrument._llm.usage.usage import Usage

CHAT = identify_endpoint("POST", "api.openai.com", 443, "/v1/chat/completions")
CLAUDE = identify_endpoint("POST", "api.anthropic.com", 443, "/v1/messages")
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
EXPECTED_USAGE = Usage(5, 7, total_tokens=12)


def event(text="a", usage=None, finish=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    data = {"id": "c1", "model": "gpt-4o", "choices": [choice], "usage": usage}
    return f"data: {json.dumps(data, ensure_ascii=False)}\r\n\r\n".encode()


STREAM = (
    b": hi\r\n\r\n" + event("né") * 9 + event(usage=USAGE, finish="stop") + b"data: [DONE]\r\n\r\n"
)
DOCUMENT = json.dumps(
    {"id": "c1", "model": "gpt-4o", "usage": USAGE, "choices": []}, indent=2
).encode()
CODINGS = {None: bytes, "gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}


class FailingReader(BodyReader):
    """A reader that cannot decode anything."""

    __slots__ = ()

    def _decode_chunks(self):
        raise ZeroDivisionError


def test_a_fault_does_not_reach_the_program(capsys):
    """It is reported in one line on stderr."""
    diagnostics.reset()
    reader = FailingReader(CHAT, None, None)
    for _ in range(3):
        reader.feed(bytes(1 << 20))
    assert 1 == capsys.readouterr().err.count("reading a body failed (ZeroDivisionError")


def read_facts(pieces, content_encoding=None, endpoint=CHAT, status=200):
    reader = BodyReader(endpoint, None, content_encoding)
    for piece in pieces:
        reader.feed(piece)
    reader.finish()
    return digest_call(endpoint, path="/", request={}, status=status, headers={}, body=reader)


def split(data, positions):
    ends = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in zip(ends, ends[1:])]


@given(
    st.sampled_from([STREAM, DOCUMENT]),
    st.sampled_from(sorted(CODINGS, key=str)),
    st.lists(st.integers(0, 5000), max_size=40),
)
def test_cuts_do_not_change_the_facts(body, coding, positions):
    """The same body gives the same facts, however it is cut and compressed."""
    expected = Facts(
        response_model="gpt-4o", response_id="c1", usage=EXPECTED_USAGE, stream=body is STREAM,
        finish_reasons=("stop",) if body is STREAM else (),
        body_outcome="complete" if body is STREAM else None,
    )  # fmt: skip
    assert expected == read_facts(split(CODINGS[coding](body), positions), coding)


@given(st.integers(0, len(STREAM)))
def test_cut_off_stream_gives_its_reports(end):
    """A stream that is cut off anywhere gives the reports that came, and nothing else."""
    facts = read_facts([STREAM[:end]])
    assert all(
        count in (None, expected) for count, expected in zip(facts.usage or Usage(), EXPECTED_USAGE)
    )
    assert facts.response_model in (None, "gpt-4o")


@given(
    st.lists(st.binary(max_size=200), max_size=8),
    st.sampled_from([None, "", "gzip", "deflate", "br", "zstd", "gzip, br", "x-unknown", ",;"]),
    st.sampled_from([None, "text/event-stream", "application/x-ndjson", "application/json", "?"]),
    st.sampled_from(
        [b"", b"{", b"[", b"data: ", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b'{"usage":']
    ),
    st.sampled_from(["openai.chat", "bedrock.agent", "gemini", "other"]),
)
@example([b"\0" * 12], None, None, b"", "bedrock.agent")
def test_garbage_never_raises(pieces, content_encoding, content_type, start, api):
    """No bytes under any headers raise an error."""
    endpoint = Endpoint("openai", "chat", api, uses_tokens=True)
    reader = BodyReader(endpoint, content_type, content_encoding)
    for piece in (start, *pieces):
        reader.feed(piece)
    reader.finish()
    facts = digest_call(
        endpoint,
        path="/",
        request=parse_request_body(b"".join(pieces)),
        status=200,
        headers={},
        body=reader,
    )
    assert isinstance(facts, Facts)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["usage", "response", "message", "model", "id", "choices", "index", "finish_reason", "error",
             "type", "code", "results", "tokenCount", "prompt_tokens", "iterations", "meta", "tokens",
             "promptTokensDetails", "modality", "promptTokenCount", "input_tokens", "trace", "delta"],
        ), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_unexpected_json_never_raises(value):
    """Members with values of unexpected types raise no error, wherever the body is cut."""
    pieces = [json.dumps(value).encode()]
    assert read_facts(pieces) == read_facts([pieces[0][:7], pieces[0][7:]])


def test_reused_buffer_is_copied():
    """A buffer is copied, because the program may reuse it for the next piece."""
    buffer = bytearray(DOCUMENT)
    reader = BodyReader(CHAT, None, None)
    reader.feed(memoryview(buffer)[:40])
    reader.feed(buffer[40:])
    buffer[:] = b"x" * len(buffer)
    assert reader.finish().facts.find_usage() == EXPECTED_USAGE


@pytest.mark.parametrize("wrong", [None, "text", 5, [b"x"]])
def test_values_other_than_bytes_are_ignored(wrong):
    """A client may pass any value as a chunk; values other than bytes are ignored."""
    assert read_facts([wrong, DOCUMENT]).usage == EXPECTED_USAGE


def encode_chunks(body, size=9, end=b"0\r\n\r\n"):
    parts = split(body, range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + end


@given(
    st.sampled_from([STREAM, DOCUMENT]),
    st.sampled_from(sorted(CODINGS, key=str)),
    st.integers(1, 50),
    st.lists(st.integers(0, 5000), max_size=40),
)
def test_chunked_body_is_decoded(body, coding, size, positions):
    """The transfer coding is decoded before the content coding, wherever it is cut."""
    reader = BodyReader(CHAT, None, coding, chunked=True)
    for piece in split(encode_chunks(CODINGS[coding](body), size), positions):
        reader.feed(piece)
    assert (EXPECTED_USAGE, "complete") == (
        reader.finish().facts.find_usage(),
        reader.finish().body_outcome,
    )


@pytest.mark.parametrize(
    ("end", "outcome"), [(b"0\r\n\r\n", "complete"), (b"oops\r\n", "error"), (b"", None)]
)
@pytest.mark.parametrize("body", [b"\x89PNG" * 30_000, b"[1,", DOCUMENT, b""])
def test_chunked_body_has_an_outcome(body, end, outcome):
    """The outcome of a chunked body is known even if its content reports nothing."""
    reader = BodyReader(CHAT, None, "gzip", chunked=True)
    for piece in split(encode_chunks(body, 1000, end), range(0, len(body), 999)):
        reader.feed(piece)
    assert outcome == reader.finish().body_outcome


@pytest.mark.parametrize(
    ("count", "usage"), [(0, EXPECTED_USAGE), (70, None), (len(DOCUMENT) + 9, None)]
)
def test_unread_bytes_are_dropped(count, usage):
    """The unread bytes of the last chunk don't count; without a chunk nothing happens."""
    reader = BodyReader(CHAT, None, None)
    reader.drop_unread(count)
    reader.feed(b" " * 300_000)
    reader.feed(b'{"usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}')
    reader.drop_unread(count)
    assert usage == reader.finish().facts.find_usage()


def test_body_is_finished_only_once():
    """The tap and the garbage collector may both finish a body; later chunks are ignored."""
    reader = BodyReader(CHAT, None, None)
    reader.feed(DOCUMENT)
    reader.finish()
    reader.finish()
    reader.feed(b'{"usage": {"prompt_tokens": 99}}')
    assert reader.finish().facts.find_usage() == EXPECTED_USAGE


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b" \r\n\t", b"\n\n"])
@pytest.mark.parametrize("body", [STREAM, DOCUMENT])
def test_prefix_of_the_text_is_ignored(mark, body):
    """A byte order mark or white space before the text is ignored."""
    assert read_facts([mark + body]).usage == EXPECTED_USAGE


def test_content_type_decides_for_an_unusual_first_line():
    """The Content-Type header decides if the first bytes are ambiguous."""
    reader = BodyReader(CHAT, "text/event-stream; charset=utf-8", None)
    reader.feed(b"comment: x\n\n" + STREAM)
    assert reader.finish().facts.find_usage() == EXPECTED_USAGE


def test_json_with_the_type_of_a_stream_is_read():
    """An error that comes as JSON is read, though the header announces a stream."""
    reader = BodyReader(CHAT, "text/event-stream", None)
    reader.feed(b'{"error": {"code": "overloaded"}}')
    assert reader.finish().facts.error_type == "overloaded"


@pytest.mark.parametrize(
    "body", [b"ID3\x04audio" * 9999, b"\x89PNG" + b"{" * 99, b"<html>{}</html>"]
)
def test_body_that_is_not_json_reports_nothing(body):
    """Audio, images and web pages report nothing."""
    assert Facts() == read_facts([body])


def test_body_that_uses_no_tokens_is_read_only_for_errors():
    """Only the first 64 KiB of a downloaded file are read, which is enough for an error."""
    endpoint = identify_endpoint("GET", "api.openai.com", 443, "/v1/files/f/content")
    assert endpoint.uses_tokens is False
    error = read_facts([b'{"error": {"code": "not_found"}}'], endpoint=endpoint, status=404)
    late = read_facts(
        [b'{"x": "' + b"y" * 300_000, b'", "error": {"code": "late"}}'], endpoint=endpoint
    )
    assert ("not_found", None) == (error.error_type, late.error_type)


REPORT = json.dumps(USAGE)
VECTOR = ",".join(["0.0123456"] * 5000)
LOGPROB = '{"token": " a", "bytes": [32, 97], "top": [{"token": "\\""}]},'
LARGE = {
    "text": lambda: [
        '{"choices": [{"text": "',
        *['lorem \\" ipsum ' * 5000] * 100,
        f'"}}], "usage": {REPORT}}}',
    ],
    "vectors": lambda: ['{"data": [[', *[f"{VECTOR}],["] * 100, f'0]], "usage": {REPORT}}}'],
    "logprobs": lambda: [
        '{"choices": [{"logprobs": [',
        *[LOGPROB] * 50_000,
        f'0]}}], "usage": {REPORT}}}',
    ],
    "events": lambda: [*[event().decode()] * 30_000, event(usage=USAGE).decode()],
    "one event": lambda: [
        'data: {"b64_json": "',
        *["A" * 65536] * 80,
        f'", "usage": {REPORT}}}\n\n',
    ],
    "lines": lambda: [
        *['{"response": "a", "done": false}\n'] * 100_000,
        f'{{"usage": {REPORT}}}\n',
    ],
    "array": lambda: ["[", *['{"text": "abc"},'] * 100_000, f'{{"usage": {REPORT}}}]'],
}


@pytest.mark.parametrize("kind", slow_except(LARGE.keys() - {"array", "logprobs"}, LARGE))
def test_memory_is_bounded_and_usage_found(kind):
    """A body of any size takes less than 4 MB of memory, and its report is found."""
    wire = [piece.encode() for piece in LARGE[kind]()]
    reader = BodyReader(CHAT, None, None)
    tracemalloc.start()
    for piece in wire:
        reader.feed(bytes(bytearray(piece)))  # the program drops its own reference
    reader.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.finish().facts.find_usage() == EXPECTED_USAGE
    assert peak < 4_000_000


def test_facts_hold_no_message_text():
    """The facts of a finished body hold words and numbers, no message text."""
    reader = BodyReader(CLAUDE, None, None)
    secret = "the-secret-text"
    reader.feed(
        json.dumps(
            {"content": [{"text": secret}], "system": secret, "stop_reason": "end_turn"}
        ).encode()
    )
    reader.finish()
    facts = digest_call(
        CLAUDE,
        path="/",
        request=parse_request_body(secret.encode()),
        status=200,
        headers={},
        body=reader,
    )
    assert secret not in repr(facts)

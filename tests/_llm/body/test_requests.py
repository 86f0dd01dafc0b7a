"""What a request asks for."""

from __future__ import annotations

import gzip
import json

import pytest

from lupis_instrument._llm.body.digest import RequestFacts, parse_request_body, read_request_facts


@pytest.mark.parametrize(
    ("path", "model", "stream"),
    [
        ("/openai/deployments/gpt-4o/chat/completions?api-version=1", "gpt-4o", None),
        ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", None),
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "gemini-2.5-pro", True),
        ("/v1/publishers/anthropic/models/claude-3@2025:streamRawPredict", "claude-3@2025", True),
        ("/model/us.anthropic.claude-v1%3A0/converse", "us.anthropic.claude-v1:0", None),
        ("/model/us.amazon.nova-lite-v1:0/converse-stream", "us.amazon.nova-lite-v1:0", True),
        ("/model/arn%3Aaws%3Abedrock%3A1%3Ax%2Fy/invoke-with-response-stream", "arn:aws:bedrock:1:x/y", True),
        ("/v1/models/meta/llama-3/predictions", "meta/llama-3", None),
        ("/models/org/name", "org/name", None),
        ("/serving-endpoints/claude/invocations", "claude", None),
        ("/client/v4/accounts/a/ai/run/@cf/meta/llama", "@cf/meta/llama", None),
        ("/models/chat/completions?api-version=1", None, None),
        ("/v1/models", None, None),
        ("/v1/chat/completions", None, None),
    ],
)  # fmt: skip
def test_path_names_model_and_stream(path, model, stream):
    """Where the body names no model, the path may, and it may ask for a stream."""
    assert RequestFacts(model, stream) == read_request_facts(path, {})


def test_body_names_model_and_stream():
    """Most bodies say both; only top-level members count."""
    body = {"messages": [{"model": "decoy", "stream": False}], "model": "m", "stream": True}
    assert RequestFacts("m", True) == read_request_facts(
        "/", parse_request_body(json.dumps(body).encode())
    )


def test_members_behind_a_large_content_are_found():
    """A body of any size is read to its end without being parsed."""
    content = json.dumps('{"model": "decoy"} é \\ ' * 200_000)
    body = f'{{"messages": [{{"content": {content}}}], "model": "m", "stream": true}}'.encode()
    assert RequestFacts("m", True) == read_request_facts("/", parse_request_body(body))


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"\xff\xfe", b'{"model": 5, "stream": "x"}'])
def test_body_that_says_nothing_gives_nothing(body):
    """What is no JSON object, or names no text, is no request for a model."""
    assert RequestFacts() == read_request_facts("/", parse_request_body(body))


@pytest.mark.parametrize("text", ["x" * (4 << 20), "\\n" * 100_001])
def test_what_is_long_to_parse_is_skimmed(text):
    """Parsing would stop the program's threads for long."""
    body = f'{{"messages": "{text}", "model": "m"}}'.encode()
    assert {"model": "m"} == {
        key: value for key, value in parse_request_body(body).items() if value
    }


def test_compressed_body_is_read():
    """Some clients compress what they send."""
    assert parse_request_body(gzip.compress(b'{"model": "m"}')) == {"model": "m"}


def test_cut_off_body_is_read_as_far_as_it_goes():
    """A body that was not kept to its end still names what stands in its beginning."""
    assert RequestFacts("m", True) == read_request_facts(
        "/", parse_request_body(b'{"model":"m","stream":true,"messages":[{"co')
    )


def test_form_names_model_and_stream():
    """Audio and images are sent as multipart/form-data, with a file of any size in between."""
    body = b"\r\n".join(
        (b"--b", b'Content-Disposition: form-data; name="file"; filename="model"', b"",
         b"\0" * 500_000, b"--b", b'Content-Disposition: form-data; name="model"', b"", b"whisper-1",
         b"--b", b'content-disposition: form-data; name="stream"', b"", b"true", b"--b--", b""),
    )  # fmt: skip
    assert RequestFacts("whisper-1", True) == read_request_facts(
        "/v1/audio/transcriptions", parse_request_body(body)
    )


def test_a_broken_coding_is_no_fault():
    """A body that only looks compressed, or breaks off, says nothing."""
    assert RequestFacts() == read_request_facts("/", parse_request_body(b"\x1f\x8b\x00\x00"))

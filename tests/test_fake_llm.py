"""The fake LLM provider responds as real ones do, and the same to equal requests."""

import gzip
import http.client
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from servers.program import ManagedProcess

EXAMPLES = Path(__file__).parents[1] / "examples"
QUESTION = [{"role": "user", "content": "Is it far to Oslo?"}]
TOOL = {"name": "find", "parameters": {"properties": {"city": {"type": "string"}}}}
GEMINI = "/v1beta/models/gemini-2.5-flash"


def post(llm, path, body, **headers):
    """Send a request; return the status, the headers in lower case, and the body as bytes."""
    connection = http.client.HTTPConnection(*llm.server_address)
    try:
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return response.status, names, response.read()
    finally:
        connection.close()


def events(raw):
    """The JSON objects of a stream of server-sent events."""
    lines = raw.decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def test_equal_requests_get_equal_responses(llm):
    """A response does not depend on the time or on earlier requests."""
    body = {"model": "gpt-4o-mini", "messages": QUESTION}
    first, second = (post(llm, "/v1/chat/completions", body) for _ in range(2))
    assert first[2] == second[2]


def test_longer_request_has_more_input_tokens(llm):
    """The number of input tokens grows with the request."""
    longer = [*QUESTION, {"role": "assistant", "content": "No."}, *QUESTION]
    short, long = (
        json.loads(post(llm, "/v1/messages", {"model": "claude", "messages": turns})[2])["usage"]
        for turns in (QUESTION, longer)
    )
    assert (0, 15) == (short["cache_read_input_tokens"], short["input_tokens"])
    assert (23, 15) == (long["cache_read_input_tokens"], long["input_tokens"])


@pytest.mark.parametrize("include_usage", [True, False])
def test_chat_stream_ends_with_usage_on_request(llm, include_usage):
    """`stream_options.include_usage` adds a last part that has usage and no choices."""
    body = {"model": "gpt-4o-mini", "messages": QUESTION, "stream": True}
    body["stream_options"] = {"include_usage": include_usage}
    *_, last = events(post(llm, "/v1/chat/completions", body)[2])
    assert include_usage == (last["choices"] == [] and last["usage"]["total_tokens"] > 0)


STREAMS = {
    "chat": (
        "/v1/chat/completions",
        {"messages": QUESTION, "stream_options": {"include_usage": True}},
        lambda whole: whole["usage"],
        lambda parts: parts[-1]["usage"],
    ),
    "responses": (
        "/v1/responses",
        {"input": QUESTION},
        lambda whole: whole["usage"],
        lambda parts: parts[-1]["response"]["usage"],
    ),
    "messages": (
        "/v1/messages",
        {"messages": QUESTION},
        lambda whole: (whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]),
        lambda parts: (
            parts[0]["message"]["usage"]["input_tokens"],
            parts[-2]["usage"]["output_tokens"],
        ),
    ),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_stream_has_the_usage_of_json(llm, kind):
    """A stream has the same usage as a response in one piece."""
    path, body, of_json, of_stream = STREAMS[kind]
    whole = post(llm, path, {"model": "m", **body, "stream": False})[2]
    parts = post(llm, path, {"model": "m", **body, "stream": True})[2]
    assert of_json(json.loads(whole)) == of_stream(events(parts))


@pytest.mark.parametrize("suffix", ["", "?alt=sse"])
def test_gemini_streams_in_both_formats(llm, suffix):
    """A Gemini stream is a JSON array, or server-sent events with `alt=sse`."""
    body = {"contents": [{"parts": [{"text": "Is it far?"}]}]}
    whole = json.loads(post(llm, f"{GEMINI}:generateContent", body)[2])
    raw = post(llm, f"{GEMINI}:streamGenerateContent{suffix}", body)[2]
    parts = events(raw) if suffix else json.loads(raw)
    assert whole["usageMetadata"] == parts[-1]["usageMetadata"]
    texts = [part["candidates"][0]["content"]["parts"][0]["text"] for part in [whole, *parts]]
    assert texts[0] == "".join(texts[1:])


TOOL_CALLS = {
    "chat": (
        "/v1/chat/completions",
        {"messages": QUESTION, "tools": [{"type": "function", "function": TOOL}]},
        lambda response: response["choices"][0]["message"]["tool_calls"][0]["function"][
            "arguments"
        ],
        {"role": "tool", "content": "near"},
    ),
    "responses": (
        "/v1/responses",
        {"input": QUESTION, "tools": [{"type": "function", **TOOL}]},
        lambda response: response["output"][0]["arguments"],
        {"type": "function_call_output", "output": "near"},
    ),
    "messages": (
        "/v1/messages",
        {
            "messages": QUESTION,
            "tools": [{"name": "find", "input_schema": TOOL["parameters"]}],
        },
        lambda response: json.dumps(response["content"][0]["input"]),
        {"role": "user", "content": [{"type": "tool_result", "content": "near"}]},
    ),
    "gemini": (
        f"{GEMINI}:generateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": "Is it far to Oslo?"}]}],
            "tools": [{"functionDeclarations": [TOOL]}],
        },
        lambda response: json.dumps(
            response["candidates"][0]["content"]["parts"][0]["functionCall"]["args"]
        ),
        {"parts": [{"functionResponse": {"name": "find", "response": {"result": "near"}}}]},
    ),
}


@pytest.mark.parametrize("kind", TOOL_CALLS)
def test_offered_tool_is_called_once(llm, kind):
    """A request with tools gets a tool call, and a request with its result gets text."""
    path, body, arguments_of, result = TOOL_CALLS[kind]
    called = json.loads(post(llm, path, {"model": "m", **body})[2])
    assert '{"city": "Oslo"}' == arguments_of(called)
    turns = next(key for key in ("messages", "input", "contents") if key in body)
    answered = post(llm, path, {"model": "m", **body, turns: [*body[turns], result]})[2]
    assert b"this is what I found: near" in answered


def test_each_text_gets_an_embedding(llm):
    """An embedding has the length that the request asks for."""
    body = {"model": "m", "input": ["one", "two"], "dimensions": 4}
    data = json.loads(post(llm, "/v1/embeddings", body)[2])["data"]
    assert [4, 4] == [len(item["embedding"]) for item in data]


def test_gzip_needs_accept_encoding(llm):
    """A client that accepts gzip gets the same response compressed."""
    body = {"model": "gpt-4o-mini", "messages": QUESTION}
    _, plain_headers, plain = post(llm, "/v1/chat/completions", body)
    _, headers, compressed = post(llm, "/v1/chat/completions", body, **{"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain_headers
    assert ("gzip", plain) == (headers["content-encoding"], gzip.decompress(compressed))


def test_stream_can_be_compressed(llm):
    """A compressed stream has the same content."""
    body = {"model": "gpt-4o-mini", "messages": QUESTION, "stream": True}
    plain = post(llm, "/v1/chat/completions", body)[2]
    compressed = post(llm, "/v1/chat/completions", body, **{"Accept-Encoding": "gzip"})[2]
    assert plain == gzip.decompress(compressed)


ERRORS = {
    "/v1/chat/completions": lambda body: body["error"]["code"],
    "/v1/messages": lambda body: body["error"]["type"],
    "/v1beta/models/always-busy:generateContent": lambda body: body["error"]["status"],
}


@pytest.mark.parametrize("path", ERRORS)
def test_busy_model_returns_429(llm, path):
    """The error has the format of the provider whose API is called."""
    status, headers, raw = post(llm, path, {"model": "always-busy"})
    assert (429, "1") == (status, headers["retry-after"])
    assert ERRORS[path](json.loads(raw)).lower() in {"rate_limit_error", "resource_exhausted"}


def test_cut_response_ends_early(llm):
    """The model `always-cut` closes the connection in the middle of a stream."""
    body = {"model": "always-cut", "messages": QUESTION, "stream": True}
    with pytest.raises(http.client.IncompleteRead):
        post(llm, "/v1/chat/completions", body)


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/unheard-of", 404), ("/v1/chat/completions", 400)]
)
def test_invalid_request_gets_an_error(llm, path, status):
    """A path or a body that no provider knows gets an error status."""
    assert status == post(llm, path, {})[0]


def test_requests_can_be_inspected(llm):
    """A test can read path and headers of each request."""
    post(llm, "/v1/messages", {"model": "m", "messages": QUESTION}, **{"X-Mine": "yes"})
    (seen,) = llm.seen
    assert ("/v1/messages", "yes") == (seen.path, seen.headers["x-mine"])


def test_program_prints_its_address(tmp_path):
    """The program uses a free port, writes it to a file, and prints its address."""
    file = tmp_path / "port"
    command = [sys.executable, EXAMPLES / "fake_llm.py", "--port", "0", "--port-file", file]
    with ManagedProcess(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            line = process.stdout.readline()
            deadline = time.monotonic() + 60
            while not file.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            assert f"http://127.0.0.1:{file.read_text(encoding='ascii')}\n" == line
        finally:
            process.terminate()

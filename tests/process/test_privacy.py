"""No prompt, completion, tool argument or key leaves the program."""

import gzip
import json
from textwrap import dedent
from typing import NamedTuple

import pytest
from servers.slow import slow_except

CANARIES = {
    "prompt": "CANARY-PROMPT-7c1e the user's own words",
    "system": "CANARY-SYSTEM-9a2b be brief",
    "tool": "CANARY-TOOL-55d0 look up a fare",
    "argument": "CANARY-ARGUMENT-1f3c Lisbon",
    "result": "CANARY-RESULT-80aa 240 EUR",
    "image": "CANARY-IMAGE-e4e4",
    "file": "CANARY-FILE-2b7d",
}
KEYS = {
    "openai": "sk-proj-canary1234567890abcdefABCDEF1234567890abcd",
    "anthropic": "sk-ant-api03-canary1234567890abcdefABCDEF1234567890",
    "gemini": "AIzaSyCANARYabcdefghijklmnopqrstuvwxyz12",
    "query": "canary-query-key-0123456789",
}
SHOWN_CHARACTERS = 4
"""The number of characters at each end that the mode `mask` shows."""

PROGRAM = """
import json, sys, urllib.error, urllib.request
import httpx, requests

LLM = sys.argv[1]
C = json.loads(sys.argv[2])
K = json.loads(sys.argv[3])

def chat(stream, model):
    tool = {"type": "function", "function": {
        "name": "fare", "description": C["tool"],
        "parameters": {"type": "object", "properties": {"to": {"const": C["argument"]}}},
    }}
    return {"model": model, "stream": stream, "tools": [tool], "messages": [
        {"role": "system", "content": C["system"]},
        {"role": "user", "content": [
            {"type": "text", "text": C["prompt"]},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + C["image"]}},
        ]},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {
            "name": "fare", "arguments": json.dumps({"to": C["argument"]})}}]},
        {"role": "tool", "tool_call_id": "c1", "content": C["result"]},
    ]}

def message(stream, model):
    return {"model": model, "stream": stream, "max_tokens": 9, "system": C["system"], "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": C["prompt"]},
            {"type": "document", "source": {"type": "base64", "data": C["file"]}},
        ]},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "t", "name": "fare", "input": {"to": C["argument"]}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": C["result"]}]},
    ]}

def contents():
    return {"systemInstruction": {"parts": [{"text": C["system"]}]},
            "contents": [{"role": "user", "parts": [{"text": C["prompt"]}]}]}

def cases():
    for stream in (False, True):
        for model in ("gpt-4o-mini", "always-busy", "always-cut"):
            yield "/v1/chat/completions", chat(stream, model), {"Authorization": "Bearer " + K["openai"]}
        for model in ("claude-haiku-4-5", "always-denied"):
            yield "/v1/messages", message(stream, model), {"x-api-key": K["anthropic"]}
    yield "/v1/responses", {"model": "gpt-4.1", "input": C["prompt"], "stream": True}, {
        "Authorization": "Bearer " + K["openai"]}
    yield "/v1/embeddings", {"model": "text-embedding-3-small", "input": [C["prompt"]]}, {
        "Authorization": "Bearer " + K["openai"]}
    gemini = "/v1beta/models/gemini-2.5-flash:"
    yield gemini + "generateContent?key=" + K["query"], contents(), {"x-goog-api-key": K["gemini"]}
    yield gemini + "streamGenerateContent?alt=sse&key=" + K["gemini"], contents(), {}
    yield "/v1/chat/completions", {"model": 5, "messages": C["prompt"]}, {"api-key": K["query"]}
    yield "/v1/nowhere", {"input": C["prompt"]}, {"Cookie": "session=" + K["query"]}

def with_httpx(url, body, headers):
    try:
        with httpx.stream("POST", url, json=body, headers=headers) as response:
            return response.read().decode()
    except httpx.TransportError:
        return ""

def with_requests(url, body, headers):
    try:
        with requests.post(url, json=body, headers=headers, stream=True) as response:
            return "".join(chunk.decode() for chunk in response.iter_content(7))
    except requests.RequestException:
        return ""

def with_urllib(url, body, headers):
    headers = {"content-type": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except Exception:
        return ""

for send in (with_httpx, with_requests, with_urllib):
    for path, body, headers in cases():
        print(send(LLM + path, body, headers))
"""


class Traffic(NamedTuple):
    """The data of one run of the program.

    Attributes:
        left: the text that left the program: requests to the collector, and stderr.
        spans: the spans that the collector received.
        received: the bodies that the provider received.
        answers: the responses that the program printed.
    """

    left: str
    spans: list
    received: str
    answers: str


@pytest.fixture(params=slow_except({"mask"}, ("mask", "remove", "hash")), scope="module")
def traffic(request, tmp_path_factory):
    """The traffic of a program that sends canaries and keys, by redaction mode."""
    from servers import llm, otlp
    from servers.program import Runner

    with otlp.serving() as sink, llm.listening() as server:
        run = Runner(sink, tmp_path_factory.mktemp("privacy"))
        env = {"LUPIS_LOG_LEVEL": "debug", "LUPIS_REDACTION_MODE": request.param}
        arguments = [server.url, json.dumps(CANARIES), json.dumps(KEYS)]
        done = run(dedent(PROGRAM), *arguments, env=env)
        assert 0 == done.returncode, done.stderr
        bodies = [
            gzip.decompress(request.raw) if "content-encoding" in request.headers else request.raw
            for request in sink.requests
        ]
        sent = b"\n".join(
            [*bodies, *(repr(request.headers).encode() for request in sink.requests)]
        ).decode("utf-8", "replace")
        received = b"".join(request.body for request in server.seen).decode()
        yield Traffic(sent + done.stderr, sink.spans, received, done.stdout)


def test_each_call_was_recorded(traffic):
    """Each of three clients made sixteen calls; otherwise the tests below would prove nothing."""
    assert 3 * 16 == len(traffic.spans)


@pytest.mark.parametrize("name", CANARIES)
def test_the_provider_received_the_canary(name, traffic):
    """Otherwise the next tests would prove nothing."""
    assert CANARIES[name] in traffic.received


@pytest.mark.parametrize("name", CANARIES)
def test_no_content_of_a_request_leaves(name, traffic):
    """This covers prompts, system prompts, tools, their arguments and results, images and files."""
    assert CANARIES[name].split()[0] not in traffic.left


def test_no_content_of_a_response_leaves(traffic):
    """No text of more than 12 characters in a response is in the data that left."""
    parts = traffic.answers.replace("\\n", "\n").split('"')
    texts = {text.strip() for text in parts if " " in text and len(text.strip()) > 12}
    assert texts
    assert set() == {text for text in texts if text in traffic.left}


@pytest.mark.parametrize("name", KEYS)
def test_no_key_leaves(name, traffic):
    """At most the ends of a key in a header, a URL or an error are shown."""
    key = KEYS[name]
    middle = key[SHOWN_CHARACTERS:-SHOWN_CHARACTERS]
    assert middle not in traffic.left
    assert middle[4:20] not in traffic.left


def test_the_names_of_headers_with_keys_stay(traffic):
    """They show that the program sent a key."""
    names = {name for span in traffic.spans for name in span["attributes"]}
    assert {"http.request.header.authorization", "http.request.header.x-api-key"} <= names

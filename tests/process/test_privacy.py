"""No prompt, completion, tool argument or key leaves a program, in any form."""

import gzip
from textwrap import dedent

import pytest

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
SHOWN_OF_A_KEY = 4
"""Characters at each end that mode mask shows."""

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


@pytest.fixture(params=["mask", "remove", "hash"], scope="module")
def told(request, tmp_path_factory):
    """All that left a program: what the collector got and what stood on stderr, and the spans."""
    import json

    from servers import llm, otlp
    from servers.program import Runner

    with otlp.serving() as sink, llm.listening() as server:
        run = Runner(sink, tmp_path_factory.mktemp("privacy"))
        env = {"LUPIS_LOG_LEVEL": "debug", "LUPIS_REDACTION_MODE": request.param}
        arguments = [server.url, json.dumps(CANARIES), json.dumps(KEYS)]
        done = run(dedent(PROGRAM), *arguments, env=env)
        assert 0 == done.returncode, done.stderr
        bodies = [
            gzip.decompress(each.raw) if "content-encoding" in each.headers else each.raw
            for each in sink.requests
        ]
        sent = b"\n".join(
            [*bodies, *(repr(each.headers).encode() for each in sink.requests)]
        ).decode("utf-8", "replace")
        seen = b"".join(each.body for each in server.seen).decode()
        yield sent + done.stderr, sink.spans, seen, done.stdout


def test_every_call_was_recorded(told):
    """Else the tests below would prove nothing: sixteen calls by each of three clients."""
    _, spans, _, _ = told
    assert 3 * 16 == len(spans)


@pytest.mark.parametrize("what", CANARIES)
def test_the_provider_got_what_we_look_for(what, told):
    """Nor would they if a canary had never been sent."""
    assert CANARIES[what] in told[2]


@pytest.mark.parametrize("what", CANARIES)
def test_no_content_of_a_request_leaves(what, told):
    """Prompts, system prompts, tools and their arguments and results, images, files."""
    assert CANARIES[what].split()[0] not in told[0]


def test_no_content_of_a_response_leaves(told):
    """No longer run of words that the provider said is in what left."""
    text, _, _, answers = told
    words = [line.strip() for line in answers.replace("\\n", "\n").split('"') if " " in line]
    said = {word for word in words if len(word) > 12}
    assert said
    assert set() == {word for word in said if word in text}


@pytest.mark.parametrize("whose", KEYS)
def test_no_key_leaves(whose, told):
    """In a header, a URL or an error: at most its ends are shown."""
    key = KEYS[whose]
    middle = key[SHOWN_OF_A_KEY:-SHOWN_OF_A_KEY]
    assert middle not in told[0]
    assert middle[4:20] not in told[0]


def test_what_a_key_stood_in_is_kept(told):
    """So that it can be seen that one was sent."""
    names = {name for span in told[1] for name in span["attributes"]}
    assert {"http.request.header.authorization", "http.request.header.x-api-key"} <= names

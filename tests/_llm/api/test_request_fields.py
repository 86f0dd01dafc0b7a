"""Parameters of requests, and the names of tools that requests offer and models call."""

import json

import pytest

from lupis_instrument._llm.api.endpoints import identify_endpoint
from lupis_instrument._llm.body.body_reader import BodyReader
from lupis_instrument._llm.body.digest import digest_call

CHAT = ("api.openai.com", "/v1/chat/completions")
RESPONSES = ("api.openai.com", "/v1/responses")
ANTHROPIC = ("api.anthropic.com", "/v1/messages")
GEMINI = ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-pro:generateContent")
CONVERSE = ("bedrock-runtime.eu-west-1.amazonaws.com", "/model/claude/converse")
OLLAMA = ("localhost", "/api/chat")
MESSAGES = [{"role": "user", "content": "PLANTED"}]
SCHEMA = {"description": "PLANTED", "parameters": {"type": "object"}}


def digest(address, request, *pieces, stream=False):
    """Returns the facts of a call, whose response is a stream of events or one JSON value."""
    host, path = address
    endpoint = identify_endpoint("POST", host, None, path)
    body = None
    if pieces:
        content_type = "text/event-stream" if stream else "application/json"
        body = BodyReader(endpoint, content_type, None, chunked=False)
        for piece in pieces:
            text = json.dumps(piece)
            body.feed((f"data: {text}\n\n" if stream else text).encode())
    return digest_call(endpoint, path=path, request=request, status=200, headers={}, body=body)


@pytest.mark.parametrize(
    ("address", "request_body", "expected"),
    [
        (CHAT, {"max_completion_tokens": 9, "top_p": 0.5}, {"max_tokens": 9, "top_p": 0.5}),
        (RESPONSES, {"max_output_tokens": 9, "previous_response_id": "resp_1"},
         {"max_tokens": 9, "previous_response_id": "resp_1"}),
        (ANTHROPIC, {"max_tokens": 9, "top_k": 3, "stop_sequences": ["a", "b"]},
         {"max_tokens": 9, "top_k": 3.0, "stop_sequences": ("a", "b")}),
        (GEMINI, {"generationConfig": {"maxOutputTokens": 9, "responseMimeType": "application/json"}},
         {"max_tokens": 9, "output_type": "json"}),
        (CONVERSE, {"inferenceConfig": {"maxTokens": 9, "temperature": 1}},
         {"max_tokens": 9, "temperature": 1.0}),
        (OLLAMA, {"options": {"num_predict": 9, "seed": 1}, "format": "json"},
         {"max_tokens": 9, "seed": 1, "output_type": "json"}),
        (("api.openai.com", "/v1/audio/speech"), {"input": "PLANTED"}, {"output_type": "speech"}),
    ],
)  # fmt: skip
def test_parameters_are_found_in_each_api(address, request_body, expected):
    """Each API has its own names for them."""
    assert expected == digest(address, request_body).parameters


@pytest.mark.parametrize(
    "request_body",
    [
        {"max_tokens": True},
        {"max_tokens": "many"},
        {"temperature": float("inf")},
        {"seed": 2**70},
        {"stop": ["x" * 1000]},
        {"stop": [1]},
        {"reasoning_effort": "a text of several words"},
        {"response_format": {"type": "PLANTED"}},
        {"generationConfig": "no object"},
    ],
)
def test_other_values_are_left_out(request_body):
    """An attribute holds no text that a user could have written."""
    assert {} == digest(CHAT, request_body).parameters


@pytest.mark.parametrize(
    ("address", "request_body"),
    [
        (CHAT, {"messages": MESSAGES, "tools": [{"function": {"name": "search", **SCHEMA}}]}),
        (RESPONSES, {"input": MESSAGES, "tools": [{"type": "function", "name": "search"}]}),
        (ANTHROPIC, {"messages": MESSAGES, "tools": [{"name": "search", "input_schema": {}}]}),
        (GEMINI, {"contents": MESSAGES,
                  "tools": [{"functionDeclarations": [{"name": "search", **SCHEMA}]}]}),
        (CONVERSE, {"messages": MESSAGES, "toolConfig": {"tools": [{"toolSpec": {"name": "search"}}]}}),
    ],
    ids=["chat", "responses", "anthropic", "gemini", "converse"],
)  # fmt: skip
def test_offered_tools_and_messages_are_counted(address, request_body):
    """Names, and no descriptions."""
    facts = digest(address, request_body)
    assert (("search",), 1, 1) == (facts.offered_tools, facts.tool_count, facts.message_count)


CALLS = {
    "chat": (CHAT, [{"choices": [{"message": {"tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "search", "arguments": "PLANTED"}},
        {"id": "2", "type": "function", "function": {"name": "search", "arguments": "PLANTED"}},
    ]}}]}]),
    "chat stream": (CHAT, [
        *[{"choices": [{"delta": {"content": "PLANTED"}}]}] * 30,
        {"choices": [{"delta": {"tool_calls": [{"id": "1", "function": {"name": "search"}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "PLANTED"}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"id": "2", "function": {"name": "search"}}]}}]},
    ]),
    "responses stream": (RESPONSES, [
        {"item": {"id": "1", "type": "function_call", "name": "search"}},
        {"item": {"id": "2", "type": "function_call", "name": "search"}},
        {"response": {"output": [
            {"id": "1", "type": "function_call", "name": "search", "arguments": "PLANTED"},
            {"id": "2", "type": "function_call", "name": "search"},
        ]}},
    ]),
    "anthropic": (ANTHROPIC, [{"content": [
        {"type": "text", "text": "PLANTED"},
        {"type": "tool_use", "id": "1", "name": "search", "input": {"name": "PLANTED"}},
        {"type": "tool_use", "id": "2", "name": "search", "input": {}},
    ]}]),
    "anthropic stream": (ANTHROPIC, [
        {"type": "content_block_start", "content_block": {"type": "tool_use", "id": id_, "name": "search"}}
        for id_ in ("1", "2")
    ]),
    "gemini": (GEMINI, [{"candidates": [{"content": {"parts": [
        {"functionCall": {"name": "search", "args": {"name": "PLANTED"}}},
        {"functionCall": {"name": "search"}},
    ]}}]}]),
    "converse": (CONVERSE, [{"output": {"message": {"content": [
        {"toolUse": {"toolUseId": "1", "name": "search", "input": {}}},
        {"toolUse": {"toolUseId": "2", "name": "search", "input": {}}},
    ]}}}]),
    "ollama": (OLLAMA, [{"message": {"tool_calls": [{"function": {"name": "search"}}] * 2}}]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_called_tools_are_named_in_order(name):
    """Each call once, and no arguments."""
    address, pieces = CALLS[name]
    facts = digest(address, {}, *pieces, stream="stream" in name)
    assert ("search", "search") == facts.called_tools


def test_names_of_tools_are_bounded():
    """In number, in length and in their characters."""
    names = ["PLANTED text", "x" * 200, 1, None, *["search"] * 100]
    request = {"tools": [{"name": name} for name in names]}
    assert ("search",) * 60 == digest(CHAT, request).offered_tools

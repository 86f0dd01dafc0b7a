"""The request of a response on a WebSocket, as one body."""

import json

import pytest

from lupis_instrument._llm.body.digest import parse_request_body
from lupis_instrument._llm.body.socket_requests import read_request, read_session, write_request


def read_back(session, message):
    return read_request(parse_request_body(b"".join(write_request(session, message))))


def test_a_message_alone_is_the_body():
    """Its bytes are not copied."""
    message = b'{"type": "response.create", "model": "gpt-4o", "input": []}'
    assert [message] == write_request({}, message)
    assert "gpt-4o" == read_back({}, message)["model"]


@pytest.mark.parametrize(
    ("session", "model"),
    [
        ({"session": {"model": "gpt-realtime"}}, "gpt-realtime"),
        ({"setup": {"model": "models/gemini-2.5-flash"}}, "gemini-2.5-flash"),
        ({"setup": {"model": "projects/p/locations/l/publishers/google/models/g"}}, "g"),
    ],
)
def test_the_session_names_the_model(session, model):
    """The message that starts a response does not repeat it."""
    kept = read_session(json.dumps(session).encode())
    assert model == read_back(kept, b'{"type": "response.create"}')["model"]


def test_the_message_has_precedence():
    """Over the session, and its nested object over both."""
    message = b'{"response": {"model": "b", "max_output_tokens": 3}}'
    assert "b" == read_back({"model": "a"}, message)["model"]
    assert 3 == read_back({}, message)["max_output_tokens"]


def test_instructions_are_not_kept():
    """Only members that describe requests are."""
    session = {"session": {"model": "m", "instructions": "secret", "voice": "x"}}
    assert {"model": "m"} == read_session(json.dumps(session).encode())


def test_long_settings_are_not_kept():
    """But the model is."""
    session = {"session": {"model": "m", "tools": [{"name": "x" * 40_000}]}}
    assert {"model": "m"} == read_session(json.dumps(session).encode())


@pytest.mark.parametrize("message", [b"", b"7", b'{"session": 7}', b'{"session": {"voice": "x"}}'])
def test_other_messages_name_no_session(message):
    """They leave the settings of the session as they are."""
    assert {} == read_session(message)

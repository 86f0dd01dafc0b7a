"""The meaning of messages on WebSockets."""

import json

import pytest

from lupis_instrument._llm.api.operations import SOCKET_OPERATIONS
from lupis_instrument._llm.api.socket_messages import (
    SOCKET_APIS,
    MessageIds,
    Part,
    parse_message,
    rate_match,
    read_ids,
    read_request_ids,
)

LONG = "x" * 100_000
EVENTS, TURNS = SOCKET_APIS["openai.responses"], SOCKET_APIS["gemini.live"]


def test_each_socket_operation_has_messages():
    """Both tables name the same wire APIs."""
    assert {row.api for row in SOCKET_OPERATIONS} == set(SOCKET_APIS)


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"type": "response.create", "input": LONG}, Part.REQUEST),
        ({"input": LONG, "type": "response.create"}, Part.REQUEST),
        ({"event_id": "e", "type": "response.cancel"}, Part.CANCEL),
        ({"type": "session.update", "session": {}}, Part.SESSION),
        ({"type": "input_audio_buffer.append", "audio": LONG}, Part.OTHER),
        ({"type": "text", "text": '"type": "response.create"'}, Part.OTHER),
    ],
)
def test_sent_events(message, part):
    """The type may be at either end, and text that looks like it is none."""
    assert part is EVENTS.read_sent(json.dumps(message).encode())


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"type": "session.created", "session": {"tools": [{"type": "function"}]}}, Part.SESSION),
        ({"type": "response.created", "response": {}}, Part.OPENING),
        ({"type": "response.output_text.delta", "delta": "a"}, Part.PIECE),
        ({"type": "response.output_text.done", "text": LONG}, Part.PIECE),
        (
            {"response": {"output": [{"type": "message"}], "x": LONG}, "type": "response.done"},
            Part.END,
        ),
        ({"type": "response.completed", "response": {"output": LONG}}, Part.END),
        ({"type": "response.incomplete", "response": {}}, Part.END),
        ({"type": "error", "error": {"type": "server_error"}}, Part.ERROR),
        ({"type": "rate_limits.updated"}, Part.OTHER),
        ({"type": "conversation.item.input_audio_transcription.completed"}, Part.OTHER),
        ({"type": "ping"}, Part.OTHER),
    ],
)
def test_received_events(message, part):
    """Only events of a response belong to a call."""
    assert part is EVENTS.read_received(json.dumps(message).encode())


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"setup": {"model": "models/gemini"}}, Part.SESSION),
        ({"client_content": {"turns": [LONG], "turn_complete": True}}, Part.REQUEST),
        ({"clientContent": {"turns": [], "turnComplete": True}}, Part.REQUEST),
        ({"client_content": {"turns": [], "turn_complete": False}}, Part.OTHER),
        ({"realtime_input": {"text": "hello"}}, Part.INPUT),
        ({"realtimeInput": {"activityEnd": {}}}, Part.INPUT),
        ({"realtime_input": {"audio": {"data": LONG}}}, Part.OTHER),
        ({"realtime_input": {"audioStreamEnd": True}}, Part.OTHER),
        ({"tool_response": {"functionResponses": []}}, Part.INPUT),
    ],
)
def test_sent_turns(message, part):
    """Members may be written in both styles."""
    assert part is TURNS.read_sent(json.dumps(message).encode())


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"setupComplete": {}}, Part.SESSION),
        ({"serverContent": {"modelTurn": {"parts": [LONG]}}}, Part.OPENING),
        ({"toolCall": {"functionCalls": []}}, Part.OPENING),
        ({"serverContent": {"inputTranscription": {}}}, Part.PIECE),
        ({"serverContent": {"turnComplete": True}}, Part.END),
        ({"usageMetadata": {"totalTokenCount": 1}}, Part.USAGE),
        ({"error": {"code": 400}}, Part.ERROR),
        ({"goAway": {}}, Part.OTHER),
    ],
)
def test_received_turns(message, part):
    """Google writes them with line breaks."""
    assert part is TURNS.read_received(json.dumps(message, indent=2).encode())


@pytest.mark.parametrize("length", [1, 100_000])
def test_ids_are_read_from_messages_of_any_length(length):
    """A long message is not parsed."""
    response = {"id": "resp_1", "output": "x" * length}
    message = {"type": "response.completed", "response": response, "stream_id": "a"}
    assert MessageIds("resp_1", "a") == read_ids(json.dumps(message).encode())


def test_an_error_names_the_message_that_it_is_about():
    """By the id that the client gave to it."""
    message = {"type": "error", "event_id": "of the server", "error": {"event_id": "e1"}}
    assert "e1" == read_ids(json.dumps(message).encode()).event
    assert "e1" == read_request_ids(b'{"type": "response.create", "event_id": "e1"}').event


@pytest.mark.parametrize("message", [b"", b"[1]", b"{", b"[" * 10_000, b"\xff", b"7"])
def test_other_data_is_no_message(message):
    """Nothing is raised."""
    assert parse_message(message) is None
    assert MessageIds() == read_ids(message)
    assert Part.OTHER is EVENTS.read_received(message)


@pytest.mark.parametrize(
    "members",
    [{"metadata": {"a": "b"}}, {"previous_response_id": "r"}, {"model": "gpt-4o-mini"}],
)
def test_a_response_repeats_members_of_its_request(members):
    """The request with the same members fits best."""
    answer = json.dumps({"response": {"model": "gpt-4o-mini", **members}}).encode()
    requests = ({"model": "gpt-4o"}, {"model": "gpt-4o-mini", **members})
    rates = [rate_match(json.dumps(request).encode(), answer) for request in requests]
    assert rates[0] < rates[1]
    nested = json.dumps({"response": requests[1]}).encode()
    assert rates[1] == rate_match(nested, answer)

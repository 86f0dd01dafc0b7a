"""Which message on a socket belongs to which call."""

import json

import pytest

from lupis_instrument._instrumentation.clients import socket_calls
from lupis_instrument._instrumentation.clients.socket_calls import SocketCalls
from lupis_instrument._llm.api.endpoints import WEBSOCKET
from lupis_instrument._tracing.http_call import HttpCall

URL = "ws://127.0.0.1/v1/responses"


class Span:
    """The span of a call; it does nothing."""

    def end(self):
        pass


class Spans:
    """Makes calls without spans.

    Attributes:
        calls: the calls in the order of their start.
        started: how many times a call was started, recorded or not.
        is_sampled: whether calls are recorded.
    """

    def __init__(self):
        self.calls = []
        self.started = 0
        self.is_sampled = True

    def current_context(self):
        return None

    def start_call(self, url, request, _context):
        self.started += 1
        if not self.is_sampled:
            return None
        http_call = HttpCall((), lambda: None, lambda: None, Span())
        http_call.begin_attempt(WEBSOCKET, url)
        for piece in request:
            http_call.add_request_data(piece)
        self.calls.append(http_call)
        return http_call


class Socket:
    """A socket, and the calls on it."""

    def __init__(self, api):
        self.spans = Spans()
        self.calls = SocketCalls(self.spans, URL, api)

    def send(self, **message):
        call = self.calls.send(json.dumps(message).encode())
        if call is not None:
            call.begin_response()
        return call

    def create(self, **message):
        return self.send(type="response.create", **message)

    def receive(self, kind, **message):
        self.calls.receive(json.dumps({"type": kind, **message}).encode())

    def receive_turn(self, **message):
        self.calls.receive(json.dumps(message).encode())

    @property
    def outcomes(self):
        return [call.body.outcome for call in self.spans.calls]

    @property
    def pieces(self):
        return [call.body.reader.chunk_count for call in self.spans.calls]


@pytest.fixture
def socket():
    return Socket("openai.responses")


def test_a_call_lasts_until_its_end_event(socket):
    """Events after it belong to no call."""
    socket.create()
    socket.receive("response.created", response={"id": "r1"})
    assert [None] == socket.outcomes
    socket.receive("response.completed", response={"id": "r1"})
    socket.receive("response.output_text.delta", delta="late")
    assert (["complete"], [2]) == (socket.outcomes, socket.pieces)


def test_an_end_without_a_beginning_ends_the_waiting_call(socket):
    """Some servers send only the end."""
    socket.create()
    socket.receive("response.done", response={"id": "r1"})
    assert ["complete"] == socket.outcomes


def test_pieces_go_to_their_response(socket):
    """By the id of the response or of the stream, else to the call of the last piece."""
    socket.create(stream_id="a")
    socket.create(stream_id="b")
    socket.receive("response.created", stream_id="b", response={"id": "r2"})
    socket.receive("response.created", stream_id="a", response={"id": "r1"})
    socket.receive("response.output_text.delta", response_id="r2")
    socket.receive("response.output_text.delta")
    socket.receive("response.output_text.delta", stream_id="a")
    assert [2, 3] == socket.pieces


def test_ends_may_come_in_another_order(socket):
    """The id of the response decides."""
    for number in (1, 2):
        socket.create()
        socket.receive("response.created", response={"id": f"r{number}"})
    socket.receive("response.completed", response={"id": "r2"})
    assert [None, "complete"] == socket.outcomes


def test_an_error_refuses_the_last_request(socket):
    """The response under way goes on."""
    socket.create()
    socket.receive("response.created", response={"id": "r1"})
    socket.create()
    socket.receive("error", error={"code": "active_response"})
    assert [None, "complete"] == socket.outcomes


def test_a_call_that_is_not_recorded_takes_its_messages(socket):
    """No message of its response asks the sampler again."""
    socket.spans.is_sampled = False
    socket.create()
    socket.receive("response.created", response={"id": "r1"})
    socket.receive("response.completed", response={"id": "r1"})
    assert 1 == socket.spans.started
    assert [] == socket.calls._open


@pytest.mark.parametrize(
    "error",
    [
        {"code": "response_cancel_not_active", "event_id": None},
        {"code": "input_audio_buffer_commit_empty"},
        {"code": "invalid_value", "event_id": "of another message"},
    ],
)
def test_an_error_about_another_message_ends_no_call(error):
    """A request that follows it waits for its response."""
    socket = Socket("openai.realtime")
    socket.create(event_id="own")
    socket.receive("error", error=error)
    socket.receive("response.created", response={"id": "r1"})
    socket.receive("response.done", response={"id": "r1"})
    assert (["complete"], [2]) == (socket.outcomes, socket.pieces)


def test_an_error_ends_a_response_under_way(socket):
    """Where the API sends no further event for it."""
    socket.create()
    socket.receive("response.created", response={"id": "r1"})
    socket.receive("error", error={})
    assert ["complete"] == socket.outcomes


def test_an_error_of_a_session_ends_no_response():
    """It may be about any message of the client."""
    socket = Socket("openai.realtime")
    socket.create()
    socket.receive("response.created", response={"id": "r1"})
    socket.receive("error", error={})
    assert [None] == socket.outcomes


def test_a_response_that_the_server_starts_is_a_call():
    """A server may recognise the end of a spoken sentence."""
    socket = Socket("openai.realtime")
    socket.send(type="input_audio_buffer.append", audio="AAAA")
    socket.receive("response.created", response={"id": "r1"})
    socket.receive("response.done", response={"id": "r1"})
    assert ["complete"] == socket.outcomes


@pytest.mark.parametrize(("error", "outcome"), [(None, "closed"), (OSError(), "error")])
def test_closing_ends_all_calls(socket, error, outcome):
    """It is an error unless the program closes the socket itself."""
    socket.create()
    socket.create()
    socket.calls.close(error)
    assert [outcome] * 2 == socket.outcomes


def test_a_response_that_comes_after_the_close_is_no_call(socket):
    """A client reads on until the server closes the socket too; the program hears nothing of it."""
    socket.create()
    socket.calls.close(None)
    socket.receive("response.created", response={"id": "r1"})
    socket.receive("response.completed", response={"id": "r1"})
    assert ["closed"] == socket.outcomes


def test_a_cancelled_response_without_an_end_is_no_error(socket):
    """The program wanted no more of it."""
    socket.create()
    socket.send(type="response.cancel")
    socket.calls.close(OSError())
    assert ["closed"] == socket.outcomes


def test_a_socket_that_is_dropped_ends_its_calls(socket):
    """As a body that the program never reads."""
    socket.create()
    socket.calls = None
    assert ["dropped"] == socket.outcomes


def test_open_calls_are_bounded(socket):
    """A server may never answer."""
    for _ in range(socket_calls._MAX_OPEN_CALLS + 1):
        socket.create()
    assert ["dropped", None] == [socket.outcomes[0], socket.outcomes[-1]]


def test_fragments_are_bounded(socket, monkeypatch):
    """The rest of an endless message is not kept."""
    monkeypatch.setattr(socket_calls, "_MAX_MESSAGE_BYTES", 100)
    for _ in range(50):
        socket.calls.receive(b"x" * 50, starts=False, ends=False)
    assert 3 >= len(socket.calls._fragments)


def test_usage_may_follow_the_end_of_a_turn():
    """The call waits for it, but not for longer than the next message."""
    socket = Socket("gemini.live")
    socket.send(client_content={"turn_complete": True})
    socket.receive_turn(serverContent={"turnComplete": True})
    assert [None] == socket.outcomes
    socket.receive_turn(usageMetadata={"totalTokenCount": 3})
    assert (["complete"], [2]) == (socket.outcomes, socket.pieces)
    socket.send(client_content={"turn_complete": True})
    socket.receive_turn(serverContent={"turnComplete": True})
    socket.send(client_content={"turn_complete": True})
    assert ["complete", "complete", None] == socket.outcomes


def test_a_second_report_of_usage_is_no_call():
    """A turn has ended with the first one."""
    socket = Socket("gemini.live")
    usage = {"usageMetadata": {"totalTokenCount": 3}}
    socket.send(client_content={"turn_complete": True})
    socket.receive_turn(serverContent={"turnComplete": True}, **usage)
    socket.receive_turn(**usage)
    assert (["complete"], [1]) == (socket.outcomes, socket.pieces)


def test_a_message_that_comes_twice_starts_one_call(socket):
    """A client may hand it from one layer to the next."""
    message = b'{"type": "response.create"}'
    prepared = socket.calls.prepare(message)
    assert prepared is socket.calls.send(message)
    assert prepared is not socket.calls.send(message)


def test_turns_end_in_order():
    """An interrupted turn ends before the next one begins."""
    socket = Socket("gemini.live")
    usage = {"usageMetadata": {"totalTokenCount": 3}}
    socket.send(client_content={"turn_complete": True})
    socket.send(client_content={"turn_complete": True})
    socket.receive_turn(serverContent={"turnComplete": True, "interrupted": True}, **usage)
    assert ["complete", None] == socket.outcomes


def test_silence_is_no_call():
    """A microphone that is switched off asks for nothing."""
    socket = Socket("gemini.live")
    socket.send(realtime_input={"audio_stream_end": True})
    assert [] == socket.outcomes


def test_the_answer_to_sound_that_ends_is_one_call():
    """The server starts it, also if it calls a tool first, and reports usage at its end."""
    socket = Socket("gemini.live")
    socket.send(realtime_input={"audioStreamEnd": True})
    socket.receive_turn(toolCall={"functionCalls": []})
    socket.send(tool_response={"function_responses": []})
    socket.receive_turn(serverContent={"modelTurn": {}})
    socket.receive_turn(serverContent={"turnComplete": True}, usageMetadata={"totalTokenCount": 3})
    assert (["complete"], [3]) == (socket.outcomes, socket.pieces)


def test_a_turn_that_the_server_starts_is_a_call():
    """The client only streams sound."""
    socket = Socket("gemini.live")
    socket.send(realtime_input={"audio": {"data": "AAAA"}})
    socket.receive_turn(serverContent={"modelTurn": {}})
    socket.receive_turn(serverContent={"turnComplete": True}, usageMetadata={"totalTokenCount": 3})
    assert ["complete"] == socket.outcomes

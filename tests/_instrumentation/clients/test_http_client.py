"""http.client: requests and responses are recorded as they pass the wire."""

import http.client
import types
from urllib.parse import urlsplit

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from servers import wire

from lupis_instrument._instrumentation.clients.http_client import wrap_client

PATH = "/v1/chat/completions?case=unit"


@pytest.fixture
def connect(recorder, server):
    """Makes connections whose class is wrapped; other connections of the process are not."""
    connection_class = type("HTTPConnection", (http.client.HTTPConnection,), {})
    wrap_client(types.SimpleNamespace(HTTPConnection=connection_class), recorder.activation)
    made = []

    def connect():
        made.append(connection_class(urlsplit(server.url).netloc, timeout=60))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


def expected_body(**query):
    """Return the body that the server sends."""
    return b"".join(wire.build_pieces(query))


def test_body_is_recorded(connect, recorder):
    """The request has activated the client."""
    connection = connect()
    connection.request("POST", PATH, b"{}")
    assert expected_body() == connection.getresponse().read()
    assert (expected_body(), "complete", 1) == (*recorder.recorded_body, recorder.activations)


def test_closing_a_connection_does_not_activate(connect, recorder):
    """Neither an unused connection nor one whose request was suppressed activates the client."""
    connect().close()
    with suppress_instrumentation():
        connection = connect()
        connection.request("POST", PATH, b"{}")
        connection.getresponse().read()
    connection.close()
    assert 0 == recorder.activations


def test_request_is_recorded(connect, recorder, server):
    """Head and body are recorded, even if the body is sent in pieces."""
    connection = connect()
    connection.putrequest("POST", PATH)
    connection.putheader("X-One", "1")
    connection.putheader("content-length", "4")
    connection.endheaders(b"ab")
    connection.send(b"cd")
    connection.getresponse().read()
    http_call = recorder.http_call
    assert ("POST", server.url + PATH, b"abcd") == (
        http_call.method,
        http_call.url,
        b"".join(http_call.request_body),
    )
    assert ("X-One", "1") in http_call.read_request_headers()


@pytest.mark.parametrize("status", [204, 200])
def test_empty_body_is_complete(connect, recorder, status):
    """There is no file to tap."""
    connection = connect()
    connection.request("POST", f"{PATH}&status={status}&form=empty", b"{}")
    response = connection.getresponse()
    assert "complete" == recorder.body.outcome
    assert b"" == response.read()


def test_response_of_another_api_is_not_tapped(connect, recorder):
    """Its file is the connection's own."""
    connection = connect()
    connection.request("POST", "/data", b"{}")
    response = connection.getresponse()
    assert ("BufferedReader", None) == (type(response.fp).__name__, recorder.body)
    response.read()


def test_each_request_of_a_connection_is_recorded(connect, recorder):
    """The connection is kept open between them."""
    connection = connect()
    for count in (1, 2, 3):
        connection.request("POST", PATH, b"{}")
        connection.getresponse().read()
        assert (expected_body(), "complete", count) == (
            *recorder.recorded_body,
            recorder.http_call.attempts,
        )


def test_unrecorded_request_is_not_read(connect, recorder):
    """There is no HTTP call to fill."""
    recorder.recording = False
    connection = connect()
    connection.request("POST", PATH, b"{}")
    assert expected_body() == connection.getresponse().read()
    assert 0 == recorder.http_call.attempts


def test_response_with_an_unknown_file_is_not_tapped(connect, recorder):
    """Its body counts as complete."""

    class Response(http.client.HTTPResponse):
        def begin(self):
            super().begin()
            self.fp = types.SimpleNamespace(read=self.fp.read, close=self.fp.close)

    connection = connect()
    connection.response_class = Response
    connection.request("POST", f"{PATH}&form=length", b"{}")
    assert b"" != connection.getresponse().read()
    assert (b"", "complete") == recorder.recorded_body


def test_response_is_recorded_after_a_refused_call(connect, recorder):
    """urllib3 1.x calls `getresponse` with an argument of Python 2 first."""
    connection = connect()
    connection.request("POST", PATH, b"{}")
    with pytest.raises(TypeError):
        connection.getresponse(buffering=True)
    assert expected_body() == connection.getresponse().read()
    assert (expected_body(), "complete") == recorder.recorded_body


def test_request_is_kept_when_a_second_one_is_refused(connect, recorder):
    """The connection has no response to the first one yet."""
    connection = connect()
    connection.request("POST", PATH, b"{}")
    with pytest.raises(http.client.CannotSendRequest):
        connection.request("POST", PATH, b"{}")
    with pytest.raises(http.client.CannotSendHeader):
        connection.endheaders()
    assert expected_body() == connection.getresponse().read()
    assert (expected_body(), "complete", 1) == (
        *recorder.recorded_body,
        recorder.http_call.attempts,
    )


def test_unrecorded_request_does_not_add_to_an_earlier_one(connect, recorder):
    """The program gave the earlier request up."""
    connection = connect()
    connection.request("POST", PATH, b"{}")
    connection.close()
    recorder.recording = False
    connection.request("POST", PATH, b"[]")
    connection.getresponse().read()
    assert [b"{}"] == recorder.http_call.request_body

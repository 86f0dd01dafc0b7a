"""The class `WebSocket` of websocket-client, without a server."""

import types

import pytest

from lupis_instrument._instrumentation.activation import Activation, CurrentCalls
from lupis_instrument._instrumentation.clients.socket_watcher import CALLS
from lupis_instrument._instrumentation.clients.websocket_client import wrap_client


class SSLWantReadError(OSError):
    """As in the module ssl: a socket that does not block has no data yet."""


class Calls:
    """Stands for the calls on a socket: the errors with which they were closed."""

    def __init__(self):
        self.closed = []

    def close(self, error):
        self.closed.append(error)


@pytest.fixture
def make_socket():
    """Makes a wrapped socket whose frames cannot be read."""

    def make_socket(error):
        class WebSocket:
            def recv_frame(self):
                raise error

            connect = send_frame = close = recv_frame

        wrap_client(types.SimpleNamespace(WebSocket=WebSocket), Activation(bool, CurrentCalls()))
        socket = WebSocket()
        vars(socket)[CALLS] = Calls()
        return socket

    return make_socket


@pytest.mark.parametrize("error", [BlockingIOError(), SSLWantReadError()], ids=repr)
def test_a_socket_without_a_frame_stays_open(make_socket, error):
    """A program may ask a socket that does not block again and again."""
    socket = make_socket(error)
    with pytest.raises(type(error)):
        socket.recv_frame()
    assert [] == vars(socket)[CALLS].closed


def test_a_lost_connection_closes_the_calls(make_socket):
    """The program gets the same error."""
    error = ConnectionResetError()
    socket = make_socket(error)
    with pytest.raises(ConnectionResetError):
        socket.recv_frame()
    assert [error] == vars(socket)[CALLS].closed

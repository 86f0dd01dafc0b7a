"""The layers of websockets, without telemetry."""

import asyncio
import sys
import threading
import warnings

import pytest

from lupis_instrument._instrumentation.activation import Activation, CurrentCalls
from lupis_instrument._instrumentation.clients import websockets as adapter
from lupis_instrument._instrumentation.clients import websockets_legacy

pytest.importorskip("websockets.sync.server")


@pytest.fixture
def echo():
    """The port of a server that sends each message back."""
    from websockets.sync.server import serve

    def handle(connection):
        for message in connection:
            connection.send(message)

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def legacy(monkeypatch):
    """The first asyncio client, wrapped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = pytest.importorskip("websockets.legacy.client")
    module = sys.modules["websockets.legacy.protocol"]
    for name in ("write_frame", "read_frame", "close", "connection_lost"):
        monkeypatch.setattr(
            module.WebSocketCommonProtocol, name, getattr(module.WebSocketCommonProtocol, name)
        )
    websockets_legacy.wrap_client(module, Activation(bool, CurrentCalls()))
    return client


def test_reading_the_url_gives_no_warning(legacy, echo):
    """Public attributes with its parts are deprecated."""

    async def talk():
        async with legacy.connect(f"ws://127.0.0.1:{echo}/v1/responses") as socket:
            await socket.send("hello")
            assert "hello" == await socket.recv()
            return websockets_legacy._read_url(socket)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        url = asyncio.run(talk())
    assert f"ws://127.0.0.1:{echo}/v1/responses" == url


def test_a_protocol_without_a_handshake_has_no_path(legacy):
    """Nothing is raised."""

    async def read():
        return websockets_legacy._read_url(legacy.WebSocketClientProtocol())

    assert "ws://:None" == asyncio.run(read())


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ((True, "h", 443, "/a?b"), "wss://h/a?b"),
        ((False, "h", 80, "/"), "ws://h/"),
        ((True, "h", 80, "/"), "wss://h:80/"),
        ((False, "::1", 9, "/"), "ws://[::1]:9/"),
    ],
)
def test_urls_are_written_in_full(parts, url):
    """Without the default port, and with an IPv6 address in brackets."""
    secure, host, port, target = parts
    assert url == adapter.format_url(secure=secure, host=host, port=port, target=target)


@pytest.mark.parametrize(
    ("code", "name"), [(1000, "ConnectionClosedOK"), (1011, "ConnectionClosedError")]
)
def test_the_code_of_a_close_frame_names_the_error(code, name):
    """The program gets an error of the same type."""
    assert name == type(adapter.make_closed_error(code)).__name__

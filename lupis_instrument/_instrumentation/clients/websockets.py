"""websockets: its sans-I/O layer, which the clients for threads, asyncio and trio share.

Messages are seen there without their compression. See `websockets_connections` for the layer above.
Releases before 11 have no client on this layer; see `websockets_legacy`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.clients.socket_spans import connect_tracer
from lupis_instrument._instrumentation.clients.socket_watcher import SocketWatcher
from lupis_instrument._instrumentation.clients.socket_wrapping import read_frame, wrap_send

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._instrumentation.clients.socket_calls import SocketCall

_OK_CODES = (1000, 1001)
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap the methods of `ClientProtocol` that take and give messages."""
    protocol = getattr(module, "ClientProtocol", None)
    if protocol is None:
        return
    watcher = SocketWatcher(activation, read_url)

    def show_message(protocol: Any, data: Any = b"", *_: Any, **__: Any) -> SocketCall | None:
        return watcher.send(protocol, data)

    for name in ("send_text", "send_binary"):
        wrap_send(protocol, name, watcher, show_message)
    _wrap_recv_frame(protocol, watcher)
    _wrap_send_close(protocol, watcher)
    _wrap_receive_eof(protocol, watcher)


def instrument_client(provider: Any, activation: Activation) -> None:
    """Let the wrappers start spans."""
    connect_tracer(provider, activation)


def format_url(*, secure: bool, host: str, port: int, target: str) -> str:
    """Return the URL of a socket, without the password that it may have."""
    scheme = "wss" if secure else "ws"
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}{'' if port == _DEFAULT_PORTS[scheme] else f':{port}'}{target}"


def make_closed_error(code: int = 0) -> BaseException:
    """Return the error that the program gets if the server closes the connection.

    Args:
        code: the code in the server's close frame; 0 where the connection is lost without one.
    """
    from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

    return (ConnectionClosedOK if code in _OK_CODES else ConnectionClosedError)(None, None)


def read_url(protocol: Any) -> str:
    """Return the URL that a protocol object connects to."""
    uri = getattr(protocol, "uri", None) or protocol.wsuri
    return format_url(
        secure=uri.secure, host=uri.host, port=uri.port, target=uri.resource_name
    )  # fmt: skip


def _wrap_recv_frame(protocol: Any, watcher: SocketWatcher) -> None:
    original = protocol.recv_frame

    @functools.wraps(original)
    def recv_frame(self: Any, frame: Any) -> Any:
        read_frame(watcher, self, frame, make_closed_error)
        return original(self, frame)

    protocol.recv_frame = recv_frame


def _wrap_send_close(protocol: Any, watcher: SocketWatcher) -> None:
    original = protocol.send_close

    @functools.wraps(original)
    def send_close(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        watcher.close(self)
        return result

    protocol.send_close = send_close


def _wrap_receive_eof(protocol: Any, watcher: SocketWatcher) -> None:
    original = protocol.receive_eof

    @functools.wraps(original)
    def receive_eof(self: Any) -> Any:
        watcher.close(self, make_closed_error)
        return original(self)

    protocol.receive_eof = receive_eof

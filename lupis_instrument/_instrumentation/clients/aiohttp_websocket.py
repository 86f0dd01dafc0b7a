"""aiohttp's client WebSocket.

The request that opens a socket is an ordinary HTTP call, which the adapter `aiohttp` records.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._instrumentation.clients.socket_spans import connect_tracer
from lupis_instrument._instrumentation.clients.socket_watcher import SocketWatcher
from lupis_instrument._instrumentation.clients.socket_wrapping import wrap_async_send

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._instrumentation.clients.socket_calls import SocketCall

_CLOSING = frozenset(("CLOSE", "CLOSING", "CLOSED"))
_SENDS = ("send_str", "send_bytes")
_RECEIVING = "_lupis_receiving"
"""The attribute of a socket that says whether the program is waiting for a message."""


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap the methods of `ClientWebSocketResponse` that every message passes."""
    socket_class = module.ClientWebSocketResponse
    watcher = SocketWatcher(activation, _read_url)

    def show_message(socket: Any, data: Any = None, *_: Any, **__: Any) -> SocketCall | None:
        is_message = isinstance(data, (str, bytes, bytearray, memoryview))
        return watcher.send(socket, data) if is_message else None

    for name in _SENDS:
        wrap_async_send(socket_class, name, watcher, show_message)
    _wrap_receive(socket_class, watcher)
    _wrap_close(socket_class, watcher)


def instrument_client(provider: Any, activation: Activation) -> None:
    """Let the wrappers start spans."""
    connect_tracer(provider, activation)


def _read_url(socket: Any) -> str:
    url = str(socket._response.url.with_user(None))
    return "ws" + url[len("http") :] if url.startswith("http") else url


def _wrap_receive(socket_class: Any, watcher: SocketWatcher) -> None:
    original = socket_class.receive

    @functools.wraps(original)
    async def receive(self: Any, *args: Any, **kwargs: Any) -> Any:
        state = self.__dict__
        state[_RECEIVING] = True
        try:
            message = await original(self, *args, **kwargs)
        finally:
            state[_RECEIVING] = False
        try:
            _read_message(watcher, self, message)
        except Exception as fault:
            report_fault("reading a message of a WebSocket", fault)
        return message

    socket_class.receive = receive


def _read_message(watcher: SocketWatcher, socket: Any, message: Any) -> None:
    if isinstance(message.data, (str, bytes, bytearray)) and message.type.name in (
        "TEXT",
        "BINARY",
    ):
        watcher.receive(socket, message.data)
    elif message.type.name == "ERROR":
        error = message.data
        watcher.close(socket, lambda: error)
    elif message.type.name in _CLOSING:
        watcher.close(socket, _make_closed_error)


def _make_closed_error() -> BaseException:
    from aiohttp import ServerDisconnectedError

    error: BaseException = ServerDisconnectedError()
    return error


def _wrap_close(socket_class: Any, watcher: SocketWatcher) -> None:
    original = socket_class.close

    @functools.wraps(original)
    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        # `receive` itself calls this where the server closes the socket, after it has set the code.
        if self.close_code is None or not self.__dict__.get(_RECEIVING):
            watcher.close(self)
        return await original(self, *args, **kwargs)

    socket_class.close = close

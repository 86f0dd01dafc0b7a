"""websocket-client, which is imported as `websocket`: frames of its class `WebSocket`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._instrumentation.clients.socket_spans import connect_tracer
from lupis_instrument._instrumentation.clients.socket_watcher import CALLS, SocketWatcher
from lupis_instrument._instrumentation.clients.socket_wrapping import (
    BINARY,
    TEXT,
    read_frame,
    wrap_send,
)

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._instrumentation.clients.socket_calls import SocketCall

_URL = "_lupis_url"
"""The attribute of a socket that holds its URL."""


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap the methods of `WebSocket` that every frame passes."""
    socket_class = module.WebSocket
    watcher = SocketWatcher(activation, lambda socket: socket.__dict__.get(_URL, ""))
    _wrap_connect(socket_class)

    def show_message(socket: Any, frame: Any = None) -> SocketCall | None:
        is_message = getattr(frame, "opcode", None) in (TEXT, BINARY)
        return watcher.send(socket, frame.data) if is_message else None

    wrap_send(socket_class, "send_frame", watcher, show_message)
    _wrap_recv_frame(socket_class, watcher)
    _wrap_close(socket_class, watcher)


def instrument_client(provider: Any, activation: Activation) -> None:
    """Let the wrappers start spans."""
    connect_tracer(provider, activation)


def _wrap_connect(socket_class: Any) -> None:
    original = socket_class.connect

    @functools.wraps(original)
    def connect(self: Any, url: Any, **options: Any) -> Any:
        try:
            self.__dict__.pop(CALLS, None)  # of the connection before
            self.__dict__[_URL] = _remove_password(str(url))
        except Exception as fault:
            report_fault("opening a WebSocket", fault)
        return original(self, url, **options)

    socket_class.connect = connect


def _remove_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    address, slash, path = rest.partition("/")
    return f"{scheme}{separator}{address.rpartition('@')[2]}{slash}{path}"


def _wrap_recv_frame(socket_class: Any, watcher: SocketWatcher) -> None:
    original = socket_class.recv_frame

    @functools.wraps(original)
    def recv_frame(self: Any) -> Any:
        try:
            frame = original(self)
        except Exception as error:
            _close_after(watcher, self, error)
            raise
        read_frame(watcher, self, frame, _make_closed_error)
        return frame

    socket_class.recv_frame = recv_frame


def _close_after(watcher: SocketWatcher, socket: Any, error: Exception) -> None:
    """End the calls on a socket after an error, unless it only says that no frame has come yet."""
    try:
        waits = type(error).__name__.endswith(("TimeoutException", "WantReadError"))
        if not waits and not isinstance(error, BlockingIOError):
            watcher.close(socket, functools.partial(_return_error, error))
    except Exception as fault:
        report_fault("closing a WebSocket", fault)


def _return_error(error: BaseException) -> BaseException:
    # A function of `recv_frame` would hold its frame, and with it the program's socket.
    return error


def _make_closed_error(_code: int) -> BaseException:
    from websocket import WebSocketConnectionClosedException

    error: BaseException = WebSocketConnectionClosedException()
    return error


def _wrap_close(socket_class: Any, watcher: SocketWatcher) -> None:
    original = socket_class.close

    @functools.wraps(original)
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        watcher.close(self)
        return original(self, *args, **kwargs)

    socket_class.close = close

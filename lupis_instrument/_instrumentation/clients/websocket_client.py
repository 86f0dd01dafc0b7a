"""websocket-client, which is imported as `websocket`: frames of its class `WebSocket`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._instrumentation.clients.socket_spans import connect_tracer
from lupis_instrument._instrumentation.clients.socket_watcher import CALLS, SocketWatcher

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation

_TEXT, _BINARY, _CONTINUATION, _CLOSE = 1, 2, 0, 8
_URL = "_lupis_url"
"""The attribute of a socket that holds its URL."""
_ACTION = "reading a frame of a WebSocket"


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap the methods of `WebSocket` that every frame passes."""
    socket_class = module.WebSocket
    watcher = SocketWatcher(activation, lambda socket: socket.__dict__.get(_URL, ""))
    _wrap_connect(socket_class)
    _wrap_send_frame(socket_class, watcher)
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
            report_fault(_ACTION, fault)
        return original(self, url, **options)

    socket_class.connect = connect


def _remove_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    address, slash, path = rest.partition("/")
    return f"{scheme}{separator}{address.rpartition('@')[2]}{slash}{path}"


def _wrap_send_frame(socket_class: Any, watcher: SocketWatcher) -> None:
    original = socket_class.send_frame

    @functools.wraps(original)
    def send_frame(self: Any, frame: Any) -> Any:
        is_message = getattr(frame, "opcode", None) in (_TEXT, _BINARY)
        call = watcher.send(self, frame.data) if is_message else None
        try:
            return original(self, frame)
        except BaseException as error:
            if call is not None:
                watcher.fail(self, call, error)
            raise

    socket_class.send_frame = send_frame


def _wrap_recv_frame(socket_class: Any, watcher: SocketWatcher) -> None:
    original = socket_class.recv_frame

    @functools.wraps(original)
    def recv_frame(self: Any) -> Any:
        try:
            frame = original(self)
        except Exception as error:
            if not _leaves_open(error):
                watcher.close(self, functools.partial(_return_error, error))
            raise
        try:
            _read_frame(watcher, self, frame)
        except Exception as fault:
            report_fault(_ACTION, fault)
        return frame

    socket_class.recv_frame = recv_frame


def _leaves_open(error: Exception) -> bool:
    """Return whether an error only says that no frame has come yet."""
    waits = type(error).__name__.endswith(("TimeoutException", "WantReadError"))
    return waits or isinstance(error, BlockingIOError)


def _return_error(error: BaseException) -> BaseException:
    # A function of `recv_frame` would hold its frame, and with it the program's socket.
    return error


def _read_frame(watcher: SocketWatcher, socket: Any, frame: Any) -> None:
    opcode = frame.opcode
    if opcode in (_TEXT, _BINARY, _CONTINUATION):
        starts = opcode != _CONTINUATION
        watcher.receive(socket, frame.data, starts=starts, ends=bool(frame.fin))
    elif opcode == _CLOSE:
        watcher.close(socket, _make_closed_error)


def _make_closed_error() -> BaseException:
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

"""The wrappers that the adapters of all WebSocket clients share."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable

from lupis_instrument._diagnostics import report_fault
from lupis_instrument.exceptions import LupisError

if TYPE_CHECKING:
    from lupis_instrument._instrumentation.clients.socket_calls import SocketCall
    from lupis_instrument._instrumentation.clients.socket_watcher import SocketWatcher

    ShowMessage = Callable[..., "SocketCall | None"]
    GetSocket = Callable[[Any], Any]

TEXT, BINARY = 1, 2
"""Opcodes of messages: https://www.rfc-editor.org/rfc/rfc6455#section-5.2."""
_CONTINUATION, _CLOSE = 0, 8


def _get_same(socket: Any) -> Any:
    """Return the socket: its own methods are wrapped."""
    return socket


def _show_message(
    show_message: ShowMessage, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> SocketCall | None:
    """Return the call that a message starts; only an error that refuses it reaches the program."""
    try:
        return show_message(owner, *args, **kwargs)
    except LupisError:
        raise
    except Exception as fault:
        report_fault("sending a message on a WebSocket", fault)
        return None


def wrap_send(
    owner: Any,
    name: str,
    watcher: SocketWatcher,
    show_message: ShowMessage,
    get_socket: GetSocket = _get_same,
) -> None:
    """Wrap a method that sends messages: the call that a message starts fails if this raises.

    Args:
        owner: the class.
        name: the name of the method.
        watcher: the client's watcher.
        show_message: takes the arguments of the method, and shows the message to the watcher.
        get_socket: returns the watched socket of an object of the class.
    """
    original = getattr(owner, name)

    @functools.wraps(original)
    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _show_message(show_message, self, args, kwargs)
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            if call is not None:
                watcher.fail(get_socket(self), call, error)
            raise

    setattr(owner, name, send)


def wrap_async_send(
    owner: Any,
    name: str,
    watcher: SocketWatcher,
    show_message: ShowMessage,
    get_socket: GetSocket = _get_same,
) -> None:
    """Wrap a coroutine function that sends messages; see `wrap_send`."""
    original = getattr(owner, name)

    @functools.wraps(original)
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _show_message(show_message, self, args, kwargs)
        try:
            return await original(self, *args, **kwargs)
        except BaseException as error:
            if call is not None:
                watcher.fail(get_socket(self), call, error)
            raise

    setattr(owner, name, send)


def read_frame(
    watcher: SocketWatcher,
    socket: Any,
    frame: Any,
    make_closed_error: Callable[[int], BaseException],
) -> None:
    """Show a frame of the server to the watcher; never raises an error.

    Args:
        watcher: the client's watcher.
        socket: the socket that the frame came from.
        frame: the frame, with its opcode, its data, and whether it ends a message.
        make_closed_error: makes the error that the program gets if the server closes the socket,
            from the code in the server's frame.
    """
    try:
        opcode = frame.opcode
        if opcode in (TEXT, BINARY, _CONTINUATION):
            starts = opcode != _CONTINUATION
            watcher.receive(socket, frame.data, starts=starts, ends=bool(frame.fin))
        elif opcode == _CLOSE:
            code = int.from_bytes(frame.data[:2], "big")
            watcher.close(socket, lambda: make_closed_error(code))
    except Exception as fault:
        report_fault("reading a frame of a WebSocket", fault)

"""websockets: the method by which programs send messages, above the sans-I/O layer.

A call starts here, before the client takes its lock. An error that is raised further down would
close the connection, so the budget refuses a message here.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.clients.socket_spans import connect_tracer
from lupis_instrument._instrumentation.clients.socket_watcher import SocketWatcher
from lupis_instrument._instrumentation.clients.websockets import read_url

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._instrumentation.clients.socket_calls import SocketCall


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap `ClientConnection.send`, a function in `websockets.sync` and a coroutine elsewhere."""
    watcher = SocketWatcher(activation, read_url)
    wrap = _wrap_send if module.__name__ == "websockets.sync.client" else _wrap_async_send
    wrap(module.ClientConnection, watcher)


def instrument_client(provider: Any, activation: Activation) -> None:
    """Let the wrappers start spans."""
    connect_tracer(provider, activation)


def _prepare(
    watcher: SocketWatcher, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> SocketCall | None:
    message = args[0] if args else kwargs.get("message")
    protocol = getattr(connection, "protocol", None)
    if protocol is None or not isinstance(message, (str, bytes, bytearray, memoryview)):
        return None  # a message in fragments is taken by the sans-I/O layer only
    return watcher.send(protocol, message, prepares=True)


def _wrap_send(connection_class: Any, watcher: SocketWatcher) -> None:
    original = connection_class.send

    @functools.wraps(original)
    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _prepare(watcher, self, args, kwargs)
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            if call is not None:
                watcher.fail(self.protocol, call, error)
            raise

    connection_class.send = send


def _wrap_async_send(connection_class: Any, watcher: SocketWatcher) -> None:
    original = connection_class.send

    @functools.wraps(original)
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _prepare(watcher, self, args, kwargs)
        try:
            return await original(self, *args, **kwargs)
        except BaseException as error:
            if call is not None:
                watcher.fail(self.protocol, call, error)
            raise

    connection_class.send = send

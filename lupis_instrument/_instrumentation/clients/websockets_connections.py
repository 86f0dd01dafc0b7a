"""websockets: the method by which programs send messages, above the sans-I/O layer.

A call starts here, before the client takes its lock. An error that is raised further down would
close the connection, so the budget refuses a message here.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.clients.socket_spans import connect_tracer
from lupis_instrument._instrumentation.clients.socket_watcher import SocketWatcher
from lupis_instrument._instrumentation.clients.socket_wrapping import wrap_async_send, wrap_send
from lupis_instrument._instrumentation.clients.websockets import read_url

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._instrumentation.clients.socket_calls import SocketCall


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap `ClientConnection.send`, a function in `websockets.sync` and a coroutine elsewhere."""
    watcher = SocketWatcher(activation, read_url)

    def show_message(connection: Any, message: Any = None, *_: Any, **__: Any) -> SocketCall | None:
        protocol = getattr(connection, "protocol", None)
        if protocol is None or not isinstance(message, (str, bytes, bytearray, memoryview)):
            return None  # a message in fragments is taken by the sans-I/O layer only
        return watcher.send(protocol, message, prepares=True)

    wrap = wrap_send if module.__name__ == "websockets.sync.client" else wrap_async_send
    wrap(module.ClientConnection, "send", watcher, show_message, attrgetter("protocol"))


def instrument_client(provider: Any, activation: Activation) -> None:
    """Let the wrappers start spans."""
    connect_tracer(provider, activation)

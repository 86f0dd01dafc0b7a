"""websockets: its first asyncio client, which was `websockets.connect` before release 14."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.clients.socket_spans import connect_tracer
from lupis_instrument._instrumentation.clients.socket_watcher import SocketWatcher
from lupis_instrument._instrumentation.clients.socket_wrapping import (
    BINARY,
    TEXT,
    read_frame,
    wrap_async_send,
)
from lupis_instrument._instrumentation.clients.websockets import format_url, make_closed_error

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation
    from lupis_instrument._instrumentation.clients.socket_calls import SocketCall


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap the methods of `WebSocketCommonProtocol`, which servers use too."""
    protocol = module.WebSocketCommonProtocol
    watcher = SocketWatcher(activation, _read_url)

    def show_message(
        protocol: Any, _fin: bool = True, opcode: int = 0, data: Any = b"", **_: Any
    ) -> SocketCall | None:
        is_message = protocol.is_client and opcode in (TEXT, BINARY)
        return watcher.send(protocol, data) if is_message else None

    wrap_async_send(protocol, "write_frame", watcher, show_message)
    _wrap_read_frame(protocol, watcher)
    _wrap_close(protocol, watcher)
    _wrap_connection_lost(protocol, watcher)


def instrument_client(provider: Any, activation: Activation) -> None:
    """Let the wrappers start spans."""
    connect_tracer(provider, activation)


def _read_url(protocol: Any) -> str:
    # Releases 10 to 17 have these private attributes; the public ones warn of deprecation.
    secure, host, port = protocol._secure, protocol._host or "", protocol._port
    path = getattr(protocol, "path", "")  # set by the handshake
    return format_url(secure=bool(secure), host=host, port=port, target=path)


def _wrap_read_frame(protocol: Any, watcher: SocketWatcher) -> None:
    original = protocol.read_frame

    @functools.wraps(original)
    async def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame = await original(self, *args, **kwargs)
        if self.is_client:
            read_frame(watcher, self, frame, make_closed_error)
        return frame

    protocol.read_frame = read


def _wrap_close(protocol: Any, watcher: SocketWatcher) -> None:
    original = protocol.close

    @functools.wraps(original)
    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.is_client:
            watcher.close(self)
        return await original(self, *args, **kwargs)

    protocol.close = close


def _wrap_connection_lost(protocol: Any, watcher: SocketWatcher) -> None:
    original = protocol.connection_lost

    @functools.wraps(original)
    def connection_lost(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.is_client:
            watcher.close(self, make_closed_error)
        return original(self, *args, **kwargs)

    protocol.connection_lost = connection_lost

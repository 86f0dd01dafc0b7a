"""websockets: its first asyncio client, which was `websockets.connect` before release 14."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lupis_instrument._instrumentation.clients.socket_spans import connect_tracer
from lupis_instrument._instrumentation.clients.socket_watcher import SocketWatcher
from lupis_instrument._instrumentation.clients.websockets import (
    format_url,
    make_closed_error,
    read_frame,
)

if TYPE_CHECKING:
    from types import ModuleType

    from lupis_instrument._instrumentation.activation import Activation

_MESSAGES = (1, 2)
"""The opcodes of text and binary messages."""


def wrap_client(module: ModuleType, activation: Activation) -> None:
    """Wrap the methods of `WebSocketCommonProtocol`, which servers use too."""
    protocol = module.WebSocketCommonProtocol
    watcher = SocketWatcher(activation, _read_url)
    _wrap_write_frame(protocol, watcher)
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


def _wrap_write_frame(protocol: Any, watcher: SocketWatcher) -> None:
    original = protocol.write_frame

    @functools.wraps(original)
    async def write_frame(self: Any, fin: bool, opcode: int, data: Any, **kwargs: Any) -> Any:
        is_message = self.is_client and opcode in _MESSAGES
        call = watcher.send(self, data) if is_message else None
        try:
            return await original(self, fin, opcode, data, **kwargs)
        except BaseException as error:
            if call is not None:
                watcher.fail(self, call, error)
            raise

    protocol.write_frame = write_frame


def _wrap_read_frame(protocol: Any, watcher: SocketWatcher) -> None:
    original = protocol.read_frame

    @functools.wraps(original)
    async def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame = await original(self, *args, **kwargs)
        if self.is_client:
            read_frame(watcher, self, frame)
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

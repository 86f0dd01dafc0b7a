"""The HTTP and WebSocket clients that can be instrumented, a row for each layer.

This is the only list of clients: the settings `LUPIS_INSTRUMENT` and
`LUPIS_DISABLED_INSTRUMENTATIONS`, the import hook and `lupis doctor` read it. Every start of Python
below `lupis-run` imports this module, so it imports nothing.
"""

from __future__ import annotations


class Client:
    """One client library, or one layer of it.

    Attributes:
        name: the client's name in the settings.
        module: the module whose import shows that the program may use the client.
        adapter: the dotted name of the module that knows the client. It has the functions
            `wrap_client(module, activation)`, which wraps the client's methods, and
            `instrument_client(provider, activation)`, which puts an instrumentor behind them.
        distribution: the name of the package to install; empty for the standard library.
    """

    __slots__ = ("adapter", "distribution", "module", "name")

    def __init__(self, name: str, module: str, adapter: str, distribution: str) -> None:
        self.name = name
        self.module = module
        self.adapter = "lupis_instrument._instrumentation.clients." + adapter
        self.distribution = distribution


CLIENTS = (
    Client("requests", "requests", "requests", "requests"),
    Client("urllib3", "urllib3.connectionpool", "urllib3", "urllib3"),
    Client("http.client", "http.client", "http_client", ""),
    Client("httpx", "httpx", "httpx", "httpx"),
    Client("httpx", "httpx2", "httpx2", "httpx2"),
    Client("aiohttp", "aiohttp", "aiohttp", "aiohttp"),
    Client("aiohttp", "aiohttp.client_ws", "aiohttp_websocket", "aiohttp"),
    Client("websockets", "websockets.client", "websockets", "websockets"),
    Client("websockets", "websockets.sync.client", "websockets_connections", "websockets"),
    Client("websockets", "websockets.asyncio.client", "websockets_connections", "websockets"),
    Client("websockets", "websockets.trio.client", "websockets_connections", "websockets"),
    Client("websockets", "websockets.legacy.protocol", "websockets_legacy", "websockets"),
    Client("websocket-client", "websocket._core", "websocket_client", "websocket-client"),
)

CLIENT_NAMES = tuple(dict.fromkeys(client.name for client in CLIENTS))
"""The names that the settings know; httpx and httpx2 share one, as do the layers of a client."""

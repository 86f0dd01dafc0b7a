"""The HTTP clients that can be instrumented, and what servers may be: a row each.

Imported while the program starts, so it must stay free of imports.
"""

from __future__ import annotations


class Client:
    """One HTTP client library.

    Attributes:
        name: the word of `LUPIS_INSTRUMENT` and `LUPIS_DISABLED_INSTRUMENTATIONS`.
        module: importing this module means the program may use the client.
        adapter: the module of ours that knows the client; it offers `attach(module, gate)`, which
            wraps the client's wire, and `instrument(provider, gate)`, which lays the instrumentor
            around it.
        distribution: what to install for the client to be there.
    """

    __slots__ = ("adapter", "distribution", "module", "name")

    def __init__(self, name: str, module: str, adapter: str, distribution: str) -> None:
        self.name = name
        self.module = module
        self.adapter = "lupis_instrument._instrumentation.clients." + adapter
        self.distribution = distribution


SERVERS = ("opentelemetry.instrumentation.asgi", "opentelemetry.instrumentation.wsgi")
"""Modules of the instrumentors by which a program takes up the chat id of an incoming request.

Those of Flask, FastAPI and Django are built on these.
"""

CLIENTS = (
    Client("requests", "requests", "requests", "requests"),
    Client("urllib3", "urllib3.connectionpool", "urllib3", "urllib3"),
    Client("http.client", "http.client", "http_client", ""),
    Client("httpx", "httpx", "httpx", "httpx"),
    Client("httpx", "httpx2", "httpx2", "httpx2"),
    Client("aiohttp", "aiohttp", "aiohttp", "aiohttp"),
)

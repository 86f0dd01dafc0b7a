"""http.client and sockets as Python ships them, whatever other packages have changed in them.

Tracers and test tools (vcrpy, httpretty, pytest-socket) patch the classes that programs import, or
replace them. Telemetry must not pass through such patches: it is not part of the program's traffic,
and it may carry the user's API key.
"""

from __future__ import annotations

import _socket
import http
import socket
from functools import lru_cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

_HTTP_CLIENT = "http.client"
_TEST_TOOLS = frozenset(("httpretty", "mocket", "pytest_socket"))
"""Packages that replace Python's sockets, for tests without a network.

Sockets of gevent, eventlet and PySocks stay in use: the program needs them too.
"""
_REPLACED_NAMES = ("socket", "create_connection", "getaddrinfo")


def load_http_client() -> Any:
    """Return a second copy of `http.client` that no other package can find.

    Where there is no file to load it from, as in a frozen program, return the module itself.
    """
    module = _load_copy()
    if module is not _load_original():
        module.socket = find_sockets()
    return module


def _load_original() -> Any:
    return import_module(_HTTP_CLIENT)


@lru_cache(maxsize=None)
def _load_copy() -> Any:
    # By the path alone: import hooks of other packages may not find the original file.
    spec = PathFinder.find_spec(_HTTP_CLIENT, http.__path__)
    if spec is None or spec.loader is None:
        return _load_original()
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_sockets() -> Any:
    """Return the module `socket`, or a stand-in where a test tool has changed it."""
    if not any(map(_is_replaced, _REPLACED_NAMES)):
        return socket
    classes: list[Any] = _socket.socket.__subclasses__()
    original = next((cls for cls in classes if cls.__module__ == "socket"), None)
    return socket if original is None else _make_socket_module(original)


def _is_replaced(name: str) -> bool:
    module = getattr(getattr(socket, name), "__module__", None) or ""
    return module.partition(".")[0] in _TEST_TOOLS


@lru_cache(maxsize=None)
def _make_socket_module(socket_class: Any) -> Any:
    """Return a module like `socket` whose sockets are of Python's own class."""

    def create_connection(
        address: tuple[str, int], timeout: float | None = None, _source: Any = None
    ) -> Any:
        error: OSError = OSError("the host has no address")
        for family, kind, protocol, _, peer in _socket.getaddrinfo(
            *address, 0, _socket.SOCK_STREAM
        ):
            connection = socket_class(family, kind, protocol)
            try:
                connection.settimeout(timeout)
                _socket.socket.connect(connection, peer)  # a tool may have patched the subclass
            except OSError as fault:
                connection.close()
                error = fault
            else:
                return connection
        raise error

    module = ModuleType("socket")
    replaced = {"socket": socket_class, "create_connection": create_connection}
    vars(module).update({**vars(socket), **replaced})
    return module

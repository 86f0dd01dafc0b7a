"""http.client and sockets as Python brings them along, whatever others have made of them.

Tracers and test tools (vcrpy, httpretty, pytest-socket) lay functions of theirs into the classes
that programs import, or others in their place. What we send is none of their business, and may
carry the user's key.
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

_NAME = "http.client"
_TOOLS = frozenset(("httpretty", "mocket", "pytest_socket"))
"""Packages that put sockets of theirs in the place of Python's, for tests without a network.

Through those of gevent, eventlet or PySocks we go as the program does.
"""
_REPLACED = ("socket", "create_connection", "getaddrinfo")


def client() -> Any:
    """Return a second copy of http.client, which nobody else can find.

    Where there is no file to load it from, as in a program frozen into one, it is the first.
    """
    module = _copy()
    if module is not _original():
        module.socket = sockets()
    return module


def _original() -> Any:
    return import_module(_NAME)


@lru_cache(maxsize=None)
def _copy() -> Any:
    # By the path alone: finders that others have put before it may not find the original.
    spec = PathFinder.find_spec(_NAME, http.__path__)
    if spec is None or spec.loader is None:
        return _original()
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sockets() -> Any:
    """Return the module `socket`, or one like it where a test tool has changed that."""
    if not any(map(_is_tools, _REPLACED)):
        return socket
    kinds: list[Any] = _socket.socket.__subclasses__()
    own = next((each for each in kinds if each.__module__ == "socket"), None)
    return socket if own is None else _sockets_of(own)


def _is_tools(name: str) -> bool:
    module = getattr(getattr(socket, name), "__module__", None) or ""
    return module.partition(".")[0] in _TOOLS


@lru_cache(maxsize=None)
def _sockets_of(kind: Any) -> Any:
    """Return a module like `socket` whose sockets are of Python's own class, `kind`."""

    def create_connection(
        address: tuple[str, int], timeout: float | None = None, _source: Any = None
    ) -> Any:
        error: OSError = OSError("the host has no address")
        for family, of_type, protocol, _, place in _socket.getaddrinfo(
            *address, 0, _socket.SOCK_STREAM
        ):
            made = kind(family, of_type, protocol)
            try:
                made.settimeout(timeout)
                _socket.socket.connect(made, place)  # a tool may have put one into the class
            except OSError as fault:
                made.close()
                error = fault
            else:
                return made
        raise error

    module = ModuleType("socket")
    vars(module).update({**vars(socket), "socket": kind, "create_connection": create_connection})
    return module

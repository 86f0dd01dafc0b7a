"""http.client and sockets as Python ships them, whatever other packages have changed in them.

Tracers, test tools (vcrpy, httpretty, pytest-socket), gevent and eventlet patch the classes that
programs import, or replace them. Telemetry must not pass through such patches: it is not part of
the program's traffic, and it may carry the user's API key.

The sockets have an absolute time limit. A socket's own timeout limits the wait for the next byte,
so that an endpoint which sends a byte now and then would hold its caller without end. From Python
3.12 on, the caller may be the main thread at the end of the process.
"""

from __future__ import annotations

import _socket
import http
import socket
from functools import lru_cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from io import BufferedReader, RawIOBase
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from contextlib import ExitStack

_HTTP_CLIENT = "http.client"
_REPLACING_PACKAGES = frozenset(("eventlet", "gevent", "httpretty", "mocket", "pytest_socket"))
"""Packages that replace Python's sockets, for greenlets or for tests without a network.

Requests are sent on threads of the operating system, where sockets for greenlets would start an
event loop. Sockets of PySocks stay in use: the program may reach no network without them.
"""
_MIN_SECONDS = 0.001  # a timeout of 0 would make the socket non-blocking
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
    """Return the module `socket`, or a stand-in where a package has changed it."""
    if not any(map(_is_replaced, _REPLACED_NAMES)):
        return socket
    classes: list[Any] = _socket.socket.__subclasses__()
    original = next((cls for cls in classes if cls.__module__ == "socket"), None)
    return socket if original is None else _make_socket_module(original)


def _is_replaced(name: str) -> bool:
    module = getattr(getattr(socket, name), "__module__", None) or ""
    return module.partition(".")[0] in _REPLACING_PACKAGES


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
    replaced = {
        "socket": socket_class,
        "create_connection": create_connection,
        "getaddrinfo": _socket.getaddrinfo,
    }
    vars(module).update({**vars(socket), **replaced})
    return module


def _connect_socket(address: tuple[Any, ...], seconds: float) -> Any:
    """Return a socket that is connected to an address.

    Args:
        address: an address that `getaddrinfo` has returned.
        seconds: the time limit.

    Raises:
        OSError: the address cannot be reached in time.
    """
    sockets = find_sockets()
    family, kind, protocol, _, peer = address
    connection = sockets.socket(family, kind, protocol)
    try:
        connection.settimeout(seconds)
        if sockets is socket:
            connection.connect(peer)
        else:
            _socket.socket.connect(connection, peer)  # a tool may have patched the subclass
    except BaseException:
        connection.close()
        raise
    return connection


def look_up_host(host: str, port: int) -> list[Any]:
    """Return the addresses of a host, as `getaddrinfo` does; this may take long.

    Raises:
        OSError, UnicodeError: there is no such host.
    """
    addresses: list[Any] = find_sockets().getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    return addresses


def parse_address(host: str, port: int) -> list[Any]:
    """Return the address that `host` gives in digits; nothing if it is a name."""
    try:
        return _socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []


# Sockets with a time limit


def seconds_until(due: float) -> float:
    """Return the seconds until `due`, a time of `monotonic`.

    Raises:
        TimeoutError: it has passed.
    """
    seconds = due - monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return max(seconds, _MIN_SECONDS)


class TimedSocket:
    """A connected socket as http.client uses it; each call ends at the time `due`."""

    def __init__(self, connection: Any, due: float) -> None:
        """Wrap a socket.

        Args:
            connection: the socket; its owner closes it.
            due: the time, by `monotonic`, at which every call raises TimeoutError.
        """
        self._connection = connection
        self._due = due

    def sendall(self, data: Any) -> None:
        """Send all bytes. `sendall` of a TLS socket would start its timeout anew with each part."""
        view = memoryview(data)
        while view:
            self._connection.settimeout(seconds_until(self._due))
            view = view[self._connection.send(view) :]

    def makefile(self, _mode: str, *_: Any) -> BufferedReader:
        """Return a file that reads from the socket."""
        return BufferedReader(_TimedReader(self.read_into))

    def read_into(self, buffer: memoryview) -> int:
        """Receive some bytes; returns their number, 0 at the end."""
        self._connection.settimeout(seconds_until(self._due))
        received: int = self._connection.recv_into(buffer)
        return received

    def close(self) -> None:
        """Do nothing: http.client closes the connection while a response is still being read."""


class _TimedReader(RawIOBase):
    def __init__(self, read_into: Callable[[memoryview], int]) -> None:
        self._read_into = read_into

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._read_into(buffer)


def open_socket(addresses: list[Any], due: float, stack: ExitStack) -> Any:
    """Return a socket that is connected to one of `addresses`; each gets a part of the time.

    Args:
        addresses: results of `getaddrinfo`.
        due: the time, by `monotonic`, at which the attempts end.
        stack: closes the socket.

    Raises:
        OSError: no address can be reached.
    """
    error: OSError = OSError("the host has no address")
    for index, address in enumerate(addresses):
        seconds = seconds_until(due) / (len(addresses) - index)
        try:
            return stack.enter_context(_connect_socket(address, seconds))
        except OSError as fault:
            error = fault
    raise error

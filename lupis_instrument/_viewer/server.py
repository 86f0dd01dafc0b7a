"""The server of `lupis ui`: a thread for each connection, and a limit for their number."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from lupis_instrument._diagnostics import report_fault
from lupis_instrument._viewer.handler import Handler

if TYPE_CHECKING:
    from lupis_instrument._viewer.viewer import Viewer

MAX_CONNECTIONS = 256
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)
_GONE = (ConnectionError, TimeoutError, socket.timeout)
"""Errors of a client that has left."""


class _StopRequested(Exception):  # noqa: N818 - no error
    """Ends the loop of a server."""


class ViewerServer(ThreadingHTTPServer):
    """A server at one port.

    Attributes:
        viewer: the parts that all servers share.
        has_pages: whether it serves the page and its API, not the receiver alone.
    """

    allow_reuse_address = os.name == "posix"  # on Windows, it would share the port with others
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, viewer: Viewer, port: int, *, has_pages: bool = True) -> None:
        """Listen at a port.

        Args:
            viewer: the parts that all servers share.
            port: the port; 0 for any free one.
            has_pages: whether to serve the page, not the receiver alone.

        Raises:
            OSError: the port is in use, or the address is not of this machine.
        """
        self.viewer = viewer
        self.has_pages = has_pages
        self._connections = BoundedSemaphore(MAX_CONNECTIONS)
        self._stops = False
        if ":" in viewer.host:
            self.address_family = socket.AF_INET6
        super().__init__((viewer.host, port), Handler)

    @property
    def port(self) -> int:
        """Return the port, which the system has chosen for port 0."""
        return int(self.server_address[1])

    def serve_until_stopped(self) -> None:
        """Serve until `request_stop`, for half a second longer at most."""
        with suppress(_StopRequested):
            self.serve_forever()

    def request_stop(self, *_: Any) -> None:
        """Let `serve_until_stopped` return; this can be the handler of a signal.

        An exception that a handler raises may come while a thread starts, and be lost there.
        """
        self._stops = True

    def service_actions(self) -> None:
        """End the loop between two requests."""
        if self._stops:
            raise _StopRequested

    def server_bind(self) -> None:
        """Bind the socket, without the look-up of a name that the base class makes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.viewer.host, self.port

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection; answer 503 if there are too many."""
        if self._connections.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except BaseException:
                self._connections.release()
                raise
            return
        try:
            request.settimeout(1.0)
            request.sendall(_BUSY)
        except OSError:
            pass  # the client has left
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection until one side closes it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the base class calls it
        """Report an error of this package; a client that has left is none."""
        import sys

        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, _GONE):
            report_fault("answering a request", error)

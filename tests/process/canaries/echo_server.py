"""A provider that refuses each request, and quotes its headers and body in the response."""

from __future__ import annotations

import contextlib
import json
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Iterator

CLIENT_HEADERS = frozenset(
    (
        "accept",
        "accept-encoding",
        "authorization",
        "baggage",
        "connection",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "user-agent",
    )
)


class Handler(BaseHTTPRequestHandler):
    """Answers with status 401; headers and body quote the headers that the program added."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60

    def do_POST(self) -> None:
        """Refuses a request and quotes it."""
        request = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.seen += 1  # type: ignore[attr-defined]
        quoted = [pair for pair in self.headers.items() if pair[0].lower() not in CLIENT_HEADERS]
        message = f"Incorrect API key provided: {self.headers.get('authorization')}"
        body = json.dumps(
            {"error": {"message": message, "quoted": quoted, "body": request.decode()}}
        )
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in quoted:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Keeps stderr free of the log of requests."""


class EchoServer(socketserver.ThreadingTCPServer):
    """The server: `.host` with its port, and `.seen`, the number of requests."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.seen = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores a client that closes its connection."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def echoing() -> Iterator[EchoServer]:
    """Runs a server in this process."""
    with EchoServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()

"""A provider that refuses every request, and says back what it should not have been told."""

from __future__ import annotations

import contextlib
import json
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Iterator

CLIENTS_OWN = frozenset(
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
    """Answers with status 401; headers and body quote the headers that the client did not add."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60

    def do_POST(self) -> None:
        """Answers."""
        request = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.seen += 1  # type: ignore[attr-defined]
        said = [pair for pair in self.headers.items() if pair[0].lower() not in CLIENTS_OWN]
        wrong = f"Incorrect API key provided: {self.headers.get('authorization')}"
        body = json.dumps({"error": {"message": wrong, "said": said, "body": request.decode()}})
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in said:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class Echo(socketserver.ThreadingTCPServer):
    """The server: `.url`, and `.seen`, the number of requests."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.seen = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leaves a client that hung up alone."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def echoing() -> Iterator[Echo]:
    """Runs a server in this process."""
    with Echo() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()

"""An HTTP server; the query of a request selects the framing, pace and faults of the response.

For example `/v1/chat/completions?form=stream&framing=chunked&gzip=1&pause=0.1`. Other paths have
the same responses, but are no LLM APIs; `BY_PATH` lists the exceptions.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socketserver
import sys
import threading
from typing import Any, Dict, Iterator
from urllib.parse import parse_qsl, urlsplit

MODEL = "test-model"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
TOKENS = (11, 7)

ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [{"type": "text", "text": "one two"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 11, "output_tokens": 7},
}
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "one two"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18},
    "metrics": {"latencyMs": 1},
}
BY_PATH = {"/v1/messages": ANTHROPIC, "/converse": BEDROCK}
"""The responses of other APIs than OpenAI's, by the end of the path."""

Query = Dict[str, str]


def build_pieces(query: Query, path: str = "") -> list[bytes]:
    """Returns the body that the query selects, in the pieces in which it is sent."""
    head = {"id": "chatcmpl-1", "model": MODEL, "created": 1}
    for end, answer in BY_PATH.items():
        if path.endswith(end):
            return [json.dumps(answer).encode()]
    if query.get("form") == "empty":
        return []
    if query.get("form") == "stream":
        words = [
            {**head, "object": "chat.completion.chunk", "choices": [build_choice("delta", word)]}
            for word in ("one ", "two ", "three ", "four ")
        ]
        last = {**head, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
        texts = [*map(json.dumps, [*words, last]), "[DONE]"]
        return [f"data: {text}\n\n".encode() for text in texts]
    answer = {**head, "object": "chat.completion", "choices": [build_choice("message", "one two")]}
    data = json.dumps({**answer, "usage": USAGE}).encode()
    return [data[start : start + 100] for start in range(0, len(data), 100)]


def build_choice(key: str, text: str) -> dict[str, Any]:
    """Returns a choice of a completion, with the text under `key`."""
    return {"index": 0, key: {"role": "assistant", "content": text}, "finish_reason": "stop"}


class Handler(socketserver.StreamRequestHandler):
    """Answers the requests of one connection."""

    disable_nagle_algorithm = True
    server: Wire

    def handle(self) -> None:
        """Answers requests until the client or the server closes the connection."""
        self.number = self.server.count_connection()
        while self.answer_request():
            pass

    def answer_request(self) -> bool:
        """Answers one request; returns False if the connection must be closed."""
        line = self.rfile.readline().decode("latin-1")
        if not line.strip():
            return False
        method, target, _ = line.split(" ", 2)
        headers = self.read_headers()
        body = self.read_body(headers)
        self.server.seen.append((method, target, headers, body))
        query = dict(parse_qsl(urlsplit(target).query))
        if "drop" in query:
            return False
        if self.server.is_busy(query):
            self.send_head("503 Busy", {"content-length": "4", "retry-after": "0"})
            self.wfile.write(b"busy")
            return True
        if "redirect" in query:
            origin = query["redirect"] if query["redirect"].startswith("http") else ""
            location = origin + target.replace("redirect=", "redirected=")
            self.send_head("307 Elsewhere", {"content-length": "0", "location": location})
            return True
        return self.send_answer(method, target, query)

    def read_headers(self) -> dict[str, str]:
        """Reads the request's headers; their names are in lower case."""
        headers = {}
        while True:
            name, colon, value = self.rfile.readline().decode("latin-1").partition(":")
            if not colon:
                return headers
            headers[name.lower()] = value.strip()

    def read_body(self, headers: dict[str, str]) -> bytes:
        """Reads the request's body, chunked or with a length; a client may stop in the middle."""
        if headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        body = b""
        while True:
            size = int(self.rfile.readline() or b"0", 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if not size:
                return body

    def send_head(self, status: str, headers: dict[str, str]) -> None:
        """Sends the status line and headers; `x-connection` is the number of the connection."""
        lines = [f"HTTP/1.1 {status}", f"x-connection: {self.number}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def send_answer(self, method: str, target: str, query: Query) -> bool:
        """Sends head and body as the query selects; returns False to close the connection."""
        status = query.get("status", "200")
        if status == "204":
            self.send_head("204 Nothing", {})
            return True
        pieces = build_pieces(query, urlsplit(target).path)
        kind = "text/event-stream" if query.get("form") == "stream" else "application/json"
        headers = {"content-type": kind}
        if "gzip" in query:
            headers["content-encoding"] = "gzip"
            packed = gzip.compress(b"".join(pieces))
            pieces = [packed[start : start + 40] for start in range(0, len(packed), 40)]
        framing = query.get("framing", "length")
        if framing == "length":
            headers["content-length"] = str(sum(map(len, pieces)))
        elif framing == "chunked":
            headers["transfer-encoding"] = "chunked"
        else:
            headers["connection"] = "close"
        self.send_head(f"{status} Said", headers)
        if method != "HEAD":
            return self.send_pieces(pieces, query, framing)
        return framing != "close"

    def send_pieces(self, pieces: list[bytes], query: Query, framing: str) -> bool:
        """Sends a body, or the part of it that the query selects."""
        spoiled = "cut" in query or "hang" in query
        for piece in pieces[: len(pieces) // 2] if spoiled else pieces:
            self.server.ended.wait(float(query.get("pause", 0)))
            chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" else piece
            self.wfile.write(chunk)
        if "hang" in query:
            self.server.ended.wait(60)
        if spoiled:
            # Ends within a piece, and within a chunk.
            self.wfile.write(b"fff\r\ndata" if framing == "chunked" else b"{")
            return False
        if "garbled" in query:
            self.wfile.write(b"nonsense\r\n")
            return False
        if framing == "chunked":
            self.wfile.write(b"0\r\nx-trailer: 1\r\n\r\n" if "trailer" in query else b"0\r\n\r\n")
        return framing != "close"


class Wire(socketserver.ThreadingTCPServer):
    """The server: `.url`, and `.seen`, the (method, target, headers, body) of each request."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.seen: list[Any] = []
        self.connections = 0
        self.refusals: dict[str, int] = {}
        self.lock = threading.Lock()
        self.ended = threading.Event()

    def count_connection(self) -> int:
        """Returns the number of a new connection, counted from 1."""
        with self.lock:
            self.connections += 1
            return self.connections

    def is_busy(self, query: Query) -> bool:
        """Returns whether this is one of the first `busy` requests of its `case`."""
        with self.lock:
            times = self.refusals.get(query.get("case", ""), 0)
            if times >= int(query.get("busy", 0)):
                return False
            self.refusals[query.get("case", "")] = times + 1
            return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores a client that closes its connection."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def serving() -> Iterator[Wire]:
    """Runs a server in this process."""
    with Wire() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()

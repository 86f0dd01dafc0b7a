"""A fake LLM provider on this machine: no account, no network, no cost.

It answers in the wire formats of OpenAI (chat completions, responses, embeddings), Anthropic
(messages) and Gemini (generateContent, streamGenerateContent, embedContent), as JSON or as a
stream. The answers and the token counts are made up, but the same request always gets the same
answer and the same counts. A request that offers tools gets a tool call first, and a text after it
has sent the tool's result.

    python examples/fake_llm.py --port 8080                  # then LLM_BASE_URL=http://127.0.0.1:8080
    python examples/fake_llm.py --port 0 --port-file port    # a free port, written to a file

    with fake_llm.serving() as url: ...                      # inside a program
    with fake_llm.base_url() as url: ...                     # the same, unless LLM_BASE_URL is set

Models in FAULTS fail: "always-busy" answers with status 429. "always-cut" hangs up half-way.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import re
import socketserver
import sys
import threading
import time
import zlib
from collections import deque
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

from fake_wire import anthropic, gemini, openai
from fake_wire.replies import FAULTS, Fault, Reply

CUT = "always-cut"


class Route(NamedTuple):
    """An endpoint of a provider.

    Attributes:
        path: a regular expression for the whole path.
        answer: makes the reply to a request from its body and its path.
        error: makes the body of an error in the provider's format.
    """

    path: str
    answer: Callable[[dict[str, Any], str], Reply]
    error: Callable[[Fault, str], dict[str, Any]]


ROUTES = (
    Route(r"/v1/chat/completions", openai.chat, openai.error),
    Route(r"/v1/responses", openai.responses, openai.error),
    Route(r"/v1/embeddings", openai.embeddings, openai.error),
    Route(r"/v1/messages", anthropic.messages, anthropic.error),
    Route(r"/v1/messages/count_tokens", anthropic.count, anthropic.error),
    Route(r"/v1(beta)?/models/[^:]+:generateContent", gemini.generate, gemini.error),
    Route(r"/v1(beta)?/models/[^:]+:streamGenerateContent", gemini.stream, gemini.error),
    Route(r"/v1(beta)?/models/[^:]+:embedContent", gemini.embed, gemini.error),
    Route(r"/v1(beta)?/models/[^:]+:batchEmbedContents", gemini.embed_many, gemini.error),
    Route(r"/v1(beta)?/models/[^:]+:countTokens", gemini.count, gemini.error),
)


def reply_to(path: str, body: dict[str, Any]) -> Reply:
    """Return the reply to a request."""
    route = next((row for row in ROUTES if re.fullmatch(row.path, path.partition("?")[0])), None)
    if route is None:
        known = ", ".join(row.path for row in ROUTES)
        fault = FAULTS["always-missing"]
        return Reply(openai.error(fault, f"{path!r} is none of: {known}"), status=404)
    model = find_model(path, body)
    if model in FAULTS:
        message = f"{model} always answers with status {FAULTS[model].status}."
        return Reply(route.error(FAULTS[model], message), status=FAULTS[model].status)
    try:
        return route.answer(body, path)
    except (KeyError, TypeError, AttributeError) as error:
        invalid = Fault(400, "invalid_request_error", "INVALID_ARGUMENT")
        return Reply(route.error(invalid, f"Not a request to {path!r}: {error!r}"), status=400)


def find_model(path: str, body: dict[str, Any]) -> str:
    """Return the requested model, which is in the path or in the body."""
    return gemini.find_model(path) or str(body.get("model"))


class ReceivedRequest(NamedTuple):
    """A request that the server has received.

    Attributes:
        path: its path, with the query.
        headers: its headers; the names are in lower case.
        body: its body.
    """

    path: str
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """Reads a request and writes the reply."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # send the headers and the body of a short reply in one packet
    timeout = 60
    server: Server

    def do_POST(self) -> None:
        """Reply to a request to any of `ROUTES`."""
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(ReceivedRequest(self.path, headers, raw))
        body = json.loads(raw or b"{}")
        reply = reply_to(self.path, body)
        self.is_cut = find_model(self.path, body) == CUT
        self.gzips = "gzip" in headers.get("accept-encoding", "")
        time.sleep(self.server.delay)
        self.send_stream(reply) if reply.stream is not None else self.send_json(reply)

    def send_head(self, reply: Reply, **headers: str) -> None:
        """Send the status and the headers."""
        self.send_response(reply.status)
        self.send_header("content-type", reply.content_type)
        self.send_header("x-request-id", f"req_{len(self.server.seen)}")
        if reply.status in {429, 503}:
            self.send_header("retry-after", "1")
        if self.gzips:
            self.send_header("content-encoding", "gzip")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send_json(self, reply: Reply) -> None:
        """Send a JSON reply in one piece."""
        data = json.dumps(reply.body).encode()
        data = gzip.compress(data, 6) if self.gzips else data
        self.send_head(reply, content_length=str(len(data)))
        self.wfile.write(data[: len(data) // 2] if self.is_cut else data)
        self.close_connection |= self.is_cut

    def send_stream(self, reply: Reply) -> None:
        """Send a reply piece by piece, with a delay after each."""
        self.send_head(reply, transfer_encoding="chunked", cache_control="no-cache")
        pieces = list(reply.stream or ())
        compressor = zlib.compressobj(wbits=31) if self.gzips else None
        for piece in pieces[: len(pieces) // 2] if self.is_cut else pieces:
            if compressor:
                self.send_chunk(compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH))
            else:
                self.send_chunk(piece)
            time.sleep(self.server.delay)
        if self.is_cut:
            self.close_connection = True
            return
        if compressor:
            self.send_chunk(compressor.flush())
        self.wfile.write(b"0\r\n\r\n")

    def send_chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked body."""
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Log nothing, so that the terminal shows only the output of the program."""


class Server(socketserver.ThreadingTCPServer):
    """The fake provider; `listening` starts and stops it.

    Attributes:
        url: its address.
        delay: seconds before a reply and after each piece of a stream.
        seen: the last 1,000 received requests.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str = "127.0.0.1", port: int = 0, delay: float = 0.0) -> None:
        super().__init__((host, port), Handler)
        self.url = f"http://{host}:{self.server_address[1]}"
        self.delay = delay
        self.seen: deque[ReceivedRequest] = deque(maxlen=1000)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that has hung up, which it may do at any time."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def listening(delay: float = 0.0) -> Iterator[Server]:
    """Run the fake provider in this process, and yield its server.

    Args:
        delay: seconds before a reply and after each piece of a stream.
    """
    with Server(delay=delay) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@contextlib.contextmanager
def serving(delay: float = 0.0) -> Iterator[str]:
    """Run the fake provider in this process, and yield its address."""
    with listening(delay) as server:
        yield server.url


@contextlib.contextmanager
def base_url(delay: float = 0.0) -> Iterator[str]:
    """Yield LLM_BASE_URL if it is set, else the address of a fake provider in this process."""
    if os.environ.get("LLM_BASE_URL"):
        yield os.environ["LLM_BASE_URL"].rstrip("/")
        return
    for name in ("no_proxy", "NO_PROXY"):  # no proxy can reach a server on this machine
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))
    with serving(delay) as url:
        yield url


def write_port(port: int, file: Path) -> None:
    """Write the port to a file in one step, so that no reader sees half of it."""
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(str(port), encoding="ascii")
    draft.replace(file)


def main() -> None:
    """Run the fake provider until it is interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 picks a free port")
    parser.add_argument("--port-file", help="write the port to this file when the server listens")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each piece")
    options = parser.parse_args()
    with Server(options.host, options.port, options.delay) as server:
        if options.port_file:
            write_port(server.server_address[1], Path(options.port_file))
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()

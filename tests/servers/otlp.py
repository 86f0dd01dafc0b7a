"""A collector for tests: it keeps the items that it receives, and can misbehave on purpose."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import socket
import socketserver
import struct
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler
from typing import Any, Callable, Dict, Iterator, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

Record = Dict[str, Any]


def value_of(value: Any) -> Any:
    """Return the Python value of an OTLP AnyValue."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def attributes_of(pairs: Any) -> Record:
    """Return OTLP key-value pairs as a dict."""
    return {pair.key: value_of(pair.value) for pair in pairs}


def origin_of(owner: Any, group: Any) -> Record:
    """Return the resource and the scope that spans or log records share."""
    return {
        "resource": attributes_of(owner.resource.attributes),
        "scope": {"name": group.scope.name, "version": group.scope.version},
    }


def span_of(span: Any) -> Record:
    """Return a span as a dict: ids in hex, times in nanoseconds, kind and status by name."""
    return {
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).replace("SPAN_KIND_", ""),
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() or None,
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "status": Status.StatusCode.Name(span.status.code).replace("STATUS_CODE_", ""),
        "status_message": span.status.message,
        "attributes": attributes_of(span.attributes),
        "events": [
            {
                "name": event.name,
                "time": event.time_unix_nano,
                "attributes": attributes_of(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": attributes_of(link.attributes),
            }
            for link in span.links
        ],
    }


def log_of(log: Any) -> Record:
    """Return a log record as a dict, with its time in nanoseconds."""
    return {
        "name": getattr(log, "event_name", ""),
        "time": log.time_unix_nano,
        "body": value_of(log.body),
        "attributes": attributes_of(log.attributes),
        "trace_id": log.trace_id.hex() or None,
        "span_id": log.span_id.hex() or None,
    }


def read_spans(body: bytes) -> list[Record]:
    """Return the spans in an OTLP export request."""
    return [
        {**span_of(span), **origin_of(owner, group)}
        for owner in ExportTraceServiceRequest.FromString(body).resource_spans
        for group in owner.scope_spans
        for span in group.spans
    ]


def read_logs(body: bytes) -> list[Record]:
    """Return the log records in an OTLP export request."""
    return [
        {**log_of(log), **origin_of(owner, group)}
        for owner in ExportLogsServiceRequest.FromString(body).resource_logs
        for group in owner.scope_logs
        for log in group.log_records
    ]


READERS: dict[str, tuple[str, Callable[[bytes], list[Record]]]] = {
    "/traces": ("spans", read_spans),
    "/logs": ("logs", read_logs),
    "/events": ("events", json.loads),
}
DECODERS = {"gzip": gzip.decompress, "deflate": zlib.decompress, "": bytes}


class Received(NamedTuple):
    """A request that arrived, whether or not it was accepted."""

    path: str
    headers: dict[str, str]
    """The headers; names are in lower case."""
    raw: bytes
    """The body as it arrived, perhaps compressed."""
    status: int
    """The status of the answer; 0 if there was none."""
    at: float
    """The time of `time.monotonic()`, in seconds."""


class Fault(NamedTuple):
    """A kind of misbehaviour."""

    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - it is never changed
    body: bytes = b""
    seconds: float = 0.0
    """The time before the answer; infinity lasts until the collector ends."""
    times: float = math.inf
    """The number of requests that it affects."""
    raw: bytes | None = None
    """Bytes to send in place of an HTTP response; the connection is reset after them."""
    piece: bytes | None = None
    """Bytes to send again and again in place of a response, as long as the client listens."""


NO_FAULT = Fault()


class Sink(socketserver.ThreadingTCPServer):
    """The collector: accepted items are in `spans`, `logs` and `events`, oldest first.

    `health` is the JSON with its name; None answers such a question with 404.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.health: bytes | None = b'{"name": "lupis"}'
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.traces_url = f"{self.url}/api/traces"
        self.events_url = f"{self.url}/api/events"
        self.otlp_url = f"{self.url}/v1/traces"
        self.requests: list[Received] = []
        self.spans: list[Record] = []
        self.logs: list[Record] = []
        self.events: list[Record] = []
        self.fault = NO_FAULT
        self.changed = threading.Condition()
        self.ended = threading.Event()

    def fail(self, status: int, *, times: float = math.inf, body: bytes = b"", **headers) -> None:
        """Answer the next requests with a status; `retry_after="1"` adds that header."""
        names = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        self.fault = Fault(status, names, body, times=times)

    def slow(self, seconds: float) -> None:
        """Answer each request after some seconds."""
        self.fault = Fault(seconds=seconds)

    def hang(self, times: float = math.inf) -> None:
        """Receive requests and never answer them."""
        self.fault = Fault(0, seconds=math.inf, times=times)

    def drop(self, times: float = math.inf) -> None:
        """Close the connection without an answer."""
        self.fault = Fault(0, times=times)

    def reset(self, raw: bytes = b"", times: float = math.inf) -> None:
        """Send these bytes and reset the connection; nothing is kept."""
        self.fault = Fault(0, times=times, raw=raw)

    def drip(self, piece: bytes, times: float = math.inf) -> None:
        """Send these bytes again and again, and nothing else."""
        self.fault = Fault(0, times=times, piece=piece)

    def heal(self) -> None:
        """Accept the next requests again."""
        self.fault = NO_FAULT

    def take_fault(self) -> Fault:
        """Return the fault for the current request, and count it."""
        with self.changed:
            fault = self.fault
            times = fault.times - 1
            self.fault = fault._replace(times=times) if times > 0 else NO_FAULT
            return fault

    def keep(self, request: Received, kind: str, records: list[Record]) -> None:
        """Keep a request, and its items if it was accepted."""
        with self.changed:
            self.requests.append(request)
            if request.status == 200:
                getattr(self, kind).extend(records)
            self.changed.notify_all()

    def wait_for(self, count: int, kind: str = "spans", timeout: float = 60.0) -> list[Record]:
        """Wait until a number of spans, logs, events or requests has arrived; return them all."""
        with self.changed:
            arrived = self.changed.wait_for(lambda: len(getattr(self, kind)) >= count, timeout)
            kept = list(getattr(self, kind))
        assert arrived, f"{len(kept)} of {count} {kind} after {timeout} s"
        return kept

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that closed the connection."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Reads an export request, and answers it as the sink's fault requires."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60
    server: Sink

    def do_POST(self) -> None:
        """Receive spans, logs or events; the end of the path says which."""
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.server.take_fault()
        kind, read = READERS[f"/{self.path.rpartition('/')[2]}"]
        records = read(DECODERS[headers.get("content-encoding", "")](raw))
        if fault.seconds == math.inf:
            self.server.keep(Received(self.path, headers, raw, 0, time.monotonic()), kind, [])
            self.server.ended.wait()
        else:
            self.server.ended.wait(fault.seconds)
            request = Received(self.path, headers, raw, fault.status, time.monotonic())
            self.server.keep(request, kind, records)
        if fault.piece is not None:
            self.drip(fault.piece)
        elif fault.raw is not None:
            self.wfile.write(fault.raw)
            self.wfile.flush()
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
        elif fault.status:
            self.answer(fault)
        else:
            self.close_connection = True

    def drip(self, piece: bytes) -> None:
        """Send a piece every tenth of a second until the client closes the connection."""
        while not self.server.ended.wait(0.1):
            self.wfile.write(piece)

    def do_GET(self) -> None:
        """Say the name of the server, as the desktop app does at its address."""
        health = self.server.health
        self.send_response(404 if health is None or self.path != "/api/health" else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(health or b"")))
        self.end_headers()
        self.wfile.write(health or b"")

    def answer(self, fault: Fault) -> None:
        """Send a response; its empty body is the protobuf message for complete success."""
        self.send_response(fault.status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(fault.body)))
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(fault.body)

    def log_message(self, *_: Any) -> None:
        """Write no log of requests."""


@contextlib.contextmanager
def serving() -> Iterator[Sink]:
    """Run a sink in this process."""
    with Sink() as sink:
        threading.Thread(target=sink.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield sink
        finally:
            sink.ended.set()
            sink.shutdown()

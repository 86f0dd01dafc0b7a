"""Makes many mixed calls in one process, and shows whether it grows: bare, and with lupis-run.

    python tests/bench/soak.py [--calls 10000] [--variants bare,lupis] [--json]

Rounds of 500 calls run in threads (requests, httpx) and in tasks (httpx, aiohttp), with new clients
for each round. Of 10 calls, 3 have JSON answers, 3 have streams that are read to the end, and the
others are closed early, dropped, cancelled (in tasks), or answered with status 429 and repeated.
Each round also tracks events. The server, which is the collector too, is another process.

A row has the resident memory, the open descriptors and the threads of the process after a round,
when all its spans are delivered and the garbage is collected. The peer is the bare program. At the
end, requests, tokens and events are compared with the summary, the account and the collector.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import gzip
import http.client
import json
import logging
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from pathlib import Path

VARIANTS = ("bare", "lupis")
ROUND_CALLS = 500
ROUND_EVENTS = 50
WORKERS = 5
"""The number of threads, and of tasks, that use one client each."""
KINDS = (
    *("json", "stream", "early", "json", "stream"),
    *("dropped", "json", "busy", "stream", "cancelled"),
)
COMPLETE = ("json", "stream")
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-" + "x" * 40}
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
HEAD = b"HTTP/1.1 %s\r\nContent-Type: %s\r\n"
KNOWN_LENGTH = HEAD + b"Content-Length: %d\r\n\r\n%s"


def write_body(kind: str) -> bytes:
    """Return the body of a request, which asks the server for a kind of answer."""
    message = {"role": "user", "content": "hello " * 20}
    body = {"model": "gpt-4o-mini", "messages": [message], "user": kind}
    return json.dumps({**body, "stream": kind not in ("json", "busy")}).encode()


def write_answer(status: bytes, value: object) -> bytes:
    text = json.dumps(value).encode()
    return KNOWN_LENGTH % (status, b"application/json", len(text), text)


def write_event(**fields: object) -> bytes:
    """Return an event of a stream as a chunk of HTTP."""
    answer = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-mini"}
    event = b"data: %s\n\n" % json.dumps({**answer, "choices": [], **fields}).encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


BODIES = {kind: write_body(kind) for kind in KINDS}
STREAM_START = (
    HEAD % (b"200 OK", b"text/event-stream")
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + write_event(choices=[{"index": 0, "delta": {"content": "word"}}])
)
ANSWERS = {
    "json": write_answer(
        b"200 OK",
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "gpt-4o-mini",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * 50}}],
            "usage": USAGE,
        },
    ),
    "stream": STREAM_START + write_event(usage=USAGE) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
    "busy": write_answer(b"429 Too Many Requests", {"error": {"type": "rate_limit"}}),
}
"""Other kinds of answers stop after the start of a stream, until the program closes them."""


class Collector:
    """Counts the different spans and the events that arrive."""

    def __init__(self):
        self.span_ids = set()
        self.spans = self.events = 0

    def add_items(self, path, body):
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        if path == b"/v1/traces":
            for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
                for group in resource_spans.scope_spans:
                    self.spans += len(group.spans)
                    self.span_ids.update(span.span_id for span in group.spans)
        else:
            for resource_logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                self.events += sum(len(group.log_records) for group in resource_logs.scope_logs)

    def to_json(self):
        return {
            "spans": self.spans,
            "different spans": len(self.span_ids),
            "events": self.events,
        }


class ServerProtocol(asyncio.Protocol):
    """Answers the requests of one connection."""

    def __init__(self, collector):
        self.collector = collector
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, rest = self.received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            size = int(length[1]) if length else 0
            if len(rest) < size:
                return
            self.received = rest[size:]
            self.transport.write(self.answer(head, rest[:size]))

    def answer(self, head, body):
        path = head.split(b" ", 2)[1]
        if path == b"/counts":
            return write_answer(b"200 OK", self.collector.to_json())
        if path == b"/v1/chat/completions":
            return ANSWERS.get(json.loads(body)["user"], STREAM_START)
        if re.search(rb"(?i)\r\ncontent-encoding: *gzip", head):
            body = gzip.decompress(body)
        self.collector.add_items(path, body)
        return KNOWN_LENGTH % (b"200 OK", b"application/x-protobuf", 0, b"")


async def serve():
    """In a child process: print the port, and serve until the parent ends the process."""
    collector = Collector()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ServerProtocol(collector), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# Each function makes one call of a kind with a client.


def call_requests(session, url, kind):
    response = session.post(url, data=BODIES[kind], headers=HEADERS, stream=True)
    read_answer(response, response.iter_content(None), kind)


def call_httpx(client, url, kind):
    request = client.build_request("POST", url, content=BODIES[kind], headers=HEADERS)
    response = client.send(request, stream=True)
    read_answer(response, response.iter_raw(), kind)


def read_answer(response, chunks, kind):
    if kind in COMPLETE or kind == "busy":
        for _ in chunks:
            pass
    else:
        next(chunks)
    if kind != "dropped":
        response.close()
    elif type(response).__module__.startswith("requests"):
        # Only the garbage collector can free it. An answer of httpx would block on a lock of its
        # pool, also without lupis-run, if the collector runs while the same thread holds the lock.
        cycle = [response]
        cycle.append(cycle)


async def call_async_httpx(client, url, kind, started):
    request = client.build_request("POST", url, content=BODIES[kind], headers=HEADERS)
    response = await client.send(request, stream=True)
    async for _ in response.aiter_raw():
        started.set()
        if kind in ("early", "dropped"):
            break
    if kind != "dropped":
        await response.aclose()


async def call_aiohttp(session, url, kind, started):
    response = await session.post(url, data=BODIES[kind], headers=HEADERS)
    async for _ in response.content.iter_any():
        started.set()
        if kind in ("early", "dropped"):
            break
    if kind != "dropped":
        response.close()


class Program:
    """The program: makes rounds of calls and counts them."""

    def __init__(self, url):
        self.url = url
        self.requests = Counter()
        self.lock = threading.Lock()

    def count_request(self, kind):
        with self.lock:
            self.requests[kind] += 1

    def work_in_thread(self, number):
        import httpx
        import requests

        call = (call_requests, call_httpx)[number % 2]
        client = (requests.Session, lambda: httpx.Client(timeout=60, trust_env=False))[number % 2]()
        with client:
            for index in range(ROUND_CALLS // 2 // WORKERS):
                kind = KINDS[index % len(KINDS)]
                kind = "early" if kind == "cancelled" else kind
                self.count_request(kind)
                call(client, self.url, kind)
                if kind == "busy":
                    self.count_request("json")
                    call(client, self.url, "json")

    async def work_in_task(self, number):
        import aiohttp
        import httpx

        call = (call_aiohttp, call_async_httpx)[number % 2]
        client = (aiohttp.ClientSession, lambda: httpx.AsyncClient(timeout=60, trust_env=False))[
            number % 2
        ]()
        async with client:
            for index in range(ROUND_CALLS // 2 // WORKERS):
                kind = KINDS[index % len(KINDS)]
                await self.call_in_task(call, client, kind)
                if kind == "busy":
                    await self.call_in_task(call, client, "json")

    async def call_in_task(self, call, client, kind):
        self.count_request(kind)
        started = asyncio.Event()
        if kind != "cancelled":
            await call(client, self.url, kind, started)
            return
        task = asyncio.ensure_future(call(client, self.url, kind, started))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])

    async def work_in_tasks(self):
        await asyncio.gather(*map(self.work_in_task, range(WORKERS)))

    def make_round(self):
        threads = [
            threading.Thread(target=self.work_in_thread, args=(number,))
            for number in range(WORKERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asyncio.run(self.work_in_tasks())


def measure_process():
    """Return the figures of this process: /proc has them on Linux, elsewhere memory is the peak."""
    process = Path("/proc/self")
    if not process.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return {"MB": peak, "descriptors": count_files(Path("/dev/fd")), "threads": None}
    pages = int((process / "statm").read_text(encoding="ascii").split()[1])
    return {
        "MB": pages * resource.getpagesize() / 2**20,
        "descriptors": count_files(process / "fd"),
        "threads": count_files(process / "task"),
    }


def count_files(folder):
    return sum(1 for _ in folder.iterdir())


def measure_account():
    """Deliver all spans and events, and return the counts of their account."""
    from lupis_instrument import LupisSDK
    from lupis_instrument._runtime import current

    LupisSDK.get_instance().flush(120)
    account = current.get_runtime().account
    counts = {name: getattr(account, name) for name in ("created", "delivered", "stored", "lost")}
    return {**counts, "pending": account.pending}


def run_program(variant, base, calls):
    """In a child process: make the calls, and print a row of JSON at the start and for each tenth."""
    # Dropped answers are the subject.
    warnings.simplefilter("ignore", ResourceWarning)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    program = Program(base + "/v1/chat/completions")
    rounds = max(1, int(calls) // ROUND_CALLS)
    shown = {1, *(rounds * tenth // 10 for tenth in range(1, 11))}
    events = 0
    start = measure_process()
    print(json.dumps({"calls": 0, **start}), flush=True)
    for number in range(1, rounds + 1):
        program.make_round()
        if variant == "lupis":
            events += track_events(number)
        if number in shown:
            gc.collect()
            row = {"calls": number * ROUND_CALLS, "requests": program.requests, "events": events}
            row.update(measure_account() if variant == "lupis" else {})
            wait_for_threads(start["threads"])
            print(json.dumps({**row, **measure_process()}), flush=True)


def track_events(number):
    """Track the events of a round; return how many they are."""
    from lupis_instrument import LupisSDK

    for index in range(ROUND_EVENTS):
        LupisSDK.get_instance().track_event("step", {"round": number, "index": index})
    return ROUND_EVENTS


def wait_for_threads(count):
    """Wait for threads that have done their work and are about to end."""
    due = time.monotonic() + 10
    while count and measure_process()["threads"] > count and time.monotonic() < due:
        time.sleep(0.05)


def read_counts(base):
    """Return the counts of the collector."""
    connection = http.client.HTTPConnection(base.partition("://")[2])
    connection.request("GET", "/counts")
    counts = json.loads(connection.getresponse().read())
    connection.close()
    return counts


def check_totals(row, counts, stderr):
    """Return a line for each figure that differs from the last row of the program."""
    requests = sum(row["requests"].values())
    complete = sum(row["requests"].get(kind, 0) for kind in COMPLETE)
    items = requests + row["events"]
    patterns = (
        r"^lupis: ([\d,]+) LLM calls?,.*? ([\d,]+) errors?\b",
        r"^lupis: .*? ([\d,]+) tokens in\b.*? ([\d,]+) out\b",
    )
    summary = [
        int(figure.replace(",", ""))
        for pattern in patterns
        for match in re.finditer(pattern, stderr, re.MULTILINE)
        for figure in match.groups()
    ]
    expected = {
        "summary: calls, errors, tokens in, tokens out": (
            [
                requests,
                row["requests"]["busy"],
                complete * USAGE["prompt_tokens"],
                complete * USAGE["completion_tokens"],
            ],
            summary,
        ),
        "account: created": (items, row["created"]),
        "account: delivered": (items, row["delivered"]),
        "account: lost and pending": ([0, 0], [row["lost"], row["pending"]]),
        "collector: spans": (requests, counts["spans"]),
        "collector: different spans": (requests, counts["different spans"]),
        "collector: events": (row["events"], counts["events"]),
    }
    return [
        f"{name}: expected {wanted}, counted {counted}"
        for name, (wanted, counted) in expected.items()
        if wanted != counted
    ]


def print_row(variant, row, bare_row):
    line = f"{variant:6} {row['calls']:8,} calls {row['MB']:7.1f} MB"
    line += f" ({row['MB'] / bare_row['MB']:4.2f} x bare)" if bare_row else ""
    line += f" {row['descriptors']:4} open {row['threads'] or '?':>4} threads"
    if "delivered" in row:
        line += (
            f"   {row['delivered']:,} delivered, {row['stored']:,} stored, {row['lost']:,} dropped"
        )
    print(line, flush=True)


def measure(variant, base, calls, show, bare_rows):
    """Run the program; return its rows, its exit status and its stderr."""
    launcher = ["-m", "lupis_instrument", sys.executable] if variant == "lupis" else []
    foreign = ("LUPIS_", "OTEL_", "PYTHON")
    env = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
    rows = []
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as stderr:
        env["LUPIS_DATA_DIR"] = folder
        env["LUPIS_OTLP_ENDPOINT"] = base + "/v1/traces"
        env["LUPIS_PROVIDER_HOSTS"] = base.partition("://")[2] + "=openai"
        env["LUPIS_SUMMARY"] = "true"
        env["LUPIS_SHUTDOWN_TIMEOUT"] = "60"
        command = [sys.executable, *launcher, __file__, "--run", variant, base, str(calls)]
        with subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process:
            for line in process.stdout:
                row = json.loads(line)
                show(variant, row, bare_rows[len(rows)] if bare_rows else None)
                rows.append(row)
        stderr.seek(0)
        return rows, process.returncode, stderr.read()


def main():
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve())
    if sys.argv[1:2] == ["--run"]:
        run_program(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    show = (lambda *_: None) if options.json else print_row
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
            bare_rows = []
            for variant in options.variants.split(","):
                rows, status, stderr = measure(variant, base, options.calls, show, bare_rows)
                bare_rows = rows if variant == "bare" else bare_rows
                wrong = [f"exit status {status}"] if status else []
                if variant == "lupis" and rows:
                    wrong += check_totals(rows[-1], read_counts(base), stderr)
                if options.json:
                    print(json.dumps({"rows": rows, "wrong": wrong, "stderr": stderr}))
                else:
                    print(stderr, end="")
                    totals = "" if variant == "bare" else "all totals add up"
                    print("\n".join(wrong) or totals)
        finally:
            server.kill()


if __name__ == "__main__":
    main()

"""Measures a call after the first: bare, with OpenTelemetry's instrumentor, and with lupis-run.

    python tests/bench/call.py [--rounds 9] [--calls 200] [--clients requests,httpx]

Each variant runs in its own process against one keep-alive server, which also receives the spans.
The rounds of the three variants are interleaved, so that other load on the machine affects all of
them. A round is a number of sequential calls. The figures of a round are means; the figures of a
variant are the medians of its rounds. "wall" is the time that the program waits for its calls.
"cpu" is the CPU time of the process until the spans of the round are delivered, background threads
included. There are two kinds of calls: to an LLM API, whose response lupis-run reads, and to
another API. "peer" is OpenTelemetry's instrumentor with its OTLP exporter.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

VARIANTS = ("bare", "peer", "lupis")
PATHS = {"LLM": "/v1/chat/completions", "other": "/orders/17"}
REQUEST = json.dumps(
    {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello " * 20}]}
)
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "word " * 150},
            }
        ],
        "usage": {"prompt_tokens": 30, "completion_tokens": 150, "total_tokens": 180},
    }
).encode()
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-" + "x" * 40}


class Handler(BaseHTTPRequestHandler):
    """Answers every request at once, over keep-alive connections."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("x-request-id", "req_1")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        pass


class Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


# Each function returns a function that makes one call to a path and reads the response.


def use_requests(base):
    import requests

    session = requests.Session()
    session.trust_env = False
    return lambda path: session.post(base + path, data=REQUEST, headers=HEADERS).content


def use_urllib3(base):
    import urllib3

    pool = urllib3.PoolManager()
    return lambda path: pool.request("POST", base + path, body=REQUEST, headers=HEADERS).data


def use_httpx(base):
    import httpx

    client = httpx.Client(trust_env=False)
    return lambda path: client.post(base + path, content=REQUEST, headers=HEADERS).content


def use_httpx2(base):
    import httpx2

    client = httpx2.Client(trust_env=False)
    return lambda path: client.post(base + path, content=REQUEST, headers=HEADERS).content


def use_aiohttp(base):
    import aiohttp

    loop = asyncio.new_event_loop()

    async def make():
        return aiohttp.ClientSession()

    session = loop.run_until_complete(make())

    async def post(path):
        async with session.post(base + path, data=REQUEST, headers=HEADERS) as response:
            return await response.read()

    return lambda path: loop.run_until_complete(post(path))


def use_http_client(base):
    connection = http.client.HTTPConnection(base.partition("://")[2])

    def call(path):
        connection.request("POST", path, REQUEST, HEADERS)
        return connection.getresponse().read()

    return call


CLIENTS = {
    "requests": use_requests,
    "urllib3": use_urllib3,
    "httpx": use_httpx,
    "httpx2": use_httpx2,
    "aiohttp": use_aiohttp,
    "http.client": use_http_client,
}
INSTRUMENTORS = {
    "requests": ("requests", "RequestsInstrumentor"),
    "urllib3": ("urllib3", "URLLib3Instrumentor"),
    "httpx": ("httpx", "HTTPXClientInstrumentor"),
    "httpx2": ("httpx", "HTTPX2ClientInstrumentor"),
    "aiohttp": ("aiohttp_client", "AioHttpClientInstrumentor"),
}
"""OpenTelemetry's instrumentors; there is none for http.client."""


def instrument_as_peer(client, endpoint):
    """Instrument the client as `opentelemetry-instrument` does; return the flush function."""
    from importlib import import_module

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    module, name = INSTRUMENTORS[client]
    instrumentor = getattr(import_module(f"opentelemetry.instrumentation.{module}"), name)
    instrumentor().instrument(tracer_provider=provider)
    return provider.force_flush


def find_flush(client, endpoint, variant):
    """Return the function that delivers all finished spans."""
    if variant == "peer":
        return instrument_as_peer(client, endpoint)
    if variant == "lupis":
        from lupis_instrument import LupisSDK

        return LupisSDK.get_instance().flush
    return lambda: None


def run_worker(client, base, endpoint, variant):
    """In a child process: for each line "path calls", make calls and print wall and CPU µs."""
    flush = find_flush(client, endpoint, variant)
    call = CLIENTS[client](base)
    for line in sys.stdin:
        path, calls = line.split()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(int(calls)):
            call(path)
        wall = time.perf_counter() - wall
        flush()
        cpu = time.process_time() - cpu
        print(wall / int(calls) * 1e6, cpu / int(calls) * 1e6, flush=True)
    os._exit(0)  # no warnings about sessions that are not closed


class Variant:
    """A child process that makes calls on request."""

    def __init__(self, variant, client, base, endpoint):
        launcher = ["-m", "lupis_instrument", sys.executable] if variant == "lupis" else []
        foreign = ("LUPIS_", "OTEL_", "PYTHON")
        env = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        env |= {"LUPIS_OTLP_ENDPOINT": endpoint, "OTEL_SEMCONV_STABILITY_OPT_IN": "http"}
        script = [__file__, "--work", client, base, endpoint, variant]
        self.process = subprocess.Popen(
            [sys.executable, *launcher, *script],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.rounds = []

    def measure(self, path, calls):
        self.process.stdin.write(f"{path} {calls}\n")
        self.process.stdin.flush()
        return tuple(map(float, self.process.stdout.readline().split()))

    def medians(self):
        """Return the medians of wall and CPU time."""
        return tuple(statistics.median(column) for column in zip(*self.rounds))

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def measure(client, base, rounds, calls):
    """Return wall and CPU microseconds of a call, by kind of call and variant."""
    names = [name for name in VARIANTS if name != "peer" or client in INSTRUMENTORS]
    variants = {name: Variant(name, client, base, base + "/v1/traces") for name in names}
    medians = {}
    for kind, path in PATHS.items():
        for variant in variants.values():
            variant.rounds = []
            variant.measure(path, calls)  # one-time work happens in this round
        for _ in range(rounds):
            for variant in variants.values():
                variant.rounds.append(variant.measure(path, calls))
        medians[kind] = {name: variant.medians() for name, variant in variants.items()}
    for variant in variants.values():
        variant.close()
    return medians


def print_report(client, medians):
    """Print a line for each figure: the time that both instrumented variants add, and the ratio."""
    for kind, figures in medians.items():
        for column, figure in enumerate(("wall", "cpu")):
            bare = figures["bare"][column]
            lupis = figures["lupis"][column] - bare
            line = f"{client:12} {kind:6} {figure:5} bare {bare:6.0f}   lupis +{lupis:5.0f}"
            if "peer" in figures:
                peer = figures["peer"][column] - bare
                line += f"   peer +{peer:5.0f}   lupis/peer {lupis / peer:5.2f}"
            print(line, flush=True)


def serve():
    """In a child process: print the port, and serve until the parent ends the process."""
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=150)
    parser.add_argument("--clients", default=",".join(CLIENTS))
    options = parser.parse_args()
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        print("microseconds a call; medians of interleaved rounds")
        for client in options.clients.split(","):
            print_report(client, measure(client, base, options.rounds, options.calls))
        server.kill()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        run_worker(*sys.argv[2:])
    elif sys.argv[1:2] == ["--serve"]:
        serve()
    else:
        main()

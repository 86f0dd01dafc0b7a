"""Measures the cost of reading a stream with lupis-run, compared with the bare client.

Each client reads streams of server-sent events without usage, bare and instrumented in turn, each
in its own process. Prints medians over the rounds: the CPU time for a chunk of a long stream, and
the time until the first chunk of a short stream.

usage: python tests/bench/stream.py [ROUNDS [CHUNKS]]
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EVENT = (
    b'data: {"id":"c1","object":"chat.completion.chunk","model":"gpt-4o","choices":'
    b'[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}\n\n'
)
READERS = {
    "requests": """
import requests
def read():
    with requests.post(URL, json={}, stream=True) as r:
        for _ in r.raw.stream(65536): pass
""",
    "urllib3": """
import urllib3
pool = urllib3.PoolManager()
def read():
    r = pool.request("POST", URL, json={}, preload_content=False)
    for _ in r.stream(65536): pass
    r.release_conn()
""",
    "httpx": """
import httpx
client = httpx.Client()
def read():
    with client.stream("POST", URL, json={}) as r:
        for _ in r.iter_raw(): pass
""",
    "httpx2": """
import httpx2
client = httpx2.Client()
def read():
    with client.stream("POST", URL, json={}) as r:
        for _ in r.iter_raw(): pass
""",
    "httpx-async": """
import asyncio, httpx
loop = asyncio.new_event_loop()
client = httpx.AsyncClient()
async def main():
    async with client.stream("POST", URL, json={}) as r:
        async for _ in r.aiter_raw(): pass
def read(): loop.run_until_complete(main())
""",
    "aiohttp": """
import asyncio, aiohttp
loop = asyncio.new_event_loop()
async def main():
    async with aiohttp.ClientSession() as s, s.post(URL, json={}) as r:
        async for _ in r.content.iter_any(): pass
def read(): loop.run_until_complete(main())
""",
    "http.client": """
import http.client
from urllib.parse import urlsplit
def read():
    c = http.client.HTTPConnection(urlsplit(URL).netloc)
    c.request("POST", urlsplit(URL).path, b"{}", {"Content-Type": "application/json"})
    r = c.getresponse()
    while r.read1(65536): pass
    c.close()
""",
}
LONG = """
import sys, time
URL = sys.argv[1]
{reader}
read()
started = time.process_time()
read()
print(time.process_time() - started)
"""
SHORT = """
import statistics, sys, time
URL = sys.argv[1]
waits, first = [], []
def note_chunk():
    first or first.append(time.perf_counter())
{reader}
for _ in range(100):
    first.clear()
    started = time.perf_counter()
    read()
    waits.append(first[0] - started)
print(statistics.median(waits[20:]))
"""
SHORT_CHUNKS = 300
THINKING_SECONDS = 0.02
"""The delay of the server before a short stream."""


def serve(listener: socket.socket, chunks: int) -> None:
    """Answer each request with a stream of `chunks` chunks."""
    body = b"%x\r\n%s\r\n" % (len(EVENT), EVENT)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection, body, chunks), daemon=True).start()


def _answer(connection: socket.socket, body: bytes, chunks: int) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while request := connection.recv(65536):
            if not request.endswith(b"}"):
                continue
            if chunks == SHORT_CHUNKS:
                time.sleep(THINKING_SECONDS)
            connection.sendall(head)
            for _ in range(chunks // 100):
                connection.sendall(body * 100)
            connection.sendall(b"0\r\n\r\n")


def measure(program: str, url: str, *, watched: bool) -> float:
    """Return the seconds that a program prints; `watched` runs it with lupis-run's bootstrap."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LUPIS_", "OTEL_", "PYTHON"))
    }
    if watched:
        environment["PYTHONPATH"] = str(ROOT / "sitecustomize_template")
        environment["LUPIS_EXPORTER"] = "none"
    done = subprocess.run(
        [sys.executable, "-c", program, url],
        env=environment, capture_output=True, check=True, encoding="utf-8",
    )  # fmt: skip
    return float(json.loads(done.stdout))


def compare(programs: dict[str, str], chunks: int, rounds: int, scale: float) -> None:
    """Print a row for each client; the server sends `chunks` chunks."""
    print(f"{'client':14} {'bare':>7} {'lupis':>7} {'added':>7} {'ratio':>6}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener, chunks), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"
        for client, program in programs.items():
            pairs = [
                (measure(program, url, watched=False), measure(program, url, watched=True))
                for _ in range(rounds)
            ]
            bare = statistics.median(alone for alone, _ in pairs) * scale
            added = statistics.median(lupis - alone for alone, lupis in pairs) * scale
            ratio = (bare + added) / bare
            print(f"{client:14} {bare:7.2f} {bare + added:7.2f} {added:7.2f} {ratio:6.2f}")


def main() -> None:
    """Measure all clients, and print two tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    chunks = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    print(f"{chunks:,} chunks of {len(EVENT)} bytes, medians of {rounds} rounds, us a chunk")
    programs = {client: LONG.format(reader=reader) for client, reader in READERS.items()}
    compare(programs, chunks, rounds, 1e6 / chunks)
    print(f"\n{SHORT_CHUNKS} chunks, medians of {rounds} rounds, us until the first chunk,")
    print(f"of a server that answers after {THINKING_SECONDS * 1e3:.0f} ms")
    programs = {
        client: SHORT.format(reader=reader.replace(": pass", ": note_chunk()"))
        for client, reader in READERS.items()
    }
    compare(programs, SHORT_CHUNKS, rounds, 1e6)


if __name__ == "__main__":
    main()

"""Measures `lupis ui` over a large store: the first byte, every question, memory, and open pages.

    python tests/bench/viewer.py FOLDER [--pages 20]

FOLDER has a store; `tests/bench/report.py` makes one of a million spans. Prints the seconds from
the start of `lupis ui` to the first byte, and then, for each question of the pages, the seconds and
the CPU time of the server, without its cache. Last, it opens streams as open pages do, adds a call,
and prints the seconds until every page knows of it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import threading
import time

from opentelemetry.sdk.resources import Resource
from receiver import read_cpu, read_memory
from report import make_span

from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.store.store import Process, Store

LUPIS = "from lupis_instrument._cli.lupis import main; main()"
ROUNDS = 5
TIMES = ("since=1h", "since=7d", "since=all")
QUESTIONS = (
    *("summary", "series", "calls", "calls?order=dearest", "calls?order=slowest", "calls?q=error"),
    *(
        "calls?q=model:openai-model-1",
        "conversations?limit=500",
        "totals?by=model",
        "totals?by=user",
    ),
    *("totals?by=day&by=model&limit=1000", "errors", "cache", "runs?limit=200", "events"),
)
DETAILS = ("delivery", "runs/last", "conversations/chat-7", f"traces/{1000:032x}")


class Page:
    """A browser's connection to `lupis ui`."""

    def __init__(self, url: str) -> None:
        self.port, self.path = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/\S*)", url).groups()
        self.cookie = ""
        self.connect()

    def connect(self) -> None:
        """Open another connection."""
        self.connection = http.client.HTTPConnection("127.0.0.1", int(self.port), timeout=60)

    def ask(self, path: str) -> bytes:
        """Return the body of a response."""
        self.connection.request("GET", path, headers={"Cookie": self.cookie})
        response = self.connection.getresponse()
        cookie = response.headers.get("Set-Cookie")
        self.cookie = cookie.partition(";")[0] if cookie else self.cookie
        return response.read()


def start_viewer(folder: str) -> tuple[subprocess.Popen, str, float]:
    """Return the process, the URL of the page, and the seconds until the first byte of the page."""
    environment = {**os.environ, "LUPIS_DATA_DIR": folder, "LUPIS_UI_TOKEN": "0123456789abcdef"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    viewer = subprocess.Popen(
        [sys.executable, "-c", LUPIS, "ui", "--no-browser", "--port", "0"],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    url = re.search(r"http://\S+", viewer.stdout.readline()).group()
    Page(url).ask("/api/health")
    return viewer, url, time.perf_counter() - began


def measure_questions(page: Page, pid: int) -> None:
    """Print the seconds and the CPU seconds of each question."""
    paths = [f"{path}{'&' if '?' in path else '?'}{t}" for path in QUESTIONS for t in TIMES]
    print("seconds    CPU  question")
    for path in (*paths, *DETAILS):
        times, before = [], read_cpu(pid)
        for number in range(ROUNDS):
            began = time.perf_counter()
            mark = f"{'&' if '?' in path else '?'}_={number}"  # passes by the cache
            page.ask(f"/api/{path}{mark}")
            times.append(time.perf_counter() - began)
        used = (read_cpu(pid) - before) / ROUNDS
        print(f"{statistics.median(times):7.3f}  {used:5.3f}  {path}")


def measure_streams(url: str, folder: str, pages: int) -> None:
    """Print the seconds from a stored call until all open pages have heard of it."""
    heard: list[float] = []
    stored = 0.0
    ready = threading.Barrier(pages + 1)

    def listen() -> None:
        page = Page(url)
        page.ask(page.path)
        page.connection.request("GET", "/api/stream", headers={"Cookie": page.cookie})
        response = page.connection.getresponse()
        first = None
        for line in response:
            if line.startswith(b"data:"):
                change = json.loads(line[5:])["last_change"]
                if first is None:
                    first = change
                    ready.wait()
                elif change > first:
                    heard.append(time.perf_counter() - stored)
                    return

    threads = [threading.Thread(target=listen, daemon=True) for _ in range(pages)]
    for thread in threads:
        thread.start()
    ready.wait(60)
    store = Store(folder, 1 << 40, Process("project-0", "f" * 32, 100))
    origin = Resource({"service.name": "bench"})
    number = time.time_ns() >> 20
    span = make_span(number, random.Random(), origin, time.time_ns())
    store.add_items(ItemEncoder(origin).encode_spans([span]))
    stored = time.perf_counter()
    for thread in threads:
        thread.join(30)
    print(f"{len(heard)} of {pages} pages know of a call within {max(heard):.2f} s")


def main() -> None:
    """Start `lupis ui`, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--pages", type=int, default=20)
    options = parser.parse_args()
    starts = []
    for _ in range(ROUNDS):
        viewer, url, seconds = start_viewer(options.folder)
        starts.append((seconds, read_cpu(viewer.pid)))
        if len(starts) < ROUNDS:
            viewer.terminate()
            viewer.wait()
    seconds, used = map(statistics.median, zip(*starts))
    print(f"first byte after {seconds:.2f} s, {used:.2f} CPU s")
    try:
        page = Page(url)
        page.ask(page.path)
        measure_questions(page, viewer.pid)
        measure_streams(url, options.folder, options.pages)
        now, peak = read_memory(viewer.pid)
        print(f"memory: {peak} MiB at most, {now} MiB after")
    finally:
        viewer.terminate()
        viewer.wait()


if __name__ == "__main__":
    main()

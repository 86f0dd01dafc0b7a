"""Measures peak memory and CPU time of programs with large requests: bare, and with lupis-run.

    python tests/bench/memory.py [--programs threads,steady,chat] [--seconds 6]

- "threads": 8 threads send requests of 3.5 MB, such as a picture, as fast as they can.
- "larger": the same with requests of 12 MB.
- "steady": one thread sends 5 requests of 3.5 MB a second.
- "chat": one chat of 10,000 messages grows by two messages with each call.

Each variant runs in its own process against one server. "peak" is the largest resident memory of
the process in MB, "cpu" its CPU time for a call in ms, the time to start and to end not included.
"peer" is OpenTelemetry's instrumentor, which reads no bodies.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

VARIANTS = ("bare", "peer", "lupis")
PATH = "/v1/chat/completions"
ANSWER = json.dumps(
    {
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    }
).encode()
BLOCK_BYTES = 64 * 1024


class Handler(BaseHTTPRequestHandler):
    """Reads every request in small blocks and answers it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        bytes_left = int(self.headers["content-length"])
        while bytes_left > 0:
            bytes_left -= len(self.rfile.read(min(bytes_left, BLOCK_BYTES)))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        pass


class Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def write_picture(size):
    """Return the body of a chat call with a picture of this size."""
    url = "data:image/png;base64," + "QUJD" * (size // 4)
    part = {"type": "image_url", "image_url": {"url": url}}
    return json.dumps(
        {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": [part]}]}
    ).encode()


def send(url, body):
    import requests

    requests.post(url, data=body, headers={"content-type": "application/json"}, timeout=60)


def send_pictures(url, seconds, size, pause=0.0):
    """Send pictures for some seconds; return the number of calls."""
    calls, due = 0, time.monotonic() + seconds
    while time.monotonic() < due:
        send(url, write_picture(size))
        time.sleep(pause)
        calls += 1
    return calls


def send_from_threads(url, seconds, size):
    counts = []
    threads = [
        threading.Thread(target=lambda: counts.append(send_pictures(url, seconds, size)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def send_chat(url, seconds):
    """Send a chat whose body is written by hand, so that its program takes little time."""
    turns = [
        json.dumps({"role": ("user", "assistant")[number % 2], "content": f"{number} " + "w " * 50})
        for number in range(10_000)
    ]
    body = '{"model": "gpt-4o-mini", "messages": [' + ", ".join(turns)
    calls, due = 0, time.monotonic() + seconds
    while time.monotonic() < due:
        send(url, (body + "]}").encode())
        body += f", {turns[0]}, {turns[1]}"
        time.sleep(0.05)
        calls += 1
    return calls


PROGRAMS = {
    "threads": lambda url, seconds: send_from_threads(url, seconds, 3_500_000),
    "larger": lambda url, seconds: send_from_threads(url, seconds, 12_000_000),
    "steady": lambda url, seconds: send_pictures(url, seconds, 3_500_000, pause=0.2),
    "chat": send_chat,
}


def run_program(program, variant, url, seconds):
    """In a child process: make the calls, and print peak memory, calls, and CPU ms a call."""
    if variant == "peer":
        from opentelemetry.instrumentation.requests import RequestsInstrumentor
        from opentelemetry.sdk.trace import TracerProvider

        RequestsInstrumentor().instrument(tracer_provider=TracerProvider())
    send(url, b"{}")
    time.sleep(1.5)  # the modules are loaded
    cpu = time.process_time()
    calls = PROGRAMS[program](url, seconds)
    if variant == "lupis":
        from lupis_instrument import LupisSDK

        LupisSDK.get_instance().flush(10_000)
    cpu = time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([peak, calls, cpu / calls * 1e3]))


def measure(program, variant, url, seconds):
    launcher = ["-m", "lupis_instrument", sys.executable] if variant == "lupis" else []
    foreign = ("LUPIS_", "OTEL_", "PYTHON")
    env = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
    with tempfile.TemporaryDirectory() as folder:
        env |= {"LUPIS_EXPORTER": "local", "LUPIS_DATA_DIR": folder}
        arguments = [__file__, "--run", program, variant, url, str(seconds)]
        output = subprocess.run(
            [sys.executable, *launcher, *arguments], env=env, stdout=subprocess.PIPE, check=True
        ).stdout
    return json.loads(output)


def main():
    if sys.argv[1:2] == ["--run"]:
        program, variant, url, seconds = sys.argv[2:]
        run_program(program, variant, url, float(seconds))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--seconds", type=float, default=6)
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}{PATH}"
    for program in options.programs.split(","):
        bare_peak = bare_cpu = 0.0
        for variant in VARIANTS:
            peak, calls, cpu = measure(program, variant, url, options.seconds)
            bare_peak, bare_cpu = (peak, cpu) if variant == "bare" else (bare_peak, bare_cpu)
            print(
                f"{program:8} {variant:6} peak {peak:5.0f} MB (+{peak - bare_peak:4.0f}, "
                f"{peak / bare_peak:4.2f} x bare)   cpu {cpu:6.2f} ms a call "
                f"(+{cpu - bare_cpu:5.2f})   {calls} calls",
                flush=True,
            )


if __name__ == "__main__":
    main()

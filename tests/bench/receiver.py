"""Measures how many spans a second `lupis ui` receives from the SDK of OpenTelemetry.

    python tests/bench/receiver.py [--spans 100000] [--processes 1] [--node FOLDER]

`lupis ui` runs over an empty store. Each sender is a process with the SDK's BatchSpanProcessor and
its exporter for OTLP/HTTP with protobuf; `--node` takes JavaScript's from the `node_modules` of a
folder. Prints spans a second from the first span to the last answer, the CPU time of `lupis ui` for
a span, and its memory. Fails if the store lacks a span, or has one twice.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lupis_instrument._export.store.database import FILE_NAME

LUPIS = "from lupis_instrument._cli.lupis import main; main()"
SENDER = """
import sys, time
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
url, spans = sys.argv[1], int(sys.argv[2])
provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url), 10**6))
tracer = provider.get_tracer("openai.instrumentor", "1.2")
sys.stdin.readline()
for number in range(spans):
    with tracer.start_as_current_span("chat gpt-4o") as span:
        span.set_attributes({
            "gen_ai.system": "openai", "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.response.id": f"chatcmpl-{number:029d}",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 1000 + number % 977,
            "gen_ai.usage.output_tokens": number % 313,
            "gen_ai.conversation.id": f"chat-{number // 20}", "user.id": f"user-{number % 500}",
            "server.address": "api.openai.com", "server.port": 443,
        })
provider.force_flush(10**6)
provider.shutdown()
"""
NODE_SENDER = """
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const [url, spans] = [process.argv[2], Number(process.argv[3])];
const exporter = new OTLPTraceExporter({ url });
const processor = new BatchSpanProcessor(exporter);
const provider = new BasicTracerProvider({ spanProcessors: [processor] });
const tracer = provider.getTracer('openai.instrumentor', '1.2');
process.stdin.once('data', async () => {
  for (let number = 0; number < spans; number++) {
    const span = tracer.startSpan('chat gpt-4o');
    span.setAttributes({
      'gen_ai.system': 'openai', 'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'gpt-4o', 'gen_ai.response.model': 'gpt-4o-2024-08-06',
      'gen_ai.response.id': 'chatcmpl-' + number, 'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.usage.input_tokens': 1000 + number % 977,
      'gen_ai.usage.output_tokens': number % 313,
      'gen_ai.conversation.id': 'chat-' + Math.floor(number / 20),
      'user.id': 'user-' + number % 500, 'server.address': 'api.openai.com', 'server.port': 443,
    });
    span.end();
    if (number % 2048 == 2047) await provider.forceFlush();
  }
  await provider.forceFlush();
  await provider.shutdown();
  process.exit(0);
});
"""


def start_viewer(folder: str) -> tuple[subprocess.Popen, str]:
    """Return the process of `lupis ui`, and the address for traces."""
    viewer = subprocess.Popen(
        [sys.executable, "-c", LUPIS, "ui", "--no-browser", "--port", "0"],
        env={**os.environ, "LUPIS_DATA_DIR": folder},
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in viewer.stdout:
        if "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" in line:
            return viewer, line.strip().partition("=")[2]
    raise SystemExit("lupis ui did not start")


def start_sender(url: str, spans: int, node: Path | None) -> subprocess.Popen:
    """Return the process of a sender, which waits for a line on its standard input."""
    command = [sys.executable, "-c", SENDER]
    if node is not None:
        script = node / "sender.js"
        script.write_text(NODE_SENDER)
        command = ["node", str(script)]
    return subprocess.Popen([*command, url, str(spans)], stdin=subprocess.PIPE, text=True)


def read_memory(pid: int) -> tuple[int, int]:
    """Return the present and the greatest memory of a process in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    sizes = (re.search(rf"{name}:\s+(\d+)", text)[1] for name in ("VmRSS", "VmHWM"))
    return tuple(int(size) >> 10 for size in sizes)


def read_cpu(pid: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def count_spans(folder: str) -> tuple[int, int]:
    """Return the number of priced calls in the store, and of different span ids."""
    with sqlite3.connect(Path(folder) / FILE_NAME) as db:
        return db.execute(
            "SELECT count(cost), count(DISTINCT span) FROM item WHERE provider = 'openai'"
        ).fetchone()


def main() -> None:
    """Start `lupis ui` and the senders, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--node", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        viewer, url = start_viewer(folder)
        try:
            share = options.spans // options.processes
            senders = [start_sender(url, share, options.node) for _ in range(options.processes)]
            time.sleep(2)  # the senders load their modules
            before, began = read_cpu(viewer.pid), time.perf_counter()
            for sender in senders:
                sender.communicate("\n")
            seconds, used = time.perf_counter() - began, read_cpu(viewer.pid) - before
            now, peak = read_memory(viewer.pid)
        finally:
            viewer.terminate()
            viewer.wait()
        sent = share * options.processes
        stored, different = count_spans(folder)
    senders_used = resource.getrusage(resource.RUSAGE_CHILDREN)
    others = senders_used.ru_utime + senders_used.ru_stime - used
    print(f"{sent / seconds:,.0f} spans/s, {seconds:.1f} s for {sent:,} spans")
    print(f"lupis ui: {used / sent * 1e6:.0f} CPU µs a span, {peak} MiB at most, {now} MiB after")
    print(f"senders: {others / sent * 1e6:.0f} CPU µs a span")
    if (stored, different) != (sent, sent):
        raise SystemExit(f"stored {stored} calls of {different} spans, expected {sent}")


if __name__ == "__main__":
    main()

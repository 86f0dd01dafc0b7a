"""Compares the delivery of spans with the SDK's batch processor and OTLP exporter ("peer").

    python tests/bench/delivery.py [--rounds 5] [--spans 10000] [--rate 2000]

Each variant runs in its own process against one collector. The rounds of the variants are
interleaved. "paced" makes spans at a rate, as a busy program would; "burst" makes them as fast as
possible. "cpu" is the CPU time of the process for a span until it is delivered. Spans have the 20
attributes of a typical LLM call. The speed of the store is measured separately.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

VARIANTS = ("peer", "lupis")
ATTRIBUTES = {
    "http.request.method": "POST",
    "url.full": "https://api.openai.com/v1/chat/completions",
    "server.address": "api.openai.com",
    "server.port": 443,
    "http.response.status_code": 200,
    "network.protocol.version": "1.1",
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 350,
    "gen_ai.request.stream": False,
    "lupis.cost.total": 0.00039,
    "lupis.response.chunks": 1,
    "lupis.response.outcome": "complete",
    "app.step": "summarize the document",
    "app.attempt": 1,
}


class Handler(BaseHTTPRequestHandler):
    """Accepts everything."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def peer(url):
    """Return the SDK's tracer, its flush function, and a function for further figures."""
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=url, compression=Compression.Gzip)
    processor = BatchSpanProcessor(exporter, max_queue_size=1_000_000, schedule_delay_millis=1000)
    provider.add_span_processor(processor)
    return provider.get_tracer("bench"), lambda: processor.force_flush(60_000), dict


def lupis(url):
    """Return the tracer of LupisSDK, its flush function, and a function for the counts of spans."""
    from lupis_instrument import LupisConfig, LupisSDK
    from lupis_instrument._runtime import current as _runtime

    config = LupisConfig(project_id="bench", otlp_endpoint=url, data_dir=tempfile.mkdtemp())
    sdk = LupisSDK.init(config)

    def count_spans():
        account = _runtime.get_runtime().account
        return {"stored": account.stored, "lost": account.lost, "delivered": account.delivered}

    return sdk.get_tracer(), lambda: sdk.flush(60), count_spans


def measure(variant, url, spans, rate):
    """Make spans in this process, and print their cost."""
    tracer, flush, count_spans = globals()[variant](url)
    make_spans(tracer, 200, 0)
    flush()
    wall, cpu = time.perf_counter(), time.process_time()
    make_spans(tracer, spans, rate)
    made = time.perf_counter() - wall
    flush()
    print(
        json.dumps(
            {
                "cpu": (time.process_time() - cpu) / spans * 1e6,
                "rate": spans / made,
                "delivered in": time.perf_counter() - wall,
                **count_spans(),
            }
        )
    )


def make_spans(tracer, spans, rate):
    """Make spans at a rate a second; 0 means as fast as possible."""
    began = time.perf_counter()
    for number in range(spans):
        with tracer.start_as_current_span("chat gpt-4o-mini", attributes=ATTRIBUTES):
            pass
        if rate and not number % 20:
            ahead = number / rate - (time.perf_counter() - began)
            if ahead > 0:
                time.sleep(ahead)


def measure_store(spans):
    """Print the number of spans a second that the store accepts, in batches of 512."""
    from opentelemetry.sdk.trace import TracerProvider

    from lupis_instrument._export.otlp.encoded_items import ItemEncoder
    from lupis_instrument._export.store.store import Process, Store

    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("bench")
    spans_of_batch = []
    for _ in range(512):
        span = tracer.start_span("chat gpt-4o-mini", attributes=ATTRIBUTES)
        span.end()
        spans_of_batch.append(span)
    items = ItemEncoder(provider.resource).encode_spans(spans_of_batch)
    rates = []
    for _ in range(5):
        store = Store(tempfile.mkdtemp(), 1 << 30, Process("p", None, 1))
        began = time.perf_counter()
        for _ in range(max(1, spans // 512)):
            store.add_items(items)
        rates.append(max(1, spans // 512) * 512 / (time.perf_counter() - began))
        store.database.close()
    print(f"store: {statistics.median(rates):,.0f} spans/s")


def run_round(variant, url, spans, rate):
    """Run one round in its own process, and return its figures."""
    command = [sys.executable, __file__, "--measure", variant, url, str(spans), str(rate)]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    return json.loads(done.stdout)


def compare(name, url, options, rate):
    """Run the rounds of both variants, and print their medians and ratio."""
    rounds = {variant: [] for variant in VARIANTS}
    for _ in range(options.rounds):
        for variant in VARIANTS:
            rounds[variant].append(run_round(variant, url, options.spans, rate))
    for variant, runs in rounds.items():
        cpu = statistics.median(figures["cpu"] for figures in runs)
        reached = statistics.median(figures["rate"] for figures in runs)
        counts = {key: runs[0][key] for key in ("delivered", "stored", "lost") if key in runs[0]}
        print(
            f"{name:6} {variant:5} {cpu:7.1f} us cpu a span, {reached:9,.0f} spans/s made {counts}"
        )
    ratios = [a["cpu"] / b["cpu"] for a, b in zip(rounds["lupis"], rounds["peer"])]
    print(f"{name:6} ratio {statistics.median(ratios):6.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--spans", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        variant, url, spans, rate = options.measure
        measure(variant, url, int(spans), int(rate))
        return
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
        compare("paced", url, options, options.rate)
        compare("burst", url, options, 0)
        server.shutdown()
    measure_store(options.spans)


if __name__ == "__main__":
    main()

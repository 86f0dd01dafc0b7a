"""What delivering costs a span: ours beside the SDK's batch processor with the stock OTLP exporter.

    python tests/bench/delivery.py [--rounds 5] [--spans 10000] [--rate 2000]

Each variant runs in a process of its own against one collector that counts; the rounds of the
variants are interleaved. "paced" makes spans at a rate, as a busy program would, and "burst" as
fast as it can. "cpu" is all that the process computes for a span, until it is delivered. Spans have
the 20 attributes of a typical LLM call. The store's own speed is measured by itself.
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

VARIANTS = ("peer", "ours")
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
    """Counts bytes, and takes everything."""

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
    """A tracer of the SDK's own, and what delivers."""
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=url, compression=Compression.Gzip)
    processor = BatchSpanProcessor(exporter, max_queue_size=1_000_000, schedule_delay_millis=1000)
    provider.add_span_processor(processor)
    return provider.get_tracer("bench"), lambda: processor.force_flush(60_000), dict


def ours(url):
    """Our tracer, and what delivers."""
    from lupis_instrument import LupisConfig, LupisSDK
    from lupis_instrument._runtime import current as _runtime

    config = LupisConfig(project_id="bench", otlp_endpoint=url, data_dir=tempfile.mkdtemp())
    sdk = LupisSDK.init(config)

    def fates():
        account = _runtime.get_runtime().account
        return {"stored": account.stored, "lost": account.lost, "delivered": account.delivered}

    return sdk.get_tracer(), lambda: sdk.flush(60), fates


def measure(variant, url, spans, rate):
    """Makes spans in this process, and prints what they cost."""
    tracer, flush, fates = globals()[variant](url)
    make(tracer, 200, 0)
    flush()
    wall, cpu = time.perf_counter(), time.process_time()
    make(tracer, spans, rate)
    made = time.perf_counter() - wall
    flush()
    print(
        json.dumps(
            {
                "cpu": (time.process_time() - cpu) / spans * 1e6,
                "rate": spans / made,
                "delivered in": time.perf_counter() - wall,
                **fates(),
            }
        )
    )


def make(tracer, spans, rate):
    """Makes spans at a rate, 0 for as fast as can be."""
    began = time.perf_counter()
    for number in range(spans):
        with tracer.start_as_current_span("chat gpt-4o-mini", attributes=ATTRIBUTES):
            pass
        if rate and not number % 20:
            ahead = number / rate - (time.perf_counter() - began)
            if ahead > 0:
                time.sleep(ahead)


def measure_store(spans):
    """Prints how many spans a second the store takes, in batches of 512."""
    from opentelemetry.sdk.trace import TracerProvider

    from lupis_instrument._export.otlp.encoded_items import ItemEncoder
    from lupis_instrument._export.store.store import Process, Store

    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("bench")
    made = []
    for _ in range(512):
        span = tracer.start_span("chat gpt-4o-mini", attributes=ATTRIBUTES)
        span.end()
        made.append(span)
    items = ItemEncoder(provider.resource).encode_spans(made)
    rates = []
    for _ in range(5):
        store = Store(tempfile.mkdtemp(), 1 << 30, Process("p", None, 1))
        began = time.perf_counter()
        for _ in range(max(1, spans // 512)):
            store.add_items(items)
        rates.append(max(1, spans // 512) * 512 / (time.perf_counter() - began))
        store.database.close()
    print(f"store: {statistics.median(rates):,.0f} spans/s")


def run(variant, url, spans, rate):
    """One round in a process of its own."""
    command = [sys.executable, __file__, "--measure", variant, url, str(spans), str(rate)]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    return json.loads(done.stdout)


def compare(name, url, options, rate):
    """Rounds of both variants, and their ratio."""
    rounds = {variant: [] for variant in VARIANTS}
    for _ in range(options.rounds):
        for variant in VARIANTS:
            rounds[variant].append(run(variant, url, options.spans, rate))
    for variant, found in rounds.items():
        cpu = statistics.median(each["cpu"] for each in found)
        reached = statistics.median(each["rate"] for each in found)
        fates = {key: found[0][key] for key in ("delivered", "stored", "lost") if key in found[0]}
        print(
            f"{name:6} {variant:5} {cpu:7.1f} us cpu a span, {reached:9,.0f} spans/s made {fates}"
        )
    ratios = [a["cpu"] / b["cpu"] for a, b in zip(rounds["ours"], rounds["peer"])]
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

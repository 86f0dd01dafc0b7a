"""Measures the store with very many spans: writing, and the commands that read it.

Writes LLM calls to a store in batches, as a program would, and then runs the commands in their own
processes. Prints spans a second, and for each command the median seconds and CPU seconds, because
other load on the machine affects only the former.

usage: python tests/bench/report.py [SPANS [ROUNDS [FOLDER]]]
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.store import Process, Store

BATCH = 512
PROCESSES = 200
MODELS = [
    (provider, f"{provider}-model-{number}")
    for provider in ("openai", "anthropic", "gcp.gemini", "aws.bedrock", "mistral_ai")
    for number in range(5)
]
LIMITS = {
    f"http.response.header.x-ratelimit-{part}-{kind}": (text,)
    for part, text in {"limit": "60", "remaining": "59"}.items()
    for kind in ("requests", "tokens")
}
HEADERS = {f"http.response.header.x-header-{number}": ("a value",) for number in range(15)}
COMMANDS = (
    ["report"],
    ["report", "--format", "json"],
    ["report", "--since", "1d"],
    ["report", "--by", "provider"],
    ["report", "--by", "project"],
    ["report", "--by", "day"],
    ["report", "--by", "chat", "--format", "csv"],
    ["report", "--by", "user"],
    ["report", "--by", "session"],
    ["report", "--by", "host"],
    ["report", "--chat", "chat-7"],
    ["report", "--last"],
    ["runs"],
    ["calls"],
    ["calls", "--user", "user-77"],
    ["calls", "--errors"],
    ["calls", "--slowest", "20"],
    ["calls", "--repeated"],
    ["limits"],
    ["diff", "--last"],
    ["traces"],
    ["show", f"{1000:032x}"],
)


def make_span(number: int, draw: random.Random, origin: Resource, end: int) -> ReadableSpan:
    """Return the span of an LLM call that ended at `end`, in nanoseconds since the epoch."""
    provider, model = MODELS[int(draw.expovariate(0.3)) % len(MODELS)]
    attributes = {
        **HEADERS,
        "http.request.method": "POST",
        "url.full": f"https://api.{provider}.example/v1/chat/completions",
        "server.address": f"api.{provider}.example",
        "server.port": 443,
        "gen_ai.provider.name": provider,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": draw.randrange(9000),
        "gen_ai.usage.output_tokens": draw.randrange(900),
        "gen_ai.usage.cache_read.input_tokens": draw.randrange(2000),
        "gen_ai.response.time_to_first_chunk": draw.random(),
        "lupis.cost.total": draw.random() / 100,
        "lupis.cost.status": "priced",
        "lupis.chat.id": f"chat-{number // 40}",
        "lupis.request.fingerprint": f"{draw.randrange(1 << 60) if draw.random() < 0.98 else 7:x}",
        "user.id": f"user-{number // 200 % 5000}",
        "session.id": f"session-{number // 80}",
        "http.response.status_code": 200,
        **LIMITS,
    }
    if draw.random() < 0.02:
        attributes["error.type"] = "429"
    duration = int(draw.lognormvariate(0.3, 1) * 1e9)
    return ReadableSpan(
        f"chat {model}",
        SpanContext(1 + number // 8, 1 + number, is_remote=False, trace_flags=TraceFlags(1)),
        resource=origin,
        attributes=attributes,
        instrumentation_scope=InstrumentationScope("tests"),
        start_time=end - duration,
        end_time=end,
    )


def build_store(folder: str, spans: int) -> tuple[float, float]:
    """Fill a store; return the seconds and CPU seconds of storing, without making the spans."""
    draw = random.Random(1)
    now = time.time_ns()
    step = 30 * 86_400_000_000_000 // spans
    seconds = used = 0.0
    for process in range(PROCESSES):
        store = Store(folder, 1 << 40, Process(f"project-{process % 4}", f"{process:032x}", 100))
        origin = Resource({"service.name": "bench", "process.pid": process})
        encoder = ItemEncoder(origin)
        numbers = range(process * spans // PROCESSES, (process + 1) * spans // PROCESSES)
        for start in range(0, len(numbers), BATCH):
            items = encoder.encode_spans(
                [
                    make_span(number, draw, origin, now - (spans - number) * step)
                    for number in numbers[start : start + BATCH]
                ]
            )
            began, working = time.perf_counter(), time.process_time()
            store.add_items(items)
            seconds += time.perf_counter() - began
            used += time.process_time() - working
        store.database.close()
    return seconds, used


def run_command(folder: str, arguments: list[str]) -> tuple[float, float]:
    """Return the seconds and CPU seconds of a command, the start of Python included."""
    command = [sys.executable, "-c", "from lupis_instrument._cli.lupis import main; main()"]
    environment = {**os.environ, "LUPIS_DATA_DIR": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - began, used


def main() -> None:
    """Build a store, run the commands, and print the figures."""
    spans, rounds = (int(text) for text in [*sys.argv[1:3], "1000000", "3"][:2])
    with tempfile.TemporaryDirectory() as scratch:
        folder = sys.argv[3] if len(sys.argv) > 3 else scratch
        if not (Path(folder) / FILE_NAME).exists():
            seconds, used = build_store(folder, spans)
            print(
                f"store: {spans / seconds:,.0f} spans/s, {spans / used:,.0f} per processor second"
            )
        size = (Path(folder) / FILE_NAME).stat().st_size
        print(f"{spans:,} spans, {size / (1 << 20):,.0f} MiB")
        figures = {
            " ".join(command): [run_command(folder, command) for _ in range(rounds)]
            for command in COMMANDS
        }
    print("seconds  processor")
    for name, rows in figures.items():
        seconds, used = map(statistics.median, zip(*rows))
        print(f"{seconds:7.2f}  {used:9.2f}  lupis {name}")


if __name__ == "__main__":
    main()

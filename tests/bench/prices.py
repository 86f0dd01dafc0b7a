"""Measures pricing: the first call, a later call, memory and size, compared with genai-prices.

Each figure comes from its own process, and is the median of the rounds. Memory is measured with
tracemalloc, from before the import until after the first price: the kept memory, and the peak.

usage: python tests/bench/prices.py [ROUNDS]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import zlib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CATALOG = ROOT / "lupis_instrument" / "_llm" / "pricing" / "catalog.jsonl"

BEFORE = """
import sys, time, tracemalloc
from datetime import datetime, timezone
AT = datetime(2026, 11, 23, tzinfo=timezone.utc)
from lupis_instrument._llm.usage.usage import Usage
USAGE = Usage(1200, 300, 1000)
def report(first, call):
    first()
    later = min(time_call(call) for _ in range(5))
    print('{"kept": %d, "peak": %d, "first": %f, "later": %f}' % (*KEPT, TOOK, later))
def time_call(call):
    started = time.perf_counter()
    for _ in range(200): call()
    return (time.perf_counter() - started) / 200
"""
OURS = """
from lupis_instrument._llm.pricing.prices import price_call
def call():
    return price_call(provider={provider!r}, api_url={url!r}, models=({model!r},), usage=USAGE, at=AT)
"""
THEIRS = """
from genai_prices import Usage as Counts, calc_price
def call():
    counts = Counts(input_tokens=1200, output_tokens=300, cache_read_tokens=1000)
    return calc_price(counts, {model!r}, provider_id={provider!r}, genai_request_timestamp=AT)
"""
TIMED = """
started = time.perf_counter()
{body}
call()
TOOK, KEPT = time.perf_counter() - started, (0, 0)
report(call, call)
"""
TRACED = """
tracemalloc.start()
{body}
call()
TOOK, KEPT = 0, tracemalloc.get_traced_memory()
tracemalloc.stop()
report(call, call)
"""
CALLS = {
    "openai": ("openai", "https://api.openai.com/v1/responses", "gpt-5.4"),
    "anthropic": ("anthropic", "https://api.anthropic.com/v1/messages", "claude-opus-4-5"),
    "openrouter": ("openrouter", "https://openrouter.ai/api/v1/chat/completions", "openai/gpt-4o"),
}


def measure(body: str, rounds: int) -> dict[str, float]:
    """Return the medians of the figures that processes with this code print."""
    _run(TIMED, body)  # compiles the modules
    timed = [_run(TIMED, body) for _ in range(rounds)]
    medians = _run(TRACED, body)
    for name in ("first", "later"):
        medians[name] = statistics.median(figures[name] for figures in timed)
    return medians


def _run(program: str, body: str) -> dict[str, float]:
    command = [sys.executable, "-c", BEFORE + program.format(body=body)]
    environment = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, encoding="utf-8"
    )
    return json.loads(done.stdout)


def main() -> None:
    """Measure all rows, and print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    text = CATALOG.read_bytes()
    packed = len(zlib.compress(text, 6))
    print(f"{CATALOG.name}: {len(text) / 1000:.0f} kB, {packed / 1000:.0f} kB of the wheel")
    print(f"{'':24} {'first ms':>9} {'kept MB':>8} {'peak MB':>8} {'later us':>9}")
    rows = {
        name: OURS.format(provider=call[0], url=call[1], model=call[2])
        for name, call in CALLS.items()
    }
    if find_spec("genai_prices"):
        rows["openai by genai-prices"] = THEIRS.format(provider="openai", model="gpt-5.4")
    for name, body in rows.items():
        figures = measure(body, rounds)
        print(
            f"{name:24} {figures['first'] * 1e3:9.1f} {figures['kept'] / 1e6:8.2f}"
            f" {figures['peak'] / 1e6:8.2f} {figures['later'] * 1e6:9.1f}"
        )


if __name__ == "__main__":
    main()

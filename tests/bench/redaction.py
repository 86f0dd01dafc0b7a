"""Measures redaction: a typical LLM span, texts without matches, long and hostile texts.

Prints medians of CPU time; nothing passes or fails by them. Run it with ``python tests/bench/redaction.py``.
``--lupislabs PYTHON`` names the interpreter of a virtual environment with lupislabs 1.0.1, to measure
its filter with the same spans.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import statistics
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from lupis_instrument._redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-" + "1234567890abcdef" * 3
REQUEST_HEADERS = {
    "host": "api.openai.com",
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br, zstd",
    "connection": "keep-alive",
    "content-type": "application/json",
    "content-length": "1834",
    "user-agent": "OpenAI/Python 3.2.0",
    "x-stainless-lang": "python",
    "x-stainless-package-version": "3.2.0",
    "x-stainless-runtime-version": "3.11.7",
    "x-stainless-retry-count": "0",
    "authorization": f"Bearer {KEY}",
}
RESPONSE_HEADERS = {
    "date": "Mon, 23 Nov 2026 20:31:11 GMT",
    "content-type": "text/event-stream; charset=utf-8",
    "openai-organization": "acme-research",
    "openai-processing-ms": "412",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1998321",
    "x-request-id": "req_4f1c7a2b9d8e6f3a5b7c9d1e3f5a7b9c",
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "cf-ray": "8e6f3a5b7c9d1e3f-FRA",
    "set-cookie": "__cf_bm=7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eUo0iXtBqWyPzHkMnVrCgSjDlFa2E4u; path=/",
}


def build_span() -> dict[str, object]:
    """Return the attributes of a streamed chat completion: 40, and 25 headers."""
    run = uuid.UUID(int=random.getrandbits(128))
    span: dict[str, object] = {
        "http.request.method": "POST",
        "url.full": "https://api.openai.com/v1/chat/completions",
        "server.address": "api.openai.com",
        "server.port": 443,
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "url.scheme": "https",
        "url.path": "/v1/chat/completions",
        "user_agent.original": "OpenAI/Python 3.2.0",
        "lupis.chat.id": str(run),
        "gen_ai.conversation.id": str(run),
        "lupis.metadata.user_id": "user-4711",
        "lupis.metadata.organization_id": "org-acme",
        "lupis.metadata.session_id": "sess-2026-11-23-0001",
        "lupis.metadata.plan": "enterprise",
        "user.id": "user-4711",
        "session.id": "sess-2026-11-23-0001",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 1834,
        "gen_ai.usage.output_tokens": 211,
        "gen_ai.usage.cache_read.input_tokens": 1024,
        "gen_ai.usage.cache_write.input_tokens": 0,
        "gen_ai.usage.cache_creation.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "lupis.usage.total_tokens": 2045,
        "lupis.usage.source": "reported",
        "lupis.cost.input": 0.000275,
        "lupis.cost.output": 0.000127,
        "lupis.cost.cache": 0.000077,
        "lupis.cost.total": 0.000479,
        "lupis.cost.status": "priced",
        "lupis.cost.catalog": "2026-11-20",
        "gen_ai.request.stream": True,
        "lupis.response.outcome": "complete",
        "lupis.run.id": f"{random.getrandbits(64):016x}",
    }
    for name, value in REQUEST_HEADERS.items():
        span[f"http.request.header.{name}"] = (value,)
    for name, value in RESPONSE_HEADERS.items():
        span[f"http.response.header.{name}"] = (value,)
    return span


def make_texts(size: int) -> dict[str, str]:
    """Return texts without secrets, of about `size` characters."""
    words = [*str(__doc__).lower().replace("``", "").split(), "the", "model", "answered"]
    rows = [
        {"id": uuid.UUID(int=random.getrandbits(128)).hex, "model": "gpt-4o-mini", "n": index}
        for index in range(size // 70)
    ]
    non_ascii = "Das Modell überprüfte die Größe, „gut“, sagte es 👍🏽. "
    line = '2026-11-23 20:31:11,123 INFO httpx HTTP Request: POST https://api.openai.com/v1/chat/completions "HTTP/1.1 200 OK"\n'
    return {
        "prose": " ".join(random.choices(words, k=size // 6))[:size],
        "JSON": json.dumps(rows)[:size],
        "log lines": (line * (size // len(line) + 1))[:size],
        "base64": base64.b64encode(
            random.getrandbits(6 * size).to_bytes(6 * size // 8 + 1, "big")
        ).decode()[:size],
        "UUIDs": "\n".join(str(uuid.UUID(int=random.getrandbits(128))) for _ in range(size // 37)),
        "hashes": " ".join(f"{random.getrandbits(256):064x}" for _ in range(size // 65)),
        "numbers": json.dumps([random.uniform(-1, 1) for _ in range(size // 21)]),
        "URLs": "\n".join(f"https://example.com/v1/items/{n}?q=a%20b" for n in range(size // 40)),
        "not ASCII": (non_ascii * (size // len(non_ascii) + 1))[:size],
        "code": (Path(json.__file__).with_name("decoder.py").read_text() * (size // 9000 + 1))[
            :size
        ],
    }


def make_hostile_texts(size: int) -> dict[str, str]:
    """Return texts on which careless patterns are slow."""
    parts = (
        "a",
        "eyJ",
        "-eyJ",
        "sk-",
        "token ",
        "password=",
        "pass->",
        "token={",
        "://a:",
        "-----BEGIN PRIVATE KEY-----",
        "%25",
        "\\",
        "4111 ",
        "AKIA",
        "key=",
        "curl -u ",
    )
    return {f"{part!r} repeated": (part * (size // len(part) + 1))[:size] for part in parts}


def time_median(run: Callable[[], object], times: int) -> float:
    """Return the median CPU seconds of a call of `run`."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


EARLIER = """
import json, statistics, sys, time
from lupislabs.sensitive_data_filter import SensitiveDataFilterUtil
from lupislabs.types import SensitiveDataFilter
spans = json.load(sys.stdin)
filtered = SensitiveDataFilterUtil(SensitiveDataFilter())
filtered.filter_object(spans[0])
taken = []
for span in spans * 3:
    start = time.process_time()
    filtered.filter_object(span)
    taken.append(time.process_time() - start)
print(statistics.median(taken))
"""


def time_earlier(python: str, spans: list[dict[str, object]]) -> float:
    """Return the median CPU seconds of the filter of lupislabs 1.0.1 for a span."""
    done = subprocess.run(
        [python, "-c", EARLIER],
        input=json.dumps(spans),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    return float(done.stdout)


def main() -> None:
    """Measure all texts, and print the figures."""
    parser = argparse.ArgumentParser(description="Measures redaction.")
    parser.add_argument("--lupislabs", metavar="PYTHON", help="compare with lupislabs 1.0.1 there")
    options = parser.parse_args()
    random.seed(1)
    redactor = Redactor()
    spans = [build_span() for _ in range(300)]
    redactor.redact_attributes(spans[0])
    next_spans = iter(spans * 10)
    seconds = time_median(lambda: redactor.redact_attributes(next(next_spans)), 2000)
    print(f"span of {len(spans[0])} attributes: {seconds * 1e6:.0f} us  (aim: 60)")
    if options.lupislabs:
        earlier = time_earlier(options.lupislabs, spans)
        print(f"lupislabs 1.0.1: {earlier * 1e6:.0f} us, {earlier / seconds:.1f} times as long")
    for size in (1_000, 100_000, 1_000_000):
        for name, text in make_texts(size).items():
            times = max(5, 300_000 // size)
            speed = (
                len(text.encode())
                / time_median(lambda text=text: redactor.redact_text(text), times)
                / 1e6
            )
            print(f"{name}, {size:,} characters: {speed:.0f} MB/s  (aim: 30)")
    for name, text in make_hostile_texts(10_000).items():
        long = text * 20
        short_time = time_median(lambda text=text: redactor.redact_text(text), 3)
        long_time = time_median(lambda text=long: redactor.redact_text(text), 3)
        speed = len(long) / long_time / 1e6
        print(
            f"{name}: {speed:.1f} MB/s, 20 times the text takes {long_time / short_time:.0f} times"
        )


if __name__ == "__main__":
    sys.exit(main())

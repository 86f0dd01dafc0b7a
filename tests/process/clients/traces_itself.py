"""A program that traces its own calls, with upstream's instrumentors and its own provider."""

import asyncio
import importlib
import json
import sys

from cases import BASE, BODY, DATA, HEADERS
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

URL = f"{BASE}/v1/chat/completions?case=own"
INSTRUMENTORS = {
    "requests": "requests.RequestsInstrumentor",
    "urllib3": "urllib3.URLLib3Instrumentor",
    "httpx": "httpx.HTTPXClientInstrumentor",
    "aiohttp": "aiohttp_client.AioHttpClientInstrumentor",
}


def call_requests():
    import requests

    return requests.post(URL, json=BODY).json()


def call_urllib3():
    import urllib3

    return urllib3.PoolManager().request("POST", URL, body=DATA, headers=HEADERS).data.decode()


def call_httpx():
    import httpx

    return httpx.post(URL, json=BODY).json()


def call_aiohttp():
    import aiohttp

    async def call():
        async with aiohttp.ClientSession() as session, session.post(URL, json=BODY) as answer:
            return await answer.json()

    return asyncio.run(call())


def main():
    """Calls while the client's instrumentor is on and after it was switched off; `later`: also before."""
    client, when = sys.argv[1:]
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    module, _, name = INSTRUMENTORS[client].partition(".")
    module = importlib.import_module(f"opentelemetry.instrumentation.{module}")
    call = globals()[f"call_{client}"]
    answers = []
    if when == "later":
        answers.append(call())
    instrumentor = getattr(module, name)()
    instrumentor.instrument()
    with provider.get_tracer("program").start_as_current_span("work"):
        answers.append(call())
    instrumentor.uninstrument()
    answers.append(call())
    spans = exporter.get_finished_spans()
    print(json.dumps([answers, [[span.name, span.parent is not None] for span in spans]]))


if __name__ == "__main__":
    main()

"""Traces itself with OpenTelemetry. Its exporter gets only its own spans, also under lupis-run.

With LUPIS_JOIN_PROVIDER=true, its exporter gets the spans of lupis-run too.

    lupis-run python examples/own_tracing_example.py
    LUPIS_JOIN_PROVIDER=true lupis-run python examples/own_tracing_example.py

Needs: pip install requests
"""

import fake_llm
import requests
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def main():
    """Make a call inside a span, and print the spans that the program's own exporter got."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    RequestsInstrumentor().instrument()

    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello?"}]}
    with fake_llm.base_url() as url, trace.get_tracer("app").start_as_current_span("work"):
        requests.post(f"{url}/v1/chat/completions", json=body, timeout=60).raise_for_status()
    provider.force_flush()
    print(sorted(span.name for span in exporter.get_finished_spans()))


if __name__ == "__main__":
    main()

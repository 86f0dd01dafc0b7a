"""The program's own instrumentors with OTEL_SEMCONV_STABILITY_OPT_IN: spans and metrics are the same."""

import pytest
from servers.comparison import Case, list_cases

PROGRAM = """
import asyncio, json, re, sys
import aiohttp, httpx, requests, urllib3
from calls import URL
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
ABSENT = URL + "/absent"

async def call_aiohttp():
    async with aiohttp.ClientSession() as session:
        for url in (URL, ABSENT):
            async with session.post(url, json=BODY, headers={"x-mark": "aiohttp"}) as response:
                await response.read()

def call_all():
    for url in (URL, ABSENT):
        requests.post(url, json=BODY, headers={"x-mark": "requests"})
        urllib3.PoolManager().request("POST", url, json=BODY, headers={"x-mark": "urllib3"})
        httpx.post(url, json=BODY, headers={"x-mark": "httpx"})
    asyncio.run(call_aiohttp())

def instrument():
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
    for instrumentor in (AioHttpClientInstrumentor, HTTPXClientInstrumentor,
                         RequestsInstrumentor, URLLib3Instrumentor):
        instrumentor().instrument()

def print_spans(spans):
    for span in spans:
        message = encode_spans([span]).resource_spans[0].scope_spans[0]
        for field in ("trace_id", "span_id", "parent_span_id", "start_time_unix_nano",
                      "end_time_unix_nano"):
            message.spans[0].ClearField(field)
        for event in message.spans[0].events:
            event.ClearField("time_unix_nano")
        print(re.sub(r"(127.0.0.1:|int_value: )\\d{4,5}", "PORT", str(message)))

def print_metrics(data):
    for scoped in data.resource_metrics[0].scope_metrics:
        for metric in scoped.metrics:
            for point in metric.data.data_points:
                text = json.dumps({k: v for k, v in point.attributes.items() if "port" not in k})
                print(scoped.scope.name, scoped.schema_url, metric.name, point.count, text)

reader, memory = InMemoryMetricReader(), InMemorySpanExporter()
if sys.argv[1] == "later":
    call_all()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))
instrument()
call_all()
print_spans(memory.get_finished_spans())
print_metrics(reader.get_metrics_data())
"""
VALUES = ("", "http", "http/dup", "gen_ai_latest_experimental", "http,gen_ai_latest_experimental")
CASES = {
    f"{value or 'unset'}, {when}": Case(
        ["{python}", "program.py", when],
        files={"program.py": PROGRAM},
        env={"OTEL_SEMCONV_STABILITY_OPT_IN": value} if value else {},
    )
    for value in VALUES
    for when in ("first", "later")
}


@pytest.mark.parametrize("name", list_cases(CASES, fast=("unset, later", "http/dup, first")))
def test_own_instrumentors_make_the_same_spans_and_metrics(name, run_pair):
    """Attributes, names, schemas and scopes are the same to the byte, whatever the variable says."""
    bare, launched = run_pair(name)
    assert bare.behaviour.stdout
    assert bare.behaviour == launched.behaviour

"""Our instrumentor for httpx2, for releases of upstream's that don't know it."""

import asyncio

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

httpx2 = pytest.importorskip("httpx2")

PATH = "/v1/chat/completions?case=unit"


@pytest.fixture
def spans():
    """Spans of httpx2, while a test runs."""
    from lupis_instrument._instrumentation.clients.httpx2_spans import HTTPX2ClientInstrumentor

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = object.__new__(HTTPX2ClientInstrumentor)
    instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)
    yield exporter.get_finished_spans
    instrumentor.uninstrument()


async def post(url):
    """CurrentCalls from a coroutine."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.post(url)


def post_sync(url):
    """CurrentCalls."""
    with httpx2.Client(trust_env=False) as client:
        return client.post(url)


WAYS = {"sync": post_sync, "async": lambda url: asyncio.run(post(url))}


@pytest.mark.parametrize("way", WAYS)
def test_a_request_is_a_span(spans, server, way):
    """And the server is told which."""
    WAYS[way](server.url + PATH)
    (span,) = spans()
    assert ("POST", server.url + PATH) == (span.name, span.attributes["url.full"])
    trace_id = server.seen[0][2]["traceparent"].split("-")[1]
    assert f"{span.context.trace_id:032x}" == trace_id


@pytest.mark.parametrize("way", WAYS)
def test_a_failing_request_is_an_error(spans, server, way):
    """The program gets its exception."""
    with pytest.raises(httpx2.RemoteProtocolError):
        WAYS[way](server.url + PATH + "&drop=1")
    (span,) = spans()
    assert ("ERROR", "exception") == (span.status.status_code.name, span.events[0].name)


@pytest.mark.parametrize("way", WAYS)
def test_a_suppressed_request_has_no_span(spans, server, way):
    """It is our own."""
    with suppress_instrumentation():
        WAYS[way](server.url + PATH)
    assert () == spans()


def test_it_can_be_switched_off(server):
    """The transports are what they were."""
    from lupis_instrument._instrumentation.clients.httpx2_spans import HTTPX2ClientInstrumentor

    before = httpx2.HTTPTransport.handle_request
    instrumentor = object.__new__(HTTPX2ClientInstrumentor)
    instrumentor.instrument(skip_dep_check=True)
    assert before is not httpx2.HTTPTransport.handle_request
    instrumentor.uninstrument()
    assert before is httpx2.HTTPTransport.handle_request

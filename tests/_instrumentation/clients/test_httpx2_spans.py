"""The instrumentor for httpx2 that serves where upstream's release does not know httpx2."""

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
    """The finished spans of httpx2, while a test runs."""
    from lupis_instrument._instrumentation.clients.httpx2_spans import HTTPX2ClientInstrumentor

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = object.__new__(HTTPX2ClientInstrumentor)
    instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)
    yield exporter.get_finished_spans
    instrumentor.uninstrument()


async def post(url):
    """Make a request in a coroutine."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.post(url)


def post_sync(url):
    """Make a request with the blocking client."""
    with httpx2.Client(trust_env=False) as client:
        return client.post(url)


REQUESTS = {"sync": post_sync, "async": lambda url: asyncio.run(post(url))}


@pytest.mark.parametrize("kind", REQUESTS)
def test_request_is_a_span(spans, server, kind):
    """The server gets the ids of the span."""
    REQUESTS[kind](server.url + PATH)
    (span,) = spans()
    assert ("POST", server.url + PATH) == (span.name, span.attributes["url.full"])
    trace_id = server.seen[0][2]["traceparent"].split("-")[1]
    assert f"{span.context.trace_id:032x}" == trace_id


@pytest.mark.parametrize("kind", REQUESTS)
def test_failed_request_makes_the_span_an_error(spans, server, kind):
    """The program gets the exception."""
    with pytest.raises(httpx2.RemoteProtocolError):
        REQUESTS[kind](server.url + PATH + "&drop=1")
    (span,) = spans()
    assert ("ERROR", "exception") == (span.status.status_code.name, span.events[0].name)


@pytest.mark.parametrize("kind", REQUESTS)
def test_suppressed_request_has_no_span(spans, server, kind):
    """This package makes the request itself."""
    with suppress_instrumentation():
        REQUESTS[kind](server.url + PATH)
    assert () == spans()


def test_uninstrument_restores_the_transports(server):
    """Their functions are the ones from before."""
    from lupis_instrument._instrumentation.clients.httpx2_spans import HTTPX2ClientInstrumentor

    before = httpx2.HTTPTransport.handle_request
    instrumentor = object.__new__(HTTPX2ClientInstrumentor)
    instrumentor.instrument(skip_dep_check=True)
    assert before is not httpx2.HTTPTransport.handle_request
    instrumentor.uninstrument()
    assert before is httpx2.HTTPTransport.handle_request

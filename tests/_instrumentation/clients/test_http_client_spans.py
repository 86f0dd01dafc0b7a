"""http.client: each request gets a span of this package's own instrumentor."""

import contextlib
import gc
import http.client
import socket
import urllib.request
from urllib.parse import urlsplit

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach, set_value
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation.clients import http_client_spans
from lupis_instrument._instrumentation.clients.http_client_spans import HTTPClientInstrumentor
from lupis_instrument._tracing.context import CALL_SPAN_KEY

PATH = "/v1/chat/completions?case=unit"


@pytest.fixture
def spans():
    """The finished spans of http.client, while a test runs."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = object.__new__(HTTPClientInstrumentor)
    instrumentor.instrument(tracer_provider=provider)
    yield exporter.get_finished_spans
    instrumentor.uninstrument()


def request(server, method="POST", path=PATH):
    """Make a request and return the body of its response."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    try:
        connection.request(method, path, b"{}")
        return connection.getresponse().read()
    finally:
        connection.close()


def test_request_is_a_span(spans, server):
    """Its attributes are the ones of the semantic conventions."""
    request(server)
    (span,) = spans()
    assert ("POST", trace.SpanKind.CLIENT) == (span.name, span.kind)
    assert {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.full": server.url + PATH,
        "server.address": "127.0.0.1",
        "server.port": server.server_address[1],
    } == dict(span.attributes)


def test_unknown_method_is_named_other(spans, server):
    """The semantic conventions want it so."""
    request(server, "BREW")
    (span,) = spans()
    assert ("HTTP", "_OTHER") == (span.name, span.attributes["http.request.method"])


def test_error_status_makes_the_span_an_error(spans, server):
    """The status is the type of the error."""
    request(server, path=f"{PATH}&status=500")
    (span,) = spans()
    assert ("500", "ERROR") == (span.attributes["error.type"], span.status.status_code.name)


def test_span_outlives_a_refused_call(spans, server):
    """urllib3 1.x calls `getresponse` with an argument of Python 2 first."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(server.url).netloc)) as connection:
        connection.request("POST", PATH, b"{}")
        with pytest.raises(TypeError):
            connection.getresponse(buffering=True)
        assert () == spans()
        connection.getresponse().read()
    (span,) = spans()
    assert (200, None) == tuple(
        span.attributes.get(name) for name in ("http.response.status_code", "error.type")
    )


def test_span_ends_with_its_connection_after_a_refused_call(spans, server):
    """The program makes no further call."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
    connection.request("POST", PATH, b"{}")
    with pytest.raises(TypeError) as raised:
        connection.getresponse(buffering=True)
    connection.sock.close()
    del connection, raised
    gc.collect()
    assert 1 == len(spans())


def test_span_outlives_a_second_request_that_is_refused(spans, server):
    """The second request has a span of its own, with the error."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(server.url).netloc)) as connection:
        connection.request("POST", PATH, b"{}")
        with pytest.raises(http.client.CannotSendRequest):
            connection.request("POST", PATH, b"{}")
        connection.getresponse().read()
    refused, answered = spans()
    assert "CannotSendRequest" == refused.attributes["error.type"]
    assert 200 == answered.attributes["http.response.status_code"]


def test_refused_connection_makes_the_span_an_error(spans):
    """The program gets the exception, and its class is the type of the error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        connection = http.client.HTTPConnection(*free.getsockname(), timeout=60)
        with pytest.raises(ConnectionRefusedError):
            connection.request("POST", PATH)
    (span,) = spans()
    assert "ConnectionRefusedError" == span.attributes["error.type"]


def test_closing_the_connection_ends_the_span(spans, server):
    """The program has given the request up."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.putrequest("POST", PATH)
    assert () == spans()
    connection.close()
    assert 1 == len(spans())


def test_suppressed_request_has_no_span(spans, server):
    """Another instrumentor has the call, or this package makes it itself."""
    with suppress_instrumentation():
        request(server)
    assert () == spans()


def test_request_of_urllib_is_a_span(spans, server):
    """Its URL is the one that the program asked for."""
    with urllib.request.urlopen(server.url + "/data") as response:
        response.read()
    (span,) = spans()
    assert ("GET", f"{server.url}/data") == (span.name, span.attributes["url.full"])


def test_span_is_not_current_after_the_request(spans, server):
    """It is current only inside the client's own functions."""
    request(server)
    assert not trace.get_current_span().get_span_context().is_valid


def test_uninstrument_restores_the_client():
    """The functions are the ones from before."""
    before = http.client.HTTPConnection.putrequest
    instrumentor = object.__new__(HTTPClientInstrumentor)
    instrumentor.instrument()
    assert before is not http.client.HTTPConnection.putrequest
    instrumentor.uninstrument()
    assert before is http.client.HTTPConnection.putrequest


def test_server_gets_the_trace_headers_of_the_span(spans, server):
    """The headers are added before the request is sent."""
    request(server)
    (span,) = spans()
    version, trace_id, span_id, _ = server.seen[0][2]["traceparent"].split("-")
    context = span.get_span_context()
    assert ("00", context.trace_id, context.span_id) == (
        version,
        int(trace_id, 16),
        int(span_id, 16),
    )


def test_span_is_current_while_the_request_is_sent(spans, server):
    """A socket that the program wraps finds the span of the request."""

    class Connection(http.client.HTTPConnection):
        def send(self, data):
            sending.append(trace.get_current_span().get_span_context().span_id)
            super().send(data)

    sending = []
    with contextlib.closing(Connection(urlsplit(server.url).netloc, timeout=60)) as connection:
        connection.request("POST", PATH, b"{}")
        connection.getresponse().read()
    (span,) = spans()
    assert {span.get_span_context().span_id} == set(sending)


def test_each_request_of_a_connection_has_a_span(spans, server):
    """The second request of a kept connection begins a new span."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(server.url).netloc)) as connection:
        for _ in range(2):
            connection.request("POST", PATH, b"{}")
            connection.getresponse().read()
    first, second = spans()
    assert first.get_span_context().span_id != second.get_span_context().span_id


def test_close_within_a_call_does_not_end_its_span(spans, server):
    """A step of the call itself closes the connection, for example to connect again."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.putrequest("POST", PATH)
    span = open_span(connection)
    token = attach(set_value(CALL_SPAN_KEY, span))
    connection.close()
    detach(token)
    assert () == spans()
    connection.close()
    assert 1 == len(spans())


def open_span(connection):
    """Return the span that is open for a connection."""
    wrapper = http.client.HTTPConnection.putrequest
    (own_spans,) = [
        cell.cell_contents
        for cell in wrapper.__closure__
        if isinstance(cell.cell_contents, http_client_spans._ConnectionSpans)
    ]
    return own_spans._open[connection]


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("client_span", "starting a span failed"),
        ("inject", "adding trace headers failed"),
        ("_is_call_span", "ending a span failed"),
    ],
)
def test_fault_does_not_reach_the_program(spans, server, monkeypatch, capsys, name, report):
    """The response is read as without the instrumentor, and the fault is reported."""
    diagnostics.reraise = False
    monkeypatch.setattr(http_client_spans, name, None)
    assert request(server)
    assert report in capsys.readouterr().err

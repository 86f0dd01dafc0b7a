"""http.client: requests and responses are seen as they pass the wire, spans begin and end."""

import http.client
import socket
import types
import urllib.request
from urllib.parse import urlsplit

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from servers import wire

from lupis_instrument._instrumentation.clients.http_client import wrap_client
from lupis_instrument._instrumentation.clients.http_client_spans import HTTPClientInstrumentor
from lupis_instrument._instrumentation.clients.http_client_urls import base_url

PATH = "/v1/chat/completions?case=unit"


@pytest.fixture
def connect(recorder, server):
    """Makes connections that are recorder; nobody else's are."""
    connection = type("HTTPConnection", (http.client.HTTPConnection,), {})
    wrap_client(types.SimpleNamespace(HTTPConnection=connection), recorder.activation)
    made = []

    def connect():
        made.append(connection(urlsplit(server.url).netloc, timeout=5))
        return made[-1]

    yield connect
    for each in made:
        each.close()


def whole(**query):
    """The body that the server sends."""
    return b"".join(wire.pieces_of(query))


def test_a_body_is_seen(connect, recorder):
    """The gate was opened by the request."""
    connection = connect()
    connection.request("POST", PATH, b"{}")
    assert whole() == connection.getresponse().read()
    assert (whole(), "complete", 1) == (*recorder.recorded_body, recorder.activations)


def test_a_connection_that_is_closed_unused_opens_nothing(connect, recorder):
    """Nor one on which another client made its request."""
    connect().close()
    with suppress_instrumentation():
        connection = connect()
        connection.request("POST", PATH, b"{}")
        connection.getresponse().read()
    connection.close()
    assert 0 == recorder.activations


def test_the_request_is_seen(connect, recorder, server):
    """Head and body, also where the body comes in pieces."""
    connection = connect()
    connection.putrequest("POST", PATH)
    connection.putheader("X-One", "1")
    connection.putheader("content-length", "4")
    connection.endheaders(b"ab")
    connection.send(b"cd")
    connection.getresponse().read()
    http_call = recorder.http_call
    assert ("POST", server.url + PATH, b"abcd") == (
        http_call.method,
        http_call.url,
        b"".join(http_call.request_body),
    )
    assert ("X-One", "1") in http_call.read_request_headers()


@pytest.mark.parametrize("status", [204, 200])
def test_an_empty_body_is_complete(connect, recorder, status):
    """There is nothing to tap."""
    connection = connect()
    connection.request("POST", f"{PATH}&status={status}&form=empty", b"{}")
    response = connection.getresponse()
    assert "complete" == recorder.body.outcome
    assert b"" == response.read()


def test_another_hosts_file_is_left_alone(connect, recorder):
    """It is the connection's own."""
    connection = connect()
    connection.request("POST", "/data", b"{}")
    response = connection.getresponse()
    assert ("BufferedReader", None) == (type(response.fp).__name__, recorder.body)
    response.read()


def test_a_connection_serves_one_call_after_the_other(connect, recorder):
    """Each is seen."""
    connection = connect()
    for count in (1, 2, 3):
        connection.request("POST", PATH, b"{}")
        connection.getresponse().read()
        assert (whole(), "complete", count) == (
            *recorder.recorded_body,
            recorder.http_call.attempts,
        )


def test_a_call_that_is_not_recorded_is_left_alone(connect, recorder):
    """There is no exchange."""
    recorder.recording = False
    connection = connect()
    connection.request("POST", PATH, b"{}")
    assert whole() == connection.getresponse().read()
    assert 0 == recorder.http_call.attempts


def connection_to(host, port=None, *, secure=False, tunnel=None):
    """A connection that is not opened."""
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(host, port)
    if tunnel is not None:
        connection.set_tunnel(*tunnel)
    return connection


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        (connection_to("a.example"), "http://a.example"),
        (connection_to("a.example", 8080), "http://a.example:8080"),
        (connection_to("a.example", secure=True), "https://a.example"),
        (connection_to("a.example", 8443, secure=True), "https://a.example:8443"),
        (connection_to("::1", 80), "http://[::1]"),
        (connection_to("proxy", 3128, secure=True, tunnel=("b.example", 443)), "https://b.example"),
        (connection_to("proxy", 3128, tunnel=("b.example", 99)), "http://b.example:99"),
    ],
)
def test_a_connections_url_is_that_of_its_server(connection, url):
    """Not of the proxy that it goes through."""
    assert url == base_url(connection)


@pytest.fixture
def spans():
    """Spans of http.client, while a test runs."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = object.__new__(HTTPClientInstrumentor)
    instrumentor.instrument(tracer_provider=provider)
    yield exporter.get_finished_spans
    instrumentor.uninstrument()


def request(server, method="POST", path=PATH):
    """Makes a request and reads its answer."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    try:
        connection.request(method, path, b"{}")
        return connection.getresponse().read()
    finally:
        connection.close()


def test_a_request_is_a_span(spans, server):
    """With the attributes of the conventions."""
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


def test_an_unknown_method_is_named_so(spans, server):
    """As the conventions want it."""
    request(server, "BREW")
    (span,) = spans()
    assert ("HTTP", "_OTHER") == (span.name, span.attributes["http.request.method"])


def test_a_failed_request_is_an_error(spans, server):
    """By its status."""
    request(server, path=f"{PATH}&status=500")
    (span,) = spans()
    assert ("500", "ERROR") == (span.attributes["error.type"], span.status.status_code.name)


def test_a_refused_request_is_an_error(spans):
    """By its exception, which the program gets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        connection = http.client.HTTPConnection(*free.getsockname(), timeout=5)
        with pytest.raises(ConnectionRefusedError):
            connection.request("POST", PATH)
    (span,) = spans()
    assert "ConnectionRefusedError" == span.attributes["error.type"]


def test_a_request_that_is_given_up_ends_its_span(spans, server):
    """When its connection is closed."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    connection.putrequest("POST", PATH)
    assert () == spans()
    connection.close()
    assert 1 == len(spans())


def test_a_suppressed_request_has_no_span(spans, server):
    """Another instrumentor has the call, or it's our own."""
    with suppress_instrumentation():
        request(server)
    assert () == spans()


def test_urllibs_requests_are_spans(spans, server):
    """With the URL that was asked for."""
    with urllib.request.urlopen(server.url + "/data") as answer:
        answer.read()
    (span,) = spans()
    assert ("GET", f"{server.url}/data") == (span.name, span.attributes["url.full"])


def test_nothing_is_left_current(spans, server):
    """The span is the current one only inside the client's own steps."""
    request(server)
    assert not trace.get_current_span().get_span_context().is_valid


def test_it_can_be_switched_off():
    """The client's functions are what they were."""
    before = http.client.HTTPConnection.putrequest
    instrumentor = object.__new__(HTTPClientInstrumentor)
    instrumentor.instrument()
    assert before is not http.client.HTTPConnection.putrequest
    instrumentor.uninstrument()
    assert before is http.client.HTTPConnection.putrequest


def test_a_response_of_another_kind_of_file_is_left_alone(connect, recorder):
    """There is nothing that we know to read from."""

    class Response(http.client.HTTPResponse):
        def begin(self):
            super().begin()
            self.fp = types.SimpleNamespace(read=self.fp.read, close=self.fp.close)

    connection = connect()
    connection.response_class = Response
    connection.request("POST", f"{PATH}&form=length", b"{}")
    assert b"" != connection.getresponse().read()
    assert (b"", "complete") == recorder.recorded_body

"""One request, and what is said of what became of it."""

import socket
import ssl
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from urllib.parse import urlsplit

import pytest
import trustme

from lupis_instrument._export.otlp.responses import ExportResult
from lupis_instrument._export.otlp.sending import Sender

HEADERS = {"content-type": "application/x-protobuf"}


@pytest.fixture
def answering():
    """Serves one answer, given as bytes, to each connection; returns the URL."""
    servers = []

    def serve(answer, *, keep_open=False):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.recv(65536)
                connection.sendall(answer)
                if keep_open:
                    servers.append(connection)
                else:
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"

    yield serve
    for each in servers:
        each.close()


def send(url, body=b"", environ=None, **options):
    """Sends a request."""
    return Sender(environ or {}).send_request(url, body, HEADERS, **options)


def http(status, body=b"", *lines):
    """An answer."""
    head = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, ExportResult.ACCEPTED), (202, ExportResult.ACCEPTED), (204, ExportResult.ACCEPTED),
        (400, ExportResult.SPLIT), (413, ExportResult.SPLIT), (422, ExportResult.SPLIT),
        (401, ExportResult.REFUSED), (403, ExportResult.REFUSED), (404, ExportResult.REFUSED), (405, ExportResult.REFUSED), (301, ExportResult.REFUSED), (307, ExportResult.REFUSED),
        (408, ExportResult.RETRY), (429, ExportResult.RETRY), (500, ExportResult.RETRY), (502, ExportResult.RETRY), (503, ExportResult.RETRY), (504, ExportResult.RETRY), (507, ExportResult.RETRY),
    ],
)  # fmt: skip
def test_each_status_has_its_outcome(status, outcome, answering):
    """Gone, for good or for now; a redirect is not followed, for it would become a GET."""
    answer = send(answering(http(status, b"", "location: http://127.0.0.1:1/")))
    assert outcome == answer.result


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0", 0), ("999999", 3600), ("soon", None), ("-1", None)],
)
def test_retry_after_is_read(text, seconds, answering):
    """Seconds, within reason."""
    assert seconds == send(answering(http(429, b"", f"retry-after: {text}"))).retry_after


def test_retry_after_may_be_a_date(answering):
    """RFC 9110, section 10.2.3."""
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=30), usegmt=True)
    assert 25 < send(answering(http(503, b"", f"retry-after: {date}"))).retry_after <= 30


BROKEN = {
    "garbage": b"\x00\xff not http\r\n\r\n",
    "nothing": b"",
    "half a body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
    "broken chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_is_no_answer(kind, answering):
    """Who knows whether it arrived: it is sent again."""
    assert ExportResult.RETRY == send(answering(BROKEN[kind])).result


def test_nobody_there_is_later():
    """With the reason, as the system says it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = send(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert (ExportResult.RETRY, "Connection refused", None) == (
        answer.result,
        answer.reason,
        answer.status,
    )


def test_a_silent_endpoint_is_given_up_in_time(answering):
    """OTEL_EXPORTER_OTLP_TIMEOUT."""
    began = monotonic()
    answer = send(answering(b"", keep_open=True), environ={"OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"})
    assert (ExportResult.RETRY, "no answer in time") == (answer.result, answer.reason)
    assert monotonic() - began < 5


def test_a_request_may_take_less_than_usual(answering):
    """At the end of the program."""
    began = monotonic()
    assert ExportResult.RETRY == send(answering(b"", keep_open=True), max_seconds=0.2).result
    assert monotonic() - began < 5


@pytest.mark.parametrize(
    "url", ["nonsense", "http://", "http://[::1", "http://127.0.0.1:99999/", "ftp://h/"]
)
def test_an_address_of_no_use_raises_nothing(url):
    """It was checked before, but who knows."""
    assert ExportResult.RETRY == send(url).result


def test_a_header_that_http_cannot_carry_raises_nothing(sink):
    """Nor is it shown."""
    answer = Sender({}).send_request(sink.otlp_url, b"", {"x-api-key": "a\nsecret"})
    assert ExportResult.RETRY == answer.result
    assert "secret" not in answer.reason


def test_a_partial_success_is_told(answering):
    """The rest was taken."""
    body = b"\x0a\x0b\x08\x02\x12\x07too old"
    kind = "content-type: application/x-protobuf"
    answer = send(answering(http(200, body, kind)))
    assert (ExportResult.ACCEPTED, 2, "too old") == (answer.result, answer.rejected, answer.reason)


def test_a_partial_success_in_another_form_is_not_looked_for(answering):
    """Its bytes may mean anything."""
    body = b"\x0a\x0b\x08\x02\x12\x07too old"
    assert 0 == send(answering(http(200, body, "content-type: text/html"))).rejected


@pytest.mark.parametrize(
    ("environ", "coding"),
    [
        ({}, "gzip"),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "deflate"}, "deflate"),
        (
            {
                "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
                "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
            },
            "gzip",
        ),
    ],
)
def test_requests_are_packed_as_the_standard_variables_say(environ, coding, sink, finished):
    """By default with gzip; what is of traces alone wins."""
    from lupis_instrument._export.otlp.destinations import WIRE_FORMATS
    from lupis_instrument._export.otlp.encoded_items import ItemEncoder

    span = finished("one")
    body = WIRE_FORMATS["traces"].encode_body(ItemEncoder(span.resource).encode_spans([span]))
    assert ExportResult.ACCEPTED == send(sink.otlp_url, body, environ).result
    assert (["one"], coding) == (
        [each["name"] for each in sink.spans],
        sink.requests[0].headers.get("content-encoding"),
    )


def test_user_and_password_become_a_header(sink):
    """They are no part of a host."""
    url = sink.otlp_url.replace("://", "://ada:p%40ss@")
    assert ExportResult.ACCEPTED == send(url).result
    assert "Basic YWRhOnBAc3M=" == sink.requests[0].headers["authorization"]


@pytest.mark.parametrize(
    ("headers", "agent"),
    [({}, "lupis-instrument/"), ({"User-Agent": "mine"}, "mine")],
)
def test_who_sends_is_said(headers, agent, sink):
    """Unless the user says it."""
    assert ExportResult.ACCEPTED == Sender({}).send_request(sink.otlp_url, b"", headers).result
    assert sink.requests[0].headers["user-agent"].startswith(agent)


def test_an_ipv6_address_is_reached():
    """In brackets."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6

    try:
        server = Server(("::1", 0), Ok)
    except OSError:
        pytest.skip("no IPv6 here")
    with serving(server):
        assert (
            ExportResult.ACCEPTED
            == send(f"http://[::1]:{server.server_address[1]}/v1/traces").result
        )


# TLS


class Ok(BaseHTTPRequestHandler):
    """Says yes, and keeps what it was asked for."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.paths.append(self.path)
        self.server.headers.append(self.headers)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class serving:  # noqa: N801 - read as a word
    """Runs a server in the background."""

    def __init__(self, server):
        self.server = server
        server.paths, server.headers = [], []

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self.server

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority, with its files: ca.pem, client.pem, client.key."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    client = ca.issue_cert("client@example.org")
    client.private_key_pem.write_to_path(str(folder / "client.key"))
    client.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    return ca, folder


@pytest.fixture
def secure(authority):
    """An endpoint over TLS that asks for a client's certificate."""
    ca, _ = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "collector.example").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED

    class Server(ThreadingHTTPServer):
        def get_request(self):
            connection, address = super().get_request()
            return context.wrap_socket(connection, server_side=True), address

        def handle_error(self, *_):
            pass

    with serving(Server(("127.0.0.1", 0), Ok)) as server:
        yield f"https://localhost:{server.server_address[1]}/v1/traces"


def test_certificates_come_from_the_standard_variables(secure, authority):
    """The authority's, and the client's own."""
    _, folder = authority
    environ = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(folder / "ca.pem"),
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": str(folder / "client.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(folder / "client.key"),
    }
    assert ExportResult.ACCEPTED == send(secure, environ=environ).result


def test_an_unknown_authority_is_not_trusted(secure):
    """Nothing is sent to who knows whom."""
    answer = send(secure)
    assert ExportResult.RETRY == answer.result
    assert "certificate" in answer.reason.lower()


def test_a_certificate_that_is_not_there_raises_nothing(secure):
    """It is said, and tried again."""
    environ = {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"}
    assert ExportResult.RETRY == send(secure, environ=environ).result


# proxies


@pytest.fixture
def proxy():
    """A proxy that answers itself, and keeps what it was asked for."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Ok)) as server:
        yield server


def test_a_proxy_is_asked_for_other_machines(proxy, monkeypatch):
    """By the usual variables."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ExportResult.ACCEPTED == send("http://collector.example:4318/v1/traces").result
    assert ["http://collector.example:4318/v1/traces"] == proxy.paths


def test_a_proxy_that_wants_a_password_is_told_it(proxy, monkeypatch):
    """The endpoint's own is another's."""
    monkeypatch.setenv("http_proxy", f"http://ada:p%40ss@127.0.0.1:{proxy.server_address[1]}")
    assert ExportResult.ACCEPTED == send("http://bo:no@collector.example/v1/traces").result
    assert ["http://collector.example/v1/traces"] == proxy.paths
    assert ("Basic YWRhOnBAc3M=", "Basic Ym86bm8=") == (
        proxy.headers[0]["proxy-authorization"],
        proxy.headers[0]["authorization"],
    )


class Tunnel(Ok):
    """Lets bytes through to an address of the test's, whatever is asked for."""

    def do_CONNECT(self):
        self.server.paths.append(self.path)
        self.server.headers.append(self.headers)
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(self.server.behind) as further:
            back = threading.Thread(target=pass_on, args=(further, self.connection))
            back.start()
            pass_on(self.connection, further)
            back.join()


def pass_on(source, target):
    """Copies until there is no more."""
    while True:
        data = source.recv(65536)
        if not data:
            break
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def test_a_proxy_lets_tls_through(secure, authority, monkeypatch):
    """It sees where to, and not what."""
    _, folder = authority
    environ = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(folder / "ca.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(folder / "client.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(folder / "client.key"),
    }
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Tunnel)) as proxy:
        proxy.behind = ("127.0.0.1", urlsplit(secure).port)
        monkeypatch.setenv("https_proxy", f"ada:p%40ss@127.0.0.1:{proxy.server_address[1]}")
        answer = send("https://collector.example:4318/v1/traces", environ=environ)
    assert (ExportResult.ACCEPTED, ["collector.example:4318"]) == (answer.result, proxy.paths)
    assert "Basic YWRhOnBAc3M=" == proxy.headers[0]["proxy-authorization"]
    assert "authorization" not in proxy.headers[0]


def test_hosts_that_no_proxy_is_for(proxy, monkeypatch):
    """By the usual variable."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.setenv("no_proxy", ".invalid")
    assert ExportResult.RETRY == send("http://collector.invalid:4318/v1/traces").result
    assert [] == proxy.paths


def test_no_proxy_is_asked_for_this_machine(proxy, sink, monkeypatch):
    """It has no way to its loopback addresses."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
    assert ExportResult.ACCEPTED == send(sink.otlp_url).result
    assert [] == proxy.paths

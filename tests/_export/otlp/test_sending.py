"""One request is sent over HTTP, and its response becomes a result."""

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from urllib.parse import urlsplit

import pytest
import trustme

from lupis_instrument._export.otlp import sending
from lupis_instrument._export.otlp.responses import ExportResult
from lupis_instrument._export.otlp.sending import Sender

HEADERS = {"content-type": "application/x-protobuf"}


@pytest.fixture
def answering():
    """Returns the URL of a server that sends the same bytes to each connection."""
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
    for server in servers:
        server.close()


def send(url, body=b"", environ=None, **options):
    """Send a request; return the response."""
    return Sender(environ or {"OTEL_EXPORTER_OTLP_TIMEOUT": "100"}).send_request(
        url, body, HEADERS, **options
    )


def http(status, body=b"", *lines):
    """Return an HTTP response as bytes."""
    head = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, ExportResult.ACCEPTED), (202, ExportResult.ACCEPTED), (204, ExportResult.ACCEPTED),
        (400, ExportResult.SPLIT), (401, ExportResult.REFUSED), (307, ExportResult.REFUSED),
        (429, ExportResult.RETRY), (503, ExportResult.RETRY),
    ],
)  # fmt: skip
def test_the_status_decides_the_result(status, result, answering):
    """A redirect is not followed, because POST would become GET."""
    response = send(answering(http(status, b"", "location: http://127.0.0.1:1/")))
    assert result is response.result


def test_retry_after_is_read(answering):
    """It is a number of seconds here."""
    assert 7 == send(answering(http(429, b"", "retry-after: 7"))).retry_after


BROKEN = {
    "garbage": b"\x00\xff not http\r\n\r\n",
    "nothing": b"",
    "half a body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
    "broken chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("answer", [b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03", b""])
def test_an_endpoint_that_may_speak_grpc_is_recognized(answer, answering, monkeypatch):
    """At the port that OTLP over gRPC uses; at any other port, an answer may just be broken."""
    url = answering(answer)
    assert "4318" not in send(url).reason
    monkeypatch.setattr(sending, "_GRPC_PORT", urlsplit(url).port)
    assert send(url).reason.endswith("this sends OTLP over HTTP, usually port 4318")


def test_a_refusal_quotes_the_answer(answering):
    """Without the values of the request's own headers."""
    url = answering(http(404, b"no such path, abcdefg1", "content-type: text/plain"))
    response = Sender({}).send_request(url, b"", {**HEADERS, "x-api-key": "abcdefg1"})
    assert "status 404: no such path, [REDACTED]" == response.reason


class PickyHandler(BaseHTTPRequestHandler):
    """Refuses compressed requests, with the status in their path."""

    def do_POST(self):
        """Notes the coding of each request, and answers."""
        self.rfile.read(int(self.headers["content-length"]))
        coding = self.headers["content-encoding"]
        self.server.codings.append(coding)
        status, plain_status = map(int, self.path.split("/")[1:])
        self.send_response(status if coding else plain_status)
        self.end_headers()

    def log_message(self, *_):
        """Writes nothing."""


@pytest.fixture
def picky():
    """A server with `.url` and `.codings`, one for each request."""
    with ThreadingHTTPServer(("127.0.0.1", 0), PickyHandler) as server:
        server.codings = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [400, 415])
def test_a_compressed_request_that_is_not_understood_is_repeated_plain(status, picky):
    """Later requests are not compressed."""
    sender = Sender({})
    for _ in range(2):
        response = sender.send_request(f"{picky.url}/{status}/200", b"x", HEADERS)
        assert ExportResult.ACCEPTED is response.result
    assert ["gzip", None, None] == picky.codings


def test_an_item_that_is_not_understood_is_repeated_plain_once(picky):
    """The compression is not the cause, so later requests are compressed."""
    sender = Sender({})
    for _ in range(2):
        assert 400 == sender.send_request(f"{picky.url}/400/400", b"x", HEADERS).status
    assert ["gzip", None, "gzip"] == picky.codings


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_response_leads_to_a_retry(kind, answering):
    """Nobody knows whether the request arrived."""
    assert ExportResult.RETRY == send(answering(BROKEN[kind])).result


def test_a_refused_connection_leads_to_a_retry():
    """The reason is the operating system's message."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        response = send(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert (ExportResult.RETRY, "Connection refused", None) == (
        response.result,
        response.reason,
        response.status,
    )


def test_a_request_has_a_time_limit(answering):
    """OTEL_EXPORTER_OTLP_TIMEOUT sets it, in seconds."""
    began = monotonic()
    response = send(answering(b"", keep_open=True), environ={"OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"})
    assert (ExportResult.RETRY, "no answer in time") == (response.result, response.reason)
    assert monotonic() - began < 9  # without the variable, 10


def test_the_caller_can_shorten_the_time_limit(answering):
    """This is for the end of the program."""
    began = monotonic()
    assert ExportResult.RETRY == send(answering(b"", keep_open=True), max_seconds=0.2).result
    assert monotonic() - began < 60


DRIPS = {
    "a status line": b"H",
    "headers": b"HTTP/1.1 200 OK\r\nx: y",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a body": b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n",
}


@pytest.mark.parametrize("piece", DRIPS.values(), ids=DRIPS)
def test_a_response_that_drips_ends_at_the_time_limit(piece, sink):
    """The time limit holds for the whole request, not for the wait for the next byte."""
    sink.drip(piece)
    began = monotonic()
    response = send(sink.otlp_url, max_seconds=0.5)
    assert (ExportResult.RETRY, "no answer in time") == (response.result, response.reason)
    assert monotonic() - began < 60


def test_a_handshake_that_never_ends_is_limited(answering):
    """The server receives the first message of TLS and answers nothing."""
    began = monotonic()
    url = answering(b"", keep_open=True).replace("http:", "https:")
    assert ExportResult.RETRY == send(url, max_seconds=0.3).result
    assert monotonic() - began < 60


def test_a_server_that_reads_nothing_is_limited():
    """The body is bigger than the buffers of the network."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = monotonic()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        response = send(url, bytes(30 << 20), compress=False, max_seconds=0.3)
    assert (ExportResult.RETRY, "no answer in time") == (response.result, response.reason)
    assert monotonic() - began < 60


@pytest.mark.parametrize(
    "url", ["nonsense", "http://", "http://[::1", "http://127.0.0.1:99999/", "ftp://h/"]
)
def test_an_invalid_address_raises_nothing(url):
    """The settings are checked before, but not the targets in the store."""
    assert ExportResult.RETRY == send(url).result


def test_an_invalid_header_raises_nothing(sink):
    """The reason does not show its value, which may be a key."""
    response = Sender({}).send_request(sink.otlp_url, b"", {"x-api-key": "a\nsecret"})
    assert ExportResult.RETRY == response.result
    assert "secret" not in response.reason


def test_a_partial_success_is_read(answering):
    """The endpoint has accepted the other items."""
    body = b"\x0a\x0b\x08\x02\x12\x07too old"
    kind = "content-type: application/x-protobuf"
    response = send(answering(http(200, body, kind)))
    assert (ExportResult.ACCEPTED, 2, "too old") == (
        response.result,
        response.rejected,
        response.reason,
    )


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
def test_the_standard_variables_choose_the_compression(environ, coding, sink, finished):
    """The default is gzip; a variable for traces overrides the common one."""
    from lupis_instrument._export.otlp.destinations import WIRE_FORMATS
    from lupis_instrument._export.otlp.encoded_items import ItemEncoder

    span = finished("one")
    body = WIRE_FORMATS["traces"].encode_body(ItemEncoder(span.resource).encode_spans([span]))
    assert ExportResult.ACCEPTED == send(sink.otlp_url, body, environ).result
    assert (["one"], coding) == (
        [span["name"] for span in sink.spans],
        sink.requests[0].headers.get("content-encoding"),
    )


def test_user_and_password_become_a_header(sink):
    """They are removed from the address."""
    url = sink.otlp_url.replace("://", "://ada:p%40ss@")
    assert ExportResult.ACCEPTED == send(url).result
    assert "Basic YWRhOnBAc3M=" == sink.requests[0].headers["authorization"]


@pytest.mark.parametrize(
    ("headers", "agent"),
    [({}, "lupis-instrument/"), ({"User-Agent": "mine"}, "mine")],
)
def test_the_request_names_this_package(headers, agent, sink):
    """A header of the user overrides the name."""
    assert ExportResult.ACCEPTED == Sender({}).send_request(sink.otlp_url, b"", headers).result
    assert sink.requests[0].headers["user-agent"].startswith(agent)


def test_an_ipv6_address_is_reached():
    """The address stands in brackets in the URL."""

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
    """Answers with 200, and keeps paths and headers of the requests."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.paths.append(self.path)
        self.server.headers.append(self.headers)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class serving:  # noqa: N801 - a context manager
    """Runs a server on a thread of its own."""

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
    """A certificate authority, and the folder with ca.pem, client.pem and client.key."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    client = ca.issue_cert("client@example.org")
    client.private_key_pem.write_to_path(str(folder / "client.key"))
    client.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    return ca, folder


@pytest.fixture
def secure(authority):
    """The URL of an endpoint over TLS that requires a client certificate."""
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
    """They name the authority, and the client certificate with its key."""
    _, folder = authority
    environ = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(folder / "ca.pem"),
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": str(folder / "client.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(folder / "client.key"),
    }
    assert ExportResult.ACCEPTED == send(secure, environ=environ).result


def test_an_unknown_authority_is_not_trusted(secure):
    """The request is tried again later."""
    response = send(secure)
    assert ExportResult.RETRY == response.result
    assert "certificate" in response.reason.lower()


def test_a_missing_certificate_file_raises_nothing(secure):
    """The request is tried again later."""
    environ = {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"}
    assert ExportResult.RETRY == send(secure, environ=environ).result


# proxies


@pytest.fixture
def proxy():
    """A proxy that answers with 200 and keeps the requests."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Ok)) as server:
        yield server


def test_requests_to_other_machines_go_through_the_proxy(proxy, monkeypatch):
    """The variable http_proxy names it."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ExportResult.ACCEPTED == send("http://collector.example:4318/v1/traces").result
    assert ["http://collector.example:4318/v1/traces"] == proxy.paths


def test_the_proxy_gets_its_own_password(proxy, monkeypatch):
    """The endpoint gets another one."""
    monkeypatch.setenv("http_proxy", f"http://ada:p%40ss@127.0.0.1:{proxy.server_address[1]}")
    assert ExportResult.ACCEPTED == send("http://bo:no@collector.example/v1/traces").result
    assert ["http://collector.example/v1/traces"] == proxy.paths
    assert ("Basic YWRhOnBAc3M=", "Basic Ym86bm8=") == (
        proxy.headers[0]["proxy-authorization"],
        proxy.headers[0]["authorization"],
    )


class Tunnel(Ok):
    """A proxy that connects each request to the same server."""

    def do_CONNECT(self):
        self.server.paths.append(self.path)
        self.server.headers.append(self.headers)
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(self.server.endpoint) as endpoint:
            responses = threading.Thread(target=copy_bytes, args=(endpoint, self.connection))
            responses.start()
            copy_bytes(self.connection, endpoint)
            responses.join()


def copy_bytes(source, target):
    """Copy bytes from one socket to another, until the end."""
    while True:
        data = source.recv(65536)
        if not data:
            break
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def test_tls_goes_through_a_tunnel_of_the_proxy(secure, authority, monkeypatch):
    """The proxy sees the host, and nothing of the request."""
    _, folder = authority
    environ = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(folder / "ca.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(folder / "client.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(folder / "client.key"),
    }
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Tunnel)) as proxy:
        proxy.endpoint = ("127.0.0.1", urlsplit(secure).port)
        monkeypatch.setenv("https_proxy", f"ada:p%40ss@127.0.0.1:{proxy.server_address[1]}")
        response = send("https://collector.example:4318/v1/traces", environ=environ)
    assert (ExportResult.ACCEPTED, ["collector.example:4318"]) == (response.result, proxy.paths)
    assert "Basic YWRhOnBAc3M=" == proxy.headers[0]["proxy-authorization"]
    assert "authorization" not in proxy.headers[0]


def test_some_hosts_are_reached_without_the_proxy(proxy, monkeypatch):
    """The variable no_proxy lists them."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.setenv("no_proxy", ".invalid")
    assert ExportResult.RETRY == send("http://collector.invalid:4318/v1/traces").result
    assert [] == proxy.paths


def test_this_machine_is_reached_without_the_proxy(proxy, sink, monkeypatch):
    """A proxy cannot reach its loopback addresses."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
    assert ExportResult.ACCEPTED == send(sink.otlp_url).result
    assert [] == proxy.paths

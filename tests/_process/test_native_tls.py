"""Telemetry reaches an endpoint by TLS where the program has replaced Python's TLS sockets."""

import http.server
import ssl
import threading

import pytest

from lupis_instrument._export.otlp.responses import ExportResult
from lupis_instrument._export.otlp.sending import Sender

trustme = pytest.importorskip("trustme")


class GreenContext(ssl.SSLContext):
    """A class of another package, whose sockets must not be used."""

    def wrap_socket(self, *_, **__):
        """Fails."""
        raise AssertionError


BODIES = []
"""The bodies that the endpoint has received."""


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Accepts each request, and keeps its body."""

    def do_POST(self):
        """Answers."""
        BODIES.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Writes nothing."""


@pytest.fixture
def send(tmp_path, monkeypatch):
    """Sends a body to an endpoint with TLS, for a host name; returns the result."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def use_green_context(**_):
        green = GreenContext(ssl.PROTOCOL_TLS_CLIENT)
        green.load_verify_locations(tmp_path / "ca.pem")
        return green

    monkeypatch.setattr(ssl, "create_default_context", use_green_context)
    BODIES.clear()

    def send_body(body, host="localhost"):
        sender = Sender({"OTEL_EXPORTER_OTLP_COMPRESSION": "none"})
        return sender.send_request(f"https://{host}:{server.server_port}/", body, {}).result

    yield send_body
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("size", [1, 3_000_000])
def test_a_body_arrives(send, size):
    """Large ones take many records."""
    body = b"x" * size
    assert ExportResult.ACCEPTED is send(body)
    assert [body] == BODIES


def test_a_certificate_for_another_name_is_not_accepted(send):
    """Nothing is sent."""
    assert ExportResult.RETRY is send(b"secret", "127.0.0.1")
    assert [] == BODIES

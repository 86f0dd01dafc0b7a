"""The URL of a request that is made with http.client."""

import http.client

import pytest

from lupis_instrument._instrumentation.clients.http_client_urls import base_url, read_request_line


def connection_to(host, port=None, *, secure=False, tunnel=None):
    """Return a connection that is not opened."""
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
def test_base_url_is_the_servers(connection, url):
    """It is not the URL of a proxy."""
    assert url == base_url(connection)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"POST /v1/chat HTTP/1.1\r\nhost: x\r\n", ("POST", "http://a.example/v1/chat")),
        (b"GET http://b.example/ HTTP/1.1\r\n", ("GET", "http://b.example/")),
        (b"GET", ("GET", "http://a.example")),
    ],
)
def test_request_line_gives_method_and_url(head, expected):
    """A target in absolute form, as sent to a proxy, is the URL itself."""
    assert expected == read_request_line(connection_to("a.example"), head)

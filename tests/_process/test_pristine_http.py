"""What is sent passes nobody who has changed the HTTP client that programs import."""

import http.client
import importlib.machinery
import socket

import pytest

from lupis_instrument._export.otlp.probe import EndpointProbe
from lupis_instrument._export.otlp.responses import ExportResult
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._process import pristine_http


@pytest.fixture(autouse=True)
def loaded_anew():
    """The copy is made in the test."""
    pristine_http._load_copy.cache_clear()
    yield
    pristine_http._load_copy.cache_clear()


def fail(*_args, **_options):
    raise AssertionError("seen by others")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (http.client.HTTPConnection, "request"),
        (http.client.HTTPConnection, "putrequest"),
        (http.client.HTTPConnection, "send"),
        (http.client.HTTPConnection, "connect"),
        (http.client.HTTPConnection, "getresponse"),
        (http.client.HTTPResponse, "read"),
        (http.client.HTTPResponse, "begin"),
        (http.client, "HTTPConnection"),
        (http.client, "HTTPResponse"),
    ],
)
def test_who_changes_the_client_does_not_see_it(owner, name, sink, monkeypatch):
    """Whether a function is replaced, or the class."""
    monkeypatch.setattr(owner, name, fail)
    assert ExportResult.ACCEPTED is Sender({}).send_request(sink.otlp_url, b"", {}).result


def test_the_copy_is_not_what_programs_import():
    """Nor is it found by its name."""
    copy = pristine_http.load_http_client()
    assert copy is not http.client
    assert copy.HTTPConnection is not http.client.HTTPConnection


def test_where_it_has_no_file_it_is_the_one_there_is(monkeypatch):
    """As in a program that is frozen into one file."""
    monkeypatch.setattr(importlib.machinery.PathFinder, "find_spec", lambda *_: None)
    assert pristine_http.load_http_client() is http.client


def of(package, thing):
    """A function or class as if that package had made it."""
    thing.__module__ = package
    return thing


def refuse(package):
    """A function of that package's that lets nobody through."""
    return of(package, lambda *_, **__: fail())


class Guarded(socket.socket):
    """A socket that the server of these tests may accept, and nobody may open."""

    def __init__(self, *args, fileno=None, **options):
        if fileno is None:
            fail()
        super().__init__(*args, fileno=fileno, **options)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("socket", of("pytest_socket", Guarded)),
        ("create_connection", refuse("mocket.socket")),
        ("getaddrinfo", refuse("pytest_socket")),
    ],
)
def test_who_keeps_tests_from_the_network_does_not_see_it(name, theirs, sink, monkeypatch):
    """Nor fail for it."""
    monkeypatch.setattr(socket, name, theirs)
    assert ExportResult.ACCEPTED is Sender({}).send_request(sink.otlp_url, b"", {}).result
    assert EndpointProbe(sink.otlp_url).is_listening()


def test_who_guards_a_socket_of_pythons_does_not_see_it(sink, monkeypatch):
    """pytest-socket has its list of hosts asked by the class itself."""
    monkeypatch.setattr(socket, "getaddrinfo", refuse("pytest_socket"))
    monkeypatch.setattr(socket.socket, "connect", fail)
    assert ExportResult.ACCEPTED is Sender({}).send_request(sink.otlp_url, b"", {}).result


def test_nobody_listens_where_nobody_listens(sink, monkeypatch):
    """Past those tools, too."""
    monkeypatch.setattr(socket, "getaddrinfo", refuse("pytest_socket"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        assert ExportResult.RETRY is Sender({}).send_request(url, b"", {}).result
        assert not EndpointProbe(url).is_listening()


def test_sockets_that_the_program_waits_through_are_ours_too(sink, monkeypatch):
    """A loop of gevent's must not be blocked, and a proxy not be passed."""
    opened = []

    def open_socket(*args, fileno=None):
        opened.append(fileno is None)
        return own(*args, fileno=fileno)

    own = socket.socket
    monkeypatch.setattr(socket, "socket", of("gevent._socket3", open_socket))
    assert ExportResult.ACCEPTED is Sender({}).send_request(sink.otlp_url, b"", {}).result
    assert any(opened)

"""Telemetry does not pass through a patched http.client or patched sockets."""

import http.client
import importlib.machinery
import socket

import pytest

from lupis_instrument._export.otlp.probe import EndpointProbe
from lupis_instrument._export.otlp.responses import ExportResult
from lupis_instrument._export.otlp.sending import Sender
from lupis_instrument._process import pristine_http


@pytest.fixture(autouse=True)
def fresh_copy():
    """Each test loads a copy of its own."""
    pristine_http._load_copy.cache_clear()
    yield
    pristine_http._load_copy.cache_clear()


def fail(*_args, **_options):
    raise AssertionError("another package saw it")


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
def test_a_patch_of_the_client_does_not_see_telemetry(owner, name, sink, monkeypatch):
    """Neither a patched method nor a replaced class."""
    monkeypatch.setattr(owner, name, fail)
    assert ExportResult.ACCEPTED is Sender({}).send_request(sink.otlp_url, b"", {}).result


def test_the_copy_is_a_module_of_its_own():
    """An import of http.client does not find it."""
    copy = pristine_http.load_http_client()
    assert copy is not http.client
    assert copy.HTTPConnection is not http.client.HTTPConnection


def test_the_module_itself_is_used_where_it_has_no_file(monkeypatch):
    """A frozen program has no file to load a copy from."""
    monkeypatch.setattr(importlib.machinery.PathFinder, "find_spec", lambda *_: None)
    assert pristine_http.load_http_client() is http.client


def move_to_package(package, member):
    """Returns a function or class as if the package had defined it."""
    member.__module__ = package
    return member


def refuse(package):
    """A function of that package's that lets nobody through."""
    return move_to_package(package, lambda *_, **__: fail())


class Guarded(socket.socket):
    """A socket that the server of these tests may accept, and nobody may open."""

    def __init__(self, *args, fileno=None, **options):
        if fileno is None:
            fail()
        super().__init__(*args, fileno=fileno, **options)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("socket", move_to_package("pytest_socket", Guarded)),
        ("create_connection", refuse("mocket.socket")),
        ("getaddrinfo", refuse("pytest_socket")),
        ("create_connection", refuse("gevent._socketcommon")),
        ("socket", move_to_package("eventlet.greenio.base", type("Green", (Guarded,), {}))),
    ],
)
def test_who_keeps_tests_from_the_network_does_not_see_it(name, theirs, sink, monkeypatch):
    """Nor fail for it."""
    monkeypatch.setattr(socket, name, theirs)
    assert ExportResult.ACCEPTED is Sender({}).send_request(sink.otlp_url, b"", {}).result
    assert EndpointProbe(sink.otlp_url).is_receiver()


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
        assert not EndpointProbe(url).is_receiver()


def test_sockets_that_the_program_waits_through_are_ours_too(sink, monkeypatch):
    """PySocks may be the only way to a network."""
    opened = []

    def open_socket(*args, fileno=None):
        opened.append(fileno is None)
        return own(*args, fileno=fileno)

    own = socket.socket
    monkeypatch.setattr(socket, "socket", move_to_package("socks", open_socket))
    assert ExportResult.ACCEPTED is Sender({}).send_request(sink.otlp_url, b"", {}).result
    assert any(opened)

"""The default endpoint is used only where the desktop app says its name."""

import os
import socket
import threading
from contextlib import closing, contextmanager
from time import monotonic

import pytest

from lupis_instrument._export.otlp import probe
from lupis_instrument._export.otlp.probe import EndpointProbe, has_name

SLACK_SECONDS = 30.0


@pytest.fixture(autouse=True)
def _no_server_is_known(monkeypatch):
    """Each test asks anew: another server may have had the same port before."""
    monkeypatch.setattr(probe, "_known_names", {})


@contextmanager
def serving(answer):
    """Runs a server that calls `answer(connection)` for each connection; yields its URL.

    The attribute `received` of the URL has the bytes that arrived.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    received = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with closing(connection):
                received.append(connection.recv(65536))
                try:
                    answer(connection)
                except OSError:
                    pass  # the probe has hung up

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/traces", received
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)


def respond(status, body, headers=b""):
    """Returns an answer to a connection: one HTTP response."""
    head = b"HTTP/1.1 %d X\r\n%s\r\n" % (status, headers)
    return lambda connection: connection.sendall(head + body)


def wait_for_hangup(connection):
    """Says nothing until the client hangs up."""
    connection.recv(1)


def drip(connection):
    """Sends a byte now and then, without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"x")
        threading.Event().wait(0.02)


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "lupis"}',
        b'{"status": "ok", "app": "Lupis Desktop", "version": "1.0"}',
        b'{"service": "lupis-instrument"}',
        b'14\r\n{"name": "lupis ui"}\r\n0\r\n\r\n',
    ],
)
def test_a_server_that_says_the_name_is_the_receiver(body):
    """The member may have any key, and the body may be one chunk."""
    with serving(respond(200, body)) as (url, _):
        assert EndpointProbe(url).is_receiver()


@pytest.mark.parametrize(
    "answer",
    [
        respond(404, b""),
        respond(404, b'{"name": "lupis"}'),
        respond(301, b"", b"location: http://127.0.0.1/api/health\r\n"),
        respond(200, b"Ok.\n"),
        respond(200, b'{"status": "ok"}'),
        respond(200, b'{"message": "this is not lupis"}'),
        respond(200, b'{"lupis": 1}'),
        respond(200, b'"lupis"'),
        respond(200, b"x" * 100_000),
        lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"),
        lambda connection: connection.sendall(b"\x00\xff\x1b" * 99),
        lambda connection: None,
    ],
)
def test_other_servers_are_strangers(answer):
    """Neither an error nor another name nor garbage is the name."""
    with serving(answer) as (url, _):
        assert not EndpointProbe(url).is_receiver()


def test_an_echo_is_a_stranger():
    """The request has no word that would pass for the name."""

    def echo(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + received[-1])

    with serving(echo) as (url, received):
        assert not EndpointProbe(url).is_receiver()
        assert b"lupis" not in b"".join(received).lower()


def test_the_question_has_no_headers_of_this_package():
    """A stranger learns neither the product nor a project nor a key."""
    with serving(respond(404, b"")) as (url, received):
        EndpointProbe(url).is_receiver()
    host = url.split("/")[2]
    lines = ["GET /api/health HTTP/1.0", f"Host: {host}", "Accept: application/json", "", ""]
    assert ["\r\n".join(lines).encode()] == received


@pytest.mark.parametrize("answer", [wait_for_hangup, drip])
def test_a_silent_server_is_not_waited_for(answer):
    """A server that sends a byte now and then is not either."""
    with serving(answer) as (url, _):
        began = monotonic()
        assert not EndpointProbe(url).is_receiver()
        assert monotonic() - began < SLACK_SECONDS


def test_a_stranger_is_asked_once(monkeypatch):
    """A later probe of this process knows it, as the probe of a forked child does."""
    monkeypatch.setattr(probe, "_CACHE_SECONDS", 0.0)
    with serving(respond(404, b"")) as (url, received):
        first = EndpointProbe(url)
        answers = [first.is_receiver(), first.is_receiver(), EndpointProbe(url).is_receiver()]
        assert ([False] * 3, 1) == (answers, len(received))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of Unix")
def test_a_forked_child_knows_the_stranger():
    """It does not wait for a silent one again."""
    with serving(respond(404, b"")) as (url, received):
        EndpointProbe(url).is_receiver()
        pid = os.fork()
        if not pid:
            os._exit(EndpointProbe(url).is_receiver())
        assert 0 == os.waitpid(pid, 0)[1]
        assert 1 == len(received)


def test_a_receiver_is_asked_again_after_its_end(monkeypatch):
    """Another program may take the port when the desktop app has ended."""
    monkeypatch.setattr(probe, "_CACHE_SECONDS", 0.0)
    with serving(respond(200, b'{"name": "lupis"}')) as (url, _):
        endpoint = EndpointProbe(url)
        assert endpoint.is_receiver()
    assert not endpoint.is_receiver()
    port = int(url.split(":")[2].split("/")[0])
    with socket.create_server(("127.0.0.1", port)) as stranger:
        stranger.settimeout(5)
        assert not endpoint.is_receiver()


def test_a_receiver_may_start_later(monkeypatch):
    """A long-running program looks for it once a second."""
    monkeypatch.setattr(probe, "_CACHE_SECONDS", 0.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        assert not EndpointProbe(url).is_receiver()
    assert {} == probe._known_names


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://[::1", "http:///x"])
def test_an_address_that_cannot_be_is_no_receiver(url):
    """No error reaches the caller."""
    try:
        endpoint = EndpointProbe(url)
    except ValueError:
        return  # the settings refuse such a URL
    assert not endpoint.is_receiver()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1", b"HTTP/1.1 200 OK\r\n\r\n{", b"{}" * 2000])
def test_a_part_of_an_answer_is_no_name(answer):
    """The rest may follow."""
    assert not has_name(answer)

"""Hosts are looked up in time, whatever their name server does."""

import socket
import threading
from time import monotonic

import pytest

from lupis_instrument._export.otlp.resolver import Resolver
from lupis_instrument._process.background_thread import BackgroundThread

ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))
LATER = 60.0


class NameServer:
    """Stands in for `getaddrinfo`: it can hang, and counts the lookups."""

    def __init__(self):
        self.lookups = 0
        self.answers = threading.Event()
        self.answers.set()

    def getaddrinfo(self, *_):
        self.lookups += 1
        self.answers.wait(LATER)
        return [ADDRESS]


@pytest.fixture
def names(monkeypatch):
    """A name server that takes the place of the system's."""
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    yield server
    server.answers.set()


@pytest.fixture
def without_threads(monkeypatch):
    """No thread can start any more, as in exit handlers from Python 3.12 on."""

    def refuse(_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    return lambda: monkeypatch.setattr(BackgroundThread, "start", refuse)


def look_up(resolver, seconds=LATER, host="collector.example"):
    """Return the addresses of a host."""
    return resolver.find_addresses(host, 80, monotonic() + seconds)


def test_a_host_is_looked_up(names):
    """The program's own `getaddrinfo` does it, on another thread."""
    assert [ADDRESS] == look_up(Resolver())


def test_a_lookup_that_hangs_ends_in_time(names):
    """The caller gets an error."""
    names.answers.clear()
    with pytest.raises(OSError, match="timed out"):
        look_up(Resolver(), 0.05)


def test_lookups_that_hang_share_a_thread(names):
    """Retries do not leave more and more threads behind."""
    resolver = Resolver()
    names.answers.clear()
    for _ in range(3):
        with pytest.raises(OSError, match="timed out"):
            look_up(resolver, 0.05)
    assert 1 == names.lookups


def test_a_lookup_that_hung_works_later(names):
    """The same lookup answers."""
    resolver = Resolver()
    names.answers.clear()
    with pytest.raises(OSError, match="timed out"):
        look_up(resolver, 0.05)
    names.answers.set()
    assert [ADDRESS] == look_up(resolver)


def test_earlier_addresses_are_used_while_a_lookup_hangs(names):
    """Half of the time remains for the request."""
    resolver = Resolver()
    look_up(resolver)
    names.answers.clear()
    assert [ADDRESS] == look_up(resolver, 0.1)


def test_an_error_of_the_lookup_is_raised(monkeypatch):
    """It keeps its message."""

    def fail(*_):
        raise socket.gaierror(socket.EAI_NONAME, "unknown host")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(OSError, match="unknown host"):
        look_up(Resolver())


def test_without_threads_earlier_addresses_are_used(names, without_threads):
    """The main thread at the end of the process asks no name server."""
    resolver = Resolver()
    look_up(resolver)
    without_threads()
    assert ([ADDRESS], 1) == (look_up(resolver), names.lookups)


def test_without_threads_an_unknown_host_is_an_error(names, without_threads):
    """Its items go to the store."""
    without_threads()
    with pytest.raises(OSError, match="cannot be looked up now"):
        look_up(Resolver())
    assert 0 == names.lookups


def test_without_threads_the_own_host_is_known(names, without_threads):
    """The name localhost needs no name server."""
    without_threads()
    addresses = look_up(Resolver(), host="localhost")
    assert ["127.0.0.1", "::1"] == [address[-1][0] for address in addresses]
    assert 0 == names.lookups


def test_without_new_threads_a_background_thread_looks_up_itself(names, monkeypatch):
    """Nobody waits for it beyond the time limit."""
    results = []
    done = threading.Event()

    def run():
        def refuse(_):
            raise RuntimeError

        monkeypatch.setattr(BackgroundThread, "start", refuse)
        results.append(look_up(Resolver()))
        done.set()

    BackgroundThread(run, "test").start()
    assert done.wait(LATER)
    assert [[ADDRESS]] == results

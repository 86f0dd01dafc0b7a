"""Doors: our instrumentor lies behind them, whatever lies before."""

import asyncio
import functools
import inspect

import pytest

from lupis_instrument._instrumentation.doors import hang, hang_async, unhinged


@pytest.fixture
def client():
    """A client's class."""

    class Client:
        def send(self, *words):
            """Send words."""
            return ["wire", *words]

        async def send_later(self, *words):
            """Send words later."""
            return ["wire", *words]

    return Client


def wrap(owner, name, mark):
    """Wraps a function as instrumentors do, and gives what takes that back."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapper(self, *words):
        return [mark, *original(self, *words)]

    setattr(owner, name, wrapper)
    return lambda: setattr(owner, name, original)


def test_a_call_opens_the_gate(watched, client):
    """The first, and reaches what it did before."""
    hang(watched.gate, client, "send")
    assert (["wire", 1], 1) == (client().send(1), watched.opened)
    assert (["wire", 2], 1) == (client().send(2), watched.opened)


def test_what_is_hung_inside_is_reached(watched, client):
    """In place of the client's function."""
    original = client.send
    hang(watched.gate, client, "send", lambda self, *words: ["tap", *original(self, *words)])
    assert ["tap", "wire"] == client().send()


def test_a_coroutine_function_stays_one(watched, client):
    """And does the same."""
    original = client.send_later

    async def tap(self, *words):
        return ["tap", *await original(self, *words)]

    hang_async(watched.gate, client, "send_later", tap)
    assert inspect.iscoroutinefunction(client.send_later)
    assert (["tap", "wire", 1], 1) == (asyncio.run(client().send_later(1)), watched.opened)


def test_an_instrumentor_is_laid_behind(watched, client):
    """Before what was wrapped around the function already, which is called once."""
    hang(watched.gate, client, "send")
    wrap(client, "send", "program")
    with unhinged(watched.gate.doors):
        wrap(client, "send", "ours")
    assert ["program", "ours", "wire"] == client().send()


def test_what_was_wrapped_around_can_be_taken_off(watched, client):
    """And ours stays."""
    hang(watched.gate, client, "send")
    unwrap = wrap(client, "send", "program")
    with unhinged(watched.gate.doors):
        wrap(client, "send", "ours")
    unwrap()
    assert ["ours", "wire"] == client().send()


def test_a_call_under_way_when_the_gate_opens_goes_through(watched, client):
    """The first call is instrumented too."""

    def activate():
        with unhinged(watched.gate.doors):
            wrap(client, "send", "ours")

    watched.open = activate
    watched.gate._activate = activate
    hang(watched.gate, client, "send")
    wrap(client, "send", "program")
    assert ["program", "ours", "wire"] == client().send()


def fail_halfway(doors, client):
    """An instrumentor that fails when it has wrapped a function."""
    with unhinged(doors):
        wrap(client, "send", "half")
        raise ZeroDivisionError


def test_an_instrumentor_that_fails_leaves_nothing(watched, client):
    """The client is as it was."""
    hang(watched.gate, client, "send")
    unwrap = wrap(client, "send", "program")
    with pytest.raises(ZeroDivisionError):
        fail_halfway(watched.gate.doors, client)
    assert ["program", "wire"] == client().send()
    unwrap()
    assert ["wire"] == client().send()


def test_a_door_looks_like_the_function(watched, client):
    """By name, documentation and signature."""
    before = inspect.signature(client.send)
    hang(watched.gate, client, "send")
    assert ("send", "Send words.", before) == (
        client.send.__name__,
        client.send.__doc__,
        inspect.signature(client.send),
    )


def test_a_subclass_comes_through(watched, client):
    """Also one made before."""

    class Sub(client):
        def send(self, *words):
            return ["sub", *super().send(*words)]

    hang(watched.gate, client, "send")
    assert (["sub", "wire"], 1) == (Sub().send(), watched.opened)

"""Doors: our instrumentor lies behind them, whatever lies before."""

import asyncio
import contextlib
import functools
import gc
import inspect

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation.wrapper import unwrapped
from lupis_instrument._instrumentation.wrapping import wrap_async_method, wrap_method


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


def test_a_call_opens_the_gate(recorder, client):
    """The first, and reaches what it did before."""
    wrap_method(recorder.activation, client, "send")
    assert (["wire", 1], 1) == (client().send(1), recorder.activations)
    assert (["wire", 2], 1) == (client().send(2), recorder.activations)


def test_a_function_that_begins_no_call_leaves_the_gate_shut(recorder, client):
    """What is laid behind its door is reached once another has opened it."""
    wrap_method(
        recorder.activation,
        client,
        "send",
        lambda _self, *words: ["tap", *words],
        begins_call=False,
    )
    assert (["tap", 1], 0) == (client().send(1), recorder.activations)
    with unwrapped(recorder.activation.wrappers):
        wrap(client, "send", "ours")
    recorder.activation.begin_request()
    assert ["ours", "tap", 2] == client().send(2)


def test_what_is_hung_inside_is_reached(recorder, client):
    """In place of the client's function."""
    original = client.send
    wrap_method(
        recorder.activation, client, "send", lambda self, *words: ["tap", *original(self, *words)]
    )
    assert ["tap", "wire"] == client().send()


def test_a_coroutine_function_stays_one(recorder, client):
    """And does the same."""
    original = client.send_later

    async def tap(self, *words):
        return ["tap", *await original(self, *words)]

    wrap_async_method(recorder.activation, client, "send_later", tap)
    assert inspect.iscoroutinefunction(client.send_later)
    assert (["tap", "wire", 1], 1) == (asyncio.run(client().send_later(1)), recorder.activations)


def test_an_instrumentor_is_laid_behind(recorder, client):
    """Before what was wrapped around the function already, which is called once."""
    wrap_method(recorder.activation, client, "send")
    wrap(client, "send", "program")
    with unwrapped(recorder.activation.wrappers):
        wrap(client, "send", "ours")
    assert ["program", "ours", "wire"] == client().send()


def test_what_was_wrapped_around_can_be_taken_off(recorder, client):
    """And ours stays."""
    wrap_method(recorder.activation, client, "send")
    unwrap = wrap(client, "send", "program")
    with unwrapped(recorder.activation.wrappers):
        wrap(client, "send", "ours")
    unwrap()
    assert ["ours", "wire"] == client().send()


def test_a_call_under_way_when_the_gate_opens_goes_through(recorder, client):
    """The first call is instrumented too."""

    def activate():
        with unwrapped(recorder.activation.wrappers):
            wrap(client, "send", "ours")

    recorder.activation._activate = activate
    wrap_method(recorder.activation, client, "send")
    wrap(client, "send", "program")
    assert ["program", "ours", "wire"] == client().send()


def fail_halfway(wrappers, client):
    """An instrumentor that fails when it has wrapped a function."""
    with unwrapped(wrappers):
        wrap(client, "send", "half")
        raise ZeroDivisionError


def test_an_instrumentor_that_fails_leaves_nothing(recorder, client):
    """The client is as it was."""
    wrap_method(recorder.activation, client, "send")
    unwrap = wrap(client, "send", "program")
    with pytest.raises(ZeroDivisionError):
        fail_halfway(recorder.activation.wrappers, client)
    assert ["program", "wire"] == client().send()
    unwrap()
    assert ["wire"] == client().send()


def test_a_door_looks_like_the_function(recorder, client):
    """By name, documentation and signature."""
    before = inspect.signature(client.send)
    wrap_method(recorder.activation, client, "send")
    assert ("send", "Send words.", before) == (
        client.send.__name__,
        client.send.__doc__,
        inspect.signature(client.send),
    )


def test_a_subclass_comes_through(recorder, client):
    """Also one made before."""

    class Sub(client):
        def send(self, *words):
            return ["sub", *super().send(*words)]

    wrap_method(recorder.activation, client, "send")
    assert (["sub", "wire"], 1) == (Sub().send(), recorder.activations)


class TrippedError(Exception):
    """What an instrumentor of ours stumbles with."""


@pytest.fixture
def _lenient():
    """Faults of ours are reported."""
    diagnostics.reraise = False


def instrumented(recorder, owner, name, wrap):
    """The class, with `wrap` of a function behind its door."""
    with unwrapped(recorder.activation.wrappers):
        setattr(owner, name, wrap(getattr(owner, name)))
    return owner()


def passes(original):
    """An instrumentor that does nothing more."""

    @functools.wraps(original)
    def wrapper(*args):
        return original(*args)

    return wrapper


def trips_before(original):
    """An instrumentor that fails before the client's function is called."""

    def wrapper(self, *words):
        raise TrippedError

    return wrapper


def trips_after(original):
    """An instrumentor that fails when it has been."""

    def wrapper(self, *words):
        try:
            original(self, *words)
        except LookupError:
            pass
        raise TrippedError

    return wrapper


def trips_later(trips):
    """The same around a coroutine function."""

    def wrap(original):
        async def wrapper(self, *words):
            coroutine = original(self, *words)
            if trips is trips_after:
                with contextlib.suppress(LookupError):
                    await coroutine
            coroutine.close()
            raise TrippedError

        return wrapper

    return wrap


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize("trips", [trips_before, trips_after])
def test_a_fault_of_the_instrumentors_is_not_the_programs(trips, recorder, client, capsys):
    """The client's function is called, once, and what it returns is returned."""
    seen = []
    wrap_method(recorder.activation, client, "send", lambda self, word: seen.append(word) or "sent")
    assert "sent" == instrumented(recorder, client, "send", trips).send(1)
    assert [1] == seen
    assert "recording a call failed (TrippedError" in capsys.readouterr().err


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize("trips", [trips_before, trips_after])
def test_an_instrumentors_fault_leaves_the_clients_error(trips, recorder, client):
    """Which is raised as it is, with no trace of ours."""
    error = KeyError("theirs")

    def refuse(self):
        raise error

    wrap_method(recorder.activation, client, "send", refuse)
    with pytest.raises(KeyError) as raised:
        instrumented(recorder, client, "send", trips).send()
    assert (error, None, None) == (raised.value, error.__context__, error.__cause__)


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize("trips", [trips_before, trips_after])
def test_the_same_goes_for_coroutine_functions(trips, recorder, client):
    """Called once, and its result or error is the program's."""
    seen = []

    async def send(self, word):
        seen.append(word)
        if word == "refused":
            raise KeyError(word)
        return "sent"

    wrap_async_method(recorder.activation, client, "send_later", send)
    each = instrumented(recorder, client, "send_later", trips_later(trips))
    assert "sent" == asyncio.run(each.send_later(1))
    with pytest.raises(KeyError, match="refused"):
        asyncio.run(each.send_later("refused"))
    assert [1, "refused"] == seen


def test_an_error_of_the_clients_is_freed_with_its_last_reference(recorder, client):
    """And with it what the frames of its traceback hold, such as a response."""

    def refuse(self):
        raise LookupError

    wrap_method(recorder.activation, client, "send", refuse)
    each = instrumented(recorder, client, "send", passes)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(LookupError):
            each.send()
        assert 0 == gc.collect()
    finally:
        gc.enable()


def test_a_call_within_a_call_is_a_call_of_its_own(recorder, client):
    """As a client makes it that follows a redirect."""
    wrap_method(
        recorder.activation, client, "send", lambda self, deep: deep and [deep, self.send(deep - 1)]
    )
    each = instrumented(recorder, client, "send", passes)
    assert [2, [1, 0]] == each.send(2)

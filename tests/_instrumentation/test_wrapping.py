"""Wrapped methods: the instrumentor goes behind them, and its faults stay there."""

import asyncio
import contextlib
import functools
import gc
import inspect
import threading
from contextvars import ContextVar

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation.wrapper import unwrapped
from lupis_instrument._instrumentation.wrapping import wrap_async_method, wrap_method


@pytest.fixture
def client():
    """A client's class, with a function and a coroutine function."""

    class Client:
        def send(self, *words):
            """Send words."""
            return ["wire", *words]

        async def send_later(self, *words):
            """Send words later."""
            return ["wire", *words]

    return Client


def wrap_like_instrumentor(owner, name, mark):
    """Wrap a method like an instrumentor does; return a function that restores the method."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(self, *words):
        return [mark, *original(self, *words)]

    setattr(owner, name, wrapped)
    return lambda: setattr(owner, name, original)


def test_first_call_activates_the_client(recorder, client):
    """A call returns the result of the client's function, before and after."""
    wrap_method(recorder.activation, client, "send")
    assert (["wire", 1], 1) == (client().send(1), recorder.activations)
    assert (["wire", 2], 1) == (client().send(2), recorder.activations)


def test_method_that_begins_no_call_does_not_activate(recorder, client):
    """Its target is called only after another method has activated the client."""
    wrap_method(
        recorder.activation,
        client,
        "send",
        lambda _self, *words: ["tap", *words],
        begins_call=False,
    )
    assert (["tap", 1], 0) == (client().send(1), recorder.activations)
    with unwrapped(recorder.activation.wrappers):
        wrap_like_instrumentor(client, "send", "instrumentor")
    recorder.activation.begin_request()
    assert ["instrumentor", "tap", 2] == client().send(2)


def test_given_function_is_called_in_place_of_the_method(recorder, client):
    """The function calls the client's method itself."""
    original = client.send
    wrap_method(
        recorder.activation, client, "send", lambda self, *words: ["tap", *original(self, *words)]
    )
    assert ["tap", "wire"] == client().send()


def test_wrapped_coroutine_function_is_a_coroutine_function(recorder, client):
    """Its first call activates the client too."""
    original = client.send_later

    async def tap(self, *words):
        return ["tap", *await original(self, *words)]

    wrap_async_method(recorder.activation, client, "send_later", tap)
    assert inspect.iscoroutinefunction(client.send_later)
    assert (["tap", "wire", 1], 1) == (asyncio.run(client().send_later(1)), recorder.activations)


def test_instrumentor_goes_behind_functions_of_the_program(recorder, client):
    """Both functions are called once a call."""
    wrap_method(recorder.activation, client, "send")
    wrap_like_instrumentor(client, "send", "program")
    with unwrapped(recorder.activation.wrappers):
        wrap_like_instrumentor(client, "send", "instrumentor")
    assert ["program", "instrumentor", "wire"] == client().send()


def test_program_can_unwrap_its_function(recorder, client):
    """The instrumentor of this package stays in place."""
    wrap_method(recorder.activation, client, "send")
    unwrap = wrap_like_instrumentor(client, "send", "program")
    with unwrapped(recorder.activation.wrappers):
        wrap_like_instrumentor(client, "send", "instrumentor")
    unwrap()
    assert ["instrumentor", "wire"] == client().send()


def test_call_that_activates_is_instrumented(recorder, client):
    """The call reaches the instrumentor that it has put in place."""

    def activate():
        with unwrapped(recorder.activation.wrappers):
            wrap_like_instrumentor(client, "send", "instrumentor")

    recorder.activation._activate = activate
    wrap_method(recorder.activation, client, "send")
    wrap_like_instrumentor(client, "send", "program")
    assert ["program", "instrumentor", "wire"] == client().send()


def expose_functions(recorder, client, begin_call):
    """Instrument both methods like an instrumentor, and begin a call at each moment of it."""
    has_span = ContextVar("has_span", default=False)
    recorder.has_open_call = has_span.get

    def send(self, original=client.send):
        token = has_span.set(True)
        try:
            return ["instrumentor", *original(self)]
        finally:
            has_span.reset(token)

    async def send_later(self, original=client.send_later):
        token = has_span.set(True)
        try:
            return ["instrumentor", *await original(self)]
        finally:
            has_span.reset(token)

    begin_call()
    client.send, client.send_later = send, send_later
    begin_call()


@pytest.mark.parametrize(
    "call", [lambda client: client.send(), lambda client: asyncio.run(client.send_later())]
)
def test_calls_of_other_threads_during_the_activation_are_instrumented(recorder, client, call):
    """The class shows the client's own functions for a moment; a call that finds one has a span."""
    results, threads = [], []

    def begin_call():
        thread = threading.Thread(target=lambda: results.append(call(client())))
        thread.start()
        threads.append(thread)
        thread.join(0.2)  # time to reach the wrapper, and to wait there

    def activate():
        begin_call()
        with unwrapped(recorder.activation.wrappers):
            expose_functions(recorder, client, begin_call)
        begin_call()

    recorder.activation._activate = activate
    wrap_method(recorder.activation, client, "send")
    wrap_async_method(recorder.activation, client, "send_later", client.send_later)
    results.append(call(client()))
    for thread in threads:
        thread.join(60)
    assert [["instrumentor", "wire"]] * 5 == results


def instrument_halfway(wrappers, client):
    """Fail after one function was wrapped."""
    with unwrapped(wrappers):
        wrap_like_instrumentor(client, "send", "half")
        raise ZeroDivisionError


def test_failed_instrumentor_leaves_nothing_behind(recorder, client):
    """The class has the functions that it had before."""
    wrap_method(recorder.activation, client, "send")
    unwrap = wrap_like_instrumentor(client, "send", "program")
    with pytest.raises(ZeroDivisionError):
        instrument_halfway(recorder.activation.wrappers, client)
    assert ["program", "wire"] == client().send()
    unwrap()
    assert ["wire"] == client().send()


def test_wrapper_looks_like_the_method(recorder, client):
    """Name, documentation and signature are the same."""
    before = inspect.signature(client.send)
    wrap_method(recorder.activation, client, "send")
    assert ("send", "Send words.", before) == (
        client.send.__name__,
        client.send.__doc__,
        inspect.signature(client.send),
    )


def test_subclass_calls_the_wrapper(recorder, client):
    """A subclass that existed before the wrapper reaches it by `super()`."""

    class Sub(client):
        def send(self, *words):
            return ["sub", *super().send(*words)]

    wrap_method(recorder.activation, client, "send")
    assert (["sub", "wire"], 1) == (Sub().send(), recorder.activations)


class InstrumentorError(Exception):
    """The fault of an instrumentor."""


@pytest.fixture
def _lenient():
    """Reports faults, and does not raise them."""
    diagnostics.reraise = False


def instrument(recorder, owner, name, wrap):
    """Return an instance of `owner`, with `wrap` of a method as the wrapper's target."""
    with unwrapped(recorder.activation.wrappers):
        setattr(owner, name, wrap(getattr(owner, name)))
    return owner()


def pass_through(original):
    """Return a wrapper like an instrumentor's that only calls the function."""

    @functools.wraps(original)
    def wrapper(*args):
        return original(*args)

    return wrapper


def fail_before(original):
    """Return a wrapper that fails before the client's function is called."""

    def wrapper(self, *words):
        raise InstrumentorError

    return wrapper


def fail_after(original):
    """Return a wrapper that fails after the client's function was called."""

    def wrapper(self, *words):
        try:
            original(self, *words)
        except LookupError:
            pass
        raise InstrumentorError

    return wrapper


def fail_async(fault):
    """Return the same wrapper for a coroutine function."""

    def wrap(original):
        async def wrapper(self, *words):
            coroutine = original(self, *words)
            if fault is fail_after:
                with contextlib.suppress(LookupError):
                    await coroutine
            coroutine.close()
            raise InstrumentorError

        return wrapper

    return wrap


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize("fault", [fail_before, fail_after])
def test_fault_of_the_instrumentor_does_not_reach_the_program(fault, recorder, client, capsys):
    """The client's function is called once, and its result is returned."""
    received = []
    wrap_method(
        recorder.activation, client, "send", lambda self, word: received.append(word) or "sent"
    )
    assert "sent" == instrument(recorder, client, "send", fault).send(1)
    assert [1] == received
    assert "recording a call failed (InstrumentorError" in capsys.readouterr().err


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize("fault", [fail_before, fail_after])
def test_fault_of_the_instrumentor_does_not_change_the_clients_error(fault, recorder, client):
    """The error has neither a cause nor a context that it did not have before."""
    error = KeyError("client's")

    def refuse(self):
        raise error

    wrap_method(recorder.activation, client, "send", refuse)
    with pytest.raises(KeyError) as raised:
        instrument(recorder, client, "send", fault).send()
    assert (error, None, None) == (raised.value, error.__context__, error.__cause__)


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize("fault", [fail_before, fail_after])
def test_fault_around_a_coroutine_function_does_not_reach_the_program(fault, recorder, client):
    """The coroutine runs once, and the program gets its result or its error."""
    received = []

    async def send(self, word):
        received.append(word)
        if word == "refused":
            raise KeyError(word)
        return "sent"

    wrap_async_method(recorder.activation, client, "send_later", send)
    instance = instrument(recorder, client, "send_later", fail_async(fault))
    assert "sent" == asyncio.run(instance.send_later(1))
    with pytest.raises(KeyError, match="refused"):
        asyncio.run(instance.send_later("refused"))
    assert [1, "refused"] == received


def test_error_of_the_client_is_freed_with_its_last_reference(recorder, client):
    """The frames of its traceback may hold a response, which is freed with them."""

    def refuse(self):
        raise LookupError

    wrap_method(recorder.activation, client, "send", refuse)
    instance = instrument(recorder, client, "send", pass_through)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(LookupError):
            instance.send()
        assert 0 == gc.collect()
    finally:
        gc.enable()


def test_nested_call_is_a_call_of_its_own(recorder, client):
    """A client calls its own method again to follow a redirect."""
    wrap_method(
        recorder.activation, client, "send", lambda self, deep: deep and [deep, self.send(deep - 1)]
    )
    instance = instrument(recorder, client, "send", pass_through)
    assert [2, [1, 0]] == instance.send(2)

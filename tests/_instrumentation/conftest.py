"""Wires without telemetry: an exchange in place of the span that would hold it."""

import pytest
from servers import wire

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._exchange import Exchange
from lupis_instrument._instrumentation.gate import Calls, Gate


class Noted(Exchange):
    """An exchange whose body's bytes are kept."""

    __slots__ = ("noted",)

    def response(self, *head, **how):
        body = super().response(*head, **how)
        self.noted = bytearray()
        if body is not None:
            body.reader = self
        return body

    def feed(self, data):
        self.noted += data


class Watched:
    """The exchange that all calls are taken for, and a gate that counts how often it opened."""

    def __init__(self):
        self.opened = 0
        self.exchange = Noted({}, lambda: None, lambda: None)
        self.calls = Calls()
        self.calls.current = lambda: self.exchange
        self.gate = Gate(self.open, self.calls)

    def open(self):
        self.opened += 1

    @property
    def body(self):
        """The body that is being watched."""
        return self.exchange.body

    @property
    def seen(self):
        """The bytes that went by, and how the body ended."""
        return bytes(self.exchange.noted), self.body.outcome


@pytest.fixture
def watched():
    """A gate, and what passes it."""
    return Watched()


@pytest.fixture
def server():
    """A server to call."""
    with wire.serving() as each:
        yield each


@pytest.fixture(autouse=True)
def _strict():
    """Faults of ours are errors here."""
    diagnostics.forget()
    diagnostics.reraise = True
    yield
    diagnostics.reraise = False
    diagnostics.forget()

"""Wires without telemetry: an exchange in place of the span that would hold it."""

import pytest
from servers import wire

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._exchange import Exchange
from lupis_instrument._instrumentation.gate import Calls, Gate


class Watched:
    """The exchange that all calls are taken for, and a gate that counts how often it opened."""

    def __init__(self):
        self.opened = 0
        self.exchange = Exchange({}, lambda: None, lambda: None)
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
    def usage(self):
        """Input and output tokens that the body reported."""
        self.body.reader.finish()
        usage = self.body.reader.gathering.usage or {}
        return usage.get("prompt_tokens"), usage.get("completion_tokens")


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

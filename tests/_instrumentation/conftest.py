"""Wires without telemetry: an exchange in place of the span that would hold it."""

import pytest
from servers import wire

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation.activation import Activation, Calls
from lupis_instrument._llm.body.chunked import ChunkedDecoder
from lupis_instrument._tracing.http_call import HttpCall


class Reader:
    """Keeps a body's bytes, without their framing."""

    def __init__(self, chunked):
        self.noted = bytearray()
        self.chunked = chunked
        self.chunked_decoder = ChunkedDecoder(self.noted.extend) if chunked else None
        self._last = b""

    def feed(self, data):
        self.finish()
        self._last = data

    def drop_unread(self, count):
        self._last = self._last[: len(self._last) - count]

    def finish(self):
        (self.chunked_decoder.feed if self.chunked_decoder is not None else self.noted.extend)(
            self._last
        )
        self._last = b""
        return self

    @property
    def body_outcome(self):
        decoder = self.chunked_decoder or ChunkedDecoder(None)
        return "error" if decoder.broken else "complete" if decoder.ended else None


class Noted(HttpCall):
    """An exchange whose body's bytes are kept."""

    __slots__ = ()

    def begin_response(self, *head, **how):
        body = super().begin_response(*head, **how)
        if body is not None:
            body.reader = Reader(body.reader.chunked)
        return body


class Watched:
    """The exchange that all calls are taken for, and a gate that counts how often it opened."""

    def __init__(self):
        self.opened = 0
        self.http_call = Noted({}, lambda: None, lambda: None)
        self.calls = Calls()
        self.calls.current = lambda: self.http_call
        self.activation = Activation(self.open, self.calls)

    def open(self):
        self.opened += 1

    @property
    def body(self):
        """The body that is being watched."""
        return self.http_call.body

    @property
    def seen(self):
        """The bytes that went by, and how the body ended."""
        reader, outcome = self.body.reader, self.body.outcome
        reader.finish()
        return bytes(reader.noted), (outcome == "closed" and reader.body_outcome) or outcome


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

"""Wrapped clients without telemetry: one HTTP call stands in for the span of each request."""

import pytest
from servers import wire

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._instrumentation.activation import Activation, CurrentCalls
from lupis_instrument._llm.body.chunked import ChunkedDecoder
from lupis_instrument._tracing.http_call import HttpCall


class BytesReader:
    """Keeps the bytes of a body, without their framing."""

    def __init__(self, chunked):
        self.kept = bytearray()
        self.chunk_count = 0
        self.chunked = chunked
        self.chunked_decoder = ChunkedDecoder() if chunked else None
        self._last = b""

    def feed(self, data):
        self.chunk_count += 1
        self.finish()
        self._last = data

    def drop_unread(self, count):
        self._last = self._last[: len(self._last) - count]

    def finish(self):
        decoder = self.chunked_decoder
        self.kept += self._last if decoder is None else decoder.decode(self._last)
        self._last = b""
        return self

    @property
    def outcome(self):
        """The outcome that the chunked framing tells, if it tells one."""
        decoder = self.chunked_decoder or ChunkedDecoder()
        return "error" if decoder.broken else "complete" if decoder.ended else None


class RecordedCall(HttpCall):
    """An HTTP call whose body keeps its bytes."""

    __slots__ = ()

    def begin_response(self, *head, **options):
        body = super().begin_response(*head, **options)
        if body is not None:
            body.reader = BytesReader(body.reader.chunked)
            body.feed = body.reader.feed
        return body


class CallRecorder:
    """Stands in for the runtime and its processor; every request belongs to the same HTTP call.

    Attributes:
        http_call: that call.
        recording: whether requests are recorded.
        activations: how often the client's instrumentation was activated.
        activation: the instrumentation of the client under test.
    """

    def __init__(self):
        self.http_call = RecordedCall((), lambda: None, lambda: None)
        self.recording = True
        self.activations = 0
        self.calls = CurrentCalls()
        self.calls.connect(self)
        self.activation = Activation(self.activate, self.calls)

    def activate(self):
        self.activations += 1

    def current_http_call(self):
        return self.http_call if self.recording else None

    def has_open_call(self):
        return False

    def client_context(self, _caller_context, _suppression_keys):
        return None

    @property
    def body(self):
        """The body of the last response, if it is recorded."""
        return self.http_call.body

    @property
    def recorded_body(self):
        """The bytes of that body, and its outcome."""
        reader, outcome = self.body.reader, self.body.outcome
        reader.finish()
        return bytes(reader.kept), (outcome == "closed" and reader.outcome) or outcome


@pytest.fixture
def recorder():
    """An activation, and a record of the requests that go through its wrappers."""
    return CallRecorder()


@pytest.fixture
def server():
    """A server to call; see servers/wire.py."""
    with wire.serving() as wire_server:
        yield wire_server


@pytest.fixture(autouse=True)
def _strict():
    """Raises faults of the package as errors, so that a test sees them."""
    diagnostics.reset()
    diagnostics.reraise = True
    yield
    diagnostics.reraise = False
    diagnostics.reset()

"""Trace headers that a request has before this package adds any."""

from collections import deque

import pytest
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lupis_instrument._tracing import context as call_context
from lupis_instrument._tracing.context import Conversation
from lupis_instrument._tracing.propagation import SelectivePropagator

PUBLIC = "https://api.openai.com/v1/chat/completions"
PRIVATE = "http://10.0.0.7:8000/v1/chat/completions"
TRACE, PARENT = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
TRACEPARENT = f"00-{TRACE:032x}-{PARENT:016x}-01"
NOT_SAMPLED = TRACEPARENT[:-1] + "0"
MEMBER = "lupis.chat.id=trip"


@pytest.fixture
def propagator(tracked):
    """A propagator that remembers the headers that it has sent."""
    inner = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
    return SelectivePropagator(
        inner, tracked.processor.find_state, lambda: ("private",), deque(maxlen=100)
    )


@pytest.fixture
def send(tracked, propagator):
    """Adds headers to the headers of one request; returns its span, which has ended."""

    def send_request(carrier, url=PRIVATE, *, chat_id="trip", tracked=tracked):
        with call_context.use_conversation(Conversation(chat_id)):
            span = tracked.start_call(url)
            with trace.use_span(span, end_on_exit=True):
                propagator.inject(carrier)
        return span

    return send_request


class TestTraceparent:
    """The header that names the parent."""

    @pytest.mark.parametrize("url", [PRIVATE, PUBLIC])
    @pytest.mark.parametrize("value", [TRACEPARENT, TRACEPARENT.encode(), NOT_SAMPLED])
    def test_a_valid_one_is_the_parent(self, value, url, send):
        """Whether or not its own backend samples the trace, and wherever the request goes."""
        carrier = {"TraceParent": value}
        span = send(carrier, url)
        assert value == carrier["TraceParent"]
        assert (TRACE, PARENT) == (span.context.trace_id, span.parent.span_id)
        assert span.context.trace_flags.sampled

    def test_the_state_of_its_trace_goes_on(self, send):
        """As the specification wants of a span below it."""
        span = send({"traceparent": TRACEPARENT, "tracestate": "vendor=x"})
        assert {"vendor": "x"} == dict(span.context.trace_state)

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "garbage",
            TRACEPARENT.upper(),
            f"ff-{TRACE:032x}-{PARENT:016x}-01",
            f"00-{0:032x}-{PARENT:016x}-01",
            f"00-{TRACE:032x}-{0:016x}-01",
            f"00-{TRACE:032x}-{PARENT:016x}-01-more",
        ],
    )
    def test_one_that_is_not_valid_stays_and_is_no_parent(self, value, send):
        """The program may test how a server takes it."""
        carrier = {"traceparent": value}
        span = send(carrier)
        assert {"traceparent": value, "baggage": MEMBER} == carrier
        assert span.parent is None

    def test_a_copy_of_an_earlier_request_is_replaced(self, send):
        """A retry with the same headers is a request of its own."""
        carrier = {}
        send(carrier)
        second = send(carrier)
        assert f"{second.context.span_id:016x}" == carrier["traceparent"].split("-")[2]
        assert second.parent is None

    def test_a_client_below_another_sends_the_outer_span(self, tracked, propagator):
        """The span of the inner client is not exported."""
        carrier = {}
        with trace.use_span(tracked.start_call(PRIVATE)):
            propagator.inject(carrier)
            outer_value = carrier["traceparent"]
            with trace.use_span(tracked.start_call(PRIVATE)):
                propagator.inject(carrier)
        assert {"traceparent": outer_value} == carrier

    def test_a_tracestate_alone_stays(self, send):
        """It is no parent: the request gets the `traceparent` that it would get without it."""
        carrier = {"tracestate": "vendor=x"}
        span = send(carrier)
        assert {"traceparent", "tracestate", "baggage"} == set(carrier)
        assert "vendor=x" == carrier["tracestate"]
        assert span.parent is None


class TestBaggage:
    """The header to which the chat id is added."""

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("tenant=7,region=eu", f"tenant=7,region=eu,{MEMBER}"),
            (b"tenant=7", f"tenant=7,{MEMBER}".encode()),
            ("lupis.chat.id=other", "lupis.chat.id=other"),
            ("a=1, lupis.chat.id = other;p=1", "a=1, lupis.chat.id = other;p=1"),
            ("a=" + "x" * 8180, "a=" + "x" * 8180),
            (",".join(["a=1"] * 63), ",".join(["a=1"] * 63 + [MEMBER])),
            (",".join(["a=1"] * 64), ",".join(["a=1"] * 64)),
        ],
        ids=["text", "bytes", "named", "named with spaces", "too long", "63", "64"],
    )
    def test_the_chat_id_is_added_where_there_is_room(self, given, expected, send):
        """A member of the same name stays as the program wrote it."""
        carrier = {"Baggage": given}
        send(carrier)
        assert expected == carrier["Baggage"]
        assert {"Baggage", "traceparent"} == set(carrier)

    def test_another_host_gets_the_programs_part_of_a_copy(self, send):
        """A redirect carries the merged header along."""
        carrier = {"baggage": "tenant=7"}
        send(carrier)
        send(carrier, PUBLIC)
        assert {"baggage": "tenant=7"} == carrier

    def test_a_copy_gets_the_chat_id_of_its_own_conversation(self, send):
        """The program may use one set of headers for many conversations."""
        carrier = {"baggage": "tenant=7"}
        for chat_id in ("first", "second"):
            send(carrier, chat_id=chat_id)
        assert "tenant=7,lupis.chat.id=second" == carrier["baggage"]

    def test_without_a_chat_id_it_stays(self, send):
        """There is nothing to add."""
        carrier = {"baggage": "tenant=7"}
        send(carrier, chat_id=None)
        assert "tenant=7" == carrier["baggage"]

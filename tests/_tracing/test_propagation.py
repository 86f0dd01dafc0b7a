"""Which hosts receive trace headers, and how the global propagator is guarded."""

from collections import deque

import pytest
from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lupis_instrument._tracing import context as call_context
from lupis_instrument._tracing.context import Conversation
from lupis_instrument._tracing.propagation import PropagatorGuard, SelectivePropagator

PUBLIC = "https://api.openai.com/v1/chat/completions"
PRIVATE = "http://10.0.0.7:8000/v1/chat/completions"
INNER = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def make_propagator(tracked, allowed_hosts=("private",)):
    """Returns a selective propagator for the spans of a tracked provider."""
    return SelectivePropagator(
        INNER, tracked.processor.find_state, lambda: allowed_hosts, deque(maxlen=100)
    )


class TestSelectivePropagator:
    """Headers of requests whose span is current."""

    @pytest.fixture
    def headers(self, tracked):
        """Returns the headers that are added to a request to a URL."""

        def make(url, allowed_hosts=("private",), *, tracked=tracked, explicit=False):
            carrier = {}
            propagator = make_propagator(tracked, allowed_hosts)
            span = tracked.start_call(url)
            if explicit:
                propagator.inject(carrier, trace.set_span_in_context(span))
            else:
                with trace.use_span(span):
                    propagator.inject(carrier)
            return carrier

        return make

    @pytest.mark.parametrize("explicit", [True, False])
    def test_a_public_host_receives_nothing(self, explicit, headers):
        """An LLM API learns neither trace ids nor chat ids."""
        with call_context.use_conversation(Conversation("trip")):
            assert {} == headers(PUBLIC, explicit=explicit)

    @pytest.mark.parametrize("explicit", [True, False])
    def test_a_private_host_receives_trace_and_chat_id(self, explicit, headers):
        """So a service of the user's continues the trace and the conversation."""
        with call_context.use_conversation(Conversation("trip 7")):
            carrier = headers(PRIVATE, explicit=explicit)
        assert {"traceparent", "baggage"} == set(carrier)
        assert "lupis.chat.id=trip+7" == carrier["baggage"]

    def test_without_a_chat_id_there_is_no_baggage(self, headers):
        """Only the trace is continued."""
        assert {"traceparent"} == set(headers(PRIVATE))

    @pytest.mark.parametrize(
        ("allowed_hosts", "url", "expected"),
        [
            ((), PRIVATE, False),
            (("*",), PUBLIC, True),
            (("*.corp.example",), "https://llm.corp.example/v1", True),
            (("*.corp.example",), PRIVATE, False),
            (("private", "api.openai.com"), PUBLIC, True),
        ],
        ids=["none", "all", "glob", "not the glob", "named"],
    )
    def test_the_setting_selects_the_hosts(self, allowed_hosts, url, expected, headers):
        """LUPIS_PROPAGATE_TO holds globs of hosts and the word "private"."""
        assert expected is ("traceparent" in headers(url, allowed_hosts))

    @pytest.mark.parametrize(
        ("allowed_hosts", "path", "expected"),
        [
            (("private",), "/get", False),
            (("private",), "/responses", False),
            (("private",), "/v1/chat/completions", True),
            (("private", "127.0.0.1"), "/get", True),
            (("*",), "/get", True),
        ],
        ids=["other path", "path of a guess", "LLM API", "named host", "all"],
    )
    def test_on_this_machine_private_means_llm_apis(self, allowed_hosts, path, expected, headers):
        """Many tests compare all headers that their own server receives, or record them."""
        carrier = headers(f"http://127.0.0.1:8000{path}", allowed_hosts)
        assert expected is ("traceparent" in carrier)

    def test_a_named_provider_on_this_machine_gets_headers(self, tracked):
        """LUPIS_PROVIDER_HOSTS says that it is an LLM API, whatever its paths."""
        hosts = {"127.0.0.1:8000": "openai"}
        propagator = SelectivePropagator(
            INNER, tracked.processor.find_state, lambda: ("private",), deque(), lambda: hosts
        )
        carriers = [{}, {}]
        for port, carrier in zip((8000, 8001), carriers):
            with trace.use_span(
                tracked.start_call(f"http://127.0.0.1:{port}/run"), end_on_exit=True
            ):
                propagator.inject(carrier)
        assert ["traceparent"] == list(carriers[0])
        assert {} == carriers[1]

    def test_a_call_with_a_chat_id_continues_on_this_machine(self, headers):
        """The program has said that its calls belong together."""
        with call_context.use_conversation(Conversation("trip")):
            assert {"traceparent", "baggage"} == set(headers("http://127.0.0.1:8000/orders"))

    def test_an_unsampled_call_sends_headers_to_the_same_hosts_only(self, headers, unsampled):
        """A header whose flag is "not sampled" contains a trace id too."""
        assert {} == headers(PUBLIC, tracked=unsampled)
        assert "traceparent" in headers(PRIVATE, tracked=unsampled)

    def test_spans_of_other_providers_are_not_restricted(self, tracked):
        """The program's own instrumentors decide about their headers."""
        carrier = {}
        own = TracerProvider(shutdown_on_exit=False).get_tracer("own").start_span("GET")
        with trace.use_span(own):
            make_propagator(tracked, ()).inject(carrier)
        assert {"traceparent"} == set(carrier)

    @pytest.mark.parametrize(
        ("allowed_hosts", "expected"),
        [(("private",), False), (("*",), True)],
        ids=["private", "all"],
    )
    def test_native_spans_add_headers_only_for_all_hosts(self, allowed_hosts, expected, tracked):
        """Without this package they add none, and their host is unknown."""
        carrier = {}
        with trace.use_span(tracked.tracer.start_span("agent")):
            make_propagator(tracked, allowed_hosts).inject(carrier)
        assert expected is ("traceparent" in carrier)

    def test_incoming_headers_are_extracted_by_the_wrapped_propagator(self, tracked):
        """Only outgoing headers are restricted."""
        propagator = make_propagator(tracked, ())
        context = propagator.extract({"traceparent": TRACEPARENT})
        span_context = trace.get_current_span(context).get_span_context()
        assert 0x0AF7651916CD43DD8448EB211C80319C == span_context.trace_id
        assert INNER.fields == propagator.fields

    def test_a_fault_adds_no_header(self, tracked, capsys):
        """If in doubt, no host learns the trace id."""
        carrier = {}

        def fail():
            raise RuntimeError

        propagator = SelectivePropagator(INNER, tracked.processor.find_state, fail, deque())
        with trace.use_span(tracked.start_call(PRIVATE)):
            propagator.inject(carrier)
        assert {} == carrier
        assert "choosing trace headers failed" in capsys.readouterr().err

    def test_headers_that_a_redirect_carries_along_are_removed(self, tracked):
        """From an allowed host to another one; other headers stay."""
        carrier = {"x-own": "1"}
        propagator = make_propagator(tracked)
        with call_context.use_conversation(Conversation("trip")):
            for url in (PRIVATE, PUBLIC):
                with trace.use_span(tracked.start_call(url)):
                    propagator.inject(carrier)
        assert {"x-own": "1"} == carrier

    def test_trace_headers_that_the_program_sets_itself_stay(self, tracked):
        """Only headers that this package has sent are removed."""
        own = {"traceparent": TRACEPARENT, "baggage": "a=1"}
        carrier = dict(own)
        with trace.use_span(tracked.start_call(PUBLIC)):
            make_propagator(tracked).inject(carrier)
        assert own == carrier

    def test_headers_of_an_outer_span_of_the_program_stay(self, tracked):
        """Its backend knows that span and not this package's; the chat id is added."""
        outer = TracerProvider().get_tracer("program").start_span("POST")
        carrier = {}
        INNER.inject(carrier, trace.set_span_in_context(outer))
        with call_context.use_conversation(Conversation("trip")):
            span = tracked.start_call(PRIVATE, parent=outer)
            make_propagator(tracked).inject(carrier, trace.set_span_in_context(span))
        outer_id = format(outer.get_span_context().span_id, "016x")
        assert outer_id == carrier["traceparent"].split("-")[2]
        assert "lupis.chat.id=trip" == carrier["baggage"]


class SlottedPropagator(CompositePropagator):
    """A propagator whose objects take no other attribute."""

    __slots__ = ()

    def __setattr__(self, name, value):
        raise AttributeError(name)


class TestPropagatorGuard:
    """The guard in front of the global propagator."""

    @pytest.fixture(autouse=True)
    def _global_propagator(self):
        """Sets a propagator as the global one, and the original one again afterwards."""
        before = propagate.get_global_textmap()
        propagate.set_global_textmap(CompositePropagator([INNER]))
        yield
        propagate.set_global_textmap(before)

    @pytest.fixture
    def guard(self):
        """A guard that allows private hosts."""
        return PropagatorGuard(lambda: ("private",))

    @pytest.fixture
    def guarded(self, guard, make_tracked):
        """A tracked provider whose processor has that guard."""
        return make_tracked(propagator_guard=guard)

    def inject_headers(self, tracked, url):
        """Returns the names of the headers that the global propagator adds to a request."""
        carrier = {}
        with trace.use_span(tracked.start_call(url)):
            propagate.inject(carrier)
        return set(carrier)

    @pytest.mark.parametrize("nested", [False, True])
    def test_a_propagator_that_the_program_sets_later_is_guarded(self, nested, guard, guarded):
        """Whether it replaces the guarded one or contains it."""
        guard.install(guarded.processor.find_state)
        inner = [propagate.get_global_textmap()] if nested else []
        propagate.set_global_textmap(CompositePropagator([*inner, INNER]))
        assert [set(), {"traceparent"}] == [
            self.inject_headers(guarded, url) for url in (PUBLIC, PRIVATE)
        ]

    def test_the_global_propagator_stays_the_same_object(self, guard, guarded):
        """Programs look at its identity and class, and use it to extract headers."""
        propagator = propagate.get_global_textmap()
        for _ in range(2):
            guard.install(guarded.processor.find_state)
        assert propagator is propagate.get_global_textmap()
        assert propagator.extract.__func__ is CompositePropagator.extract
        assert set() == self.inject_headers(guarded, PUBLIC)

    def test_a_propagator_that_takes_no_attribute_is_replaced(self, guard, guarded):
        """The other hosts learn nothing all the same."""
        slotted = SlottedPropagator.__new__(SlottedPropagator)
        object.__setattr__(slotted, "_propagators", [INNER])
        propagate.set_global_textmap(slotted)
        for _ in range(2):
            guard.install(guarded.processor.find_state)
        assert [set(), {"traceparent"}] == [
            self.inject_headers(guarded, url) for url in (PUBLIC, PRIVATE)
        ]

    def test_a_fault_while_installing_costs_no_span(self, make_tracked, capsys):
        """The span of the call begins all the same."""

        class FailingGuard:
            def install(self, find_state):
                raise RuntimeError

        tracked = make_tracked(propagator_guard=FailingGuard())
        assert tracked.state(tracked.start_call(PUBLIC)) is not None
        assert "choosing trace headers failed" in capsys.readouterr().err

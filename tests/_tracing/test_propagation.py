"""Who receives trace headers."""

import pytest
from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lupis_instrument._tracing import context as _context
from lupis_instrument._tracing.context import Conversation
from lupis_instrument._tracing.propagation import SelectivePropagator, install

PUBLIC = "https://api.openai.com/v1/chat/completions"
PRIVATE = "http://10.0.0.7:8000/v1/chat/completions"
INNER = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


@pytest.fixture
def headers(tracked):
    """The headers that a request to a URL gets."""

    def make(url, allowed=("private",), *, tracked=tracked, explicit=False):
        carrier = {}
        propagator = SelectivePropagator(INNER, tracked.tracking, lambda: allowed)
        span = tracked.start(url)
        if explicit:
            propagator.inject(carrier, trace.set_span_in_context(span))
        else:
            with trace.use_span(span):
                propagator.inject(carrier)
        return carrier

    return make


@pytest.mark.parametrize("explicit", [True, False])
def test_a_public_host_receives_nothing(explicit, headers):
    """An LLM API learns neither trace ids nor chat ids."""
    with _context.use_conversation(Conversation("trip")):
        assert {} == headers(PUBLIC, explicit=explicit)


@pytest.mark.parametrize("explicit", [True, False])
def test_a_private_host_receives_both(explicit, headers):
    """So that a service behind it continues the trace and the conversation."""
    with _context.use_conversation(Conversation("trip 7")):
        found = headers(PRIVATE, explicit=explicit)
    assert {"traceparent", "baggage"} == set(found)
    assert "lupis.chat.id=trip+7" == found["baggage"]


def test_without_a_chat_id_there_is_no_baggage(headers):
    """Only the trace is continued."""
    assert {"traceparent"} == set(headers(PRIVATE))


@pytest.mark.parametrize(
    ("allowed", "url", "expected"),
    [
        ((), PRIVATE, False),
        (("*",), PUBLIC, True),
        (("*.corp.example",), "https://llm.corp.example/v1", True),
        (("*.corp.example",), PRIVATE, False),
        (("private", "api.openai.com"), PUBLIC, True),
    ],
    ids=["none", "all", "glob", "not the glob", "named"],
)
def test_the_setting_decides(allowed, url, expected, headers):
    """LUPIS_PROPAGATE_TO."""
    assert expected is ("traceparent" in headers(url, allowed))


def test_what_is_not_sampled_does_not_tell_either(headers, unsampled):
    """A header that says "not sampled" still holds a trace id."""
    assert {} == headers(PUBLIC, tracked=unsampled)
    assert "traceparent" in headers(PRIVATE, tracked=unsampled)


def test_the_programs_own_spans_are_its_own_business(tracked):
    """Its provider, its instrumentors, its headers."""
    carrier = {}
    propagator = SelectivePropagator(INNER, tracked.tracking, lambda: ())
    own = TracerProvider(shutdown_on_exit=False).get_tracer("own").start_span("GET")
    with trace.use_span(own):
        propagator.inject(carrier)
    assert {"traceparent"} == set(carrier)


def test_incoming_headers_are_read_as_ever(tracked):
    """Only what goes out is chosen."""
    propagator = SelectivePropagator(INNER, tracked.tracking, lambda: ())
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    context = propagator.extract({"traceparent": parent})
    found = trace.get_current_span(context).get_span_context()
    assert 0x0AF7651916CD43DD8448EB211C80319C == found.trace_id
    assert INNER.fields == propagator.fields


def test_a_fault_adds_nothing(tracked, capsys):
    """When in doubt, nobody is told."""
    carrier = {}

    def fail():
        raise RuntimeError

    propagator = SelectivePropagator(INNER, tracked.tracking, fail)
    with trace.use_span(tracked.start(PRIVATE)):
        propagator.inject(carrier)
    assert {} == carrier
    assert "choosing trace headers failed" in capsys.readouterr().err


def test_what_a_redirect_brings_along_is_withdrawn(tracked):
    """From a host that may have it to one that may not; the program's own headers stay."""
    carrier = {"x-own": "1"}
    propagator = SelectivePropagator(INNER, tracked.tracking, lambda: ("private",))
    with _context.use_conversation(Conversation("trip")):
        for url in (PRIVATE, PUBLIC):
            with trace.use_span(tracked.start(url)):
                propagator.inject(carrier)
    assert {"x-own": "1"} == carrier


def test_headers_of_the_programs_own_are_left_to_it(tracked):
    """Which it sets on a request itself."""
    own = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "baggage": "a=1",
    }
    carrier = dict(own)
    propagator = SelectivePropagator(INNER, tracked.tracking, lambda: ("private",))
    with trace.use_span(tracked.start(PUBLIC)):
        propagator.inject(carrier)
    assert own == carrier


@pytest.fixture
def global_textmap():
    """Puts another in the place of the global propagator, and that back in the end."""
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(CompositePropagator([INNER]))
    yield
    propagate.set_global_textmap(before)


def inject_to(tracked, url):
    """The headers that the global propagator adds to a request."""
    carrier = {}
    with trace.use_span(tracked.start(url)):
        propagate.inject(carrier)
    return set(carrier)


@pytest.mark.usefixtures("global_textmap")
@pytest.mark.parametrize("nested", [False, True])
def test_a_propagator_that_the_program_sets_later_is_guarded_too(nested, tracked):
    """Whether it replaces ours or has it inside; what the program set is what sends."""
    install(tracked.tracking, lambda: ("private",))
    later = [propagate.get_global_textmap()] if nested else []
    theirs = CompositePropagator([*later, INNER])
    propagate.set_global_textmap(theirs)
    assert [set(), {"traceparent"}] == [inject_to(tracked, url) for url in (PUBLIC, PRIVATE)]


@pytest.mark.usefixtures("global_textmap")
def test_the_propagator_that_is_set_stays(tracked):
    """Programs look at which one it is, and of which class; what they extract is its own matter."""
    theirs = propagate.get_global_textmap()
    for _ in range(2):
        install(tracked.tracking, lambda: ("private",))
    assert theirs is propagate.get_global_textmap()
    assert theirs.extract.__func__ is CompositePropagator.extract
    assert set() == inject_to(tracked, PUBLIC)


class Narrow(CompositePropagator):
    """A propagator whose objects take no other attribute."""

    __slots__ = ()

    def __setattr__(self, name, value):
        raise AttributeError(name)


@pytest.mark.usefixtures("global_textmap")
def test_a_propagator_that_takes_nothing_on_is_replaced(tracked):
    """Nobody else is told all the same."""
    narrow = Narrow.__new__(Narrow)
    object.__setattr__(narrow, "_propagators", [INNER])
    propagate.set_global_textmap(narrow)
    for _ in range(2):
        install(tracked.tracking, lambda: ("private",))
    assert [set(), {"traceparent"}] == [inject_to(tracked, url) for url in (PUBLIC, PRIVATE)]


@pytest.mark.usefixtures("global_textmap")
def test_a_fault_in_standing_in_front_costs_no_call(tracked, capsys):
    """The span begins all the same."""

    def fail():
        raise RuntimeError

    tracked.tracking.before_call = fail
    assert tracked.record(tracked.start(PUBLIC)) is not None
    assert "choosing trace headers failed" in capsys.readouterr().err


def test_the_headers_of_the_programs_own_span_stay(tracked):
    """Its backend has that span, and not ours; the chat id is added."""
    theirs = TracerProvider().get_tracer("theirs").start_span("POST")
    carrier = {}
    around = trace.set_span_in_context(theirs)
    INNER.inject(carrier, around)
    propagator = SelectivePropagator(INNER, tracked.tracking, lambda: ("private",))
    with _context.use_conversation(Conversation("trip")):
        span = tracked.start(PRIVATE, parent=theirs)
        propagator.inject(carrier, trace.set_span_in_context(span))
    assert format(theirs.get_span_context().span_id, "016x") == carrier["traceparent"].split("-")[2]
    assert "lupis.chat.id=trip" == carrier["baggage"]

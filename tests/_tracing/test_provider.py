"""Tracers whose spans may be left anywhere, and that record whatever the program's own do not."""

import asyncio
import contextvars

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

from lupis_instrument._tracing.processor import CallSpanProcessor
from lupis_instrument._tracing.provider import LupisTracerProvider


class Made:
    """A tracer of ours, and the spans that have ended."""

    def __init__(self):
        self.ended = []
        provider = LupisTracerProvider(Resource({}), CallSpanProcessor(self.ended.append))
        self.tracer = provider.get_tracer("tests")

    @property
    def spans(self):
        """The spans as they ended."""
        return [record.readable for record in self.ended]


@pytest.fixture
def made():
    """A tracer of ours."""
    return Made()


def test_a_span_is_current_in_its_block(made):
    """And ends with it."""
    with made.tracer.start_as_current_span("work", attributes={"a": 1}) as span:
        assert span is trace.get_current_span()
    assert ["work"] == [each.name for each in made.spans]
    assert trace.INVALID_SPAN is trace.get_current_span()


def test_an_exception_is_recorded_and_raised(made):
    """As OpenTelemetry's own tracers do."""
    with pytest.raises(KeyError), made.tracer.start_as_current_span("work"):
        raise KeyError("theirs")
    (span,) = made.spans
    assert ("ERROR", "KeyError: 'theirs'") == (
        span.status.status_code.name,
        span.status.description,
    )
    assert ["exception"] == [event.name for event in span.events]


@pytest.mark.parametrize("option", ["record_exception", "set_status_on_exception"])
def test_what_is_recorded_can_be_chosen(made, option):
    """One without the other."""
    with pytest.raises(KeyError), made.tracer.start_as_current_span("work", **{option: False}):
        raise KeyError
    (span,) = made.spans
    assert (option == "record_exception") == (not span.events)
    assert (option != "record_exception") == (span.status.status_code.name == "UNSET")


def test_a_span_may_outlive_its_block(made):
    """Whoever asks for that ends it."""
    with made.tracer.start_as_current_span("work", end_on_exit=False) as span:
        pass
    assert span.is_recording()


def test_functions_can_be_decorated(made):
    """Each call is a span; a coroutine function's lasts until it has been awaited."""

    @made.tracer.start_as_current_span("plain")
    def plain():
        return trace.get_current_span().name

    @made.tracer.start_as_current_span("later")
    async def later():
        await asyncio.sleep(0)
        return trace.get_current_span().name

    async def main():
        return await asyncio.gather(later(), later())

    assert ["plain", "plain", "later", "later"] == [plain(), plain(), *asyncio.run(main())]
    assert ["plain", "plain", "later", "later"] == [each.name for each in made.spans]


def test_left_in_another_context_nothing_is_logged(made, caplog):
    """As by a task or a generator that is given up."""
    block = made.tracer.start_as_current_span("work")
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    assert [] == caplog.records
    assert ["work"] == [each.name for each in made.spans]
    assert not context.get_current()


def test_what_the_programs_sampler_drops_is_ours_all_the_same(made):
    """Its decision is about its own backend."""
    theirs = TracerProvider(sampler=ALWAYS_OFF).get_tracer("theirs")
    with theirs.start_as_current_span("theirs"), made.tracer.start_as_current_span("work") as span:
        assert span.get_span_context().trace_flags.sampled


def test_what_another_service_has_dropped_stays_dropped(made):
    """A trace is sampled where it begins."""
    remote = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(0))
    around = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    span = made.tracer.start_span("work", context=around)
    assert not span.get_span_context().trace_flags.sampled


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_a_call_that_is_given_up_has_failed(made, error):
    """Upstream's instrumentors tell of exceptions only."""
    with pytest.raises(error), made.tracer.start_as_current_span("POST", kind=SpanKind.CLIENT):
        raise error
    (span,) = made.spans
    name = error.__qualname__
    assert ("ERROR", name, name) == (
        span.status.status_code.name,
        span.status.description,
        span.attributes["error.type"],
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [(GeneratorExit, SpanKind.CLIENT), (KeyboardInterrupt, SpanKind.INTERNAL)],
)
def test_what_is_left_otherwise_has_not(made, error, kind):
    """A generator that is closed, and work of the program's own."""
    with pytest.raises(error), made.tracer.start_as_current_span("work", kind=kind):
        raise error
    (span,) = made.spans
    assert ("UNSET", {}) == (span.status.status_code.name, dict(span.attributes))

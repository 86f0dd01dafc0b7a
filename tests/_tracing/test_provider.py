"""The tracer provider of this package: current spans, sampling, and spans left anywhere."""

import asyncio
import contextvars

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind

from lupis_instrument._tracing import provider as provider_module
from lupis_instrument._tracing.processor import CallSpanProcessor
from lupis_instrument._tracing.provider import LupisTracerProvider, SystemIdGenerator


class Recorder:
    """A tracer of the provider, and its spans that have ended."""

    def __init__(self):
        self._states = []
        provider = LupisTracerProvider(Resource({}), CallSpanProcessor(self._states.append))
        self.tracer = provider.get_tracer("tests")

    @property
    def spans(self):
        """The spans that have ended."""
        return [state.readable for state in self._states]

    @property
    def names(self):
        """Their names, in the order of their ends."""
        return [span.name for span in self.spans]


@pytest.fixture
def recorder():
    """A tracer without spans."""
    return Recorder()


@pytest.fixture
def tracer(recorder):
    """The tracer of the recorder."""
    return recorder.tracer


class TestCurrentSpan:
    """Spans that are current in a block or a function."""

    def test_a_span_is_current_in_its_block(self, tracer, recorder):
        """It ends with the block."""
        with tracer.start_as_current_span("work", attributes={"a": 1}) as span:
            assert span is trace.get_current_span()
        assert ["work"] == recorder.names
        assert trace.INVALID_SPAN is trace.get_current_span()

    def test_an_exception_is_recorded_and_raised(self, tracer, recorder):
        """OpenTelemetry's own tracers do the same."""
        with pytest.raises(KeyError), tracer.start_as_current_span("work"):
            raise KeyError("missing")
        (span,) = recorder.spans
        assert ("ERROR", "KeyError: 'missing'") == (
            span.status.status_code.name,
            span.status.description,
        )
        assert ["exception"] == [event.name for event in span.events]

    @pytest.mark.parametrize("option", ["record_exception", "set_status_on_exception"])
    def test_an_option_switches_one_record_of_an_exception_off(self, tracer, recorder, option):
        """The event and the status are independent."""
        with pytest.raises(KeyError), tracer.start_as_current_span("work", **{option: False}):
            raise KeyError
        (span,) = recorder.spans
        assert (option == "record_exception") == (not span.events)
        assert (option != "record_exception") == (span.status.status_code.name == "UNSET")

    def test_a_span_can_outlive_its_block(self, tracer):
        """With end_on_exit=False, the caller ends it."""
        with tracer.start_as_current_span("work", end_on_exit=False) as span:
            pass
        assert span.is_recording()

    def test_each_call_of_a_decorated_function_is_a_span(self, tracer, recorder):
        """The span of a coroutine function lasts until it has been awaited."""

        @tracer.start_as_current_span("function")
        def function():
            return trace.get_current_span().name

        @tracer.start_as_current_span("coroutine")
        async def coroutine():
            await asyncio.sleep(0)
            return trace.get_current_span().name

        async def main():
            return await asyncio.gather(coroutine(), coroutine())

        expected = ["function", "function", "coroutine", "coroutine"]
        assert expected == [function(), function(), *asyncio.run(main())]
        assert expected == recorder.names

    def test_a_block_left_in_another_context_logs_nothing(self, tracer, recorder, caplog):
        """A cancelled task or an abandoned generator leaves its blocks there."""
        block = tracer.start_as_current_span("work")
        contextvars.copy_context().run(block.__enter__)
        block.__exit__(None, None, None)
        assert [] == caplog.records
        assert ["work"] == recorder.names
        assert not context.get_current()

    @pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
    def test_a_call_that_is_cancelled_has_failed(self, tracer, recorder, error):
        """The instrumentors of opentelemetry-python handle subclasses of Exception only."""
        with pytest.raises(error), tracer.start_as_current_span("POST", kind=SpanKind.CLIENT):
            raise error
        (span,) = recorder.spans
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
    def test_a_closed_generator_or_interrupted_work_is_no_failed_call(
        self, tracer, recorder, error, kind
    ):
        """The span has neither an error type nor a status."""
        with pytest.raises(error), tracer.start_as_current_span("work", kind=kind):
            raise error
        (span,) = recorder.spans
        assert ("UNSET", {}) == (span.status.status_code.name, dict(span.attributes))


class TestSampling:
    """Spans below a parent that is not sampled."""

    def test_the_sampler_of_another_provider_does_not_count(self, tracer):
        """Its decision is about the program's own backend."""
        dropped = TracerProvider(sampler=ALWAYS_OFF).get_tracer("program")
        with dropped.start_as_current_span("outer"), tracer.start_as_current_span("work") as span:
            assert span.get_span_context().trace_flags.sampled

    def test_the_decision_of_another_service_counts(self, tracer):
        """A trace is sampled where it begins."""
        remote = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(0))
        remote_context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
        span = tracer.start_span("work", context=remote_context)
        assert not span.get_span_context().trace_flags.sampled


def test_ids_do_not_follow_the_seed_of_the_random_module():
    """The program may seed it for each request."""
    import random

    ids = set()
    for _ in range(2):
        random.seed(1)
        generator = SystemIdGenerator()
        ids |= {generator.generate_trace_id(), generator.generate_span_id()}
    assert 4 == len(ids)


def test_copies_of_a_process_have_other_ids(monkeypatch):
    """A snapshot from which several processes start holds random numbers that were not used yet."""
    ids = []
    for _ in range(2):
        monkeypatch.setattr(provider_module, "_random_numbers", [1, 2, 3])
        ids += [SystemIdGenerator().generate_trace_id(), SystemIdGenerator().generate_span_id()]
    assert 4 == len({*ids})


class TestNativeTracer:
    """Spans of libraries that use OpenTelemetry's API alone."""

    @pytest.fixture
    def make_tracer(self):
        """Makes a native tracer and a tracer for calls, of one provider with a sampler."""

        def make(monkeypatch, sampler="always_on"):
            monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
            self.states = []
            provider = LupisTracerProvider(Resource({}), CallSpanProcessor(self.states.append))
            return provider.make_native_tracer("library"), provider.get_tracer("calls")

        return make

    def test_an_http_call_records_nothing(self, make_tracer, monkeypatch):
        """This package makes the span of a call itself."""
        native, _ = make_tracer(monkeypatch)
        attributes = {"http.request.method": "GET"}
        assert not native.start_span("GET", None, SpanKind.CLIENT, attributes).is_recording()
        assert native.start_span("GET", None, SpanKind.SERVER, attributes).is_recording()

    def test_calls_below_a_dropped_span_are_dropped(self, make_tracer, monkeypatch):
        """The sampler decides once for the trace."""
        native, calls = make_tracer(monkeypatch, "parentbased_always_off")
        with native.start_as_current_span("agent"):
            monkeypatch.setattr(calls._inner.sampler._inner, "_root", ALWAYS_ON)
            call = calls.start_span("POST", kind=SpanKind.CLIENT)
        assert not call.get_span_context().trace_flags.sampled

    def test_a_wrong_argument_raises_nothing(self, make_tracer, monkeypatch, capsys):
        """The tracer without a provider takes any value."""
        native, _ = make_tracer(monkeypatch)
        monkeypatch.setattr(native, "_inner", None)
        assert not native.start_span("work").is_recording()
        assert "starting a library's span failed" in capsys.readouterr().err

    def test_an_exception_that_cannot_be_shown_is_raised(self, make_tracer, monkeypatch, capsys):
        """Its own __str__ fails."""

        class UnshowableError(Exception):
            def __str__(self):
                raise RuntimeError

        native, _ = make_tracer(monkeypatch)
        with pytest.raises(UnshowableError), native.start_as_current_span("work"):
            raise UnshowableError
        assert "recording an exception failed" in capsys.readouterr().err

    def test_a_dropped_span_passes_a_cancellation_on(self, make_tracer, monkeypatch):
        """It has no kind."""
        native, _ = make_tracer(monkeypatch, "always_off")
        with pytest.raises(asyncio.CancelledError), native.start_as_current_span("work"):
            raise asyncio.CancelledError

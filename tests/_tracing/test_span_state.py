"""The end of a call's span: it waits for the end of the response's body."""

import gc
import threading
import time
import weakref

import pytest

OPENAI = "https://api.openai.com/v1/chat/completions"
OTHER_API = "https://other.example/v1/x"
SECOND = 1_000_000_000


@pytest.fixture
def begin_response(tracked):
    """Begins the response of a call; returns its body, to be read."""

    def begin(span, headers=()):
        http_call = tracked.http_call(span)
        http_call.begin_attempt("POST", OPENAI)
        return http_call.begin_response(200, list(headers), "1.1")

    return begin


def test_the_end_waits_for_the_body(tracked, begin_response):
    """The instrumentor ends the span first, then the program reads the body to its end."""
    span = tracked.start_call()
    body = begin_response(span)
    span.end()
    assert (True, []) == (span.is_recording(), tracked.queued)
    body.end("complete")
    assert [span] == [state.span for state in tracked.queued]


def test_a_body_that_ends_first_waits_for_the_instrumentor(tracked):
    """The program may read a short body before the instrumentor ends its span."""
    span = tracked.start_call()
    tracked.answer_call(span)
    assert [] == tracked.queued
    span.end()
    assert [span] == [state.span for state in tracked.queued]


def test_a_span_lasts_as_long_as_its_body(tracked, export):
    """The instrumentor ends the span when the headers arrive."""
    span = tracked.start_call()
    body = tracked.answer_call(span)
    body.ended = tracked.http_call(span).started + 5 * SECOND
    span.end(span.start_time + SECOND)
    (exported,) = export()
    assert 5 * SECOND == exported.end_time - exported.start_time


def test_a_later_end_time_of_the_instrumentor_counts(tracked, export):
    """The span does not end before its instrumentor says."""
    span = tracked.start_call()
    body = tracked.answer_call(span)
    body.ended = tracked.http_call(span).started + SECOND
    span.end(span.start_time + 5 * SECOND)
    (exported,) = export()
    assert 5 * SECOND == exported.end_time - exported.start_time


def test_only_the_first_end_counts(tracked, export):
    """OpenTelemetry's spans behave so."""
    span = tracked.start_call()
    body = tracked.answer_call(span)
    body.ended = None
    span.end(span.start_time + 7)
    span.end(span.start_time + 9)
    (exported,) = export()
    assert 7 == exported.end_time - exported.start_time


def test_body_and_span_may_end_in_two_threads_at_once(tracked, begin_response):
    """The span is queued once, whichever ends last."""
    for _ in range(200):
        tracked.queued.clear()
        span = tracked.start_call()
        body = begin_response(span)
        ready = threading.Barrier(2)

        def end_body(body=body, ready=ready):
            ready.wait()
            body.end("complete")

        thread = threading.Thread(target=end_body)
        thread.start()
        ready.wait()
        span.end()
        thread.join()
        assert 1 == len(tracked.queued)


def test_a_redirected_call_waits_for_its_last_body(tracked, begin_response):
    """The body of an earlier attempt does not end the span."""
    span = tracked.start_call()
    http_call = tracked.http_call(span)
    bodies = [begin_response(span) for _ in range(2)]
    span.end()
    bodies[0].end("closed")
    assert [] == tracked.queued
    bodies[1].end("complete")
    assert (1, 2) == (len(tracked.queued), http_call.attempts)


def test_a_call_to_another_host_ends_with_its_headers(tracked):
    """Only the bodies of LLM calls are observed."""
    span = tracked.start_call(OTHER_API)
    assert None is tracked.answer_call(span, url=OTHER_API)
    span.end()
    assert 1 == len(tracked.queued)
    assert not span.is_recording()


def test_the_outermost_state_reports_the_call(tracked):
    """With httpx over aiohttp, it is the state of httpx's span."""
    outer = tracked.start_call()
    inner = tracked.start_call(parent=outer)
    innermost = tracked.start_call(parent=inner)
    assert tracked.state(outer) is tracked.state(innermost).outermost
    assert tracked.state(outer) is tracked.state(outer).outermost


HOUR = 3600 * SECOND


@pytest.fixture
def set_clock(monkeypatch):
    """Sets the system's clock, as OpenTelemetry and this package see it, by some nanoseconds."""

    def set_clock(change):
        def time_ns():
            return time.time_ns() + change

        monkeypatch.setattr("opentelemetry.sdk.trace.time_ns", time_ns)
        monkeypatch.setattr("lupis_instrument._tracing.span_state.time_ns", time_ns)

    return set_clock


@pytest.mark.parametrize("change", [-HOUR, HOUR])
def test_the_duration_of_a_call_does_not_depend_on_the_clock(change, tracked, export, set_clock):
    """The clock may be set during the call, forwards or backwards."""
    span = tracked.start_call()
    set_clock(change)
    span.end()
    (exported,) = export()
    assert 0 <= exported.end_time - exported.start_time < HOUR // 2


def test_a_span_of_the_program_does_not_end_before_its_start(tracked, export, set_clock):
    """The clock was set backwards."""
    span = tracked.tracer.start_span("agent")
    set_clock(-HOUR)
    span.end()
    (exported,) = export()
    assert 0 <= exported.end_time - exported.start_time < HOUR // 2


def test_times_that_the_program_gives_are_kept(tracked, export):
    """A program may record work that it did before."""
    span = tracked.tracer.start_span("agent", start_time=5 * SECOND)
    span.end(9 * SECOND)
    (exported,) = export()
    assert (5 * SECOND, 9 * SECOND) == (exported.start_time, exported.end_time)


def test_an_end_that_the_instrumentor_gives_is_kept(tracked, export):
    """It is no sign of a clock that was set."""
    span = tracked.start_call()
    end = span.start_time + HOUR
    span.end(end)
    (exported,) = export()
    assert end == exported.end_time


def test_a_released_call_needs_no_garbage_collector(tracked, export):
    """Nothing of a prepared call waits in memory for the cyclic garbage collector."""
    span = tracked.start_call()
    tracked.answer_call(span)
    span.end()
    export()
    gc.disable()
    try:
        state = tracked.queued.pop()
        state.client_contexts = (None, {"call": state})  # as in clients that suppress inner spans
        state.release()
        del state
        gone = weakref.ref(span)
        span.end()  # again: without effect, as before
        del span
        assert gone() is None
    finally:
        gc.enable()

"""From a span's start to its export: notes, held ends, spans of the same call."""

import gc
import threading
import weakref

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from lupis_instrument._tracing import context as _context
from lupis_instrument._tracing import processor
from lupis_instrument._tracing.context import Conversation

OTHER = "https://other.example/v1/x"


def test_an_ended_span_is_handed_over(tracked):
    """Once, with the span as it ended."""
    span = tracked.start_call(OTHER)
    assert [] == tracked.queued
    span.end()
    span.end()
    (record,) = tracked.queued
    assert ("POST", OTHER) == (record.readable.name, record.url)


def test_nothing_is_kept_of_spans_that_have_ended(tracked):
    """Neither record nor span, once the worker is done with them."""
    span = tracked.start_call()
    tracked.answer_call(span)
    span.end()
    tracked.run_pipeline(type("Nothing", (), {"run": lambda self, record: None})())
    gone = weakref.ref(span)
    tracked.queued.clear()
    del span
    gc.collect()
    assert (None, {}) == (gone(), tracked.processor._open_states)


def test_the_conversation_is_that_of_the_start(tracked):
    """However it changes while the call is under way."""
    with _context.use_conversation(Conversation("trip")):
        span = tracked.start_call()
    with _context.use_conversation(Conversation("later")):
        span.end()
    assert "trip" == tracked.queued[0].conversation.chat_id


def test_only_http_clients_have_an_exchange(tracked):
    """Neither a server's span nor one that names no method stands for a call we can watch."""
    server = tracked.start_call(kind=SpanKind.SERVER)
    database = tracked.tracer.start_span("SELECT", kind=SpanKind.CLIENT)
    assert [None, None] == [tracked.http_call(server), tracked.http_call(database)]


def test_old_names_tell_a_call_too(tracked):
    """Instrumentors set up before the stable names were asked for use them."""
    attributes = {"http.method": "GET", "http.url": OTHER}
    span = tracked.tracer.start_span("GET", kind=SpanKind.CLIENT, attributes=attributes)
    assert OTHER == tracked.state(span).url
    assert tracked.http_call(span) is not None


def test_the_current_exchange_is_that_of_the_current_span(tracked):
    """It is what the clients' wires ask for."""
    assert None is tracked.processor.current_http_call()
    span = tracked.start_call()
    with trace.use_span(span):
        assert tracked.http_call(span) is tracked.processor.current_http_call()


def test_a_span_within_a_call_leads_to_the_call(tracked):
    """With httpx over aiohttp, what aiohttp's wire shows belongs to httpx's span."""
    outer = tracked.start_call()
    inner = tracked.start_call(parent=outer)
    innermost = tracked.start_call(parent=inner)
    with trace.use_span(innermost):
        assert tracked.http_call(outer) is tracked.processor.current_http_call()
    assert tracked.state(outer) is tracked.state(innermost).outermost


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://api.openai.com/v1/other?x=1", True),
        ("https://api.openai.com:443/v1/chat/completions", True),
        ("https://API.OpenAI.com/v1/chat/completions", True),
        ("http://api.openai.com/v1/chat/completions", False),
        ("https://api.openai.com:8443/v1/chat/completions", False),
        ("https://auth.openai.com/v1/chat/completions", False),
    ],
)
def test_a_call_within_a_call_is_the_same_if_it_goes_to_the_same_server(url, same, tracked):
    """Scheme, host and port tell; a token fetched elsewhere on the way is a call of its own."""
    outer = tracked.start_call()
    inner = tracked.start_call(url, parent=outer)
    assert same is (tracked.state(inner).outer is not None)


def test_a_call_after_the_answer_is_another(tracked):
    """Only while the outer waits for its answer can an inner one be it."""
    outer = tracked.start_call()
    tracked.answer_call(outer)
    inner = tracked.start_call(parent=outer)
    assert None is tracked.state(inner).outer


def test_a_call_within_the_programs_own_span_is_no_repetition(tracked):
    """That one stands for no call."""
    own = tracked.tracer.start_span("work", attributes={"url.full": "https://api.openai.com"})
    assert None is tracked.state(tracked.start_call(parent=own)).outer


def test_the_end_waits_for_the_body(tracked):
    """First the instrumentor ends the span, then the program has read to the end."""
    span = tracked.start_call()
    http_call = tracked.http_call(span)
    http_call.begin_attempt("POST", "https://api.openai.com/v1/chat/completions")
    body = http_call.begin_response(200, [("content-type", "application/json")], "1.1")
    span.end()
    assert (True, []) == (span.is_recording(), tracked.queued)
    body.end("complete")
    assert [span] == [record.span for record in tracked.queued]


def test_a_body_that_ended_first_waits_for_the_end(tracked):
    """A short body may be read before the instrumentor ends its span."""
    span = tracked.start_call()
    tracked.answer_call(span)
    assert [] == tracked.queued
    span.end()
    assert [span] == [record.span for record in tracked.queued]


def test_the_span_lasts_as_long_as_its_body(tracked, export):
    """Not just until the headers came; its own end counts if that is later."""
    span = tracked.start_call()
    body = tracked.answer_call(span)
    body.ended = tracked.http_call(span).started + 5_000_000_000
    span.end(span.start_time + 1_000_000_000)
    (exported,) = export()
    assert 5_000_000_000 == exported.end_time - exported.start_time


def test_ending_twice_keeps_the_first_end(tracked, export):
    """As spans do."""
    span = tracked.start_call()
    body = tracked.answer_call(span)
    body.ended = None
    span.end(span.start_time + 7)
    span.end(span.start_time + 9)
    (exported,) = export()
    assert 7 == exported.end_time - exported.start_time


def test_body_and_span_may_end_in_two_threads_at_once(tracked):
    """It is handed over once, whoever comes last."""
    for _ in range(200):
        tracked.queued.clear()
        span = tracked.start_call()
        http_call = tracked.http_call(span)
        http_call.begin_attempt("POST", "https://api.openai.com/v1/chat/completions")
        body = http_call.begin_response(200, [], "1.1")
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


def test_a_redirected_call_waits_for_its_last_body(tracked):
    """Bodies of earlier attempts don't end the span."""
    span = tracked.start_call()
    http_call = tracked.http_call(span)
    bodies = []
    for _ in range(2):
        http_call.begin_attempt("POST", "https://api.openai.com/v1/chat/completions")
        bodies.append(http_call.begin_response(200, [], "1.1"))
    span.end()
    bodies[0].end("closed")
    assert [] == tracked.queued
    bodies[1].end("complete")
    assert (1, 2) == (len(tracked.queued), http_call.attempts)


def test_other_calls_end_with_their_headers(tracked):
    """Only LLM calls are watched."""
    span = tracked.start_call(OTHER)
    assert None is tracked.answer_call(span, url=OTHER)
    span.end()
    assert 1 == len(tracked.queued)
    assert not span.is_recording()


def test_closing_ends_what_the_program_will_not_read(tracked, export):
    """At exit, a body left unread is dropped."""
    span = tracked.start_call()
    http_call = tracked.http_call(span)
    http_call.begin_attempt("POST", "https://api.openai.com/v1/chat/completions")
    http_call.begin_response(200, [], "1.1")
    span.end()
    tracked.processor.end_open_bodies()
    (exported,) = export()
    assert "dropped" == exported.attributes["lupis.response.outcome"]


def test_closing_leaves_spans_alone_that_nobody_ended(tracked):
    """They may still be under way, in another thread."""
    span = tracked.start_call()
    tracked.processor.end_open_bodies()
    assert span.is_recording()


def test_a_forked_child_leaves_the_parents_spans_alone(tracked):
    """Those it ends too, held or not, are delivered by the parent alone."""
    plain, held = tracked.start_call(OTHER), tracked.start_call()
    http_call = tracked.http_call(held)
    http_call.begin_attempt("POST", "https://api.openai.com/v1/chat/completions")
    body = http_call.begin_response(200, [], "1.1")
    tracked.processor.reset()
    plain.end()
    held.end()
    body.end("complete")
    assert [] == tracked.run_pipeline(None)


def test_spans_that_are_never_ended_are_not_kept_for_ever(tracked):
    """The oldest go first."""
    first = tracked.start_call(OTHER)
    for _ in range(processor._MAX_OPEN_SPANS):
        tracked.tracer.start_span("never ended")
    assert (None, processor._MAX_OPEN_SPANS) == (
        tracked.state(first),
        len(tracked.processor._open_states),
    )


@pytest.mark.parametrize("url", ["https://api.openai.com/health?x=1", "http://x.example/health?"])
def test_excluded_urls_are_not_exported(url, tracked, export):
    """Those that one of the patterns is found in, and what is nested in them."""
    tracked.processor.configure({}, [r"/health\b"])
    outer = tracked.start_call(url)
    inner = tracked.start_call(url, parent=outer)
    kept = tracked.start_call(OTHER)
    for span in (inner, outer, kept):
        span.end()
    assert [OTHER] == [span.attributes["url.full"] for span in export()]


def test_a_block_without_capturing_is_not_exported(tracked, export):
    """But the program's own spans in it are."""
    with _context.use_conversation(Conversation(capture_http=False)):
        tracked.start_call().end()
        tracked.tracer.start_span("own").end()
    assert ["own"] == [span.name for span in export()]


def test_provider_hosts_are_llm_apis(tracked):
    """LUPIS_PROVIDER_HOSTS: a gateway under a name of its own."""
    tracked.processor.configure({"llm.corp.example:8443": "openai"}, ())
    url = "https://llm.corp.example:8443/v1/chat/completions"
    span = tracked.start_call(url)
    tracked.answer_call(span, url=url)
    assert "openai" == tracked.http_call(span).endpoint.provider


def test_what_is_not_sampled_is_noted_but_not_exported(unsampled, pipeline):
    """Where a call goes must be known all the same, to keep trace headers from it."""
    span = unsampled.start_call()
    assert unsampled.state(span).url
    assert not span.get_span_context().trace_flags.sampled
    span.end()
    assert [] == unsampled.run_pipeline(pipeline())


def test_what_is_no_call_is_left_to_the_sampler(unsampled):
    """It costs nothing then."""
    assert not unsampled.tracer.start_span("work").is_recording()


def test_a_processor_needs_no_flush(tracked):
    """Nothing waits in it."""
    assert tracked.processor.force_flush(0)

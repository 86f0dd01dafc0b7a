"""Which call a span reports, which spans are queued, and which are excluded."""

import gc
import weakref

import pytest
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind

from lupis_instrument._tracing import context as call_context
from lupis_instrument._tracing import processor as processor_module
from lupis_instrument._tracing.context import CALL_SPAN_KEY, OUTER_CALL_KEY, Conversation

OPENAI = "https://api.openai.com/v1/chat/completions"
OTHER_API = "https://other.example/v1/x"


class TestQueue:
    """Spans that have ended."""

    def test_a_span_is_queued_once_when_it_ends(self, tracked):
        """A second end changes nothing."""
        span = tracked.start_call(OTHER_API)
        assert [] == tracked.queued
        span.end()
        span.end()
        (state,) = tracked.queued
        assert ("POST", OTHER_API) == (state.readable.name, state.url)

    def test_nothing_is_kept_of_a_span_that_has_ended(self, tracked):
        """Neither its state nor the span itself, once the worker has prepared it."""

        class DropAll:
            def run(self, state):
                return None

        span = tracked.start_call()
        tracked.answer_call(span)
        span.end()
        tracked.run_pipeline(DropAll())
        reference = weakref.ref(span)
        tracked.queued.clear()
        del span
        gc.collect()
        assert (None, {}) == (reference(), tracked.processor._open_states)

    def test_a_span_has_the_conversation_of_its_start(self, tracked):
        """A later conversation does not change it."""
        with call_context.use_conversation(Conversation("trip")):
            span = tracked.start_call()
        with call_context.use_conversation(Conversation("later")):
            span.end()
        assert "trip" == tracked.queued[0].conversation.chat_id

    @pytest.mark.slow
    def test_the_oldest_states_are_dropped_beyond_a_bound(self, tracked):
        """A program may never end its spans."""
        bound = processor_module._MAX_OPEN_SPANS
        first = tracked.start_call(OTHER_API)
        for _ in range(bound):
            tracked.tracer.start_span("never ended")
        assert (None, bound) == (tracked.state(first), len(tracked.processor._open_states))

    def test_a_forked_child_exports_no_span_of_its_parent(self, tracked):
        """The parent exports them, whether they wait for a body or not."""
        plain, kept_open = tracked.start_call(OTHER_API), tracked.start_call()
        http_call = tracked.http_call(kept_open)
        http_call.begin_attempt("POST", OPENAI)
        body = http_call.begin_response(200, [], "1.1")
        tracked.processor.reset()
        plain.end()
        kept_open.end()
        body.end("complete")
        assert [] == tracked.run_pipeline(None)

    def test_at_exit_an_unread_body_is_dropped(self, tracked, export):
        """Its span is exported."""
        span = tracked.start_call()
        http_call = tracked.http_call(span)
        http_call.begin_attempt("POST", OPENAI)
        http_call.begin_response(200, [], "1.1")
        span.end()
        tracked.processor.end_open_bodies()
        (exported,) = export()
        assert "dropped" == exported.attributes["lupis.response.outcome"]

    def test_at_exit_a_span_stays_open_that_nobody_has_ended(self, tracked):
        """Its call may still run in another thread."""
        span = tracked.start_call()
        tracked.processor.end_open_bodies()
        assert span.is_recording()

    def test_a_flush_of_the_processor_has_nothing_to_do(self, tracked):
        """It holds no ended spans."""
        assert tracked.processor.force_flush(0)


class TestCalls:
    """Spans that report an HTTP call."""

    def test_only_spans_of_http_clients_report_a_call(self, tracked):
        """Neither a server's span does, nor one that names no HTTP method."""
        server = tracked.start_call(kind=SpanKind.SERVER)
        database = tracked.tracer.start_span("SELECT", kind=SpanKind.CLIENT)
        assert [None, None] == [tracked.http_call(server), tracked.http_call(database)]

    def test_old_attribute_names_identify_a_call_too(self, tracked):
        """Instrumentors that were set up without the stable conventions use them."""
        attributes = {"http.method": "GET", "http.url": OTHER_API}
        span = tracked.tracer.start_span("GET", kind=SpanKind.CLIENT, attributes=attributes)
        assert OTHER_API == tracked.state(span).url
        assert tracked.http_call(span) is not None

    def test_the_current_call_belongs_to_the_current_span(self, tracked):
        """The clients' adapters ask for it."""
        assert None is tracked.processor.current_http_call()
        span = tracked.start_call()
        with trace.use_span(span):
            assert tracked.http_call(span) is tracked.processor.current_http_call()

    def test_the_current_call_of_nested_spans_is_the_outermost(self, tracked):
        """With httpx over aiohttp, aiohttp's adapter fills the call of httpx's span."""
        outer = tracked.start_call()
        inner = tracked.start_call(parent=outer)
        innermost = tracked.start_call(parent=inner)
        with trace.use_span(innermost):
            assert tracked.http_call(outer) is tracked.processor.current_http_call()

    def test_a_call_is_open_until_its_instrumentor_ends_the_span(self, tracked):
        """The body may still be read then."""
        span = tracked.start_call()
        tracked.http_call(span).begin_attempt("POST", OPENAI)
        tracked.http_call(span).begin_response(200, [], "1.1")
        with trace.use_span(span):
            before = tracked.processor.has_open_call()
            span.end()
            assert (True, False) == (before, tracked.processor.has_open_call())

    @pytest.mark.parametrize(
        ("url", "repeats"),
        [
            ("https://api.openai.com/v1/other?x=1", True),
            ("https://api.openai.com:443/v1/chat/completions", True),
            ("https://API.OpenAI.com/v1/chat/completions", True),
            ("http://api.openai.com/v1/chat/completions", False),
            ("https://api.openai.com:8443/v1/chat/completions", False),
            ("https://auth.openai.com/v1/chat/completions", False),
        ],
    )
    def test_a_call_within_a_call_to_the_same_server_repeats_it(self, url, repeats, tracked):
        """Another scheme, host or port is another call, such as a request for a token."""
        outer = tracked.start_call()
        inner = tracked.start_call(url, parent=outer)
        assert repeats is (tracked.state(inner).outer is not None)

    def test_a_call_after_the_response_repeats_nothing(self, tracked):
        """Only a call without a response can be the same as one below it."""
        outer = tracked.start_call()
        tracked.answer_call(outer)
        inner = tracked.start_call(parent=outer)
        assert None is tracked.state(inner).outer

    def test_a_call_within_a_span_that_is_no_call_repeats_nothing(self, tracked):
        """The program's own span reports no call, even if it names a URL."""
        own = tracked.tracer.start_span("work", attributes={"url.full": "https://api.openai.com"})
        assert None is tracked.state(tracked.start_call(parent=own)).outer

    def test_provider_hosts_are_llm_apis(self, tracked):
        """LUPIS_PROVIDER_HOSTS names a gateway."""
        tracked.processor.configure({"llm.corp.example:8443": "openai"}, ())
        url = "https://llm.corp.example:8443/v1/chat/completions"
        span = tracked.start_call(url)
        tracked.answer_call(span, url=url)
        assert "openai" == tracked.http_call(span).endpoint.provider


class TestClientContext:
    """The context in which a client does its own work."""

    def test_the_programs_span_is_current(self, tracked):
        """And the key of the call leads to the call's span."""
        program_context = context.get_current()
        span = tracked.start_call()
        with call_context.use_context(tracked.processor.context_with_span(span)):
            inside = tracked.processor.client_context(program_context, ())
        assert trace.INVALID_SPAN is trace.get_current_span(inside)
        assert span is inside[CALL_SPAN_KEY]
        assert OUTER_CALL_KEY not in inside

    def test_it_is_made_once_for_each_context_of_the_program(self, tracked):
        """A client may enter it several times in a call."""
        program_context = context.get_current()
        with trace.use_span(tracked.start_call()):
            first = tracked.processor.client_context(program_context, ())
            assert first is tracked.processor.client_context(program_context, ())

    def test_without_a_call_there_is_none(self, tracked):
        """The program's own span does not report a call."""
        with trace.use_span(tracked.tracer.start_span("work")):
            assert None is tracked.processor.client_context(context.get_current(), ())


class TestExclusion:
    """Spans that are not exported."""

    @pytest.mark.parametrize(
        "url", ["https://api.openai.com/health?x=1", "http://x.example/health?"]
    )
    def test_excluded_urls(self, url, tracked, export):
        """URLs that match a pattern are excluded, and calls nested in them."""
        tracked.processor.configure({}, [r"/health\b"])
        outer = tracked.start_call(url)
        inner = tracked.start_call(url, parent=outer)
        other = tracked.start_call(OTHER_API)
        for span in (inner, outer, other):
            span.end()
        assert [OTHER_API] == [span.attributes["url.full"] for span in export()]

    def test_blocks_without_capturing(self, tracked, export):
        """The program's own spans in such a block are exported."""
        with call_context.use_conversation(Conversation(capture_http=False)):
            tracked.start_call().end()
            tracked.tracer.start_span("own").end()
        assert ["own"] == [span.name for span in export()]

    def test_unsampled_calls_are_recorded_and_not_exported(self, unsampled, pipeline):
        """The URL of the call must be known, to keep trace headers from its host."""
        span = unsampled.start_call()
        assert unsampled.state(span).url
        assert not span.get_span_context().trace_flags.sampled
        span.end()
        assert [] == unsampled.run_pipeline(pipeline())

    def test_other_unsampled_spans_are_not_recorded(self, unsampled):
        """Only calls need the host of their URL."""
        assert not unsampled.tracer.start_span("work").is_recording()

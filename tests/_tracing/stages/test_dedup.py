"""One call is counted once: in one span, no matter which other tool traces it."""

import json

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource

from lupis_instrument._tracing.pipeline import Draft
from lupis_instrument._tracing.stages.dedup import drop_repeated_span

OPENAI = "https://api.openai.com/v1/chat/completions"
JSON = [("Content-Type", "application/json")]
TOKENS = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3}
XAI = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "xai",
    "gen_ai.request.model": "grok-4-0709", "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 250, "gen_ai.usage.total_tokens": 1300,
    "gen_ai.usage.reasoning_tokens": 50, "gen_ai.usage.cached_prompt_text_tokens": 100,
}  # fmt: skip
"""The attributes of a span of xai-sdk, which leaves reasoning out of the output."""


def test_of_nested_spans_only_the_outermost_is_exported(tracked, export):
    """One call through httpx over aiohttp, or requests over urllib3, is one span."""
    outer = tracked.start_call()
    inner = tracked.start_call(parent=outer)
    innermost = tracked.start_call(parent=inner)
    for span in (innermost, inner, outer):
        span.end()
    (exported,) = export()
    assert outer.get_span_context() == exported.context


def test_a_span_that_repeats_no_other_passes(tracked):
    """The stage returns the draft itself."""
    tracked.start_call().end()
    draft = Draft(tracked.queued.pop(), Resource({}))
    assert draft is drop_repeated_span(draft)


class TestCountOnce:
    """Tokens and cost are on one span if an LLM library's instrumentor traces the call too."""

    @pytest.fixture
    def nested(self, tracked, export):
        """Makes a call below the span of an LLM library.

        Returns the number of spans queued before the library's span ends, and the attributes of
        the exported call.
        """

        def make(end_attributes, *, with_usage=True, ends=True, later_attributes=None):
            outer = tracked.tracer.start_span("openai.chat", attributes={"gen_ai.system": "openai"})
            span = tracked.start_call(parent=outer)
            if with_usage:
                tracked.answer_call(span)
            else:
                tracked.answer_call(span, body=json.dumps({"model": "m"}).encode())
            span.end()
            queued = len(tracked.queued)
            outer.set_attributes(end_attributes)
            if ends:
                outer.end()
            else:
                tracked.processor.release_waiting()
            if later_attributes is not None:
                tracked.tracer.start_span("stream", attributes=later_attributes).end()
            spans = {exported.name: exported for exported in export()}
            return queued, spans["chat gpt-4o"].attributes

        return make

    def test_tokens_are_left_to_a_span_that_is_made_after_the_call(self, nested):
        """Logfire makes one when a stream is over; the response id connects the two."""
        later = {"gen_ai.response.id": "chatcmpl-1", **TOKENS}
        assert "parent" == nested({}, later_attributes=later)[1]["lupis.dedup"]

    @pytest.mark.parametrize(
        "later",
        [
            {"gen_ai.response.id": "chatcmpl-2", **TOKENS},
            {"gen_ai.response.id": "chatcmpl-1", "gen_ai.system": "openai"},
            {"gen_ai.response.id": "chatcmpl-1", "gen_ai.operation.name": "invoke_agent", **TOKENS},
            TOKENS,
        ],
        ids=["another response", "no tokens", "an agent", "no response id"],
    )
    def test_a_later_span_without_the_tokens_of_this_response_does_not_count(self, later, nested):
        """The call's own span keeps the tokens."""
        assert "self" == nested({}, later_attributes=later)[1]["lupis.dedup"]

    def test_a_call_waits_for_the_span_around_it(self, nested):
        """Only the end of that span shows which of the two has the tokens."""
        assert 0 == nested({})[0]

    @pytest.mark.parametrize(
        "end_attributes",
        [
            TOKENS,
            {"gen_ai.usage.prompt_tokens": 12},
            {"llm.token_count.prompt": 12, "llm.token_count.completion": 3},
        ],
    )
    def test_tokens_are_left_to_the_span_around_the_call(self, nested, end_attributes):
        """The call keeps them under names that nobody adds up, and it keeps the cost."""
        attributes = nested(end_attributes)[1]
        assert "parent" == attributes["lupis.dedup"]
        usage = [name for name in attributes if name.startswith("gen_ai.usage.")]
        assert ["gen_ai.usage.cost"] == usage
        assert (12, 3, 15) == tuple(
            attributes[f"lupis.repeated.{kind}_tokens"] for kind in ("input", "output", "total")
        )
        assert attributes["lupis.cost.total"] > 0

    def test_the_call_has_the_tokens_if_the_span_around_it_has_none(self, nested):
        """The library's instrumentor may not count streams, or may fail."""
        attributes = nested({"gen_ai.response.id": "x"})[1]
        assert "self" == attributes["lupis.dedup"]
        assert TOKENS.items() <= attributes.items()

    def test_the_call_keeps_its_cost_whatever_the_other_span_reports(self, nested):
        """OpenLIT reports 0 if it could not load its prices, and a sum must not lack a call."""
        attributes = nested({**TOKENS, "gen_ai.usage.cost": 0, "operation.cost": 0.1})[1]
        assert "priced" == attributes["lupis.cost.status"]
        assert attributes["lupis.cost.total"] > 0
        assert "gen_ai.usage.cost" not in attributes  # backends would add up the two

    def test_a_flush_does_not_wait_for_a_span_that_stays_open(self, nested):
        """The attributes that it has by then decide."""
        assert "self" == nested({}, ends=False)[1]["lupis.dedup"]

    def test_a_call_without_tokens_is_not_marked(self, nested):
        """There is nothing to be counted twice."""
        assert "lupis.dedup" not in nested(TOKENS, with_usage=False)[1]

    def test_a_span_that_is_not_sampled_does_not_count(self, tracked, unsampled, export):
        """It is not exported, so its tokens are lost."""
        outer = unsampled.tracer.start_span(
            "openai.chat",
            kind=trace.SpanKind.CLIENT,
            attributes={"gen_ai.system": "openai", **TOKENS},
        )
        tracked.processor.span_tree.begin_span(outer)
        span = tracked.start_call(parent=outer)
        tracked.answer_call(span)
        span.end()
        tracked.processor.span_tree.end_span(outer)
        (exported,) = export()
        assert "self" == exported.attributes["lupis.dedup"]

    def test_spans_of_two_libraries_around_a_call_do_not_count(self, tracked, export):
        """A framework's span lies around the span of the client's instrumentor."""
        names = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", **TOKENS}
        outer = tracked.tracer.start_span("framework", attributes=names)
        context = trace.set_span_in_context(outer)
        inner = tracked.tracer.start_span("client", context, attributes=names)
        call = tracked.start_call(parent=inner)
        tracked.answer_call(call)
        for span in (call, inner, outer):
            span.end()
        exported = {span.name: span.attributes for span in export()}
        assert {"framework": "child", "client": "child", "chat gpt-4o": "parent"} == {
            name: attributes["lupis.dedup"] for name, attributes in exported.items()
        }
        assert ["client"] == [
            name for name, span in exported.items() if TOKENS.items() <= span.items()
        ]

    def test_a_library_span_that_ends_while_the_answer_is_read_does_not_count(
        self, tracked, export
    ):
        """It is prepared before the span of the call."""
        names = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", **TOKENS}
        outer = tracked.tracer.start_span("client", attributes=names)
        call = tracked.start_call(parent=outer)
        http_call = tracked.http_call(call)
        http_call.begin_attempt("POST", OPENAI)
        assert http_call.begin_response(200, list(JSON), "1.1") is not None
        call.end()
        outer.end()
        (exported,) = export()
        assert "child" == exported.attributes["lupis.dedup"]
        assert "lupis.cost.total" not in exported.attributes


class TestForeignCalls:
    """Calls that only a library's span reports, because they use no HTTP client: gRPC's."""

    @pytest.fixture
    def exported(self, tracked, export):
        """Exports the span of a library, maybe after a call elsewhere; returns its attributes."""

        def run(attributes, *, scope="xai_sdk.sync.chat", call=False, **settings):
            if call:
                span = tracked.start_call()
                tracked.answer_call(span)
                span.end()
            tracer = tracked.provider.get_tracer(scope)
            tracer.start_span("chat.sample grok-4", attributes=attributes).end()
            return export(**settings)[-1].attributes

        return run

    def test_a_call_of_xai_sdk_has_a_cost(self, exported):
        """Its span's own names are completed; reasoning is part of the output."""
        attributes = exported(XAI)
        assert ("x_ai", 300, 50, 100) == tuple(
            attributes[name]
            for name in (
                *("gen_ai.provider.name", "gen_ai.usage.output_tokens"),
                *("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.cache_read.input_tokens"),
            )
        )
        assert ("priced", "catalog") == (
            attributes["lupis.cost.status"],
            attributes["lupis.cost.source"],
        )
        assert attributes["lupis.cost.total"] == attributes["gen_ai.usage.cost"] > 0

    def test_the_cost_that_the_provider_states_counts(self, exported):
        """A tick is a ten-billionth of a dollar."""
        attributes = exported({**XAI, "gen_ai.usage.cost_in_usd_ticks": 37_756_000})
        assert (0.0037756, "reported") == (
            attributes["lupis.cost.total"],
            attributes["lupis.cost.source"],
        )

    def test_a_session_of_the_program_is_no_conversation(self, exported):
        """A session of a library is one."""
        session = {**XAI, "session.id": "s"}
        assert "s" == exported(session)["lupis.chat.id"]
        assert "lupis.chat.id" not in exported({**session, "lupis.metadata.session_id": "s"})

    def test_an_agent_has_no_cost(self, exported):
        """Its tokens are the sum of calls."""
        attributes = exported({**XAI, "gen_ai.operation.name": "invoke_agent"})
        assert "lupis.cost.status" not in attributes

    def test_a_span_of_the_program_stays_as_it_is(self, exported):
        """`create_span` may add up tokens of several calls."""
        assert "lupis.cost.status" not in exported(XAI, scope="lupis_instrument")

    def test_a_response_that_was_recorded_elsewhere_does_not_count(self, exported):
        """A thread may not know the library's span; the response id connects the two."""
        attributes = exported({**XAI, "gen_ai.response.id": "chatcmpl-1"}, call=True)
        assert "child" == attributes["lupis.dedup"]
        assert not {"lupis.cost.total", "gen_ai.usage.input_tokens"} & set(attributes)

    def test_another_response_counts(self, exported):
        """Its id differs from the id of the call before."""
        assert "lupis.cost.total" in exported({**XAI, "gen_ai.response.id": "r"}, call=True)

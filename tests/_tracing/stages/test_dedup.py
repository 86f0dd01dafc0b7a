"""One call is counted once: in one span, no matter which other tool traces it."""

import json

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource

from lupis_instrument._tracing.pipeline import Draft
from lupis_instrument._tracing.stages.dedup import drop_repeated_span

TOKENS = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3}


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
        tracked.processor.span_tree.begin_span(outer, None)
        span = tracked.start_call(parent=outer)
        tracked.answer_call(span)
        span.end()
        tracked.processor.span_tree.end_span(outer)
        (exported,) = export()
        assert "self" == exported.attributes["lupis.dedup"]

"""Tokens and cost stand on one span, where an LLM library's instrumentor traces the call too."""

import json

import pytest
from opentelemetry import trace

TOKENS = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3}


@pytest.fixture
def nested(tracked, export):
    """Makes a call below the span of an LLM library, which says so much when it ends."""

    def make(says, *, answered=True, ends=True, afterwards=None):
        outer = tracked.tracer.start_span("openai.chat", attributes={"gen_ai.system": "openai"})
        span = tracked.start(parent=outer)
        tracked.answer(span, body=json.dumps({"model": "m"}).encode() if not answered else None)
        span.end()
        waiting = len(tracked.put)
        outer.set_attributes(says)
        if ends:
            outer.end()
        else:
            tracked.tracking.release_waiting()
        if afterwards is not None:
            tracked.tracer.start_span("stream", attributes=afterwards).end()
        spans = {each.name: each for each in export()}
        return waiting, spans["chat gpt-4o"].attributes

    return make


@pytest.fixture(autouse=True)
def _answer(tracked):
    """An answer of `None` is the usual one."""
    original, usual = tracked.answer, type(tracked).answer.__kwdefaults__["body"]

    def answer(span, *, body=None, **more):
        return original(span, body=body if body is not None else usual, **more)

    tracked.answer = answer


def test_tokens_are_left_to_a_span_that_is_made_afterwards(nested):
    """As Logfire does when a stream is over; the answer's id tells whose they are."""
    later = {"gen_ai.response.id": "chatcmpl-1", **TOKENS}
    assert "parent" == nested({}, afterwards=later)[1]["lupis.dedup"]


@pytest.mark.parametrize(
    "later",
    [
        {"gen_ai.response.id": "chatcmpl-2", **TOKENS},
        {"gen_ai.response.id": "chatcmpl-1", "gen_ai.system": "openai"},
        {"gen_ai.response.id": "chatcmpl-1", "gen_ai.operation.name": "invoke_agent", **TOKENS},
        TOKENS,
    ],
)
def test_another_span_that_is_made_afterwards_is_not_of_this_answer(nested, later):
    """It tells of another, or no tokens, or of a whole agent's."""
    assert "self" == nested({}, afterwards=later)[1]["lupis.dedup"]


def test_the_call_waits_for_the_span_around_it(nested):
    """Only then it's known who has the tokens."""
    assert 0 == nested({})[0]


@pytest.mark.parametrize(
    "says",
    [
        TOKENS,
        {"gen_ai.usage.prompt_tokens": 12},
        {"llm.token_count.prompt": 12, "llm.token_count.completion": 3},
    ],
)
def test_tokens_are_left_to_the_span_around_it(nested, says):
    """Ours keeps them by names that nobody adds up, and the cost, which the other hasn't."""
    attributes = nested(says)[1]
    assert "parent" == attributes["lupis.dedup"]
    assert [] == [name for name in attributes if name.startswith("gen_ai.usage.")]
    assert (12, 3, 15) == tuple(
        attributes[f"lupis.repeated.{each}_tokens"] for each in ("input", "output", "total")
    )
    assert attributes["lupis.cost.total"] > 0


def test_without_tokens_there_ours_has_them(nested):
    """The library's instrumentor may not count streams, or fail."""
    attributes = nested({"gen_ai.response.id": "x"})[1]
    assert "self" == attributes["lupis.dedup"]
    assert TOKENS.items() <= attributes.items()


def test_the_cost_is_ours_whatever_it_says(nested):
    """OpenLIT says 0 where it could not load its prices; a sum of ours must not lack a call."""
    attributes = nested({**TOKENS, "gen_ai.usage.cost": 0, "operation.cost": 0.1})[1]
    assert "priced" == attributes["lupis.cost.status"]
    assert attributes["lupis.cost.total"] > 0


def test_a_span_that_does_not_end_is_not_waited_for_at_the_end(nested):
    """What it has said by then counts."""
    assert "self" == nested({}, ends=False)[1]["lupis.dedup"]


def test_a_call_without_tokens_says_nothing_of_them(nested):
    """There is nothing to be counted twice."""
    assert "lupis.dedup" not in nested(TOKENS, answered=False)[1]


def test_a_span_that_is_not_sampled_has_nothing(tracked, unsampled, export):
    """It leaves no process, so what it says is lost."""
    outer = unsampled.tracer.start_span(
        "openai.chat", kind=trace.SpanKind.CLIENT, attributes={"gen_ai.system": "openai", **TOKENS}
    )
    tracked.tracking.span_tree.begin_span(outer, None)
    span = tracked.start(parent=outer)
    tracked.answer(span)
    span.end()
    tracked.tracking.span_tree.end_span(outer)
    (ours,) = export()
    assert "self" == ours.attributes["lupis.dedup"]

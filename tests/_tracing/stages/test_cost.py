"""What the enrich stage says of a call's cost."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.resources import Resource

from lupis_instrument import LupisConfig
from lupis_instrument._llm.pricing.own_prices import OwnPrices
from lupis_instrument._tracing import pipeline as _pipeline

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "house-model",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "hi"}}],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 400},
    },
}
OWN = OwnPrices(
    {"models": {"house-*": {"input_mtok": 10, "output_mtok": 20, "cache_read_mtok": 1}}}
)
PARTS = ("input", "output", "cache", "total")


@pytest.fixture
def cost_of(tracked):
    """Returns what the span of one answered call says of its cost."""

    def run(body, own=None, **answer):
        pipeline = _pipeline.build_pipeline(LupisConfig("tests"), None, Resource({}), own)
        span = tracked.start()
        tracked.answer(span, body=body, **answer)
        span.end()
        (done,) = tracked.run(pipeline)
        return {
            name.replace("lupis.cost.", ""): value
            for name, value in done.attributes.items()
            if name.startswith("lupis.cost.")
        }

    return run


def test_own_prices_come_first(cost_of):
    """600 new and 400 cached tokens in, 100 out, at the prices of the user's file."""
    cost = cost_of(ANSWER, OWN)
    assert ("priced", "LUPIS_PRICES_FILE") == (cost["status"], cost["catalog"])
    expected = {"input": 0.006, "output": 0.002, "cache": 0.0004, "total": 0.0084}
    assert pytest.approx(expected) == {part: cost[part] for part in PARTS}


def test_catalogue_prices_what_it_knows(cost_of):
    """The parts of a known model's cost add up, and say whose prices they are."""
    cost = cost_of({**ANSWER, "model": "gpt-4o-2024-08-06"})
    assert "priced" == cost["status"]
    assert pytest.approx(cost["total"]) == cost["input"] + cost["output"] + cost["cache"]
    assert cost["total"] > 0
    assert cost["catalog"].startswith("genai-prices")


def test_unknown_is_absent_and_says_why(cost_of):
    """A model without a price has a status and a reason, and no amount."""
    cost = cost_of(ANSWER, request={"model": "house-model"})
    assert "unpriced" == cost["status"]
    assert cost["reason"]
    assert not set(PARTS) & set(cost)


def test_an_answer_that_comes_later_costs_once(tracked):
    """What is asked for in the background: with the request that brings it, the first."""
    url, still = "https://api.openai.com/v1/responses", {"id": "resp_1", "model": "gpt-4o"}
    there = {**still, "status": "completed", "usage": {"input_tokens": 100, "output_tokens": 10}}
    bodies = [{**still, "status": "queued"}, {**still, "status": "in_progress"}, there, there]
    for number, body in enumerate(bodies):
        span = tracked.start()
        one = {"url": f"{url}/resp_1", "method": "GET"} if number else {"url": url}
        tracked.answer(span, body=body, **one)
        span.end()
    done = tracked.run(_pipeline.build_pipeline(LupisConfig("tests"), None, Resource({})))
    told = [
        (each.attributes.get("gen_ai.usage.input_tokens"), each.attributes.get("lupis.cost.status"))
        for each in done
    ]
    assert [(None, None), (None, None), (100, "priced"), (None, None)] == told


def test_failed_call_has_no_cost(cost_of):
    """A call that was refused used nothing."""
    assert {} == cost_of({"error": {"code": "rate_limit_exceeded"}}, status=429)


@pytest.mark.parametrize(("speed", "total"), [("standard", 0.00525), ("fast", 0.0105)])
def test_fast_answers_cost_more(cost_of, speed, total):
    """Anthropic says of each answer how it was made."""
    usage = {"input_tokens": 1000, "output_tokens": 10, "speed": speed}
    message = {"id": "msg_1", "type": "message", "model": "claude-opus-4-8", "usage": usage}
    cost = cost_of(message, url="https://api.anthropic.com/v1/messages")
    assert ("priced", pytest.approx(total)) == (cost["status"], cost["total"])

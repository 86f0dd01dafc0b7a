"""The cost attributes that the enrich stage adds."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.resources import Resource

from lupis_instrument import LupisConfig
from lupis_instrument._llm.pricing.own_prices import OwnPrices
from lupis_instrument._tracing.stages import build_pipeline

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
OWN_PRICES = OwnPrices(
    {"models": {"house-*": {"input_mtok": 10, "output_mtok": 20, "cache_read_mtok": 1}}}
)
PARTS = ("input", "output", "cache", "total")


@pytest.fixture
def cost_of(tracked):
    """Makes a call with this response; returns its cost attributes, without their prefix."""

    def run(body, own_prices=None, **exchange):
        pipeline = build_pipeline(LupisConfig("tests"), None, Resource({}), own_prices)
        span = tracked.start_call()
        tracked.answer_call(span, body=body, **exchange)
        span.end()
        (exported,) = tracked.run_pipeline(pipeline)
        return {
            name.replace("lupis.cost.", ""): value
            for name, value in exported.attributes.items()
            if name.startswith("lupis.cost.")
        }

    return run


def test_own_prices_come_first(cost_of):
    """600 uncached and 400 cached input tokens and 100 output tokens, at the user's prices."""
    cost = cost_of(ANSWER, OWN_PRICES)
    assert ("priced", "LUPIS_PRICES_FILE") == (cost["status"], cost["catalog"])
    expected = {"input": 0.006, "output": 0.002, "cache": 0.0004, "total": 0.0084}
    assert pytest.approx(expected) == {part: cost[part] for part in PARTS}


def test_the_catalog_prices_a_known_model(cost_of):
    """The parts of the cost add up, and the catalog is named."""
    cost = cost_of({**ANSWER, "model": "gpt-4o-2024-08-06"})
    assert "priced" == cost["status"]
    assert pytest.approx(cost["total"]) == cost["input"] + cost["output"] + cost["cache"]
    assert cost["total"] > 0
    assert cost["catalog"].startswith("genai-prices")


def test_a_model_without_a_price_has_no_amounts(cost_of):
    """It has a status and a reason."""
    cost = cost_of(ANSWER, request={"model": "house-model"})
    assert "unpriced" == cost["status"]
    assert cost["reason"]
    assert not set(PARTS) & set(cost)


@pytest.mark.parametrize(("status", "reported"), [(200, True), (302, False), (500, False)])
def test_a_response_that_was_not_observed_is_unpriced(tracked, status, reported):
    """The instrumentor has seen the status, but no body was read; other statuses cost nothing."""
    span = tracked.start_call()
    tracked.http_call(span).begin_attempt("POST", "https://api.openai.com/v1/chat/completions")
    span.set_attribute("http.response.status_code", status)
    span.end()
    pipeline = build_pipeline(LupisConfig("tests"), None, Resource({}), None)
    (exported,) = tracked.run_pipeline(pipeline)
    cost = [exported.attributes.get(f"lupis.cost.{name}") for name in ("status", "reason")]
    assert (["unpriced", "response not observed"] if reported else [None, None]) == cost


def test_a_background_job_costs_once(tracked):
    """The first request that gets the finished response has the tokens and the cost."""
    url, job = "https://api.openai.com/v1/responses", {"id": "resp_1", "model": "gpt-4o"}
    usage = {"input_tokens": 100, "output_tokens": 10}
    done = {**job, "status": "completed", "usage": usage}
    bodies = [{**job, "status": "queued"}, {**job, "status": "in_progress"}, done, done]
    for number, body in enumerate(bodies):
        span = tracked.start_call()
        request = {"url": f"{url}/resp_1", "method": "GET"} if number else {"url": url}
        tracked.answer_call(span, body=body, **request)
        span.end()
    spans = tracked.run_pipeline(build_pipeline(LupisConfig("tests"), None, Resource({})))
    counted = [
        (span.attributes.get("gen_ai.usage.input_tokens"), span.attributes.get("lupis.cost.status"))
        for span in spans
    ]
    assert [(None, None), (None, None), (100, "priced"), (None, None)] == counted


def test_a_failed_call_has_no_cost(cost_of):
    """A refused call uses no tokens."""
    assert {} == cost_of({"error": {"code": "rate_limit_exceeded"}}, status=429)


@pytest.mark.parametrize(("speed", "total"), [("standard", 0.00525), ("fast", 0.0105)])
def test_a_fast_response_costs_more(cost_of, speed, total):
    """Anthropic reports the speed in the usage of each response."""
    usage = {"input_tokens": 1000, "output_tokens": 10, "speed": speed}
    message = {"id": "msg_1", "type": "message", "model": "claude-opus-4-8", "usage": usage}
    cost = cost_of(message, url="https://api.anthropic.com/v1/messages")
    assert ("priced", pytest.approx(total)) == (cost["status"], cost["total"])

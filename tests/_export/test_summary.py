"""The summary adds up the calls of a program and its child processes."""

import json

import pytest

from lupis_instrument._export.summary import MAX_CHATS, Summary


@pytest.fixture
def other_call(finished):
    """Makes the span of an HTTP call that is no LLM call."""

    def make(host, method="GET", port=None):
        attributes = {"http.request.method": method, "server.address": host, "server.port": port}
        given = {name: value for name, value in attributes.items() if value is not None}
        return finished(method, given)

    return make


def add_up(*spans):
    """Returns the totals of some spans."""
    summary = Summary()
    for span in spans:
        summary.add_span(span)
    return summary


def test_calls_add_up(llm_call):
    """There are totals of all calls, and by provider and model."""
    summary = add_up(
        llm_call("gpt-4o", 1000, 200, cached=600, seconds=0.5),
        llm_call("gpt-4o", 500, 100, seconds=1),
        llm_call("gpt-4.1", 1, 2, error="429", seconds=1),
    )
    totals = summary.all_calls
    assert (3, 1, 1501, 302, 600) == (
        *(totals.calls, totals.errors),
        *(totals.read, totals.written, totals.cached),
    )
    assert 2.5 == totals.seconds
    assert {("openai", "gpt-4o"): 2, ("openai", "gpt-4.1"): 1} == {
        key: totals.calls for key, totals in summary.by_model.items()
    }


def test_the_number_of_chat_ids_in_memory_is_limited(llm_call):
    """A server may have a new conversation with each request."""
    summary = add_up(*(llm_call(chat=str(number)) for number in range(MAX_CHATS + 1)))
    assert MAX_CHATS == len(summary.chats)


def test_a_repeated_request_is_a_retry(llm_call, finished):
    """The first attempt is none."""
    span = llm_call()
    retry = finished("chat", {**span.attributes, "http.request.resend_count": 1})
    assert 1 == add_up(span, retry).all_calls.retries


def test_errors_are_counted_by_type_and_word(llm_call, finished):
    """The provider's word says more than the status."""
    limited = finished(
        "chat", {**llm_call(error="429").attributes, "lupis.error.code": "rate_limit_exceeded"}
    )
    summary = add_up(limited, limited, llm_call(error="500"), llm_call())
    assert {"429 rate_limit_exceeded": 2, "500": 1} == summary.errors


def test_the_slowest_call_is_known(llm_call):
    """It has a name and a trace id."""
    slow = llm_call("slow", seconds=5)
    summary = add_up(llm_call(seconds=1), slow, llm_call(seconds=4))
    assert (5.0, "chat slow", f"{slow.context.trace_id:032x}") == summary.slowest


def test_other_calls_are_counted_by_host(other_call):
    """One of the hosts may be a gateway; a port that is not the scheme's own belongs to it."""
    summary = add_up(
        other_call("a.example", port=443), other_call("a.example", "POST"), other_call("b", port=81)
    )
    assert (3, 0) == (summary.spans, summary.all_calls.calls)
    assert {"a.example": (2, 1), "b:81": (1, 0)} == summary.hosts


def test_the_number_of_hosts_in_memory_is_limited(other_call):
    """A crawler calls very many."""
    assert 100 == len(add_up(*(other_call(f"{n}.example") for n in range(101))).hosts)


def test_spans_of_the_program_are_no_calls(finished):
    """They have no HTTP method."""
    summary = add_up(finished("work"))
    assert (1, 0, {}) == (summary.spans, summary.all_calls.calls, summary.hosts)


def test_the_processes_of_a_launch_add_up(llm_call, other_call):
    """Each leaves its totals in the store as JSON."""
    parts = []
    for chat in ("a", "b"):
        part = add_up(
            llm_call(chat=chat),
            llm_call(chat="common", error="429", seconds=ord(chat)),
            other_call("a.example", "POST"),
        )
        parts.append((part, json.loads(json.dumps(part.to_json()))))
    together = Summary()
    for _, totals in parts:
        together.merge_json(totals)
    assert {"a": 1, "b": 1, "common": 2} == together.chats
    assert ({"429": 2}, {"a.example": (2, 2)}) == (together.errors, together.hosts)
    assert parts[1][0].slowest == together.slowest
    assert (6, 4, 2) == (together.spans, together.all_calls.calls, together.all_calls.errors)


def test_totals_of_an_older_version_add_up():
    """They have neither errors nor hosts, and each chat id once."""
    counts = {"calls": 2, "errors": 1, "read": 3, "cost": 0.5, "seconds": 1.0}
    totals = {"spans": 2, "events": 1, "models": [["openai", "m", counts]], "chats": ["a"]}
    summary = Summary()
    summary.merge_json(totals)
    assert (2, 2, 0.5) == (summary.spans, summary.all_calls.calls, summary.all_calls.cost)
    assert ({"a": 1}, {}, None) == (summary.chats, summary.errors, summary.slowest)


def test_the_response_model_replaces_an_unknown_request_model(finished):
    """The body of the request could not be read."""
    span = finished(
        "chat",
        {
            "gen_ai.provider.name": "openai",
            "gen_ai.operation.name": "chat",
            "gen_ai.response.model": "gpt-4o-2024",
        },
    )
    assert [("openai", "gpt-4o-2024")] == list(add_up(span).by_model)


def test_a_forked_child_has_no_totals(llm_call):
    """The parent reports the earlier calls."""
    summary = add_up(llm_call(chat="a", error="429"))
    summary.reset()
    assert Summary().to_json() == summary.to_json()


def test_a_call_that_ends_before_its_start_takes_no_time(llm_call):
    """No other call becomes shorter by it."""
    assert 1.0 == add_up(llm_call(seconds=1), llm_call(seconds=-5)).all_calls.seconds

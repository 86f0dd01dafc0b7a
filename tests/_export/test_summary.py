"""The summary adds up the calls of a program and its child processes."""

import json

from lupis_instrument._export.accounting import Account
from lupis_instrument._export.summary import Summary

ENDPOINT = "http://127.0.0.1:4318/v1/traces"
STORE = "/data/store.db"


def summary_of(*spans, delivered=None, stored=0, lost=0, events=0):
    """Return the lines of the summary for some spans."""
    summary, account = Summary(), Account()
    for span in spans:
        summary.add_span(span)
    summary.events = events
    account.add_created(len(spans) + events)
    account.add_delivered(len(spans) + events if delivered is None else delivered)
    account.add_stored(stored)
    account.add_dropped(lost, "queue full")
    return summary.format_lines(account, ENDPOINT, STORE)


def test_without_spans_there_is_no_summary():
    """A program without calls ends as usual."""
    assert [] == summary_of()


def test_calls_add_up(llm_call):
    """The first line is the total; the others are by provider and model."""
    lines = summary_of(
        llm_call("gpt-4o", 1000, 200, cached=600, chat="a", seconds=0.5),
        llm_call("gpt-4o", 500, 100, chat="b", seconds=1),
        llm_call("gpt-4.1", 1, 2, chat="b", error="429", seconds=1),
    )
    assert [
        "lupis: 3 LLM calls, 1 error, 1,501 tokens in (600 cached), 302 out, 2.50 s, 2 conversations",
        "  openai gpt-4.1  1 LLM call, 1 error, 1 tokens in, 2 out, 1.00 s",
        "  openai gpt-4o   2 LLM calls, 1,500 tokens in (600 cached), 300 out, 1.50 s",
        f"  3 spans -> {ENDPOINT}",
    ] == lines


def test_very_many_conversations_are_a_lower_bound(llm_call):
    """The number of chat ids in memory is limited, and the summary does not give it as exact."""
    first, *_ = summary_of(*(llm_call("m", 1, 1, chat=str(number)) for number in range(10_001)))
    assert first.endswith(", at least 10,000 conversations")


def test_unknown_tokens_are_counted_apart(llm_call, finished):
    """They are not 0 tokens; the tokens of the other calls add up."""
    unknown = finished(
        "chat m",
        {
            "gen_ai.provider.name": "openai",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m",
            "lupis.cost.status": "unpriced",
        },
    )
    total, by_model, *_ = summary_of(unknown, llm_call("gpt-4o", 1000, 200))
    assert "1,000 tokens in, 200 out, tokens of 1 call unknown, cost of 1 unknown" in total
    assert "gpt-4o" in by_model or "tokens in" not in by_model


def test_other_calls_count_as_spans_only(finished):
    """They have no tokens and no cost."""
    assert [
        "lupis: 0 LLM calls, 0 tokens in, 0 out, 0.00 s",
        f"  1 span -> {ENDPOINT}",
    ] == summary_of(finished("GET"))


def test_stored_and_dropped_items_are_named(finished):
    """The numbers add up to the number of spans."""
    spans = [finished() for _ in range(6)]
    lines = summary_of(*spans, delivered=1, stored=2, lost=3)
    assert f"  6 spans: 1 -> {ENDPOINT}, 2 -> {STORE}, 3 dropped: queue full" == lines[-1]


def test_one_place_for_all_items_needs_no_numbers(finished):
    """Here it is the store."""
    assert f"  1 span -> {STORE}" == summary_of(finished(), delivered=0, stored=1)[-1]


def test_events_are_counted_beside_the_spans(finished):
    """They are no calls."""
    assert f"  1 span, 2 events -> {ENDPOINT}" == summary_of(finished(), events=2)[-1]


def test_lost_items_count_once(finished):
    """Their number is set again at each end, and the total of the last line includes them."""
    summary, account = Summary(), Account()
    summary.add_span(finished())
    account.add_created(1)
    account.add_delivered(1)
    for count in (5, 3):
        summary.set_lost(count, 0)
        account.set_lost_before_export("fault", count)
    line = summary.format_lines(account, ENDPOINT, STORE)[-1]
    assert f"  4 spans: 1 -> {ENDPOINT}, 3 dropped: fault" == line


def test_the_processes_of_a_launch_add_up(llm_call):
    """Each leaves its totals in the store as JSON."""
    parts = []
    for chat in ("a", "b"):
        part = Summary()
        part.add_span(llm_call(chat=chat))
        part.add_span(llm_call(chat="common", error="429"))
        parts.append(json.loads(json.dumps(part.to_json())))
    together, alone = Summary(), Summary()
    for part in parts:
        together.merge_json(part)
    for chat in ("a", "b", "common", "common"):
        alone.add_span(llm_call(chat=chat, error="429" if chat == "common" else None))
    assert alone.to_json() == together.to_json()


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
    assert summary_of(span)[1].startswith("  openai gpt-4o-2024  1 LLM call")


def test_a_forked_child_has_no_totals(llm_call):
    """The parent reports the earlier calls."""
    summary = Summary()
    summary.add_span(llm_call())
    summary.reset()
    assert [] == summary.format_lines(Account(), ENDPOINT, STORE)


def test_names_with_control_characters_keep_the_columns(llm_call):
    """The width of a column counts the escapes that stand for the characters."""
    lines = summary_of(llm_call("a\nb"), llm_call("abcd"))[1:3]
    assert [r"  openai a\nb  1", "  openai abcd  1"] == [line.split(" LLM")[0] for line in lines]


def test_a_call_that_ends_before_its_start_takes_no_time(llm_call):
    """No other call becomes shorter by it."""
    assert "1.00 s" in summary_of(llm_call(seconds=1), llm_call(seconds=-5))[0]

"""The turns of an agent."""

import pytest

from lupis_instrument._query.traces import find_trace_spans
from lupis_instrument._query.turns import Step, Turn, find_turns

TOOLS, REASONS = "lupis.response.tools", "gen_ai.response.finish_reasons"


@pytest.fixture
def turns(ask):
    """The turns of all spans in the store."""
    return lambda: ask(lambda db: find_turns(db, find_trace_spans(db, "")))


def test_tools_and_the_next_call_are_one_turn(store, turns):
    """It ends with the answer that calls no tools."""
    store.call(ago=40, chat="a", **{TOOLS: ["get_weather", "search"]})
    store.call(ago=30, chat="a")
    store.call(ago=20, chat="a")
    assert [
        Turn("a", (Step("chat", 1, ("get_weather", "search")), Step("chat", 1))),
        Turn("a", (Step("chat", 1),)),
    ] == turns()


def test_conversations_at_the_same_time_have_turns_of_their_own(store, turns):
    """The calls of one do not stand in the turn of another."""
    store.call(ago=40, chat="a", **{TOOLS: ["search"]})
    store.call(ago=30, chat="b")
    store.call(ago=20, chat="a")
    assert [("a", 2), ("b", 1)] == [(turn.chat, len(turn.steps)) for turn in turns()]


def test_equal_calls_in_a_row_are_one_step(store, turns):
    """The step counts them."""
    for ago in (40, 30, 20):
        store.call(ago=ago, chat="a", **{TOOLS: ["search"]})
    assert [Turn("a", (Step("chat", 3, ("search",)),))] == turns()


def test_failed_call_and_its_retry_are_one_turn(store, turns):
    """A failed call answers nothing."""
    store.call(ago=40, chat="a", error="429")
    store.call(ago=30, chat="a")
    assert [Turn("a", (Step("chat", 1, (), "429"), Step("chat", 1)))] == turns()


def test_cut_answer_has_its_finish_reason(store, turns):
    """Ordinary reasons are left out."""
    store.call(ago=40, **{REASONS: ["length"]})
    store.call(ago=30, **{REASONS: ["stop"]})
    assert ["length", None] == [step.problem for turn in turns() for step in turn.steps]


def test_tools_of_the_provider_do_not_extend_the_turn(store, turns):
    """The model has used them before it answered."""
    store.call(ago=40, chat="a", **{TOOLS: ["web_search"], REASONS: ["end_turn"]})
    store.call(ago=30, chat="a")
    assert 2 == len(turns())


def test_spans_that_are_no_calls_are_ignored(store, turns):
    """Agents and tools of libraries are such spans."""
    store.span("invoke_agent planner", **{"gen_ai.operation.name": "invoke_agent"})
    assert [] == turns()


def test_damaged_call_is_a_step_by_its_name(store, turns):
    """Its tools are not known."""
    store.call()
    store.sql("UPDATE body SET data = x'0a05'")
    assert [Turn(None, (Step("chat gpt-4o", 1),))] == turns()

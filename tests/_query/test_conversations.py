"""Conversations."""

from lupis_instrument._query.conversations import (
    find_conversation_calls,
    list_conversations,
    summarize_conversation,
)
from lupis_instrument._query.filters import make_filter


def test_conversation_adds_up_its_calls(store, ask):
    """Its models are listed once."""
    store.call("a", chat="c", cost=0.5, cached_tokens=4, ago=60)
    store.call("a", chat="c", error="429", ago=30, **{"user.id": "u"})
    (conversation,) = ask(list_conversations)
    assert ("c", 2, 1, 20, 10, 4, 0.5, 1, "a", "u") == (
        *(conversation.chat, conversation.calls, conversation.errors),
        *(conversation.input_tokens, conversation.output_tokens, conversation.cached_tokens),
        *(conversation.cost, conversation.unpriced, conversation.models, conversation.user),
    )


def test_newest_conversation_comes_first(store, ask):
    """The filter selects calls of the conversation."""
    for number, chat in enumerate("abca"):
        store.call(chat, chat=chat, ago=60 - number)
    assert ["a", "c", "b"] == [row.chat for row in ask(list_conversations)]
    assert ["a", "c"] == [row.chat for row in ask(list_conversations, limit=2)]
    assert ["b"] == [row.chat for row in ask(list_conversations, make_filter(model="b"))]


def test_calls_come_in_the_order_of_time(store, ask):
    """The first call comes first."""
    store.call("later", chat="c", ago=1)
    store.call("earlier", chat="c", ago=2)
    assert ["earlier", "later"] == [call.model for call in ask(find_conversation_calls, "c")]


def test_an_unknown_conversation_has_no_totals(store, ask):
    """It is None rather than a row of zeros."""
    assert ask(summarize_conversation, "c") is None

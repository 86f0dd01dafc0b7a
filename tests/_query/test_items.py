"""Spans and events read from the store."""

import json

import pytest

from lupis_instrument._export.otlp.encoded_items import EVENT, SPAN
from lupis_instrument._query.items import find_items, find_last_id, read_body, sum_costs


@pytest.fixture
def find(store):
    """Finds items in the store."""

    def run(*arguments):
        return store.store.database.run(lambda db: list(find_items(db, *arguments)))

    return run


def test_item_has_the_columns_of_a_call(store, find):
    """The end is the start plus the duration."""
    store.call("gpt-4o", input_tokens=12, output_tokens=3, cost=0.5, chat="c", error="429")
    (item,) = find("1")
    assert (SPAN, "chat gpt-4o", "openai") == (item.kind, item.name, item.provider)
    assert (12, 3, 0.5, "c", "429") == (
        *(item.input_tokens, item.output_tokens),
        *(item.cost, item.chat, item.error),
    )
    assert item.end == item.at + 1_000_000_000


def test_condition_and_order_select_items(store, find):
    """A value stands for each question mark."""
    for name in ("a", "b", "c"):
        store.span(name)
    items = find("id > ? AND name != ?", (1, "x"), "id DESC LIMIT 1")
    assert ["c"] == [item.name for item in items]


def test_body_of_an_event_is_json(store, find):
    """Readers need no protobuf for events."""
    store.event("clicked", button="buy")
    (item,) = find(f"kind = {EVENT}")
    body = store.store.database.run(lambda db: read_body(db, item))
    assert {"button": "buy"} == json.loads(body)["properties"]


def test_last_id_outlives_its_item(store):
    """No later item gets the id of a deleted one."""
    store.span()
    store.span()
    store.sql("DELETE FROM item")
    assert 2 == store.store.database.run(find_last_id)


def test_costs_of_calls_are_added_up(store, find):
    """Unpriced calls are counted; other spans have no cost."""
    store.call(cost=0.5)
    store.call(cost=0.25)
    store.call()
    store.span()
    assert (0.75, 1) == sum_costs(find("1"))


def test_no_known_cost_is_no_sum(store, find):
    """The sum is absent, not 0."""
    store.call()
    assert (None, 1) == sum_costs(find("1"))

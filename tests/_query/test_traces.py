"""Traces and the tree of their spans."""

import pytest
from servers.recorded import trace_id

from lupis_instrument._export.otlp.encoded_items import SPAN
from lupis_instrument._query.items import Item
from lupis_instrument._query.traces import (
    find_conversation_spans,
    find_run_spans,
    find_trace_spans,
    list_traces,
    summarize_trace,
    walk_span_tree,
)


def make_span(number, parent=None, *, at=0):
    """Return a span whose ids are one byte."""
    ids = {"trace": b"t", "span": bytes([number]), "parent": parent and bytes([parent])}
    empty = dict.fromkeys(Item._fields)
    return Item(**{**empty, "id": number, "kind": SPAN, "at": at, "duration": 0, **ids})


def walk(*spans):
    """Return depth and id of the spans in a tree."""
    return [(depth, span.id) for depth, span in walk_span_tree(list(spans))]


def test_children_follow_their_parents():
    """A span comes before its children, whatever the order of storing."""
    assert [(0, 2), (1, 1), (2, 3)] == walk(make_span(1, 2), make_span(2), make_span(3, 1))


def test_siblings_come_by_their_start():
    """The earlier span comes first."""
    assert [(0, 1), (1, 3), (1, 2)] == walk(
        make_span(1), make_span(2, 1, at=20), make_span(3, 1, at=10)
    )


def test_span_without_its_parent_is_a_root():
    """The store may lack the parent, or another service may have it."""
    assert [(0, 1), (0, 2)] == walk(make_span(1, 9), make_span(2, at=1))


def test_circle_is_walked_once():
    """A program may set any parent; every span still comes once, after the trees."""
    assert [(0, 3), (0, 1), (1, 2)] == walk(make_span(1, 2), make_span(2, 1), make_span(3))


def test_deep_tree_needs_no_recursion():
    """A trace may be deeper than Python recurses."""
    spans = [
        make_span(1)._replace(
            id=number, span=number.to_bytes(8, "big"), parent=(number - 1).to_bytes(8, "big")
        )
        for number in range(1, 5001)
    ]
    assert 4999 == max(depth for depth, _ in walk_span_tree(spans))


def test_summary_adds_up_the_spans():
    """A summary runs from the first start to the last end, and names the root."""
    root = make_span(1, at=10)._replace(duration=50)
    child = make_span(2, 1, at=20)._replace(duration=100, chat="c", error="429")
    call = make_span(3, 1, at=5)._replace(provider="openai", input_tokens=7, cost=0.5)
    summary = summarize_trace([child, root, call])
    assert (root, 5, 120) == (summary.root, summary.at, summary.end)
    assert (3, 1, 1) == (summary.spans, summary.calls, summary.errors)
    assert (7, 0, 0.5, "c") == (
        *(summary.input_tokens, summary.output_tokens),
        *(summary.cost, summary.chat),
    )


def test_first_span_stands_for_an_absent_root():
    """The root may be in another service."""
    first, second = make_span(1, 9, at=1), make_span(2, 9, at=2)
    assert first == summarize_trace([second, first]).root


@pytest.mark.parametrize("digits", [1, 12, 32])
def test_first_digits_of_a_trace_id_find_its_spans(digits, store):
    """Up to all digits may be given."""
    span = store.span()
    prefix = trace_id(span)[:digits]
    spans = store.store.database.run(lambda db: find_trace_spans(db, prefix))
    assert ["work"] == [item.name for item in spans]


def test_newest_traces_are_listed_whole(store):
    """A trace with a new span has its old spans too."""
    root = store.span("agent", ago=7200)
    store.span("other")
    store.span("late", parent=root)
    ((trace,), _) = store.store.database.run(lambda db: list_traces(db, None, 1))
    assert (trace_id(root), "agent", 2) == (trace.trace, trace.root.name, trace.spans)


def test_traces_of_a_run(store, other_store, ask):
    """Other runs have their own."""
    span = store.span()
    other_store.span()
    traces, _ = ask(list_traces, run="a" * 32)
    assert [trace_id(span)] == [trace.trace for trace in traces]


def test_spans_of_a_run_come_in_the_order_of_time(store, other_store, ask):
    """The limit keeps the first ones."""
    for name, ago in (("third", 1), ("first", 3), ("second", 2)):
        store.span(name, ago=ago)
    other_store.span("other")
    assert ["first", "second"] == [span.name for span in ask(find_run_spans, "a" * 32, 2)]


def test_spans_of_a_conversation_are_its_calls(store, ask):
    """Other spans of the conversation are left out."""
    store.call("m", chat="c")
    store.span("work", **{"lupis.chat.id": "c"})
    assert ["chat m"] == [span.name for span in ask(find_conversation_spans, "c", 9)]


def test_a_trace_is_searched_in_an_index(store, ask):
    """It is a twentieth of the table."""
    store.span()
    plan = "EXPLAIN QUERY PLAN SELECT id FROM item WHERE trace IS NOT NULL AND trace = x'00'"
    assert "COVERING INDEX item_trace" in str(ask(lambda db: db.execute(plan).fetchall()))

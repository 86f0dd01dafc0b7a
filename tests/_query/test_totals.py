"""The totals of LLM calls by group."""

import pytest

from lupis_instrument._query.filters import compile_filter, make_filter
from lupis_instrument._query.groupings import make_grouping
from lupis_instrument._query.times import SECOND
from lupis_instrument._query.totals import (
    Totals,
    add_up_calls,
    add_up_groups,
    build_statement,
)


@pytest.fixture
def add_up(store):
    """Adds up the calls in the store."""

    def run(by="model", **conditions):
        call_filter = make_filter(**conditions)
        return store.store.database.run(lambda db: add_up_calls(db, (by,), call_filter)[0])

    return run


def explain_plan(store, by):
    """Return how SQLite would execute the statement of a grouping."""

    def explain(db):
        condition = compile_filter(db, make_filter())
        statement = build_statement(make_grouping(db, (by,)), condition, 1)
        return str(db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall())

    return store.store.database.run(explain)


def test_totals_of_a_group_are_the_sums_over_its_calls(store, add_up):
    """Tokens, cost, errors and time add up."""
    store.call("m", input_tokens=10, output_tokens=1, cached_tokens=4, cost=0.25, seconds=2)
    store.call("m", input_tokens=20, output_tokens=2, cost=0.5, error="429", seconds=3)
    (totals,) = add_up().values()
    assert (2, 1) == (totals.calls, totals.errors)
    assert (30, 3, 4) == (totals.input_tokens, totals.output_tokens, totals.cached_tokens)
    assert (0.75, 5 * SECOND) == (totals.cost, totals.time)


def test_spans_that_are_no_calls_do_not_count(store, add_up):
    """A span without a provider is no LLM call."""
    store.span("work")
    store.event("clicked")
    assert {} == add_up()


def test_most_expensive_group_comes_first(store, add_up):
    """Groups without a known cost come last, the one with more calls first."""
    store.call("cheap", cost=0.5)
    store.call("expensive", cost=2.0)
    store.call("unknown")
    for _ in range(2):
        store.call("unknown and frequent")
    models = [model for _, model in add_up()]
    assert ["expensive", "cheap", "unknown and frequent", "unknown"] == models


def test_days_come_in_the_order_of_the_calendar(store, add_up):
    """The cost does not matter."""
    store.call(cost=9.0, ago=0)
    store.call(cost=1.0, ago=3 * 86_400)
    days = list(add_up("day"))
    assert days == sorted(days)
    assert 2 == len(days)


@pytest.mark.parametrize(
    ("conditions", "models"),
    [
        ({}, {"a", "b", "c"}),
        ({"chat": "two"}, {"b", "c"}),
        ({"run": "aa"}, {"a", "b"}),
        ({"run": "aa", "chat": "two"}, {"b"}),
        ({"since": 1 << 62}, set()),
    ],
)
def test_filter_selects_calls(conditions, models, store, other_store, add_up):
    """A call must meet all conditions; the first digits of a launch id are enough."""
    store.call("a", chat="one")
    store.call("b", chat="two")
    other_store.call("c", chat="two")
    assert models == {model for _, model in add_up(**conditions)}


def test_groups_add_up_to_the_total(store, add_up):
    """Percentiles of the total come from all times, not from percentiles of groups."""
    for seconds in (1, 1, 1, 9):
        store.call("a", seconds=seconds)
    store.call("b", seconds=2)
    total = add_up_groups(add_up().values())
    assert (5, 14 * SECOND) == (total.calls, total.time)
    assert (1 * SECOND, 9 * SECOND, 9 * SECOND) == total.latency


def test_total_of_no_groups_is_empty():
    """It has no cost, rather than a cost of 0."""
    total = add_up_groups([])
    assert (0, None, (None, None, None)) == (total.calls, total.cost, total.latency)


def test_known_cost_stays_when_an_unknown_one_is_added():
    """The sum leaves unknown costs out."""
    known, unknown = Totals(), Totals()
    known.cost = 0.5
    known.add(unknown)
    unknown.add(known)
    assert (0.5, 0.5) == (known.cost, unknown.cost)


@pytest.mark.parametrize("by", ["model", "project", "chat", "user", "day", "host"])
def test_statement_reads_only_the_index(by, store):
    """SQLite adds up a million calls from it in less than a second; the table is ten times larger."""
    store.call()
    assert "COVERING INDEX call_by_" in explain_plan(store, by)


@pytest.mark.parametrize("by", ["model", "project", "chat", "user", "day", "error"])
def test_statement_needs_no_sorting(by, store):
    """The index has the order of these groups."""
    store.call()
    assert "TEMP B-TREE" not in explain_plan(store, by)

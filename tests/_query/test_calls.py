"""Lists of LLM calls."""

from servers.recorded import trace_id

from lupis_instrument._query.calls import CallOrder, find_calls_after, list_calls
from lupis_instrument._query.filters import make_filter


def models(page):
    """Return the models of a page."""
    return [call.model for call in page.calls]


def test_call_has_its_figures(store, ask):
    """Ids are hexadecimal, and the origin's facts are part of the call."""
    span = store.call(
        "gpt-4o",
        chat="c",
        cost=0.5,
        first_chunk=0.25,
        **{"user.id": "u", "server.address": "h", "gen_ai.usage.cache_creation.input_tokens": 7},
    )
    (call,) = ask(list_calls).calls
    assert (trace_id(span), "c", "u", "h", 0) == (
        *(call.trace, call.chat, call.user, call.host),
        call.retries,
    )
    assert ("shop", "a" * 32, "agent") == (call.project, call.run, call.service)
    assert (10, 5, 7, 0.5, 0.25) == (
        *(call.input_tokens, call.output_tokens, call.cache_write_tokens),
        *(call.cost, call.first_chunk),
    )
    assert 10**9 == call.end - call.at


def test_other_spans_are_no_calls(store, ask):
    """A call has a provider."""
    store.span("work")
    store.event("clicked")
    assert [] == ask(list_calls).calls


def test_pages_follow_each_other(store, ask):
    """Calls of the same time come by their ids, and a new call does not move the pages."""
    for number in range(5):
        store.call(str(number), ago=60 - number // 2)
    first = ask(list_calls, limit=2)
    store.call("new", ago=0)
    second = ask(list_calls, limit=2, after=first.next)
    third = ask(list_calls, limit=2, after=second.next)
    assert ["4", "3"], ["2", "1"] == (models(first), models(second))
    assert (["0"], None) == (models(third), third.next)


def test_orders(store, ask):
    """A call without a price is the cheapest."""
    store.call("slow", seconds=9, ago=50)
    store.call("dear", cost=2.0, ago=40)
    store.call("cheap", cost=1.0, ago=60)
    orders = {order: models(ask(list_calls, order=order)) for order in CallOrder}
    assert ["cheap", "slow", "dear"] == orders[CallOrder.OLDEST]
    assert "slow" == orders[CallOrder.SLOWEST][0]
    assert ["dear", "cheap", "slow"] == orders[CallOrder.DEAREST]


def test_figures_of_any_type_are_unknown(store, ask):
    """A program may set an attribute to a text."""
    store.call(**{"gen_ai.usage.reasoning.output_tokens": "many"})
    (call,) = ask(list_calls).calls
    assert call.reasoning_tokens is None


def test_damaged_rows_are_left_out(store, ask):
    """The others are listed."""
    store.call("a")
    store.call("b")
    store.sql("UPDATE item SET user = x'00' WHERE model = 'a'")
    assert ["b"] == models(ask(list_calls))


def test_calls_stored_since(store, ask):
    """They come in the order of storing, for a list that follows programs."""
    for model in "abc":
        store.call(model)
    assert ["b", "c"] == [call.model for call in ask(find_calls_after, 1)]
    assert ["c"] == [call.model for call in ask(find_calls_after, 1, make_filter(model="c"))]


def test_a_page_needs_no_sorting(store, ask):
    """A million calls lie before the last page."""
    store.call()
    statements = []

    def explain(db):
        db.set_trace_callback(statements.append)
        list_calls(db)
        db.set_trace_callback(None)
        return str(db.execute(f"EXPLAIN QUERY PLAN {statements[-2]}").fetchall())

    plan = ask(explain)
    assert "call_by_time" in plan
    assert "B-TREE" not in plan

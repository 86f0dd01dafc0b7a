"""The JSON API of `lupis ui`."""

import pytest
from servers.recorded import trace_id

from lupis_instrument._viewer import readers

MODEL, OTHER = "gpt-4o", "gpt-4o-mini"


def test_summary_adds_up_the_period(store, browser):
    """Calls of the day before yesterday are not in it."""
    store.call(MODEL, cost=0.5, cached_tokens=5)
    store.call(MODEL, error="429")
    store.call(MODEL, ago=200_000)
    summary = browser.ask("/api/summary")
    assert (2, 0.5, 20, 5, 0.25) == tuple(
        summary[name] for name in ("calls", "cost", "input_tokens", "cached_tokens", "cached_share")
    )
    assert {"total": 1, "groups": [{"error": "429", "calls": 1}]} == summary["errors"]
    assert (1000.0, 3) == (summary["p50_ms"], summary["last_change"])
    assert 3 == browser.ask("/api/summary?since=all")["calls"]


def test_unknown_figures_are_null(store, browser):
    """They are no zeros."""
    store.call(input_tokens=None, output_tokens=None)
    summary = browser.ask("/api/summary")
    names = ("cost", "input_tokens", "output_tokens", "cached_share", "first_token_p50_ms")
    assert {None} == {summary[name] for name in names}
    (call,) = browser.ask("/api/calls")["calls"]
    assert {None} == {call[name] for name in ("cost", "input_tokens", "first_token_ms")}


def test_call_has_its_facts(store, browser):
    """Columns of the store, and facts that only the span has."""
    span = store.call(
        MODEL, chat="c", cost=0.5, first_chunk=0.25,
        **{"lupis.response.tools": ("look_up",), "lupis.cost.reason": "no price for audio",
           "gen_ai.request.stream": True, "http.request.resend_count": 2},
    )  # fmt: skip
    (call,) = browser.ask("/api/calls")["calls"]
    assert (trace_id(span), "c", 0.5, 250.0, 1000.0, "a" * 8) == (
        *(call["trace_id"], call["chat"], call["cost"], call["first_token_ms"]),
        *(call["duration_ms"], call["run_short"]),
    )
    assert (["look_up"], "no price for audio", True, 2) == (
        *(call["tools"], call["cost_reason"], call["stream"], call["retry"]),
    )


def test_calls_come_in_pages(store, browser):
    """The cursor leads to the next page."""
    for number in range(3):
        store.call(str(number), ago=60 - number)
    first = browser.ask("/api/calls?limit=2")
    second = browser.ask(f"/api/calls?limit=2&cursor={first['next']}")
    models = [call["model"] for page in (first, second) for call in page["calls"]]
    assert (["2", "1", "0"], None) == (models, second["next"])


def test_filter_and_order(store, browser):
    """The filter is the one of the command line."""
    store.call(MODEL, cost=0.1)
    store.call(MODEL, cost=0.9)
    store.call(OTHER, cost=5.0)
    calls = browser.ask(f"/api/calls?q=model:{MODEL}&order=dearest")["calls"]
    assert [0.9, 0.1] == [call["cost"] for call in calls]


@pytest.mark.parametrize(
    "query",
    ["calls?q=nothing:1", "calls?order=x", "calls?limit=x", "calls?limit=-1", "calls?cursor=x",
     "calls?since=x", "calls?until=1e999", "totals?by=x", "totals?sort=x", "traces/x", "compare",
     "calls?limit=99999999999999999999", "runs?limit=0", "conversations?cursor=x", "series?points=x"],
)  # fmt: skip
def test_wrong_parameters_are_explained(browser, query):
    """The message says the parameter and the valid values."""
    answer = browser.get(f"/api/{query}")
    assert 400 == answer.status
    assert answer.json["error"]


@pytest.mark.parametrize(
    "path", [f"traces/{'0' * 32}", "runs/9", "conversations/x", "nothing", "runs/"]
)
def test_missing_things_are_not_found(browser, path):
    """The page shows its empty state."""
    assert 404 == browser.get(f"/api/{path}").status


def test_series_counts_steps(store, browser):
    """Steps without calls have a point too."""
    store.call(error="500", ago=30)
    store.call(ago=30 + 1800)
    series = browser.ask("/api/series?since=1h&points=60")
    assert (2, 1) == tuple(sum(p[name] for p in series["points"]) for name in ("calls", "errors"))
    assert 60 <= len(series["points"]) <= 62
    assert 60_000 == pytest.approx(series["step_ms"], abs=1)


def test_runs_and_a_run(store, other_store, browser):
    """A run is found by the first digits of its id."""
    store.call("first", ago=50, cached_tokens=5)
    store.call("second", ago=40)
    other_store.call()
    runs = browser.ask("/api/runs")["runs"]
    assert {"a" * 32, "b" * 32} == {run["id"] for run in runs}
    run = browser.ask("/api/runs/aaaa")
    assert ["first", "second"] == [call["model"] for call in run["calls"]]
    assert (0.25, 2) == (run["cached_share"], run["call_count"])


def test_runs_come_in_pages(store, other_store, browser):
    """The cursor is the id of a run."""
    store.call()
    other_store.call()
    first = browser.ask("/api/runs?limit=1")
    second = browser.ask(f"/api/runs?limit=1&cursor={first['next']}")
    assert [["b" * 32], ["a" * 32]] == [
        [run["id"] for run in page["runs"]] for page in (first, second)
    ]


def test_trace_is_a_tree(store, browser):
    """Each span names its parent, and calls have their figures."""
    root = store.span("agent", ago=60, seconds=5)
    store.call(parent=root, ago=59, cost=0.5)
    spans = browser.ask(f"/api/traces/{trace_id(root)}")["spans"]
    assert ["agent", False, None] == [spans[0][name] for name in ("name", "is_call", "parent_id")]
    assert (spans[0]["span_id"], 0.5) == (spans[1]["parent_id"], spans[1]["call"]["cost"])
    assert MODEL == spans[1]["attributes"]["gen_ai.request.model"]


def test_conversations_and_a_conversation(store, browser):
    """The id may have any letters."""
    chat = "trip/42 ?&ü.x"
    store.call("a", chat=chat, cost=0.5, ago=50)
    store.call("b", chat=chat, error="429", ago=40)
    (row,) = browser.ask("/api/conversations")["conversations"]
    assert (chat, 2, 1, {"a", "b"}) == (row["chat"], row["calls"], row["errors"], {*row["models"]})
    conversation = browser.ask("/api/conversations/trip%2F42%20%3F%26%C3%BC.x")
    assert ["a", "b"] == [call["model"] for call in conversation["calls"]]


def test_conversations_come_in_pages(store, browser):
    """No conversation is on two pages."""
    for chat in ("x", "y", "x", "z"):
        store.call(chat=chat, ago=50)
    first = browser.ask("/api/conversations?limit=2")
    second = browser.ask(f"/api/conversations?limit=2&cursor={first['next']}")
    chats = [row["chat"] for page in (first, second) for row in page["conversations"]]
    assert ["z", "x", "y"] == chats


def test_totals_by_several_dimensions(store, browser):
    """They come in the wanted order."""
    store.call(MODEL, cost=0.5)
    store.call(OTHER, cost=0.1)
    store.call(OTHER, cost=0.1)
    totals = browser.ask("/api/totals?by=model&by=user&sort=calls")
    assert [["openai", OTHER, None], ["openai", MODEL, None]] == [
        row["key"] for row in totals["groups"]
    ]
    assert (3, pytest.approx(0.7)) == (totals["total"]["calls"], totals["total"]["cost"])


def test_errors_and_limits(store, browser):
    """An error of HTTP has its status as a number."""
    header = "http.response.header.x-ratelimit"
    span = store.call(
        error="429", **{f"{header}-limit-requests": ("60",), f"{header}-remaining-requests": ("7",)}
    )
    answer = browser.ask("/api/errors")
    (group,) = answer["groups"]
    assert ("429", 429, 1, trace_id(span)) == tuple(
        group[name] for name in ("error", "status", "calls", "last_trace_id")
    )
    (limit,) = answer["limits"]
    assert ("requests", 60, 7) == (limit["kind"], limit["limit"], limit["remaining"])


def test_cache_saves_the_difference_of_prices(store, browser):
    """Cached input of gpt-4o costs half: 1.25 USD a million tokens less."""
    store.call(MODEL, input_tokens=2_000_000, cached_tokens=1_000_000)
    for _ in range(2):
        store.call(MODEL, cost=0.25, **{"lupis.request.fingerprint": "f"})
    answer = browser.ask("/api/cache")
    assert 1.25 == pytest.approx(answer["saved"])
    (repeated,) = answer["repeated"]
    assert ("f", 2, 0.25) == (repeated["fingerprint"], repeated["calls"], answer["could_save"])


def test_savings_of_unknown_models_are_unknown(store, browser):
    """They are not 0."""
    store.call("a-model-of-mine", cached_tokens=5)
    assert browser.ask("/api/cache")["saved"] is None


def test_two_runs_are_compared(store, other_store, browser):
    """Each figure has the value of both."""
    store.call(MODEL, cost=0.5)
    other_store.call(MODEL, cost=0.75)
    (row,) = browser.ask("/api/compare?a=a&b=b")["rows"]
    assert ([1, 1], [0.5, 0.75], [1000.0, 1000.0]) == (row["calls"], row["cost"], row["p95_ms"])


def test_events_are_listed(store, browser):
    """The newest comes first."""
    for name in ("first", "second", "third"):
        store.event(name)
    page = browser.ask("/api/events?limit=2&since=all")
    assert ["third", "second"] == [event["name"] for event in page["events"]]
    page = browser.ask(f"/api/events?limit=2&since=all&cursor={page['next']}")
    assert (["first"], None) == ([event["name"] for event in page["events"]], page["next"])


def test_delivery_counts_the_outbox(store, browser):
    """Items that no endpoint has taken, and the size of the file."""
    store.call(target=store.target)
    store.call()
    answer = browser.ask("/api/delivery")
    assert (1, 2) == (answer["outbox"]["waiting"], answer["store"]["items"])
    assert answer["outbox"]["bytes"] > 0 < answer["store"]["bytes"]


def test_delivery_counts_refused_items(store, browser):
    """By endpoint. The store does not keep the reason, which `lupis flush` prints."""
    items = store.encoder.encode_spans([store.call()])
    store.store.add_items(items, store.target, refused=True)
    (refused,) = browser.ask("/api/delivery")["refused"]
    assert (["at_ms", "endpoint", "items"], 1) == (sorted(refused), refused["items"])


def test_store_that_does_not_exist_yet_is_empty(tmp_path, monkeypatch):
    """It is found as soon as a program makes it."""
    monkeypatch.setattr(readers, "_SLOW_SECONDS", 60)  # an answer is new on a busy machine too
    from servers.recorded import StoreFiller
    from servers.viewer import serve

    with serve(tmp_path / "store.db") as browser:
        browser.open()
        assert 0 == browser.ask("/api/summary")["calls"]
        StoreFiller(tmp_path).call()
        assert 1 == browser.ask("/api/summary")["calls"]


def test_new_calls_are_in_the_next_answer(store, browser):
    """An answer is kept only until the store changes."""
    for number in range(3):
        while number != browser.ask("/api/summary")["calls"]:
            pass  # on a busy machine, an answer may be slow, and is then kept for a moment
        store.call()
        assert number + 1 == len(browser.ask("/api/calls")["calls"])


def test_demo_fills_every_page(tmp_path):
    """Its data shows calls, errors, conversations, tools, limits and events."""
    from servers.viewer import serve

    from lupis_instrument._viewer.demo import make_demo_store

    with make_demo_store() as path, serve(path) as browser:
        browser.open()
        summary = browser.ask("/api/summary")
        assert summary["errors"]["total"] > 0 < summary["cost"]
        assert browser.ask("/api/conversations")["conversations"]
        assert browser.ask("/api/errors")["limits"]
        assert browser.ask("/api/events")["events"]
        assert any(call["tools"] for call in browser.ask("/api/calls")["calls"])
        assert 3 == len(browser.ask("/api/runs")["runs"])
    assert not path.exists()


def test_turns_of_a_run_and_a_trace(store, browser):
    """The calls of an agent up to its answer, with the tools that the model called."""
    tools = {"lupis.response.tools": ("search",), "gen_ai.response.finish_reasons": ("tool_calls",)}
    root = store.span("agent")
    store.call(chat="c", parent=root, ago=20, **tools)
    store.call(chat="c", parent=root, ago=10)
    steps = [["search"], []]
    run = browser.ask("/api/runs")["runs"][0]["id"]
    for path in (f"/api/runs/{run}", f"/api/traces/{trace_id(root)}"):
        (turn,) = browser.ask(path)["turns"]
        assert ("c", steps) == (turn["chat"], [step["tools"] for step in turn["steps"]])


def test_delivery_says_the_limit_of_the_store(browser):
    """It is LUPIS_STORE_MAX_MB."""
    assert browser.ask("/api/delivery")["store"]["limit_bytes"] > 1 << 20

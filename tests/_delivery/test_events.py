"""Events: what is made of a program's properties, and how batches leave."""

import json
import math
import time
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lupis_instrument import LupisConfig
from lupis_instrument._context import EMPTY, Conversation
from lupis_instrument._delivery.events import (
    MOST_DEPTH,
    MOST_ITEMS,
    MOST_SIZE,
    MOST_TEXT,
    EventSender,
    make,
)

HEADERS = {"x-project-id": "shop", "x-api-key": "k"}


class Hostile:
    """Fails whatever it is asked."""

    def __repr__(self):
        raise RuntimeError("no")

    __str__ = __hash__ = __repr__


class HostileKey(Hostile):
    __hash__ = object.__hash__


class HostileDict(dict):
    def items(self):
        raise RuntimeError("no")


class HostileText(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError("no")


def plain(value):
    """What becomes of a property's value."""
    return make("e", {"it": value}, EMPTY)["properties"]["it"]


def test_an_event_has_its_four_parts():
    """Name, milliseconds since the epoch, properties, metadata."""
    before = time.time() * 1000
    event = make("bought", {"items": 2}, Conversation("c", "ada", extra={"plan": "pro"}))
    assert before - 1 <= event.pop("timestamp") <= time.time() * 1000
    assert {
        "name": "bought",
        "properties": {"items": 2},
        "metadata": {"user_id": "ada", "chat_id": "c", "plan": "pro"},
    } == event


@pytest.mark.parametrize(
    "value", [None, True, 0, -1, 2**70, 1.5, "é", [1, [2]], {"a": {"b": None}}]
)
def test_what_json_can_hold_stays(value):
    """Unchanged."""
    assert value == plain(value)


def test_tuples_and_sets_become_lists():
    """As JSON has no others."""
    assert [[1, 2], [3], [4]] == [plain((1, 2)), plain({3}), plain(frozenset({4}))]


@pytest.mark.parametrize(
    ("value", "marker"),
    [
        (math.nan, "[nan]"),
        (math.inf, "[inf]"),
        (-math.inf, "[-inf]"),
        (b"bytes", "[bytes]"),
        pytest.param(10**5000, "[int of 16610 bits]", id="huge"),
        (datetime(2026, 1, 1, tzinfo=timezone.utc), "[datetime]"),
        (object(), "[object]"),
        pytest.param(Hostile(), "[Hostile]", id="hostile"),
        (HostileDict(a=1), "[HostileDict]"),
        pytest.param(HostileText("x"), "[HostileText]", id="hostile text"),
    ],
)
def test_what_json_cannot_hold_becomes_a_marker(value, marker):
    """Which names its kind; nothing of the value's own is called in vain."""
    assert marker == plain(value)


def test_a_cyclic_value_is_cut_where_it_comes_back():
    """At the second meeting."""
    cycle = {"a": [1]}
    cycle["a"].append(cycle)
    assert {"a": [1, "[cyclic]"]} == plain(cycle)


def test_the_same_value_twice_is_no_cycle():
    """Only what contains itself is."""
    shared = [1]
    assert [[1], [1]] == plain([shared, shared])


def test_a_deep_value_is_cut():
    """Where it goes deeper than anyone reads."""
    deep = "end"
    for _ in range(MOST_DEPTH + 5):
        deep = [deep]
    text = json.dumps(plain(deep))
    assert "[too deep]" in text
    assert "end" not in text


def test_a_long_text_is_cut():
    """And says how long it was."""
    assert "x" * MOST_TEXT + "[cut: 10000]" == plain("x" * 10_000)


def test_long_lists_and_dicts_are_cut():
    """And say how long they were."""
    assert f"[cut: {MOST_ITEMS + 1}]" == plain(list(range(MOST_ITEMS + 1)))[-1]
    assert MOST_ITEMS + 5 == plain({n: n for n in range(MOST_ITEMS + 5)})["[cut]"]


def test_a_huge_event_is_bounded():
    """Also when each of its parts is in bounds."""
    part = ["y" * MOST_TEXT] * MOST_ITEMS
    began = time.perf_counter()
    event = make("e", {"a": [part] * 100, "b": {str(n): part for n in range(100)}}, EMPTY)
    assert MOST_SIZE * 1.5 > len(json.dumps(event))
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_a_text_that_utf8_cannot_hold_is_made_to_fit(text):
    """Half of a surrogate pair would fail the whole batch."""
    assert "?" in plain(text)
    plain(text).encode()


def test_keys_of_any_kind_become_text():
    """Also those that refuse to."""
    assert {"1": "a", "None": "b", "[HostileKey]": "c"} == make(
        "e", {1: "a", None: "b", HostileKey(): "c"}, EMPTY
    )["properties"]


def test_properties_that_are_no_mapping_are_kept_as_a_value():
    """The event still goes out."""
    assert {"value": ["a", "b"]} == make("e", ["a", "b"], EMPTY)["properties"]


def test_later_changes_are_not_seen():
    """The event is a copy."""
    properties = {"list": [1]}
    event = make("e", properties, EMPTY)
    properties["list"].append(2)
    assert {"list": [1]} == event["properties"]


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(), ANYTHING))
def test_every_event_is_json(properties):
    """Whatever the properties are."""
    event = make("e", properties, EMPTY)
    assert event == json.loads(json.dumps(event, allow_nan=False))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(st.characters()), ANYTHING))
def test_every_event_is_a_log_record(properties):
    """Whatever the properties are."""
    from servers.otlp import read_logs

    from lupis_instrument._delivery.logs import encode

    event = make("e", properties, EMPTY)
    assert ["e"] == [log["attributes"]["event.name"] for log in read_logs(encode([event], {}))]


def sender(**settings):
    """A sender for these settings."""
    return EventSender(LupisConfig(project_id="shop", **settings), HEADERS, {"service.name": "s"})


def test_the_collector_gets_a_json_array(sink):
    """With the headers that say whose it is."""
    events = [make("one", {"a": 1}, EMPTY), make("two", None, Conversation("c"))]
    sending = sender(otlp_endpoint=sink.traces_url)
    sending.send(events)
    (request,) = sink.requests
    assert events == sink.events
    assert ("/api/events", 2) == (request.path, sending.sent)
    assert {**HEADERS, "content-type": "application/json"}.items() <= request.headers.items()


def test_a_standard_endpoint_gets_log_records(sink):
    """Named, timed, with properties and metadata as attributes."""
    event = make("one", {"a": 1, "deep": {"b": [True, None]}}, Conversation("c", "ada"))
    sender(otlp_endpoint=sink.otlp_url).send([event])
    (log,) = sink.logs
    assert "/v1/logs" == sink.requests[0].path
    assert log["name"] in {"one", ""}  # the field came with protocol 1.5
    assert event["timestamp"] * 1_000_000 == log["time"]
    assert {
        "event.name": "one",
        "a": 1,
        "deep": {"b": [True, None]},
        "lupis.metadata.user_id": "ada",
        "lupis.metadata.chat_id": "c",
        "lupis.chat.id": "c",
    } == log["attributes"]
    assert {"service.name": "s"} == log["resource"]


def test_an_endpoint_of_their_own_wins(sink):
    """LUPIS_EVENTS_ENDPOINT, wherever the spans go."""
    sender(otlp_endpoint="http://spans.example/x", events_endpoint=sink.events_url).send(
        [make("one", None, EMPTY)]
    )
    assert ["one"] == [event["name"] for event in sink.events]


def test_without_an_endpoint_one_line_says_so(capsys):
    """Where none follows from that of the spans."""
    sending = sender(otlp_endpoint="http://spans.example/no-rule")
    sending.send([make("one", None, EMPTY)])
    assert 1 == sending.lost
    assert "set LUPIS_EVENTS_ENDPOINT" in capsys.readouterr().err


@pytest.mark.parametrize("status", [400, 401, 500, 503])
def test_refused_events_are_counted_and_said(status, sink, capsys):
    """With the status."""
    sink.fail(status)
    sending = sender(otlp_endpoint=sink.traces_url)
    sending.send([make("one", None, EMPTY)] * 3)
    assert (0, 3) == (sending.sent, sending.lost)
    assert f"cannot deliver events to {sink.events_url}: status {status}" in capsys.readouterr().err


def test_a_collector_that_hangs_up_loses_only_its_batch(sink, capsys):
    """The next one is tried again."""
    sending = sender(otlp_endpoint=sink.traces_url)
    sink.drop(times=1)
    sending.send([make("lost", None, EMPTY)])
    sending.send([make("sent", None, EMPTY)])
    assert ["sent"] == [event["name"] for event in sink.events]
    assert (1, 1) == (sending.sent, sending.lost)
    assert "cannot deliver events" in capsys.readouterr().err


def test_a_header_that_http_cannot_carry_is_said(sink, capsys):
    """Whatever goes wrong, it is said and counted."""
    config = LupisConfig(project_id="shop", otlp_endpoint=sink.traces_url)
    sending = EventSender(config, {"x-api-key": "a\nb"}, {})
    sending.send([make("one", None, EMPTY)])
    assert 1 == sending.lost
    assert "cannot deliver events" in capsys.readouterr().err


def test_the_console_shows_events(capsys):
    """On stderr, for stdout is the program's."""
    sender(exporter="console").send([make("bought", {"n": "é"}, EMPTY)])
    assert ("", '  event  bought  {"n": "é"}\n') == capsys.readouterr()


def test_nowhere_is_nowhere(sink, capsys):
    """Exporter none sends nothing and says nothing."""
    sender(exporter="none", otlp_endpoint=sink.traces_url).send([make("one", None, EMPTY)])
    assert ([], ("", "")) == (sink.requests, capsys.readouterr())

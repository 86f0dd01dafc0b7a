"""Events: what is made of a program's properties."""

import json
import math
import time
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lupis_instrument._export.otlp.encoding import Origin, encode_log_record, encode_request
from lupis_instrument._tracing.context import EMPTY, Conversation
from lupis_instrument._tracing.events import (
    MAX_DEPTH,
    MAX_EVENT_SIZE,
    MAX_ITEMS,
    MAX_TEXT_LENGTH,
    MetadataCache,
    make_event,
)


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
    return make_event("e", {"it": value}, EMPTY)["properties"]["it"]


def test_an_event_has_its_four_parts():
    """Name, milliseconds since the epoch, properties, metadata."""
    before = time.time() * 1000
    event = make_event("bought", {"items": 2}, Conversation("c", "ada", extra={"plan": "pro"}))
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
    for _ in range(MAX_DEPTH + 5):
        deep = [deep]
    text = json.dumps(plain(deep))
    assert "[too deep]" in text
    assert "end" not in text


def test_a_long_text_is_cut():
    """And says how long it was."""
    assert "x" * MAX_TEXT_LENGTH + "[cut: 10000]" == plain("x" * 10_000)


def test_no_secret_is_cut_in_two():
    """No rule would know a key by its beginning."""
    key = "AIzaSy7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eU"
    lead = "x" * (MAX_TEXT_LENGTH - len(key)) + " "
    assert f"{lead}[cut: {MAX_TEXT_LENGTH + 1}]" == plain(lead + key)


def test_long_lists_and_dicts_are_cut():
    """And say how long they were."""
    assert f"[cut: {MAX_ITEMS + 1}]" == plain(list(range(MAX_ITEMS + 1)))[-1]
    assert MAX_ITEMS + 5 == plain({n: n for n in range(MAX_ITEMS + 5)})["[cut]"]


def test_a_huge_event_is_bounded():
    """Also when each of its parts is in bounds."""
    part = ["y" * MAX_TEXT_LENGTH] * MAX_ITEMS
    event = make_event("e", {"a": [part] * 100, "b": {str(n): part for n in range(100)}}, EMPTY)
    assert MAX_EVENT_SIZE >= len(json.dumps(event)) > MAX_EVENT_SIZE // 2


BIG = {
    "plain": "y" * MAX_TEXT_LENGTH,
    "quotes": '"\\' * MAX_TEXT_LENGTH,
    "control": "\x00" * MAX_TEXT_LENGTH,
    "wide": "\U0001f600" * MAX_TEXT_LENGTH,
    "long int": 10**300,
    "float": 1.2345678901234567e-300,
    "deep": [[[[[["x"] * 900] * 9] * 9] * 9] * 9],
    "markers": object(),
    "keys": {'"' * 90 + str(number): None for number in range(MAX_ITEMS)},
}


@pytest.mark.parametrize("value", BIG.values(), ids=BIG)
def test_an_event_is_64_kb_of_json_at_most(value):
    """Whatever fills it; whose it is stays whole."""
    whose = Conversation("trip", "ada", extra={"plan": "pro"})
    event = make_event("e", {f"key {number}": value for number in range(MAX_ITEMS)}, whose)
    assert len(json.dumps(event)) <= MAX_EVENT_SIZE == 64 * 1024
    assert {"chat_id": "trip", "user_id": "ada", "plan": "pro"} == event["metadata"]


def test_the_metadata_of_one_conversation_is_copied_once():
    """And is that of the conversation in force all the same."""
    memory, one, other = MetadataCache(), Conversation("one"), Conversation("other")
    made = [make_event("e", None, each, memory)["metadata"] for each in (one, one, other, one)]
    assert [{"chat_id": each} for each in ("one", "one", "other", "one")] == made
    assert made[0] is made[1]


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_a_text_that_utf8_cannot_hold_is_made_to_fit(text):
    """Half of a surrogate pair would fail the whole batch."""
    assert "?" in plain(text)
    plain(text).encode()


def test_keys_of_any_kind_become_text():
    """Also those that refuse to."""
    assert {"1": "a", "None": "b", "[HostileKey]": "c"} == make_event(
        "e", {1: "a", None: "b", HostileKey(): "c"}, EMPTY
    )["properties"]


def test_properties_that_are_no_mapping_are_kept_as_a_value():
    """The event still goes out."""
    assert {"value": ["a", "b"]} == make_event("e", ["a", "b"], EMPTY)["properties"]


def test_later_changes_are_not_seen():
    """The event is a copy."""
    properties = {"list": [1]}
    event = make_event("e", properties, EMPTY)
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
    event = make_event("e", properties, EMPTY)
    assert event == json.loads(json.dumps(event, allow_nan=False))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(st.characters()), ANYTHING))
def test_every_event_is_a_log_record(properties):
    """Whatever the properties are."""
    from servers.otlp import read_logs

    event = make_event("e", properties, EMPTY)
    body = encode_request([(Origin(b"", b""), encode_log_record(event))])
    (log,) = read_logs(body)
    assert "e" == log["attributes"]["event.name"]

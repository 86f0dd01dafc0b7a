"""Events: the properties of the program as values that JSON can hold."""

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


class FailingObject:
    """Fails in every conversion."""

    def __repr__(self):
        raise RuntimeError("no")

    __str__ = __hash__ = __repr__


class FailingKey(FailingObject):
    __hash__ = object.__hash__


class FailingDict(dict):
    def items(self):
        raise RuntimeError("no")


class FailingText(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError("no")


def copy_property(value):
    """Returns the copy of a property's value."""
    return make_event("e", {"property": value}, EMPTY)["properties"]["property"]


def test_an_event_has_its_four_parts():
    """Name, time in milliseconds since the epoch, properties and metadata."""
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
def test_a_value_that_json_can_hold_is_copied(value):
    """The copy equals the value."""
    assert value == copy_property(value)


def test_tuples_and_sets_become_lists():
    """JSON has no other sequences."""
    assert [[1, 2], [3], [4]] == [
        copy_property((1, 2)),
        copy_property({3}),
        copy_property(frozenset({4})),
    ]


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
        pytest.param(FailingObject(), "[FailingObject]", id="failing"),
        (FailingDict(a=1), "[FailingDict]"),
        pytest.param(FailingText("x"), "[FailingText]", id="failing text"),
    ],
)
def test_a_value_that_json_cannot_hold_becomes_a_marker(value, marker):
    """The marker names its type; a method of the value that fails does no harm."""
    assert marker == copy_property(value)


def test_a_cyclic_value_is_cut():
    """A marker replaces its second occurrence."""
    cycle = {"a": [1]}
    cycle["a"].append(cycle)
    assert {"a": [1, "[cyclic]"]} == copy_property(cycle)


def test_the_same_value_twice_is_no_cycle():
    """Only a value that contains itself is cut."""
    shared = [1]
    assert [[1], [1]] == copy_property([shared, shared])


def test_a_deep_value_is_cut():
    """Deeper levels become a marker."""
    deep = "end"
    for _ in range(MAX_DEPTH + 5):
        deep = [deep]
    text = json.dumps(copy_property(deep))
    assert "[too deep]" in text
    assert "end" not in text


def test_a_long_text_is_cut():
    """Its length follows the cut."""
    assert "x" * MAX_TEXT_LENGTH + "[cut: 10000]" == copy_property("x" * 10_000)


def test_a_text_is_not_cut_within_a_word():
    """No redaction rule recognizes the beginning of a key."""
    key = "AIzaSy7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eU"
    lead = "x" * (MAX_TEXT_LENGTH - len(key)) + " "
    assert f"{lead}[cut: {MAX_TEXT_LENGTH + 1}]" == copy_property(lead + key)


def test_long_lists_and_dicts_are_cut():
    """Their length follows the last item that is kept."""
    assert f"[cut: {MAX_ITEMS + 1}]" == copy_property(list(range(MAX_ITEMS + 1)))[-1]
    assert MAX_ITEMS + 5 == copy_property({n: n for n in range(MAX_ITEMS + 5)})["[cut]"]


def test_a_huge_event_is_bounded():
    """Also if each of its values is within its own bound."""
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
    """The metadata is kept whole, and properties are left out."""
    conversation = Conversation("trip", "ada", extra={"plan": "pro"})
    event = make_event("e", {f"key {number}": value for number in range(MAX_ITEMS)}, conversation)
    assert len(json.dumps(event)) <= MAX_EVENT_SIZE == 64 * 1024
    assert {"chat_id": "trip", "user_id": "ada", "plan": "pro"} == event["metadata"]


def test_the_metadata_of_one_conversation_is_copied_once():
    """Another conversation replaces it in the cache."""
    cache, first, other = MetadataCache(), Conversation("first"), Conversation("other")
    conversations = (first, first, other, first)
    copies = [
        make_event("e", None, conversation, cache)["metadata"] for conversation in conversations
    ]
    assert ["first", "first", "other", "first"] == [copy["chat_id"] for copy in copies]
    assert copies[0] is copies[1]


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_a_text_that_utf8_cannot_encode_is_changed(text):
    """Half of a surrogate pair would make the whole batch fail."""
    assert "?" in copy_property(text)
    copy_property(text).encode()


def test_keys_of_any_kind_become_text():
    """A key that cannot be converted becomes a marker."""
    assert {"1": "a", "None": "b", "[FailingKey]": "c"} == make_event(
        "e", {1: "a", None: "b", FailingKey(): "c"}, EMPTY
    )["properties"]


def test_properties_that_are_no_mapping_are_kept_as_a_value():
    """The event is still sent."""
    assert {"value": ["a", "b"]} == make_event("e", ["a", "b"], EMPTY)["properties"]


def test_later_changes_do_not_reach_the_event():
    """Its values are copies."""
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
    """For any properties, also without NaN and infinity."""
    event = make_event("e", properties, EMPTY)
    assert event == json.loads(json.dumps(event, allow_nan=False))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(st.characters()), ANYTHING))
def test_every_event_is_a_log_record(properties):
    """For any properties, including text that UTF-8 cannot encode."""
    from servers.otlp import read_logs

    event = make_event("e", properties, EMPTY)
    body = encode_request([(Origin(b"", b""), encode_log_record(event))])
    (log,) = read_logs(body)
    assert "e" == log["attributes"]["event.name"]

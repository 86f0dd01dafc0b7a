"""A value is redacted by the name that a structure gives to it."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction import Redactor
from lupis_instrument._redaction.named_values import find_named_field, list_pair_names

REDACTOR = Redactor("remove")
HIDDEN = "[REDACTED]"


@pytest.mark.parametrize(
    ("data", "redacted"),
    [
        ({"name": "api-key", "value": "pa55"}, {"name": "api-key", "value": HIDDEN}),
        ({"value": "pa55", "name": "api-key"}, {"value": HIDDEN, "name": "api-key"}),
        ({"Name": "Password", "Value": "pa55"}, {"Name": "Password", "Value": HIDDEN}),
        (
            {"key": "api_key", "value": {"stringValue": "pa55"}},
            {"key": "api_key", "value": {"stringValue": HIDDEN}},
        ),
        (
            {"headers": [{"name": "Cookie", "value": "a=b", "comment": "c"}]},
            {"headers": [{"name": "Cookie", "value": HIDDEN, "comment": "c"}]},
        ),
        ([["Authorization", "pa55"]], [["Authorization", HIDDEN]]),
        ([("token", "pa55"), ("n", 1)], [("token", HIDDEN), ("n", 1)]),
        ([["x-api-key", ["pa55", "b"]]], [["x-api-key", [HIDDEN, HIDDEN]]]),
        ([(b"authorization", b"pa55"), (b"a", b"b")], [(b"authorization", HIDDEN), (b"a", b"b")]),
        ((["password", {"a": "b"}],), (["password", {"a": HIDDEN}],)),
    ],
)
def test_named_value_is_redacted(data, redacted):
    """The name of a pair, or in a field beside the value, hides the value as a key does."""
    assert redacted == REDACTOR.redact_data(data)


@pytest.mark.parametrize(
    "data",
    [
        {"name": "content-type", "value": "json"},
        {"name": "password", "type": "string"},
        {"name": "max_tokens", "value": 5},
        [["accept", "*/*"], ["n", 1]],
        ["authorization", "content-type"],
        [["token", "a", "b"]],
        [["token", "a"], "b"],
        [],
        {},
        [[1, 2], [3, 4]],
    ],
)
def test_other_data_stays(data):
    """Names that hide nothing, and lists that hold no pairs, stay."""
    assert data == REDACTOR.redact_data(data)


def test_name_of_a_pair_is_redacted_by_its_content():
    """A key that stands where the name of a pair is expected is redacted."""
    key = "sk-" + "1234567890abcdef" * 3
    assert [[HIDDEN, "a"]] == REDACTOR.redact_data([[key, "a"]])


def test_names_of_pairs():
    """All items of a list of pairs have a name."""
    assert ["a", "b"] == list_pair_names([("a", 1), [b"b", 2]])
    assert list_pair_names([("a", 1), ["b"]]) is None
    assert list_pair_names([("", 1)]) is None


def test_first_field_with_a_name_counts():
    """The field with the name is the first of the usual ones."""
    assert find_named_field({"key": "a", "name": "b", "val": 1}) == ("b", "val")
    assert find_named_field({"name": 5, "value": 1}) is None

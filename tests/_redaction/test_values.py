"""Names in a text are found by their anchors, and the values behind them."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction.names import NameList
from lupis_instrument._redaction.values import build_name_finders

FINDERS = build_name_finders(NameList())


def find_values(text):
    """Return the values in a text that a name hides, each once."""
    lowered = text.lower()
    hits = {hit for finder in FINDERS for hit in finder.find_hits(text, lowered)}
    return [text[hit.start : hit.end] for hit in sorted(hits)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("password=hunter22&x=1", "hunter22"),
        ("dbPassword: hunter22, x", "hunter22"),
        ("password = 'hunter 22'", "hunter 22"),
        ('{"api_key": "hunter22"}', "hunter22"),
        ("API key: hunter22", "hunter22"),
        ("Cookie: a=1; b=2\nHost: h", "a=1; b=2"),
        ("Authorization: Bearer abc def\n", "Bearer abc def"),
        ('password: str = "hunter22"', "hunter22"),
        ("ssn: 123 45 6789 and", "123 45 6789"),
        ("password={'a': 1}", "{'a': 1}"),
        ("myapikey1 'hunter22'", "hunter22"),
        ("pass=hunter22", "hunter22"),
        ("Secret: []byte{1, 22, 255},", "{1, 22, 255}"),
        ("apiKey = new byte[] {0x1, 0x22}", "{0x1, 0x22}"),
        ('password = config.get("x", "hunter22")', "hunter22"),
    ],
)
def test_value_of_a_name(text, value):
    """The whole value is found, without its quotation marks."""
    assert find_values(text) == [value]


@pytest.mark.parametrize(
    "text",
    [
        "password policy",
        "password_length=12",
        "input_tokens: 12",
        "pass=word",
        "password=${PASSWORD}",
        "token=5",
        '{"token": null}',
        "password = getpass.getpass()",
        "the token expired",
    ],
)
def test_text_without_a_secret_value(text):
    """A description, a count, a placeholder and code are no secret values."""
    assert find_values(text) == []


def test_each_name_hides_its_own_value():
    """Two names in one text have two values."""
    assert find_values("password=hunter22 api_key=abc123") == ["hunter22", "abc123"]


def test_value_is_not_searched_for_further_names():
    """A name inside a found value begins no value of its own."""
    assert find_values("password='password=hunter22'") == ["password=hunter22"]


@pytest.mark.parametrize("size", [100, 511, 512, 513, 5000])
def test_long_value_is_found_whole(size):
    """The first characters decide, and the value is read to its end."""
    assert find_values(f"password={'x1' * size} end") == ["x1" * size]


def test_marks_are_no_values():
    """A value that a Redactor replaced is not found again."""
    assert find_values("password=*** token=[REDACTED] secret: '[HASHED]'") == []


def test_quoted_name_keeps_the_quotation_marks():
    """The mark of a JSON value stands inside its quotation marks."""
    hits = [
        hit.quotes
        for text in ('{"password": "x1"}', "password: 'x1'")
        for finder in FINDERS
        for hit in finder.find_hits(text, text)
    ]
    assert hits == [0, 1]


def test_extra_name_gets_a_finder():
    """A custom name is found like a built-in one."""
    finders = build_name_finders(NameList(["badge_id"]))
    text = "badgeId: E-1"
    hits = [hit for finder in finders for hit in finder.find_hits(text, text.lower())]
    assert [text[hit.start : hit.end] for hit in hits] == ["E-1"]


def test_anchor_that_begins_with_another_has_no_finder():
    """The finder of "secret" also finds "secrets"."""
    anchors = [finder.literal for finder in FINDERS]
    assert "secret" in anchors
    assert "secrets" not in anchors

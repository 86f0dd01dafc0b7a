"""A value ends at its quotation mark, its bracket, a delimiter or the end of its line."""

from __future__ import annotations

import re

import pytest

from lupis_instrument._redaction.names import Extent, NameRule
from lupis_instrument._redaction.value_ends import find_value_end

NAME = re.compile(r"(?P<name>\w+)(?P<sign>[:=] ?)")


def read_value(text, extent=Extent.RUN, limit=None):
    """Return the value in a text, and the length of its quotation mark."""
    match = NAME.search(text)
    value = find_value_end(
        text,
        match.start(),
        match.end(),
        match,
        NameRule("name", extent=extent),
        len(text) if limit is None else limit,
    )
    return value and (text[value.start : value.end], value.quotes)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n='a b' c", ("a b", 1)),
        ('n="a\\"b" c', ('a\\"b', 1)),
        ('n=\\"a\\" c', ("a", 2)),
        ('n=\\"a\\\\\\"b\\" c', ('a\\\\\\"b', 2)),
        ("n=b'a' c", ("a", 1)),
        ("n='a b\nc", ("a b", 0)),
    ],
)
def test_quoted_value(text, value):
    """The closing quotation mark has as many backslashes as the opening one."""
    assert read_value(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n=[a, [b]] c", "[a, [b]]"),
        ("n={'a': {'b': 1}} c", "{'a': {'b': 1}}"),
        ("n=[a, b\nc]", "[a, b\nc]"),
        ("n=[a, b\nc", "[a, b"),
    ],
)
def test_nested_value(text, value):
    """A list or object ends with its bracket, or with the line if that is missing."""
    assert read_value(text) == (value, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [("n=a&b", "a"), ("n=a b", "a"), ("n=a, b", "a"), ("n=a)b) c", "a)b"), ("n=it's x", "it's")],
)
def test_unquoted_value(text, value):
    """A blank or delimiter ends the value; a bracket or quote inside it does not."""
    assert read_value(text) == (value, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [("n: a b; c\nd", "a b; c"), ("n: a b  \r\nd", "a b"), ("'n: a b' c", "a b")],
)
def test_value_to_the_end_of_the_line(text, value):
    """A header field ends with its line, or with the quotation mark around the field."""
    assert read_value(text, Extent.LINE) == (value, 0)


def test_value_of_a_header_in_a_query():
    """Behind an equals sign, a scheme and its credentials are the value."""
    assert read_value("n=Bearer abc&x=1", Extent.LINE) == ("Bearer abc", 0)


@pytest.mark.parametrize(("text", "value"), [("n: 12 34-56 x", "12 34-56"), ("n: abc d", "abc")])
def test_groups_of_digits(text, value):
    """Blanks and hyphens between digits belong to the number; other values end at a blank."""
    assert read_value(text, Extent.DIGITS) == (value, 0)


def test_limit_cuts_the_value():
    """A value is read up to the limit only."""
    assert read_value("n=abcdefgh", limit=5) == ("abc", 0)


def test_missing_value():
    """A delimiter directly behind the sign leaves no value."""
    assert read_value("n=&x=1") is None

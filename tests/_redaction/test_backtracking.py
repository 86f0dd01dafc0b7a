"""The matching time of a regular expression is judged by its structure."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction.backtracking import (
    UnsafePatternError,
    find_literal,
    matches_empty,
    read_parts,
)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a+)+$", "a repeat within a repeat"),
        ("(a|aa)+b", "a repeat within a repeat"),
        ("((ab)*)*c", "can be empty"),
        (r"\d+\d+x", "two unbounded repeats"),
        (".*.*=x", "two unbounded repeats"),
        ("(?=.*x)y", "look-around"),
        (r"(\w+)\s\1", "back-references"),
        (r"(a)?(?(1)b|c)", "back-references"),
    ],
)
def test_refused_pattern_tells_the_reason(pattern, reason):
    """The error says which structure could make the pattern slow."""
    with pytest.raises(UnsafePatternError, match=reason):
        read_parts(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "a+b+",
        "(a+b)+c",
        r"\d+,\d+;",
        "(ab|cd)+x",
        "(?:a{1,3}){2}x",
        r"\w+@\w+!",
        r"\d+\d+",
        "(?!a{1,9})b",
        "é+[^é]x",
    ],
)
def test_repeats_with_a_border_are_allowed(pattern):
    """Repeats that share no characters, or after which nothing can fail, are bounded."""
    assert read_parts(pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("x*", True), ("a|", True), (r"\b", True), ("(?:a?){3}", True), ("a+", False), ("a|b", False)],
)
def test_pattern_that_matches_the_empty_string(pattern, expected):
    """A pattern without a part that takes a character matches an empty string."""
    assert matches_empty(pattern) is expected


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (r"internal-[a-z]{8}", "!internal-"),
        (r"\d+EMP\d", "!emp"),
        ("ab|abc", ""),
        ("ab", ""),
        ("ab.abcd.abc", "!abcd"),
        ("é{2}ab", ""),
        (r"[a-z]\d", ""),
    ],
)
def test_longest_literal_of_a_pattern(pattern, literal):
    """The longest run of plain characters counts, from three characters on."""
    assert find_literal(pattern) == literal

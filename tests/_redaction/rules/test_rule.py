"""The parts from which rules are built: prefixes, literals, and rows for keys."""

from __future__ import annotations

import re

import pytest

from lupis_instrument._redaction.rules.rule import (
    NOT_IN_NAME,
    PIECE,
    URLSAFE,
    key_rule,
    match_prefix,
)


@pytest.mark.parametrize(
    ("text", "matches"),
    [("ab_", True), (" ab_", True), ("/ab_", True), ("xab_", False), ("7ab_", False)],
)
def test_prefix_inside_a_word_does_not_match(text, matches):
    """A key does not begin in the middle of a word or number."""
    assert bool(re.search(match_prefix("ab_"), text)) is matches


@pytest.mark.parametrize("before", ["my_", "my-"])
def test_prefix_that_is_a_word_does_not_match_in_a_name(before):
    """A prefix such as ``secret_`` is often the end of a longer name."""
    assert re.search(match_prefix("secret_", NOT_IN_NAME), f"{before}secret_x") is None


@pytest.mark.parametrize("prefix", ["SG.", "a$b$", "x|"])
def test_signs_of_a_prefix_are_plain_characters(prefix):
    """The characters of a prefix have no meaning in the regex."""
    assert re.search(match_prefix(prefix), f"({prefix})").group() == prefix


@pytest.mark.parametrize(
    ("prefix", "body", "literal"),
    [
        ("ghp_", PIECE, "ghp_"),
        ("xkeysib-", PIECE, "xkeysib-"),
        ("AKIA", r"[A-Z0-9]{16}", "20 akia"),
        ("AKIA", r"[A-Z0-9]+", "4 akia"),
        ("sha256~", PIECE, "!sha256~"),
    ],
)
def test_literal_of_a_prefix(prefix, body, literal):
    """Separators, length and signs of a key decide where the prefilter looks for its prefix."""
    assert key_rule("id", "Keys", prefix, body).literals == (literal,)


def test_each_prefix_has_a_regex_and_examples():
    """A rule with two prefixes has two literals, regexes and examples, and two near-misses each."""
    rule = key_rule("id", "Keys", "ab_ cd_")
    assert rule.literals == ("ab_", "cd_")
    assert len(rule.regexes) == len(rule.examples) == 2
    assert len(rule.near_misses) == 4


def test_body_with_hyphens_is_checked_for_words():
    """A base64url body could be a chain of words, a body in one piece could not."""
    assert key_rule("id", "Keys", "ab_", URLSAFE).check is not None
    assert key_rule("id", "Keys", "ab_", PIECE).check is None

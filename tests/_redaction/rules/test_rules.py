"""The table of all value rules: its rows are complete, and their literals choose them."""

from __future__ import annotations

import pytest
from servers.rows import check_rows

from lupis_instrument._redaction import RULES, Redactor

REDACTOR = Redactor()
# Examples of rules to which the text around a secret does not matter.
STANDALONE = [
    (rule, text)
    for rule in RULES
    if not (rule.fully_hidden or rule.lowercase or "(?P<secret>" in rule.regexes[0])
    for text in rule.examples
]


def test_ids_are_unique():
    """No two rules have the same id."""
    ids = [rule.id for rule in RULES]
    assert sorted(set(ids)) == sorted(ids)


def test_descriptions_are_unique():
    """No two rules are described by the same words."""
    descriptions = [rule.description for rule in RULES]
    assert sorted(set(descriptions)) == sorted(descriptions)


def test_rows_are_complete():
    """A rule has literals, one regex for all or for each of them, a description and examples."""

    def check(rule):
        assert rule.literals
        assert len(rule.regexes) in {1, len(rule.literals)}
        assert rule.description.endswith(".") or "http" in rule.description
        assert rule.examples
        assert rule.near_misses

    check_rows(check, RULES)


def test_literals_choose_the_rule(examples, find_secrets):
    """The prefilter chooses a rule for its own examples, so that they are redacted."""

    def check(rule, example):
        hidden = [(redaction.start, redaction.end) for redaction in REDACTOR.explain_text(example)]
        for secret in find_secrets(rule, example):
            start = example.index(secret)
            end = start + len(secret)
            assert any(first <= start and end <= last for first, last in hidden)

    check_rows(check, examples)


@pytest.mark.parametrize(
    "frame", ["tried {} and failed", '{{"note": "{}"}}', "first\\n{}", "<{}>", "({})"]
)
def test_secret_inside_another_text(frame, find_secrets, remove_secrets):
    """A secret is found between words, behind an escaped line break, and in quotes and brackets."""
    secrets = [find_secrets(rule, text)[0] for rule, text in STANDALONE]
    assert [] == [secret for secret in secrets if secret in remove_secrets(frame.format(secret))]

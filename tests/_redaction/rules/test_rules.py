"""The table of all value rules: its rows are complete, and their literals choose them."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction import RULES, Redactor

REDACTOR = Redactor()
# Examples of rules to which the text around a secret does not matter.
STANDALONE = [
    pytest.param(rule, text, id=f"{rule.id}-{number}")
    for rule in RULES
    if not (rule.fully_hidden or rule.lowercase or "(?P<secret>" in rule.regexes[0])
    for number, text in enumerate(rule.examples, 1)
]


def test_ids_are_unique():
    """No two rules have the same id."""
    ids = [rule.id for rule in RULES]
    assert sorted(set(ids)) == sorted(ids)


def test_descriptions_are_unique():
    """No two rules are described by the same words."""
    descriptions = [rule.description for rule in RULES]
    assert sorted(set(descriptions)) == sorted(descriptions)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_row_is_complete(rule):
    """A rule has literals, one regex for all or for each of them, a description and examples."""
    assert rule.literals
    assert len(rule.regexes) in {1, len(rule.literals)}
    assert rule.description.endswith(".") or "http" in rule.description
    assert rule.examples
    assert rule.near_misses


def test_literals_choose_the_rule(rule, example, find_secrets):
    """The prefilter chooses a rule for its own examples, so that they are redacted."""
    hidden = [(redaction.start, redaction.end) for redaction in REDACTOR.explain_text(example)]
    for secret in find_secrets(rule, example):
        start = example.index(secret)
        end = start + len(secret)
        assert any(first <= start and end <= last for first, last in hidden)


@pytest.mark.parametrize(
    "frame", ["tried {} and failed", '{{"note": "{}"}}', "first\\n{}", "<{}>", "({})"]
)
@pytest.mark.parametrize(("rule", "text"), STANDALONE)
def test_secret_inside_another_text(rule, text, frame, find_secrets, remove_secrets):
    """A secret is found between words, behind an escaped line break, and in quotes and brackets."""
    secret = find_secrets(rule, text)[0]
    assert secret not in remove_secrets(frame.format(secret))

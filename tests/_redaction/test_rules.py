"""The rule table proves itself: each row's examples match in every mode, its near-misses never do."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction import MODES, RULES, Redactor, Rule
from lupis_instrument._redaction.rule_finders import build_rule_finders

REDACTORS = {mode: Redactor(mode) for mode in MODES}
EXAMPLES = [(rule, text) for rule in RULES for text in rule.examples]
NEAR_MISSES = [(rule, text) for rule in RULES for text in rule.near_misses]


def found_by(rule: Rule, text: str) -> list[str]:
    return [
        text[hit.start : hit.end]
        for finder in dict.fromkeys(finder for _, finder in build_rule_finders(rule))
        for hit in finder.find_hits(text, text.lower())
    ]


def test_ids_are_unique():
    """Each rule has an id of its own."""
    ids = [rule.id for rule in RULES]
    assert sorted(set(ids)) == sorted(ids)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_row_is_complete(rule):
    """Each row has literals, a regex for all or each of them, a reason, examples and near-misses."""
    assert rule.literals
    assert len(rule.regexes) in {1, len(rule.literals)}
    assert rule.description.endswith((".", "prefix")) or "http" in rule.description
    assert rule.examples
    assert rule.near_misses


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("rule", "text"), EXAMPLES)
def test_example_is_hidden(rule, text, mode):
    """What a rule finds in its example is gone from the redacted text."""
    secrets = found_by(rule, text)
    assert secrets
    redacted = REDACTORS[mode].redact_text(text)
    assert [secret for secret in secrets if secret in redacted] == []


@pytest.mark.parametrize(("rule", "text"), EXAMPLES)
def test_literals_call_for_the_rule(rule, text):
    """The rule's own literals are enough for it to be asked about its example."""
    hidden = [(r.start, r.end) for r in REDACTORS["mask"].explain_text(text)]
    for secret in found_by(rule, text):
        start = text.index(secret)
        assert any(a <= start and start + len(secret) <= b for a, b in hidden)


@pytest.mark.parametrize(("rule", "text"), NEAR_MISSES)
def test_near_miss_is_left(rule, text):
    """A rule doesn't find anything in its near-misses."""
    assert found_by(rule, text) == []


@pytest.mark.parametrize(("rule", "text"), EXAMPLES)
def test_example_inside_a_sentence_and_a_json_string(rule, text):
    """A secret is found between other words, after an escaped line end, and in quotes, too."""
    secret = found_by(rule, text)[0]
    if rule.fully_hidden or rule.lowercase or "(?P<secret>" in rule.regexes[0]:
        return  # what surrounds these is part of the rule
    for frame in ("tried {} and failed", '{{"note": "{}"}}', "first\\n{}", "<{}>", "({})"):
        assert secret not in REDACTORS["remove"].redact_text(frame.format(secret))

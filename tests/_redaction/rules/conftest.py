"""Lists and checks the examples of the rules in a test module's `RULES`."""

from __future__ import annotations

import pytest

from lupis_instrument._redaction import MODES, Redactor
from lupis_instrument._redaction.rule_finders import build_rule_finders

REDACTORS = {mode: Redactor(mode) for mode in MODES}


def list_texts(rules, texts_of):
    """Return each text of the rules in a module, with its rule."""
    return [(rule, text) for rule in rules for text in texts_of(rule)]


@pytest.fixture(scope="module")
def examples(request):
    """The examples of the rules in a test module's `RULES`, each with its rule."""
    return list_texts(request.module.RULES, lambda rule: rule.examples)


@pytest.fixture(scope="module")
def near_misses(request):
    """The near misses of the rules in a test module's `RULES`, each with its rule."""
    return list_texts(request.module.RULES, lambda rule: rule.near_misses)


def find_by_rule(rule, text):
    """Return the secrets that one rule finds in a text."""
    return [
        text[hit.start : hit.end]
        for finder in dict.fromkeys(finder for _, finder in build_rule_finders(rule))
        for hit in finder.find_hits(text, text.lower())
    ]


@pytest.fixture(scope="session")
def find_secrets():
    """The secrets that one rule finds in a text."""
    return find_by_rule


@pytest.fixture(scope="session")
def check_redacted():
    """Check that a rule finds secrets in a text, and that no mode shows them."""

    def check(rule, text):
        secrets = find_by_rule(rule, text)
        assert secrets
        for redactor in REDACTORS.values():
            redacted = redactor.redact_text(text)
            assert [secret for secret in secrets if secret in redacted] == []

    return check


@pytest.fixture(scope="session")
def remove_secrets():
    """Redact a text in mode remove."""
    return REDACTORS["remove"].redact_text


@pytest.fixture(scope="session")
def name_rules():
    """The ids of the rules that find secrets in a text."""

    def name(text):
        return [redaction.rule for redaction in REDACTORS["mask"].explain_text(text)]

    return name

"""Keys of monitoring and analytics services are redacted."""

from __future__ import annotations

from servers.rows import check_rows

from lupis_instrument._redaction.rules.observability import OBSERVABILITY_RULES

RULES = OBSERVABILITY_RULES


def test_examples_are_redacted(examples, check_redacted):
    """No mode shows a secret of a rule's example."""
    check_rows(check_redacted, examples)


def test_near_misses_stay(near_misses, find_secrets):
    """A rule finds nothing in a text that only resembles its secrets."""
    assert [] == [text for rule, text in near_misses if find_secrets(rule, text)]


def test_license_key_is_redacted_by_its_ending(remove_secrets):
    """A New Relic license key has no prefix; its last four letters show it."""
    assert remove_secrets(f"key eu01xx{'9f86d081' * 3}75FFFFNRAL!") == "key [REDACTED]!"


def test_name_with_a_prefix_stays(remove_secrets):
    """A Grafana setting that begins like a token is none."""
    text = "glsa_service_account"
    assert remove_secrets(text) is text

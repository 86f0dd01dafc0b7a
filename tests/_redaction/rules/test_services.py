"""Keys of messengers, shops and payment services are redacted."""

from __future__ import annotations

import pytest
from servers.rows import check_rows

from lupis_instrument._redaction.rules.services import SERVICE_RULES

RULES = SERVICE_RULES

BODY = "7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eUo0iXtBqWy"


def test_examples_are_redacted(examples, check_redacted):
    """No mode shows a secret of a rule's example."""
    check_rows(check_redacted, examples)


def test_near_misses_stay(near_misses, find_secrets):
    """A rule finds nothing in a text that only resembles its secrets."""
    assert [] == [text for rule, text in near_misses if find_secrets(rule, text)]


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.slack.com/services/",
        "https://hooks.zapier.com/hooks/catch/",
        "https://discord.com/api/webhooks/123456789012345678/",
        "https://acme.webhook.office.com/webhookb2/",
    ],
)
def test_webhook_url_loses_its_secret_part(address, remove_secrets):
    """The host of an incoming webhook stays, the path behind it is redacted."""
    assert remove_secrets(f"{address}T0001/B0001/{BODY[:24]}") == f"{address}[REDACTED]"


@pytest.mark.parametrize(
    ("text", "rule_id"),
    [
        (f"charge failed: sk_live_{BODY[:24]}", "stripe"),
        (f"xoxb-1234567890-{BODY[:24]}", "slack"),
        (f"SG.{BODY[:22]}.{BODY[:40]}abc", "sendgrid"),
        (f"https://api.telegram.org/bot110201543:AA{BODY[:33]}/getMe", "telegram-bot"),
        ("0123456789abcdef0123456789abcdef-us21", "mailchimp"),
        (f"shpat_{'0123456789abcdef' * 2}", "shopify"),
    ],
)
def test_key_is_attributed_to_its_service(text, rule_id, name_rules):
    """An explanation names the rule of the service whose key it is."""
    assert name_rules(text) == [rule_id]


@pytest.mark.parametrize(
    "text",
    ["AC-powered SKELETON", "test_pub_sub_of_many_messages_in_a_row", "key-value store", "EAAAA!"],
)
def test_word_that_begins_like_a_key_stays(text, remove_secrets):
    """A word with the prefix of a key is none."""
    assert remove_secrets(text) is text


@pytest.mark.parametrize("end", [".", ". Then", ",", ")", " "])
def test_discord_token_at_the_end_of_a_sentence(end, remove_secrets):
    """A full stop behind a token is no part of it."""
    token = f"MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDe.{BODY[:38]}"
    assert remove_secrets(f"used {token}{end}") == f"used [REDACTED]{end}"

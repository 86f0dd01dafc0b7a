"""Secrets on command lines, in SQL and in code are redacted; placeholders stay."""

from __future__ import annotations

import pytest
from servers.rows import check_rows

from lupis_instrument._redaction.rules.commands import COMMAND_RULES

RULES = COMMAND_RULES


def test_examples_are_redacted(examples, check_redacted):
    """No mode shows a secret of a rule's example."""
    check_rows(check_redacted, examples)


def test_near_misses_stay(near_misses, find_secrets):
    """A rule finds nothing in a text that only resembles its secrets."""
    assert [] == [text for rule, text in near_misses if find_secrets(rule, text)]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("curl -u me:hunter22 https://h/", "curl -u me:[REDACTED] https://h/"),
        ("curl --proxy-user me:hunter22 x", "curl --proxy-user me:[REDACTED] x"),
        ("sshpass -p hunter22 ssh me@host", "sshpass -p [REDACTED] ssh me@host"),
        ("IDENTIFIED WITH sha256 BY 'hunter22'", "IDENTIFIED WITH sha256 BY '[REDACTED]'"),
        ("CREATE USER a IDENTIFIED BY tiger;", "CREATE USER a IDENTIFIED BY [REDACTED];"),
        ("IDENTIFIED BY x;", "IDENTIFIED BY [REDACTED];"),
        ("HTTPBasicAuth('me', 'hunter22')", "HTTPBasicAuth('me', '[REDACTED]')"),
        ("machine h login me password hunter22", "machine h login me password [REDACTED]"),
    ],
)
def test_only_the_password_is_replaced(text, redacted, remove_secrets):
    """The command around a password stays readable."""
    assert remove_secrets(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        'curl -u "$USER:$PASSWORD" https://h/',
        "curl -u ${{ secrets.USER }}:x https://h/",
        'sshpass -p "$PASSWORD" ssh me@host',
        "identified by its users",
        "the model was identified by its vendor;",
        "IDENTIFIED BY $PASSWORD;",
    ],
)
def test_placeholder_of_a_script_stays(text, remove_secrets):
    """A variable that a shell fills in later is no secret."""
    assert remove_secrets(text) is text

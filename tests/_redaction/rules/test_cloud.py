"""Keys of clouds and hosting services are redacted; regions and attribute names stay."""

from __future__ import annotations

import pytest
from servers.rows import check_rows

from lupis_instrument._redaction.rules.cloud import CLOUD_RULES

RULES = CLOUD_RULES

BODY = "7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eUo0iXtBqWy"


def test_examples_are_redacted(examples, check_redacted):
    """No mode shows a secret of a rule's example."""
    check_rows(check_redacted, examples)


def test_near_misses_stay(near_misses, find_secrets):
    """A rule finds nothing in a text that only resembles its secrets."""
    assert [] == [text for rule, text in near_misses if find_secrets(rule, text)]


@pytest.mark.parametrize("prefix", ["AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA"])
def test_access_key_id_in_a_signed_request(prefix, remove_secrets):
    """The id of an AWS access key is redacted inside a credential scope."""
    scope = "/20261101/us-east-1/bedrock/aws4_request"
    assert remove_secrets(f"{prefix}K7Q2MZX9P4LWR8ST{scope}") == f"[REDACTED]{scope}"


@pytest.mark.parametrize(
    ("text", "rule_id"),
    [
        (f"login with hvs.{BODY * 2}", "vault"),
        (f"old: s.{BODY[:24]}", "vault-older"),
        (f"dop_v1_{'0123456789abcdef' * 4}", "digitalocean"),
        (f"dapi{'0123456789abcdef' * 2}-2", "databricks"),
        (f"docker login -p dckr_pat_{BODY[:27]}", "docker"),
    ],
)
def test_key_is_attributed_to_its_service(text, rule_id, name_rules):
    """An explanation names the rule of the service whose key it is."""
    assert name_rules(text) == [rule_id]


@pytest.mark.parametrize("text", ["s.getAttributeNamesOfElement", "ASIA-PACIFIC-SOUTHEAST-1"])
def test_attribute_or_region_stays(text, remove_secrets):
    """An attribute's name is no Vault token, and a region no access key."""
    assert remove_secrets(text) is text

"""HTTP credentials, key files, URLs, card numbers and random values are redacted."""

from __future__ import annotations

import base64
import json

import pytest
from servers.rows import check_rows

from lupis_instrument._redaction.rules.general import GENERAL_RULES

RULES = GENERAL_RULES

BODY = "7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eUo0iXtBqWy"


def test_examples_are_redacted(examples, check_redacted):
    """No mode shows a secret of a rule's example."""
    check_rows(check_redacted, examples)


def test_near_misses_stay(near_misses, find_secrets):
    """A rule finds nothing in a text that only resembles its secrets."""
    assert [] == [text for rule, text in near_misses if find_secrets(rule, text)]


def encode_json(data):
    """Return the JSON of some data as a part of a JSON Web Token."""
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


@pytest.mark.parametrize("signature", ["", BODY])
def test_json_web_token(signature, remove_secrets):
    """A token is redacted with its signature, and without one."""
    token = f"{encode_json({'alg': 'HS256', 'typ': 'JWT'})}.{encode_json({'sub': '1234567890'})}"
    assert remove_secrets(f"id {token}.{signature}") == "id [REDACTED]"


def test_basic_credentials(remove_secrets):
    """User and password in base64 are redacted together with the scheme."""
    credentials = base64.b64encode(b"me:hunter22").decode()
    assert remove_secrets(f"sent Basic {credentials}") == "sent [REDACTED]"


@pytest.mark.parametrize("version", [b"\x00", b"\x01"])
def test_private_key_in_der(version, remove_secrets):
    """A DER sequence that begins with version 0 or 1 is a private key."""
    key = base64.b64encode(b"\x30\x82\x04\xbd\x02\x01" + version + bytes(range(90))).decode()
    assert remove_secrets(key) == "[REDACTED]"


def test_certificate_in_der_stays(remove_secrets):
    """A certificate is a DER sequence of sequences, and no secret."""
    certificate = base64.b64encode(b"\x30\x82\x03\x77\x30\x82\x02\x5f" + bytes(90)).decode()
    assert remove_secrets(certificate) is certificate


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111111",
        "5500005555555559",
        "2223003122003222",
        "6011000990139424",
        "371449635398431",
        "30569309025904",
        "3530111333300000",
    ],
)
def test_card_number_of_each_issuer(number, remove_secrets):
    """A number with an issuer's prefix and a correct check digit is redacted."""
    assert remove_secrets(f"card {number}") == "card [REDACTED]"


@pytest.mark.parametrize("number", ["4111111111111112", "9111111111111111", "0000000000000000"])
def test_other_long_number_stays(number, remove_secrets):
    """A number with a wrong check digit or prefix is no card number."""
    assert remove_secrets(number) is number


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("postgres://app:s3cr3t@db:5432/x", "postgres://app:[REDACTED]@db:5432/x"),
        ("https://me:p%40ss@h/", "https://me:[REDACTED]@h/"),
        ("redis://:hunter22@cache", "redis://:[REDACTED]@cache"),
        ("postgresql://app@server:pa55@host", "postgresql://app@server:[REDACTED]@host"),
        ("smtps://bot@acme.com:pa55@mail:465", "smtps://bot@acme.com:[REDACTED]@mail:465"),
        (f"/v1/token/{BODY}/orders", "/v1/token/[REDACTED]/orders"),
        (f"https://h/secret/{BODY}?a=1", "https://h/secret/[REDACTED]?a=1"),
        (f"https://{BODY}@git.example/x", "https://[REDACTED]@git.example/x"),
    ],
)
def test_credentials_of_a_url(url, redacted, remove_secrets):
    """A password or token is redacted; user, host and path stay."""
    assert remove_secrets(url) == redacted


@pytest.mark.parametrize(
    "text",
    [
        f"cache_key={'9f86d081' * 5}",
        "https://me@host:8080/@scope/name",
        "/v1/key/3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d",
        "/oauth/token/introspection_endpoint",
        f"public key: {BODY}",
        '"key": "3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"',
        "mapsKey: some_long_name_of_a_setting",
    ],
)
def test_key_that_is_no_secret_stays(text, remove_secrets):
    """Cache keys, public keys, UUIDs and names are called keys, too."""
    assert remove_secrets(text) is text

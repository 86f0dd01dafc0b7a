"""The second checks of a match: randomness, placeholders, check digits, key formats."""

from __future__ import annotations

import base64

import pytest

from lupis_instrument._redaction.checks import (
    compute_entropy,
    has_digit,
    is_credential,
    is_encoded_jwk,
    is_encoded_pem,
    is_generated,
    is_in_one_case,
    is_mixed,
    is_no_placeholder,
    is_private_der,
    is_random,
    passes_luhn,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sk-learn-column-transformer", False),
        ("ak_some_name_v2", False),
        ("sk-7hQ2mZx9Kp4LwR8s", True),
        ("sk-test-something", True),  # "test" is a word of keys
        ("sk-aninternationalizedname", True),  # too long for a word
    ],
)
def test_chain_of_words_is_not_random(text, expected):
    """Short words, small numbers and versions make a name; any other piece makes a key."""
    assert is_random(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7hQ2mZx9Kp4LwR8sTb3N", True),
        ("9f86d081884c7d659a2feaa0c55ad015", True),
        ("3f2b1c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d", False),
        ("12345678901234567890", False),
        ("abcdefghijklmnopqrst", False),
        ("some_long-name/of=things12", False),
        ("a1a1a1a1a1a1a1a1a1a1", False),
    ],
)
def test_generated_text(text, expected):
    """Letters and digits, well spread, look random; UUIDs, numbers, words and repeats do not."""
    assert is_generated(text) is expected


@pytest.mark.parametrize(("text", "bits"), [("aaaa", 0), ("abab", 1), ("abcd", 2)])
def test_entropy_in_bits_per_character(text, bits):
    """Two equally frequent characters are one bit, four are two."""
    assert compute_entropy(text) == bits


@pytest.mark.parametrize(
    ("text", "expected"), [("aB1.x.cD2", True), ("ab1.x.cD2", False), ("aB1.x.cd2", False)]
)
def test_both_outer_parts_are_mixed(text, expected):
    """The first and the last part need lower case, upper case and a digit."""
    assert is_mixed(text) is expected


@pytest.mark.parametrize(("kind", "expected"), [("PRIVATE KEY", True), ("CERTIFICATE", False)])
def test_pem_in_base64(kind, expected):
    """The first line of an encoded PEM file says whether it is a private key."""
    encoded = base64.b64encode(f"-----BEGIN {kind}-----\n{'M' * 64}".encode()).decode()
    assert is_encoded_pem(encoded) is expected


@pytest.mark.parametrize(("member", "expected"), [("d", True), ("k", True), ("x", False)])
def test_json_web_key_in_base64(member, expected):
    """A private member may be encoded for URLs, and the text may be cut anywhere."""
    encoded = base64.urlsafe_b64encode(
        f'{{"kty":"EC","?>":1,"{member}" : "abc"}}'.encode()
    ).decode()
    assert is_encoded_jwk(encoded) is expected
    assert is_encoded_jwk(encoded[:-5]) is expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x30\x2e\x02\x01\x00", True),
        (b"\x30\x81\x87\x02\x01\x00", True),
        (b"\x30\x82\x04\xbd\x02\x01\x01", True),
        (b"\x30\x82\x04\xbd\x02\x01\x02", False),
        (b"\x30\x82\x03\x77\x30\x82\x02", False),
    ],
)
def test_version_in_der(data, expected):
    """A private key begins with version 0 or 1, whatever the length of the length."""
    assert is_private_der(base64.b64encode(data.ljust(24, b"\0")).decode()) is expected


@pytest.mark.parametrize(("text", "expected"), [("abc1", True), ("abc", False), ("", False)])
def test_digit(text, expected):
    """One digit is enough."""
    assert has_digit(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("SK0123abcd", True), ("SK01234567", True), ("AC0123ABCD", True), ("SKabcXYZ12", False)],
)
def test_key_in_one_case(text, expected):
    """The prefix does not count: hex in either case and lower case are in one case."""
    assert is_in_one_case(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bearer 7hQ2mZx9", True),
        ("Bearer sometokenofmanyletters", True),
        ("Basic authentication", False),
        ("bearer of", False),
        ("Bearer realm=", False),
    ],
)
def test_word_behind_a_scheme(text, expected):
    """A word of prose or of a challenge is no credential."""
    assert is_credential(text) is expected


@pytest.mark.parametrize(
    "text", ["$PASS", "${PASS}", "{{ pass }}", "<password>", "[PASSWORD]", "****", "xxxx", "..."]
)
def test_placeholder(text):
    """A placeholder of a manual or script is no password."""
    assert not is_no_placeholder(text)


@pytest.mark.parametrize("text", ["hunter2", "pa$$word", "x1", "password1"])
def test_password_that_is_no_placeholder(text):
    """A password that only contains the signs of placeholders is a password."""
    assert is_no_placeholder(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111111111111111", True),
        ("4111 1111 1111 1111", True),
        ("4111111111111112", False),
        ("0000000000000000", False),
    ],
)
def test_luhn_check_digit(text, expected):
    """The check digit decides; a row of equal digits is no card number although it passes."""
    assert passes_luhn(text) is expected

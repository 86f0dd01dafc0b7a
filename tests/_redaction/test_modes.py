"""Each mode writes its own marks, and recognises the marks of all modes."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from lupis_instrument._redaction import MODES, Redactor
from lupis_instrument._redaction.modes import is_mark

KEY = "sk-1234567890abcdef1234567890abcdef12345678"


@pytest.mark.parametrize(
    ("mode", "text", "shown"),
    [
        ("mask", KEY, "sk-1***5678"),
        ("mask", f"Bearer {KEY}", "Bear***5678"),
        ("mask", "password: 'secret-password'", "password: '***'"),
        ("remove", KEY, "[REDACTED]"),
        ("remove", f"Bearer {KEY}", "[REDACTED]"),
        ("remove", "password: 'secret-password'", "password: [REDACTED]"),
        ("hash", KEY, "[HASH:2dd0e9d5]"),
        ("hash", "password: 'secret-password'", "password: [HASHED]"),
        ("mask", f"api_key: {KEY}", "api_key: sk-1***5678"),
        ("mask", '{"password": "hunter2"}', '{"password": "***"}'),
        ("remove", '{"password": "hunter2"}', '{"password": "[REDACTED]"}'),
        ("mask", "postgres://app:s3cr3t-word@db/x", "postgres://app:***@db/x"),
        ("mask", "4111111111111111", "4111***1111"),
        ("mask", "ssn 123-45-6789", "ssn ***"),
    ],
)
def test_mark_of_each_mode(mode, text, shown):
    """A key shows its ends or a hash; a value that its name hides shows nothing."""
    assert shown == Redactor(mode).redact_text(text)


def test_bearer_hash():
    """A hashed bearer token is a hash of eight hex digits."""
    shown = Redactor("hash").redact_text(f"Bearer {KEY}")
    assert shown.startswith("[HASH:")
    assert is_mark(shown)


def test_keyed_hash():
    """The keyed hash is a truncated HMAC-SHA-256; the key may be text or bytes."""
    digest = hmac.new(b"k", KEY.encode(), hashlib.sha256).hexdigest()[:8]
    assert f"[HASH:{digest}]" == Redactor("hash", hash_key="k").redact_text(KEY)
    assert f"[HASH:{digest}]" == Redactor("hash", hash_key=b"k").redact_text(KEY)


def test_short_value_masks_to_stars():
    """A masked value of 8 characters or fewer shows nothing."""
    assert Redactor(patterns=[r"CU-\d{5}"]).redact_text("id CU-12345!") == "id ***!"
    assert Redactor(patterns=[r"CU-\d{6}"]).redact_text("id CU-123456!") == "id CU-1***3456!"


def test_header_with_a_known_credential():
    """A value rule that matches the whole header decides its mark."""
    redactor = Redactor()
    name = "http.request.header.authorization"
    assert redactor.redact_attribute(name, [f"Bearer {KEY}"]) == ["Bear***5678"]
    assert redactor.redact_attribute("cookie", f"a=1; key={KEY}") == "***"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "mark", ["***", "[REDACTED]", "[HASHED]", "[HASH:2dd0e9d5]", "sk-1***5678"]
)
def test_marks_are_no_secrets(mode, mark):
    """A mark of any mode stays, whatever name it has."""
    redactor = Redactor(mode)
    for text in (mark, f"password: {mark}", f'"token": "{mark}"', f"?token={mark}&a=1"):
        assert redactor.redact_text(text) is text
    assert redactor.redact_attribute("password", mark) is mark


def test_unknown_mode():
    """The error for an unknown mode names the valid modes."""
    with pytest.raises(ValueError, match="mask, remove, hash"):
        Redactor("masked")

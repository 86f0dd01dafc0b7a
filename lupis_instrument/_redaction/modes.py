"""Writes a mark for a secret - masked, removed or hashed - and recognises such marks again."""

from __future__ import annotations

import re
from typing import NamedTuple

MODES = ("mask", "remove", "hash")
REDACTED = "[REDACTED]"
STARS = "***"

# All marks but a masked value, in any mode. Redacting a text twice must give the same result as
# redacting it once, so these marks are recognised wherever a secret could stand.
MARK = re.compile(r"\*\*\*|\[REDACTED\]|\[HASHED\]|\[HASH:[0-9a-f]{8}\]")
_MASKED = re.compile(r"(?s).{4}\*\*\*.{4}")
# A secret of so many characters or fewer is masked completely.
_MAX_SHORT = 8
_SHOWN_AT_EACH_END = 4
_FULL_MARKS = {"mask": STARS, "remove": REDACTED, "hash": "[HASHED]"}


class Mode(NamedTuple):
    """The way in which secrets are redacted.

    Attributes:
        name: One of `MODES`.
        hash_key: The key of the hash in mode ``hash``; None for a hash without a key.
    """

    name: str
    hash_key: bytes | None = None

    @property
    def full_mark(self) -> str:
        """The mark of a fully hidden value, which is the same for all values."""
        return _FULL_MARKS[self.name]

    def mark_secret(self, secret: str) -> str:
        """Return the mark of a secret that a value rule matched."""
        if self.name == "mask":
            return mask_secret(secret)
        if self.name == "remove":
            return REDACTED
        digest = hash_with_key(secret, self.hash_key) if self.hash_key else hash_text(secret)
        return f"[HASH:{digest}]"


def mask_secret(secret: str) -> str:
    """Return the first and last four characters, or three stars for 8 characters or fewer."""
    if len(secret) <= _MAX_SHORT:
        return STARS
    return f"{secret[:_SHOWN_AT_EACH_END]}{STARS}{secret[-_SHOWN_AT_EACH_END:]}"


def hash_text(text: str) -> str:
    """Return the 32-bit polynomial hash (31 * h + c), as the absolute of a signed number, in hex.

    Equal secrets get equal hashes in every process.
    """
    number = 0
    for character in text:
        number = (31 * number + ord(character)) & 0xFFFFFFFF
    return f"{0x100000000 - number if number >> 31 else number:08x}"


def hash_with_key(secret: str, key: bytes) -> str:
    """Return the first 32 bits of HMAC-SHA-256, in hex.

    Nobody can test guesses of the secret without the key.
    """
    # Imported here because both load OpenSSL, which only this mode needs.
    import hashlib
    import hmac

    text = secret.encode("utf-8", "surrogatepass")
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:8]


def is_mark(value: str) -> bool:
    """Return whether the whole value is a mark that a Redactor wrote."""
    return bool(MARK.fullmatch(value) or _MASKED.fullmatch(value))

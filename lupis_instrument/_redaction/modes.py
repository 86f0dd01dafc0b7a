"""What stands in the place of a secret - masked, removed, hashed - and how to tell it again."""

from __future__ import annotations

import re
from typing import NamedTuple

MODES = ("mask", "remove", "hash")
REDACTED = "[REDACTED]"
STARS = "***"

# Everything a Redactor writes, in any mode. Filtering twice must give what filtering once gives, so
# these are recognised wherever a secret could stand.
MARK = re.compile(r"\*\*\*|\[REDACTED\]|\[HASHED\]|\[HASH:[0-9a-f]{8}\]")
_MASKED = re.compile(r"(?s).{4}\*\*\*.{4}")
_SHORT = 8
_ENDS = 4


class Mode(NamedTuple):
    """One way of writing a secret: what is shown of a value, and of one hidden for its name."""

    name: str
    hash_key: bytes | None = None

    @property
    def named(self) -> str:
        """What stands for a value that is hidden because of its name; shows nothing of it."""
        return {"mask": STARS, "remove": REDACTED, "hash": "[HASHED]"}[self.name]

    def value(self, secret: str) -> str:
        """What stands for a value that a value rule matched."""
        if self.name == "mask":
            return mask(secret)
        if self.name == "remove":
            return REDACTED
        return (
            f"[HASH:{keyed_hash(secret, self.hash_key) if self.hash_key else plain_hash(secret)}]"
        )


def mask(secret: str) -> str:
    """The first and last four characters, or three stars for 8 characters or fewer."""
    if len(secret) <= _SHORT:
        return STARS
    return f"{secret[:_ENDS]}{STARS}{secret[-_ENDS:]}"


def plain_hash(secret: str) -> str:
    """The 32-bit polynomial string hash (31*h + c), as the absolute of a signed number, in hex."""
    number = 0
    for character in secret:
        number = (31 * number + ord(character)) & 0xFFFFFFFF
    return f"{0x100000000 - number if number >> 31 else number:08x}"


def keyed_hash(secret: str, key: bytes) -> str:
    """The first 32 bits of HMAC-SHA-256, in hex: without the key, guesses can't be tried."""
    # Loaded where asked for only: they bring OpenSSL along.
    import hashlib
    import hmac

    text = secret.encode("utf-8", "surrogatepass")
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:8]


def is_mark(value: str) -> bool:
    """Whether the whole value is something a Redactor wrote."""
    return bool(MARK.fullmatch(value) or _MASKED.fullmatch(value))

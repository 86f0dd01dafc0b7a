"""Removes a piece of a secret that is left at the end of a truncated text.

The rules recognise whole keys. A key that lost its last character matches no rule for certain,
although all its other characters are there. Hence a truncated text also loses its last word, if
that word may be a piece of a key.
"""

from __future__ import annotations

import string

# The characters of keys and tokens, percent-encoded ones included.
_KEY_CHARACTERS = string.ascii_letters + string.digits + "_-.~%+"
# Keys of fixed length are shorter than this. Longer keys are recognised by a piece of them.
_MAX_KEY = 512
# A word of this length counts as a piece of a key even without a digit.
_LONG_WORD = 16


def truncate_text(text: str, length: int) -> str:
    """Return the first `length` characters, without a piece of a key at their end."""
    return text if len(text) <= length else drop_truncated_word(text[:length])


def drop_truncated_word(text: str) -> str:
    """Return a truncated text without its last word, if that may be a piece of a key."""
    tail = text[-_MAX_KEY:]
    word = tail[len(tail.rstrip("=").rstrip(_KEY_CHARACTERS)) :]
    if len(word) >= _MAX_KEY:
        return text
    is_key = len(word) >= _LONG_WORD or any(character.isdigit() for character in word)
    return text[: len(text) - len(word)] if is_key else text

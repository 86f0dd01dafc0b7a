"""Takes off what may be the beginning of a secret where a text was cut in its middle."""

from __future__ import annotations

import string

# What keys and tokens consist of, percent-encoded ones too.
_SIGNS = string.ascii_letters + string.digits + "_-.~%+"
_LONGEST_TAIL = 512
_WORD = 16


def truncate_text(text: str, length: int) -> str:
    """The first `length` characters, less what may be a piece of a key that this cuts in two."""
    return text if len(text) <= length else drop_truncated_word(text[:length])


def drop_truncated_word(text: str) -> str:
    """The text without its last word, if that may be a piece of a key.

    Rules know whole keys. Of one that was cut no rule is sure, though all but a character is there.
    """
    tail = text[-_LONGEST_TAIL:]
    word = tail[len(tail.rstrip("=").rstrip(_SIGNS)) :]
    # No key whose length is fixed is as long as the tail, and of the others a part is known, too.
    is_key = len(word) >= _WORD or any(sign.isdigit() for sign in word)
    return text[: len(text) - len(word)] if is_key and len(word) < _LONGEST_TAIL else text

"""Second looks at what a rule matched: is it random enough, does its check digit hold."""

from __future__ import annotations

import re

_PIECES = re.compile(r"[-_.]")
_WORD = re.compile(r"[A-Z]?[a-z]{1,12}|[0-9]{1,2}|v[0-9]{1,2}|[A-Z]{1,12}")
_DIGITS = re.compile(r"[0-9]")
_CLASSES = (re.compile(r"[a-z]"), re.compile(r"[A-Z]"), _DIGITS)
_NOT_CREDENTIALS = frozenset(
    "authentication authorization token tokens realm scope error error_description error_uri "
    "authorization_uri resource_metadata resource_id client_id charset credentials credential "
    "required scheme schemes header headers auth access".split()
)
_KEY_WORDS = frozenset(
    "ant proj or svcacct admin lf live test prod api key secret token canary fake dummy example".split()
)
_PROSE_TOKEN = 16
_MIXED = 2


def is_random(text: str) -> bool:
    """Whether this is no chain of words: ``sk-learn-some-long-pipeline`` is one, a key is not."""
    pieces = [piece for piece in _PIECES.split(text)[1:] if piece]
    return not all(_WORD.fullmatch(piece) and piece.lower() not in _KEY_WORDS for piece in pieces)


def is_mixed(text: str) -> bool:
    """Whether two of lower case, upper case and digits occur: true of all but one in 10^5 keys."""
    return sum(bool(kind.search(text)) for kind in _CLASSES) >= _MIXED


def has_digit(text: str) -> bool:
    """Whether a digit occurs: of 20 random letters and digits, 3 in 100 have none; of words, most."""
    return bool(_DIGITS.search(text))


def is_credential(text: str) -> bool:
    """Whether what follows ``Bearer`` or ``Basic`` is a credential and not the next word of a sentence."""
    token = text.split()[-1]
    if token.lower().rstrip("=") in _NOT_CREDENTIALS:
        return False
    return len(token) >= _PROSE_TOKEN or not re.fullmatch(r"[A-Z]?[a-z]+\.?|[A-Z]+", token)


def passes_luhn(text: str) -> bool:
    """Whether the digits of a payment card number check (ISO/IEC 7812-1, annex B)."""
    digits = [int(character) for character in text if character.isdigit()]
    if len(set(digits)) <= 1:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0

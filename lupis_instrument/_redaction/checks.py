"""Second looks at what a rule matched: is it random enough, does its check digit hold."""

from __future__ import annotations

import binascii
import math
import re
from collections import Counter

_PIECES = re.compile(r"[-_.]")
_WORD = re.compile(r"[A-Z]?[a-z]{1,12}|[0-9]{1,2}|v[0-9]{1,2}|[A-Z]{1,12}")
_DIGITS = re.compile(r"[0-9]")
_KINDS = (_DIGITS, re.compile(r"[a-z]"), re.compile(r"[A-Z]"))
_ENCODED_HEAD = 72
_LETTERS = re.compile(r"[A-Za-z]")
_NAME_PIECES = re.compile(r"[-_/+=]")
_NAME_PIECE = re.compile(r"[A-Za-z]{0,16}|[a-z]{1,12}[0-9]{1,2}|[0-9]{1,8}")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOT_CREDENTIALS = _words(
    "authentication authorization token tokens realm scope error error_description error_uri "
    "authorization_uri resource_metadata resource_id client_id charset credentials credential "
    "required scheme schemes header headers auth access"
)
_KEY_WORDS = _words(
    "ant proj or svcacct admin lf live test prod api key secret token canary fake dummy example"
)
_PROSE_TOKEN = 16
_PLACEHOLDER = re.compile(
    r"\$[\w({].*|\$?\{\{.*|<.*|\[[a-z_ ]+\].*|\*+|x{3,}|y{3,}|\.\.\."
    r"|pass(?:w(?:or)?d)?>?|pwd|token|secret",
    re.IGNORECASE | re.DOTALL,
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GENERATED_BITS = 3.0
_HEX = re.compile(r"[0-9A-Fa-f]+")


def is_random(text: str) -> bool:
    """Whether this is no chain of words: ``sk-learn-some-long-pipeline`` is one, a key is not."""
    pieces = [piece for piece in _PIECES.split(text)[1:] if piece]
    return not all(_WORD.fullmatch(piece) and piece.lower() not in _KEY_WORDS for piece in pieces)


def is_generated(text: str) -> bool:
    """Whether a text looks drawn at random: letters and digits, well spread, no UUID, no words."""
    if _UUID.fullmatch(text) or not (_DIGITS.search(text) and _LETTERS.search(text)):
        return False
    if all(_NAME_PIECE.fullmatch(piece) for piece in _NAME_PIECES.split(text)):
        return False
    return entropy(text) >= _GENERATED_BITS


def entropy(text: str) -> float:
    """Shannon's entropy in bits a character: about 3.5 for 32 random hex digits."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


def is_mixed(text: str) -> bool:
    """Whether the first and the last part have lower case, upper case and digits each."""
    parts = (text.partition(".")[0], text.rpartition(".")[2])
    return all(kind.search(part) for part in parts for kind in _KINDS)


def is_encoded_key(text: str) -> bool:
    """Whether this is a private key in PEM, in base64 once more."""
    return b" PRIVATE " in binascii.a2b_base64(text[:_ENCODED_HEAD])


def is_private_der(text: str) -> bool:
    """Whether this is a sequence that begins with a small version number, as private keys do."""
    data = binascii.a2b_base64(text[:16])
    header = 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)
    return data[header : header + 3] in {b"\2\1\0", b"\2\1\1"}


def has_digit(text: str) -> bool:
    """Whether a digit occurs: 3 in 100 random texts of 20 characters have none; most words do."""
    return bool(_DIGITS.search(text))


def is_in_one_case(text: str) -> bool:
    """Whether what follows two letters is hex or has no upper case: no piece of base64, then."""
    return text[2:].islower() or text[2:].isdigit() or bool(_HEX.fullmatch(text, 2))


def is_credential(text: str) -> bool:
    """Whether what follows ``Bearer`` or ``Basic`` is a credential and no word of a sentence."""
    token = text.rsplit(maxsplit=1)[-1]
    if token.lower().rstrip("=") in _NOT_CREDENTIALS:
        return False
    return len(token) >= _PROSE_TOKEN or not re.fullmatch(r"[A-Z]?[a-z]+\.?|[A-Z]+", token)


def is_no_placeholder(text: str) -> bool:
    """Whether this is more than what stands for a password in a manual or a script."""
    return not _PLACEHOLDER.fullmatch(text)


def passes_luhn(text: str) -> bool:
    """Whether the digits of a payment card number check (ISO/IEC 7812-1, annex B)."""
    digits = [int(character) for character in text if character.isdigit()]
    if len(set(digits)) <= 1:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0

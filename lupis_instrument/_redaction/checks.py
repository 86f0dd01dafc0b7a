"""Second checks of a match: whether it looks random, whether its check digit is right.

A rule names one of these functions as its `check`. The function gets the matched text and returns
whether it is a secret. Thus a regular expression can stay simple and fast.
"""

from __future__ import annotations

import binascii
import math
import re
from collections import Counter

from lupis_instrument._redaction.names import make_word_set

_DIGITS = re.compile(r"[0-9]")
_LETTERS = re.compile(r"[A-Za-z]")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KINDS = (_DIGITS, re.compile(r"[a-z]"), re.compile(r"[A-Z]"))

# `is_random`: the separators of pieces, and a piece that is a word, a small number or a version.
_SEPARATORS = re.compile(r"[-_.]")
_WORD = re.compile(r"[A-Z]?[a-z]{1,12}|[0-9]{1,2}|v[0-9]{1,2}|[A-Z]{1,12}")
_WORDS_OF_KEYS = make_word_set(
    "ant proj or svcacct admin lf live test prod api key secret token canary fake dummy example"
)

# `is_generated`: the same for the paths, digests and names in which its rules search.
_NAME_SEPARATORS = re.compile(r"[-_/+=]")
_NAME_PIECE = re.compile(r"[A-Za-z]{0,16}|[a-z]{1,12}[0-9]{1,2}|[0-9]{1,8}")
_MIN_RANDOM_ENTROPY = 3.0

# `is_credential`: words that follow "Bearer" or "Basic" in challenges and in prose.
_NOT_CREDENTIALS = make_word_set(
    "authentication authorization token tokens realm scope error error_description error_uri "
    "authorization_uri resource_metadata resource_id client_id charset credentials credential "
    "required scheme schemes header headers auth access"
)
_MIN_LONG_TOKEN = 16
_PROSE_WORD = re.compile(r"[A-Z]?[a-z]+\.?|[A-Z]+")

_PLACEHOLDER = re.compile(
    r"\$[\w({].*|\$?\{\{.*|<.*|\[[a-z_ ]+\].*|\*+|x{3,}|y{3,}|\.\.\."
    r"|pass(?:w(?:or)?d)?>?|pwd|token|secret",
    re.IGNORECASE | re.DOTALL,
)
_FROM_URLSAFE = str.maketrans("-_", "+/")
# A member that only private and symmetric JSON Web Keys have.
_PRIVATE_MEMBER = re.compile(rb'"[dk]"\s{0,4}:')
# As many characters of base64 as are needed to decode the first line of a PEM file.
_PEM_HEAD = 72
_DER_HEAD = 16


def is_random(text: str) -> bool:
    """Return whether a key is no chain of words, as ``sk-learn-some-long-pipeline`` is."""
    pieces = [piece for piece in _SEPARATORS.split(text)[1:] if piece]
    return not all(
        _WORD.fullmatch(piece) and piece.lower() not in _WORDS_OF_KEYS for piece in pieces
    )


def is_generated(text: str) -> bool:
    """Return whether a text looks random: letters and digits, well spread, no UUID, no words."""
    if _UUID.fullmatch(text) or not (_DIGITS.search(text) and _LETTERS.search(text)):
        return False
    if all(_NAME_PIECE.fullmatch(piece) for piece in _NAME_SEPARATORS.split(text)):
        return False
    return compute_entropy(text) >= _MIN_RANDOM_ENTROPY


def compute_entropy(text: str) -> float:
    """Return Shannon's entropy in bits per character: about 3.5 for 32 random hex digits."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


def is_mixed(text: str) -> bool:
    """Return whether the first and the last dotted part mix lower case, upper case and digits."""
    parts = (text.partition(".")[0], text.rpartition(".")[2])
    return all(kind.search(part) for part in parts for kind in _KINDS)


def is_encoded_jwk(text: str) -> bool:
    """Return whether a base64 text holds a private or symmetric JSON Web Key.

    The text may begin with the segments of a URL's path, of any length.
    """
    plain = text.rstrip("=").translate(_FROM_URLSAFE)
    return any(_PRIVATE_MEMBER.search(_decode_groups(plain[start:])) for start in range(4))


def _decode_groups(text: str) -> bytes:
    """Return the bytes of the whole groups of four characters of a base64 text."""
    return binascii.a2b_base64(text[: len(text) // 4 * 4])


def is_encoded_pem(text: str) -> bool:
    """Return whether a base64 text holds a private key in PEM."""
    head = text[: min(_PEM_HEAD, len(text) // 4 * 4)]
    return b" PRIVATE" in binascii.a2b_base64(head)


def is_private_der(text: str) -> bool:
    """Return whether a base64 text is a DER sequence that begins with version 0 or 1.

    Private keys begin so (RFC 5958, RFC 8017); certificates and public keys do not.
    """
    data = binascii.a2b_base64(text[:_DER_HEAD])
    # The second byte is the length, or says in how many bytes the length follows.
    header = 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)
    return data[header : header + 3] in {b"\2\1\0", b"\2\1\1"}


def has_digit(text: str) -> bool:
    """Return whether a digit occurs: most words have none.

    Of random texts of 20 characters, 3 in 100 have none either.
    """
    return bool(_DIGITS.search(text))


def has_random_end(text: str) -> bool:
    """Return whether the part behind the last dot looks random."""
    return is_generated(text.rpartition(".")[2])


def is_in_one_case(text: str) -> bool:
    """Return whether a key behind its two-letter prefix is hex or has no upper case.

    A piece of base64 mixes the cases.
    """
    return text[2:].islower() or text[2:].isdigit() or bool(_HEX.fullmatch(text, 2))


def is_credential(text: str) -> bool:
    """Return whether the word behind ``Bearer`` or ``Basic`` is a credential, not prose."""
    token = text.rsplit(maxsplit=1)[-1]
    if token.lower().rstrip("=") in _NOT_CREDENTIALS:
        return False
    return len(token) >= _MIN_LONG_TOKEN or not _PROSE_WORD.fullmatch(token)


def is_no_placeholder(text: str) -> bool:
    """Return whether a password is more than a manual's or script's placeholder, as ``$PASS``."""
    return not _PLACEHOLDER.fullmatch(text)


def passes_luhn(text: str) -> bool:
    """Return whether the check digit of a card number is right (ISO/IEC 7812-1, annex B)."""
    digits = [int(character) for character in text if character.isdigit()]
    if len(set(digits)) <= 1:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0

"""Makes a unique secret for each redaction rule and each secret name, and texts to find it by."""

from __future__ import annotations

import random
import re
import string
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, quote_plus

from lupis_instrument._redaction import NAMES, RULES, Redactor, Rule
from lupis_instrument._redaction.names import Extent
from lupis_instrument._redaction.rule_finders import build_rule_finders

if TYPE_CHECKING:
    from lupis_instrument._redaction.names import NameRule

SHOWN_CHARACTERS = 4
"""The number of characters at each end that the mode `mask` shows."""
MIN_PIECE = 8
"""The length of the pieces to search for; shorter pieces could appear by chance."""
KINDS = (string.digits, "abcdef", "ghijklmnopqrstuvwxyz", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ")


class Canary(NamedTuple):
    """A text with a secret in it.

    Attributes:
        rule: the id of the rule that finds the secret.
        text: the text.
        needles: the secret, its forms in URLs, and its pieces; none of them may leave the program.
    """

    rule: str
    text: str
    needles: tuple[str, ...]


def find_secrets(rule: Rule, text: str) -> list[tuple[int, int]]:
    """Returns start and end of the secrets that a rule finds on its own."""
    finders = dict.fromkeys(finder for _, finder in build_rule_finders(rule))
    hits = [hit for finder in finders for hit in finder.find_hits(text, text.lower())]
    return sorted((hit.start, hit.end) for hit in hits)


def vary_text(text: str, start: int, end: int, chance: random.Random) -> str:
    """Replaces each letter and digit of a part of a text by another of the same kind."""
    swapped = "".join(
        next((chance.choice(kind) for kind in KINDS if sign in kind), sign)
        for sign in text[start:end]
    )
    return text[:start] + swapped + text[end:]


def make_canary(rule: Rule) -> Canary:
    """Returns a rule's first example, its secret varied as far as the rule still finds it."""
    example = rule.examples[0]
    start, end = find_secrets(rule, example)[0]
    chance = random.Random(rule.id)
    for last in (end, end - MIN_PIECE):
        for first in range(start, last):
            text = vary_text(example, first, last, chance)
            if (start, end) in find_secrets(rule, text):
                return Canary(rule.id, text, make_needles(text[start:end], first - start))
    raise AssertionError(rule.id)


def make_needles(secret: str, fixed: int) -> tuple[str, ...]:
    """Returns a secret, its forms in URLs, and its longer pieces without the shown ends."""
    pieces = re.findall(r"[A-Za-z0-9]+", secret[max(fixed, SHOWN_CHARACTERS) : -SHOWN_CHARACTERS])
    long = [piece for piece in pieces if len(piece) >= MIN_PIECE]
    ends = [piece[:MIN_PIECE] for piece in long] + [piece[-MIN_PIECE:] for piece in long]
    return tuple(dict.fromkeys([secret, quote(secret, safe=""), quote_plus(secret), *ends]))


def make_secret_name(name_rule: NameRule) -> tuple[str, str]:
    """Returns a secret name, and a value that no rule for values would find."""
    chance = random.Random(name_rule.words)
    value = "".join(chance.choice("ghijkmnpqrstuvwxyz") for _ in range(12))
    # Some names hide a value in a text only if the value is no word.
    if name_rule.extent is Extent.RANDOM_RUN:
        value = f"{value[:6]}7{value[7:]}"
    return "_".join(name_rule.words.split()), value


def can_be_header_name(canary: Canary) -> bool:
    """Returns whether a text can be a header's name, and is redacted in lower case, as in spans."""
    name = f"http.request.header.{canary.text.lower()}"
    is_redacted = name not in Redactor().redact_attributes({name: ""})
    return bool(re.fullmatch(r"[\w.\-]+", canary.text) and is_redacted)


def make_canaries() -> list[Canary]:
    """Returns a canary for each rule."""
    return [make_canary(rule) for rule in RULES]


def make_secret_names() -> dict[str, str]:
    """Returns a value for each secret name."""
    return dict(make_secret_name(name_rule) for name_rule in NAMES)

"""One secret of every rule and every name, each unlike all others, and how to tell it again."""

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

SHOWN = 4
"""Characters at each end that mode mask shows."""
SHORTEST = 8
"""Shorter pieces of a secret could stand somewhere by chance."""
KINDS = (string.digits, "abcdef", "ghijklmnopqrstuvwxyz", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ")


class Canary(NamedTuple):
    """A text with a secret in it, and what tells that the secret has got out."""

    rule: str
    text: str
    needles: tuple[str, ...]


def found_by(rule: Rule, text: str) -> list[tuple[int, int]]:
    """Where a rule, for itself alone, finds a secret."""
    finders = dict.fromkeys(finder for _, finder in build_rule_finders(rule))
    hits = [hit for finder in finders for hit in finder.find_hits(text, text.lower())]
    return sorted((hit.start, hit.end) for hit in hits)


def vary(text: str, start: int, end: int, chance: random.Random) -> str:
    """Every letter and digit of a part of a text replaced by another of its kind."""
    swapped = "".join(
        next((chance.choice(kind) for kind in KINDS if sign in kind), sign)
        for sign in text[start:end]
    )
    return text[:start] + swapped + text[end:]


def plant_one(rule: Rule) -> Canary:
    """A rule's first example, its secret varied as far as the rule still finds it."""
    example = rule.examples[0]
    start, end = found_by(rule, example)[0]
    chance = random.Random(rule.id)
    for last in (end, end - SHORTEST):
        for first in range(start, last):
            text = vary(example, first, last, chance)
            if (start, end) in found_by(rule, text):
                return Canary(rule.id, text, needles_of(text[start:end], first - start))
    raise AssertionError(rule.id)


def needles_of(secret: str, fixed: int) -> tuple[str, ...]:
    """A secret as it is and as URLs write it, and its longer pieces but for the ends."""
    pieces = re.findall(r"[A-Za-z0-9]+", secret[max(fixed, SHOWN) : -SHOWN])
    long = [piece for piece in pieces if len(piece) >= SHORTEST]
    cut = [piece[:SHORTEST] for piece in long] + [piece[-SHORTEST:] for piece in long]
    return tuple(dict.fromkeys([secret, quote(secret, safe=""), quote_plus(secret), *cut]))


def name_one(name_rule: NameRule) -> tuple[str, str]:
    """A name that hides its value, and a value that no rule for values would find."""
    chance = random.Random(name_rule.words)
    value = "".join(chance.choice("ghijkmnpqrstuvwxyz") for _ in range(12))
    # These count in a text only where the value is no word.
    drawn = f"{value[:6]}7{value[7:]}" if name_rule.extent is Extent.RANDOM_RUN else value
    return "_".join(name_rule.words.split()), drawn


def names_a_header(canary: Canary) -> bool:
    """Whether a text can be a header's name, which spans have in lower case, and be known there."""
    name = f"http.request.header.{canary.text.lower()}"
    known = name not in Redactor().redact_attributes({name: ""})
    return bool(re.fullmatch(r"[\w.\-]+", canary.text) and known)


def plant_all() -> list[Canary]:
    """A canary of every rule."""
    return [plant_one(rule) for rule in RULES]


def name_all() -> dict[str, str]:
    """A value of every name that hides its value."""
    return dict(name_one(name_rule) for name_rule in NAMES)

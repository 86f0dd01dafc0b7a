"""A hit is a part of a text that a rule wants redacted; overlapping hits are merged."""

from __future__ import annotations

from typing import Iterable, NamedTuple


class Hit(NamedTuple):
    """A part of a text that is to be redacted.

    Attributes:
        start: Position of the first character.
        end: Position behind the last character.
        rule: Id of the rule that found the secret.
        fully_hidden: Whether no character and no hash of the secret may be shown.
        quotes: Length of the quotation mark on either side, which a mark replaces together with a
            fully hidden value; 0 if the quotation marks stay.
    """

    start: int
    end: int
    rule: str
    fully_hidden: bool = False
    quotes: int = 0


def merge_hits(hits: Iterable[Hit]) -> list[Hit]:
    """Join overlapping hits; return the results in the order of the text."""
    merged: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end, hit.fully_hidden)):
        if merged and hit.start < merged[-1].end:
            merged[-1] = _join_hits(merged[-1], hit)
        else:
            merged.append(hit)
    return merged


def _join_hits(first: Hit, second: Hit) -> Hit:
    """Return the union of two hits, of which the first begins no later than the second.

    If one hit covers the whole union and may show its ends, it wins: a value rule knows the whole
    secret. Otherwise the union is fully hidden as soon as one of the hits is.
    """
    end = max(first.end, second.end)
    for hit in (first, second):
        if (hit.start, hit.end) == (first.start, end) and not hit.fully_hidden:
            return hit
    last = first if first.end == end else second
    quotes = last.quotes if last.start == first.start else 0
    return Hit(first.start, end, last.rule, first.fully_hidden or second.fully_hidden, quotes)

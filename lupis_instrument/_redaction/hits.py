"""What rules report: which part of a text is a secret, and whether any of it may be shown."""

from __future__ import annotations

from typing import Iterable, NamedTuple


class Hit(NamedTuple):
    """A part of a text that is to be hidden.

    Attributes:
        start: Where the secret begins.
        end: Where it ends (exclusive).
        rule: The id of the rule that found it.
        concealed: Whether nothing of it may be shown, as of a value hidden for its name.
        quotes: Length of the quotation mark on either side that goes with a concealed value.
    """

    start: int
    end: int
    rule: str
    concealed: bool = False
    quotes: int = 0


def merge(hits: Iterable[Hit]) -> list[Hit]:
    """Join hits that overlap, in order; each result is the whole range under its strictest hit."""
    merged: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end, hit.concealed)):
        if merged and hit.start < merged[-1].end:
            merged[-1] = _join(merged[-1], hit)
        else:
            merged.append(hit)
    return merged


def _join(first: Hit, second: Hit) -> Hit:
    """The union; a value rule that matched all of it may show its ends, else nothing is shown."""
    end = max(first.end, second.end)
    for hit in (first, second):
        if (hit.start, hit.end) == (first.start, end) and not hit.concealed:
            return hit
    whole = first if first.end == end else second
    quotes = whole.quotes if whole.start == first.start else 0
    return Hit(first.start, end, whole.rule, first.concealed or second.concealed, quotes)

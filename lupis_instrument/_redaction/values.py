"""Finds names in a text and the values that they hide: ``name=value``, ``"name": "value"``."""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple

from lupis_instrument._redaction.allowlist import (
    COMPUTED,
    END,
    NO_VALUE,
    SCHEME,
    is_code,
    is_empty,
    is_no_secret,
)
from lupis_instrument._redaction.assignments import (
    QUOTES,
    TAILS,
    has_options,
    leads_to_value,
    looks_drawn,
    must_look_drawn,
)
from lupis_instrument._redaction.hits import Hit
from lupis_instrument._redaction.names import PLURAL, Name, NameList

_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
_REACH = 64
_LONGEST_QUOTED = 8192
_LONGEST_NESTED = 4096
_NEAR, _FAR = 64, 512

_RUN = re.compile(rf"(?:[^{END}]|[)\]}}](?=[^{END}])|[\"'](?=\w)|\\(?![\\\"'`\s]|$))+", re.ASCII)
_DIGITS = re.compile(r"\d[\d .\-]{1,30}\d", re.ASCII)
_ANNOTATION = re.compile(r"&?(?:'?\w{1,16} )?[\w.\[\]<>*]{1,32}\s{0,4}=\s{0,4}(?=[bru]{0,2}[\"'])")
_OPENING = re.compile(r"[bBrRuUfF@]{0,2}(\\{0,16}[\"'`])")
_LINE = re.compile(r"[^\r\n]*")
_LAST_WORD = re.compile(r"[A-Za-z]+$")
_BRACKET = re.compile(r"[\[\]{}]")

# Finders may share a shorter literal to look for: fewer looks at every text.
_GATES = {
    "authorization": "auth",
    "credential": "cred",
    "credit": "cred",
}


class _Place(NamedTuple):
    """Where a name's value stands in a text."""

    start: int
    end: int
    quotes: int = 0


class NameFinder:
    """Looks for the names that contain one word, the anchor, and hides what they hide.

    Attributes:
        literal: The lower-case text without which none of the names can occur.
    """

    def __init__(self, anchor: str, pattern: str, names: NameList) -> None:
        self.literal = _GATES.get(anchor, anchor)
        self.rule = f"name:{anchor}"
        self._pattern = pattern
        self._regexes: dict[bool, re.Pattern[str]] = {}
        self._names = names
        self._known: dict[str, Name | None] = {}

    def find(self, text: str, lowered: str) -> Iterator[Hit]:
        """All values in the text that are hidden because of a name with this anchor."""
        options = has_options(lowered)
        if options not in self._regexes:
            self._regexes[options] = re.compile(self._pattern + TAILS[options], re.ASCII)
        done = 0
        for match in self._regexes[options].finditer(lowered):
            if match.start() < done:
                continue
            hit = self._hit(text, match)
            if hit:
                done = hit.end
                yield hit

    def _hit(self, text: str, match: re.Match[str]) -> Hit | None:
        start = _name_start(text, match.start())
        if not leads_to_value(text, start, match):
            return None
        row = self._row(text, start, match)
        if row is None:
            return None
        place = self._find_value(text, start, match, row)
        if place is None:
            return None
        # A quoted name is data, JSON mostly: without its quotes the value would break the syntax.
        quotes = 0 if match.group("close") else place.quotes
        return Hit(place.start, place.end, self.rule, concealed=True, quotes=quotes)

    def _find_value(self, text: str, start: int, match: re.Match[str], row: Name) -> _Place | None:
        """Where the value stands; None if there is none that has to be hidden.

        What is rejected is looked at in part only: else the time would grow with the square of a
        text that is full of names.
        """
        position = match.end()
        if row.value != "line":  # what follows such a name is no type but a scheme
            position = _after_annotation(text, position)
        if (
            NO_VALUE.match(text, position)
            or COMPUTED.match(text, position)
            or (
                text[position : position + 1] not in QUOTES
                and is_code(text, position, match, self._names)
            )
        ):
            return None
        weak = row.value == "drawn" or must_look_drawn(text, start, match)
        near = min(position + (_NEAR if weak or not row.numbers else _FAR), len(text))
        place = _find_end(text, start, position, match, row, near)
        whole = place is not None and place.end < near
        if place is None or self._is_harmless(text, place, match, row, whole=whole):
            return None
        if weak and not looks_drawn(text[place.start : place.end]):
            return None
        if whole:
            return place
        return _find_end(text, start, position, match, row, len(text))

    def _is_harmless(
        self, text: str, place: _Place, match: re.Match[str], row: Name, *, whole: bool
    ) -> bool:
        value = text[place.start : place.end].strip()
        if is_empty(value):
            return whole or place.end == len(text)
        if place.quotes:
            return False
        return is_no_secret(value, row, self._names, data=bool(match.group("close")))

    def _row(self, text: str, start: int, match: re.Match[str]) -> Name | None:
        """The row for this name, or for it and the word before: ``API key: …``."""
        name = text[start : match.end("rest")]
        if name not in self._known:
            if len(self._known) > 1024:  # noqa: PLR2004 - a bound, no more
                self._known.clear()
            self._known[name] = self._names.find(name)
        row = self._known[name]
        if row is None and start and text[start - 1] == " ":
            before = _LAST_WORD.search(text[max(0, start - _REACH) : start - 1])
            row = self._names.find(f"{before.group()} {name}") if before else None
        if row is None and match.group("loose") is not None:
            row = self._names.find_within(name)
        return row


def build_finders(names: NameList) -> list[NameFinder]:
    """One finder for each anchor of the list."""
    patterns: dict[str, list[str]] = {}
    for row in names.rows:
        words = row.words.split()
        by_last = len(words) > 1 and words[-1] in {"key", "pass", "token"}
        anchor = words[-1] if by_last else words[0]
        patterns.setdefault(anchor, []).append(_around(words, by_last))
    shortest = [a for a in patterns if not any(a != b and a.startswith(b) for b in patterns)]
    return [NameFinder(a, _pattern(a, patterns), names) for a in shortest]


def _around(words: list[str], by_last: bool) -> str:
    if by_last and words[-1] == "key":
        first = re.escape(words[-2])
        return rf"(?:(?<={first}.key)|(?<={first}key))"
    return "" if by_last else "".join(rf"[ _.\-]?{re.escape(word)}" for word in words[1:])


def _pattern(anchor: str, patterns: dict[str, list[str]]) -> str:
    """The literal first: `re` then searches for it as fast as `str.find` does."""
    ways = patterns[anchor]
    longer = any(other != anchor and other.startswith(anchor) for other in patterns)
    around = "" if longer or "" in ways else f"(?:{'|'.join(sorted(set(ways)))})"
    if around and anchor == "key":  # most keys have nothing before them: one look for all
        around = f"(?:(?<=[a-z0-9][ _.\\-]key)|(?<=[a-z0-9]key)){around}"
    plural = f"{anchor}s" in patterns or anchor.endswith("s") or anchor in PLURAL
    single = "" if plural else "(?!s(?![a-z]))"
    return f"{re.escape(anchor)}{around}{single}"


def _name_start(text: str, position: int) -> int:
    """Where the name around a position begins; an escape before it is no part of it."""
    head = text[max(0, position - _REACH) : position]
    start = position - (len(head) - len(head.rstrip(_NAME_CHARACTERS)))
    if start < position and start and text[start - 1] == "\\":
        start += 1
    return start


def _after_annotation(text: str, position: int) -> int:
    annotation = _ANNOTATION.match(text, position)
    return annotation.end() if annotation else position


def _find_end(  # noqa: PLR0917 - all of what bears on it
    text: str, start: int, position: int, match: re.Match[str], row: Name, limit: int
) -> _Place | None:
    """Where the value ends that begins at a position, looked for up to a limit."""
    opening = _OPENING.match(text, position)
    if opening:
        return _quoted(text, opening, limit)
    if text[position : position + 1] in {"[", "{"}:
        return _nested(text, position, limit)
    if row.value == "line" and match.group("sign") and "=" not in match.group("sign"):
        return _rest_of_line(text, start, position, limit)
    return _unquoted(text, position, row, limit)


def _quoted(text: str, opening: re.Match[str], limit: int) -> _Place:
    """Up to the same quotation mark, one escaped more deeply being part of the value."""
    mark = opening.group(1)
    start = opening.end()
    escapes = len(mark) - 1
    last = min(limit, start + _LONGEST_QUOTED)
    position = text.find(mark[-1], start, last)
    while position >= 0:
        slashes = position - len(text[start:position].rstrip("\\")) - start
        if slashes <= escapes or (not escapes and slashes % 2 == 0):
            return _Place(start, position - min(slashes, escapes), len(mark))
        position = text.find(mark[-1], position + 1, last)
    line = _LINE.match(text, start, limit)
    return _Place(start, line.end() if line else start)


def _nested(text: str, start: int, limit: int) -> _Place:
    """A list or object up to its closing bracket, or to the end of the line if there is none."""
    depth = 0
    for match in _BRACKET.finditer(text, start, min(limit, start + _LONGEST_NESTED)):
        depth += 1 if match.group() in "[{" else -1
        if depth == 0:
            return _Place(start, match.end())
    line = _LINE.match(text, start, limit)
    return _Place(start, line.end() if line else start)


def _rest_of_line(text: str, start: int, position: int, limit: int) -> _Place:
    """A header field's value; it ends before the quotation mark that stands before the name."""
    line = _LINE.match(text, position, limit)
    end = line.end() if line else position
    if start and text[start - 1] in QUOTES:
        close = text.find(text[start - 1], position, end)
        end = close if close >= 0 else end
    return _Place(position, position + len(text[position:end].rstrip("\\ \t")))


def _unquoted(text: str, position: int, row: Name, limit: int) -> _Place | None:
    if row.value == "digits":
        digits = _DIGITS.match(text, position)
        if digits:
            return _Place(position, digits.end())
    scheme = SCHEME.match(text, position) if row.value == "line" else None
    run = _RUN.match(text, scheme.end() if scheme else position, limit)
    return _Place(position, run.end()) if run else None

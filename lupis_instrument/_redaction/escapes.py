"""Reads a text as its receiver would, escapes undone, and keeps where each character came from."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

# Percent-encoding (RFC 3986), the escapes of JSON (RFC 8259) and of Python's, C's and JavaScript's
# literals, HTML's character references, a terminal's colours (ECMA-48), and what is left of UTF-16.
# By what they begin with, the rest of each.
_BY_BEGINNING = {
    "%": r"[0-9A-Fa-f]{2}",
    "\\": (
        r"(?:u[0-9A-Fa-f]{4}|U(?:00[01][0-9A-Fa-f]{5}|[0-9A-Fa-f]{4})|u\{[0-9A-Fa-f]{1,6}\}"
        r"|x[0-9A-Fa-f]{2}|[0-7]{3}|[/abfnrtv0])"
    ),
    "&": r"(?:quot|amp|apos|lt|gt|equals|colon|nbsp|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});",
    "\x1b": r"\[[0-9;]{0,80}m",
    "\x00": "",
}
# Of a text with one of these only, `re` is twice as quick to find them.
_ONE = {each: re.compile(re.escape(each) + rest) for each, rest in _BY_BEGINNING.items()}
_ESCAPE = re.compile("|".join(re.escape(each) + rest for each, rest in _BY_BEGINNING.items()))
_ASCII = 128
# One beyond ASCII only has to be no letter or digit.
_OTHER = "\ufffd"
_HEX = "0123456789abcdefABCDEF"
_KNOWN = {f"&{name};": sign for name, sign in zip(
    ("quot", "amp", "apos", "lt", "gt", "equals", "colon", "nbsp", "#34", "#39", "#x22", "#x27"),
    "\"&'<>=: \"'\"'",
)}  # fmt: skip
_KNOWN.update(dict.fromkeys("\u00a0\u2009\u202f\u3000", " "))
_KNOWN.update({"\\/": "/", "\x00": ""}, **{f"\\{sign}": " " for sign in "abfnrtv0"})
_KNOWN.update(
    (f"{mark}{a}{b}", chr(int(a + b, 16)).strip("\0") if int(a + b, 16) < _ASCII else _OTHER)
    for mark in ("%", "\\x", "\\u00")
    for a in _HEX
    for b in _HEX
)
_NUMBER = re.compile(
    r"\\[uU]\{?(?P<hex>[0-9A-Fa-f]+)|&#[xX](?P<ref>\w+)|&#(?P<dec>\d+)|\\(?P<oct>\d+)"
)
# Those whose signs can't be a part of another escape.
_PLAIN = frozenset(
    escape for escape, sign in _KNOWN.items() if not sign.isalnum() and sign not in "%\\&#;[\x1b"
)
# To replace so many different ones one after another is quicker than all in one go.
_FEW = 8


class _Beyond(NamedTuple):
    """What finds escapes in a text beyond ASCII.

    Attributes:
        beginning: The first character of any.
        escape: Escapes, and characters that are read as others.
        twin: The same, letters of other scripts among them.
    """

    beginning: re.Pattern[str]
    escape: re.Pattern[str]
    twin: re.Pattern[str]


@lru_cache(maxsize=None)
def _beyond() -> _Beyond:
    # Made for the first text that needs them: all of Unicode is behind it.
    from lupis_instrument._redaction.homoglyphs import ALWAYS, QUOTED, QUOTES, TWINS

    beginnings = "".join(map(re.escape, _BY_BEGINNING)) + ALWAYS + QUOTES
    rests = "|".join(f"(?<={re.escape(each)}){rest}" for each, rest in _BY_BEGINNING.items())
    # What begins with a class of characters, `re` finds quickly.
    return _Beyond(
        re.compile(f"[{beginnings}]"),
        re.compile(f"[{beginnings}](?:(?<=[{ALWAYS}])|{rests}|{QUOTED})"),
        re.compile(f"[{beginnings}{TWINS}](?:(?<=[{ALWAYS}{TWINS}])|{rests}|{QUOTED})"),
    )


class View(NamedTuple):
    """A text with its escapes undone.

    Attributes:
        text: The decoded text.
        starts: Positions in ``text`` from which on ``shifts`` holds, ascending.
        shifts: How much further to the right a position lies in the original.
    """

    text: str
    starts: list[int]
    shifts: list[int]

    def origin(self, position: int) -> int:
        """The position in the original text."""
        return position + self.shifts[bisect_right(self.starts, position) - 1]


def has_escapes(text: str) -> bool:
    """Whether it can pay to decode the text: a cheap look, sometimes wrongly yes."""
    if "%" in text or "\\" in text or ("&" in text and ";" in text):
        return True
    return "\x1b" in text or "\x00" in text or (not text.isascii() and _has_lookalikes(text))


def keep_escaped(text: str) -> str:
    """The lines of a text that may have escapes."""
    lines = text.split("\n")
    if len(lines) == 1:
        return text
    if text.isascii():
        first, *others = [each for each in _BY_BEGINNING if each in text]
        if not others:
            return "\n".join([line for line in lines if first in line])
        if len(others) == 1:
            second = others[0]
            return "\n".join([line for line in lines if first in line or second in line])
    if _has_twins(text):
        return text
    return "\n".join([line for line in lines if _beyond().beginning.search(line)])


def find_escapes(text: str) -> set[str]:
    """All the different escapes in a text."""
    return set(_regex(text).findall(text))


def has_letters(escapes: set[str]) -> bool:
    """Whether some escapes stand for letters or digits."""
    return not escapes <= _PLAIN and any(_character(escape).isalnum() for escape in escapes)


def decode(text: str, escapes: set[str], *, apart: bool = False) -> str:
    """Undo one level of escapes.

    Args:
        text: The text.
        escapes: All that are in it.
        apart: Whether letters and digits that were escaped are to end what stands around them.
    """
    if len(escapes) <= _FEW and escapes <= _PLAIN:
        for escape in escapes:
            text = text.replace(escape, _KNOWN[escape])
        return text
    signs = {escape: _character(escape, apart=apart) for escape in escapes}
    return _regex_of(escapes, text).sub(lambda match: signs[match.group()], text)


def decode_with_places(text: str, escapes: set[str], *, apart: bool = False) -> View:
    """As `decode`, and keep where what is left came from."""
    pieces: list[str] = []
    starts, shifts = [0], [0]
    done = length = 0
    for match in _regex_of(escapes, text).finditer(text):
        character = _character(match.group(), apart=apart)
        pieces += (text[done : match.start()], character)
        length += match.start() - done + len(character)
        done = match.end()
        starts.append(length)
        shifts.append(done - length)
    pieces.append(text[done:])
    return View("".join(pieces), starts, shifts)


def _character(escape: str, *, apart: bool = False) -> str:
    """What an escape stands for."""
    known = _KNOWN.get(escape)
    if known is None:
        known = _unknown(escape)
    return _OTHER if apart and known.isalnum() else known


def _unknown(escape: str) -> str:
    """What one that is no row of the table stands for: a number, a colour, a look-alike."""
    from lupis_instrument._redaction.homoglyphs import read

    number = _NUMBER.match(escape)
    if number is None:
        sign = " " if escape[0] == "\x1b" else read(escape)
    else:
        base = {"dec": 10, "oct": 8}.get(str(number.lastgroup), 16)
        code = int(number[str(number.lastgroup)], base)
        sign = read(chr(code)) if code <= sys.maxunicode else _OTHER
    return sign if sign.isascii() else _OTHER


def _regex_of(escapes: set[str], text: str) -> re.Pattern[str]:
    """What finds these escapes: quicker than `_regex`, as others don't occur."""
    beginnings = {escape[0] for escape in escapes}
    one = _ONE.get(beginnings.pop()) if len(beginnings) == 1 else None
    return one or _regex(text)


def _regex(text: str) -> re.Pattern[str]:
    if text.isascii():
        beginnings = [each for each in _BY_BEGINNING if each in text]
        return _ONE[beginnings[0]] if len(beginnings) == 1 else _ESCAPE
    return _beyond().twin if _has_twins(text) else _beyond().escape


def _has_lookalikes(text: str) -> bool:
    from lupis_instrument._redaction.homoglyphs import has_lookalikes

    return has_lookalikes(text)


def _has_twins(text: str) -> bool:
    from lupis_instrument._redaction.homoglyphs import has_twins

    return has_twins(text)

"""Reads a text as its receiver would, escapes undone, and keeps where each character came from."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

# Percent-encoding (RFC 3986), the escapes of JSON (RFC 8259) and of Python's and C's literals,
# HTML's character references, a terminal's colours (ECMA-48).
_ESCAPES = (
    r"%[0-9A-Fa-f]{2}|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})|\\(?:[/abfnrtv]|[0-7]{3})"
    r"|&(?:quot|amp|apos|lt|gt|#34|#39|#x22|#x27);|\x1b\[[0-9;]{0,20}m"
)
# What no one sees, and the full-width forms of what is in ASCII.
_UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_WIDE = re.compile(f"[{_UNSEEN}\uff01-\uff5e]")
_ESCAPE = re.compile(_ESCAPES)
_ANY_ESCAPE = re.compile(f"{_ESCAPES}|{_WIDE.pattern}")
_ASCII = 128
_KNOWN = {f"&{name};": sign for name, sign in zip(
    ("quot", "amp", "apos", "lt", "gt", "#34", "#39", "#x22", "#x27"), "\"&'<>\"'\"'"
)}  # fmt: skip
_KNOWN["\\/"] = "/"
_KNOWN.update((sign, "") for sign in _UNSEEN)
_KNOWN.update((chr(code + 0xFEE0), chr(code)) for code in range(0x21, 0x7F))
_HEX = "0123456789abcdefABCDEF"
# One beyond ASCII only has to be no letter or digit.
_KNOWN.update(
    (f"{mark}{a}{b}", chr(int(a + b, 16)) if int(a + b, 16) < _ASCII else "\ufffd")
    for mark in ("%", "\\x", "\\u00")
    for a in _HEX
    for b in _HEX
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
    if "%" in text or "\\" in text or "\x1b" in text or ("&" in text and ";" in text):
        return True
    return not text.isascii() and bool(_WIDE.search(text))


def decode(text: str) -> str:
    """Undo one level of escapes."""
    return _regex(text).sub(_character, text)


def decode_with_places(text: str) -> View:
    """Undo one level of escapes, and keep where what is left came from."""
    pieces: list[str] = []
    starts, shifts = [0], [0]
    done = length = 0
    for match in _regex(text).finditer(text):
        character = _character(match)
        pieces += (text[done : match.start()], character)
        length += match.start() - done + len(character)
        done = match.end()
        starts.append(length)
        shifts.append(done - length)
    pieces.append(text[done:])
    return View("".join(pieces), starts, shifts)


def _character(match: re.Match[str]) -> str:
    """What an escape stands for."""
    escape = match.group()
    known = _KNOWN.get(escape)
    if known is None:
        return "\ufffd" if escape[1] == "u" else " "
    return known


def _regex(text: str) -> re.Pattern[str]:
    return _ESCAPE if text.isascii() else _ANY_ESCAPE

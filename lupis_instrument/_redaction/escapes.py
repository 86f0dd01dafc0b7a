"""Reads a text as its receiver would, escapes undone, and keeps where each character came from."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

# Percent-encoding (RFC 3986), the escapes of JSON (RFC 8259) and of Python's and C's literals,
# HTML's character references, a terminal's colours (ECMA-48).
_ESCAPES = (
    r"%[0-9A-Fa-f]{2}|\\(?:u[0-9A-Fa-f]{4}|U(?:00[01][0-9A-Fa-f]{5}|[0-9A-Fa-f]{4})|x[0-9A-Fa-f]{2})"
    r"|\\(?:[0-7]{3}|[/abfnrtv0])|&(?:quot|amp|apos|lt|gt|#34|#39|#x22|#x27);|\x1b\[[0-9;]{0,80}m"
)
_BEGINNINGS = "%\\&\x1b"
# What no one sees, and the full-width forms of what is in ASCII.
_UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_WIDE = re.compile(f"[{_UNSEEN}\uff01-\uff5e]")
_ESCAPE = re.compile(_ESCAPES)
_ANY_ESCAPE = re.compile(f"{_ESCAPES}|{_WIDE.pattern}")
_ASCII = 128
# One beyond ASCII only has to be no letter or digit.
_OTHER = "\ufffd"
_SEEN = {ord(sign): "" for sign in _UNSEEN}
_SEEN.update((code + 0xFEE0, chr(code)) for code in range(0x21, 0x7F))
_SEEN.update((code, chr(code)) for code in range(_ASCII))
_KNOWN = {f"&{name};": sign for name, sign in zip(
    ("quot", "amp", "apos", "lt", "gt", "#34", "#39", "#x22", "#x27"), "\"&'<>\"'\"'"
)}  # fmt: skip
_KNOWN["\\/"] = "/"
_KNOWN.update((f"\\{sign}", " ") for sign in "abfnrtv0")
_KNOWN.update((chr(code), sign) for code, sign in _SEEN.items() if code >= _ASCII)
_HEX = "0123456789abcdefABCDEF"
_KNOWN.update(
    (f"{mark}{a}{b}", _SEEN.get(int(a + b, 16), _OTHER))
    for mark in ("%", "\\x", "\\u00")
    for a in _HEX
    for b in _HEX
)
# Those whose signs can't be a part of another escape.
_PLAIN = frozenset(
    escape for escape, sign in _KNOWN.items() if not sign.isalnum() and sign not in "%\\&#;[\x1b"
)
# To replace so many different ones one after another is quicker than all in one go.
_FEW = 8


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


def keep_escaped(text: str) -> str:
    """The lines of a text that may have escapes."""
    lines = text.split("\n")
    if len(lines) == 1:
        return text
    if text.isascii():
        marks = [mark for mark in _BEGINNINGS if mark in text]
        if len(marks) == 1:
            mark = marks[0]
            return "\n".join([line for line in lines if mark in line])
    return "\n".join([line for line in lines if has_escapes(line)])


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
    return _regex(text).sub(lambda match: signs[match.group()], text)


def decode_with_places(text: str, *, apart: bool = False) -> View:
    """Undo one level of escapes, and keep where what is left came from."""
    pieces: list[str] = []
    starts, shifts = [0], [0]
    done = length = 0
    for match in _regex(text).finditer(text):
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
        known = _SEEN.get(_code(escape), _OTHER)
    return _OTHER if apart and known.isalnum() else known


def _code(escape: str) -> int:
    """The number of the character, for those that are no row of a table; of colours, a blank's."""
    if escape[1] in "uU":
        return int(escape.lstrip("\\uU"), 16)
    return int(escape[1:], 8) if escape[1].isdigit() else ord(" ")


def _regex(text: str) -> re.Pattern[str]:
    return _ESCAPE if text.isascii() else _ANY_ESCAPE

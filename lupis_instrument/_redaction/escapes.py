"""Reads a text as its receiver would, escapes undone, and keeps where each character came from."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

# Percent-encoding (RFC 3986), the escapes of JSON (RFC 8259) and of Python's and C's literals,
# HTML's character references, a terminal's colours (ECMA-48).
_ESCAPE = re.compile(
    r"%([0-9A-Fa-f]{2})|\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))|\\([/abfnrtv]|[0-7]{3})"
    r"|&(quot|amp|apos|lt|gt|#34|#39|#x22|#x27);|\x1b\[[0-9;]{0,20}m"
)
_REFERENCES = {"quot": '"', "amp": "&", "apos": "'", "lt": "<", "gt": ">", "#34": '"', "#39": "'"}
_REFERENCES.update({"#x22": '"', "#x27": "'"})
_ASCII = 128


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
    return "%" in text or "\\" in text or "\x1b" in text or ("&" in text and ";" in text)


def decode(text: str) -> View | None:
    """Undo one level of escapes; None if there are none."""
    pieces: list[str] = []
    starts, shifts = [0], [0]
    done = length = 0
    for match in _ESCAPE.finditer(text):
        pieces += (text[done : match.start()], _character(match))
        length += match.start() - done + 1
        done = match.end()
        starts.append(length)
        shifts.append(done - length)
    if not pieces:
        return None
    pieces.append(text[done:])
    return View("".join(pieces), starts, shifts)


def _character(match: re.Match[str]) -> str:
    """What an escape stands for; one beyond ASCII only has to be no letter or digit."""
    percent, code, byte, letter, reference = match.groups()
    if reference:
        return _REFERENCES[reference]
    if letter or not (percent or code or byte):
        return "/" if letter == "/" else " "
    number = int(percent or code or byte, 16)
    return chr(number) if number < _ASCII else "\ufffd"

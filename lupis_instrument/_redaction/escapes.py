"""Reads a text as its receiver would, escapes undone, and keeps where each character came from."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

# Percent-encoding (RFC 3986), JSON's \u003d, \/ and \n (RFC 8259), HTML's character references.
_ESCAPE = re.compile(
    r"%([0-9A-Fa-f]{2})|\\u00([0-9A-Fa-f]{2})|\\([/nrt])|&(quot|amp|apos|lt|gt|#34|#39|#x22|#x27);"
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
    return "%" in text or "\\" in text or ("&" in text and ";" in text)


def decode(text: str) -> View | None:
    """Undo one level of escapes; None if there are none."""
    pieces: list[str] = []
    starts, shifts = [0], [0]
    done = length = 0
    for match in _ESCAPE.finditer(text):
        character = _character(match)
        if not character:
            continue
        pieces += (text[done : match.start()], character)
        length += match.start() - done + 1
        done = match.end()
        starts.append(length)
        shifts.append(done - length)
    if not pieces:
        return None
    pieces.append(text[done:])
    return View("".join(pieces), starts, shifts)


def _character(match: re.Match[str]) -> str:
    """What an escape stands for, or nothing if that is beyond ASCII: no rule speaks of it."""
    if match.group(4):
        return _REFERENCES[match.group(4)]
    if match.group(3):
        return "/" if match.group(3) == "/" else " "
    code = int(match.group(1) or match.group(2), 16)
    return chr(code) if code < _ASCII else ""

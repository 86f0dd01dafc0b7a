r"""Decodes the escapes of a text, as the text's receiver would, and maps positions back.

``password%3Ds3cr3t`` and ``{\"password\": \"s3cr3t\"}`` hold a name and its value only for a reader
who decodes them. `find_escapes` lists the different escapes of a text and `decode` replaces them by
their characters. `decode_with_positions` also keeps where each character came from, so that a
secret found in the decoded text can be replaced in the original one. Each decodes one level: of a
URL in a URL, the inner one stays encoded.

Beyond ASCII, invisible characters and homoglyphs count as escapes, too (see `homoglyphs`).
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

# Escapes by their first character: the regex of the characters behind it. They are
# percent-encoding (RFC 3986), the escapes of JSON (RFC 8259) and of literals in Python, C and
# JavaScript, HTML's character references, a terminal's colours (ECMA-48), and the null bytes that
# UTF-16 leaves between ASCII characters.
_BY_FIRST_CHARACTER = {
    "%": r"[0-9A-Fa-f]{2}",
    "\\": (
        r"(?:u[0-9A-Fa-f]{4}|U(?:00[01][0-9A-Fa-f]{5}|[0-9A-Fa-f]{4})|u\{[0-9A-Fa-f]{1,6}\}"
        r"|x[0-9A-Fa-f]{2}|[0-7]{3}|[/abfnrtv0])"
    ),
    "&": r"(?:quot|amp|apos|lt|gt|equals|colon|nbsp|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});",
    "\x1b": r"\[[0-9;]{0,80}m",
    "\x00": "",
}
# One regex for each first character: in a text with one kind of escapes, it is twice as fast.
_REGEXES = {
    first: re.compile(re.escape(first) + behind) for first, behind in _BY_FIRST_CHARACTER.items()
}
_ANY_ESCAPE = re.compile(
    "|".join(re.escape(first) + behind for first, behind in _BY_FIRST_CHARACTER.items())
)
_ASCII = 128
# Stands for every character beyond ASCII: to the rules, all that matters is that it is no letter or
# digit.
_SEPARATOR = "\ufffd"
_HEX = "0123456789abcdefABCDEF"
# The characters of the common escapes; `_read_rare_escape` reads the others.
_CHARACTERS = {f"&{name};": character for name, character in zip(
    ("quot", "amp", "apos", "lt", "gt", "equals", "colon", "nbsp", "#34", "#39", "#x22", "#x27"),
    "\"&'<>=: \"'\"'",
)}  # fmt: skip
_CHARACTERS.update(dict.fromkeys("\u00a0\u2009\u202f\u3000", " "))
_CHARACTERS.update({"\\/": "/", "\x00": ""}, **{f"\\{letter}": " " for letter in "abfnrtv0"})
_CHARACTERS.update(
    (f"{start}{a}{b}", chr(int(a + b, 16)).strip("\0") if int(a + b, 16) < _ASCII else _SEPARATOR)
    for start in ("%", "\\x", "\\u00")
    for a in _HEX
    for b in _HEX
)
_NUMBER = re.compile(
    r"\\[uU]\{?(?P<hex>[0-9A-Fa-f]+)|&#[xX](?P<ref>\w+)|&#(?P<dec>\d+)|\\(?P<oct>\d+)"
)
# Escapes whose character can neither be a letter or digit nor a part of another escape.
_SIMPLE = frozenset(
    escape
    for escape, character in _CHARACTERS.items()
    if not character.isalnum() and character not in "%\\&#;[\x1b"
)
# Up to so many different escapes, replacing one after another is faster than one regex for all.
_MAX_REPLACED = 8


class _UnicodeRegexes(NamedTuple):
    """Regexes for the escapes of a text beyond ASCII.

    Attributes:
        first: The first character of any escape.
        escape: Escapes, and characters that are always read as others.
        confusable: The same, and confusable letters of other scripts.
    """

    first: re.Pattern[str]
    escape: re.Pattern[str]
    confusable: re.Pattern[str]


@lru_cache(maxsize=None)
def _compile_unicode() -> _UnicodeRegexes:
    """Compile the regexes for the first text that needs them: they load all of Unicode's data."""
    from lupis_instrument._redaction.homoglyphs import (
        ALWAYS_READ,
        CONFUSABLE_LETTERS,
        QUOTE_CONTEXT,
        QUOTES,
    )

    firsts = "".join(map(re.escape, _BY_FIRST_CHARACTER)) + ALWAYS_READ + QUOTES
    behind = "|".join(
        f"(?<={re.escape(first)}){behind}" for first, behind in _BY_FIRST_CHARACTER.items()
    )
    # `re` searches fast for a regex that begins with a class of characters.
    return _UnicodeRegexes(
        re.compile(f"[{firsts}]"),
        re.compile(f"[{firsts}](?:(?<=[{ALWAYS_READ}])|{behind}|{QUOTE_CONTEXT})"),
        re.compile(
            f"[{firsts}{CONFUSABLE_LETTERS}]"
            f"(?:(?<=[{ALWAYS_READ}{CONFUSABLE_LETTERS}])|{behind}|{QUOTE_CONTEXT})"
        ),
    )


class View(NamedTuple):
    """A decoded text whose positions can be mapped back to the original text.

    Attributes:
        text: The decoded text.
        starts: Ascending positions in ``text``, at each of which a shift begins to hold.
        shifts: The numbers of characters by which positions lie further right in the original.
    """

    text: str
    starts: list[int]
    shifts: list[int]

    def map_position(self, position: int) -> int:
        """Return the position in the original text."""
        return position + self.shifts[bisect_right(self.starts, position) - 1]


def keep_escaped_lines(text: str) -> str:
    """Return the lines of a text that may have escapes; decoding cannot change the others."""
    lines = text.split("\n")
    if len(lines) == 1:
        return text
    if text.isascii():
        first, *others = [character for character in _BY_FIRST_CHARACTER if character in text]
        if not others:
            return "\n".join([line for line in lines if first in line])
        if len(others) == 1:
            second = others[0]
            return "\n".join([line for line in lines if first in line or second in line])
    if _has_mixed_scripts(text):
        return text
    return "\n".join([line for line in lines if _compile_unicode().first.search(line)])


def find_escapes(text: str) -> set[str]:
    """Return all different escapes in a text."""
    return set(_choose_regex(text).findall(text))


def stand_for_letters(escapes: set[str]) -> bool:
    """Return whether one of the escapes stands for a letter or a digit."""
    return not escapes <= _SIMPLE and any(_read_escape(escape).isalnum() for escape in escapes)


def decode(text: str, escapes: set[str], *, separate: bool = False) -> str:
    """Decode one level of escapes.

    Args:
        text: The text.
        escapes: All different escapes in the text.
        separate: Whether escaped letters and digits are read as separators.
    """
    if len(escapes) <= _MAX_REPLACED and escapes <= _SIMPLE:
        for escape in escapes:
            text = text.replace(escape, _CHARACTERS[escape])
        return text
    characters = {escape: _read_escape(escape, separate=separate) for escape in escapes}
    return _choose_regex_for(escapes, text).sub(lambda match: characters[match.group()], text)


def decode_with_positions(text: str, escapes: set[str], *, separate: bool = False) -> View:
    """Do the same as `decode`, and keep where each character came from.

    Args:
        text: The text.
        escapes: All different escapes in the text.
        separate: Whether escaped letters and digits are read as separators.
    """
    pieces: list[str] = []
    starts, shifts = [0], [0]
    done = length = 0
    for match in _choose_regex_for(escapes, text).finditer(text):
        character = _read_escape(match.group(), separate=separate)
        pieces += (text[done : match.start()], character)
        length += match.start() - done + len(character)
        done = match.end()
        starts.append(length)
        shifts.append(done - length)
    pieces.append(text[done:])
    return View("".join(pieces), starts, shifts)


def _read_escape(escape: str, *, separate: bool = False) -> str:
    """Return the character that an escape stands for; empty for an invisible one."""
    character = _CHARACTERS.get(escape)
    if character is None:
        character = _read_rare_escape(escape)
    return _SEPARATOR if separate and character.isalnum() else character


def _read_rare_escape(escape: str) -> str:
    """Return the character of an escape that the table lacks: a number, a colour, a homoglyph."""
    from lupis_instrument._redaction.homoglyphs import read_character

    number = _NUMBER.match(escape)
    if number is None:
        character = " " if escape[0] == "\x1b" else read_character(escape)
    else:
        base = {"dec": 10, "oct": 8}.get(str(number.lastgroup), 16)
        code = int(number[str(number.lastgroup)], base)
        character = read_character(chr(code)) if code <= sys.maxunicode else _SEPARATOR
    return character if character.isascii() else _SEPARATOR


def _choose_regex_for(escapes: set[str], text: str) -> re.Pattern[str]:
    """Return a regex that finds these escapes: a faster one if all begin with one character."""
    firsts = {escape[0] for escape in escapes}
    regex = _REGEXES.get(firsts.pop()) if len(firsts) == 1 else None
    return regex or _choose_regex(text)


def _choose_regex(text: str) -> re.Pattern[str]:
    """Return the fastest regex that finds all escapes of the text."""
    if text.isascii():
        firsts = [first for first in _BY_FIRST_CHARACTER if first in text]
        return _REGEXES[firsts[0]] if len(firsts) == 1 else _ANY_ESCAPE
    regexes = _compile_unicode()
    return regexes.confusable if _has_mixed_scripts(text) else regexes.escape


def _has_mixed_scripts(text: str) -> bool:
    from lupis_instrument._redaction.homoglyphs import has_mixed_scripts

    return has_mixed_scripts(text)

"""Finds where a value ends: at its quotation mark, its bracket, a delimiter or the line end."""

from __future__ import annotations

import re
from typing import NamedTuple

from lupis_instrument._redaction.allowlist import SCHEME, VALUE_END
from lupis_instrument._redaction.assignments import QUOTES
from lupis_instrument._redaction.names import Extent, NameRule

# A value without a closing quotation mark or bracket in so many characters ends with its line.
_MAX_QUOTED = 8192
_MAX_NESTED = 4096
_UNQUOTED = re.compile(
    rf"(?:[^{VALUE_END}]|[)\]}}](?=[^{VALUE_END}])|[\"'](?=\w)|\\(?![\\\"'`\s]|$))+", re.ASCII
)
_DIGITS = re.compile(r"\d[\d .\-]{1,30}\d", re.ASCII)
_OPENING = re.compile(r"[bBrRuUfF@]{0,2}(\\{0,16}[\"'`])")
_LINE = re.compile(r"[^\r\n]*")
_BRACKET = re.compile(r"[\[\]{}]")


class Value(NamedTuple):
    """The position of a value in a text.

    Attributes:
        start: Position of the first character.
        end: Position behind the last character.
        quotes: Length of the quotation mark on either side; 0 if there is none.
    """

    start: int
    end: int
    quotes: int = 0


def find_value_end(  # noqa: PLR0917 - everything that decides where a value ends
    text: str, start: int, position: int, match: re.Match[str], name_rule: NameRule, limit: int
) -> Value | None:
    """Return the value that begins at a position, cut at a limit."""
    opening = _OPENING.match(text, position)
    if opening:
        return _find_quoted_end(text, opening, limit)
    if text[position : position + 1] in {"[", "{"}:
        return _find_nested_end(text, position, limit)
    sign = match.group("sign")
    if name_rule.extent is Extent.LINE and sign and "=" not in sign:
        return _find_line_end(text, start, position, limit)
    return _find_unquoted_end(text, position, name_rule, limit)


def _find_quoted_end(text: str, opening: re.Match[str], limit: int) -> Value:
    """Return the value up to the closing quotation mark.

    A quotation mark behind more backslashes than the opening one belongs to the value.
    """
    mark = opening.group(1)
    start = opening.end()
    escapes = len(mark) - 1
    last = min(limit, start + _MAX_QUOTED)
    position = text.find(mark[-1], start, last)
    while position >= 0:
        slashes = position - len(text[start:position].rstrip("\\")) - start
        if slashes <= escapes or (not escapes and slashes % 2 == 0):
            return Value(start, position - min(slashes, escapes), len(mark))
        position = text.find(mark[-1], position + 1, last)
    line = _LINE.match(text, start, limit)
    return Value(start, line.end() if line else start)


def _find_nested_end(text: str, start: int, limit: int) -> Value:
    """Return a list or object up to its closing bracket, or to the end of the line without one."""
    depth = 0
    for match in _BRACKET.finditer(text, start, min(limit, start + _MAX_NESTED)):
        depth += 1 if match.group() in "[{" else -1
        if depth == 0:
            return Value(start, match.end())
    line = _LINE.match(text, start, limit)
    return Value(start, line.end() if line else start)


def _find_line_end(text: str, start: int, position: int, limit: int) -> Value:
    """Return a header field's value, up to the quotation mark that also stands before the name."""
    line = _LINE.match(text, position, limit)
    end = line.end() if line else position
    if start and text[start - 1] in QUOTES:
        close = text.find(text[start - 1], position, end)
        end = close if close >= 0 else end
    return Value(position, position + len(text[position:end].rstrip("\\ \t")))


def _find_unquoted_end(text: str, position: int, name_rule: NameRule, limit: int) -> Value | None:
    """Return the value up to the next blank or delimiter, or the groups of digits."""
    if name_rule.extent is Extent.DIGITS:
        digits = _DIGITS.match(text, position)
        if digits:
            return Value(position, digits.end())
    scheme = SCHEME.match(text, position) if name_rule.extent is Extent.LINE else None
    run = _UNQUOTED.match(text, scheme.end() if scheme else position, limit)
    return Value(position, run.end()) if run else None

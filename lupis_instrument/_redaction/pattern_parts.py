"""The parts of a regular expression: which characters each can match, and in how many lengths."""

from __future__ import annotations

import re
from typing import Any, Iterable, NamedTuple, Sequence

# Codes of characters. The code -1 stands for all characters beyond ASCII.
ASCII = range(128)
ALL_CHARACTERS: frozenset[int] = frozenset((*ASCII, -1))
_BEYOND_ASCII = frozenset({-1})
NEWLINE = ord("\n")
_CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}
# Larger numbers of lengths are cut to this, so that products stay small numbers.
MANY_LENGTHS = 1 << 20
# A part that matches more characters than this is long, as a repeat without a bound is.
MAX_SHORT = 256


class Part(NamedTuple):
    """One step of a pattern.

    Attributes:
        characters: Codes of the characters that it can match; empty for an assertion.
        min_length: The fewest characters that it matches.
        lengths: The number of different lengths that it can match.
        max_length: The most characters that it matches.
        is_simple: Whether it repeats single characters: reading one more never fails inside it.
        is_line_start: Whether it asserts that a line or the text begins.
    """

    characters: frozenset[int]
    min_length: int
    lengths: int
    max_length: int = 1
    is_simple: bool = True
    is_line_start: bool = False

    @property
    def consumes(self) -> bool:
        """Whether it always matches at least one character."""
        return bool(self.min_length and self.characters)

    @property
    def is_single_character(self) -> bool:
        """Whether it matches one character, or asserts something about a position."""
        return self.min_length == self.lengths == self.max_length == 1

    @property
    def is_long(self) -> bool:
        """Whether it can match so many characters that reading them at every start is slow."""
        return self.max_length > MAX_SHORT and bool(self.characters)


def join_characters(parts: Iterable[Part]) -> frozenset[int]:
    """Return all characters that any of the parts can match."""
    return frozenset().union(*(part.characters for part in parts))


def multiply_lengths(parts: Sequence[Part]) -> int:
    """Return in how many ways the parts can divide a text among them, up to a maximum."""
    product = 1
    for part in parts:
        product = min(MANY_LENGTHS, product * part.lengths)
    return product


def add_lengths(parts: Sequence[Part]) -> int:
    """Return the most characters that the parts match together, up to a maximum."""
    return min(MANY_LENGTHS, sum(part.max_length for part in parts))


def read_class(items: Any) -> frozenset[int]:
    """Return the characters that a class such as ``[a-z_]`` matches."""
    characters: frozenset[int] = frozenset()
    is_negated = False
    for operation, argument in items:
        name = str(operation)
        if name == "NEGATE":
            is_negated = True
        elif name == "LITERAL":
            characters |= fold_case(argument)
        elif name == "RANGE":
            characters |= _read_range(*argument)
        else:
            characters |= _read_category(str(argument))
    return (ALL_CHARACTERS - characters) | _BEYOND_ASCII if is_negated else characters


def _read_range(first: int, last: int) -> frozenset[int]:
    beyond = _BEYOND_ASCII if last >= len(ASCII) else frozenset()
    codes = range(first, min(last, len(ASCII) - 1) + 1)
    return beyond.union(*(fold_case(code) for code in codes))


def _read_category(name: str) -> frozenset[int]:
    """Return the characters of a category such as ``CATEGORY_NOT_DIGIT``, as `re` decides them."""
    kind = _CATEGORIES.get(name.rsplit("_", 1)[-1])
    if kind is None:
        return ALL_CHARACTERS
    inside = frozenset(code for code in ASCII if re.match(kind, chr(code)))
    return (frozenset(ASCII) - inside if "_NOT_" in name else inside) | _BEYOND_ASCII


def fold_case(code: int) -> frozenset[int]:
    """Return the codes of a letter in both cases, because a flag may ignore the case."""
    if code not in ASCII:
        return _BEYOND_ASCII
    return frozenset(ord(letter) for letter in (chr(code).lower(), chr(code).upper()))

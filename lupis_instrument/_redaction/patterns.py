"""Takes a program's own patterns: names to hide, and regular expressions that can't stall it."""

from __future__ import annotations

import re
from typing import Iterator

from .hits import Hit

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


class PatternError(ValueError):
    """A pattern that can't be used, and why."""


class OwnPattern:
    """A program's own rule: a plain name, or a regular expression for values.

    Attributes:
        name: The name, or empty for a regular expression.
        literal: A lower-case text that every match contains, or empty if none is known.
    """

    def __init__(self, name: str, literal: str, regex: re.Pattern[str] | None) -> None:
        self.name = name
        self.literal = literal
        self._regex = regex

    def find(self, text: str, lowered: str) -> Iterator[Hit]:  # noqa: ARG002 - the protocol's
        """All matches in the text."""
        if self._regex is not None:
            for match in self._regex.finditer(text):
                if match.group():
                    yield Hit(match.start(), match.end(), f"pattern:{self._regex.pattern}")


def compile_pattern(pattern: str) -> OwnPattern:
    """Check and compile one pattern."""
    if _PLAIN.fullmatch(pattern):
        return OwnPattern(pattern, "", None)
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise PatternError(f"pattern {pattern!r} does not compile: {error}") from None
    if regex.match(""):
        raise PatternError(f"pattern {pattern!r} matches the empty string, and so everywhere")
    return OwnPattern("", "", regex)

"""Takes a program's own patterns: names to hide, and regular expressions that can't stall it."""

from __future__ import annotations

import re
import warnings
from typing import Iterator

from lupis_instrument._redaction.backtracking import (
    WINDOW,
    UnsafePattern,
    can_be_empty,
    find_literal,
    refuse_backtracking,
)
from lupis_instrument._redaction.hits import Hit
from lupis_instrument._redaction.names import split_words

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")
# A search starts anew at every character, so its time grows with the square of the text. In windows
# it doesn't; a match that reaches the end of one is looked at again with more room.
_OVERLAP = 512
_SETTLED = 64


class PatternError(ValueError):
    """A pattern that can't be used, and why."""


class OwnPattern:
    """A program's own rule: a plain name, or a regular expression for values.

    Attributes:
        name: The name, or empty for a regular expression.
        literal: A lower-case text that every match contains, or empty if none is known.
    """

    def __init__(
        self, pattern: str, literal: str = "", regex: re.Pattern[str] | None = None
    ) -> None:
        self.name = "" if regex else pattern
        self.literal = literal
        self._rule = f"pattern:{pattern}"
        self._regex = regex

    def find(self, text: str, lowered: str) -> Iterator[Hit]:  # noqa: ARG002 - the finders' protocol
        """All matches in the text."""
        if self._regex is None:
            return
        position = 0
        while position <= len(text):
            start, end, position = _search(self._regex, text, position)
            if end > start:
                yield Hit(start, end, self._rule)


def _search(regex: re.Pattern[str], text: str, position: int) -> tuple[int, int, int]:
    """The next match in the window here, or an empty one, and where to go on."""
    window = WINDOW
    while True:
        limit = min(position + window, len(text))
        match = regex.search(text, position, limit)
        if match is None:
            last = limit == len(text)
            return 0, 0, len(text) + 1 if last else max(position + 1, limit - _OVERLAP)
        if limit == len(text) or match.end() <= limit - _SETTLED:
            return match.start(), match.end(), max(match.end(), match.start() + 1)
        window = 2 * window if match.start() == position else window
        position = match.start()


def compile_pattern(pattern: str) -> OwnPattern:
    """Check and compile one pattern.

    Args:
        pattern: A plain name (letters, digits, ``_``, ``-``), which works as the built-in names do,
            or a regular expression, what it matches being hidden.

    Raises:
        PatternError: It does not compile, matches the empty string, or could backtrack without
            bound.
    """
    if _PLAIN.fullmatch(pattern):
        if not split_words(pattern):
            raise PatternError(f"pattern {pattern!r} is a name without a word")
        return OwnPattern(pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            regex = re.compile(pattern)
            empty = can_be_empty(pattern)
            if not empty:
                refuse_backtracking(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"pattern {pattern!r} does not compile: {error}") from None
    except UnsafePattern as error:
        raise PatternError(
            f"pattern {pattern!r} could stall the program: {error}; bound the repeat, as in "
            "{1,64}, or separate the parts by something that only one of them matches"
        ) from None
    if empty:
        raise PatternError(f"pattern {pattern!r} matches the empty string, and so everywhere")
    return OwnPattern(pattern, find_literal(pattern), regex)

"""Compiles custom patterns: names to hide, and regular expressions that cannot stall a program."""

from __future__ import annotations

import re
import warnings
from typing import Iterator

from lupis_instrument._redaction.backtracking import (
    WINDOW,
    UnsafePatternError,
    find_literal,
    matches_empty,
    refuse_backtracking,
)
from lupis_instrument._redaction.hits import Hit
from lupis_instrument._redaction.names import split_words

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")
# Characters that two neighbouring windows share, so that a match on their border is found.
_OVERLAP = 512
# A match that ends closer to the window's end could be longer in a larger window.
_MARGIN = 64


class PatternError(ValueError):
    """A custom pattern cannot be used; the message says why."""


class CustomPattern:
    """One pattern of `LUPIS_SENSITIVE_DATA_PATTERNS`: a plain name, or a regular expression.

    Attributes:
        name: The name; empty for a regular expression.
        literal: A literal of the prefilter that every match contains; empty if none is known.
    """

    def __init__(
        self, pattern: str, literal: str = "", regex: re.Pattern[str] | None = None
    ) -> None:
        self.name = "" if regex else pattern
        self.literal = literal
        self._rule = f"pattern:{pattern}"
        self._regex = regex

    def find_hits(self, text: str, lowered: str) -> Iterator[Hit]:  # noqa: ARG002 - the Finder protocol
        """Yield all matches in the text.

        A search starts anew at every character, so its time would grow with the square of the
        text. Inside windows of fixed size it does not.
        """
        if self._regex is None:
            return
        position = 0
        while position <= len(text):
            start, end, position = _search_window(self._regex, text, position)
            if end > start:
                yield Hit(start, end, self._rule)


def _search_window(regex: re.Pattern[str], text: str, position: int) -> tuple[int, int, int]:
    """Search the window that begins at a position.

    A match that reaches the end of the window is searched for again in a larger one.

    Returns:
        Start and end of the match, both 0 if there is none, and the position to go on from.
    """
    size = WINDOW
    while True:
        limit = min(position + size, len(text))
        match = regex.search(text, position, limit)
        if match is None:
            is_last = limit == len(text)
            return 0, 0, len(text) + 1 if is_last else max(position + 1, limit - _OVERLAP)
        if limit == len(text) or match.end() <= limit - _MARGIN:
            return match.start(), match.end(), max(match.end(), match.start() + 1)
        size = 2 * size if match.start() == position else size
        position = match.start()


def compile_pattern(pattern: str) -> CustomPattern:
    """Check and compile one pattern.

    Args:
        pattern: A plain name (letters, digits, ``_``, ``-``), which works as the built-in names do,
            or a regular expression whose matches are redacted.

    Raises:
        PatternError: The pattern does not compile, matches the empty string, or could backtrack
            without bound.
    """
    if _NAME.fullmatch(pattern):
        if not split_words(pattern):
            raise PatternError(f"pattern {pattern!r} is a name without a word")
        return CustomPattern(pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            regex = _compile_safe_regex(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"pattern {pattern!r} does not compile: {error}") from None
    except UnsafePatternError as error:
        raise PatternError(
            f"pattern {pattern!r} could stall the program: {error}; bound the repeat, as in "
            "{1,64}, or separate the parts by something that only one of them matches"
        ) from None
    return CustomPattern(pattern, find_literal(pattern), regex)


def _compile_safe_regex(pattern: str) -> re.Pattern[str]:
    regex = re.compile(pattern)
    if matches_empty(pattern):
        raise PatternError(f"pattern {pattern!r} matches the empty string, and so everywhere")
    refuse_backtracking(pattern)
    return regex

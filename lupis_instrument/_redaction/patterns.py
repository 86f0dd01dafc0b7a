"""Compiles custom patterns: names to hide, and regular expressions that cannot stall a program."""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left
from typing import Iterable, Iterator

from lupis_instrument._redaction.backtracking import (
    UnsafePatternError,
    find_literal,
    matches_empty,
)
from lupis_instrument._redaction.hits import Hit
from lupis_instrument._redaction.modes import MARK, is_mark
from lupis_instrument._redaction.names import split_words
from lupis_instrument._redaction.pattern_search import PatternSearch

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


class PatternError(ValueError):
    """A custom pattern cannot be used; the message says why."""


class CustomPattern:
    """One pattern of `LUPIS_SENSITIVE_DATA_PATTERNS`: a plain name, or a regular expression.

    Attributes:
        name: The name; empty for a regular expression.
        literal: A literal of the prefilter that every match contains; empty if none is known.
    """

    def __init__(
        self, pattern: str, literal: str = "", search: PatternSearch | None = None
    ) -> None:
        self.name = "" if search else pattern
        self.literal = literal
        self._rule = f"pattern:{pattern}"
        self._search = search

    def find_hits(self, text: str, lowered: str) -> Iterator[Hit]:  # noqa: ARG002 - the Finder protocol
        """Yield all matches in the text, in time that is linear in its length.

        Matches that touch each other are one hit, and marks of redaction do not match: else each
        round would replace the marks of the round before.
        """
        if self._search is not None:
            matches = _cut_marks(text, self._search.find_matches(text))
            yield from (Hit(start, end, self._rule) for start, end in _join_touching(matches))


def _cut_marks(text: str, matches: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the matches without the parts of marks in which they begin or end."""
    marks = [match.span() for match in MARK.finditer(text)]
    for start, end in matches:
        start = _find_mark(marks, start)[1]  # noqa: PLW2901 - the match becomes shorter
        end = _find_mark(marks, end)[0]  # noqa: PLW2901
        if start < end and not is_mark(text[start:end]):
            yield start, end


def _find_mark(marks: list[tuple[int, int]], position: int) -> tuple[int, int]:
    """Return the mark around a position; the position twice if it lies in none."""
    index = bisect_left(marks, (position, 0)) - 1
    is_inside = index >= 0 and position < marks[index][1]
    return marks[index] if is_inside else (position, position)


def _join_touching(matches: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    first = last = -1
    for start, end in matches:
        if start != last:
            if first < last:
                yield first, last
            first = start
        last = end
    if first < last:
        yield first, last


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
            search = _prepare_search(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"pattern {pattern!r} does not compile: {error}") from None
    except UnsafePatternError as error:
        raise PatternError(
            f"pattern {pattern!r} could stall the program: {error}; bound the repeat, as in "
            "{1,64}, or separate the parts by something that only one of them matches"
        ) from None
    return CustomPattern(pattern, find_literal(pattern), search)


def _prepare_search(pattern: str) -> PatternSearch:
    regex = re.compile(pattern)
    if matches_empty(pattern):
        raise PatternError(f"pattern {pattern!r} matches the empty string, and so everywhere")
    return PatternSearch(regex)

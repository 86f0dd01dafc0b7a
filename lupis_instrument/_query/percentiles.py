"""Finds percentiles of times, which SQL returns as lists in texts."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import Any, Iterator, Mapping, Sequence

PERCENTILES = (50, 95, 99)
"""The percentiles of times in a report."""
_MAX_SORTED_SIZE = 4000
"""The size of a list, in characters, up to which sorting is quicker than counting."""


class TimeLists:
    """The times of some calls. They are read when somebody asks for percentiles.

    Attributes:
        unit: the unit of the times, in nanoseconds; it is the same in all parts.
    """

    __slots__ = ("_counts", "_parts", "_percentiles", "_texts", "unit")

    def __init__(self, texts: Sequence[str | None] = (), unit: int = 1) -> None:
        """Keep lists of times.

        Args:
            texts: the lists of `group_concat`, which separates the times by commas.
            unit: the unit of the times, in nanoseconds.
        """
        self.unit = unit
        self._texts = texts
        self._parts: list[TimeLists] = []
        self._counts: Counter[int] | None = None
        self._percentiles: tuple[int | None, ...] | None = None

    def add(self, other: TimeLists) -> None:
        """Count the times of `other` too; before the first question for percentiles."""
        self.unit = other.unit
        self._parts.append(other)

    @property
    def counts(self) -> Counter[int]:
        """Return the number of calls by their time, in units."""
        if self._counts is None:
            # All lists are read at once, and counts that a part has made are used again.
            parts = list(self._walk())
            texts = [text for part in parts if part._counts is None for text in part._texts if text]
            counts = Counter(read_times(texts))
            for part in parts:
                if part._counts is not None:
                    counts.update(part._counts)
            self._counts = counts
        return self._counts

    def _walk(self) -> Iterator[TimeLists]:
        """Yield this object and its parts; a part that is counted already, without its parts."""
        yield self
        for part in self._parts:
            if part._counts is None:
                yield from part._walk()
            else:
                yield part

    @property
    def percentiles(self) -> tuple[int | None, ...]:
        """Return the `PERCENTILES` in nanoseconds; None without times."""
        if self._percentiles is None:
            in_units = self._find_percentiles()
            times = [None if time is None else time * self.unit for time in in_units]
            self._percentiles = tuple(times)
        return self._percentiles

    def _find_percentiles(self) -> tuple[int | None, ...]:
        if not self._parts:
            texts = [text for text in self._texts if text]
            if sum(map(len, texts)) <= _MAX_SORTED_SIZE:
                return pick_percentiles(sorted(read_times(texts)))
        return find_percentiles(self.counts)


def read_times(texts: Sequence[str]) -> list[int]:
    """Return the times in lists of `group_concat`."""
    try:
        # The parser of JSON reads a million numbers in a third of the time that int() takes.
        times: list[Any] = json.loads(f"[{','.join(texts)}]")
    except (ValueError, TypeError):
        times = [None]
    if {int}.issuperset(map(type, times)):
        return times
    # A damaged list: its numbers count.
    numbers = (number for text in texts for number in str(text).split(","))
    return [int(number) for number in numbers if re.fullmatch(r"-?\d+", number)]


def find_percentiles(times: Mapping[int, int]) -> tuple[int | None, ...]:
    """Return the `PERCENTILES` of times by the nearest-rank method; None without times.

    A percentile P is the smallest time such that at least P percent of all are not above it.

    Args:
        times: time -> number of calls that took this long.
    """
    if not times:
        return (None,) * len(PERCENTILES)
    ordered = sorted(times)
    cumulative = list(accumulate(map(times.__getitem__, ordered)))
    return tuple(ordered[bisect_left(cumulative, rank)] for rank in _find_ranks(cumulative[-1]))


def pick_percentiles(ordered: Sequence[int]) -> tuple[int | None, ...]:
    """Return the `PERCENTILES` of times in order, as `find_percentiles` does."""
    if not ordered:
        return (None,) * len(PERCENTILES)
    return tuple(ordered[rank - 1] for rank in _find_ranks(len(ordered)))


def _find_ranks(count: int) -> list[int]:
    # Minus before and after makes // round up.
    return [-(-count * percent // 100) for percent in PERCENTILES]

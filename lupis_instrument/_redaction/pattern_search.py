"""Searches a text for a custom pattern in time that is linear in the length of the text.

`backtracking` bounds the time of a match that begins at one position. A search begins at every
position, so its time still grows with the square of a text if many starts read the same characters:
on a text of hex digits, ``[0-9a-f]+$`` reads to the end at each of them. `PatternSearch` chooses
one of three ways to prevent this:

1. No start lies inside the characters that another one reads: `re` searches the whole text.
2. The pattern begins with a repeat such as ``[0-9a-f]+``. If no match begins at the first character
   of a run of such characters, none begins at the others, so only the first is tried.
3. Any other pattern is searched for in windows of fixed size, which overlap by one half.

The time of a window depends on the pattern. If the windows of a text take too long, which only
hostile texts and dear patterns can do together, the rest of the text counts as a match: the search
takes less than 50 ms for 50,000 characters, and hides too much rather than too little.
"""

from __future__ import annotations

import re
from time import thread_time
from typing import TYPE_CHECKING, Callable, Iterator, Sequence

from lupis_instrument._redaction.backtracking import (
    UnsafePatternError,
    measure_shortest,
    read_parts,
)
from lupis_instrument._redaction.pattern_parts import NEWLINE, add_lengths, multiply_lengths

if TYPE_CHECKING:
    from lupis_instrument._redaction.pattern_parts import Part

# Characters of a window for a pattern that can begin at every character. A match of half as many
# characters is always found. The time is proportional to this size.
_MIN_WINDOW = 160
# A longer prefix cannot begin so often, and its windows are larger, up to this factor.
_MAX_DISTANCE = 8
# A pattern whose matches are all longer would need windows in which a search takes too long.
_MAX_SHORTEST = 512
# A match that ends closer to the window's end could be longer in a larger window.
_MARGIN = 64
# So many times the length of the text is read to find the ends of such matches.
_MAX_GROWTH = 8
# The CPU seconds for any text and for each character, after which the rest of a text is hidden:
# 37 ms for 50,000 characters. Usual texts take 1 to 8 ms.
_MIN_SECONDS = 12e-3
_MAX_SECONDS = 0.5e-6
# The clock is read once for so many characters, because reading it is slow too. More time between
# two readings is a pause, as by the garbage collector.
_CLOCK_DISTANCE = 64
_MAX_PAUSE = 10e-3
# A start at which `re` tries more lengths is so slow that the search needs windows, which are large
# enough for matches of so many characters.
_MAX_CHEAP = 64
_MAX_BOUNDED = 512
# Flags and groups, then a class or character with a repeat without a bound.
_LEADING_REPEAT = re.compile(
    r"(?P<flags>(?:\(\?[aimsu]+\))?)(?P<repeat>(?:\((?:\?:|\?P<\w+>)?)*"
    r"(?P<atom>\\[dDwWsS]|\\[^\w\s]|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[\](){}*+?|^$#\s])"
    r"(?:[+*]|\{\d+,\}))"
)


class PatternSearch:
    """Finds the matches of one pattern.

    Attributes:
        window: Characters of a window; 0 if the whole text is searched at once.

    Args:
        regex: The compiled pattern, which matches no empty string.

    Raises:
        UnsafePatternError: The time of the search may grow faster than the text.
    """

    def __init__(self, regex: re.Pattern[str]) -> None:
        parts = read_parts(regex.pattern)
        self._regex = regex
        self._first = regex
        self._clock: Callable[[], float] = thread_time
        self.window = 0
        self._margin = _MARGIN
        risks = [index for index, _ in enumerate(parts) if _can_nest(parts, index)]
        is_dear = _try_lengths(parts) > _MAX_CHEAP
        if risks == [0] and parts[0].is_simple and not is_dear:
            first = _start_at_runs(regex.pattern)
            if first is not None:
                self._first = re.compile(first, regex.flags)
                return
        # Without the flag, "^" matches at the start of the text only.
        if not regex.flags & re.MULTILINE and parts[0].is_line_start:
            return
        if risks:
            self.window = _choose_window(parts[: risks[0]], measure_shortest(regex.pattern))
        elif is_dear:
            longest = min(add_lengths(parts), _MAX_BOUNDED)
            self._margin = max(longest, _MARGIN)
            self.window = max(_MIN_WINDOW, 2 * longest)

    def find_matches(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of all matches, in order and without overlaps."""
        return self._search_windows(text) if self.window else self._search_text(text)

    def _search_text(self, text: str) -> Iterator[tuple[int, int]]:
        match = self._first.search(text)
        while match:
            yield match.span()
            end = match.end()
            # A match may also begin inside the run in which the one before ended.
            match = self._regex.match(text, end) or self._first.search(text, end)

    def _search_windows(self, text: str) -> Iterator[tuple[int, int]]:
        position = next_check = 0
        budget = _MAX_GROWTH * len(text)
        seconds = _MIN_SECONDS + _MAX_SECONDS * len(text)
        before = self._clock()
        while position < len(text):
            if position >= next_check:
                now = self._clock()
                seconds -= min(now - before, _MAX_PAUSE)
                if seconds < 0:
                    yield position, len(text)
                    return
                before, next_check = now, position + _CLOCK_DISTANCE
            limit = min(position + self.window, len(text))
            match = self._regex.search(text, position, limit)
            if match is None:
                position = len(text) if limit == len(text) else limit - self.window // 2
                continue
            end, cost = self._find_end(text, match, limit, budget)
            budget -= cost
            if end > match.start():
                yield match.start(), end
            position = max(end, match.start() + 1)

    def _find_end(
        self, text: str, match: re.Match[str], limit: int, budget: int
    ) -> tuple[int, int]:
        """Return the end of a match, and how many characters were read to find it.

        A match that reaches the end of its window is tried again in a larger one. The result is 0
        if it is none there. When the budget is used up, the match counts as it is: redaction hides
        too much rather than too little.
        """
        start, end, cost = match.start(), match.end(), 0
        while end > limit - self._margin and limit < len(text) and cost < budget:
            limit = min(start + 2 * (limit - start) + self._margin, len(text))
            cost += limit - start
            larger = self._regex.match(text, start, limit)
            if larger is None:
                return 0, cost
            end = larger.end()
        return end, cost


def _can_nest(parts: Sequence[Part], index: int) -> bool:
    """Return whether many starts can read the same characters by one part of a pattern, in vain.

    Args:
        parts: All parts of the pattern.
        index: The index of the part.
    """
    part, later = parts[index], parts[index + 1 :]
    can_fail = (
        not part.is_simple or part.min_length > 1 or any(follower.min_length for follower in later)
    )
    if not part.is_long or not can_fail:
        return False
    return not any(_is_border(before, part) for before in parts[:index])


def _try_lengths(parts: Sequence[Part]) -> int:
    """Return how many lengths of bounded parts are tried at one start, where many can lie."""
    return multiply_lengths(
        [
            part
            for index, part in enumerate(parts)
            if not part.is_long and not any(_is_border(before, part) for before in parts[:index])
        ]
    )


def _is_border(before: Part, part: Part) -> bool:
    """Return whether a start cannot lie inside the characters that a later part reads."""
    if before.is_line_start:
        return NEWLINE not in part.characters
    return before.consumes and not before.characters & part.characters


def _choose_window(prefix: Sequence[Part], shortest: int) -> int:
    """Return the size of a window, of which the shortest match takes less than one half."""
    if shortest > _MAX_SHORTEST:
        raise UnsafePatternError(f"the shortest match has {shortest} characters")
    return max(_MIN_WINDOW * _count_start_distance(prefix), 2 * shortest + _MIN_WINDOW)


def _count_start_distance(parts: Sequence[Part]) -> int:
    """Return how many characters lie at least between two starts of these parts, up to a maximum.

    Two starts are close to each other if the parts, shifted, can match the same characters.
    """
    prefix: list[Part] = []
    for part in parts:
        if not part.is_simple or part.lengths > 1:
            break
        prefix += [part] * (min(part.min_length, _MAX_DISTANCE) if part.characters else 0)
    prefix = prefix[:_MAX_DISTANCE]
    for distance in range(1, len(prefix)):
        pairs = zip(prefix, prefix[distance:])
        if all(first.characters & second.characters for first, second in pairs):
            return distance
    return max(1, len(prefix))


def _start_at_runs(pattern: str) -> str | None:
    """Return the pattern with a look-behind, so that it begins at the start of a run only.

    Returns:
        The new pattern; None if the pattern's text shows no leading repeat.
    """
    leading = _LEADING_REPEAT.match(pattern)
    if leading is None:
        return None
    flags, atom = leading.group("flags", "atom")
    return f"{flags}(?<!{atom}){pattern[leading.end('flags') :]}"

"""Follows the message lists of conversations as they grow, call by call, by fingerprints alone.

A list goes on from another if that is what it begins with. Where several conversations stand at
the same list, the answer tells which of them goes on, if it came in one piece; if it didn't, or was
the same, nothing tells them apart until they part: they go on in the order in which they came.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Generic, TypeVar

from lupis_instrument._llm.recent import RecentMap

if TYPE_CHECKING:
    from typing import Iterator

    from lupis_instrument._llm.conversation.turns import Turns

_MOST_ALIKE = 250
"""Conversations that stand at the very same list."""

Name = TypeVar("Name")


class ConversationMatcher(Generic[Name]):
    """The lists seen, and the names of the conversations that they are of."""

    def __init__(self) -> None:
        self._lengths: RecentMap[int, list[int]] = RecentMap()  # by beginning, sorted
        self._stands: RecentMap[int, list[_Stand[Name]]] = RecentMap()  # by list

    def follow(self, turns: Turns) -> Name | None:
        """Return the name of the conversation that these turns go on with, or repeat."""
        again = self._stands.get(turns.mark(len(turns))) or []
        failed = next((stand for stand in again if not stand.answered), None)
        if failed is not None:
            again.remove(failed)
            return failed.name
        parted = None
        for length, stands in self._before(turns):
            waiting = [stand for stand in stands if not stand.passed]
            if waiting:
                likeliest = _choose(waiting, turns.hash_answer(length))
                likeliest.passed = True
                return likeliest.name
            parted = parted or stands[-1]
        if again and not turns.is_fresh:
            return again[-1].name
        return parted.name if parted is not None else None

    def _before(self, turns: Turns) -> Iterator[tuple[int, list[_Stand[Name]]]]:
        """Yield what stood at the lists that these turns begin with, the longest first."""
        lengths = self._lengths.get(turns.mark(turns.said)) or []
        for length in reversed(lengths[: bisect_left(lengths, len(turns))]):
            stands = self._stands.get(turns.mark(length))
            if stands:
                yield length, stands

    def note(self, turns: Turns, name: Name, *, answered: bool, answer_hash: int | None) -> None:
        """Have the conversation `name` stand at these turns.

        Args:
            turns: all of them.
            name: whose they are.
            answered: whether there was an answer.
            answer_hash: its fingerprint, if it is known.
        """
        length = len(turns)
        beginning, whole = turns.mark(turns.said), turns.mark(length)
        lengths = self._lengths.get(beginning) or []
        if length not in lengths:
            insort(lengths, length)
        self._lengths.put(beginning, lengths)
        stands = self._stands.get(whole) or []
        self._stands.put(whole, [*stands[1 - _MOST_ALIKE :], _Stand(name, answered, answer_hash)])


class _Stand(Generic[Name]):
    """A conversation at one state of its list: whether it was answered, and whether it went on."""

    __slots__ = ("answer_hash", "answered", "name", "passed")

    def __init__(self, name: Name, answered: bool, answer_hash: int | None) -> None:
        self.name = name
        self.answered = answered
        self.answer_hash = answer_hash
        self.passed = False


def _choose(waiting: list[_Stand[Name]], heard: int | None) -> _Stand[Name]:
    """Return the first that was given the answer `heard`, else the first that may have been."""
    for answer_hash in (heard, None):
        fit = next((stand for stand in waiting if stand.answer_hash == answer_hash), None)
        if fit is not None:
            return fit
    return waiting[0]

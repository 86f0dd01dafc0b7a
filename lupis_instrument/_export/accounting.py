"""What became of every span and event of this process.

    created = delivered + stored + dropped

holds whenever nothing is on its way: what is pending is created, and nothing else yet.
"""

from __future__ import annotations

from threading import RLock
from typing import Mapping


class Account:
    """Counters; each item is created once, and then changes its place.

    Attributes:
        created: spans and events that were to leave.
        delivered: taken by an endpoint, or shown where they were to be shown.
        stored: in the store's file, there to stay or to wait.
        dropped: lost, by reason.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin at nothing; in a forked child all before is the parent's."""
        self._lock = RLock()
        self.created = self.delivered = self.stored = 0
        self.dropped: dict[str, int] = {}

    def create(self, count: int) -> None:
        """Note items that are to leave."""
        with self._lock:
            self.created += count

    def deliver(self, count: int, *, from_store: bool = False) -> None:
        """Note items that arrived."""
        with self._lock:
            self.delivered += count
            self.stored -= count if from_store else 0

    def store(self, count: int) -> None:
        """Note items that are in the store."""
        with self._lock:
            self.stored += count

    def drop(self, count: int, reason: str, *, from_store: bool = False) -> None:
        """Note items that are lost."""
        if count:
            with self._lock:
                self.dropped[reason] = self.dropped.get(reason, 0) + count
                self.stored -= count if from_store else 0

    def note_lost(self, reason: str, count: int) -> None:
        """Note how many items were lost, all told, before they came here."""
        with self._lock:
            self.created += count - self.dropped.pop(reason, 0)
            if count:
                self.dropped[reason] = count

    def merge(self, created: int, delivered: int, stored: int, dropped: Mapping[str, int]) -> None:
        """Add the account of another process of the launch."""
        with self._lock:
            self.created += created
            self.delivered += delivered
            self.stored += stored
        for reason, count in dropped.items():
            self.drop(count, reason)

    @property
    def lost(self) -> int:
        """How many were dropped, for whatever reason."""
        return sum(self.dropped.values())

    @property
    def pending(self) -> int:
        """How many are on their way."""
        return self.created - self.delivered - self.stored - self.lost

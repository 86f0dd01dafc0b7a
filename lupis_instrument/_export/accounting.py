"""Counts every span and event of this process, and the place where it ended up.

    created = delivered + stored + dropped

holds whenever no item is in transit; a pending item is created and nothing else yet.
"""

from __future__ import annotations

from typing import Mapping

from lupis_instrument._process.native_threads import RLock


class Account:
    """Counters of items: each is created once and then delivered, stored or dropped.

    Attributes:
        created: the number of spans and events to export.
        delivered: the number accepted by an endpoint, or written to the terminal.
        stored: the number in the store's file, to stay there or to wait for their endpoint.
        dropped: the number lost, by reason.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set all counters to 0; a forked child does not count the items of its parent."""
        self._lock = RLock()
        self.created = self.delivered = self.stored = 0
        self.dropped: dict[str, int] = {}

    def add_created(self, count: int) -> None:
        """Count new items that are to be exported."""
        with self._lock:
            self.created += count

    def add_delivered(self, count: int, *, from_store: bool = False) -> None:
        """Count items that have arrived.

        Args:
            count: the number of items.
            from_store: whether they were counted as stored before.
        """
        with self._lock:
            self.delivered += count
            self.stored -= count if from_store else 0

    def add_stored(self, count: int) -> None:
        """Count items that were written to the store."""
        with self._lock:
            self.stored += count

    def add_dropped(self, count: int, reason: str, *, from_store: bool = False) -> None:
        """Count items that are lost.

        Args:
            count: the number of items.
            reason: the cause, as the user reads it.
            from_store: whether they were counted as stored before.
        """
        if count:
            with self._lock:
                self.dropped[reason] = self.dropped.get(reason, 0) + count
                self.stored -= count if from_store else 0

    def set_lost_before_export(self, reason: str, count: int) -> None:
        """Set the number of items that were lost before `add_created` could count them.

        Args:
            reason: the cause, as the user reads it.
            count: the total since the process began; it replaces the total given before.
        """
        with self._lock:
            self.created += count - self.dropped.pop(reason, 0)
            if count:
                self.dropped[reason] = count

    def merge_counts(
        self, created: int, delivered: int, stored: int, dropped: Mapping[str, int]
    ) -> None:
        """Add the account of another process of the launch."""
        with self._lock:
            self.created += created
            self.delivered += delivered
            self.stored += stored
        for reason, count in dropped.items():
            self.add_dropped(count, reason)

    @property
    def lost(self) -> int:
        """The number of dropped items, whatever the reason."""
        return sum(self.dropped.values())

    @property
    def pending(self) -> int:
        """The number of items in transit."""
        return self.created - self.delivered - self.stored - self.lost

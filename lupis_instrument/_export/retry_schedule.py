"""The times at which this process next sends the stored items of each endpoint."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING, Callable, NamedTuple, Sequence

from lupis_instrument._process.native_threads import RLock

if TYPE_CHECKING:
    from lupis_instrument._export.otlp.destinations import Destination
    from lupis_instrument._export.otlp.target import Target

FIRST_DELAY, MAX_DELAY = 1.0, 60.0
"""Seconds between two attempts at an endpoint that does not answer: the first, and the longest."""
FIRST_HURRIED_DELAY = 0.1
"""The first delay, in seconds, at the end of the process for items that are in memory only."""
_GATHERING_SECONDS = 0.5
"""How long stored items wait for more items, which then share their request."""
_LONGEST_DOUBLING = 10


class ScheduledRetry(NamedTuple):
    """The next time to send the items that the store holds for an endpoint.

    Attributes:
        destination: the endpoint.
        at: the time, by the clock of the schedule.
        attempts: the number of attempts that failed in a row.
        required: whether the process should not end before it.
        reason: the cause of the last failure.
    """

    destination: Destination
    at: float
    attempts: int = 0
    required: bool = False
    reason: str = ""


class RetrySchedule:
    """At most one scheduled retry for each endpoint; any thread may call the methods.

    Attributes:
        retries: the scheduled retries, by target; usually none. Only methods change them.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Schedule nothing yet.

        Args:
            clock: returns the time in seconds.
        """
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Schedule nothing; in a forked child, the retries belong to the parent."""
        self._lock = RLock()
        self.retries: dict[Target, ScheduledRetry] = {}
        self._current: ScheduledRetry | None = None

    def add_retry(self, retry: ScheduledRetry) -> None:
        """Schedule `retry` in place of the one for the same endpoint."""
        with self._lock:
            self.retries[retry.destination.target] = retry

    def expect_items(self, destination: Destination, *, required: bool = True) -> None:
        """Schedule a send for items that were just stored, unless one is scheduled already.

        Args:
            destination: the endpoint that the items wait for.
            required: whether the process should not end before it.
        """
        with self._lock:
            retry = self.retries.get(destination.target)
            # The current one may have read the store before the items were in it.
            if retry is None or retry is self._current:
                at = self._clock() + _GATHERING_SECONDS
                self.add_retry(ScheduledRetry(destination, at, required=required))

    def make_due(self, *, all_retries: bool = False, required: Sequence[Destination] = ()) -> None:
        """Move retries to now: the required ones, or all, which become required too.

        Args:
            all_retries: whether to move all.
            required: endpoints whose retries become required.
        """
        now = self._clock()
        with self._lock:
            for destination in required:
                retry = self.retries.get(destination.target) or ScheduledRetry(destination, now)
                self.add_retry(retry._replace(required=True))
            for target, retry in self.retries.items():
                if retry.required or all_retries:
                    self.retries[target] = retry._replace(at=min(retry.at, now), required=True)

    def begin_due(self) -> ScheduledRetry | None:
        """Return a retry whose time has come, and postpone it in case an error ends it."""
        now = self._clock()
        with self._lock:
            due = next((retry for retry in self.retries.values() if retry.at <= now), None)
            if due is not None:
                self._current = due._replace(at=now + MAX_DELAY, required=False)
                self.add_retry(self._current)
            return due

    def finish_current(self) -> None:
        """Remove the retry that `begin_due` returned, unless another has taken its place."""
        with self._lock:
            current = self._current
            if current is not None and self.retries.get(current.destination.target) is current:
                del self.retries[current.destination.target]

    def seconds_until_next(self) -> float | None:
        """Return the seconds until the next retry is due; None if none is scheduled."""
        with self._lock:
            times = [retry.at for retry in self.retries.values()]
        return max(0.0, min(times) - self._clock()) if times else None

    def has_required(self) -> bool:
        """Return whether a retry is scheduled that the process should not end before."""
        with self._lock:
            return any(retry.required for retry in self.retries.values())

    def find_failed(self) -> list[ScheduledRetry]:
        """Return the retries of endpoints whose last attempt failed."""
        with self._lock:
            return [retry for retry in self.retries.values() if retry.attempts]

    def is_down(self, target: Target) -> bool:
        """Return whether the last attempt at `target` failed."""
        with self._lock:
            retry = self.retries.get(target)
        return retry is not None and retry.attempts > 0


def choose_delay(attempts: int, first: float = FIRST_DELAY) -> float:
    """Return the seconds until the next attempt, which double with each failed attempt.

    Chance shortens them by up to a half, so that many processes do not all come at once. It does
    not use the module `random`, because the program may have seeded that.

    Args:
        attempts: the number of attempts that failed in a row before.
        first: the delay after the first attempt, in seconds.
    """
    longest = min(MAX_DELAY, first * 2.0 ** min(attempts, _LONGEST_DOUBLING))
    return longest * SystemRandom().uniform(0.5, 1.0)

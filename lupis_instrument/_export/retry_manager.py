"""Hands parcels to their endpoint, or else to the store, and tries again what waits there.

While an endpoint does not answer, parcels go to the store at once. What waits is tried again
after pauses that grow; what no store takes either is held in memory, within bounds.
"""

from __future__ import annotations

import os
from functools import partial
from random import SystemRandom
from threading import Lock, RLock
from time import monotonic
from typing import TYPE_CHECKING, Callable, NamedTuple, Sequence
from uuid import uuid4

from lupis_instrument._diagnostics import warn
from lupis_instrument._export.otlp.sending import LATER, TAKEN, Answer
from lupis_instrument._export.store import outbox
from lupis_instrument._export.store.database import StoreUnavailable

if TYPE_CHECKING:
    from lupis_instrument._export.accounting import Account
    from lupis_instrument._export.otlp.destinations import Destination
    from lupis_instrument._export.otlp.encoded_items import EncodedItem
    from lupis_instrument._export.otlp.sending import Sender
    from lupis_instrument._export.store.store import Store, Stored, Target

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two attempts at an endpoint that does not answer."""
MOST_HELD_BYTES = 32 << 20
"""Of parcels that neither endpoint nor store takes; the oldest beyond are dropped."""
_GATHERING = 0.5
"""Seconds that what was stored at once waits for company."""
_ANOTHER_SENDS = 5.0
_SETTLING_SECONDS = 3.0
_LEAST_SECONDS = 0.05


class ScheduledRetry(NamedTuple):
    """When to see to what waits in the store for an endpoint.

    Attributes:
        destination: to the endpoint.
        at: the time, by the clock.
        attempts: how many failed in a row.
        must: whether the process should not end before.
        reason: of the last failure.
    """

    destination: Destination
    at: float
    attempts: int = 0
    must: bool = False
    reason: str = ""


class RetryManager:
    """What becomes of parcels; its methods are called on one thread, but for those that say so.

    Attributes:
        due: when sending must have come to its end; None while the process goes on.
        resting: whether to stop where that is possible.
    """

    def __init__(
        self,
        store: Store,
        account: Account,
        sender: Sender,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Begin.

        Args:
            store: takes what no endpoint does.
            account: told what becomes of everything.
            sender: sends requests.
            clock: seconds; tests have one of their own.
        """
        self._store = store
        self._account = account
        self._sender = sender
        self.clock = clock
        self.forget()

    def forget(self) -> None:
        """Begin anew; in a forked child all before is the parent's."""
        self._lock = RLock()
        self._settling = Lock()
        self._held: list[tuple[Destination | None, list[EncodedItem]]] = []
        self._visits: dict[Target, ScheduledRetry] = {}
        self._looked: set[Target] = set()
        self._draining: Target | None = None
        self._under_way: ScheduledRetry | None = None
        self._holder = f"{os.getpid()}-{uuid4().hex}"
        self.due: float | None = None
        self.resting = False

    # Parcels

    def deliver(
        self,
        destination: Destination | None,
        items: Sequence[EncodedItem],
        claim: Callable[[Sequence[EncodedItem]], bool],
    ) -> None:
        """Send parcels, and store what cannot be sent.

        Args:
            destination: to the endpoint; None to the store.
            items: those.
            claim: asked before the fate of some is noted; False if they are not ours any more.
        """
        if destination is None or self._is_down(destination):
            self.settle(claim, items, partial(self.store_away, destination))
            return
        last = None
        for answer, group in destination.post(self._sender, items, self._seconds):
            if not self.settle(claim, group, partial(self._note, destination, answer)):
                return
            last = answer
        if last is not None and last.outcome == LATER:
            self._hold_off(destination, last)
        else:
            self._look_once(destination)

    def settle(
        self,
        claim: Callable[[Sequence[EncodedItem]], bool],
        items: Sequence[EncodedItem],
        note: Callable[[Sequence[EncodedItem]], None],
    ) -> bool:
        """Have `note` see to parcels if they are ours still; returns whether they were."""
        with self._settling:
            if not claim(items):
                return False
            try:
                note(items)
            except Exception:
                self.lose(items, "fault")
                raise
        return True

    def wait_until_settled(self) -> None:
        """Wait for parcels that were claimed already, and are being stored; from any thread.

        A request gives up when it is due, and so does whoever waits for it: both come at once.
        """
        if self._settling.acquire(timeout=_SETTLING_SECONDS):
            self._settling.release()

    def _note(self, destination: Destination, answer: Answer, group: Sequence[EncodedItem]) -> None:
        """Note what became of parcels that were sent from memory."""
        if answer.outcome == TAKEN:
            self._account.deliver(len(group) - answer.rejected)
            self._account.drop(answer.rejected, _REJECTED)
            _say_rejected(destination, answer)
        elif answer.outcome == LATER:
            self.store_away(destination, group)
        else:
            _say_refused(destination, answer, len(group))
            self.store_away(destination, group, refused=True)

    def store_away(
        self,
        destination: Destination | None,
        items: Sequence[EncodedItem],
        *,
        refused: bool = False,
    ) -> None:
        """Store parcels, or hold on to them where that cannot be done; from any thread."""
        target = destination.target if destination is not None else None
        try:
            self._store.add(items, target, refused=refused)
        except StoreUnavailable as error:
            warn(f"cannot store spans and events: {error}")
            self._hold(destination, list(items))
        else:
            self._account.store(len(items))
            self._store_held()

    def _hold(self, destination: Destination | None, items: list[EncodedItem]) -> None:
        with self._lock:
            self._held.append((destination, items))
            size = sum(len(each.body) for _, held in self._held for each in held)
            while size > MOST_HELD_BYTES:
                _, lost = self._held.pop(0)
                size -= sum(len(each.body) for each in lost)
                self._account.drop(len(lost), _NO_STORE)

    def _take_held(self) -> list[tuple[Destination | None, list[EncodedItem]]]:
        with self._lock:
            held, self._held = self._held, []
        return held

    def _store_held(self) -> None:
        """Store what is held, until that fails: each attempt may wait for other processes."""
        held = self._take_held()
        try:
            while held:
                destination, items = held[0]
                self._store.add(items, destination.target if destination is not None else None)
                self._account.store(len(items))
                del held[0]
        except StoreUnavailable as error:
            warn(f"cannot store spans and events: {error}")
        finally:
            with self._lock:
                self._held[:0] = held

    def give_up_held(self) -> bool:
        """Try once more to store what is held; count the rest as lost; returns whether none is."""
        self._store_held()
        lost = self._take_held()
        for _, items in lost:
            self.lose(items, _NO_STORE)
        return not lost

    def lose(self, items: Sequence[EncodedItem], reason: str) -> None:
        """Count parcels as lost; from any thread."""
        self._account.drop(len(items), reason)

    # Visits

    def expect(self, destination: Destination, *, must: bool = True) -> None:
        """Send, soon, what was stored to wait for `destination`; from any thread.

        Args:
            destination: to its endpoint.
            must: whether the process should not end before.
        """
        with self._lock:
            visit = self._visits.get(destination.target)
            if visit is None or visit is self._under_way:  # that one may be past it
                at = self.clock() + _GATHERING
                self._visits[destination.target] = ScheduledRetry(destination, at, must=must)

    def hurry(self, *, all_of_them: bool = False) -> None:
        """Have visits made now, those that must be or all; from any thread.

        Args:
            all_of_them: whether all must be.
        """
        now = self.clock()
        with self._lock:
            for target, visit in self._visits.items():
                if visit.must or all_of_them:
                    self._visits[target] = visit._replace(at=min(visit.at, now), must=True)

    def has_to_visit(self) -> bool:
        """Tell whether a visit is left that the process should not end before; from any thread."""
        with self._lock:
            return any(visit.must for visit in self._visits.values())

    def say_waiting(self) -> None:
        """Say what waits for an endpoint, where it has not been said yet; from any thread."""
        with self._lock:
            visits = list(self._visits.values())
        for visit in visits:
            if visit.attempts:
                _say_waiting(visit)

    @property
    def waits(self) -> bool:
        """Whether an endpoint is waited for; from any thread."""
        return self._sender.waiting

    def is_held_up(self) -> bool:
        """Tell whether something waits for an endpoint that does not answer; from any thread."""
        with self._lock:
            return bool(self._held) or any(visit.attempts for visit in self._visits.values())

    def until_next(self) -> float | None:
        """Return how many seconds are left until the next visit, None if there is none."""
        with self._lock:
            times = [visit.at for visit in self._visits.values()]
        return max(0.0, min(times) - self.clock()) if times else None

    def visit(self) -> None:
        """Make the visit whose time has come."""
        now = self.clock()
        with self._lock:
            found = next((visit for visit in self._visits.values() if visit.at <= now), None)
        if found is None:
            return
        self._under_way = found._replace(at=now + LONGEST_PAUSE, must=False)
        self._plan(self._under_way)  # should a fault end it
        last = self._send_held(found.destination)
        if last is None or last.outcome != LATER:
            done = self._drain(found)
            last = done.last if done is not None else last
            if done is not None and not done.leased:
                self._plan(ScheduledRetry(found.destination, self.clock() + _ANOTHER_SENDS))
                return
        if last is not None and last.outcome == LATER:
            self._hold_off(found.destination, last, found.attempts)
        elif self.resting:
            self._plan(found)
        else:
            with self._lock:
                if self._visits.get(found.destination.target) is self._under_way:
                    del self._visits[found.destination.target]

    def let_others_send(self) -> None:
        """Give back the lease of a visit that the end of the process cuts short; from any thread.

        What its last request has delivered and what not is unknown, so another may send it again.
        """
        target = self._draining
        if target is not None:
            try:
                self._store.release(target, self._holder)
            except StoreUnavailable as error:
                warn(f"cannot give back the store's lease, which ends by itself: {error}")

    def _drain(self, visit: ScheduledRetry) -> outbox.Drained | None:
        self._draining = visit.destination.target
        try:
            return outbox.drain(
                self._store,
                visit.destination,
                self._sender,
                self._holder,
                settled=lambda answer, group: self._note_stored(visit.destination, answer, group),
                goes_on=self._goes_on,
                seconds=self._seconds,
            )
        except StoreUnavailable as error:
            warn(f"cannot read the store: {error}")
            return None
        finally:
            self._draining = None

    def _send_held(self, destination: Destination) -> Answer | None:
        """Send what no store took; returns the last answer."""
        last = None
        with self._lock:
            held = [items for its_route, items in self._held if its_route == destination]
        for items in held:
            claim = partial(self._take_out, items)
            for answer, group in destination.post(self._sender, tuple(items), self._seconds):
                last = answer
                if answer.outcome == LATER:
                    with self._settling:
                        self._store_held()
                    return last
                if not self.settle(claim, group, partial(self._note, destination, answer)):
                    break
        return last

    def _take_out(self, held: list[EncodedItem], group: Sequence[EncodedItem]) -> bool:
        """Take `group` out of what is held; returns False if it is not any more."""
        with self._lock:
            if not any(items is held for _, items in self._held):
                return False
            del held[: len(group)]
            self._held = [each for each in self._held if each[1]]
            return True

    def _note_stored(
        self, destination: Destination, answer: Answer, group: Sequence[Stored]
    ) -> None:
        """Note what became of items that were sent from the store."""
        own = sum(item.own for item in group)
        if answer.outcome != TAKEN:
            _say_refused(destination, answer, len(group))
            return
        _say_rejected(destination, answer)
        rejected = min(answer.rejected, own)
        self._account.deliver(own - rejected, from_store=True)
        self._account.drop(rejected, _REJECTED, from_store=True)

    def _is_down(self, destination: Destination) -> bool:
        with self._lock:
            visit = self._visits.get(destination.target)
        return visit is not None and visit.attempts > 0

    def _hold_off(self, destination: Destination, answer: Answer, attempts: int = 0) -> None:
        """Leave an endpoint alone for a while."""
        seconds = answer.retry_after
        if seconds is None:
            seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts, 10))
            # So that processes spread out; `random` itself is the program's, to seed.
            seconds *= SystemRandom().uniform(0.5, 1.0)
        at = self.clock() + seconds
        # At the end, one that is busy is given another chance as long as there is time.
        must = answer.status is not None and self.due is not None and at < self.due
        visit = ScheduledRetry(destination, at, attempts + 1, must, answer.reason)
        self._plan(visit)
        if answer.status is None or (attempts and not must):
            _say_waiting(visit)

    def _look_once(self, destination: Destination) -> None:
        """Look, once, whether another process has left something for this endpoint."""
        if destination.target in self._looked or self.due is not None:
            return
        self._looked.add(destination.target)
        if self._store.database.exists():
            self._plan(ScheduledRetry(destination, self.clock()))

    def _plan(self, visit: ScheduledRetry) -> None:
        with self._lock:
            self._visits[visit.destination.target] = visit

    # Time

    def _seconds(self) -> float | None:
        """Return how long a request may take: at the end not longer than the end."""
        return None if self.due is None else max(_LEAST_SECONDS, self.due - self.clock())

    def _goes_on(self) -> bool:
        return not self.resting and (self.due is None or self.clock() < self.due)


_NO_STORE = "no store"
_REJECTED = "rejected by the endpoint"


def _say_waiting(visit: ScheduledRetry) -> None:
    warn(
        f"cannot deliver to {visit.destination.target.shown}: {visit.reason};"
        " what is recorded waits in the store until it answers"
    )


def _say_rejected(destination: Destination, answer: Answer) -> None:
    if answer.rejected:
        reason = f": {answer.reason}" if answer.reason else ""
        warn(f"{destination.target.shown} rejected {answer.rejected} spans or events{reason}")


def _say_refused(destination: Destination, answer: Answer, count: int) -> None:
    warn(
        f"{destination.target.shown} refused {count} spans or events ({answer.reason});"
        " they are kept in the store: `lupis flush` sends them again"
    )
